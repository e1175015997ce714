#include "ringcast/http/path.h"

#include <gtest/gtest.h>

namespace rc::http {
namespace {

using Segments = std::vector<std::string_view>;

TEST(Path, SplitsWithoutDecoding) {
    EXPECT_EQ(split_path("/api/users/a%2Fb/read-all"), (Segments{"api", "users", "a%2Fb", "read-all"}));
    EXPECT_EQ(split_path("/"), (Segments{""}));
    EXPECT_EQ(split_path("/api/"), (Segments{"api", ""}));
    EXPECT_EQ(split_path("//api"), (Segments{"", "api"}));
    EXPECT_EQ(split_path("/../."), (Segments{"..", "."}));
    EXPECT_EQ(split_path(""), Segments{});
    EXPECT_EQ(split_path("api"), Segments{});
}

TEST(Path, DecodesEscapesOnce) {
    EXPECT_EQ(percent_decode_once("user-7"), "user-7");
    EXPECT_EQ(percent_decode_once("a%2Fb%2fc"), "a/b/c");
    EXPECT_EQ(percent_decode_once("%2541"), "%41");
    EXPECT_EQ(percent_decode_once("a+b"), "a+b");
    EXPECT_EQ(percent_decode_once("%00%ff"), std::string("\0\xff", 2));
    EXPECT_EQ(percent_decode_once(""), "");
    for (std::string_view bad : {"%", "a%", "%4", "a%4", "%4g", "%g4", "%%41", "% 4", "%-1", "%u0041"}) {
        EXPECT_EQ(percent_decode_once(bad), std::nullopt) << bad;
    }
}

TEST(Query, DecodesAsAForm) {
    EXPECT_EQ(query_value("read=false&limit=50&before=a-1", "limit"), "50");
    EXPECT_EQ(query_value("a=b+c%2Bd%2541", "a"), "b c+d%41");
    EXPECT_EQ(query_value("a=b=c", "a"), "b=c");
    EXPECT_EQ(query_value("%74oken=x", "token"), "x");
    EXPECT_EQ(query_value("a", "a"), "");
    EXPECT_EQ(query_value("a=", "a"), "");
    EXPECT_EQ(query_value("&&a=1&", "a"), "1");
    EXPECT_EQ(query_value("ab=1", "a"), std::nullopt);
    EXPECT_EQ(query_value("", "a"), std::nullopt);
    EXPECT_EQ(query_value("A=1", "a"), std::nullopt);
}

TEST(Query, TellsMissingBadAndTwiceApart) {
    EXPECT_EQ(query_value("a=%4", "a"), std::nullopt);
    EXPECT_EQ(query_count("a=%4", "a"), 1U);
    EXPECT_EQ(query_count("a=1&b=2&%61=3&a", "a"), 3U);
    EXPECT_EQ(query_value("a=1&a=2", "a"), "1");
    EXPECT_EQ(query_count("b=1", "a"), 0U);
    EXPECT_TRUE(query_well_formed("a=%41&b=+&c"));
    EXPECT_TRUE(query_well_formed(""));
    EXPECT_FALSE(query_well_formed("a=1&b=%4"));
    EXPECT_FALSE(query_well_formed("a=%4&1=b"));
    EXPECT_FALSE(query_well_formed("%=1"));
}

}  // namespace
}  // namespace rc::http
