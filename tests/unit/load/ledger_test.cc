#include "ledger.h"

#include <gtest/gtest.h>

namespace rc::load {
namespace {

constexpr uint32_t kOwn = Ledger::kOwnStream;

/// Two receivers, numbers 10 and 11, of two streams of the topic and one each of their own.
struct Books : ::testing::Test {
    Ledger ledger{10, 2, 2};
    std::vector<uint32_t> shared{0, 0}, own = std::vector<uint32_t>(12);
    Excused excused;
    const Faults& close() {
        ledger.close(shared, own, excused);
        return ledger.faults();
    }
};

TEST_F(Books, AreClearWhenEverythingCameInOrder) {
    shared = {2, 1};
    own[10] = 1;
    for (uint32_t receiver : {0U, 1U}) {
        ledger.take(receiver, 0, 0);
        ledger.take(receiver, 1, 0);
        ledger.take(receiver, 0, 1);
    }
    ledger.take(0, kOwn + 10, 0);
    EXPECT_EQ(close().count(), 0U);
    EXPECT_TRUE(close().named.empty());
    EXPECT_EQ(ledger.order_of(0), ledger.order_of(1));
}

TEST_F(Books, NameWhatIsMissingInTheMiddleAndAtTheEnd) {
    shared = {4, 0};
    own[11] = 1;
    for (uint32_t seq : {0U, 1U, 2U, 3U})
        ledger.take(0, 0, seq);
    for (uint32_t seq : {0U, 2U})
        ledger.take(1, 0, seq);
    EXPECT_EQ(close().missing, 3U);
    EXPECT_EQ(close().count(), 3U) << "once is enough";
    EXPECT_EQ(close().named,
              (std::vector<std::string>{"client 11: message 1 of publisher 0 to the topic never came",
                                        "client 11: message 3 of publisher 0 to the topic never came",
                                        "client 11: message 0 to user 11 never came"}));
    EXPECT_TRUE(ledger.intact(0));
    EXPECT_FALSE(ledger.intact(1));
}

TEST_F(Books, TellTheDoubledFromTheLate) {
    shared = {5, 0};
    for (uint32_t seq : {0U, 3U, 1U, 1U, 4U, 2U, 4U})
        ledger.take(0, 0, seq);
    for (uint32_t seq : {0U, 1U, 2U, 3U, 4U})
        ledger.take(1, 0, seq);
    EXPECT_EQ(close().missing, 0U);
    EXPECT_EQ(close().reordered, 2U) << "1 and 2 came behind 3";
    EXPECT_EQ(close().doubled, 2U) << "1 and 4";
    EXPECT_EQ(close().named.size(), 4U);
}

TEST_F(Books, KnowWhatWasNotMeantForAReceiver) {
    own[11] = 1;
    ledger.take(0, kOwn + 11, 0);
    ledger.take(1, 7, 0);
    ledger.take(1, kOwn + 11, 0);
    EXPECT_EQ(close().stray, 2U);
    EXPECT_EQ(close().count(), 2U);
}

TEST_F(Books, DoNotAskForWhatWasRefused) {
    shared = {3, 0};
    excused[0] = {1};
    for (uint32_t receiver : {0U, 1U})
        for (uint32_t seq : {0U, 2U})
            ledger.take(receiver, 0, seq);
    EXPECT_EQ(close().count(), 0U);
}

TEST_F(Books, ShowThatReceiversHadTheTopicInOtherOrders) {
    shared = {1, 1};
    ledger.take(0, 0, 0);
    ledger.take(0, 1, 0);
    ledger.take(1, 1, 0);
    ledger.take(1, 0, 0);
    EXPECT_EQ(close().count(), 0U) << "each stream by itself is in order";
    EXPECT_NE(ledger.order_of(0), ledger.order_of(1));
}

TEST(Faults, NameOnlyTheFirst) {
    Faults faults, more;
    for (int i = 0; i < 15; ++i) {
        faults.name("a");
        more.name("b");
    }
    faults.merge(more);
    EXPECT_EQ(faults.named.size(), Faults::kNamedMax);
    EXPECT_EQ(faults.named.back(), "b");
}

}  // namespace
}  // namespace rc::load
