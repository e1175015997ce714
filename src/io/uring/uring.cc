#include "ringcast/io/uring.h"

#include <fmt/format.h>
#include <liburing.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <bitset>
#include <cerrno>
#include <cstring>
#include <deque>
#include <optional>
#include <vector>

#include "ringcast/base/log.h"

namespace rc::io {
namespace {

constexpr uint16_t kBufferGroup = 0;
constexpr uint32_t kTables = 16;

// Requests whose completion nobody waits for. They stand apart from every token: Kind::none.
enum Housekeeping : uint64_t {
    kIgnored = 0,
    kWakeReceived = 1ULL << 8,  // in the woken ring
    kWakeSent = 2ULL << 8,      // in the waking ring, with the sleeper's descriptor above
    kAdopted = 3ULL << 8,       // adopt() takes it at once
};

Error refusal(int error) {
    switch (error) {
        case EPERM:
        case EACCES:
            return {Errc::ring_refused,
                    "io_uring is refused here (EPERM): set the sysctl kernel.io_uring_disabled=0, or allow "
                    "io_uring_setup, io_uring_enter and io_uring_register in the sandbox (for a container: "
                    "--security-opt seccomp=...)"};
        case ENOSYS:
            return {
                Errc::ring_refused,
                "io_uring is missing here (ENOSYS): run a kernel 6.1 or newer with CONFIG_IO_URING, or allow "
                "io_uring_setup, io_uring_enter and io_uring_register in the sandbox"};
        case EINVAL:
            return {Errc::ring_refused,
                    "this kernel's io_uring lacks SINGLE_ISSUER or DEFER_TASKRUN (EINVAL): run a kernel 6.1 "
                    "or newer"};
        case ENOMEM:
            return {Errc::ring_refused,
                    "no memory for an io_uring (ENOMEM): raise the memory limit of the service, or lower "
                    "workers"};
        default:
            return {Errc::ring_refused, fmt::format("io_uring cannot be set up: {}", std::strerror(error))};
    }
}

// Said by the first ring of the process that holds clients. All but the registered ring and the direct
// descriptors is needed, and there from 6.1 on.
void log_features(bool registered_ring, bool direct_prompt) {
    static std::atomic_flag said;
    if (said.test_and_set()) return;
    utsname kernel{};
    ::uname(&kernel);
    log::info(
        "io_uring of Linux {}: SINGLE_ISSUER, DEFER_TASKRUN, {}, buffer ring, multishot receive, MSG_RING{}",
        kernel.release,
        direct_prompt ? "direct descriptors" : "ordinary descriptors (this kernel closes direct ones late)",
        registered_ring ? ", registered ring" : "");
}

class Uring final : public Ring {
  public:
    static Result<std::unique_ptr<Ring>> make(const UringOptions& options) {
        auto self = std::unique_ptr<Uring>(new Uring(options));
        if (int const error = self->set_up(); error != 0) return tl::unexpected(refusal(error));
        return self;
    }

    ~Uring() override {
        if (ring_.ring_fd >= 0) io_uring_queue_exit(&ring_);
        if (buffer_ring_) ::munmap(buffer_ring_, buffer_ring_bytes());
        if (buffers_) ::munmap(buffers_, buffers_bytes());
    }

    void bind(uint8_t table, CompletionSink& sink) override {
        RC_ASSERT(table < kTables && !sinks_[table]);
        sinks_[table] = &sink;
    }

    void accept(Operation& op, Token token, int listener, PeerBuffer& peer, bool direct) override {
        auto* sqe = next(op, token);
        peer.size = sizeof(peer.storage);
        auto* address = reinterpret_cast<sockaddr*>(peer.storage.data());
        if (direct) {
            // liburing 2.3 adds one to the index, so that IORING_FILE_INDEX_ALLOC itself would wrap to an
            // ordinary descriptor.
            io_uring_prep_accept_direct(sqe, listener, address, &peer.size, 0, IORING_FILE_INDEX_ALLOC - 1);
        } else {
            io_uring_prep_accept(sqe, listener, address, &peer.size, SOCK_CLOEXEC);
        }
        sqe->user_data = token.packed();
    }

    void recv(Operation& op, Token token, File file, ReceiveMode mode) override {
        auto* sqe = next(op, token);
        if (mode == ReceiveMode::multishot) {
            io_uring_prep_recv_multishot(sqe, file.index, nullptr, 0, 0);
        } else {
            io_uring_prep_recv(sqe, file.index, nullptr, options_.buffer_bytes, 0);
        }
        sqe->flags |= IOSQE_BUFFER_SELECT;
        sqe->buf_group = kBufferGroup;
        finish(sqe, token, file);
    }

    void await_bytes(Operation& op, Token token, File file) override {
        auto* sqe = next(op, token);
        io_uring_prep_poll_add(sqe, file.index, POLLIN);
        finish(sqe, token, file);
    }

    void send(Operation& op, Token token, File file, std::span<const iovec> parts) override {
        RC_ASSERT(!parts.empty() && parts.size() <= kSendPartsMax);
        auto* sqe = next(op, token);
        ++stats_.sends;
        if (parts.size() == 1) {
            io_uring_prep_send(sqe, file.index, parts[0].iov_base, parts[0].iov_len, MSG_NOSIGNAL);
        } else {
            // The kernel reads header and vector while it takes the submission (FEAT_SUBMIT_STABLE), so they
            // live in chunks that are used again after the next submit.
            iovec* vector = gather_.take(parts.size());
            std::copy(parts.begin(), parts.end(), vector);
            msghdr* header = headers_.take(1);
            *header = msghdr{};
            header->msg_iov = vector;
            header->msg_iovlen = parts.size();
            io_uring_prep_sendmsg(sqe, file.index, header, MSG_NOSIGNAL);
        }
        finish(sqe, token, file);
    }

    void close(Operation& op, Token token, File file) override {
        auto* sqe = next(op, token);
        if (file.direct) {
            io_uring_prep_close_direct(sqe, static_cast<unsigned>(file.index));
        } else {
            io_uring_prep_close(sqe, file.index);
        }
        sqe->user_data = token.packed();
    }

    void discard(File file) override {
        auto* sqe = get_sqe();
        if (file.direct) {
            io_uring_prep_close_direct(sqe, static_cast<unsigned>(file.index));
        } else {
            io_uring_prep_close(sqe, file.index);
        }
        sqe->user_data = kIgnored;
    }

    File adopt(int descriptor) override {
        if (!direct_prompt_) return {descriptor, false};
        int32_t place = descriptor;  // the kernel writes the place over it, while it takes the submission
        auto* sqe = get_sqe();
        io_uring_prep_files_update(sqe, &place, 1, static_cast<int>(IORING_FILE_INDEX_ALLOC));
        sqe->user_data = kAdopted;
        for (;;) {
            ++stats_.enters;
            int const result = io_uring_submit_and_get_events(&ring_);
            submitted();
            entered(result);
            std::optional<int32_t> adopted;
            for (io_uring_cqe cqe; take_from_queue(&cqe, 1) == 1;) {
                if (cqe.user_data == kAdopted) {
                    adopted = cqe.res;
                } else {
                    stash_.push_back(cqe);
                }
            }
            if (!adopted) continue;
            if (*adopted != 1) return {descriptor, false};
            ::close(descriptor);
            return {place, true};
        }
    }

    bool shutdown_send(Operation& op, Token token, File file) override {
        // The kernel hands this opcode to a worker thread, so it is used only where there is no other way.
        if (!file.direct) {
            ::shutdown(file.index, SHUT_WR);
            return true;
        }
        auto* sqe = next(op, token);
        io_uring_prep_shutdown(sqe, file.index, SHUT_WR);
        finish(sqe, token, file);
        return false;
    }

    void poll(Operation& op, Token token, int descriptor) override {
        auto* sqe = next(op, token);
        io_uring_prep_poll_add(sqe, descriptor, POLLIN);
        sqe->user_data = token.packed();
    }

    void cancel(Operation& op, Token token) override {
        if (op.cancelling()) return;
        op.cancel();
        auto* sqe = get_sqe();
        io_uring_prep_cancel64(sqe, token.packed(), 0);
        sqe->user_data = kIgnored;
    }

    void wake(Ring& sleeper) override { ring_bell(static_cast<Uring&>(sleeper).ring_.ring_fd); }

    void submit_and_wait(Duration wait_max) override {
        ++stats_.enters;
        int result;
        if (wait_max <= Duration::zero() || !stash_.empty()) {
            result = io_uring_submit_and_get_events(&ring_);
        } else if (options_.gather_max > Duration::zero() && wait_max > options_.gather_max) {
            result = wait(options_.gather_completions, options_.gather_max);
            if (result == -ETIME && io_uring_cq_ready(&ring_) == 0) {
                submitted();
                ++stats_.enters;
                result = wait(1, wait_max - options_.gather_max);
            }
        } else {
            result = wait(1, wait_max);
        }
        submitted();
        entered(result);
    }

    uint32_t reap(uint32_t completions_max) override {
        uint32_t done = 0;
        while (done < completions_max) {
            std::array<io_uring_cqe, 128> batch;
            uint32_t const wanted = std::min<uint32_t>(batch.size(), completions_max - done);
            uint32_t const n = take(batch.data(), wanted);
            if (n == 0) break;
            for (uint32_t i = 0; i < n; ++i)
                done += dispatch(batch[i]);
        }
        stats_.completions += done;
        return done;
    }

    [[nodiscard]] Stats stats() const override {
        Stats out = stats_;
        out.buffers = options_.buffers;
        out.direct_slots = direct_files_;
        out.direct_files = direct_prompt_;
        return out;
    }

  private:
    // Storage for what must stay in place until the next submit: chunks are kept and used again.
    template <class T>
    class Chunks {
      public:
        T* take(std::size_t n) {
            if (chunks_.empty() || used_ + n > kChunk) {
                if (!chunks_.empty()) ++current_;
                if (current_ == chunks_.size()) chunks_.push_back(std::make_unique<T[]>(kChunk));
                used_ = 0;
            }
            T* out = chunks_[current_].get() + used_;
            used_ += n;
            return out;
        }
        void reset() {
            if (chunks_.size() > 16) chunks_.resize(16);
            current_ = 0;
            used_ = 0;
        }

      private:
        static constexpr std::size_t kChunk = std::size_t{4} * kSendPartsMax;
        std::vector<std::unique_ptr<T[]>> chunks_;
        std::size_t current_ = 0, used_ = 0;
    };

    explicit Uring(const UringOptions& options) : options_(options) { ring_.ring_fd = -1; }

    [[nodiscard]] std::size_t buffers_bytes() const {
        return std::size_t{options_.buffers} * options_.buffer_bytes;
    }
    [[nodiscard]] std::size_t buffer_ring_bytes() const { return options_.buffers * sizeof(io_uring_buf); }

    // Returns an errno, or 0.
    int set_up() {
        io_uring_params params{};
        params.flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_SUBMIT_ALL |
                       IORING_SETUP_CQSIZE | IORING_SETUP_CLAMP;
        params.cq_entries = options_.submissions * 4;
        if (int const r = io_uring_queue_init_params(options_.submissions, &ring_, &params); r < 0) {
            ring_.ring_fd = -1;
            return -r;
        }
        if (!(params.features & IORING_FEAT_NODROP) || !(params.features & IORING_FEAT_EXT_ARG))
            return EINVAL;
        // Saves a descriptor look-up an enter; works without.
        bool const registered_ring = io_uring_register_ring_fd(&ring_) == 1;

        std::array<unsigned, 2> workers{4, 8};  // nothing of ours should ever need one
        io_uring_register_iowq_max_workers(&ring_, workers.data());

        // The soft limit is for programs that use select(); systemd and login shells keep it at 1,024.
        rlimit files{};
        ::getrlimit(RLIMIT_NOFILE, &files);
        auto const wanted = std::min<rlim_t>(files.rlim_max, options_.direct_files_max);
        if (files.rlim_cur < wanted) {
            files.rlim_cur = wanted;
            if (::setrlimit(RLIMIT_NOFILE, &files) != 0) ::getrlimit(RLIMIT_NOFILE, &files);
        }
        direct_files_ = static_cast<uint32_t>(std::min<uint64_t>(files.rlim_cur, options_.direct_files_max));
        if (int const r = io_uring_register_files_sparse(&ring_, direct_files_); r < 0) return -r;
        if (int const error = set_up_buffers(); error != 0) return error;
        direct_prompt_ = direct_files_ < 2 || closes_direct_files_at_once();
        if (direct_files_ >= 2) log_features(registered_ring, direct_prompt_);
        return 0;
    }

    // Before 6.13 a file that leaves the table is let go only when every request has ended that used any file
    // of it before: behind one quiet client's armed receive no socket would be closed, and no FIN be sent.
    // Tried, since a kernel's number does not say what was ported back to it.
    bool closes_direct_files_at_once() {
        enum Place : uint8_t { kHeld, kClosed };
        std::array<int, 2> held{-1, -1}, closed{-1, -1};
        bool prompt = true;
        if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, held.data()) == 0 &&
            ::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, closed.data()) == 0) {
            std::array<int, 2> const placed{held[kHeld], closed[0]};
            char unused = 0;
            if (io_uring_register_files_update(&ring_, 0, placed.data(), placed.size()) == 2) {
                ::close(std::exchange(held[0], -1));
                ::close(std::exchange(closed[0], -1));
                auto* receive = io_uring_get_sqe(&ring_);
                io_uring_prep_recv(receive, kHeld, &unused, 1, 0);
                receive->flags |= IOSQE_FIXED_FILE;
                receive->user_data = kIgnored;
                close_place(kClosed);
                drain(1);
                pollfd far_end{.fd = closed[1], .events = POLLIN, .revents = 0};
                prompt = ::poll(&far_end, 1, 10) == 1;
                ::shutdown(held[1], SHUT_WR);
                drain(1);
                close_place(kHeld);
                drain(1);
            }
        }
        for (int descriptor : {held[0], held[1], closed[0], closed[1]})
            if (descriptor >= 0) ::close(descriptor);
        return prompt;
    }

    void close_place(unsigned place) {
        auto* sqe = io_uring_get_sqe(&ring_);
        io_uring_prep_close_direct(sqe, place);
        sqe->user_data = kIgnored;
    }

    // Submits, and takes that many completions of set-up.
    void drain(unsigned completions) {
        for (unsigned taken = 0; taken < completions;) {
            if (io_uring_submit_and_wait(&ring_, 1) < 0) return;
            std::array<io_uring_cqe, 4> cqes;
            taken += take_from_queue(cqes.data(), cqes.size());
        }
    }

    int set_up_buffers() {
        auto map = [](std::size_t bytes) {
            void* at = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_ANONYMOUS | MAP_PRIVATE, -1, 0);
            return at == MAP_FAILED ? nullptr : at;
        };
        buffers_ = static_cast<char*>(map(buffers_bytes()));
        buffer_ring_ = static_cast<io_uring_buf_ring*>(map(buffer_ring_bytes()));
        if (!buffers_ || !buffer_ring_) return ENOMEM;
        io_uring_buf_reg reg{};
        reg.ring_addr = reinterpret_cast<uint64_t>(buffer_ring_);
        reg.ring_entries = options_.buffers;
        reg.bgid = kBufferGroup;
        if (int const r = io_uring_register_buf_ring(&ring_, &reg, 0); r < 0) return -r;
        io_uring_buf_ring_init(buffer_ring_);
        int const mask = io_uring_buf_ring_mask(options_.buffers);
        for (uint32_t i = 0; i < options_.buffers; ++i) {
            io_uring_buf_ring_add(buffer_ring_, buffers_ + std::size_t{i} * options_.buffer_bytes,
                                  options_.buffer_bytes, static_cast<uint16_t>(i), mask, static_cast<int>(i));
        }
        io_uring_buf_ring_advance(buffer_ring_, static_cast<int>(options_.buffers));
        return 0;
    }

    void give_back(uint16_t buffer) {
        io_uring_buf_ring_add(buffer_ring_, buffers_ + std::size_t{buffer} * options_.buffer_bytes,
                              options_.buffer_bytes, buffer, io_uring_buf_ring_mask(options_.buffers), 0);
        io_uring_buf_ring_advance(buffer_ring_, 1);
        --stats_.buffers_lent;
    }

    io_uring_sqe* get_sqe() {
        io_uring_sqe* sqe = io_uring_get_sqe(&ring_);
        while (!sqe) {
            ++stats_.enters;
            int const r = io_uring_submit(&ring_);
            submitted();
            entered(r);
            // A full completion queue can refuse submissions: set completions aside for reap().
            if (r == -EBUSY || r == -EAGAIN) {
                io_uring_cqe aside;
                while (take_from_queue(&aside, 1) == 1)
                    stash_.push_back(aside);
                io_uring_get_events(&ring_);
            }
            sqe = io_uring_get_sqe(&ring_);
        }
        return sqe;
    }

    io_uring_sqe* next(Operation& op, Token token) {
        RC_ASSERT(token.kind != Kind::none && token.slot < limits::kSlotsMax && token.table < kTables);
        op.start();
        return get_sqe();
    }

    static void finish(io_uring_sqe* sqe, Token token, File file) {
        if (file.direct) sqe->flags |= IOSQE_FIXED_FILE;
        sqe->user_data = token.packed();
    }

    int wait(uint32_t completions, Duration wait_max) {
        __kernel_timespec limit{.tv_sec = wait_max.count() / 1'000'000'000,
                                .tv_nsec = wait_max.count() % 1'000'000'000};
        io_uring_cqe* unused = nullptr;
        return io_uring_submit_and_wait_timeout(&ring_, &unused, completions, &limit, nullptr);
    }

    // What io_uring_enter answered.
    void entered(int result) {
        if (result >= 0) return;
        switch (-result) {
            // The time is over, a signal came, a queue is full, memory is short: the next turn asks again.
            case ETIME:
            case EINTR:
            case EAGAIN:
            case EBUSY:
            case ENOMEM: return;
            // Completions were lost (EBADR), another thread's ring (EEXIST), or no ring any more: it cannot
            // be mended while running.
            case EBADR:
            case EEXIST:
            case EINVAL:
            case EBADF:
            case EBADFD:
            case EFAULT:
            case ENXIO:
            case EOPNOTSUPP: {
                auto const line = fmt::format("io_uring_enter: {}", std::strerror(-result));
                assertion_failed(line.c_str(), __FILE__, __LINE__);
            }
            default: say_once("io_uring_enter", -result);
        }
    }

    void bell_failed(int error, int sleeper_descriptor) {
        switch (error) {
            // The sleeper's queue was full, or memory was short. It must not sleep through this bell.
            case EOVERFLOW:
            case EAGAIN:
            case EINTR:
            case ENOMEM: return ring_bell(sleeper_descriptor);
            // It has ended.
            case EBADF:
            case EBADFD:
            case EOWNERDEAD: return;
            default: say_once("a wake", error);
        }
    }

    void say_once(const char* what, int error) {
        auto const place = std::min<std::size_t>(static_cast<std::size_t>(error), said_.size() - 1);
        if (!said_[place]) log::error("{} failed (said once): {} ({})", what, std::strerror(error), error);
        said_.set(place);
    }

    void submitted() {
        if (io_uring_sq_ready(&ring_) > 0) return;  // the kernel had no memory, and has not read them all
        gather_.reset();
        headers_.reset();
    }

    uint32_t take_from_queue(io_uring_cqe* out, uint32_t wanted) {
        std::array<io_uring_cqe*, 128> ready;
        uint32_t const n =
            io_uring_peek_batch_cqe(&ring_, ready.data(), std::min<uint32_t>(wanted, ready.size()));
        for (uint32_t i = 0; i < n; ++i)
            out[i] = *ready[i];
        io_uring_cq_advance(&ring_, n);
        return n;
    }

    uint32_t take(io_uring_cqe* out, uint32_t wanted) {
        uint32_t n = 0;
        for (; n < wanted && !stash_.empty(); ++n) {
            out[n] = stash_.front();
            stash_.pop_front();
        }
        return n > 0 ? n : take_from_queue(out, wanted);
    }

    // How many sinks were called: none for the ring's own housekeeping.
    uint32_t dispatch(const io_uring_cqe& cqe) {
        auto const token = Token::unpack(cqe.user_data);
        bool const has_buffer = cqe.flags & IORING_CQE_F_BUFFER;
        auto const buffer = static_cast<uint16_t>(cqe.flags >> IORING_CQE_BUFFER_SHIFT);
        if (token.kind == Kind::none) {
            if ((cqe.user_data & 0xff00) == kWakeSent && cqe.res < 0) {
                bell_failed(-cqe.res, static_cast<int>(cqe.user_data >> 32));
            }
            return 0;
        }
        Completion completion{
            .token = token, .result = cqe.res, .more = (cqe.flags & IORING_CQE_F_MORE) != 0, .bytes = {}};
        if (has_buffer) ++stats_.buffers_lent;
        if (token.kind == Kind::recv) {
            ++stats_.receives;
            if (cqe.res == -ENOBUFS) ++stats_.buffer_shortages;
            if (has_buffer && cqe.res > 0) {
                completion.bytes = {buffers_ + std::size_t{buffer} * options_.buffer_bytes,
                                    static_cast<std::size_t>(cqe.res)};
            }
        }
        RC_ASSERT(sinks_[token.table]);
        sinks_[token.table]->on_completion(completion);
        // The flag decides, not the result: a failed receive may have taken a buffer too.
        if (has_buffer) give_back(buffer);
        return 1;
    }

    void ring_bell(int sleeper_descriptor) {
        auto* sqe = get_sqe();
        io_uring_prep_msg_ring(sqe, sleeper_descriptor, 0, kWakeReceived, 0);
        sqe->flags |= IOSQE_CQE_SKIP_SUCCESS;
        sqe->user_data = kWakeSent | static_cast<uint64_t>(sleeper_descriptor) << 32;
    }

    UringOptions options_;
    io_uring ring_{};
    std::array<CompletionSink*, kTables> sinks_{};
    char* buffers_ = nullptr;
    io_uring_buf_ring* buffer_ring_ = nullptr;
    std::deque<io_uring_cqe> stash_;
    std::bitset<512> said_;  // errnos that nobody expected, and that the log has
    Chunks<iovec> gather_;
    Chunks<msghdr> headers_;
    uint32_t direct_files_ = 0;
    bool direct_prompt_ = true;
    Stats stats_;
};

}  // namespace

Result<std::unique_ptr<Ring>> make_uring(const UringOptions& options) {
    return Uring::make(options);
}

}  // namespace rc::io
