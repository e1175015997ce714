#include "ringcast/net/stream.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "../../support/fake_core.h"

namespace rc::net {
namespace {

/// Writes down what its stream tells it.
struct Peer final : StreamHandler {
    explicit Peer(test::FakeCore& c) : core(c), stream(c.streams, *this) {}
    void on_bytes(std::string_view bytes) override {
        EXPECT_FALSE(closed);
        EXPECT_FALSE(stream.closing()) << "bytes after begin_close()";
        received += bytes;
        if (close_on_bytes) stream.begin_close();
    }
    void on_end() override {
        ++ends;
        if (close_on_end) stream.begin_close();
    }
    void on_drained() override { ++drains; }
    void on_closed() override {
        EXPECT_FALSE(closed);
        closed = true;
    }
    bool open(Waits waits = Waits::multishot) {
        file = core.ring.open_socket();
        return stream.open(file, waits);
    }
    test::FakeSocket& socket() { return core.ring.socket(file); }
    void queue(std::string_view text) { stream.queue(FrameRef(SharedBytes::copy_of(text))); }

    test::FakeCore& core;
    HeldStream stream;
    io::File file;
    std::string received;
    bool close_on_bytes = false, close_on_end = false;
    uint32_t ends = 0, drains = 0;
    bool closed = false;
};

struct StreamTest : ::testing::Test {
    StreamTest() { EXPECT_TRUE(peer.open()); }
    ~StreamTest() override {
        peer.socket().window = test::FakeSocket::kUnlimited;
        peer.stream.begin_close();
        core.settle();
        EXPECT_TRUE(peer.closed);
        EXPECT_TRUE(peer.socket().closed);
        EXPECT_EQ(core.streams.open_streams(), 0U);
        EXPECT_EQ(core.ring.operations(), 0U);
    }
    test::FakeCore core;
    Peer peer{core};
};

TEST_F(StreamTest, FramesOfOneTurnLeaveInOneSend) {
    for (auto text : {"one ", "two ", "three"})
        peer.queue(text);
    EXPECT_EQ(peer.stream.unsent_frames(), 3U);
    EXPECT_EQ(peer.stream.unsent_bytes(), 13U);
    core.settle();
    EXPECT_EQ(peer.socket().sent, "one two three");
    EXPECT_EQ(peer.socket().sends, 1U);
    EXPECT_EQ(peer.stream.unsent_frames(), 0U);
    EXPECT_EQ(peer.stream.unsent_bytes(), 0U);
    EXPECT_EQ(peer.drains, 1U);
}

TEST_F(StreamTest, MoreFramesThanASendHasPartsLeaveInSeveralSends) {
    std::string all;
    for (uint32_t i = 0; i < 2 * io::kSendPartsMax + 1; ++i) {
        auto const text = std::to_string(i) + ' ';
        peer.queue(text);
        all += text;
    }
    core.settle();
    EXPECT_EQ(peer.socket().sent, all);
    EXPECT_EQ(peer.socket().sends, 3U);
    EXPECT_EQ(peer.drains, 1U);
}

TEST_F(StreamTest, FramesThatAreQueuedDuringASendFollowIt) {
    peer.socket().window = 0;
    peer.queue("first ");
    core.settle();
    peer.queue("second ");
    peer.queue("third");
    core.settle();
    EXPECT_EQ(core.streams.metrics.sends.value(), 1U);
    peer.socket().window = test::FakeSocket::kUnlimited;
    core.settle();
    EXPECT_EQ(peer.socket().sent, "first second third");
    EXPECT_EQ(core.streams.metrics.sends.value(), 2U);
    EXPECT_EQ(core.streams.metrics.frames_out.value(), 3U);
}

TEST(Stream, GoesOnAfterAShortSendOfAnySize) {
    std::string const all = "abcdefghij";
    for (size_t size = 1; size <= all.size(); ++size) {
        test::FakeCore core;
        Peer peer(core);
        ASSERT_TRUE(peer.open());
        peer.socket().send_max = size;
        for (auto text : {"abc", "d", "efg", "hij"})
            peer.queue(text);
        core.settle();
        EXPECT_EQ(peer.socket().sent, all) << size;
        EXPECT_EQ(peer.socket().sends, (all.size() + size - 1) / size);
        EXPECT_EQ(peer.stream.unsent_bytes(), 0U);
        EXPECT_EQ(peer.drains, 1U);
        peer.stream.begin_close();
        core.settle();
    }
}

TEST_F(StreamTest, ASendThatIsInterruptedIsTriedAgain) {
    for (int error : {EAGAIN, EINTR}) {
        peer.socket().send_error = error;
        peer.queue("hello");
        core.settle();
        EXPECT_EQ(peer.socket().take_sent(), "hello");
    }
}

TEST(Stream, ClosesWhenASendFails) {
    test::FakeCore core;
    Peer peer(core);
    ASSERT_TRUE(peer.open());
    peer.socket().send_error = EPIPE;
    peer.queue("hello");
    core.settle();
    EXPECT_TRUE(peer.closed);
    EXPECT_TRUE(peer.socket().closed);
}

TEST_F(StreamTest, ReceivesWhatComesInOrder) {
    peer.socket().deliver_in_pieces("abcdefghij", 3);
    core.settle();
    EXPECT_EQ(peer.received, "abcdefghij");
    EXPECT_EQ(core.streams.metrics.bytes_in.value(), 10U);
}

TEST_F(StreamTest, AReceiveThatEndsWithoutMoreIsStartedAgain) {
    for (int i = 0; i < 3; ++i) {
        peer.socket().end_multishot = true;
        peer.socket().deliver("ab");
        core.settle();
        EXPECT_TRUE(peer.socket().receiving());
    }
    EXPECT_EQ(peer.received, "ababab");
}

TEST_F(StreamTest, AReceiveThatIsInterruptedIsStartedAgain) {
    for (int error : {EAGAIN, EINTR}) {
        peer.socket().receive_error = error;
        core.settle();
        EXPECT_TRUE(peer.socket().receiving());
    }
    peer.socket().deliver("still here");
    core.settle();
    EXPECT_EQ(peer.received, "still here");
}

TEST_F(StreamTest, WithoutAFreeBufferTheBytesComeOnALaterTurn) {
    core.ring.exhaust_buffers(3);
    peer.socket().deliver("late");
    core.settle();
    EXPECT_EQ(peer.received, "late");
    EXPECT_EQ(core.streams.metrics.receive_parked.value(), 3U);
}

// Those whom a poll told of bytes ask for these at once, not for the news again.
TEST(Stream, AsManyTryAgainAsThereAreBuffersAndAtLeastOne) {
    for (uint32_t const buffers : {0U, 1U, 3U}) {
        test::FakeCore core;
        core.ring.set_buffers(buffers);
        std::vector<std::unique_ptr<Peer>> peers;
        for (int i = 0; i < 7; ++i) {
            peers.push_back(std::make_unique<Peer>(core));
            ASSERT_TRUE(peers.back()->open(Waits::poll));
        }
        core.settle();
        for (auto& peer : peers)
            peer->socket().deliver("late");
        core.ring.hold(io::Kind::recv);
        core.settle();
        ASSERT_EQ(core.ring.operations(io::Kind::recv), 7U);
        core.ring.exhaust_buffers(7);
        core.ring.let_go(io::Kind::recv);
        auto const parked = [&] {
            return static_cast<uint32_t>(std::count_if(peers.begin(), peers.end(), [](auto& peer) {
                return peer->stream.receiving() == Stream::Receiving::parked;
            }));
        };
        uint32_t const step = std::max(buffers, 1U);
        core.turn();
        for (uint32_t left = 7 - step;; left -= std::min(left, step)) {
            EXPECT_EQ(parked(), left);
            if (left == 0) break;
            EXPECT_EQ(core.ring.last_wait(), Duration::zero());
            core.turn();
        }
        core.settle();
        for (auto& peer : peers)
            EXPECT_EQ(peer->received, "late");
        EXPECT_EQ(core.streams.metrics.receive_parked.value(), 7U);
        EXPECT_EQ(core.ring.stats().receives, 14U);
        for (auto& peer : peers)
            peer->stream.begin_close();
        core.settle();
    }
}

TEST_F(StreamTest, MayCloseWhileItWaitsForABuffer) {
    core.ring.exhaust_buffers(1);
    peer.socket().deliver("never seen");
    core.turn();  // submits
    core.ring.hold(io::Kind::close);
    core.ring.reap(100);  // the shortage; the stream is parked
    peer.stream.begin_close();
    core.settle();
    EXPECT_FALSE(peer.closed);
    core.ring.let_go(io::Kind::close);
    core.settle();
    EXPECT_TRUE(peer.closed);
    EXPECT_EQ(peer.received, "");
}

TEST(Stream, ReceivesOnceAndNoMoreWhilePaused) {
    test::FakeCore core;
    Peer peer(core);
    ASSERT_TRUE(peer.open(Waits::once));
    peer.stream.pause_receive();
    peer.socket().deliver_in_pieces("abcdef", 2);
    core.settle();
    EXPECT_EQ(peer.received, "ab") << "the one that was in the kernel already";
    EXPECT_FALSE(peer.socket().receiving());
    peer.stream.resume_receive();
    core.settle();
    EXPECT_EQ(peer.received, "abcdef");
    peer.stream.begin_close();
    core.settle();
}

TEST(Stream, MayWaitByAPollAndGetsAllOfIt) {
    test::FakeCore core;
    Peer peer(core);
    ASSERT_TRUE(peer.open(Waits::poll));
    core.settle();
    EXPECT_EQ(core.ring.stats().receives, 0U);
    EXPECT_EQ(peer.stream.receiving(), Stream::Receiving::awaited);
    peer.socket().deliver_in_pieces("abcdef", 2);
    core.settle();
    EXPECT_EQ(peer.received, "abcdef");
    EXPECT_EQ(core.ring.stats().receives, 3U);

    peer.stream.pause_receive();
    peer.socket().deliver("gh");
    core.settle();
    EXPECT_EQ(peer.received, "abcdef");
    peer.stream.resume_receive();
    core.settle();
    EXPECT_EQ(peer.received, "abcdefgh");

    peer.socket().deliver_end();
    core.settle();
    EXPECT_EQ(peer.ends, 1U);
    EXPECT_FALSE(peer.socket().receiving());
    peer.stream.begin_close();
    core.settle();
    EXPECT_TRUE(peer.closed);
}

TEST(Stream, ChangesHowItWaitsAndLosesNothing) {
    for (auto from : {Waits::once, Waits::multishot, Waits::poll}) {
        for (auto to : {Waits::once, Waits::multishot, Waits::poll}) {
            for (bool cancels_lose : {false, true}) {
                test::FakeCore core;
                if (cancels_lose) core.ring.lose_cancels();
                Peer peer(core);
                ASSERT_TRUE(peer.open(from));
                core.turn();
                peer.socket().deliver_in_pieces("abcdef", 2);
                peer.stream.set_waits(to);
                peer.stream.set_waits(from);
                peer.stream.set_waits(to);
                core.settle();
                EXPECT_EQ(peer.received, "abcdef");
                EXPECT_TRUE(peer.socket().receiving());
                auto const receives = core.ring.stats().receives;
                peer.socket().deliver("g");
                core.settle();
                EXPECT_EQ(peer.received, "abcdefg");
                EXPECT_EQ(core.ring.stats().receives, receives + 1);
                peer.stream.begin_close();
                core.settle();
                EXPECT_TRUE(peer.closed);
            }
        }
    }
}

TEST_F(StreamTest, AMultishotReceiveMayPauseToo) {
    peer.stream.pause_receive();
    core.settle();
    EXPECT_FALSE(peer.socket().receiving());
    peer.socket().deliver_in_pieces("abcdef", 2);
    core.settle();
    EXPECT_EQ(peer.received, "");
    peer.stream.resume_receive();
    core.settle();
    EXPECT_EQ(peer.received, "abcdef");
    EXPECT_TRUE(peer.socket().receiving());
}

TEST_F(StreamTest, APauseThatEndsBeforeTheKernelHeardOfItLosesNothing) {
    peer.stream.pause_receive();
    peer.stream.resume_receive();
    peer.socket().deliver_in_pieces("abcdef", 2);
    core.settle();
    EXPECT_EQ(peer.received, "abcdef");
    EXPECT_TRUE(peer.socket().receiving());
}

TEST_F(StreamTest, MayCloseWhilePaused) {
    peer.stream.pause_receive();
    core.settle();
    peer.stream.begin_close();
    core.settle();
    EXPECT_TRUE(peer.closed);
}

TEST_F(StreamTest, TheEndOfThePeersBytesIsToldOnceAndSendingGoesOn) {
    peer.socket().window = 0;
    peer.queue("answer");
    peer.socket().deliver("question");
    peer.socket().deliver_end();
    core.settle();
    EXPECT_EQ(peer.received, "question");
    EXPECT_EQ(peer.ends, 1U);
    EXPECT_TRUE(peer.stream.end_seen());
    EXPECT_FALSE(peer.socket().receiving());
    peer.queue(" and more");
    peer.socket().window = test::FakeSocket::kUnlimited;
    core.settle();
    EXPECT_EQ(peer.socket().sent, "answer and more");
    EXPECT_EQ(peer.ends, 1U);
}

TEST_F(StreamTest, FinishSendsTheFinBehindWhatIsQueued) {
    peer.socket().send_max = 2;
    peer.socket().window = 3;
    peer.queue("abcdef");
    peer.stream.finish();
    peer.queue("dropped");
    core.settle();
    EXPECT_EQ(peer.socket().sent, "abc");
    EXPECT_FALSE(peer.socket().fin_sent);
    peer.socket().window = test::FakeSocket::kUnlimited;
    core.settle();
    EXPECT_EQ(peer.socket().sent, "abcdef");
    EXPECT_TRUE(peer.socket().fin_sent);
    peer.stream.finish();
    peer.socket().deliver("still received");
    core.settle();
    EXPECT_EQ(peer.received, "still received");
}

TEST_F(StreamTest, FinishOfAnEmptyQueueSendsTheFinAtOnce) {
    peer.stream.finish();
    core.settle();
    EXPECT_TRUE(peer.socket().fin_sent);
    EXPECT_FALSE(peer.closed);
}

TEST_F(StreamTest, DropUnsentKeepsWhatTheKernelHas) {
    peer.socket().window = 0;
    peer.queue("lent1 ");
    peer.queue("lent2 ");
    core.settle();
    peer.queue("dropped");
    peer.stream.drop_unsent();
    EXPECT_EQ(peer.stream.unsent_frames(), 2U);
    EXPECT_EQ(peer.stream.unsent_bytes(), 12U);
    peer.queue("last");
    peer.socket().window = test::FakeSocket::kUnlimited;
    core.settle();
    EXPECT_EQ(peer.socket().sent, "lent1 lent2 last");
}

TEST_F(StreamTest, DropUnsentKeepsTheFrameThatIsHalfSent) {
    peer.socket().window = 3;
    peer.socket().send_max = 3;
    peer.queue("abcdef");
    peer.queue("dropped");
    core.turn();  // starts the send
    core.ring.hold(io::Kind::send);
    core.ring.let_go(io::Kind::send);
    core.ring.reap(1);  // half of the first frame is sent, and no send is in flight
    peer.stream.drop_unsent();
    EXPECT_EQ(peer.stream.unsent_frames(), 1U);
    EXPECT_EQ(peer.stream.unsent_bytes(), 3U);
    peer.socket().window = test::FakeSocket::kUnlimited;
    core.settle();
    EXPECT_EQ(peer.socket().sent, "abcdef");
}

TEST_F(StreamTest, DropUnsentBeforeAnySendDropsAll) {
    for (int i = 0; i < 9; ++i)
        peer.queue("x");
    peer.stream.drop_unsent();
    EXPECT_EQ(peer.stream.unsent_frames(), 0U);
    EXPECT_EQ(peer.stream.unsent_bytes(), 0U);
    core.settle();
    EXPECT_EQ(peer.socket().sent, "");
}

TEST_F(StreamTest, IsStalledWhenASendOfAnEarlierTurnStillWaits) {
    peer.socket().window = 0;
    peer.queue("x");
    EXPECT_FALSE(peer.stream.stalled()) << "not in the kernel's hands yet";
    core.turn();
    EXPECT_FALSE(peer.stream.stalled()) << "of this very turn";
    core.turn();
    EXPECT_TRUE(peer.stream.stalled());
    peer.socket().window = test::FakeSocket::kUnlimited;
    core.turn();
    EXPECT_FALSE(peer.stream.stalled());
}

// Receive and send are in the kernel when the stream closes; their last completions come in either order,
// cancelled or with a result, at once or one after the other.
TEST(Stream, JoinsBeforeItClosesInWhateverOrderTheKernelAnswers) {
    for (bool send_first : {false, true}) {
        for (bool too_late : {false, true}) {
            for (bool has_bytes : {false, true}) {
                SCOPED_TRACE(testing::Message() << send_first << too_late << has_bytes);
                test::FakeCore core;
                Peer peer(core);
                ASSERT_TRUE(peer.open());
                if (too_late) core.ring.lose_cancels();
                peer.socket().window = 0;
                peer.queue("abc");
                core.settle();
                core.ring.hold(io::Kind::recv);
                core.ring.hold(io::Kind::send);
                if (has_bytes) {
                    peer.socket().deliver("bytes");
                    peer.socket().window = 2;
                }
                peer.stream.begin_close();
                peer.stream.begin_close();
                peer.queue("nothing");
                core.settle();
                EXPECT_FALSE(peer.socket().closed);
                core.ring.let_go(send_first ? io::Kind::send : io::Kind::recv);
                core.settle();
                EXPECT_FALSE(peer.socket().closed) << "one of them is still in the kernel";
                core.ring.let_go(send_first ? io::Kind::recv : io::Kind::send);
                core.settle();
                EXPECT_TRUE(peer.socket().closed);
                EXPECT_TRUE(peer.closed);
                EXPECT_EQ(peer.received, "");
                EXPECT_EQ(core.streams.open_streams(), 0U);
                EXPECT_EQ(core.ring.operations(), 0U);
            }
        }
    }
}

TEST(Stream, MayCloseFromItsOwnCallbacks) {
    for (bool by_end : {false, true}) {
        for (bool sending : {false, true}) {
            test::FakeCore core;
            Peer peer(core);
            ASSERT_TRUE(peer.open());
            (by_end ? peer.close_on_end : peer.close_on_bytes) = true;
            if (sending) {
                peer.socket().window = 0;
                peer.queue("abc");
                core.settle();
            }
            if (!by_end) peer.socket().deliver_in_pieces("abcdef", 2);
            peer.socket().deliver_end();
            core.settle();
            EXPECT_TRUE(peer.closed);
            EXPECT_EQ(peer.received, by_end ? "" : "ab");
        }
    }
}

TEST(Stream, ClosesWhenThePeerResets) {
    test::FakeCore core;
    Peer peer(core);
    ASSERT_TRUE(peer.open());
    peer.socket().window = 0;
    peer.queue("abc");
    core.settle();
    peer.socket().reset();
    core.settle();
    EXPECT_TRUE(peer.closed);
    EXPECT_EQ(peer.ends, 0U);
}

TEST(Stream, AStreamThatClosesFromAnothersCallbackIsNotFlushed) {
    test::FakeCore core;
    Peer one(core), two(core);
    ASSERT_TRUE(one.open() && two.open());
    one.queue("a");
    two.queue("b");
    two.stream.begin_close();
    core.settle();
    EXPECT_EQ(one.socket().sent, "a");
    EXPECT_EQ(two.socket().sent, "");
    one.stream.begin_close();
    core.settle();
}

TEST(StreamTable, ASlotIsUsedAgainWithTheNextGenerationAndStaleCompletionsAreDropped) {
    test::FakeCore core;
    StreamHandle first;
    {
        Peer peer(core);
        ASSERT_TRUE(peer.open());
        first = peer.stream.handle();
        EXPECT_EQ(core.streams.find(first), &peer.stream);
        peer.stream.begin_close();
        core.settle();
        EXPECT_EQ(core.streams.find(first), nullptr);
    }
    Peer peer(core);
    ASSERT_TRUE(peer.open());
    auto const second = peer.stream.handle();
    EXPECT_EQ(second.slot, first.slot);
    EXPECT_NE(second.generation, first.generation);
    EXPECT_EQ(core.streams.find(first), nullptr);
    core.settle();
    core.ring.complete_stray(
        {.token = {first.slot, first.generation, test::FakeCore::kStreamTable, io::Kind::recv},
         .result = 5,
         .more = true,
         .bytes = "stale"});
    EXPECT_EQ(peer.received, "");
    EXPECT_EQ(core.streams.metrics.stale_completions.value(), 1U);
    peer.stream.begin_close();
    core.settle();
}

TEST(StreamTable, RefusesOneMoreThanItHasSlotsAndTakesAnotherWhenOneIsFree) {
    test::FakeCore core(4096, 2);
    Peer one(core), two(core), three(core);
    ASSERT_TRUE(one.open() && two.open());
    EXPECT_FALSE(three.open());
    EXPECT_EQ(core.streams.open_streams(), 2U);
    one.stream.begin_close();
    EXPECT_FALSE(three.open()) << "its slot is used until the kernel is done with it";
    core.settle();
    EXPECT_TRUE(three.open());
    two.stream.begin_close();
    three.stream.begin_close();
    core.settle();
}

// Whatever happens in whatever order: nothing is sent twice, out of order or after the close, and every
// stream comes to its end.
TEST(Stream, EndsWellUnderChance) {
    for (uint64_t seed = 1; seed <= 300; ++seed) {
        SCOPED_TRACE(seed);
        test::FakeEntropy random(seed);
        test::FakeCore core(8);
        core.ring.shuffle(&random);
        if (random.next() % 2) core.ring.lose_cancels();
        std::vector<std::unique_ptr<Peer>> peers;
        std::vector<std::string> queued(3), delivered(3);
        for (int i = 0; i < 3; ++i) {
            peers.push_back(std::make_unique<Peer>(core));
            ASSERT_TRUE(peers.back()->open(static_cast<Waits>(random.next() % 3)));
            peers.back()->socket().window = 0;
        }
        for (int step = 0; step < 60; ++step) {
            auto const i = random.next() % peers.size();
            auto& peer = *peers[i];
            bool const live = peer.stream.is_open();
            switch (random.next() % 16) {
                case 0:
                case 1:
                case 2:
                    if (live) {
                        auto const text =
                            std::string(1 + random.next() % 20, static_cast<char>('a' + step % 26));
                        peer.queue(text);
                        queued[i] += text;
                    }
                    break;
                case 3: peer.socket().window = random.next() % 30; break;
                case 4: peer.socket().send_max = 1 + random.next() % 10; break;
                case 5: peer.socket().send_error = random.next() % 2 ? EAGAIN : EINTR; break;
                case 6:
                case 7: {
                    auto const text = std::string(1 + random.next() % 20, static_cast<char>('A' + step % 26));
                    peer.socket().deliver(text);
                    delivered[i] += text;
                    break;
                }
                case 8: core.ring.exhaust_buffers(static_cast<uint32_t>(random.next() % 3)); break;
                case 9: peer.socket().end_multishot = true; break;
                case 10: peer.socket().receive_error = ECANCELED; break;
                case 11:
                    if (random.next() % 8 == 0) peer.stream.begin_close();
                    break;
                case 12: peer.stream.pause_receive(); break;
                case 13: peer.stream.resume_receive(); break;
                case 14: peer.stream.set_waits(static_cast<Waits>(random.next() % 3)); break;
                default: core.turn(); break;
            }
        }
        core.ring.exhaust_buffers(0);
        for (int i = 0; i < 3; ++i) {
            auto& peer = *peers[static_cast<size_t>(i)];
            auto& socket = peer.socket();
            socket.window = test::FakeSocket::kUnlimited;
            socket.deliver_end();
            peer.stream.resume_receive();
            if (peer.stream.is_open()) peer.stream.finish();
        }
        core.settle();
        for (size_t i = 0; i < 3; ++i) {
            auto& peer = *peers[i];
            if (peer.stream.is_open()) {
                EXPECT_EQ(peer.socket().sent, queued[i]);
                EXPECT_EQ(peer.received, delivered[i]);
                EXPECT_TRUE(peer.socket().fin_sent);
                EXPECT_EQ(peer.ends, 1U);
            } else {
                EXPECT_TRUE(queued[i].starts_with(peer.socket().sent));
                EXPECT_TRUE(delivered[i].starts_with(peer.received));
            }
            peer.stream.begin_close();
        }
        core.settle();
        for (auto& peer : peers)
            EXPECT_TRUE(peer->closed);
        EXPECT_EQ(core.streams.open_streams(), 0U);
        EXPECT_EQ(core.ring.operations(), 0U);
        core.ring.shuffle(nullptr);
    }
}

TEST(FrameQueue, KeepsItsOrderThroughEveryWidth) {
    FrameQueue queue;
    test::FakeEntropy random(9);
    std::deque<std::string> model;
    uint32_t frames = 0;
    for (int i = 0; i < 20'000; ++i) {
        switch (random.next() % (i % 100 < 50 ? 5 : 3)) {
            case 0:
                if (!model.empty()) {
                    frames -= queue.at(0).frames();
                    queue.pop();
                    model.pop_front();
                }
                break;
            case 1:
                if (!model.empty()) {
                    frames -= queue.at(queue.count() - 1).frames();
                    queue.pop_last();
                    model.pop_back();
                }
                break;
            default: {
                auto const text = std::to_string(i);
                auto const several = 1 + static_cast<uint32_t>(random.next() % 3);
                queue.push(FrameRef(SharedBytes::copy_of(text), several));
                model.push_back(text);
                frames += several;
                break;
            }
        }
        ASSERT_EQ(queue.count(), model.size());
        ASSERT_EQ(queue.frames(), frames);
        ASSERT_EQ(queue.empty(), model.empty());
        if (model.empty()) continue;
        ASSERT_EQ(queue.at(0).view(), model.front());
        ASSERT_EQ(queue.at(queue.count() - 1).view(), model.back());
    }
}

}  // namespace
}  // namespace rc::net
