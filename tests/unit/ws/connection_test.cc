#include "connection_client.h"

namespace rc::ws {
namespace {

// --- the handshake

TEST(Connection, UpgradesWhereverTheRequestIsCut) {
    for (size_t cut = 1; cut < kRequest.size(); ++cut) {
        Client client;
        client.open();
        client.deliver(kRequest.substr(0, cut));
        EXPECT_TRUE(client.connection->in_handshake());
        EXPECT_EQ(client.socket().sent, "");
        client.deliver(kRequest.substr(cut));
        ASSERT_EQ(client.opens, 1U) << cut;
        ASSERT_TRUE(client.socket().sent.starts_with(kAnswer));
        ASSERT_NE(client.socket().sent.find("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="), std::string::npos);
        ASSERT_EQ(client.path, "/ws");
    }
}

TEST(Connection, UpgradesByteByByteAndTakesTheFirstFrameFromTheSamePacket) {
    Client by_byte(1);
    by_byte.open();
    by_byte.deliver(std::string(kRequest) + text("first"));
    EXPECT_EQ(by_byte.messages, Events{"first"});

    Client at_once;
    at_once.greet = true;
    at_once.open();
    at_once.deliver(std::string(kRequest) + text("first") + text("second"));
    EXPECT_EQ(at_once.messages, (Events{"first", "second"}));
    auto const sent = at_once.socket().take_sent();
    EXPECT_EQ(decode_whole(sent.substr(sent.find("\r\n\r\n") + 4), {.peer_role = Role::server}),
              Events{"text hello"});
}

TEST(Connection, RefusesWithAnAnswerThenFin) {
    struct Case {
        std::string request;
        std::string_view status;
    };
    auto replaced = [](std::string_view from, std::string_view to) {
        std::string request(kRequest);
        return request.replace(request.find(from), from.size(), to);
    };
    for (const auto& [request, status] : std::initializer_list<Case>{
             {replaced("GET", "PUT"), "405"},
             {replaced("Version: 13", "Version: 8"), "426"},
             {replaced("Upgrade: websocket", "X: y"), "426"},
             {replaced("dGhl", "!!!!"), "400"},
             {replaced(" HTTP/1.1", ""), "400"},
             {replaced("Host: a", "Cookie: " + std::string(limits::kHeaderBytes, 'x')), "431"}}) {
        SCOPED_TRACE(request.substr(0, 40));
        Client client;
        client.open();
        client.deliver(request);
        EXPECT_TRUE(client.socket().sent.starts_with("HTTP/1.1 " + std::string(status)))
            << client.socket().sent;
        EXPECT_TRUE(client.socket().fin_sent);
        EXPECT_FALSE(client.closed) << "the peer shall read the answer";
        client.deliver("what still comes is thrown away");
        client.deliver_end();
        EXPECT_TRUE(client.closed);
        EXPECT_EQ(client.opens + client.closings, 0U);
        EXPECT_EQ(client.endpoint.metrics.refused.value(), 1U);
    }
}

TEST(Connection, RefusesWithItsOwnersWords) {
    Client client;
    client.verdict = {false, "HTTP/1.1 404 Not Found\r\n\r\n"};
    client.open();
    client.deliver(kRequest);
    EXPECT_EQ(client.socket().sent, client.verdict.response);
    client.core.advance(seconds(2) - kTick);
    EXPECT_FALSE(client.closed);
    client.core.advance(2 * kTick);
    EXPECT_TRUE(client.closed);
}

TEST(Connection, AHandshakeHasTenSecondsHoweverItTrickles) {
    for (bool trickle : {false, true}) {
        Client client;
        client.open();
        for (size_t i = 0; i < 9; ++i) {
            if (trickle) client.deliver(kRequest.substr(i, 1));
            client.core.advance(seconds(1));
        }
        client.core.advance(seconds(1) - kTick);
        EXPECT_FALSE(client.closed);
        client.core.advance(2 * kTick);
        EXPECT_TRUE(client.closed);
        EXPECT_EQ(client.socket().sent, "");
    }
}

TEST(Connection, AVerdictBehindItsAbortOpensNothing) {
    Client client;
    client.verdict.pending = true;
    client.open();
    client.deliver(kRequest);
    client.connection->abort();
    client.connection->answer_request({});
    EXPECT_EQ(client.opens, 0U);
    EXPECT_FALSE(client.connection->is_open());
    client.core.settle();
    EXPECT_TRUE(client.closed);
    EXPECT_EQ(client.socket().take_sent(), "");
    EXPECT_EQ(client.endpoint.metrics.handshakes.value(), 0U);
}

TEST(Connection, AnOpenConnectionMayBeIdle) {
    Client client;
    client.upgrade();
    client.core.advance(hours(1));
    client.deliver(text("still here"));
    EXPECT_EQ(client.messages, Events{"still here"});
}

TEST(Connection, IsRefusedWhenTheCoreHasNoSlot) {
    Client client(4096, {}, 0);
    EXPECT_FALSE(client.connection->open(client.file, {}));
    client.connection.reset();
}

TEST(Connection, ThePeersFinEndsAHandshake) {
    Client client;
    client.open();
    client.deliver(kRequest.substr(0, 30));
    client.deliver_end();
    EXPECT_TRUE(client.closed);
    EXPECT_EQ(client.closings, 0U);
}

// --- the message deadline

struct Deadline : ::testing::Test {
    Deadline() { client.upgrade(); }
    void expect_timeout_at(Duration after) {
        client.core.advance(after - kTick);
        EXPECT_EQ(client.closings, 0U);
        EXPECT_EQ(client.socket().sent, "");
        client.core.advance(2 * kTick);
        EXPECT_EQ(client.closings, 1U);
        EXPECT_EQ(client.frames(), Events{"close 1008 message_timeout"});
        EXPECT_TRUE(client.socket().fin_sent);
    }
    Client client;
};

TEST_F(Deadline, AFrameThatIsNotCompletedEndsTheConnectionAfterTenSeconds) {
    client.deliver(text("abcdef").substr(0, 1));
    expect_timeout_at(seconds(10));
}

TEST_F(Deadline, TricklingBytesDoNotExtendIt) {
    auto const wire = text("abcdefghij");
    for (size_t i = 0; i < 9; ++i) {
        client.deliver(std::string_view(wire).substr(i, 1));
        client.core.advance(seconds(1));
    }
    expect_timeout_at(seconds(1));
}

TEST_F(Deadline, FragmentsAndFramesBetweenThemDoNotExtendIt) {
    client.deliver(text("a", false));
    for (size_t i = 0; i < 9; ++i) {
        client.core.advance(seconds(1));
        client.deliver(masked(Opcode::continuation, "b", false) + masked(Opcode::pong, "p"));
    }
    expect_timeout_at(seconds(1));
}

TEST_F(Deadline, EachMessageHasItsOwn) {
    auto const wire = text("abc");
    for (size_t i = 0; i < 5; ++i) {
        client.deliver(std::string_view(wire).substr(0, 2));
        client.core.advance(seconds(6));
        client.deliver(std::string_view(wire).substr(2));
        client.core.advance(seconds(6));
    }
    EXPECT_EQ(client.messages.size(), 5U);
    // The end of one and the beginning of the next in one packet.
    client.deliver(std::string_view(wire).substr(0, 2));
    for (size_t i = 0; i < 5; ++i) {
        client.core.advance(seconds(6));
        client.deliver(std::string(wire.substr(2)) + wire.substr(0, 2));
    }
    EXPECT_EQ(client.messages.size(), 10U);
    expect_timeout_at(seconds(10));
}

TEST_F(Deadline, AMessageBehindACutControlFrameCountsFromItsOwnFirstByte) {
    auto const ping = masked(Opcode::ping, "p");
    auto const wire = text("abc");
    client.deliver(std::string_view(ping).substr(0, 3));
    client.core.advance(seconds(9));
    client.deliver(ping.substr(3) + wire.substr(0, 2));
    EXPECT_EQ(client.frames(), Events{"pong p"});
    expect_timeout_at(seconds(10));
}

// --- a paused receive

TEST_F(Deadline, StandsStillWhilePausedAndBeginsAnewThen) {
    client.deliver(text("abc").substr(0, 3));
    client.core.advance(seconds(9));
    client.connection->pause_receive();
    client.core.advance(minutes(10));
    EXPECT_TRUE(client.connection->is_open());
    client.connection->resume_receive();
    client.core.settle();
    expect_timeout_at(seconds(10));
}

TEST(Connection, TakesNoMoreMessagesWhilePaused) {
    Client client(8);
    client.upgrade();
    client.pause_on_message = true;
    auto const wire = text("one") + text("two") + text("three");
    client.deliver(wire);
    EXPECT_LT(client.messages.size(), 3U);
    client.pause_on_message = false;
    client.connection->resume_receive();
    client.core.settle();
    EXPECT_EQ(client.messages, (Events{"one", "two", "three"}));
}

TEST(Connection, HearsThePeersCloseAlthoughItWasPaused) {
    Client client;
    client.upgrade();
    client.connection->pause_receive();
    client.core.settle();
    client.connection->close(CloseCode::policy, "");
    client.connection->pause_receive();
    client.core.settle();
    client.deliver(close_frame(1008));
    EXPECT_TRUE(client.closed);
}

TEST(Connection, WithoutAMessageTimeoutAMessageMayTakeAnyTime) {
    Client client;
    client.endpoint.options.message_timeout = Duration::zero();
    client.upgrade();
    client.deliver(text("abc").substr(0, 3));
    client.core.advance(minutes(60));
    client.deliver(text("abc").substr(3));
    EXPECT_EQ(client.messages.size(), 1U);
}

// --- its owner's times

/// A connection whose owner has times of its own.
struct Waiting final : Connection {
    explicit Waiting(Client& client) : Connection(client.endpoint), due(now() + seconds(4)) {
        EXPECT_TRUE(open(client.file, {}));
    }
    [[nodiscard]] MonoTime now() const { return reactor().now(); }
    void move_due(MonoTime time) {
        due = time;
        rearm();
    }
    RequestVerdict on_request(const http::RequestHead&) override { return {}; }
    void on_open() override {}
    void on_message(Opcode, std::string_view) override { ++messages; }
    void on_control_frame() override {}
    void on_drained() override {}
    void on_closing() override { ended = now(); }
    void on_closed() override { closed = true; }
    [[nodiscard]] MonoTime next_due() const override { return due; }
    void on_due() override {
        if (now() < due) return;
        times.push_back(now());
        due += seconds(4);
    }
    MonoTime due;
    std::vector<MonoTime> times;
    uint32_t messages = 0;
    std::optional<MonoTime> ended;
    bool closed = false;
};

// One timer serves both, whichever is first.
TEST(Connection, ItsOwnersTimesAndAMessagesDeadlineDoNotDisturbEachOther) {
    constexpr Duration kLate = 2 * io::TimerWheel::kTick;
    Client client;
    Waiting waiting(client);
    client.core.settle();
    client.deliver(kRequest);
    auto const start = waiting.now();
    client.core.advance(seconds(9));
    ASSERT_EQ(waiting.times.size(), 2U);
    EXPECT_LE(waiting.times[0] - (start + seconds(4)), kLate);
    EXPECT_LE(waiting.times[1] - (start + seconds(8)), kLate);

    // A message of two pieces, with one of the owner's times between them; then one that stays half.
    auto const whole = text("message");
    client.deliver(whole.substr(0, 3));
    client.core.advance(seconds(5));
    EXPECT_EQ(waiting.times.size(), 3U);
    client.deliver(whole.substr(3));
    EXPECT_EQ(waiting.messages, 1U);
    client.core.advance(seconds(9));
    EXPECT_FALSE(waiting.ended) << "a deadline outlived its message";
    EXPECT_EQ(waiting.times.size(), 5U);
    auto const half_since = waiting.now();
    client.deliver(whole.substr(0, 3));
    waiting.move_due(waiting.now() + hours(1));
    client.core.advance(seconds(11));
    ASSERT_TRUE(waiting.ended);
    EXPECT_GE(*waiting.ended - half_since, seconds(10));
    EXPECT_LE(*waiting.ended - half_since, seconds(10) + kLate);
    EXPECT_EQ(waiting.times.size(), 5U);
    client.core.advance(seconds(6));
    EXPECT_TRUE(waiting.closed);
}

// --- control frames and failures

TEST(Connection, AnswersPingsInOrderAndTellsItsOwner) {
    Client client;
    client.upgrade();
    client.deliver(masked(Opcode::ping, "1") + text("a") + masked(Opcode::ping, "2") +
                   masked(Opcode::pong, "3"));
    EXPECT_EQ(client.frames(), (Events{"pong 1", "pong 2"}));
    EXPECT_EQ(client.control_frames, 3U);
}

TEST(Connection, AtMostTenPongsWait) {
    Client client;
    client.upgrade();
    client.socket().window = 0;
    Events expected;
    for (int i = 0; i < 25; ++i) {
        client.deliver(masked(Opcode::ping, std::to_string(i)));
        if (i < 10) expected.push_back("pong " + std::to_string(i));
    }
    client.socket().window = test::FakeSocket::kUnlimited;
    client.core.settle();
    EXPECT_EQ(client.frames(), expected);
    EXPECT_EQ(client.control_frames, 25U);
    client.deliver(masked(Opcode::ping, "again"));
    EXPECT_EQ(client.frames(), Events{"pong again"});
}

TEST(Connection, AFailureIsACloseFrameWithItsCodeThenFin) {
    struct Case {
        std::string wire;
        std::string_view close;
    };
    for (const auto& [wire, code] :
         std::initializer_list<Case>{{encode_frame(Opcode::text, "not masked"), "close 1002"},
                                     {masked(Opcode::continuation, "of nothing"), "close 1002"},
                                     {masked(Opcode::binary, "b"), "close 1003"},
                                     {text("\xff"), "close 1007"},
                                     {text(std::string(17, 'x')), "close 1009"},
                                     {masked(Opcode::close, "x"), "close 1002"}}) {
        SCOPED_TRACE(code);
        Client client(4096, {.message_bytes_max = 16, .accept_binary = false});
        client.upgrade();
        client.deliver(text("before") + wire + text("behind"));
        EXPECT_EQ(client.messages, Events{"before"});
        auto const frames = client.frames();
        ASSERT_EQ(frames.size(), 1U);
        EXPECT_TRUE(frames[0].starts_with(code)) << frames[0];
        EXPECT_TRUE(client.socket().fin_sent);
        EXPECT_EQ(client.closings, 1U);
        client.deliver(text("ignored"));
        client.core.advance(seconds(5) + kTick);
        EXPECT_TRUE(client.closed);
        EXPECT_EQ(client.endpoint.metrics.protocol_failures.value(), 1U);
    }
}

TEST(Connection, AFailureBehindItsOwnCloseEndsTheWaiting) {
    Client client;
    client.upgrade();
    client.connection->close(CloseCode::policy, "");
    client.core.settle();
    client.frames();
    client.deliver(encode_frame(Opcode::text, "not masked"));
    EXPECT_TRUE(client.socket().fin_sent);
    EXPECT_EQ(client.socket().sent, "");
    client.deliver_end();
    EXPECT_TRUE(client.closed);
}

TEST(Connection, EndsWellWhateverThePeerAndItsOwnerDo) {
    for (uint64_t seed = 1; seed <= 300; ++seed) {
        SCOPED_TRACE(seed);
        test::FakeEntropy random(seed);
        Client client(1 + random.next() % 64);
        client.core.ring.shuffle(&random);
        client.open();
        client.deliver(kRequest);
        client.socket().window = random.next() % 200;
        bool ended = false;
        for (int i = 0; i < 40; ++i) {
            switch (random.next() % 12) {
                case 0:
                case 1:
                case 2:
                    if (ended) break;
                    switch (random.next() % 6) {
                        case 0: client.socket().deliver(text("a")); break;
                        case 1: client.socket().deliver(text("b", false)); break;
                        case 2: client.socket().deliver(masked(Opcode::ping, "p")); break;
                        case 3: client.socket().deliver(masked(Opcode::continuation, "c")); break;
                        case 4: client.socket().deliver(text("cut").substr(0, 1 + random.next() % 6)); break;
                        default:
                            if (random.next() % 4 == 0) client.socket().deliver(close_frame(1000));
                            break;
                    }
                    break;
                case 3:
                case 4:
                    if (client.connection) client.send("hello");
                    break;
                case 5: client.socket().window += random.next() % 20; break;
                case 6:
                    if (client.connection && random.next() % 5 == 0)
                        client.connection->close(CloseCode::policy, "x");
                    break;
                case 7:
                    if (random.next() % 10 == 0 && !ended) {
                        client.socket().deliver_end();
                        ended = true;
                    }
                    break;
                case 8:
                    if (random.next() % 20 == 0) client.socket().reset();
                    break;
                case 9:
                    if (client.connection && random.next() % 5 == 0) client.connection->drop_unsent();
                    break;
                default: client.core.advance(milliseconds(random.next() % 2000)); break;
            }
        }
        if (client.connection) client.connection->close(CloseCode::normal, "");
        client.core.advance(seconds(5) + kTick);
        EXPECT_TRUE(client.closed);
        EXPECT_LE(client.closings, 1U);
        client.core.ring.shuffle(nullptr);
    }
}

}  // namespace
}  // namespace rc::ws
