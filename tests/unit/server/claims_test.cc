#include "../../../src/server/claims.h"

#include <gtest/gtest.h>

namespace rc::server {
namespace {

using Topics = std::set<std::string, std::less<>>;

TEST(Claims, WhatFailsAloneIsTakenBackWhole) {
    Claims claims;
    auto const name = claims.add({.topics = {"a", "b"}, .user = true, .receiving = true});
    auto const back = claims.fail(name);
    EXPECT_EQ(back.topics, (Topics{"a", "b"}));
    EXPECT_TRUE(back.user && back.receiving);
    EXPECT_FALSE(back.sync || back.offsets);
    EXPECT_TRUE(claims.empty());
}

TEST(Claims, WhatTwoAskForGoesWithTheLastThatFails) {
    Claims claims;
    auto const first = claims.add({.topics = {"a", "b"}, .user = true});
    auto const second = claims.add({.topics = {"b", "c"}, .user = true});
    auto const back = claims.fail(first);
    EXPECT_EQ(back.topics, Topics{"a"});
    EXPECT_FALSE(back.user);
    auto const rest = claims.fail(second);
    EXPECT_EQ(rest.topics, (Topics{"b", "c"}));
    EXPECT_TRUE(rest.user);
}

TEST(Claims, WhatOneHasGotStaysWhenTheOtherFails) {
    for (bool first_succeeds : {true, false}) {
        Claims claims;
        auto const first = claims.add({.topics = {"a", "b"}, .user = true, .sync = true});
        auto const second = claims.add({.topics = {"b", "c"}, .user = true});
        auto const stands = claims.succeed(first_succeeds ? first : second);
        EXPECT_TRUE(stands.user);
        auto const back = claims.fail(first_succeeds ? second : first);
        EXPECT_EQ(back.topics, Topics{first_succeeds ? "c" : "a"});
        EXPECT_FALSE(back.user);
        EXPECT_EQ(back.sync, !first_succeeds);
        EXPECT_TRUE(claims.empty());
    }
}

TEST(Claims, WhatIsSettledIsNobodysAnyMore) {
    Claims claims;
    auto const name = claims.add({.topics = {"a", "b"}, .user = true, .receiving = true});
    claims.settle({.topics = {"a"}, .receiving = true});
    EXPECT_EQ(claims.open().topics, Topics{"b"});
    EXPECT_TRUE(claims.open().user);
    EXPECT_FALSE(claims.open().receiving);
    EXPECT_EQ(claims.fail(name).topics, Topics{"b"});
}

}  // namespace
}  // namespace rc::server
