#include "ringcast/base/pages.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "../../../src/hub/subscriber_list.h"
#include "ringcast/hub/shard.h"

namespace rc::hub {
namespace {

TEST(Pages, GivesPagesBackWhenTheirLastEntryIsReleased) {
    Pages<uint64_t> pages;
    std::vector<uint32_t> held;
    for (int i = 0; i < 10'000; ++i)
        held.push_back(pages.acquire());
    EXPECT_EQ(std::set<uint32_t>(held.begin(), held.end()).size(), held.size());
    EXPECT_EQ(pages.pages(), 10U);
    std::shuffle(held.begin(), held.end(), std::mt19937(1));
    for (auto index : held)
        pages.release(index);
    EXPECT_EQ(pages.held(), 0U);
    EXPECT_EQ(pages.pages(), 1U) << "one is kept";
}

TEST(Pages, FillsLowPagesFirstSoThatHighOnesEmpty) {
    Pages<uint64_t> pages;
    for (int i = 0; i < 4096; ++i)
        pages.acquire();
    for (uint32_t index : {4095U, 2048U, 7U, 1030U})
        pages.release(index);
    for (uint32_t index : {7U, 1030U, 2048U, 4095U, 4096U})
        EXPECT_EQ(pages.acquire(), index);
}

TEST(Pages, AnEntryThatIsHeldKeepsItsAddressAndItsValue) {
    std::mt19937 chance(2);
    Pages<uint64_t> pages;
    std::vector<std::pair<uint32_t, uint64_t*>> held;
    for (int i = 0; i < 200'000; ++i) {
        // Up to some thousands and down again, several times.
        bool const grows = (i / 20'000) % 2 == 0;
        if (held.empty() || (chance() % 8 < 5) == grows) {
            uint32_t const index = pages.acquire();
            pages[index] = index;
            held.emplace_back(index, &pages[index]);
        } else {
            std::swap(held[chance() % held.size()], held.back());
            auto const [index, address] = held.back();
            ASSERT_EQ(&pages[index], address);
            ASSERT_EQ(*address, index);
            held.pop_back();
            pages.release(index);
        }
        ASSERT_EQ(pages.held(), held.size());
    }
}

TEST(Pages, TheEdgeOfAPageDoesNotAllocateAtEachStep) {
    Pages<uint64_t> pages;
    for (int i = 0; i < 1024; ++i)
        pages.acquire();
    uint32_t const first = pages.acquire();
    auto* const address = &pages[first];
    for (int i = 0; i < 10; ++i) {
        pages.release(first);
        EXPECT_EQ(pages.pages(), 2U);
        EXPECT_EQ(pages.acquire(), first);
        EXPECT_EQ(&pages[first], address);
    }
}

TEST(SubscriberListMemory, ShrinksWhenACrowdLeaves) {
    SubscriberList list;
    for (uint32_t i = 0; i < 100'000; ++i)
        list.add(i);
    list.begin_fanout();
    while (list.size() > 1'000)
        list.remove(0, [](uint32_t, uint32_t) {});
    EXPECT_LE(list.capacity(), 8 * list.size());
    std::set<uint32_t> left;
    while (list.left() > 0)
        left.insert(list.next());
    EXPECT_EQ(left.size(), 1'000U);
}

// In whose order: 0, 1, 2 and so on, and then `leave` leave of them.
SubscriberList thinned(uint32_t count, uint32_t leave) {
    SubscriberList list;
    for (uint32_t i = 0; i < count; ++i)
        list.add(i);
    EXPECT_FALSE(list.sort_due()) << "who come in order stand in order";
    while (leave-- > 0)
        list.remove(0, [](uint32_t, uint32_t) {});
    return list;
}

TEST(SubscriberListOrder, IsDueWhenATenthWasDisplacedAndThenNoMore) {
    EXPECT_FALSE(thinned(1'100, 100).sort_due());
    auto list = thinned(1'101, 101);
    ASSERT_TRUE(list.sort_due());
    list.begin_fanout();
    EXPECT_FALSE(list.sort_due()) << "while a fan-out is under way";
    while (list.left() > 0)
        list.next();
    list.end_fanout();
    ASSERT_TRUE(list.sort_due());
    std::vector<uint32_t> place(1'101, UINT32_MAX);
    for (uint32_t i = 0; i < list.size(); ++i)
        place[list.slot(i)] = i;
    list.sort([&](uint32_t slot, uint32_t index) { place[slot] = index; });
    EXPECT_FALSE(list.sort_due());
    for (uint32_t i = 0; i < list.size(); ++i) {
        EXPECT_EQ(place[list.slot(i)], i);
        EXPECT_TRUE(i == 0 || list.slot(i - 1) < list.slot(i));
    }
}

TEST(SubscriberListOrder, NeitherAShortListNorOneThatWouldTakeLongIsSorted) {
    EXPECT_FALSE(thinned(400, 145).sort_due());
    EXPECT_TRUE(thinned(400, 144).sort_due());
    EXPECT_TRUE(thinned(20'000, 20'000 - 16'384).sort_due());
    EXPECT_FALSE(thinned(20'000, 20'000 - 16'385).sort_due());
}

TEST(ShardMemory, NamesAreFoundWhileACrowdOfThemComesAndLeaves) {
    Shard shard{{1, 2}};
    std::mt19937 chance(3);
    constexpr uint32_t kSlots = 300, kEach = 100;
    auto topic = [](uint32_t s, uint32_t t) {
        return "a-topic-of-some-length-" + std::to_string(s * kEach + t);
    };
    auto check = [&](uint32_t s, bool there) {
        for (uint32_t t = 0; t < kEach; ++t)
            ASSERT_EQ(shard.holds(SubscriberSlot(s), topic(s, t)), there) << s << ' ' << t;
        ASSERT_EQ(shard.connections_of(UserId{std::to_string(s)}), there ? 1U : 0U);
    };
    for (int round = 0; round < 2; ++round) {
        std::vector<uint32_t> order;
        for (uint32_t s = 0; s < kSlots; ++s) {
            order.push_back(s);
            shard.set_user(SubscriberSlot(s), UserId{std::to_string(s)});
            for (uint32_t t = 0; t < kEach; ++t)
                shard.subscribe(SubscriberSlot(s), topic(s, t));
        }
        std::shuffle(order.begin(), order.end(), chance);
        for (std::size_t i = 0; i < order.size(); ++i) {
            shard.leave(SubscriberSlot(order[i]));
            check(order[i], false);
            if (i + 1 < order.size())
                check(order[order.size() - 1 - chance() % (order.size() - 1 - i)], true);
        }
        auto const counts = shard.counts();
        EXPECT_EQ(counts.subscriptions + counts.topics + counts.users + counts.subscribers, 0U);
    }
}

}  // namespace
}  // namespace rc::hub
