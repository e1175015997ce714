// Mode jwt: who a token makes a client, what it lets it do, and for how long.
#include "token_world.h"

namespace rc::test {
namespace {

const std::string kToSeven = R"({"type":"note","userId":7,"data":1})", kNote = R"({"type":"note","data":1})";

TEST_F(TokenTest, ATokenInAMessageProvesTheUser) {
    auto& client = world().connect(0);
    EXPECT_EQ(client.status(), 101);
    client.say(with_token(token()));
    EXPECT_EQ(client.take(), Texts{R"({"type":"ack","id":1,"data":{}})"});
    world().publish(kToSeven);
    EXPECT_EQ(client.take(), Texts{kNote});
    EXPECT_EQ(world().core(0).metrics().tokens_accepted.value(), 1U);
}

TEST_F(TokenTest, WithoutATokenNobodyIsAnybody) {
    auto& client = world().connect(0);
    for (const auto& text : {subscribe(R"({"userId":7})"), subscribe(R"({"topics":["t"]})"),
                             subscribe(R"({"userId":7,"topics":["t"]})"),
                             std::string(R"({"type":"mark_read","data":{"notificationId":"n"}})")})
        client.say(text);
    EXPECT_EQ(kinds(client), (Texts{"unauthorized", "unauthorized", "unauthorized", "unauthorized"}));
    client.say(subscribe("{}"));
    EXPECT_EQ(kinds(client), Texts{"invalid_message"});
    client.say(R"({"type":"unsubscribe","data":{}})");
    EXPECT_EQ(kinds(client), Texts{"unauthorized"});
    world().publish(kToSeven);
    world().publish(R"({"type":"x","topic":"t","data":1})");
    world().publish(R"({"type":"x","broadcast":true,"data":1})");
    EXPECT_EQ(client.take(), Texts{});
}

TEST_F(TokenTest, ATokenThatDoesNotHoldIsUnauthorizedAndTheFifthInARowCloses) {
    auto& client = world().connect(0);
    for (int i = 0; i < 4; ++i)
        client.say(with_token(i % 2 ? bad_token() : "rubbish"));
    EXPECT_EQ(kinds(client), Texts(4, "unauthorized"));
    client.say(R"({"type":"pong"})");
    for (int i = 0; i < 4; ++i)
        client.say(with_token(bad_token()));
    EXPECT_EQ(kinds(client), Texts(4, "unauthorized"));
    EXPECT_EQ(client.close(), "");
    world().advance(seconds(1));
    client.say(with_token(bad_token()));
    EXPECT_EQ(kinds(client), Texts{"unauthorized"});
    EXPECT_EQ(client.close(), "1008 unauthorized");
    EXPECT_EQ(world().core(0).metrics().tokens_refused.value(), 9U);
}

TEST_F(TokenTest, AUserIdThatIsNotTheTokensIsUnauthorized) {
    auto& client = world().connect(0);
    client.say(with_token(token("7"), R"(,"userId":8)"));
    client.say(with_token(token("0123"), R"(,"userId":123)"));
    EXPECT_EQ(kinds(client), (Texts{"unauthorized", "unauthorized"}));
    client.say(with_token(token("7"), R"(,"userId":"7")"));
    EXPECT_EQ(kinds(client), Texts{"ack"});
    client.say(with_token(token("8")));
    client.say(subscribe(R"({"userId":8})"));
    client.say(R"({"type":"unsubscribe","data":{"userId":8}})");
    EXPECT_EQ(kinds(client), (Texts{"unauthorized", "unauthorized", "unauthorized"}));
    world().publish(kToSeven);
    EXPECT_EQ(client.take(), Texts{kNote});
}

TEST_F(TokenTest, WhatComesBehindATokenWaitsForItsVerdict) {
    auto& client = world().connect(0);
    world().freeze(world().token_host());
    client.post(with_token(token()));
    client.post(subscribe(R"({"topics":["t"]})"));
    client.post("rubbish");
    client.post(R"({"type":"unsubscribe","id":2,"data":{}})");
    world().settle();
    EXPECT_EQ(client.take(), Texts{});
    world().thaw(world().token_host());
    world().settle();
    EXPECT_EQ(kinds(client), (Texts{"ack", "ack", "invalid_message", "ack"}));
    client.say(R"({"type":"pong"})");
    client.say(subscribe(R"({"userId":7})"));
    EXPECT_EQ(kinds(client), Texts{"ack"});
}

TEST_F(TokenTest, SeveralTokensBehindEachOtherAreTakenInTheirOrder) {
    auto& client = world().connect(0);
    for (const auto& text :
         {with_token(bad_token()), with_token(token("7"), R"(,"topics":["a"])"), with_token(token("8")),
          subscribe(R"({"topics":["b"]})"), with_token(token("7"))})
        client.post(text);
    world().settle();
    EXPECT_EQ(kinds(client), (Texts{"unauthorized", "ack", "unauthorized", "ack", "ack"}));
}

TEST_F(TokenTest, AClientThatLeavesWhileItsTokenIsCheckedIsForgotten) {
    auto& client = world().connect(0);
    world().freeze(world().token_host());
    client.post(with_token(token()));
    world().settle();
    client.hang_up();
    auto& half = connect_with(token());
    half.socket().deliver_end();
    world().settle();
    auto& next = world().connect(0);  // in the same slot
    world().thaw(world().token_host());
    world().settle();
    EXPECT_EQ(next.take(), Texts{});
    next.say(subscribe(R"({"topics":["t"]})"));
    EXPECT_EQ(kinds(next), Texts{"unauthorized"});
}

TEST_F(TokenTest, MoreTokensThanTheHostTakesAreNotCheckedAndSoSaid) {
    options.mailbox_places = 8;
    auto& world = this->world();
    world.freeze(world.token_host());
    std::vector<TestWorld::Client*> clients;
    for (int i = 0; i < 4; ++i) {
        clients.push_back(&world.connect(0));
        clients.back()->say(with_token(token()));
    }
    auto& late = world.connect(0);
    late.say(with_token(token()));
    EXPECT_EQ(kinds(late), Texts{"internal_error"});
    auto& handshake = connect_with(token());
    EXPECT_EQ(handshake.status(), 503);
    EXPECT_NE(handshake.head().find("Retry-After: "), std::string::npos);
    EXPECT_EQ(world.core(0).metrics().tokens_shed.value(), 2U);
    world.thaw(world.token_host());
    world.settle();
    for (auto* client : clients)
        EXPECT_EQ(kinds(*client), Texts{"ack"});
    late.say(with_token(token()));
    EXPECT_EQ(kinds(late), Texts{"ack"});
}

// --- the handshake

TEST_F(TokenTest, EachPlaceOfTheHandshakeProvesTheUser) {
    options.config.auth.jwt.cookie = "session";
    auto const good = token();
    struct {
        std::string target, fields;
    } const places[] = {
        {"/ws", "Authorization: Bearer " + good + "\r\n"},
        {"/ws", "authorization: bEARER  " + good + "\r\n"},
        {"/ws?token=" + good, ""},
        {"/ws?x=1&t%6fken=" + good + "&y", ""},
        {"/ws", "Cookie: a=b; session=" + good + "; c=d\r\n"},
        {"/ws", "Cookie: a=b\r\nCookie: session=\"" + good + "\"\r\n"},
        {"/ws", "Sec-WebSocket-Protocol: ringcast, " + good + "\r\n"},
        {"/ws", "Sec-WebSocket-Protocol: ringcast\r\nSec-WebSocket-Protocol: " + good + "\r\n"},
    };
    for (const auto& [target, fields] : places) {
        auto& client = world().begin(0, target, fields);
        world().settle();
        EXPECT_EQ(client.status(), 101) << target << fields;
        EXPECT_EQ(client.head().find("Sec-WebSocket-Protocol: ringcast\r\n") != std::string::npos ||
                      client.head().ends_with("Sec-WebSocket-Protocol: ringcast"),
                  fields.starts_with("Sec-"));
        client.say(subscribe("{}"));
        EXPECT_EQ(kinds(client), Texts{"ack"});
        world().publish(kToSeven);
        EXPECT_EQ(client.take(), Texts{kNote});
        client.hang_up();
    }
}

TEST_F(TokenTest, OnlyTheFirstPlaceThatHoldsATokenCounts) {
    options.config.auth.jwt.cookie = "session";
    auto const good = token(), bad = bad_token();
    auto const status = [&](const std::string& target, const std::string& fields) {
        auto& client = world().begin(0, target, fields);
        world().settle();
        return client.status();
    };
    std::string const in_header = "Authorization: Bearer ",
                      in_cookie = "Cookie: session=", in_protocol = "Sec-WebSocket-Protocol: ringcast, ",
                      end = "\r\n";
    EXPECT_EQ(status("/ws?token=" + good, in_header + bad + end), 401);
    EXPECT_EQ(status("/ws?token=" + bad, in_header + good + end), 101);
    EXPECT_EQ(status("/ws?token=" + bad, in_cookie + good + end), 401);
    EXPECT_EQ(status("/ws?token=" + good, in_cookie + bad + end), 101);
    EXPECT_EQ(status("/ws", in_cookie + bad + end + in_protocol + good + end), 401);
    EXPECT_EQ(status("/ws", in_cookie + good + end + in_protocol + bad + end), 101);
    // What holds none is passed over.
    EXPECT_EQ(status("/ws?token=", "Authorization: Basic dTpw" + end + in_cookie + good + end), 101);
    EXPECT_EQ(status("/ws", "Cookie: Session=x; sessions=y" + end), 101);
    EXPECT_EQ(status("/ws", "Sec-WebSocket-Protocol: ringcast" + end), 101);
    EXPECT_EQ(status("/ws", "Sec-WebSocket-Protocol: chat, " + bad + end), 101);
    // What cannot be read in one way is no request.
    EXPECT_EQ(status("/ws?token=" + good + "&token=" + good, ""), 400);
    EXPECT_EQ(status("/ws", in_header + good + end + in_header + good + end), 400);
    EXPECT_EQ(status("/ws?token=%zz", ""), 400);
}

TEST_F(TokenTest, ABadTokenInTheHandshakeIs401AndNoUpgrade) {
    for (const auto& bad : {bad_token(), std::string("nonsense"), token("7", "", seconds(-31)),
                            token("7", R"(,"topics":"t")")}) {
        auto& client = connect_with(bad);
        EXPECT_EQ(client.status(), 401);
        EXPECT_NE(client.head().find("WWW-Authenticate: Bearer"), std::string::npos);
        EXPECT_EQ(client.head().find(bad), std::string::npos);
    }
    EXPECT_EQ(world().core(0).metrics().clients_open.value(), 0U);
}

TEST_F(TokenTest, WhatAClientSendsBeforeItsHandshakeIsAnsweredWaitsForIt) {
    world().freeze(world().token_host());
    auto& client = world().begin(0, "/ws?token=" + token(), "");
    client.post(subscribe("{}"));
    client.post(subscribe(R"({"topics":["t"]})"));
    world().settle();
    EXPECT_EQ(client.status(), 0);
    client.post("rubbish");
    world().settle();
    world().thaw(world().token_host());
    world().settle();
    EXPECT_EQ(client.status(), 101);
    EXPECT_EQ(kinds(client), (Texts{"ack", "ack", "invalid_message"}));
}

TEST_F(TokenTest, AHandshakeWhoseVerdictDoesNotComeIsClosedAtItsDeadline) {
    world().freeze(world().token_host());
    auto& client = connect_with(token());
    world().advance(seconds(11));
    EXPECT_TRUE(client.socket().closed);
    world().thaw(world().token_host());
    world().settle();
}

TEST_F(TokenTest, AnIdentityOfTheHandshakeReceivesFromTheFirstSubscribeOn) {
    auto& client = connect_with(token());
    world().publish(kToSeven);
    EXPECT_EQ(client.take(), Texts{});
    client.say(subscribe(R"({"topics":["t"]})"));
    world().publish(kToSeven);
    EXPECT_EQ(kinds(client), (Texts{"ack", "note"}));
    client.say(R"({"type":"unsubscribe","data":{}})");
    client.say(subscribe(R"({"topics":["t"]})"));
    world().publish(kToSeven);
    EXPECT_EQ(kinds(client), Texts{"ack"});
    client.say(subscribe(R"({"userId":7})"));
    world().publish(kToSeven);
    EXPECT_EQ(kinds(client), (Texts{"ack", "note"}));
}

TEST_F(TokenTest, AnIdentityOfTheHandshakeMayMarkReadAtOnce) {
    world().publish(R"({"type":"notification","userId":7,"data":{"id":"n1","title":"t","message":"m"}})");
    auto& client = connect_with(token());
    client.say(R"({"type":"mark_read","id":4,"data":{"notificationId":"n1"}})");
    EXPECT_EQ(client.take(), Texts{R"({"type":"ack","id":4,"data":{"unreadCount":0}})"});
}

// --- rights

TEST_F(TokenTest, ATopicOutsideTheClaimIsUnauthorizedAndNoneIsAdded) {
    auto& client = world().connect(0);
    client.say(with_token(token("7", R"(,"topics":["jobs.*","news"])"), R"(,"topics":["jobs.a","other"])"));
    EXPECT_EQ(kinds(client), Texts{"unauthorized"});
    // The token that failed with it changed nothing either.
    client.say(subscribe(R"({"topics":["jobs.a"]})"));
    EXPECT_EQ(kinds(client), Texts{"unauthorized"});
    client.say(with_token(token("7", R"(,"topics":["jobs.*","news"])"), R"(,"topics":["jobs.a","news"])"));
    EXPECT_EQ(kinds(client), Texts{"ack"});
    client.say(subscribe(R"({"topics":["jobs.b","other"]})"));
    client.say(subscribe(R"({"topics":["not a topic","other"]})"));  // names are judged before rights
    EXPECT_EQ(kinds(client), (Texts{"unauthorized", "subscription_failed"}));
    world().publish(R"({"type":"x","topic":"jobs.b","data":1})");
    world().publish(R"({"type":"x","topic":"other","data":1})");
    EXPECT_EQ(client.take(), Texts{});
    world().publish(R"({"type":"x","topic":"jobs.a","data":1})");
    EXPECT_EQ(client.take(), Texts{R"({"type":"x","data":1})"});
}

TEST_F(TokenTest, ANewerTokenWithFewerTopicsDropsTheRest) {
    auto& client = world().connect(0);
    client.say(with_token(token("7", R"(,"topics":["*"])"), R"(,"topics":["a","b","c"])"));
    client.say(with_token(token("7", R"(,"topics":["b"])")));
    EXPECT_EQ(kinds(client), (Texts{"ack", "ack"}));
    for (auto topic : {"a", "b", "c"})
        world().publish(R"({"type":"x","topic":")" + std::string(topic) + R"(","data":")" + topic + "\"}");
    EXPECT_EQ(client.take(), Texts{R"({"type":"x","data":"b"})"});
    client.say(with_token(token("7", R"(,"topics":["a"])"), R"(,"topics":["b"])"));
    EXPECT_EQ(kinds(client), Texts{"unauthorized"});
    world().publish(R"({"type":"x","topic":"b","data":1})");
    EXPECT_EQ(kinds(client), Texts{"x"});
}

TEST_F(TokenTest, TheLimitIsJudgedLastAndByWhatIsLeft) {
    options.config.limits.subscriptions = 2;
    auto& client = world().connect(0);
    client.say(with_token(token("7", R"(,"topics":["*"])"), R"(,"topics":["a","b"])"));
    client.say(with_token(token("7", R"(,"topics":["c","d"])"), R"(,"topics":["c","d"])"));
    EXPECT_EQ(kinds(client), (Texts{"ack", "ack"}));
    client.say(subscribe(R"({"topics":["e","f"]})"));
    EXPECT_EQ(kinds(client), Texts{"unauthorized"});
    client.say(with_token(token(), R"(,"topics":["e"])"));
    EXPECT_EQ(kinds(client), Texts{"subscription_limit_exceeded"});
    EXPECT_EQ(client.close(), "1008 subscription_limit_exceeded");
}

// --- time

TEST_F(TokenTest, AtItsExpiryAndLeewayTheConnectionIsClosed) {
    auto& client = world().connect(0);
    client.say(with_token(token("7", "", seconds(100))));
    EXPECT_EQ(kinds(client), Texts{"ack"});
    world().advance(seconds(129));
    EXPECT_EQ(client.close(), "");
    world().advance(seconds(2));
    EXPECT_EQ(kinds(client), Texts{"unauthorized"});
    EXPECT_EQ(client.close(), "1008 unauthorized");
}

TEST_F(TokenTest, ANewerTokenKeepsTheConnection) {
    auto& client = connect_with(token("7", "", seconds(100)));
    client.say(subscribe("{}"));
    world().advance(seconds(120));
    client.say(with_token(token("7", "", seconds(100))));
    EXPECT_EQ(kinds(client), (Texts{"ack", "ack"}));
    world().advance(seconds(129));
    EXPECT_EQ(client.close(), "");
    world().advance(seconds(2));
    EXPECT_EQ(client.close(), "1008 unauthorized");
}

TEST_F(TokenTest, ANewerTokenThatIsRefusedChangesNothing) {
    auto& client = world().connect(0);
    client.say(with_token(token("7", "", seconds(50))));
    client.say(with_token(token("8", "", hours(9))));
    client.say(with_token(bad_token()));
    client.say(with_token(token("7", "", hours(9)), R"(,"topics":["not a topic"])"));
    EXPECT_EQ(kinds(client), (Texts{"ack", "unauthorized", "unauthorized", "subscription_failed"}));
    world().advance(seconds(81));
    EXPECT_EQ(client.close(), "1008 unauthorized");
}

TEST_F(TokenTest, ATokenThatIsBeingCheckedStaysTheExpiry) {
    auto& client = world().connect(0);
    client.say(with_token(token("7", "", seconds(50))));
    world().advance(seconds(79));
    world().freeze(world().token_host());
    client.say(with_token(token()));
    world().advance(seconds(5));
    EXPECT_EQ(client.close(), "");
    world().thaw(world().token_host());
    world().advance(seconds(5));
    EXPECT_EQ(kinds(client), (Texts{"ack", "ack"}));
    EXPECT_EQ(client.close(), "");
}

TEST_F(TokenTest, ATokenThatNeverExpiresNeverCloses) {
    auto& client = world().connect(0);
    client.say(with_token(make_token("HS256", kSecret, R"({"sub":"7","exp":18446744073709551615})")));
    for (int i = 0; i < 10; ++i) {
        world().advance(minutes(20));
        client.say(R"({"type":"pong"})");
    }
    EXPECT_EQ(client.close(), "");
}

TEST_F(TokenTest, WhoHasNotProvedAnythingInTimeIsClosed) {
    auto& silent = world().connect(0);
    auto& talker = world().connect(0);
    auto& good = world().connect(0);
    world().advance(seconds(29));
    talker.say(subscribe(R"({"topics":["t"]})"));
    good.say(with_token(token()));
    EXPECT_EQ(silent.close(), "");
    world().advance(seconds(2));
    EXPECT_EQ(kinds(silent), Texts{"unauthorized"});
    EXPECT_EQ(silent.close(), "1008 unauthorized");
    EXPECT_EQ(talker.close(), "1008 unauthorized");
    EXPECT_EQ(good.close(), "");
}

// --- with the store

TEST_F(TokenTest, AResumeThatTheStoreCannotAnswerTakesTheFirstProofBack) {
    auto& client = world().connect(0);
    world().set_store_fault(store::MemoryLog::Fault::everything);
    client.say(with_token(token(), R"(,"topics":["t"],"since":"0")"));
    EXPECT_EQ(kinds(client), Texts{"internal_error"});
    client.say(subscribe(R"({"topics":["t"]})"));
    EXPECT_EQ(kinds(client), Texts{"unauthorized"});
}

TEST_F(TokenTest, AResumeThatTheStoreCannotAnswerLeavesTheOlderProof) {
    auto& client = world().connect(0);
    client.say(with_token(token("7", R"(,"topics":["a","b"])", seconds(50)), R"(,"topics":["a"])"));
    world().set_store_fault(store::MemoryLog::Fault::everything);
    client.say(with_token(token("7", R"(,"topics":["b"])"), R"(,"topics":["b"],"since":"0")"));
    EXPECT_EQ(kinds(client), (Texts{"ack", "internal_error"}));
    world().set_store_fault(store::MemoryLog::Fault::none);
    world().publish(R"({"type":"x","topic":"a","data":"a"})");
    world().publish(R"({"type":"x","topic":"b","data":"b"})");
    EXPECT_EQ(client.take(), Texts{R"({"type":"x","data":"a"})"});
    world().advance(seconds(81));
    EXPECT_EQ(client.close(), "1008 unauthorized");
}

TEST_F(TokenTest, ATokenWithAResumeReplaysWhatTheRightsHold) {
    world().publish(R"({"type":"note","userId":7,"data":"one"})");
    world().publish(R"({"type":"note","userId":7,"topic":"t","data":"two"})");
    auto& client = world().connect(0);
    client.say(with_token(token("7", R"(,"topics":["t"])"), R"(,"topics":["t"],"since":"0")"));
    EXPECT_EQ(kinds(client), (Texts{"ack", "note", "note"}));
}

}  // namespace
}  // namespace rc::test
