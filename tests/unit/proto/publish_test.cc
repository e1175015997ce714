#include "ringcast/proto/publish.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "json_document.h"
#include "json_samples.h"
#include "ringcast/base/limits.h"

namespace rc::proto {
namespace {

using namespace std::string_literals;

constexpr FillIn kFillIn{"0190-id", "2026-11-22T20:11:12.345Z"};
constexpr auto kTimestamp = R"("timestamp":"2026-11-22T20:11:12.345Z")";

Result<PublishRequest> decode(std::string_view body, Batch batch = Batch::no,
                              size_t data_bytes_max = limits::kPublishDataBytes) {
    static PublishDecoder decoder;
    return decoder.decode(body, batch, data_bytes_max);
}

/// @param body  must outlive the result
PublishRequest accepted(const std::string& body, Batch batch = Batch::no) {
    auto request = decode(body, batch);
    if (!request) {
        ADD_FAILURE() << body.substr(0, 300) << "\n" << request.error().message;
        return {};
    }
    return *request;
}

std::string refusal_of(const std::string& body, Errc code = Errc::invalid_message, Batch batch = Batch::no) {
    auto request = decode(body, batch);
    if (request) {
        ADD_FAILURE() << "accepted: " << body.substr(0, 300);
        return {};
    }
    EXPECT_EQ(request.error().code, code) << body.substr(0, 300);
    return request.error().message;
}

bool is_refused(const std::string& body, Batch batch = Batch::no) {
    return !refusal_of(body, Errc::invalid_message, batch).empty();
}

bool mentions(const std::string& message, std::string_view word) {
    return message.find(word) != std::string::npos;
}

std::string notification(const std::string& data, const std::string& more = "") {
    return R"({"type":"notification","userId":123,"data":)" + data + more + "}";
}

std::string filled(const std::string& body) {
    auto request = accepted(body);
    return fill_in(request, kFillIn);
}

TEST(Publish, ReadsTheExamplesOfTheContract) {
    std::string body =
        R"({"type":"notification","userId":123,"data":{"title":"…","message":"…","category":"job_match","link":"/jobs/123"}})";
    auto request = accepted(body);
    EXPECT_EQ(request.type, "notification");
    EXPECT_EQ(request.target.users, std::vector{UserId{"123"}});
    EXPECT_TRUE(request.target.one_user_addressed && request.is_notification && request.is_document_type &&
                request.store);
    EXPECT_FALSE(request.target.broadcast || request.has_read || request.has_timestamp);
    EXPECT_EQ(request.target.topic, std::nullopt);
    EXPECT_EQ(request.notification_id, std::nullopt);
    EXPECT_EQ(request.data_raw, R"({"title":"…","message":"…","category":"job_match","link":"/jobs/123"})");
    EXPECT_GE(request.data_raw.data(), body.data());
    EXPECT_LE(request.data_raw.data() + request.data_raw.size(), body.data() + body.size());

    body =
        R"({"type":"job_update","topic":"job_matches","data":{"id":123,"title":"…","company":"…","status":"new"}})";
    request = accepted(body);
    EXPECT_EQ(request.target.topic, "job_matches");
    EXPECT_TRUE(request.target.users.empty() && !request.target.one_user_addressed &&
                !request.is_notification);

    body = R"({"type":"application_status","userId":123,"topic":"application_updates","data":{}})";
    request = accepted(body);
    EXPECT_EQ(request.target.topic, "application_updates");
    EXPECT_EQ(request.target.users, std::vector{UserId{"123"}});
}

TEST(Publish, LeavesTheCompleteExamplesOfTheProtocolDocumentAsTheyAre) {
    for (
        std::string body :
        {R"({"userId":1,"type":"notification","data":{"id":"notification_id","title":"Notification Title","message":"Notification message content","timestamp":"2023-01-01T00:00:00Z","read":false,"category":"job_match","link":"/jobs/123"}})",
         R"({"userId":1,"type":"job_update","data":{"id":123,"title":"Software Engineer","company":"TechSA","status":"new","timestamp":"2023-01-01T00:00:00Z"}})",
         R"({"userId":1,"type":"application_status","data":{"id":456,"jobId":123,"jobTitle":"Software Engineer","company":"TechSA","status":"interview_scheduled","message":"Your interview has been scheduled for January 15th at 10:00 AM.","timestamp":"2023-01-01T00:00:00Z"}})"}) {
        auto request = accepted(body);
        EXPECT_TRUE(request.has_timestamp);
        EXPECT_EQ(fill_in(request, kFillIn), request.data_raw);
    }
}

TEST(Publish, NeedsOneTarget) {
    auto with = [](const std::string& target) { return R"({"type":"note","data":1)" + target + "}"; };
    for (auto target : {R"(,"userId":1)", R"(,"userIds":["a"])", R"(,"topic":"t")", R"(,"broadcast":true)",
                        R"(,"userId":1,"topic":"t")", R"(,"userIds":[1,2],"topic":"t")",
                        R"(,"userId":1,"broadcast":false)"})
        accepted(with(target));
    for (auto target : {"",
                        R"(,"broadcast":false)",
                        R"(,"userId":1,"userIds":[2])",
                        R"(,"userId":1,"broadcast":true)",
                        R"(,"userIds":[1],"broadcast":true)",
                        R"(,"topic":"t","broadcast":true)",
                        R"(,"userIds":[])",
                        R"(,"userIds":[],"topic":"t")",
                        R"(,"broadcast":1)",
                        R"(,"broadcast":null)",
                        R"(,"broadcast":"true")",
                        R"(,"userId":null)",
                        R"(,"userId":-0)",
                        R"(,"userId":1.0)",
                        R"(,"userId":"")",
                        R"(,"userId":[1])",
                        R"(,"userIds":1)",
                        R"(,"userIds":null)",
                        R"(,"userIds":{})",
                        R"(,"userIds":[1,null])",
                        R"(,"userIds":[1,"\u0000"])",
                        R"(,"userIds":[[1]])",
                        R"(,"topic":null)",
                        R"(,"topic":1)",
                        R"(,"topic":"")",
                        R"(,"topic":"a b")",
                        R"(,"topic":["t"])",
                        R"(,"topic":"t\u0000")",
                        R"(,"userId":1,"topic":"*")",
                        R"(,"userId":9007199254740992)"})
        EXPECT_TRUE(is_refused(with(target)));
    accepted(with(R"(,"topic":")" + std::string(128, 't') + "\""));
    EXPECT_TRUE(is_refused(with(R"(,"topic":")" + std::string(129, 't') + "\"")));
}

TEST(Publish, CountsTheSameUserOnce) {
    auto request = accepted(R"({"type":"note","data":1,"userIds":[3,"1","3",1,2,"\u0033"]})"s);
    EXPECT_EQ(request.target.users, (std::vector{UserId{"3"}, UserId{"1"}, UserId{"2"}}));
    EXPECT_FALSE(request.target.one_user_addressed);
    EXPECT_TRUE(accepted(R"({"type":"note","data":1,"userIds":[7,"7"]})"s).target.one_user_addressed);
    EXPECT_TRUE(accepted(R"({"type":"note","data":1,"userIds":[7]})"s).target.one_user_addressed);
    EXPECT_FALSE(accepted(R"({"type":"note","data":1,"broadcast":true})"s).target.one_user_addressed);
}

TEST(Publish, TakesTenThousandUsers) {
    auto body_for = [](uint32_t users, const std::string& more) {
        std::string body = R"({"type":"note","data":1,"userIds":[)" + more + "0";
        for (uint32_t user = 1; user < users; user++)
            body += "," + std::to_string(user);
        return body + "]}";
    };
    EXPECT_EQ(accepted(body_for(9'999, "")).target.users.size(), 9'999U);
    EXPECT_EQ(accepted(body_for(10'000, "")).target.users.size(), 10'000U);
    EXPECT_EQ(accepted(body_for(10'000, "0,\"1\",")).target.users.size(), 10'000U);
    EXPECT_TRUE(mentions(refusal_of(body_for(10'001, "")), "userIds"));
}

TEST(Publish, NeedsATypeThatIsNotTheProtocolsOwn) {
    auto with = [](const std::string& type) { return R"({"userId":1,"data":{},"type":)" + type + "}"; };
    for (const std::string& type :
         std::vector<std::string>{"\"a\"", "\"a_9\"", "\"notification\"", "\"pings\"",
                                  "\"" + std::string(64, 'a') + "\"", "\"\\u0061\""})
        accepted(with(type));
    for (const std::string& type : std::vector<std::string>{"null",
                                                            "1",
                                                            "{}",
                                                            "\"\"",
                                                            "\"A\"",
                                                            "\"9a\"",
                                                            "\"_a\"",
                                                            "\"a-b\"",
                                                            "\"a b\"",
                                                            "\"é\"",
                                                            "\"a\\u0000\"",
                                                            "\"ping\"",
                                                            "\"pong\"",
                                                            "\"subscribe\"",
                                                            "\"unsubscribe\"",
                                                            "\"mark_read\"",
                                                            "\"error\"",
                                                            "\"ack\"",
                                                            "\"notification_read\"",
                                                            "\"p\\u0069ng\"",
                                                            "\"" + std::string(65, 'a') + "\""})
        EXPECT_TRUE(is_refused(with(type)));
    EXPECT_TRUE(is_refused(R"({"userId":1,"data":{}})"));
}

TEST(Publish, OtherTypesPassThroughWithAnyData) {
    for (const std::string& data : std::vector<std::string>{
             "null", "0", "-0", "1.0e5", "12345678901234567890123", "1e400", "true",
             "\"<b>\\u003c</script>\u2028\"", "[]", "[ 1 , 2 ]", "{}", "{ \"b\":1,\"a\":2,\"b\":3 }",
             R"({"id":1,"read":"no","timestamp":0,"title":null})", "\"\\u0000\""}) {
        std::string body = R"({"type":"chat_line","data": )" + data + R"( ,"topic":"t"})";
        auto request = accepted(body);
        EXPECT_EQ(request.data_raw, data);
        EXPECT_EQ(fill_in(request, kFillIn), data);
        EXPECT_FALSE(request.is_document_type || request.is_notification || request.has_read ||
                     request.has_timestamp);
    }
    EXPECT_TRUE(is_refused(R"({"type":"chat_line","topic":"t"})"));
}

TEST(Publish, ChecksTheKnownFieldsOfTheDocumentsTypes) {
    struct Row {
        const char* type;
        const char* field;
        const char* good;
        std::vector<const char*> bad;
    };
    const std::vector<const char*> kNoString = {"1", "null", "true", "[]", "{}"};
    const std::vector<const char*> kNoNumber = {"\"1\"", "null", "true", "[]", "{}"};
    const std::vector<Row> kRows = {
        {"notification", "id", "\"a\"", kNoString},
        {"notification", "title", "\"\"", kNoString},
        {"notification", "message", "\"x\"", kNoString},
        {"notification", "timestamp", "\"whenever\"", kNoString},
        {"notification", "read", "true", {"1", "null", "\"true\"", "[]", "{}"}},
        {"notification", "category", "\"x\"", kNoString},
        {"notification", "link", "\"x\"", kNoString},
        {"job_update", "id", "123", kNoNumber},
        {"job_update", "title", "\"x\"", kNoString},
        {"job_update", "company", "\"x\"", kNoString},
        {"job_update", "status", "\"x\"", kNoString},
        {"job_update", "timestamp", "\"x\"", kNoString},
        {"application_status", "id", "-1.5e3", kNoNumber},
        {"application_status", "jobId", "12345678901234567890123", kNoNumber},
        {"application_status", "jobTitle", "\"x\"", kNoString},
        {"application_status", "company", "\"x\"", kNoString},
        {"application_status", "status", "\"x\"", kNoString},
        {"application_status", "message", "\"x\"", kNoString},
        {"application_status", "timestamp", "\"x\"", kNoString},
    };
    for (const Row& row : kRows) {
        auto with = [&row](const std::string& value) {
            return R"({"userId":1,"type":")"s + row.type + R"(","data":{"other":null,")" + row.field +
                   "\":" + value + "}}";
        };
        accepted(with(row.good));
        for (const char* value : row.bad)
            EXPECT_TRUE(mentions(refusal_of(with(value)), "data."s + row.field)) << value;
        EXPECT_TRUE(mentions(refusal_of(with("1e400,\""s + row.field + "\":[]")), "data."s + row.field));
    }
    accepted(R"({"userId":1,"type":"job_update","data":{"read":1,"jobId":"x","link":null,"category":{}}})"s);
    accepted(R"({"userId":1,"type":"notification","data":{"company":1,"jobId":"x","nested":{"title":1}}})"s);
    EXPECT_TRUE(mentions(refusal_of(notification(R"({"t\u0069tle":1})")), "data.title"));
}

TEST(Publish, TheDocumentsTypesNeedAnObject) {
    for (auto type : {"notification", "job_update", "application_status"}) {
        std::string head = R"({"userId":1,"type":")"s + type + "\"";
        accepted(head + R"(,"data":{}})");
        for (auto data : {"null", "[]", "1", "\"{}\"", "true"})
            EXPECT_TRUE(is_refused(head + R"(,"data":)" + data + "}"));
        EXPECT_TRUE(is_refused(head + "}"));
    }
}

TEST(Publish, ANotificationNeedsAUser) {
    EXPECT_TRUE(is_refused(R"({"type":"notification","topic":"t","data":{}})"));
    EXPECT_TRUE(is_refused(R"({"type":"notification","broadcast":true,"data":{}})"));
    accepted(R"({"type":"notification","userIds":[1,2],"topic":"t","data":{}})"s);
}

TEST(Publish, ANotificationIdHasOneTo256Bytes) {
    for (size_t bytes : {1, 255, 256}) {
        std::string id(bytes, 'n');
        EXPECT_EQ(accepted(notification("{\"id\":\"" + id + "\"}")).notification_id, id);
    }
    EXPECT_EQ(accepted(notification(R"({"\u0069d":"\u00e9"})")).notification_id, "é");
    for (const std::string& id :
         std::vector<std::string>{"\"\"", "\"" + std::string(257, 'n') + "\"", "\"\\u0000\""})
        EXPECT_TRUE(mentions(refusal_of(notification("{\"id\":" + id + "}")), "data.id"));
}

TEST(Publish, ANotificationBringsItsReadState) {
    EXPECT_FALSE(accepted(notification("{}")).has_read);
    auto request = accepted(notification(R"({"read":true})"));
    EXPECT_TRUE(request.has_read && request.read);
    request = accepted(notification(R"({"read":false})"));
    EXPECT_TRUE(request.has_read && !request.read);
}

TEST(Publish, RefusesTheSameFieldTwice) {
    for (auto name : {"type", "userId", "userIds", "topic", "broadcast", "data", "store", "ttl"}) {
        std::string field = ",\""s + name + "\":1";
        EXPECT_TRUE(mentions(refusal_of("{\"x\":1" + field + field + "}"), name + " stands there twice"s))
            << name;
    }
    EXPECT_TRUE(mentions(refusal_of(R"({"type":"a","data":1,"topic":"t","t\u006fpic":"t"})"), "topic"));
    accepted(R"({"type":"note","userId":1,"data":1,"x":1,"x":2,"id":1,"id":2})"s);
    for (auto name : {"id", "read", "timestamp"}) {
        std::string field = "\""s + name + "\":" + (name == "read"s ? "true" : "\"a\"");
        EXPECT_TRUE(
            mentions(refusal_of(notification("{" + field + ",\"x\":1," + field + "}")), "data."s + name));
        std::string escaped = field;
        escaped.replace(2, 1, name == "id"s ? "\\u0064" : name == "read"s ? "\\u0065" : "\\u0069");
        EXPECT_TRUE(mentions(refusal_of(notification("{" + field + "," + escaped + "}")), "data."s + name))
            << escaped;
        EXPECT_TRUE(
            mentions(refusal_of(R"({"userId":1,"type":"job_update","data":{)" + field + "," + field + "}}"),
                     "data."s + name));
    }
    accepted(notification(R"({"title":"a","title":"b","deep":{"id":1,"id":2}})"));
}

TEST(Publish, StoreIsABooleanBesideUsers) {
    auto with = [](const std::string& more) { return R"({"type":"note","data":1,)" + more + "}"; };
    EXPECT_TRUE(accepted(with(R"("userId":1)")).store);
    EXPECT_TRUE(accepted(with(R"("userId":1,"store":true)")).store);
    EXPECT_FALSE(accepted(with(R"("userId":1,"store":false)")).store);
    EXPECT_FALSE(accepted(with(R"("userIds":[1,2],"topic":"t","store":false)")).store);
    for (auto more :
         {R"("userId":1,"store":null)", R"("userId":1,"store":0)", R"("userId":1,"store":"false")",
          R"("topic":"t","store":false)", R"("topic":"t","store":true)", R"("broadcast":true,"store":false)"})
        EXPECT_TRUE(mentions(refusal_of(with(more)), "store"));
    EXPECT_TRUE(is_refused(notification("{}", R"(,"store":false)")));
    EXPECT_TRUE(accepted(notification("{}", R"(,"store":true)")).store);
}

TEST(Publish, TtlIsAWholeNumberOfSecondsForWhatIsStored) {
    auto with = [](std::string_view more) { return R"({"type":"note","data":1,)" + std::string(more) + "}"; };
    EXPECT_FALSE(accepted(with(R"("userId":1)")).ttl);
    EXPECT_EQ(accepted(with(R"("userId":1,"ttl":1)")).ttl, seconds(1));
    EXPECT_EQ(accepted(with(R"("userIds":[1,2],"topic":"t","ttl":315360000)")).ttl, limits::kTtlMax);
    EXPECT_EQ(accepted(notification("{}", R"(,"ttl":60)")).ttl, seconds(60));
    for (auto more : {R"("userId":1,"ttl":0)", R"("userId":1,"ttl":315360001)", R"("userId":1,"ttl":-1)",
                      R"("userId":1,"ttl":1.0)", R"("userId":1,"ttl":1e3)", R"("userId":1,"ttl":"1")",
                      R"("userId":1,"ttl":null)", R"("userId":1,"ttl":true)", R"("topic":"t","ttl":1)",
                      R"("broadcast":true,"ttl":1)", R"("userId":1,"store":false,"ttl":1)",
                      R"("userId":1,"ttl":1,"ttl":1)"})
        EXPECT_TRUE(mentions(refusal_of(with(more)), "ttl")) << more;
}

TEST(Publish, AnIdempotencyKeyIsAFieldOfBatchLinesOnly) {
    auto with = [](const std::string& more) { return R"({"type":"note","data":1,"userId":1,)" + more + "}"; };
    std::string longest(255, 'k');
    EXPECT_EQ(accepted(with(R"("idempotencyKey":"k")"), Batch::yes).idempotency_key, "k");
    EXPECT_EQ(accepted(with("\"idempotencyKey\":\"" + longest + "\""), Batch::yes).idempotency_key, longest);
    EXPECT_EQ(accepted(with(R"("x":1)"), Batch::yes).idempotency_key, std::nullopt);
    for (const std::string& key :
         std::vector<std::string>{"\"\"", "\"k" + longest + "\"", "1", "null", "[]"}) {
        EXPECT_TRUE(is_refused(with("\"idempotencyKey\":" + key), Batch::yes));
        EXPECT_EQ(accepted(with("\"idempotencyKey\":" + key)).idempotency_key, std::nullopt);
    }
    EXPECT_TRUE(is_refused(with(R"("idempotencyKey":"k","idempotencyKey":"k")"), Batch::yes));
    accepted(with(R"("idempotencyKey":"k","idempotencyKey":"k")"));
}

TEST(Publish, DataHasALimitOfItsOwn) {
    auto body_with = [](size_t bytes) {
        return R"({"type":"note","userId":1,"data": ")" + std::string(bytes - 2, 'd') + "\" }";
    };
    EXPECT_TRUE(decode(body_with(65'535)));
    EXPECT_TRUE(decode(body_with(65'536)));
    EXPECT_TRUE(mentions(refusal_of(body_with(65'537), Errc::too_large), "65536"));
    std::string body = body_with(100);
    EXPECT_TRUE(decode(body, Batch::yes, 100));
    EXPECT_EQ(decode(body, Batch::yes, 99).error().code, Errc::too_large);
}

TEST(Publish, AMessageHasAtMostOneMebibyte) {
    auto body_of = [](size_t bytes) {
        std::string body = R"({"type":"note","userId":1,"data":1,"x":")";
        return body + std::string(bytes - body.size() - 2, 'x') + "\"}";
    };
    EXPECT_TRUE(decode(body_of((1 << 20) - 1)));
    EXPECT_TRUE(decode(body_of(1 << 20)));
    refusal_of(body_of((1 << 20) + 1), Errc::too_large);
}

TEST(Publish, RefusesWhatIsNoJsonObject) {
    for (const std::string& text : test::bad_texts()) {
        EXPECT_TRUE(is_refused(text));
        EXPECT_TRUE(is_refused(R"({"type":"note","userId":1,"data":)" + text + "}", Batch::yes));
    }
    for (auto text : {"1", "[]", "null", "\"x\""})
        EXPECT_TRUE(is_refused(text));
}

TEST(Publish, TakesSixteenLevelsAndNoMore) {
    for (auto innermost : {"", "1"}) {
        auto with = [&](uint32_t levels) {
            return R"({"type":"note","userId":1,"data":)" + std::string(levels, '[') + innermost +
                   std::string(levels, ']') + "}";
        };
        accepted(with(15));
        EXPECT_TRUE(is_refused(with(16)));
    }
}

TEST(Publish, FillsInWhatIsMissing) {
    std::string id = R"("id":"0190-id")";
    EXPECT_EQ(filled(notification("{}")), "{" + id + R"(,"read":false,)" + kTimestamp + "}");
    EXPECT_EQ(filled(notification("{ }")), "{" + id + R"(,"read":false,)" + kTimestamp + " }");
    EXPECT_EQ(filled(notification("{\"title\":\"}\"\n\t}")),
              "{\"title\":\"}\"," + id + R"(,"read":false,)" + kTimestamp + "\n\t}");
    EXPECT_EQ(filled(notification(R"({"id":"x"})")), R"({"id":"x","read":false,)"s + kTimestamp + "}");
    EXPECT_EQ(filled(notification(R"({"read":true})")), R"({"read":true,)" + id + "," + kTimestamp + "}");
    EXPECT_EQ(filled(notification(R"({"timestamp":"t"})")),
              R"({"timestamp":"t",)" + id + R"(,"read":false})");
    EXPECT_EQ(filled(notification(R"({"x":{"id":1}})")),
              R"({"x":{"id":1},)" + id + R"(,"read":false,)" + kTimestamp + "}");
    EXPECT_EQ(filled(R"({"type":"job_update","topic":"t","data":{}})"), "{"s + kTimestamp + "}");
    EXPECT_EQ(filled(R"({"type":"job_update","topic":"t","data":{"id":1.0e5 } })"),
              R"({"id":1.0e5,)"s + kTimestamp + " }");
    EXPECT_EQ(filled(R"({"type":"application_status","topic":"t","data":{"jobId":12345678901234567890123}})"),
              R"({"jobId":12345678901234567890123,)"s + kTimestamp + "}");
}

TEST(Publish, DataIsKeptByteForByte) {
    json::Document document;
    for (uint32_t seed = 0; seed < 3'000; seed++) {
        SCOPED_TRACE(seed);
        test::RandomJson random(seed);
        std::string data = random.value(6);
        std::string body = R"({"type":"note","x":)" + random.value(2) + R"(,"data":)" + random.space() +
                           data + random.space() + R"(,"userId":1})";
        auto request = accepted(body);
        EXPECT_EQ(request.data_raw, data);
        EXPECT_EQ(fill_in(request, kFillIn), data);

        data = random.object(5);
        auto out = filled(notification(data));
        ASSERT_TRUE(document.validate(out)) << out;
        // The bytes before the closing brace stand where they stood, with the new members let in once.
        size_t common = 0;
        while (common < data.size() && data[common] == out[common])
            common++;
        std::string_view rest = std::string_view(data).substr(common);
        EXPECT_TRUE(out.ends_with(rest)) << out;
        EXPECT_EQ(rest.find_first_not_of(" \t\r\n}"), std::string_view::npos) << data << "\n" << out;
    }
}

TEST(Publish, ErrorsEchoAtMost64BytesOfInput) {
    std::string hashes(500, '#');
    for (const std::string& body : {R"({"userId":1,"data":1,"type":")" + hashes + "\"}",
                                    R"({"type":"a","data":1,"topic":")" + hashes + "\"}",
                                    R"({"type":"a","data":1,"userIds":["\n)" + hashes + "\"]}"}) {
        std::string message = refusal_of(body);
        EXPECT_LE(std::count(message.begin(), message.end(), '#'), 64);
    }
}

TEST(DisconnectReason, IsOptional) {
    EXPECT_EQ(decode_disconnect_reason("").value(), std::nullopt);
    EXPECT_EQ(decode_disconnect_reason("{}").value(), std::nullopt);
    EXPECT_EQ(decode_disconnect_reason(R"({"reason":"","x":null})").value(), std::nullopt);
    EXPECT_EQ(decode_disconnect_reason(R"({"reason":"bye \u00e9"})").value(), "bye é");
}

TEST(DisconnectReason, FitsIntoACloseFrame) {
    auto with = [](const std::string& reason) {
        return decode_disconnect_reason("{\"reason\":\"" + reason + "\"}");
    };
    EXPECT_EQ(with(std::string(122, 'r')).value()->size(), 122U);
    EXPECT_EQ(with(std::string(123, 'r')).value()->size(), 123U);
    EXPECT_EQ(with(std::string(124, 'r')).error().code, Errc::invalid_message);
    EXPECT_EQ(with(std::string(122, 'r') + "é").error().code, Errc::invalid_message);
}

TEST(DisconnectReason, RefusesOtherBodies) {
    for (auto body :
         {" ", "x", "[]", "null", "\"bye\"", R"({"reason":null})", R"({"reason":1})", R"({"reason":["a"]})",
          R"({"reason":"a","reason":"a"})", R"({"reason":"a"}x)", R"({"reason":"\ud800"})"})
        EXPECT_FALSE(decode_disconnect_reason(body)) << body;
}

}  // namespace
}  // namespace rc::proto
