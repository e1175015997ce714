#include "unix_socket.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <grp.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <cstring>
#include <optional>
#include <thread>

namespace rc::io {
namespace {

using std::chrono::milliseconds;

// Each question is a connection that a living server takes, so there are few.
constexpr std::array kAskAgainAfter{milliseconds(20), milliseconds(40), milliseconds(100), milliseconds(300),
                                    milliseconds(540)};
constexpr auto kLockTryEvery = milliseconds(20), kLockPatience = milliseconds(5000);

class Descriptor {
  public:
    explicit Descriptor(int fd) : fd_(fd) {}
    ~Descriptor() {
        if (fd_ >= 0) ::close(fd_);
    }
    Descriptor(const Descriptor&) = delete;
    Descriptor& operator=(const Descriptor&) = delete;
    [[nodiscard]] int get() const { return fd_; }

  private:
    int fd_;
};

tl::unexpected<Error> refuse(const Address& address, std::string_view why, Errc code = Errc::system) {
    return fail(code, fmt::format("{}: {}", address.format(), why));
}
tl::unexpected<Error> refuse_errno(const Address& address, int error) {
    return refuse(address, std::strerror(error));
}

// By name or number. Nothing: there is none of that name.
std::optional<gid_t> group_id(const std::string& group) {
    gid_t id = 0;
    auto const [end, failed] = std::from_chars(group.data(), group.data() + group.size(), id);
    if (failed == std::errc{} && end == group.data() + group.size()) return id;
    ::group entry{};
    ::group* found = nullptr;
    std::array<char, 16 * 1024> buffer;
    if (::getgrnam_r(group.c_str(), &entry, buffer.data(), buffer.size(), &found) != 0 || !found)
        return std::nullopt;
    return entry.gr_gid;
}

enum class Holder : uint8_t { nobody, somebody, dead };

// Asks the file by connecting to it. A listener whose queue is full is alive too.
Holder ask(const Address& address) {
    Descriptor const socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    sockaddr_storage storage{};
    auto const size = address.to_sockaddr(storage);
    if (::connect(socket.get(), reinterpret_cast<sockaddr*>(&storage), size) == 0) return Holder::somebody;
    switch (errno) {
        case ENOENT: return Holder::nobody;
        case ECONNREFUSED: return Holder::dead;
        default: return Holder::somebody;
    }
}

// Makes room for the file. Errors: address_in_use, system.
Result<void> make_room(const Address& address) {
    for (std::size_t asked = 0;; ++asked) {
        struct stat there {};
        if (::lstat(address.path.c_str(), &there) != 0)
            return errno == ENOENT ? Result<void>() : refuse_errno(address, errno);
        if (!S_ISSOCK(there.st_mode))
            return refuse(address, "a file of this name is there, and is no socket");
        switch (ask(address)) {
            case Holder::nobody: return {};
            case Holder::dead:
                if (::unlink(address.path.c_str()) == 0 || errno == ENOENT) return {};
                return refuse_errno(address, errno);
            case Holder::somebody:
                if (asked == kAskAgainAfter.size())
                    return refuse(address, std::strerror(EADDRINUSE), Errc::address_in_use);
                std::this_thread::sleep_for(kAskAgainAfter[asked]);
        }
    }
}

// Two servers that start at once, and find the same dead file, take turns by the directory: else the second
// could remove what the first has just made.
Result<void> lock_directory(const Descriptor& directory, const Address& address) {
    auto waited = milliseconds(0);
    for (; ::flock(directory.get(), LOCK_EX | LOCK_NB) != 0; waited += kLockTryEvery) {
        if (errno != EWOULDBLOCK && errno != EINTR) return refuse_errno(address, errno);
        if (waited >= kLockPatience) return refuse(address, "its directory is locked by another program");
        std::this_thread::sleep_for(kLockTryEvery);
    }
    return {};
}

}  // namespace

void UnixSocketFile::remove() const {
    struct stat there {};
    if (::lstat(path.c_str(), &there) != 0 || there.st_dev != device || there.st_ino != inode) return;
    ::unlink(path.c_str());
}

Result<UnixSocketFile> listen_unix(int descriptor, const Address& address, const ListenOptions& options) {
    std::optional<gid_t> group;
    if (!options.unix_group.empty()) {
        group = group_id(options.unix_group);
        if (!group) return refuse(address, fmt::format("there is no group \"{}\"", options.unix_group));
    }
    auto const parent = address.path.substr(0, address.path.rfind('/') + 1);
    Descriptor const directory(::open(parent.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (directory.get() < 0) return refuse_errno(address, errno);
    if (auto locked = lock_directory(directory, address); !locked) return tl::unexpected(locked.error());
    if (auto made = make_room(address); !made) return tl::unexpected(made.error());

    // Until it listens nobody can connect; until then its file is its owner's alone.
    ::fchmod(descriptor, S_IRUSR | S_IWUSR);
    sockaddr_storage storage{};
    auto const size = address.to_sockaddr(storage);
    if (::bind(descriptor, reinterpret_cast<sockaddr*>(&storage), size) != 0)
        return refuse_errno(address, errno);
    struct stat made {};
    int const seen = ::lstat(address.path.c_str(), &made);
    UnixSocketFile file{address.path, made.st_dev, made.st_ino};
    bool const done = seen == 0 && (!group || ::chown(address.path.c_str(), uid_t(-1), *group) == 0) &&
                      ::chmod(address.path.c_str(), options.unix_mode) == 0 &&
                      ::listen(descriptor, options.backlog) == 0;
    if (done) return file;
    auto refusal = refuse_errno(address, errno);
    file.remove();
    return refusal;
}

}  // namespace rc::io
