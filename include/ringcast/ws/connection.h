#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>

#include "ringcast/base/shared_bytes.h"
#include "ringcast/http/head_parser.h"
#include "ringcast/net/acceptor.h"
#include "ringcast/net/stream.h"
#include "ringcast/ws/close_code.h"
#include "ringcast/ws/codec.h"

namespace rc::ws {

class Connection;
struct Beginning;

/// What the owner says of a request on the client listener.
struct RequestVerdict {
    bool upgrade = true;
    std::string response = {};          // a whole HTTP response, when it does not upgrade
    std::string_view subprotocol = {};  // a literal that the client has offered; empty: none is selected
    bool pending = false;               // none yet: Connection::answer_request() will bring it
};

/// What the connections of one core share. Core: own core only.
struct Endpoint : net::StreamFamily {
    struct Options {
        CodecLimits codec;
        uint32_t header_bytes = limits::kHeaderBytes;
        Duration handshake_timeout = seconds(10);
        Duration message_timeout = limits::kMessageDeadline;    // zero: none
        uint16_t pongs_waiting_max = limits::kPongsWaitingMax;  // more are not answered
        FramePoolLimits half_frames;
    };
    struct Metrics {
        metrics::Counter handshakes, refused, messages_in, protocol_failures;
        metrics::Counter proxy_refused;                         // see refuse_proxy()
        std::array<metrics::Counter, kCloseKinds> closes_sent;  // by close_kind()
    };
    Endpoint(net::StreamTable& table, const Options& opts);
    ~Endpoint();

    /// Counts a connection that is closed without an answer because of its PROXY header, and says so in the
    /// log, but for at most one every kProxyWarningEvery.
    void refuse_proxy(const net::PeerAddress& peer, std::string_view why);

    Options options;
    FramePool pool;
    Metrics metrics;
    net::PeerTable peers;

  private:
    friend class Connection;
    std::unordered_map<uint32_t, std::unique_ptr<Beginning>> beginnings_;  // by slot
    MonoTime proxy_warning_due_{};
};

/// One WebSocket in the server's role: handshake, frames, closing handshake, and their deadlines. It knows
/// nothing of users or topics. Its owner derives from it, or holds a HeldConnection. Core: own core only.
///
/// A server holds one for each client that waits, so what lasts for a handshake or for half a message alone
/// is kept elsewhere, and the stream's one deadline serves all that it and its owner wait for.
class Connection : protected net::Stream {
  public:
    explicit Connection(Endpoint& endpoint);
    Connection(const Connection&) = delete;
    Connection& operator=(const Connection&) = delete;

    /// How a connection begins.
    enum class Begins : uint8_t { with_handshake, with_proxy_header };

    /// Begins with the handshake, or with a PROXY header before it: then one must come, and both within
    /// handshake_timeout. False when the core has no slot left: the caller closes the file.
    [[nodiscard]] bool open(io::File file, const net::PeerAddress& peer,
                            Begins begins = Begins::with_handshake);

    /// The verdict that on_request() left open. on_open() and what the client has sent meanwhile follow
    /// inside this call. Ignored when the handshake's deadline, abort() or the client has
    /// ended it.
    void answer_request(const RequestVerdict& verdict);

    /// Queues a whole frame for the end of the turn; ignored unless open.
    void send(FrameRef frame);
    /// Sends the close frame behind what is queued and waits for the peer's, at most kCloseDeadline.
    /// Only the first call counts.
    void close(CloseCode code, std::string_view reason);
    /// Takes no messages but those that have arrived already, until resume_receive() or the close: for an
    /// owner whose answers the peer does not read. The deadline of a message under way stands still.
    void pause_receive();
    void resume_receive();
    /// Drops what the kernel was not given yet: before close(), for a peer that does not read.
    using Stream::drop_unsent;
    /// Ends it without a word.
    void abort() { begin_close(); }

    /// A WebSocket without a close from either side. After abort(), or a reset, it stays so until
    /// on_closed(): what is sent then is dropped.
    [[nodiscard]] bool is_open() const { return state_ == State::open; }
    /// It has not become a WebSocket: no request yet, or its refusal is on its way.
    [[nodiscard]] bool in_handshake() const {
        return state_ == State::proxy_header || state_ == State::handshake || state_ == State::refusing;
    }
    using Stream::handle;
    using Stream::stalled;
    using Stream::unsent_bytes;
    using Stream::unsent_frames;
    /// The socket's own peer, whom its PROXY header named, or whom set_peer() did.
    [[nodiscard]] net::PeerAddress peer() const { return endpoint().peers.get(handle().slot, peer_); }
    /// Who is behind a proxy: the client whose connection this is from now on.
    void set_peer(const net::PeerAddress& client) { peer_ = endpoint().peers.put(handle().slot, client); }

  protected:
    ~Connection();
    [[nodiscard]] Endpoint& endpoint() const { return static_cast<Endpoint&>(family()); }
    [[nodiscard]] reactor::Reactor& reactor() const { return table().reactor(); }
    /// next_due() has changed: for an open connection.
    void rearm();

    // What it tells its owner: from the core's turn, never inside a call of the owner's.
    /// A complete head. RFC 6455's own rules are judged afterwards, by ws::check_upgrade.
    virtual RequestVerdict on_request(const http::RequestHead& head) = 0;
    virtual void on_open() = 0;
    /// A whole message, while the connection is open.
    virtual void on_message(Opcode opcode, std::string_view payload) = 0;
    /// A ping or pong frame; its answer is the connection's business, its rate the owner's.
    virtual void on_control_frame() = 0;
    /// Everything queued has been handed to the kernel.
    virtual void on_drained() = 0;
    /// The closing handshake has begun, from whichever side: nothing is received or sent any more.
    virtual void on_closing() = 0;
    /// The last call. The owner may destroy the connection.
    virtual void on_closed() = 0;
    /// When on_due() is to be called, while the connection is open; asked behind on_open(), on_due() and
    /// rearm().
    [[nodiscard]] virtual MonoTime next_due() const { return MonoTime::max(); }
    /// The time has come, or nearly: it may be called too early.
    virtual void on_due() {}

  private:
    enum class State : uint8_t {
        proxy_header,
        handshake,
        refusing,  // an HTTP answer is on its way out; input is dropped
        open,
        closing,    // our close frame is queued; the peer's is awaited
        failing,    // our close frame and FIN are queued; input is dropped until the peer's FIN
        ended,      // both close frames have passed, ours first; closed as soon as it is sent
        lingering,  // the peer's came first; closed kCloseLinger after ours is sent, for what may be behind
                    // it
        closed,
    };

    void on_bytes(std::string_view bytes) final;
    void on_end() final;
    void on_queue_empty() final;
    void on_kernel_done() final;

    // What the decoder finds.
    struct Frames;
    void take_message(Opcode opcode, std::string_view payload);
    void take_ping(std::string_view payload);
    void take_pong();
    void take_close(const CloseBody& body);
    void take_failure(CloseCode code, std::string_view why);

    std::string_view take_proxy_header(std::string_view bytes);
    std::string_view take_handshake(std::string_view bytes);
    [[nodiscard]] bool conclude(const RequestVerdict& verdict);
    void refuse(std::string_view response);
    void take_frames(std::string_view bytes);
    void send_close(uint16_t code, std::string_view reason, State next);
    void wait_for_fin();
    void close_when_sent();
    void on_timer() final;
    void arm(Duration after);
    void arm_message();

    /// From the first byte to the end of the handshake.
    [[nodiscard]] Beginning& beginning();
    void end_beginning();

    net::PackedPeer peer_;
    [[no_unique_address]] Decoder decoder_;
    State state_ = State::handshake;
    bool message_done_ = false;  // in this feed
    uint16_t pongs_waiting_ = 0;
};
static_assert(sizeof(Connection) <= 96);

/// What a HeldConnection tells its owner, see Connection.
class ConnectionHandler {
  public:
    virtual RequestVerdict on_request(const http::RequestHead& head) = 0;
    virtual void on_open() = 0;
    virtual void on_message(Opcode opcode, std::string_view payload) = 0;
    virtual void on_control_frame() = 0;
    virtual void on_drained() = 0;
    virtual void on_closing() = 0;
    virtual void on_closed() = 0;

  protected:
    ~ConnectionHandler() = default;
};

/// A connection as a member of its owner. It is one that talks: see net::Waits.
class HeldConnection final : public Connection {
  public:
    HeldConnection(Endpoint& endpoint, ConnectionHandler& handler)
        : Connection(endpoint), handler_(handler) {}

  private:
    RequestVerdict on_request(const http::RequestHead& head) override { return handler_.on_request(head); }
    void on_open() override {
        set_waits(net::Waits::multishot);
        handler_.on_open();
    }
    void on_message(Opcode opcode, std::string_view payload) override {
        handler_.on_message(opcode, payload);
    }
    void on_control_frame() override { handler_.on_control_frame(); }
    void on_drained() override { handler_.on_drained(); }
    void on_closing() override { handler_.on_closing(); }
    void on_closed() override { handler_.on_closed(); }

    ConnectionHandler& handler_;
};

}  // namespace rc::ws
