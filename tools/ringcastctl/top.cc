#include <fmt/chrono.h>
#include <fmt/format.h>
#include <unistd.h>

#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <csignal>
#include <cstdio>
#include <ctime>
#include <memory>
#include <optional>

#include "commands.h"
#include "coroutines.h"
#include "figures.h"
#include "ringcast/server/config.h"
#include "terminal.h"
#include "top_view.h"

namespace rc::ctl {
namespace {

namespace asio = boost::asio;
using boost::system::error_code;

constexpr uint64_t kRowsUnderAHeading = 20;  // on a terminal; into a file or pipe it goes once

std::string time_of_day() {
    return fmt::format("{:%H:%M:%S}", fmt::localtime(std::time(nullptr)));
}

/// Where looks are shown.
class Show {
  public:
    virtual ~Show() = default;
    /// The state is another. @param fresh  a look has succeeded, and there is one before it
    virtual void update(const TopState& state, bool fresh) = 0;
};

class Lines final : public Show {
  public:
    void update(const TopState& state, bool fresh) override {
        auto how = !state.away.empty() ? "away: " + state.away
                   : state.now->ready  ? "ready"
                                       : "not ready: " + state.now->readiness;
        if (how != how_) {
            fmt::print(stderr, "{} {}\n", state.away.empty() ? state.time : state.away_since, how);
            how_ = std::move(how);
        }
        if (state.restarts != restarts_) {
            fmt::print(stderr, "{} the server has been restarted; rates begin anew\n", state.restarted);
            restarts_ = state.restarts;
        }
        if (!fresh) return;
        bool const again = is_terminal_ && rows_ % kRowsUnderAHeading == 0;
        if (rows_ == 0 || again) std::puts(top_heading().c_str());
        std::puts(top_row(state).c_str());
        std::fflush(stdout);
        ++rows_;
    }

  private:
    bool const is_terminal_ = ::isatty(STDOUT_FILENO) != 0;
    uint64_t rows_ = 0;
    std::string how_ = "ready";
    uint32_t restarts_ = 0;
};

/// The whole terminal. It is given back while the program is stopped (Ctrl-Z), and at the end.
class Live final : public Show {
  public:
    explicit Live(asio::io_context& io) : io_(io), keys_(io), signals_(io, SIGWINCH, SIGTSTP, SIGHUP) {
        await_signal();
    }
    ~Live() override { leave(); }

    void update(const TopState& state, bool /*fresh*/) override {
        state_ = &state;
        draw();
    }

  private:
    void draw() {
        if (!state_) return;
        if (!terminal_.entered()) {
            if (!terminal_.enter()) return;  // in the background
            if (int const own = ::dup(terminal_.keys()); own >= 0) keys_.assign(own);
            await_key();
        }
        Terminal::draw(top_screen(*state_, Terminal::size()));
    }

    void leave() {
        error_code ignored;
        keys_.close(ignored);
        terminal_.leave();
    }

    void await_key() {
        if (!keys_.is_open()) return;
        keys_.async_read_some(asio::buffer(&key_, 1), [this](error_code error, std::size_t) {
            if (error) return;
            if (key_ == 'q' || key_ == 'Q') return io_.stop();
            await_key();
        });
    }

    void await_signal() {
        signals_.async_wait([this](error_code error, int signal) {
            if (error) return;
            if (signal == SIGHUP) return io_.stop();
            if (signal == SIGTSTP) {
                leave();
                std::raise(SIGSTOP);  // goes on here, when told to
            }
            draw();
            await_signal();
        });
    }

    asio::io_context& io_;
    asio::posix::stream_descriptor keys_;
    asio::signal_set signals_;
    Terminal terminal_;
    const TopState* state_ = nullptr;
    char key_ = 0;
};

class Top {
  public:
    Top(asio::io_context& io, const TopOptions& options, ApiAccess access)
        : io_(io), options_(options), access_(std::move(access)), timer_(io) {
        state_.address = access_.remote.authority;
        state_.rhythm = server::format_duration(options.interval);
        if (Terminal::available() && !options.plain) {
            show_ = std::make_unique<Live>(io);
        } else {
            show_ = std::make_unique<Lines>();
        }
    }

    asio::awaitable<void> run() {
        auto first = co_await look_at(access_, options_.timeout);
        if (!first) co_return finish(first.error());
        take(std::move(*first));
        auto due = std::chrono::steady_clock::now();
        for (uint64_t looks = 0; options_.count == 0 || looks < options_.count; ++looks) {
            // One that took longer than the interval leaves out those that it has missed.
            due = std::max(due + options_.interval, std::chrono::steady_clock::now());
            timer_.expires_at(due);
            error_code ignored;
            co_await timer_.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
            auto look = co_await look_at(access_, options_.timeout);
            if (look) {
                take(std::move(*look));
            } else {
                miss(look.error());
            }
        }
        finish(state_.away.empty() ? std::nullopt : std::optional(Error{Errc::system, state_.away}));
    }

    [[nodiscard]] const std::optional<Error>& failure() const { return failure_; }

  private:
    void take(Look look) {
        bool const restarted = now_ && now_->stats.started != look.stats.started;
        before_ = restarted ? std::nullopt : std::move(now_);
        now_ = std::move(look);
        state_.now = &*now_;
        state_.before = before_ ? &*before_ : nullptr;
        state_.time = time_of_day();
        state_.away.clear();
        if (restarted) {
            ++state_.restarts;
            state_.restarted = state_.time;
        }
        show_->update(state_, before_.has_value());
    }

    void miss(const Error& why) {
        if (state_.away.empty()) state_.away_since = time_of_day();
        state_.away = why.message;
        show_->update(state_, false);
    }

    void finish(std::optional<Error> failure) {
        failure_ = std::move(failure);
        io_.stop();
    }

    asio::io_context& io_;
    const TopOptions& options_;
    ApiAccess const access_;
    asio::steady_timer timer_;
    std::unique_ptr<Show> show_;
    TopState state_;
    std::optional<Look> now_, before_;
    std::optional<Error> failure_;
};

}  // namespace

Result<int> top(const TopOptions& options) {
    auto access = find_access(options.api);
    if (!access) return tl::unexpected(access.error());
    asio::io_context io;
    asio::signal_set ends(io, SIGINT, SIGTERM);
    ends.async_wait([&](error_code error, int) {
        if (!error) io.stop();
    });
    Top top(io, options, std::move(*access));
    asio::co_spawn(io, top.run(), asio::detached);
    io.run();
    if (top.failure()) return tl::unexpected(*top.failure());
    return 0;
}

}  // namespace rc::ctl
