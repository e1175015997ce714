#include "ringcast/proto/text.h"

#include <gtest/gtest.h>

namespace rc::proto {
namespace {

WallTime at(Duration since_1970) {
    return WallTime{since_1970};
}

TEST(Text, AUuidOfVersion7IsBuiltAsTheRfcShows) {
    // RFC 9562, appendix A.6.
    EXPECT_EQ(uuid_v7(at(milliseconds(0x017F22E279B0)), 0xCC3, 0x18C4DC0C0C07398F),
              "017f22e2-79b0-7cc3-98c4-dc0c0c07398f");
}

TEST(Text, AUuidKeepsItsVersionAndVariantForAnyBits) {
    EXPECT_EQ(uuid_v7(at(Duration(0)), 0, 0), "00000000-0000-7000-8000-000000000000");
    EXPECT_EQ(uuid_v7(at(Duration::max()), ~0ULL, ~0ULL).substr(13), "-7fff-bfff-ffffffffffff");
    EXPECT_EQ(uuid_v7(at(hours(-1)), 1, 2), "00000000-0000-7001-8000-000000000002");
}

TEST(Text, AUuidSortsByItsMillisecond) {
    EXPECT_LT(uuid_v7(at(milliseconds(41)), ~0ULL, ~0ULL), uuid_v7(at(milliseconds(42)), 0, 0));
    EXPECT_EQ(uuid_v7(at(milliseconds(41)), 0, 0), uuid_v7(at(milliseconds(42) - Duration(1)), 0, 0));
}

TEST(Text, ATimestampIsUtcWithMilliseconds) {
    EXPECT_EQ(rfc3339(at(Duration(0))), "1970-01-01T00:00:00.000Z");
    EXPECT_EQ(rfc3339(at(seconds(1795378272) + milliseconds(345))), "2026-11-22T20:11:12.345Z");
    EXPECT_EQ(rfc3339(at(seconds(951827696) + milliseconds(999) + microseconds(999))),
              "2000-02-29T12:34:56.999Z");
    EXPECT_EQ(rfc3339(at(Duration(-1))), "1969-12-31T23:59:59.999Z");
}

}  // namespace
}  // namespace rc::proto
