#include "ringcast/ws/close_code.h"

#include <gtest/gtest.h>

#include "ringcast/ws/frame.h"

namespace rc::ws {
namespace {

TEST(CloseCode, ThoseOfTheRegistryMayArriveAndNoOthers) {
    for (uint32_t code = 0; code <= 0xFFFF; ++code) {
        const bool expected =
            (code >= 1000 && code <= 1014 && code != 1004 && code != 1005 && code != 1006) ||
            (code >= 3000 && code <= 4999);
        ASSERT_EQ(may_arrive(static_cast<uint16_t>(code)), expected) << code;
    }
}

TEST(ParseClose, AnEmptyBodyHasNoCode) {
    const auto body = parse_close("");
    ASSERT_TRUE(body);
    EXPECT_EQ(body->code, kNoStatusReceived);
    EXPECT_EQ(body->reason, "");
}

TEST(ParseClose, OneByteIsAProtocolError) {
    EXPECT_EQ(parse_close("\x03").error(), CloseCode::protocol_error);
}

TEST(ParseClose, ReadsCodeAndReason) {
    const std::string payload = close_payload(4999, "bye \xE2\x82\xAC");
    const auto body = parse_close(payload);  // its reason points into the payload
    ASSERT_TRUE(body);
    EXPECT_EQ(body->code, 4999);
    EXPECT_EQ(body->reason, "bye \xE2\x82\xAC");
}

TEST(ParseClose, ABadCodeIsAProtocolErrorEvenWithABadReason) {
    for (int code : {0, 999, 1004, 1005, 1006, 1015, 1016, 2000, 2999, 5000, 65535}) {
        EXPECT_EQ(parse_close(close_payload(static_cast<uint16_t>(code), "\xFF")).error(),
                  CloseCode::protocol_error)
            << code;
    }
}

TEST(ParseClose, AReasonThatIsNotUtf8IsAnInvalidPayload) {
    for (std::string_view reason : {"\xFF", "cut \xE2\x82", "\xED\xA0\x80", "\xC0\xAF"}) {
        EXPECT_EQ(parse_close(close_payload(1000, reason)).error(), CloseCode::invalid_payload);
    }
}

}  // namespace
}  // namespace rc::ws
