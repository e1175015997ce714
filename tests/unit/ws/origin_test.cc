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
                                           "app://host",
                                           "app://host:2"};
    for (const auto& origin : refused)
        EXPECT_FALSE(origin_allowed(kAllowed, origin)) << origin;
}

TEST(Origin, AnEntryThatIsNoOriginMatchesNothing) {
    const std::vector<std::string> broken{"ok.example", "null", "*", ""};
    for (std::string_view origin : {"null", "ok.example", "*", "", "https://ok.example"}) {
        EXPECT_FALSE(origin_allowed(broken, origin)) << origin;
    }
}

TEST(Origin, APageOfAnAppHasNoPort) {
    const std::vector<std::string> allowed{"capacitor://localhost", "chrome-extension://abcdef"};
    EXPECT_TRUE(origin_allowed(allowed, "capacitor://localhost"));
    EXPECT_TRUE(origin_allowed(allowed, "chrome-extension://abcdef"));
    for (std::string_view origin : {"capacitor://localhost:80", "capacitor://localhost:1", "http://localhost",
                                    "chrome-extension://abcdeg", "file://", "capacitor://"})
        EXPECT_FALSE(origin_allowed(allowed, origin)) << origin;
}

const std::vector<std::string> kSubdomains{"https://*.example.org", "http://*.localhost:3000",
                                           "https://*.xn--bcher-kva.example"};

TEST(Origin, AStarIsOneLabel) {
    for (std::string_view origin :
         {"https://a.example.org", "https://A.Example.ORG", "https://a.example.org:443",
          "https://a-b_c1.example.org", "https://xn--e1afmkfd.example.org", "http://app.localhost:3000",
          "https://a.xn--bcher-kva.example", "https://example.example.org"}) {
        EXPECT_TRUE(origin_allowed(kSubdomains, origin)) << origin;
    }
}

TEST(Origin, AStarIsNothingElse) {
    for (std::string_view origin : {"https://example.org",
                                    "https://.example.org",
                                    "https://a.b.example.org",
                                    "https://a..example.org",
                                    "https://.a.example.org",
                                    "https://aexample.org",
                                    "https://a.example.org.",
                                    "https://a.example.org.evil.com",
                                    "https://evil.com/.example.org",
                                    "https://evil.com?.example.org",
                                    "https://evil.com#.example.org",
                                    "https://evil.com@a.example.org",
                                    "https://a.example.org@evil.com",
                                    "https://evil.com:443.example.org",
                                    "https://evil.com\\.example.org",
                                    "https://*.example.org",
                                    "http://a.example.org",
                                    "wss://a.example.org",
                                    "https://a.example.org:444",
                                    "https://a.example.org:80",
                                    "https://a.example.com",
                                    "https://a.example",
                                    "https://[::1].example.org",
                                    "https://%61.example.org",
                                    "https://a b.example.org",
                                    "https://a,.example.org",
                                    "null",
                                    "",
                                    "http://localhost:3000",
                                    "http://app.localhost",
                                    "https://app.localhost:3000",
                                    "https://a.b\xC3\xBC"
                                    "cher.example",
                                    "https://\xD0\xB0.example.org",
                                    "https://a.ex\xD0\xB0mple.org"}) {
        EXPECT_FALSE(origin_allowed(kSubdomains, origin)) << origin;
    }
    EXPECT_FALSE(origin_allowed(kSubdomains, std::string_view("https://evil.com\0.example.org", 29)));
}

TEST(Origin, AStarStandsForALabelOfSomebodysOwnName) {
    for (std::string_view good :
         {"https://*.example.org", "https://*.a.b.example.org", "http://*.localhost",
          "http://*.LOCALHOST:3000", "https://*.example.org:8443", "app://*.example.org"})
        EXPECT_TRUE(parse_origin_pattern(good)) << good;
    for (std::string_view bad : {"https://*.org",
                                 "https://*.",
                                 "https://*",
                                 "*",
                                 "*.example.org",
                                 "https://*example.org",
                                 "https://a.*.example.org",
                                 "https://*.*.example.org",
                                 "https://a*.example.org",
                                 "https://**.example.org",
                                 "https://*.example.org.",
                                 "https://*..example.org",
                                 "https://*.example..org",
                                 "https://*.192.0.2.1",
                                 "https://*.[::1]",
                                 "https://*.example.org/",
                                 "https://*.example.org:",
                                 "https://*.user@example.org",
                                 "://*.example.org",
                                 "*://*.example.org",
                                 "https://*.example.org https://*.example.org",
                                 "null"})
        EXPECT_FALSE(parse_origin_pattern(bad)) << bad;
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
