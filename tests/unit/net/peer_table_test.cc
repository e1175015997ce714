#include <gtest/gtest.h>

#include "ringcast/net/peer_address.h"

namespace rc::net {
namespace {

TEST(PeerTable, KeepsEveryKindOfAddress) {
    auto const v4 = PeerAddress::from(Address::v4({192, 0, 2, 7}, 4711));
    auto const v6 =
        PeerAddress::from(Address::v6({0x20, 1, 0xd, 0xb8, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}, 65535));
    PeerAddress const none{.family = 1};
    PeerTable table;
    for (const auto& address : {v4, v6, none, PeerAddress{}}) {
        for (uint32_t slot : {0U, 1U, 1023U, 1024U, 5000U})
            EXPECT_EQ(table.get(slot, table.put(slot, address)), address);
    }
}

TEST(PeerTable, ASlotsNextPeerTakesThePlaceOfItsLast) {
    PeerTable table;
    auto const first = PeerAddress::from(Address::v6({0x20, 1}, 1)),
               second = PeerAddress::from(Address::v6({0x20, 2}, 2));
    auto const beside = table.put(4, first);
    static_cast<void>(table.put(3, first));
    EXPECT_EQ(table.get(3, table.put(3, second)), second);
    EXPECT_EQ(table.get(4, beside), first);
}

static_assert(sizeof(PackedPeer) == 8);

}  // namespace
}  // namespace rc::net
