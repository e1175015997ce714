#include "reports.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <span>
#include <vector>

#include "core.h"
#include "ringcast/base/log.h"
#include "ringcast/metrics/metrics.h"
#include "ringcast/proto/encode.h"
#include "ringcast/proto/text.h"

namespace rc::server {
namespace {

struct Figure {
    std::string_view name;  // without the prefix; also the key in /api/stats
    std::string_view type;
    std::string_view help;
    uint64_t (*value)(const Core&);
};

// One table for /metrics and /api/stats.
constexpr Figure kFigures[] = {
    {"connections", "gauge", "Open WebSocket connections.",
     [](const Core& c) { return c.metrics().clients_open.value(); }},
    {"handshakes_pending", "gauge", "Connections before the end of their handshake, or closing.",
     [](const Core& c) { return c.metrics().clients_in_handshake.value(); }},
    {"subscribers", "gauge", "Connections that a broadcast reaches.",
     [](const Core& c) { return c.metrics().subscribers.value(); }},
    {"subscriptions", "gauge", "Pairs of connection and topic.",
     [](const Core& c) { return c.metrics().subscriptions.value(); }},
    {"topics", "gauge", "Topics with a subscriber on the core.",
     [](const Core& c) { return c.metrics().topics.value(); }},
    {"users", "gauge", "Users with a connection on the core.",
     [](const Core& c) { return c.metrics().users.value(); }},
    {"limited_addresses", "gauge", "Addresses that the limits of addresses remember on the core.",
     [](const Core& c) { return c.metrics().addresses.value(); }},
    {"accepted_total", "counter", "Client sockets accepted.",
     [](const Core& c) { return c.accept_metrics().accepted.value(); }},
    {"accept_failures_total", "counter", "Accepts that the kernel refused.",
     [](const Core& c) { return c.accept_metrics().failed.value(); }},
    {"unexpected_refusals_total", "counter", "Operations that the kernel refused for no expected reason.",
     [](const Core& c) { return c.unexpected_refusals(); }},
    {"handshakes_total", "counter", "WebSocket handshakes completed.",
     [](const Core& c) { return c.endpoint_metrics().handshakes.value(); }},
    {"handshakes_refused_total", "counter",
     "Requests on the client listener that did not become a WebSocket.",
     [](const Core& c) { return c.endpoint_metrics().refused.value(); }},
    {"handshakes_dropped_total", "counter", "Handshakes that hung and gave way to newer clients.",
     [](const Core& c) { return c.metrics().handshakes_dropped.value(); }},
    {"proxy_refused_total", "counter", "Connections closed for want of a PROXY header from a trusted peer.",
     [](const Core& c) { return c.endpoint_metrics().proxy_refused.value(); }},
    {"tokens_accepted_total", "counter", "Tokens that proved a user.",
     [](const Core& c) { return c.metrics().tokens_accepted.value(); }},
    {"tokens_refused_total", "counter", "Tokens that did not.",
     [](const Core& c) { return c.metrics().tokens_refused.value(); }},
    {"tokens_shed_total", "counter", "Tokens not checked: too many waited, or the keys were not there yet.",
     [](const Core& c) { return c.metrics().tokens_shed.value(); }},
    {"protocol_failures_total", "counter", "Connections closed for a breach of RFC 6455.",
     [](const Core& c) { return c.endpoint_metrics().protocol_failures.value(); }},
    {"messages_received_total", "counter", "Messages from clients.",
     [](const Core& c) { return c.metrics().messages_in.value(); }},
    {"deliveries_total", "counter", "Published messages and read marks queued to clients, live.",
     [](const Core& c) { return c.metrics().deliveries.value(); }},
    {"replayed_total", "counter", "Messages replayed from the log.",
     [](const Core& c) { return c.metrics().replayed.value(); }},
    {"heartbeats_total", "counter", "JSON pings sent.",
     [](const Core& c) { return c.metrics().heartbeats.value(); }},
    {"published_stored_total", "counter", "Publications given to the store.",
     [](const Core& c) { return c.metrics().published_stored.value(); }},
    {"published_live_total", "counter", "Publications that no log keeps.",
     [](const Core& c) { return c.metrics().published_live.value(); }},
    {"publish_refused_total", "counter", "Publications refused for their content.",
     [](const Core& c) { return c.metrics().publish_refused.value(); }},
    {"fanouts_waiting", "gauge", "Publications on their way to connections.",
     [](const Core& c) { return c.metrics().fanouts_waiting.value(); }},
    {"fanout_bytes_waiting", "gauge", "Bytes of those.",
     [](const Core& c) { return c.metrics().fanout_bytes_waiting.value(); }},
    {"frames_partial", "gauge", "Connections with an unfinished message.",
     [](const Core& c) { return c.metrics().frames_partial.value(); }},
    {"frame_bytes_held", "gauge", "Bytes held for unfinished messages.",
     [](const Core& c) { return c.metrics().frame_bytes_held.value(); }},
    {"bytes_received_total", "counter", "Bytes from sockets.",
     [](const Core& c) { return c.stream_metrics().bytes_in.value(); }},
    {"bytes_sent_total", "counter", "Bytes that sockets took.",
     [](const Core& c) { return c.stream_metrics().bytes_out.value(); }},
    {"sends_total", "counter", "Gathered sends.",
     [](const Core& c) { return c.stream_metrics().sends.value(); }},
    {"frames_sent_total", "counter", "Frames that sockets took whole.",
     [](const Core& c) { return c.stream_metrics().frames_out.value(); }},
    {"receives_parked_total", "counter", "Receives put off to the next turn for want of a free buffer.",
     [](const Core& c) { return c.stream_metrics().receive_parked.value(); }},
    {"stale_completions_total", "counter", "Completions that came after their connection.",
     [](const Core& c) { return c.stream_metrics().stale_completions.value(); }},
    {"api_requests_total", "counter", "Requests on the API listener.",
     [](const Core& c) { return c.http_metrics().requests.value(); }},
    {"api_accepted_total", "counter", "Connections to the API listener.",
     [](const Core& c) { return c.http_metrics().accepted.value(); }},
    {"api_refused_total", "counter", "Of those, told 503 or closed because there are too many.",
     [](const Core& c) { return c.http_metrics().refused.value(); }},
    {"api_timeouts_total", "counter", "Requests that did not come, or answers that were not taken, in time.",
     [](const Core& c) { return c.http_metrics().timeouts.value(); }},
    {"api_abandoned_total", "counter", "Requests whose connection went away before the answer.",
     [](const Core& c) { return c.http_metrics().abandoned.value(); }},
    {"api_late_responses_total", "counter", "Answers to those.",
     [](const Core& c) { return c.http_metrics().late_responses.value(); }},
    {"api_connections", "gauge", "Open connections of the API listener.",
     [](const Core& c) { return c.http_metrics().connections.value(); }},
    {"api_body_bytes", "gauge", "Bytes of API bodies held.",
     [](const Core& c) { return c.http_metrics().body_bytes.value(); }},
    {"ring_enters_total", "counter", "Calls of io_uring_enter.",
     [](const Core& c) { return c.ring_gauges().enters.value(); }},
    {"ring_completions_total", "counter", "Completions of the ring.",
     [](const Core& c) { return c.ring_gauges().completions.value(); }},
    {"ring_buffer_shortages_total", "counter", "Receives that found no free buffer.",
     [](const Core& c) { return c.ring_gauges().buffer_shortages.value(); }},
    {"ring_buffers_lent", "gauge", "Receive buffers that are not back in the kernel's hands.",
     [](const Core& c) { return c.ring_gauges().buffers_lent.value(); }},
    {"ring_slots", "gauge", "Places in the ring's descriptor table.",
     [](const Core& c) { return c.ring_gauges().direct_slots.value(); }},
    {"ring_slots_used", "gauge", "Of those, taken.",
     [](const Core& c) { return c.ring_gauges().slots_used.value(); }},
    {"turns_total", "counter", "Turns of the core.", [](const Core& c) { return c.reactor().turns(); }},
};

double in_seconds(Duration time) {
    return std::chrono::duration<double>(time).count();
}

ProgramUse use_of(const Shared& shared) {
    return shared.use ? shared.use() : ProgramUse{};
}

template <class Metrics>
struct HostFigure {
    std::string_view name;
    std::string_view type;
    std::string_view help;
    const metrics::Counter Metrics::*value;
};

constexpr HostFigure<StoreMetrics> kStoreFigures[] = {
    {"down", "gauge", "1 while nothing can be stored.", &StoreMetrics::down},
    {"failures_total", "counter", "How often the disk refused, and the store went down.",
     &StoreMetrics::failures},
    {"waiting", "gauge", "Requests that wait in the store.", &StoreMetrics::waiting},
    {"users", "gauge", "Users with a log.", &StoreMetrics::users},
    {"notifications", "gauge", "Notifications kept.", &StoreMetrics::notifications},
    {"messages", "gauge", "Other messages kept.", &StoreMetrics::messages},
    {"read_marks", "gauge", "Read marks kept for other connections.", &StoreMetrics::read_marks},
    {"idempotency_keys", "gauge", "Idempotency keys kept.", &StoreMetrics::idempotency_keys},
    {"bytes", "gauge", "Size of the file and its write-ahead log.", &StoreMetrics::bytes},
    {"batches_total", "counter", "Transactions that changed something.", &StoreMetrics::batches},
    {"batch_requests_total", "counter", "Requests in them.", &StoreMetrics::batch_requests},
};

// Where tokens prove users.
constexpr HostFigure<KeyMetrics> kKeyFigures[] = {
    {"keys", "gauge", "Keys and secrets that tokens are checked with.", &KeyMetrics::keys},
    {"keys_age_seconds", "gauge", "Time since the keys' URL gave its last good answer; 0: not yet.",
     &KeyMetrics::age_seconds},
    {"key_fetches_total", "counter", "Requests to the keys' URL.", &KeyMetrics::fetches},
    {"key_fetch_failures_total", "counter", "Of those, without a usable answer.",
     &KeyMetrics::fetch_failures},
    {"signatures_good_total", "counter", "Signatures that held.", &KeyMetrics::good},
    {"signatures_bad_total", "counter", "Signatures that did not hold.", &KeyMetrics::bad},
    {"signatures_unknown_key_total", "counter", "Signatures of keys that are not known.",
     &KeyMetrics::unknown_key},
    {"tokens_waiting", "gauge", "Tokens that wait to be checked.", &KeyMetrics::waiting},
};

uint64_t uptime_seconds(const Shared& shared, WallTime now) {
    return static_cast<uint64_t>(std::max<int64_t>(0, (now - shared.started) / seconds(1)));
}

std::string_view error_name(std::size_t code) {
    return errc_name(static_cast<Errc>(code));
}

/// A family with a label `code`; only what has happened is listed.
template <class Name, class Value>
void by_code(metrics::Exposition& out, const Shared& shared, std::string_view name, std::string_view help,
             std::size_t codes, Name&& code_name, Value&& value) {
    out.family(name, "counter", help);
    for (std::size_t code = 0; code < codes; ++code) {
        for (const Core* core : shared.cores) {
            if (uint64_t const n = value(*core, code); n > 0) {
                out.sample(name,
                           fmt::format("core=\"{}\",code=\"{}\"", core->reactor().id(), code_name(code)), n);
            }
        }
    }
}

/// Sums over the cores, by name; only what has happened is listed.
template <class Name, class Value>
std::string totals_json(const Shared& shared, std::size_t count, Name&& name, Value&& value) {
    std::string out;
    for (std::size_t i = 0; i < count; ++i) {
        uint64_t total = 0;
        for (const Core* core : shared.cores)
            total += value(*core, i);
        if (total > 0)
            fmt::format_to(std::back_inserter(out), R"({}"{}":{})", out.empty() ? "" : ",", name(i), total);
    }
    return '{' + out + '}';
}

/// Times of all of them as [upper bound in seconds or null, how many are not above it]; only bounds that say
/// something new.
std::string histogram_json(std::span<const metrics::Histogram* const> histograms) {
    std::string buckets;
    uint64_t total = 0, sum_ns = 0;
    for (const auto* histogram : histograms)
        sum_ns += histogram->sum_ns();
    for (uint32_t i = 0; i < metrics::Histogram::kBuckets; ++i) {
        uint64_t const before = total;
        for (const auto* histogram : histograms)
            total += histogram->bucket(i);
        if (total == before) continue;
        bool const last = i + 1 == metrics::Histogram::kBuckets;
        fmt::format_to(std::back_inserter(buckets), "{}[{},{}]", buckets.empty() ? "" : ",",
                       last ? "null" : fmt::format("{}", static_cast<double>(1ULL << i) / 1e6), total);
    }
    return fmt::format(R"({{"count":{},"sum":{},"buckets":[{}]}})", total, static_cast<double>(sum_ns) / 1e9,
                       buckets);
}

}  // namespace

std::string metrics_text(const Shared& shared) {
    metrics::Exposition out;
    for (const auto& figure : kFigures) {
        auto const name = fmt::format("ringcast_{}", figure.name);
        out.family(name, figure.type, figure.help);
        for (const Core* core : shared.cores) {
            out.sample(name, fmt::format("core=\"{}\"", core->reactor().id()), figure.value(*core));
        }
    }
    out.family("ringcast_connections_by_network", "gauge",
               "Open WebSocket connections by where the client is, behind trusted proxies.");
    for (std::size_t kind = 0; kind < net::kPeerKinds; ++kind) {
        for (const Core* core : shared.cores) {
            out.sample("ringcast_connections_by_network",
                       fmt::format("core=\"{}\",network=\"{}\"", core->reactor().id(),
                                   net::peer_kind_name(static_cast<net::PeerKind>(kind))),
                       core->metrics().clients_by_network[kind].value());
        }
    }
    by_code(out, shared, "ringcast_messages_refused_total", "Client messages answered by an error.",
            CoreMetrics::kCodes, error_name,
            [](const Core& core, std::size_t code) { return core.metrics().refused[code].value(); });
    by_code(out, shared, "ringcast_closed_total", "Connections closed by the server, by the error's code.",
            CoreMetrics::kCodes, error_name,
            [](const Core& core, std::size_t code) { return core.metrics().closed_with[code].value(); });
    for (bool const dry_run : {false, true}) {
        auto const name = dry_run ? "ringcast_limit_dry_run_total" : "ringcast_limit_refused_total";
        out.family(name, "counter",
                   dry_run ? "What a limit would have refused but for limits.dry_run."
                           : "What a limit has refused.");
        for (std::size_t limit = 0; limit < kLimits; ++limit) {
            for (const Core* core : shared.cores) {
                const auto& notes = core->limit_notes();
                out.sample(name,
                           fmt::format("core=\"{}\",limit=\"{}\"", core->reactor().id(),
                                       limit_name(static_cast<Limit>(limit))),
                           (dry_run ? notes.would_refuse(limit) : notes.refused(limit)).value());
            }
        }
    }
    by_code(
        out, shared, "ringcast_close_frames_total",
        "Close frames sent, answers included, by the code in them.", ws::kCloseKinds, ws::close_kind_name,
        [](const Core& core, std::size_t kind) { return core.endpoint_metrics().closes_sent[kind].value(); });
    out.family("ringcast_api_responses_total", "counter", "Answers of the API listener by class of status.");
    for (std::size_t status = 1; status < 6; ++status) {
        for (const Core* core : shared.cores) {
            out.sample("ringcast_api_responses_total",
                       fmt::format("core=\"{}\",status=\"{}xx\"", core->reactor().id(), status),
                       core->http_metrics().responses[status].value());
        }
    }
    out.family("ringcast_turn_seconds", "histogram", "Time of a turn until it submits.");
    for (const Core* core : shared.cores) {
        out.histogram("ringcast_turn_seconds", fmt::format("core=\"{}\"", core->reactor().id()),
                      core->reactor().turn_times());
    }
    out.family("ringcast_turn_cpu_seconds", "histogram",
               "CPU time of a turn, with the kernel's work on what it submits.");
    for (const Core* core : shared.cores) {
        out.histogram("ringcast_turn_cpu_seconds", fmt::format("core=\"{}\"", core->reactor().id()),
                      core->reactor().turn_cpu_times());
    }
    const auto& store = shared.store_metrics;
    for (const auto& figure : kStoreFigures) {
        auto const name = fmt::format("ringcast_store_{}", figure.name);
        out.family(name, figure.type, figure.help);
        out.sample(name, "", (store.*figure.value).value());
    }
    out.family("ringcast_store_commit_seconds", "histogram",
               "Time of a commit, its wait for the disk included.");
    out.histogram("ringcast_store_commit_seconds", "", store.commits);
    if (shared.tokens) {
        for (const auto& figure : kKeyFigures) {
            auto const name = fmt::format("ringcast_auth_{}", figure.name);
            out.family(name, figure.type, figure.help);
            out.sample(name, "", (shared.key_metrics.*figure.value).value());
        }
    }
    out.family("ringcast_log_lines_dropped_total", "counter",
               "Log lines dropped: the log was behind, or stderr took none.");
    out.sample("ringcast_log_lines_dropped_total", "", log::dropped());
    auto const use = use_of(shared);
    out.family("process_resident_memory_bytes", "gauge", "Resident memory of the process.");
    out.sample("process_resident_memory_bytes", "", use.resident_bytes);
    out.family("process_cpu_seconds_total", "counter", "CPU time of the process, all threads.");
    out.sample("process_cpu_seconds_total", "", in_seconds(use.cpu));
    out.family("process_start_time_seconds", "gauge", "When the server was started, since 1970.");
    out.sample("process_start_time_seconds", "", in_seconds(shared.started.time_since_epoch()));
    return out.take();
}

std::string stats_json(const Shared& shared, WallTime now) {
    std::string totals, cores;
    Duration turns_cpu{};
    for (const auto& figure : kFigures) {
        uint64_t sum = 0;
        for (const Core* core : shared.cores)
            sum += figure.value(*core);
        fmt::format_to(std::back_inserter(totals), R"({}"{}":{})", totals.empty() ? "" : ",", figure.name,
                       sum);
    }
    for (const Core* core : shared.cores) {
        Duration const cpu{static_cast<Duration::rep>(core->reactor().turn_cpu_times().sum_ns())};
        turns_cpu += cpu;
        fmt::format_to(std::back_inserter(cores), R"({}{{"core":{},"turn_cpu_seconds_total":{:.6f})",
                       cores.empty() ? "" : ",", core->reactor().id(), in_seconds(cpu));
        for (const auto& figure : kFigures) {
            fmt::format_to(std::back_inserter(cores), R"(,"{}":{})", figure.name, figure.value(*core));
        }
        cores += '}';
    }
    std::string store;
    for (const auto& figure : kStoreFigures) {
        fmt::format_to(std::back_inserter(store), R"({}"{}":{})", store.empty() ? "" : ",", figure.name,
                       (shared.store_metrics.*figure.value).value());
    }
    const metrics::Histogram* const commits = &shared.store_metrics.commits;
    fmt::format_to(std::back_inserter(store), R"(,"commit_seconds":{})", histogram_json({&commits, 1}));
    std::vector<const metrics::Histogram*> turns;
    for (const Core* core : shared.cores)
        turns.push_back(&core->reactor().turn_cpu_times());
    fmt::format_to(std::back_inserter(totals), R"(,"turn_cpu_seconds_total":{:.6f})", in_seconds(turns_cpu));

    auto const refused =
        totals_json(shared, CoreMetrics::kCodes, error_name,
                    [](const Core& core, std::size_t code) { return core.metrics().refused[code].value(); });
    auto const closed = totals_json(
        shared, CoreMetrics::kCodes, error_name,
        [](const Core& core, std::size_t code) { return core.metrics().closed_with[code].value(); });
    auto const limited = totals_json(
        shared, kLimits, [](std::size_t limit) { return limit_name(static_cast<Limit>(limit)); },
        [](const Core& core, std::size_t limit) { return core.limit_notes().refused(limit).value(); });
    auto const use = use_of(shared);
    std::string out = R"({"version":)";
    proto::append_json_string(out, shared.version);
    fmt::format_to(
        std::back_inserter(out),
        R"(,"started":"{}","uptimeSeconds":{},"workers":{},"process":{{"resident_bytes":{},"cpu_seconds":{:.6f}}})",
        proto::rfc3339(shared.started), uptime_seconds(shared, now), shared.workers, use.resident_bytes,
        in_seconds(use.cpu));
    fmt::format_to(std::back_inserter(out),
                   R"(,"totals":{{{}}},"messages_refused":{},"closed":{},"limit_refused":{})", totals,
                   refused, closed, limited);
    fmt::format_to(std::back_inserter(out),
                   R"(,"log_lines_dropped_total":{},"cores":[{}],"turn_cpu_seconds":{},"store":{{{}}}}})",
                   log::dropped(), cores, histogram_json(turns), store);
    return out;
}

std::string user_json(const UserId& user, const std::vector<GatherAnswer>& answers, uint32_t unread) {
    std::vector<const ConnectionInfo*> connections;
    for (const auto& answer : answers) {
        for (const auto& connection : answer.connections)
            connections.push_back(&connection);
    }
    std::sort(connections.begin(), connections.end(), [](auto* a, auto* b) { return a->opened < b->opened; });
    std::string out = R"({"userId":)";
    proto::append_json_string(out, user.text);
    out += R"(,"connections":[)";
    for (std::size_t i = 0; i < connections.size(); ++i) {
        fmt::format_to(std::back_inserter(out), R"({}{{"since":"{}","address":)", i == 0 ? "" : ",",
                       proto::rfc3339(connections[i]->since));
        proto::append_json_string(out, connections[i]->address);
        out += R"(,"topics":[)";
        auto topics = connections[i]->topics;
        std::sort(topics.begin(), topics.end());
        for (std::size_t t = 0; t < topics.size(); ++t) {
            if (t > 0) out += ',';
            proto::append_json_string(out, topics[t]);
        }
        out += "]}";
    }
    fmt::format_to(std::back_inserter(out), R"(],"unreadCount":{}}})", unread);
    return out;
}

std::string list_json(const store::ListAnswer& answer, std::string_view epoch) {
    std::string out = R"({"notifications":[)";
    for (std::size_t i = 0; i < answer.notifications.size(); ++i) {
        auto const& record = answer.notifications[i];
        fmt::format_to(std::back_inserter(out), R"({}{{"offset":"{}","type":)", i == 0 ? "" : ",",
                       store::format_offset(epoch, record.offset));
        proto::append_json_string(out, record.message->type);
        out += R"(,"data":)";
        out += proto::with_read(record.message->data, record.read);
        out += '}';
    }
    fmt::format_to(std::back_inserter(out), R"(],"unreadCount":{},"next":)", answer.unread_count);
    if (answer.next == 0) return out + "null}";
    return out + fmt::format(R"("{}"}})", store::format_offset(epoch, answer.next));
}

}  // namespace rc::server
