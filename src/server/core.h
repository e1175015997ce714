#pragma once

#include <deque>
#include <memory>
#include <optional>
#include <unordered_map>
#include <vector>

#include "address_limits.h"
#include "admission.h"
#include "api.h"
#include "core_metrics.h"
#include "ebb.h"
#include "key_files.h"
#include "key_metrics.h"
#include "listeners.h"
#include "live_sequencer.h"
#include "mail.h"
#include "ringcast/http/connection.h"
#include "ringcast/hub/fanouts.h"
#include "ringcast/hub/shard.h"
#include "ringcast/net/acceptor.h"
#include "ringcast/proto/client_message.h"
#include "ringcast/reactor/core_group.h"
#include "ringcast/server/config.h"
#include "ringcast/server/program_use.h"
#include "session.h"
#include "store_client.h"
#include "store_metrics.h"
#include "token_client.h"
#include "user_limit.h"

namespace rc::server {

/// What all cores of a process share. Nobody changes it while they run, but for the counts of api_use.
struct Shared {
    const Config& config;
    std::shared_ptr<const Keys> keys;  // those of the start; each core has its own hold on newer ones
    std::string epoch;                 // of the store's offsets
    hub::Shard::HashKey hash_key;
    uint32_t workers = 1;
    WallTime started;
    reactor::CoreId store = 0, main = 0;  // places in the mesh, behind the workers
    io::Entropy& entropy;
    std::vector<class Core*> cores;  // by id; complete before any core runs a turn
    http::ProcessUse api_use{};
    StoreMetrics& store_metrics;
    std::optional<reactor::CoreId> tokens{};   // the token host's place in the mesh; unset: no tokens count
    KeyMetrics key_metrics{};                  // written by the token host
    auth::Policy policy{};                     // of tokens
    std::function<void()> give_memory_back{};  // see RunOptions
    std::string version{};
    std::function<ProgramUse()> use{};  // see RunOptions; maybe empty
};

/// One worker: everything that clients and publishers do on this core meets here. Core: own core only,
/// but for the metrics.
class Core final : public reactor::CoreProgram,
                   private reactor::MailSink,
                   private reactor::Work,
                   private net::AcceptHandler,
                   private hub::Receiver {
  public:
    Core(reactor::Reactor& reactor, Shared& shared, std::vector<Listener> client_listeners,
         const std::vector<Listener>& api_listeners);
    ~Core() override;

    bool ended() override;

    // For sessions and the API.
    [[nodiscard]] reactor::Reactor& reactor() { return reactor_; }
    [[nodiscard]] const Config& config() const { return shared_.config; }
    [[nodiscard]] const Shared& shared() const { return shared_; }
    [[nodiscard]] const Keys& keys() const { return *keys_; }
    [[nodiscard]] std::string_view epoch() const { return shared_.epoch; }
    [[nodiscard]] hub::Shard& shard() { return shard_; }
    [[nodiscard]] StoreClient& store() { return store_; }
    /// Null unless tokens prove users here; so is tokens().
    [[nodiscard]] auth::TokenReader* token_reader() { return token_reader_ ? &*token_reader_ : nullptr; }
    [[nodiscard]] TokenClient& tokens() { return *tokens_; }
    [[nodiscard]] LiveSequencer& sequencer() { return sequencer_; }
    [[nodiscard]] proto::ClientDecoder& client_decoder() { return client_decoder_; }
    [[nodiscard]] CoreMetrics& metrics() { return metrics_; }
    [[nodiscard]] uint64_t random() { return shared_.entropy.next(); }
    [[nodiscard]] bool draining() const { return phase_ != Phase::serving; }
    /// No publisher is served any more: the last client is closed.
    [[nodiscard]] bool finishing() const { return phase_ == Phase::finishing || phase_ == Phase::stopping; }

    [[nodiscard]] const FrameRef& heartbeat() const { return heartbeat_; }
    /// When a client that comes now gets its first one.
    [[nodiscard]] MonoTime first_heartbeat();
    /// The message's frame with this offset; made once for connections that come one after the other.
    [[nodiscard]] const FrameRef& with_offset(const store::Message& message, uint64_t offset);

    [[nodiscard]] Session* find(net::StreamHandle handle);
    /// The session's connection has closed: destroys it.
    void remove(Session& session);
    [[nodiscard]] UserLimit& user_limit() { return user_limit_; }
    [[nodiscard]] AddressLimits& address_limits() { return address_limits_; }
    [[nodiscard]] LimitNotes& limit_notes() { return limit_notes_; }
    [[nodiscard]] Admission& admission() { return admission_; }
    /// Of connections_per_user: this one is too many.
    void close_one(net::StreamHandle handle, Errc code);
    /// Brings the connection the live publications that it still waits for, before it gets what a read of the
    /// log has found. Only where an answer of the store is delivered.
    void bring_up(Session& session);
    /// The first offset that this core heard of; what is below was published before the process began, so
    /// before everything live. UINT64_MAX: none yet.
    [[nodiscard]] uint64_t offset_first() const { return offset_first_; }

    /// The session waits for a place to read its replay on.
    void retry_later(net::StreamHandle handle) { replays_waiting_.push_back(handle); }

    /// None that was given out before comes again.
    [[nodiscard]] uint64_t new_serial() { return ++newest_serial_; }

    /// By which the connection knows its own read marks again, live or in the log.
    [[nodiscard]] store::MarkOrigin mark_origin(net::StreamHandle handle) const {
        return store::MarkOrigin(mark_salt_ ^ (uint64_t{handle.generation} << 32 | handle.slot));
    }

    /// Asks every core; the continuation gets all answers on a later turn. False when a mailbox has no place.
    using Gathered = std::function<void(std::vector<GatherAnswer>&&)>;
    bool gather(const GatherRequest& request, Gathered then);
    /// What this core has to say to it.
    void answer_questions();
    [[nodiscard]] GatherAnswer answer_gather(const GatherRequest& request);

    // Read by other cores.
    [[nodiscard]] const CoreMetrics& metrics() const { return metrics_; }
    [[nodiscard]] const LimitNotes& limit_notes() const { return limit_notes_; }
    [[nodiscard]] const reactor::Reactor& reactor() const { return reactor_; }
    [[nodiscard]] const net::StreamTable& streams() const { return streams_; }
    [[nodiscard]] const net::StreamTable::Metrics& stream_metrics() const { return streams_.metrics; }
    [[nodiscard]] const ws::Endpoint::Metrics& endpoint_metrics() const { return sessions_.metrics; }
    [[nodiscard]] const net::Acceptor::Metrics& accept_metrics() const { return client_acceptor_.metrics; }
    [[nodiscard]] uint64_t unexpected_refusals() const {
        return streams_.refusals.unexpected.value() + client_acceptor_.refusals.unexpected.value();
    }
    [[nodiscard]] const http::Server::Metrics& http_metrics() const { return http_.metrics; }
    struct RingGauges {
        metrics::Counter enters, completions, buffer_shortages, buffers_lent, direct_slots, slots_used;
    };
    [[nodiscard]] const RingGauges& ring_gauges() const { return ring_gauges_; }

  private:
    enum class Phase : uint8_t { serving, draining, finishing, stopping };

    void on_mail(const reactor::Mail& mail) override;
    bool ready_for(const reactor::Mail& mail) override;
    bool run_slice() override;
    void on_accept(io::File file, const net::PeerAddress& peer, uint32_t listener) override;
    void deliver(hub::SubscriberSlot slot, const hub::Publication& publication, uint64_t offset) override;
    bool takes(hub::SubscriberSlot slot, const hub::Burst& burst) override;
    void deliver_burst(hub::SubscriberSlot slot, const hub::Burst& burst) override;

    void take_publication(std::shared_ptr<const store::Publication> publication);
    void take_offsets(uint64_t first, uint64_t last);
    void take_live(std::shared_ptr<const LivePublication> publication);
    void pace_accepts();
    void begin_drain();
    void drain_due();
    [[nodiscard]] bool report(Control done);
    void finish(Duration grace);
    void finish_step();
    void update_gauges();
    void look_for_ebb();
    [[nodiscard]] Session* at(hub::SubscriberSlot slot);
    /// Of all of them, also those in their handshake or closing.
    template <class Function>
    void for_each_session(Function&& function);

    struct Gathering {
        uint32_t missing = 0;
        std::vector<GatherAnswer> answers;
        Gathered then;
    };

    reactor::Reactor& reactor_;
    Shared& shared_;
    std::shared_ptr<const Keys> keys_;
    bool keys_told_ = true;  // to main: they are in force here
    CoreMetrics metrics_;
    RingGauges ring_gauges_;
    net::StreamTable streams_;
    SessionFamily sessions_;
    hub::Shard shard_;
    hub::Fanouts fanouts_;
    StoreClient store_;
    std::optional<auth::TokenReader> token_reader_;
    std::optional<TokenClient> tokens_;
    LiveSequencer sequencer_;
    LimitNotes limit_notes_;
    UserLimit user_limit_;
    AddressLimits address_limits_;
    proto::ClientDecoder client_decoder_;
    Api api_;
    http::Server http_;
    std::vector<Listener> client_listeners_;
    net::Acceptor client_acceptor_, api_acceptor_;

    FrameRef heartbeat_;
    FrameRef offset_frame_;  // see with_offset()
    uint64_t offset_frame_offset_ = 0;
    FrameRef burst_frames_;  // of the last burst: see deliver_burst()
    uint64_t burst_id_ = 0;

    Admission admission_;
    std::vector<net::StreamHandle> replays_waiting_;
    uint64_t mark_salt_;  // no other core or process has the same
    std::unordered_map<uint64_t, Gathering> gatherings_;
    struct Question {
        reactor::CoreId from;
        uint64_t token;
        GatherRequest request;
    };
    std::vector<Question> questions_;  // of other cores, behind the publications that were taken before
    uint64_t next_gathering_ = 1;
    uint64_t newest_serial_ = 0;
    uint64_t turn_bytes_ = 0;                                 // of publications taken in this turn
    uint64_t offset_first_ = UINT64_MAX, offset_newest_ = 0;  // of the log's publications that were taken

    MonoTime full_warning_due_{};  // see pace_accepts()

    Ebb ebb_;
    MonoTime next_ebb_look_{};

    Phase phase_ = Phase::serving;
    MonoTime drain_began_{};
    std::vector<net::StreamHandle> drain_order_;
    std::size_t drained_ = 0;
    MonoTime last_words_by_ = MonoTime::max();  // finishing: then clients that are left are cut off
    bool drained_told_ = false, finished_told_ = false;
    MonoTime finish_by_{};
    struct RoomTimer final : io::Timer {
        explicit RoomTimer(Core& core) : owner(core) {}
        void on_timer() override { owner.pace_accepts(); }
        Core& owner;
    } room_timer_;  // the oldest handshake may be dropped
    struct DrainTimer final : io::Timer {
        explicit DrainTimer(Core& core) : owner(core) {}
        void on_timer() override { owner.drain_due(); }
        Core& owner;
    } drain_timer_;
};

}  // namespace rc::server
