// JSON to typed messages and back.
#include <benchmark/benchmark.h>

#include <string>

#include "ringcast/proto/client_message.h"
#include "ringcast/proto/encode.h"
#include "ringcast/proto/publish.h"

namespace rc::bench {
namespace {

using namespace proto;

void client(benchmark::State& state, std::string_view text) {
    ClientDecoder decoder;
    for (auto _ : state) {
        auto const message = decoder.decode(text);
        if (!message) state.SkipWithError("not decoded");
    }
}
BENCHMARK_CAPTURE(client, pong, R"({"type":"pong"})");
BENCHMARK_CAPTURE(client, mark_read,
                  R"({"type":"mark_read","data":{"notificationId":"01a2053d-7aeb-7c1b-bcc4-2dd435ba7439"}})");
BENCHMARK_CAPTURE(client, subscribe,
                  R"({"type":"subscribe","data":{"userId":123,"topics":["job_matches","news"]}})");
BENCHMARK_CAPTURE(
    client, resume,
    R"({"type":"subscribe","id":7,"data":{"userId":"u-123","since":"qw8rjigq-17","sync":true}})");
BENCHMARK_CAPTURE(client, unsubscribe, R"({"type":"unsubscribe","data":{"topics":["job_matches"]}})");

void publish(benchmark::State& state, std::string_view head, std::size_t data_bytes) {
    PublishDecoder decoder;
    std::string const body =
        std::string(head) + R"("data":{"text":")" + std::string(data_bytes, 'x') + R"("}})";
    for (auto _ : state) {
        auto const request = decoder.decode(body, Batch::no, 64 << 10);
        if (!request) state.SkipWithError("not decoded");
    }
    state.SetBytesProcessed(static_cast<int64_t>(body.size() * state.iterations()));
}
BENCHMARK_CAPTURE(publish, topic_200, R"({"type":"job_match","topic":"job_matches",)", 140);
BENCHMARK_CAPTURE(publish, user_200, R"({"type":"job_match","userId":123,"store":false,)", 140);
BENCHMARK_CAPTURE(publish, notification_200, R"({"type":"notification","userId":123,)", 140);
BENCHMARK_CAPTURE(publish, topic_16k, R"({"type":"job_match","topic":"job_matches",)", 16'000);

void publish_to_users(benchmark::State& state) {
    std::string users;
    for (int64_t n = 0; n < state.range(0); ++n)
        users += (n == 0 ? "" : ",") + std::to_string(1'000 + n);
    publish(state, R"({"type":"job_match","userIds":[)" + users + "],", 140);
}
BENCHMARK(publish_to_users)->Arg(100)->Arg(10'000);

void encode_message_200(benchmark::State& state) {
    std::string const data = R"({"text":")" + std::string(160, 'x') + R"("})";
    for (auto _ : state)
        benchmark::DoNotOptimize(encode_message("job_match", data));
}
void encode_acknowledgement(benchmark::State& state) {
    MessageId const id{"7"};
    for (auto _ : state)
        benchmark::DoNotOptimize(encode_ack(id, "{}"));
}
void encode_refusal(benchmark::State& state) {
    for (auto _ : state)
        benchmark::DoNotOptimize(encode_error(Errc::invalid_message, "type must be a string", std::nullopt));
}
BENCHMARK(encode_message_200);
BENCHMARK(encode_acknowledgement);
BENCHMARK(encode_refusal);

}  // namespace
}  // namespace rc::bench
