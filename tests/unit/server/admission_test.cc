#include "../../../src/server/admission.h"

#include <gtest/gtest.h>

#include <set>
#include <vector>

namespace rc::server {
namespace {

constexpr uint32_t kBurst = 64;

using Place = Admission::Place;

struct Table {
    explicit Table(uint64_t slots) : admission(slots, kBurst) {}
    net::StreamHandle come() {
        net::StreamHandle const handle{next++, 1};
        admission.came(handle, now);
        hanging.insert(handle.slot);
        return handle;
    }
    void come(int count) {
        while (count-- > 0)
            come();
    }
    void open(net::StreamHandle handle) {
        hanging.erase(handle.slot);
        admission.opened();
    }
    // All that give way now, by slot.
    std::vector<uint32_t> give_way() {
        std::vector<uint32_t> out;
        auto const hangs = [this](auto handle) { return hanging.count(handle.slot) > 0; };
        while (auto const who = admission.gives_way(now, hangs)) {
            out.push_back(who->slot);
            hanging.erase(who->slot);
        }
        return out;
    }
    Admission admission;
    MonoTime now{hours(1)};
    std::set<uint32_t> hanging;
    uint32_t next = 0;
};

TEST(Admission, HandshakesMayHoldAFifthOfTheTable) {
    Table table(1000);
    table.come(200);
    table.now += seconds(9);
    EXPECT_TRUE(table.give_way().empty());
    table.come(3);
    EXPECT_EQ(table.give_way(), (std::vector<uint32_t>{0, 1, 2})) << "the oldest";
    EXPECT_FALSE(table.admission.crowded()) << "before their sockets have closed";
}

TEST(Admission, ClientsAreWhoHasOpenedUntilTheirSocketsHaveClosed) {
    Table table(1000);
    auto const client = table.come();
    table.come(202);
    EXPECT_EQ(table.admission.clients(), 0U);
    table.open(client);
    EXPECT_EQ(table.admission.clients(), 1U);
    table.now += seconds(9);
    EXPECT_EQ(table.give_way().size(), 2U);
    EXPECT_EQ(table.admission.clients(), 1U);
    table.admission.left(Place::dropped);
    table.admission.left(Place::handshake);
    EXPECT_EQ(table.admission.clients(), 1U);
    table.admission.left(Place::client);
    EXPECT_EQ(table.admission.clients(), 0U);
}

TEST(Admission, AHandshakeHasASecondBeforeItGivesWay) {
    Table table(1000);
    table.come(300);
    EXPECT_TRUE(table.admission.crowded());
    table.now += seconds(1) - Duration(1);
    EXPECT_TRUE(table.give_way().empty());
    EXPECT_EQ(table.admission.next_due(), table.now + Duration(1));
    table.now += Duration(1);
    EXPECT_EQ(table.give_way().size(), 100U);
}

TEST(Admission, WhoHasFinishedItsHandshakeNeverGivesWay) {
    Table table(1000);
    for (int i = 0; i < 500; ++i) {
        auto const handle = table.come();
        if (i % 2 == 0) table.open(handle);
    }
    table.now += seconds(2);
    auto const gone = table.give_way();
    EXPECT_EQ(gone.size(), 50U);
    for (auto slot : gone)
        EXPECT_EQ(slot % 2, 1U);
}

TEST(Admission, FullBeforeItIsExhausted) {
    Table table(10000);  // 200 places are kept, and 200 more for answers
    for (int i = 0; i < 9599; ++i)
        table.open(table.come());
    EXPECT_FALSE(table.admission.full());
    table.open(table.come());
    EXPECT_TRUE(table.admission.full());
    EXPECT_FALSE(table.admission.exhausted());
    table.come(199);
    EXPECT_FALSE(table.admission.exhausted());
    table.come();
    EXPECT_TRUE(table.admission.exhausted());
    EXPECT_TRUE(table.give_way().empty()) << "they may have their answers";
    table.now += seconds(1);
    EXPECT_EQ(table.give_way().size(), 200U);
    for (int i = 0; i < 200; ++i)
        table.admission.left(Place::dropped);
    EXPECT_EQ(table.admission.sockets(), 9600U);
    table.admission.left(Place::client);
    EXPECT_FALSE(table.admission.full() || table.admission.exhausted());
}

TEST(Admission, ASmallTableKeepsHalfOfItsPlacesForClients) {
    Table table(100);
    for (int i = 0; i < 50; ++i) {
        EXPECT_FALSE(table.admission.full()) << i;
        table.open(table.come());
    }
    EXPECT_TRUE(table.admission.full());
}

}  // namespace
}  // namespace rc::server
