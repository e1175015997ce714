#pragma once

#include <toml++/toml.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "ringcast/server/config.h"

namespace rc::server {

/// One [[listener]] table of the settings file.
struct ListenerTable {
    std::vector<ListenAddress> addresses;  // several of localhost; each knows its place
    std::optional<bool> proxy_protocol;    // unset: as proxy.protocol says
};

/// What is wrong with a table, where it is wrong first.
struct ListenerFault {
    uint32_t line;
    std::string message;  // with file, line and key
};

/// Reads keys and values; what other settings have to say about them is judged later. Core: the main thread.
tl::expected<ListenerTable, ListenerFault> read_listener(const toml::table& table, const std::string& file);

}  // namespace rc::server
