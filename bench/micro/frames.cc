// Bytes to messages and back: what stands between a socket's bytes and the JSON.
#include <benchmark/benchmark.h>

#include <string>

#include "ringcast/ws/codec.h"
#include "ringcast/ws/frame.h"
#include "ringcast/ws/utf8.h"

namespace rc::bench {
namespace {

using namespace ws;

struct Counting final : CodecSink {
    void on_message(Opcode, std::string_view payload) override { bytes += payload.size(); }
    void on_ping(std::string_view) override {}
    void on_pong(std::string_view) override {}
    void on_close(const CloseBody&) override {}
    void on_failure(CloseCode, std::string_view) override { ++failures; }
    std::size_t bytes = 0, failures = 0;
};

/// A masked text frame of so many bytes that comes in one piece, or in two.
void decode(benchmark::State& state, bool whole) {
    FramePool pool;
    Decoder decoder;
    Counting sink;
    auto const payload = std::string(static_cast<std::size_t>(state.range(0)), 'x');
    auto const frame = encode_masked_frame(Opcode::text, payload, {1, 2, 3, 4});
    std::string_view const all = frame;
    for (auto _ : state) {
        if (!whole) decoder.feed(pool, {}, all.substr(0, all.size() / 2), sink);
        decoder.feed(pool, {}, whole ? all : all.substr(all.size() / 2), sink);
    }
    if (sink.failures != 0 || sink.bytes != payload.size() * state.iterations())
        state.SkipWithError("not decoded");
    state.SetBytesProcessed(static_cast<int64_t>(sink.bytes));
}
void frame_decode(benchmark::State& state) {
    decode(state, true);
}
void frame_decode_in_two(benchmark::State& state) {
    decode(state, false);
}
BENCHMARK(frame_decode)->Arg(15)->Arg(128)->Arg(4'000)->Arg(16'000);
BENCHMARK(frame_decode_in_two)->Arg(128)->Arg(4'000);

void utf8(benchmark::State& state, std::string_view unit) {
    std::string text;
    while (text.size() < 4'000)
        text += unit;
    for (auto _ : state) {
        if (!is_valid_utf8(text)) state.SkipWithError("is valid");
    }
    state.SetBytesProcessed(static_cast<int64_t>(text.size() * state.iterations()));
}
BENCHMARK_CAPTURE(utf8, ascii, "abcdefgh");
BENCHMARK_CAPTURE(utf8, german, "Grüße aus der Straße ");
BENCHMARK_CAPTURE(utf8, chinese, "消息通知");

void frame_encode(benchmark::State& state) {
    std::string const payload(static_cast<std::size_t>(state.range(0)), 'x');
    for (auto _ : state)
        benchmark::DoNotOptimize(text_frame(payload));
}
BENCHMARK(frame_encode)->Arg(200)->Arg(4'000);

}  // namespace
}  // namespace rc::bench
