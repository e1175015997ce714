#include "ringcast/ws/frame.h"

#include <gtest/gtest.h>

#include <string>

#include "ringcast/ws/utf8.h"

namespace rc::ws {
namespace {

using namespace std::string_literals;

TEST(EncodeFrame, GivesTheExamplesOfTheRfc) {
    EXPECT_EQ(encode_frame(Opcode::text, "Hello"), "\x81\x05Hello");
    EXPECT_EQ(encode_frame(Opcode::text, "Hel", false), "\x01\x03Hel");
    EXPECT_EQ(encode_frame(Opcode::continuation, "lo"), "\x80\x02lo"s);
    EXPECT_EQ(encode_masked_frame(Opcode::text, "Hello", {0x37, 0xfa, 0x21, 0x3d}),
              "\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58");
    EXPECT_EQ(frame_head(Opcode::binary, 256).view(), "\x82\x7E\x01\x00"s);
    EXPECT_EQ(frame_head(Opcode::binary, 65536).view(), "\x82\x7F\x00\x00\x00\x00\x00\x01\x00\x00"s);
}

TEST(EncodeFrame, UsesTheShortestLength) {
    EXPECT_EQ(frame_head(Opcode::text, 0).size, 2);
    EXPECT_EQ(frame_head(Opcode::text, 125).size, 2);
    EXPECT_EQ(frame_head(Opcode::text, 126).view(), "\x81\x7E\x00\x7E"s);
    EXPECT_EQ(frame_head(Opcode::text, 65535).view(), "\x81\x7E\xFF\xFF"s);
    EXPECT_EQ(frame_head(Opcode::text, 65536).size, 10);
}

TEST(EncodeFrame, ATextFrameIsShared) {
    const std::string payload(300, 'x');
    EXPECT_EQ(text_frame(payload).view(), encode_frame(Opcode::text, payload));
}

TEST(EncodeClose, CarriesCodeAndReason) {
    EXPECT_EQ(encode_close(CloseCode::policy, "rate_limit_exceeded"), "\x88\x15\x03\xF0rate_limit_exceeded"s);
    EXPECT_EQ(encode_close(CloseCode::normal, ""), "\x88\x02\x03\xE8"s);
}

TEST(EncodeClose, CutsTheReasonAt123BytesAndNotInsideACodePoint) {
    EXPECT_EQ(encode_close(CloseCode::policy, std::string(122, 'r')).size(), 2U + 2 + 122);
    EXPECT_EQ(encode_close(CloseCode::policy, std::string(123, 'r')).size(), 2U + 2 + 123);
    EXPECT_EQ(encode_close(CloseCode::policy, std::string(124, 'r')).size(), 2U + 2 + 123);
    const std::string reason = std::string(121, 'r') + "\xE2\x82\xAC";
    const std::string frame = encode_close(CloseCode::policy, reason);
    EXPECT_EQ(frame.size(), 2U + 2 + 121);
    EXPECT_TRUE(is_valid_utf8(std::string_view(frame).substr(4)));
}

}  // namespace
}  // namespace rc::ws
