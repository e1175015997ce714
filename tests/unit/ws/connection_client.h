#pragma once

#include "ringcast/ws/connection.h"

#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "../../support/fake_core.h"
#include "recorder.h"

/// What the tests of ws::Connection share.
namespace rc::ws {

constexpr Duration kTick = io::TimerWheel::kTick;
constexpr std::string_view kRequest =
    "GET /ws HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";
constexpr std::string_view kAnswer = "HTTP/1.1 101 ";

inline std::string text(std::string_view payload, bool final = true) {
    return masked(Opcode::text, payload, final);
}
inline std::string close_frame(uint16_t code, std::string_view reason = {}) {
    return masked(Opcode::close, close_payload(code, reason));
}

/// One connection, its owner, and its peer.
struct Client final : ConnectionHandler {
    explicit Client(size_t buffer_bytes = 4096, CodecLimits codec = {}, uint32_t streams_max = 8)
        : core(buffer_bytes, streams_max), endpoint(core.streams, {.codec = codec}) {
        connection = std::make_unique<HeldConnection>(endpoint, *this);
        file = core.ring.open_socket();
    }
    ~Client() {
        socket().window = test::FakeSocket::kUnlimited;
        if (connection) connection->abort();
        core.settle();
        EXPECT_TRUE(closed || !opened_stream);
        EXPECT_EQ(core.streams.open_streams(), 0U);
        EXPECT_EQ(endpoint.pool.partials_attached(), 0U);
    }

    RequestVerdict on_request(const http::RequestHead& head) override {
        path = head.path;
        return verdict;
    }
    void on_open() override {
        ++opens;
        if (greet) connection->send(FrameRef(text_frame("hello")));
    }
    void on_message(Opcode, std::string_view payload) override {
        EXPECT_EQ(closings, 0U) << "a message after the closing handshake began";
        messages.emplace_back(payload);
        if (pause_on_message) connection->pause_receive();
        if (close_on_message) connection->close(CloseCode::policy, "enough");
    }
    void on_control_frame() override {
        EXPECT_EQ(closings, 0U);
        ++control_frames;
    }
    void on_drained() override { ++drains; }
    void on_closing() override { ++closings; }
    void on_closed() override {
        closed = true;
        connection.reset();
    }

    void open() {
        opened_stream = connection->open(file, {});
        ASSERT_TRUE(opened_stream);
        core.settle();
    }
    void upgrade() {
        open();
        deliver(kRequest);
        ASSERT_EQ(opens, 1U);
        ASSERT_TRUE(socket().take_sent().starts_with(kAnswer));
    }
    void deliver(std::string_view bytes) {
        socket().deliver(bytes);
        core.settle();
    }
    void deliver_end() {
        socket().deliver_end();
        core.settle();
    }
    void send(std::string_view payload) { connection->send(FrameRef(text_frame(payload))); }
    test::FakeSocket& socket() { return core.ring.socket(file); }
    /// What the peer's decoder makes of what was sent since the last call.
    Events frames() { return decode_whole(socket().take_sent(), {.peer_role = Role::server}); }

    test::FakeCore core;
    Endpoint endpoint;
    std::unique_ptr<HeldConnection> connection;
    io::File file;
    RequestVerdict verdict;
    bool greet = false, close_on_message = false, pause_on_message = false, opened_stream = false,
         closed = false;
    std::string path;
    std::vector<std::string> messages;
    uint32_t opens = 0, control_frames = 0, drains = 0, closings = 0;
};

}  // namespace rc::ws
