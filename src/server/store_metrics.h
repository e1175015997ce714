#pragma once

#include "ringcast/metrics/metrics.h"

namespace rc::server {

/// How the store stands. The store's core writes it, any core reads it.
struct StoreMetrics {
    metrics::Counter down;  // 1: nothing can be stored now
};

}  // namespace rc::server
