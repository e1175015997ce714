#include "key_files.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "api_key_file.h"
#include "ringcast/base/log.h"

namespace rc::server {
namespace {

constexpr std::size_t kFileBytesMax = 1 << 20;

tl::unexpected<Error> refuse(std::string_view where, std::string_view why) {
    return fail(Errc::settings, fmt::format("{}: {}", where, why));
}

// A pipe or a device would hold up the main thread, which hears the signals.
Result<std::string> read_whole(const std::string& path, const std::string& where) {
    auto const because = [&](int error) {
        return refuse(where, fmt::format("cannot be read: {}", std::strerror(error)));
    };
    int const fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0) return because(errno);
    struct stat status {};
    std::string text;
    int error = ::fstat(fd, &status) != 0 ? errno : 0;
    bool const regular = S_ISREG(status.st_mode);
    if (error == 0 && regular) {
        text.resize(kFileBytesMax + 1);
        std::size_t size = 0;
        for (ssize_t got = 1; got > 0 && size < text.size();
             size += static_cast<std::size_t>(std::max<ssize_t>(got, 0))) {
            got = ::read(fd, text.data() + size, text.size() - size);
            if (got < 0) error = errno;
        }
        text.resize(size);
    }
    ::close(fd);
    if (error != 0) return because(error);
    if (!regular) return refuse(where, "is no ordinary file");
    if (text.size() > kFileBytesMax)
        return refuse(where, fmt::format("is larger than {} bytes", kFileBytesMax));
    return text;
}

std::string api_key_place(const Config& config) {
    return (config.api_key_file.empty() ? "" : config.places.api_key_file) + config.api_key_path();
}

Result<std::shared_ptr<const auth::ApiKeys>> read_api_keys(const Config& config) {
    if (config.api_key) return only_key(*config.api_key);
    auto const where = api_key_place(config);
    auto const text = read_whole(config.api_key_path(), where);
    if (!text) return tl::unexpected(text.error());
    auto keys = parse_api_keys(*text);
    if (!keys) return fail(keys.error().code, fmt::format("{}:{}", where, keys.error().message));
    return keys;
}

// As many as a line takes: a key that is there under no name that one expects is worth seeing.
std::string names(const auth::ApiKeys& keys) {
    constexpr std::size_t kNamed = 5;
    std::string out;
    auto const& all = keys.all();
    for (std::size_t i = 0; i < std::min(all.size(), kNamed); ++i)
        out += (i > 0 ? ", " : "") + all[i].name;
    if (all.size() > kNamed) out += fmt::format(" and {} more", all.size() - kNamed);
    return out;
}

// What was asked for by name has to be there.
bool may_be_missing(const Config& config) {
    return !config.api_key && config.api_key_file.empty() &&
           ::access(config.api_key_path().c_str(), F_OK) != 0;
}

// In place at once, whole: a start that is interrupted leaves no empty key behind.
Result<void> make_api_key(const std::string& path, io::Entropy& entropy) {
    std::string line;
    for (int i = 0; i < 4; ++i)
        line += fmt::format("{:016x}", entropy.next());
    line += '\n';
    std::string const fresh = path + ".new";
    ::unlink(fresh.c_str());
    int const fd = ::open(fresh.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    bool written = fd >= 0 && ::write(fd, line.data(), line.size()) == static_cast<ssize_t>(line.size()) &&
                   ::fsync(fd) == 0;
    if (fd >= 0) ::close(fd);
    written = written && ::rename(fresh.c_str(), path.c_str()) == 0;
    if (!written) return refuse(path, fmt::format("the API key cannot be written: {}", std::strerror(errno)));
    return {};
}

}  // namespace

Result<KeyFiles> KeyFiles::open(const Config& config, io::Entropy& entropy) {
    if (may_be_missing(config)) {
        if (auto made = make_api_key(config.api_key_path(), entropy); !made)
            return tl::unexpected(made.error());
    }
    auto api = read_api_keys(config);
    if (!api) return tl::unexpected(api.error());
    KeyFiles files(config);
    files.keys_ = std::make_shared<const Keys>(Keys{.api = std::move(*api)});
    return files;
}

Result<void> KeyFiles::check(const Config& config) {
    if (may_be_missing(config)) return {};
    auto const api = read_api_keys(config);
    if (!api) return tl::unexpected(api.error());
    return {};
}

KeyFiles::Reread KeyFiles::reread() {
    Reread out;
    Keys next = *keys_;
    if (config_->api_key) {
        out.lines.emplace_back("there is no key file to read: the API key is that of RINGCAST_API_KEY");
        return out;
    }
    if (auto api = read_api_keys(*config_)) {
        next.api = std::move(*api);
        out.lines.push_back(
            fmt::format("API keys read anew: {}: {}", api_key_place(*config_), names(*next.api)));
        out.keys = keys_ = std::make_shared<const Keys>(std::move(next));
    } else {
        log::error("{}; the keys that were read before stay in force", api.error().message);
    }
    return out;
}

}  // namespace rc::server
