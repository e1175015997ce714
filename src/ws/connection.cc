#include "ringcast/ws/connection.h"

#include <algorithm>

#include "ringcast/base/log.h"
#include "ringcast/http/response.h"
#include "ringcast/net/proxy_header.h"
#include "ringcast/ws/frame.h"
#include "ringcast/ws/handshake.h"

namespace rc::ws {
namespace {
constexpr Duration kRefusalDeadline = seconds(2);  // to read our answer and close
constexpr Duration kProxyWarningEvery = seconds(10);
constexpr std::size_t kEarlyBytesMax = 64 * 1024;  // from a client that does not wait for the handshake's end

std::string plain_response(int status, std::string_view message, http::ResponseOptions options) {
    options.keep_alive = false;
    return http::make_response(status, "text/plain; charset=utf-8", std::string(message) + "\n", options);
}
}  // namespace

void Endpoint::refuse_proxy(const net::PeerAddress& peer, std::string_view why) {
    metrics.proxy_refused.add();
    auto const now = table.reactor().now();
    if (now < proxy_warning_due_) return log::debug("closing {}: {}", peer.format(), why);
    proxy_warning_due_ = now + kProxyWarningEvery;
    log::warning("closing {}: {} ({} so far)", peer.format(), why, metrics.proxy_refused.value());
}

struct Beginning {
    explicit Beginning(uint32_t header_bytes) : head(header_bytes) {}
    net::ProxyHeaderParser proxy_header;
    http::HeadParser head;
    std::string early;     // bytes behind the head, which wait for the verdict
    bool pending = false;  // the verdict
};

Endpoint::Endpoint(net::StreamTable& streams, const Options& opts)
    : StreamFamily(streams), options(opts), pool(opts.half_frames) {}

Endpoint::~Endpoint() = default;

struct Connection::Frames final : CodecSink {
    explicit Frames(Connection& connection) : owner(connection) {}
    void on_message(Opcode opcode, std::string_view payload) override { owner.take_message(opcode, payload); }
    void on_ping(std::string_view payload) override { owner.take_ping(payload); }
    void on_pong(std::string_view) override { owner.take_pong(); }
    void on_close(const CloseBody& body) override { owner.take_close(body); }
    void on_failure(CloseCode code, std::string_view why) override { owner.take_failure(code, why); }
    Connection& owner;
};

Connection::Connection(Endpoint& endpoint) : Stream(endpoint) {}

Connection::~Connection() = default;

bool Connection::open(io::File file, const net::PeerAddress& peer, Begins begins) {
    if (begins == Begins::with_proxy_header) state_ = State::proxy_header;
    if (!Stream::open(file, net::Waits::once)) return false;
    set_peer(peer);
    arm(endpoint().options.handshake_timeout);
    return true;
}

Beginning& Connection::beginning() {
    auto& place = endpoint().beginnings_[handle().slot];
    if (!place) place = std::make_unique<Beginning>(endpoint().options.header_bytes);
    return *place;
}

void Connection::end_beginning() {
    endpoint().beginnings_.erase(handle().slot);
}

// --- time

void Connection::arm(Duration after) {
    arm_timer(reactor().now() + after);
}

void Connection::rearm() {
    if (state_ != State::open) return;
    auto const due = std::min(next_due(), decoder_.deadline());
    if (due == MonoTime::max()) return disarm();
    arm_timer(due);
}

// Counts from the first byte of this message.
void Connection::arm_message() {
    auto const timeout = endpoint().options.message_timeout;
    if (timeout == Duration::zero()) return;
    decoder_.set_deadline(reactor().now() + timeout);
    rearm();
}

void Connection::on_timer() {
    if (state_ != State::open) return begin_close();
    if (decoder_.deadline() <= reactor().now()) {
        endpoint().metrics.protocol_failures.add();
        decoder_.stop();
        return send_close(static_cast<uint16_t>(CloseCode::policy), "message_timeout", State::failing);
    }
    on_due();
    rearm();
}

// --- bytes in

void Connection::on_bytes(std::string_view bytes) {
    if (state_ == State::proxy_header) bytes = take_proxy_header(bytes);
    if (state_ == State::handshake && !bytes.empty()) bytes = take_handshake(bytes);
    if (bytes.empty()) return;
    if (state_ == State::open || state_ == State::closing) return take_frames(bytes);
    // It said that it would send nothing more.
    if (state_ == State::ended || state_ == State::lingering) wait_for_fin();
}

// Returns what follows the header.
std::string_view Connection::take_proxy_header(std::string_view bytes) {
    auto& parser = beginning().proxy_header;
    size_t consumed = 0;
    switch (parser.feed(bytes, consumed)) {
        case net::ProxyHeaderParser::State::need_more: return {};
        case net::ProxyHeaderParser::State::failed:
            endpoint().refuse_proxy(peer(), parser.failure());
            begin_close();
            return {};
        case net::ProxyHeaderParser::State::complete: break;
    }
    if (parser.client()) set_peer(*parser.client());
    state_ = State::handshake;
    return bytes.substr(consumed);
}

// Returns what follows the head.
std::string_view Connection::take_handshake(std::string_view bytes) {
    auto& [proxy_header, parser, early, pending] = beginning();
    if (pending) {
        if (bytes.size() > kEarlyBytesMax - early.size()) {
            abort();
        } else {
            early += bytes;
        }
        return {};
    }
    size_t consumed = 0;
    switch (parser.feed(bytes, consumed)) {
        case http::HeadParser::State::need_more: return {};
        case http::HeadParser::State::failed: {
            auto const& failure = parser.failure();
            refuse(plain_response(failure.status, failure.message, {}));
            return {};
        }
        case http::HeadParser::State::complete: break;
    }
    auto const verdict = on_request(parser.head());
    bytes.remove_prefix(consumed);
    if (verdict.pending) {
        pending = true;
        early = bytes.substr(0, kEarlyBytesMax);
        Stream::pause_receive();
        return {};
    }
    return conclude(verdict) ? bytes : std::string_view();
}

void Connection::answer_request(const RequestVerdict& verdict) {
    // It may have been given up in this very turn: begin_close() changes no state here.
    if (state_ != State::handshake || closing()) return;
    auto const early = std::move(beginning().early);
    bool const opened = conclude(verdict);
    Stream::resume_receive();
    if (opened && !early.empty()) on_bytes(early);
}

// Whether it is open now; else it has been refused.
bool Connection::conclude(const RequestVerdict& verdict) {
    auto const& head = beginning().head.head();
    if (!verdict.upgrade) {
        refuse(verdict.response);
        return false;
    }
    auto const check = check_upgrade(head);
    if (!check.upgrade()) {
        refuse(plain_response(check.status, check.message,
                              {.head_only = head.method == http::Method::head, .headers = check.headers}));
        return false;
    }
    auto const subprotocol = verdict.subprotocol.empty() ? std::nullopt : std::optional(verdict.subprotocol);
    queue(FrameRef(SharedBytes::copy_of(switching_response(*head.header("sec-websocket-key"), subprotocol))));
    end_beginning();
    disarm();
    state_ = State::open;
    endpoint().metrics.handshakes.add();
    on_open();
    rearm();
    return true;
}

void Connection::refuse(std::string_view response) {
    endpoint().metrics.refused.add();
    queue(FrameRef(SharedBytes::copy_of(response)));
    finish();
    state_ = State::refusing;
    end_beginning();
    arm(kRefusalDeadline);
}

void Connection::take_frames(std::string_view bytes) {
    message_done_ = false;
    bool const was_mid_message = decoder_.mid_message();
    Frames found(*this);
    auto const dropped = decoder_.feed(endpoint().pool, endpoint().options.codec, bytes, found);
    if (state_ == State::ended || state_ == State::lingering) {
        if (dropped > 0) return wait_for_fin();
        if (unsent_frames() == 0) close_when_sent();
    }
    if (state_ != State::open) return;
    bool const begun = decoder_.mid_message() && (!was_mid_message || message_done_);
    if (begun && !receive_paused()) arm_message();
}

void Connection::pause_receive() {
    if (state_ != State::open || receive_paused()) return;
    Stream::pause_receive();
    if (decoder_.mid_message()) decoder_.set_deadline(MonoTime::max());
}

void Connection::resume_receive() {
    if (!receive_paused()) return;
    Stream::resume_receive();
    if (state_ == State::open && decoder_.mid_message()) arm_message();
}

void Connection::take_message(Opcode opcode, std::string_view payload) {
    message_done_ = true;
    if (state_ != State::open) return;
    endpoint().metrics.messages_in.add();
    on_message(opcode, payload);
}

void Connection::take_ping(std::string_view payload) {
    if (!decoder_.mid_message()) message_done_ = true;  // a cut one lends its deadline to nothing else
    if (state_ != State::open) return;
    on_control_frame();
    // Where messages flow without a pause the queue is never seen empty: on_drained() may not come.
    pongs_waiting_ = static_cast<uint16_t>(std::min<uint32_t>(pongs_waiting_, unsent_frames()));
    if (state_ != State::open || pongs_waiting_ >= endpoint().options.pongs_waiting_max) return;
    ++pongs_waiting_;
    queue(FrameRef(SharedBytes::copy_of(encode_frame(Opcode::pong, payload))));
}

void Connection::take_pong() {
    if (!decoder_.mid_message()) message_done_ = true;
    if (state_ == State::open) on_control_frame();
}

void Connection::take_close(const CloseBody& body) {
    if (state_ == State::closing) {
        state_ = State::ended;  // the answer to ours: the server closes TCP first
        return;
    }
    if (state_ != State::open) return;
    send_close(body.code, {}, State::lingering);
}

void Connection::take_failure(CloseCode code, std::string_view why) {
    endpoint().metrics.protocol_failures.add();
    log::debug("closing {}: {} ({})", peer().format(), why, static_cast<int>(code));
    if (state_ == State::closing) return wait_for_fin();
    if (state_ == State::open) send_close(static_cast<uint16_t>(code), why, State::failing);
}

// --- closing

void Connection::send(FrameRef frame) {
    if (state_ == State::open) queue(std::move(frame));
}

void Connection::close(CloseCode code, std::string_view reason) {
    if (state_ == State::handshake || state_ == State::proxy_header) return abort();
    if (state_ != State::open) return;
    send_close(static_cast<uint16_t>(code), reason, State::closing);
}

// kNoStatusReceived: an empty close frame, in answer to one.
void Connection::send_close(uint16_t code, std::string_view reason, State next) {
    endpoint().metrics.closes_sent[close_kind(code)].add();
    queue(FrameRef(SharedBytes::copy_of(code == kNoStatusReceived
                                            ? encode_frame(Opcode::close, {})
                                            : encode_close(static_cast<CloseCode>(code), reason))));
    state_ = next;
    // After a failure nothing more is awaited but the peer's FIN.
    if (next == State::failing) finish();
    Stream::resume_receive();  // the peer's close frame or its FIN is awaited
    arm(limits::kCloseDeadline);
    on_closing();
}

// Half-closes and goes on receiving: a socket that is closed with unread bytes sends a reset, which may
// destroy our close frame before the peer has read it.
void Connection::wait_for_fin() {
    if (state_ == State::lingering) arm(limits::kCloseDeadline);
    state_ = State::failing;
    finish();
}

// A peer that closed first may have more under way, though it must not: what reached a closed socket would be
// answered with a reset. An answer to our own close frame has nothing behind it.
void Connection::close_when_sent() {
    if (state_ == State::ended) return begin_close();
    arm(limits::kCloseLinger);
}

void Connection::on_end() {
    bool const was_open = state_ == State::open;
    if (state_ == State::handshake || state_ == State::proxy_header || unsent_frames() == 0) {
        begin_close();
    } else {
        // What the peer asked for before its FIN is still answered.
        finish();
        state_ = State::failing;
        arm(limits::kCloseDeadline);
    }
    if (was_open) {
        if (state_ == State::open) state_ = State::failing;
        decoder_.stop();
        on_closing();
    }
}

void Connection::on_queue_empty() {
    pongs_waiting_ = 0;
    // Both directions have ended: no reason to wait for the deadline, nor for a FIN of its own.
    if (end_seen() && state_ != State::open) return begin_close();
    if (state_ == State::ended || state_ == State::lingering) return close_when_sent();
    if (state_ == State::open) on_drained();
}

void Connection::on_kernel_done() {
    disarm();
    end_beginning();
    state_ = State::closed;
    on_closed();  // may destroy *this
}

}  // namespace rc::ws
