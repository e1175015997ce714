// Who a client is: what the handshake proves, what tokens prove later, and for how long.
#include <algorithm>
#include <utility>

#include "core.h"
#include "ringcast/base/ascii.h"
#include "ringcast/http/path.h"
#include "ringcast/http/response.h"
#include "session.h"

namespace rc::server {
namespace {

constexpr std::string_view kSubprotocol = "ringcast";
constexpr std::string_view kBusy = "tokens cannot be checked now; try again";

std::string refusal(int status, std::string_view words) {
    http::ResponseOptions options{.keep_alive = false};
    if (status == 401) options.headers = {{"WWW-Authenticate", "Bearer"}};
    if (status == 503) options.headers = {{"Retry-After", "5"}};
    return http::make_response(status, "text/plain; charset=utf-8", std::string(words) + "\n", options);
}

ws::RequestVerdict refused(int status, std::string_view words) {
    return {.upgrade = false, .response = refusal(status, words)};
}

/// Calls `take` with each part between the separators, without the blanks around it, until it returns true.
template <class Take>
void split(std::string_view list, char separator, Take&& take) {
    for (bool more = true; more;) {
        auto const end = list.find(separator);
        more = end != std::string_view::npos;
        auto part = list.substr(0, end);
        if (more) list.remove_prefix(end + 1);
        part.remove_prefix(std::min(part.find_first_not_of(" \t"), part.size()));
        part = part.substr(0, part.find_last_not_of(" \t") + 1);
        if (take(part)) return;
    }
}

std::string_view bearer_of(std::string_view authorization) {
    constexpr std::string_view kScheme = "bearer ";
    auto const scheme = authorization.substr(0, kScheme.size());
    if (!equal_ignoring_case(scheme, kScheme)) return {};
    auto token = authorization.substr(kScheme.size());
    token.remove_prefix(std::min(token.find_first_not_of(' '), token.size()));
    return token;
}

/// The first cookie of that name: browsers send the one with the longest path first.
std::string_view cookie_of(const std::vector<std::string_view>& headers, std::string_view name) {
    std::string_view found;
    for (auto header : headers) {
        split(header, ';', [&](std::string_view cookie) {
            auto const equals = cookie.find('=');
            if (equals == std::string_view::npos || cookie.substr(0, equals) != name) return false;
            found = cookie.substr(equals + 1);
            if (found.size() >= 2 && found.starts_with('"') && found.ends_with('"'))
                found = found.substr(1, found.size() - 2);
            return !found.empty();
        });
        if (!found.empty()) break;
    }
    return found;
}

/// Of `ringcast, <token>`: whether it is offered, and what stands behind it.
std::pair<bool, std::string_view> subprotocol_of(const std::vector<std::string_view>& headers) {
    bool offered = false;
    std::string_view token;
    for (auto header : headers) {
        split(header, ',', [&](std::string_view part) {
            if (offered && token.empty()) token = part;
            offered = offered || part == kSubprotocol;
            return !token.empty();
        });
    }
    return {offered, token};
}

}  // namespace

// --- the handshake

ws::RequestVerdict Session::identify(const http::RequestHead& head, bool from_proxy) {
    const auto& config = core().config().auth;
    ws::RequestVerdict verdict;
    if (subprotocol_of(head.all("sec-websocket-protocol")).first) verdict.subprotocol = kSubprotocol;
    if (config.mode == AuthMode::open) return verdict;
    rare().proof = std::make_unique<Proof>();
    if (config.mode == AuthMode::jwt) return identify_by_token(head);

    auto const names = head.all(config.header.lower_name());
    if (!from_proxy || names.empty() || (names.size() == 1 && names[0].empty())) return verdict;
    auto user = names.size() == 1 ? proto::user_id_of(names[0]) : std::nullopt;
    if (!user) return refused(400, "the proxy names no one user");
    proof()->identity = auth::Identity{.user = std::move(*user)};
    proof()->by_handshake = true;
    return verdict;
}

// The places in the contract's order; the first that holds a token counts.
ws::RequestVerdict Session::identify_by_token(const http::RequestHead& head) {
    auto const authorizations = head.all("authorization");
    if (authorizations.size() > 1 || http::query_count(head.query, "token") > 1)
        return refused(400, "the token stands there twice");
    auto const [offered, in_subprotocol] = subprotocol_of(head.all("sec-websocket-protocol"));
    std::string in_query;
    if (http::query_count(head.query, "token") == 1) {
        auto value = http::query_value(head.query, "token");
        if (!value) return refused(400, "the query's token is escaped badly");
        in_query = std::move(*value);
    }
    auto const& cookie = core().config().auth.jwt.cookie;
    std::string_view token = authorizations.empty() ? std::string_view() : bearer_of(authorizations[0]);
    if (token.empty()) token = in_query;
    if (token.empty() && !cookie.empty()) token = cookie_of(head.all("cookie"), cookie);
    if (token.empty()) token = in_subprotocol;

    ws::RequestVerdict verdict{.subprotocol = offered ? kSubprotocol : std::string_view()};
    if (token.empty()) return verdict;
    auto read = core().token_reader()->read(token, reactor().wall());
    if (!read) {
        token_refused();
        return refused(401, read.error().message);
    }
    if (!core().tokens().has_place()) {
        core().metrics().tokens_shed.add();
        return refused(503, kBusy);
    }
    auto identity = std::exchange(read->identity, {});
    core().tokens().check(std::move(*read), [&core = core(), handle = handle(),
                                             identity = std::move(identity), verdict](Verdict found) mutable {
        Session* self = core.find(handle);
        if (!self || !self->proof()) return;
        if (found == auth::Signature::good) {
            core.metrics().tokens_accepted.add();
            self->proof()->identity = std::move(identity);
            self->proof()->by_handshake = true;
        } else {
            found ? self->token_refused() : core.metrics().tokens_shed.add();
            verdict = found ? refused(401, auth::refusal(*found)) : refused(503, kBusy);
        }
        self->answer_request(verdict);
    });
    verdict.pending = true;
    return verdict;
}

void Session::token_refused() {
    core().metrics().tokens_refused.add();
    core().address_limits().auth_failed(peer());
}

// --- tokens in messages

// What comes behind it waits: its order is the client's, and what it may do is not known before.
void Session::check_token(proto::Subscribe subscribe, std::optional<proto::MessageId> id) {
    auto read = core().token_reader()->read(*subscribe.token, reactor().wall());
    if (!read) {
        token_refused();
        return refuse(Errc::unauthorized, read.error().message, id);
    }
    if (!core().tokens().has_place()) {
        core().metrics().tokens_shed.add();
        return refuse(Errc::internal_error, kBusy, id);
    }
    proof()->checking = true;
    pause_receive();
    auto identity = std::exchange(read->identity, {});
    core().tokens().check(
        std::move(*read), [&core = core(), handle = handle(), subscribe = std::move(subscribe),
                           id = std::move(id), identity = std::move(identity)](Verdict found) mutable {
            Session* self = core.find(handle);
            if (!self || !self->is_open()) return;
            if (found == auth::Signature::good) {
                core.metrics().tokens_accepted.add();
            } else {
                found ? self->token_refused() : core.metrics().tokens_shed.add();
            }
            self->take_verdict(subscribe, id,
                               found == auth::Signature::good ? Result<auth::Identity>(std::move(identity))
                               : found ? fail(Errc::unauthorized, std::string(auth::refusal(*found)))
                                       : fail(Errc::internal_error, std::string(kBusy)));
        });
}

void Session::take_verdict(proto::Subscribe& subscribe, const std::optional<proto::MessageId>& id,
                           Result<auth::Identity> found) {
    proof()->checking = false;
    answer([&] {
        if (!found) return refuse(found.error().code, found.error().message, id);
        subscribe_as(subscribe, id, std::move(*found));
    });
    while (!proof()->held.empty() && !proof()->checking && is_open()) {
        auto const next = std::move(proof()->held.front());
        proof()->held.erase(proof()->held.begin());
        take(next);
    }
    if (!is_open() || proof()->checking) return;
    resume_receive();
    rearm();
}

void Session::become(const UserId& user) {
    core().shard().set_user(slot(), user);
}

bool Session::may_subscribe(proto::Subscribe& subscribe, const std::optional<proto::MessageId>& id,
                            const std::optional<auth::Identity>& fresh) {
    auto const& identity = fresh ? fresh : proof()->identity;
    std::string_view wrong;
    if (!identity) {
        wrong = core().token_reader() ? "a token is needed, in subscribe.data.token or when connecting"
                                      : "the proxy has named no user";
    } else if (has_user() && !is_user(identity->user)) {
        wrong = "this connection belongs to another user already";
    } else if (subscribe.user && *subscribe.user != identity->user) {
        wrong = "subscribe.data.userId is not the user who was proved";
    }
    if (!wrong.empty()) {
        refuse(Errc::unauthorized, wrong, id);
        return false;
    }
    // What brings the user's own messages: naming the user, a token, and for an identity of the handshake the
    // first subscribe, or one that asks for nothing else.
    if (fresh || (proof()->by_handshake && (!proof()->subscribed || !subscribe.topics)))
        subscribe.user = identity->user;
    return true;
}

void Session::take_proof(auth::Identity&& identity) {
    proof()->identity = std::move(identity);
    if (const auto& rights = proof()->identity->topics) {
        auto& shard = core().shard();
        Claims::Parts dropped;
        for (const auto& topic : shard.topics_of(slot())) {
            if (rights->allow(topic)) continue;
            shard.unsubscribe(slot(), topic);
            dropped.topics.insert(topic);
        }
        if (claims()) claims()->settle(dropped);
        if (replay()) drop_held_of(dropped.topics);
    }
    rearm();
}

uint32_t Session::topics_outside(const std::optional<auth::Identity>& fresh) const {
    if (!fresh || !fresh->topics) return 0;
    auto const held = core().shard().topics_of(slot());
    return static_cast<uint32_t>(
        std::ranges::count_if(held, [&](const std::string& topic) { return !fresh->topics->allow(topic); }));
}

// --- time

MonoTime Session::proof_due() const {
    if (!proof() || proof()->checking || !core().token_reader()) return MonoTime::max();
    const auto& jwt = core().config().auth.jwt;
    if (!proof()->identity) return opened_ + jwt.authenticate_within;
    auto const now = reactor().now();
    return now + std::max(Duration::zero(), proof()->identity->expires + jwt.leeway - reactor().wall());
}

bool Session::proof_overdue() {
    if (proof_due() > reactor().now()) return false;
    close_with(Errc::unauthorized,
               proof()->identity ? "the token has expired" : "no token came in time; connect again with one");
    return true;
}

}  // namespace rc::server
