#pragma once

#include <gtest/gtest.h>

#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "world.h"

namespace rc::contract {

struct Said {
    int32_t result;
    bool more;
    std::string bytes;
};

/// One operation, and what the ring said to it.
struct Request {
    [[nodiscard]] bool done() const { return !op.in_flight(); }
    /// Of the last completion.
    [[nodiscard]] int32_t result() const { return said.empty() ? INT32_MIN : said.back().result; }
    [[nodiscard]] std::string bytes() const {
        std::string out;
        for (const auto& one : said)
            out += one.bytes;
        return out;
    }

    io::Operation op;
    io::Token token;
    io::File file;
    std::vector<Said> said;
    std::function<void(Request&)> then;  // from the sink, after each completion
    io::PeerBuffer peer;
    std::string text;  // of a send
};

struct Connection {
    io::File file;
    std::unique_ptr<Peer> peer;
    bool open = true;
};

/// A ring with one sink, which holds every completion against what a Ring promises of all of them: it comes
/// from reap(), its token names an operation in flight, `more` only from a multishot receive, and bytes only
/// from a receive. At the end everything is cancelled, joined and closed.
class RingContract : public ::testing::TestWithParam<Variant>, protected io::CompletionSink {
  protected:
    static constexpr uint8_t kTable = 7;

    void SetUp() override { start(); }
    void TearDown() override { finish(); }
    /// Another ring than the usual one.
    void start(WorldOptions options = {});
    void finish();

    World& world() { return *world_; }
    io::Ring& ring() { return world_->ring(); }
    [[nodiscard]] bool direct() const { return GetParam().direct; }

    /// A connection that the ring has accepted.
    Connection& connect(Listener which = Listener::v4);

    Request& accept(Listener which = Listener::v4) { return accept_at(world().listener(which)); }
    Request& accept_at(int descriptor);
    Request& receive(const Connection& from, io::ReceiveMode mode = io::ReceiveMode::multishot);
    Request& receive_at(io::File file, io::ReceiveMode mode = io::ReceiveMode::multishot);
    Request& await_bytes(const Connection& from);
    Request& send(const Connection& to, std::string text);
    Request& send_at(io::File file, std::string text);
    Request& close(Connection& connection);
    Request& shut_down(const Connection& connection);  // of a direct file
    Request& poll(int descriptor);
    void cancel(Request& request) { ring().cancel(request.op, request.token); }

    /// A request that has its own token, not started.
    Request& make(io::Kind kind);

    /// One submit_and_wait() that may wait a moment, and a reap().
    void turn(Duration wait_max = milliseconds(10));
    /// Turns until it is so, or for ten seconds: then the test fails.
    void run_until(const std::function<bool()>& so, const char* what);
    void run(Request& request) {
        run_until([&] { return request.done(); }, "an operation ends");
    }
    /// Turns until what can complete by itself has completed.
    void rest();
    uint32_t reap(uint32_t completions_max = 1'000'000);
    [[nodiscard]] uint64_t completions() const { return completions_; }

    /// Asks again and again, until so many bytes have come or an error but -ENOBUFS.
    std::string receive_all(const Connection& from, std::size_t bytes, io::ReceiveMode mode);
    /// Sends until a send waits, which it returns; `sent` gets what was taken of the others.
    Request& fill(Connection& connection, std::string& sent);

    /// Bytes that tell where they belong.
    static std::string pattern(std::size_t bytes, char first = 'a');

  private:
    void on_completion(const io::Completion& completion) override;

    std::unique_ptr<World> world_;
    std::deque<Request> requests_;
    std::deque<Connection> connections_;
    uint64_t completions_ = 0;
    uint32_t next_slot_ = 1;
    bool reaping_ = false, in_sink_ = false;
};

}  // namespace rc::contract
