#include <fmt/format.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <ctime>
#include <map>
#include <thread>
#include <utility>

#include "ringcast/io/uring.h"
#include "unix_socket.h"

namespace rc::io {
namespace {

Duration read_clock(clockid_t id) {
    timespec t{};
    ::clock_gettime(id, &t);
    return seconds(t.tv_sec) + Duration(t.tv_nsec);
}

class SystemClock final : public Clock {
  public:
    MonoTime now() override { return MonoTime(read_clock(CLOCK_MONOTONIC)); }
    WallTime wall() override { return WallTime(read_clock(CLOCK_REALTIME)); }
    Duration thread_cpu() override { return read_clock(CLOCK_THREAD_CPUTIME_ID); }
};

class SystemEntropy final : public Entropy {
  public:
    uint64_t next() override {
        // A call gives up to 256 bytes whole. What was given out is forgotten.
        thread_local std::array<uint64_t, 32> fetched{};
        thread_local std::size_t left = 0;
        if (left == 0) {
            RC_ASSERT(::getrandom(fetched.data(), sizeof(fetched), 0) == sizeof(fetched));
            left = fetched.size();
        }
        return std::exchange(fetched[--left], 0);
    }
};

class SystemNetwork final : public Network {
  public:
    Result<Listener> listen(const Address& address, const ListenOptions& options) override {
        int const fd = open_socket(address);
        if (fd < 0) return fail(Errc::system, describe(address, errno));
        if (address.kind == Address::Kind::unix_path) {
            auto file = listen_unix(fd, address, options);
            if (!file) {
                ::close(fd);
                return tl::unexpected(file.error());
            }
            socket_files_[fd] = std::move(*file);
            return Listener{fd, address};
        }
        set(fd, SOL_SOCKET, SO_REUSEADDR, 1);
        if (options.share_port) set(fd, SOL_SOCKET, SO_REUSEPORT, 1);
        set(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
        set(fd, IPPROTO_TCP, TCP_KEEPIDLE, 60);
        set(fd, IPPROTO_TCP, TCP_NODELAY, 1);
        set(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, static_cast<int>(options.user_timeout / milliseconds(1)));
        return bind_and_listen(fd, address, options.backlog);
    }

    Result<void> check_free(const Address& address) override {
        if (address.kind == Address::Kind::unix_path) return {};
        // A server that was killed holds its listeners until the kernel has taken its rings down.
        for (int tries_left = 50;; --tries_left) {
            int const fd = open_socket(address);
            if (fd < 0) return fail(Errc::system, describe(address, errno));
            set(fd, SOL_SOCKET, SO_REUSEADDR, 1);
            auto const bound = bind_and_listen(fd, address, 1);
            if (bound) {
                ::close(fd);
                return {};
            }
            if (bound.error().code != Errc::address_in_use || tries_left == 0)
                return tl::unexpected(bound.error());
            std::this_thread::sleep_for(std::chrono::milliseconds(20));
        }
    }

    bool has_family(const Address& address) override {
        int const fd = open_socket(address);
        if (fd < 0) return false;
        sockaddr_storage storage{};
        Address any_port = address;
        any_port.port = 0;
        auto const size = any_port.to_sockaddr(storage);
        bool const usable =
            ::bind(fd, reinterpret_cast<sockaddr*>(&storage), size) == 0 || errno != EADDRNOTAVAIL;
        ::close(fd);
        return usable;
    }

    void close(const Listener& listener) override {
        if (auto const found = socket_files_.find(listener.descriptor); found != socket_files_.end()) {
            found->second.remove();
            socket_files_.erase(found);
        }
        ::close(listener.descriptor);
    }

    Result<int> connect(const Address& to, const std::optional<Address>& source) override {
        sockaddr_storage storage{};
        auto const size = to.to_sockaddr(storage);
        int const fd = ::socket(storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        auto failed = [&](const Address& at) {
            int const error = errno;
            if (fd >= 0) ::close(fd);
            return fail(Errc::system, describe(at, error));
        };
        if (fd < 0) return failed(to);
        set(fd, IPPROTO_TCP, TCP_NODELAY, 1);
        if (source) {
            sockaddr_storage from{};
            auto const from_size = source->to_sockaddr(from);
            set(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1);
            if (::bind(fd, reinterpret_cast<sockaddr*>(&from), from_size) != 0) return failed(*source);
        }
        if (::connect(fd, reinterpret_cast<sockaddr*>(&storage), size) != 0 && errno != EINPROGRESS)
            return failed(to);
        return fd;
    }

  private:
    static int open_socket(const Address& address) {
        sockaddr_storage storage{};
        address.to_sockaddr(storage);
        int const fd = ::socket(storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (fd >= 0 && storage.ss_family == AF_INET6) set(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1);
        return fd;
    }

    static void set(int fd, int level, int name, int value) {
        ::setsockopt(fd, level, name, &value, sizeof(value));
    }

    static std::string describe(const Address& address, int error) {
        return fmt::format("{}: {}", address.format(), std::strerror(error));
    }

    static Result<Listener> bind_and_listen(int fd, const Address& address, int backlog) {
        sockaddr_storage storage{};
        auto size = address.to_sockaddr(storage);
        if (::bind(fd, reinterpret_cast<sockaddr*>(&storage), size) != 0 || ::listen(fd, backlog) != 0) {
            int const error = errno;
            ::close(fd);
            return fail(error == EADDRINUSE ? Errc::address_in_use : Errc::system, describe(address, error));
        }
        size = sizeof(storage);
        ::getsockname(fd, reinterpret_cast<sockaddr*>(&storage), &size);
        auto bound = Address::from_sockaddr(storage, size);
        if (!bound) {
            ::close(fd);
            return tl::unexpected(bound.error());
        }
        return Listener{fd, *bound};
    }

    std::map<int, UnixSocketFile> socket_files_;  // by the descriptor of their listener
};

}  // namespace

std::unique_ptr<Clock> make_system_clock() {
    return std::make_unique<SystemClock>();
}
std::unique_ptr<Entropy> make_system_entropy() {
    return std::make_unique<SystemEntropy>();
}
std::unique_ptr<Network> make_system_network() {
    return std::make_unique<SystemNetwork>();
}

}  // namespace rc::io
