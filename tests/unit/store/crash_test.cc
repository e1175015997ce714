// The log on a disk that fails and loses power: what was answered is there afterwards, once and in order.
// RINGCAST_SEEDS=100 tries a hundred times as many seeds, RINGCAST_FIRST_SEED=n those from n on.
#include <gtest/gtest-spi.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <functional>
#include <map>
#include <set>

#include "log_harness.h"
#include "ringcast/store/maintenance.h"
#include "sim_disk.h"

namespace rc::store {
namespace {

uint64_t from_environment(const char* name, uint64_t usual) {
    const char* value = std::getenv(name);
    return value ? std::strtoull(value, nullptr, 10) : usual;
}

void for_seeds(uint64_t usual, const std::function<void(uint64_t seed)>& run) {
    auto const first = from_environment("RINGCAST_FIRST_SEED", 1);
    auto const end = first + usual * from_environment("RINGCAST_SEEDS", 1);
    for (uint64_t seed = first; seed < end && !testing::Test::HasFailure(); ++seed)
        run(seed);
}

/// What a new file holds.
const std::string& fresh_store() {
    static const std::string bytes = [] {
        TestDirectory const directory;
        SqliteLog::Options options;
        options.path = directory.path + "/log.db";
        options.fresh_epoch = "e";
        if (auto log = SqliteLog::open(options); !log) throw std::runtime_error(log.error().message);
        std::ifstream in(options.path, std::ios::binary);
        return std::string{std::istreambuf_iterator<char>(in), {}};
    }();
    return bytes;
}

/// Publishers that keep a ledger of what they were told, over ends and restarts of the log.
class Ledger {
  public:
    Ledger(uint64_t seed, Durability durability = Durability::fsync) : chance(seed) {
        options.path = directory.path + "/log.db";
        options.durability = durability;
        options.boot_id = "boot";
        options.wal_frames_max = 240;  // checkpoints are part of it: 15 to 45, by what comes at a time
        std::ofstream(options.path, std::ios::binary) << fresh_store();  // it must be there to be opened
        disk = std::make_unique<SimDisk>();
        disk->put(options.path, fresh_store());
        options.fresh_epoch = "new";
    }

    /// @return whether the log can be opened
    bool open() {
        auto opened = SqliteLog::open(options);
        if (!opened) {
            open_error = opened.error().message;
            return false;
        }
        epoch = (*opened)->epoch();
        log = std::move(*opened);
        return true;
    }
    void end() {
        log.reset();
        open_keys_.clear();
    }

    /// A batch of requests by chance, and a step; the ledger learns from the answers.
    void go_on() {
        for (auto n = 1 + chance() % 6; n > 0; --n)
            ask();
        Recorder out;
        for (int i = 0; i < 50 && log->step(now, out); ++i) {
        }
        for (const auto& event : out.events)
            learn(event);
        asked_.clear();
    }

    /// What the log holds against what was answered.
    void check() {
        std::set<uint64_t> offsets_seen;
        for (const auto& [user, ledger] : users_) {
            auto const all = read(user);
            ASSERT_FALSE(all.unavailable);
            std::map<uint64_t, const Record*> records;
            uint32_t unread = 0;
            uint64_t before = 0;
            for (const auto& record : all.records) {
                EXPECT_GT(record.offset, before) << "order";
                before = record.offset;
                EXPECT_TRUE(offsets_seen.insert(record.offset).second) << "an offset of two users";
                records[record.offset] = &record;
                if (record.kind == Record::Kind::read_mark) continue;
                unread += record.kind == Record::Kind::notification && !record.read;
                auto const number = std::stoull(record.message->data);
                EXPECT_TRUE(ledger.sent.count(number)) << number << " was never sent to " << user;
                auto const accepted = ledger.accepted.find(number);
                if (accepted != ledger.accepted.end()) {
                    EXPECT_EQ(accepted->second, record.offset) << "delivered twice";
                }
            }
            EXPECT_EQ(all.unread_count, unread);
            for (auto [number, offset] : ledger.accepted) {
                if (ledger.removed.count(number)) {
                    EXPECT_FALSE(records.count(offset)) << number << " is removed";
                } else if (!ledger.maybe_removed.count(number)) {
                    EXPECT_TRUE(records.count(offset)) << number << " to " << user << " is lost";
                }
            }
            for (auto number : ledger.read) {
                auto const at = records.find(ledger.accepted.at(number));
                if (at == records.end()) continue;
                EXPECT_TRUE(at->second->read) << "a read mark is lost";
            }
        }
        for (const auto& [key, answer] : keys_) {
            auto const repeated = ask_now<ReserveAnswer>(reserve(key, std::hash<std::string>{}(key), "new"));
            EXPECT_EQ(repeated.verdict, ReserveAnswer::Verdict::repeat) << key;
            EXPECT_EQ(repeated.id, answer.first);
            EXPECT_EQ(repeated.offset, answer.second);
        }
    }

    ReadAnswer read(const std::string& user) {
        return ask_now<ReadAnswer>(Harness::read_request(user, Read::Mode::everything));
    }

    TestDirectory directory;
    SqliteLog::Options options;
    std::unique_ptr<SimDisk> disk;
    std::unique_ptr<SqliteLog> log;
    std::mt19937_64 chance;
    std::string epoch, open_error;
    WallTime now{hours(24 * 365 * 50)};
    uint64_t accepted = 0, refused = 0;

  private:
    struct User {
        std::set<uint64_t> sent;
        std::map<uint64_t, uint64_t> accepted;  // number, offset
        std::set<uint64_t> read, removed, maybe_removed;
    };

    template <class T, class R>
    T ask_now(R request) {
        request.ticket = {9, ++tokens_};
        EXPECT_TRUE(log->submit(Request(std::move(request))));
        Recorder out;
        for (int i = 0; i < 50 && log->step(now, out); ++i) {
        }
        return out.answers_of<T>().at(0);
    }

    void ask() {
        auto const number = ++tokens_;
        std::string const user = std::to_string(chance() % 4);
        auto submit = [&](auto request) {
            request.ticket = {1, number};
            asked_.emplace(number, Request(request));
            ASSERT_TRUE(log->submit(Request(std::move(request))));
        };
        switch (chance() % 8) {
            case 0:
            case 1:
            case 2: {
                std::vector<std::string> users{user};
                if (chance() % 3 == 0) users.push_back(std::to_string(4 + chance() % 2));
                auto data = std::to_string(number) + std::string(chance() % 4 == 0 ? 9'000 : 0, ' ');
                auto append = Harness::message_to(users, std::move(data),
                                                  chance() % 2 ? "n" + std::to_string(number) : "");
                std::string const key = "k" + std::to_string(number);
                if (chance() % 3 == 0)
                    append.idempotency = Idempotency{key, {0, std::hash<std::string>{}(key)}};
                append.publication_id = "p" + std::to_string(number);
                for (const auto& one : users)
                    users_[one].sent.insert(number);
                submit(std::move(append));
                break;
            }
            case 3:
            case 4:
                mark_or_remove(user, [&](std::string id) {
                    submit(MarkRead{{}, UserId{user}, std::move(id)});
                });
                break;
            case 5:
                mark_or_remove(user, [&](std::string id) {
                    users_[user].maybe_removed.insert(std::stoull(id.substr(1)));
                    submit(Remove{{}, UserId{user}, std::move(id)});
                });
                break;
            case 6: {
                std::string const key = "t" + std::to_string(number);
                submit(reserve(key, std::hash<std::string>{}(key), "r" + std::to_string(number)));
                break;
            }
            default:
                if (open_keys_.empty()) break;
                auto const [key, id] = open_keys_.back();
                open_keys_.pop_back();
                settling_[number] = {key, id};
                ASSERT_TRUE(log->submit(Settle{{1, number}, key, true}));
        }
    }

    template <class Submit>
    void mark_or_remove(const std::string& user, Submit submit) {
        const auto& numbers = users_[user].accepted;
        if (numbers.empty()) return;
        auto at = numbers.begin();
        std::advance(at, static_cast<std::ptrdiff_t>(chance() % numbers.size()));
        submit("n" + std::to_string(at->first));
    }

    void learn(const Recorder::Event& event) {
        if (const auto* published = std::get_if<std::shared_ptr<const Publication>>(&event)) {
            for (const auto& addressee : (*published)->addressees) {
                EXPECT_GT(addressee.offset, newest_) << "offsets go up";
                newest_ = addressee.offset;
                published_[std::stoull((*published)->message->data)][addressee.user.text] = addressee.offset;
            }
        }
        if (const auto* mark = std::get_if<std::shared_ptr<const ReadMark>>(&event)) {
            EXPECT_GT((*mark)->offset, newest_);
            newest_ = (*mark)->offset;
        }
        if (const auto* settled = std::get_if<Ticket>(&event)) {
            // While it is down a key is in memory until the log is up again.
            if (!log->figures().down)
                keys_[settling_.at(settled->token).first] = {settling_.at(settled->token).second, 0};
        }
        if (const auto* answer = std::get_if<Answer>(&event)) learn(*answer);
    }

    void learn(const Answer& answer) {
        auto const number = ticket_of(answer).token;
        if (const auto* appended = std::get_if<AppendAnswer>(&answer)) {
            ++(appended->verdict == AppendAnswer::Verdict::accepted ? accepted : refused);
            if (appended->verdict != AppendAnswer::Verdict::accepted) {
                EXPECT_FALSE(published_.count(number)) << "published and refused";
                return;
            }
            for (const auto& [user, offset] : published_.at(number))
                users_[user].accepted[number] = offset;
            const auto& append = std::get<Append>(asked_.at(number));
            if (append.idempotency) keys_[append.idempotency->key] = {appended->id, appended->offset};
        }
        if (const auto* marked = std::get_if<MarkReadAnswer>(&answer)) {
            const auto& request = std::get<MarkRead>(asked_.at(number));
            if (marked->found)
                users_[request.user.text].read.insert(std::stoull(request.notification_id.substr(1)));
        }
        if (const auto* removed = std::get_if<RemoveAnswer>(&answer)) {
            const auto& request = std::get<Remove>(asked_.at(number));
            if (removed->found)
                users_[request.user.text].removed.insert(std::stoull(request.notification_id.substr(1)));
        }
        if (const auto* reserved = std::get_if<ReserveAnswer>(&answer)) {
            const auto& request = std::get<Reserve>(asked_.at(number));
            if (reserved->verdict == ReserveAnswer::Verdict::fresh)
                open_keys_.emplace_back(request.idempotency.key, reserved->id);
        }
    }

    std::map<std::string, User> users_;
    std::map<uint64_t, std::map<std::string, uint64_t>> published_;
    std::map<uint64_t, Request> asked_;
    std::map<std::string, std::pair<std::string, uint64_t>> keys_;  // settled: id, offset
    std::vector<std::pair<std::string, std::string>> open_keys_;
    std::map<uint64_t, std::pair<std::string, std::string>> settling_;
    uint64_t tokens_ = 0, newest_ = 0;
};

/// Ends in the middle, again and again, and looks each time.
void end_by_chance(uint64_t seed, bool power_cuts, bool faults) {
    SCOPED_TRACE(seed);
    Ledger ledger(seed);
    auto& chance = ledger.chance;
    uint64_t fails_left = 0;
    if (faults) {
        ledger.disk->fails = [&](SimDisk::Call) {
            if (fails_left == 0 && chance() % 60 == 0) fails_left = 1 + chance() % 4;
            return fails_left > 0 && fails_left-- > 0;
        };
    }
    for (int life = 0; life < 4 && !testing::Test::HasFailure(); ++life) {
        ledger.disk->end_at(ledger.disk->calls() + 1 + chance() % 150);
        if (ledger.open()) {
            EXPECT_EQ(ledger.epoch, "e");
            for (int i = 0; i < 60 && !ledger.disk->ended(); ++i) {
                ledger.go_on();
                ledger.now += milliseconds(300);
            }
        }
        ledger.disk->end_at(ledger.disk->calls() + 1);  // if it has not yet: in the middle of closing
        ledger.end();
        if (power_cuts) {
            ledger.disk->restart_after_power_cut(chance);
        } else {
            ledger.disk->restart();
        }
    }
    ledger.disk->fails = nullptr;
    auto const verified = verify(ledger.options.path);
    ASSERT_TRUE(verified) << verified.error().message;
    EXPECT_EQ(verified->problems, std::vector<std::string>{});
    ASSERT_TRUE(ledger.open()) << ledger.open_error;
    EXPECT_EQ(ledger.epoch, "e");
    ledger.check();
    for (int i = 0; i < 10; ++i)
        ledger.go_on();
    ledger.check();
    EXPECT_FALSE(ledger.log->figures().down);
    ledger.log.reset();
}

TEST(Crash, WhatWasAnsweredSurvivesKills) {
    for_seeds(40, [](uint64_t seed) { end_by_chance(seed, false, false); });
}
TEST(Crash, WhatWasAnsweredSurvivesPowerCuts) {
    for_seeds(80, [](uint64_t seed) { end_by_chance(seed, true, false); });
}
TEST(Crash, WhatWasAnsweredSurvivesADiskThatFailsAndKills) {
    for_seeds(40, [](uint64_t seed) { end_by_chance(seed, false, true); });
}
TEST(Crash, WhatWasAnsweredSurvivesADiskThatFailsAndPowerCuts) {
    for_seeds(80, [](uint64_t seed) { end_by_chance(seed, true, true); });
}

/// Every call of a scenario fails once, for a while; the log refuses, and goes on when the disk does.
TEST(Crash, EachCallThatFailsIsSurvived) {
    for (uint64_t at = 1;; ++at) {
        SCOPED_TRACE(at);
        Ledger ledger(7);
        ASSERT_TRUE(ledger.open());
        uint64_t const from = ledger.disk->calls() + at;
        bool failed = false;
        ledger.disk->fails = [&](SimDisk::Call) {
            bool const now = ledger.disk->calls() >= from && ledger.disk->calls() < from + 1 + at % 3;
            failed |= now;
            return now;
        };
        for (int i = 0; i < 25; ++i) {
            ledger.go_on();
            ledger.now += milliseconds(500);
        }
        auto const faults = std::exchange(ledger.disk->fails, nullptr);
        ledger.now += seconds(5);
        ledger.go_on();
        EXPECT_FALSE(ledger.log->figures().down) << "it does not recover";
        EXPECT_GT(ledger.accepted, 10u);
        ledger.check();
        ledger.disk->fails = faults;
        ledger.end();
        ledger.disk->restart_after_power_cut(ledger.chance);
        ledger.disk->fails = nullptr;
        ASSERT_TRUE(ledger.open()) << ledger.open_error;
        ledger.check();
        ledger.log.reset();
        if (!failed || HasFailure()) {
            EXPECT_GT(at, 80u);
            break;
        }
    }
}

/// Commits that reach the page cache alone are lost by a power cut: the ledger must find that, and the epoch
/// change that goes with it.
TEST(Crash, WhatIsOnlyWrittenIsLostByAPowerCutAndTheLedgerFindsIt) {
    int lost = 0, changed = 0;
    for (uint64_t seed = 1; seed <= 10; ++seed) {
        Ledger ledger(seed, Durability::write);
        ASSERT_TRUE(ledger.open());
        for (int i = 0; i < 30; ++i)
            ledger.go_on();
        ledger.disk->end_at(0);
        ledger.end();
        ledger.disk->restart_after_power_cut(ledger.chance);
        ledger.options.boot_id = "another";
        ASSERT_TRUE(ledger.open());
        changed += ledger.epoch == "new";
        testing::TestPartResultArray found;
        {
            testing::ScopedFakeTestPartResultReporter const listen(
                testing::ScopedFakeTestPartResultReporter::INTERCEPT_ONLY_CURRENT_THREAD, &found);
            ledger.check();
        }
        lost += found.size() > 0;
        ledger.log.reset();
    }
    EXPECT_EQ(changed, 10);
    EXPECT_GT(lost, 5);
}

}  // namespace
}  // namespace rc::store
