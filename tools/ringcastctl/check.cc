#include <cstdio>

#include "commands.h"
#include "ringcast/server/config.h"
#include "ringcast/server/server.h"

namespace rc::ctl {

Result<int> check(const std::optional<std::string>& config_file) {
    auto const config =
        server::load_config({.file = config_file, .environment = server::process_environment(), .flags = {}});
    if (!config) return tl::unexpected(config.error());
    if (auto found = server::check_key_files(*config); !found) return tl::unexpected(found.error());
    for (const auto& warning : config->warnings)
        std::fprintf(stderr, "warning: %s\n", warning.c_str());
    std::puts("ok");
    return 0;
}

}  // namespace rc::ctl
