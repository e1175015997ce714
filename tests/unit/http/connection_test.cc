#include "ringcast/http/connection.h"

#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <vector>

#include "../../support/fake_core.h"

namespace rc::http {
namespace {

using namespace std::string_view_literals;
constexpr uint64_t kBodyMax = 256 * 1024;
constexpr Duration kTick = io::TimerWheel::kTick;

/// Echoes `<path>|<body>`: at once, or when the test says so.
struct App final : RequestHandler {
    HeadVerdict on_head(const RequestHead& head, const net::PeerAddress&) override {
        ++heads;
        if (head.path == "/refuse") return HeadVerdict::refuse({.status = 401, .body = "who are you"});
        if (head.path == "/gone") {
            server->close_all();
            return HeadVerdict::accept(kBodyMax);
        }
        return HeadVerdict::accept(kBodyMax);
    }
    void on_request(RequestHandle handle, Request& request) override {
        std::string answer = std::string(request.head.path) + "|" + request.body;
        handled.push_back(answer);
        if (request.head.path == "/big") answer.append(big_bytes, 'x');
        waiting.push_back({handle, std::move(answer)});
        if (at_once) answer_next();
    }
    void on_abandoned(RequestHandle handle) override { abandoned.push_back(handle); }
    std::string error_body(int status, std::string_view message) override {
        EXPECT_FALSE(message.empty());
        return "{\"error\":" + std::to_string(status) + "}";
    }

    void answer_next() {
        auto [handle, body] = std::move(waiting.front());
        waiting.erase(waiting.begin());
        server->respond(handle, {.body = std::move(body), .close = close});
    }

    Server* server = nullptr;
    bool at_once = true, close = false;
    size_t big_bytes = 0;
    uint32_t heads = 0;
    std::vector<std::string> handled;
    std::vector<std::pair<RequestHandle, std::string>> waiting;
    std::vector<RequestHandle> abandoned;
};

struct World {
    explicit World(ServerLimits limits = {}, size_t buffer_bytes = 4096, uint32_t streams_max = 1024)
        : core(buffer_bytes, streams_max), server(core.reactor, core.streams, limits, app) {
        core.add_work(server);
        app.server = &server;
    }
    ~World() {
        server.close_all();
        core.settle();
        EXPECT_EQ(server.connections(), 0U);
        EXPECT_EQ(core.streams.open_streams(), 0U);
        EXPECT_EQ(server.metrics.body_bytes.value(), 0U);
        EXPECT_EQ(core.ring.operations(), 0U);
    }

    io::File connect() {
        auto const file = core.ring.open_socket();
        server.on_accept(file, {});
        core.settle();
        return file;
    }
    test::FakeSocket& socket(io::File file) { return core.ring.socket(file); }
    void deliver(io::File file, std::string_view bytes) {
        socket(file).deliver(bytes);
        core.settle();
    }
    /// What the bytes are answered with.
    std::string ask(io::File file, std::string_view bytes) {
        deliver(file, bytes);
        return socket(file).take_sent();
    }
    /// FIN was sent, and the socket is closed when the linger time is over.
    bool ends(io::File file) {
        bool const fin = socket(file).fin_sent || socket(file).closed;
        core.advance(seconds(2) + kTick);
        return fin && socket(file).closed;
    }

    test::FakeCore core;
    App app;
    Server server;
};

std::string get(std::string_view path, std::string_view fields = {}) {
    return "GET " + std::string(path) + " HTTP/1.1\r\nHost: a\r\n" + std::string(fields) + "\r\n";
}
std::string post(std::string_view path, std::string_view body) {
    return "POST " + std::string(path) +
           " HTTP/1.1\r\nHost: a\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" +
           std::string(body);
}
std::string ok(std::string_view body, std::string_view connection = {}) {
    return "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: " +
           std::to_string(body.size()) + "\r\n" + std::string(connection) + "\r\n" + std::string(body);
}
constexpr std::string_view kClose = "Connection: close\r\n";

/// Each status line's status, in order. Bodies of these tests hold none.
std::vector<int> statuses(std::string_view sent) {
    std::vector<int> out;
    for (size_t at = 0; (at = sent.find("HTTP/1.1 ", at)) != std::string_view::npos; at += 9)
        out.push_back(std::stoi(std::string(sent.substr(at + 9, 3))));
    return out;
}

// --- Requests and answers

TEST(HttpConnection, AnswersARequestAndWaitsForTheNext) {
    World world;
    auto const file = world.connect();
    EXPECT_EQ(world.ask(file, get("/a")), ok("/a|"));
    EXPECT_EQ(world.ask(file, post("/b", "hello")), ok("/b|hello"));
    EXPECT_FALSE(world.socket(file).fin_sent);
    EXPECT_EQ(world.server.metrics.requests.value(), 2U);
    EXPECT_EQ(world.server.metrics.responses[2].value(), 2U);
}

TEST(HttpConnection, APipelineIsAnsweredTheSameHoweverItIsCut) {
    std::string const pipeline = post("/1", "one") + get("/2") +
                                 "POST /3 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
                                 "3\r\nabc\r\n2;x=y\r\nde\r\n0\r\nT: v\r\n\r\n" +
                                 get("/refuse") + "HEAD /4 HTTP/1.1\r\nHost: a\r\n\r\n" +
                                 get("/5", "Connection: close\r\n");
    auto const expected = ok("/1|one") + ok("/2|") + ok("/3|abcde") +
                          "HTTP/1.1 401 Unauthorized\r\nContent-Type: application/json\r\n"
                          "Content-Length: 11\r\n\r\nwho are you"
                          "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 3\r\n\r\n" +
                          ok("/5|", kClose);
    for (bool const at_once : {true, false}) {
        World world;
        world.app.at_once = at_once;
        auto const converse = [&](auto deliver) {
            auto const file = world.connect();
            deliver(world.socket(file));
            for (int i = 0; i < 6; ++i) {
                world.core.settle();
                if (!world.app.waiting.empty()) world.app.answer_next();
            }
            world.core.settle();
            EXPECT_TRUE(world.socket(file).fin_sent);
            world.socket(file).deliver_end();
            world.core.settle();
            EXPECT_TRUE(world.socket(file).closed);
            return world.socket(file).sent;
        };
        EXPECT_EQ(converse([&](auto& socket) { socket.deliver(pipeline); }), expected);
        EXPECT_EQ(converse([&](auto& socket) { socket.deliver_in_pieces(pipeline, 1); }), expected);
        for (size_t cut = 1; cut < pipeline.size(); ++cut) {
            auto const sent = converse([&](auto& socket) {
                socket.deliver(std::string_view(pipeline).substr(0, cut));
                socket.deliver(std::string_view(pipeline).substr(cut));
            });
            ASSERT_EQ(sent, expected) << "cut at " << cut;
        }
    }
}

TEST(HttpConnection, AHundredPipelinedRequestsAreAnsweredInOrderOneATurn) {
    World world;
    auto const file = world.connect();
    std::string pipeline, expected;
    for (int i = 0; i < 100; ++i) {
        pipeline += post("/" + std::to_string(i), "b");
        expected += ok("/" + std::to_string(i) + "|b");
    }
    world.socket(file).deliver(pipeline);
    world.core.turn();
    world.core.turn();
    EXPECT_LE(world.app.handled.size(), 3U);  // others get their turns in between
    world.core.settle();
    EXPECT_EQ(world.socket(file).sent, expected);
}

TEST(HttpConnection, TheThousandthAnswerClosesAndTheNextRequestIsNotRead) {
    World world;
    auto const file = world.connect();
    std::string pipeline;
    for (int i = 0; i < 1001; ++i)
        pipeline += get("/" + std::to_string(i));
    auto const sent = world.ask(file, pipeline);
    EXPECT_EQ(statuses(sent).size(), 1000U);
    EXPECT_EQ(sent.find("Connection: close"), sent.rfind("Connection: close"));
    EXPECT_TRUE(sent.ends_with(ok("/999|", kClose)));
    EXPECT_EQ(world.app.heads, 1000U);
    EXPECT_TRUE(world.ends(file));
}

TEST(HttpConnection, NothingFurtherIsReadWhileARequestIsUnderWay) {
    World world({}, 512);
    world.app.at_once = false;
    auto const file = world.connect();
    world.deliver(file, get("/1"));
    EXPECT_TRUE(world.socket(file).receiving());  // so that a reset is noticed
    world.deliver(file, std::string(100'000, 'x'));
    EXPECT_EQ(world.app.handled.size(), 1U);
    EXPECT_FALSE(world.socket(file).receiving());
    EXPECT_EQ(world.socket(file).unread_bytes(), 100'000U - 512);
}

TEST(HttpConnection, AnAnswerOfALaterTurnGoesOutWithThatTurn) {
    World world;
    world.app.at_once = false;
    auto const file = world.connect();
    EXPECT_EQ(world.ask(file, get("/late")), "");
    world.core.advance(minutes(2));  // the handler's time is its own
    EXPECT_FALSE(world.socket(file).fin_sent);
    world.app.answer_next();
    world.core.settle();
    EXPECT_EQ(world.socket(file).take_sent(), ok("/late|"));
}

TEST(HttpConnection, HandlesOfAnsweredRequestsAreStale) {
    World world;
    world.app.at_once = false;
    auto const file = world.connect();
    world.deliver(file, get("/1"));
    auto const first = world.app.waiting.front().first;
    world.app.answer_next();
    world.server.respond(first, {.body = "twice"});
    world.core.settle();
    EXPECT_EQ(world.socket(file).take_sent(), ok("/1|"));
    world.deliver(file, get("/2"));
    world.server.respond(first, {.body = "of the one before"});
    world.server.respond({}, {.body = "of nobody"});
    world.core.settle();
    EXPECT_EQ(world.socket(file).take_sent(), "");
    world.app.answer_next();
    world.core.settle();
    EXPECT_EQ(world.socket(file).take_sent(), ok("/2|"));
    EXPECT_EQ(world.server.metrics.late_responses.value(), 3U);
}

TEST(HttpConnection, KeepsAliveAsTheVersionAndTheHandlerSay) {
    struct Row {
        std::string_view request, connection;
        bool handler_closes, stays;
    };
    constexpr std::array rows{
        Row{"GET / HTTP/1.1\r\nHost: a\r\n\r\n", "", false, true},
        Row{"GET / HTTP/1.1\r\nHost: a\r\nConnection: keep-alive\r\n\r\n", "", false, true},
        Row{"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", kClose, false, false},
        Row{"GET / HTTP/1.1\r\nHost: a\r\n\r\n", kClose, true, false},
        Row{"GET / HTTP/1.0\r\nHost: a\r\n\r\n", kClose, false, false},
        Row{"GET / HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\n\r\n", "Connection: keep-alive\r\n",
            false, true},
        Row{"GET / HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\n\r\n", kClose, true, false},
    };
    for (const auto& row : rows) {
        World world;
        world.app.close = row.handler_closes;
        auto const file = world.connect();
        EXPECT_EQ(world.ask(file, row.request), ok("/|", row.connection)) << row.request;
        EXPECT_EQ(world.socket(file).fin_sent, !row.stays) << row.request;
        if (!row.stays) {
            EXPECT_TRUE(world.ends(file));
        }
    }
}

TEST(HttpConnection, SendsContinueOnceTheHeadIsAcceptedAndTheBodyIsAwaited) {
    std::string const head =
        "POST /p HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n";
    World world;
    auto file = world.connect();
    EXPECT_EQ(world.ask(file, head), "HTTP/1.1 100 Continue\r\n\r\n");
    EXPECT_EQ(world.ask(file, "abc"), ok("/p|abc"));
    EXPECT_EQ(world.ask(file, head + "abc"), ok("/p|abc"));  // it did not wait for a word

    std::string refused = head;
    refused.replace(5, 2, "/refuse");
    EXPECT_EQ(statuses(world.ask(file, refused)), std::vector{401});
    EXPECT_TRUE(world.ends(file));
}

// --- Refusals

TEST(HttpConnection, RefusesAHeadBeforeItsBodyAndLingersForThePeer) {
    World world;
    auto const file = world.connect();
    auto const sent = world.ask(file, "POST /refuse HTTP/1.1\r\nHost: a\r\nContent-Length: 200000\r\n\r\n");
    EXPECT_EQ(statuses(sent), std::vector{401});
    EXPECT_NE(sent.find(kClose), std::string::npos);
    EXPECT_TRUE(world.socket(file).fin_sent);
    EXPECT_EQ(world.app.handled.size(), 0U);
    // What still comes is thrown away, so that no reset overtakes the answer.
    world.deliver(file, std::string(100'000, 'x') + get("/smuggled"));
    EXPECT_EQ(world.socket(file).unread_bytes(), 0U);
    EXPECT_FALSE(world.socket(file).closed);
    EXPECT_EQ(world.app.heads, 1U);
    world.core.advance(seconds(1));
    world.socket(file).deliver_end();
    world.core.settle();
    EXPECT_TRUE(world.socket(file).closed);
}

TEST(HttpConnection, ALingeringPeerIsClosedAfterItsTime) {
    World world;
    auto const file = world.connect();
    world.deliver(file, "rubbish\r\n\r\n");
    world.core.advance(seconds(2) - kTick);
    EXPECT_FALSE(world.socket(file).closed);
    world.core.advance(kTick * 2);
    EXPECT_TRUE(world.socket(file).closed);
}

TEST(HttpConnection, BadRequestsAreAnsweredAndEndTheConnection) {
    auto const with = [](std::string_view fields, std::string_view body = {}) {
        return "POST /p HTTP/1.1\r\nHost: a\r\n" + std::string(fields) + "\r\n" + std::string(body);
    };
    constexpr auto chunked = "Transfer-Encoding: chunked\r\n"sv;
    struct Row {
        const char* name;
        std::string request;
        int status;
    };
    std::vector<Row> const rows{
        {"P1 one byte too long", with("Content-Length: 262145\r\n"), 413},
        {"P1 2^63", with("Content-Length: 9223372036854775808\r\n"), 413},
        {"P1 2^64", with("Content-Length: 18446744073709551616\r\n"), 400},
        {"P1 -1", with("Content-Length: -1\r\n"), 400},
        {"P1 +5", with("Content-Length: +5\r\n", "12345"), 400},
        {"P1 twice", with("Content-Length: 5\r\nContent-Length: 6\r\n", "12345"), 400},
        {"P2 oversize", with(chunked, "40001\r\n"), 413},
        {"P2 size overflow", with(chunked, "10000000000000000\r\n"), 400},
        {"P2 0x5", with(chunked, "0x5\r\nabcde\r\n0\r\n\r\n"), 400},
        {"P2 long extension", with(chunked, "5;" + std::string(10'240, 'e') + "\r\n"), 400},
        {"P2 bad CRLF", with(chunked, "3\r\nabcX\r\n0\r\n\r\n"), 400},
        {"P3 both framings", with("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", "12345"), 400},
        {"P3 xchunked", with("Transfer-Encoding: xchunked\r\n", "12345"), 501},
        {"long head", with("X: " + std::string(9'000, 'x') + "\r\n"), 431},
        {"long target", "GET /" + std::string(2'048, 'x') + " HTTP/1.1\r\nHost: a\r\n\r\n", 414},
        {"no host", "GET / HTTP/1.1\r\n\r\n", 400},
        {"version", "GET / HTTP/2.0\r\nHost: a\r\n\r\n", 505},
    };
    for (const auto& row : rows) {
        World world;
        auto const file = world.connect();
        auto const sent = world.ask(file, row.request + get("/smuggled"));
        ASSERT_EQ(statuses(sent), std::vector{row.status}) << row.name;
        EXPECT_NE(sent.find(kClose), std::string::npos) << row.name;
        EXPECT_TRUE(sent.ends_with("{\"error\":" + std::to_string(row.status) + "}")) << row.name;
        EXPECT_TRUE(world.app.handled.empty()) << row.name;
        EXPECT_TRUE(world.ends(file)) << row.name;
    }
}

TEST(HttpConnection, ABodyOfTheLargestSizeIsHandedOver) {
    std::string const body(kBodyMax, 'b');
    World world;
    auto const file = world.connect();
    world.deliver(file, post("/p", body));
    world.deliver(file, "POST /q HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n40000\r\n" + body +
                            "\r\n0\r\n\r\n");
    EXPECT_EQ(world.app.handled, (std::vector{"/p|" + body, "/q|" + body}));
}

// --- The peer's end

TEST(HttpConnection, AnIncompleteRequestIsDroppedAtThePeersEnd) {
    std::string const request = post("/p", "hello");
    for (size_t cut = 0; cut < request.size(); ++cut) {
        World world;
        auto const file = world.connect();
        if (cut > 0) world.socket(file).deliver(request.substr(0, cut));
        world.socket(file).deliver_end();
        world.core.settle();
        EXPECT_TRUE(world.socket(file).closed);
        EXPECT_EQ(world.socket(file).sent, "");
        EXPECT_TRUE(world.app.handled.empty() && world.app.abandoned.empty());
    }
}

TEST(HttpConnection, CompleteRequestsBeforeThePeersEndAreAnswered) {
    World world;
    world.app.at_once = false;
    auto const file = world.connect();
    world.socket(file).deliver(get("/1") + get("/2") + "GET /3 HT");
    world.socket(file).deliver_end();
    for (int i = 0; i < 2; ++i) {
        world.core.settle();
        ASSERT_EQ(world.app.waiting.size(), 1U);
        EXPECT_FALSE(world.socket(file).closed);
        world.app.answer_next();
    }
    world.core.settle();
    EXPECT_EQ(world.socket(file).sent, ok("/1|") + ok("/2|"));
    EXPECT_TRUE(world.socket(file).closed);
}

TEST(HttpConnection, AnEndWhileTheRequestIsUnderWayStillGetsTheAnswer) {
    World world;
    world.app.at_once = false;
    auto const file = world.connect();
    world.deliver(file, get("/1"));
    world.socket(file).deliver_end();
    world.core.settle();
    EXPECT_FALSE(world.socket(file).closed);
    world.app.answer_next();
    world.core.settle();
    EXPECT_EQ(world.socket(file).sent, ok("/1|"));
    EXPECT_TRUE(world.socket(file).closed);
    EXPECT_TRUE(world.app.abandoned.empty());
}

TEST(HttpConnection, AResetAbandonsTheRequestUnderWay) {
    World world;
    world.app.at_once = false;
    auto const file = world.connect();
    world.deliver(file, post("/1", "body"));
    auto const handle = world.app.waiting.front().first;
    world.socket(file).reset();
    world.core.settle();
    EXPECT_TRUE(world.socket(file).closed);
    EXPECT_EQ(world.app.abandoned, std::vector{handle});
    // Its slot is another's by now.
    auto const other = world.connect();
    world.deliver(other, get("/2"));
    EXPECT_EQ(world.app.waiting.back().first.connection.slot, handle.connection.slot);
    world.app.answer_next();
    world.core.settle();
    EXPECT_EQ(world.socket(other).sent, "");
    EXPECT_EQ(world.server.metrics.late_responses.value(), 1U);
}

TEST(HttpConnection, AHandlerMayCloseEverythingFromWithinItsCall) {
    World world;
    auto const file = world.connect();
    EXPECT_EQ(world.ask(file, post("/gone", "body") + get("/next")), "");
    EXPECT_TRUE(world.socket(file).closed);
    EXPECT_TRUE(world.app.handled.empty());
}

// --- Times

TEST(HttpConnection, AFirstHeadMustBeCompleteTenSecondsAfterTheAccept) {
    World world;
    auto const silent = world.connect();
    auto const slow = world.connect();
    world.core.advance(seconds(5));
    for (int second = 5; second < 9; ++second) {
        world.deliver(slow, "GET / HTTP"sv.substr(static_cast<size_t>(second) - 5, 1));
        world.core.advance(seconds(1));
    }
    world.core.advance(seconds(1) - kTick);
    EXPECT_FALSE(world.socket(silent).fin_sent);
    EXPECT_FALSE(world.socket(slow).fin_sent);
    world.core.advance(kTick * 2);
    EXPECT_TRUE(world.socket(silent).fin_sent);
    EXPECT_EQ(world.socket(silent).sent, "");
    EXPECT_EQ(statuses(world.socket(slow).sent), std::vector{408});
    EXPECT_EQ(world.server.metrics.timeouts.value(), 1U);
    EXPECT_TRUE(world.ends(silent));
    EXPECT_TRUE(world.ends(slow));
}

TEST(HttpConnection, ALaterHeadHasItsTimeFromItsFirstByte) {
    World world;
    auto const file = world.connect();
    world.ask(file, get("/1"));
    world.core.advance(seconds(60));
    EXPECT_EQ(world.ask(file, "G"), "");
    world.core.advance(seconds(10) - kTick);
    EXPECT_EQ(world.socket(file).take_sent(), "");
    world.core.advance(kTick * 2);
    EXPECT_EQ(statuses(world.socket(file).take_sent()), std::vector{408});
}

TEST(HttpConnection, AnIdleConnectionEndsSilentlyAfterItsTime) {
    World world;
    auto const file = world.connect();
    world.ask(file, get("/1"));
    world.core.advance(seconds(75) - kTick);
    EXPECT_FALSE(world.socket(file).fin_sent);
    world.core.advance(kTick * 2);
    EXPECT_TRUE(world.socket(file).fin_sent);
    EXPECT_EQ(world.socket(file).take_sent(), "");
    EXPECT_TRUE(world.ends(file));
}

TEST(HttpConnection, ABodyMustNotBeSilentForTenSeconds) {
    World world;
    auto const file = world.connect();
    std::string const head = "POST /p HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n";
    world.deliver(file, head + std::string(50'000, 'x'));  // ahead of its pace by 48 s
    world.core.advance(seconds(10) - kTick);
    world.deliver(file, "x");
    world.core.advance(seconds(10) - kTick);
    EXPECT_EQ(world.socket(file).sent, "");
    world.core.advance(kTick * 2);
    EXPECT_EQ(statuses(world.socket(file).sent), std::vector{408});
    EXPECT_TRUE(world.app.handled.empty());
    EXPECT_TRUE(world.ends(file));
}

TEST(HttpConnection, ABodyOfAByteASecondIsGivenUpAtTenSeconds) {
    World world;
    auto const file = world.connect();
    world.deliver(file, "POST /p HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n");
    for (int second = 0; second < 9; ++second) {
        world.core.advance(seconds(1));
        world.deliver(file, "x");
    }
    world.core.advance(seconds(1) - kTick);
    EXPECT_EQ(world.socket(file).sent, "");
    world.core.advance(kTick * 2);
    EXPECT_EQ(statuses(world.socket(file).sent), std::vector{408});
}

TEST(HttpConnection, ABodyThatKeepsItsPaceMayTakeLong) {
    World world;
    auto const file = world.connect();
    world.deliver(file, "POST /p HTTP/1.1\r\nHost: a\r\nContent-Length: 102400\r\n\r\n");
    for (int second = 0; second < 100; ++second) {
        world.core.advance(seconds(1));
        world.deliver(file, std::string(1024, 'x'));
    }
    EXPECT_EQ(statuses(world.socket(file).sent), std::vector{200});
}

TEST(HttpConnection, AReaderThatTakesNothingIsClosed) {
    World world;
    auto const file = world.connect();
    world.app.big_bytes = 100'000;
    world.socket(file).window = 50'000;
    world.deliver(file, get("/big"));
    for (int i = 0; i < 10; ++i) {  // slow, and yet it moves
        world.core.advance(seconds(25));
        world.socket(file).window += 1;
    }
    EXPECT_FALSE(world.socket(file).closed);
    world.core.advance(seconds(36));
    EXPECT_TRUE(world.socket(file).closed);
    EXPECT_EQ(world.server.metrics.timeouts.value(), 1U);
    EXPECT_EQ(world.socket(file).sent.size(), 50'010U);
}

TEST(HttpConnection, AnEndingReaderHasTheSameTime) {
    World world;
    auto const file = world.connect();
    world.app.big_bytes = 100'000;
    world.app.close = true;
    world.socket(file).window = 1;
    world.deliver(file, get("/big"));
    world.core.advance(seconds(29));
    EXPECT_FALSE(world.socket(file).closed);
    EXPECT_FALSE(world.socket(file).fin_sent);
    world.core.advance(seconds(7));
    EXPECT_TRUE(world.socket(file).closed);
}

// --- Amounts

TEST(HttpConnection, NoFurtherRequestIsReadWhileTooMuchIsUnsent) {
    World world;
    auto const file = world.connect();
    // An answer's head is below 1 KiB: the first leaves just less than the bound unsent, the second more.
    world.app.big_bytes = kUnsentBytesMax - 1024;
    world.socket(file).window = 0;
    world.deliver(file, get("/big"));
    world.deliver(file, get("/big"));
    EXPECT_EQ(world.app.handled.size(), 2U);
    world.deliver(file, get("/3") + get("/4"));
    world.deliver(file, get("/5"));
    EXPECT_EQ(world.app.handled.size(), 2U);
    EXPECT_GT(world.socket(file).unread_bytes(), 0U);
    world.socket(file).window = test::FakeSocket::kUnlimited;
    world.socket(file).send_max = 1000;
    world.core.settle();
    EXPECT_EQ(world.app.handled.size(), 5U);
    EXPECT_TRUE(world.socket(file).sent.ends_with(ok("/3|") + ok("/4|") + ok("/5|")));
}

TEST(HttpConnection, BodiesAreBoundedTogether) {
    ServerLimits limits;
    limits.body_bytes_max = 100'000;
    World world(limits);
    world.app.at_once = false;
    auto const one = world.connect(), two = world.connect(), three = world.connect();
    auto const head = [](size_t bytes) {
        return "POST /p HTTP/1.1\r\nHost: a\r\nContent-Length: " + std::to_string(bytes) + "\r\n\r\n";
    };
    world.deliver(one, head(60'000) + std::string(60'000, 'x'));  // held until it is answered
    EXPECT_EQ(world.app.handled.size(), 1U);
    world.deliver(two, head(40'001) + std::string(40'000, 'x'));
    EXPECT_EQ(world.server.metrics.body_bytes.value(), 100'000U);
    EXPECT_EQ(world.socket(two).sent, "");
    auto const sent = world.ask(three, head(1) + "x");
    EXPECT_EQ(statuses(sent), std::vector{503});
    EXPECT_NE(sent.find("Retry-After: 1\r\n"), std::string::npos);
    EXPECT_TRUE(world.ends(three));
    world.app.answer_next();
    EXPECT_EQ(world.server.metrics.body_bytes.value(), 40'000U);
    world.deliver(two, "x");
    EXPECT_EQ(world.app.handled.size(), 2U);
    world.socket(two).reset();
    world.core.settle();
    EXPECT_EQ(world.server.metrics.body_bytes.value(), 0U);
}

TEST(HttpConnection, ConnectionsAboveTheMaximumAreTold) {
    ServerLimits limits;
    limits.connections_max = 2;
    World world(limits);
    auto const one = world.connect(), two = world.connect(), three = world.connect();
    EXPECT_EQ(statuses(world.socket(three).sent), std::vector{503});
    EXPECT_NE(world.socket(three).sent.find(kClose), std::string::npos);
    EXPECT_EQ(world.ask(two, get("/")), ok("/|"));
    EXPECT_TRUE(world.ends(three));
    world.socket(one).reset();
    world.core.settle();
    EXPECT_EQ(world.ask(world.connect(), get("/")), ok("/|"));
    EXPECT_EQ(world.server.metrics.refused.value(), 1U);
    EXPECT_EQ(world.server.metrics.accepted.value(), 4U);
}

TEST(HttpConnection, AFloodAboveTheMaximumIsClosedWithoutAWord) {
    ServerLimits limits;
    limits.connections_max = 1;
    World world(limits);
    world.connect();
    std::vector<io::File> flood;
    for (uint32_t i = 0; i < kRefusedConnectionsMax + 1; ++i)
        flood.push_back(world.connect());
    EXPECT_EQ(statuses(world.socket(flood[kRefusedConnectionsMax - 1]).sent), std::vector{503});
    EXPECT_EQ(world.socket(flood[kRefusedConnectionsMax]).sent, "");
    EXPECT_TRUE(world.socket(flood[kRefusedConnectionsMax]).closed);
    EXPECT_EQ(world.server.connections(), 1U + kRefusedConnectionsMax);
    world.core.advance(seconds(3));
    EXPECT_EQ(world.server.connections(), 1U);
    EXPECT_EQ(statuses(world.socket(world.connect()).sent), std::vector{503});
}

TEST(HttpConnection, AFullStreamTableClosesWhoComes) {
    World world({}, 4096, 1);
    auto const one = world.connect(), two = world.connect();
    EXPECT_TRUE(world.socket(two).closed);
    EXPECT_EQ(world.server.connections(), 1U);
    EXPECT_EQ(world.server.metrics.refused.value(), 1U);
    EXPECT_EQ(world.ask(one, get("/")), ok("/|"));
}

TEST(HttpConnection, AShortageOfBuffersOnlyDelays) {
    World world;
    auto const file = world.connect();
    world.core.ring.exhaust_buffers(3);
    EXPECT_EQ(world.ask(file, post("/p", "body")), ok("/p|body"));
    EXPECT_EQ(world.core.ring.stats().buffer_shortages, 3U);
}

// --- Drain

TEST(HttpConnection, DrainEndsTheIdleAndAnswersTheRest) {
    World world;
    auto const fresh = world.connect(), idle = world.connect(), half = world.connect(),
               busy = world.connect();
    world.ask(idle, get("/1"));
    world.deliver(half, "GET /half HTTP/1.1\r\nHo");
    world.app.at_once = false;
    world.deliver(busy, get("/busy") + get("/never"));
    world.server.begin_drain();
    world.core.settle();
    EXPECT_TRUE(world.socket(fresh).closed);  // nobody waits for anything there: no lingering
    EXPECT_TRUE(world.socket(idle).closed);
    EXPECT_FALSE(world.socket(half).fin_sent);
    EXPECT_FALSE(world.socket(busy).fin_sent);
    world.app.answer_next();
    world.app.at_once = true;
    world.core.settle();
    EXPECT_EQ(world.socket(busy).take_sent(), ok("/busy|", kClose));
    EXPECT_EQ(world.ask(half, "st: a\r\n\r\n"), ok("/half|", kClose));
    auto const late = world.connect();
    EXPECT_EQ(world.ask(late, get("/late")), ok("/late|", kClose));
    world.core.advance(seconds(3));
    EXPECT_EQ(world.server.connections(), 0U);
}

TEST(HttpConnection, DrainEndsAConnectionThatIsStillBeingReadOnceItIsEmpty) {
    World world;
    auto const file = world.connect();
    world.app.big_bytes = kUnsentBytesMax;
    world.socket(file).window = 0;
    world.deliver(file, get("/big"));
    world.server.begin_drain();
    world.core.settle();
    EXPECT_FALSE(world.socket(file).fin_sent);
    world.socket(file).window = test::FakeSocket::kUnlimited;
    world.core.settle();
    EXPECT_TRUE(world.socket(file).sent.ends_with("xxx"));
    EXPECT_TRUE(world.ends(file));
}

TEST(HttpConnection, ClosingAllAbandonsWhatIsUnderWay) {
    World world;
    world.app.at_once = false;
    std::vector<RequestHandle> handles;
    for (int i = 0; i < 3; ++i) {
        world.deliver(world.connect(), get("/"));
        handles.push_back(world.app.waiting.back().first);
    }
    world.connect();
    world.server.close_all();
    EXPECT_TRUE(world.app.abandoned.empty());  // not within the call
    world.core.settle();
    EXPECT_EQ(world.app.abandoned.size(), 3U);
    EXPECT_EQ(world.server.connections(), 0U);
}

}  // namespace
}  // namespace rc::http
