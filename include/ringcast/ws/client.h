#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "ringcast/base/shared_bytes.h"
#include "ringcast/net/stream.h"
#include "ringcast/ws/codec.h"

namespace rc::ws {

/// Why a client's connection came to its end.
struct Ending {
    enum class Why : uint8_t {
        asked,    // abort(), or the answer to close()
        refused,  // no upgrade; `code` is the HTTP status, 0 if it was no answer at all
        closed,   // the server's close frame; `code` is its code
        lost,     // the socket's end without a close frame, a connect that failed included
        broken,   // the server broke the protocol, which `reason` says
    };
    Why why = Why::asked;
    uint16_t code = 0;
    std::string_view reason;  // lent for the call
};

/// What a client's connection tells its owner. Called from the core's turn, never inside a call of the
/// owner's.
class ClientHandler {
  public:
    /// The server has upgraded.
    virtual void on_open() = 0;
    /// A whole message, while the connection is open.
    virtual void on_message(Opcode opcode, std::string_view payload) = 0;
    /// Once, when it is over, from whichever side; on_closed() follows on a later turn.
    virtual void on_ending(const Ending& ending) = 0;
    /// The last call. The owner may destroy the connection.
    virtual void on_closed() = 0;

  protected:
    ~ClientHandler() = default;
};

/// What the client connections of one core share, the request and so its key included. Core: own core only.
struct ClientEndpoint {
    /// @param host, target  of the request  @param chance  key and masks follow from it: they keep proxies
    /// from being fooled, which is no concern of who asks for the same key again and again
    ClientEndpoint(net::StreamTable& table, std::string_view host, std::string_view target, uint64_t chance);

    [[nodiscard]] MaskKey next_mask();

    net::StreamTable& streams;
    CodecLimits codec{.message_bytes_max = 16ULL << 20, .peer_role = Role::server};
    FramePool pool;
    FrameRef request;
    std::string accept;  // what the server must answer

  private:
    uint64_t chance_;
};

/// One WebSocket in the client's role: for load generators and tests. Core: own core only. Deadlines are the
/// owner's business: a server may leave a handshake or a close unanswered.
/// Source: RFC 6455 sections 4.1, 5.3 and 7.1.
class ClientConnection final : private net::StreamHandler, private CodecSink {
  public:
    ClientConnection(ClientEndpoint& endpoint, ClientHandler& handler)
        : endpoint_(endpoint), handler_(handler), stream_(endpoint.streams, *this) {}
    ClientConnection(const ClientConnection&) = delete;
    ClientConnection& operator=(const ClientConnection&) = delete;

    /// Sends the request. The socket may still be connecting. False when the core has no slot left: the
    /// caller closes the file.
    [[nodiscard]] bool open(io::File file);

    /// Queues a masked frame for the end of the turn; ignored unless open.
    void send(FrameRef frame);
    void send_text(std::string_view payload);
    /// Sends a close frame and waits for the server's end of the socket.
    void close(CloseCode code);
    /// Ends it without a word.
    void abort() { end({}); }

    [[nodiscard]] bool is_open() const { return state_ == State::open; }
    [[nodiscard]] uint32_t unsent_frames() const { return stream_.unsent_frames(); }

  private:
    enum class State : uint8_t {
        handshake,
        open,
        closing,  // one close frame has passed at least; the server's end of the socket is awaited
        ended,
    };
    void on_bytes(std::string_view bytes) override;
    void on_end() override;
    void on_drained() override {}
    void on_closed() override;

    void on_message(Opcode opcode, std::string_view payload) override;
    void on_ping(std::string_view payload) override;
    void on_pong(std::string_view) override {}
    void on_close(const CloseBody& body) override;
    void on_failure(CloseCode code, std::string_view why) override;

    std::string_view take_answer(std::string_view bytes);
    void send_frame(Opcode opcode, std::string_view payload);
    void say_ending(const Ending& ending);
    void end(const Ending& ending);

    ClientEndpoint& endpoint_;
    ClientHandler& handler_;
    net::HeldStream stream_;
    Decoder decoder_;
    std::string answer_;  // to the request, until it is whole
    State state_ = State::handshake;
    bool ending_said_ = false;
};

}  // namespace rc::ws
