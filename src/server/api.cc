#include "api.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "core.h"
#include "reports.h"
#include "ringcast/base/ascii.h"
#include "ringcast/http/path.h"
#include "ringcast/net/forwarded.h"
#include "ringcast/proto/encode.h"
#include "ringcast/proto/text.h"

namespace rc::server {
namespace {

constexpr uint32_t kBatchLinesPerSlice = 128;
constexpr uint32_t kBatchBytesPerSlice = 256 * 1024;
// Lines of all of a core's batches that wait for their outcome, and of them those that no log keeps. The
// other places on the way to the store, and to a core, are for single publications.
constexpr uint32_t kBatchOutstandingMax = 768, kBatchLiveMax = 256;
constexpr std::size_t kBatchOutstandingBytesMax = 16ULL << 20;  // of such lines; and one line beyond it
static_assert(kBatchOutstandingMax <= limits::kStoreMailboxPlaces / 2 * 3 / 4);
static_assert(kBatchLiveMax <= limits::kMailboxPlaces / 2 / 2);
constexpr uint64_t kSmallBodyBytesMax = 64ULL * 1024;
constexpr uint32_t kListLimitDefault = 50;

enum class BodyKind : uint8_t { json, ndjson, other };

BodyKind body_kind(const http::RequestHead& head) {
    const http::HeaderField* field = nullptr;
    for (const auto& each : head.fields) {
        if (equal_ignoring_case(each.name, "content-encoding")) return BodyKind::other;
        if (!equal_ignoring_case(each.name, "content-type")) continue;
        if (field) return BodyKind::other;
        field = &each;
    }
    if (!field || field->value.empty()) return BodyKind::json;
    auto type = field->value.substr(0, field->value.find(';'));
    while (!type.empty() && (type.back() == ' ' || type.back() == '\t'))
        type.remove_suffix(1);
    if (equal_ignoring_case(type, "application/json")) return BodyKind::json;
    if (equal_ignoring_case(type, "application/x-ndjson")) return BodyKind::ndjson;
    return BodyKind::other;
}

http::Response json_response(int status, std::string body) {
    http::Response response;
    response.status = status;
    response.body = std::move(body);
    if (status == 503) response.headers.emplace_back("Retry-After", "1");
    return response;
}

std::string_view code_for_status(int status) {
    switch (status) {
        case 401: return "unauthorized";
        case 404: return "not_found";
        case 405: return "method_not_allowed";
        case 409: return "conflict";
        case 413: return "too_large";
        case 415: return "unsupported_media_type";
        case 429: return "too_many_requests";
        case 503: return "unavailable";
        case 500: return "internal_error";
        default: return "invalid_message";
    }
}

std::string outcome_json(const PublishOutcome& outcome, std::string_view epoch) {
    std::string body;
    body.reserve(outcome.id.size() + 64);
    body += R"({"id":)";
    proto::append_json_string(body, outcome.id);
    if (outcome.offset != 0) {
        fmt::format_to(std::back_inserter(body), R"(,"offset":"{}")",
                       store::format_offset(epoch, outcome.offset));
    }
    return body + '}';
}

}  // namespace

int status_of(Errc code) {
    switch (code) {
        case Errc::unauthorized: return 401;
        case Errc::not_found: return 404;
        case Errc::method_not_allowed: return 405;
        case Errc::conflict: return 409;
        case Errc::too_large: return 413;
        case Errc::unsupported_media_type: return 415;
        case Errc::too_many_requests: return 429;
        case Errc::unavailable: return 503;
        case Errc::internal_error: return 500;
        default: return 400;
    }
}

struct Api::Batch {
    struct Rejected {
        uint64_t line;
        Error error;
    };
    http::RequestHandle handle;
    std::string body;
    std::size_t cursor = 0;
    uint64_t line = 0;  // of the last one that was taken, from 1
    Outstanding outstanding;
    // What follows a line with a key waits for its outcome, to keep the order.
    bool keyed_outstanding = false;
    bool live_next = false;  // the line at the cursor was decoded, and waits: no log keeps it
    uint64_t accepted = 0;
    std::vector<Rejected> rejected;  // the first of them, in no order

    void reject(uint64_t at, Error error) {
        rejected.push_back({at, std::move(error)});
        if (rejected.size() == std::size_t{2} * limits::kBatchRejectedMax) keep_first_rejected();
    }
    void keep_first_rejected() {
        std::sort(rejected.begin(), rejected.end(),
                  [](const auto& a, const auto& b) { return a.line < b.line; });
        if (rejected.size() > limits::kBatchRejectedMax) {
            rejected.erase(rejected.begin() + limits::kBatchRejectedMax, rejected.end());
        }
    }
    /// Takes no further line.
    void drop_rest() {
        std::string().swap(body);  // assigning would keep its memory
        cursor = 0;
        live_next = false;
    }
};

Api::Outstanding& Api::Outstanding::operator+=(const Outstanding& more) {
    lines += more.lines;
    live += more.live;
    bytes += more.bytes;
    return *this;
}
Api::Outstanding& Api::Outstanding::operator-=(const Outstanding& done) {
    lines -= done.lines;
    live -= done.live;
    bytes -= done.bytes;
    return *this;
}

Api::Api(Core& core)
    : core_(core),
      access_log_(core.config().access_log ? log::Level::info : log::Level::debug),
      publisher_(core) {}
Api::~Api() = default;

// --- routes: the key first, then the path, then the method

struct Api::ActionTraits {
    Action action;
    std::string_view route;
    std::optional<auth::Right> right;  // none: for everybody
};

const Api::ActionTraits& Api::traits(Action action) {
    using auth::Right;
    static constexpr ActionTraits kTraits[] = {
        {Action::none, "-", {}},
        {Action::publish, "POST /api/publish", Right::publish},
        {Action::stats, "GET /api/stats", Right::read},
        {Action::user, "GET /api/users/{id}", Right::read},
        {Action::erase, "DELETE /api/users/{id}", Right::admin},
        {Action::list, "GET /api/users/{id}/notifications", Right::read},
        {Action::read, "POST /api/users/{id}/notifications/{nid}/read", Right::admin},
        {Action::read_all, "POST /api/users/{id}/notifications/read-all", Right::admin},
        {Action::remove, "DELETE /api/users/{id}/notifications/{nid}", Right::admin},
        {Action::disconnect, "POST /api/users/{id}/disconnect", Right::admin},
        {Action::healthz, "GET /healthz", {}},
        {Action::readyz, "GET /readyz", {}},
        {Action::metrics, "GET /metrics", {}},
    };
    auto const& found = kTraits[static_cast<std::size_t>(action)];
    RC_ASSERT(found.action == action);
    return found;
}

const auth::ApiKey* Api::key_of(const http::RequestHead& head) const {
    auto const& keys = *core_.keys().api;
    constexpr std::string_view kScheme = "bearer ";
    if (auto const field = head.header("authorization"); field && field->size() > kScheme.size()) {
        if (equal_ignoring_case(field->substr(0, kScheme.size()), kScheme)) {
            if (const auto* key = keys.find(field->substr(kScheme.size()))) return key;
        }
    }
    auto const field = head.header("x-api-key");
    return field ? keys.find(*field) : nullptr;
}

std::optional<Api::Refusal> Api::find_route(const http::RequestHead& head, Route& route) const {
    auto const method = head.method;
    auto const only = [](std::string_view allow) {
        return Refusal{405, "method_not_allowed", "another method is meant here", allow};
    };
    auto const accept = [&](Action action, http::Method wanted,
                            std::string_view allow) -> std::optional<Refusal> {
        if (method != wanted) return only(allow);
        route.action = action;
        return std::nullopt;
    };
    if (head.path == "/api/publish") return accept(Action::publish, http::Method::post, "POST");
    Refusal const not_found{404, "not_found", "there is nothing at this path", {}};

    for (auto const& [path, action] : {std::pair{std::string_view("/healthz"), Action::healthz},
                                       {std::string_view("/readyz"), Action::readyz},
                                       {std::string_view("/metrics"), Action::metrics}}) {
        if (head.path != path) continue;
        route.action = action;
        if (method != http::Method::get && method != http::Method::head) return only("GET, HEAD");
        return std::nullopt;
    }
    if (!head.path.starts_with("/api/")) return not_found;
    auto const parts = http::split_path(head.path);
    if (parts.size() == 2 && parts[1] == "stats") return accept(Action::stats, http::Method::get, "GET");
    if (parts.size() < 3 || parts[1] != "users" || parts[2].empty()) return not_found;

    std::optional<Refusal> found;
    if (parts.size() == 3) {
        found = method == http::Method::delete_ ? accept(Action::erase, http::Method::delete_, "GET, DELETE")
                                                : accept(Action::user, http::Method::get, "GET, DELETE");
    } else if (parts.size() == 4 && parts[3] == "disconnect") {
        found = accept(Action::disconnect, http::Method::post, "POST");
    } else if (parts.size() == 4 && parts[3] == "notifications") {
        found = accept(Action::list, http::Method::get, "GET");
    } else if (parts.size() == 5 && parts[3] == "notifications" && !parts[4].empty()) {
        if (parts[4] == "read-all" && method != http::Method::delete_) {
            found = accept(Action::read_all, http::Method::post, "POST, DELETE");
        } else {
            found = accept(Action::remove, http::Method::delete_, "DELETE");
        }
    } else if (parts.size() == 6 && parts[3] == "notifications" && !parts[4].empty() && parts[5] == "read") {
        found = accept(Action::read, http::Method::post, "POST");
    } else {
        return not_found;
    }
    if (found) return found;

    Refusal const bad_id{400, "invalid_message", "the id in the path is not a valid one", {}};
    auto const user_text = http::percent_decode_once(parts[2]);
    auto user = user_text ? proto::user_id_of(*user_text) : std::nullopt;
    if (!user) return bad_id;
    route.user = std::move(*user);
    if (parts.size() >= 5 && route.action != Action::read_all) {
        auto nid = http::percent_decode_once(parts[4]);
        if (!nid) return bad_id;
        route.notification_id = std::move(*nid);
    }
    return std::nullopt;
}

// The key, the path, the method, and what the key may do.
std::optional<Api::Refusal> Api::judge(const http::RequestHead& head, Route& route,
                                       const auth::ApiKey*& key) const {
    bool const guarded = head.path.starts_with("/api/");
    if (guarded) key = key_of(head);
    if (guarded && !key) {
        return Refusal{
            401, "unauthorized", "this needs an API key, as Authorization: Bearer or X-API-Key", {}};
    }
    if (auto refusal = find_route(head, route)) return refusal;
    auto const right = traits(route.action).right;
    if (!right) return std::nullopt;
    RC_ASSERT(key);
    if (key->rights.has(*right)) return std::nullopt;
    return Refusal{
        401,
        "unauthorized",
        fmt::format("the API key \"{}\" lacks the right \"{}\"", key->name, auth::right_name(*right)),
        {}};
}

http::HeadVerdict Api::on_head(const http::RequestHead& head, const net::PeerAddress& peer) {
    Route route;
    const auth::ApiKey* key = nullptr;
    auto const refusal = judge(head, route, key);
    auto verdict = refusal ? refusal_of(*refusal) : accept(head, route);
    if (refusal && refusal->status == 401 && !key) {
        if (auto slower = slow_down(client_of(head, peer))) verdict = std::move(*slower);
    }
    verdict.label = access_log_.label(traits(route.action).route, key);
    return verdict;
}

void Api::on_answered(const http::Answered& answered) {
    access_log_.write(answered, core_.reactor().now());
}

net::PeerAddress Api::client_of(const http::RequestHead& head, const net::PeerAddress& peer) const {
    const auto& trusted = core_.config().proxy.trusted;
    if (!trusted.contains(peer)) return peer;
    auto const list = head.all("x-forwarded-for"), rfc = head.all("forwarded");
    return net::forwarded_client(peer, {list, rfc}, trusted);
}

// A key that is none. Good keys pass whatever else comes from their address: a colleague's mistake next door
// stops no backend, and nobody guesses 256 bits.
std::optional<http::HeadVerdict> Api::slow_down(const net::PeerAddress& peer) {
    auto& limits = core_.address_limits();
    auto const wait = limits.auth_wait(peer);
    limits.auth_failed(peer);
    if (wait == Duration::zero() || core_.limit_notes().dry_run()) return std::nullopt;
    auto response = json_response(
        429, proto::encode_api_error("too_many_requests", "too many wrong API keys from this address"));
    response.headers.emplace_back("Retry-After", fmt::format("{}", std::chrono::ceil<seconds>(wait).count()));
    return http::HeadVerdict::refuse(std::move(response));
}

http::HeadVerdict Api::refusal_of(const Refusal& refusal) {
    auto response = json_response(refusal.status, proto::encode_api_error(refusal.code, refusal.message));
    if (!refusal.allow.empty()) response.headers.emplace_back("Allow", refusal.allow);
    if (refusal.status == 401) response.headers.emplace_back("WWW-Authenticate", "Bearer");
    return http::HeadVerdict::refuse(std::move(response));
}

http::HeadVerdict Api::accept(const http::RequestHead& head, const Route& route) {
    if (core_.finishing() && head.path.starts_with("/api/")) {
        return http::HeadVerdict::refuse(
            json_response(503, proto::encode_api_error("unavailable", "the server is shutting down")));
    }
    if (route.action != Action::publish) return http::HeadVerdict::accept(kSmallBodyBytesMax);
    if (!head.content_length && !head.chunked) {
        constexpr std::string_view kWhy = "a message is needed, with its Content-Length or chunked";
        return http::HeadVerdict::refuse(json_response(411, error_body(411, kWhy)));
    }
    switch (body_kind(head)) {
        case BodyKind::json: return http::HeadVerdict::accept(limits::kPublishMessageBytesMax);
        case BodyKind::ndjson: return http::HeadVerdict::accept(limits::kBatchBytesMax);
        case BodyKind::other: break;
    }
    return http::HeadVerdict::refuse(json_response(
        415, proto::encode_api_error("unsupported_media_type",
                                     "send application/json or application/x-ndjson, not compressed")));
}

void Api::on_request(http::RequestHandle handle, http::Request& request) {
    Route route;
    RC_ASSERT(!find_route(request.head, route));  // on_head() has accepted it
    switch (route.action) {
        case Action::none: RC_ASSERT(false);
        case Action::healthz: return respond(handle, 200, "ok", "text/plain; charset=utf-8");
        case Action::readyz:
            if (core_.draining()) return respond(handle, 503, "draining", "text/plain; charset=utf-8");
            if (core_.shared().store_metrics.down.value() != 0)
                return respond(handle, 503, "the store is down", "text/plain; charset=utf-8");
            return respond(handle, 200, "ready", "text/plain; charset=utf-8");
        case Action::metrics:
            return respond(handle, 200, metrics_text(core_.shared()),
                           "text/plain; version=0.0.4; charset=utf-8");
        case Action::stats: return respond(handle, 200, stats_json(core_.shared(), core_.reactor().wall()));
        case Action::publish:
            if (body_kind(request.head) == BodyKind::ndjson) return begin_batch(handle, request);
            return publish_one(handle, request);
        case Action::user: return show_user(handle, route);
        case Action::erase: return erase(handle, route);
        case Action::list: return list(handle, route, request.head.query);
        case Action::read:
        case Action::read_all:
        case Action::remove: return mark(handle, route);
        case Action::disconnect: return disconnect(handle, route, request.body);
    }
}

// Whatever was begun goes on, and its answer is lost. Of a batch, the lines that were not begun are dropped:
// nobody would learn of them, and a batch that outlived its connection would be held by no limit.
void Api::on_abandoned(http::RequestHandle handle) {
    for (auto& batch : batches_) {
        if (batch->handle == handle) batch->drop_rest();
    }
}

std::string Api::error_body(int status, std::string_view message) {
    return proto::encode_api_error(code_for_status(status), message);
}

void Api::respond(http::RequestHandle handle, int status, std::string body, std::string_view content_type) {
    auto response = json_response(status, std::move(body));
    response.content_type = content_type;
    if (status == 204) response.content_type = {};
    server_->respond(handle, response);
}

void Api::refuse(http::RequestHandle handle, Errc code, std::string_view message) {
    respond(handle, status_of(code), proto::encode_api_error(errc_name(code), message));
}

void Api::unavailable(http::RequestHandle handle) {
    refuse(handle, Errc::unavailable, "the server or its store is busy; try again");
}

// --- publish

void Api::publish_one(http::RequestHandle handle, http::Request& request) {
    std::optional<std::string> key;
    if (auto const field = request.head.header("idempotency-key")) {
        if (request.head.count("idempotency-key") > 1 || field->empty() ||
            field->size() > limits::kIdempotencyKeyBytesMax) {
            return refuse(handle, Errc::invalid_message,
                          "Idempotency-Key must be one text of 1 to 255 bytes");
        }
        key = std::string(*field);
    }
    auto decoded = decoder_.decode(request.body, proto::Batch::no, core_.config().limits.publish_bytes);
    if (!decoded) {
        core_.metrics().publish_refused.add();
        return refuse(handle, decoded.error().code, decoded.error().message);
    }
    bool const begun =
        publisher_.publish(std::move(*decoded), key, false, [this, handle](PublishOutcome&& outcome) {
            if (outcome.error) return refuse(handle, outcome.error->code, outcome.error->message);
            respond(handle, 200, outcome_json(outcome, core_.epoch()));
        });
    if (!begun) unavailable(handle);
}

void Api::begin_batch(http::RequestHandle handle, http::Request& request) {
    if (request.head.count("idempotency-key") > 0) {
        return refuse(handle, Errc::invalid_message,
                      "a batch takes no Idempotency-Key header; each line may have an \"idempotencyKey\"");
    }
    auto batch = std::make_shared<Batch>();
    batch->handle = handle;
    batch->body = std::move(request.body);
    batches_.push_back(std::move(batch));
    core_.reactor().stay_awake();  // a request that waited behind another one is begun behind our slice
}

bool Api::run_slice() {
    bool more = publisher_.retry();
    for (auto it = batches_.begin(); it != batches_.end();) {
        bool const runnable = run_batch(*it);
        auto& batch = **it;
        if (batch.cursor >= batch.body.size() && batch.outstanding.lines == 0) {
            finish_batch(batch);
            it = batches_.erase(it);
            continue;
        }
        more |= runnable;
        ++it;
    }
    return more;
}

// Returns whether it could go on at once.
bool Api::run_batch(const std::shared_ptr<Batch>& batch) {
    std::size_t const slice_end = batch->cursor + kBatchBytesPerSlice;
    // Its share now, and what the others have left of all: they may have begun when theirs was larger.
    auto const batches = static_cast<uint32_t>(batches_.size());
    uint32_t const share = std::max(1U, kBatchOutstandingMax / batches);
    uint32_t const live_share = std::max(1U, kBatchLiveMax / batches);
    std::size_t const bytes_share = kBatchOutstandingBytesMax / batches;
    auto& own = batch->outstanding;
    auto live_is_full = [&] { return own.live >= live_share || outstanding_.live >= kBatchLiveMax; };
    for (uint32_t n = 0; n < kBatchLinesPerSlice && batch->cursor < std::min(batch->body.size(), slice_end);
         ++n) {
        if (own.lines >= share || outstanding_.lines >= kBatchOutstandingMax) return false;
        if (own.bytes > bytes_share || outstanding_.bytes > kBatchOutstandingBytesMax) return false;
        if (batch->keyed_outstanding || (batch->live_next && live_is_full())) return false;
        auto const rest = std::string_view(batch->body).substr(batch->cursor);
        auto const end = std::min(rest.find('\n'), rest.size());
        auto const line = rest.substr(0, end);
        auto const next = std::min(batch->cursor + end + 1, batch->body.size());
        uint64_t const number = batch->line + 1;
        bool const blank = line.find_first_not_of(" \t\r") == std::string_view::npos;
        if (blank || core_.finishing()) {
            if (!blank) batch->reject(number, {Errc::unavailable, "the server is shutting down"});
            batch->cursor = next;
            batch->line = number;
            continue;
        }
        auto decoded = decoder_.decode(line, proto::Batch::yes, core_.config().limits.publish_bytes);
        if (!decoded) {
            core_.metrics().publish_refused.add();
            batch->reject(number, decoded.error());
        } else {
            bool const keyed = decoded->idempotency_key.has_value();
            if (keyed && own.lines > 0) return false;
            bool const live = decoded->target.users.empty() || !decoded->store;
            batch->live_next = live;
            if (live && live_is_full()) return false;
            auto const key = std::exchange(decoded->idempotency_key, {});
            Outstanding const taken{1, live ? 1U : 0U, end};
            bool const begun =
                publisher_.publish(std::move(*decoded), key, true,
                                   [this, batch, number, keyed, taken](PublishOutcome&& outcome) {
                                       batch->outstanding -= taken;
                                       outstanding_ -= taken;
                                       if (keyed) batch->keyed_outstanding = false;
                                       if (outcome.error) {
                                           batch->reject(number, std::move(*outcome.error));
                                       } else {
                                           ++batch->accepted;
                                       }
                                   });
            if (!begun) return true;  // no place now: the same line again on the next turn
            own += taken;
            outstanding_ += taken;
            batch->keyed_outstanding = keyed;
        }
        batch->cursor = next;
        batch->line = number;
        batch->live_next = false;
    }
    return batch->cursor < batch->body.size();
}

void Api::finish_batch(Batch& batch) {
    batch.keep_first_rejected();
    auto const& rejected = batch.rejected;
    std::string body = fmt::format(R"({{"accepted":{},"rejected":[)", batch.accepted);
    for (std::size_t i = 0; i < rejected.size(); ++i) {
        fmt::format_to(std::back_inserter(body), R"({}{{"line":{},"code":"{}","message":)", i == 0 ? "" : ",",
                       rejected[i].line, errc_name(rejected[i].error.code));
        proto::append_json_string(body, rejected[i].error.message);
        body += '}';
    }
    respond(batch.handle, 200, body + "]}");
}

// --- users and their inbox

void Api::show_user(http::RequestHandle handle, const Route& route) {
    if (!core_.store().has_place()) return unavailable(handle);
    auto with_connections = [this, handle, user = route.user](std::vector<GatherAnswer>&& answers) {
        if (!core_.store().has_place()) return unavailable(handle);
        core_.store().submit(store::UserInfo{{}, user},
                             [this, handle, user, answers = std::move(answers)](store::Answer&& answer) {
                                 auto const& info = std::get<store::UserInfoAnswer>(answer);
                                 if (info.unavailable) return unavailable(handle);
                                 respond(handle, 200, user_json(user, answers, info.unread_count));
                             });
    };
    if (!core_.gather({GatherRequest::What::connections, route.user, {}}, std::move(with_connections)))
        unavailable(handle);
}

void Api::erase(http::RequestHandle handle, const Route& route) {
    if (!core_.store().has_place()) return unavailable(handle);
    core_.store().submit(store::Erase{{}, route.user}, [this, handle](store::Answer&& answer) {
        auto const& erased = std::get<store::EraseAnswer>(answer);
        if (erased.unavailable) return unavailable(handle);
        respond(
            handle, 200,
            fmt::format(
                R"({{"erased":{{"notifications":{},"messages":{},"readMarks":{},"idempotencyKeys":{}}}}})",
                erased.notifications, erased.messages, erased.marks, erased.keys));
    });
}

void Api::list(http::RequestHandle handle, const Route& route, std::string_view query) {
    store::List list{.user = route.user, .limit = kListLimitDefault};
    auto const bad = [&](std::string_view message) { refuse(handle, Errc::invalid_message, message); };
    for (auto name : {"read", "limit", "before"}) {
        if (http::query_count(query, name) > 1) return bad("read, limit and before may stand once each");
        if (http::query_count(query, name) == 1 && !http::query_value(query, name))
            return bad("the query has a bad escape");
    }
    if (auto const read = http::query_value(query, "read")) {
        if (*read != "true" && *read != "false") return bad("read must be true or false");
        list.read = *read == "true";
    }
    if (auto const limit = http::query_value(query, "limit")) {
        auto const [end, error] = std::from_chars(limit->data(), limit->data() + limit->size(), list.limit);
        if (error != std::errc() || end != limit->data() + limit->size() || list.limit < 1 ||
            list.limit > limits::kListLimitMax) {
            return bad("limit must be an integer from 1 to 100");
        }
    }
    if (auto const before = http::query_value(query, "before")) {
        auto const dash = before->rfind('-');
        if (!proto::is_offset_text(*before) || dash == std::string::npos ||
            std::string_view(*before).substr(0, dash) != core_.epoch()) {
            return bad("before must be an offset that this server gave");
        }
        std::from_chars(before->data() + dash + 1, before->data() + before->size(), list.before);
        if (list.before == 0) return bad("before must be an offset that this server gave");
    }
    if (!core_.store().has_place()) return unavailable(handle);
    core_.store().submit(std::move(list), [this, handle](store::Answer&& answer) {
        auto const& listed = std::get<store::ListAnswer>(answer);
        if (listed.unavailable) return unavailable(handle);
        respond(handle, 200, list_json(listed, core_.epoch()));
    });
}

void Api::mark(http::RequestHandle handle, const Route& route) {
    if (!core_.store().has_place()) return unavailable(handle);
    constexpr std::string_view kUnknown = "this user has no such notification";
    auto& store = core_.store();
    switch (route.action) {
        case Action::read:
            store.submit(store::MarkRead{{}, route.user, route.notification_id},
                         [this, handle, kUnknown](store::Answer&& answer) {
                             auto const& marked = std::get<store::MarkReadAnswer>(answer);
                             if (marked.unavailable) return unavailable(handle);
                             if (!marked.found) return refuse(handle, Errc::not_found, kUnknown);
                             respond(handle, 200, R"({"read":true})");
                         });
            return;
        case Action::read_all:
            store.submit(store::ReadAll{{}, route.user}, [this, handle](store::Answer&& answer) {
                auto const& done = std::get<store::ReadAllAnswer>(answer);
                if (done.unavailable) return unavailable(handle);
                respond(handle, 200, fmt::format(R"({{"marked":{}}})", done.marked));
            });
            return;
        default:
            store.submit(store::Remove{{}, route.user, route.notification_id},
                         [this, handle, kUnknown](store::Answer&& answer) {
                             auto const& removed = std::get<store::RemoveAnswer>(answer);
                             if (removed.unavailable) return unavailable(handle);
                             if (!removed.found) return refuse(handle, Errc::not_found, kUnknown);
                             respond(handle, 204, "");
                         });
    }
}

void Api::disconnect(http::RequestHandle handle, const Route& route, const std::string& body) {
    auto reason = proto::decode_disconnect_reason(body);
    if (!reason) return refuse(handle, reason.error().code, reason.error().message);
    bool const asked =
        core_.gather({GatherRequest::What::disconnect, route.user, reason->value_or("disconnected")},
                     [this, handle](std::vector<GatherAnswer>&& answers) {
                         uint64_t closed = 0;
                         for (const auto& answer : answers)
                             closed += answer.closed;
                         respond(handle, 200, fmt::format(R"({{"closed":{}}})", closed));
                     });
    if (!asked) unavailable(handle);
}

}  // namespace rc::server
