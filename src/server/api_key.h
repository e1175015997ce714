#pragma once

#include <string>

#include "ringcast/base/result.h"
#include "ringcast/io/clock.h"
#include "ringcast/server/config.h"

namespace rc::server {

/// The API key: from the environment, or from its file. A missing default file is made, with a random key and
/// mode 0600, and named in the log. Errors: settings. Core: the main thread.
Result<std::string> load_api_key(const Config& config, io::Entropy& entropy);

}  // namespace rc::server
