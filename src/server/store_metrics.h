#pragma once

#include "ringcast/metrics/metrics.h"

namespace rc::server {

/// How the store stands, and what it did. The store's core writes it, any core reads it.
struct StoreMetrics {
    metrics::Counter down;      // 1: nothing can be stored now
    metrics::Counter failures;  // how often it went down
    metrics::Counter waiting;   // requests
    metrics::Counter users, notifications, messages, read_marks, idempotency_keys;  // that are kept
    metrics::Counter bytes;                                                         // on the disk
    metrics::Counter batches, batch_requests;  // transactions that changed something, requests in them
    metrics::Histogram commits;                // their commits, the wait for the disk included
};

}  // namespace rc::server
