#include "ringcast/ws/handshake.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <string>
#include <vector>

#include "ringcast/http/head_parser.h"

namespace rc::ws {
namespace {

const std::string kKey = "dGhlIHNhbXBsZSBub25jZQ==";

/// A request as it would arrive: lines to leave out by their names' beginning, lines to add.
std::string request(const std::string& without = "", const std::string& added = "",
                    const std::string& method = "GET") {
    std::string text = method + " /ws HTTP/1.1\r\n";
    for (const std::string& line : {std::string("Host: localhost:5000"), std::string("Upgrade: websocket"),
                                    std::string("Connection: Upgrade"), "Sec-WebSocket-Key: " + kKey,
                                    std::string("Sec-WebSocket-Version: 13")}) {
        if (without.empty() || !line.starts_with(without)) text += line + "\r\n";
    }
    return text + added + "\r\n";
}

std::string header_of(const UpgradeVerdict& verdict, std::string_view name) {
    for (const auto& [key, value] : verdict.headers) {
        if (key == name) return std::string(value);
    }
    return "";
}

class CheckUpgrade : public testing::Test {
  protected:
    const http::RequestHead& head(const std::string& text) {
        parser_.reset();
        size_t consumed = 0;
        EXPECT_EQ(parser_.feed(text, consumed), http::HeadParser::State::complete) << text;
        return parser_.head();
    }
    UpgradeVerdict judge(const std::string& text) { return check_upgrade(head(text)); }
    int status(const std::string& text) { return judge(text).status; }

    http::HeadParser parser_{8192};
};

TEST(AcceptValue, IsTheRfcsForItsSample) {
    EXPECT_EQ(accept_value(kKey), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
}

TEST(AcceptValue, IsBase64OfADigestForAnyKey) {
    std::mt19937 random(5);
    constexpr std::string_view kAlphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    std::vector<std::string> seen;
    for (int i = 0; i < 10'000; ++i) {
        std::string key;
        for (int c = 0; c < 22; ++c)
            key += kAlphabet[random() % kAlphabet.size()];
        key += "==";
        ASSERT_TRUE(is_valid_key(key));
        seen.push_back(accept_value(key));
        ASSERT_EQ(seen.back().size(), 28U);
        ASSERT_EQ(seen.back().back(), '=');
        ASSERT_EQ(seen.back().find_first_not_of(kAlphabet), 27U);
    }
    std::ranges::sort(seen);
    EXPECT_EQ(std::ranges::adjacent_find(seen), seen.end());
}

TEST(IsValidKey, TakesBase64OfSixteenBytesOnly) {
    EXPECT_TRUE(is_valid_key(kKey));
    for (std::string_view key :
         {"", "==", "dGhlIHNhbXBsZSBub25j", "dGhlIHNhbXBsZSBub25jZWE=" /* 17 */,
          "dGhlIHNhbXBsZSBub25j" /* 15 */, "dGhlIHNhbXBsZSBub25jZWFi" /* 18 */,
          "dGhlIHNhbXBsZSBub25jZ===", "dGhlIHNhbXBsZSBub25jZQ=", "dGhlIHNhbXBsZSBub25jZQ",
          "dGhlIHNhbXBsZSBub25jZQ== ", "dGhlIHNhbXBs-SBub25jZQ==", "dGhlIHNhbXBs_SBub25jZQ==",
          "dGhlIHNh=XBsZSBub25jZQ==", "dGhlIHNhbXBs SBub25jZQ==", "dGhlIHNhbXBsZSBub25jZQ=a"}) {
        EXPECT_FALSE(is_valid_key(key)) << key;
    }
}

TEST_F(CheckUpgrade, LetsABrowsersRequestPass) {
    const auto verdict = judge(request());
    EXPECT_TRUE(verdict.upgrade());
    EXPECT_TRUE(verdict.headers.empty());
}

TEST_F(CheckUpgrade, NeitherCaseNorFurtherTokensMatter) {
    EXPECT_EQ(status(request("Connection", "Connection: keep-alive, uPgRaDe\r\n")), 101);
    EXPECT_EQ(status(request("Connection", "connection: keep-alive\r\nconnection: upgrade\r\n")), 101);
    EXPECT_EQ(status(request("Upgrade", "upgrade: WebSocket\r\n")), 101);
}

TEST_F(CheckUpgrade, AnotherMethodIs405WithAllow) {
    for (std::string method : {"POST", "PUT", "HEAD", "DELETE", "OPTIONS", "PATCH"}) {
        const auto verdict = judge(request("", "", method));
        EXPECT_EQ(verdict.status, 405) << method;
        EXPECT_EQ(header_of(verdict, "Allow"), "GET");
    }
}

TEST_F(CheckUpgrade, WithoutAWebSocketUpgradeIs426WithBothHeaders) {
    for (std::string added : {"", "Upgrade: h2c\r\n", "Upgrade: websockets\r\n", "Upgrade:\r\n"}) {
        const auto verdict = judge(request("Upgrade", added));
        EXPECT_EQ(verdict.status, 426) << added;
        EXPECT_EQ(header_of(verdict, "Upgrade"), "websocket");
        EXPECT_EQ(header_of(verdict, "Sec-WebSocket-Version"), "13");
    }
    EXPECT_EQ(status("GET /ws HTTP/1.1\r\nHost: a\r\n\r\n"), 426);
}

TEST_F(CheckUpgrade, ConnectionWithoutTheTokenIs400) {
    for (std::string added :
         {"", "Connection: close\r\n", "Connection: notupgrade\r\n", "Connection: upgrade-x\r\n"}) {
        EXPECT_EQ(status(request("Connection", added)), 400) << added;
    }
}

TEST_F(CheckUpgrade, AnotherVersionIs426WithOurs) {
    for (std::string version : {"8", "12", "14", "13, 8", "13,13", "13x", "013", "+13", ""}) {
        const auto verdict =
            judge(request("Sec-WebSocket-Version", "Sec-WebSocket-Version: " + version + "\r\n"));
        EXPECT_EQ(verdict.status, 426) << version;
        EXPECT_EQ(header_of(verdict, "Sec-WebSocket-Version"), "13");
    }
    EXPECT_EQ(status(request("Sec-WebSocket-Version")), 426);
    EXPECT_EQ(status(request("", "Sec-WebSocket-Version: 13\r\n")), 426) << "twice";
}

TEST_F(CheckUpgrade, AMissingDoubleOrBadKeyIs400) {
    EXPECT_EQ(status(request("Sec-WebSocket-Key")), 400);
    EXPECT_EQ(status(request("", "Sec-WebSocket-Key: " + kKey + "\r\n")), 400);
    for (std::string key :
         {"", "dGhlIHNhbXBsZSBub25jZWE=", "dGhlIHNhbXBsZSBub25j", "!!!!!!!!!!!!!!!!!!!!!!=="}) {
        EXPECT_EQ(status(request("Sec-WebSocket-Key", "Sec-WebSocket-Key: " + key + "\r\n")), 400) << key;
    }
}

TEST_F(CheckUpgrade, AnAnnouncedBodyIs400) {
    EXPECT_EQ(status(request("", "Content-Length: 0\r\n")), 101);
    EXPECT_EQ(status(request("", "Content-Length: 1\r\n")), 400);
    EXPECT_EQ(status(request("", "Transfer-Encoding: chunked\r\n")), 400);
}

TEST_F(CheckUpgrade, AnExpectationIs417) {
    EXPECT_EQ(status(request("", "Expect: 100-continue\r\n")), 417);
}

TEST_F(CheckUpgrade, OffersOfExtensionsAndProtocolsChangeNothing) {
    for (const std::string& value :
         {std::string("permessage-deflate; client_max_window_bits"), std::string(","), std::string(";"),
          std::string(""), std::string("a; b=\"\\c\\c\\c"), std::string("constructor"),
          "b" + std::string(4000, ' ') + "x"}) {
        EXPECT_EQ(status(request("", "Sec-WebSocket-Extensions: " + value + "\r\n")), 101);
        EXPECT_EQ(status(request("", "Sec-WebSocket-Protocol: " + value + "\r\n")), 101);
    }
}

TEST_F(CheckUpgrade, ARequestsOriginIsJudgedOnceAndOnlyIfItIsThere) {
    const std::vector<std::string> allowed{"https://ok.example"};
    const std::string good = "Origin: https://OK.example\r\n", bad = "Origin: https://evil.example\r\n";
    EXPECT_TRUE(request_origin_allowed(allowed, head(request())));
    EXPECT_TRUE(request_origin_allowed(allowed, head(request("", good))));
    EXPECT_FALSE(request_origin_allowed(allowed, head(request("", bad))));
    EXPECT_FALSE(request_origin_allowed(allowed, head(request("", good + good))));
    EXPECT_FALSE(request_origin_allowed(allowed, head(request("", good + bad))));
    EXPECT_FALSE(request_origin_allowed(allowed, head(request("", "Origin:\r\n"))));
    EXPECT_TRUE(request_origin_allowed({}, head(request("", bad))));
}

TEST(SwitchingResponse, AnswersTheKeyAndNamesNoExtension) {
    EXPECT_EQ(switching_response(kKey),
              "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
              "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n");
    EXPECT_EQ(
        switching_response(kKey, "ringcast"),
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\nSec-WebSocket-Protocol: ringcast\r\n\r\n");
}

}  // namespace
}  // namespace rc::ws
