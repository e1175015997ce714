// Connections on which a PROXY header must come first.
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <string_view>

#include "../../support/fake_core.h"
#include "recorder.h"
#include "ringcast/ws/connection.h"

namespace rc::ws {
namespace {

using namespace std::string_literals;

const std::string kLine = "PROXY TCP4 192.0.2.1 198.51.100.1 56324 443\r\n";
const std::string kBlock =
    "\r\n\r\n\0\r\nQUIT\n\x21\x11\x00\x0c\xc0\x00\x02\x01\x0a\x00\x00\x01\xdc\x04\x01\xbb"s;
const std::string kLocal = "\r\n\r\n\0\r\nQUIT\n\x20\x00\x00\x00"s;
const std::string kRequest =
    "GET /ws HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";

struct Proxied final : ConnectionHandler {
    explicit Proxied(size_t buffer_bytes = 4096) : core(buffer_bytes, 8), endpoint(core.streams, {}) {
        connection = std::make_unique<HeldConnection>(endpoint, *this);
        file = core.ring.open_socket();
        EXPECT_TRUE(connection->open(file, net::PeerAddress::from(Address::v4({10, 0, 0, 1}, 4000)),
                                     Connection::Begins::with_proxy_header));
        core.settle();
    }
    ~Proxied() {
        if (connection) connection->abort();
        core.settle();
        EXPECT_EQ(core.streams.open_streams(), 0U);
    }
    RequestVerdict on_request(const http::RequestHead&) override {
        peer_at_request = connection->peer().format();
        return {};
    }
    void on_open() override { ++opens; }
    void on_message(Opcode, std::string_view payload) override { messages.emplace_back(payload); }
    void on_control_frame() override {}
    void on_drained() override {}
    void on_closing() override {}
    void on_closed() override {
        sent_at_end = core.ring.socket(file).sent;
        connection.reset();
    }
    void deliver(std::string_view bytes) {
        core.ring.socket(file).deliver(bytes);
        core.settle();
    }

    test::FakeCore core;
    Endpoint endpoint;
    std::unique_ptr<HeldConnection> connection;
    io::File file;
    std::string peer_at_request, sent_at_end;
    std::vector<std::string> messages;
    uint32_t opens = 0;
};

TEST(ProxiedConnection, IsItsClientsWhereverItsBytesAreCut) {
    for (const auto& header : {kLine, kBlock}) {
        auto const bytes = header + kRequest + masked(Opcode::text, "first");
        for (size_t cut = 1; cut < bytes.size(); ++cut) {
            Proxied client;
            client.deliver(bytes.substr(0, cut));
            ASSERT_EQ(client.connection->in_handshake(), cut < header.size() + kRequest.size()) << cut;
            client.deliver(bytes.substr(cut));
            ASSERT_EQ(client.peer_at_request, "192.0.2.1:56324") << cut;
            ASSERT_EQ(client.connection->peer().format(), "192.0.2.1:56324");
            ASSERT_EQ(client.messages, std::vector<std::string>{"first"}) << cut;
        }
        Proxied by_byte(1);
        by_byte.deliver(bytes);
        EXPECT_EQ(by_byte.messages, std::vector<std::string>{"first"});
    }
}

TEST(ProxiedConnection, OfTheProxyItselfKeepsItsOwnAddress) {
    for (const auto& header : {kLocal, "PROXY UNKNOWN\r\n"s}) {
        Proxied client;
        client.deliver(header + kRequest);
        EXPECT_EQ(client.opens, 1U);
        EXPECT_EQ(client.peer_at_request, "10.0.0.1:4000");
    }
}

TEST(ProxiedConnection, WithoutItsHeaderIsClosedWithoutAnAnswer) {
    for (const auto& bytes :
         {kRequest, "PROXY TCP4 192.0.2.1\r\n"s + kRequest, "\x16\x03\x01\x02"s,
          "PROXY UNKNOWN "s + std::string(94, 'x'), kBlock.substr(0, 12) + "\x31"s + kBlock.substr(13)}) {
        Proxied client;
        client.deliver(bytes);
        EXPECT_FALSE(client.connection) << bytes;
        EXPECT_EQ(client.sent_at_end, "");
        EXPECT_EQ(client.endpoint.metrics.proxy_refused.value(), 1U);
        EXPECT_EQ(client.endpoint.metrics.refused.value(), 0U);
    }
}

TEST(ProxiedConnection, HasOneTimeForHeaderAndHandshake) {
    for (const auto& bytes :
         {""s, kLine.substr(0, 20), kLine, kBlock.substr(0, 14), kLine + kRequest.substr(0, 30)}) {
        Proxied client;
        client.core.advance(seconds(5));
        if (!bytes.empty()) client.deliver(bytes);
        client.core.advance(seconds(5) - io::TimerWheel::kTick);
        EXPECT_TRUE(client.connection) << bytes;
        client.core.advance(2 * io::TimerWheel::kTick);
        EXPECT_FALSE(client.connection) << bytes;
        EXPECT_EQ(client.sent_at_end, "");
    }
}

TEST(ProxiedConnection, EndsWithItsPeerAndWithItsOwner) {
    Proxied client;
    client.deliver("PROXY ");
    client.core.ring.socket(client.file).deliver_end();
    client.core.settle();
    EXPECT_FALSE(client.connection);

    Proxied closed_by_owner;
    closed_by_owner.connection->close(CloseCode::going_away, "");
    closed_by_owner.core.settle();
    EXPECT_FALSE(closed_by_owner.connection);
    EXPECT_EQ(closed_by_owner.sent_at_end, "");
}

TEST(ProxiedConnection, TakesNoSecondHeader) {
    Proxied client;
    client.deliver(kLine + kLine + kRequest);
    EXPECT_TRUE(client.core.ring.socket(client.file).sent.starts_with("HTTP/1.1 501 "))
        << "no method of ours";
    EXPECT_EQ(client.opens, 0U);
}

TEST(Connection, ThatIsNotMarkedGuessesNoHeader) {
    Proxied client;
    client.connection->abort();
    client.core.settle();
    client.connection = std::make_unique<HeldConnection>(client.endpoint, client);
    client.file = client.core.ring.open_socket();
    ASSERT_TRUE(client.connection->open(client.file, {}));
    client.deliver(kBlock + kRequest);
    EXPECT_TRUE(client.core.ring.socket(client.file).sent.starts_with("HTTP/1.1 400 "));
    EXPECT_EQ(client.peer_at_request, "");
}

}  // namespace
}  // namespace rc::ws
