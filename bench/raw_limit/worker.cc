#include "worker.h"

#include <fmt/format.h>
#include <sched.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <stdexcept>
#include <utility>

#include "wire.h"

namespace rc::bench {
namespace {

constexpr uint32_t kSubmissions = 4096, kCompletions = 16384;
constexpr uint32_t kBuffers = 2048, kBufferBytes = 2048;
constexpr uint32_t kCompletionsATurn = 4096;
constexpr int kBufferGroup = 0;
constexpr int kQuiet = MSG_DONTWAIT | MSG_WAITALL | MSG_NOSIGNAL;

void check(int result, std::string_view what) {
    if (result < 0) throw std::runtime_error(fmt::format("{}: {}", what, std::strerror(-result)));
}

}  // namespace

Worker::Worker(const Options& options, int client_listener, int api_listener)
    : options_(options),
      client_listener_(client_listener),
      api_listener_(api_listener),
      event_(::eventfd(0, EFD_CLOEXEC)),
      direct_(options.send != Send::loop) {}

Worker::~Worker() {
    if (ring_.ring_fd > 0) io_uring_queue_exit(&ring_);
    if (buffers_) ::munmap(buffers_, kBuffers * sizeof(io_uring_buf));
    ::close(event_);
}

void Worker::set_up() {
    io_uring_params params{};
    params.flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_SUBMIT_ALL |
                   IORING_SETUP_CQSIZE;
    params.cq_entries = kCompletions;
    check(io_uring_queue_init_params(kSubmissions, &ring_, &params), "io_uring");
    io_uring_register_ring_fd(&ring_);
    rlimit files{};
    ::getrlimit(RLIMIT_NOFILE, &files);
    auto const slots = static_cast<unsigned>(std::min<rlim_t>(files.rlim_cur, 1U << 20));
    if (direct_) check(io_uring_register_files_sparse(&ring_, slots), "direct descriptors");
    open_.resize(slots), place_.resize(slots), user_of_.resize(slots);

    void* const memory = ::mmap(nullptr, kBuffers * sizeof(io_uring_buf), PROT_READ | PROT_WRITE,
                                MAP_ANONYMOUS | MAP_PRIVATE, -1, 0);
    if (memory == MAP_FAILED) throw std::runtime_error("no memory for the receive buffers");
    buffers_ = static_cast<io_uring_buf_ring*>(memory);
    io_uring_buf_reg registration{};
    registration.ring_addr = reinterpret_cast<uintptr_t>(buffers_);
    registration.ring_entries = kBuffers;
    registration.bgid = kBufferGroup;
    check(io_uring_register_buf_ring(&ring_, &registration, 0), "the receive buffers");
    io_uring_buf_ring_init(buffers_);
    buffer_memory_.resize(std::size_t{kBuffers} * kBufferBytes);
    for (uint32_t i = 0; i < kBuffers; ++i) {
        io_uring_buf_ring_add(buffers_, buffer_memory_.data() + std::size_t{i} * kBufferBytes, kBufferBytes,
                              static_cast<uint16_t>(i), io_uring_buf_ring_mask(kBuffers),
                              static_cast<int>(i));
    }
    io_uring_buf_ring_advance(buffers_, kBuffers);
}

io_uring_sqe* Worker::sqe() {
    for (;;) {
        if (auto* entry = io_uring_get_sqe(&ring_)) return entry;
        submit();
    }
}

void Worker::tag(io_uring_sqe* entry, Kind kind, uint64_t value) {
    entry->user_data = static_cast<uint64_t>(kind) << 56 | value;
}

void Worker::submit() {
    ++counters_.enters;
    io_uring_submit(&ring_);
}

void Worker::arm(Kind kind, int file) {
    auto* const entry = sqe();
    switch (kind) {
        case Kind::accept_client:
            if (direct_) {
                io_uring_prep_multishot_accept_direct(entry, file, nullptr, nullptr, 0);
                break;
            }
            [[fallthrough]];
        case Kind::accept_api: io_uring_prep_multishot_accept(entry, file, nullptr, nullptr, 0); break;
        case Kind::wake: io_uring_prep_read(entry, file, &event_count_, sizeof event_count_, 0); break;
        default:
            io_uring_prep_recv_multishot(entry, file, nullptr, 0, 0);
            entry->flags |= IOSQE_BUFFER_SELECT;
            entry->buf_group = kBufferGroup;
            if (kind == Kind::receive_client && direct_) entry->flags |= IOSQE_FIXED_FILE;
    }
    tag(entry, kind, static_cast<uint32_t>(file));
}

void Worker::run() {
    if (options_.first_cpu >= 0) {
        cpu_set_t set;
        CPU_ZERO(&set);
        auto const self = std::ranges::find(all_, this) - all_.begin();
        CPU_SET(options_.first_cpu + static_cast<int>(self), &set);
        ::sched_setaffinity(0, sizeof set, &set);
    }
    set_up();
    arm(Kind::accept_client, client_listener_);
    arm(Kind::accept_api, api_listener_);
    arm(Kind::wake, event_);
    while (!stopping_.load(std::memory_order_relaxed)) {
        ++counters_.enters, ++counters_.turns;
        io_uring_submit_and_wait(&ring_, 1);
        answers_.clear();
        unsigned head = 0, seen = 0;
        io_uring_cqe* cqe = nullptr;
        io_uring_for_each_cqe(&ring_, head, cqe) {
            handle(*cqe);
            if (++seen == kCompletionsATurn) break;
        }
        io_uring_cq_advance(&ring_, seen);
        publish_all();
    }
}

void Worker::stop() {
    stopping_ = true;
    uint64_t const one = 1;
    [[maybe_unused]] auto const written = ::write(event_, &one, sizeof one);
}

void Worker::handle(const io_uring_cqe& cqe) {
    auto const kind = static_cast<Kind>(cqe.user_data >> 56);
    auto const value = static_cast<uint32_t>(cqe.user_data);
    bool const ended = (cqe.flags & IORING_CQE_F_MORE) == 0;
    std::string_view bytes;
    if (cqe.flags & IORING_CQE_F_BUFFER) {
        auto const index = cqe.flags >> IORING_CQE_BUFFER_SHIFT;
        bytes = {buffer_memory_.data() + std::size_t{index} * kBufferBytes,
                 static_cast<std::size_t>(std::max(cqe.res, 0))};
    }
    switch (kind) {
        case Kind::accept_client:
            if (cqe.res >= 0) {
                ++counters_.clients;
                arm(Kind::receive_client, cqe.res);
            }
            if (ended) arm(kind, client_listener_);
            break;
        case Kind::accept_api:
            if (cqe.res >= 0) arm(Kind::receive_api, cqe.res);
            if (ended) arm(kind, api_listener_);
            break;
        case Kind::receive_client:
            if (cqe.res > 0) on_client_bytes(value, bytes);
            if (!ended) break;
            if (cqe.res > 0 || cqe.res == -ENOBUFS) {
                arm(kind, static_cast<int>(value));
            } else {
                close_client(value);
            }
            break;
        case Kind::receive_api:
            if (cqe.res > 0) on_api_bytes(static_cast<int>(value), bytes);
            if (!ended) break;
            if (cqe.res > 0 || cqe.res == -ENOBUFS) {
                arm(kind, static_cast<int>(value));
            } else {
                requests_.erase(static_cast<int>(value));
                ::close(static_cast<int>(value));
            }
            break;
        case Kind::send: {
            // A quiet send completes only when it has failed.
            if (auto const batch = batches_.find(value); batch != batches_.end()) {
                if (cqe.res < static_cast<int>(batch->second.frame.size())) ++counters_.failures;
                if (--batch->second.sends == 0) batches_.erase(batch);
            } else {
                ++counters_.failures;
            }
            break;
        }
        case Kind::wake: arm(kind, event_); break;
        case Kind::close:
        case Kind::none: break;
    }
    if (cqe.flags & IORING_CQE_F_BUFFER) {
        auto const index = cqe.flags >> IORING_CQE_BUFFER_SHIFT;
        io_uring_buf_ring_add(buffers_, buffer_memory_.data() + std::size_t{index} * kBufferBytes,
                              kBufferBytes, static_cast<uint16_t>(index), io_uring_buf_ring_mask(kBuffers),
                              0);
        io_uring_buf_ring_advance(buffers_, 1);
    }
}

void Worker::on_client_bytes(uint32_t slot, std::string_view bytes) {
    auto rest = partial_.find(slot);
    if (rest != partial_.end()) bytes = rest->second.append(bytes);
    std::size_t used = 0;
    if (!open_[slot]) {
        if (auto const request = next_request(bytes)) {
            used = request->size;
            answer(static_cast<int>(slot), true, switching_answer(request->head));
            open_[slot] = 1;
            place_[slot] = static_cast<uint32_t>(order_.size());
            order_.push_back(slot);
        }
    }
    if (open_[slot]) {
        uint8_t opcode = 0;
        std::string payload;
        while (auto const size = take_frame(bytes.substr(used), opcode, payload)) {
            used += size;
            if (opcode == 8 || opcode == 9)
                answer(static_cast<int>(slot), true, frame_of(opcode == 9 ? 10 : opcode, payload));
            if (opcode == 8) end_client(slot);
            if (opcode == 1 || opcode == 2) on_client_text(slot, opcode, payload);
        }
    }
    if (used == bytes.size()) {
        if (rest != partial_.end()) partial_.erase(rest);
    } else {
        partial_[slot] = std::string(bytes.substr(used));
    }
}

void Worker::on_client_text(uint32_t slot, uint8_t opcode, std::string_view text) {
    if (options_.echo) return answer(static_cast<int>(slot), true, frame_of(opcode, text));
    if (auto const user = user_of(text)) {
        users_[*user] = slot;
        user_of_[slot] = *user;
    }
}

// It has said good-bye, and is waiting for a FIN. The answer before it goes out while it is submitted, and
// the kernel hands a shutdown to a thread of its own.
void Worker::end_client(uint32_t slot) {
    if (!direct_) {
        ::shutdown(static_cast<int>(slot), SHUT_WR);
        return;
    }
    auto* const entry = sqe();
    io_uring_prep_shutdown(entry, static_cast<int>(slot), SHUT_WR);
    entry->flags |= IOSQE_FIXED_FILE;
    tag(entry, Kind::close, slot);
}

void Worker::close_client(uint32_t slot) {
    partial_.erase(slot);
    if (open_[slot]) {
        open_[slot] = 0;
        place_[order_.back()] = place_[slot];
        order_[place_[slot]] = order_.back();
        order_.pop_back();
        if (auto const user = users_.find(user_of_[slot]); user != users_.end() && user->second == slot)
            users_.erase(user);
    }
    if (!direct_) {
        ::close(static_cast<int>(slot));
        return;
    }
    auto* const entry = sqe();
    io_uring_prep_close_direct(entry, slot);
    tag(entry, Kind::close, slot);
}

void Worker::on_api_bytes(int descriptor, std::string_view bytes) {
    auto rest = requests_.find(descriptor);
    if (rest != requests_.end()) bytes = rest->second.append(bytes);
    std::size_t used = 0;
    std::string answers;
    while (auto const request = next_request(bytes.substr(used))) {
        used += request->size;
        auto publication = std::make_shared<Publication>(
            Publication{frame_of_publication(request->body), user_of(request->body)});
        ++counters_.publications;
        for (Worker* worker : all_) {
            if (worker == this) {
                waiting_.push_back(publication);
            } else {
                worker->post(publication);
            }
        }
        answers +=
            "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 12\r\n\r\n{\"id\":\"raw\"}";
    }
    if (!answers.empty()) answer(descriptor, false, std::move(answers));
    if (used == bytes.size()) {
        if (rest != requests_.end()) requests_.erase(rest);
    } else {
        requests_[descriptor] = std::string(bytes.substr(used));
    }
}

void Worker::post(const Shared& publication) {
    bool first = false;
    {
        std::scoped_lock const lock(posted_mutex_);
        first = posted_.empty();
        posted_.push_back(publication);
    }
    if (!first) return;
    uint64_t const one = 1;
    [[maybe_unused]] auto const written = ::write(event_, &one, sizeof one);
}

// --- out

void Worker::answer(int file, bool client, std::string bytes) {
    auto const& kept = answers_.emplace_back(std::move(bytes));
    if (client && !direct_) {
        ++counters_.sends;
        if (::send(file, kept.data(), kept.size(), kQuiet) < 0) ++counters_.failures;
        return;
    }
    auto* const entry = sqe();
    io_uring_prep_send(entry, file, kept.data(), kept.size(), kQuiet);
    entry->flags |= IOSQE_CQE_SKIP_SUCCESS | (client ? IOSQE_FIXED_FILE : 0);
    tag(entry, Kind::send, 0);
}

void Worker::send_frame(uint32_t slot, const std::string& frame, uint64_t batch) {
    ++counters_.sends;
    if (options_.send == Send::loop) {
        auto const sent = ::send(static_cast<int>(slot), frame.data(), frame.size(), kQuiet);
        if (sent < static_cast<ssize_t>(frame.size())) ++counters_.failures;
        return;
    }
    bool const quiet = options_.send == Send::quiet;
    auto* const entry = sqe();
    io_uring_prep_send(entry, static_cast<int>(slot), frame.data(), frame.size(),
                       quiet ? kQuiet : MSG_WAITALL | MSG_NOSIGNAL);
    entry->flags |= IOSQE_FIXED_FILE | (quiet ? IOSQE_CQE_SKIP_SUCCESS : 0);
    tag(entry, Kind::send, batch);
}

void Worker::publish_all() {
    {
        std::scoped_lock const lock(posted_mutex_);
        waiting_.insert(waiting_.end(), posted_.begin(), posted_.end());
        posted_.clear();
    }
    std::string burst;
    for (const auto& publication : std::exchange(waiting_, {})) {
        if (publication->user) {
            if (auto const known = users_.find(*publication->user); known != users_.end())
                answer(static_cast<int>(known->second), true, publication->frame);
        } else if (options_.coalesce) {
            burst += publication->frame;
        } else {
            fan_out(publication->frame);
        }
    }
    if (!burst.empty()) fan_out(burst);
}

void Worker::fan_out(const std::string& frame) {
    if (order_.empty()) return;
    uint64_t batch = 0;
    const std::string* bytes = &frame;
    if (options_.send == Send::cqe) {
        batch = ++newest_batch_ & UINT32_MAX;
        bytes = &(batches_[batch] = {frame, static_cast<uint32_t>(order_.size())}).frame;
    }
    if (options_.shuffle) {
        std::shuffle(order_.begin(), order_.end(), random_);
        for (uint32_t i = 0; i < order_.size(); ++i)
            place_[order_[i]] = i;
    }
    uint32_t since_submit = 0;
    for (auto const slot : order_) {
        send_frame(slot, *bytes, batch);
        if (options_.send == Send::loop || ++since_submit < options_.chunk) continue;
        since_submit = 0;
        submit();
    }
    if (options_.send == Send::quiet) submit();  // the frame may go now
}

}  // namespace rc::bench
