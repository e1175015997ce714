#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "ringcast/io/network.h"
#include "ringcast/net/stream.h"

namespace rc::load {

class HttpClientOwner {
  public:
    /// The answer to the request under way. `body` is lent for the call.
    virtual void on_answer(uint32_t client, uint16_t status, std::string_view body) = 0;
    /// It will not be answered: the connection is gone, or says what is no HTTP.
    virtual void on_no_answer(uint32_t client, std::string_view why) = 0;

  protected:
    ~HttpClientOwner() = default;
};

/// One keep-alive connection to an HTTP server, with one request at a time. Connects when it is first used,
/// and again after the server has closed. Core: own core only.
class HttpClient final : private net::StreamHandler {
  public:
    /// @param number  what the owner knows it by
    HttpClient(net::StreamTable& streams, io::Network& network, const Address& address,
               HttpClientOwner& owner, uint32_t number)
        : streams_(streams), network_(network), address_(address), owner_(owner), number_(number) {}
    HttpClient(const HttpClient&) = delete;
    HttpClient& operator=(const HttpClient&) = delete;

    /// Whether a request may be sent now.
    [[nodiscard]] bool ready() const { return !waiting_ && !ending_; }
    /// Only when ready. Errors: system, then nothing was sent and on_no_answer() does not come.
    Result<void> send(FrameRef request);
    void close();
    [[nodiscard]] bool closed() const { return !stream_; }

  private:
    void on_bytes(std::string_view bytes) override;
    void on_end() override;
    void on_drained() override {}
    void on_closed() override;
    /// Takes one whole answer off the front; false if there is none yet.
    bool take_answer();

    net::StreamTable& streams_;
    io::Network& network_;
    const Address& address_;
    HttpClientOwner& owner_;
    uint32_t number_;
    bool waiting_ = false, ending_ = false;
    std::string answer_;
    std::optional<net::HeldStream> stream_;
};

}  // namespace rc::load
