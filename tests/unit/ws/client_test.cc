#include "ringcast/ws/client.h"

#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <vector>

#include "../../support/fake_core.h"
#include "ringcast/http/head_parser.h"
#include "ringcast/ws/handshake.h"

namespace rc::ws {
namespace {

struct Client final : ClientHandler {
    Client() : endpoint(core.streams, "there:80", "/ws", 7) {
        file = core.ring.open_socket();
        connection.emplace(endpoint, *this);
        EXPECT_TRUE(connection->open(file));
        core.settle();
    }
    ~Client() {
        if (connection) connection->abort();
        core.settle();
        EXPECT_TRUE(closed);
        EXPECT_EQ(core.streams.open_streams(), 0U);
    }
    void on_open() override { ++opens; }
    void on_message(Opcode, std::string_view payload) override {
        messages.emplace_back(payload);
        if (abort_on_message) connection->abort();
    }
    void on_ending(const Ending& ending) override {
        EXPECT_EQ(endings, 0);
        ++endings;
        why = ending.why;
        code = ending.code;
        reason = ending.reason;
    }
    void on_closed() override {
        EXPECT_EQ(endings, 1);
        closed = true;
        connection.reset();
    }

    test::FakeSocket& socket() { return core.ring.socket(file); }
    std::string answer() const {
        return "HTTP/1.1 101 Switching Protocols\r\nupgrade: WebSocket\r\nConnection: Upgrade\r\n"
               "sec-websocket-ACCEPT:  " +
               endpoint.accept + " \r\n\r\n";
    }
    void receive(const std::string& bytes, size_t piece = 4096) {
        socket().deliver_in_pieces(bytes, piece);
        core.settle();
    }
    void upgrade() {
        receive(answer());
        socket().take_sent();
    }
    /// What a server reads of it.
    std::vector<std::string> frames() {
        struct Sink final : CodecSink {
            void on_message(Opcode, std::string_view payload) override {
                seen.push_back("text " + std::string(payload));
            }
            void on_ping(std::string_view payload) override {
                seen.push_back("ping " + std::string(payload));
            }
            void on_pong(std::string_view payload) override {
                seen.push_back("pong " + std::string(payload));
            }
            void on_close(const CloseBody& body) override {
                seen.push_back("close " + std::to_string(body.code));
            }
            void on_failure(CloseCode, std::string_view why) override { seen.emplace_back(why); }
            std::vector<std::string> seen;
        } sink;
        FramePool pool;
        Decoder decoder;
        decoder.feed(pool, {}, socket().take_sent(), sink);
        return sink.seen;
    }

    test::FakeCore core;
    ClientEndpoint endpoint;
    io::File file;
    int opens = 0, endings = 0;
    bool closed = false, abort_on_message = false;
    std::vector<std::string> messages;
    Ending::Why why{};
    uint16_t code = 0;
    std::string reason;
    std::optional<ClientConnection> connection;
};

using Frames = std::vector<std::string>;

TEST(WsClient, AsksForAnUpgradeThatAServerGrants) {
    Client client;
    auto const request = client.socket().take_sent();
    http::HeadParser parser(8192);
    size_t consumed = 0;
    ASSERT_EQ(parser.feed(request, consumed), http::HeadParser::State::complete);
    EXPECT_TRUE(check_upgrade(parser.head()).upgrade());
    EXPECT_EQ(parser.head().target, "/ws");
    EXPECT_EQ(parser.head().header("host"), "there:80");
    EXPECT_EQ(accept_value(*parser.head().header("sec-websocket-key")), client.endpoint.accept);
    client.receive(switching_response(*parser.head().header("sec-websocket-key")));
    EXPECT_EQ(client.opens, 1);
}

TEST(WsClient, ReadsAnAnswerAndWhatFollowsItInWhateverPieces) {
    for (size_t piece : {1, 2, 3, 7, 100, 4096}) {
        Client client;
        client.receive(
            client.answer() + encode_frame(Opcode::text, "hello") + encode_frame(Opcode::text, "world"),
            piece);
        EXPECT_EQ(client.opens, 1);
        EXPECT_EQ(client.messages, (Frames{"hello", "world"})) << piece;
    }
}

TEST(WsClient, IsRefusedWithTheStatus) {
    Client client;
    client.receive("HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n");
    EXPECT_EQ(client.why, Ending::Why::refused);
    EXPECT_EQ(client.code, 503);
    EXPECT_EQ(client.reason, "HTTP/1.1 503 Service Unavailable");
    EXPECT_TRUE(client.closed);
    EXPECT_EQ(client.opens, 0);
}

TEST(WsClient, TakesNoAcceptOfAnotherKey) {
    Client client;
    auto answer = client.answer();
    answer.replace(answer.find(client.endpoint.accept), 4, "AAAA");
    client.receive(answer);
    EXPECT_EQ(client.why, Ending::Why::broken);
    EXPECT_EQ(client.opens, 0);
}

TEST(WsClient, TakesNoEndlessAnswer) {
    Client client;
    client.receive("HTTP/1.1 101 Switching Protocols\r\nX: " + std::string(20'000, 'x'));
    EXPECT_EQ(client.why, Ending::Why::refused);
}

TEST(WsClient, MasksWhatItSends) {
    Client client;
    client.upgrade();
    client.connection->send_text("hello");
    client.core.settle();
    EXPECT_EQ(client.socket().sent.find("hello"), std::string::npos);
    EXPECT_EQ(client.frames(), Frames{"text hello"});
}

TEST(WsClient, AnswersPings) {
    Client client;
    client.upgrade();
    client.receive(encode_frame(Opcode::ping, "x"));
    EXPECT_EQ(client.frames(), Frames{"pong x"});
}

TEST(WsClient, RefusesMaskedFrames) {
    Client client;
    client.upgrade();
    client.receive(encode_masked_frame(Opcode::text, "x", {1, 2, 3, 4}));
    EXPECT_EQ(client.why, Ending::Why::broken);
    EXPECT_TRUE(client.messages.empty());
}

TEST(WsClient, AnswersACloseAndWaitsForTheServersEnd) {
    Client client;
    client.upgrade();
    client.receive(encode_close(CloseCode::policy, "enough"));
    EXPECT_EQ(client.why, Ending::Why::closed);
    EXPECT_EQ(client.code, 1008);
    EXPECT_EQ(client.reason, "enough");
    EXPECT_EQ(client.frames(), Frames{"close 1008"});
    EXPECT_FALSE(client.closed);
    client.socket().deliver_end();
    client.core.settle();
    EXPECT_TRUE(client.closed);
}

TEST(WsClient, ClosesInItsTurn) {
    Client client;
    client.upgrade();
    client.connection->send_text("last");
    client.connection->close(CloseCode::normal);
    client.connection->send_text("too late");
    client.core.settle();
    EXPECT_EQ(client.frames(), (Frames{"text last", "close 1000"}));
    EXPECT_EQ(client.why, Ending::Why::asked);
    client.receive(encode_frame(Opcode::text, "late") + encode_close(CloseCode::normal, {}));
    EXPECT_TRUE(client.messages.empty());
    client.socket().deliver_end();
    client.core.settle();
    EXPECT_TRUE(client.closed);
}

TEST(WsClient, SaysThatItWasLost) {
    for (bool upgraded : {false, true}) {
        Client client;
        if (upgraded) client.upgrade();
        client.socket().reset();
        client.core.settle();
        EXPECT_EQ(client.why, Ending::Why::lost);
        EXPECT_TRUE(client.closed);
    }
    Client client;
    client.upgrade();
    client.socket().deliver_end();
    client.core.settle();
    EXPECT_EQ(client.why, Ending::Why::lost);
}

TEST(WsClient, MayBeAbortedInsideAMessage) {
    Client client;
    client.abort_on_message = true;
    client.upgrade();
    client.receive(encode_frame(Opcode::text, "1") + encode_frame(Opcode::text, "2"));
    EXPECT_EQ(client.messages, Frames{"1"});
    EXPECT_EQ(client.why, Ending::Why::asked);
    EXPECT_TRUE(client.closed);
}

}  // namespace
}  // namespace rc::ws
