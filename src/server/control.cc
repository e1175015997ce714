#include "control.h"

#include <sys/signalfd.h>
#include <unistd.h>

#include "ringcast/base/log.h"

namespace rc::server {
namespace {
constexpr uint8_t kSignalTable = 0;
}

ControlProgram::ControlProgram(reactor::Reactor& reactor, uint32_t workers, reactor::CoreId store,
                               int signals)
    : reactor_(reactor), workers_(workers), store_(store), signals_(signals) {
    reactor.ring().bind(kSignalTable, *this);
    reactor.bind_mail(static_cast<uint8_t>(MailKind::progress), *this);
    reactor.add_work(*this);
    listen_for_signals();
}

void ControlProgram::listen_for_signals() {
    reactor_.ring().poll(poll_, {0, 0, kSignalTable, io::Kind::poll}, signals_);
}

void ControlProgram::on_completion(const io::Completion&) {
    poll_.finish();
    signalfd_siginfo info{};
    while (::read(signals_, &info, sizeof(info)) == sizeof(info)) {
        if (stage_ == Stage::running) {
            log::info("draining: signal {}", info.ssi_signo);
            stage_ = Stage::draining;
            order(Control::drain);
        } else if (stage_ != Stage::stopping) {
            log::info("ending now: signal {}", info.ssi_signo);
            stage_ = Stage::finishing;
            order(Control::hurry);
        }
    }
    if (stage_ != Stage::stopping) listen_for_signals();
}

void ControlProgram::on_mail(const reactor::Mail& mail) {
    if (mail.as<Control>() == Control::drain) {
        if (++drained_ < workers_ || stage_ != Stage::draining) return;
        log::info("drained: the last client is closed");
        stage_ = Stage::finishing;
        order(Control::finish);
        return;
    }
    if (++finished_ < workers_) return;
    stage_ = Stage::stopping;
    if (poll_.in_flight()) reactor_.ring().cancel(poll_, {0, 0, kSignalTable, io::Kind::poll});
    order(Control::stop);
    orders_.push_back({store_, Control::stop});
}

void ControlProgram::order(Control what) {
    for (uint32_t core = 0; core < workers_; ++core)
        orders_.push_back({static_cast<reactor::CoreId>(core), what});
}

bool ControlProgram::run_slice() {
    std::erase_if(orders_, [this](const Order& order) {
        if (!reactor_.has_place(order.core)) return false;
        reactor_.send(order.core, reactor::Mail::make(static_cast<uint8_t>(MailKind::control), order.what));
        return true;
    });
    return !orders_.empty();
}

}  // namespace rc::server
