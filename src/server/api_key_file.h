#pragma once

#include <memory>
#include <string_view>

#include "ringcast/auth/api_keys.h"
#include "ringcast/base/result.h"

namespace rc::server {

/// Reads a file of API keys: one key in its first line, or, where the first line begins with # or [, TOML
/// with a table for each key (docs/configuration.md).
/// Errors: settings, "LINE: why" in TOML and " why" else, to stand behind the file's name and a colon;
/// nothing of a key is in it. Core: the main thread.
Result<std::shared_ptr<const auth::ApiKeys>> parse_api_keys(std::string_view text);

/// The one key of a plain file or of RINGCAST_API_KEY: its name is `default`, and it may do everything.
std::shared_ptr<const auth::ApiKeys> only_key(std::string_view key);

}  // namespace rc::server
