// Backups, and finding what is wrong with a file.
#include "ringcast/store/maintenance.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>

#include "log_harness.h"

namespace rc::store {
namespace {

struct Store {
    Store() { fill(); }
    std::unique_ptr<Harness> open(const std::string& path, std::string fresh_epoch = "new") {
        auto options = sqlite_options({}, directory.path);
        options.path = path;
        options.fresh_epoch = std::move(fresh_epoch);
        auto log = SqliteLog::open(options);
        if (!log) throw std::runtime_error(log.error().message);
        epoch = (*log)->epoch();
        return std::make_unique<Harness>(std::move(*log));
    }
    void fill() {
        harness = open(file, "e");
        for (int i = 0; i < 50; ++i) {
            harness->notify("ada", "n" + std::to_string(i));
            harness->append(Harness::with_key(Harness::message_to({"ada", "grace"}, std::string(3'000, 'x')),
                                              std::to_string(i)));
            if (i % 3 == 0) harness->mark("ada", "n" + std::to_string(i));
            if (i % 5 == 0) harness->remove("ada", "n" + std::to_string(i / 2));
        }
    }
    /// Changes the file behind the log's back.
    void tamper(const std::string& sql) const {
        auto const command = "sqlite3 '" + file + "' \"" + sql + "\"";
        ASSERT_EQ(std::system(command.c_str()), 0);
    }
    TestDirectory directory;
    std::string file = directory.path + "/log.db", epoch;
    std::unique_ptr<Harness> harness;
};

TEST(Verify, CountsWhatASoundStoreHoldsWhileItIsInUse) {
    Store store;
    auto const verified = verify(store.file);
    ASSERT_TRUE(verified) << verified.error().message;
    EXPECT_EQ(verified->problems, std::vector<std::string>{});
    auto const figures = store.harness->log.figures();
    EXPECT_EQ(verified->users, figures.users);
    EXPECT_EQ(verified->notifications, figures.notifications);
    EXPECT_EQ(verified->messages, figures.messages);
    EXPECT_EQ(verified->marks, figures.marks);
    EXPECT_EQ(verified->keys, 50u);
    EXPECT_EQ(verified->epoch, "e");
    EXPECT_EQ(verified->newest, store.harness->send("ada").offset - 1);
}

TEST(Verify, FindsEachKindOfDamage) {
    if (std::system("command -v sqlite3 >/dev/null") != 0) GTEST_SKIP() << "needs the sqlite3 program";
    struct Case {
        std::string sql, words;
    };
    for (const auto& [sql, words] : {
             Case{"DELETE FROM entry WHERE seq = (SELECT max(seq) FROM entry)", "counts"},
             Case{"DELETE FROM mark WHERE seq = (SELECT max(seq) FROM mark)", "counts"},
             Case{"UPDATE entry SET data = 'y' WHERE seq = 5", "entry 5: its checksum"},
             Case{"UPDATE entry SET state = 2 WHERE seq = 5", "entry 5: its checksum"},
             Case{"UPDATE body SET data = 'y' WHERE id = 2", "body 2: its checksum"},
             Case{"UPDATE body_use SET entries = 9 WHERE id = 2", "body 2: its entries"},
             Case{"DELETE FROM body WHERE id = 2", "body 2: its entries"},
             Case{"DELETE FROM body_use WHERE id = 2", "body 2: its entries"},
             Case{"UPDATE user SET unread = unread + 1", "user 1: its checksum"},
             Case{"UPDATE mark SET unread = 77", "its checksum"},
             Case{"UPDATE key SET answer = 'another' WHERE id = 3", "key 3: its checksum"},
             Case{"DELETE FROM key WHERE id = 3", "idempotency keys: 49 rows, 50 noted"},
             Case{"DELETE FROM user WHERE name = 'grace'", "it is nobody's"},
         }) {
        Store store;
        store.harness.reset();
        store.tamper(sql);
        auto const verified = verify(store.file);
        ASSERT_TRUE(verified) << sql;
        bool found = false;
        for (const auto& problem : verified->problems)
            found |= problem.find(words) != std::string::npos;
        EXPECT_TRUE(found) << sql << ": " << (verified->problems.empty() ? "-" : verified->problems[0]);
        EXPECT_LE(verified->problems.size(), kProblemsMax);
    }
}

TEST(Verify, ABadByteIsFoundOrChangesNothing) {
    Store store;
    auto contents = [](Harness& h) {
        std::string out;
        for (auto user : {"ada", "grace"})
            for (const auto& record : h.since(user, 0).records)
                out += std::to_string(record.offset) + (record.read ? "r" : "u") +
                       (record.message ? record.message->data : record.notification_id) + "|";
        return out;
    };
    std::string const expected = contents(*store.harness);
    store.harness.reset();
    std::ifstream in(store.file, std::ios::binary);
    std::string const sound{std::istreambuf_iterator<char>(in), {}};
    uint32_t found = 0;
    for (std::size_t at = 100; at < sound.size(); at += 2'997) {
        std::string bytes = sound;
        bytes[at] = static_cast<char>(bytes[at] ^ 0x55);
        std::ofstream(store.file, std::ios::binary) << bytes;
        auto const verified = verify(store.file);
        if (!verified || !verified->problems.empty()) {
            ++found;
        } else {
            EXPECT_EQ(contents(*store.open(store.file)), expected) << at;
        }
    }
    EXPECT_GT(found, 40u);
    std::ofstream(store.file, std::ios::binary) << sound;
    EXPECT_TRUE(verify(store.file)->problems.empty());
}

TEST(Verify, RefusesWhatIsNoStore) {
    TestDirectory directory;
    EXPECT_EQ(verify(directory.path + "/none.db").error().code, Errc::settings);
    std::ofstream(directory.path + "/text.db") << std::string(5'000, 'x');
    EXPECT_EQ(verify(directory.path + "/text.db").error().code, Errc::data_unusable);
}

TEST(Backup, IsAWholeStoreOfThisMomentWithAnEpochOfItsOwn) {
    Store store;
    std::string const copy = store.directory.path + "/copy.db";
    auto const before = store.harness->since("ada", 0);
    auto const bytes = backup(store.file, copy);
    ASSERT_TRUE(bytes) << bytes.error().message;
    EXPECT_EQ(*bytes, std::filesystem::file_size(copy));
    EXPECT_EQ(std::filesystem::status(copy).permissions(),
              std::filesystem::perms::owner_read | std::filesystem::perms::owner_write);
    store.harness->send("ada", "later");
    EXPECT_TRUE(verify(copy)->problems.empty());

    auto restored = store.open(copy);
    EXPECT_EQ(store.epoch, "new");
    auto const since = restored->since("ada", 0);
    EXPECT_EQ(offsets(since.records), offsets(before.records));
    EXPECT_EQ(since.unread_count, before.unread_count);
    restored.reset();
    restored = store.open(copy, "newer");
    EXPECT_EQ(store.epoch, "new");  // it changes once
}

TEST(Backup, OverwritesNothing) {
    Store store;
    std::string const copy = store.directory.path + "/copy.db";
    std::ofstream(copy) << "precious";
    EXPECT_EQ(backup(store.file, copy).error().code, Errc::settings);
    EXPECT_EQ(std::filesystem::file_size(copy), 8u);
    EXPECT_FALSE(backup(store.file, store.directory.path + "/none/copy.db"));
    EXPECT_FALSE(backup(store.directory.path + "/none.db", store.directory.path + "/other.db"));
    EXPECT_FALSE(std::filesystem::exists(store.directory.path + "/other.db"));
    EXPECT_FALSE(std::filesystem::exists(store.directory.path + "/other.db.part"));
}

}  // namespace
}  // namespace rc::store
