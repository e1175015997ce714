#include "core.h"

#include <algorithm>
#include <typeinfo>
#include <utility>

#include "heartbeats.h"
#include "ringcast/base/hash.h"
#include "ringcast/base/log.h"
#include "ringcast/proto/encode.h"
#include "ringcast/ws/frame.h"

namespace rc::server {
namespace {

// Completion tables of a worker's ring.
constexpr uint8_t kStreamTable = 0, kClientAcceptTable = 1, kApiAcceptTable = 2;

constexpr std::size_t kFanoutsWaitingMax = 1024;
constexpr std::size_t kFanoutBytesWaitingMax = 32 << 20;
constexpr Duration kFullWarningEvery = seconds(10);
constexpr Duration kEbbLookEvery = seconds(1);
constexpr uint64_t kSocketWeight = 16;         // what a connection takes, in subscriptions
constexpr Duration kFinishAfter = seconds(2);  // for answers of the API that are under way at the end

struct LiveDelivery final : hub::Publication {
    LiveDelivery(std::shared_ptr<const LivePublication> p, uint64_t offset_newest)
        : frame(p->frame), publication(std::move(p)), offset_before(offset_newest) {}
    [[nodiscard]] std::size_t bytes() const override { return frame.size(); }
    FrameRef frame;
    std::shared_ptr<const LivePublication> publication;
    uint64_t offset_before;  // the log's newest when it was taken: its place among the records of a replay
};

// What users get, in one order: messages of their log, live ones, and read marks.
struct UserDelivery : hub::UserPublication {
    virtual void deliver_to(Session& session, uint64_t offset) const = 0;
};

struct LoggedDelivery final : UserDelivery {
    explicit LoggedDelivery(std::shared_ptr<const store::Publication> p)
        : frame(p->frame), publication(std::move(p)) {}
    void deliver_to(Session& session, uint64_t offset) const override {
        session.deliver_logged(*publication, frame, offset);
    }
    [[nodiscard]] std::size_t bytes() const override { return frame.size(); }
    [[nodiscard]] uint32_t addressees() const override {
        return static_cast<uint32_t>(publication->addressees.size());
    }
    [[nodiscard]] const UserId& user(uint32_t i) const override { return publication->addressees[i].user; }
    [[nodiscard]] uint64_t offset(uint32_t i) const override { return publication->addressees[i].offset; }
    [[nodiscard]] std::string_view topic() const override { return publication->message->topic; }
    FrameRef frame;
    std::shared_ptr<const store::Publication> publication;
};

struct MarkDelivery final : UserDelivery {
    explicit MarkDelivery(std::shared_ptr<const store::ReadMark> m) : mark(std::move(m)) {}
    void deliver_to(Session& session, uint64_t) const override { session.deliver_read_mark(*mark); }
    [[nodiscard]] std::size_t bytes() const override { return sizeof(store::ReadMark); }
    [[nodiscard]] uint32_t addressees() const override { return 1; }
    [[nodiscard]] const UserId& user(uint32_t) const override { return mark->user; }
    [[nodiscard]] uint64_t offset(uint32_t) const override { return mark->offset; }
    [[nodiscard]] std::string_view topic() const override { return {}; }
    std::shared_ptr<const store::ReadMark> mark;
};

struct LiveUserDelivery final : UserDelivery {
    LiveUserDelivery(std::shared_ptr<const LivePublication> p, uint64_t offset_newest)
        : frame(p->frame), publication(std::move(p)), offset_before(offset_newest) {}
    void deliver_to(Session& session, uint64_t) const override {
        session.deliver(publication, frame, offset_before);
    }
    [[nodiscard]] std::size_t bytes() const override { return frame.size(); }
    [[nodiscard]] uint32_t addressees() const override {
        return static_cast<uint32_t>(publication->users.size());
    }
    [[nodiscard]] const UserId& user(uint32_t i) const override { return publication->users[i]; }
    [[nodiscard]] uint64_t offset(uint32_t) const override { return 0; }
    [[nodiscard]] std::string_view topic() const override { return publication->topic; }
    FrameRef frame;
    std::shared_ptr<const LivePublication> publication;
    uint64_t offset_before;
};

ws::Endpoint::Options endpoint_options(const Config& config) {
    ws::Endpoint::Options options;
    options.codec.message_bytes_max = config.limits.message_bytes;
    options.codec.accept_binary = false;
    options.header_bytes = config.limits.header_bytes;
    options.handshake_timeout = config.limits.handshake_timeout;
    return options;
}

http::ServerLimits http_limits(const Config& config) {
    http::ServerLimits limits;
    limits.header_bytes = config.limits.header_bytes;
    limits.head_timeout = config.limits.handshake_timeout;
    return limits;
}

// Direct descriptors are the ring's own; ordinary ones are shared by all cores, the API and the files.
uint64_t client_places(const io::Ring::Stats& ring, uint32_t workers) {
    if (ring.direct_files) return ring.direct_slots;
    return (ring.direct_slots - std::min(ring.direct_slots / 4, 2 * limits::kApiConnectionsMax)) / workers;
}

}  // namespace

Core::Core(reactor::Reactor& reactor, Shared& shared, std::vector<Listener> client_listeners,
           const std::vector<Listener>& api_listeners)
    : reactor_(reactor),
      shared_(shared),
      keys_(shared.keys),
      streams_(reactor, kStreamTable, reactor.ring().stats().direct_slots + 2 * limits::kApiConnectionsMax),
      sessions_(*this, streams_, endpoint_options(shared.config)),
      shard_(shared.hash_key),
      fanouts_(shard_),
      store_(reactor, shared.store),
      sequencer_(reactor, shared.workers),
      limit_notes_(reactor.id(), shared.config.limits.dry_run),
      user_limit_(*this, shared.config.limits.connections_per_user, shared.workers),
      address_limits_(reactor, shared.config.limits, shared.config.proxy.trusted, shared.workers,
                      shared.hash_key.first, limit_notes_),
      api_(*this),
      http_(reactor, streams_, http_limits(shared.config), shared.api_use, api_,
            [this](uint32_t listener) { api_acceptor_.left(listener); }),
      client_listeners_(std::move(client_listeners)),
      client_acceptor_(reactor, kClientAcceptTable, true, *this),
      api_acceptor_(reactor, kApiAcceptTable, false, http_),
      heartbeat_(ws::text_frame(proto::kHeartbeat)),
      admission_(client_places(reactor.ring().stats(), shared.workers), net::Acceptor::kBurst),
      mark_salt_(shared.entropy.next()),
      room_timer_(*this),
      drain_timer_(*this) {
    for (auto kind : {MailKind::publication, MailKind::read_mark, MailKind::live_publication,
                      MailKind::gather_request, MailKind::gather_answer, MailKind::control, MailKind::keys}) {
        reactor.bind_mail(static_cast<uint8_t>(kind), *this);
    }
    if (shared.tokens) {
        token_reader_.emplace(shared.policy);
        tokens_.emplace(reactor, *shared.tokens);
    }
    reactor.add_work(sequencer_);
    reactor.add_work(*this);
    reactor.add_work(api_);
    reactor.add_work(http_);
    reactor.add_work(streams_);
    api_.attach(http_);
    for (const auto& listener : client_listeners_)
        client_acceptor_.add(listener.descriptor, listener.shared);
    for (const auto& listener : api_listeners)
        api_acceptor_.add(listener.descriptor, listener.shared);
    pace_accepts();
    api_acceptor_.start();
    shared.cores[reactor.id()] = this;
}

Core::~Core() = default;

// --- connections

void Core::on_accept(io::File file, const net::PeerAddress& peer, uint32_t listener) {
    bool const proxied = client_listeners_[listener].proxy_protocol;
    bool const may_be_proxy = !proxied || config().proxy.trusted.contains(peer);
    if (!may_be_proxy) sessions_.refuse_proxy(peer, "a PROXY header counts from trusted peers alone");
    auto session = std::make_unique<Session>(sessions_);
    auto const begins =
        proxied ? ws::Connection::Begins::with_proxy_header : ws::Connection::Begins::with_handshake;
    if (finishing() || !may_be_proxy || !session->open(file, peer, begins, listener)) {
        reactor_.ring().discard(file);
        client_acceptor_.left(listener);
        return;
    }
    // It is its stream's table's from now on, and lives until remove().
    admission_.came(session.release()->handle(), reactor_.now());
    pace_accepts();
}

// Handshakes that hang give way, and accepts wait while the table has no room for what they may bring.
void Core::pace_accepts() {
    if (finishing()) return;
    auto const hangs = [this](net::StreamHandle handle) {
        Session* session = find(handle);
        return session && session->in_handshake();
    };
    while (auto const oldest = admission_.gives_way(reactor_.now(), hangs)) {
        metrics_.handshakes_dropped.add();
        find(*oldest)->give_way();
    }
    if (admission_.crowded() && admission_.next_due() != MonoTime::max() && !room_timer_.armed())
        reactor_.timers().arm(room_timer_, admission_.next_due());
    bool const full = admission_.exhausted();
    // Whatever is armed finds a place, also when all of it is taken in one turn; one a listener is kept back.
    uint64_t const slots = reactor_.ring().stats().direct_slots;
    uint64_t const taken = std::min<uint64_t>(slots, admission_.sockets() + client_acceptor_.listeners());
    client_acceptor_.set_armed_max(static_cast<uint32_t>(slots - taken));
    if (full && !client_acceptor_.paused()) {
        // Clients that come and go at the limit would write a line each.
        if (reactor_.now() >= full_warning_due_) {
            full_warning_due_ = reactor_.now() + kFullWarningEvery;
            log::warning("core {}: {} connections, no slot left; new clients wait", reactor_.id(),
                         admission_.sockets());
        }
        client_acceptor_.pause();
    } else if (!full && client_acceptor_.paused()) {
        client_acceptor_.start();
    }
}

MonoTime Core::first_heartbeat() {
    auto const interval = config().ping_interval;
    return heartbeat_place(reactor_.now(), interval,
                           heartbeat_batches(metrics_.clients_open.value(), interval), random());
}

Session* Core::find(net::StreamHandle handle) {
    net::Stream* stream = streams_.find(handle);
    return stream && &stream->family() == &sessions_ ? &Session::of(*stream) : nullptr;
}

Session* Core::at(hub::SubscriberSlot slot) {
    net::Stream* stream = slot.value < streams_.slots() ? streams_.at(slot.value) : nullptr;
    return stream && &stream->family() == &sessions_ ? &Session::of(*stream) : nullptr;
}

template <class Function>
void Core::for_each_session(Function&& function) {
    for (uint32_t slot = 0; slot < streams_.slots(); ++slot) {
        if (Session* session = at(hub::SubscriberSlot(slot))) function(*session);
    }
}

void Core::remove(Session& session) {
    admission_.left(session.place());
    client_acceptor_.left(session.listener());
    std::unique_ptr<Session> const ended(&session);
    pace_accepts();
    // Perhaps it was the last one that the drain waits for.
    if (phase_ == Phase::draining) reactor_.timers().arm(drain_timer_, reactor_.now());
}

// --- publications

bool Core::ready_for(const reactor::Mail& mail) {
    if (mail.stamp == 0) return true;
    return turn_bytes_ < limits::kPublicationBytesPerTurn && fanouts_.waiting() < kFanoutsWaitingMax &&
           fanouts_.waiting_bytes() < kFanoutBytesWaitingMax;
}

void Core::on_mail(const reactor::Mail& mail) {
    switch (static_cast<MailKind>(mail.kind)) {
        case MailKind::publication: {
            auto [publication, token] = Parcel<std::shared_ptr<const store::Publication>>::open(mail);
            take_publication(std::move(*publication));
            break;
        }
        case MailKind::live_publication: {
            auto [publication, token] = Parcel<std::shared_ptr<const LivePublication>>::open(mail);
            take_live(std::move(*publication));
            break;
        }
        case MailKind::read_mark: {
            auto [mark, token] = Parcel<std::shared_ptr<const store::ReadMark>>::open(mail);
            take_offsets((*mark)->offset, (*mark)->offset);
            fanouts_.publish_users(std::make_unique<MarkDelivery>(std::move(*mark)));
            break;
        }
        case MailKind::gather_request: {
            auto [request, token] = Parcel<GatherRequest>::open(mail);
            questions_.push_back({mail.from, token, std::move(*request)});
            break;
        }
        case MailKind::gather_answer: {
            auto [answer, token] = Parcel<GatherAnswer>::open(mail);
            auto it = gatherings_.find(token);
            RC_ASSERT(it != gatherings_.end());
            it->second.answers.push_back(std::move(*answer));
            if (--it->second.missing == 0) {
                auto done = std::move(it->second);
                gatherings_.erase(it);
                done.then(std::move(done.answers));
            }
            break;
        }
        case MailKind::control:
            switch (mail.as<Control>()) {
                case Control::drain: begin_drain(); break;
                case Control::finish: finish(kFinishAfter); break;
                case Control::hurry: finish(Duration::zero()); break;
                case Control::stop: phase_ = Phase::stopping; break;
                case Control::keys: RC_ASSERT(false);
            }
            break;
        case MailKind::keys: {
            auto [keys, token] = Parcel<std::shared_ptr<const Keys>>::open(mail);
            keys_ = std::move(*keys);
            keys_told_ = report(Control::keys);
            break;
        }
        default: RC_ASSERT(false);
    }
}

void Core::take_publication(std::shared_ptr<const store::Publication> publication) {
    turn_bytes_ += publication->frame.size();
    take_offsets(publication->addressees.front().offset, publication->addressees.back().offset);
    fanouts_.publish_users(std::make_unique<LoggedDelivery>(std::move(publication)));
}

void Core::take_offsets(uint64_t first, uint64_t last) {
    RC_ASSERT(offset_newest_ < first && first <= last);
    if (offset_newest_ == 0) offset_first_ = first;
    offset_newest_ = last;
}

void Core::take_live(std::shared_ptr<const LivePublication> publication) {
    turn_bytes_ += publication->frame.size();
    if (publication->broadcast) {
        fanouts_.publish_broadcast(std::make_unique<LiveDelivery>(std::move(publication), offset_newest_));
    } else if (publication->users.empty()) {
        std::string_view const topic = publication->topic;  // lives as long as the delivery
        fanouts_.publish_topic(topic, std::make_unique<LiveDelivery>(std::move(publication), offset_newest_));
    } else {
        fanouts_.publish_users(std::make_unique<LiveUserDelivery>(std::move(publication), offset_newest_));
    }
}

void Core::deliver(hub::SubscriberSlot slot, const hub::Publication& publication, uint64_t offset) {
    Session* session = at(slot);
    RC_ASSERT(session);
    // One of two types; typeid compares two pointers, dynamic_cast takes 110 instructions.
    if (typeid(publication) == typeid(LiveDelivery)) {
        auto const& live = static_cast<const LiveDelivery&>(publication);
        session->deliver(live.publication, live.frame, live.offset_before);
    } else {
        static_cast<const UserDelivery&>(publication).deliver_to(*session, offset);
    }
}

bool Core::takes(hub::SubscriberSlot slot, const hub::Burst& burst) {
    Session* session = at(slot);
    RC_ASSERT(session);
    return session->takes_burst(burst.bytes, static_cast<uint32_t>(burst.publications.size()));
}

// Joined once for all connections that get the same.
void Core::deliver_burst(hub::SubscriberSlot slot, const hub::Burst& burst) {
    if (burst_id_ != burst.id) {
        std::vector<std::string_view> frames;
        for (const auto* publication : burst.publications)
            frames.push_back(static_cast<const LiveDelivery*>(publication)->frame.view());
        burst_frames_ = FrameRef(SharedBytes::join(frames), static_cast<uint32_t>(frames.size()));
        burst_id_ = burst.id;
    }
    at(slot)->deliver_burst(burst_frames_);
}

void Core::bring_up(Session& session) {
    fanouts_.bring_up(session.slot(), *this);
}

const FrameRef& Core::with_offset(const store::Message& message, uint64_t offset) {
    // An offset is one message of one user, so it alone says whether the last frame will do.
    if (!offset_frame_ || offset_frame_offset_ != offset) {
        offset_frame_ = FrameRef(ws::text_frame(
            proto::encode_message(message.type, message.data, store::format_offset(shared_.epoch, offset))));
        offset_frame_offset_ = offset;
    }
    return offset_frame_;
}

// --- questions to all cores

bool Core::gather(const GatherRequest& request, Gathered then) {
    for (uint32_t core = 0; core < shared_.workers; ++core) {
        if (!reactor_.may_request(static_cast<reactor::CoreId>(core))) return false;
    }
    uint64_t const token = next_gathering_++;
    gatherings_[token] = {shared_.workers, {}, std::move(then)};
    // Stamped: behind every publication that was answered before, or a disconnect would overtake it.
    uint64_t const stamp = reactor_.mesh().next_stamp();
    for (uint32_t core = 0; core < shared_.workers; ++core) {
        auto mail = Parcel<GatherRequest>::mail(MailKind::gather_request, request, token);
        mail.stamp = stamp;
        reactor_.request(static_cast<reactor::CoreId>(core), mail);
    }
    return true;
}

void Core::answer_questions() {
    for (const auto& question : std::exchange(questions_, {}))
        reactor_.answer(question.from,
                        Parcel<GatherAnswer>::mail(MailKind::gather_answer, answer_gather(question.request),
                                                   question.token));
}

GatherAnswer Core::answer_gather(const GatherRequest& request) {
    GatherAnswer answer;
    shard_.for_each_connection(request.user, [&](hub::SubscriberSlot slot) {
        Session* session = at(slot);
        if (!session || !session->is_open()) return;
        if (request.what == GatherRequest::What::disconnect) {
            session->disconnect(request.reason);
            ++answer.closed;
        } else {
            answer.connections.push_back(session->describe());
        }
    });
    return answer;
}

void Core::close_one(net::StreamHandle handle, Errc code) {
    if (Session* session = find(handle)) {
        session->close_with(code, "this user has too many connections; the oldest is closed");
    }
}

// --- the turn

bool Core::run_slice() {
    turn_bytes_ = 0;
    bool more = fanouts_.run_slice(limits::kDeliveriesPerSlice, *this);
    // An answer of the store must not overtake the publications that it posted before, all to users.
    // Nor a disconnect those that were taken before it.
    if (!fanouts_.users_waiting()) {
        store_.deliver_answers();
        answer_questions();
    }
    more |= store_.retry();
    more |= user_limit_.retry();
    more |= address_limits_.run_slice();
    auto waiting = std::move(replays_waiting_);
    replays_waiting_.clear();
    for (auto handle : waiting) {
        if (Session* session = find(handle)) session->retry_replay();
    }
    if (!keys_told_) keys_told_ = report(Control::keys);
    update_gauges();
    look_for_ebb();
    if (phase_ == Phase::finishing) finish_step();
    return more || !replays_waiting_.empty();
}

void Core::update_gauges() {
    auto const counts = shard_.counts();
    metrics_.subscribers.set(counts.subscribers);
    metrics_.subscriptions.set(counts.subscriptions);
    metrics_.topics.set(counts.topics);
    metrics_.addresses.set(address_limits_.size());
    metrics_.users.set(counts.users);
    auto const sockets = admission_.sockets();
    metrics_.clients_in_handshake.set(sockets - std::min(sockets, metrics_.clients_open.value()));
    metrics_.fanouts_waiting.set(fanouts_.waiting());
    metrics_.fanout_bytes_waiting.set(fanouts_.waiting_bytes());
    metrics_.frames_partial.set(sessions_.pool.partials_attached());
    metrics_.frame_bytes_held.set(sessions_.pool.bytes_held());
    auto const ring = reactor_.ring().stats();
    ring_gauges_.enters.set(ring.enters);
    ring_gauges_.completions.set(ring.completions);
    ring_gauges_.buffer_shortages.set(ring.buffer_shortages);
    ring_gauges_.buffers_lent.set(ring.buffers_lent);
    ring_gauges_.direct_slots.set(ring.direct_slots);
    ring_gauges_.slots_used.set(sockets);
}

void Core::look_for_ebb() {
    if (reactor_.now() < next_ebb_look_) return;
    next_ebb_look_ = reactor_.now() + kEbbLookEvery;
    uint64_t const held = kSocketWeight * admission_.sockets() + shard_.counts().subscriptions;
    if (ebb_.look(held) && shared_.give_memory_back) shared_.give_memory_back();
}

// --- the end

void Core::begin_drain() {
    if (phase_ != Phase::serving) return;
    phase_ = Phase::draining;
    drain_began_ = reactor_.now();
    for_each_session([this](Session& session) {
        if (session.is_open()) drain_order_.push_back(session.handle());
    });
    drain_due();
}

// Closes those whose time has come: the first at once, the last after drain_time, evenly between them. Who
// has left is not waited for.
void Core::drain_due() {
    if (phase_ != Phase::draining || drained_told_) return;
    auto const elapsed = reactor_.now() - drain_began_;
    auto const total = drain_order_.size();
    auto const step = total > 1 ? config().drain_time / static_cast<int64_t>(total - 1) : Duration::zero();
    for (; drained_ < total; ++drained_) {
        Session* session = find(drain_order_[drained_]);
        if (!session) continue;
        if (step * static_cast<int64_t>(drained_) > elapsed) break;
        session->shut_down();
    }
    auto const now = reactor_.now();
    if (drained_ < total) {
        reactor_.timers().arm(drain_timer_,
                              std::max(now, drain_began_ + step * static_cast<int64_t>(drained_)));
        return;
    }
    // All were told. Handshakes and closing handshakes have deadlines of their own.
    drained_told_ = admission_.clients() == 0 && report(Control::drain);
    if (!drained_told_) reactor_.timers().arm(drain_timer_, now + milliseconds(10));
}

bool Core::report(Control done) {
    if (!reactor_.has_place(shared_.main)) return false;
    reactor_.send(shared_.main, reactor::Mail::make(static_cast<uint8_t>(MailKind::progress), done));
    return true;
}

void Core::finish(Duration grace) {
    if (phase_ == Phase::stopping) return;
    bool const again = phase_ == Phase::finishing;
    phase_ = Phase::finishing;
    finish_by_ = reactor_.now() + grace;
    drain_timer_.disarm();
    room_timer_.disarm();
    if (again) return;
    client_acceptor_.pause();
    http_.begin_drain();
    // After a drain only handshakes are left. When it has to be now, clients have a last word, which is not
    // waited for.
    last_words_by_ = reactor_.now() + limits::kCloseLinger;
    for_each_session([](Session& session) {
        session.shut_down();
        if (session.in_handshake()) session.abort();
    });
}

// Called each turn while finishing, a tick apart at most: tells main once when nothing is under way here.
void Core::finish_step() {
    if (reactor_.now() >= last_words_by_) {
        last_words_by_ = MonoTime::max();
        for_each_session([](Session& session) { session.abort(); });
    }
    if (http_.connections() > 0 && reactor_.now() < finish_by_) return;
    if (!api_acceptor_.paused()) api_acceptor_.pause();
    http_.close_all();  // each time: an accept may have outrun its cancel
    bool const quiet = streams_.open_streams() == 0 && client_acceptor_.quiet() && api_acceptor_.quiet() &&
                       http_.connections() == 0 && store_.idle() && sequencer_.idle() && api_.idle() &&
                       gatherings_.empty() && user_limit_.idle();
    if (quiet && !finished_told_) finished_told_ = report(Control::finish);
    if (!finished_told_) reactor_.timers().arm(drain_timer_, reactor_.now());
}

bool Core::ended() {
    return phase_ == Phase::stopping;
}

}  // namespace rc::server
