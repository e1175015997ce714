#pragma once

#include <memory>
#include <optional>
#include <string>

#include "ringcast/ws/codec.h"
#include "view.h"
#include "world.h"

namespace rc::sim {

/// A browser, or what pretends to be one: connects, says what the protocol knows, misbehaves as the plan has
/// it, and comes back. It judges everything that it gets.
class Client final : public Peer, private ws::CodecSink {
  public:
    Client(World& world, uint32_t number);
    ~Client() override;

    /// One thing, by chance.
    void act();
    void pump() override;
    [[nodiscard]] std::optional<uint32_t> core() const override {
        return connection_ ? std::optional(connection_->core) : std::nullopt;
    }

    /// Reads and answers like a patient client from now on. @return whether there was anything to do
    bool behave();
    /// Comes back if it has a log to catch up with. @return whether it did
    bool come_back();
    void check_caught_up();
    void hang_up();
    /// Ends its connection for good, by a reset if it is past talking.
    void leave();
    /// Never heard of again.
    void vanish();
    /// Asks for its log, if it has come back for that.
    void introduce();

  private:
    enum class Phase : uint8_t { handshake, open, closing, over };
    struct Connection {
        Connection(World& world, uint32_t at_core, io::File its_file, bool lossy)
            : core(at_core), file(its_file), view(world.ledger, lossy) {}
        ~Connection() { decoder.stop(); }

        uint32_t core;
        io::File file;
        View view;
        ws::Decoder decoder;
        Phase phase = Phase::handshake;
        std::string head;    // of the handshake's answer
        std::string outbox;  // not yet sent
        int expected_status = 101;
        uint32_t next_id = 1, messages = 0, control_frames = 0, refusals = 0;
        std::string last_error;  // its code, while it is the last text
        uint16_t expected_close = 0;
        bool fin_sent = false, reset = false, vanished = false, hard_error = false;
        bool half_message = false, over_limit = false, refused = false;
        bool close_sent = false, close_seen = false, was_slow = false;
        bool bad_header = false;                      // of the PROXY protocol: it is closed without an answer
        uint32_t disconnects = 0;                     // of its user, done before it began
        uint64_t stalled_until = 0, short_until = 0;  // steps
        MonoTime opened{};
    };

    void on_message(ws::Opcode opcode, std::string_view payload) override;
    void on_ping(std::string_view) override { violated_here("a ping frame"); }
    void on_pong(std::string_view) override;
    void on_close(const ws::CloseBody& body) override;
    void on_failure(ws::CloseCode code, std::string_view why) override;

    [[nodiscard]] test::FakeSocket& socket() { return world_.socket(connection_->core, connection_->file); }
    [[noreturn]] void violated_here(const std::string& what) const;
    void connect();
    [[nodiscard]] std::string proxy_header();
    void take_head(std::string_view& bytes);
    void take_error(std::string_view text);
    [[nodiscard]] bool over();
    [[nodiscard]] bool may_speak() const;
    void ended();

    void say(const Op& op, std::string_view type, const std::string& data);
    void say_text(const std::string& text);
    void say_something();
    void subscribe();
    void resume();
    void unsubscribe();
    void mark_read();
    void say_nonsense();
    void break_protocol();
    void flush(std::size_t bytes_max);
    void meet_faults();
    [[nodiscard]] bool may_close_with(uint16_t code, std::string_view reason);

    World& world_;
    Chance& chance_;
    uint32_t number_;
    uint32_t user_;        // that it is of; none: topics alone
    bool resumes_;         // a client that comes back with its offset
    uint64_t offset_ = 0;  // the newest one that it has seen
    std::optional<Connection> connection_;
};

}  // namespace rc::sim
