#include "json_text.h"

#include <gtest/gtest.h>
#include <simdjson.h>

#include <array>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "json_document.h"
#include "json_samples.h"
#include "utf8.h"

namespace rc::proto {
namespace {

using namespace std::string_literals;

TEST(JsonText, MembersAreThoseOfTheObjectsOwnLevel) {
    json::Members members(
        "{ \"a\" : {\"b\":[1,\"}\"]} ,\"\\u0063\":\"\\\"]\",\"\":-1.5e3\n,\"d\":[] , \"e\":null}");
    std::vector<std::pair<std::string, std::string>> seen;
    while (members.next())
        seen.emplace_back(members.key(), members.value().raw);
    EXPECT_EQ(
        seen,
        (std::vector<std::pair<std::string, std::string>>{
            {"a", "{\"b\":[1,\"}\"]}"}, {"c", "\"\\\"]\""}, {"", "-1.5e3"}, {"d", "[]"}, {"e", "null"}}));
}

TEST(JsonText, ElementsAreThoseOfTheListsOwnLevel) {
    json::Elements elements("[ 1,\"a,b\" ,[2,[3]],{\"x\":[4]}, true ]");
    std::vector<std::string> seen;
    while (elements.next())
        seen.emplace_back(elements.value().raw);
    EXPECT_EQ(seen, (std::vector<std::string>{"1", "\"a,b\"", "[2,[3]]", "{\"x\":[4]}", "true"}));
    EXPECT_FALSE(json::Elements("[]").next());
    EXPECT_FALSE(json::Elements("[ ]").next());
    EXPECT_FALSE(json::Members("{ }").next());
    EXPECT_FALSE(json::Members("[1]").next());
    EXPECT_FALSE(json::Elements("1").next());
}

TEST(JsonText, AStringEndsAtTheFirstQuoteThatIsNotEscaped) {
    std::mt19937 random(0xe5c);
    for (int round = 0; round < 20'000; ++round) {
        std::string string = "\"";
        for (auto left = random() % 12; left > 0; --left)
            string += std::array{"\\\\", "\\\"", "x", "\\u0022"}[random() % 4];
        string += '"';
        std::string const list = "[" + string + ",1," + string + "]";
        json::Elements elements(list);
        std::vector<std::string> seen;
        while (elements.next())
            seen.emplace_back(elements.value().raw);
        ASSERT_EQ(seen, (std::vector<std::string>{string, "1", string})) << list;
    }
    // No matter how many escapes there are, each byte is looked at a few times at most.
    std::string many = "[\"";
    for (int i = 0; i < 2'000'000; ++i)
        many += "\\\\";
    many += "\"]";
    json::Elements elements(many);
    ASSERT_TRUE(elements.next());
    EXPECT_EQ(elements.value().raw.size(), many.size() - 2);
    EXPECT_FALSE(elements.next());
}

TEST(JsonText, StaysInsideTextThatIsNoJson) {
    std::mt19937 random(0x5eed);
    const std::string kAlphabet = "{}[]\",:\\u 0a1";
    for (int round = 0; round < 20'000; round++) {
        std::string text = round % 2 == 0 ? "{" : "[";
        for (uint32_t i = random() % 12; i > 0; i--)
            text += kAlphabet[random() % kAlphabet.size()];
        size_t items = 0;
        for (json::Members members(text); members.next();)
            items += json::unescape(members.value().raw).size() < 64;
        for (json::Elements elements(text); elements.next();)
            items += json::unescape(elements.value().raw).size() < 64;
        EXPECT_LE(items, text.size());
    }
}

TEST(JsonText, UnescapesAsSimdjsonDoes) {
    for (uint32_t seed = 0; seed < 3'000; seed++) {
        test::RandomJson random(seed);
        std::string text = random.object(1);
        simdjson::dom::parser parser;
        simdjson::dom::object object;
        if (parser.parse(text).get(object) != simdjson::SUCCESS)
            continue;  // a number that it has no type for
        json::Members members(text);
        for (auto field : object) {
            ASSERT_TRUE(members.next()) << text;
            EXPECT_EQ(members.key(), field.key) << text;
            std::string_view value;
            if (field.value.get(value) == simdjson::SUCCESS) {
                EXPECT_EQ(json::unescape(members.value().raw), value) << text;
            }
        }
        EXPECT_FALSE(members.next()) << text;
    }
}

TEST(JsonText, CountsLevelsOutsideOfStrings) {
    EXPECT_EQ(json::levels("1"), 0U);
    EXPECT_EQ(json::levels("[]"), 1U);
    EXPECT_EQ(json::levels("{\"[[\\\"[\":[[],[{}]]}"), 4U);
}

TEST(JsonText, AValueIsFoundWithoutTheSpaceAroundIt) {
    json::Document document;
    auto value = document.validate(" \n{ \"a\":1 }\t");
    ASSERT_TRUE(value);
    EXPECT_EQ(value->raw, "{ \"a\":1 }");
}

TEST(JsonText, ADocumentGrowsToAMegabyteAndStillJudges) {
    json::Document document;
    for (size_t bytes : {10UL, 5'000UL, 1UL << 20, 63UL, 100'000UL, 4'094UL, 4'095UL}) {
        std::string text = "\"" + std::string(bytes, 'a') + "\"";
        EXPECT_TRUE(document.validate(text)) << bytes;
        EXPECT_FALSE(document.validate(text + "1")) << bytes;
        EXPECT_TRUE(document.validate("[" + std::string(bytes / 2, ' ') + "1e999]")) << bytes;
    }
}

TEST(JsonText, AHugeNumberIsJudgedLikeASmallOne) {
    json::Document document;
    simdjson::dom::parser parser;
    std::mt19937 random(0x5eed);
    const std::vector<std::string> kPieces = {
        "#", "#", "#", "[", "]", "{", "}", "\"", "\"a\":", ",", ",", "-", "0", "1", " ", "\\", ":"};
    size_t sound = 0;
    for (int round = 0; round < 100'000; round++) {
        std::string huge = "[";
        std::string small = "[";
        for (uint32_t i = random() % 7; i > 0; i--) {
            const std::string& piece = kPieces[random() % kPieces.size()];
            huge += piece == "#" ? "1e400" : piece;
            small += piece == "#" ? "1.5" : piece;
        }
        bool judged = document.validate(huge + "]").has_value();
        sound += judged;
        EXPECT_EQ(judged, parser.parse(small + "]").error() == simdjson::SUCCESS) << huge;
    }
    EXPECT_GT(sound, 1'000U);
}

TEST(Utf8, AgreesWithSimdjson) {
    std::mt19937 random(0x5eed);
    const std::string kBytes =
        "a\x7f\x80\x8f\x90\x9f\xa0\xbf\xc0\xc1\xc2\xdf\xe0\xe1\xed\xee\xef\xf0\xf1\xf4\xf5\xff";
    for (int round = 0; round < 50'000; round++) {
        std::string text;
        for (int i = 0; i < 4; i++)
            text += kBytes[random() % kBytes.size()];
        bool valid = true;
        std::string again;
        for (std::string_view rest = text; !rest.empty();) {
            CodePoint next = first_code_point(rest);
            valid = valid && next.value != kReplacementCharacter;
            append_utf8(again, next.value);
            rest.remove_prefix(next.bytes);
        }
        EXPECT_EQ(valid, simdjson::validate_utf8(text));
        if (valid) {
            EXPECT_EQ(again, text);
        }
    }
}

TEST(Utf8, PrintsAtMost64BytesOfInput) {
    EXPECT_EQ(printable(""), "");
    EXPECT_EQ(printable("a\tb\xff\x80é\u0085"), "a?b??é?");
    EXPECT_EQ(printable(std::string(64, 'a')), std::string(64, 'a'));
    EXPECT_EQ(printable(std::string(65, 'a')), std::string(64, 'a') + "...");
    EXPECT_EQ(printable(std::string(62, 'a') + "€"), std::string(62, 'a') + "...");
    EXPECT_EQ(printable(std::string(61, 'a') + "€"), std::string(61, 'a') + "€");
}

}  // namespace
}  // namespace rc::proto
