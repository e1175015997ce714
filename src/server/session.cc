#include "session.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <set>
#include <utility>

#include "core.h"
#include "ringcast/base/log.h"
#include "ringcast/http/response.h"
#include "ringcast/net/forwarded.h"
#include "ringcast/proto/encode.h"
#include "ringcast/ws/frame.h"
#include "ringcast/ws/handshake.h"

namespace rc::server {
namespace {

constexpr Duration kQuietAfter = seconds(10);  // without a message, at most; seen at the next heartbeat
// What may stand in a queue with a burst at its end. The rest of a slice, one by one, keeps it below 256
// messages.
constexpr uint32_t kBurstQueueMessagesMax = 128;
constexpr std::size_t kBurstQueueBytesMax = 128 * 1024;

std::string text_response(int status, std::string_view body, bool head_only = false) {
    return http::make_response(status, "text/plain; charset=utf-8", body,
                               {.keep_alive = false, .head_only = head_only});
}

FrameRef frame_of(std::string_view json) {
    return FrameRef(ws::text_frame(json));
}

}  // namespace

Session::Session(SessionFamily& family) : Connection(family) {}
Session::~Session() = default;

bool Session::open(io::File file, const net::PeerAddress& peer, ws::Connection::Begins begins,
                   uint32_t listener) {
    listener_ = static_cast<uint16_t>(listener);
    opened_ = reactor().now();
    return Connection::open(file, peer, begins);
}

bool Session::has_user() const {
    return core().shard().has_user(slot());
}
UserId Session::user() const {
    return core().shard().user_of(slot());
}
bool Session::is_user(const UserId& user) const {
    return core().shard().is_user(slot(), user);
}

Session::Rare& Session::rare() {
    if (!rare_) rare_ = std::make_unique<Rare>();
    return *rare_;
}

void Session::tidy_rare() {
    auto const now = reactor().now();
    rare_->messages.shrink(now);
    rare_->control_frames.shrink(now);
    bool const needed = rare_->proof || rare_->replay || rare_->claims || !rare_->messages.empty() ||
                        !rare_->control_frames.empty();
    if (!needed) rare_.reset();
}

// --- the connection's life

std::string Session::too_many(Duration retry_after) {
    auto const wait = fmt::format("{}", std::chrono::ceil<seconds>(retry_after).count());
    return http::make_response(429, "text/plain; charset=utf-8",
                               "too many from this address; connect again later\n",
                               {.keep_alive = false, .headers = {{"Retry-After", wait}}});
}

ws::RequestVerdict Session::on_request(const http::RequestHead& head) {
    const auto& trusted = core().config().proxy.trusted;
    bool const from_proxy = trusted.contains(peer());  // whose headers about the client count
    if (from_proxy) {
        auto const list = head.all("x-forwarded-for"), rfc = head.all("forwarded");
        set_peer(net::forwarded_client(peer(), {list, rfc}, trusted));
    }
    bool const is_head = head.method == http::Method::head;
    if (head.path == "/healthz") {
        if (head.method != http::Method::get && !is_head) {
            return {false, http::make_response(405, "text/plain; charset=utf-8", "GET or HEAD\n",
                                               {.keep_alive = false, .headers = {{"Allow", "GET, HEAD"}}})};
        }
        return {false, text_response(200, "ok", is_head)};
    }
    if (head.path != "/ws") return {false, text_response(404, "the WebSocket is at /ws\n", is_head)};
    if (!ws::check_upgrade(head).upgrade()) return {};  // refused by the connection, in its words
    if (!ws::request_origin_allowed(core().config().allowed_origins, head)) {
        return {false, text_response(403, "this origin is not allowed\n")};
    }
    if (core().draining()) return {false, text_response(503, "the server is shutting down\n")};
    if (core().admission().full()) {
        return {false, text_response(503, "the server has no place left; connect again later\n")};
    }
    auto const verdict = core().address_limits().arrive(peer());
    address_counted_ = verdict.counted;
    if (!verdict.admitted) return {false, too_many(verdict.retry_after)};
    return identify(head, from_proxy);
}

void Session::on_open() {
    auto const now = reactor().now();
    opened_ = last_active_ = now;
    counted_ = true;
    RC_ASSERT(place_ == Admission::Place::handshake);
    place_ = Admission::Place::client;
    core().admission().opened();
    core().metrics().clients_open.add();
    core().metrics().clients_by_network[static_cast<std::size_t>(peer().kind())].add();
    if (log::wanted(log::Level::debug)) log::debug("{} connected", peer().format());
    next_heartbeat_ = ShortTime(core().first_heartbeat());
    if (proof() && proof()->identity) {
        become(proof()->identity->user);
        core().user_limit().joined(proof()->identity->user);
    }
}

MonoTime Session::next_due() const {
    return std::min({next_heartbeat_.near(reactor().now()), last_active_ + core().config().inactivity_timeout,
                     proof_due()});
}

void Session::on_due() {
    auto const now = reactor().now();
    if (rare_) tidy_rare();
    // Between two answers to heartbeats it is quiet; who never says anything is so from its opening on.
    if (now - last_active_ >= std::min(kQuietAfter, core().config().ping_interval / 2))
        set_waits(net::Waits::poll);
    if (now - last_active_ >= core().config().inactivity_timeout) {
        return close_with(Errc::inactivity_timeout, "no pong or other message came for too long");
    }
    if (proof_overdue()) return;
    auto heartbeat = next_heartbeat_.near(now);
    if (now < heartbeat) return;
    auto const interval = core().config().ping_interval;
    do
        heartbeat += interval;
    while (heartbeat <= now);
    next_heartbeat_ = ShortTime(heartbeat);
    core().metrics().heartbeats.add();
    // A replay counts towards no limit, so what stands behind it cannot be judged by the queue.
    if (replay()) {
        send(core().heartbeat());
    } else {
        send_limited(core().heartbeat());
    }
}

void Session::on_control_frame() {
    if (rare().control_frames.admit(reactor().now(), limits::kControlFramesPerSecond)) return;
    close_with(Errc::rate_limit_exceeded, "more than 10 ping or pong frames in a second");
}

void Session::on_closing() {
    leave_hub();
}

void Session::on_closed() {
    leave_hub();
    if (address_counted_) core().address_limits().leave(peer());
    core().remove(*this);  // destroys *this
}

void Session::leave_hub() {
    if (rare_) {
        rare_->replay.reset();
        rare_->claims.reset();
    }
    if (!counted_) return;
    counted_ = false;
    core().metrics().clients_open.subtract();
    core().metrics().clients_by_network[static_cast<std::size_t>(peer().kind())].subtract();
    auto const left = has_user() ? std::optional(user()) : std::nullopt;
    core().shard().leave(slot());
    if (left) core().user_limit().left(*left);
}

void Session::close_with(Errc code, std::string_view message, ws::CloseCode close_code,
                         const std::optional<proto::MessageId>& id) {
    if (!is_open()) return;
    core().metrics().closed_with[static_cast<std::size_t>(code)].add();
    log::debug("closing {}: {} ({})", peer().format(), message, errc_name(code));
    send_text(proto::encode_error(code, message, id));
    close(close_code, errc_name(code));
}

void Session::disconnect(std::string_view reason) {
    if (!is_open()) return;
    core().metrics().closed_with[static_cast<std::size_t>(Errc::disconnected)].add();
    send_text(proto::encode_error(Errc::disconnected, reason, std::nullopt));
    close(ws::CloseCode::policy, reason);
}

void Session::shut_down() {
    close_with(Errc::shutting_down, "the server is shutting down; connect again",
               ws::CloseCode::service_restart);
}

ConnectionInfo Session::describe() const {
    ConnectionInfo info;
    info.core = reactor().id();
    info.handle = handle();
    info.opened = opened_;
    info.since = reactor().wall() - (reactor().now() - opened_);
    info.address = peer().format();
    info.topics = core().shard().topics_of(slot());
    return info;
}

// --- messages in

void Session::on_message(ws::Opcode, std::string_view payload) {
    auto const now = reactor().now();
    auto& metrics = core().metrics();
    metrics.messages_in.add();
    if (!admit_message(now)) {
        return close_with(Errc::rate_limit_exceeded, fmt::format("more than {} messages in one second",
                                                                 core().config().limits.messages_per_second));
    }
    last_active_ = now;
    spoken_ = true;
    if (proof() && proof()->checking) {
        proof()->held.emplace_back(payload);
    } else {
        take(payload);
    }
}

// Who says one thing a second needs no window for it: last_active_ is its time.
bool Session::admit_message(MonoTime now) {
    uint32_t const events_max = core().config().limits.messages_per_second;
    if (!rare_ || rare_->messages.empty()) {
        if (!spoken_) set_waits(net::Waits::poll);
        if (!spoken_ || now - last_active_ >= limits::kRateWindow) return true;
        set_waits(net::Waits::multishot);
        static_cast<void>(rare().messages.admit(last_active_, events_max));
    }
    return rare_->messages.admit(now, events_max);
}

void Session::take(std::string_view payload) {
    auto decoded = core().client_decoder().decode(payload);
    if (!decoded)
        return refuse(decoded.error().error.code, decoded.error().error.message, decoded.error().id);
    auto const id = std::move(decoded->id);
    answer([&] { std::visit([&](auto& body) { handle(body, id); }, decoded->body); });
}

void Session::send_text(std::string_view json) {
    send(frame_of(json));
}

void Session::acknowledge(const std::optional<proto::MessageId>& id, std::string_view data) {
    if (id) send_text(proto::encode_ack(id, data));
}

void Session::refuse(Errc code, std::string_view message, const std::optional<proto::MessageId>& id) {
    core().metrics().refused[static_cast<std::size_t>(code)].add();
    send_text(proto::encode_error(code, message, id));
    if (code != Errc::unauthorized) {
        refusals_in_a_row_ = 0;
    } else if (++refusals_in_a_row_ >= limits::kRefusalsInARowMax) {
        core().metrics().closed_with[static_cast<std::size_t>(code)].add();
        close(ws::CloseCode::policy, errc_name(code));
    }
}

// Judged in the contract's order: shape (the decoder's), token and user, topic names, topic rights, limit.
// Nothing is changed before all of it has passed.
void Session::handle(proto::Subscribe& subscribe, const std::optional<proto::MessageId>& id) {
    bool const known = proof() && proof()->identity && proof()->by_handshake;
    if (!subscribe.user && !subscribe.topics && !subscribe.token && !known) {
        return refuse(Errc::invalid_message, "subscribe.data needs a userId, topics or a token", id);
    }
    if (subscribe.token && core().token_reader()) return check_token(std::move(subscribe), id);
    subscribe_as(subscribe, id, std::nullopt);
}

void Session::subscribe_as(proto::Subscribe& subscribe, const std::optional<proto::MessageId>& id,
                           std::optional<auth::Identity> fresh) {
    if (proof() && !may_subscribe(subscribe, id, fresh)) return;
    bool const names_user = has_user() || subscribe.user.has_value();
    if ((subscribe.since || subscribe.replay_unread) && !names_user) {
        return refuse(Errc::invalid_message, "subscribe.data.since and replay need a userId", id);
    }
    if (subscribe.user && has_user() && !is_user(*subscribe.user)) {
        return refuse(Errc::unauthorized, "this connection belongs to another user already", id);
    }
    auto& shard = core().shard();
    if (subscribe.topics) {
        std::set<std::string_view> added;
        for (const auto& topic : *subscribe.topics) {
            if (!proto::is_topic_name(topic)) {
                return refuse(Errc::subscription_failed,
                              "a topic is 1 to 128 characters of A-Z a-z 0-9 . _ : -", id);
            }
            if (!shard.holds(slot(), topic)) added.insert(topic);
        }
        if (const auto& identity = fresh     ? fresh
                                   : proof() ? proof()->identity
                                             : fresh;
            identity && identity->topics) {
            for (const auto& topic : *subscribe.topics) {
                if (!identity->topics->allow(topic))
                    return refuse(Errc::unauthorized, "the token does not allow each of these topics", id);
            }
        }
        if (shard.topic_count(slot()) - topics_outside(fresh) + added.size() >
            core().config().limits.subscriptions) {
            return close_with(
                Errc::subscription_limit_exceeded,
                fmt::format("more than {} topics on one connection", core().config().limits.subscriptions),
                ws::CloseCode::policy, id);
        }
    }
    bool const resumes = subscribe.since || subscribe.replay_unread;
    if (resumes && replay() && replay()->next.size() >= limits::kResumesWaitingMax) {
        return refuse(Errc::subscription_failed, "too many replays wait behind the one that is under way",
                      id);
    }
    bool const asks_store = (resumes || subscribe.offsets) && names_user;
    if (asks_store && !core().store().has_place()) {
        return refuse(Errc::internal_error, "the store is busy; try again", id);
    }

    auto parts = parts_of(subscribe, asks_store);
    // What a client's first proof brings holds at once, as its user does; a newer one when this has
    // succeeded.
    if (fresh && !has_user()) {
        proof()->identity = std::move(fresh);
    } else {
        parts.proof = std::move(fresh);
    }
    if (proof()) proof()->subscribed = true;
    if (subscribe.user) {
        if (!has_user()) become(*subscribe.user);
        receiving_ = true;
        shard.set_receiving(slot(), true);
    }
    if (subscribe.topics) {
        for (const auto& topic : *subscribe.topics)
            shard.subscribe(slot(), topic);
    }
    if (subscribe.sync && !wants_sync_) {
        wants_sync_ = true;
        if (replay()) ask_again_with_marks();
    }
    if (resumes || subscribe.offsets) wants_offsets_ = true;

    // With the user's updates turned off a resume has nothing to send either, but is answered.
    if (resumes && receiving_) {
        start_replay(resume_of(subscribe, id, claim(std::move(parts))));
    } else if (asks_store) {
        ask_for_offset(id, claim(std::move(parts)), false);
    } else {
        stand(parts);
        if (!is_open()) return;  // it was one connection too many
        if (subscribe.offsets) {
            send_resume_ack(id, 0, false, 0);
        } else {
            acknowledge(id, "{}");
        }
    }
}

Claims::Parts Session::parts_of(const proto::Subscribe& subscribe, bool to_claim) const {
    static const Claims::Parts kNone;
    auto const& open = claims() ? claims()->open() : kNone;
    Claims::Parts parts;
    if (subscribe.topics && (to_claim || claims())) {
        for (const auto& topic : *subscribe.topics) {
            if (!core().shard().holds(slot(), topic) || open.topics.contains(topic))
                parts.topics.insert(topic);
        }
    }
    parts.user = subscribe.user && (!has_user() || open.user);
    parts.receiving = subscribe.user && (!receiving_ || open.receiving);
    parts.offsets = (subscribe.since || subscribe.replay_unread || subscribe.offsets) &&
                    (!wants_offsets_ || open.offsets);
    parts.sync = subscribe.sync && (!wants_sync_ || open.sync);
    return parts;
}

uint32_t Session::claim(Claims::Parts&& parts) {
    auto& claims = rare().claims;
    if (!claims) claims = std::make_unique<Claims>();
    return claims->add(std::move(parts));
}

// The oldest of too many connections of the user goes, perhaps this one.
void Session::stand(Claims::Parts& parts) {
    if (claims()) claims()->settle(parts);
    if (parts.proof) take_proof(std::move(*parts.proof));
    if (parts.user) core().user_limit().joined(user());
}

void Session::succeed(uint32_t claim) {
    auto parts = claims()->succeed(claim);
    if (claims()->empty()) rare_->claims.reset();
    if (parts.proof) take_proof(std::move(*parts.proof));
    if (parts.user) core().user_limit().joined(user());
}

void Session::take_back(uint32_t claim) {
    auto const parts = claims()->fail(claim);
    if (claims()->empty()) rare_->claims.reset();
    auto& shard = core().shard();
    for (const auto& topic : parts.topics)
        shard.unsubscribe(slot(), topic);
    if (parts.receiving) {
        if (proof()) proof()->subscribed = false;
        receiving_ = false;
        shard.set_receiving(slot(), false);
    }
    if (parts.user) {
        auto const user = this->user();
        shard.clear_user(slot());
        core().user_limit().left(user);
        if (proof()) proof()->identity.reset();
        rearm();  // the proof's end was a deadline
    }
    if (parts.offsets) wants_offsets_ = false;
    if (parts.sync) wants_sync_ = false;
    if (!replay()) return;
    keep_held([&](const LivePublication& held) {
        if (held.broadcast) return receiving_ || shard.topic_count(slot()) > 0;
        return (held.users.empty() || receiving_) && (held.topic.empty() || shard.holds(slot(), held.topic));
    });
}

void Session::handle(proto::Unsubscribe& unsubscribe, const std::optional<proto::MessageId>& id) {
    if (proof() && !proof()->identity)
        return refuse(Errc::unauthorized, "nobody has proved who this connection belongs to", id);
    if (unsubscribe.user && !is_user(*unsubscribe.user)) {
        return refuse(Errc::unauthorized, "this connection does not belong to that user", id);
    }
    auto& shard = core().shard();
    if (unsubscribe.topics) {
        for (const auto& topic : *unsubscribe.topics)
            shard.unsubscribe(slot(), topic);
        if (claims()) claims()->settle({.topics = {unsubscribe.topics->begin(), unsubscribe.topics->end()}});
        if (replay()) drop_held_of({unsubscribe.topics->begin(), unsubscribe.topics->end()});
    } else {
        shard.drop_topics(slot());
        receiving_ = false;
        if (claims()) claims()->settle({.topics = claims()->open().topics, .receiving = true});
        if (replay()) {
            keep_held([](const LivePublication& held) { return held.broadcast; });
            give_up_replay();
        }
        if (proof()) proof()->subscribed = true;
        if (has_user()) shard.set_receiving(slot(), false);
    }
    acknowledge(id, "{}");
}

void Session::handle(proto::MarkRead& mark_read, const std::optional<proto::MessageId>& id) {
    if (!has_user()) return refuse(Errc::unauthorized, "mark_read needs a subscribe with a userId first", id);
    auto& store = core().store();
    if (!store.has_place()) return refuse(Errc::internal_error, "the store is busy; try again", id);
    store.submit(
        store::MarkRead{{}, user(), std::move(mark_read.notification_id), core().mark_origin(handle())},
        [&core = core(), handle = handle(), id](store::Answer&& answer) {
            auto const& marked = std::get<store::MarkReadAnswer>(answer);
            Session* self = core.find(handle);
            if (!self || !self->is_open()) return;
            if (marked.unavailable) {
                return self->refuse(Errc::internal_error, "the store takes nothing now; try again", id);
            }
            if (!marked.found) {
                return self->refuse(Errc::invalid_message,
                                    "mark_read.data.notificationId is not a notification of this user", id);
            }
            self->acknowledge(id, fmt::format(R"({{"unreadCount":{}}})", marked.unread_count));
        });
}

// --- messages out

// Whether the queue would be longer than it may be while the socket takes nothing.
bool Session::over_limits(std::size_t bytes, uint32_t messages) const {
    auto const& limits = core().config().limits;
    return unsent_bytes() + bytes > limits.send_queue_bytes ||
           unsent_frames() + messages > limits.send_queue_messages;
}

bool Session::send_limited(const FrameRef& frame) {
    // A burst alone is no slowness: the socket must have left a send waiting.
    if (over_limits(frame.size(), 1) && stalled()) {
        drop_unsent();
        close_with(Errc::slow_consumer, "messages came faster than they were read",
                   ws::CloseCode::try_again_later);
        return false;
    }
    send(frame);
    return true;
}

void Session::send_delivery(const FrameRef& frame) {
    if (send_limited(frame)) core().metrics().deliveries.add();
}

void Session::deliver(const std::shared_ptr<const LivePublication>& publication, const FrameRef& frame,
                      uint64_t offset_before) {
    if (!is_open()) return;
    if (!replay()) return send_delivery(frame);
    auto const& limits = core().config().limits;
    auto const passes = [&](uint64_t queues) {
        return !replay()->held.empty() &&
               (replay()->held.size() >= queues * limits.send_queue_messages ||
                replay()->held_bytes + frame.size() > queues * limits.send_queue_bytes);
    };
    // Sent ahead of the replay they would be out of order. A burst alone is no slowness here either.
    if (stalled() && passes(limits::kHeldQueuesStalledMax)) {
        drop_unsent();
        return close_with(Errc::slow_consumer, "messages came faster than the replay before them was read",
                          ws::CloseCode::try_again_later);
    }
    if (passes(limits::kHeldQueuesMax)) {
        return close_with(Errc::internal_error, "too much waits behind the replay; resume later",
                          ws::CloseCode::internal);
    }
    replay()->held_bytes += frame.size();
    replay()->held.push_back({publication, frame, offset_before});
}

bool Session::takes_burst(std::size_t bytes, uint32_t messages) const {
    return is_open() && !replay() && !over_limits(bytes, messages) &&
           unsent_frames() + messages <= kBurstQueueMessagesMax &&
           unsent_bytes() + bytes <= kBurstQueueBytesMax;
}

void Session::deliver_burst(const FrameRef& frames) {
    send(frames);
    core().metrics().deliveries.add(frames.frames());
}

void Session::deliver_logged(const store::Publication& publication, const FrameRef& plain, uint64_t offset) {
    if (!is_open()) return;
    if (replay()) {
        replay()->dropped_max = std::max(replay()->dropped_max, offset);
        auto& next = publication.message->notification_id.empty() ? replay()->dropped_first.message
                                                                  : replay()->dropped_first.notification;
        if (next == 0 && replay()->upto != 0) next = offset;
        return;
    }
    send_delivery(wants_offsets_ ? core().with_offset(*publication.message, offset) : plain);
}

void Session::deliver_read_mark(const store::ReadMark& mark) {
    if (!wants_sync_ || !receiving_ || !is_open()) return;
    if (mark.origin == core().mark_origin(handle())) return;
    if (replay()) {
        replay()->dropped_max = std::max(replay()->dropped_max, mark.offset);
        return;
    }
    auto const offset = wants_offsets_ ? offset_text(mark.offset) : std::string();
    send_delivery(frame_of(
        mark.all ? proto::encode_all_read(offset)
                 : proto::encode_notification_read(mark.notification_id, mark.unread_count, offset)));
}  // NOLINT(clang-analyzer-cplusplus.NewDeleteLeaks): a FrameRef counts its references

}  // namespace rc::server
