#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "ringcast/base/address.h"
#include "ringcast/io/ring.h"

/// What the contract suite needs around a ring: listeners, and peers that do what peers do. One adapter for
/// the kernel over loopback sockets, one for the simulated ring. Nothing here waits for the ring under test.
namespace rc::contract {

/// The far end of a connection. It has small buffers, and reads only when a test takes what came.
class Peer {
  public:
    virtual ~Peer() = default;
    virtual void deliver(std::string_view bytes) = 0;
    /// FIN; it goes on reading.
    virtual void end() = 0;
    /// Closes both directions: FIN, and an RST to whatever is sent to it from now on.
    virtual void hang_up() = 0;
    virtual void reset() = 0;
    /// Answers nothing any more: what was sent to it runs into the user timeout. (Its buffer is full by
    /// then.)
    virtual void vanish() = 0;
    /// What has come since the last call; never waits.
    virtual std::string take() = 0;
    /// The ring's side has closed or half-closed, and all before it was taken.
    virtual bool sees_end() = 0;
    [[nodiscard]] virtual Address address() const = 0;
};

/// Another ring, which another thread may have to drive.
class Sleeper {
  public:
    virtual ~Sleeper() = default;
    virtual io::Ring& ring() = 0;
    /// One submit_and_wait(), of up to a minute; returns before it is over.
    virtual void begin_wait() = 0;
    /// Waits for its end. False if it was the minute that ended it.
    virtual bool woken() = 0;
    /// One reap().
    virtual void reap() = 0;
};

struct WorldOptions {
    uint32_t submissions = 64;  // completions: four times that
    uint32_t buffers = 32;
    uint32_t buffer_bytes = 256;
    uint32_t direct_files = 64;
};

enum class Listener : uint8_t { v4, v6, impatient };  // the last one with a user timeout of a moment

class World {
  public:
    virtual ~World() = default;
    virtual io::Ring& ring() = 0;

    /// -1 if the host lacks the address family.
    virtual int listener(Listener which) = 0;
    /// A client that has connected, and waits to be accepted.
    virtual std::unique_ptr<Peer> knock(Listener which) = 0;

    /// A descriptor that can be polled, and is not readable yet. The world closes it.
    virtual int pollable() = 0;
    virtual void make_readable(int descriptor) = 0;
    virtual void make_unreadable(int descriptor) = 0;

    /// While true, the process can have no further descriptor.
    virtual void exhaust_descriptors(bool exhausted) = 0;
    /// So many of the next receives find no buffer, if the ring cannot be brought to it by bytes.
    virtual void exhaust_buffers(uint32_t receives) = 0;
    /// The next wait is interrupted by a signal, again and again until false.
    virtual void interrupt_waits(bool interrupted) = 0;
    virtual std::unique_ptr<Sleeper> sleeper() = 0;

    /// Whether what can complete now is to complete soon, without anything from outside.
    virtual bool may_move() = 0;
};

/// A ring and the way in which a test uses it.
struct Variant {
    const char* name;
    /// Null where the kernel refuses a ring.
    std::unique_ptr<World> (*make)(const WorldOptions&);
    bool direct = true;        // accept into the ring's own table
    bool tiny_queues = false;  // two submissions, eight completions
};

std::vector<Variant> variants();
std::unique_ptr<World> make_uring_world(const WorldOptions& options);
std::unique_ptr<World> make_fake_world(const WorldOptions& options);
std::unique_ptr<World> make_shuffled_fake_world(const WorldOptions& options);
std::unique_ptr<World> make_late_fake_world(const WorldOptions& options);

}  // namespace rc::contract
