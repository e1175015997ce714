// What a decoder reports must not depend on how the network cut the bytes.
#include <gtest/gtest.h>

#include <random>
#include <string>
#include <vector>

#include "recorder.h"
#include "ringcast/ws/codec.h"
#include "ringcast/ws/utf8.h"

namespace rc::ws {
namespace {

const CodecLimits kLimits{.message_bytes_max = 70'000};

std::vector<size_t> random_pieces(std::mt19937& random, size_t size_max) {
    std::vector<size_t> pieces(1 + random() % 64);
    for (auto& piece : pieces)
        piece = 1 + random() % size_max;
    return pieces;
}

void expect_same_for_every_split(const std::string& wire, const Events& expected) {
    ASSERT_EQ(decode_whole(wire, kLimits), expected);
    ASSERT_EQ(decode(wire, {1}, kLimits), expected) << "byte by byte";
    for (size_t cut = 1; cut < wire.size(); ++cut) {
        ASSERT_EQ(decode(wire, {cut, wire.size()}, kLimits), expected) << "cut at " << cut;
    }
}

std::string bytes(std::initializer_list<int> values) {
    std::string text;
    for (int value : values)
        text += static_cast<char>(value);
    return text;
}

/// The 132 texts of Autobahn's section 6 (cases 6.5 to 6.23, after Markus Kuhn's decoder test).
std::vector<std::string> autobahn_texts() {
    std::vector<std::string> texts;
    const std::string hello = "Hello-\xC2\xB5@\xC3\x9F\xC3\xB6\xC3\xA4\xC3\xBC\xC3\xA0\xC3\xA1-UTF-8!!";
    const std::string kosme = "\xCE\xBA\xE1\xBD\xB9\xCF\x83\xCE\xBC\xCE\xB5";
    texts.insert(texts.end(), {hello, "\xC2\xB5@\xC3\x9F", kosme, kosme + hello, hello + kosme});  // 6.5
    for (size_t i = 1; i <= kosme.size(); ++i)
        texts.push_back(kosme.substr(0, i));                                                  // 6.6
    texts.insert(texts.end(), {bytes({0}), "\xC2\x80", "\xE0\xA0\x80", "\xF0\x90\x80\x80"});  // 6.7
    texts.insert(texts.end(), {"\xF8\x88\x80\x80\x80", "\xFC\x84\x80\x80\x80\x80"});          // 6.8
    texts.insert(texts.end(), {"\x7F", "\xDF\xBF", "\xEF\xBF\xBF", "\xF4\x8F\xBF\xBF"});      // 6.9
    texts.insert(texts.end(),
                 {"\xF7\xBF\xBF\xBF", "\xFB\xBF\xBF\xBF\xBF", "\xFD\xBF\xBF\xBF\xBF\xBF"});  // 6.10
    texts.insert(texts.end(), {"\xED\x9F\xBF", "\xEE\x80\x80", "\xEF\xBF\xBD", "\xF4\x8F\xBF\xBF",
                               "\xF4\x90\x80\x80"});  // 6.11
    texts.insert(texts.end(), {"\x80", "\xBF"});      // 6.12
    for (size_t i = 2; i <= 6; ++i) {
        std::string text;
        for (size_t j = 0; j < i; ++j)
            text += j % 2 == 0 ? '\x80' : '\xBF';
        texts.push_back(text);
    }
    std::string continuations;
    for (int byte = 0x80; byte <= 0xBF; ++byte)
        continuations += static_cast<char>(byte);
    texts.push_back(continuations);
    for (auto [from, to] : {std::pair{0xC0, 0xDF}, {0xE0, 0xEF}, {0xF0, 0xF7}, {0xF8, 0xFB}, {0xFC, 0xFD}}) {
        std::string text;  // 6.13: starts, each followed by a blank
        for (int byte = from; byte <= to; ++byte)
            text += bytes({byte, ' '});
        texts.push_back(text);
    }
    const std::vector<std::string> cut{
        "\xC0", "\xE0\x80", "\xF0\x80\x80", "\xF8\x80\x80\x80", "\xFC\x80\x80\x80\x80",
        "\xDF", "\xEF\xBF", "\xF7\xBF\xBF", "\xFB\xBF\xBF\xBF", "\xFD\xBF\xBF\xBF\xBF"};
    texts.insert(texts.end(), cut.begin(), cut.end());  // 6.14
    std::string joined;
    for (const auto& text : cut)
        joined += text;
    texts.push_back(joined);                                          // 6.15
    texts.insert(texts.end(), {"\xFE", "\xFF", "\xFE\xFE\xFF\xFF"});  // 6.16
    texts.insert(texts.end(), {"\xC0\xAF", "\xE0\x80\xAF", "\xF0\x80\x80\xAF", "\xF8\x80\x80\x80\xAF",
                               "\xFC\x80\x80\x80\x80\xAF"});  // 6.17
    texts.insert(texts.end(), {"\xC1\xBF", "\xE0\x9F\xBF", "\xF0\x8F\xBF\xBF", "\xF8\x87\xBF\xBF\xBF",
                               "\xFC\x83\xBF\xBF\xBF\xBF"});  // 6.18
    texts.insert(texts.end(), {"\xC0\x80", "\xE0\x80\x80", "\xF0\x80\x80\x80", "\xF8\x80\x80\x80\x80",
                               "\xFC\x80\x80\x80\x80\x80"});  // 6.19
    texts.insert(texts.end(), {"\xED\xA0\x80", "\xED\xAD\xBF", "\xED\xAE\x80", "\xED\xAF\xBF", "\xED\xB0\x80",
                               "\xED\xBE\x80", "\xED\xBF\xBF"});                                 // 6.20
    for (std::string high : {"\xED\xA0\x80", "\xED\xAD\xBF", "\xED\xAE\x80", "\xED\xAF\xBF"}) {  // 6.21
        for (std::string low : {"\xED\xB0\x80", "\xED\xBF\xBF"})
            texts.push_back(high + low);
    }
    texts.insert(texts.end(), {"\xEF\xBF\xBE", "\xEF\xBF\xBF"});  // 6.22
    for (int plane = 1; plane <= 16; ++plane) {
        for (int last : {0xBE, 0xBF}) {
            texts.push_back(bytes({0xF0 | plane >> 2, 0x80 | (plane & 3) << 4 | 0x0F, 0xBF, last}));
        }
    }
    for (int last = 0xB9; last <= 0xBF; ++last)
        texts.push_back(bytes({0xEF, 0xBF, last}));  // 6.23
    return texts;
}

TEST(DecoderSplit, TheAutobahnTextsGiveOneOutcomeInEveryCut) {  // F12
    const auto texts = autobahn_texts();
    ASSERT_EQ(texts.size(), 132U);
    size_t valid = 0;
    for (const auto& text : texts) {
        const Events expected{is_valid_utf8(text) ? "text " + text : "fail 1007"};
        valid += is_valid_utf8(text);
        const auto is = [&](const Events& events) { return events == expected; };
        for (const std::string& wire : {masked(Opcode::text, text), fragmented(Opcode::text, text, 1)}) {
            CodecLimits limits = kLimits;
            limits.fragments_max = 100;
            ASSERT_TRUE(is(decode_whole(wire, limits))) << testing::PrintToString(text);
            ASSERT_TRUE(is(decode(wire, {1}, limits))) << testing::PrintToString(text);
        }
    }
    // 6.5: 5; 6.6: 5 whole ones of the 11; 6.7: 4; 6.9: 4; 6.11: 4; 6.22: 34; 6.23: 7.
    EXPECT_EQ(valid, 63U);
}

TEST(DecoderSplit, CloseFramesGiveOneOutcomeInEveryCut) {  // F14
    expect_same_for_every_split(masked(Opcode::close, ""), {"close 1005 "});
    expect_same_for_every_split(masked(Opcode::close, "\x03"), {"fail 1002"});
    expect_same_for_every_split(masked(Opcode::close, close_payload(1004, "x")), {"fail 1002"});
    const std::string reason = "caf\xC3\xA9 \xE2\x82\xAC \xF0\x9F\x98\x80 fin";
    expect_same_for_every_split(masked(Opcode::close, close_payload(4000, reason)), {"close 4000 " + reason});
    expect_same_for_every_split(masked(Opcode::close, "\x03\xE8" + reason + "\xE2\x82"), {"fail 1007"});
    expect_same_for_every_split(masked(Opcode::close, "\x03\xE8\xC3\xA9\xED\xA0\x80xyz"), {"fail 1007"});
}

TEST(DecoderSplit, AMixedSessionGivesOneOutcomeInEveryCut) {
    const std::string euro = "\xE2\x82\xAC", ping(125, 'p'), longer(126, 'l');
    const std::string wire = masked(Opcode::text, "") + fragmented(Opcode::text, euro + euro, 1) +
                             masked(Opcode::binary, "b", false) + masked(Opcode::ping, ping) +
                             masked(Opcode::continuation, "", false) + masked(Opcode::pong, "") +
                             masked(Opcode::continuation, longer) + masked(Opcode::text, longer) +
                             masked(Opcode::close, close_payload(1001, euro)) + masked(Opcode::text, "late");
    expect_same_for_every_split(wire, {"text ", "text " + euro + euro, "ping " + ping, "pong ",
                                       "binary b" + longer, "text " + longer, "close 1001 " + euro});
}

TEST(DecoderSplit, EveryHeadErrorGivesOneOutcomeInEveryCut) {
    const std::string rest(20, 'r');
    for (const std::string& wire :
         {raw_head(0xC1, 1, 0), raw_head(0x83, 1, 0), raw_head(0x81, 1, 0, false), raw_head(0x09, 1, 0),
          raw_head(0x89, 126, 2), raw_head(0x80, 1, 0), raw_head(0x81, 5, 2), raw_head(0x81, 300, 8),
          raw_head(0x81, uint64_t{1} << 63, 8), masked(Opcode::text, "a", false) + raw_head(0x81, 1, 0)}) {
        expect_same_for_every_split(wire + rest, {"fail 1002"});
    }
    expect_same_for_every_split(raw_head(0x81, 70'001, 8) + rest, {"fail 1009"});
    expect_same_for_every_split(masked(Opcode::ping, "x") + raw_head(0x81, (uint64_t{1} << 63) - 1, 8) + rest,
                                {"ping x", "fail 1009"});
    expect_same_for_every_split(masked(Opcode::text, "fine") + masked(Opcode::text, "no\xFFt") + rest,
                                {"text fine", "fail 1007"});
}

TEST(DecoderSplit, LargeFramesGiveOneOutcomeInRandomCuts) {
    std::mt19937 random(11);
    for (size_t size : {4095, 4096, 4097, 8192, 65'535, 65'536, 70'000}) {
        std::string text(size, 'x');
        for (size_t i = 0; i + 3 < size; i += 1 + random() % 50)
            text.replace(i, 3, "\xE2\x82\xAC"), i += 3;
        ASSERT_TRUE(is_valid_utf8(text));
        const std::string wire = masked(Opcode::text, text) + masked(Opcode::ping, "end");
        const Events expected{"text " + text, "ping end"};
        ASSERT_TRUE(decode_whole(wire, kLimits) == expected) << size;
        for (size_t piece_max : {10, 100, 5000, 20'000}) {
            ASSERT_TRUE(decode(wire, random_pieces(random, piece_max), kLimits) == expected) << size;
        }
    }
}

/// Mostly valid sessions, with a wrong byte in some, so that failures are cut as well.
std::string random_session(std::mt19937& random) {
    std::string wire;
    const auto text = [&] {
        std::string out;
        for (auto n = random() % 200; n > 0; --n) {
            out += random() % 4 == 0 ? "\xF0\x9F\x98\x80" : random() % 3 == 0 ? "\xC3\xA9" : "a";
        }
        return out;
    };
    const MaskKey key{static_cast<uint8_t>(random()), static_cast<uint8_t>(random()),
                      static_cast<uint8_t>(random()), static_cast<uint8_t>(random())};
    for (auto n = 1 + random() % 6; n > 0; --n) {
        const std::string payload = text();
        const size_t fragment = 1 + random() % (payload.size() + 1);
        for (size_t at = 0; at == 0 || at < payload.size(); at += fragment) {
            const Opcode opcode = at > 0              ? Opcode::continuation
                                  : random() % 4 == 0 ? Opcode::binary
                                                      : Opcode::text;
            wire += encode_masked_frame(opcode, std::string_view(payload).substr(at, fragment), key,
                                        at + fragment >= payload.size());
            if (random() % 4 == 0) {
                wire += encode_masked_frame(random() % 2 ? Opcode::ping : Opcode::pong,
                                            payload.substr(0, random() % 125), key);
            }
        }
    }
    if (random() % 2) wire += encode_masked_frame(Opcode::close, close_payload(1000, "bye"), key);
    if (random() % 3 == 0) wire[random() % wire.size()] = static_cast<char>(random());
    return wire;
}

TEST(DecoderSplit, RandomSessionsGiveOneOutcomeInRandomCuts) {  // F20
    for (uint32_t seed = 0; seed < 3000; ++seed) {
        std::mt19937 random(seed);
        const std::string wire = random_session(random);
        const Events expected = decode_whole(wire, kLimits);
        for (size_t piece_max : {3, 40, 700}) {
            ASSERT_EQ(decode(wire, random_pieces(random, piece_max), kLimits), expected) << "seed " << seed;
        }
    }
}

}  // namespace
}  // namespace rc::ws
