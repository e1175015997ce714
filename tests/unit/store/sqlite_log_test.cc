// What the log on disk promises beyond the contract of all logs: that it is there after the process has
// ended.
#include "ringcast/store/sqlite_log.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <thread>

#include "disk.h"

namespace rc::store {
namespace {

using Offsets = std::vector<uint64_t>;

TEST(SqliteLog, HasAfterAKillWhatItHadAnswered) {
    Disk disk;
    auto* h = &disk.open();
    h->send("ada", "1");
    h->notify("ada", "n1", "2");
    h->append(Harness::message_to({"ada", "grace"}, "3"));
    h->mark("ada", "n1");
    disk.kill();
    h = &disk.open();
    auto const ada = h->since("ada", 0);
    EXPECT_EQ(offsets(ada.records), (Offsets{1, 2, 3, 5}));
    EXPECT_EQ(ada.records[0].message->data, "1");
    EXPECT_EQ(ada.records[1].message->notification_id, "n1");
    EXPECT_TRUE(ada.records[1].read);
    EXPECT_EQ(ada.records[2].message->data, "3");
    EXPECT_EQ(ada.records[3].kind, Record::Kind::read_mark);
    EXPECT_EQ(ada.unread_count, 0u);
    EXPECT_EQ(h->since("grace", 0).records.at(0).message->data, "3");
    EXPECT_EQ(h->send("ada").offset, 6u);
    EXPECT_EQ(disk.epoch, "e");
}

TEST(SqliteLog, IdempotencySurvivesARestart) {
    Disk disk;
    auto* h = &disk.open();
    auto const request = Harness::with_key(Harness::message_to({"ada"}, "{}"), "k");
    auto const first = h->append(request);
    ASSERT_EQ(h->ask<ReserveAnswer>(reserve("topic", 1, "id")).verdict, ReserveAnswer::Verdict::fresh);
    ASSERT_TRUE(h->log.submit(Settle{{}, "topic", true}));
    h->run();
    disk.kill();
    h = &disk.open();
    auto const again = h->append(request);
    EXPECT_TRUE(again.duplicate);
    EXPECT_EQ(again.id, first.id);
    EXPECT_EQ(again.offset, first.offset);
    EXPECT_TRUE(h->out.publications().empty());
    auto const topic = h->ask<ReserveAnswer>(reserve("topic", 1, "another"));
    EXPECT_EQ(topic.verdict, ReserveAnswer::Verdict::repeat);
    EXPECT_EQ(topic.id, "id");
    h->now += hours(24);
    EXPECT_FALSE(h->append(request).duplicate);
}

TEST(SqliteLog, AReservationThatWasNotSettledIsForgottenByARestart) {
    Disk disk;
    disk.open().ask<ReserveAnswer>(reserve("k", 1, "id"));
    disk.kill();
    EXPECT_EQ(disk.open().ask<ReserveAnswer>(reserve("k", 1, "id")).verdict, ReserveAnswer::Verdict::fresh);
}

TEST(SqliteLog, OffsetsOfRemovedMessagesAreNotGivenAgain) {
    Disk disk;
    disk.open().notify("ada", "n1");
    disk.harness->mark("ada", "n1");
    disk.harness->remove("ada", "n1");
    EXPECT_EQ(disk.open().send("ada").offset, 3u);
}

TEST(SqliteLog, LostOffsetsOfForgottenUsersAreAGapAfterARestartToo) {
    Disk disk;
    auto* h = &disk.open(LogOptions{.retention = hours(10)});
    h->send("ada");
    h->send("ada");
    auto const later = h->now += hours(10);
    h->run();
    EXPECT_EQ(h->log.figures().users, 0u);
    h = &disk.open(LogOptions{.retention = hours(10)});
    h->now = later;
    h->send("ada");
    EXPECT_TRUE(h->since("ada", 1).gap);
    EXPECT_FALSE(h->since("ada", 2).gap);
}

TEST(SqliteLog, AMessageToManyIsStoredOnceAndGoneWithItsLastReceiver) {
    Disk disk;
    auto* h = &disk.open();
    std::vector<std::string> users;
    for (int i = 0; i < 1'000; ++i)
        users.push_back(std::to_string(i));
    h->append(Harness::message_to(users, std::string(50'000, 'x'), "n"));
    h = &disk.open();  // closed: everything is in the file
    EXPECT_LT(std::filesystem::file_size(disk.file()), 500'000u);
    for (const auto& user : users)
        EXPECT_TRUE(h->remove(user, "n").found);
    std::string const large(300'000, 'y');
    h->send("ada", large);  // into the pages that are free now
    EXPECT_EQ(h->since("ada", 0).records.at(0).message->data, large);
    disk.harness.reset();
    EXPECT_LT(std::filesystem::file_size(disk.file()), 700'000u);
}

TEST(SqliteLog, CountsArePartOfTheTransaction) {
    Disk disk;
    auto* h = &disk.open();
    h->notify("ada", "a");
    h->notify("ada", "b");
    h->mark("ada", "a");
    h->send("grace");
    h->append(Harness::with_key(Harness::message_to({"ada"}, "{}"), "k"));
    disk.kill();
    auto const figures = disk.open().log.figures();
    EXPECT_EQ(figures.users, 2u);
    EXPECT_EQ(figures.notifications, 2u);
    EXPECT_EQ(figures.messages, 2u);
    EXPECT_EQ(figures.marks, 1u);
    EXPECT_EQ(figures.keys, 1u);
    EXPECT_EQ(disk.harness->unread("ada"), 1u);
}

TEST(SqliteLog, SpaceIsGivenBack) {
    Disk disk;
    auto* h = &disk.open(LogOptions{.retention = hours(10), .sweep_per_step = 1'000});
    for (int i = 0; i < 400; ++i)
        h->send("ada", std::string(50'000, 'x'));
    h->log.step(h->now, h->out);
    h->now += hours(10);
    h->run();
    disk.harness.reset();
    EXPECT_LT(std::filesystem::file_size(disk.file()), 6'000'000u);
}

TEST(SqliteLog, WhatIsErasedIsOverwrittenInTheFileAndCutFromTheLog) {
    Disk disk;
    auto* h = &disk.open();
    h->send("somebody else", "{}");
    for (std::size_t size : {10, 500, 3'000, 100'000})
        h->append(Harness::with_key(Harness::message_to({"erased-person"}, "secret" + std::string(size, 's'),
                                                        "secret-id-" + std::to_string(size)),
                                    "secret-key-" + std::to_string(size)));
    h->mark("erased-person", "secret-id-10");
    h->remove("erased-person", "secret-id-3000");
    EXPECT_EQ(h->ask<EraseAnswer>(Erase{{}, UserId{"erased-person"}}).notifications, 3u);
    EXPECT_FALSE(h->log.figures().down);
    for (const auto& file : std::filesystem::directory_iterator(disk.directory.path)) {
        auto const bytes = bytes_of(file.path());
        for (std::string_view trace : {"secret", "ssssssss", "erased-person"})
            EXPECT_EQ(bytes.find(trace), std::string::npos) << trace << " in " << file.path();
    }
    EXPECT_EQ(h->since("somebody else", 0).records.size(), 1u);
}

TEST(SqliteLog, TheWriteAheadLogIsBegunAnewAndAReaderOnlyDelaysThat) {
    Disk disk;
    auto options = disk.options();
    options.wal_frames_max = 50;
    auto& h = disk.open(options);
    auto const wal_bytes = [&] { return std::filesystem::file_size(disk.file() + "-wal"); };
    auto send = [&](int count) {
        for (int i = 0; i < count; ++i)
            h.send(std::to_string(i), std::string(5'000, 'x'));
    };
    send(300);
    auto const usual = wal_bytes();
    EXPECT_LT(usual, 600'000u);
    std::string const reading = "(echo 'BEGIN; SELECT count(*) FROM entry;'; read line <'" +
                                disk.directory.path + "/done') | sqlite3 -readonly '" + disk.file() + "' >'" +
                                disk.directory.path + "/count' &";
    if (std::system("command -v sqlite3 >/dev/null") != 0) GTEST_SKIP() << "needs the sqlite3 program";
    ASSERT_EQ(std::system(("mkfifo '" + disk.directory.path + "/done' && " + reading).c_str()), 0);
    while (!std::filesystem::exists(disk.directory.path + "/count") ||
           std::filesystem::file_size(disk.directory.path + "/count") == 0)
        std::this_thread::yield();
    send(300);
    EXPECT_GT(wal_bytes(), 2 * usual);
    ASSERT_EQ(std::system(("echo >'" + disk.directory.path + "/done'").c_str()), 0);
    // Once it has gone the log is begun anew, and what it has grown to is enough.
    auto grown = wal_bytes();
    for (int i = 0; i < 20 && wal_bytes() >= grown; ++i) {
        send(30);
        if (wal_bytes() == grown) break;
        grown = wal_bytes();
    }
    send(600);
    EXPECT_EQ(wal_bytes(), grown);
    EXPECT_EQ(h.since("0", 0).unread_count, 0u);
    EXPECT_FALSE(h.log.figures().down);
}

// ---- epochs -------------------------------------------------------------------------------------

TEST(SqliteLog, WritesWithoutSyncGetANewEpochAfterAPowerCutOnly) {
    auto epoch_after = [](Durability durability, std::string boot, bool killed) {
        Disk disk;
        auto options = disk.options();
        options.durability = durability;
        disk.open(options).send("ada");
        if (killed) disk.kill();
        options.boot_id = std::move(boot);
        options.fresh_epoch = "new";
        disk.open(options);
        return disk.epoch;
    };
    EXPECT_EQ(epoch_after(Durability::write, "another", true), "new");
    EXPECT_EQ(epoch_after(Durability::write, "another", false), "e");
    EXPECT_EQ(epoch_after(Durability::write, "boot", true), "e");
    EXPECT_EQ(epoch_after(Durability::fsync, "another", true), "e");
}

// ---- files that cannot be used ------------------------------------------------------------------

TEST(SqliteLog, RefusesANewerFileAndLeavesItAsItIs) {
    Disk disk;
    disk.open().send("ada");
    disk.harness.reset();
    write_at(disk.file(), 60, std::string_view("\0\0\0\x63", 4));  // user_version: 99
    auto const size = std::filesystem::file_size(disk.file());
    EXPECT_EQ(disk.error_of_opening(), Errc::data_unusable);
    EXPECT_NE(disk.last_message.find("newer"), std::string::npos) << disk.last_message;
    EXPECT_EQ(disk.last_message.find('\n'), std::string::npos);
    EXPECT_EQ(std::filesystem::file_size(disk.file()), size);
}

TEST(SqliteLog, RefusesWhatIsNoneOfItsFiles) {
    for (auto [at, bytes] :
         {std::pair<std::streamoff, std::string>{0, "damaged"}, {68, "none"}, {60, std::string(4, '\0')}}) {
        Disk disk;
        disk.open().send("ada");
        disk.harness.reset();
        write_at(disk.file(), at, bytes);
        EXPECT_EQ(disk.error_of_opening(), Errc::data_unusable) << at;
    }
}

TEST(SqliteLog, NeverStartsAnewOverWhatIsLeft) {
    Disk disk;
    disk.open().send("ada");
    disk.kill();
    std::filesystem::remove(disk.file());
    EXPECT_EQ(disk.error_of_opening(), Errc::data_unusable);
    EXPECT_FALSE(std::filesystem::exists(disk.file()));
    std::ofstream(disk.file()).flush();  // empty
    EXPECT_EQ(disk.error_of_opening(), Errc::data_unusable);
    EXPECT_EQ(std::filesystem::file_size(disk.file()), 0u);
}

TEST(SqliteLog, RefusesAFileThatWasCutShort) {
    Disk disk;
    for (int i = 0; i < 20; ++i)
        (i == 0 ? disk.open() : *disk.harness).send("ada", std::string(10'000, 'x'));
    disk.harness.reset();
    std::filesystem::resize_file(disk.file(), std::filesystem::file_size(disk.file()) / 2);
    EXPECT_EQ(disk.error_of_opening(), Errc::data_unusable);
}

TEST(SqliteLog, ABadByteInTheWriteAheadLogIsFoundOrWasInTheLastTwoCommits) {
    constexpr uint64_t kCommits = 8;
    Disk disk;
    auto options = disk.options();
    options.durability = Durability::fsync;
    auto& h = disk.open(options);
    for (uint64_t i = 0; i < kCommits; ++i)
        h.send("ada", std::to_string(i));
    disk.kill();
    std::string const file = bytes_of(disk.file()), wal = bytes_of(disk.file() + "-wal");
    ASSERT_GT(wal.size(), 60'000u);
    int refused = 0, opened = 0;
    for (std::size_t at = 0; at < wal.size(); at += at < 100 ? 9 : 1'373) {
        auto damaged = wal;
        damaged[at] = static_cast<char>(damaged[at] ^ 0x55);
        std::ofstream(disk.file(), std::ios::binary) << file;
        std::ofstream(disk.file() + "-wal", std::ios::binary) << damaged;
        std::filesystem::remove(disk.file() + "-shm");
        auto log = SqliteLog::open(options);
        if (!log) {
            ++refused;
            EXPECT_EQ(log.error().code, Errc::data_unusable);
            EXPECT_NE(log.error().message.find("write-ahead log"), std::string::npos);
            EXPECT_EQ(bytes_of(disk.file() + "-wal"), damaged) << "it is left as it was";
            continue;
        }
        ++opened;
        Harness reader(std::move(*log));
        EXPECT_GE(reader.since("ada", 0).records.size(), kCommits - 2) << at;
    }
    EXPECT_GT(refused, 30);
    EXPECT_GT(opened, 5);
}

TEST(SqliteLog, MakesAFreshStartWhereAFirstOneWasCutOff) {
    Disk disk;
    std::ofstream(disk.file() + ".new") << "half a file";
    EXPECT_EQ(disk.open().send("ada").offset, 1u);
    EXPECT_FALSE(std::filesystem::exists(disk.file() + ".new"));
}

TEST(SqliteLog, NeverServesADamagedRowThatTheStartHadNoTimeToLookAt) {
    for (std::string const what : {"the data itself", "ada-the-user", "the-notification-id"}) {
        Disk disk;
        auto* h = &disk.open();
        h->notify("ada-the-user", "the-notification-id", "the data itself");
        for (int i = 0; i < 300; ++i)
            h->send(std::to_string(i));
        disk.harness.reset();
        int found = 0;
        auto const bytes = bytes_of(disk.file());
        for (auto at = bytes.find(what); at != std::string::npos; at = bytes.find(what, at + 1), ++found)
            write_at(disk.file(), static_cast<std::streamoff>(at) + 2, "#");
        ASSERT_GT(found, 0);
        EXPECT_EQ(disk.error_of_opening(), Errc::data_unusable) << what;
        auto damaged = what;
        damaged[2] = '#';
        auto options = disk.options();
        options.clock = [] { return MonoTime{}; };
        options.look_time_max = Duration::zero();
        h = &disk.open(options);
        auto const answer = h->since(what == "ada-the-user" ? damaged : "ada-the-user", 0);
        EXPECT_TRUE(answer.unavailable) << what;
        EXPECT_TRUE(answer.records.empty());
        EXPECT_TRUE(h->log.figures().down);
        EXPECT_EQ(h->send("ada-the-user").verdict, AppendAnswer::Verdict::unavailable);
    }
}

// ---- batches ------------------------------------------------------------------------------------

TEST(SqliteLog, LooksAtTheClockBeforeEachRequestThatMayTakeLong) {
    Disk disk;
    auto options = disk.options();
    MonoTime now{};
    options.clock = [&now] { return now += milliseconds(1); };
    options.batch_time_max = milliseconds(5);
    auto& h = disk.open(options);
    for (int i = 0; i < 7; ++i)
        ASSERT_TRUE(h.log.submit(Harness::read_request("ada", Read::Mode::everything)));
    h.log.step(h.now, h.out);
    EXPECT_EQ(h.out.answers_of<ReadAnswer>().size(), 5u);
    h.run();
    EXPECT_EQ(h.out.answers_of<ReadAnswer>().size(), 7u);
    for (int i = 0; i < 7; ++i)
        ASSERT_TRUE(h.log.submit(Harness::message_to({"ada"}, "{}")));
    h.log.step(h.now, h.out);
    EXPECT_EQ(h.out.answers_of<AppendAnswer>().size(), 7u) << "each takes microseconds";
}

TEST(SqliteLog, MovesWhatAFloodLeftInTheWriteAheadLogWhenItIsOver) {
    Disk disk;
    auto options = disk.options();
    options.wal_frames_max = 1'600;  // and 100 while nobody is there
    auto& h = disk.open(options);
    for (int i = 0; i < 200; ++i)
        ASSERT_TRUE(h.log.submit(Harness::message_to({std::to_string(i)}, std::string(4'000, 'x'))));
    h.log.step(h.now, h.out);
    auto const moved = [&] { return std::filesystem::file_size(disk.file()) > 200 * 4'096; };
    for (int i = 0; i < 4; ++i)
        h.log.step(h.now, h.out);
    EXPECT_FALSE(moved()) << "its next part may come";
    for (int i = 0; i < 6; ++i)
        h.log.step(h.now, h.out);
    EXPECT_TRUE(moved());
}

TEST(SqliteLog, MovesTheWriteAheadLogTheLessOftenTheMoreRequestsABatchHas) {
    Disk disk;
    auto options = disk.options();
    options.wal_frames_max = 1'600;  // 800 where 16 come at a time, 100 where two do
    auto& h = disk.open(options);
    int user = 0;
    auto const batches = [&](int count, int requests) {
        for (int i = 0; i < count; ++i) {
            for (int r = 0; r < requests; ++r)
                ASSERT_TRUE(
                    h.log.submit(Harness::message_to({std::to_string(user++)}, std::string(4'000, 'x'))));
            h.log.step(h.now, h.out);
            h.log.step(h.now, h.out);  // the next ones are on their way
        }
    };
    auto const moved = [&] { return std::filesystem::file_size(disk.file()) > 90 * 4'096; };
    batches(6, 16);
    EXPECT_FALSE(moved());
    batches(1, 1);
    EXPECT_FALSE(moved()) << "one small batch does not end a flood";
    batches(15, 1);
    EXPECT_TRUE(moved());
}

TEST(SqliteLog, AsksForAStepBetweenTwoRequestsToMoveTheWriteAheadLog) {
    Disk disk;
    auto options = disk.options();
    options.wal_frames_max = 1'600;  // and 100 where one request comes at a time
    auto& h = disk.open(options);
    for (int i = 0; i < 150; ++i)
        h.send(std::to_string(i), std::string(4'000, 'x'));
    EXPECT_GT(std::filesystem::file_size(disk.file()), 90 * 4'096);
}

// ---- a disk that refuses ------------------------------------------------------------------------

TEST(SqliteLog, RefusesWritesWhileTheDiskDoesAndServesWhatIsThere) {
    Disk disk;
    auto& h = disk.open();
    h.notify("ada", "n1");
    auto const before = h.log.figures();
    {
        NoSpace const full(4'096);
        EXPECT_EQ(h.send("ada").verdict, AppendAnswer::Verdict::unavailable);
        EXPECT_TRUE(h.log.figures().down);
        EXPECT_TRUE(h.mark("ada", "n1").unavailable);
        EXPECT_TRUE(h.read_all("ada").unavailable);
        EXPECT_TRUE(h.remove("ada", "n1").unavailable);
        EXPECT_EQ(h.ask<ReserveAnswer>(reserve("k", 1, "id")).verdict, ReserveAnswer::Verdict::unavailable);
        EXPECT_EQ(offsets(h.since("ada", 0).records), Offsets{1});
        EXPECT_EQ(h.list("ada").unread_count, 1u);
        EXPECT_EQ(h.unread("ada"), 1u);
        EXPECT_TRUE(h.out.marks().empty());
        EXPECT_EQ(h.out.publications().size(), 1u);
        h.now += seconds(2);
        h.run();
        EXPECT_TRUE(h.log.figures().down);
    }
    h.now += seconds(1);
    h.run();
    EXPECT_FALSE(h.log.figures().down);
    EXPECT_EQ(h.log.figures().messages, before.messages);
    EXPECT_EQ(h.send("ada").offset, 2u);
    EXPECT_TRUE(h.mark("ada", "n1").found);
}

TEST(SqliteLog, ABatchThatFailsIsAnsweredWholeAndItsReadsAreReadAnew) {
    Disk disk;
    auto& h = disk.open();
    h.notify("ada", "n1");
    ASSERT_EQ(h.ask<ReserveAnswer>(reserve("old", 1, "id")).verdict, ReserveAnswer::Verdict::fresh);
    h.out.events.clear();
    auto submit = [&](auto request, uint64_t token) {
        request.ticket = {1, token};
        ASSERT_TRUE(h.log.submit(Request(std::move(request))));
    };
    submit(Harness::message_to({"ada", "grace"}, "new"), 1);
    submit(Harness::read_request("ada", Read::Mode::since), 2);
    submit(reserve("k", 1, "id"), 3);
    submit(reserve("k", 1, "id"), 4);  // waits for the one before
    submit(MarkRead{{}, UserId{"ada"}, "n1"}, 5);
    ASSERT_TRUE(h.log.submit(Settle{{1, 6}, "old", true}));
    {
        NoSpace const full(4'096);
        h.log.step(h.now, h.out);
    }
    EXPECT_TRUE(h.out.publications().empty());
    EXPECT_TRUE(h.out.marks().empty());
    EXPECT_EQ(h.out.answers().size(), 5u);
    EXPECT_EQ(h.out.all<Ticket>(), (std::vector{Ticket{1, 6}}));
    EXPECT_EQ(h.out.answers_of<AppendAnswer>().at(0).verdict, AppendAnswer::Verdict::unavailable);
    EXPECT_EQ(offsets(h.out.answers_of<ReadAnswer>().at(0).records), Offsets{1});
    for (const auto& answer : h.out.answers_of<ReserveAnswer>())
        EXPECT_EQ(answer.verdict, ReserveAnswer::Verdict::unavailable);
    EXPECT_TRUE(h.out.answers_of<MarkReadAnswer>().at(0).unavailable);
    EXPECT_EQ(h.log.figures().waiting, 0u);
    h.now += seconds(1);
    h.run();
    // What was settled has been delivered: it is remembered all the same.
    EXPECT_EQ(h.ask<ReserveAnswer>(reserve("old", 1, "x")).verdict, ReserveAnswer::Verdict::repeat);
    EXPECT_EQ(h.ask<ReserveAnswer>(reserve("k", 1, "id")).verdict, ReserveAnswer::Verdict::fresh);
    EXPECT_EQ(h.send("grace").offset, 2u);
    disk.kill();
    EXPECT_EQ(disk.open().ask<ReserveAnswer>(reserve("old", 1, "x")).verdict, ReserveAnswer::Verdict::repeat);
}

TEST(SqliteLog, WhatWaitedForAKeyOfABatchThatFailedTakesNoPlaceAnyMore) {
    Disk disk;
    auto& h = disk.open(LogOptions{.queue_bytes_max = 10'000});
    {
        NoSpace const full(4'096);
        ASSERT_TRUE(h.log.submit(reserve("k", 1, "id")));
        auto waits = Harness::message_to({"ada"}, std::string(6'000, 'x'));
        waits.idempotency = Idempotency{"k", {0, 1}};
        ASSERT_TRUE(h.log.submit(std::move(waits)));
        ASSERT_TRUE(h.log.submit(Harness::message_to({"ada"}, "fails")));
        h.log.step(h.now, h.out);
        ASSERT_TRUE(h.log.figures().down);
    }
    h.now += seconds(1);
    h.run();
    ASSERT_EQ(h.log.figures().waiting, 0u);
    EXPECT_TRUE(h.log.submit(Harness::message_to({"ada"}, "small")));
    EXPECT_TRUE(h.log.submit(Harness::message_to({"ada"}, std::string(6'000, 'x'))));
}

}  // namespace
}  // namespace rc::store
