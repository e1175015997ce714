#include "ringcast/metrics/metrics.h"

#include <fmt/format.h>

#include <iterator>

namespace rc::metrics {

void Exposition::family(std::string_view name, std::string_view type, std::string_view help) {
    fmt::format_to(std::back_inserter(text_), "# HELP {} {}\n# TYPE {} {}\n", name, help, name, type);
}

void Exposition::sample(std::string_view name, std::string_view labels, uint64_t value) {
    if (labels.empty()) {
        fmt::format_to(std::back_inserter(text_), "{} {}\n", name, value);
    } else {
        fmt::format_to(std::back_inserter(text_), "{}{{{}}} {}\n", name, labels, value);
    }
}

void Exposition::sample(std::string_view name, std::string_view labels, double value) {
    if (labels.empty()) {
        fmt::format_to(std::back_inserter(text_), "{} {}\n", name, value);
    } else {
        fmt::format_to(std::back_inserter(text_), "{}{{{}}} {}\n", name, labels, value);
    }
}

void Exposition::histogram(std::string_view name, std::string_view labels, const Histogram& histogram) {
    std::string_view const comma = labels.empty() ? "" : ",";
    uint64_t total = 0;
    for (uint32_t i = 0; i < Histogram::kBuckets; ++i) {
        total += histogram.bucket(i);
        std::string const bound =
            i + 1 == Histogram::kBuckets ? "+Inf" : fmt::format("{}", static_cast<double>(1ULL << i) / 1e6);
        fmt::format_to(std::back_inserter(text_), "{}_bucket{{{}{}le=\"{}\"}} {}\n", name, labels, comma,
                       bound, total);
    }
    sample(fmt::format("{}_sum", name), labels, static_cast<double>(histogram.sum_ns()) / 1e9);
    sample(fmt::format("{}_count", name), labels, total);
}

}  // namespace rc::metrics
