// Real threads: also run under ThreadSanitizer (suite multicore).
#include <gtest/gtest.h>

#include <atomic>
#include <barrier>
#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <random>
#include <thread>
#include <vector>

#include "ringcast/reactor/core_group.h"
#include "ringcast/reactor/reactor.h"

namespace rc::reactor {
namespace {

constexpr uint8_t kPing = 1, kAsk = 2, kAccepted = 3, kPublication = 4;

/// A ring with a bell and nothing else.
class BellRing final : public io::Ring {
  public:
    void bind(uint8_t, io::CompletionSink&) override {}
    void accept(io::Operation&, io::Token, int, io::PeerBuffer&, bool) override { RC_ASSERT(false); }
    void recv(io::Operation&, io::Token, io::File, io::ReceiveMode) override { RC_ASSERT(false); }
    void send(io::Operation&, io::Token, io::File, std::span<const iovec>) override { RC_ASSERT(false); }
    void close(io::Operation&, io::Token, io::File) override { RC_ASSERT(false); }
    void discard(io::File) override { RC_ASSERT(false); }
    bool shutdown_send(io::Operation&, io::Token, io::File) override { return false; }
    void await_bytes(io::Operation&, io::Token, io::File) override { RC_ASSERT(false); }
    void poll(io::Operation&, io::Token, int) override { RC_ASSERT(false); }
    void cancel(io::Operation&, io::Token) override { RC_ASSERT(false); }
    void wake(io::Ring& sleeper) override { static_cast<BellRing&>(sleeper).ring_bell(); }
    void submit_and_wait(Duration wait_max) override {
        std::unique_lock lock(mutex_);
        if (wait_max > Duration::zero()) heard_.wait_for(lock, wait_max, [this] { return rung_; });
        rung_ = false;
    }
    uint32_t reap(uint32_t) override { return 0; }
    [[nodiscard]] Stats stats() const override { return {}; }

  private:
    void ring_bell() {
        std::lock_guard const lock(mutex_);
        rung_ = true;
        heard_.notify_one();
    }
    std::mutex mutex_;
    std::condition_variable heard_;
    bool rung_ = false;
};

/// Plays a ball back and forth; now and then it goes on working for a while before it sleeps.
class Player final : public MailSink, public Work {
  public:
    Player(Reactor& reactor, CoreId peer, uint32_t rounds)
        : reactor_(reactor), peer_(peer), rounds_(rounds), random_(reactor.id()) {
        reactor.bind_mail(kPing, *this);
        reactor.add_work(*this);
    }
    void serve() { reactor_.send(peer_, Mail::make(kPing, uint32_t{1})); }
    [[nodiscard]] bool done() const { return last_ >= rounds_; }

    void on_mail(const Mail& mail) override {
        last_ = mail.as<uint32_t>();
        dither_ = static_cast<uint32_t>(random_() % 4);
        if (last_ <= rounds_) reactor_.send(peer_, Mail::make(kPing, last_ + 1));
    }
    bool run_slice() override { return dither_ > 0 && dither_-- > 0; }

  private:
    Reactor& reactor_;
    CoreId peer_;
    uint32_t rounds_, last_ = 0, dither_ = 0;
    std::mt19937_64 random_;
};

// A lost wake shows as a turn that slept its whole wait.
void play(const std::function<std::unique_ptr<io::Ring>()>& make_ring, uint32_t rounds) {
    constexpr Duration kWait = seconds(20);
    auto clock = io::make_system_clock();
    Mesh mesh(2, 16);
    std::barrier barrier(2);
    std::atomic<bool> refused = false;
    std::array<Duration, 2> longest{};
    auto core = [&](CoreId id) {
        auto ring = make_ring();
        if (ring) {
            mesh.attach(id, *ring);
        } else {
            refused = true;
        }
        barrier.arrive_and_wait();
        if (refused) return;
        CoreScope const scope(id);
        Reactor reactor(id, *ring, *clock, mesh);
        Player player(reactor, 1 - id, rounds);
        if (id == 0) player.serve();
        while (!player.done()) {
            auto const before = clock->now();
            reactor.turn(kWait);
            longest[id] = std::max(longest[id], clock->now() - before);
        }
        reactor.ring().submit_and_wait(Duration::zero());
        mesh.detach(id);
        barrier.arrive_and_wait();
    };
    std::thread other([&core] { core(1); });
    core(0);
    other.join();
    if (refused) GTEST_SKIP() << "io_uring is refused here";
    EXPECT_LT(longest[0], kWait / 2);
    EXPECT_LT(longest[1], kWait / 2);
}

TEST(Threads, NoWakeIsLostBetweenTwoSleepersWithABell) {
    play([] { return std::make_unique<BellRing>(); }, 10'000);
}

constexpr io::UringOptions kSmallRing{
    .submissions = 64, .buffers = 8, .buffer_bytes = 4096, .direct_files_max = 1};

TEST(Threads, NoWakeIsLostBetweenTwoSleepersOnIoUring) {
    play(
        [] {
            auto ring = io::make_uring(kSmallRing);
            return ring ? std::move(*ring) : nullptr;
        },
        10'000);
}

/// One of several cores that are publishers, homes and receivers at once. A publisher sends its next
/// publication, by way of the next home, when the one before it was answered.
class Member final : public CoreProgram, public MailSink, public Work {
  public:
    struct Game {
        uint32_t cores, publishers_per_core, publications_each;
        std::vector<uint64_t> out_of_order;  // of each core
    };
    struct Content {
        uint32_t publisher, number;
    };

    Member(Reactor& reactor, Game& game)
        : reactor_(reactor), game_(game), last_(game.cores * game.publishers_per_core) {
        for (auto kind : {kAsk, kAccepted, kPublication})
            reactor.bind_mail(kind, *this);
        reactor.add_work(*this);
        for (uint32_t i = 0; i < game.publishers_per_core; ++i)
            publish({reactor.id() * game.publishers_per_core + i, 1});
    }

    bool ended() override {
        auto const all = uint64_t{game_.publications_each} * last_.size();
        return received_ == all && answered_ == all / game_.cores && accepted_.empty();
    }

    void on_mail(const Mail& mail) override {
        switch (mail.kind) {
            case kAsk:
                if (!waiting_.empty() || !post(mail)) waiting_.push_back(mail);
                break;
            case kAccepted: {
                auto content = mail.as<Content>();
                ++answered_;
                if (content.number++ < game_.publications_each) publish(content);
                break;
            }
            case kPublication: {
                auto const content = mail.as<Content>();
                game_.out_of_order[reactor_.id()] += ++last_[content.publisher] != content.number;
                ++received_;
                break;
            }
            default: RC_ASSERT(false);
        }
    }

    // The answer leaves on a later turn than the publication: see Mesh::next_stamp().
    bool run_slice() override {
        for (; !accepted_.empty() && accepted_.front().turn != reactor_.turns(); accepted_.pop_front())
            reactor_.answer(accepted_.front().from, Mail::make(kAccepted, accepted_.front().content));
        while (!waiting_.empty() && post(waiting_.front()))
            waiting_.pop_front();
        return !accepted_.empty() || !waiting_.empty();
    }

  private:
    struct Accepted {
        CoreId from;
        Content content;
        uint64_t turn;
    };

    void publish(Content content) {
        auto const home = static_cast<CoreId>((content.publisher + content.number) % game_.cores);
        reactor_.request(home, Mail::make(kAsk, content));
    }
    bool post(const Mail& asked) {
        for (uint32_t core = 0; core < game_.cores; ++core) {
            if (!reactor_.has_place(static_cast<CoreId>(core))) return false;
        }
        auto const stamp = reactor_.mesh().next_stamp();
        for (uint32_t core = 0; core < game_.cores; ++core) {
            auto mail = Mail::make(kPublication, asked.as<Content>());
            mail.stamp = stamp;
            reactor_.send(static_cast<CoreId>(core), mail);
        }
        accepted_.push_back({asked.from, asked.as<Content>(), reactor_.turns()});
        return true;
    }

    Reactor& reactor_;
    Game& game_;
    std::vector<uint32_t> last_;  // number of each publisher
    uint64_t received_ = 0, answered_ = 0;
    std::deque<Mail> waiting_;
    std::deque<Accepted> accepted_;
};

void publish_and_wait(uint32_t publishers_per_core, uint32_t publications_each, uint32_t places) {
    auto clock = io::make_system_clock();
    Member::Game game{3, publishers_per_core, publications_each, {0, 0, 0}};
    Mesh mesh(game.cores, places);
    std::vector<CorePlan> plans;
    for (uint32_t i = 0; i < game.cores; ++i) {
        plans.push_back({"member", std::nullopt, kSmallRing,
                         [&game](Reactor& reactor) { return std::make_unique<Member>(reactor, game); }});
    }
    auto const ran = run_cores(mesh, *clock, plans, nullptr);
    if (!ran) GTEST_SKIP() << ran.error().message;
    EXPECT_EQ(game.out_of_order, (std::vector<uint64_t>{0, 0, 0}));
}

TEST(Threads, WhatAPublisherThatWaitsSendsArrivesInItsOrderEverywhere) {
    publish_and_wait(32, 1'050, 1'024);
}
TEST(Threads, LikewiseWhenTheMailboxesAreFullMostOfTheTime) {
    publish_and_wait(2, 2'000, 16);
}

/// Ends when it is told to.
class Idler final : public CoreProgram {
  public:
    Idler(Reactor& reactor, std::atomic<bool>& end, std::atomic<uint32_t>& began) : end_(end) {
        work_.count = &began;
        reactor.add_work(work_);
    }
    bool ended() override { return end_; }

  private:
    struct FirstTurn final : Work {
        bool run_slice() override {
            if (count) ++*count;
            count = nullptr;
            return false;
        }
        std::atomic<uint32_t>* count = nullptr;
    };
    std::atomic<bool>& end_;
    FirstTurn work_;
};

TEST(Threads, ACoreGroupIsReadyWhenEveryCoreHasHadATurn) {
    for (int round = 0; round < 20; ++round) {
        auto clock = io::make_system_clock();
        Mesh mesh(3, 16);
        std::atomic<bool> end{false};
        std::atomic<uint32_t> began{0};
        uint32_t began_when_ready = 0;
        std::vector<CorePlan> plans(mesh.size(), {"idler", std::nullopt, kSmallRing, [&](Reactor& reactor) {
                                                      return std::make_unique<Idler>(reactor, end, began);
                                                  }});
        auto const ran = run_cores(mesh, *clock, plans, [&] {
            began_when_ready = began;
            end = true;
        });
        if (!ran) GTEST_SKIP() << ran.error().message;
        EXPECT_EQ(began_when_ready, 3U);
    }
}

TEST(Threads, AThreadKeepsToTheCpusOfItsPlan) {
    auto clock = io::make_system_clock();
    Mesh mesh(2, 16);
    std::atomic<bool> end{false};
    std::atomic<uint32_t> began{0};
    std::vector<uint32_t> const wanted{usable_cpus().back()};
    std::vector<uint32_t> kept;
    auto const idle = [&](Reactor& reactor) { return std::make_unique<Idler>(reactor, end, began); };
    std::vector<CorePlan> plans;
    plans.push_back({.name = "kept",
                     .cpu = std::nullopt,
                     .ring = kSmallRing,
                     .make =
                         [&](Reactor& reactor) {
                             kept = usable_cpus();
                             return idle(reactor);
                         },
                     .cpus = wanted});
    plans.push_back({"idler", std::nullopt, kSmallRing, idle});
    auto const ran = run_cores(mesh, *clock, plans, [&] { end = true; });
    if (!ran) GTEST_SKIP() << ran.error().message;
    EXPECT_EQ(kept, wanted);
}

}  // namespace
}  // namespace rc::reactor
