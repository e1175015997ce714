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

std::string text_response(int status, std::string_view body, bool head_only = false) {
    return http::make_response(status, "text/plain; charset=utf-8", body,
                               {.keep_alive = false, .head_only = head_only});
}

FrameRef frame_of(std::string_view json) {
    return FrameRef(ws::text_frame(json));
}

}  // namespace

Session::Session(Core& core, ws::Endpoint& endpoint)
    : core_(core), connection_(endpoint, *this), timer_(*this) {}
Session::~Session() = default;

bool Session::open(io::File file, const net::PeerAddress& peer, ws::Connection::Begins begins,
                   uint32_t listener) {
    listener_ = static_cast<uint16_t>(listener);
    opened_ = core_.reactor().now();
    return connection_.open(file, peer, begins);
}

// --- the connection's life

std::string Session::too_many(Duration retry_after) {
    auto const wait = fmt::format("{}", std::chrono::ceil<seconds>(retry_after).count());
    return http::make_response(429, "text/plain; charset=utf-8",
                               "too many from this address; connect again later\n",
                               {.keep_alive = false, .headers = {{"Retry-After", wait}}});
}

ws::RequestVerdict Session::on_request(const http::RequestHead& head) {
    const auto& trusted = core_.config().proxy.trusted;
    bool const from_proxy = trusted.contains(connection_.peer());  // whose headers about the client count
    if (from_proxy) {
        auto const list = head.all("x-forwarded-for"), rfc = head.all("forwarded");
        connection_.set_peer(net::forwarded_client(connection_.peer(), {list, rfc}, trusted));
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
    if (!ws::request_origin_allowed(core_.config().allowed_origins, head)) {
        return {false, text_response(403, "this origin is not allowed\n")};
    }
    if (core_.draining()) return {false, text_response(503, "the server is shutting down\n")};
    if (core_.admission().full()) {
        return {false, text_response(503, "the server has no place left; connect again later\n")};
    }
    auto const verdict = core_.address_limits().arrive(connection_.peer());
    address_counted_ = verdict.counted;
    if (!verdict.admitted) return {false, too_many(verdict.retry_after)};
    return identify(head, from_proxy);
}

void Session::on_open() {
    auto const now = core_.reactor().now();
    opened_ = last_active_ = now;
    counted_ = true;
    place_ = Admission::Place::client;
    core_.admission().opened();
    core_.metrics().clients_open.add();
    core_.metrics().clients_by_network[static_cast<std::size_t>(connection_.peer().kind())].add();
    log::debug("{} connected", connection_.peer().format());
    // A random place in the interval, so that a million clients are not asked at once.
    auto const interval = core_.config().ping_interval;
    next_heartbeat_ =
        now + Duration(1 + static_cast<int64_t>(core_.random() % static_cast<uint64_t>(interval.count())));
    if (proof_ && proof_->identity) {
        become(proof_->identity->user);
        core_.user_limit().joined(user_);
    }
    arm_timer();
}

void Session::arm_timer() {
    auto const due =
        std::min({next_heartbeat_, last_active_ + core_.config().inactivity_timeout, proof_due()});
    core_.reactor().timers().arm(timer_, due);
}

void Session::on_timer() {
    if (!connection_.is_open()) return;
    auto const now = core_.reactor().now();
    messages_.shrink(now);
    control_frames_.shrink(now);
    if (now - last_active_ >= core_.config().inactivity_timeout) {
        return close_with(Errc::inactivity_timeout, "no pong or other message came for too long");
    }
    if (proof_overdue()) return;
    if (now >= next_heartbeat_) {
        auto const interval = core_.config().ping_interval;
        do
            next_heartbeat_ += interval;
        while (next_heartbeat_ <= now);
        core_.metrics().heartbeats.add();
        // A replay counts towards no limit, so what stands behind it cannot be judged by the queue.
        if (replay_) {
            connection_.send(core_.heartbeat());
        } else if (!send_limited(core_.heartbeat())) {
            return;
        }
    }
    arm_timer();
}

void Session::on_control_frame() {
    if (control_frames_.admit(core_.reactor().now(), limits::kControlFramesPerSecond)) return;
    close_with(Errc::rate_limit_exceeded, "more than 10 ping or pong frames in a second");
}

void Session::on_closing() {
    timer_.disarm();
    leave_hub();
}

void Session::on_closed() {
    timer_.disarm();
    leave_hub();
    if (address_counted_) core_.address_limits().leave(connection_.peer());
    core_.remove(*this);  // destroys *this
}

void Session::leave_hub() {
    replay_.reset();
    claims_.reset();
    if (!counted_) return;
    counted_ = false;
    core_.metrics().clients_open.subtract();
    core_.metrics().clients_by_network[static_cast<std::size_t>(connection_.peer().kind())].subtract();
    core_.shard().leave(slot());
    if (!user_.text.empty()) core_.user_limit().left(user_);
}

void Session::close_with(Errc code, std::string_view message, ws::CloseCode close_code,
                         const std::optional<proto::MessageId>& id) {
    if (!connection_.is_open()) return;
    core_.metrics().closed_with[static_cast<std::size_t>(code)].add();
    log::debug("closing {}: {} ({})", connection_.peer().format(), message, errc_name(code));
    send_text(proto::encode_error(code, message, id));
    connection_.close(close_code, errc_name(code));
}

void Session::disconnect(std::string_view reason) {
    if (!connection_.is_open()) return;
    core_.metrics().closed_with[static_cast<std::size_t>(Errc::disconnected)].add();
    send_text(proto::encode_error(Errc::disconnected, reason, std::nullopt));
    connection_.close(ws::CloseCode::policy, reason);
}

void Session::shut_down() {
    close_with(Errc::shutting_down, "the server is shutting down; connect again",
               ws::CloseCode::service_restart);
}

ConnectionInfo Session::describe() const {
    ConnectionInfo info;
    info.core = core_.reactor().id();
    info.handle = connection_.handle();
    info.opened = opened_;
    info.since = core_.reactor().wall() - (core_.reactor().now() - opened_);
    info.address = connection_.peer().format();
    info.topics = core_.shard().topics_of(slot());
    return info;
}

// --- messages in

void Session::on_message(ws::Opcode, std::string_view payload) {
    auto const now = core_.reactor().now();
    auto& metrics = core_.metrics();
    metrics.messages_in.add();
    if (!messages_.admit(now, core_.config().limits.messages_per_second)) {
        return close_with(Errc::rate_limit_exceeded, fmt::format("more than {} messages in one second",
                                                                 core_.config().limits.messages_per_second));
    }
    last_active_ = now;
    if (proof_ && proof_->checking) {
        proof_->held.emplace_back(payload);
    } else {
        take(payload);
    }
}

void Session::take(std::string_view payload) {
    auto decoded = core_.client_decoder().decode(payload);
    if (!decoded)
        return refuse(decoded.error().error.code, decoded.error().error.message, decoded.error().id);
    auto const id = std::move(decoded->id);
    answer([&] { std::visit([&](auto& body) { handle(body, id); }, decoded->body); });
}

void Session::send_text(std::string_view json) {
    connection_.send(frame_of(json));
}

void Session::acknowledge(const std::optional<proto::MessageId>& id, std::string_view data) {
    if (id) send_text(proto::encode_ack(id, data));
}

void Session::refuse(Errc code, std::string_view message, const std::optional<proto::MessageId>& id) {
    core_.metrics().refused[static_cast<std::size_t>(code)].add();
    send_text(proto::encode_error(code, message, id));
    if (code != Errc::unauthorized) {
        refusals_in_a_row_ = 0;
    } else if (++refusals_in_a_row_ >= limits::kRefusalsInARowMax) {
        core_.metrics().closed_with[static_cast<std::size_t>(code)].add();
        connection_.close(ws::CloseCode::policy, errc_name(code));
    }
}

// Judged in the contract's order: shape (the decoder's), token and user, topic names, topic rights, limit.
// Nothing is changed before all of it has passed.
void Session::handle(proto::Subscribe& subscribe, const std::optional<proto::MessageId>& id) {
    bool const known = proof_ && proof_->identity && proof_->by_handshake;
    if (!subscribe.user && !subscribe.topics && !subscribe.token && !known) {
        return refuse(Errc::invalid_message, "subscribe.data needs a userId, topics or a token", id);
    }
    if (subscribe.token && core_.token_reader()) return check_token(std::move(subscribe), id);
    subscribe_as(subscribe, id, std::nullopt);
}

void Session::subscribe_as(proto::Subscribe& subscribe, const std::optional<proto::MessageId>& id,
                           std::optional<auth::Identity> fresh) {
    if (proof_ && !may_subscribe(subscribe, id, fresh)) return;
    bool const has_user = !user_.text.empty() || subscribe.user.has_value();
    if ((subscribe.since || subscribe.replay_unread) && !has_user) {
        return refuse(Errc::invalid_message, "subscribe.data.since and replay need a userId", id);
    }
    if (subscribe.user && !user_.text.empty() && *subscribe.user != user_) {
        return refuse(Errc::unauthorized, "this connection belongs to another user already", id);
    }
    auto& shard = core_.shard();
    if (subscribe.topics) {
        std::set<std::string_view> added;
        for (const auto& topic : *subscribe.topics) {
            if (!proto::is_topic_name(topic)) {
                return refuse(Errc::subscription_failed,
                              "a topic is 1 to 128 characters of A-Z a-z 0-9 . _ : -", id);
            }
            if (!shard.holds(slot(), topic)) added.insert(topic);
        }
        if (const auto& identity = fresh    ? fresh
                                   : proof_ ? proof_->identity
                                            : fresh;
            identity && identity->topics) {
            for (const auto& topic : *subscribe.topics) {
                if (!identity->topics->allow(topic))
                    return refuse(Errc::unauthorized, "the token does not allow each of these topics", id);
            }
        }
        if (shard.topic_count(slot()) - topics_outside(fresh) + added.size() >
            core_.config().limits.subscriptions) {
            return close_with(
                Errc::subscription_limit_exceeded,
                fmt::format("more than {} topics on one connection", core_.config().limits.subscriptions),
                ws::CloseCode::policy, id);
        }
    }
    bool const resumes = subscribe.since || subscribe.replay_unread;
    if (resumes && replay_ && replay_->next.size() >= limits::kResumesWaitingMax) {
        return refuse(Errc::subscription_failed, "too many replays wait behind the one that is under way",
                      id);
    }
    bool const asks_store = (resumes || subscribe.offsets) && has_user;
    if (asks_store && !core_.store().has_place()) {
        return refuse(Errc::internal_error, "the store is busy; try again", id);
    }

    auto parts = parts_of(subscribe, asks_store);
    // What a client's first proof brings holds at once, as its user does; a newer one when this has
    // succeeded.
    if (fresh && user_.text.empty()) {
        proof_->identity = std::move(fresh);
    } else {
        parts.proof = std::move(fresh);
    }
    if (proof_) proof_->subscribed = true;
    if (subscribe.user) {
        if (user_.text.empty()) become(*subscribe.user);
        receiving_ = true;
        shard.set_receiving(slot(), true);
    }
    if (subscribe.topics) {
        for (const auto& topic : *subscribe.topics)
            shard.subscribe(slot(), topic);
    }
    if (subscribe.sync && !std::exchange(wants_sync_, true) && replay_) ask_again_with_marks();
    if (resumes || subscribe.offsets) wants_offsets_ = true;

    // With the user's updates turned off a resume has nothing to send either, but is answered.
    if (resumes && receiving_) {
        start_replay(resume_of(subscribe, id, claim(std::move(parts))));
    } else if (asks_store) {
        ask_for_offset(id, claim(std::move(parts)), false);
    } else {
        stand(parts);
        if (!connection_.is_open()) return;  // it was one connection too many
        if (subscribe.offsets) {
            send_resume_ack(id, 0, false, 0);
        } else {
            acknowledge(id, "{}");
        }
    }
}

Claims::Parts Session::parts_of(const proto::Subscribe& subscribe, bool to_claim) const {
    static const Claims::Parts kNone;
    auto const& open = claims_ ? claims_->open() : kNone;
    Claims::Parts parts;
    if (subscribe.topics && (to_claim || claims_)) {
        for (const auto& topic : *subscribe.topics) {
            if (!core_.shard().holds(slot(), topic) || open.topics.contains(topic))
                parts.topics.insert(topic);
        }
    }
    parts.user = subscribe.user && (user_.text.empty() || open.user);
    parts.receiving = subscribe.user && (!receiving_ || open.receiving);
    parts.offsets = (subscribe.since || subscribe.replay_unread || subscribe.offsets) &&
                    (!wants_offsets_ || open.offsets);
    parts.sync = subscribe.sync && (!wants_sync_ || open.sync);
    return parts;
}

uint32_t Session::claim(Claims::Parts&& parts) {
    if (!claims_) claims_ = std::make_unique<Claims>();
    return claims_->add(std::move(parts));
}

// The oldest of too many connections of the user goes, perhaps this one.
void Session::stand(Claims::Parts& parts) {
    if (claims_) claims_->settle(parts);
    if (parts.proof) take_proof(std::move(*parts.proof));
    if (parts.user) core_.user_limit().joined(user_);
}

void Session::succeed(uint32_t claim) {
    auto parts = claims_->succeed(claim);
    if (claims_->empty()) claims_.reset();
    if (parts.proof) take_proof(std::move(*parts.proof));
    if (parts.user) core_.user_limit().joined(user_);
}

void Session::take_back(uint32_t claim) {
    auto const parts = claims_->fail(claim);
    if (claims_->empty()) claims_.reset();
    auto& shard = core_.shard();
    for (const auto& topic : parts.topics)
        shard.unsubscribe(slot(), topic);
    if (parts.receiving) {
        if (proof_) proof_->subscribed = false;
        receiving_ = false;
        shard.set_receiving(slot(), false);
    }
    if (parts.user) {
        shard.clear_user(slot());
        core_.user_limit().left(std::exchange(user_, {}));
        if (proof_) proof_->identity.reset();
    }
    if (parts.offsets) wants_offsets_ = false;
    if (parts.sync) wants_sync_ = false;
    if (!replay_) return;
    keep_held([&](const LivePublication& held) {
        if (held.broadcast) return receiving_ || shard.topic_count(slot()) > 0;
        return (held.users.empty() || receiving_) && (held.topic.empty() || shard.holds(slot(), held.topic));
    });
}

void Session::handle(proto::Unsubscribe& unsubscribe, const std::optional<proto::MessageId>& id) {
    if (proof_ && !proof_->identity)
        return refuse(Errc::unauthorized, "nobody has proved who this connection belongs to", id);
    if (unsubscribe.user && *unsubscribe.user != user_) {
        return refuse(Errc::unauthorized, "this connection does not belong to that user", id);
    }
    auto& shard = core_.shard();
    if (unsubscribe.topics) {
        for (const auto& topic : *unsubscribe.topics)
            shard.unsubscribe(slot(), topic);
        if (claims_) claims_->settle({.topics = {unsubscribe.topics->begin(), unsubscribe.topics->end()}});
        if (replay_) drop_held_of({unsubscribe.topics->begin(), unsubscribe.topics->end()});
    } else {
        shard.drop_topics(slot());
        receiving_ = false;
        if (claims_) claims_->settle({.topics = claims_->open().topics, .receiving = true});
        if (replay_) {
            keep_held([](const LivePublication& held) { return held.broadcast; });
            give_up_replay();
        }
        if (proof_) proof_->subscribed = true;
        if (!user_.text.empty()) shard.set_receiving(slot(), false);
    }
    acknowledge(id, "{}");
}

void Session::handle(proto::MarkRead& mark_read, const std::optional<proto::MessageId>& id) {
    if (user_.text.empty())
        return refuse(Errc::unauthorized, "mark_read needs a subscribe with a userId first", id);
    auto& store = core_.store();
    if (!store.has_place()) return refuse(Errc::internal_error, "the store is busy; try again", id);
    store.submit(
        store::MarkRead{{}, user_, std::move(mark_read.notification_id), core_.mark_origin(handle())},
        [&core = core_, handle = handle(), id](store::Answer&& answer) {
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

bool Session::send_limited(const FrameRef& frame) {
    auto const& limits = core_.config().limits;
    bool const over = connection_.unsent_bytes() + frame.size() > limits.send_queue_bytes ||
                      connection_.unsent_frames() + 1 > limits.send_queue_messages;
    // A burst alone is no slowness: the socket must have left a send waiting.
    if (over && connection_.stalled()) {
        connection_.drop_unsent();
        close_with(Errc::slow_consumer, "messages came faster than they were read",
                   ws::CloseCode::try_again_later);
        return false;
    }
    connection_.send(frame);
    return true;
}

void Session::send_delivery(const FrameRef& frame) {
    if (send_limited(frame)) core_.metrics().deliveries.add();
}

void Session::deliver(const std::shared_ptr<const LivePublication>& publication, const FrameRef& frame,
                      uint64_t offset_before) {
    if (!connection_.is_open()) return;
    if (!replay_) return send_delivery(frame);
    auto const& limits = core_.config().limits;
    auto const passes = [&](uint64_t queues) {
        return !replay_->held.empty() &&
               (replay_->held.size() >= queues * limits.send_queue_messages ||
                replay_->held_bytes + frame.size() > queues * limits.send_queue_bytes);
    };
    // Sent ahead of the replay they would be out of order. A burst alone is no slowness here either.
    if (connection_.stalled() && passes(limits::kHeldQueuesStalledMax)) {
        connection_.drop_unsent();
        return close_with(Errc::slow_consumer, "messages came faster than the replay before them was read",
                          ws::CloseCode::try_again_later);
    }
    if (passes(limits::kHeldQueuesMax)) {
        return close_with(Errc::internal_error, "too much waits behind the replay; resume later",
                          ws::CloseCode::internal);
    }
    replay_->held_bytes += frame.size();
    replay_->held.push_back({publication, frame, offset_before});
}

void Session::deliver_logged(const store::Publication& publication, const FrameRef& plain, uint64_t offset) {
    if (!connection_.is_open()) return;
    if (replay_) {
        replay_->dropped_max = std::max(replay_->dropped_max, offset);
        return;
    }
    send_delivery(wants_offsets_ ? core_.with_offset(*publication.message, offset) : plain);
}

void Session::deliver_read_mark(const store::ReadMark& mark) {
    if (!wants_sync_ || !receiving_ || !connection_.is_open()) return;
    if (mark.origin == core_.mark_origin(handle())) return;
    if (replay_) {
        replay_->dropped_max = std::max(replay_->dropped_max, mark.offset);
        return;
    }
    auto const offset = wants_offsets_ ? offset_text(mark.offset) : std::string();
    send_delivery(frame_of(
        mark.all ? proto::encode_all_read(offset)
                 : proto::encode_notification_read(mark.notification_id, mark.unread_count, offset)));
}  // NOLINT(clang-analyzer-cplusplus.NewDeleteLeaks): a FrameRef counts its references

}  // namespace rc::server
