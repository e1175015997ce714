// What is much is done in slices: nobody else waits for it, and it comes to its end, also after a kill.
#include <cstdlib>
#include <random>
#include <thread>

#include "disk.h"
#include "ringcast/store/maintenance.h"

namespace rc::store {
namespace {

void expect_sound(const Disk& disk) {
    auto const verified = verify(disk.file());
    ASSERT_TRUE(verified) << verified.error().message;
    EXPECT_EQ(verified->problems, std::vector<std::string>{});
}

/// Notifications n0, n1, ... in few steps.
void notify_many(Harness& h, const std::string& user, int count, std::optional<Duration> ttl = {}) {
    for (int i = 0; i < count; ++i) {
        auto append = Harness::message_to({user}, "a secret of " + user, "n" + std::to_string(i));
        append.ttl = ttl;
        ASSERT_TRUE(h.log.submit(std::move(append)));
        if (i % 1'000 == 999) h.run();
    }
    h.run();
}

LogOptions large() {
    return {.notifications_per_user = 1'000'000, .requests_per_step = 1'000};
}

// ---- read-all -----------------------------------------------------------------------------------

TEST(ReadAll, CostsTheSameHoweverMuchIsUnread) {
    Disk disk;
    auto& h = disk.open(large());
    notify_many(h, "ada", 20'000);
    disk.harness.reset();  // the write-ahead log is empty
    auto& again = disk.open(large());
    auto const before = std::filesystem::file_size(disk.file() + "-wal");
    EXPECT_EQ(again.read_all("ada").marked, 20'000u);
    EXPECT_LT(std::filesystem::file_size(disk.file() + "-wal") - before, 20 * 4'096u);
    EXPECT_EQ(again.unread("ada"), 0u);
    expect_sound(disk);
}

TEST(ReadAll, IsWhatEverySideSeesFromThenOn) {
    Disk disk;
    auto* h = &disk.open();
    notify_many(*h, "ada", 6);
    h->mark("ada", "n1");
    h->read_all("ada");
    h->notify("ada", "later");
    disk.kill();
    h = &disk.open();
    EXPECT_EQ(h->unread("ada"), 1u);
    auto const unread = h->list("ada", false);
    ASSERT_EQ(unread.notifications.size(), 1u);
    EXPECT_EQ(unread.notifications[0].message->notification_id, "later");
    auto const first = h->list("ada", true, 4);
    ASSERT_EQ(first.notifications.size(), 4u);
    EXPECT_EQ(first.notifications[0].offset, 6u);
    auto const second = h->list("ada", true, 4, first.next);
    EXPECT_EQ(second.notifications.size(), 2u);
    EXPECT_EQ(second.next, 0u);
    for (const auto& record : h->since("ada", 0).records) {
        if (record.kind != Record::Kind::notification) continue;
        EXPECT_EQ(record.read, record.message->notification_id != "later");
    }
    auto const replay = h->ask<ReadAnswer>(Harness::read_request("ada", Read::Mode::unread));
    EXPECT_EQ(replay.records.size(), 1u);
    EXPECT_TRUE(h->mark("ada", "n3").was_read);
    EXPECT_TRUE(h->remove("ada", "n4").found);
    EXPECT_EQ(h->unread("ada"), 1u);
    EXPECT_TRUE(h->remove("ada", "later").found);
    EXPECT_EQ(h->unread("ada"), 0u);
    expect_sound(disk);
}

// ---- erasing ------------------------------------------------------------------------------------

TEST(Erase, OfAHugeInboxLetsOthersGoOn) {
    Disk disk;
    auto& h = disk.open(large());
    notify_many(h, "ada", 5'000);
    h.out.events.clear();
    Erase erase{{7, 7}, UserId{"ada"}};
    ASSERT_TRUE(h.log.submit(std::move(erase)));
    int steps = 0;
    for (; h.out.answers_of<EraseAnswer>().empty(); ++steps) {
        ASSERT_TRUE(h.log.submit(Harness::message_to({"grace"}, "{}")));
        ASSERT_TRUE(h.log.submit(Harness::read_request("ada", Read::Mode::everything)));
        if (steps == 3) {
            ASSERT_TRUE(h.log.submit(Harness::message_to({"ada"}, "new")));
        }
        h.out.events.clear();
        h.log.step(h.now, h.out);
        ASSERT_GE(h.out.answers_of<AppendAnswer>().size(), 1u) << "nobody waits for it";
        ASSERT_EQ(h.out.answers_of<ReadAnswer>().size(), 1u);
        ASSERT_EQ(h.out.answers_of<ReadAnswer>()[0].records.size(), steps > 3 ? 1u : 0u) << "gone at once";
        ASSERT_LE(steps, 5'000 / 16) << "sixteen go with each that comes";
    }
    EXPECT_GT(steps, 10);
    auto const answer = h.out.answers_of<EraseAnswer>().at(0);
    EXPECT_EQ(answer.ticket, (Ticket{7, 7}));
    EXPECT_EQ(answer.notifications, 5'000u);
    EXPECT_EQ(h.since("ada", 0).records.size(), 1u) << "what came after it is kept";
    expect_sound(disk);
    for (const auto& name : {disk.file(), disk.file() + "-wal"})
        EXPECT_EQ(bytes_of(name).find("a secret of ada"), std::string::npos) << name;
}

TEST(Erase, ThatWasCutOffGoesOnAfterTheNextStart) {
    Disk disk;
    auto* h = &disk.open(large());
    notify_many(*h, "ada", 5'000);
    ASSERT_TRUE(h->log.submit(Erase{{7, 7}, UserId{"ada"}}));
    for (int i = 0; i < 4; ++i)
        h->log.step(h->now, h->out);
    EXPECT_TRUE(h->out.answers_of<EraseAnswer>().empty());
    disk.kill();
    h = &disk.open(large());
    EXPECT_GT(h->log.figures().notifications, 1'000u);
    h->run();
    EXPECT_EQ(h->log.figures().notifications, 0u);
    EXPECT_EQ(h->log.figures().users, 0u);
    EXPECT_TRUE(h->since("ada", 1).gap);
    expect_sound(disk);
    for (const auto& name : {disk.file(), disk.file() + "-wal"})
        EXPECT_EQ(bytes_of(name).find("a secret of ada"), std::string::npos) << name;
}

TEST(Erase, ThatTheDiskStopsIsUnavailableAndGoesOnLater) {
    Disk disk;
    auto& h = disk.open(large());
    notify_many(h, "ada", 5'000);
    ASSERT_TRUE(h.log.submit(Erase{{7, 7}, UserId{"ada"}}));
    h.log.step(h.now, h.out);
    {
        NoSpace const full(4'096);
        h.log.step(h.now, h.out);
        ASSERT_TRUE(h.log.figures().down);
    }
    ASSERT_EQ(h.out.answers_of<EraseAnswer>().size(), 1u);
    EXPECT_TRUE(h.out.answers_of<EraseAnswer>()[0].unavailable);
    h.now += seconds(1);
    h.run();
    EXPECT_EQ(h.log.figures().notifications, 0u);
    EXPECT_EQ(h.out.answers_of<EraseAnswer>().size(), 1u);
    expect_sound(disk);
}

// SQLite moves rows from page to page where others go, and leaves the old bytes between them.
TEST(Erase, LeavesNothingBetweenTheRowsOfOthers) {
    Disk disk;
    auto& h = disk.open(large());
    std::mt19937_64 chance(1);
    constexpr int kUsers = 12;
    auto const name = [](uint64_t user) { return "person-" + std::to_string(user) + "-of-these"; };
    for (int i = 0; i < 12'000; ++i) {
        auto const user = chance() % kUsers;
        auto const id = name(user) + std::to_string(i);
        ASSERT_TRUE(h.log.submit(
            Harness::message_to({name(user)}, id + std::string(chance() % (i % 7 == 0 ? 3'500 : 300), '.'),
                                chance() % 2 ? id : "")));
        if (i % 50 == 0) h.mark(name(user), id);
    }
    h.run();
    for (uint64_t user = 0; user + 1 < kUsers; ++user) {
        h.ask<EraseAnswer>(Erase{{}, UserId{name(user)}});
        for (const auto& file : {disk.file(), disk.file() + "-wal"})
            ASSERT_EQ(bytes_of(file).find(name(user)), std::string::npos) << user << " in " << file;
    }
    EXPECT_GT(h.since(name(kUsers - 1), 0).records.size(), 100u);
    expect_sound(disk);
}

/// Holds the write-ahead log as a backup does, from another process.
class Reader {
  public:
    explicit Reader(const Disk& disk) : directory_(disk.directory.path) {
        auto const reading =
            "mkfifo '" + directory_ + "/done' && (echo 'BEGIN; SELECT count(*) FROM entry;'; read line <'" +
            directory_ + "/done') | sqlite3 -readonly '" + disk.file() + "' >'" + directory_ + "/count' &";
        EXPECT_EQ(std::system(reading.c_str()), 0);
        while (bytes_of(directory_ + "/count").empty())
            std::this_thread::yield();
    }
    ~Reader() { EXPECT_EQ(std::system(("echo >'" + directory_ + "/done'").c_str()), 0); }

  private:
    std::string directory_;
};

TEST(Erase, WhileAReaderHoldsTheLogDoesNotStopTheStore) {
    if (std::system("command -v sqlite3 >/dev/null") != 0) GTEST_SKIP() << "needs the sqlite3 program";
    Disk disk;
    auto& h = disk.open();
    notify_many(h, "ada", 3);
    {
        Reader const reader(disk);
        EXPECT_EQ(h.ask<EraseAnswer>(Erase{{}, UserId{"ada"}}).notifications, 3u);
        EXPECT_FALSE(h.log.figures().down);
        EXPECT_EQ(h.send("grace").verdict, AppendAnswer::Verdict::accepted);
        EXPECT_NE(bytes_of(disk.file() + "-wal").find("a secret of ada"), std::string::npos);
    }
    for (int i = 0; i < 1'000 && !bytes_of(disk.file() + "-wal").empty(); ++i) {
        h.now += seconds(1);
        h.run();
        std::this_thread::yield();
    }
    for (const auto& name : {disk.file(), disk.file() + "-wal"})
        EXPECT_EQ(bytes_of(name).find("a secret of ada"), std::string::npos) << name;
}

// ---- what has expired, and what is too much -----------------------------------------------------

TEST(Expiry, OfMuchHoldsUpNobodyAndIsWholeForWhoAsks) {
    for (bool const own : {false, true}) {
        SCOPED_TRACE(own ? "of its own" : "by age");
        Disk disk;
        LogOptions options = large();
        options.retention = hours(10);
        auto& h = disk.open(options);
        notify_many(h, "ada", 2'000, own ? std::optional<Duration>(hours(5)) : std::nullopt);
        h.now += hours(own ? 5 : 10);
        h.out.events.clear();
        Append append = Harness::message_to({"ada"}, "{}", "n7");  // known, but for its age
        append.ticket = {1, 1};
        ASSERT_TRUE(h.log.submit(std::move(append)));
        ASSERT_TRUE(h.log.submit(UserInfo{{1, 2}, UserId{"ada"}}));
        auto const kept = h.log.figures().notifications;
        h.log.step(h.now, h.out);
        ASSERT_EQ(h.out.answers_of<AppendAnswer>().size(), 1u);
        EXPECT_FALSE(h.out.answers_of<AppendAnswer>()[0].duplicate);
        EXPECT_GT(h.log.figures().notifications + 200, kept) << "a slice";
        EXPECT_TRUE(h.out.answers_of<UserInfoAnswer>().empty());
        for (int i = 0; i < 100 && h.out.answers_of<UserInfoAnswer>().empty(); ++i)
            h.log.step(h.now, h.out);
        ASSERT_EQ(h.out.answers_of<UserInfoAnswer>().size(), 1u);
        EXPECT_EQ(h.out.answers_of<UserInfoAnswer>()[0].unread_count, 1u);
        EXPECT_EQ(h.since("ada", 0).gap, !own);
        h.run();
        expect_sound(disk);
    }
}

/// A disk by whose clock a commit takes a time, and so much more for each row that went.
struct SlowDisk {
    explicit SlowDisk(Duration sync) : sync(sync) {
        auto options = sqlite_options(large(), disk.directory.path);
        options.retention = hours(10);
        options.sweep_rows = 256;
        options.clock = [this] { return now; };
        options.sweep_time_max = milliseconds(2);
        options.at = [this](Moment moment) {
            if (moment != Moment::committed) return;
            auto const left = disk.harness ? disk.harness->log.figures().notifications : 0;
            now += this->sync + each_row * static_cast<int>(before > left ? before - left : 0);
        };
        disk.open(std::move(options));
    }
    Harness& h() { return *disk.harness; }
    /// Notifications that the next step deletes.
    uint64_t gone() {
        before = h().log.figures().notifications;
        h().log.step(h().now, h().out);
        auto const count = before - h().log.figures().notifications;
        before = 0;
        return count;
    }
    std::vector<uint64_t> gone_in(int steps) {
        std::vector<uint64_t> each;
        while (steps-- > 0)
            each.push_back(gone());
        return each;
    }

    Disk disk;
    MonoTime now{};
    Duration sync, each_row = microseconds(50);
    uint64_t before = 0;
};

TEST(Expiry, GoesInAsManyRowsATransactionAsTheyMayAddTimeToIt) {
    for (auto const sync : {microseconds(100), microseconds(20'000)}) {
        SCOPED_TRACE(sync.count());
        SlowDisk slow(sync);  // a sync takes what it takes, however few rows there are
        notify_many(slow.h(), "ada", 6'000);
        slow.h().now += hours(11);
        EXPECT_EQ(slow.gone_in(5), (std::vector<uint64_t>{16, 32, 48, 48, 48})) << "2 ms hold 40 more";
        slow.each_row = microseconds(200);
        slow.gone_in(2);
        auto const slower = slow.gone_in(10);
        EXPECT_LE(*std::max_element(slower.begin(), slower.end()), 32u);
        slow.each_row = microseconds(1);
        auto const faster = slow.gone_in(20);
        EXPECT_EQ(*std::max_element(faster.begin(), faster.end()), 256u);
        slow.h().run();
        EXPECT_EQ(slow.h().log.figures().notifications, 0u);
        expect_sound(slow.disk);
    }
}

TEST(Expiry, IsNotSlowedByASyncThatHasBecomeSlower) {
    SlowDisk slow(milliseconds(1));
    notify_many(slow.h(), "ada", 10'000);
    slow.h().now += hours(11);
    slow.each_row = microseconds(1);
    EXPECT_EQ(slow.gone_in(20).back(), 256u);
    slow.sync = milliseconds(8);
    EXPECT_EQ(slow.gone_in(25).back(), 256u);
}

TEST(Expiry, DeletesBesideRequestsAsManyRowsAsTheyBring) {
    SlowDisk slow(milliseconds(5));
    auto& h = slow.h();
    notify_many(h, "ada", 3'000);
    h.now += hours(11);
    EXPECT_EQ(slow.gone(), 16u);
    ASSERT_TRUE(h.log.submit(Harness::message_to({"grace"}, "{}")));
    EXPECT_EQ(slow.gone(), 16u);
    std::vector<std::string> users;
    for (int i = 0; i < 1'000; ++i)
        users.push_back("user-" + std::to_string(i));
    Append append = Harness::message_to({"grace"}, "{}");
    append.publication->addressees.clear();
    for (const auto& user : users)
        append.publication->addressees.push_back({UserId{user}});
    ASSERT_TRUE(h.log.submit(std::move(append)));
    EXPECT_EQ(slow.gone(), 1'000u) << "one publication";
}

TEST(Expiry, MakesReadsWaitForNoSyncButIsNotPutOffForEver) {
    SlowDisk slow(milliseconds(5));
    auto& h = slow.h();
    notify_many(h, "ada", 1'000);
    h.now += hours(11);
    std::vector<uint64_t> beside;
    for (int i = 0; i < 18; ++i) {
        ASSERT_TRUE(h.log.submit(Harness::read_request("grace", Read::Mode::everything)));
        beside.push_back(slow.gone());
    }
    std::vector<uint64_t> expected(18, 0);
    expected[8] = expected[17] = 16;
    EXPECT_EQ(beside, expected);
    EXPECT_EQ(slow.gone(), 16u) << "nobody waits";
}

TEST(Limit, ThatWasLoweredIsReachedByWhoGetsNothingToo) {
    Disk disk;
    auto with = [](uint32_t limit) { return LogOptions{.notifications_per_user = limit}; };
    auto* h = &disk.open(with(50));
    for (int user = 0; user < 30; ++user)
        for (int i = 0; i < 40; ++i) {
            auto const name = std::to_string(user);
            ASSERT_TRUE(h->log.submit(i % 2 ? Harness::message_to({name}, "{}")
                                            : Harness::message_to({name}, "{}", "n" + std::to_string(i))));
            if (i == 39) h->run();
        }
    h = &disk.open(with(5));
    h->run();
    EXPECT_EQ(h->log.figures().notifications, 150u);
    EXPECT_EQ(h->log.figures().messages, 150u);
    EXPECT_EQ(h->list("17").notifications.at(0).message->notification_id, "n38");
    EXPECT_TRUE(h->since("17", 1).gap);
    expect_sound(disk);
    h = &disk.open(with(20));
    for (int i = 0; i < 20; ++i)
        h->send("3");
    disk.kill();
    h = &disk.open(with(10));
    h->run();
    EXPECT_EQ(h->since("3", 0).records.size(), 15u);
}

}  // namespace
}  // namespace rc::store
