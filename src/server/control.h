#pragma once

#include "mail.h"
#include "ringcast/reactor/core_group.h"

namespace rc::server {

/// The main thread's program: hears signals, and leads the cores through the end. Core: main's.
class ControlProgram final : public reactor::CoreProgram,
                             private io::CompletionSink,
                             private reactor::MailSink,
                             private reactor::Work {
  public:
    /// @param signals  a signalfd; the first signal drains, the second stops at once
    ControlProgram(reactor::Reactor& reactor, uint32_t workers, reactor::CoreId store, int signals);

    bool ended() override { return stage_ == Stage::stopping && orders_.empty() && !poll_.in_flight(); }

  private:
    enum class Stage : uint8_t { running, draining, finishing, stopping };

    void on_completion(const io::Completion& completion) override;
    void on_mail(const reactor::Mail& mail) override;
    bool run_slice() override;

    void listen_for_signals();
    void order(Control what);

    struct Order {
        reactor::CoreId core;
        Control what;
    };
    reactor::Reactor& reactor_;
    uint32_t workers_;
    reactor::CoreId store_;
    int signals_;
    Stage stage_ = Stage::running;
    uint32_t drained_ = 0, finished_ = 0;  // cores that said so
    std::vector<Order> orders_;            // that found no place in a mailbox yet
    io::Operation poll_;
};

}  // namespace rc::server
