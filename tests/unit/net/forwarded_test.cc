#include "ringcast/net/forwarded.h"

#include <gtest/gtest.h>

#include <random>
#include <string>
#include <vector>

namespace rc::net {
namespace {

using Lines = std::vector<std::string_view>;

const Networks kTrusted =
    *Networks::parse(std::vector<std::string>{"10.0.0.0/8", "2001:db8:1::/48", "127.0.0.1", "unix"});
const PeerAddress kProxy = PeerAddress::from(Address::v4({10, 0, 0, 1}, 4000));
constexpr auto kItself = "10.0.0.1:4000";

std::string client(const Lines& x_forwarded_for, const Lines& forwarded = {},
                   const PeerAddress& peer = kProxy) {
    return forwarded_client(peer, {x_forwarded_for, forwarded}, kTrusted).format();
}
std::string by_rfc(std::string_view line) {
    return client({}, {line});
}

TEST(Forwarded, CountsFromTrustedPeersAlone) {
    auto const stranger = PeerAddress::from(Address::v4({198, 51, 100, 1}, 1));
    EXPECT_EQ(client({"192.0.2.1"}, {}, stranger), "198.51.100.1:1");
    EXPECT_EQ(client({}, {"for=192.0.2.1"}, stranger), "198.51.100.1:1");
    EXPECT_EQ(client({"192.0.2.1"}, {"for=192.0.2.1"}, stranger), "198.51.100.1:1");
    EXPECT_EQ(client({"192.0.2.1"}, {}, PeerAddress::from(Address::unix_path(""))), "192.0.2.1");
    EXPECT_EQ(client({"192.0.2.1"}, {}, PeerAddress{}), "unix") << "a peer that nobody vouches for";
}

TEST(Forwarded, WithoutHeadersThePeerIsTheClient) {
    EXPECT_EQ(client({}), kItself);
    EXPECT_EQ(client({""}), kItself);
    EXPECT_EQ(client({" , ,"}), kItself);
    EXPECT_EQ(by_rfc(""), kItself);
}

TEST(XForwardedFor, TheRightMostAddressThatIsNotTrustedIsTheClient) {
    EXPECT_EQ(client({"192.0.2.1"}), "192.0.2.1");
    EXPECT_EQ(client({"203.0.113.9, 192.0.2.1"}), "192.0.2.1")
        << "what stands left of it is the client's own word";
    EXPECT_EQ(client({"203.0.113.9, 192.0.2.1, 10.3.4.5"}), "192.0.2.1");
    EXPECT_EQ(client({"192.0.2.1,10.3.4.5,2001:db8:1::7,127.0.0.1"}), "192.0.2.1");
    EXPECT_EQ(client({"10.9.9.9, 10.3.4.5"}), "10.9.9.9") << "a client of the trusted network itself";
}

TEST(XForwardedFor, ItsLinesAreOneList) {
    EXPECT_EQ(client({"203.0.113.9", "192.0.2.1", "10.3.4.5"}), "192.0.2.1");
    EXPECT_EQ(client({"192.0.2.1", "10.3.4.5, 10.3.4.6"}), "192.0.2.1");
    EXPECT_EQ(client({"192.0.2.1", ""}), "192.0.2.1");
}

TEST(XForwardedFor, TakesTheWaysInWhichProxiesWriteAddresses) {
    EXPECT_EQ(client({"192.0.2.1:5511"}), "192.0.2.1:5511");
    EXPECT_EQ(client({"2001:db8::1"}), "2001:db8::1");
    EXPECT_EQ(client({"[2001:db8::1]"}), "2001:db8::1");
    EXPECT_EQ(client({"[2001:db8::1]:80"}), "[2001:db8::1]:80");
    EXPECT_EQ(client({"::ffff:192.0.2.1"}), "192.0.2.1");
    EXPECT_EQ(client({"\t192.0.2.1 ,\t10.0.0.2 "}), "192.0.2.1");
    EXPECT_EQ(client({"192.0.2.1,, 10.0.0.2,"}), "192.0.2.1");
}

TEST(XForwardedFor, AHopThatCannotBeReadLeavesTheOneThatWroteIt) {
    for (std::string_view garbage : {"unknown",
                                     "_hidden",
                                     "localhost",
                                     "192.0.2",
                                     "192.0.2.256",
                                     "192.0.2.01",
                                     "0x7f.0.0.1",
                                     "3221225985",
                                     "192.0.2.1:",
                                     "192.0.2.1:65536",
                                     "192.0.2.1:+1",
                                     "192.0.2.1:123456",
                                     "192.0.2.1 192.0.2.2",
                                     "[192.0.2.1]",
                                     "[2001:db8::1",
                                     "2001:db8::1]",
                                     "[2001:db8::1]80",
                                     "[2001:db8::1]:",
                                     "2001:db8::1%eth0",
                                     "\"192.0.2.1\"",
                                     "for=192.0.2.1",
                                     ":",
                                     "[]",
                                     "[",
                                     "]",
                                     "192.0.2.1:_",
                                     "2001:db8::1:2:3:4:5:6:7:8",
                                     "1111:2222:3333:4444:5555:6666:7777:8888:9999:aaaa:bbbb:cccc"}) {
        EXPECT_EQ(client({garbage}), kItself) << garbage;
        EXPECT_EQ(client({"192.0.2.1", garbage}), kItself) << garbage;
        EXPECT_EQ(client({garbage, "10.0.0.2"}), "10.0.0.2") << garbage;
        EXPECT_EQ(client({garbage, "192.0.2.1"}), "192.0.2.1") << garbage;
    }
    EXPECT_EQ(client({std::string_view("192.0.2.1\0", 10)}), kItself);
}

TEST(ForwardedHeader, TheRightMostForThatIsNotTrustedIsTheClient) {
    EXPECT_EQ(by_rfc("for=192.0.2.43"), "192.0.2.43");
    EXPECT_EQ(by_rfc("for=203.0.113.9, for=192.0.2.43"), "192.0.2.43");
    EXPECT_EQ(by_rfc("For=192.0.2.43;proto=https;by=10.0.0.1, FOR=10.0.0.7;host=example.org"), "192.0.2.43");
    EXPECT_EQ(client({}, {"for=192.0.2.43", "for=10.0.0.7", "for=10.0.0.8"}), "192.0.2.43");
}

TEST(ForwardedHeader, ReadsTheGrammarOfRfc7239) {
    EXPECT_EQ(by_rfc(R"(for="[2001:db8:cafe::17]")"), "2001:db8:cafe::17");
    EXPECT_EQ(by_rfc(R"(For="[2001:db8:cafe::17]:4711")"), "[2001:db8:cafe::17]:4711");
    EXPECT_EQ(by_rfc(R"(for="192.0.2.43:47011")"), "192.0.2.43:47011");
    EXPECT_EQ(by_rfc(R"(for="192.0.2.43")"), "192.0.2.43");
    EXPECT_EQ(by_rfc(R"(for="192.0.2.43:_gazonk")"), "192.0.2.43");
    EXPECT_EQ(by_rfc(R"(for="[::ffff:192.0.2.43]")"), "192.0.2.43");
    EXPECT_EQ(by_rfc(R"(;for=192.0.2.43;;proto=http;)"), "192.0.2.43");
    EXPECT_EQ(by_rfc("for=192.0.2.43;secret=\"a,b;c=\\\"d\\\\\" ,\t,for=10.0.0.7 "), "192.0.2.43");
}

TEST(ForwardedHeader, AHopWithoutAnAddressLeavesTheOneThatWroteIt) {
    for (std::string_view hop :
         {"for=unknown", "for=_SEVKISEK", "for=\"_gazonk:80\"", "by=192.0.2.43", "proto=https",
          "for=\"unknown:80\"", "for=\"2001:db8::1\"", "for=\"[192.0.2.1]\"", "for=\"\"",
          R"(for="192.0.2.\43")", "for=\"192.0.2.1:99999\""}) {
        auto const text = std::string(hop);
        EXPECT_EQ(by_rfc(text), kItself) << hop;
        EXPECT_EQ(by_rfc("for=192.0.2.1, " + text), kItself) << hop;
        EXPECT_EQ(by_rfc(text + ", for=10.0.0.2"), "10.0.0.2") << hop;
        EXPECT_EQ(by_rfc(text + ", for=192.0.2.1"), "192.0.2.1") << hop;
    }
}

TEST(ForwardedHeader, ALineThatBreaksTheGrammarCountsAsAWholeForNothing) {
    for (std::string_view line :
         {"for=\"192.0.2.43", "for=192.0.2.43\"", "for", "for=", "=192.0.2.43", "for =192.0.2.43",
          "for= 192.0.2.43", "for=[2001:db8::1]", "for=192.0.2.43:80", "for=192.0.2.43 proto=http",
          "for=192.0.2.43;for=192.0.2.44", "for=192.0.2.43;;for=192.0.2.44", "192.0.2.43",
          "for=a, for=\"b, for=192.0.2.43", "for=192.0.2.43, \"x\"", "for=\"192.0.2.43\\",
          "for=192.0.2.43\x01", "for=\"a\"b, for=192.0.2.43"}) {
        EXPECT_EQ(by_rfc(line), kItself) << line;
        EXPECT_EQ(client({}, {line, "for=10.0.0.2"}), "10.0.0.2") << line;
        EXPECT_EQ(client({}, {line, "for=192.0.2.1"}), "192.0.2.1") << line;
        EXPECT_EQ(client({}, {"for=192.0.2.1", line}), kItself) << line;
    }
}

TEST(Forwarded, BothHeadersCountIfTheyAgree) {
    EXPECT_EQ(client({"192.0.2.1"}, {"for=\"192.0.2.1:80\""}), "192.0.2.1:80");
    EXPECT_EQ(client({"203.0.113.9, 192.0.2.1, 10.0.0.2"}, {"for=192.0.2.1"}), "192.0.2.1");
    EXPECT_EQ(client({"192.0.2.1"}, {"for=192.0.2.2"}), kItself);
    EXPECT_EQ(client({"192.0.2.1"}, {"for=unknown"}), kItself);
    EXPECT_EQ(client({"garbage"}, {"for=192.0.2.2"}), kItself);
}

// Whatever stands in the lines: no fault, and never an address that an untrusted hop could choose.
TEST(Forwarded, AnyBytesLeaveTheNearestHopsWordStanding) {
    std::mt19937 random(20'261'123);  // NOLINT: the same bytes each time
    constexpr std::string_view kPieces[] = {
        "for=", "192.0.2.9", "10.0.0.3", "\"", "[",           "]",  ":",  ",",   ";",  " ",
        "=",    "unknown",   "_x",       "\\", "2001:db8::1", "::", "80", "by=", "\t", "-"};
    for (int round = 0; round < 20'000; ++round) {
        std::string line;
        for (auto n = random() % 24; n > 0; --n)
            line += kPieces[random() % std::size(kPieces)];
        ASSERT_EQ(client({line, "203.0.113.5"}), "203.0.113.5") << line;
        ASSERT_EQ(client({line + ",203.0.113.5, 10.0.0.2"}), "203.0.113.5") << line;
        ASSERT_EQ(client({}, {line, "for=203.0.113.5"}), "203.0.113.5") << line;
        auto const joined = by_rfc(line + ", for=203.0.113.5");
        ASSERT_TRUE(joined == "203.0.113.5" || joined == kItself) << line;
    }
}

}  // namespace
}  // namespace rc::net
