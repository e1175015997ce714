#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "ringcast/store/memory_log.h"

namespace rc::store {

/// Keeps what step() reported, in order.
struct Recorder final : Outcomes {
    using Event = std::variant<std::shared_ptr<const Publication>, std::shared_ptr<const ReadMark>, Answer>;
    std::vector<Event> events;

    void publication(std::shared_ptr<const Publication> p) override { events.emplace_back(std::move(p)); }
    void read_mark(std::shared_ptr<const ReadMark> m) override { events.emplace_back(std::move(m)); }
    void answer(Answer a) override { events.emplace_back(std::move(a)); }

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

/// A log whose date stands still until it is moved, and which is asked one thing at a time.
class Harness {
  public:
    explicit Harness(MemoryLog::Options options = {}) : log(std::move(options)) {}

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
        for (auto& user : users)
            append.users.push_back(UserId{std::move(user)});
        Message message;
        message.type = notification_id.empty() ? "job_update" : "notification";
        append.content_hash = ContentHash{1, std::hash<std::string>{}(data)};
        message.data = std::move(data);
        message.notification_id = std::move(notification_id);
        append.message = std::make_shared<const Message>(std::move(message));
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

    MemoryLog log;
    Recorder out;
    WallTime now{hours(24 * 365 * 50)};
    uint64_t tokens = 0;
};

inline std::vector<uint64_t> offsets(const std::vector<Record>& records) {
    std::vector<uint64_t> found;
    for (const auto& record : records)
        found.push_back(record.offset);
    return found;
}

}  // namespace rc::store
