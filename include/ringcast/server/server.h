#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "ringcast/base/result.h"
#include "ringcast/base/time.h"
#include "ringcast/server/config.h"
#include "ringcast/server/program_use.h"
#include "ringcast/store/moment.h"

namespace rc::server {

/// A step of reading the key files anew.
struct Reload {
    bool begun;  // else done
    MonoTime at;
};

/// What the program around the server gives it.
struct RunOptions {
    // A signalfd of SIGHUP, which reads the key files anew, and of signals that end the server: the first of
    // those drains, the second ends it now.
    int signals = -1;
    /// The listeners are open, every core has had its first turn, and all that the store holds is on the
    /// disk. `line` names the addresses. On the thread that called run().
    std::function<void(const std::string& line)> ready;
    /// The disk refuses, so that `ready` has to wait; clients and probes are served. Again within `at_most`,
    /// for as long as that lasts. On the thread that called run().
    std::function<void(const std::string& why, Duration at_most)> waiting = {};
    /// The server has begun to end, or has come a step further: `step` says which, in words. The next step,
    /// or the end, comes within `at_most`. On the thread that called run(), after `ready`.
    std::function<void(const std::string& step, Duration at_most)> ending;
    /// The key files are read anew, or what came of it is in force on every core: always in pairs, unless an
    /// end comes between. On the thread that called run().
    std::function<void(Reload)> reloading = {};
    /// Of the running kernel: another after each of its starts. Empty: unknown.
    std::string boot_id = {};
    /// Many clients have left and no more leave: a worker's thread may give what its allocator keeps back to
    /// the system. On that thread, a second apart at least; the worker stands still meanwhile.
    std::function<void()> give_memory_back = {};
    /// For /api/stats: "0.1.0".
    std::string version = {};
    /// For /api/stats and /metrics, at each request, on a worker's thread: it takes microseconds and waits
    /// for nothing.
    std::function<ProgramUse()> use = {};
    /// For tests: called on the store's thread at each of these moments.
    std::function<void(store::Moment)> at = {};
};

/// The exit status that contract.md 1 has for an error of run().
int exit_status(const Error& error);

/// What a start would find wrong with the key files, which load_config() does not read. Makes nothing.
/// Errors: settings, one line without anything of their content. Core: the main thread.
Result<void> check_key_files(const Config& config);

/// What a start would find wrong with this text in a file of API keys; nothing of a key is repeated.
/// Errors: settings. Core: any.
Result<void> check_api_key_text(std::string_view text);

/// Runs the server on the calling thread and one thread a worker, until it has ended as asked.
/// Errors: settings and address_in_use (addresses, data directory, API key), ring_refused, system.
Result<void> run(const Config& config, const RunOptions& options);

}  // namespace rc::server
