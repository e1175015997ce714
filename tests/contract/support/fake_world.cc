#include <map>

#include "../../support/fake_ring.h"
#include "world.h"

namespace rc::contract {
namespace {

constexpr std::size_t kWindowBytes = 8'192;

class FakePeer final : public Peer {
  public:
    FakePeer(test::FakeSocket& socket, Address address) : socket_(socket), address_(std::move(address)) {
        socket_.window = kWindowBytes;
    }
    void deliver(std::string_view bytes) override { socket_.deliver(bytes); }
    void end() override { socket_.deliver_end(); }
    void hang_up() override { socket_.hang_up(); }
    void reset() override { socket_.reset(); }
    void vanish() override { socket_.time_out(); }
    std::string take() override {
        auto taken = socket_.take_sent();
        socket_.window += taken.size();
        return taken;
    }
    bool sees_end() override { return socket_.sent.empty() && (socket_.fin_sent || socket_.closed); }
    [[nodiscard]] Address address() const override { return address_; }

  private:
    test::FakeSocket& socket_;
    Address address_;
};

class FakeSleeper final : public Sleeper {
  public:
    io::Ring& ring() override { return ring_; }
    void begin_wait() override {}
    bool woken() override {
        ring_.submit_and_wait(seconds(60));
        return ring_.woken();
    }
    void reap() override { ring_.reap(1'000); }

  private:
    test::FakeRing ring_;
};

class FakeWorld final : public World {
  public:
    FakeWorld(const WorldOptions& options, bool shuffled, bool late_cancels) : ring_(options.buffer_bytes) {
        ring_.set_direct_slots(options.direct_files);
        ring_.set_submissions(options.submissions);
        ring_.allow_closed_files();
        if (shuffled) ring_.shuffle(&chance_);
        if (late_cancels) ring_.lose_cancels();
    }
    io::Ring& ring() override { return ring_; }
    int listener(Listener which) override { return 10 + static_cast<int>(which); }
    std::unique_ptr<Peer> knock(Listener which) override {
        auto const port = static_cast<uint16_t>(40'000 + knocks_++);
        auto const address = which == Listener::v6
                                 ? Address::v6({0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1}, port)
                                 : Address::v4({127, 0, 0, 1}, port);
        return std::make_unique<FakePeer>(ring_.socket(ring_.connect(listener(which), address)), address);
    }
    int pollable() override { return next_pollable_++; }
    void make_readable(int descriptor) override { ring_.set_readable(descriptor); }
    void make_unreadable(int descriptor) override { ring_.set_readable(descriptor, false); }
    void exhaust_descriptors(bool exhausted) override { ring_.exhaust_descriptors(exhausted); }
    void exhaust_buffers(uint32_t receives) override { ring_.exhaust_buffers(receives); }
    void interrupt_waits(bool) override {}
    std::unique_ptr<Sleeper> sleeper() override { return std::make_unique<FakeSleeper>(); }
    bool may_move() override { return ring_.busy(); }

  private:
    test::FakeEntropy chance_{7};
    test::FakeRing ring_;
    int next_pollable_ = 100;
    uint32_t knocks_ = 0;
};

}  // namespace

std::unique_ptr<World> make_fake_world(const WorldOptions& options) {
    return std::make_unique<FakeWorld>(options, false, false);
}
std::unique_ptr<World> make_shuffled_fake_world(const WorldOptions& options) {
    return std::make_unique<FakeWorld>(options, true, false);
}
std::unique_ptr<World> make_late_fake_world(const WorldOptions& options) {
    return std::make_unique<FakeWorld>(options, true, true);
}

}  // namespace rc::contract
