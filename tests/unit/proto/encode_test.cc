#include "ringcast/proto/encode.h"

#include <gtest/gtest.h>

#include <random>
#include <string>

#include "json_document.h"
#include "json_samples.h"
#include "json_text.h"

namespace rc::proto {
namespace {

using namespace std::string_literals;

std::string json_string(std::string_view text) {
    std::string out;
    append_json_string(out, text);
    return out;
}

TEST(Encode, AnErrorHasTheShapeOfTheProtocolDocument) {
    EXPECT_EQ(encode_error(Errc::invalid_message, "no \"type\"", std::nullopt),
              R"({"type":"error","data":{"code":"invalid_message","message":"no \"type\""}})");
    EXPECT_EQ(encode_error(Errc::unauthorized, "", MessageId{"7"}),
              R"({"type":"error","id":7,"data":{"code":"unauthorized","message":""}})");
    EXPECT_EQ(encode_error(Errc::unauthorized, "x", MessageId{"\"a\\\"\""}),
              R"({"type":"error","id":"a\"","data":{"code":"unauthorized","message":"x"}})");
}

TEST(Encode, AnAckCarriesIdAndData) {
    EXPECT_EQ(encode_ack(MessageId{"7"}, "{}"), R"({"type":"ack","id":7,"data":{}})");
    EXPECT_EQ(encode_ack(std::nullopt, R"({"gap":false})"), R"({"type":"ack","data":{"gap":false}})");
}

TEST(Encode, AMessageKeepsItsDataAndMayHaveAnOffset) {
    EXPECT_EQ(encode_message("job_update", "{ \"id\":1.0e5 }"),
              R"({"type":"job_update","data":{ "id":1.0e5 }})");
    EXPECT_EQ(encode_message("note", "null", "k3x-17"), R"({"type":"note","data":null,"offset":"k3x-17"})");
}

TEST(Encode, ReadMarksOfOtherConnections) {
    EXPECT_EQ(encode_notification_read("a\"b", 3),
              R"({"type":"notification_read","data":{"notificationId":"a\"b","unreadCount":3}})");
    EXPECT_EQ(
        encode_notification_read("n", ~0ULL, "e-1"),
        R"({"type":"notification_read","data":{"notificationId":"n","unreadCount":18446744073709551615},"offset":"e-1"})");
    EXPECT_EQ(encode_all_read(), R"({"type":"notification_read","data":{"all":true,"unreadCount":0}})");
    EXPECT_EQ(encode_all_read("e-2"),
              R"({"type":"notification_read","data":{"all":true,"unreadCount":0},"offset":"e-2"})");
}

TEST(Encode, AnApiErrorHasItsOwnShape) {
    EXPECT_EQ(encode_api_error("not_found", "no such route"),
              R"({"error":{"code":"not_found","message":"no such route"}})");
}

TEST(Encode, TheHeartbeatIsThatOfTheProtocolDocument) {
    EXPECT_EQ(kHeartbeat, R"({"type":"ping"})");
}

TEST(Encode, EscapesOnlyWhatJsonRequires) {
    EXPECT_EQ(json_string(""), "\"\"");
    EXPECT_EQ(json_string("a\"\\\b\f\n\r\t\x01\x1f/é😀\x7f\u2028</script>"),
              "\"a\\\"\\\\\\b\\f\\n\\r\\t\\u0001\\u001f/é😀\x7f\u2028</script>\"");
    EXPECT_EQ(json_string("a\0b"s), "\"a\\u0000b\"");
}

TEST(Encode, BytesThatAreNoUtf8AreReplaced) {
    EXPECT_EQ(json_string("a\xff"
                          "b"),
              "\"a\ufffd"
              "b\"");
    EXPECT_EQ(json_string("\xe2\x82"), "\"\ufffd\ufffd\"");
    EXPECT_EQ(json_string("\xed\xa0\x80"), "\"\ufffd\ufffd\ufffd\"");
    EXPECT_EQ(json_string("\xc0\xaf"), "\"\ufffd\ufffd\"");
}

TEST(Encode, AnyTextBecomesAStringThatReadsBack) {
    json::Document document;
    std::mt19937 random(0x5eed);
    for (int round = 0; round < 3'000; round++) {
        std::string bytes;
        for (uint32_t i = random() % 40; i > 0; i--)
            bytes += static_cast<char>(round % 2 == 0 ? random() : random() % 128);
        std::string out = json_string(bytes);
        auto value = document.validate(out);
        ASSERT_TRUE(value) << out;
        if (round % 2 != 0) {
            EXPECT_EQ(json::unescape(value->raw), bytes);
        }
    }
}

TEST(WithRead, ReplacesTheValueAndNothingElse) {
    EXPECT_EQ(with_read(R"({"id":"a","read":false,"x":{"read":false}})", true),
              R"({"id":"a","read":true,"x":{"read":false}})");
    EXPECT_EQ(with_read("{ \"x\":{\"read\":false} , \"read\" :\ttrue }", false),
              "{ \"x\":{\"read\":false} , \"read\" :\tfalse }");
    EXPECT_EQ(with_read(R"({"t":"\"read\":true","\u0072ead":true,"n":1.0e5})", false),
              R"({"t":"\"read\":true","\u0072ead":false,"n":1.0e5})");
    EXPECT_EQ(with_read(R"({"read":true})", true), R"({"read":true})");
}

TEST(WithRead, AppendsAMissingOne) {
    EXPECT_EQ(with_read("{}", true), R"({"read":true})");
    EXPECT_EQ(with_read(R"({"x":["read",true] })", false), R"({"x":["read",true],"read":false })");
}

TEST(WithRead, KeepsRandomNeighbours) {
    json::Document document;
    for (uint32_t seed = 0; seed < 2'000; seed++) {
        test::RandomJson random(seed);
        std::string before = "{" + random.space() + "\"a\":" + random.value(4) + "," + random.space() +
                             "\"read\"" + random.space() + ":";
        std::string after = random.space() + ",\"b\":" + random.value(4) + "}";
        EXPECT_EQ(with_read(before + "false" + after, true), before + "true" + after) << seed;
        std::string without = random.object(4);
        EXPECT_TRUE(document.validate(with_read(without, true))) << without;
    }
}

}  // namespace
}  // namespace rc::proto
