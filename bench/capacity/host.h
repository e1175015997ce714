#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <queue>
#include <span>
#include <string>
#include <vector>

#include "../../tests/support/server_rig.h"
#include "../../tools/load/histogram.h"
#include "../support/lean_ring.h"
#include "costs.h"

namespace rc::bench {

/// Virtual time: whose turn it is says what time it is there, and all that its core does moves it on.
class CoreClock final : public io::Clock {
  public:
    [[nodiscard]] MonoTime now() override { return now_; }
    [[nodiscard]] WallTime wall() override {
        return WallTime(seconds(1'750'000'000)) + now_.time_since_epoch();
    }
    [[nodiscard]] Duration thread_cpu() override { return now_.time_since_epoch(); }
    void set(MonoTime now) { now_ = now; }
    void spend(double ns) { now_ += nanoseconds_of(ns); }

  private:
    MonoTime now_{hours(1)};
};

/// What was seen since the last begin().
struct Seen {
    Duration time{};
    uint64_t published = 0, refused = 0, deliveries = 0, mails = 0;
    std::vector<Duration> busy;  // of each worker, then the store
    load::Histogram latency;     // of every delivery, from when its publication was due; ns
    load::Histogram last;        // of each publication's last receiver
    load::Histogram turns;       // of the workers

    [[nodiscard]] Duration busy_workers() const;
    [[nodiscard]] double busiest_worker() const;  // share of the time
    [[nodiscard]] double store() const;
};

/// A whole server on as many virtual cores as one likes, with its clients and publishers: the server's own
/// code, each of whose operations takes the time that a table says. Cores run side by side, each by its own
/// time; whoever is behind has the next turn. What a turn posts may be seen by a turn that began meanwhile,
/// early by that turn's length. There is no network: bytes arrive as they are sent, sockets take everything.
/// Each core has a CPU of clients and publishers opposite, which takes what they are sent and sends requests
/// one after the other; a publication is over when that has found the last of it. The same calls do the same.
class VirtualHost final : private RingObserver {
  public:
    struct Options {
        uint32_t workers = 1, clients = 1'000;
        uint32_t topics = 1;   // client i is user i, and holds topic i % topics, of the name t<number>
        bool crowded = false;  // clients run on the server's CPUs, not on others
        Costs costs;
    };
    explicit VirtualHost(const Options& options);
    ~VirtualHost();
    VirtualHost(const VirtualHost&) = delete;
    VirtualHost& operator=(const VirtualHost&) = delete;

    struct Target {
        enum class Kind : uint8_t { everybody, topic, user, stored_user } kind = Kind::topic;
        uint32_t number = 0;
    };
    /// Is sent at this time, on any connection that is free then, or as soon as one is. @param over  called
    /// when it was refused, or answered and received by all
    void publish(MonoTime due, Target target, std::function<void()> over = {});
    void run_until(MonoTime end);
    /// Until all that was published is over.
    void finish();
    [[nodiscard]] MonoTime now() const { return now_; }

    void begin();
    [[nodiscard]] const Seen& end();

  private:
    using Rig = test::BasicServerRig<LeanRing>;
    struct Publication {
        MonoTime due{};
        Target target;
        uint32_t missing = 0;  // deliveries
        MonoTime last{};       // the newest of them
        bool answered = false;
        std::function<void()> over;
    };
    struct Publisher {
        uint32_t core = 0;
        io::File file;
        uint32_t requests = 0;
        uint64_t publication = 0;
    };
    struct Event {
        MonoTime time;
        uint64_t number = 0;  // in the order in which they were thought of
        enum class Kind : uint8_t { due, request, pong, over } kind;
        uint32_t core = 0;  // of a pong, with its socket
        io::File file = {};
        uint32_t publisher = 0;    // whose request arrives
        uint64_t publication = 0;  // that is due or over
        friend bool operator>(const Event& a, const Event& b) {
            return std::pair(a.time, a.number) > std::pair(b.time, b.number);
        }
    };
    struct Participant {
        MonoTime free{};                    // when its last turn ended
        MonoTime wake{};                    // when its next turn begins
        bool asleep = false;                // until then, unless somebody rings
        uint32_t mails = 0;                 // sent to it since its last turn
        std::vector<uint32_t> handed_over;  // to each other
    };
    class Main;

    void on_accept(LeanRing& ring) override;
    void on_receive(LeanRing& ring, io::File file) override;
    void on_send(LeanRing& ring, io::File file, std::span<const iovec> parts) override;
    void on_wake(LeanRing& sleeper) override;

    [[nodiscard]] uint32_t core_of(const LeanRing& ring);
    void connect_clients();
    void open_publisher(uint32_t publisher);
    void turn(uint32_t i);
    void apply(const Event& event);
    void ask(uint64_t publication);
    void deliver_request(uint32_t publisher);
    [[nodiscard]] MonoTime spend_at_client(uint32_t core, double ns);
    void answered(uint32_t publisher, bool accepted, MonoTime time);
    void conclude(uint64_t publication, MonoTime time);
    void take_frames(uint32_t core, io::File file, std::string_view bytes);
    void spend(double ns) {
        if (counting_) clock_.spend(ns);
    }
    void schedule(Event event);
    void wake(uint32_t i, MonoTime time);
    void order(server::Control what);

    Options options_;
    double cold_;  // ns, of a send to a client
    server::Config config_;
    CoreClock clock_;
    test::FakeEntropy entropy_;
    Rig rig_;
    MonoTime now_;
    bool counting_ = false;  // until all have come, nothing takes time
    std::vector<Participant> participants_;
    std::vector<std::vector<int32_t>>
        publisher_of_;  // of each core, by socket: which publisher; -1: a client
    std::vector<Publisher> publishers_;
    std::deque<uint32_t> free_publishers_;
    std::priority_queue<Event, std::vector<Event>, std::greater<>> events_;
    std::deque<uint64_t> unasked_;  // publications that wait for a free publisher
    std::vector<Publication> publications_;
    std::vector<std::string> requests_;   // of each publisher, lent to its ring
    std::vector<uint32_t> subscribers_;   // of each topic
    std::vector<MonoTime> clients_free_;  // each core's: when they have taken what was sent to them
    uint64_t next_event_ = 0, open_ = 0;
    static constexpr uint32_t kNobody = UINT32_MAX;
    uint32_t in_turn_ = kNobody;
    MonoTime begun_{};
    Seen seen_;
};

}  // namespace rc::bench
