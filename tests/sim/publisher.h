#pragma once

#include <deque>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "world.h"

namespace rc::sim {

/// A backend: one connection to the API at a time, over which it publishes and asks for other things, several
/// requests ahead of their answers. It judges every answer.
class Publisher final : public Peer {
  public:
    Publisher(World& world, uint32_t number);

    /// One thing, by chance.
    void act();
    void pump() override;
    [[nodiscard]] std::optional<uint32_t> core() const override {
        return connection_ ? std::optional(connection_->core) : std::nullopt;
    }
    /// Reads and sends what is begun from now on. @return whether there was anything to do
    bool behave();
    /// Every request has its answer.
    void check_answered() const;
    void hang_up();
    /// Ends its connection for good, by a reset if it is past talking.
    void leave();
    void vanish();
    /// What it still waits for it will never know.
    void forget();

  private:
    /// A request whose answer is awaited.
    struct Request {
        enum class What : uint8_t { publish, batch, disconnect, other } what = What::other;
        std::vector<uint32_t> publications;  // of a batch: its lines
        bool keyed = false, may_conflict = false;
        uint32_t user = kNone;
        int expected = 200;   // 503 may come instead; 0: anything
        bool closes = false;  // the connection ends with the answer
    };
    struct Connection {
        uint32_t core;
        io::File file;
        uint32_t serial;  // of all connections of all publishers
        std::string outbox, inbox;
        std::deque<Request> requests;
        bool fin_sent = false, reset = false, vanished = false, hard_error = false, closes = false;
        uint64_t stalled_until = 0;
        uint32_t sent = 0;  // requests
        MonoTime idle_since{};
    };

    [[nodiscard]] test::FakeSocket& socket() { return world_.socket(connection_->core, connection_->file); }
    void connect();
    [[nodiscard]] bool over();
    void ended();
    void meet_faults();
    void flush(std::size_t bytes_max);
    void ask();
    void ask_something_else();
    void ask_badly();
    void repeat();
    void send(Request request, std::string_view line, std::string_view fields, std::string_view body);
    [[nodiscard]] uint32_t invent(Publication::Kind kind, std::string& body, bool with_key);
    void publish_one();
    void publish_batch();
    void take_answer(int status, std::string_view body);
    void settle(uint32_t n, bool accepted, std::string_view body);

    World& world_;
    Chance& chance_;
    uint32_t number_;
    std::optional<Connection> connection_;
    struct Remembered {
        uint32_t n;
        std::string body, key;
    };
    std::vector<Remembered> repeatable_;
};

}  // namespace rc::sim
