#include "ringcast/auth/key_fetch.h"

#include <gtest/gtest.h>

namespace rc::auth {
namespace {

TEST(KeyFetch, AnAnswerIsFreshForAsLongAsItSays) {
    EXPECT_EQ(fresh_for(""), kFreshByDefault);
    EXPECT_EQ(fresh_for("public"), kFreshByDefault);
    EXPECT_EQ(fresh_for("max-age=3600"), hours(1));
    EXPECT_EQ(fresh_for("Public, MAX-AGE=21554 , must-revalidate, no-transform"), seconds(21554));
    EXPECT_EQ(fresh_for("max-age=0"), kFreshMin);
    EXPECT_EQ(fresh_for("max-age=59"), kFreshMin);
    EXPECT_EQ(fresh_for("no-store"), kFreshMin);
    EXPECT_EQ(fresh_for("max-age=86401"), kFreshMax);
    EXPECT_EQ(fresh_for("max-age=99999999999999999999"), kFreshMax);
    for (auto odd : {"max-age", "max-age=", "max-age=-1", "max-age=1h", "s-maxage=60", ",,,"})
        EXPECT_EQ(fresh_for(odd), kFreshByDefault) << odd;
}

TEST(KeyFetch, KeysComeByHttpsOrFromThisHost) {
    for (auto url :
         {"https://issuer.example/keys", "HTTPS://issuer.example:8443/a?b=c", "https://[2001:db8::1]/k",
          "http://127.0.0.1:8080/keys", "http://localhost/keys", "http://[::1]:1/"})
        EXPECT_TRUE(is_key_url(url)) << url;
    for (auto url :
         {"", "issuer.example/keys", "http://issuer.example/keys", "http://127.0.0.1.example/", "ftp://a/",
          "file:///etc/passwd", "https://", "https:///keys", "https://user:pass@issuer.example/",
          "http://localhost@issuer.example/", "https://issuer.example/a b", "http://localhost.example/",
          "https://:443/", "http://[::2]/"})
        EXPECT_FALSE(is_key_url(url)) << url;
}

TEST(KeyFetch, WhatCannotBeReachedSaysWhy) {
    auto const closed = fetch_keys("http://127.0.0.1:1/keys", nullptr);
    ASSERT_FALSE(closed);
    EXPECT_EQ(closed.error().code, Errc::unavailable);
    EXPECT_FALSE(fetch_keys("file:///etc/hostname", nullptr));
}

}  // namespace
}  // namespace rc::auth
