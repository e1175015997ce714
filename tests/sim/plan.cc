#include "plan.h"

namespace rc::sim {
namespace {

constexpr std::array<std::string_view, kFaults> kNames{
    "short receive",    "short send",  "stalled reader",   "reset",
    "half-close",       "vanish",      "receive error",    "send error",
    "end error",        "no buffer",   "multishot end",    "accept error",
    "late receive",     "late send",   "late close",       "late accept",
    "shuffled reap",    "lost cancel", "stale completion", "full submissions",
    "late wake",        "frozen core", "interleaved turn", "slow store",
    "full store",       "store down",  "clock jump",       "bad input",
    "half message",     "flood",       "bad request",      "publisher cut",
    "repeated publish", "disconnect",  "early drain",
};

// A client that breaks off or stalls ends what it could have shown, so these stay rare in any run.
bool ends_a_conversation(Fault fault) {
    switch (fault) {
        case Fault::reset:
        case Fault::half_close:
        case Fault::vanish:
        case Fault::receive_error:
        case Fault::send_error:
        case Fault::store_down:
        case Fault::bad_input:
        case Fault::half_message:
        case Fault::clock_jump:
        case Fault::disconnect:
        case Fault::publisher_cut: return true;
        default: return false;
    }
}

}  // namespace

std::string_view fault_name(Fault fault) {
    return kNames[static_cast<std::size_t>(fault)];
}

Plan::Plan(uint64_t run_seed, uint32_t steps_wanted)
    : seed(run_seed), chance(run_seed * 0xd1342543de82ef95 + 0x2545f4914f6cdd1d) {
    auto& c = chance;
    // One run in eight has no faults at all: whatever goes wrong there is not theirs.
    bool const calm = c.below(8) == 0;
    for (std::size_t i = 0; i < kFaults; ++i) {
        auto const fault = static_cast<Fault>(i);
        uint32_t const drawn = 1U << c.below(ends_a_conversation(fault) ? 5 : 9);
        bool const wanted = c.below(3) == 0;
        often[i] = static_cast<uint16_t>(!calm && wanted ? drawn + c.below(drawn) : 0);
    }
    auto& early = often[static_cast<std::size_t>(Fault::early_drain)];
    if (early > 0) early = 4;

    workers = c.of({1U, 2U, 2U, 3U});
    mailbox_places = c.of({4U, 8U, 16U, 64U, 256U});
    buffer_bytes = c.of({16U, 64U, 512U, 4096U, 4096U});
    direct_slots = c.below(4) == 0 ? c.between(4, 12) : 4096;
    submissions = has(Fault::full_submissions) ? c.between(1, 8) : 4096;
    store_queue = has(Fault::full_store) && c.coin() ? c.between(1, 4) : 4096;
    store_memory = has(Fault::full_store) && c.coin() ? 4096U << c.below(6) : 1U << 30;

    auto& limits = config.limits;
    if (c.below(3) == 0) limits.send_queue_messages = c.between(2, 24);
    if (c.below(3) == 0) limits.send_queue_bytes = c.between(256, 4096);
    limits.connections_per_user = c.of({0U, 1U, 2U, 3U, 5U, 64U});
    limits.subscriptions = c.of({1U, 2U, 3U, 100U, 100U});
    limits.messages_per_second = c.of({10U, 1000U, 1000U, 1000U});
    limits.message_bytes = c.of({256U, 2048U, 16384U});
    if (c.below(4) == 0) config.inbox.notifications_per_user = c.between(1, 12);
    config.ping_interval = c.of({seconds(1), seconds(5), seconds(25), seconds(25)});
    config.inactivity_timeout = c.below(8) == 0 ? minutes(30) : config.ping_interval * c.between(3, 12);
    config.drain_time = c.of({seconds(0), seconds(1), seconds(10)});

    topics = c.between(1, 4);
    users = c.between(1, 4);
    clients = c.between(1, 9);
    publishers = c.between(1, 3);
    bool const is_long = c.below(256) == 0;
    steps = steps_wanted > 0 ? steps_wanted : is_long ? c.between(3000, 10000) : c.between(100, 1200);
    step_time = c.of({Duration(microseconds(20)), Duration(milliseconds(1)), Duration(milliseconds(30))});
    payload_bytes = c.of({0U, 20U, 200U, 3000U});
    end = static_cast<End>(c.below(4));
    limits.connections_per_address = c.of({0U, 0U, 0U, 0U, 2U, 6U});
    limits.new_connections_per_address = c.of({0U, 0U, 0U, 0U, 0U, 1U, 5U, 100U});
    config.proxy.protocol = c.below(4) == 0;
    if (config.proxy.protocol && c.below(8) > 0)
        config.proxy.trusted = *net::Networks::parse(std::vector<std::string>{"127.0.0.0/8"});
}

}  // namespace rc::sim
