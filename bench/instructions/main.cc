// What the server's own code costs, in instructions: the server's core on a ring that costs nothing, run
// under callgrind by bench/instructions/count, which holds the figures against those of figures.json.
//
// Each work is done twice, first so that all memory is there, and the second time is dumped under its name.
// stdout: what it was built with, then a line each, `NAME UNITS`. Natively it does the same and counts
// nothing.
#include <cstdio>
#include <cstdlib>
#include <functional>

#include "../support/served.h"

namespace {

using namespace rc;
using rc::bench::Served;

constexpr uint32_t kClients = 1'000;

void expect(bool so, const char* what) {
    if (so) return;
    std::fprintf(stderr, "instructions: %s\n", what);
    std::exit(1);
}

/// @param work  returns its units
void count(const char* name, const std::function<uint64_t()>& work) {
    work();
    CALLGRIND_ZERO_STATS;
    uint64_t const units = work();
    CALLGRIND_DUMP_STATS_AT(name);
    std::printf("%s %llu\n", name, static_cast<unsigned long long>(units));
}

/// Each publisher asks `rounds` times; all of a round come in one turn.
void publish(Served& served, const std::vector<io::File>& publishers, const std::string& request,
             int rounds) {
    for (int round = 0; round < rounds; ++round) {
        for (auto publisher : publishers)
            served.deliver(publisher, request);
        served.settle();
        served.release();
        for (auto publisher : publishers)
            expect(served.ring().newest_send(publisher).starts_with("HTTP/1.1 20"),
                   "a publication was refused");
    }
}

uint64_t fan_out(Served& served, const std::vector<io::File>& publishers, int rounds) {
    uint64_t const bytes_before = served.ring().sent_bytes(served.clients()[0]);
    publish(served, publishers, Served::publish_request(R"("topic":"all")"), rounds);
    auto const publications = publishers.size() * static_cast<std::size_t>(rounds);
    uint64_t const bytes = served.ring().sent_bytes(served.clients().back()) - bytes_before;
    expect(bytes > publications * 200, "a delivery is missing");
    return publications * kClients;
}

/// One message of each client; a turn finds 32 of them.
uint64_t say_all(Served& served, std::string_view json) {
    uint32_t n = 0;
    for (auto client : served.clients()) {
        served.say(client, json);
        if (++n % 32 == 0) served.settle();
    }
    served.settle();
    served.release();
    served.clock().advance(seconds(1));  // or they were too many
    served.settle();
    return kClients;
}

uint64_t ping_cycle(Served& served) {
    std::vector<uint64_t> seen;
    for (auto client : served.clients())
        seen.push_back(served.sends(client));
    uint64_t pings = 0;
    served.pass(seconds(25), [&] {
        for (uint32_t i = 0; i < kClients; ++i) {
            auto const file = served.clients()[i];
            if (served.sends(file) == seen[i]) continue;
            ++seen[i], ++pings;
            served.say(file, R"({"type":"pong"})");
        }
    });
    served.settle();
    served.release();
    expect(pings == kClients, "a ping is missing");
    return kClients;
}

uint64_t connections(Served& served) {
    constexpr uint32_t kComing = 256, kTogether = 8;
    std::vector<io::File> files;
    for (uint32_t i = 0; i < kComing; i += kTogether) {
        files.clear();
        for (uint32_t n = 0; n < kTogether; ++n)
            files.push_back(served.upgrade());
        served.settle();
        expect(served.ring().newest_send(files.back()).starts_with("HTTP/1.1 101"), "an upgrade was refused");
        for (uint32_t n = 0; n < kTogether; ++n)
            served.say(files[n], Served::subscribe_text(1'000'000 + i + n));
        served.settle();
        for (auto file : files)
            served.deliver(
                file, ws::encode_masked_frame(ws::Opcode::close, ws::close_payload(1000, ""), {1, 2, 3, 4}));
        served.settle();
        for (auto file : files)
            served.ring().end(file);
        served.settle();
        served.pass(seconds(1));
        for (auto file : files)
            expect(served.ring().closed(file), "a connection is not closed");
        served.release();
    }
    return kComing;
}

}  // namespace

int main() {
    std::puts(RINGCAST_BUILT_WITH);
    Served served(kClients, milliseconds(500));
    std::vector<io::File> const one{served.publisher()};
    std::vector<io::File> sixteen;
    for (int i = 0; i < 16; ++i)
        sixteen.push_back(served.publisher());
    served.settle();

    count("publish", [&] {
        publish(served, one, Served::publish_request(R"("topic":"nobody")"), 64);
        return 64;
    });
    count("publish-to-user", [&] {
        publish(served, one, Served::publish_request(R"("userId":7,"store":false)"), 64);
        return 64;
    });
    count("delivery", [&] { return fan_out(served, one, 4); });
    count("delivery-merged", [&] { return fan_out(served, sixteen, 1); });
    count("pong", [&] { return say_all(served, R"({"type":"pong"})"); });
    count("subscribe-unsubscribe", [&] {
        return say_all(served, R"({"type":"subscribe","data":{"topics":["more"]}})") +
               say_all(served, R"({"type":"unsubscribe","data":{"topics":["more"]}})");
    });
    count("ping-cycle", [&] { return ping_cycle(served); });
    count("connection", [&] { return connections(served); });
}
