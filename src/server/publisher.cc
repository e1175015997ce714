#include "publisher.h"

#include <algorithm>
#include <map>

#include "core.h"
#include "ringcast/base/hash.h"
#include "ringcast/proto/encode.h"
#include "ringcast/proto/text.h"
#include "ringcast/ws/frame.h"

namespace rc::server {
namespace {

constexpr reactor::CoreId kBroadcastHome = 0;

PublishOutcome refused(Errc code, std::string_view message) {
    PublishOutcome outcome;
    outcome.error = Error{code, std::string(message)};
    return outcome;
}

PublishOutcome busy() {
    return refused(Errc::unavailable, "the server is busy; try again");
}

store::ContentHash content_hash(const proto::PublishRequest& request) {
    Hasher hasher;
    hasher.add(request.type);
    hasher.add(request.target.topic.value_or(""));
    hasher.add(request.data_raw);
    auto const hash = hasher.result();
    return {hash.high, hash.low};
}

store::ContentHash hash_with_targets(const proto::PublishRequest& request) {
    Hasher hasher;
    hasher.add(request.type);
    hasher.add(request.target.broadcast ? "broadcast" : "");
    hasher.add(request.target.topic ? "topic" : "");
    hasher.add(request.target.topic.value_or(""));
    // The same users in another order are the same targets.
    std::vector<std::string_view> users;
    for (const auto& user : request.target.users)
        users.push_back(user.text);
    std::sort(users.begin(), users.end());
    for (auto user : users)
        hasher.add(user);
    hasher.add(request.data_raw);
    auto const hash = hasher.result();
    return {hash.high, hash.low};
}

}  // namespace

bool Publisher::publish(proto::PublishRequest&& request, const std::optional<std::string>& key, bool may_wait,
                        Done done) {
    auto& target = request.target;
    bool const stored = !target.users.empty() && request.store;
    if ((stored || key) && !core_.store().has_place()) return false;

    auto const wall = core_.reactor().wall();
    std::string publication_id = proto::uuid_v7(wall, core_.random(), core_.random());
    std::string filled;
    std::string_view data = request.data_raw;
    if (request.is_document_type) {
        filled = proto::fill_in(request, {publication_id, proto::rfc3339(wall)});
        data = filled;
    }
    text_.clear();
    proto::append_message(text_, request.type, data);
    SharedBytes const frame = ws::text_frame(text_);

    if (stored) {
        std::optional<store::Idempotency> idempotency;
        if (key) idempotency = {*key, hash_with_targets(request)};
        auto message = std::make_shared<store::Message>();
        message->type = request.type;
        message->topic = target.topic.value_or("");
        message->data = request.is_document_type ? std::move(filled) : std::string(data);
        if (request.is_notification)
            message->notification_id = request.notification_id.value_or(publication_id);
        auto publication = std::make_shared<store::Publication>();
        publication->message = std::move(message);
        publication->frame = frame;
        publication->addressees.reserve(target.users.size());
        for (auto& user : target.users)
            publication->addressees.push_back({std::move(user)});
        store::Append append{
            .publication = std::move(publication),
            .content_hash = content_hash(request),
            .publication_id = request.is_notification ? std::string() : std::move(publication_id),
            .id_wanted = !may_wait,
            .read = request.is_notification && request.has_read && request.read,
            .ttl = request.ttl};
        append.idempotency = std::move(idempotency);
        append.bytes = static_cast<uint32_t>(store::queued_bytes(append));
        core_.store().submit(std::move(append), [done = std::move(done)](store::Answer&& answer) {
            auto& appended = std::get<store::AppendAnswer>(answer);
            switch (appended.verdict) {
                case store::AppendAnswer::Verdict::accepted:
                    return done({.id = std::move(appended.id), .offset = appended.offset});
                case store::AppendAnswer::Verdict::conflict:
                    return done(
                        refused(Errc::conflict,
                                "the idempotency key or the notification id was used for another content"));
                case store::AppendAnswer::Verdict::unavailable:
                    return done(refused(Errc::unavailable, "the store takes nothing now; try again"));
            }
        });
        core_.metrics().published_stored.add();
        return true;
    }

    auto& sequencer = core_.sequencer();
    auto topic = target.topic.value_or("");
    if (!key && target.users.size() <= 1) {
        auto const home = target.broadcast       ? kBroadcastHome
                          : target.users.empty() ? sequencer.home_of_topic(topic)
                                                 : sequencer.home_of_user(target.users.front());
        return publish_to_one(home, {frame, std::move(topic), std::move(target.users), target.broadcast},
                              std::move(publication_id), may_wait, std::move(done));
    }
    Live live;
    live.may_wait = may_wait;
    auto part = [&](std::vector<UserId> users) {
        return std::make_shared<const LivePublication>(
            LivePublication{frame, topic, std::move(users), target.broadcast});
    };
    if (!target.users.empty()) {
        std::map<reactor::CoreId, std::vector<UserId>> by_home;
        for (const auto& user : target.users)
            by_home[sequencer.home_of_user(user)].push_back(user);
        // Each home core orders its own users. None may refuse after another has accepted.
        if (by_home.size() > 1) live.may_wait = true;
        for (auto& [home, users] : by_home)
            live.parts.emplace_back(home, part(std::move(users)));
    } else {
        live.parts.emplace_back(target.broadcast ? kBroadcastHome : sequencer.home_of_topic(topic), part({}));
    }

    if (key) {
        publish_reserved(std::move(live), {{}, {*key, hash_with_targets(request)}, publication_id},
                         std::move(done));
        return true;
    }
    live.done = [done = std::move(done), publication_id](bool accepted) {
        done(accepted ? PublishOutcome{.id = publication_id} : busy());
    };
    if (!start(live)) return false;
    core_.metrics().published_live.add();
    return true;
}

bool Publisher::publish_to_one(reactor::CoreId home, LivePublication&& publication, std::string&& id,
                               bool may_wait, Done&& done) {
    auto& sequencer = core_.sequencer();
    if (!sequencer.has_place(home)) return false;
    sequencer.publish(home, std::make_shared<const LivePublication>(std::move(publication)), may_wait,
                      [done = std::move(done), id = std::move(id)](bool accepted) {
                          done(accepted ? PublishOutcome{.id = id} : busy());
                      });
    core_.metrics().published_live.add();
    return true;
}

// The key is taken first, so that of two requests with one key only one is published.
void Publisher::publish_reserved(Live live, store::Reserve reserve, Done done) {
    auto key = reserve.idempotency.key;
    core_.store().submit(std::move(reserve), [this, live = std::move(live), key = std::move(key),
                                              done = std::move(done)](store::Answer&& answer) mutable {
        auto& reserved = std::get<store::ReserveAnswer>(answer);
        switch (reserved.verdict) {
            case store::ReserveAnswer::Verdict::repeat:
                return done({.id = std::move(reserved.id), .offset = reserved.offset});
            case store::ReserveAnswer::Verdict::conflict:
                return done(refused(Errc::conflict, "the idempotency key was used for another content"));
            case store::ReserveAnswer::Verdict::unavailable:
                return done(refused(Errc::unavailable, "the store takes nothing now; try again"));
            case store::ReserveAnswer::Verdict::fresh: break;
        }
        auto settle = std::make_shared<std::function<void(bool)>>(
            [this, id = std::move(reserved.id), key = std::move(key), done = std::move(done)](bool accepted) {
                core_.store().settle({{}, key, accepted}, [id, done, accepted] {
                    done(accepted ? PublishOutcome{.id = id} : busy());
                });
            });
        live.done = [settle](bool accepted) { (*settle)(accepted); };
        bool const may_wait = live.may_wait;
        if (start(live)) {
            core_.metrics().published_live.add();
        } else if (may_wait) {
            waiting_.push_back(std::move(live));
        } else {
            (*settle)(false);
        }
    });
}

bool Publisher::start(Live& live) {
    auto& sequencer = core_.sequencer();
    for (const auto& [home, publication] : live.parts) {
        if (!sequencer.has_place(home)) return false;
    }
    auto missing = std::make_shared<std::size_t>(live.parts.size());
    auto done = std::make_shared<std::function<void(bool)>>(std::move(live.done));
    for (auto& [home, publication] : live.parts) {
        sequencer.publish(home, std::move(publication), live.may_wait, [missing, done](bool accepted) {
            if (--*missing == 0) (*done)(accepted);
        });
    }
    return true;
}

bool Publisher::retry() {
    while (!waiting_.empty() && start(waiting_.front())) {
        core_.metrics().published_live.add();
        waiting_.pop_front();
    }
    return !waiting_.empty();
}

}  // namespace rc::server
