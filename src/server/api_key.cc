#include "api_key.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <fstream>

#include "ringcast/base/log.h"

namespace rc::server {
namespace {

constexpr std::size_t kKeyBytesMax = 4096;

Result<std::string> read_key(const std::string& path, std::string_view place) {
    std::ifstream file(path, std::ios::binary);
    if (!file) {
        return fail(Errc::settings,
                    fmt::format("{}{}: cannot be read: {}", place, path, std::strerror(errno)));
    }
    std::string line;
    std::getline(file, line);
    while (!line.empty() && (line.back() == '\r' || line.back() == ' ' || line.back() == '\t'))
        line.pop_back();
    if (line.empty() || line.size() > kKeyBytesMax) {
        return fail(Errc::settings, fmt::format("{}{}: its first line must be the API key", place, path));
    }
    return line;
}

}  // namespace

Result<std::string> load_api_key(const Config& config, io::Entropy& entropy) {
    if (config.api_key) return *config.api_key;
    auto const path = config.api_key_path();
    // What was asked for by name has to be there.
    if (!config.api_key_file.empty()) return read_key(path, config.places.api_key_file);
    if (::access(path.c_str(), F_OK) == 0) return read_key(path, {});

    std::string const key = fmt::format("{:016x}{:016x}", entropy.next(), entropy.next());
    // In place at once, whole: a start that is interrupted leaves no empty key behind.
    std::string const fresh = path + ".new";
    ::unlink(fresh.c_str());
    int const fd = ::open(fresh.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    std::string const line = key + '\n';
    bool written = fd >= 0 && ::write(fd, line.data(), line.size()) == static_cast<ssize_t>(line.size()) &&
                   ::fsync(fd) == 0;
    if (fd >= 0) ::close(fd);
    written = written && ::rename(fresh.c_str(), path.c_str()) == 0;
    if (!written)
        return fail(Errc::settings,
                    fmt::format("{}: the API key cannot be written: {}", path, std::strerror(errno)));
    log::info("made an API key: {}", path);
    return key;
}

}  // namespace rc::server
