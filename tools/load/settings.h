#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "dialect.h"
#include "ringcast/base/address.h"
#include "ringcast/base/result.h"
#include "ringcast/base/time.h"

namespace rc::load {

enum class Scenario : uint8_t { idle, storm, fanout, targeted, mixed, echo };

struct Settings {
    Scenario scenario = Scenario::idle;
    std::string url = "ws://127.0.0.1:5000/ws", api_url = "http://127.0.0.1:5001";
    std::string api_key;
    uint32_t connections = 1'000;
    uint32_t threads = 0;  // 0: as many as the connections need
    std::vector<std::string> source_texts;
    double connect_rate = 0;  // a second; 0: as fast as they are taken
    uint32_t connecting_max = 256;

    double rate = 0;  // publications, or echoes, a second; 0: closed loop
    double targeted_rate = 1'000;
    uint32_t targeted_clients = 0;  // of the connections, the last ones: with a thread of their own
    uint32_t in_flight = 0;         // 0: 1 in a closed loop, 64 in an open one
    uint32_t message_bytes = 200;
    std::string topic = "load";
    uint64_t first_user = 1;
    uint32_t user_bytes = 0;  // 0: integers
    bool store = false;
    bool ack = true;
    Dialect dialect = Dialect::ringcast;

    Duration duration = seconds(10), warmup = seconds(1), settle = milliseconds(500), patience = seconds(10);
    Duration gather = Duration::zero();
    uint32_t rounds = 3;

    std::optional<int> server_pid;
    std::string json_file, report_file;
    bool quiet = false;

    // Derived.
    Address address, api_address;
    std::string host, target;      // of the upgrade
    std::vector<Address> sources;  // empty: the kernel chooses
    std::string command;           // as it was called, without its secrets

    [[nodiscard]] bool publishes() const {
        return scenario == Scenario::fanout || scenario == Scenario::targeted || scenario == Scenario::mixed;
    }
    [[nodiscard]] bool to_topic() const {
        return scenario == Scenario::fanout || scenario == Scenario::mixed;
    }
    [[nodiscard]] bool to_users() const {
        return scenario == Scenario::targeted || scenario == Scenario::mixed;
    }
    /// The first client that gets messages to users; so do all behind it.
    [[nodiscard]] uint32_t first_targeted() const {
        return targeted_clients > 0 ? connections - targeted_clients : 0;
    }
    /// The user of a client, as JSON: an integer, or a string of user_bytes.
    [[nodiscard]] std::string user(uint32_t client) const;
};

std::string_view scenario_name(Scenario scenario);

/// Reads the command line. A status other than none means that the program ends with it: help was asked for,
/// or something is wrong, which has been said on stderr.
std::optional<int> read_settings(int argc, char** argv, Settings& settings);

/// "250ms", "10s", "5m": what the settings of the server take. Errors: settings.
Result<Duration> parse_duration(std::string_view text);

}  // namespace rc::load
