#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>

#include "admission.h"
#include "claims.h"
#include "mail.h"
#include "rate_window.h"
#include "ringcast/auth/token.h"
#include "ringcast/hub/shard.h"
#include "ringcast/proto/client_message.h"
#include "ringcast/store/log.h"
#include "ringcast/ws/connection.h"

namespace rc::server {

class Core;

/// What the sessions of a core share.
struct SessionFamily final : ws::Endpoint {
    SessionFamily(Core& owner, net::StreamTable& streams, const Options& opts)
        : Endpoint(streams, opts), core(owner) {}
    Core& core;
};

/// One client: who it is, what it may do and what it gets, by the user's protocol (contract.md 3).
/// It is its connection. Core: own core only.
///
/// A million of them wait in a server that has nothing to say, so what a waiting client does not need is in
/// Rare, and what the hub knows of it (its user and topics) stands there alone.
class Session final : private ws::Connection {
  public:
    explicit Session(SessionFamily& family);
    ~Session();

    using Connection::abort;
    using Connection::handle;
    using Connection::in_handshake;
    using Connection::is_open;

    /// The session whose stream this is: only of a SessionFamily's streams.
    static Session& of(net::Stream& stream) { return static_cast<Session&>(stream); }

    /// False when the core has no slot: the caller closes the file and drops the session.
    [[nodiscard]] bool open(io::File file, const net::PeerAddress& peer, ws::Connection::Begins begins,
                            uint32_t listener);

    /// A message that no log keeps. During a replay it waits for its place among the records.
    /// @param offset_before  the log's newest offset that came before it
    void deliver(const std::shared_ptr<const LivePublication>& publication, const FrameRef& frame,
                 uint64_t offset_before);
    /// Whether so many live messages can be queued as one: none of them would have to wait or be refused.
    [[nodiscard]] bool takes_burst(std::size_t bytes, uint32_t messages) const;
    void deliver_burst(const FrameRef& frames);
    /// A message of the user's log.
    void deliver_logged(const store::Publication& publication, const FrameRef& plain, uint64_t offset);
    void deliver_read_mark(const store::ReadMark& mark);

    /// Sends the error's text, then the close frame with the error's code as its reason.
    void close_with(Errc code, std::string_view message, ws::CloseCode close_code = ws::CloseCode::policy,
                    const std::optional<proto::MessageId>& id = std::nullopt);
    /// The backend's wish: its reason is the message and the close reason.
    void disconnect(std::string_view reason);
    /// Tells an open client that the server ends; one in its handshake or closing is left as it is.
    void shut_down();
    /// Its handshake has hung for so long that others need the place.
    void give_way() {
        place_ = Admission::Place::dropped;
        abort();
    }
    /// The store has places again, perhaps: see Core::retry_later.
    void retry_replay() {
        if (replay() && replay()->waiting && is_open()) read_chunk();
    }

    [[nodiscard]] uint32_t listener() const { return listener_; }  // of the core's, by which it came
    [[nodiscard]] Admission::Place place() const { return place_; }
    [[nodiscard]] MonoTime opened() const { return opened_; }
    [[nodiscard]] hub::SubscriberSlot slot() const { return hub::SubscriberSlot(handle().slot); }
    [[nodiscard]] ConnectionInfo describe() const;

  private:
    // What a subscribe asked to have replayed.
    struct Resume {
        store::Read::Mode mode = store::Read::Mode::since;
        uint64_t after = 0;
        std::optional<proto::MessageId> id;
        uint32_t claim = 0;
    };
    // A message that no log keeps. It goes before the first record above `offset_before`, and at the end of
    // the replay otherwise. An unsubscribe takes it out again.
    struct Held {
        std::shared_ptr<const LivePublication> publication;
        FrameRef frame;
        uint64_t offset_before;
    };
    // A resume under way: see design.md 4. Until it has caught up, the user's live messages are dropped and
    // read from the log instead.
    struct Replay {
        Resume resume;              // `mode` and `after` move on with the chunks
        uint64_t serial = 0;        // answers to an earlier one are ignored
        uint64_t upto = 0;          // 0: not known yet
        uint64_t dropped_max = 0;   // newest live offset that was dropped meanwhile
        store::Next dropped_first;  // oldest live ones above `upto`
        store::Next lacking;        // what the next chunk must not be without
        bool acked = false;
        bool unread_phase = false;
        bool chunks_done = false;  // up to `upto`; what is next is decided when the socket has drained
        bool asking = false;       // an answer of the store is awaited
        bool waiting = false;      // for a place in the store's mailbox
        std::deque<Resume> next;   // each begins when the one before it has gone live
        std::deque<Held> held;     // in the order of their places
        uint64_t held_bytes = 0;
    };

    // Who the client has proved to be, by the handshake or by a token, and what waits for a verdict.
    struct Proof {
        std::optional<auth::Identity> identity;
        bool by_handshake = false;
        bool subscribed = false;        // it has asked for its messages, or for none, and is heeded in that
        bool checking = false;          // a token's verdict is awaited
        std::vector<std::string> held;  // messages that came meanwhile, oldest first
    };
    // What a client in open mode that waits has not: it comes when one of these is needed, and goes when
    // none is.
    struct Rare {
        std::unique_ptr<Proof> proof;  // null in open mode
        std::unique_ptr<Replay> replay;
        std::unique_ptr<Claims> claims;  // null: none
        RateWindow messages;             // while a second holds more than one
        RateWindow control_frames;       // while a second holds any
    };

    ws::RequestVerdict on_request(const http::RequestHead& head) override;
    void on_open() override;
    void on_message(ws::Opcode opcode, std::string_view payload) override;
    void on_control_frame() override;
    void on_drained() override;
    void on_closing() override;
    void on_closed() override;
    [[nodiscard]] MonoTime next_due() const override;
    void on_due() override;

    [[nodiscard]] Core& core() const { return static_cast<SessionFamily&>(endpoint()).core; }
    [[nodiscard]] bool has_user() const;
    [[nodiscard]] UserId user() const;  // only if it has one
    [[nodiscard]] bool is_user(const UserId& user) const;

    Rare& rare();
    [[nodiscard]] Proof* proof() const { return rare_ ? rare_->proof.get() : nullptr; }
    [[nodiscard]] Replay* replay() const { return rare_ ? rare_->replay.get() : nullptr; }
    [[nodiscard]] Claims* claims() const { return rare_ ? rare_->claims.get() : nullptr; }
    void tidy_rare();

    [[nodiscard]] bool admit_message(MonoTime now);
    /// One message after the other: those that came while a token was checked follow it.
    void take(std::string_view payload);
    /// Does what a message asks for. Anything but an `unauthorized` begins their row anew.
    template <class Act>
    void answer(Act&& act) {
        auto const refusals_before = refusals_in_a_row_;
        act();
        if (refusals_in_a_row_ == refusals_before && !(proof() && proof()->checking)) refusals_in_a_row_ = 0;
    }

    // Who it is: session_identity.cc.
    static std::string too_many(Duration retry_after);  // the 429
    ws::RequestVerdict identify(const http::RequestHead& head, bool from_proxy);
    ws::RequestVerdict identify_by_token(const http::RequestHead& head);
    void token_refused();
    void check_token(proto::Subscribe subscribe, std::optional<proto::MessageId> id);
    void take_verdict(proto::Subscribe& subscribe, const std::optional<proto::MessageId>& id,
                      Result<auth::Identity> found);
    /// The connection is this user's from now on. It receives nothing by that.
    void become(const UserId& user);
    /// Whether the subscribe may be the user's, with `fresh` or what was proved before; refuses it otherwise.
    [[nodiscard]] bool may_subscribe(proto::Subscribe& subscribe, const std::optional<proto::MessageId>& id,
                                     const std::optional<auth::Identity>& fresh);
    void take_proof(auth::Identity&& identity);
    [[nodiscard]] uint32_t topics_outside(const std::optional<auth::Identity>& fresh) const;
    [[nodiscard]] MonoTime proof_due() const;
    [[nodiscard]] bool proof_overdue();

    void handle(proto::Subscribe& subscribe, const std::optional<proto::MessageId>& id);
    void subscribe_as(proto::Subscribe& subscribe, const std::optional<proto::MessageId>& id,
                      std::optional<auth::Identity> fresh);
    void handle(proto::Unsubscribe& unsubscribe, const std::optional<proto::MessageId>& id);
    void handle(proto::MarkRead& mark_read, const std::optional<proto::MessageId>& id);
    void handle(proto::Pong&, const std::optional<proto::MessageId>&) {}

    void acknowledge(const std::optional<proto::MessageId>& id, std::string_view data);
    void refuse(Errc code, std::string_view message, const std::optional<proto::MessageId>& id);
    void send_text(std::string_view json);
    [[nodiscard]] bool over_limits(std::size_t bytes, uint32_t messages) const;
    /// Queues it, or ends the connection when its queue is over the limit and the socket takes nothing.
    /// @return false when it ended.
    bool send_limited(const FrameRef& frame);
    /// Likewise, and counts it as a delivery.
    void send_delivery(const FrameRef& frame);

    /// What it asks for that is not there, or is there by a claim alone. Topics only where that matters: when
    /// a claim is open, or is to be made of it.
    [[nodiscard]] Claims::Parts parts_of(const proto::Subscribe& subscribe, bool to_claim) const;
    uint32_t claim(Claims::Parts&& parts);
    void stand(Claims::Parts& parts);
    void succeed(uint32_t claim);
    void take_back(uint32_t claim);

    [[nodiscard]] Resume resume_of(const proto::Subscribe& subscribe,
                                   const std::optional<proto::MessageId>& id, uint32_t claim) const;
    void start_replay(Resume resume);
    void give_up_replay();
    void send_held(std::size_t count);
    void send_held_before(uint64_t offset);
    /// Of what waits behind the replay, only what is still wanted.
    template <class Wanted>
    void keep_held(Wanted&& wanted) {
        std::erase_if(replay()->held, [&](const Held& waiting) {
            if (wanted(*waiting.publication)) return false;
            replay()->held_bytes -= waiting.frame.size();
            return true;
        });
    }
    void drop_held_of(const std::set<std::string, std::less<>>& topics);
    void ask_for_offset(const std::optional<proto::MessageId>& id, uint32_t claim, bool gap);
    void ask_again_with_marks();
    void read_chunk();
    void on_chunk(store::ReadAnswer&& answer);
    void after_chunk();
    void go_live();
    void send_record(const store::Record& record);
    void send_resume_ack(const std::optional<proto::MessageId>& id, uint64_t offset, bool gap,
                         uint32_t unread);
    [[nodiscard]] std::string offset_text(uint64_t offset) const;
    void leave_hub();

    uint16_t listener_ = 0;
    std::unique_ptr<Rare> rare_;
    MonoTime opened_{};
    MonoTime last_active_{};  // its last message, or its opening
    ShortTime next_heartbeat_;
    uint8_t refusals_in_a_row_ = 0;
    Admission::Place place_ = Admission::Place::handshake;
    bool spoken_ : 1 = false;           // last_active_ is a message
    bool counted_ : 1 = false;          // among the core's open clients
    bool address_counted_ : 1 = false;  // by the core's AddressLimits
    bool wants_offsets_ : 1 = false;
    bool wants_sync_ : 1 = false;
    bool receiving_ : 1 = false;
};
// Two cache lines, and a size that the allocator hands out without waste.
static_assert(sizeof(Session) <= 128);

}  // namespace rc::server
