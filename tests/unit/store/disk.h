#pragma once

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>

#include <fstream>

#include "log_harness.h"

namespace rc::store {

/// A directory, and a log on it that may be closed, killed and opened again.
class Disk {
  public:
    Harness& open(const LogOptions& options = {}) { return open(sqlite_options(options, directory.path)); }
    Harness& open(SqliteLog::Options options) {
        harness.reset();
        auto log = SqliteLog::open(std::move(options));
        if (!log) throw std::runtime_error(log.error().message);
        epoch = (*log)->epoch();
        harness = std::make_unique<Harness>(std::move(*log));
        harness->tokens = 1'000 * ++times;
        return *harness;
    }
    SqliteLog::Options options() const { return sqlite_options({}, directory.path); }
    [[nodiscard]] Errc error_of_opening() {
        harness.reset();
        auto log = SqliteLog::open(options());
        if (log) return Errc::system;
        last_message = log.error().message;
        return log.error().code;
    }
    /// What a process that is killed now leaves behind.
    void kill() {
        TestDirectory left;
        std::filesystem::remove(left.path);
        std::filesystem::copy(directory.path, left.path, std::filesystem::copy_options::recursive);
        harness.reset();
        std::filesystem::remove_all(directory.path);
        std::filesystem::copy(left.path, directory.path, std::filesystem::copy_options::recursive);
    }
    [[nodiscard]] std::string file() const { return directory.path + "/log.db"; }

    TestDirectory directory;
    std::unique_ptr<Harness> harness;
    std::string epoch, last_message;
    uint64_t times = 0;
};

inline std::string bytes_of(const std::string& path) {
    std::ifstream in(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
}
inline void write_at(const std::string& path, std::streamoff at, std::string_view bytes) {
    std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(at);
    file.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
    ASSERT_TRUE(file.good());
}

/// Files may not grow while this lives.
class NoSpace {
  public:
    explicit NoSpace(rlim_t bytes) {
        ::signal(SIGXFSZ, SIG_IGN);
        ::getrlimit(RLIMIT_FSIZE, &before_);
        rlimit const now{bytes, before_.rlim_max};
        ::setrlimit(RLIMIT_FSIZE, &now);
    }
    ~NoSpace() { ::setrlimit(RLIMIT_FSIZE, &before_); }

  private:
    rlimit before_{};
};

}  // namespace rc::store
