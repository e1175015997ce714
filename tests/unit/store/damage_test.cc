// Files that are not as they were left, and files of an earlier format: what a start makes of them.
#include <cstdlib>

#include "disk.h"
#include "format1.h"
#include "ringcast/store/maintenance.h"

namespace rc::store {
namespace {

constexpr std::size_t kPage = 4'096;

/// A small store with something in each of its tables.
void fill(Harness& h) {
    for (int i = 0; i < 12; ++i) {
        auto const n = std::to_string(i);
        h.notify("ada", "n" + n, std::string(700, 'a'));
        h.append(Harness::with_key(Harness::message_to({"ada", "grace"}, std::string(900, 'b')), "k" + n));
        if (i % 3 == 0) h.mark("ada", "n" + n);
    }
    h.send("grace", std::string(9'000, 'c'));
}

std::string told(Harness& h) {
    std::string all;
    for (const auto* user : {"ada", "grace"}) {
        auto const read = h.since(user, 0);
        if (read.unavailable) return "unavailable";
        for (const auto& record : read.records)
            all += std::to_string(record.offset) + (record.read ? "r" : "u") +
                   (record.message ? record.message->data : record.notification_id) + "\n";
        all += std::to_string(read.unread_count) + "\n";
    }
    return all;
}

/// Opens a file with these bytes. It is refused and left as it is, or tells what the sound one tells: what is
/// other in it is of no use to anybody.
bool is_refused(Disk& disk, const std::string& bytes, const std::string& sound) {
    std::ofstream(disk.file(), std::ios::binary) << bytes;
    auto log = SqliteLog::open(disk.options());
    if (!log) {
        EXPECT_EQ(log.error().code, Errc::data_unusable) << log.error().message;
        EXPECT_EQ(log.error().message.find('\n'), std::string::npos);
        EXPECT_TRUE(bytes_of(disk.file()) == bytes) << "it was written to";
        return true;
    }
    Harness h(std::move(*log));
    EXPECT_EQ(told(h), sound);
    return false;
}

TEST(Damage, AnEmptyPageIsFoundAtTheStart) {
    Disk disk;
    fill(disk.open());
    auto const sound = told(*disk.harness);
    disk.harness.reset();
    auto const bytes = bytes_of(disk.file());
    std::size_t refused = 0;
    for (std::size_t at = 0; at < bytes.size(); at += kPage) {
        SCOPED_TRACE(at / kPage + 1);
        auto damaged = bytes;
        damaged.replace(at, kPage, kPage, '\0');
        refused += is_refused(disk, damaged, sound);
    }
    EXPECT_GE(refused + 2, bytes.size() / kPage);  // but for a page that holds nothing yet
}

TEST(Damage, AnOldPageIsFoundAtTheStartOrSaysTheSame) {
    Disk disk;
    fill(disk.open());
    disk.harness.reset();
    auto const old = bytes_of(disk.file());
    auto& h = disk.open();
    h.notify("ada", "newer");
    h.mark("ada", "n1");
    h.remove("ada", "n2");
    h.append(Harness::with_key(Harness::message_to({"ada", "grace"}, "{}"), "another"));
    auto const sound = told(h);
    disk.harness.reset();
    auto const bytes = bytes_of(disk.file());
    int refused = 0, changed = 0;
    for (std::size_t at = kPage; at + kPage <= std::min(old.size(), bytes.size()); at += kPage) {
        if (old.compare(at, kPage, bytes, at, kPage) == 0) continue;
        SCOPED_TRACE(at / kPage + 1);
        ++changed;
        auto damaged = bytes;
        damaged.replace(at, kPage, old, at, kPage);
        refused += is_refused(disk, damaged, sound);
    }
    EXPECT_GT(changed, 5);
    EXPECT_GE(refused, changed - 2);
}

/// RINGCAST_EVERY=1: of every byte, which takes minutes.
TEST(Damage, AChangedBitIsFoundAtTheStartOrSaysTheSame) {
    Disk disk;
    fill(disk.open());
    auto const sound = told(*disk.harness);
    disk.harness.reset();
    auto const bytes = bytes_of(disk.file());
    const char* const wanted = std::getenv("RINGCAST_EVERY");
    std::size_t const every = wanted ? std::strtoul(wanted, nullptr, 10) : 701;
    std::size_t refused = 0, tried = 0;
    for (std::size_t at = 0; at < bytes.size(); at += every, ++tried) {
        SCOPED_TRACE(at);
        auto damaged = bytes;
        damaged[at] = static_cast<char>(damaged[at] ^ (1 << at % 8));
        refused += is_refused(disk, damaged, sound);
    }
    EXPECT_GT(refused, tried / 4);  // the rest stands between the rows
}

TEST(Damage, AFileThatWasCutShortIsFoundAtTheStart) {
    Disk disk;
    fill(disk.open());
    auto const sound = told(*disk.harness);
    disk.harness.reset();
    auto const bytes = bytes_of(disk.file());
    for (std::size_t size = 0; size < bytes.size(); size += kPage / 2)
        EXPECT_TRUE(is_refused(disk, bytes.substr(0, size), sound)) << size;
}

TEST(Damage, AFileThatWasCutShortIsFoundWhileItsWriteAheadLogHoldsPages) {
    Disk disk;
    auto options = disk.options();
    options.wal_frames_max = 60;
    auto& h = disk.open(options);
    for (int i = 0; i < 100; ++i)
        h.send("ada", std::string(5'000, 'x'));
    disk.kill();
    auto const file = bytes_of(disk.file()), log = bytes_of(disk.file() + "-wal");
    ASSERT_GT(file.size(), 50 * kPage);
    ASSERT_GT(log.size(), 10 * kPage);
    for (std::size_t const pages : {5, 30}) {
        std::ofstream(disk.file(), std::ios::binary) << file.substr(0, pages * kPage);
        std::ofstream(disk.file() + "-wal", std::ios::binary) << log;
        std::filesystem::remove(disk.file() + "-shm");
        EXPECT_EQ(disk.error_of_opening(), Errc::data_unusable) << pages;
        EXPECT_EQ(std::filesystem::file_size(disk.file()), pages * kPage);
        EXPECT_TRUE(bytes_of(disk.file() + "-wal") == log);
    }
    std::ofstream(disk.file(), std::ios::binary) << file;
    EXPECT_EQ(disk.open().since("ada", 0).records.size(), 100u);
}

// ---- a disk that refuses at the start -----------------------------------------------------------

TEST(Start, GoesOnWhereTheDiskRefusesAndIsUpWhenItDoesNotAnyMore) {
    Disk disk;
    auto* h = &disk.open();
    h->notify("ada", "n1");
    disk.kill();
    {
        NoSpace const full(40'000);
        h = &disk.open();
        EXPECT_TRUE(h->log.figures().down);
        EXPECT_EQ(h->send("ada").verdict, AppendAnswer::Verdict::unavailable);
        EXPECT_EQ(offsets(h->since("ada", 0).records), (std::vector<uint64_t>{1}));
        h->now += seconds(2);
        h->run();
        EXPECT_TRUE(h->log.figures().down);
    }
    h->now += seconds(1);
    h->run();
    EXPECT_FALSE(h->log.figures().down);
    EXPECT_EQ(h->send("ada").offset, 2u);
    EXPECT_EQ(disk.epoch, "e");
}

TEST(Start, ALogThatWasDownFromTheStartSaysAllTheSameHowItWasOpened) {
    Disk disk;
    auto options = disk.options();
    options.durability = Durability::write;
    disk.open(options).notify("ada", "n1");
    disk.kill();
    options.boot_id = "another";
    options.fresh_epoch = "second";
    {
        NoSpace const full(40'000);
        EXPECT_EQ(disk.open(options).send("ada").verdict, AppendAnswer::Verdict::unavailable);
        EXPECT_EQ(disk.epoch, "second");
    }
    disk.harness->now += seconds(2);
    disk.harness->run();
    ASSERT_EQ(disk.harness->send("ada").offset, 2u);
    disk.kill();
    options.fresh_epoch = "third";
    disk.open(options);
    EXPECT_EQ(disk.epoch, "second");
}

// ---- formats ------------------------------------------------------------------------------------

class Format1 : public testing::Test {
  protected:
    void SetUp() override {
        if (std::system("command -v sqlite3 >/dev/null") != 0) GTEST_SKIP() << "needs the sqlite3 program";
        std::ofstream(disk.directory.path + "/dump") << kFormat1;
        auto const make = "sqlite3 '" + disk.file() + "' <'" + disk.directory.path + "/dump'";
        ASSERT_EQ(std::system(make.c_str()), 0);
    }
    Disk disk;
};

TEST_F(Format1, IsBroughtUpToDateWithAllThatItHolds) {
    auto& h = disk.open();
    h.now = WallTime(std::chrono::system_clock::now().time_since_epoch());
    auto const ada = h.since("ada", 0);
    ASSERT_EQ(ada.records.size(), 4u);
    EXPECT_TRUE(ada.records[0].read);
    EXPECT_FALSE(ada.records[1].read);
    EXPECT_EQ(ada.records[2].message->data, "\"three\"");
    EXPECT_EQ(ada.unread_count, 1u);
    EXPECT_EQ(h.ask<ReserveAnswer>(reserve("k3", 0)).verdict, ReserveAnswer::Verdict::conflict);
    EXPECT_EQ(h.read_all("ada").marked, 1u);
    EXPECT_GT(h.notify("grace", "n5").offset, ada.records[3].offset);
    disk.kill();
    EXPECT_EQ(disk.open().list("ada", false).notifications.size(), 0u);
    auto const verified = verify(disk.file());
    ASSERT_TRUE(verified);
    EXPECT_EQ(verified->problems, std::vector<std::string>{});
}

TEST_F(Format1, IsLeftAsItIsByWhoOnlyReads) {
    auto const before = bytes_of(disk.file());
    auto const verified = verify(disk.file());
    ASSERT_FALSE(verified);
    EXPECT_NE(verified.error().message.find("older"), std::string::npos) << verified.error().message;
    EXPECT_FALSE(backup(disk.file(), disk.directory.path + "/copy"));
    EXPECT_EQ(bytes_of(disk.file()), before);
}

TEST_F(Format1, IsLeftAsItIsWhereTheDiskRefuses) {
    auto const before = bytes_of(disk.file());
    {
        NoSpace const full(4'096);
        EXPECT_NE(disk.error_of_opening(), Errc::system);
    }
    EXPECT_EQ(bytes_of(disk.file()), before);
    EXPECT_EQ(disk.open().unread("grace"), 1u);
}

TEST_F(Format1, WithAnotherSchemaIsRefused) {
    ASSERT_EQ(std::system(("sqlite3 '" + disk.file() + "' 'DROP INDEX key_of_name'").c_str()), 0);
    EXPECT_EQ(disk.error_of_opening(), Errc::data_unusable);
}

}  // namespace
}  // namespace rc::store
