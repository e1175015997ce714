#pragma once

#include <functional>
#include <string>
#include <vector>

#include "mail.h"
#include "ringcast/net/refusals.h"
#include "ringcast/reactor/core_group.h"

namespace rc::server {

/// The main thread's program: hears signals, and leads the cores through the end. Core: main's.
class ControlProgram final : public reactor::CoreProgram,
                             private io::CompletionSink,
                             private reactor::MailSink,
                             private reactor::Work {
  public:
    struct Options {
        uint32_t workers = 1;
        reactor::CoreId store = 0;
        int signals = -1;  // a signalfd; the first signal drains, the second stops at once
        Duration drain_time{};
        std::function<void(const std::string& step, Duration at_most)> ending;  // see RunOptions
    };
    ControlProgram(reactor::Reactor& reactor, Options options);

    /// From here on a signal ends the server; one that came before it has waited.
    void listen_for_signals();
    bool ended() override { return stage_ == Stage::stopping && orders_.empty() && !poll_.in_flight(); }

  private:
    enum class Stage : uint8_t { running, draining, finishing, stopping };

    void on_completion(const io::Completion& completion) override;
    void on_mail(const reactor::Mail& mail) override;
    bool run_slice() override;

    void order(Control what);
    void tell(const std::string& step, Duration at_most);

    struct Order {
        reactor::CoreId core;
        Control what;
    };
    reactor::Reactor& reactor_;
    Options options_;
    Stage stage_ = Stage::running;
    uint32_t drained_ = 0, finished_ = 0;  // cores that said so
    std::vector<Order> orders_;            // that found no place in a mailbox yet
    io::Operation poll_;
    net::Refusals refusals_;
};

}  // namespace rc::server
