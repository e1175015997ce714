#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "ringcast/base/limits.h"
#include "ringcast/http/request.h"
#include "ringcast/metrics/metrics.h"
#include "ringcast/net/acceptor.h"
#include "ringcast/net/stream.h"
#include "ringcast/reactor/reactor.h"

/// The server side of HTTP/1.1: connections that read requests one after the other, and answer each in order.
namespace rc::http {

class Connection;
struct Reading;

/// An answer to one request. Length, keep-alive and status line are the server's business.
struct Response {
    int status = 200;                                    // one that reason_phrase() knows; 204 has no body
    std::string_view content_type = "application/json";  // of static life
    std::string body;
    std::vector<std::pair<std::string, std::string>> headers;  // further ones, without CR, LF and NUL
    bool close = false;                                        // end the connection after it
};

/// A request that waits for its answer, as later turns and other cores may name it. Plain data: answering
/// one whose connection is gone, or that was answered already, does nothing.
struct RequestHandle {
    net::StreamHandle connection;
    uint32_t number = 0;  // of the connection's requests, from 1
    friend bool operator==(const RequestHandle&, const RequestHandle&) = default;
};

/// A complete request. Lent for the call, every view of the head included; the body may be moved out (else
/// its memory serves the next request).
struct Request {
    const RequestHead& head;
    std::string body;
    net::PeerAddress peer;
};

/// What the owner says to a head, before anything of its body is kept.
struct HeadVerdict {
    std::optional<Response> refusal;  // sent at once; closes the connection if a body was announced
    uint64_t body_bytes_max = 0;      // 413 above it
    uint64_t label = 0;               // the handler's own; comes back in Answered
    static HeadVerdict accept(uint64_t body_bytes_max) { return {std::nullopt, body_bytes_max}; }
    static HeadVerdict refuse(Response response) { return {std::move(response), 0}; }
};

/// A request that was answered.
struct Answered {
    const net::PeerAddress& peer;
    uint64_t label;  // of its HeadVerdict; 0 where no head came to be judged
    int status;
    Duration took;  // from its complete head
};

/// Answers requests. Called from the turn of the server's core; must not throw.
class RequestHandler {
  public:
    /// Judges a complete head: route, method, key, content type. Both arguments are lent for the call.
    virtual HeadVerdict on_head(const RequestHead& head, const net::PeerAddress& peer) = 0;
    /// A complete request whose head was accepted. Server::respond() answers it, in this call or on a later
    /// turn; until then nothing further is read from its connection.
    virtual void on_request(RequestHandle handle, Request& request) = 0;
    /// The connection went away before its answer; responding to `handle` does nothing any more.
    virtual void on_abandoned(RequestHandle handle) = 0;
    /// An answer is on its way to the socket, whoever gave it. May not respond to anything.
    virtual void on_answered(const Answered&) {}
    /// The JSON body of an answer that the server gives by itself (malformed, too large, too slow, too many).
    virtual std::string error_body(int status, std::string_view message) = 0;

  protected:
    ~RequestHandler() = default;
};

/// The figures that a server holds its connections to.
struct ServerLimits {
    uint32_t header_bytes = limits::kHeaderBytes;           // of one head: 431
    uint32_t connections_max = limits::kApiConnectionsMax;  // of the process; above: 503 and close
    uint64_t body_bytes_max = limits::kApiBodyBytesMax;  // likewise, of requests not yet answered: 503, close
    uint32_t requests_max = limits::kApiRequestsPerConnection;  // the last answer says Connection: close
    Duration head_timeout = seconds(10);  // from the accept or the first byte to the whole head: 408
    Duration idle_timeout = seconds(75);  // between two requests: closes without a word
    Duration body_timeout = limits::kApiBodyDeadline;  // without a byte, see kBodyBytesPerSecondMin: 408
    Duration send_timeout = seconds(30);               // in which the socket takes nothing: closes
    Duration linger_timeout = seconds(2);  // from our FIN to the peer's, while its bytes are thrown away
};

/// A body may lag behind this by body_timeout, so that one of a byte a second does not last for ever.
constexpr uint64_t kBodyBytesPerSecondMin = 1024;
/// Of answers that the socket has not taken: above it no further request of the connection is read.
constexpr uint64_t kUnsentBytesMax = 256ULL * 1024;
/// Connections of the process above connections_max that are being told 503; further ones are closed without
/// a word.
constexpr uint32_t kRefusedConnectionsMax = 64;
/// In such steps a core takes from body_bytes_max, so that the cores seldom meet there.
constexpr uint64_t kBodyLeaseBytes = 256ULL * 1024;
static_assert(2 * kBodyLeaseBytes * limits::kWorkersMax <= limits::kApiBodyBytesMax / 8,
              "what idle cores keep");
static_assert(limits::kBatchBytesMax <= limits::kApiBodyBytesMax / 2);

/// What the servers of all cores use together, held to the limits of the process: the kernel spreads
/// connections over the cores by chance, so a fixed part for each would refuse some while most is free. Core:
/// any. Cost: one atomic operation.
class ProcessUse {
  public:
    class Share {
      public:
        [[nodiscard]] bool take(uint64_t n, uint64_t max) {
            uint64_t used = used_.load(std::memory_order_relaxed);
            do {
                if (used + n > max) return false;
            } while (!used_.compare_exchange_weak(used, used + n, std::memory_order_relaxed));
            return true;
        }
        void give_back(uint64_t n) { used_.fetch_sub(n, std::memory_order_relaxed); }
        [[nodiscard]] uint64_t used() const { return used_.load(std::memory_order_relaxed); }

      private:
        std::atomic<uint64_t> used_{0};
    };
    Share connections, refused, body_bytes;
};

/// The HTTP connections of one core. Each reads one request at a time: while it is answered, what the peer
/// has sent ahead waits (what one receive brings is kept; of a publisher that was sending one request at a
/// time, what the kernel has taken until it hears of it), and then in the kernel. One request of a
/// connection is begun a turn, so that a long pipeline leaves its turn to others.
///
/// A connection that ends with an answer sends it, then FIN, and throws away what still comes for
/// linger_timeout: closing at once could let a reset overtake the answer.
///
/// The owner adds it to the reactor's works, ahead of the stream table. Lifetime: connections() is 0 and the
/// turn after that is over (close_all()). Core: own core only.
/// Memory: an idle connection holds its object, and neither a parser nor a buffer; some of each are kept for
/// the next requests, whoever sends them.
/// Source: RFC 9112 section 9, contract section 4, hazards P1 to P6.
class Server final : public reactor::CoreBound, public net::AcceptHandler, public reactor::Work {
  public:
    /// @param table  when it is full, further connections are closed without a word
    /// @param use  the same for all cores of the process
    /// @param left  told once for each connection of on_accept(), at its end: by which listener it had come
    Server(reactor::Reactor& reactor, net::StreamTable& table, const ServerLimits& limits, ProcessUse& use,
           RequestHandler& handler, std::function<void(uint32_t listener)> left = {});
    ~Server() override;

    void on_accept(io::File file, const net::PeerAddress& peer, uint32_t listener) override;

    /// Answers a request; the bytes leave at the end of the turn. A stale handle is counted and ignored.
    /// Cost: one copy of the body.
    void respond(RequestHandle handle, const Response& response);

    /// No keep-alive from now on: connections between two requests end, requests under way are answered with
    /// `Connection: close`, and so is the one request of each connection that still comes.
    void begin_drain();
    [[nodiscard]] bool draining() const { return draining_; }
    /// Closes every connection, unsent answers or not; on_abandoned() comes for requests under way.
    void close_all();

    /// Those that end included.
    [[nodiscard]] size_t connections() const { return connections_.size(); }

    /// Begins what waited for an answer, and frees the connections that have closed.
    bool run_slice() override;

    struct Metrics {
        metrics::Counter accepted, refused;         // connections: all, and those there was no place for
        metrics::Counter requests;                  // complete heads
        std::array<metrics::Counter, 6> responses;  // by status / 100
        metrics::Counter timeouts;                  // heads and bodies answered 408, and stalled readers
        metrics::Counter abandoned, late_responses;
        metrics::Counter connections, body_bytes;  // gauges: open now, and held for requests under way
    };
    Metrics metrics;

  private:
    friend class Connection;
    [[nodiscard]] Connection* find(net::StreamHandle handle);
    [[nodiscard]] std::unique_ptr<Reading> take_reading();
    void give_back(std::unique_ptr<Reading> reading);
    void proceed_later(Connection& connection);
    void bury(Connection& connection);
    [[nodiscard]] bool hold_body(uint64_t bytes);
    void release_body(uint64_t bytes);

    reactor::Reactor& reactor_;
    net::StreamTable& table_;
    const ServerLimits limits_;
    ProcessUse& use_;
    RequestHandler& handler_;
    std::function<void(uint32_t)> left_;
    bool draining_ = false;
    uint64_t body_bytes_ = 0;                               // the gauge's value
    uint64_t body_leased_ = 0;                              // of the process's, at least body_bytes_
    std::vector<std::unique_ptr<Connection>> connections_;  // each knows its index
    std::vector<std::unique_ptr<Connection>> dead_;         // freed outside of their own calls
    std::vector<net::StreamHandle> ready_, proceeding_;
    std::vector<std::unique_ptr<Reading>> spare_readings_;
    std::string head_;  // of the answer that is being written
};

}  // namespace rc::http
