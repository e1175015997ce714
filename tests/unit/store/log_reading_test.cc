// What a reader of any log gets: what it missed, in order, in chunks, and whether something is gone.
#include <gtest/gtest.h>

#include "log_harness.h"
#include "ringcast/base/limits.h"

namespace rc::store {
namespace {

using Offsets = std::vector<uint64_t>;

class LogReading : public EveryLog {};
INSTANTIATE_TEST_SUITE_P(Memory, LogReading, ::testing::Values(LogKind::memory));
INSTANTIATE_TEST_SUITE_P(Sqlite, LogReading, ::testing::Values(LogKind::sqlite));

TEST_P(LogReading, ReadsWhatCameSinceInOrderWithItsCut) {
    Harness h;
    h.send("ada", "1");
    h.notify("ada", "n1", "2");
    h.send("grace", "3");
    h.mark("ada", "n1");
    h.send("ada", "5");
    auto const all = h.since("ada", 0);
    EXPECT_EQ(offsets(all.records), (Offsets{1, 2, 4, 5}));
    EXPECT_EQ(all.cut, 5u);
    EXPECT_FALSE(all.gap);
    EXPECT_FALSE(all.more);
    EXPECT_EQ(all.records[0].kind, Record::Kind::message);
    EXPECT_EQ(all.records[1].kind, Record::Kind::notification);
    EXPECT_TRUE(all.records[1].read);  // as it is now
    EXPECT_EQ(all.records[2].kind, Record::Kind::read_mark);
    EXPECT_EQ(all.records[2].notification_id, "n1");
    EXPECT_EQ(all.records[2].unread_count, 0u);
    EXPECT_EQ(offsets(h.since("ada", 4).records), (Offsets{5}));
    EXPECT_TRUE(h.since("ada", 5).records.empty());
    EXPECT_FALSE(h.since("ada", 5).gap);

    auto quiet = Harness::read_request("ada", Read::Mode::since);
    quiet.with_marks = false;
    auto const without = h.ask<ReadAnswer>(quiet);
    EXPECT_EQ(offsets(without.records), (Offsets{1, 2, 5}));
}

TEST_P(LogReading, UserWithoutALogHasNeitherCutNorGap) {
    Harness h;
    auto const answer = h.since("nobody", 0);
    EXPECT_EQ(answer.cut, 0u);
    EXPECT_FALSE(answer.gap);
    EXPECT_TRUE(answer.records.empty());
    EXPECT_TRUE(h.since("nobody", 7).gap);
}

// The chunk of one record behind the one that was answered.
Read chunk_behind(const ReadAnswer& before) {
    auto read = Harness::read_request("ada", Read::Mode::everything);
    read.after = before.position;
    read.upto = before.cut;
    read.next = before.next;
    read.records_max = 1;
    return read;
}

TEST_P(LogReading, AReaderIsToldWhenRetentionOvertakesIt) {
    Harness h({.notifications_per_user = 3});
    for (int i = 0; i < 3; ++i)
        h.send("ada");
    auto const first = h.ask<ReadAnswer>(chunk_behind({}));
    EXPECT_FALSE(first.overtaken);
    h.send("ada");  // 1 goes, which the reader has had
    EXPECT_FALSE(h.ask<ReadAnswer>(chunk_behind(first)).overtaken);
    h.send("ada");  // 2 goes
    EXPECT_TRUE(h.ask<ReadAnswer>(chunk_behind(first)).overtaken);
}

TEST_P(LogReading, AReaderIsOvertakenInEachKindByItself) {
    Harness h({.notifications_per_user = 3});
    h.notify("ada", "n1");
    h.notify("ada", "n2");
    for (int i = 0; i < 5; ++i)
        h.send("ada");  // 3 and 4 went before anybody read
    auto const first = h.ask<ReadAnswer>(chunk_behind({}));
    EXPECT_EQ(offsets(first.records), (Offsets{1}));
    h.notify("ada", "n3");
    h.notify("ada", "n4");  // n1 goes
    EXPECT_FALSE(h.ask<ReadAnswer>(chunk_behind(first)).overtaken);
    h.notify("ada", "n5");  // n2 goes
    EXPECT_TRUE(h.ask<ReadAnswer>(chunk_behind(first)).overtaken);
}

TEST_P(LogReading, WhatIsDeletedOvertakesNoReader) {
    Harness h;
    for (const auto* id : {"n1", "n2", "n3"})
        h.notify("ada", id);
    auto const first = h.ask<ReadAnswer>(chunk_behind({}));
    ASSERT_TRUE(h.remove("ada", "n2").found);
    auto const second = h.ask<ReadAnswer>(chunk_behind(first));
    EXPECT_FALSE(second.overtaken);
    EXPECT_EQ(offsets(second.records), (Offsets{3}));
}

TEST_P(LogReading, OffsetAboveTheNewestIsAGapAndReplaysWhatThereIs) {
    Harness h;
    h.send("ada");
    h.send("ada");
    auto const answer = h.since("ada", 3);
    EXPECT_TRUE(answer.gap);
    EXPECT_EQ(offsets(answer.records), (Offsets{1, 2}));
}

TEST_P(LogReading, OffsetOlderThanWhatIsKeptIsAGap) {
    Harness h({.notifications_per_user = 3});
    for (int i = 0; i < 5; ++i)
        h.send("ada");  // 1 and 2 go
    EXPECT_TRUE(h.since("ada", 0).gap);
    EXPECT_TRUE(h.since("ada", 1).gap);
    EXPECT_FALSE(h.since("ada", 2).gap);
    EXPECT_EQ(offsets(h.since("ada", 1).records), (Offsets{3, 4, 5}));
    auto const everything = h.ask<ReadAnswer>(Harness::read_request("ada", Read::Mode::everything));
    EXPECT_FALSE(everything.gap);
    EXPECT_EQ(offsets(everything.records), (Offsets{3, 4, 5}));
}

TEST_P(LogReading, ALostReadMarkIsAGapOnlyForWhoWantsReadMarks) {
    Harness h({.notifications_per_user = 2'000});
    for (uint32_t i = 0; i <= limits::kReadMarksPerUserMax; ++i)
        h.notify("ada", std::to_string(i));
    uint64_t const before = h.since("ada", 0).cut;
    for (uint32_t i = 0; i < limits::kReadMarksPerUserMax; ++i)
        h.mark("ada", std::to_string(i));
    EXPECT_FALSE(h.since("ada", before).gap);
    EXPECT_EQ(h.since("ada", before).records.size(), limits::kReadMarksPerUserMax);
    h.mark("ada", std::to_string(limits::kReadMarksPerUserMax));
    EXPECT_TRUE(h.since("ada", before).gap);
    EXPECT_EQ(h.since("ada", before).records.size(), limits::kReadMarksPerUserMax);
    auto quiet = Harness::read_request("ada", Read::Mode::since, before);
    quiet.with_marks = false;
    EXPECT_FALSE(h.ask<ReadAnswer>(quiet).gap);
}

TEST_P(LogReading, UnreadComesOldestFirstUpToTheCut) {
    Harness h;
    for (auto id : {"a", "b", "c", "d"})
        h.notify("ada", id);
    h.send("ada");
    h.mark("ada", "b");
    auto const answer = h.ask<ReadAnswer>(Harness::read_request("ada", Read::Mode::unread));
    EXPECT_EQ(offsets(answer.records), (Offsets{1, 3, 4}));
    EXPECT_EQ(answer.cut, 6u);
    EXPECT_EQ(answer.unread_count, 3u);
    EXPECT_FALSE(answer.gap);
}

TEST_P(LogReading, ChunksEndAtTheirBoundsInRecordsAndBytes) {
    Harness h;
    for (int i = 0; i < 10; ++i)
        h.send("ada", std::string(100, 'x'));
    auto chunk = [&](uint32_t records_max, uint32_t bytes_max) {
        auto request = Harness::read_request("ada", Read::Mode::since);
        request.records_max = records_max;
        request.bytes_max = bytes_max;
        return h.ask<ReadAnswer>(request);
    };
    EXPECT_EQ(chunk(9, 10'000).records.size(), 9u);
    EXPECT_TRUE(chunk(9, 10'000).more);
    EXPECT_EQ(chunk(10, 10'000).records.size(), 10u);
    EXPECT_FALSE(chunk(10, 10'000).more);
    EXPECT_EQ(chunk(100, 299).records.size(), 2u);
    EXPECT_EQ(chunk(100, 300).records.size(), 3u);
    EXPECT_EQ(chunk(100, 301).records.size(), 3u);
    EXPECT_EQ(chunk(100, 1).records.size(), 1u);  // one whatever its size
    EXPECT_EQ(chunk(100, 300).position, 3u);
}

TEST_P(LogReading, GreatOffsetsAreJustGreat) {
    Harness h;
    h.notify("ada", "n1");
    auto const none = h.ask<ReadAnswer>(Harness::read_request("ada", Read::Mode::unread, UINT64_MAX));
    EXPECT_TRUE(none.records.empty());
    EXPECT_EQ(none.cut, 1u);
    EXPECT_EQ(none.unread_count, 1u);
    EXPECT_TRUE(h.since("ada", UINT64_MAX).gap);
    EXPECT_EQ(h.since("ada", UINT64_MAX).records.size(), 1u);
    EXPECT_EQ(h.list("ada", {}, 1, UINT64_MAX).notifications.size(), 1u);
}

}  // namespace
}  // namespace rc::store
