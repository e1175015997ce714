// Counts this program's allocations, to hold the codec to what it promises about them.
#include <gtest/gtest.h>

#include <cstdlib>
#include <new>
#include <string>

#include "recorder.h"
#include "ringcast/ws/codec.h"

namespace {
uint64_t allocations = 0;
}  // namespace

// GCC takes the free() of a replaced operator delete for a mismatch where it inlines both.
#pragma GCC diagnostic ignored "-Wmismatched-new-delete"
void* operator new(std::size_t size) {
    ++allocations;
    if (void* memory = std::malloc(size == 0 ? 1 : size)) return memory;
    throw std::bad_alloc();
}
void operator delete(void* memory) noexcept {
    std::free(memory);
}
void operator delete(void* memory, std::size_t) noexcept {
    std::free(memory);
}

namespace rc::ws {
namespace {

class Counter : public CodecSink {
  public:
    void on_message(Opcode, std::string_view payload) override { bytes += payload.size(); }
    void on_ping(std::string_view payload) override { bytes += payload.size(); }
    void on_pong(std::string_view payload) override { bytes += payload.size(); }
    void on_close(const CloseBody&) override {}
    void on_failure(CloseCode, std::string_view) override { ++failures; }
    uint64_t bytes = 0, failures = 0;
};

TEST(DecoderAllocations, AWholeFrameOfUpTo4KiBAllocatesNothingFromTheFirstOn) {
    FramePool pool;
    Decoder decoder;
    Counter counter;
    std::string wire;
    uint64_t bytes = 0;
    for (size_t size : {0, 1, 125, 126, 4095, 4096}) {
        wire += masked(Opcode::text, std::string(size, 'x'));
        bytes += size;
    }
    wire += masked(Opcode::ping, std::string(125, 'p'));
    const uint64_t before = allocations;
    decoder.feed(pool, {}, wire, counter);
    EXPECT_EQ(allocations, before);
    EXPECT_EQ(counter.bytes, bytes + 125);
    EXPECT_EQ(counter.failures, 0U);
}

TEST(DecoderAllocations, ASecondPartialMessageReusesTheFirstOnesMemory) {
    FramePool pool;
    Decoder decoder;
    Counter counter;
    const std::string wire = fragmented(Opcode::text, std::string(16 * 1024, 'x'), 1000);
    uint64_t before = 0;
    for (int round = 0; round < 2; ++round) {
        before = allocations;
        for (size_t at = 0; at < wire.size(); at += 700) {
            decoder.feed(pool, {}, std::string_view(wire).substr(at, 700), counter);
        }
    }
    EXPECT_EQ(allocations, before);
    EXPECT_EQ(counter.bytes, 2U * 16 * 1024);
}

TEST(DecoderAllocations, ALargePartialMessageLeavesNoLargeBufferForTheNext) {
    FramePool pool;
    Counter counter;
    CodecLimits const limits{.message_bytes_max = 256 * 1024};
    {
        Decoder decoder;
        decoder.feed(pool, limits, fragmented(Opcode::text, std::string(200'000, 'x'), 100'000), counter);
    }
    EXPECT_EQ(counter.bytes, 200'000U);
    Decoder decoder;
    decoder.feed(pool, limits, masked(Opcode::text, "x", false), counter);
    EXPECT_LE(pool.bytes_held(), 32U * 1024);
    EXPECT_GT(pool.bytes_held(), 0U);
}

}  // namespace
}  // namespace rc::ws
