#include "ringcast/ws/origin.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace rc::ws {
namespace {

const std::vector<std::string> kAllowed{"https://ok.example", "http://localhost:3000", "http://[::1]:8080",
                                        "https://xn--bcher-kva.example", "app://host:1"};

TEST(Origin, AnEmptyListAllowsEveryOrigin) {
    EXPECT_TRUE(origin_allowed({}, "https://anything.example"));
    EXPECT_TRUE(origin_allowed({}, "null"));
}

TEST(Origin, TheSameSchemeHostAndPortPass) {
    for (std::string_view origin :
         {"https://ok.example", "https://OK.Example", "HTTPS://ok.example", "https://ok.example:443",
          "https://ok.example:0443", "http://localhost:3000", "http://LOCALHOST:3000", "http://[::1]:8080",
          "https://xn--bcher-kva.example", "app://host:1"}) {
        EXPECT_TRUE(origin_allowed(kAllowed, origin)) << origin;
    }
}

TEST(Origin, AnythingElseIsRefused) {
    const std::vector<std::string> refused{"null",
                                           "",
                                           " ",
                                           "https://",
                                           "://ok.example",
                                           "ok.example",
                                           "//ok.example",
                                           "http://ok.example",
                                           "wss://ok.example",
                                           "https:ok.example",
                                           "https:/ok.example",
                                           "https://ok.example:444",
                                           "https://ok.example:80",
                                           "https://ok.example:",
                                           "https://ok.example:0",
                                           "https://ok.example:65979",
                                           "https://ok.example:443:443",
                                           "https://ok.example:+443",
                                           "https://ok.example.evil.com",
                                           "https://evilok.example",
                                           "https://evil.ok.example",
                                           "https://ok.example.",
                                           "https://.ok.example",
                                           "https://ok.example/",
                                           "https://ok.example/path",
                                           "https://ok.example?q",
                                           "https://ok.example#f",
                                           "https://ok.example@evil.com",
                                           "https://evil.com@ok.example",
                                           "https://user:pw@ok.example",
                                           "https://evil.com\\@ok.example",
                                           "https://ok.example ",
                                           " https://ok.example",
                                           "https://ok.example https://ok.example",
                                           "https://ok.example, https://evil.com",
                                           "https://*",
                                           "*",
                                           "https://ok%2eexample",
                                           "https://b\xC3\xBC"
                                           "cher.example",
                                           "https://\xD0\xBEk.example",
                                           std::string("https://ok.example\0", 19),
                                           std::string("https://ok.example\0.evil.com", 28),
                                           "http://localhost",
                                           "http://localhost:30000",
                                           "http://127.0.0.1:3000",
                                           "http://[::1]",
                                           "http://[::1]:8081",
                                           "http://[::1:8080",
                                           "http://::1:8080",
                                           "app://host"};
    for (const auto& origin : refused)
        EXPECT_FALSE(origin_allowed(kAllowed, origin)) << origin;
}

TEST(Origin, AnEntryThatIsNoOriginMatchesNothing) {
    const std::vector<std::string> broken{"ok.example", "null", "*", ""};
    for (std::string_view origin : {"null", "ok.example", "*", "", "https://ok.example"}) {
        EXPECT_FALSE(origin_allowed(broken, origin)) << origin;
    }
}

TEST(Origin, ReadsItsParts) {
    const auto origin = parse_origin("http://[2001:db8::1]:8080");
    ASSERT_TRUE(origin);
    EXPECT_EQ(origin->scheme, "http");
    EXPECT_EQ(origin->host, "[2001:db8::1]");
    EXPECT_EQ(origin->port, 8080);
    EXPECT_EQ(parse_origin("http://a")->port, 80);
    EXPECT_EQ(parse_origin("https://a")->port, 443);
    EXPECT_EQ(parse_origin("https://a:65535")->port, 65535);
    EXPECT_FALSE(parse_origin("https://a:65536"));
}

}  // namespace
}  // namespace rc::ws
