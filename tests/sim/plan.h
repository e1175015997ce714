#pragma once

#include <array>
#include <cstdint>
#include <string_view>

#include "chance.h"
#include "ringcast/server/config.h"

namespace rc::sim {

/// What is made to go wrong. A run draws which of them it has and how often, so that rare combinations come
/// up, and each fault also alone.
enum class Fault : uint8_t {
    short_receive,     // a peer's bytes come in small pieces
    short_send,        // a socket takes a part of a send
    stalled_reader,    // a socket takes nothing for a while
    reset,             // RST by the peer, now or in answer to what is sent; or the kernel gives it up
    half_close,        // FIN by the peer, which goes on reading
    vanish,            // the peer is gone without a word
    receive_error,     // a receive fails: -EINTR, -EAGAIN, or for good
    send_error,        // likewise a send
    end_error,         // a shutdown or a close fails
    no_buffer,         // receives find no provided buffer: -ENOBUFS
    multishot_end,     // a multishot receive ends with the bytes that it brings
    accept_error,      // EMFILE, ENFILE, ENOMEM or ECONNABORTED at accept
    late_receive,      // completions of receives wait, those of cancelled ones too
    late_send,         // completions of sends wait
    late_close,        // completions of closes wait
    late_accept,       // completions of accepts wait
    shuffle,           // completions come in any order, and not all of them in one reap
    lost_cancel,       // a cancel comes too late: the operation ends with its result
    stale_completion,  // a completion for a slot's earlier generation
    full_submissions,  // the submission queue is so short that it is handed over in mid-turn
    late_wake,         // a sleeper hears its bell late
    frozen_core,       // a core, the store or main is not scheduled for a while
    interleaved_turn,  // another core has a turn between a core's last look at its mail and its sleep
    slow_store,        // outcomes of the store wait, answers to reads even behind later publications
    full_store,        // the store's queue or memory is full
    store_down,        // the store answers that it takes nothing
    clock_jump,        // the clock jumps ahead by seconds
    bad_input,         // a client breaks the protocol
    half_message,      // a client stops in the middle of a message
    flood,             // a client or publisher sends much at once
    bad_request,       // a publisher breaks HTTP or the API's rules
    publisher_cut,     // a publisher's connection ends before its answers
    repeat,            // a publication comes again with its key or notification id
    disconnect,        // the backend closes a user's connections
    early_drain,       // SIGTERM in the midst of it all
    count_,
};
constexpr std::size_t kFaults = static_cast<std::size_t>(Fault::count_);
std::string_view fault_name(Fault fault);

/// One run, as its seed has drawn it.
struct Plan {
    explicit Plan(uint64_t seed, uint32_t steps_wanted);

    uint64_t seed;
    Chance chance;                          // goes on: the run draws from it too
    std::array<uint16_t, kFaults> often{};  // of 1,024 chances

    uint32_t workers, mailbox_places, direct_slots, submissions;
    std::size_t buffer_bytes;
    server::Config config;
    uint32_t store_queue;      // requests that the log lets wait
    std::size_t store_memory;  // bytes
    uint32_t topics, users;    // that exist; a topic is its number's letter
    uint32_t clients, publishers;
    uint32_t steps;
    Duration step_time;      // how far the clock goes between two steps, at most
    uint32_t payload_bytes;  // of padding in a publication, at most

    /// How the run ends, when its faults are over.
    enum class End : uint8_t { clients_close, clients_vanish, drain, drain_twice } end;

    [[nodiscard]] bool lossy_log() const { return config.inbox.notifications_per_user < 1000; }
    [[nodiscard]] bool small_table() const { return direct_slots < 64; }
    [[nodiscard]] bool has(Fault fault) const { return often[static_cast<std::size_t>(fault)] > 0; }
};

/// How often each fault was injected, and how much was done, over all runs of a process.
struct Histogram {
    std::array<uint64_t, kFaults> injected{};
    std::array<uint64_t, kFaults> runs{};  // that had it at all
    uint64_t turns = 0, connections = 0, publications = 0, posted = 0, texts = 0;
};

}  // namespace rc::sim
