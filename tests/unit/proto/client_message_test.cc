#include "ringcast/proto/client_message.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "json_samples.h"
#include "ringcast/base/limits.h"

namespace rc::proto {
namespace {

using namespace std::string_literals;
using namespace std::string_view_literals;

tl::expected<ClientMessage, ClientError> decode(std::string_view text) {
    static ClientDecoder decoder;
    return decoder.decode(text);
}

template <class Body>
Body body_of(std::string_view text) {
    auto message = decode(text);
    if (!message) {
        ADD_FAILURE() << text << "\n" << message.error().error.message;
        return {};
    }
    if (!std::holds_alternative<Body>(message->body)) {
        ADD_FAILURE() << text << "\nis another message";
        return {};
    }
    return std::get<Body>(message->body);
}

/// The error's text, after the checks that hold for every refusal.
std::string refusal_of(std::string_view text) {
    auto message = decode(text);
    if (message) {
        ADD_FAILURE() << "accepted: " << text.substr(0, 200);
        return {};
    }
    EXPECT_EQ(message.error().error.code, Errc::invalid_message) << text.substr(0, 200);
    EXPECT_FALSE(message.error().error.message.empty()) << text.substr(0, 200);
    return message.error().error.message;
}

bool is_refused(std::string_view text) {
    return !refusal_of(text).empty();
}

std::string subscribe_with(const std::string& members) {
    return R"({"type":"subscribe","data":{)" + members + "}}";
}

std::string nested(uint32_t levels, std::string_view innermost) {
    return std::string(levels, '[') + std::string(innermost) + std::string(levels, ']');
}

TEST(ClientMessage, ReadsTheExamplesOfTheProtocolDocument) {
    body_of<Pong>("{\n  \"type\": \"pong\"\n}\n");

    auto subscribe = body_of<Subscribe>(R"({
  "type": "subscribe",
  "data": {
    "userId": 123,
    "topics": ["job_matches", "application_updates"]
  }
})");
    EXPECT_EQ(subscribe.user, UserId{"123"});
    EXPECT_EQ(subscribe.topics, (std::vector<std::string>{"job_matches", "application_updates"}));
    EXPECT_EQ(subscribe.token, std::nullopt);
    EXPECT_EQ(subscribe.since, std::nullopt);
    EXPECT_FALSE(subscribe.replay_unread || subscribe.offsets || subscribe.sync);

    auto unsubscribe =
        body_of<Unsubscribe>(R"({"type":"unsubscribe","data":{"userId":123,"topics":["job_matches"]}})");
    EXPECT_EQ(unsubscribe.user, UserId{"123"});
    EXPECT_EQ(unsubscribe.topics, std::vector<std::string>{"job_matches"});

    auto mark_read = body_of<MarkRead>(R"({"type":"mark_read","data":{"notificationId":"notification_id"}})");
    EXPECT_EQ(mark_read.notification_id, "notification_id");
}

TEST(ClientMessage, ReadsTheAdditionsOfASubscribe) {
    auto replay =
        body_of<Subscribe>(subscribe_with(R"("token":"a.b.c","replay":"unread","offsets":true,"sync":true)"));
    EXPECT_EQ(replay.token, "a.b.c");
    EXPECT_TRUE(replay.replay_unread && replay.offsets && replay.sync);
    EXPECT_EQ(replay.user, std::nullopt);
    EXPECT_EQ(replay.topics, std::nullopt);

    auto since = body_of<Subscribe>(subscribe_with(R"("since":"k3x-17","offsets":false,"sync":false)"));
    EXPECT_EQ(since.since, "k3x-17");
    EXPECT_FALSE(since.replay_unread || since.offsets || since.sync);
}

TEST(ClientMessage, LeavesToTheSessionWhatNeedsIt) {
    auto empty = body_of<Subscribe>(subscribe_with(""));
    EXPECT_EQ(empty.user, std::nullopt);
    EXPECT_EQ(empty.topics, std::nullopt);

    EXPECT_EQ(body_of<Subscribe>(subscribe_with(R"("topics":[])")).topics, std::vector<std::string>{});
    EXPECT_EQ(body_of<Subscribe>(subscribe_with(R"("topics":["","a b","*"])")).topics,
              (std::vector<std::string>{"", "a b", "*"}));
    EXPECT_EQ(body_of<Subscribe>(subscribe_with(R"("topics":["a\u0000b"])")).topics,
              std::vector<std::string>{"a\0b"s});
    EXPECT_EQ(body_of<Unsubscribe>(R"({"type":"unsubscribe","data":{}})").topics, std::nullopt);
}

TEST(ClientMessage, RefusesWhatIsNoJson) {
    for (const std::string& text : test::bad_texts())
        EXPECT_TRUE(is_refused(text));
}

TEST(ClientMessage, RefusesWhatIsNoObject) {
    for (auto text : {"123", "[]", "null", "true", "\"pong\"", "[{\"type\":\"pong\"}]", "1e400"})
        EXPECT_TRUE(is_refused(text));
}

TEST(ClientMessage, IgnoresUnknownFields) {
    body_of<Pong>(R"({"type":"pong","x":{"type":1,"id":null},"Type":2,"ID":{}})");
    body_of<Pong>(R"({"x":[1,2,{"y":"\u2028"}],"type":"pong","x":1,"x":2})");
    EXPECT_EQ(
        body_of<Subscribe>(subscribe_with(R"("x":null,"x":1,"userid":-1,"userId":5,"deep":{"userId":1})"))
            .user,
        UserId{"5"});
}

TEST(ClientMessage, TakesNumbersOfAnySizeWhereNoneIsRead) {
    for (auto number : {"1e400", "-1E+999999999999", "12345678901234567890123", "-9223372036854775809",
                        "1e-400", "0.10", "-0", "1e2"}) {
        body_of<Pong>(R"({"type":"pong","x":[)"s + number + "," + number + "\n]}");
        body_of<Pong>(R"({"x":)"s + number + R"(,"s":"\\\"1e400","type":"pong"})");
    }
    body_of<Pong>(R"({"type":"pong","x":)" + std::string(15'000, '9') + "}");
}

TEST(ClientMessage, TakesSixteenLevelsAndNoMore) {
    for (std::string_view innermost : {"", "1", "\"[[\""}) {
        body_of<Pong>(R"({"type":"pong","x":)" + nested(15, innermost) + "}");
        EXPECT_TRUE(is_refused(R"({"type":"pong","x":)" + nested(16, innermost) + "}"));
        EXPECT_TRUE(is_refused(R"({"type":"pong","x":)" + nested(17, innermost) + "}"));
        body_of<Subscribe>(subscribe_with(R"("x":)" + nested(14, innermost)));
        EXPECT_TRUE(is_refused(subscribe_with(R"("x":)" + nested(15, innermost))));
    }
    EXPECT_TRUE(is_refused(subscribe_with(R"("x":1e400,"y":)" + nested(15, ""))));
}

TEST(ClientMessage, NeedsAKnownType) {
    for (auto text :
         {R"({})", R"({"data":{}})", R"({"type":null})", R"({"type":1})", R"({"type":["pong"]})",
          R"({"type":""})", R"({"type":"Pong"})", R"({"type":"ping"})", R"({"type":"pong "})",
          R"({"type":"pong\u0000"})", R"({"type":"notification","data":{}})", R"({"type":"error"})"})
        EXPECT_TRUE(is_refused(text));
    EXPECT_NE(refusal_of(R"({"type":"subscrib"})").find("\"subscrib\""), std::string::npos);
    body_of<Pong>(R"({"t\u0079pe":"p\u006fng"})");
}

TEST(ClientMessage, NeedsDataAsAnObjectExceptForPong) {
    for (auto type : {"subscribe", "unsubscribe", "mark_read"}) {
        std::string head = R"({"type":")"s + type + "\"";
        EXPECT_TRUE(is_refused(head + "}"));
        for (auto data : {"null", "[]", "1", "\"x\"", "true"})
            EXPECT_TRUE(is_refused(head + R"(,"data":)" + data + "}"));
    }
    for (auto data : {"null", "[]", "1", "\"x\"", "true", "{}", R"({"userId":null})"})
        body_of<Pong>(R"({"type":"pong","data":)"s + data + "}");
}

TEST(ClientMessage, RefusesTheSameFieldTwice) {
    for (auto text : {R"({"type":"pong","type":"pong"})", R"({"type":"pong","data":{},"data":{}})",
                      R"({"type":"pong","id":1,"id":1})", R"({"type":"pong","t\u0079pe":"pong"})",
                      R"({"type":"pong","data":1,"d\u0061ta":2})"})
        EXPECT_NE(refusal_of(text).find("twice"), std::string::npos);
    for (auto name : {"userId", "topics", "token", "replay", "since", "offsets", "sync", "notificationId"}) {
        std::string field = "\""s + name + "\":null";
        for (auto type : {"subscribe", "unsubscribe", "mark_read", "pong"}) {
            std::string text = R"({"type":")"s + type + R"(","data":{)" + field + ",\"x\":{}," + field + "}}";
            EXPECT_NE(refusal_of(text).find(name + " stands there twice"s), std::string::npos);
        }
    }
    EXPECT_NE(refusal_of(subscribe_with(R"("userId":1,"\u0075serId":1)")).find("twice"), std::string::npos);
    EXPECT_NE(refusal_of(subscribe_with(R"("userId":1,"userId":1,"userId":1)")).find("twice"),
              std::string::npos);
}

TEST(ClientMessage, TakesTheUserIdsOfTheContract) {
    const std::vector<std::pair<std::string, std::string>> kGood = {
        {"0", "0"},
        {"1", "1"},
        {"123", "123"},
        {"\"123\"", "123"},
        {"9007199254740991", "9007199254740991"},
        {"\"9007199254740993\"", "9007199254740993"},
        {"\"-0\"", "-0"},
        {"\"0123\"", "0123"},
        {"\" \"", " "},
        {"\"\\u0041\\\"\\u00a0\"", "A\"\u00a0"},
        {"\"\\ud83d\\ude00\"", "😀"},
        {"\"" + std::string(128, 'u') + "\"", std::string(128, 'u')},
    };
    for (const auto& [token, text] : kGood) {
        EXPECT_EQ(body_of<Subscribe>(subscribe_with("\"userId\":" + token)).user, UserId{text});
        EXPECT_EQ(body_of<Unsubscribe>(R"({"type":"unsubscribe","data":{"userId": )" + token + " }}").user,
                  UserId{text});
    }
}

TEST(ClientMessage, RefusesOtherUserIds) {
    for (const std::string& token : std::vector<std::string>{"-0",
                                                             "-1",
                                                             "123.0",
                                                             "1.0",
                                                             "1e2",
                                                             "0e0",
                                                             "-0.0",
                                                             "9007199254740992",
                                                             "9007199254740993",
                                                             "9223372036854775808",
                                                             "18446744073709551616",
                                                             "1e400",
                                                             std::string(10'000, '1'),
                                                             "true",
                                                             "null",
                                                             "[1]",
                                                             "{}",
                                                             "\"\"",
                                                             "\"a\\u0000\"",
                                                             "\"\\n\"",
                                                             "\"\\u001f\"",
                                                             "\"\x7f\"",
                                                             "\"\\u007f\"",
                                                             "\"\\u0080\"",
                                                             "\"\\u009f\"",
                                                             "\"\xc2\x85\"",
                                                             "\"\\ud800\"",
                                                             "\"" + std::string(129, 'u') + "\"",
                                                             "\"" + std::string(127, 'u') + "é\""}) {
        EXPECT_TRUE(is_refused(subscribe_with("\"userId\":" + token)));
        EXPECT_TRUE(is_refused(R"({"type":"unsubscribe","data":{"userId":)" + token + "}}"));
    }
}

TEST(ClientMessage, HalfOfASurrogatePairIsJsonWhereNobodyReadsIt) {
    for (auto half : {R"(\ud800)", R"(\udfff)", R"(a\udc00\ud800b)", R"(\ud800\u0041)", R"(\ud800\\udc00)",
                      R"(\ud83d\ude00\ud83d)", R"(\\\udc00)"}) {
        std::string const string = "\""s + half + "\"";
        for (auto further : {"", R"(,"n":1e400)"}) {
            EXPECT_TRUE(decode(R"({"type":"pong","x":[)" + string + "]" + further + "}")) << half;
            EXPECT_TRUE(decode(R"({"type":"pong",)" + string + ":1" + further + "}")) << half;
        }
        for (auto name : {"userId", "token", "since", "replay"})
            EXPECT_TRUE(is_refused(subscribe_with("\""s + name + "\":" + string))) << half;
        EXPECT_TRUE(is_refused(R"({"type":)" + string + "}")) << half;
    }
    EXPECT_TRUE(decode(R"({"type":"pong","x":"\\ud800"})"));
}

TEST(ClientMessage, RefusesTopicsThatAreNoListOfStrings) {
    for (auto topics :
         {"null", "\"a\"", "{}", "1", "true", "[1]", "[\"a\",null]", "[[\"a\"]]", "[\"\\ud800\"]"}) {
        EXPECT_TRUE(is_refused(subscribe_with("\"topics\":"s + topics)));
        EXPECT_TRUE(is_refused(R"({"type":"unsubscribe","data":{"topics":)"s + topics + "}}"));
    }
}

TEST(ClientMessage, RefusesAdditionsOfTheWrongShape) {
    for (auto members :
         {R"("token":1)", R"("token":null)", R"("token":["a"])", R"("replay":true)", R"("replay":"all")",
          R"("replay":"")", R"("replay":null)", R"("since":0)", R"("since":null)", R"("since":"1")",
          R"("since":"")", R"("offsets":1)", R"("offsets":"true")", R"("offsets":null)", R"("sync":0)",
          R"("sync":null)", R"("sync":[])", R"("since":"0","replay":"unread")",
          R"("since":"a-1","replay":"unread")"})
        EXPECT_TRUE(is_refused(subscribe_with(members)));
}

TEST(ClientMessage, IgnoresASubscribesAdditionsInAnUnsubscribe) {
    body_of<Unsubscribe>(
        R"({"type":"unsubscribe","data":{"token":1,"replay":1,"since":1,"offsets":1,"sync":1}})");
}

TEST(ClientMessage, KnowsTheShapeOfAnOffset) {
    for (const std::string& text : std::vector<std::string>{
             "0", "a-0", "0-1", "k3x-17", std::string(32, 'z') + "-1", "e-18446744073709551615"})
        EXPECT_TRUE(is_offset_text(text)) << text;
    for (const std::string& text : std::vector<std::string>{"",
                                                            "1",
                                                            "00",
                                                            "-",
                                                            "-1",
                                                            "a-",
                                                            "a--1",
                                                            "a-+1",
                                                            "a-01",
                                                            "a-00",
                                                            "a-1 ",
                                                            " a-1",
                                                            "A-1",
                                                            "a_b-1",
                                                            "a-1-2",
                                                            "a-1x",
                                                            std::string(33, 'z') + "-1",
                                                            "e-18446744073709551616",
                                                            "a",
                                                            "a-1\0"s,
                                                            "é-1"})
        EXPECT_FALSE(is_offset_text(text)) << text;
}

TEST(ClientMessage, MarkReadNeedsAnIdOfOneTo256Bytes) {
    auto mark_read = [](const std::string& token) {
        return R"({"type":"mark_read","data":{"notificationId":)" + token + "}}";
    };
    for (size_t bytes : {1, 255, 256})
        EXPECT_EQ(body_of<MarkRead>(mark_read("\"" + std::string(bytes, 'n') + "\"")).notification_id,
                  std::string(bytes, 'n'));
    for (const std::string& token : std::vector<std::string>{
             "\"\"", "\"" + std::string(257, 'n') + "\"", "\"" + std::string(10'240, 'n') + "\"", "1", "null",
             "[]", "{}", "true", "\"\\u0000\"", "\"\\udfff\""})
        EXPECT_TRUE(is_refused(mark_read(token)));
    EXPECT_TRUE(is_refused(R"({"type":"mark_read","data":{}})"));
}

TEST(ClientMessage, EchoesTheIdOfAMessage) {
    const std::vector<std::pair<std::string, std::string>> kGood = {
        {"7", "7"},
        {"0", "0"},
        {"-7", "-7"},
        {"9007199254740992", "9007199254740992"},
        {"-9007199254740992", "-9007199254740992"},
        {"\"\"", "\"\""},
        {"\"abc\"", "\"abc\""},
        {"\"\\u0061\\/\\\"\\n\"", "\"a/\\\"\\n\""},
        {"\"\\ud83d\\ude00\"", "\"😀\""},
        {"\"a\\u0000\"", "\"a\\u0000\""},
        {"\"" + std::string(64, 'i') + "\"", "\"" + std::string(64, 'i') + "\""},
    };
    for (const auto& [token, echoed] : kGood) {
        auto message = decode(R"({"id": )" + token + R"( ,"type":"pong"})");
        ASSERT_TRUE(message) << token;
        EXPECT_EQ(message->id, MessageId{echoed});
    }
    EXPECT_EQ(decode(R"({"type":"pong"})")->id, std::nullopt);
    EXPECT_EQ(decode(R"({"type":"pong","data":{"id":7}})")->id, std::nullopt);
}

TEST(ClientMessage, RefusesOtherIdsAndAnswersWithoutOne) {
    for (const std::string& token : std::vector<std::string>{
             "null", "true", "[]", "{}", "1.0", "1e2", "-1.5", "9007199254740993", "-9007199254740993",
             "1e400", "18446744073709551616", "\"" + std::string(65, 'i') + "\"",
             "\"" + std::string(63, 'i') + "é\"", "\"\\ud800\""}) {
        auto message = decode(R"({"type":"pong","id":)" + token + "}");
        ASSERT_FALSE(message) << token;
        EXPECT_EQ(message.error().error.code, Errc::invalid_message);
        EXPECT_EQ(message.error().id, std::nullopt);
    }
}

TEST(ClientMessage, AnErrorCarriesTheIdWhereverItStood) {
    for (auto text :
         {R"({"type":"nope","id":7})", R"({"id":7})", R"({"id":7,"type":1})",
          R"({"id":7,"type":"pong","type":"pong"})", R"({"type":"subscribe","data":{"userId":-1},"id":7})",
          R"({"data":1,"data":1,"id":7})", R"({"type":"mark_read","data":{},"\u0069d":7})"}) {
        auto message = decode(text);
        ASSERT_FALSE(message) << text;
        EXPECT_EQ(message.error().id, MessageId{"7"}) << text;
    }
    for (auto text : {R"({"id":7,"type":"nope")", R"([{"id":7}])", R"({"id":7,"type":"pong","id":7})",
                      R"({"type":"x","type":"x","id":7,"id":8})"}) {
        auto message = decode(text);
        ASSERT_FALSE(message) << text;
        EXPECT_EQ(message.error().id, std::nullopt) << text;
    }
}

TEST(ClientMessage, EchoesAtMost64BytesOfInputAndOnlyPrintableOnes) {
    auto echoed = [](const std::string& text, char c) {
        std::string message = refusal_of(text);
        return static_cast<size_t>(std::count(message.begin(), message.end(), c));
    };
    std::string hashes(1'000, '#');
    EXPECT_EQ(echoed(R"({"type":")" + hashes + "\"}", '#'), 64U);
    EXPECT_EQ(echoed(R"({"type":")" + hashes.substr(0, 64) + "\"}", '#'), 64U);
    EXPECT_EQ(echoed(subscribe_with(R"("userId":")" + hashes + "\""), '#'), 64U);
    EXPECT_EQ(echoed(subscribe_with(R"("since":")" + hashes + "\""), '#'), 64U);
    EXPECT_EQ(echoed(subscribe_with(R"("replay":")" + hashes + "\""), '#'), 64U);
    EXPECT_EQ(echoed(subscribe_with(R"("userId":)" + std::string(1'000, '6')), '6'), 64U);

    std::string message = refusal_of("{\"type\":\"" + std::string(63, '#') + "€\"}");
    EXPECT_EQ(message.find("€"), std::string::npos);
    EXPECT_EQ(message.find('\xe2'), std::string::npos);
    message = refusal_of(R"({"type":"a\u0000\n\u0085\u007fz"})");
    EXPECT_NE(message.find("\"a????z\""), std::string::npos) << message;
}

TEST(ClientMessage, ATopicNameHasOneTo128PlainCharacters) {
    EXPECT_TRUE(is_topic_name("A-Za.z0_9:"));
    EXPECT_TRUE(is_topic_name("."));
    EXPECT_TRUE(is_topic_name(".."));
    EXPECT_TRUE(is_topic_name(std::string(128, 't')));
    EXPECT_FALSE(is_topic_name(std::string(129, 't')));
    for (std::string_view name : {""sv, " "sv, "a b"sv, "*"sv, "a/b"sv, "é"sv, "😀"sv, "a\0"sv, "a\n"sv,
                                  "\xff"sv, "a,b"sv, "a@"sv, "a["sv, "`"sv, "{"sv, ";"sv})
        EXPECT_FALSE(is_topic_name(name)) << name;
}

TEST(ClientMessage, StaysInsideTextsThatEndAtAnyByte) {
    const std::string kText =
        R"({"type":"subscribe","id":"\u00e9","data":{"userId":"é😀","topics":["a","b\\"],"since":"a-1"},"x":1e400})";
    ASSERT_TRUE(decode(kText));
    for (size_t size = 0; size < kText.size(); size++) {
        auto exact = std::make_unique<char[]>(size);  // so that ASan sees a read past the end
        std::memcpy(exact.get(), kText.data(), size);
        EXPECT_FALSE(decode({exact.get(), size}));
    }
}

TEST(ClientMessage, SurvivesDamagedTexts) {
    const std::string kText =
        R"({"type":"subscribe","id":"\u00e9","data":{"userId":"é😀","topics":["a","b\\"],"since":"a-1"},"x":[1e400,{}]})";
    std::mt19937 random(0x5eed);
    size_t accepted = 0;
    for (int round = 0; round < 20'000; round++) {
        std::string text = kText;
        for (uint32_t i = random() % 3 + 1; i > 0; i--)
            text[random() % text.size()] =
                static_cast<char>(random() % 4 == 0 ? random() : kText[random() % kText.size()]);
        auto message = decode(text);
        accepted += message.has_value();
        if (!message) {
            EXPECT_EQ(message.error().error.code, Errc::invalid_message);
        }
    }
    EXPECT_GT(accepted, 0U);
}

TEST(ClientMessage, RandomJsonInAnUnknownFieldIsIgnored) {
    for (uint32_t seed = 0; seed < 3'000; seed++) {
        test::RandomJson random(seed);
        std::string value = random.value(4);
        SCOPED_TRACE(seed);
        body_of<Pong>("{\"x\":" + value + "," + random.space() +
                      "\"type\":\"pong\",\"data\":" + random.value(3) + "}");
        EXPECT_TRUE(is_refused("{\"x\":" + value + " " + value + ",\"type\":\"pong\"}"));
    }
}

}  // namespace
}  // namespace rc::proto
