// Requests and answers, refusals, and who ends a connection.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "connection_world.h"

namespace rc::http {
namespace {

using namespace std::string_view_literals;

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

TEST(HttpConnection, RequestsThatComeOneByOneNeedNoReceiveEach) {
    World world;
    auto const file = world.connect();
    EXPECT_EQ(world.ask(file, post("/", "first")), ok("/|first"));
    auto const receives = world.socket(file).receives;
    for (int i = 0; i < 10; ++i)
        EXPECT_EQ(world.ask(file, post("/", "next")), ok("/|next"));
    EXPECT_EQ(world.socket(file).receives, receives);
    EXPECT_EQ(world.ask(file, get("/")), ok("/|"));  // no body: no reason to change anything
    EXPECT_EQ(world.socket(file).receives, receives);
}

TEST(HttpConnection, WhoSendsAheadOrInPiecesWaitsInTheKernelAgain) {
    World world({}, 512);
    auto const file = world.connect();
    auto& socket = world.socket(file);
    EXPECT_EQ(world.ask(file, post("/", "one by one")), ok("/|one by one"));
    std::string const body(5'120, 'x');
    auto receives = socket.receives;
    EXPECT_EQ(world.ask(file, post("/pieces", body)), ok("/pieces|" + body));
    EXPECT_GE(socket.receives, receives + 10);

    world.ask(file, post("/", "one by one"));
    receives = socket.receives;
    world.app.at_once = false;
    EXPECT_EQ(world.ask(file, post("/1", "one") + post("/2", "two")), "");
    EXPECT_FALSE(socket.receiving());
    for (std::string_view const answer : {"/1|one", "/2|two"}) {
        world.app.answer_next();
        world.core.settle();
        EXPECT_EQ(socket.take_sent(), ok(answer));
    }
    world.app.at_once = true;
    EXPECT_EQ(world.ask(file, post("/3", "three")), ok("/3|three"));
    EXPECT_EQ(socket.receives, receives + 2);  // behind the two; behind the third, which stays
    EXPECT_EQ(world.ask(file, post("/4", "four")), ok("/4|four"));
    EXPECT_EQ(socket.receives, receives + 2);
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
        {"long target", "GET /" + std::string(9'000, 'x') + " HTTP/1.1\r\nHost: a\r\n\r\n", 431},
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
