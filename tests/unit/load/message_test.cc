#include "message.h"

#include <gtest/gtest.h>

namespace rc::load {
namespace {

constexpr Stamp kStamp{
    .at_ns = 1'234'567'890'123'456'789, .publication = 0xfedcba98, .stream = 0x80000007, .seq = 42};

TEST(Message, IsAsLongAsAskedAndHoldsItsStamp) {
    for (uint32_t bytes : {kMessageBytesMin, kMessageBytesMin + 1, 200U, 60'000U}) {
        auto const text = make_message(kStamp, bytes);
        EXPECT_EQ(text.size(), bytes);
        EXPECT_EQ(read_stamp(text), kStamp);
    }
}

TEST(Message, IsReadAlsoWhereAServerHasWrittenItAnew) {
    auto const data = make_data(kStamp, 100);
    EXPECT_EQ(read_stamp(R"({ "data" : )" + data + R"(, "type":"load", "offset":"x-1"})"), kStamp);
}

TEST(Message, HasNoStampWhereThereIsNone) {
    auto text = make_message(kStamp, 100);
    for (std::string_view other : {"", "{}", R"({"type":"ping"})", R"({"m":"12"})"})
        EXPECT_FALSE(read_stamp(other)) << other;
    EXPECT_FALSE(read_stamp(std::string_view(text).substr(0, 50)));
    for (std::size_t place : {27U, 42U, 43U, 51U, 59U, 66U}) {
        auto broken = text;
        broken[place] = 'g';
        EXPECT_FALSE(read_stamp(broken)) << place;
    }
}

}  // namespace
}  // namespace rc::load
