#include "ringcast/store/log.h"

#include <fmt/core.h>

namespace rc::store {

Ticket ticket_of(const Answer& answer) {
    return std::visit([](const auto& a) { return a.ticket; }, answer);
}

std::optional<Answer> unavailable_answer(const Request& request) {
    struct {
        using Result = std::optional<Answer>;
        Result operator()(const Append& r) {
            return AppendAnswer{r.ticket, AppendAnswer::Verdict::unavailable};
        }
        Result operator()(const Reserve& r) {
            return ReserveAnswer{r.ticket, ReserveAnswer::Verdict::unavailable};
        }
        Result operator()(const Settle&) { return std::nullopt; }
        Result operator()(const Read& r) { return ReadAnswer{.ticket = r.ticket, .unavailable = true}; }
        Result operator()(const MarkRead& r) {
            return MarkReadAnswer{.ticket = r.ticket, .unavailable = true};
        }
        Result operator()(const ReadAll& r) { return ReadAllAnswer{.ticket = r.ticket, .unavailable = true}; }
        Result operator()(const Remove& r) { return RemoveAnswer{.ticket = r.ticket, .unavailable = true}; }
        Result operator()(const Erase& r) { return EraseAnswer{.ticket = r.ticket, .unavailable = true}; }
        Result operator()(const List& r) { return ListAnswer{.ticket = r.ticket, .unavailable = true}; }
        Result operator()(const UserInfo& r) {
            return UserInfoAnswer{.ticket = r.ticket, .unavailable = true};
        }
    } say;
    return std::visit(say, request);
}

bool only_reads(const Request& request) {
    return std::holds_alternative<Read>(request) || std::holds_alternative<List>(request) ||
           std::holds_alternative<UserInfo>(request);
}

std::size_t queued_bytes(const Request& request) {
    constexpr std::size_t kMessageBytes = 256;
    const auto* append = std::get_if<Append>(&request);
    if (!append) return 0;
    const Message& message = *append->message;
    std::size_t bytes = kMessageBytes + message.type.size() + message.topic.size() + message.data.size() +
                        message.notification_id.size() + append->frame.size();
    for (const auto& user : append->users)
        bytes += sizeof(UserId) + user.text.size();
    return bytes;
}

std::string format_offset(std::string_view epoch, uint64_t offset) {
    return fmt::format("{}-{}", epoch, offset);
}

}  // namespace rc::store
