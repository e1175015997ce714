#pragma once

#include "ringcast/metrics/metrics.h"

namespace rc::server {

/// The keys that tokens are checked with, and what that came to. The token host's core writes it, any core
/// reads it.
struct KeyMetrics {
    metrics::Counter keys;                     // gauge
    metrics::Counter age_seconds;              // gauge: since the URL's set was fetched; 0: never, or no URL
    metrics::Counter fetches, fetch_failures;  // of the URL
    metrics::Counter good, bad, unknown_key;   // signatures
    metrics::Counter waiting;                  // gauge: tokens that wait for their turn, or for keys
};

}  // namespace rc::server
