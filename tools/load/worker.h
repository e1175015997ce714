#pragma once

#include <deque>
#include <memory>
#include <optional>
#include <string_view>
#include <vector>

#include "message.h"
#include "ringcast/io/network.h"
#include "ringcast/reactor/core_group.h"
#include "ringcast/ws/client.h"
#include "schedule.h"
#include "shared.h"

namespace rc::load {

class Worker;

/// One client: a connection, and what is known of it.
class Client final : public ws::ClientHandler {
  public:
    Client(Worker& worker, uint32_t place) : worker_(worker), place_(place) {}

  private:
    friend class Worker;
    enum class State : uint8_t { away, connecting, open, subscribed, ending };

    void on_open() override;
    void on_message(ws::Opcode opcode, std::string_view payload) override;
    void on_ending(const ws::Ending& ending) override;
    void on_closed() override;

    Worker& worker_;
    uint32_t place_;  // among its worker's
    State state_ = State::away;
    bool back_at_once_ = false;  // dropped on purpose, to return
    MonoTime dialed_{};
    uint32_t echoes_sent_ = 0, echoes_got_ = 0;
    std::optional<ws::ClientConnection> connection_;
};

/// One thread of clients. Receives in turns: all that a turn finds counts as received at its beginning, when
/// the kernel had just handed it over. Core: its own.
class Worker final : public reactor::CoreProgram, private reactor::MailSink, private reactor::Work {
  public:
    Worker(reactor::Reactor& reactor, Shared& shared, uint32_t number, uint64_t chance);

    bool ended() override;

  private:
    friend class Client;
    struct Dialing {
        uint32_t place;
        MonoTime since;
    };
    struct Group {  // deliveries of one publication in one turn
        uint32_t publication, count;
        int64_t at_ns;
        Path path;
    };

    void on_mail(const reactor::Mail& mail) override;
    bool run_slice() override;

    void dial_due();
    [[nodiscard]] bool dial(Client& client);
    void expire_handshakes();
    void trouble(std::string words) { ++findings_.troubles[std::move(words)]; }

    void on_open(Client& client);
    void on_subscribed(Client& client);
    void on_text(Client& client, std::string_view text);
    void on_other_text(Client& client, std::string_view text);
    void on_foreign_text(Client& client, std::string_view text);
    void on_delivery(Client& client, const Stamp& stamp);
    void on_echo(Client& client, std::string_view text);
    void on_ending(Client& client, const ws::Ending& ending);
    void on_closed(Client& client);

    void send_due_echoes();
    void send_echo(Client& client, MonoTime at);
    void flush_groups();
    void tell_control();
    [[nodiscard]] std::string subscription(uint32_t client) const;
    [[nodiscard]] std::string subscribe_text(uint32_t client) const;

    reactor::Reactor& reactor_;
    Shared& shared_;
    const Settings& settings_;
    WorkerNews& news_;
    WorkerFindings& findings_;
    const uint32_t number_, first_;
    std::unique_ptr<io::Network> network_;
    net::StreamTable streams_;
    ws::ClientEndpoint endpoint_;
    FrameRef pong_, subscribe_;  // of all alike
    std::deque<Client> clients_;

    uint32_t wanted_ = 0, next_new_ = 0;  // clients that should be there; the first that never was
    std::deque<uint32_t> returning_;      // to dial again, as soon as may be
    std::deque<Dialing> retries_;         // to dial again, from a time on
    std::deque<Dialing> dialing_;         // oldest first; stale entries are passed over
    uint32_t connecting_ = 0, away_;
    std::optional<Schedule> dial_schedule_;
    std::optional<Schedule> echo_schedule_;
    MonoTime echo_until_{};
    bool echoing_ = false, leaving_ = false;
    MonoTime leave_deadline_{};

    std::vector<Group> groups_;
    std::size_t group_ = 0;  // the last one that was counted up
    bool news_for_control_ = false;
};

}  // namespace rc::load
