#include "ringcast/net/networks.h"

#include <gtest/gtest.h>
#include <sys/socket.h>

#include <cstring>
#include <string>
#include <vector>

#include "ringcast/io/ring.h"

namespace rc::net {
namespace {

PeerAddress peer(const std::string& host) {
    if (host == "unix") return PeerAddress::from(Address::unix_path(""));
    auto const text = host.find(':') == std::string::npos ? host + ":4711" : "[" + host + "]:4711";
    return PeerAddress::from(parse_addresses(text)->front());
}

bool holds(const std::vector<std::string>& networks, const std::string& host) {
    auto const parsed = Networks::parse(networks);
    EXPECT_TRUE(parsed) << (parsed ? "" : parsed.error().message);
    return parsed && parsed->contains(peer(host));
}

std::string refusal(const std::string& text) {
    std::vector<std::string> const texts{text};
    auto const parsed = Networks::parse(texts);
    return parsed ? "" : parsed.error().message;
}

TEST(Networks, HoldsWhatItsPrefixSaysAndNoBitMore) {
    EXPECT_TRUE(holds({"10.0.0.0/8"}, "10.255.255.255"));
    EXPECT_FALSE(holds({"10.0.0.0/8"}, "11.0.0.0"));
    EXPECT_TRUE(holds({"192.0.2.128/25"}, "192.0.2.128"));
    EXPECT_FALSE(holds({"192.0.2.128/25"}, "192.0.2.127"));
    EXPECT_TRUE(holds({"192.0.2.7"}, "192.0.2.7"));
    EXPECT_FALSE(holds({"192.0.2.7"}, "192.0.2.6"));
    EXPECT_TRUE(holds({"2001:db8::/33"}, "2001:db8:7fff:ffff::1"));
    EXPECT_FALSE(holds({"2001:db8::/33"}, "2001:db8:8000::1"));
    EXPECT_TRUE(holds({"2001:db8::1"}, "2001:db8::1"));
    EXPECT_FALSE(holds({"2001:db8::1"}, "2001:db8::2"));
    EXPECT_TRUE(holds({"10.0.0.0/8", "192.0.2.0/24"}, "192.0.2.200"));
}

TEST(Networks, EachPrefixLengthDividesAtItsBit) {
    for (int bits = 1; bits <= 32; ++bits) {
        uint32_t const base = bits == 32 ? 0xffffffff : ~(0xffffffff >> bits);
        auto const text = [](uint32_t ip) {
            return std::to_string(ip >> 24) + '.' + std::to_string(ip >> 16 & 255) + '.' +
                   std::to_string(ip >> 8 & 255) + '.' + std::to_string(ip & 255);
        };
        auto const network = text(base) + '/' + std::to_string(bits);
        EXPECT_TRUE(holds({network}, "255.255.255.255")) << network;
        EXPECT_TRUE(holds({network}, text(base))) << network;
        EXPECT_FALSE(holds({network}, text(base - 1))) << network;
        EXPECT_FALSE(holds({network}, text(0xffffffff ^ (1U << (32 - bits))))) << network;
    }
}

TEST(Networks, OneHostIsOnePeerInBothFamilies) {
    EXPECT_TRUE(holds({"10.0.0.0/8"}, "::ffff:10.1.2.3"));
    EXPECT_TRUE(holds({"::ffff:10.0.0.0/104"}, "10.1.2.3"));
    EXPECT_FALSE(holds({"::ffff:10.0.0.0/104"}, "11.1.2.3"));
    EXPECT_TRUE(holds({"::ffff:0:0/96"}, "198.51.100.1"));
    EXPECT_EQ(peer("::ffff:10.1.2.3"), peer("10.1.2.3"));
}

TEST(Networks, AFamilyHoldsNobodyOfAnother) {
    EXPECT_FALSE(holds({"::/0"}, "10.0.0.1"));
    EXPECT_FALSE(holds({"0.0.0.0/0"}, "2001:db8::1"));
    EXPECT_FALSE(holds({"0.0.0.0/0", "::/0"}, "unix"));
    EXPECT_FALSE(holds({"unix"}, "127.0.0.1"));
    EXPECT_TRUE(holds({"unix"}, "unix"));
}

TEST(Networks, NobodyIsInNone) {
    EXPECT_FALSE(holds({}, "127.0.0.1"));
    EXPECT_FALSE(holds({}, "unix"));
    EXPECT_FALSE(Networks().contains(PeerAddress{}));
    EXPECT_FALSE(holds({"unix", "0.0.0.0/0"}, "::1"));
    // A socket of which the kernel said nothing.
    EXPECT_FALSE(
        Networks::parse(std::vector<std::string>{"unix", "0.0.0.0/0", "::/0"})->contains(PeerAddress{}));
}

TEST(Networks, RefusesWhatIsNoNetwork) {
    for (const char* text : {"",
                             "/8",
                             "10.0.0.0/",
                             "10.0.0.0/33",
                             "10.0.0.0/08",
                             "10.0.0.0/-1",
                             "10.0.0.0/+8",
                             "10.0.0.0/8 ",
                             " 10.0.0.0/8",
                             "10.0.0/8",
                             "10",
                             "010.0.0.0/8",
                             "2001:db8::/129",
                             "[::1]",
                             "::1%lo",
                             "localhost",
                             "Unix",
                             "unix:/run/x",
                             "10.0.0.0/8/8",
                             "0x0a.0.0.0/8",
                             "::ffff:10.0.0.0/95",
                             "256.0.0.1"})
        EXPECT_NE(refusal(text), "") << text;
    EXPECT_EQ(refusal("10.1.2.3/8"), "\"10.1.2.3/8\" is not a network: bits are set behind the first 8");
    EXPECT_EQ(refusal("10.0.0.1/31"), "\"10.0.0.1/31\" is not a network: bits are set behind the first 31");
    EXPECT_EQ(refusal("2001:db8::/200"),
              "\"2001:db8::/200\" is not a network: behind the / stands a number from 0 to 128");
    EXPECT_EQ(
        refusal("a\nb"),
        "\"a?b\" is not a network: it is written as 10.0.0.0/8, 2001:db8::/32, an address alone, or unix");
    EXPECT_NE(refusal(std::string("10.0.0.0\0/8", 11)), "");
}

TEST(Networks, TellsAListThatTrustsEverybody) {
    auto const everybody = [](const char* text) {
        return Networks::parse(std::vector<std::string>{"unix", text})->holds_everybody();
    };
    EXPECT_TRUE(everybody("0.0.0.0/0"));
    EXPECT_TRUE(everybody("::/0"));
    EXPECT_TRUE(everybody("::ffff:0:0/96"));
    EXPECT_FALSE(everybody("0.0.0.0/1"));
    EXPECT_FALSE(Networks().holds_everybody());
}

TEST(PeerAddress, IsWrittenWithItsPortIfThereIsOne) {
    EXPECT_EQ(peer("192.0.2.1").format(), "192.0.2.1:4711");
    EXPECT_EQ(peer("2001:db8::1").format(), "[2001:db8::1]:4711");
    EXPECT_EQ(peer("::ffff:192.0.2.1").format(), "192.0.2.1:4711");
    EXPECT_EQ(peer("unix").format(), "unix");
    EXPECT_EQ(PeerAddress{}.format(), "unix");
    auto portless = peer("192.0.2.1");
    portless.port = 0;
    EXPECT_EQ(portless.format(), "192.0.2.1");
    portless = peer("2001:db8::1");
    portless.port = 0;
    EXPECT_EQ(portless.format(), "2001:db8::1");
}

TEST(PeerAddress, IsOfAKind) {
    for (auto [host, kind] :
         std::vector<std::pair<const char*, PeerKind>>{{"127.255.0.1", PeerKind::loopback},
                                                       {"::1", PeerKind::loopback},
                                                       {"::ffff:127.0.0.1", PeerKind::loopback},
                                                       {"128.0.0.1", PeerKind::public_network},
                                                       {"10.0.0.1", PeerKind::private_network},
                                                       {"172.15.255.255", PeerKind::public_network},
                                                       {"172.16.0.1", PeerKind::private_network},
                                                       {"172.31.255.255", PeerKind::private_network},
                                                       {"172.32.0.0", PeerKind::public_network},
                                                       {"192.168.3.4", PeerKind::private_network},
                                                       {"192.169.0.1", PeerKind::public_network},
                                                       {"100.63.255.255", PeerKind::public_network},
                                                       {"100.64.0.1", PeerKind::private_network},
                                                       {"100.128.0.0", PeerKind::public_network},
                                                       {"169.254.1.1", PeerKind::private_network},
                                                       {"fe80::1", PeerKind::private_network},
                                                       {"febf::1", PeerKind::private_network},
                                                       {"fec0::1", PeerKind::public_network},
                                                       {"fc00::1", PeerKind::private_network},
                                                       {"fdff::1", PeerKind::private_network},
                                                       {"2001:db8::1", PeerKind::public_network},
                                                       {"::ffff:8.8.8.8", PeerKind::public_network},
                                                       {"unix", PeerKind::unix_socket}})
        EXPECT_EQ(peer_kind_name(peer(host).kind()), peer_kind_name(kind)) << host;
}

TEST(PeerAddress, IsReadAsTheKernelGivesIt) {
    io::PeerBuffer buffer;
    sockaddr_storage storage{};
    buffer.size =
        Address::v6({0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 192, 0, 2, 1}, 99).to_sockaddr(storage);
    std::memcpy(buffer.storage.data(), &storage, sizeof storage);
    EXPECT_EQ(PeerAddress::from(buffer).format(), "192.0.2.1:99");

    buffer.size = Address::unix_path("").to_sockaddr(storage);
    std::memcpy(buffer.storage.data(), &storage, sizeof storage);
    EXPECT_EQ(PeerAddress::from(buffer).kind(), PeerKind::unix_socket);
    EXPECT_EQ(PeerAddress::from(io::PeerBuffer{}), PeerAddress{});
}

}  // namespace
}  // namespace rc::net
