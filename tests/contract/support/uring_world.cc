#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <future>
#include <map>
#include <semaphore>
#include <thread>

#include "ringcast/io/uring.h"
#include "world.h"

namespace rc::contract {
namespace {

constexpr int kSocketBufferBytes = 4'096;  // the kernel makes a little more of it

void set(int fd, int level, int name, int value) {
    RC_ASSERT(::setsockopt(fd, level, name, &value, sizeof(value)) == 0);
}

Address address_of(int fd, int (*ask)(int, sockaddr*, socklen_t*)) {
    sockaddr_storage storage{};
    socklen_t size = sizeof(storage);
    RC_ASSERT(ask(fd, reinterpret_cast<sockaddr*>(&storage), &size) == 0);
    return *Address::from_sockaddr(storage, size);
}

class SocketPeer final : public Peer {
  public:
    explicit SocketPeer(const Address& server) {
        sockaddr_storage storage{};
        auto const size = server.to_sockaddr(storage);
        fd_ = ::socket(storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
        set(fd_, SOL_SOCKET, SO_RCVBUF, kSocketBufferBytes);
        set(fd_, IPPROTO_TCP, TCP_NODELAY, 1);
        RC_ASSERT(::connect(fd_, reinterpret_cast<sockaddr*>(&storage), size) == 0);
        address_ = address_of(fd_, ::getsockname);
    }
    ~SocketPeer() override {
        if (fd_ >= 0) ::close(fd_);
    }
    void deliver(std::string_view bytes) override {
        while (!bytes.empty()) {
            auto const n = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
            RC_ASSERT(n > 0);
            bytes.remove_prefix(static_cast<std::size_t>(n));
        }
    }
    void end() override { RC_ASSERT(::shutdown(fd_, SHUT_WR) == 0); }
    void hang_up() override { ::close(std::exchange(fd_, -1)); }
    void reset() override {
        linger const at_once{.l_onoff = 1, .l_linger = 0};
        RC_ASSERT(::setsockopt(fd_, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once)) == 0);
        hang_up();
    }
    void vanish() override {}  // its window is closed, and stays so
    std::string take() override {
        std::string all;
        std::array<char, 65'536> some;
        for (;;) {
            auto const n = ::recv(fd_, some.data(), some.size(), MSG_DONTWAIT);
            if (n > 0) {
                all.append(some.data(), static_cast<std::size_t>(n));
                continue;
            }
            end_seen_ |= n == 0 || errno == ECONNRESET;
            return all;
        }
    }
    bool sees_end() override {
        char byte;
        auto const n = end_seen_ ? 0 : ::recv(fd_, &byte, 1, MSG_DONTWAIT | MSG_PEEK);
        end_seen_ |= n == 0 || (n < 0 && errno == ECONNRESET);
        return end_seen_;
    }
    [[nodiscard]] Address address() const override { return address_; }

  private:
    int fd_ = -1;
    Address address_;
    bool end_seen_ = false;
};

io::UringOptions ring_options(const WorldOptions& options) {
    return {.submissions = options.submissions,
            .buffers = options.buffers,
            .buffer_bytes = options.buffer_bytes,
            .direct_files_max = options.direct_files};
}

/// A ring on a thread of its own, which does one thing after another as it is told.
class ThreadSleeper final : public Sleeper {
  public:
    explicit ThreadSleeper(const WorldOptions& options) {
        std::promise<io::Ring*> made;
        auto ring = made.get_future();
        thread_ = std::thread([this, options, &made] {
            auto own = io::make_uring(ring_options(options));
            made.set_value(own ? own->get() : nullptr);
            if (!own) return;
            for (;;) {
                auto const order = next();
                if (order == Order::end) return;
                if (order == Order::reap) {
                    (*own)->reap(1'000);
                } else {
                    auto const before = std::chrono::steady_clock::now();
                    (*own)->submit_and_wait(kMinute);
                    woken_ = std::chrono::steady_clock::now() - before < kMinute;
                }
                done_.release();
            }
        });
        ring_ = ring.get();
        RC_ASSERT(ring_);
    }
    ~ThreadSleeper() override {
        if (waits_) woken();
        give(Order::end);
        thread_.join();
    }
    io::Ring& ring() override { return *ring_; }
    void begin_wait() override {
        waits_ = true;
        give(Order::wait);
    }
    bool woken() override {
        waits_ = false;
        done_.acquire();
        return woken_;
    }
    void reap() override {
        give(Order::reap);
        done_.acquire();
    }

  private:
    static constexpr Duration kMinute = seconds(60);
    enum class Order : uint8_t { wait, reap, end };
    void give(Order order) {
        order_ = order;
        given_.release();
    }
    Order next() {
        given_.acquire();
        return order_;
    }

    std::binary_semaphore given_{0}, done_{0};
    Order order_ = Order::end;
    bool woken_ = false, waits_ = false;
    io::Ring* ring_ = nullptr;
    std::thread thread_;
};

class UringWorld final : public World {
  public:
    UringWorld(std::unique_ptr<io::Ring> ring, const WorldOptions& options)
        : ring_(std::move(ring)), options_(options) {}
    ~UringWorld() override {
        exhaust_descriptors(false);
        interrupt_waits(false);
        ring_.reset();
        for (auto const& [which, fd] : listeners_)
            ::close(fd);
        for (int const fd : pollables_)
            ::close(fd);
    }

    io::Ring& ring() override { return *ring_; }

    int listener(Listener which) override {
        if (auto known = listeners_.find(which); known != listeners_.end()) return known->second;
        auto const address = which == Listener::v6
                                 ? Address::v6({0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1}, 0)
                                 : Address::v4({127, 0, 0, 1}, 0);
        sockaddr_storage storage{};
        auto const size = address.to_sockaddr(storage);
        int const fd = ::socket(storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (fd < 0) return -1;
        set(fd, SOL_SOCKET, SO_SNDBUF, kSocketBufferBytes);
        set(fd, IPPROTO_TCP, TCP_NODELAY, 1);
        if (which == Listener::impatient) set(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, 10);
        if (::bind(fd, reinterpret_cast<sockaddr*>(&storage), size) != 0 || ::listen(fd, 1'024) != 0) {
            ::close(fd);
            return -1;
        }
        return listeners_[which] = fd;
    }
    std::unique_ptr<Peer> knock(Listener which) override {
        return std::make_unique<SocketPeer>(address_of(listener(which), ::getsockname));
    }

    int pollable() override {
        pollables_.push_back(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
        return pollables_.back();
    }
    void make_readable(int descriptor) override { RC_ASSERT(::eventfd_write(descriptor, 1) == 0); }
    void make_unreadable(int descriptor) override {
        eventfd_t value;
        RC_ASSERT(::eventfd_read(descriptor, &value) == 0);
    }

    void exhaust_descriptors(bool exhausted) override {
        if (exhausted == (limit_before_.rlim_cur != 0)) return;
        if (!exhausted) {
            RC_ASSERT(::setrlimit(RLIMIT_NOFILE, &limit_before_) == 0);
            limit_before_ = {};
            return;
        }
        ::getrlimit(RLIMIT_NOFILE, &limit_before_);
        int const next = ::dup(0);
        ::close(next);
        rlimit const none{static_cast<rlim_t>(next), limit_before_.rlim_max};
        RC_ASSERT(::setrlimit(RLIMIT_NOFILE, &none) == 0);
    }
    void exhaust_buffers(uint32_t) override {}
    void interrupt_waits(bool interrupted) override {
        struct sigaction action {};
        action.sa_handler = [](int) {};  // without SA_RESTART
        itimerval each{};
        if (interrupted) {
            ::sigaction(SIGALRM, &action, nullptr);
            each.it_interval.tv_usec = each.it_value.tv_usec = 2'000;
        }
        ::setitimer(ITIMER_REAL, &each, nullptr);
    }
    std::unique_ptr<Sleeper> sleeper() override { return std::make_unique<ThreadSleeper>(options_); }
    bool may_move() override { return false; }

  private:
    std::unique_ptr<io::Ring> ring_;
    WorldOptions options_;
    std::map<Listener, int> listeners_;
    std::vector<int> pollables_;
    rlimit limit_before_{};
};

}  // namespace

std::unique_ptr<World> make_uring_world(const WorldOptions& options) {
    auto ring = io::make_uring(ring_options(options));
    if (!ring) return nullptr;
    return std::make_unique<UringWorld>(std::move(*ring), options);
}

}  // namespace rc::contract
