#include "ringcast/reactor/reactor.h"

#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <vector>

#include "../../support/fake_ring.h"

namespace rc::reactor {
namespace {

constexpr uint8_t kKind = 1;

struct Note {
    CoreId from = 0;
    uint64_t number = 0;
    friend bool operator==(const Note&, const Note&) = default;
};

struct Sink final : MailSink {
    void on_mail(const Mail& mail) override {
        seen.push_back({mail.from, mail.as<uint64_t>()});
        if (then) then(mail);
    }
    bool ready_for(const Mail& mail) override { return !ready || ready(mail); }
    std::vector<Note> seen;
    std::function<void(const Mail&)> then;
    std::function<bool(const Mail&)> ready;
};

struct Slices final : Work {
    bool run_slice() override { return run ? run() : false; }
    std::function<bool()> run;
};

/// Some cores in one thread.
struct World {
    explicit World(uint32_t cores, uint32_t places = 16) : mesh(cores, places) {
        for (uint32_t i = 0; i < cores; ++i) {
            auto const id = static_cast<CoreId>(i);
            CoreScope const scope(id);
            rings.push_back(std::make_unique<test::FakeRing>());
            mesh.attach(id, *rings.back());
            reactors.push_back(std::make_unique<Reactor>(id, *rings.back(), clock, mesh));
            sinks.push_back(std::make_unique<Sink>());
            reactors.back()->bind_mail(kKind, *sinks.back());
        }
    }
    void turn(CoreId id) { reactors[id]->turn(hours(1)); }
    void send(CoreId from, CoreId to, uint64_t number, bool stamped = false) {
        CoreScope const scope(from);
        auto mail = Mail::make(kKind, number);
        if (stamped) mail.stamp = mesh.next_stamp();
        reactors[from]->send(to, mail);
    }
    void request(CoreId from, CoreId to) {
        CoreScope const scope(from);
        reactors[from]->request(to, Mail::make(kKind, uint64_t{0}));
    }
    void answer(CoreId from, CoreId to) {
        CoreScope const scope(from);
        reactors[from]->answer(to, Mail::make(kKind, uint64_t{0}));
    }

    test::FakeClock clock;
    Mesh mesh;
    std::vector<std::unique_ptr<test::FakeRing>> rings;
    std::vector<std::unique_ptr<Reactor>> reactors;
    std::vector<std::unique_ptr<Sink>> sinks;
};

TEST(Reactor, MailLeavesAtTheEndOfTheTurn) {
    World world(2);
    world.send(0, 1, 1);
    world.turn(1);
    EXPECT_TRUE(world.sinks[1]->seen.empty());
    world.turn(0);
    world.turn(1);
    EXPECT_EQ(world.sinks[1]->seen, (std::vector<Note>{{0, 1}}));
}

TEST(Reactor, MailWakesASleeperOnce) {
    World world(2);
    world.send(0, 1, 1);
    world.turn(0);
    EXPECT_EQ(world.rings[1]->wakes(), 0U) << "it does not sleep";
    world.turn(1);
    world.rings[1]->while_waiting = [&world] {
        world.turn(0);
        EXPECT_EQ(world.rings[1]->wakes(), 0U) << "nothing came";
        for (uint64_t i = 2; i < 4; ++i) {
            world.send(0, 1, i);
            world.turn(0);
            EXPECT_EQ(world.rings[1]->wakes(), 1U);
        }
    };
    world.turn(1);
    world.rings[1]->while_waiting = nullptr;
    world.turn(1);
    EXPECT_EQ(world.sinks[1]->seen, (std::vector<Note>{{0, 1}, {0, 2}, {0, 3}}));
    EXPECT_EQ(world.rings[0]->wakes(), 0U) << "its own bell";
}

TEST(Reactor, ATurnsCpuTimeIsAllThatItsThreadTookUntilTheNextOne) {
    World world(1);
    auto const& times = world.reactors[0]->turn_cpu_times();
    Slices work;
    work.run = [&world] {
        world.clock.spend_cpu(microseconds(3));
        return false;
    };
    world.reactors[0]->add_work(work);
    world.turn(0);
    EXPECT_EQ(times.sum_ns(), 0U) << "it is not over before the next one begins";
    world.clock.spend_cpu(microseconds(90));  // of the kernel, on what it has submitted
    world.clock.advance(seconds(1));          // asleep
    world.turn(0);
    EXPECT_EQ(times.sum_ns(), 93'000U);
    EXPECT_EQ(times.bucket(7), 1U) << "from 64 to 128 us";
    world.turn(0);
    EXPECT_EQ(times.sum_ns(), 96'000U);
}

TEST(Reactor, DoesNotSleepOnMailTimersOrWork) {
    World world(2);
    world.send(0, 1, 1);
    world.turn(0);
    EXPECT_EQ(world.rings[0]->last_wait(), hours(1));

    struct : io::Timer {
        void on_timer() override {}
    } timer;
    world.reactors[0]->timers().arm(timer, world.clock.now() + seconds(1));
    world.turn(0);
    EXPECT_LE(world.rings[0]->last_wait(), seconds(1) + io::TimerWheel::kTick);
    EXPECT_GT(world.rings[0]->last_wait(), Duration::zero());
    timer.disarm();

    int slices = 2;
    Slices work;
    work.run = [&slices] { return --slices > 0; };
    world.reactors[0]->add_work(work);
    world.turn(0);
    EXPECT_EQ(world.rings[0]->last_wait(), Duration::zero());
    world.turn(0);
    EXPECT_GT(world.rings[0]->last_wait(), Duration::zero());

    // To itself, behind the look at the mailboxes: it comes on the next turn, for which the core does not
    // sleep.
    work.run = [&] {
        if (slices++ == 0) world.send(0, 0, 1);
        return false;
    };
    world.turn(0);
    EXPECT_EQ(world.rings[0]->last_wait(), Duration::zero());
    EXPECT_TRUE(world.sinks[0]->seen.empty());
    world.turn(0);
    EXPECT_EQ(world.sinks[0]->seen.size(), 1U);
    EXPECT_GT(world.rings[0]->last_wait(), Duration::zero());
}

TEST(Reactor, WhatCompletionsLeadToIsHandedOverBeforeMailIsTaken) {
    World world(2);
    world.send(0, 0, 1);  // as from a completion
    world.send(0, 1, 2);
    world.sinks[0]->then = [&](const Mail&) { world.turn(1); };
    world.turn(0);
    EXPECT_EQ(world.sinks[0]->seen, (std::vector<Note>{{0, 1}}));
    EXPECT_EQ(world.sinks[1]->seen, (std::vector<Note>{{0, 2}})) << "the other core took it meanwhile";
    EXPECT_EQ(world.rings[0]->last_wait(), hours(1));
}

TEST(Reactor, WhatIsHandedOverEarlyWakesItsSleeperAtTheTurnsEnd) {
    World world(2);
    world.turn(1);
    ASSERT_TRUE(world.mesh.may_sleep(1));
    Slices work;
    uint64_t wakes_meanwhile = 0;
    bool seen_meanwhile = false;
    work.run = [&] {
        world.send(0, 1, 1);
        world.reactors[0]->hand_over();
        wakes_meanwhile = world.rings[1]->wakes();
        seen_meanwhile = world.mesh.box(0, 1).has_mail();
        work.run = nullptr;
        return false;
    };
    world.reactors[0]->add_work(work);
    world.turn(0);
    EXPECT_TRUE(seen_meanwhile);
    EXPECT_EQ(wakes_meanwhile, 0U);
    EXPECT_EQ(world.rings[1]->wakes(), 1U);
    world.turn(0);
    EXPECT_EQ(world.rings[1]->wakes(), 1U);
}

TEST(Reactor, AWatcherIsToldBeforeMailIsTaken) {
    struct Watcher final : MailWatcher {
        void handed_over(CoreId from) override { told.push_back(from); }
        std::vector<CoreId> told;
    } watcher;
    World world(2);
    world.mesh.watch(&watcher);
    world.sinks[0]->then = [&](const Mail&) { EXPECT_EQ(watcher.told, std::vector<CoreId>{0}); };
    world.turn(0);
    EXPECT_TRUE(watcher.told.empty());
    world.send(0, 0, 1);
    world.turn(0);
    EXPECT_EQ(world.sinks[0]->seen.size(), 1U);
    EXPECT_EQ(watcher.told.size(), 1U);
}

TEST(Reactor, SleepsNoLongerThanItWasToldForThisTurn) {
    World world(1);
    auto& reactor = *world.reactors[0];
    Slices slices;
    {
        CoreScope const scope(0);
        reactor.add_work(slices);
    }
    slices.run = [&] {
        reactor.wake_by(reactor.now() + microseconds(90));
        reactor.wake_by(reactor.now() + microseconds(70));
        return false;
    };
    world.turn(0);
    EXPECT_EQ(world.rings[0]->last_wait(), microseconds(70));
    slices.run = [&] {
        reactor.wake_by(reactor.now());
        return false;
    };
    world.turn(0);
    EXPECT_EQ(world.rings[0]->last_wait(), Duration::zero());
    slices.run = nullptr;
    world.turn(0);
    EXPECT_EQ(world.rings[0]->last_wait(), hours(1)) << "it was for one turn";
}

// The flag of a sleeper is set before its last look: what is handed over in between is seen.
TEST(Reactor, DoesNotSleepWhenMailCameDuringItsTurn) {
    World world(2);
    Slices work;
    work.run = [&world] {
        world.send(0, 1, 1);
        world.turn(0);
        return false;
    };
    world.reactors[1]->add_work(work);
    world.turn(1);
    EXPECT_EQ(world.rings[1]->last_wait(), Duration::zero());
}

TEST(Reactor, OneWayMailAndRequestsLeaveHalfOfTheMailboxToAnswers) {
    World world(2, 16);
    auto& sender = *world.reactors[0];
    for (uint64_t i = 0; i < 8; ++i) {
        ASSERT_TRUE(sender.has_place(1));
        world.send(0, 1, i);
    }
    EXPECT_FALSE(sender.has_place(1));
    // Answers still have their places.
    for (int i = 0; i < 8; ++i) {
        world.request(1, 0);
    }
    world.turn(1);
    world.turn(0);
    for (int i = 0; i < 8; ++i)
        world.answer(0, 1);
    world.turn(0);
    world.turn(1);
    EXPECT_EQ(world.sinks[1]->seen.size(), 16U);
    EXPECT_TRUE(sender.has_place(1));
}

TEST(Reactor, AnswersThatWaitTakeNoPlacesOfOtherMail) {
    World world(2, 16);
    for (int round = 0; round < 3; ++round) {
        for (int i = 0; i < 8; ++i)
            world.request(1, 0);
        world.turn(1);
        world.turn(0);
        for (int i = 0; i < 8; ++i)
            world.answer(0, 1);
        world.turn(0);
        for (uint64_t i = 0; i < 8; ++i) {
            ASSERT_TRUE(world.reactors[0]->has_place(1)) << i;
            world.send(0, 1, i);
        }
        EXPECT_FALSE(world.reactors[0]->has_place(1));
        world.turn(0);
        world.turn(1);
    }
    EXPECT_EQ(world.sinks[1]->seen.size(), 3 * 16U);
}

TEST(Reactor, AWiderWayTakesMoreRequestsAndTheirAnswersAndOtherWaysDoNot) {
    constexpr CoreId kWide = 2;
    World world(3, 8);
    world.mesh.widen(kWide, 32);
    auto open = [&](CoreId from, CoreId to) {
        CoreScope const scope(from);
        int count = 0;
        for (; world.reactors[from]->may_request(to); ++count)
            world.reactors[from]->request(to, Mail::make(kKind, uint64_t{0}));
        return count;
    };
    EXPECT_EQ(open(0, 1), 4);
    EXPECT_EQ(open(0, kWide), 16);
    world.turn(0);
    world.turn(kWide);
    for (int i = 0; i < 16; ++i)
        world.send(kWide, 0, 1);  // one way: they leave the places of answers alone
    for (int i = 0; i < 16; ++i)
        world.answer(kWide, 0);
    world.turn(kWide);
    world.turn(0);
    EXPECT_EQ(world.sinks[0]->seen.size(), 32U);
    EXPECT_EQ(open(0, kWide), 16);
}

TEST(Reactor, AsManyRequestsAreOpenAsThereArePlacesForAnswers) {
    World world(2, 16);
    for (int i = 0; i < 8; ++i) {
        ASSERT_TRUE(world.reactors[0]->may_request(1));
        world.request(0, 1);
    }
    EXPECT_FALSE(world.reactors[0]->may_request(1));
    world.turn(0);
    world.turn(1);
    EXPECT_FALSE(world.reactors[0]->may_request(1)) << "taken, and not answered";
    EXPECT_TRUE(world.reactors[0]->has_place(1)) << "for mail that expects no answer";
    world.answer(1, 0);
    world.turn(1);
    EXPECT_FALSE(world.reactors[0]->may_request(1)) << "answered, and not seen";
    world.turn(0);
    EXPECT_TRUE(world.reactors[0]->may_request(1));
    world.request(0, 1);
    EXPECT_FALSE(world.reactors[0]->may_request(1));
}

TEST(Reactor, PublicationsAreTakenInTheOrderOfTheirStampsOverAllMailboxes) {
    World world(4, 64);
    test::FakeEntropy random(5);
    std::vector<Note> expected;
    for (uint64_t i = 0; i < 30; ++i) {
        auto const from = static_cast<CoreId>(random.next() % 3);
        world.send(from, 3, i, true);
        expected.push_back({from, i});
    }
    for (CoreId id : {2, 0, 1})
        world.turn(id);
    world.turn(3);
    EXPECT_EQ(world.sinks[3]->seen, expected);
}

TEST(Reactor, MailThatIsNoPublicationKeepsItsPlaceBehindThemInItsMailbox) {
    World world(3, 64);
    world.send(0, 2, 10);
    world.send(0, 2, 11, true);
    world.send(1, 2, 20, true);
    world.send(0, 2, 12);
    world.send(1, 2, 21);
    for (CoreId id : {0, 1, 2})
        world.turn(id);
    EXPECT_EQ(world.sinks[2]->seen, (std::vector<Note>{{0, 10}, {0, 11}, {0, 12}, {1, 20}, {1, 21}}));
}

TEST(Reactor, APublicationThatFindsItsSinkBusyHoldsUpAllPublicationsButNotOtherMail) {
    World world(3, 64);
    bool busy = true;
    world.sinks[2]->ready = [&busy](const Mail& mail) { return mail.stamp == 0 || !busy; };
    world.send(0, 2, 1, true);
    world.send(1, 2, 2, true);
    world.send(1, 2, 3);
    world.send(0, 2, 4);
    world.turn(0);
    world.turn(1);
    world.turn(2);
    EXPECT_TRUE(world.sinks[2]->seen.empty()) << "the other mail stands behind a publication";
    EXPECT_EQ(world.rings[2]->last_wait(), Duration::zero());
    busy = false;
    world.turn(2);
    EXPECT_EQ(world.sinks[2]->seen, (std::vector<Note>{{0, 1}, {0, 4}, {1, 2}, {1, 3}}));
}

TEST(Reactor, AtMostSoManyPublicationsAreTakenInATurn) {
    World world(2, 1024);
    for (uint64_t i = 0; i < limits::kPublicationsPerTurn + 1; ++i)
        world.send(0, 1, i, true);
    world.turn(0);
    world.turn(1);
    EXPECT_EQ(world.sinks[1]->seen.size(), limits::kPublicationsPerTurn);
    EXPECT_EQ(world.rings[1]->last_wait(), Duration::zero());
    world.turn(1);
    EXPECT_EQ(world.sinks[1]->seen.size(), limits::kPublicationsPerTurn + 1);
}

TEST(Reactor, TheClockStandsStillForTheTurn) {
    World world(1);
    std::vector<MonoTime> times;
    world.sinks[0]->then = [&](const Mail&) {
        times.push_back(world.reactors[0]->now());
        world.clock.advance(seconds(1));
    };
    Slices work;
    work.run = [&] {
        times.push_back(world.reactors[0]->now());
        return false;
    };
    world.reactors[0]->add_work(work);
    world.send(0, 0, 1);
    world.turn(0);
    ASSERT_EQ(times.size(), 2U);
    EXPECT_EQ(times[0], times[1]);
    world.turn(0);
    ASSERT_EQ(times.size(), 3U);
    EXPECT_EQ(times[2] - times[1], seconds(1));
}

TEST(Reactor, WorkThatCameUpBehindItsSliceKeepsTheCoreAwakeForOneTurn) {
    World world(1);
    struct Late final : Work {
        explicit Late(Reactor& r) : reactor(r) {}
        bool run_slice() override {
            if (wanted) reactor.stay_awake();
            return false;
        }
        Reactor& reactor;
        bool wanted = true;
    } late(*world.reactors[0]);
    world.reactors[0]->add_work(late);
    world.turn(0);
    EXPECT_EQ(world.rings[0]->last_wait(), Duration::zero());
    late.wanted = false;
    world.turn(0);
    EXPECT_GT(world.rings[0]->last_wait(), Duration::zero());
}

struct Thing : CoreBound {
    void touch() const { assert_own_core(); }
};

/// Receives a socket's pieces one by one, and says how many it had when its deadline came.
struct Reader final : io::CompletionSink {
    Reader(Reactor& reactor, io::File file) : reactor(reactor), file(file) {
        reactor.ring().bind(1, *this);
        ask();
    }
    void ask() { reactor.ring().recv(operation, token, file, io::ReceiveMode::once); }
    void on_completion(const io::Completion& completion) override {
        operation.finish();
        if (completion.result <= 0) return;
        ++pieces;
        ask();
    }
    Reactor& reactor;
    io::File file;
    io::Token token{.slot = 1, .generation = 1, .table = 1, .kind = io::Kind::recv};
    io::Operation operation;
    uint32_t pieces = 0;
    struct Deadline final : io::Timer {
        explicit Deadline(Reader& reader) : reader(reader) {}
        void on_timer() override { pieces = reader.pieces; }
        Reader& reader;
        uint32_t pieces = UINT32_MAX;
    } deadline{*this};
};

// Whatever came while the core stood still came in time: also what a second receive has to fetch.
TEST(Reactor, AfterAStandstillAllThatHasComeIsTakenBeforeTheDeadlines) {
    World world(1);
    auto& ring = *world.rings[0];
    auto const file = ring.open_socket();
    CoreScope const scope(0);
    Reader reader(*world.reactors[0], file);
    world.turn(0);
    world.reactors[0]->timers().arm(reader.deadline, world.clock.now() + seconds(10));
    for (auto piece : {"a", "b", "c"})
        ring.socket(file).deliver(piece);
    world.clock.advance(minutes(1));
    world.turn(0);
    EXPECT_EQ(reader.deadline.pieces, 3U);
    ring.socket(file).deliver_end();
    world.turn(0);
    world.turn(0);
}

TEST(CoreBoundDeathTest, AnotherCoreMayNotTouchIt) {
    CoreScope const scope(1);
    Thing thing;
    thing.touch();
    EXPECT_DEATH(
        {
            CoreScope const other(2);
            thing.touch();
        },
        "current_core");
}

}  // namespace
}  // namespace rc::reactor
