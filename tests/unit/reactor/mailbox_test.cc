#include "ringcast/reactor/mailbox.h"

#include <gtest/gtest.h>

#include <random>
#include <thread>

namespace rc::reactor {
namespace {

Mail numbered(uint64_t number) {
    return Mail::make(1, number);
}

TEST(Mailbox, IsInvisibleUntilItIsHandedOver) {
    Mailbox box(4);
    EXPECT_FALSE(box.hand_over());
    box.push(numbered(7));
    EXPECT_FALSE(box.has_mail());
    EXPECT_EQ(box.front(), nullptr);
    EXPECT_TRUE(box.hand_over());
    EXPECT_FALSE(box.hand_over());
    EXPECT_TRUE(box.has_mail());
    ASSERT_NE(box.front(), nullptr);
    EXPECT_EQ(box.front()->as<uint64_t>(), 7U);
}

TEST(Mailbox, APlaceIsFreeAgainWhenItsReleaseWasCalled) {
    Mailbox box(4);
    for (uint64_t i = 0; i < 4; ++i)
        box.push(numbered(i));
    EXPECT_EQ(box.free_places(), 0U);
    box.hand_over();
    for (int i = 0; i < 3; ++i) {
        ASSERT_NE(box.front(), nullptr);
        box.pop();
    }
    EXPECT_EQ(box.free_places(), 0U);
    box.release();
    EXPECT_EQ(box.free_places(), 3U);
}

TEST(MailboxDeathTest, APushWithoutAPlaceStopsTheProcess) {
    Mailbox box(4);
    for (uint64_t i = 0; i < 4; ++i)
        box.push(numbered(i));
    EXPECT_DEATH(box.push(numbered(4)), "free_places");
}

// The positions are 32 bits wide and go round.
TEST(Mailbox, KeepsItsOrderOverManyRounds) {
    Mailbox box(8);
    std::mt19937_64 random(1);
    uint64_t sent = 0, taken = 0;
    while (taken < 100'000) {
        for (uint64_t n = random() % (box.free_places() + 1); n > 0; --n)
            box.push(numbered(sent++));
        box.hand_over();
        for (uint64_t n = random() % 9; n > 0 && box.front(); --n) {
            ASSERT_EQ(box.front()->as<uint64_t>(), taken++);
            box.pop();
        }
        if (random() % 2) box.release();
    }
}

TEST(Mailbox, CarriesEveryMailInOrderBetweenTwoThreads) {
    constexpr uint64_t kMails = 200'000;
    Mailbox box(16);
    std::thread producer([&box] {
        std::mt19937_64 random(2);
        for (uint64_t sent = 0; sent < kMails;) {
            uint64_t free = box.free_places();
            if (free == 0) {
                std::this_thread::yield();
                continue;
            }
            for (uint64_t n = 1 + random() % free; n > 0 && sent < kMails; --n)
                box.push(numbered(sent++));
            box.hand_over();
        }
    });
    std::mt19937_64 random(3);
    uint64_t wrong = 0;
    for (uint64_t taken = 0; taken < kMails;) {
        for (uint64_t n = 1 + random() % 20; n > 0 && taken < kMails; --n) {
            const Mail* mail = box.front();
            if (!mail) {
                std::this_thread::yield();
                break;
            }
            wrong += mail->as<uint64_t>() != taken++;
            box.pop();
        }
        box.release();
    }
    producer.join();
    EXPECT_EQ(wrong, 0U);
    EXPECT_FALSE(box.has_mail());
}

}  // namespace
}  // namespace rc::reactor
