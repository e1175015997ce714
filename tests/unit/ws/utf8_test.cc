#include "ringcast/ws/utf8.h"

#include <gtest/gtest.h>

#include <array>
#include <string>

namespace rc::ws {
namespace {

enum class Verdict : uint8_t { impossible, partial, complete };

/// The model: a byte string is possible as long as some code point outside the surrogates, in the shortest
/// form, begins with its open sequence. It reasons in code point ranges, the validator in byte ranges.
Verdict model(const uint8_t* bytes, size_t size) {
    for (size_t at = 0; at < size;) {
        const uint8_t lead = bytes[at];
        if (lead < 0x80) {
            ++at;
            continue;
        }
        const size_t length = lead >> 5 == 0b110 ? 2 : lead >> 4 == 0b1110 ? 3 : lead >> 3 == 0b11110 ? 4 : 0;
        if (length == 0) return Verdict::impossible;
        const std::array<uint32_t, 5> floor{0, 0, 0x80, 0x800, 0x10000};
        uint32_t lowest = lead & (0x7FU >> length), highest = lowest;
        size_t have = 1;
        for (size_t i = 1; i < length; ++i) {
            uint32_t low_bits = 0, high_bits = 0x3F;
            if (at + i < size) {
                if (bytes[at + i] >> 6 != 0b10) return Verdict::impossible;
                low_bits = high_bits = bytes[at + i] & 0x3F;
                ++have;
            }
            lowest = lowest << 6 | low_bits;
            highest = highest << 6 | high_bits;
        }
        lowest = std::max(lowest, floor[length]);
        highest = std::min<uint32_t>(highest, 0x10FFFF);
        if (lowest > highest || (lowest >= 0xD800 && highest <= 0xDFFF)) return Verdict::impossible;
        if (have < length) return Verdict::partial;
        at += length;
    }
    return Verdict::complete;
}

Verdict verdict_of(bool fed, const Utf8Validator& validator) {
    return !fed ? Verdict::impossible : validator.complete() ? Verdict::complete : Verdict::partial;
}

std::string_view one(const uint8_t& byte) {
    return {reinterpret_cast<const char*>(&byte), 1};
}

TEST(Utf8, AgreesWithTheModelOnEverySequenceOfUpToThreeBytes) {
    uint64_t wrong = 0;
    std::array<uint8_t, 3> bytes{};
    for (uint32_t a = 0; a < 256; ++a) {
        bytes[0] = static_cast<uint8_t>(a);
        Utf8Validator first;
        const bool first_fed = first.feed(one(bytes[0]));
        wrong += verdict_of(first_fed, first) != model(bytes.data(), 1);
        for (uint32_t b = 0; b < 256; ++b) {
            bytes[1] = static_cast<uint8_t>(b);
            Utf8Validator second = first;
            const bool second_fed = second.feed(one(bytes[1]));
            const Verdict second_model = model(bytes.data(), 2);
            wrong += verdict_of(second_fed, second) != second_model;
            for (uint32_t c = 0; c < 256; ++c) {
                bytes[2] = static_cast<uint8_t>(c);
                Utf8Validator third = second;
                const bool third_fed = third.feed(one(bytes[2]));
                wrong += verdict_of(third_fed, third) != model(bytes.data(), 3);
            }
        }
    }
    EXPECT_EQ(wrong, 0U);
}

TEST(Utf8, AgreesWithTheModelOnFourByteSequencesAtTheirBoundaries) {
    const std::array<uint8_t, 14> interesting{0x00, 0x7F, 0x80, 0x81, 0x8F, 0x90, 0x9F,
                                              0xA0, 0xBF, 0xC0, 0xC2, 0xE0, 0xF0, 0xFF};
    for (uint32_t lead = 0xEE; lead <= 0xFF; ++lead) {
        for (uint8_t b : interesting) {
            for (uint8_t c : interesting) {
                for (uint8_t d : interesting) {
                    const std::array<uint8_t, 4> bytes{static_cast<uint8_t>(lead), b, c, d};
                    Utf8Validator validator;
                    const bool fed = validator.feed({reinterpret_cast<const char*>(bytes.data()), 4});
                    ASSERT_EQ(verdict_of(fed, validator), model(bytes.data(), 4))
                        << lead << ' ' << +b << ' ' << +c << ' ' << +d;
                }
            }
        }
    }
}

TEST(Utf8, AcceptsEveryCodePointInAnyCut) {
    for (uint32_t point = 0; point <= 0x10FFFF; point += point < 0x3000 ? 1 : 61) {
        if (point >= 0xD800 && point <= 0xDFFF) continue;
        std::string text;
        if (point < 0x80) {
            text += static_cast<char>(point);
        } else if (point < 0x800) {
            text += static_cast<char>(0xC0 | point >> 6);
            text += static_cast<char>(0x80 | (point & 0x3F));
        } else if (point < 0x10000) {
            text += static_cast<char>(0xE0 | point >> 12);
            text += static_cast<char>(0x80 | (point >> 6 & 0x3F));
            text += static_cast<char>(0x80 | (point & 0x3F));
        } else {
            text += static_cast<char>(0xF0 | point >> 18);
            text += static_cast<char>(0x80 | (point >> 12 & 0x3F));
            text += static_cast<char>(0x80 | (point >> 6 & 0x3F));
            text += static_cast<char>(0x80 | (point & 0x3F));
        }
        ASSERT_TRUE(is_valid_utf8(text)) << point;
        for (size_t cut = 1; cut < text.size(); ++cut) {
            Utf8Validator validator;
            ASSERT_TRUE(validator.feed(std::string_view(text).substr(0, cut)));
            ASSERT_FALSE(validator.complete());
            ASSERT_TRUE(validator.feed(std::string_view(text).substr(cut)));
            ASSERT_TRUE(validator.complete()) << point;
        }
    }
}

TEST(Utf8, FindsABadByteAtEveryPlaceOfALongAsciiText) {
    for (size_t size = 1; size <= 40; ++size) {
        ASSERT_TRUE(is_valid_utf8(std::string(size, 'a')));
        for (size_t at = 0; at < size; ++at) {
            std::string text(size, 'a');
            text[at] = '\xFF';
            ASSERT_FALSE(is_valid_utf8(text)) << size << ' ' << at;
        }
    }
}

TEST(Utf8, StaysFailed) {
    Utf8Validator validator;
    EXPECT_FALSE(validator.feed("\xC0"));
    EXPECT_FALSE(validator.feed("fine"));
    EXPECT_FALSE(validator.feed(""));
    EXPECT_FALSE(validator.complete());
}

TEST(Utf8, FailsAtTheFirstByteThatCannotBeMended) {
    Utf8Validator surrogate;
    EXPECT_TRUE(surrogate.feed("\xED"));
    EXPECT_FALSE(surrogate.feed("\xA0"));
    Utf8Validator too_high;
    EXPECT_TRUE(too_high.feed("\xF4"));
    EXPECT_FALSE(too_high.feed("\x90"));
}

TEST(Utf8, CutsBeforeTheCodePointThatDoesNotFit) {
    const std::string_view euros = "a\xE2\x82\xAC\xE2\x82\xAC";
    EXPECT_EQ(cut_at_code_point(euros, 7), euros);
    EXPECT_EQ(cut_at_code_point(euros, 6), euros.substr(0, 4));
    EXPECT_EQ(cut_at_code_point(euros, 5), euros.substr(0, 4));
    EXPECT_EQ(cut_at_code_point(euros, 4), euros.substr(0, 4));
    EXPECT_EQ(cut_at_code_point(euros, 3), "a");
    EXPECT_EQ(cut_at_code_point(euros, 0), "");
}

}  // namespace
}  // namespace rc::ws
