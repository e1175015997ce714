#include "ringcast/net/proxy_header.h"

#include <gtest/gtest.h>

#include <random>
#include <string>
#include <vector>

#include "ringcast/net/networks.h"

namespace rc::net {
namespace {

using State = ProxyHeaderParser::State;
using namespace std::string_literals;

const std::string kSignature = "\r\n\r\n\0\r\nQUIT\n"s;
const std::string kRest = "GET /ws HTTP/1.1\r\n";

std::string block(uint8_t command, uint8_t family, const std::string& body, int length = -1) {
    auto const n = length < 0 ? body.size() : static_cast<std::size_t>(length);
    return kSignature + static_cast<char>(command) + static_cast<char>(family) + static_cast<char>(n >> 8) +
           static_cast<char>(n & 0xff) + body;
}
const std::string kV4Block = "\xc0\x00\x02\x01\x0a\x00\x00\x01\x12\x34\x01\xbb"s;  // 192.0.2.1:4660
const std::string kV6Block =
    "\x20\x01\x0d\xb8"s + std::string(11, '\0') + "\x07"s + std::string(16, '\0') + "\x12\x34\x01\xbb"s;

struct Outcome {
    State state = State::need_more;
    std::string client;  // "own": the socket's peer
    std::size_t consumed = 0;
    bool operator==(const Outcome&) const = default;
};
std::ostream& operator<<(std::ostream& out, const Outcome& o) {
    return out << static_cast<int>(o.state) << ' ' << o.client << ' ' << o.consumed;
}

// In pieces of the given sizes; the last piece takes the rest.
Outcome feed(std::string_view bytes, const std::vector<std::size_t>& pieces = {}) {
    ProxyHeaderParser parser;
    Outcome out;
    std::size_t next = 0;
    while (out.state == State::need_more && !bytes.empty()) {
        auto const piece = bytes.substr(0, next < pieces.size() ? pieces[next++] : bytes.size());
        std::size_t consumed = 0;
        out.state = parser.feed(piece, consumed);
        out.consumed += consumed;
        EXPECT_LE(consumed, piece.size());
        EXPECT_TRUE(consumed == piece.size() || out.state != State::need_more);
        bytes.remove_prefix(piece.size());
    }
    if (out.state == State::complete) out.client = parser.client() ? parser.client()->format() : "own";
    EXPECT_EQ(out.state == State::failed, !parser.failure().empty());
    return out;
}

// The same whole, in single bytes, and in two pieces cut anywhere; and what follows the header stays.
std::string client_of(const std::string& header) {
    auto const whole = feed(header + kRest);
    EXPECT_EQ(whole.state, State::complete);
    EXPECT_EQ(whole.consumed, header.size());
    EXPECT_EQ(feed(header + kRest, std::vector<std::size_t>(header.size(), 1)), whole);
    for (std::size_t cut = 1; cut < header.size(); ++cut) {
        EXPECT_EQ(feed(header + kRest, {cut}), whole) << "cut at " << cut;
        EXPECT_EQ(feed(header.substr(0, cut)).state, State::need_more) << "cut at " << cut;
    }
    return whole.client;
}

bool fails(const std::string& bytes) {
    auto const whole = feed(bytes + kRest);
    auto const bytewise = feed(bytes + kRest, std::vector<std::size_t>(bytes.size() + kRest.size(), 1));
    EXPECT_EQ(whole.state, bytewise.state);
    EXPECT_EQ(whole.consumed, bytewise.consumed);
    return whole.state == State::failed;
}

TEST(ProxyLine, NamesTheClient) {
    EXPECT_EQ(client_of("PROXY TCP4 192.0.2.1 198.51.100.1 56324 443\r\n"), "192.0.2.1:56324");
    EXPECT_EQ(client_of("PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n"),
              "255.255.255.255:65535");
    EXPECT_EQ(client_of("PROXY TCP6 2001:db8::7 ::1 1 443\r\n"), "[2001:db8::7]:1");
    EXPECT_EQ(client_of("PROXY TCP6 ::ffff:192.0.2.1 ::ffff:127.0.0.1 1 443\r\n"), "192.0.2.1:1");
    std::string const most = "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff";
    EXPECT_EQ(client_of("PROXY TCP6 " + most + ' ' + most + " 65535 65535\r\n"), '[' + most + "]:65535")
        << "the longest line that TCP6 has";
}

TEST(ProxyLine, OfUnknownLeavesTheSocketsPeer) {
    EXPECT_EQ(client_of("PROXY UNKNOWN\r\n"), "own");
    EXPECT_EQ(client_of("PROXY UNKNOWN anything at all\r\n"), "own");
    EXPECT_EQ(client_of("PROXY UNKNOWN " + std::string(91, 'x') + "\r\n"), "own") << "107 bytes";
    EXPECT_TRUE(fails("PROXY UNKNOWN " + std::string(92, 'x') + "\r\n")) << "108 bytes";
}

TEST(ProxyLine, EndsWithin107Bytes) {
    auto const endless = "PROXY UNKNOWN " + std::string(200, 'x');
    EXPECT_EQ(feed(endless.substr(0, 106)).state, State::need_more);
    EXPECT_EQ(feed(endless), (Outcome{State::failed, "", 107}));
}

TEST(ProxyLine, IsTakenToTheLetter) {
    for (const char* line : {"PROXY  TCP4 192.0.2.1 198.51.100.1 1 2",
                             "PROXY TCP4  192.0.2.1 198.51.100.1 1 2",
                             "PROXY TCP4 192.0.2.1 198.51.100.1 1 2 ",
                             "PROXY TCP4 192.0.2.1 198.51.100.1 1 2 3",
                             "PROXY TCP4 192.0.2.1 198.51.100.1 1",
                             "PROXY TCP4 192.0.2.1 198.51.100.1",
                             "PROXY TCP4",
                             "PROXY ",
                             "PROXY TCP4 192.0.2.01 198.51.100.1 1 2",
                             "PROXY TCP4 192.0.2 198.51.100.1 1 2",
                             "PROXY TCP4 192.0.2.256 198.51.100.1 1 2",
                             "PROXY TCP4 192.0.2.1 198.51.100.x 1 2",
                             "PROXY TCP4 ::1 ::1 1 2",
                             "PROXY TCP6 192.0.2.1 198.51.100.1 1 2",
                             "PROXY TCP6 [::1] [::1] 1 2",
                             "PROXY TCP4 192.0.2.1 198.51.100.1 01 2",
                             "PROXY TCP4 192.0.2.1 198.51.100.1 1 02",
                             "PROXY TCP4 192.0.2.1 198.51.100.1 65536 2",
                             "PROXY TCP4 192.0.2.1 198.51.100.1 -1 2",
                             "PROXY TCP4 192.0.2.1 198.51.100.1 +1 2",
                             "PROXY TCP4 192.0.2.1 198.51.100.1 1 x",
                             "PROXY TCP4 192.0.2.1\t198.51.100.1 1 2",
                             "PROXY tcp4 192.0.2.1 198.51.100.1 1 2",
                             "PROXY UDP4 192.0.2.1 198.51.100.1 1 2",
                             "PROXY UNKNOWNX",
                             "PROXY unknown",
                             "proxy TCP4 192.0.2.1 198.51.100.1 1 2",
                             "PROXY TCP4 192.0.2.1 198.51.100.1 1 2\r",
                             "PROXY UNKNOWN \x7f",
                             "PROXY UNKNOWN \x80",
                             "PROXY TCP6 ::1%lo ::1 1 2"})
        EXPECT_TRUE(fails(std::string(line) + "\r\n")) << line;
    EXPECT_TRUE(fails("PROXY TCP4 192.0.2.1 198.51.100.1 1 2\n"));
    EXPECT_TRUE(fails("PROXY UNKNOWN \0\r\n"s));
    EXPECT_TRUE(fails("PROXY UNKNOWN \rx\r\n"));
}

TEST(ProxyHeader, IsRefusedAtTheFirstByteThatNoneHasThere) {
    EXPECT_EQ(feed("GET / HTTP/1.1\r\n").consumed, 1U);
    EXPECT_EQ(feed("PROXX").consumed, 5U);
    EXPECT_EQ(feed("POST / HTTP/1.1\r\n").consumed, 2U);
    EXPECT_EQ(feed("\r\n\r\nGET").consumed, 5U);
    EXPECT_EQ(feed("\x16\x03\x01").consumed, 1U);
    for (std::size_t at = 0; at < kSignature.size(); ++at) {
        auto bytes = block(0x21, 0x11, kV4Block);
        bytes[at] = static_cast<char>(bytes[at] ^ 1);
        EXPECT_EQ(feed(bytes), (Outcome{State::failed, "", at + 1})) << at;
    }
}

TEST(ProxyBlock, NamesTheClient) {
    EXPECT_EQ(client_of(block(0x21, 0x11, kV4Block)), "192.0.2.1:4660");
    EXPECT_EQ(client_of(block(0x21, 0x21, kV6Block)), "[2001:db8::7]:4660");
    EXPECT_EQ(client_of(block(0x21, 0x12, kV4Block)), "192.0.2.1:4660") << "a client by HTTP/3";
    EXPECT_EQ(client_of(block(0x21, 0x22, kV6Block)), "[2001:db8::7]:4660");
    EXPECT_EQ(client_of(block(0x21, 0x31, std::string(216, '/'))), "unix");
    auto mapped = std::string(10, '\0') + "\xff\xff\xc0\x00\x02\x01"s + kV6Block.substr(16);
    EXPECT_EQ(client_of(block(0x21, 0x21, mapped)), "192.0.2.1:4660");
}

TEST(ProxyBlock, AUnixClientOfTheProxyIsNoPeerOfOurs) {
    ProxyHeaderParser parser;
    std::size_t consumed = 0;
    ASSERT_EQ(parser.feed(block(0x21, 0x31, std::string(216, '\0')), consumed), State::complete);
    EXPECT_EQ(parser.client()->kind(), PeerKind::unix_socket);
    EXPECT_FALSE(Networks::parse(std::vector<std::string>{"unix"})->contains(*parser.client()));
}

TEST(ProxyBlock, OfLocalAndUnspecLeavesTheSocketsPeer) {
    EXPECT_EQ(client_of(block(0x20, 0x00, "")), "own");
    EXPECT_EQ(client_of(block(0x20, 0x11, kV4Block)), "own");
    EXPECT_EQ(client_of(block(0x20, 0x11, "")), "own") << "whatever the family says";
    EXPECT_EQ(client_of(block(0x20, 0xff, "xyz")), "own");
    EXPECT_EQ(client_of(block(0x21, 0x00, "")), "own");
    EXPECT_EQ(client_of(block(0x21, 0x00, "\x03\x00\x04"s + "abcd")), "own");
}

TEST(ProxyBlock, WhatStandsBehindTheAddressesIsPassedOver) {
    auto const fields = "\x02\x00\x0b"s + "example.org" + "\x20\x00\x05\x01\x00\x00\x00\x00"s;
    EXPECT_EQ(client_of(block(0x21, 0x11, kV4Block + fields)), "192.0.2.1:4660");
    EXPECT_EQ(client_of(block(0x21, 0x21, kV6Block + fields)), "[2001:db8::7]:4660");
    EXPECT_EQ(client_of(block(0x21, 0x31, std::string(216, '\0') + fields)), "unix");
}

TEST(ProxyBlock, IsAsLongAsTheLimitAndNoLonger) {
    std::size_t const most = limits::kProxyHeaderBytesMax - 16;
    EXPECT_EQ(feed(block(0x21, 0x11, kV4Block + std::string(most - 12, 'x'))).client, "192.0.2.1:4660");
    for (int length : {static_cast<int>(most) + 1, 65'535}) {
        EXPECT_EQ(feed(block(0x21, 0x11, kV4Block, length)), (Outcome{State::failed, "", 16})) << length;
        EXPECT_EQ(feed(block(0x20, 0x00, "", length)), (Outcome{State::failed, "", 16})) << length;
    }
}

TEST(ProxyBlock, KnowsEveryVersionCommandAndFamily) {
    for (int byte = 0; byte < 256; ++byte) {
        bool const command = byte == 0x20 || byte == 0x21;
        EXPECT_EQ(fails(block(static_cast<uint8_t>(byte), 0x11, kV4Block)), !command) << byte;
        bool const family = byte == 0x00 || byte == 0x11 || byte == 0x12 || byte == 0x21 || byte == 0x22 ||
                            byte == 0x31 || byte == 0x32;
        EXPECT_EQ(fails(block(0x21, static_cast<uint8_t>(byte), std::string(216, '\0'))), !family) << byte;
    }
}

TEST(ProxyBlock, HoldsItsAddressesWhole) {
    EXPECT_TRUE(fails(block(0x21, 0x11, kV4Block.substr(1))));
    EXPECT_TRUE(fails(block(0x21, 0x21, kV6Block.substr(1))));
    EXPECT_TRUE(fails(block(0x21, 0x31, std::string(215, '\0'))));
    EXPECT_TRUE(fails(block(0x21, 0x11, "")));
}

// Headers with bytes changed, cut and put in: no fault, the same in any pieces, and no more bytes than a
// header may have.
TEST(ProxyHeader, AnyBytesInAnyPiecesGiveOneOutcome) {
    std::mt19937 random(20'261'123);  // NOLINT: the same bytes each time
    std::vector<std::string> const seeds{"PROXY TCP4 192.0.2.1 198.51.100.1 56324 443\r\n",
                                         "PROXY TCP6 2001:db8::7 ::1 1 443\r\n",
                                         "PROXY UNKNOWN\r\n",
                                         block(0x21, 0x11, kV4Block),
                                         block(0x21, 0x21, kV6Block + "\x04\x00\x02zz"s),
                                         block(0x20, 0x00, ""),
                                         block(0x21, 0x31, std::string(216, '/'))};
    for (int round = 0; round < 30'000; ++round) {
        auto bytes = seeds[random() % seeds.size()] + kRest;
        for (auto changes = random() % 4; changes > 0; --changes) {
            auto const at = random() % bytes.size();
            switch (random() % 3) {
                case 0: bytes[at] = static_cast<char>(random()); break;
                case 1: bytes.erase(at, 1 + random() % 4); break;
                default: bytes.insert(at, 1 + random() % 4, static_cast<char>(random())); break;
            }
            if (bytes.empty()) bytes = "x";
        }
        auto const whole = feed(bytes);
        std::vector<std::size_t> pieces;
        for (std::size_t sum = 0; sum < bytes.size(); sum += pieces.back())
            pieces.push_back(1 + random() % 9);
        ASSERT_EQ(feed(bytes, pieces), whole);
        ASSERT_LE(whole.consumed, limits::kProxyHeaderBytesMax);
    }
}

}  // namespace
}  // namespace rc::net
