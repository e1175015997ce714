// Each log against a naive model, driven by a seed: every answer is foretold, and chunked reads with
// writes in between are pieced together.
#include <gtest/gtest.h>

#include <map>
#include <random>
#include <set>

#include "log_harness.h"

namespace rc::store {
namespace {

constexpr uint32_t kKept = 7;
constexpr Duration kRetention = hours(50);

struct Item {
    uint64_t offset = 0;
    Record::Kind kind = Record::Kind::message;
    std::string id, data;
    bool read = false;
    uint32_t unread = 0;
    WallTime at;
};

struct ModelUser {
    std::vector<Item> items;
    uint64_t newest = 0, lost = 0;

    void lose(std::size_t index) {
        if (items[index].kind != Record::Kind::read_mark) lost = std::max(lost, items[index].offset);
        items.erase(items.begin() + static_cast<std::ptrdiff_t>(index));
    }
    void expire(WallTime now) {
        for (std::size_t i = 0; i < items.size();)
            if (now - items[i].at >= kRetention) {
                lose(i);
            } else {
                ++i;
            }
    }
    void bound(Record::Kind kind) {
        uint32_t count = 0;
        for (std::size_t i = items.size(); i-- > 0;)
            if (items[i].kind == kind && ++count > kKept) lose(i);
    }
    Item* notification(const std::string& id) {
        for (auto& item : items)
            if (item.kind == Record::Kind::notification && item.id == id) return &item;
        return nullptr;
    }
    uint32_t unread() const {
        uint32_t count = 0;
        for (const auto& item : items)
            count += item.kind == Record::Kind::notification && !item.read;
        return count;
    }
};

class Model {
  public:
    explicit Model(uint64_t seed) : random_(seed) {}

    void step() {
        switch (below(12)) {
            case 0:
            case 1:
            case 2:
            case 3: append(); break;
            case 4:
            case 5: mark(); break;
            case 6: below(5) ? remove() : read_all(); break;
            case 7: list(); break;
            case 8:
            case 9: read_in_chunks(); break;
            case 10: read_unread(); break;
            default: pass_time();
        }
    }
    int conflicts = 0, duplicates = 0, gaps = 0;

  private:
    uint64_t below(uint64_t bound) { return random_() % bound; }
    std::string a_user() { return last_user_ = std::to_string(below(4)); }
    std::string an_id() { return std::to_string(below(12)); }
    std::string a_content() { return std::string(1 + below(2), 'x'); }
    ModelUser& user(const std::string& name) {
        auto& user = users_[name];
        user.expire(h_.now);
        return user;
    }

    void pass_time() {
        h_.now += minutes(below(120));
        const auto& u = user(a_user());
        EXPECT_EQ(h_.unread(last_user_), u.unread());
        forget_events();
    }

    void append() {
        std::set<std::string> names;
        for (auto n = 1 + below(3); n > 0; --n)
            names.insert(a_user());
        std::string const id = below(2) ? an_id() : "";
        std::string const data = a_content();
        auto request = Harness::message_to({names.begin(), names.end()}, data, id);
        std::string key;
        if (below(3) == 0) {
            key = std::to_string(below(5));
            uint64_t targets = 0;
            for (const auto& name : names)
                targets = targets * 10 + std::stoull(name) + 1;
            request.idempotency = Idempotency{key, {targets, std::hash<std::string>{}(id + "/" + data)}};
        }
        auto const hash = request.idempotency ? request.idempotency->hash : ContentHash{};
        request.publication_id = std::to_string(++ids_);
        request.read = !id.empty() && below(4) == 0;

        // What must come out.
        AppendAnswer expected;
        std::map<std::string, uint64_t> got;
        auto known = keys_.find(key);
        if (!key.empty() && known != keys_.end() && h_.now - known->second.at < hours(24)) {
            if (known->second.hash == hash) {
                expected = known->second.answer;
                expected.duplicate = true;
            } else {
                expected.verdict = AppendAnswer::Verdict::conflict;
            }
        } else {
            uint64_t offset = 0;
            for (const auto& name : names) {
                auto* item = id.empty() ? nullptr : user(name).notification(id);
                if (item && item->data != data) expected.verdict = AppendAnswer::Verdict::conflict;
                if (item) offset = item->offset;
            }
            if (expected.verdict == AppendAnswer::Verdict::accepted) {
                auto const kind = id.empty() ? Record::Kind::message : Record::Kind::notification;
                for (const auto& name : names) {
                    auto& u = user(name);
                    if (!id.empty() && u.notification(id)) continue;
                    got[name] = offset = u.newest = ++sequence_;
                    u.items.push_back({offset, kind, id, data, request.read, 0, h_.now});
                    u.bound(kind);
                }
                expected.duplicate = got.empty();
                expected.id = id.empty() ? request.publication_id : id;
                if (names.size() == 1) expected.offset = offset;
                if (!key.empty()) keys_[key] = {hash, expected, h_.now};
            }
        }

        auto const published = h_.out.publications().size();
        auto const answer = h_.append(std::move(request));
        EXPECT_EQ(answer.verdict, expected.verdict);
        EXPECT_EQ(answer.duplicate, expected.duplicate);
        EXPECT_EQ(answer.id, expected.id);
        EXPECT_EQ(answer.offset, expected.offset);
        conflicts += answer.verdict == AppendAnswer::Verdict::conflict;
        duplicates += answer.duplicate;
        auto const publications = h_.out.publications();
        ASSERT_EQ(publications.size(), published + !got.empty());
        if (!got.empty()) {
            std::map<std::string, uint64_t> really;
            for (const auto& a : publications.back()->addressees)
                really[a.user.text] = a.offset;
            EXPECT_EQ(really, got);
        }
        forget_events();
    }

    void mark() {
        auto& u = user(a_user());
        auto const id = an_id();
        auto* item = u.notification(id);
        bool const fresh = item && !item->read;
        auto const answer = h_.mark(last_user_, id);
        EXPECT_EQ(answer.found, item != nullptr);
        EXPECT_EQ(answer.was_read, item && item->read);
        EXPECT_EQ(h_.out.marks().size(), fresh ? 1u : 0u);
        if (fresh) {
            item->read = true;
            u.newest = ++sequence_;
            u.items.push_back({sequence_, Record::Kind::read_mark, id, "", false, u.unread(), h_.now});
            EXPECT_EQ(answer.offset, sequence_);
        }
        EXPECT_EQ(answer.unread_count, u.unread());
        forget_events();
    }

    void read_all() {
        auto& u = user(a_user());
        uint32_t const unread = u.unread();
        auto const answer = h_.read_all(last_user_);
        EXPECT_EQ(answer.marked, unread);
        if (unread > 0) {
            for (auto& item : u.items)
                item.read |= item.kind == Record::Kind::notification;
            u.newest = ++sequence_;
            u.items.push_back({sequence_, Record::Kind::read_mark, "", "", false, 0, h_.now});
            EXPECT_EQ(answer.offset, sequence_);
        }
        forget_events();
    }

    void remove() {
        auto& u = user(a_user());
        auto const id = an_id();
        auto* item = u.notification(id);
        bool const was_unread = item && !item->read;
        auto const answer = h_.remove(last_user_, id);
        EXPECT_EQ(answer.found, item != nullptr);
        EXPECT_EQ(h_.out.marks().size(), was_unread ? 1u : 0u);
        if (item) u.items.erase(u.items.begin() + (item - u.items.data()));
        if (was_unread) {
            u.newest = ++sequence_;
            u.items.push_back({sequence_, Record::Kind::read_mark, id, "", false, u.unread(), h_.now});
        }
        EXPECT_EQ(answer.unread_count, u.unread());
        forget_events();
    }

    void list() {
        auto& u = user(a_user());
        std::optional<bool> filter;
        if (below(2)) filter = below(2) == 0;
        std::vector<uint64_t> expected;
        for (auto at = u.items.rbegin(); at != u.items.rend(); ++at)
            if (at->kind == Record::Kind::notification && (!filter || *filter == at->read))
                expected.push_back(at->offset);
        std::vector<uint64_t> found;
        uint64_t before = 0;
        do {
            auto const page = h_.list(last_user_, filter, static_cast<uint32_t>(1 + below(3)), before);
            EXPECT_EQ(page.unread_count, u.unread());
            for (const auto& record : page.notifications)
                found.push_back(record.offset);
            before = page.next;
        } while (before != 0);
        EXPECT_EQ(found, expected);
        forget_events();
    }

    // As a session reads: chunk after chunk up to the first cut, then again from there, while others write.
    void read_in_chunks() {
        std::string const name = a_user();
        auto& u = user(name);
        uint64_t const from = u.newest == 0 ? 0 : below(u.newest + 1);
        auto request = Harness::read_request(name, Read::Mode::since, from);
        request.records_max = static_cast<uint32_t>(1 + below(4));
        request.bytes_max = static_cast<uint32_t>(1 + below(6));
        request.with_marks = below(2);
        std::set<uint64_t> at_first;
        for (const auto& item : u.items)
            if (item.offset > from && (request.with_marks || item.kind != Record::Kind::read_mark))
                at_first.insert(item.offset);
        bool const gap = from < u.lost;
        uint64_t const cut = u.newest;
        std::vector<uint64_t> found;
        for (bool first = true, more = true; more; first = false) {
            auto const answer = h_.ask<ReadAnswer>(request);
            if (first && !request.with_marks) {
                EXPECT_EQ(answer.gap, gap) << "from " << from;
            }
            gaps += first && answer.gap;
            EXPECT_EQ(answer.cut, cut);
            EXPECT_LE(answer.records.size(), request.records_max);
            for (const auto& record : answer.records)
                found.push_back(record.offset);
            more = answer.more;
            EXPECT_TRUE(!more || !answer.records.empty());
            request.after = answer.position;
            request.upto = answer.cut;
            if (more && below(2)) append();
            if (more && below(3) == 0) mark();
        }
        EXPECT_TRUE(std::is_sorted(found.begin(), found.end()));
        EXPECT_EQ(std::adjacent_find(found.begin(), found.end()), found.end());
        std::set<uint64_t> const seen(found.begin(), found.end());
        for (uint64_t offset : seen)
            EXPECT_TRUE(at_first.count(offset)) << offset;
        // Nothing is missing but what was lost or removed while it went on.
        auto const& now = user(name);
        for (const auto& item : now.items) {
            EXPECT_TRUE(!at_first.count(item.offset) || seen.count(item.offset)) << item.offset;
        }
        forget_events();
    }

    void read_unread() {
        auto& u = user(a_user());
        std::vector<uint64_t> expected, found;
        for (const auto& item : u.items)
            if (item.kind == Record::Kind::notification && !item.read) expected.push_back(item.offset);
        auto request = Harness::read_request(last_user_, Read::Mode::unread);
        request.records_max = static_cast<uint32_t>(1 + below(3));
        for (bool more = true; more;) {
            auto const answer = h_.ask<ReadAnswer>(request);
            EXPECT_EQ(answer.unread_count, expected.size());
            for (const auto& record : answer.records)
                found.push_back(record.offset);
            more = answer.more;
            request.after = answer.position;
            request.upto = answer.cut;
        }
        EXPECT_EQ(found, expected);
        forget_events();
    }

    void forget_events() { h_.out.events.clear(); }

    struct KnownKey {
        ContentHash hash;
        AppendAnswer answer;
        WallTime at;
    };
    std::mt19937_64 random_;
    Harness h_{{.retention = kRetention, .notifications_per_user = kKept, .sweep_per_step = 1}};
    std::map<std::string, ModelUser> users_;
    std::map<std::string, KnownKey> keys_;
    uint64_t sequence_ = 0, ids_ = 0;
    std::string last_user_;
};

class LogModel : public ::testing::TestWithParam<std::tuple<LogKind, uint64_t>> {};

TEST_P(LogModel, AnswersAsTheNaiveOneDoes) {
    tested_kind = std::get<0>(GetParam());
    Model model(std::get<1>(GetParam()));
    for (int i = 0; i < 6'000 && !testing::Test::HasFailure(); ++i)
        model.step();
    EXPECT_GT(model.conflicts, 100);
    EXPECT_GT(model.duplicates, 100);
    EXPECT_GT(model.gaps, 100);
}
INSTANTIATE_TEST_SUITE_P(Memory, LogModel,
                         ::testing::Combine(::testing::Values(LogKind::memory),
                                            ::testing::Values(1, 2, 3, 0x5eed)));
INSTANTIATE_TEST_SUITE_P(Sqlite, LogModel,
                         ::testing::Combine(::testing::Values(LogKind::sqlite),
                                            ::testing::Values(1, 0x5eed)));

}  // namespace
}  // namespace rc::store
