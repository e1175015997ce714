#include "ringcast/base/address.h"

#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/un.h>

#include <cstddef>
#include <cstring>

namespace rc {
namespace {

Address parse_one(std::string_view text) {
    auto addresses = parse_addresses(text);
    EXPECT_TRUE(addresses) << text;
    if (!addresses) return {};
    EXPECT_EQ(addresses->size(), 1U) << text;
    return addresses->front();
}

std::string refusal(std::string_view text) {
    auto addresses = parse_addresses(text);
    EXPECT_FALSE(addresses) << text;
    return addresses ? "" : addresses.error().message;
}

TEST(Address, WhatIsReadIsWrittenTheSameWay) {
    for (auto text : {"127.0.0.1:5000", "0.0.0.0:0", "255.255.255.255:65535", "[::1]:5000", "[::]:0",
                      "[2001:db8::1]:443", "[::ffff:10.0.0.1]:1", "unix:/run/ringcast.sock"})
        EXPECT_EQ(parse_one(text).format(), text);
    EXPECT_EQ(parse_one("[2001:DB8:0:0::1]:1").format(), "[2001:db8::1]:1");
}

TEST(Address, LocalhostIsBothFamilies) {
    auto const addresses = parse_addresses("localhost:5000");
    ASSERT_TRUE(addresses);
    ASSERT_EQ(addresses->size(), 2U);
    EXPECT_EQ((*addresses)[0].format(), "127.0.0.1:5000");
    EXPECT_EQ((*addresses)[1].format(), "[::1]:5000");
}

TEST(Address, PortsEndAt65535) {
    EXPECT_EQ(parse_one("127.0.0.1:65535").port, 65535);
    for (auto text : {"127.0.0.1:65536", "127.0.0.1:-1", "127.0.0.1:+1", "127.0.0.1:", "127.0.0.1: 1",
                      "127.0.0.1:1 ", "127.0.0.1:0x1", "[::1]:99999", "127.0.0.1:99999999999"})
        EXPECT_EQ(refusal(text), "the port is a number from 0 to 65535") << text;
}

TEST(Address, RefusesWhatIsNoAddressAndSaysWhy) {
    EXPECT_EQ(refusal(""), "the port is missing");
    EXPECT_EQ(refusal("5000"), "the port is missing");
    EXPECT_EQ(refusal("::1"), "an IPv6 address stands in brackets, as in [::1]:5000");
    EXPECT_EQ(refusal("::1:5000"), "an IPv6 address stands in brackets, as in [::1]:5000");
    EXPECT_EQ(refusal("[::1]"), "the port is a number from 0 to 65535");
    EXPECT_EQ(refusal("[127.0.0.1]:1"), "between the brackets stands an IPv6 address");
    EXPECT_EQ(refusal("[fe80::1%eth0]:1"), "between the brackets stands an IPv6 address");
    EXPECT_EQ(refusal("[]:1"), "between the brackets stands an IPv6 address");
    for (auto text : {"example.com:80", ":5000", "*:5000", "LOCALHOST:1", "127.1:1", "127.0.0.256:1",
                      "0127.0.0.1:1", " 127.0.0.1:1", "http://127.0.0.1:1"}) {
        auto const addresses = parse_addresses(text);
        EXPECT_FALSE(addresses) << text;
    }
    EXPECT_EQ(refusal(std::string_view("127.0.0.1\0x:1", 13)), "a host holds no zero byte");
}

TEST(Address, UnixPathsAreAbsoluteAndFitASocketAddress) {
    EXPECT_EQ(refusal("unix:"), "the path of a unix socket begins with /");
    EXPECT_EQ(refusal("unix:run/r.sock"), "the path of a unix socket begins with /");
    EXPECT_EQ(parse_one("unix:/" + std::string(106, 'a')).path.size(), 107U);
    EXPECT_EQ(refusal("unix:/" + std::string(107, 'a')), "the path of a unix socket has at most 107 bytes");
    EXPECT_EQ(refusal(std::string_view("unix:/a\0b", 9)), "a path holds no zero byte");
}

TEST(Address, LoopbackIsAWholeNetworkInIPv4) {
    for (auto text : {"127.0.0.1:1", "127.255.255.255:1", "[::1]:1", "[::ffff:127.0.0.1]:1"})
        EXPECT_TRUE(parse_one(text).is_loopback()) << text;
    for (auto text : {"126.255.255.255:1", "128.0.0.1:1", "0.0.0.0:1", "[::]:1", "[::2]:1",
                      "[::ffff:128.0.0.1]:1", "[1::ffff:7f00:1]:1", "[7f00::1]:1", "unix:/a"})
        EXPECT_FALSE(parse_one(text).is_loopback()) << text;
}

TEST(Address, SurvivesTheWayThroughASocketAddress) {
    for (auto text : {"127.0.0.1:5000", "[2001:db8::1]:65535", "unix:/run/ringcast.sock"}) {
        auto const address = parse_one(text);
        sockaddr_storage storage;
        std::memset(&storage, 0xff, sizeof storage);
        auto const length = address.to_sockaddr(storage);
        auto const back = Address::from_sockaddr(storage, length);
        ASSERT_TRUE(back) << text;
        EXPECT_EQ(*back, address);
    }
    auto const longest = parse_one("unix:/" + std::string(106, 'a'));
    sockaddr_storage storage;
    EXPECT_EQ(longest.to_sockaddr(storage), sizeof(sockaddr_un));
    EXPECT_EQ(Address::from_sockaddr(storage, sizeof(sockaddr_un)).value(), longest);
}

TEST(Address, TheSocketAddressIsTheKernels) {
    sockaddr_storage storage;
    ASSERT_EQ(parse_one("1.2.3.4:258").to_sockaddr(storage), sizeof(sockaddr_in));
    sockaddr_in in;
    std::memcpy(&in, &storage, sizeof in);
    EXPECT_EQ(in.sin_family, AF_INET);
    EXPECT_EQ(in.sin_port, htons(258));
    EXPECT_EQ(in.sin_addr.s_addr, htonl(0x01020304));
}

TEST(Address, AShortOrForeignSocketAddressIsRefused) {
    sockaddr_storage storage{};
    storage.ss_family = AF_INET;
    EXPECT_TRUE(Address::from_sockaddr(storage, sizeof(sockaddr_in)));
    EXPECT_FALSE(Address::from_sockaddr(storage, sizeof(sockaddr_in) - 1));
    storage.ss_family = AF_INET6;
    EXPECT_TRUE(Address::from_sockaddr(storage, sizeof(sockaddr_in6)));
    EXPECT_FALSE(Address::from_sockaddr(storage, sizeof(sockaddr_in6) - 1));
    storage.ss_family = AF_UNSPEC;
    EXPECT_FALSE(Address::from_sockaddr(storage, sizeof storage));
}

TEST(Address, AUnixPeerWithoutANameHasAnEmptyPath) {
    sockaddr_storage storage{};
    storage.ss_family = AF_UNIX;
    auto const peer = Address::from_sockaddr(storage, offsetof(sockaddr_un, sun_path));
    ASSERT_TRUE(peer);
    EXPECT_EQ(peer->format(), "unix:");
    EXPECT_EQ(peer->to_sockaddr(storage), offsetof(sockaddr_un, sun_path));
}

}  // namespace
}  // namespace rc
