#include "ringcast/ws/codec.h"

#include <gtest/gtest.h>

#include <limits>
#include <memory>
#include <string>
#include <vector>

#include "recorder.h"

namespace rc::ws {
namespace {

const CodecLimits kTextOnly{.accept_binary = false};
constexpr uint64_t kMax = limits::kMessageBytes;

TEST(Decoder, DeliversTextBinaryAndControlFramesInOrder) {
    const std::string wire = masked(Opcode::text, "hello") + masked(Opcode::ping, "p") +
                             masked(Opcode::binary, std::string("\0\xFF", 2)) + masked(Opcode::pong, "") +
                             masked(Opcode::text, "");
    EXPECT_EQ(decode_whole(wire),
              (Events{"text hello", "ping p", std::string("binary \0\xFF", 9), "pong ", "text "}));
}

TEST(Decoder, AClientTakesUnmaskedFramesAndRefusesMaskedOnes) {
    const CodecLimits client{.peer_role = Role::server};
    EXPECT_EQ(decode_whole(encode_frame(Opcode::text, "hi") + encode_frame(Opcode::ping, "p"), client),
              (Events{"text hi", "ping p"}));
    EXPECT_EQ(decode_whole(masked(Opcode::text, "hi"), client), (Events{"fail 1002"}));
    const std::string big(100'000, 'b');
    EXPECT_EQ(decode_whole(encode_frame(Opcode::binary, big),
                           {.message_bytes_max = 100'000, .peer_role = Role::server}),
              (Events{"binary " + big}));
}

TEST(Decoder, AnUnmaskedFrameOfAnyOpcodeIsAProtocolError) {  // F1
    for (Opcode opcode :
         {Opcode::text, Opcode::binary, Opcode::continuation, Opcode::close, Opcode::ping, Opcode::pong}) {
        EXPECT_EQ(decode_whole(encode_frame(opcode, "")), (Events{"fail 1002"}));
        EXPECT_EQ(decode_whole(encode_frame(opcode, "abc")), (Events{"fail 1002"}));
    }
}

TEST(Decoder, AnyReservedBitIsAProtocolError) {  // F2
    for (uint8_t bits = 1; bits <= 7; ++bits) {
        for (uint8_t opcode : {0x1, 0x2, 0x8, 0x9, 0xA}) {
            const std::string wire = raw_head(static_cast<uint8_t>(0x80 | bits << 4 | opcode), 0, 0);
            EXPECT_EQ(decode_whole(wire), (Events{"fail 1002"})) << +bits << ' ' << +opcode;
        }
        const std::string wire =
            masked(Opcode::text, "a", false) + raw_head(static_cast<uint8_t>(0x80 | bits << 4), 0, 0);
        EXPECT_EQ(decode_whole(wire), (Events{"fail 1002"})) << +bits;
    }
}

TEST(Decoder, AReservedOpcodeIsAProtocolError) {  // F3
    for (uint8_t opcode : {3, 4, 5, 6, 7, 11, 12, 13, 14, 15}) {
        EXPECT_EQ(decode_whole(raw_head(0x80 | opcode, 0, 0)), (Events{"fail 1002"})) << +opcode;
        EXPECT_EQ(decode_whole(raw_head(opcode, 0, 0)), (Events{"fail 1002"})) << +opcode;
    }
}

TEST(Decoder, AFragmentedOrLongControlFrameIsAProtocolError) {  // F4
    for (uint8_t opcode : {0x8, 0x9, 0xA}) {
        EXPECT_EQ(decode_whole(raw_head(opcode, 0, 0)), (Events{"fail 1002"}));
        EXPECT_EQ(decode_whole(raw_head(0x80 | opcode, 126, 2)), (Events{"fail 1002"}));
        EXPECT_EQ(decode_whole(raw_head(0x80 | opcode, 65536, 8)), (Events{"fail 1002"}));
    }
    EXPECT_EQ(decode_whole(masked(Opcode::ping, std::string(125, 'p'))),
              (Events{"ping " + std::string(125, 'p')}));
}

TEST(Decoder, ALengthThatIsNotMinimalIsAProtocolError) {  // F5
    for (uint64_t length : {0, 5, 125}) {
        EXPECT_EQ(decode_whole(raw_head(0x81, length, 2)), (Events{"fail 1002"})) << length;
    }
    for (uint64_t length : {0, 126, 300, 65535}) {
        EXPECT_EQ(decode_whole(raw_head(0x81, length, 8)), (Events{"fail 1002"})) << length;
    }
    EXPECT_EQ(decode_whole(raw_head(0x81, 126, 2)), Events{});
    EXPECT_EQ(decode_whole(raw_head(0x81, 65536, 8), {.message_bytes_max = 65536}), Events{});
}

TEST(Decoder, ALengthWithItsHighestBitSetIsAProtocolError) {  // F6
    for (uint64_t length : {uint64_t{1} << 63, std::numeric_limits<uint64_t>::max()}) {
        EXPECT_EQ(decode_whole(raw_head(0x81, length, 8)), (Events{"fail 1002"}));
    }
}

TEST(Decoder, AnOversizeFrameFailsAtItsLengthAndHoldsNothing) {  // F7
    for (uint64_t length :
         {(uint64_t{1} << 63) - 1, (uint64_t{1} << 32) + 5, uint64_t{1} << 31, uint64_t{65'537}}) {
        FramePool pool;
        Recorder recorder;
        std::vector<std::unique_ptr<Decoder>> decoders;
        const std::string head = raw_head(0x81, length, 8);
        for (int i = 0; i < 1000; ++i) {
            decoders.push_back(std::make_unique<Decoder>());
            decoders.back()->feed(pool, {}, std::string_view(head).substr(0, 10), recorder);
            ASSERT_TRUE(decoders.back()->stopped());
        }
        EXPECT_EQ(recorder.events, Events(1000, "fail 1009")) << length;
        EXPECT_EQ(pool.bytes_held(), 0U);
    }
}

TEST(Decoder, AMessageMayHaveJustTheLimitInOneFrameOrSeveral) {  // F8
    for (size_t size : {kMax - 1, kMax}) {
        const std::string text(size, 'x');
        EXPECT_EQ(decode_whole(masked(Opcode::text, text)), (Events{"text " + text}));
        EXPECT_EQ(decode_whole(fragmented(Opcode::text, text, 1000)), (Events{"text " + text}));
    }
    EXPECT_EQ(decode_whole(masked(Opcode::text, std::string(kMax + 1, 'x'))), (Events{"fail 1009"}));
    const std::string most = masked(Opcode::text, std::string(kMax - 5, 'x'), false);
    EXPECT_EQ(decode_whole(most + raw_head(0x80, 5, 0)), Events{});
    EXPECT_EQ(decode_whole(most + raw_head(0x80, 6, 0).substr(0, 2)), (Events{"fail 1009"}))
        << "at the crossing head";
    EXPECT_EQ(decode_whole(most + raw_head(0x80, (uint64_t{1} << 63) - 1, 8).substr(0, 10)),
              (Events{"fail 1009"}));
}

TEST(Decoder, TheFragmentAfterTheLastAllowedIsTooMuch) {  // F9
    const auto frames = [](size_t count, std::string_view payload) {
        std::string wire = masked(Opcode::text, payload, false);
        for (size_t i = 1; i < count; ++i)
            wire += masked(Opcode::continuation, payload, false);
        return wire;
    };
    EXPECT_EQ(decode_whole(frames(63, "a") + masked(Opcode::continuation, "z")),
              (Events{"text " + std::string(63, 'a') + "z"}));
    EXPECT_EQ(decode_whole(frames(64, "a")), Events{});
    EXPECT_EQ(decode_whole(frames(64, "a") + raw_head(0x80, 0, 0).substr(0, 2)), (Events{"fail 1009"}));
    EXPECT_EQ(decode_whole(frames(64, "") + raw_head(0x80, 0, 0)), (Events{"fail 1009"}))
        << "empty ones count";
    EXPECT_EQ(decode_whole(frames(65'535, "a")), (Events{"fail 1009"}));
}

TEST(Decoder, EachMessageHasItsOwnFragmentsAndBytes) {
    const std::string one = fragmented(Opcode::text, std::string(kMax, 'x'), kMax / 64);
    EXPECT_EQ(decode_whole(one + one + one).size(), 3U);
}

TEST(Decoder, SaysWhetherAMessageIsUnderWay) {  // F10
    FramePool pool;
    Decoder decoder;
    Recorder recorder;
    EXPECT_FALSE(decoder.mid_message());
    const auto feed = [&](std::string_view bytes) { decoder.feed(pool, {}, bytes, recorder); };
    const std::string first = masked(Opcode::text, "ab", false);
    feed(std::string_view(first).substr(0, 1));
    EXPECT_TRUE(decoder.mid_message()) << "after a byte of a head";
    feed(std::string_view(first).substr(1));
    EXPECT_TRUE(decoder.mid_message()) << "between fragments";
    EXPECT_EQ(pool.contexts_attached(), 0U) << "no frame is partial";
    feed(masked(Opcode::ping, ""));
    EXPECT_TRUE(decoder.mid_message()) << "a ping ends no message";
    feed(masked(Opcode::continuation, "c"));
    EXPECT_FALSE(decoder.mid_message());
    EXPECT_EQ(recorder.events, (Events{"ping ", "text abc"}));
}

TEST(Decoder, FragmentsOutOfSequenceAreAProtocolError) {  // F11
    EXPECT_EQ(decode_whole(masked(Opcode::continuation, "a")), (Events{"fail 1002"}));
    EXPECT_EQ(decode_whole(masked(Opcode::text, "a") + masked(Opcode::continuation, "a")),
              (Events{"text a", "fail 1002"}));
    for (Opcode second : {Opcode::text, Opcode::binary}) {
        EXPECT_EQ(decode_whole(masked(Opcode::text, "a", false) + masked(second, "b")),
                  (Events{"fail 1002"}));
    }
}

TEST(Decoder, ATextThatEndsInsideACodePointIsInvalid) {  // F13
    EXPECT_EQ(decode_whole(masked(Opcode::text, "a\xE2\x82")), (Events{"fail 1007"}));
    EXPECT_EQ(decode_whole(masked(Opcode::text, "a\xE2", false) + masked(Opcode::continuation, "\x82")),
              (Events{"fail 1007"}));
    EXPECT_EQ(decode_whole(masked(Opcode::text, "a\xE2", false) + masked(Opcode::continuation, "\x82\xAC")),
              (Events{"text a\xE2\x82\xAC"}));
}

TEST(Decoder, InvalidTextFailsBeforeItsFrameOrMessageIsComplete) {
    const std::string bad = masked(Opcode::text, "ok\xC0" + std::string(100, 'x'));
    const size_t head = 6;
    EXPECT_EQ(decode_whole(std::string_view(bad).substr(0, head + 2)), Events{});
    EXPECT_EQ(decode_whole(std::string_view(bad).substr(0, head + 3)), (Events{"fail 1007"}))
        << "inside a frame";
    EXPECT_EQ(decode_whole(masked(Opcode::text, "\xF4", false) + masked(Opcode::continuation, "\x90", false)),
              (Events{"fail 1007"}))
        << "across fragments";
}

TEST(Decoder, BinaryIsNotCheckedForUtf8AndNeitherArePings) {
    EXPECT_EQ(decode_whole(fragmented(Opcode::binary, "\xFF\xFE\xC0", 1)), (Events{"binary \xFF\xFE\xC0"}));
    EXPECT_EQ(decode_whole(masked(Opcode::ping, "\xFF")), (Events{"ping \xFF"}));
}

TEST(Decoder, ACloseFrameIsReadByTheRules) {  // F14
    const auto close = [](std::string_view payload) { return decode_whole(masked(Opcode::close, payload)); };
    EXPECT_EQ(close(""), (Events{"close 1005 "}));
    EXPECT_EQ(close("\x03"), (Events{"fail 1002"}));
    for (uint32_t code : {0, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, 65535}) {
        EXPECT_EQ(close(close_payload(static_cast<uint16_t>(code), "")), (Events{"fail 1002"})) << code;
    }
    for (uint32_t code :
         {1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 4999}) {
        EXPECT_EQ(close(close_payload(static_cast<uint16_t>(code), "r")),
                  (Events{"close " + std::to_string(code) + " r"}));
    }
    const std::string longest(123, 'r');
    EXPECT_EQ(close(close_payload(1000, longest)), (Events{"close 1000 " + longest}));
    EXPECT_EQ(decode_whole(raw_head(0x88, 126, 2)), (Events{"fail 1002"}));
    EXPECT_EQ(close("\x03\xE8\xED\xA0\x80"), (Events{"fail 1007"}));
}

TEST(Decoder, NothingComesAfterAClose) {  // F15
    const std::string close = masked(Opcode::close, close_payload(1000, ""));
    EXPECT_EQ(decode_whole(close + masked(Opcode::text, "late") + masked(Opcode::ping, "") + close),
              (Events{"close 1000 "}));
    EXPECT_EQ(decode_whole(masked(Opcode::text, "half", false) + close + masked(Opcode::continuation, "")),
              (Events{"close 1000 "}));
}

TEST(Decoder, NothingComesAfterAFailure) {
    EXPECT_EQ(decode_whole(masked(Opcode::continuation, "") + masked(Opcode::text, "late") +
                           masked(Opcode::continuation, "")),
              (Events{"fail 1002"}));
}

TEST(Decoder, APingInsideAMessageComesFirstWithItsPayload) {  // F17
    const std::string payload(125, 'p');
    const std::string wire = masked(Opcode::text, "a", false) + masked(Opcode::ping, payload) +
                             masked(Opcode::continuation, "b", false) + masked(Opcode::pong, "q") +
                             masked(Opcode::continuation, "c");
    EXPECT_EQ(decode_whole(wire), (Events{"ping " + payload, "pong q", "text abc"}));
}

TEST(Decoder, AThousandPingsAreAThousandReports) {  // F18: what to do about them is the connection's affair
    std::string wire;
    for (int i = 0; i < 1000; ++i)
        wire += masked(Opcode::ping, "");
    EXPECT_EQ(decode_whole(wire), Events(1000, "ping "));
}

TEST(Decoder, BinaryFailsAtItsHeadWhereItIsNotAccepted) {  // F19
    EXPECT_EQ(decode_whole(masked(Opcode::binary, "x").substr(0, 2), kTextOnly), (Events{"fail 1003"}));
    EXPECT_EQ(decode_whole(masked(Opcode::text, "x"), kTextOnly), (Events{"text x"}));
    EXPECT_EQ(decode_whole(masked(Opcode::text, "x", false) + masked(Opcode::binary, "x"), kTextOnly),
              (Events{"fail 1002"}))
        << "inside a message the sequence is what is wrong";
}

TEST(Decoder, StopsFromWithinACallback) {
    for (size_t piece : {1, 3, 1000}) {
        FramePool pool;
        Decoder decoder;
        Recorder recorder;
        recorder.stop_decoder = &decoder;
        recorder.stop_after = 2;
        const std::string wire = masked(Opcode::text, "a", false) + masked(Opcode::ping, "1") +
                                 masked(Opcode::ping, "2") + masked(Opcode::ping, "3") +
                                 masked(Opcode::continuation, "b");
        for (size_t at = 0; at < wire.size(); at += piece) {
            decoder.feed(pool, {}, std::string_view(wire).substr(at, piece), recorder);
        }
        EXPECT_EQ(recorder.events, (Events{"ping 1", "ping 2"}));
        EXPECT_TRUE(decoder.stopped());
        EXPECT_FALSE(decoder.mid_message());
        EXPECT_EQ(pool.bytes_held(), 0U);
    }
}

TEST(Decoder, StoppedFromOutsideGivesBackWhatItHolds) {
    FramePool pool;
    Decoder decoder;
    Recorder recorder;
    decoder.feed(pool, {}, masked(Opcode::text, "abc").substr(0, 7), recorder);
    EXPECT_EQ(pool.contexts_attached(), 1U);
    decoder.stop();
    EXPECT_EQ(pool.contexts_attached(), 0U);
    EXPECT_EQ(pool.bytes_held(), 0U);
}

TEST(Decoder, MovesWithItsHalfFrame) {
    FramePool pool;
    Recorder recorder;
    const std::string wire = masked(Opcode::text, "hello");
    Decoder first;
    first.feed(pool, {}, std::string_view(wire).substr(0, 8), recorder);
    Decoder second = std::move(first);
    second.feed(pool, {}, std::string_view(wire).substr(8), recorder);
    EXPECT_EQ(recorder.events, (Events{"text hello"}));
}

TEST(Decoder, AssemblesAMessageOf64MiB) {
    std::string payload(64U << 20, 'x');
    for (size_t i = 0; i < payload.size(); i += 4099)
        payload[i] = static_cast<char>('a' + i % 26);
    const CodecLimits limits{.message_bytes_max = payload.size(), .fragments_max = 1000};
    const std::string wire = masked(Opcode::binary, std::string_view(payload).substr(0, 1000), false) +
                             masked(Opcode::continuation, std::string_view(payload).substr(1000));
    FramePool pool({.bytes_max = 256ULL << 20});
    struct Compare : Recorder {
        void on_message(Opcode, std::string_view message) override { equal = message == *expected; }
        const std::string* expected = nullptr;
        bool equal = false;
    } compare;
    compare.expected = &payload;
    Decoder decoder;
    for (size_t at = 0; at < wire.size(); at += 65'536) {
        decoder.feed(pool, limits, std::string_view(wire).substr(at, 65'536), compare);
    }
    EXPECT_TRUE(compare.equal);
    EXPECT_EQ(pool.bytes_held(), 0U);
}

TEST(FramePool, AWaitingConnectionHoldsNothing) {
    FramePool pool;
    Recorder recorder;
    std::vector<Decoder> decoders(1000);
    for (auto& decoder : decoders)
        decoder.feed(pool, {}, masked(Opcode::text, std::string(10'000, 'x')), recorder);
    EXPECT_EQ(recorder.events.size(), 1000U);
    EXPECT_EQ(pool.contexts_attached(), 0U);
    EXPECT_EQ(pool.partials_attached(), 0U);
    EXPECT_EQ(pool.bytes_held(), 0U);
}

TEST(FramePool, AContextIsHeldFromTheFirstPayloadByteToTheLast) {
    FramePool pool;
    Decoder decoder;
    Recorder recorder;
    const std::string wire = masked(Opcode::text, "hello");
    const std::vector<uint32_t> held{0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 0};  // 6 bytes of head, 5 of payload
    for (size_t i = 0; i < wire.size(); ++i) {
        decoder.feed(pool, {}, std::string_view(wire).substr(i, 1), recorder);
        EXPECT_EQ(pool.contexts_attached(), held[i]) << i;
    }
    EXPECT_EQ(pool.bytes_held(), 0U);
}

TEST(FramePool, OneContextMoreThanTheLimitIsRefusedAndTheOthersGoOn) {
    FramePool pool({.contexts_max = 3});
    const std::string wire = masked(Opcode::text, "hello");
    const std::string_view half = std::string_view(wire).substr(0, 8),
                           rest = std::string_view(wire).substr(8);
    std::vector<Decoder> decoders(4);
    std::vector<Recorder> recorders(4);
    for (size_t i = 0; i < 4; ++i)
        decoders[i].feed(pool, {}, half, recorders[i]);
    EXPECT_EQ(pool.contexts_attached(), 3U);
    EXPECT_EQ(recorders[2].events, Events{});
    EXPECT_EQ(recorders[3].events, (Events{"fail 1013"}));
    for (size_t i = 0; i < 3; ++i) {
        decoders[i].feed(pool, {}, rest, recorders[i]);
        EXPECT_EQ(recorders[i].events, (Events{"text hello"}));
    }
    Decoder late;
    Recorder recorder;
    late.feed(pool, {}, half, recorder);
    EXPECT_EQ(recorder.events, Events{}) << "there is room again";
}

TEST(FramePool, WholeFramesPassWhenThePoolIsFull) {
    FramePool pool({.contexts_max = 0, .bytes_max = 0});
    Decoder decoder;
    Recorder recorder;
    decoder.feed(pool, {}, masked(Opcode::text, "hello") + masked(Opcode::ping, ""), recorder);
    EXPECT_EQ(recorder.events, (Events{"text hello", "ping "}));
    decoder.feed(pool, {}, masked(Opcode::text, "x").substr(0, 1), recorder);
    EXPECT_EQ(recorder.events.back(), "fail 1013");
}

TEST(FramePool, BytesInUnfinishedMessagesHaveALimitAcrossConnections) {
    FramePool pool({.bytes_max = 90'000});
    const std::string wire = masked(Opcode::text, std::string(kMax - 1, 'x'), false);
    std::vector<Decoder> decoders(10);
    size_t refused = 0;
    for (auto& decoder : decoders) {
        Recorder recorder;
        decoder.feed(pool, {}, wire, recorder);
        if (!recorder.events.empty()) {
            EXPECT_EQ(recorder.events, (Events{"fail 1013"}));
            ++refused;
        }
        EXPECT_LE(pool.bytes_held(), 90'000U);
    }
    EXPECT_EQ(refused, 5U) << "five of 16 KiB and their books fit";
}

TEST(FramePool, TinyFragmentsHoldNoMoreThanTheirBytes) {  // CVE-2026-48779, W5
    FramePool pool;
    Decoder decoder;
    Recorder recorder;
    const CodecLimits limits{.message_bytes_max = 65'536, .fragments_max = 65'536};
    std::string wire = masked(Opcode::text, "a", false);
    for (int i = 1; i < 65'535; ++i)
        wire += masked(Opcode::continuation, "a", false);
    decoder.feed(pool, limits, wire, recorder);
    EXPECT_TRUE(decoder.mid_message());
    EXPECT_LE(pool.bytes_held(), 65'536U + 1024);
}

TEST(FramePool, ADecoderThatEndsMidFrameGivesEverythingBack) {
    FramePool pool;
    Recorder recorder;
    for (int i = 0; i < 200; ++i) {
        Decoder decoder;
        decoder.feed(pool, {}, masked(Opcode::text, std::string(200, 'x')).substr(0, 50), recorder);
        EXPECT_EQ(pool.contexts_attached(), 1U);
    }
    EXPECT_EQ(pool.contexts_attached(), 0U);
    EXPECT_EQ(pool.bytes_held(), 0U);
    EXPECT_EQ(recorder.events, Events{});
}

TEST(FramePool, AContextThatWasLeftMidFrameServesNoOther) {
    FramePool pool;
    Recorder recorder;
    {
        Decoder left;
        left.feed(pool, {}, masked(Opcode::text, "abcdef").substr(0, 8), recorder);
    }
    Decoder next;
    next.feed(pool, {}, masked(Opcode::text, "whole"), recorder);
    EXPECT_EQ(recorder.events, (Events{"text whole"}));
}

TEST(FramePool, ADecoderMayBeFedFromAnothersCallback) {
    struct Relay : Recorder {
        void on_message(Opcode, std::string_view payload) override {
            other->feed(*pool, {}, masked(Opcode::text, "inner"), inner);
            events.push_back(std::string(payload));
        }
        FramePool* pool = nullptr;
        Decoder* other = nullptr;
        Recorder inner;
    } relay;
    FramePool pool;
    Decoder outer, other;
    relay.pool = &pool;
    relay.other = &other;
    outer.feed(pool, {}, masked(Opcode::text, "outer one") + masked(Opcode::text, "outer two"), relay);
    EXPECT_EQ(relay.events, (Events{"outer one", "outer two"}));
    EXPECT_EQ(relay.inner.events, (Events{"text inner", "text inner"}));
}

}  // namespace
}  // namespace rc::ws
