// What every log promises, with each of them.
#include <gtest/gtest.h>

#include "log_harness.h"
#include "ringcast/base/limits.h"

namespace rc::store {
namespace {

using Offsets = std::vector<uint64_t>;
using Verdict = AppendAnswer::Verdict;
using Reserved = ReserveAnswer::Verdict;

class LogContract : public EveryLog {};
INSTANTIATE_TEST_SUITE_P(Memory, LogContract, ::testing::Values(LogKind::memory));
INSTANTIATE_TEST_SUITE_P(Sqlite, LogContract, ::testing::Values(LogKind::sqlite));

// ---- appending ----------------------------------------------------------------------------------

TEST_P(LogContract, GivesOffsetsFromOneOnAndPublishesBeforeItAnswers) {
    Harness h;
    auto request = Harness::message_to({"ada", "7"}, R"({"a":1})");
    request.publication->frame = SharedBytes::copy_of("frame");
    auto const answer = h.append(std::move(request));
    EXPECT_EQ(answer.verdict, Verdict::accepted);
    EXPECT_EQ(answer.id, "publication");
    EXPECT_EQ(answer.offset, 0u);  // two were addressed
    EXPECT_FALSE(answer.duplicate);
    ASSERT_EQ(h.out.events.size(), 2u);
    auto const published = std::get<std::shared_ptr<const Publication>>(h.out.events[0]);
    EXPECT_EQ(published->frame.view(), "frame");
    EXPECT_EQ(published->message->data, R"({"a":1})");
    ASSERT_EQ(published->addressees.size(), 2u);
    EXPECT_EQ(published->addressees[0].user.text, "ada");
    EXPECT_EQ(published->addressees[0].offset, 1u);
    EXPECT_EQ(published->addressees[1].offset, 2u);
    EXPECT_EQ(h.send("ada").offset, 3u);
}

TEST_P(LogContract, WhoWantsNoIdGetsAllElseAndTheKeyKeepsIt) {
    Harness h;
    auto request = Harness::message_to({"ada"}, "{}");
    request.idempotency = Idempotency{"key", {1, 2}};
    auto again = request;
    request.id_wanted = false;
    auto const first = h.append(std::move(request));
    EXPECT_EQ(first.verdict, Verdict::accepted);
    EXPECT_EQ(first.id, "");
    EXPECT_EQ(first.offset, 1u);
    auto const repeated = h.append(std::move(again));
    EXPECT_EQ(repeated.id, "publication");
    EXPECT_EQ(repeated.offset, 1u);
}

TEST_P(LogContract, NotificationThatComesAgainPassesOverWhoHasIt) {
    Harness h;
    auto const first = h.notify("ada", "n1");
    EXPECT_EQ(first.id, "n1");
    auto const again = h.notify("ada", "n1");
    EXPECT_EQ(again.verdict, Verdict::accepted);
    EXPECT_TRUE(again.duplicate);
    EXPECT_EQ(again.id, "n1");
    EXPECT_EQ(again.offset, first.offset);
    EXPECT_EQ(h.out.publications().size(), 1u);

    auto const both = h.append(Harness::message_to({"ada", "grace"}, "{}", "n1"));
    EXPECT_FALSE(both.duplicate);
    auto const published = h.out.publications().back();
    ASSERT_EQ(published->addressees.size(), 1u);
    EXPECT_EQ(published->addressees[0].user.text, "grace");
    EXPECT_EQ(h.unread("ada"), 1u);
}

TEST_P(LogContract, NotificationPublishedAsReadIsNeverUnread) {
    Harness h;
    auto request = Harness::message_to({"ada"}, R"({"read":true})", "n1");
    request.read = true;
    auto const offset = h.append(std::move(request)).offset;
    auto const unread = h.notify("ada", "n2").offset;
    EXPECT_EQ(h.unread("ada"), 1u);
    auto listed = [&](bool read) { return offsets(h.list("ada", read).notifications); };
    EXPECT_EQ(listed(true), Offsets{offset});
    EXPECT_EQ(listed(false), Offsets{unread});
    auto const replay = h.ask<ReadAnswer>(Harness::read_request("ada", Read::Mode::unread));
    EXPECT_EQ(offsets(replay.records), Offsets{unread});
    auto const since = h.since("ada", 0);
    ASSERT_EQ(since.records.size(), 2u);
    EXPECT_TRUE(since.records[0].read);
    EXPECT_FALSE(since.records[1].read);
    EXPECT_TRUE(h.mark("ada", "n1").was_read);
    EXPECT_TRUE(h.out.marks().empty());
    EXPECT_EQ(h.read_all("ada").marked, 1u);
}

TEST_P(LogContract, NotificationIdWithAnotherContentIsAConflictAndNothingIsDone) {
    Harness h;
    h.notify("ada", "n1", "{}");
    auto const answer = h.append(Harness::message_to({"grace", "ada"}, R"({"other":1})", "n1"));
    EXPECT_EQ(answer.verdict, Verdict::conflict);
    EXPECT_EQ(h.out.publications().size(), 1u);
    EXPECT_EQ(h.unread("grace"), 0u);
    EXPECT_EQ(h.notify("grace", "n1", R"({"other":1})").verdict, Verdict::accepted);  // the id is ada's alone
}

TEST_P(LogContract, RemovingWhatIsUnreadIsAReadMark) {
    Harness h;
    h.notify("ada", "n1", "{}");
    h.notify("ada", "n2", "{}");
    h.mark("ada", "n1");
    auto const before = h.out.marks().size();
    EXPECT_EQ(h.remove("ada", "n1").unread_count, 1u);
    EXPECT_EQ(h.out.marks().size(), before);
    EXPECT_EQ(h.remove("ada", "n2").unread_count, 0u);
    ASSERT_EQ(h.out.marks().size(), before + 1);
    EXPECT_EQ(h.out.marks().back()->notification_id, "n2");
    EXPECT_EQ(h.out.marks().back()->unread_count, 0u);
    EXPECT_GT(h.out.marks().back()->offset, 2u);
}

TEST_P(LogContract, RemovedNotificationMayComeAgain) {
    Harness h;
    h.notify("ada", "n1", "{}");
    EXPECT_TRUE(h.remove("ada", "n1").found);
    auto const again = h.notify("ada", "n1", R"({"other":1})");
    EXPECT_EQ(again.verdict, Verdict::accepted);
    EXPECT_FALSE(again.duplicate);
}

TEST_P(LogContract, QueueHasABoundAndARefusedRequestIsLeftAsItWas) {
    Harness h({.queue_max = 3});
    Log& log = h.log;
    for (int i = 0; i < 3; ++i)
        EXPECT_TRUE(log.submit(UserInfo{{}, UserId{"ada"}}));
    Request fourth = UserInfo{{7, 8}, UserId{"ada"}};
    EXPECT_FALSE(log.submit(std::move(fourth)));
    EXPECT_EQ(std::get<UserInfo>(fourth).user.text, "ada");
    Recorder out;
    EXPECT_FALSE(log.step(WallTime{}, out));
    EXPECT_EQ(out.answers().size(), 3u);
    EXPECT_TRUE(log.submit(std::move(fourth)));
}

TEST_P(LogContract, QueueHasABoundInBytesButTakesOneOfAnySize) {
    Harness h({.queue_bytes_max = 10'000});
    Log& log = h.log;
    auto big = [] { return Request(Harness::message_to({"ada"}, std::string(20'000, 'x'))); };
    EXPECT_TRUE(log.submit(big()));
    EXPECT_FALSE(log.submit(big()));
    Recorder out;
    log.step(WallTime{}, out);
    EXPECT_TRUE(log.submit(big()));
}

TEST_P(LogContract, AStepDoesABoundedShare) {
    Harness h({.requests_per_step = 10});
    Log& log = h.log;
    for (int i = 0; i < 25; ++i)
        ASSERT_TRUE(log.submit(UserInfo{{}, UserId{"ada"}}));
    Recorder out;
    EXPECT_TRUE(log.step(WallTime{}, out));
    EXPECT_EQ(out.answers().size(), 10u);
    EXPECT_TRUE(log.step(WallTime{}, out));
    EXPECT_FALSE(log.step(WallTime{}, out));
    EXPECT_EQ(out.answers().size(), 25u);
}

// ---- idempotency keys ---------------------------------------------------------------------------

TEST_P(LogContract, KeyThatComesAgainGetsTheSameAnswerAndNobodyGetsItTwice) {
    Harness h;
    auto request = Harness::with_key(Harness::message_to({"ada"}, "{}"), "k");
    auto const first = h.append(request);
    request.publication_id = "another";
    auto const again = h.append(request);
    EXPECT_TRUE(again.duplicate);
    EXPECT_EQ(again.id, first.id);
    EXPECT_EQ(again.offset, first.offset);
    EXPECT_EQ(h.out.publications().size(), 1u);
}

TEST_P(LogContract, KeyWithAnotherContentIsAConflict) {
    Harness h;
    h.append(Harness::with_key(Harness::message_to({"ada"}, "1"), "k"));
    EXPECT_EQ(h.append(Harness::with_key(Harness::message_to({"ada"}, "2"), "k")).verdict, Verdict::conflict);
    EXPECT_EQ(h.out.publications().size(), 1u);
}

TEST_P(LogContract, ConflictIsNotRemembered) {
    Harness h;
    h.notify("ada", "n1", "1");
    EXPECT_EQ(h.append(Harness::with_key(Harness::message_to({"ada"}, "2", "n1"), "k")).verdict,
              Verdict::conflict);
    EXPECT_EQ(h.append(Harness::with_key(Harness::message_to({"ada"}, "3"), "k")).verdict, Verdict::accepted);
}

TEST_P(LogContract, KeyIsKeptForADay) {
    for (auto [later, duplicate] : {std::pair{hours(24) - Duration(1), true}, {Duration(hours(24)), false}}) {
        Harness h;
        auto const request = Harness::with_key(Harness::message_to({"ada"}, "{}"), "k");
        h.append(request);
        h.now += later;
        EXPECT_EQ(h.append(request).duplicate, duplicate);
    }
}

TEST_P(LogContract, ReservedKeyIsRepeatedWithItsIdOnceItIsSettled) {
    Harness h;
    auto const fresh = h.ask<ReserveAnswer>(reserve("k", 1, "first"));
    EXPECT_EQ(fresh.verdict, Reserved::fresh);
    EXPECT_EQ(fresh.id, "first");
    ASSERT_TRUE(h.log.submit(Settle{{4, 5}, "k", true}));
    h.run();
    EXPECT_EQ(h.out.all<Ticket>(), (std::vector{Ticket{4, 5}}));
    auto const again = h.ask<ReserveAnswer>(reserve("k", 1, "second"));
    EXPECT_EQ(again.verdict, Reserved::repeat);
    EXPECT_EQ(again.id, "first");
    EXPECT_EQ(h.ask<ReserveAnswer>(reserve("k", 2)).verdict, Reserved::conflict);
}

TEST_P(LogContract, WhoeverComesWhileAKeyIsUnderWayWaitsForItsOutcome) {
    Harness h;
    h.ask<ReserveAnswer>(reserve("k", 1, "first"));
    for (uint64_t i = 0; i < 3; ++i) {
        auto request = reserve("k", i == 2 ? 9 : 1, "later");
        request.ticket = Ticket{1, 100 + i};
        ASSERT_TRUE(h.log.submit(Request(request)));
    }
    auto append = Harness::with_key(Harness::message_to({"ada"}, "{}"), "k");
    append.ticket = Ticket{1, 103};
    ASSERT_TRUE(h.log.submit(Request(append)));
    h.run();
    EXPECT_EQ(h.out.answers().size(), 1u);
    EXPECT_EQ(h.log.figures().waiting, 4u);
    ASSERT_TRUE(h.log.submit(Settle{{}, "k", true}));
    h.run();
    auto const answers = h.out.answers_of<ReserveAnswer>();
    ASSERT_EQ(answers.size(), 4u);
    EXPECT_EQ(answers[1].verdict, Reserved::repeat);
    EXPECT_EQ(answers[2].verdict, Reserved::repeat);
    EXPECT_EQ(answers[2].id, "first");
    EXPECT_EQ(answers[3].verdict, Reserved::conflict);
    EXPECT_EQ(h.out.answers_of<AppendAnswer>().at(0).verdict, Verdict::conflict);
    EXPECT_EQ(h.log.figures().waiting, 0u);
}

TEST_P(LogContract, RefusedReservationLetsTheNextOneInLineTry) {
    Harness h;
    h.ask<ReserveAnswer>(reserve("k", 1, "first"));
    for (uint64_t i = 0; i < 3; ++i) {
        auto request = reserve("k", 2 + i / 2, "later" + std::string(1, static_cast<char>('0' + i)));
        ASSERT_TRUE(h.log.submit(Request(request)));
    }
    ASSERT_TRUE(h.log.submit(Settle{{4, 5}, "k", false}));
    h.run();
    EXPECT_EQ(h.out.all<Ticket>(), (std::vector{Ticket{4, 5}}));
    auto answers = h.out.answers_of<ReserveAnswer>();
    ASSERT_EQ(answers.size(), 2u);
    EXPECT_EQ(answers[1].verdict, Reserved::fresh);
    EXPECT_EQ(answers[1].id, "later0");
    ASSERT_TRUE(h.log.submit(Settle{{}, "k", true}));
    h.run();
    answers = h.out.answers_of<ReserveAnswer>();
    ASSERT_EQ(answers.size(), 4u);
    EXPECT_EQ(answers[2].verdict, Reserved::repeat);
    EXPECT_EQ(answers[2].id, "later0");
    EXPECT_EQ(answers[3].verdict, Reserved::conflict);
}

TEST_P(LogContract, WhoWaitedForAKeyGoesBeforeWhoCameLater) {
    Harness h;
    h.ask<ReserveAnswer>(reserve("k", 1, "first"));
    auto append = Harness::with_key(Harness::message_to({"ada"}, "waited"), "k");
    ASSERT_TRUE(h.log.submit(Request(append)));
    h.run();
    ASSERT_TRUE(h.log.submit(Settle{{}, "k", false}));
    ASSERT_TRUE(h.log.submit(Harness::message_to({"ada"}, "came later")));
    h.run();
    ASSERT_EQ(h.out.publications().size(), 2u);
    EXPECT_EQ(h.out.publications()[0]->message->data, "waited");
}

TEST_P(LogContract, WaitingRequestsCountTowardsTheBoundAndASettleIsAlwaysTaken) {
    Harness h({.queue_max = 3});
    h.ask<ReserveAnswer>(reserve("k", 1));
    for (int i = 0; i < 3; ++i) {
        ASSERT_TRUE(h.log.submit(Request(reserve("k", 1))));
        h.run();
    }
    EXPECT_FALSE(h.log.submit(Request(reserve("k", 1))));
    EXPECT_TRUE(h.log.submit(Settle{{}, "k", true}));
    h.run();
    EXPECT_TRUE(h.log.submit(Request(reserve("k", 1))));
}

TEST_P(LogContract, UnsettledKeyDoesNotExpire) {
    Harness h;
    h.ask<ReserveAnswer>(reserve("k", 1));
    h.now += hours(100);
    ASSERT_TRUE(h.log.submit(Request(reserve("k", 1))));
    h.run();
    EXPECT_EQ(h.log.figures().waiting, 1u);
    ASSERT_TRUE(h.log.submit(Settle{{}, "k", true}));
    h.run();
    EXPECT_EQ(h.out.answers_of<ReserveAnswer>().back().verdict, Reserved::repeat);
}

// ---- read state ---------------------------------------------------------------------------------

TEST_P(LogContract, MarkingReadTellsEveryCoreOnce) {
    Harness h;
    h.notify("ada", "n1");
    h.notify("ada", "n2");
    auto const first = h.mark("ada", "n1", MarkOrigin(42));
    EXPECT_TRUE(first.found);
    EXPECT_FALSE(first.was_read);
    EXPECT_EQ(first.offset, 3u);
    EXPECT_EQ(first.unread_count, 1u);
    ASSERT_EQ(h.out.marks().size(), 1u);
    auto const& mark = *h.out.marks()[0];
    EXPECT_EQ(mark.user.text, "ada");
    EXPECT_EQ(mark.notification_id, "n1");
    EXPECT_EQ(mark.offset, 3u);
    EXPECT_EQ(mark.unread_count, 1u);
    EXPECT_EQ(mark.origin, MarkOrigin(42));
    EXPECT_EQ(h.since("ada", 2).records.at(0).origin, MarkOrigin(42)) << "the log says whose mark it is";
    auto const again = h.mark("ada", "n1");
    EXPECT_TRUE(again.found);
    EXPECT_TRUE(again.was_read);
    EXPECT_EQ(again.unread_count, 1u);
    EXPECT_EQ(h.out.marks().size(), 1u);
}

TEST_P(LogContract, AnotherUsersNotificationIsNotFound) {
    Harness h;
    h.notify("ada", "n1");
    EXPECT_FALSE(h.mark("grace", "n1").found);
    EXPECT_FALSE(h.mark("ada", "n2").found);
    EXPECT_FALSE(h.remove("grace", "n1").found);
    EXPECT_EQ(h.unread("ada"), 1u);
    EXPECT_TRUE(h.out.marks().empty());
}

TEST_P(LogContract, ReadAllMarksWhatIsUnreadAndMakesOneRecord) {
    Harness h;
    for (auto id : {"a", "b", "c"})
        h.notify("ada", id);
    h.mark("ada", "b");
    auto const done = h.read_all("ada");
    EXPECT_EQ(done.marked, 2u);
    EXPECT_EQ(done.unread_count, 0u);
    ASSERT_EQ(h.out.marks().size(), 2u);
    EXPECT_TRUE(h.out.marks()[1]->all);
    EXPECT_EQ(h.out.marks()[1]->offset, done.offset);
    EXPECT_EQ(h.since("ada", 3).records.size(), 2u);
    EXPECT_TRUE(h.since("ada", 4).records[0].all);
    EXPECT_EQ(h.read_all("ada").marked, 0u);
    EXPECT_EQ(h.read_all("nobody").marked, 0u);
    EXPECT_EQ(h.out.marks().size(), 2u);
}

TEST_P(LogContract, RemovingAnUnreadOneLowersTheCount) {
    Harness h;
    h.notify("ada", "a");
    h.notify("ada", "b");
    h.mark("ada", "a");
    EXPECT_EQ(h.remove("ada", "a").unread_count, 1u);
    EXPECT_EQ(h.remove("ada", "b").unread_count, 0u);
    EXPECT_FALSE(h.remove("ada", "b").found);
    EXPECT_FALSE(h.since("ada", 0).gap);  // what was deleted is not missing
}

TEST_P(LogContract, ListsNewestFirstInPages) {
    Harness h;
    for (int i = 0; i < 10; ++i)
        h.notify("ada", std::to_string(i));
    h.send("ada");
    for (auto id : {"2", "5"})
        h.mark("ada", id);
    auto page = h.list("ada", {}, 4);
    EXPECT_EQ(offsets(page.notifications), (Offsets{10, 9, 8, 7}));
    EXPECT_EQ(page.next, 7u);
    EXPECT_EQ(page.unread_count, 8u);
    page = h.list("ada", {}, 4, page.next);
    EXPECT_EQ(offsets(page.notifications), (Offsets{6, 5, 4, 3}));
    EXPECT_TRUE(page.notifications[0].read);
    page = h.list("ada", {}, 2, page.next);
    EXPECT_EQ(offsets(page.notifications), (Offsets{2, 1}));
    EXPECT_EQ(page.next, 0u);  // exactly the last
    page = h.list("ada", true, 1);
    EXPECT_EQ(offsets(page.notifications), (Offsets{6}));
    EXPECT_EQ(page.next, 6u);
    page = h.list("ada", true, 1, 6);
    EXPECT_EQ(offsets(page.notifications), (Offsets{3}));
    EXPECT_EQ(page.next, 0u);
    EXPECT_EQ(h.list("ada", false).notifications.size(), 8u);
    EXPECT_TRUE(h.list("nobody").notifications.empty());
}

// ---- an own time, and erasing -------------------------------------------------------------------

Append with_ttl(Append append, Duration ttl) {
    append.ttl = ttl;
    return append;
}

TEST_P(LogContract, WhatHasOutlivedItsOwnTimeIsNeitherReplayedNorListedNorMissing) {
    Harness h;
    h.append(with_ttl(Harness::message_to({"ada", "grace"}, "{}", "short"), seconds(10)));
    h.append(with_ttl(Harness::message_to({"ada"}, "{}", "long"), seconds(20)));
    h.append(with_ttl(Harness::message_to({"ada"}, "{}"), seconds(10)));
    h.notify("ada", "kept");
    h.now += seconds(10) - Duration(1);
    EXPECT_EQ(h.since("ada", 0).records.size(), 4u);
    EXPECT_EQ(h.unread("ada"), 3u);
    h.now += Duration(1);
    auto const answer = h.since("ada", 0);
    EXPECT_EQ(offsets(answer.records), (Offsets{3, 5}));
    EXPECT_FALSE(answer.gap);
    EXPECT_EQ(answer.unread_count, 2u);
    EXPECT_EQ(h.list("ada").notifications.size(), 2u);
    EXPECT_EQ(h.unread("grace"), 0u);
    EXPECT_FALSE(h.mark("ada", "short").found);
    EXPECT_FALSE(h.notify("ada", "short", "another").duplicate);
}

TEST_P(LogContract, WhatHasOutlivedItsOwnTimeIsSweptAway) {
    Harness h({.sweep_per_step = 2});
    for (int i = 0; i < 5; ++i) {
        h.append(with_ttl(Harness::message_to({"ada", "grace"}, "{}", std::to_string(i)), minutes(1 + i)));
        h.append(with_ttl(Harness::message_to({"ada"}, "{}"), minutes(1 + i)));
    }
    h.notify("ada", "kept");
    h.now += minutes(4);
    h.run();
    EXPECT_EQ(h.log.figures().notifications, 3u);
    EXPECT_EQ(h.log.figures().messages, 1u);
    h.now += minutes(2);
    h.run();
    EXPECT_EQ(h.log.figures().notifications, 1u);
    EXPECT_EQ(h.log.figures().messages, 0u);
    EXPECT_FALSE(h.since("ada", 0).gap);
}

TEST_P(LogContract, WhoWritesInTheSameBatchToSomebodyWhoIsErasedWritesToSomebodyNew) {
    Harness h;
    h.notify("ada", "n1");
    ASSERT_TRUE(h.log.submit(Harness::message_to({"ada"}, "{}", "n2")));
    ASSERT_TRUE(h.log.submit(Erase{{}, UserId{"ada"}}));
    ASSERT_TRUE(h.log.submit(Harness::message_to({"ada"}, "{}", "n1")));  // not known any more
    h.run();
    EXPECT_EQ(h.unread("ada"), 1u);
    auto const kept = h.list("ada").notifications;
    ASSERT_EQ(kept.size(), 1u);
    EXPECT_EQ(kept[0].offset, 3u);
    EXPECT_EQ(kept[0].message->notification_id, "n1");
    EXPECT_EQ(h.log.figures().users, 1u);
}

TEST_P(LogContract, AnErasedUserIsNobody) {
    Harness h;
    h.notify("ada", "n1");
    h.notify("ada", "n2");
    h.append(Harness::with_key(Harness::message_to({"ada"}, "{}"), "hers"));
    h.append(Harness::with_key(Harness::message_to({"ada", "grace"}, "{}"), "both"));
    h.mark("ada", "n1");
    auto const erased = h.ask<EraseAnswer>(Erase{{}, UserId{"ada"}});
    EXPECT_EQ(erased.notifications, 2u);
    EXPECT_EQ(erased.messages, 2u);
    EXPECT_EQ(erased.marks, 1u);
    EXPECT_EQ(erased.keys, 1u);
    EXPECT_EQ(h.log.figures().users, 1u);
    EXPECT_EQ(h.log.figures().notifications, 0u);
    EXPECT_EQ(h.log.figures().messages, 1u);
    EXPECT_EQ(h.log.figures().keys, 1u);
    EXPECT_EQ(h.since("grace", 0).records.size(), 1u);
    EXPECT_TRUE(h.since("ada", 0).records.empty());
    EXPECT_TRUE(h.since("ada", 3).gap);
    EXPECT_FALSE(h.mark("ada", "n2").found);
    EXPECT_EQ(h.send("ada").offset, 7u);  // not one that was hers
    EXPECT_TRUE(h.since("ada", 3).gap);
    EXPECT_EQ(h.ask<EraseAnswer>(Erase{{}, UserId{"nobody"}}).messages, 0u);
}

// ---- retention ----------------------------------------------------------------------------------

TEST_P(LogContract, KeepsNotificationsAndOtherMessagesApartEachUpToTheLimit) {
    Harness h({.notifications_per_user = 3});
    for (int i = 0; i < 3; ++i)
        h.notify("ada", std::to_string(i));
    for (int i = 0; i < 3; ++i)
        h.send("ada");
    EXPECT_EQ(h.since("ada", 0).records.size(), 6u);
    EXPECT_FALSE(h.since("ada", 0).gap);
    h.notify("ada", "3");
    EXPECT_EQ(offsets(h.since("ada", 0).records), (Offsets{2, 3, 4, 5, 6, 7}));
    EXPECT_EQ(h.unread("ada"), 3u);
    EXPECT_FALSE(h.mark("ada", "0").found);
}

TEST_P(LogContract, ExpiresByAgeAtOnceEvenBeforeTheSweepComes) {
    Harness h({.retention = hours(10), .sweep_per_step = 1});
    h.notify("ada", "old");
    h.send("ada");
    h.now += hours(1);
    h.notify("ada", "new");
    h.now += hours(9) - Duration(1);
    EXPECT_EQ(h.since("ada", 0).records.size(), 3u);
    h.now += Duration(1);
    auto const answer = h.since("ada", 0);
    EXPECT_EQ(offsets(answer.records), (Offsets{3}));
    EXPECT_TRUE(answer.gap);
    EXPECT_FALSE(h.since("ada", 2).gap);
    EXPECT_EQ(answer.unread_count, 1u);
    EXPECT_FALSE(h.mark("ada", "old").found);
    EXPECT_FALSE(h.notify("ada", "old", "other").duplicate);
}

TEST_P(LogContract, AUserWhoseLogExpiredEntirelyHasAGapWhenItStartsAnew) {
    Harness h({.retention = hours(10)});
    h.send("ada");
    h.send("ada");
    h.now += hours(10);
    h.run();
    EXPECT_EQ(h.log.figures().users, 0u);
    h.send("ada");
    EXPECT_TRUE(h.since("ada", 1).gap);
    EXPECT_FALSE(h.since("ada", 2).gap);
    EXPECT_FALSE(h.since("ada", 3).gap);
    h.send("grace");
    EXPECT_FALSE(h.since("grace", 0).gap);
}

TEST_P(LogContract, SurvivesADateThatJumpsBack) {
    Harness h({.retention = hours(10)});
    h.send("ada");
    h.now -= hours(1'000);
    h.send("ada");
    EXPECT_EQ(h.since("ada", 0).records.size(), 2u);
    h.now += hours(2'000);
    h.run();
    EXPECT_EQ(h.log.figures().users, 0u);
}

TEST(Offset, ReadsEpochThenNumber) {
    EXPECT_EQ(format_offset("k3x9", 0), "k3x9-0");
    EXPECT_EQ(format_offset("k3x9", UINT64_MAX), "k3x9-18446744073709551615");
}

}  // namespace
}  // namespace rc::store
