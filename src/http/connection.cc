#include "ringcast/http/connection.h"

#include <algorithm>
#include <utility>

#include "ringcast/base/assert.h"
#include "ringcast/base/shared_bytes.h"
#include "ringcast/http/body_parser.h"
#include "ringcast/http/head_parser.h"
#include "ringcast/http/response.h"

namespace rc::http {
namespace {

constexpr std::string_view kContinue = "HTTP/1.1 100 Continue\r\n\r\n";
// A send_timeout is looked at so often, and may be late by one of these.
constexpr int kSendLooks = 6;
constexpr size_t kSpareReadingsMax = 16;
constexpr size_t kSpareBodyBytesMax = 16ULL * 1024;

bool announces_body(const RequestHead& head) {
    return head.chunked || head.content_length.value_or(0) > 0;
}

}  // namespace

/// A request that is being read. Between two requests there is none.
struct Reading {
    explicit Reading(uint32_t header_bytes_max) : head(header_bytes_max) {}
    HeadParser head;
    BodyParser body_parser;
    std::string body;
    MonoTime body_since;
};

/// One connection: what its stream says, in; requests and answers, in turn.
class Connection final : public net::StreamHandler {
  public:
    Connection(Server& server, const net::PeerAddress& peer, uint32_t listener, bool refused)
        : server_(server),
          peer_(peer),
          listener_(listener),
          stream_(server.table_, *this),
          deadline_(*this),
          send_look_(*this),
          refused_(refused) {}

    /// Takes the socket over and waits for the first request, or says at once that there are too many. False
    /// when the stream table is full.
    [[nodiscard]] bool open(io::File file);

    /// Answers the request that is under way.
    void answer(const Response& response);
    [[nodiscard]] bool awaits_answer(uint32_t number) const {
        return phase_ == Phase::answering && number_ == number && stream_.is_open();
    }
    /// Begins the next request with what has come ahead of its time.
    void proceed();
    /// Ends the connection if nothing of a request has come.
    void end_if_idle();
    void close_now() { stream_.begin_close(); }

    [[nodiscard]] net::StreamHandle handle() const { return handle_; }
    [[nodiscard]] bool refused() const { return refused_; }
    [[nodiscard]] uint32_t listener() const { return listener_; }
    size_t index = 0;  // in the server's list

  private:
    friend class Server;
    enum class Phase : uint8_t {
        head,       // of the next request, of which nothing may have come yet
        body,       // of a request whose head was accepted
        answering,  // the request is the handler's
        ending,     // the last answer is on its way, then FIN; what comes is thrown away
    };
    // net::StreamHandler
    void on_bytes(std::string_view bytes) override;
    void on_end() override;
    void on_drained() override;
    void on_closed() override;

    void on_deadline();
    void on_send_look();

    void read(std::string_view bytes);
    void read_head(std::string_view& bytes);
    void read_body(std::string_view& bytes);
    void on_head_complete(bool body_has_begun);
    void hand_over();
    void keep(std::string_view bytes);
    [[nodiscard]] bool may_read() const {
        return (phase_ == Phase::head || phase_ == Phase::body) && !ready_ && !clogged_;
    }

    void send(std::string_view head, std::string_view body);
    void refuse(int status, std::string_view message);
    void await_request();
    void arm_body_deadline();
    void release_body();
    void end();
    void on_all_sent();
    void set_deadline(Duration time) { set_deadline(server_.reactor_.now() + time); }
    void set_deadline(MonoTime due);
    void arm_send_look() {
        auto& reactor = server_.reactor_;
        reactor.timers().arm(send_look_, reactor.now() + server_.limits_.send_timeout / kSendLooks);
    }

    struct Deadline final : io::Timer {
        explicit Deadline(Connection& connection) : owner(connection) {}
        void on_timer() override { owner.on_deadline(); }
        Connection& owner;
    };
    struct SendLook final : io::Timer {
        explicit SendLook(Connection& connection) : owner(connection) {}
        void on_timer() override { owner.on_send_look(); }
        Connection& owner;
    };

    Server& server_;
    const net::PeerAddress peer_;
    const uint32_t listener_;
    net::HeldStream stream_;
    net::StreamHandle handle_;  // the stream's, which forgets it when it closes
    // Of the phase: whole head, next body byte, next request, peer's FIN; max: none. It moves several times a
    // request, and the timer only when it fires before it, or would fire behind it.
    MonoTime due_ = MonoTime::max();
    MonoTime deadline_at_{};  // what the timer is armed for
    Deadline deadline_;
    SendLook send_look_;  // armed at least while there is something unsent

    Phase phase_ = Phase::head;
    const bool refused_;
    bool ready_ = false;                          // on the server's list of those that proceed
    bool clogged_ = false;                        // too much unsent: no further request until it is gone
    bool had_body_ = false;                       // a request that was handed over, of the bytes at hand
    bool keep_alive_ = true, head_only_ = false;  // of the request that is under way
    int minor_version_ = 1;                       // likewise
    uint32_t number_ = 0;                         // of requests so far
    uint64_t label_ = 0;                          // of the request that is under way, see HeadVerdict
    MonoTime begun_;                              // likewise: its head was complete
    std::unique_ptr<Reading> reading_;
    std::string ahead_;          // came while it was not their turn; receiving is paused meanwhile
    uint64_t body_held_ = 0;     // this connection's part of Server::body_bytes_
    uint64_t queued_bytes_ = 0;  // to the stream, ever
    uint64_t taken_bytes_ = 0;   // of these by the socket, when it was last looked at
    MonoTime taken_at_;
};

// --- Connection: its life

bool Connection::open(io::File file) {
    if (!stream_.open(file, net::Waits::once)) return false;
    handle_ = stream_.handle();
    set_deadline(server_.limits_.head_timeout);
    if (refused_) refuse(503, "too many connections");
    return true;
}

void Connection::end_if_idle() {
    if (phase_ != Phase::head || reading_ || !ahead_.empty() || ready_ || clogged_) return;
    // Nobody waits for anything here: no reason to linger.
    if (stream_.unsent_bytes() == 0) return close_now();
    end();
}

void Connection::set_deadline(MonoTime due) {
    due_ = due;
    if (due == MonoTime::max() || (deadline_.armed() && deadline_at_ <= due)) return;
    deadline_at_ = due;
    server_.reactor_.timers().arm(deadline_, due);
}

void Connection::on_deadline() {
    if (!stream_.is_open()) return;
    if (due_ > server_.reactor_.now()) return set_deadline(due_);
    switch (phase_) {
        case Phase::head:
            if (!reading_) return end();
            server_.metrics.timeouts.add();
            return refuse(408, "the request's head did not come in time");
        case Phase::body:
            server_.metrics.timeouts.add();
            return refuse(408, "the request's body did not come in time");
        case Phase::ending: return close_now();
        case Phase::answering: RC_ASSERT(false);
    }
}

void Connection::on_end() {
    if (phase_ == Phase::ending) {
        if (stream_.unsent_bytes() == 0) close_now();
        return;
    }
    // What is not complete by now never will be. A request under way is answered, and then its successors.
    if (may_read()) end();
}

void Connection::on_closed() {
    deadline_.disarm();
    send_look_.disarm();
    release_body();
    bool const abandoned = phase_ == Phase::answering;
    phase_ = Phase::ending;
    server_.bury(*this);
    if (abandoned) {
        server_.metrics.abandoned.add();
        server_.handler_.on_abandoned({handle_, number_});
    }
}

/// Sends what is queued, then FIN, and waits for the peer's.
void Connection::end() {
    phase_ = Phase::ending;
    reading_.reset();
    release_body();
    std::string().swap(ahead_);
    set_deadline(MonoTime::max());
    stream_.set_waits(net::Waits::once);
    stream_.finish();
    stream_.resume_receive();
    if (stream_.unsent_bytes() == 0) on_all_sent();
}

void Connection::on_all_sent() {
    if (stream_.end_seen()) return close_now();
    set_deadline(server_.limits_.linger_timeout);
}

// --- Connection: requests in

void Connection::on_bytes(std::string_view bytes) {
    if (phase_ == Phase::ending) return;
    bool const begins = phase_ == Phase::head && !reading_;
    uint32_t const number_before = number_;
    had_body_ = false;
    if (may_read()) {
        read(bytes);
    } else {
        keep(bytes);
    }
    if (phase_ == Phase::ending) return;
    // A publisher whose requests come one by one, each in one piece, is spared the request for each receive.
    // Whoever sends more than the turn at hand can use has to wait in the kernel.
    bool const in_one_piece =
        begins && number_ == number_before + 1 && phase_ != Phase::body && ahead_.empty();
    if (!in_one_piece) {
        stream_.set_waits(net::Waits::once);
    } else if (had_body_) {
        stream_.set_waits(net::Waits::multishot);
    }
}

void Connection::keep(std::string_view bytes) {
    ahead_.append(bytes);
    stream_.set_waits(net::Waits::once);
    stream_.pause_receive();
}

void Connection::proceed() {
    ready_ = false;
    if (!stream_.is_open() || phase_ != Phase::head || clogged_) return;
    std::string const bytes = std::exchange(ahead_, {});
    if (!bytes.empty()) read(bytes);
    if (phase_ == Phase::ending || !ahead_.empty() || clogged_) return;
    bool const idle = phase_ == Phase::head && !reading_;
    bool const cut_short = stream_.end_seen() && phase_ != Phase::answering;
    if (cut_short || (idle && server_.draining_)) return end();
    stream_.resume_receive();
}

/// Reads up to the end of one request; the rest waits.
void Connection::read(std::string_view bytes) {
    uint32_t const number_before = number_;
    while (!bytes.empty() && phase_ == Phase::head && number_ == number_before)
        read_head(bytes);
    while (!bytes.empty() && phase_ == Phase::body)
        read_body(bytes);
    if (bytes.empty() || phase_ == Phase::ending) return;
    keep(bytes);
    if (phase_ == Phase::head) server_.proceed_later(*this);  // answered within the call
}

void Connection::read_head(std::string_view& bytes) {
    if (!reading_) {
        reading_ = server_.take_reading();
        if (number_ > 0) set_deadline(server_.limits_.head_timeout);  // the first one's runs already
    }
    size_t consumed = 0;
    auto const state = reading_->head.feed(bytes, consumed);
    bytes.remove_prefix(consumed);
    switch (state) {
        case HeadParser::State::need_more: return;
        case HeadParser::State::complete: return on_head_complete(!bytes.empty());
        case HeadParser::State::failed: {
            auto const failure = reading_->head.failure();
            return refuse(failure.status, failure.message);
        }
    }
}

void Connection::on_head_complete(bool body_has_begun) {
    auto const& head = reading_->head.head();
    ++number_;
    server_.metrics.requests.add();
    keep_alive_ = head.keep_alive && number_ < server_.limits_.requests_max;
    head_only_ = head.method == Method::head;
    minor_version_ = head.minor_version;
    begun_ = server_.reactor_.now();
    set_deadline(MonoTime::max());

    auto verdict = server_.handler_.on_head(head, peer_);
    if (!stream_.is_open()) return;
    label_ = verdict.label;
    if (verdict.refusal) {
        // Where the next request begins is known only behind the body, which nobody wants to read.
        if (announces_body(head)) verdict.refusal->close = true;
        return answer(*verdict.refusal);
    }
    bool const expects_continue = head.expect_continue;
    phase_ = Phase::body;
    switch (reading_->body_parser.start(head, verdict.body_bytes_max)) {
        case BodyParser::State::complete: return hand_over();
        case BodyParser::State::failed: {
            auto const failure = reading_->body_parser.failure();
            return refuse(failure.status, failure.message);
        }
        case BodyParser::State::need_more: break;
    }
    if (expects_continue && !body_has_begun) send(kContinue, {});
    reading_->body_since = server_.reactor_.now();
    arm_body_deadline();
}

void Connection::read_body(std::string_view& bytes) {
    auto& reading = *reading_;
    size_t consumed = 0;
    auto const state = reading.body_parser.feed(bytes, consumed, reading.body);
    bytes.remove_prefix(consumed);
    uint64_t const grown = reading.body.size() - body_held_;
    body_held_ += grown;
    bool const fits = server_.hold_body(grown);
    if (state == BodyParser::State::failed) {
        auto const failure = reading.body_parser.failure();
        return refuse(failure.status, failure.message);
    }
    if (!fits) {
        return refuse(503, "too many request bodies are being read at the moment");
    }
    if (state == BodyParser::State::complete) return hand_over();
    arm_body_deadline();
}

void Connection::arm_body_deadline() {
    auto const& limits = server_.limits_;
    auto const allowed =
        limits.body_timeout + seconds(reading_->body_parser.received() / kBodyBytesPerSecondMin);
    auto const by_pace = reading_->body_since + allowed;
    auto const by_silence = server_.reactor_.now() + limits.body_timeout;
    set_deadline(std::min(by_pace, by_silence));
}

void Connection::hand_over() {
    // The answer may come within the call, and with it the next request's state: nothing after it looks at
    // this request's.
    auto reading = std::move(reading_);
    auto& server = server_;
    phase_ = Phase::answering;
    had_body_ = !reading->body.empty();
    set_deadline(MonoTime::max());
    Request request{reading->head.head(), std::move(reading->body), peer_};
    server.handler_.on_request({handle_, number_}, request);
    reading->body = std::move(request.body);
    server.give_back(std::move(reading));
}

void Connection::release_body() {
    server_.release_body(std::exchange(body_held_, 0));
}

// --- Connection: answers out

void Connection::answer(const Response& response) {
    bool const keep_alive = keep_alive_ && !response.close && !server_.draining_;
    ResponseOptions options{
        .keep_alive = keep_alive, .head_only = true, .minor_version = minor_version_, .headers = {}};
    for (const auto& [name, value] : response.headers)
        options.headers.emplace_back(name, value);
    server_.head_.clear();
    append_response(server_.head_, response.status, response.content_type, response.body, options);
    send(server_.head_, head_only_ ? std::string_view() : response.body);
    server_.metrics.responses[static_cast<size_t>(response.status) / 100].add();
    auto const now = server_.reactor_.now();
    server_.handler_.on_answered({peer_, std::exchange(label_, 0), response.status,
                                  begun_ == MonoTime{} ? Duration::zero() : now - begun_});
    begun_ = {};
    if (keep_alive) return await_request();
    end();
}

void Connection::refuse(int status, std::string_view message) {
    Response response;
    response.status = status;
    response.body = server_.handler_.error_body(status, message);
    if (status == 503) response.headers.emplace_back("Retry-After", "1");
    response.close = true;
    answer(response);
}

void Connection::await_request() {
    phase_ = Phase::head;
    if (reading_) server_.give_back(std::move(reading_));
    release_body();
    keep_alive_ = true;
    head_only_ = false;
    minor_version_ = 1;
    if (stream_.unsent_bytes() > kUnsentBytesMax) {
        clogged_ = true;
        return;  // the reader has send_timeout
    }
    set_deadline(server_.limits_.idle_timeout);
    if (!ahead_.empty() || stream_.end_seen()) server_.proceed_later(*this);
}

void Connection::send(std::string_view head, std::string_view body) {
    FrameRef frame(SharedBytes::join({head, body}));
    queued_bytes_ += frame.size();
    stream_.queue(std::move(frame));
    if (send_look_.armed()) return;
    taken_bytes_ = queued_bytes_ - stream_.unsent_bytes();
    taken_at_ = server_.reactor_.now();
    arm_send_look();
}

void Connection::on_send_look() {
    if (!stream_.is_open() || stream_.unsent_bytes() == 0) return;
    uint64_t const taken = queued_bytes_ - stream_.unsent_bytes();
    auto const now = server_.reactor_.now();
    if (taken != taken_bytes_) {
        taken_bytes_ = taken;
        taken_at_ = now;
    } else if (now - taken_at_ >= server_.limits_.send_timeout) {
        server_.metrics.timeouts.add();
        return close_now();
    }
    arm_send_look();
}

void Connection::on_drained() {
    if (phase_ == Phase::ending) return on_all_sent();
    if (!clogged_) return;
    clogged_ = false;
    set_deadline(server_.limits_.idle_timeout);
    server_.proceed_later(*this);
}

// --- Server

Server::Server(reactor::Reactor& reactor, net::StreamTable& table, const ServerLimits& limits,
               ProcessUse& use, RequestHandler& handler, std::function<void(uint32_t)> left)
    : reactor_(reactor),
      table_(table),
      limits_(limits),
      use_(use),
      handler_(handler),
      left_(std::move(left)) {
    RC_ASSERT(limits.header_bytes > 0 && limits.requests_max > 0);
    RC_ASSERT(limits.send_timeout >= Duration(kSendLooks));
}

Server::~Server() {
    RC_ASSERT(connections_.empty());
    use_.body_bytes.give_back(body_leased_);
}

void Server::on_accept(io::File file, const net::PeerAddress& peer, uint32_t listener) {
    assert_own_core();
    metrics.accepted.add();
    auto const drop = [&] {
        reactor_.ring().discard(file);
        if (left_) left_(listener);
    };
    bool const refused = !use_.connections.take(1, limits_.connections_max);
    if (refused) metrics.refused.add();
    if (refused && !use_.refused.take(1, kRefusedConnectionsMax)) return drop();

    auto connection = std::make_unique<Connection>(*this, peer, listener, refused);
    if (!connection->open(file)) {
        if (!refused) metrics.refused.add();
        (refused ? use_.refused : use_.connections).give_back(1);
        return drop();
    }
    connection->index = connections_.size();
    connections_.push_back(std::move(connection));
    metrics.connections.set(connections_.size());
}

Connection* Server::find(net::StreamHandle handle) {
    net::Stream* stream = table_.find(handle);
    RC_ASSERT(!stream || &stream->family() == &table_);
    return stream ? static_cast<Connection*>(&static_cast<net::HeldStream*>(stream)->handler()) : nullptr;
}

void Server::respond(RequestHandle handle, const Response& response) {
    assert_own_core();
    Connection* connection = find(handle.connection);
    if (!connection || !connection->awaits_answer(handle.number)) return metrics.late_responses.add();
    connection->answer(response);
}

std::unique_ptr<Reading> Server::take_reading() {
    if (spare_readings_.empty()) return std::make_unique<Reading>(limits_.header_bytes);
    auto reading = std::move(spare_readings_.back());
    spare_readings_.pop_back();
    return reading;
}

void Server::give_back(std::unique_ptr<Reading> reading) {
    if (spare_readings_.size() == kSpareReadingsMax) return;
    reading->head.reset();
    reading->body_parser = {};
    reading->body.clear();
    if (reading->body.capacity() > kSpareBodyBytesMax)
        std::string().swap(reading->body);  // assigning keeps the memory
    spare_readings_.push_back(std::move(reading));
}

void Server::begin_drain() {
    assert_own_core();
    draining_ = true;
    // Ending never takes a connection off the list at once: on_closed() comes on a later turn.
    for (auto& connection : connections_)
        connection->end_if_idle();
}

void Server::close_all() {
    assert_own_core();
    for (auto& connection : connections_)
        connection->close_now();
}

void Server::proceed_later(Connection& connection) {
    if (connection.ready_) return;
    connection.ready_ = true;
    ready_.push_back(connection.handle());
}

void Server::bury(Connection& connection) {
    (connection.refused() ? use_.refused : use_.connections).give_back(1);
    if (left_) left_(connection.listener());
    size_t const index = connection.index;
    dead_.push_back(std::move(connections_[index]));
    if (index + 1 < connections_.size()) {
        connections_[index] = std::move(connections_.back());
        connections_[index]->index = index;
    }
    connections_.pop_back();
    metrics.connections.set(connections_.size());
}

// False: the process has no more; the bytes are held all the same, until their request is refused.
bool Server::hold_body(uint64_t bytes) {
    body_bytes_ += bytes;
    metrics.body_bytes.set(body_bytes_);
    while (body_leased_ < body_bytes_) {
        uint64_t const step = std::min(kBodyLeaseBytes, limits_.body_bytes_max);
        if (!use_.body_bytes.take(step, limits_.body_bytes_max)) return false;
        body_leased_ += step;
    }
    return true;
}

void Server::release_body(uint64_t bytes) {
    body_bytes_ -= bytes;
    metrics.body_bytes.set(body_bytes_);
    // One step stays for the next request.
    uint64_t const step = std::min(kBodyLeaseBytes, limits_.body_bytes_max);
    while (body_leased_ >= body_bytes_ + 2 * step) {
        body_leased_ -= step;
        use_.body_bytes.give_back(step);
    }
}

bool Server::run_slice() {
    dead_.clear();
    proceeding_.swap(ready_);
    for (auto handle : proceeding_) {
        if (Connection* connection = find(handle)) connection->proceed();
    }
    proceeding_.clear();
    return !ready_.empty();
}

}  // namespace rc::http
