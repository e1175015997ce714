#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include <unistd.h>

#include <filesystem>
#include <stdexcept>

#include "ringcast/store/memory_log.h"
#include "ringcast/store/sqlite_log.h"

namespace rc::store {

/// Keeps what step() reported, in order.
struct Recorder final : Outcomes {
    using Event =
        std::variant<std::shared_ptr<const Publication>, std::shared_ptr<const ReadMark>, Answer, Ticket>;
    std::vector<Event> events;

    void publication(std::shared_ptr<const Publication> p) override { events.emplace_back(std::move(p)); }
    void read_mark(std::shared_ptr<const ReadMark> m) override { events.emplace_back(std::move(m)); }
    void answer(Answer a) override { events.emplace_back(std::move(a)); }
    void settled(Ticket t) override { events.emplace_back(t); }

    template <class T>
    std::vector<T> all() const {
        std::vector<T> found;
        for (const auto& event : events)
            if (const auto* at = std::get_if<T>(&event)) found.push_back(*at);
        return found;
    }
    std::vector<std::shared_ptr<const Publication>> publications() const {
        return all<std::shared_ptr<const Publication>>();
    }
    std::vector<std::shared_ptr<const ReadMark>> marks() const {
        return all<std::shared_ptr<const ReadMark>>();
    }
    std::vector<Answer> answers() const { return all<Answer>(); }
    template <class T>
    std::vector<T> answers_of() const {
        std::vector<T> found;
        for (const auto& answer : answers())
            if (const auto* at = std::get_if<T>(&answer)) found.push_back(*at);
        return found;
    }
};

/// A directory of a test's own, gone with it.
class TestDirectory {
  public:
    TestDirectory() {
        std::string name = (std::filesystem::temp_directory_path() / "ringcast-XXXXXX").string();
        if (!::mkdtemp(name.data())) throw std::runtime_error("no directory for the test");
        path = name;
    }
    ~TestDirectory() { std::filesystem::remove_all(path); }
    TestDirectory(const TestDirectory&) = delete;
    TestDirectory& operator=(const TestDirectory&) = delete;
    std::string path;
};

/// Which log a test drives; a contract test is run with each.
enum class LogKind { memory, sqlite };
inline LogKind tested_kind = LogKind::memory;

/// What both logs can be told.
struct LogOptions {
    Duration retention = hours(24 * 30);
    uint32_t notifications_per_user = 1'000;
    uint32_t queue_max = 4'096;
    std::size_t queue_bytes_max = 64 << 20;
    uint32_t requests_per_step = 256;
    uint32_t sweep_per_step = 64;
};

inline SqliteLog::Options sqlite_options(const LogOptions& options, const std::string& directory) {
    SqliteLog::Options out;
    out.path = directory + "/log.db";
    out.durability = Durability::write;  // what the disk does is not what these tests are about
    out.fresh_epoch = "e";
    out.boot_id = "boot";
    out.retention = options.retention;
    out.notifications_per_user = options.notifications_per_user;
    out.queue_max = options.queue_max;
    out.queue_bytes_max = options.queue_bytes_max;
    out.batch_requests_max = options.requests_per_step;
    out.sweep_rows = options.sweep_per_step;
    return out;
}

inline std::unique_ptr<Log> make_log(const LogOptions& options, const std::string& directory) {
    if (tested_kind == LogKind::sqlite) {
        auto log = SqliteLog::open(sqlite_options(options, directory));
        if (!log) throw std::runtime_error(log.error().message);
        return std::move(*log);
    }
    return std::make_unique<MemoryLog>(
        MemoryLog::Options{.epoch = "e",
                           .retention = options.retention,
                           .notifications_per_user = options.notifications_per_user,
                           .queue_max = options.queue_max,
                           .queue_bytes_max = options.queue_bytes_max,
                           .requests_per_step = options.requests_per_step,
                           .sweep_per_step = options.sweep_per_step});
}

/// A log whose date stands still until it is moved, and which is asked one thing at a time.
class Harness {
  public:
    explicit Harness(LogOptions options = {}) : log_(make_log(options, directory.path)), log(*log_) {}
    explicit Harness(std::unique_ptr<Log> own) : log_(std::move(own)), log(*log_) {}

    void run() {
        for (int i = 0; i < 100'000 && log.step(now, out); ++i) {
        }
    }
    /// Submits, runs, and gives the answer to this very request.
    template <class T, class R>
    T ask(R request) {
        request.ticket = Ticket{3, ++tokens};
        Ticket const ticket = request.ticket;
        if (!log.submit(Request(std::move(request)))) throw std::runtime_error("the queue is full");
        run();
        for (const auto& answer : out.answers_of<T>())
            if (answer.ticket == ticket) return answer;
        throw std::runtime_error("no answer");
    }

    static Append message_to(std::vector<std::string> users, std::string data,
                             std::string notification_id = "") {
        Append append;
        append.publication = std::make_shared<Publication>();
        for (auto& user : users)
            append.publication->addressees.push_back({UserId{std::move(user)}});
        Message message;
        message.type = notification_id.empty() ? "job_update" : "notification";
        append.content_hash = ContentHash{1, std::hash<std::string>{}(data)};
        message.data = std::move(data);
        message.notification_id = std::move(notification_id);
        append.publication->message = std::make_shared<const Message>(std::move(message));
        append.publication_id = "publication";
        return append;
    }
    static Append with_key(Append append, std::string key) {
        append.idempotency = Idempotency{std::move(key), append.content_hash};
        return append;
    }
    AppendAnswer append(Append append) { return ask<AppendAnswer>(std::move(append)); }
    AppendAnswer notify(std::string user, std::string id, std::string data = "{}") {
        return append(message_to({std::move(user)}, std::move(data), std::move(id)));
    }
    AppendAnswer send(std::string user, std::string data = "{}") {
        return append(message_to({std::move(user)}, std::move(data)));
    }
    static Read read_request(std::string user, Read::Mode mode, uint64_t after = 0) {
        Read read;
        read.user.text = std::move(user);
        read.mode = mode;
        read.after = after;
        read.with_marks = true;
        read.records_max = 1'000'000;
        read.bytes_max = 1 << 30;
        return read;
    }
    ReadAnswer since(std::string user, uint64_t after) {
        return ask<ReadAnswer>(read_request(std::move(user), Read::Mode::since, after));
    }
    MarkReadAnswer mark(std::string user, std::string id, MarkOrigin origin = kNoOrigin) {
        return ask<MarkReadAnswer>(MarkRead{{}, UserId{std::move(user)}, std::move(id), origin});
    }
    ReadAllAnswer read_all(std::string user) {
        return ask<ReadAllAnswer>(ReadAll{{}, UserId{std::move(user)}});
    }
    RemoveAnswer remove(std::string user, std::string id) {
        return ask<RemoveAnswer>(Remove{{}, UserId{std::move(user)}, std::move(id)});
    }
    ListAnswer list(std::string user, std::optional<bool> read = {}, uint32_t limit = 100,
                    uint64_t before = 0) {
        return ask<ListAnswer>(List{{}, UserId{std::move(user)}, read, limit, before});
    }
    uint32_t unread(std::string user) {
        return ask<UserInfoAnswer>(UserInfo{{}, UserId{std::move(user)}}).unread_count;
    }

    TestDirectory directory;

  private:
    std::unique_ptr<Log> log_;

  public:
    Log& log;
    Recorder out;
    WallTime now{hours(24 * 365 * 50)};
    uint64_t tokens = 0;
};

inline Reserve reserve(std::string key, uint64_t hash, std::string id = "first") {
    return Reserve{{}, Idempotency{std::move(key), ContentHash{0, hash}}, std::move(id)};
}

inline std::vector<uint64_t> offsets(const std::vector<Record>& records) {
    std::vector<uint64_t> found;
    for (const auto& record : records)
        found.push_back(record.offset);
    return found;
}

/// For what every log promises: each test runs with each of them.
class EveryLog : public ::testing::TestWithParam<LogKind> {
  protected:
    void SetUp() override { tested_kind = GetParam(); }
};

}  // namespace rc::store
