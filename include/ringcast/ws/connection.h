#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "ringcast/base/shared_bytes.h"
#include "ringcast/http/head_parser.h"
#include "ringcast/io/timer_wheel.h"
#include "ringcast/net/acceptor.h"
#include "ringcast/net/stream.h"
#include "ringcast/ws/close_code.h"
#include "ringcast/ws/codec.h"

namespace rc::ws {

class Connection;

/// What the owner says of a request on the client listener.
struct RequestVerdict {
    bool upgrade = true;
    std::string response = {};          // a whole HTTP response, when it does not upgrade
    std::string_view subprotocol = {};  // a literal that the client has offered; empty: none is selected
    bool pending = false;               // none yet: Connection::answer_request() will bring it
};

/// What a connection tells its owner. Called from the core's turn, never inside a call of the owner's.
class ConnectionHandler {
  public:
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

  protected:
    ~ConnectionHandler() = default;
};

/// What the connections of one core share. Core: own core only.
struct Endpoint {
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
    Endpoint(net::StreamTable& table, const Options& opts)
        : streams(table), options(opts), pool(opts.half_frames) {}

    /// Counts a connection that is closed without an answer because of its PROXY header, and says so in the
    /// log, but for at most one every kProxyWarningEvery.
    void refuse_proxy(const net::PeerAddress& peer, std::string_view why);

    net::StreamTable& streams;
    Options options;
    FramePool pool;
    Metrics metrics;

  private:
    MonoTime proxy_warning_due_{};
};

/// One WebSocket in the server's role: handshake, frames, closing handshake, and their deadlines. It knows
/// nothing of users or topics. Core: own core only.
class Connection final : private net::StreamHandler, private CodecSink {
  public:
    Connection(Endpoint& endpoint, ConnectionHandler& handler);
    ~Connection() override;
    Connection(const Connection&) = delete;
    Connection& operator=(const Connection&) = delete;

    /// How a connection begins.
    enum class Begins : uint8_t { with_handshake, with_proxy_header };

    /// Begins with the handshake, or with a PROXY header before it: then one must come, and both within
    /// handshake_timeout. False when the core has no slot left: the caller closes the file.
    [[nodiscard]] bool open(io::File file, const net::PeerAddress& peer,
                            Begins begins = Begins::with_handshake);

    /// The verdict that on_request() left open. on_open() and what the client has sent meanwhile follow
    /// inside this call. Ignored when the handshake's deadline or the client has ended it.
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
    void drop_unsent() { stream_.drop_unsent(); }
    /// Ends it without a word.
    void abort() { stream_.begin_close(); }

    [[nodiscard]] bool is_open() const { return state_ == State::open; }
    /// It has not become a WebSocket: no request yet, or its refusal is on its way.
    [[nodiscard]] bool in_handshake() const {
        return state_ == State::proxy_header || state_ == State::handshake || state_ == State::refusing;
    }
    [[nodiscard]] uint64_t unsent_bytes() const { return stream_.unsent_bytes(); }
    [[nodiscard]] uint32_t unsent_frames() const { return stream_.unsent_frames(); }
    [[nodiscard]] bool stalled() const { return stream_.stalled(); }
    [[nodiscard]] net::StreamHandle handle() const { return stream_.handle(); }
    /// The socket's own peer, whom its PROXY header named, or whom set_peer() did.
    [[nodiscard]] const net::PeerAddress& peer() const { return peer_; }
    /// Who is behind a proxy: the client whose connection this is from now on.
    void set_peer(const net::PeerAddress& client) { peer_ = client; }

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

    void on_bytes(std::string_view bytes) override;
    void on_end() override;
    void on_drained() override;
    void on_closed() override;

    void on_message(Opcode opcode, std::string_view payload) override;
    void on_ping(std::string_view payload) override;
    void on_pong(std::string_view payload) override;
    void on_close(const CloseBody& body) override;
    void on_failure(CloseCode code, std::string_view why) override;

    std::string_view take_proxy_header(std::string_view bytes);
    std::string_view take_handshake(std::string_view bytes);
    [[nodiscard]] bool conclude(const RequestVerdict& verdict);
    void refuse(std::string_view response);
    void take_frames(std::string_view bytes);
    void send_close(uint16_t code, std::string_view reason, State next);
    void wait_for_fin();
    void close_when_sent();
    void on_deadline();
    void arm(Duration after);
    void arm_message();

    Endpoint& endpoint_;
    ConnectionHandler& handler_;
    net::HeldStream stream_;
    Decoder decoder_;
    struct Beginning;
    std::unique_ptr<Beginning> beginning_;  // from the first byte to the end of the handshake
    State state_ = State::handshake;
    bool message_done_ = false;  // in this feed
    uint16_t pongs_waiting_ = 0;
    net::PeerAddress peer_;
    struct Deadline : io::Timer {
        explicit Deadline(Connection& connection)
            : io::Timer([](io::Timer& timer) { static_cast<Deadline&>(timer).owner.on_deadline(); }),
              owner(connection) {}
        Connection& owner;
    } deadline_;  // of the handshake, of an unfinished message, or of the closing handshake
};

}  // namespace rc::ws
