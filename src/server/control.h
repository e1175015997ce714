#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "key_files.h"
#include "mail.h"
#include "ringcast/net/refusals.h"
#include "ringcast/reactor/core_group.h"
#include "ringcast/server/server.h"

namespace rc::server {

/// The main thread's program: hears signals, hands the cores the keys that are read anew at SIGHUP, and leads
/// them through the end. Core: main's.
class ControlProgram final : public reactor::CoreProgram,
                             private io::CompletionSink,
                             private reactor::MailSink,
                             private reactor::Work {
  public:
    struct Options {
        uint32_t workers = 1;
        reactor::CoreId store = 0;
        std::optional<reactor::CoreId> tokens = {}, key_fetcher = {};  // their hosts, where there are any
        // A signalfd. SIGHUP reads the key files; of the others the first drains, the second stops at once.
        int signals = -1;
        Duration drain_time{};
        std::function<void(const std::string& step, Duration at_most)> ending;  // see RunOptions
        std::function<KeyFiles::Reread()> reread_keys = {};
        std::function<void(Reload)> reloading = {};  // see RunOptions
        std::function<bool()> store_is_up = {};      // without it: at once
        std::function<void()> ready = {};
        std::function<void(Duration at_most)> waiting = {};  // see RunOptions
    };
    ControlProgram(reactor::Reactor& reactor, Options options);

    /// The cores serve: from here on signals are heard (those that came before it have waited), and `ready`
    /// is told as soon as the store is up.
    void begin();
    bool ended() override { return stage_ == Stage::stopping && orders_.empty() && !poll_.in_flight(); }

  private:
    enum class Stage : uint8_t { running, draining, finishing, stopping };

    void on_completion(const io::Completion& completion) override;
    void on_mail(const reactor::Mail& mail) override;
    bool run_slice() override;
    void hear(uint32_t signal);
    void listen_for_signals();
    void look_whether_ready();
    void reload();
    void keys_taken();

    void order(Control what);
    void tell(const std::string& step, Duration at_most);

    struct Order {
        reactor::CoreId core;
        Control what;  // keys: reread_.keys to a worker, an order to the token host
    };
    reactor::Reactor& reactor_;
    Options options_;
    Stage stage_ = Stage::running;
    bool begun_ = false, told_ready_ = false;
    MonoTime tell_waiting_at_ = MonoTime::min();
    uint32_t drained_ = 0, finished_ = 0;  // cores that said so
    KeyFiles::Reread reread_;              // what is being handed out
    uint32_t keys_missing_ = 0;            // cores that have not said that they have them
    bool reload_again_ = false;            // a SIGHUP came meanwhile
    std::vector<Order> orders_;            // that found no place in a mailbox yet
    io::Operation poll_;
    net::Refusals refusals_;
};

}  // namespace rc::server
