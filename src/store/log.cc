#include "ringcast/store/log.h"

#include <fmt/core.h>

#include <array>

namespace rc::store {

Ticket ticket_of(const Answer& answer) {
    return std::visit([](const auto& a) { return a.ticket; }, answer);
}

namespace {

template <class Said>
std::optional<Answer> unavailable(Ticket ticket) {
    Said answer{.ticket = ticket};
    if constexpr (requires { answer.unavailable; }) {
        answer.unavailable = true;
    } else {
        answer.verdict = Said::Verdict::unavailable;
    }
    return answer;
}

std::optional<Answer> none(Ticket) {
    return std::nullopt;
}

// In the order of Request.
constexpr std::array<std::optional<Answer> (*)(Ticket), std::variant_size_v<Request>> kUnavailable = {
    unavailable<AppendAnswer>,   unavailable<ReserveAnswer>,  none,
    unavailable<ReadAnswer>,     unavailable<MarkReadAnswer>, unavailable<ReadAllAnswer>,
    unavailable<RemoveAnswer>,   unavailable<EraseAnswer>,    unavailable<ListAnswer>,
    unavailable<UserInfoAnswer>,
};

}  // namespace

std::optional<Answer> unavailable_answer(RequestKind kind, Ticket ticket) {
    return kUnavailable[kind](ticket);
}

std::optional<Answer> unavailable_answer(const Request& request) {
    return unavailable_answer(request.index(), ticket_of(request));
}

Ticket ticket_of(const Request& request) {
    return std::visit([](const auto& r) { return r.ticket; }, request);
}

bool only_reads(const Request& request) {
    return std::holds_alternative<Read>(request) || std::holds_alternative<List>(request) ||
           std::holds_alternative<UserInfo>(request);
}

std::size_t queued_bytes(const Request& request) {
    constexpr std::size_t kMessageBytes = 256;
    const auto* append = std::get_if<Append>(&request);
    if (!append) return 0;
    if (append->bytes > 0) return append->bytes;
    const auto& [message, frame, addressees] = *append->publication;
    std::size_t bytes = kMessageBytes + message->type.size() + message->topic.size() + message->data.size() +
                        message->notification_id.size() + frame.size();
    for (const auto& addressee : addressees)
        bytes += sizeof(Addressee) + addressee.user.text.size();
    return bytes;
}

std::string format_offset(std::string_view epoch, uint64_t offset) {
    return fmt::format("{}-{}", epoch, offset);
}

}  // namespace rc::store
