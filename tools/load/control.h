#pragma once

#include <atomic>
#include <memory>
#include <string>

#include "procfs.h"
#include "publisher.h"
#include "report.h"
#include "ringcast/reactor/core_group.h"
#include "script.h"
#include "shared.h"

namespace rc::load {

/// The core that directs a run: it tells the workers what to do, publishes, and takes readings. Its thread is
/// the program's first. Core: its own.
class Control final : public reactor::CoreProgram,
                      private reactor::MailSink,
                      private reactor::Work,
                      private io::CompletionSink {
  public:
    /// @param signals  a signalfd: what comes there ends the run, with a report of what there is
    Control(reactor::Reactor& reactor, Shared& shared, Report& report, int signals, uint64_t chance);

    bool ended() override { return over_; }

  private:
    void on_mail(const reactor::Mail&) override {}  // being woken is all
    void on_completion(const io::Completion&) override;
    bool run_slice() override;

    Script course();
    void tell(Command command);
    void begin_phase(const std::string& name);
    void end_phase();
    void begin_publishing();
    void take_sample();
    void show_progress();
    [[nodiscard]] bool passed(MonoTime time) const { return reactor_.now() >= time || stopped_; }
    [[nodiscard]] double since_begin(MonoTime time) const {
        return std::chrono::duration<double>(time - begin_).count();
    }
    [[nodiscard]] MonoTime last_came(MonoTime since) const;
    [[nodiscard]] uint64_t subscribed() const { return shared_.sum(&WorkerNews::subscribed); }
    void read_memory() { report_.memory.push_back(meter_.read_memory(shared_.sum(&WorkerNews::connected))); }

    reactor::Reactor& reactor_;
    Shared& shared_;
    const Settings& settings_;
    Report& report_;
    std::unique_ptr<io::Network> network_;
    net::StreamTable streams_;
    Meter meter_;
    uint32_t next_publication_ = 0;
    std::vector<std::unique_ptr<Publisher>> publishers_;  // one a path
    std::vector<Path> paths_;
    MonoTime begin_, next_sample_, next_progress_;
    Duration sample_every_;
    MachineReading measured_from_;
    uint64_t deliveries_from_ = 0, published_from_ = 0;
    bool terminal_, stopped_ = false, over_ = false;
    io::Operation poll_;
    Script course_;
    std::string phase_;
};

}  // namespace rc::load
