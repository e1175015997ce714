// What clients say.
#include <fmt/format.h>

#include "client.h"
#include "report.h"
#include "ringcast/ws/frame.h"

namespace rc::sim {
namespace {

constexpr ws::MaskKey kMask{0x11, 0x02, 0x93, 0x84};

std::string list_of_topics(uint32_t topics) {
    std::string out;
    for (uint32_t t = 0; t < kTopicsMax; ++t) {
        if (topics >> t & 1) out += fmt::format(R"({}"{}")", out.empty() ? "" : ",", Ledger::topic_name(t));
    }
    return '[' + out + ']';
}

}  // namespace

void Client::say(const Op& op, std::string_view type, const std::string& data) {
    auto& c = *connection_;
    uint32_t const id = c.next_id++;
    c.view.asked(id, op);
    say_text(fmt::format(R"({{"type":"{}","id":{},"data":{}}})", type, id, data));
}

// Whole, or in fragments with control frames between them.
void Client::say_text(const std::string& text) {
    trace("client {} says {}", number_, text);
    auto& c = *connection_;
    ++c.messages;
    if (!world_.plan.has(Fault::short_receive) || chance_.below(4) != 0) {
        c.outbox += ws::encode_masked_frame(ws::Opcode::text, text, kMask);
        return;
    }
    std::string_view rest = text;
    uint32_t const parts = chance_.between(2, 6);
    for (uint32_t i = 0; i < parts; ++i) {
        auto const piece = rest.substr(0, i + 1 == parts ? rest.size() : chance_.below(rest.size() + 1));
        rest.remove_prefix(piece.size());
        c.outbox += ws::encode_masked_frame(i == 0 ? ws::Opcode::text : ws::Opcode::continuation, piece,
                                            kMask, i + 1 == parts);
        if (chance_.below(8) == 0) {
            c.outbox += ws::encode_masked_frame(ws::Opcode::ping, "sim", kMask);
            ++c.control_frames;
        }
    }
}

void Client::say_something() {
    auto& c = *connection_;
    uint32_t const times = world_.hit(Fault::flood) ? chance_.between(2, 12) : 1;
    for (uint32_t i = 0; i < times && c.expected_close == 0 && !c.half_message && !c.close_sent; ++i) {
        if (world_.hit(Fault::bad_input)) {
            chance_.coin() ? say_nonsense() : break_protocol();
            continue;
        }
        if (world_.hit(Fault::half_message)) {
            auto const frame = ws::encode_masked_frame(ws::Opcode::text, R"({"type":"pong"})", kMask);
            c.outbox += frame.substr(0, chance_.between(1, static_cast<uint32_t>(frame.size() - 1)));
            c.half_message = true;
            return;
        }
        // One that belongs to nobody yet introduces itself.
        if (user_ != kNone && c.view.user() == kNone) {
            resumes_ ? resume() : subscribe();
            continue;
        }
        switch (chance_.below(16)) {
            case 0:
            case 1:
            case 2: subscribe(); break;
            case 3: unsubscribe(); break;
            case 4: resume(); break;
            case 5:
            case 6: mark_read(); break;
            case 7: say_text(R"({"type":"pong"})"); break;
            case 8:
                c.outbox += ws::encode_masked_frame(chance_.coin() ? ws::Opcode::ping : ws::Opcode::pong,
                                                    "sim", kMask);
                ++c.control_frames;
                break;
            case 9:
                if (chance_.below(8) == 0) hang_up();
                break;
            default: break;  // it listens
        }
    }
}

void Client::subscribe() {
    auto& c = *connection_;
    Op op{.what = Op::What::subscribe};
    uint32_t const undecided = c.view.undecided_topics();
    op.topics = chance_.below(1U << world_.plan.topics) & ~undecided;
    if (undecided == UINT32_MAX) return;
    uint32_t const held = c.view.held_topics() | undecided | op.topics;
    if (static_cast<uint32_t>(__builtin_popcount(held)) > world_.plan.config.limits.subscriptions) {
        if (!world_.hit(Fault::bad_input)) op.topics = 0;
        c.over_limit |= op.topics != 0;
    }
    op.user = user_ != kNone && (c.view.user() == kNone || chance_.below(4) == 0);
    if (op.topics == 0 && !op.user) return;
    std::string data = fmt::format(R"("topics":{})", list_of_topics(op.topics));
    if (op.user) {
        c.view.set_user(user_);
        data += fmt::format(R"(,"userId":"{}")", Ledger::user_name(user_));
        if (chance_.below(4) == 0) op.sync = true, data += R"(,"sync":true)";
        if (chance_.below(6) == 0) op.resume = Op::Resume::offsets, data += R"(,"offsets":true)";
    }
    say(op, "subscribe", '{' + data + '}');
}

void Client::resume() {
    auto& c = *connection_;
    if (user_ == kNone || c.view.undecided_topics() == UINT32_MAX) return;
    Op op{.what = Op::What::subscribe, .user = true};
    op.topics = chance_.below(1U << world_.plan.topics) & ~c.view.undecided_topics();
    uint32_t const held = c.view.held_topics() | c.view.undecided_topics() | op.topics;
    if (static_cast<uint32_t>(__builtin_popcount(held)) > world_.plan.config.limits.subscriptions)
        op.topics = 0;
    std::string data = fmt::format(R"("userId":"{}")", Ledger::user_name(user_));
    if (op.topics != 0) data += fmt::format(R"(,"topics":{})", list_of_topics(op.topics));
    if (chance_.below(4) == 0) op.sync = true, data += R"(,"sync":true)";
    op.resume = Op::Resume::since;
    auto const& log = world_.ledger.log(user_);
    switch (chance_.below(8)) {
        case 0:
            op.resume = Op::Resume::unread;
            data += R"(,"replay":"unread")";
            break;
        case 1:
            op.valid_after = false;
            data += R"(,"since":"other-7")";
            break;
        case 2: data += R"(,"since":"0")"; break;
        case 3:
            if (!log.empty()) op.after = log[chance_.below(log.size())].offset;
            data += fmt::format(R"(,"since":"{}{}")", op.after == 0 ? "" : "e-", op.after);
            break;
        default:
            op.after = offset_;
            data += fmt::format(R"(,"since":"{}{}")", op.after == 0 ? "" : "e-", op.after);
    }
    c.view.set_user(user_);
    say(op, "subscribe", '{' + data + '}');
}

void Client::unsubscribe() {
    auto& c = *connection_;
    uint32_t const undecided = c.view.undecided_topics();
    if (undecided == 0 && chance_.below(4) == 0)
        return say({.what = Op::What::unsubscribe_all}, "unsubscribe", "{}");
    uint32_t const topics = chance_.below(1U << world_.plan.topics) & ~undecided;
    if (topics == 0 || undecided == UINT32_MAX) return;
    say({.what = Op::What::unsubscribe, .topics = topics}, "unsubscribe",
        fmt::format(R"({{"topics":{}}})", list_of_topics(topics)));
}

void Client::mark_read() {
    auto& c = *connection_;
    if (c.view.user() == kNone) return;
    auto const& log = world_.ledger.log(user_);
    Op op{.what = Op::What::mark_read};
    if (!log.empty()) op.marked = log[chance_.below(log.size())].n;
    if (op.marked == kNone || !world_.ledger.at(op.marked).notification) return;
    say(op, "mark_read", fmt::format(R"({{"notificationId":"{}"}})", Ledger::notification_id(op.marked)));
}

// Messages that are answered by an error and change nothing.
void Client::say_nonsense() {
    auto& c = *connection_;
    Op const op{.what = Op::What::refused};
    switch (chance_.below(6)) {
        case 0: return say_text(R"({"type":"subscribe","data":)");
        case 1: return say_text("[]");
        case 2: return say(op, "subscribe", R"({"topics":["not a topic"]})");
        case 3: return say(op, "whatever", "{}");
        case 4: return say(op, "subscribe", R"({"userId":1.5})");
        default:
            if (!c.view.user_known()) return;
            ++c.refusals;
            return say(op, "subscribe", R"({"userId":"somebody-else"})");
    }
}

// What ends the connection, with a code of its own.
void Client::break_protocol() {
    auto& c = *connection_;
    auto const frame = [](uint8_t head, std::string_view payload, bool masked = true) {
        std::string out{static_cast<char>(head), static_cast<char>((masked ? 0x80 : 0) | payload.size())};
        if (masked) out.append(4, '\0');
        return out.append(payload);
    };
    switch (chance_.below(8)) {
        case 0: c.expected_close = 1002, c.outbox += frame(0x81, "{}", false); break;
        case 1: c.expected_close = 1002, c.outbox += frame(0xc1, "{}"); break;
        case 2: c.expected_close = 1002, c.outbox += frame(0x83, "{}"); break;
        case 3: c.expected_close = 1002, c.outbox += frame(0x80, "{}"); break;
        case 4: c.expected_close = 1003, c.outbox += frame(0x82, "{}"); break;
        case 5: c.expected_close = 1007, c.outbox += frame(0x81, "\xff\xfe"); break;
        case 6:
            c.expected_close = 1009;
            c.outbox += ws::encode_masked_frame(
                ws::Opcode::text, std::string(world_.plan.config.limits.message_bytes + 1, 'x'), kMask);
            break;
        default:
            c.expected_close = 1002, c.outbox += frame(0x89, std::string(120, 'x').append(6, 'y'));
            break;
    }
}

}  // namespace rc::sim
