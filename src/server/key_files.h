#pragma once

#include <memory>
#include <string>
#include <vector>

#include "ringcast/auth/api_keys.h"
#include "ringcast/base/result.h"
#include "ringcast/io/clock.h"
#include "ringcast/server/config.h"

namespace rc::server {

/// All that the key files hold. Immutable: the cores share one, and get another when a file was read anew.
struct Keys {
    std::shared_ptr<const auth::ApiKeys> api;
};

/// The key files of the settings. Core: the main thread. Cost: reads files.
class KeyFiles {
  public:
    /// Reads every file. A default file of the API key that is missing is made, with a random key and mode
    /// 0600. Errors: settings, one line that names the file and nothing of its content.
    static Result<KeyFiles> open(const Config& config, io::Entropy& entropy);
    /// Likewise, for a check of the settings: makes nothing, and a default file may be missing.
    static Result<void> check(const Config& config);

    [[nodiscard]] const std::shared_ptr<const Keys>& keys() const { return keys_; }

    struct Reread {
        std::shared_ptr<const Keys> keys;  // null: there is nothing new
        std::vector<std::string> lines;    // for the log when the keys are in force
    };
    /// Reads every file again. One that is bad keeps what it held, and is named in the log at once.
    Reread reread();

  private:
    explicit KeyFiles(const Config& config) : config_(&config) {}

    const Config* config_;
    std::shared_ptr<const Keys> keys_;
};

}  // namespace rc::server
