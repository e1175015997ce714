#include "ringcast/proto/json_object.h"

#include <gtest/gtest.h>

namespace rc::proto {
namespace {

TEST(JsonObject, AFieldIsWhatItWasSentAsAndNothingElse) {
    JsonReader reader;
    auto const object = reader.object(
        R"( {"n":7,"s":"a\u0062","f":7.0,"minus":-7,"quoted":"7","list":[1,"x",[2]],"none":null,"half":"\ud800"} )");
    ASSERT_TRUE(object);
    EXPECT_EQ(object->find("n")->integer(), 7U);
    EXPECT_FALSE(object->find("n")->text());
    EXPECT_EQ(object->find("n")->user_id()->text, "7");
    EXPECT_EQ(object->find("s")->text(), "ab");
    EXPECT_FALSE(object->find("s")->integer());
    for (auto name : {"f", "minus", "quoted", "list", "none"})
        EXPECT_FALSE(object->find(name)->integer()) << name;
    for (auto name : {"f", "minus", "list", "none", "half"})
        EXPECT_FALSE(object->find(name)->text()) << name;
    auto const elements = object->find("list")->elements();
    ASSERT_EQ(elements->size(), 3U);
    EXPECT_EQ((*elements)[1].text(), "x");
    EXPECT_EQ((*elements)[2].raw(), "[2]");
    EXPECT_FALSE(object->find("n")->elements());
    EXPECT_FALSE(object->find("missing"));
}

TEST(JsonObject, ANameThatStandsTwiceRefusesItHoweverItIsWritten) {
    JsonReader reader;
    for (std::string_view text : {R"({"a":1,"a":1})", R"({"a":1,"b":2,"\u0061":3})", R"({"":1,"":2})"})
        EXPECT_EQ(reader.object(text).error().code, Errc::invalid_message) << text;
    EXPECT_TRUE(reader.object(R"({"a":{"b":1},"b":{"b":1}})"));
    EXPECT_TRUE(reader.object(R"({"a":1,"A":2})"));
}

TEST(JsonObject, WhatIsNoObjectIsRefused) {
    JsonReader reader;
    for (std::string_view text : {"", "[]", "7", "null", "{", "{} {}", "{\"a\":tru3}", "{\"a\":01}"})
        EXPECT_FALSE(reader.object(text)) << text;
    EXPECT_TRUE(reader.object("{}"));
}

TEST(JsonObject, ItOutlivesItsTextAndItsReader) {
    std::optional<JsonObject> object;
    {
        std::string text = R"({"a":"kept"})";
        object = *JsonReader().object(text);
        text.assign(text.size(), 'x');
    }
    auto const moved = std::move(*object);
    EXPECT_EQ(moved.find("a")->text(), "kept");
}

}  // namespace
}  // namespace rc::proto
