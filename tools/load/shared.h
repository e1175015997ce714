#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "histogram.h"
#include "ledger.h"
#include "publications.h"
#include "ringcast/metrics/metrics.h"
#include "settings.h"

namespace rc::load {

enum Path : uint8_t { kTopicPath, kUserPath, kPaths };

/// Mails between the control's core and the workers'.
enum MailKind : uint8_t { kCommandMail, kNewsMail };

struct Command {
    enum class What : uint8_t {
        connect,  // the first `count` of the worker's clients, those that are not yet
        drop,     // all, without a word, and connect them again
        echo,     // from `at_ns` on, until `until_ns`
        leave,    // end all, politely, and then the worker
    };
    What what = What::connect;
    uint32_t count = 0;
    int64_t at_ns = 0, until_ns = 0;
};

/// What one worker says while it runs. It writes, any core reads.
struct WorkerNews {
    metrics::Counter connected, subscribed;  // now
    metrics::Counter came;                   // ever subscribed: each return counts again
    metrics::Counter failed, lost;           // attempts that failed; connections that the server ended
    metrics::Counter heartbeats, texts, bytes;
    metrics::Counter deliveries;  // marked messages; echoes
    metrics::Counter echoes_open;
    metrics::Counter last_came_ns;  // when the last one was subscribed
};

/// What one worker has found out. It writes; read when it has ended.
struct WorkerFindings {
    Histogram connect_ns, ready_ns;                // from the dial to the upgrade, to the subscription
    std::vector<Histogram> deliveries_ns{kPaths};  // of all receivers
    Histogram echoes_ns;
    std::unique_ptr<Ledger> ledger;
    Faults echo_faults;
    std::map<std::string, uint64_t> troubles;  // failed and lost connections, error messages: by their words
};

/// What the cores of one run have in common. Made before they start, read by main when they have ended.
struct Shared {
    explicit Shared(const Settings& run) : settings(run), news(run.threads), findings(run.threads) {}

    const Settings& settings;
    Publications publications;
    std::atomic<uint32_t> measured_from{UINT32_MAX};  // publications below it are not measured
    std::atomic<bool> measuring_echoes{false};
    std::vector<WorkerNews> news;  // by worker; the control's core has the number behind them
    std::vector<WorkerFindings> findings;

    [[nodiscard]] uint64_t sum(metrics::Counter WorkerNews::*counter) const {
        uint64_t out = 0;
        for (const auto& worker : news)
            out += (worker.*counter).value();
        return out;
    }
    [[nodiscard]] uint32_t control() const { return settings.threads; }
    /// Which clients a worker has: from its first to the next one's first.
    [[nodiscard]] uint32_t first_client(uint32_t worker) const {
        if (settings.targeted_clients == 0)
            return static_cast<uint32_t>(uint64_t{settings.connections} * worker / settings.threads);
        if (worker == settings.threads) return settings.connections;
        return static_cast<uint32_t>(uint64_t{settings.first_targeted()} * worker / (settings.threads - 1));
    }
    /// Whether a worker's clients hold the topic.
    [[nodiscard]] bool holds_topic(uint32_t worker) const {
        return settings.to_topic() && first_client(worker) < settings.connections - settings.targeted_clients;
    }
    /// Clients that are subscribed to the topic now.
    [[nodiscard]] uint32_t topic_subscribers() const {
        uint64_t out = 0;
        for (uint32_t worker = 0; worker < settings.threads; ++worker)
            if (holds_topic(worker)) out += news[worker].subscribed.value();
        return static_cast<uint32_t>(out);
    }
};

}  // namespace rc::load
