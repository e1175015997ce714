#include "client.h"

#include <fmt/format.h>

#include <algorithm>

#include "report.h"
#include "ringcast/ws/frame.h"

namespace rc::sim {
namespace {

constexpr ws::MaskKey kMask{0x37, 0xfa, 0x21, 0x3d};
constexpr std::string_view kFields =
    "Host: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";

struct Judging {
    explicit Judging(uint32_t client) { judging = client; }
    ~Judging() { judging = kNone; }
};

}  // namespace

Client::Client(World& world, uint32_t number) : world_(world), chance_(world.chance), number_(number) {
    user_ = chance_.below(5) == 0 ? kNone : chance_.below(world.plan.users);
    resumes_ = user_ != kNone && chance_.coin();
    world.add_peer(*this);
}

Client::~Client() = default;

void Client::violated_here(const std::string& what) const {
    violated(fmt::format("client {} of user {} on core {}: {}", number_, static_cast<int32_t>(user_),
                         connection_ ? connection_->core : 0, what));
}

// --- the connection

void Client::connect() {
    uint32_t const core = chance_.below(world_.plan.workers);
    auto const file = world_.connect(core, test::ServerRig::kClientListener);
    connection_.emplace(world_, core, file, world_.plan.lossy_log());
    auto& c = *connection_;
    c.opened = world_.clock.time();
    trace("client {} of user {} connects to core {}", number_, static_cast<int32_t>(user_), core);
    std::string_view target = "GET /ws HTTP/1.1\r\n", version = "Sec-WebSocket-Version: 13\r\n\r\n";
    if (world_.hit(Fault::bad_input)) {
        switch (chance_.below(5)) {
            case 0: target = "GET /other HTTP/1.1\r\n", c.expected_status = 404; break;
            case 1: version = "Sec-WebSocket-Version: 12\r\n\r\n", c.expected_status = 426; break;
            case 2: target = "GET /healthz HTTP/1.1\r\n", c.expected_status = 200; break;
            case 3: target = "get /ws HTTP/1.1\r\n", c.expected_status = 501; break;
            default: target = "POST /ws HTTP/1.1\r\n", c.expected_status = 405; break;
        }
    }
    if (world_.plan.config.proxy.protocol) c.outbox = proxy_header();
    c.outbox.append(target).append(kFields).append(version);
    if (world_.hit(Fault::half_message))
        c.outbox.resize(chance_.below(c.outbox.size())), c.half_message = true;
    if (user_ != kNone) c.disconnects = world_.ledger.disconnects_done[user_];
}

// As the proxies write it that stand before the listener, or as none does.
std::string Client::proxy_header() {
    using namespace std::string_literals;
    auto const host = static_cast<char>(chance_.below(4));
    auto const block = [](char command, char family, const std::string& body) {
        return "\r\n\r\n\0\r\nQUIT\n"s + command + family + '\0' + static_cast<char>(body.size()) + body;
    };
    auto const addresses = "\xc0\x00\x02"s + host + "\x0a\x00\x00\x01\x12\x34\x01\xbb"s;
    bool const refused = world_.hit(Fault::bad_input);
    connection_->bad_header = refused || world_.plan.config.proxy.trusted.empty();
    if (refused) {
        auto header = chance_.coin() ? "PROXY TCP4 192.0.2.1 1 2\r\n"s : block('\x21', '\x11', "short");
        return chance_.coin() ? header : "";
    }
    switch (chance_.below(4)) {
        case 0: return "PROXY TCP4 192.0.2." + std::to_string(int{host}) + " 10.0.0.1 4660 443\r\n";
        case 1: return block('\x20', '\0', "");
        case 2: return block('\x21', '\x11', addresses + "\x02\x00\x01x"s);
        default: return block('\x21', '\x11', addresses);
    }
}

void Client::flush(std::size_t bytes_max) {
    auto& c = *connection_;
    if (c.outbox.empty() || c.fin_sent || c.reset || c.vanished || socket().closed) return;
    auto const bytes = std::min(bytes_max, c.outbox.size());
    trace("client {} sends {} of {} bytes", number_, bytes, c.outbox.size());
    socket().deliver(std::string_view(c.outbox).substr(0, bytes));
    c.outbox.erase(0, bytes);
}

// The server has closed it, or will send no more.
bool Client::over() {
    auto& c = *connection_;
    auto& mine = socket();
    if (mine.closed) return true;
    if (!mine.fin_sent || c.vanished || c.fin_sent || c.reset) return false;
    c.fin_sent = true;
    mine.deliver_end();
    return false;
}

void Client::ended() {
    auto& c = *connection_;
    trace("client {}: its connection has ended", number_);
    bool const own_doing =
        c.fin_sent || c.reset || c.vanished || c.hard_error || c.half_message || c.close_sent || c.bad_header;
    auto const& plan = world_.plan;
    // A handshake has its time, less where the table is crowded; a full one drops what it accepts.
    auto const age = world_.clock.time() - c.opened;
    bool const gave_way = plan.small_table() && age >= limits::kHandshakeGrace;
    bool const never_spoke = c.phase == Phase::handshake &&
                             (!socket().accepted || gave_way || age >= plan.config.limits.handshake_timeout);
    // It may have been told, and taken too long to read it.
    bool const slow = c.was_slow || plan.has(Fault::late_send) || plan.has(Fault::shuffle);
    if (!own_doing && !never_spoke && !slow && !c.close_seen && !c.refused && world_.signals() == 0)
        violated_here("its connection was closed without a word");
    connection_.reset();
}

void Client::meet_faults() {
    auto& c = *connection_;
    auto& mine = socket();
    auto const now = world_.steps();
    if (world_.hit(Fault::stalled_reader)) {
        mine.window = chance_.coin() ? 0 : chance_.below(300);
        c.stalled_until = now + chance_.between(5, 200);
        c.was_slow = true;
    } else if (c.stalled_until != 0 && now >= c.stalled_until && !c.vanished) {
        mine.window = test::FakeSocket::kUnlimited;
        c.stalled_until = 0;
    }
    if (world_.hit(Fault::short_send)) {
        mine.send_max = chance_.between(1, 80);
        c.short_until = now + chance_.between(5, 60);
        c.was_slow = true;
    } else if (c.short_until != 0 && now >= c.short_until) {
        mine.send_max = test::FakeSocket::kUnlimited;
        c.short_until = 0;
    }
    static constexpr int kReceiveErrors[] = {EINTR, EAGAIN, ECONNRESET, ETIMEDOUT};
    static constexpr int kSendErrors[] = {EINTR, EAGAIN, EPIPE, ECONNRESET};
    if (world_.hit(Fault::multishot_end)) mine.end_multishot = true;
    if (world_.hit(Fault::receive_error)) {
        mine.receive_error = chance_.of(kReceiveErrors);
        c.hard_error |= mine.receive_error != EINTR && mine.receive_error != EAGAIN;
    }
    if (world_.hit(Fault::send_error)) {
        mine.send_error = chance_.of(kSendErrors);
        c.hard_error |= mine.send_error != EINTR && mine.send_error != EAGAIN;
        c.was_slow = true;
    }
    if (world_.hit(Fault::end_error)) {
        mine.shutdown_error = ENOTCONN;
        mine.close_error = EIO;
    }
    if (c.fin_sent || c.vanished) return;
    if (world_.hit(Fault::reset)) {
        trace("client {} resets", number_);
        c.reset = true;
        switch (chance_.below(3)) {
            case 0: mine.hang_up(); break;
            case 1: mine.time_out(); break;
            default: mine.reset();
        }
    } else if (world_.hit(Fault::half_close)) {
        if (!c.outbox.empty() && chance_.coin()) flush(c.outbox.size());
        c.fin_sent = true;
        mine.deliver_end();
    } else if (world_.hit(Fault::vanish)) {
        vanish();
    }
}

void Client::vanish() {
    if (!connection_) return;
    auto& c = *connection_;
    trace("client {} vanishes", number_);
    c.vanished = true;
    c.stalled_until = 0;
    socket().window = chance_.coin() ? 0 : chance_.below(2000);
}

void Client::act() {
    if (!connection_) {
        if (chance_.below(3) == 0 && world_.signals() < 2) connect();
        return;
    }
    auto& c = *connection_;
    if (over()) return ended();
    meet_faults();
    if (c.fin_sent || c.reset || c.vanished) return;
    if (!c.outbox.empty())
        return flush(world_.hit(Fault::short_receive) ? chance_.between(1, 9) : c.outbox.size());
    if (may_speak()) say_something();
}

bool Client::behave() {
    if (!connection_) return false;
    auto& c = *connection_;
    if (over()) {
        ended();
        return true;
    }
    if (c.vanished || c.reset) return false;
    auto& mine = socket();
    mine.window = mine.send_max = test::FakeSocket::kUnlimited;
    mine.receive_error = mine.send_error = 0;
    mine.end_multishot = false;
    if (c.outbox.empty() || c.fin_sent) return false;
    flush(c.outbox.size());
    return true;
}

bool Client::come_back() {
    if (connection_ || !resumes_ || world_.signals() > 0) return false;
    connect();
    return true;
}

void Client::hang_up() {
    if (!connection_ || socket().closed) return;
    auto& c = *connection_;
    if (c.fin_sent || c.reset || c.vanished) return;
    if (c.phase == Phase::open && !c.half_message) {
        c.outbox += ws::encode_masked_frame(ws::Opcode::close, ws::close_payload(1001, {}), kMask);
        c.close_sent = true;
    }
    flush(c.outbox.size());
    if (c.phase == Phase::open && chance_.coin()) return;  // the server closes first
    c.fin_sent = true;
    socket().deliver_end();
}

void Client::leave() {
    if (!connection_ || socket().closed) return;
    hang_up();
    auto& c = *connection_;
    if (c.fin_sent && !c.half_message && !c.vanished) return;
    if (c.phase == Phase::open && c.close_sent && !c.vanished) return;
    c.reset = true;
    socket().reset();
}

void Client::introduce() {
    if (!connection_ || !resumes_) return;
    auto& c = *connection_;
    if (may_speak() && c.view.user() == kNone && c.outbox.empty()) resume();
}

void Client::check_caught_up() {
    if (!connection_ || socket().closed) return;
    auto& c = *connection_;
    Judging const judging_this(number_);
    if (may_speak()) c.view.check_caught_up();
}

bool Client::may_speak() const {
    auto const& c = *connection_;
    bool const cut = c.fin_sent || c.reset || c.vanished || c.half_message;
    return c.phase == Phase::open && !cut && !c.close_sent && c.expected_close == 0;
}

// --- what comes

void Client::pump() {
    if (!connection_) return;
    auto& c = *connection_;
    auto const sent = socket().take_sent();
    if (!sent.empty()) {
        Judging const judging_this(number_);
        world_.digest.add(sent);
        std::string_view bytes = sent;
        if (c.close_seen) violated_here("bytes behind the close frame");
        if (c.phase == Phase::handshake) take_head(bytes);
        if (c.phase == Phase::open && !bytes.empty())
            c.decoder.feed(world_.pool, {.message_bytes_max = 1 << 20, .peer_role = ws::Role::server}, bytes,
                           *this);
    }
    // It answers a close frame before it looks away.
    if (c.close_seen && !c.close_sent && !c.fin_sent && !c.reset && !c.vanished && !socket().closed) {
        c.close_sent = true;
        if (!c.half_message) {
            c.outbox = ws::encode_masked_frame(ws::Opcode::close, ws::close_payload(1000, {}), kMask);
            flush(c.outbox.size());
        }
        if (chance_.coin()) {
            c.fin_sent = true;
            socket().deliver_end();
        }
    }
}

void Client::take_head(std::string_view& bytes) {
    auto& c = *connection_;
    if (c.bad_header) violated_here("an answer without a good PROXY header");
    c.head += bytes;
    auto const end = c.head.find("\r\n\r\n");
    if (end == std::string::npos) {
        bytes = {};
        return;
    }
    auto const status = static_cast<int>(number_after(c.head, "HTTP/1.1 "));
    bool const no_place = status == 503 && (world_.signals() > 0 || world_.plan.small_table());
    auto const& limits = world_.plan.config.limits;
    bool const too_many =
        status == 429 && (limits.connections_per_address > 0 || limits.new_connections_per_address > 0);
    bool const cut = c.half_message && (status == 400 || status == 408);
    if (status != c.expected_status && !no_place && !too_many && !cut)
        violated_here(fmt::format("its handshake got {}", status));
    c.refused = status != 101;
    c.phase = c.refused ? Phase::over : Phase::open;
    // The rest of what came behind the head.
    bytes.remove_prefix(bytes.size() - (c.head.size() - end - 4));
}

void Client::on_message(ws::Opcode, std::string_view payload) {
    trace("client {} gets {}", number_, payload);
    auto& c = *connection_;
    c.last_error.clear();
    if (payload == R"({"type":"ping"})") {
        if (!c.half_message && chance_.coin()) say_text(R"({"type":"pong"})");
        return;
    }
    if (payload.starts_with(R"({"type":"error")")) return take_error(payload);
    if (payload.starts_with(R"({"type":"ack")")) {
        c.view.acknowledged(static_cast<uint32_t>(number_after(payload, R"("id":)")), payload);
        c.refusals = 0;
        return;
    }
    c.view.delivered(payload);
    offset_ = std::max(offset_, c.view.newest_offset());
}

void Client::take_error(std::string_view text) {
    auto& c = *connection_;
    constexpr std::string_view kCode = R"("code":")";
    auto const at = text.find(kCode) + kCode.size();
    c.last_error = text.substr(at, text.find('"', at) - at);
    if (auto const id = number_after(text, R"("id":)"); id != kNoNumber) {
        auto const op = c.view.open_ops().find(static_cast<uint32_t>(id));
        bool const asked_for_it = op != c.view.open_ops().end() && op->second.what == Op::What::refused;
        bool const unknown = op != c.view.open_ops().end() && op->second.what == Op::What::mark_read;
        bool const allowed = asked_for_it || c.last_error == "internal_error" ||
                             c.last_error == "subscription_limit_exceeded" ||
                             (c.last_error == "subscription_failed" && c.view.open_ops().size() > 4) ||
                             (unknown && c.last_error == "invalid_message") ||
                             (unknown && c.last_error == "unauthorized" && !c.view.user_known());
        if (unknown && c.last_error == "unauthorized") ++c.refusals;
        if (!allowed) violated_here(fmt::format("refused: {}", text));
        c.view.refused(static_cast<uint32_t>(id));
    }
}

void Client::on_pong(std::string_view payload) {
    if (payload != "sim") violated_here("a pong with another payload");
}

void Client::on_close(const ws::CloseBody& body) {
    auto& c = *connection_;
    if (!may_close_with(body.code, body.reason))
        violated_here(fmt::format("closed with {} {}", body.code, body.reason));
    trace("client {} is closed: {} {}", number_, body.code, body.reason);
    c.close_seen = true;
    c.phase = Phase::closing;
}

void Client::on_failure(ws::CloseCode, std::string_view why) {
    violated_here(fmt::format("the server broke RFC 6455: {}", why));
}

bool Client::may_close_with(uint16_t code, std::string_view reason) {
    auto& c = *connection_;
    auto const& limits = world_.plan.config.limits;
    if (code == 1000 || code == 1001 || code == 1005) return c.close_sent || c.expected_close == code;
    if (code == c.expected_close) return true;
    if (code == 1008 && reason == "message_timeout") return true;
    // The error's text stands on the wire before it.
    if (reason != c.last_error) return false;
    if (code == 1012) return reason == "shutting_down" && world_.signals() > 0;
    if (code == 1013) {
        bool const late = world_.plan.has(Fault::late_send) || world_.plan.has(Fault::shuffle);
        return reason == "slow_consumer" && (c.was_slow || c.vanished || late);
    }
    // More came than may wait behind a replay.
    if (code == 1011) return reason == "internal_error" && c.view.ever_resumed();
    if (code != 1008) return false;
    if (reason == "rate_limit_exceeded")
        return c.messages > limits.messages_per_second || c.control_frames > 10;
    if (reason == "subscription_limit_exceeded") return c.over_limit;
    if (reason == "connection_limit_exceeded") return limits.connections_per_user > 0 && user_ != kNone;
    if (reason == "disconnected")
        return user_ != kNone && world_.ledger.disconnects_asked[user_] > c.disconnects;
    if (reason == "unauthorized") return c.refusals >= 5;
    if (reason == "inactivity_timeout")
        return world_.clock.time() - c.opened >= world_.plan.config.inactivity_timeout;
    return false;
}

}  // namespace rc::sim
