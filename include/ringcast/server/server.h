#pragma once

#include <functional>
#include <string>

#include "ringcast/base/result.h"
#include "ringcast/server/config.h"

namespace rc::server {

/// What the program around the server gives it.
struct RunOptions {
    int signals =
        -1;  // a signalfd of the signals that end the server: the first drains, the second ends it now
    std::function<void(const std::string& line)> ready;  // the line that names the addresses
};

/// The exit status that contract.md 1 has for an error of run().
int exit_status(const Error& error);

/// Runs the server on the calling thread and one thread a worker, until it has ended as asked.
/// Errors: settings and address_in_use (addresses, data directory, API key), ring_refused, system.
Result<void> run(const Config& config, const RunOptions& options);

}  // namespace rc::server
