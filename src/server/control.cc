#include "control.h"

#include <fmt/format.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "ringcast/base/log.h"
#include "ringcast/server/config.h"

namespace rc::server {
namespace {
constexpr uint8_t kSignalTable = 0;
// Closing handshakes and answers that are under way have deadlines of their own, all below this.
constexpr Duration kEndingSlack = seconds(30);
constexpr Duration kTellWaitingEvery = seconds(10);
}  // namespace

ControlProgram::ControlProgram(reactor::Reactor& reactor, Options options)
    : reactor_(reactor), options_(std::move(options)) {
    reactor.ring().bind(kSignalTable, *this);
    reactor.bind_mail(static_cast<uint8_t>(MailKind::progress), *this);
    reactor.add_work(*this);
}

void ControlProgram::begin() {
    begun_ = true;
    listen_for_signals();
    look_whether_ready();
}

void ControlProgram::look_whether_ready() {
    if (!begun_ || told_ready_ || stage_ != Stage::running) return;
    if (!options_.store_is_up || options_.store_is_up()) {
        told_ready_ = true;
        if (options_.ready) options_.ready();
    } else if (reactor_.now() >= tell_waiting_at_) {
        tell_waiting_at_ = reactor_.now() + kTellWaitingEvery;
        if (options_.waiting) options_.waiting(3 * kTellWaitingEvery);
    }
}

void ControlProgram::listen_for_signals() {
    reactor_.ring().poll(poll_, {0, 0, kSignalTable, io::Kind::poll}, options_.signals);
}

void ControlProgram::on_completion(const io::Completion& completion) {
    poll_.finish();
    if (completion.result < 0) refusals_.judge(io::Kind::poll, completion.result);
    signalfd_siginfo info{};
    while (::read(options_.signals, &info, sizeof(info)) == sizeof(info))
        hear(info.ssi_signo);
    if (stage_ != Stage::stopping) listen_for_signals();
}

void ControlProgram::hear(uint32_t signal) {
    if (signal == SIGHUP) {
        if (stage_ == Stage::running || stage_ == Stage::draining) reload();
    } else if (stage_ == Stage::running) {
        log::info("draining: signal {}", signal);
        stage_ = Stage::draining;
        order(Control::drain);
        tell(fmt::format("draining: closing the clients over {}", format_duration(options_.drain_time)),
             options_.drain_time + kEndingSlack);
    } else if (stage_ != Stage::stopping) {
        log::info("ending now: signal {}", signal);
        stage_ = Stage::finishing;
        order(Control::hurry);
        tell("ending now", kEndingSlack);
    }
}

// One reading at a time, until every core has it: a core never gets an older one behind a newer one, and
// the log's line says what is in force.
void ControlProgram::reload() {
    if (keys_missing_ > 0) {
        reload_again_ = true;
        return;
    }
    if (options_.reloading && stage_ == Stage::running)
        options_.reloading({.begun = true, .at = reactor_.now()});
    if (options_.reread_keys) reread_ = options_.reread_keys();
    keys_missing_ = reread_.keys ? options_.workers : 0;
    if (reread_.keys) order(Control::keys);
    if (options_.tokens) {
        ++keys_missing_;
        orders_.push_back({*options_.tokens, Control::keys});
    }
    if (keys_missing_ == 0) keys_taken();
}

void ControlProgram::keys_taken() {
    for (const auto& line : reread_.lines)
        log::info("{}", line);
    reread_ = {};
    if (options_.reloading && stage_ == Stage::running)
        options_.reloading({.begun = false, .at = reactor_.now()});
    if (std::exchange(reload_again_, false)) reload();
}

void ControlProgram::on_mail(const reactor::Mail& mail) {
    if (mail.as<Control>() == Control::keys) {
        if (--keys_missing_ == 0) keys_taken();
        return;
    }
    if (mail.as<Control>() == Control::drain) {
        if (++drained_ < options_.workers || stage_ != Stage::draining) return;
        log::info("drained: the last client is closed");
        stage_ = Stage::finishing;
        order(Control::finish);
        tell("drained: finishing what is under way", kEndingSlack);
        return;
    }
    if (++finished_ < options_.workers) return;
    stage_ = Stage::stopping;
    if (poll_.in_flight()) reactor_.ring().cancel(poll_, {0, 0, kSignalTable, io::Kind::poll});
    order(Control::stop);
    orders_.push_back({options_.store, Control::stop});
    for (auto host : {options_.tokens, options_.key_fetcher})
        if (host) orders_.push_back({*host, Control::stop});
}

void ControlProgram::tell(const std::string& step, Duration at_most) {
    if (options_.ending) options_.ending(step, at_most);
}

void ControlProgram::order(Control what) {
    for (uint32_t core = 0; core < options_.workers; ++core)
        orders_.push_back({static_cast<reactor::CoreId>(core), what});
}

bool ControlProgram::run_slice() {
    look_whether_ready();
    std::erase_if(orders_, [this](const Order& order) {
        if (!reactor_.has_place(order.core)) return false;
        reactor_.send(order.core,
                      order.what == Control::keys && order.core < options_.workers
                          ? Parcel<std::shared_ptr<const Keys>>::mail(MailKind::keys, reread_.keys)
                          : reactor::Mail::make(static_cast<uint8_t>(MailKind::control), order.what));
        return true;
    });
    return !orders_.empty();
}

}  // namespace rc::server
