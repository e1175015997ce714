#include "publisher.h"

#include <fmt/format.h>

#include <algorithm>

#include "report.h"

namespace rc::sim {
namespace {

constexpr std::size_t kRequestsAheadMax = 4;

std::string users_field(uint32_t users, Chance& chance) {
    std::string list;
    for (uint32_t u = 0; u < kUsersMax; ++u) {
        if (users >> u & 1) list += fmt::format(R"({}"{}")", list.empty() ? "" : ",", Ledger::user_name(u));
    }
    if (__builtin_popcount(users) == 1 && chance.coin()) return R"("userId":)" + list;
    return R"("userIds":[)" + list + ']';
}

}  // namespace

Publisher::Publisher(World& world, uint32_t number) : world_(world), chance_(world.chance), number_(number) {
    world.add_peer(*this);
}

// --- the connection

void Publisher::connect() {
    uint32_t const core = chance_.below(world_.plan.workers);
    connection_ = Connection{.core = core, .file = world_.connect(core, test::ServerRig::kApiListener)};
    trace("publisher {} connects to core {}", number_, core);
    connection_->idle_since = world_.clock.time();
    connection_->serial = world_.connections_made();
}

void Publisher::forget() {
    if (!connection_) return;
    for (auto& request : connection_->requests) {
        for (uint32_t n : request.publications) {
            --world_.ledger.at(n).under_way;
            world_.ledger.at(n).unknown = true;
        }
    }
    connection_.reset();
}

// The server has closed it, or will send no more.
bool Publisher::over() {
    auto& c = *connection_;
    auto& mine = socket();
    if (mine.closed) return true;
    if (!mine.fin_sent || c.vanished) return false;
    if (!c.fin_sent && !c.reset) mine.deliver_end();
    return true;
}

void Publisher::ended() {
    auto& c = *connection_;
    trace("publisher {}: its connection has ended", number_);
    bool const own_doing = c.fin_sent || c.reset || c.vanished || c.hard_error || c.closes;
    // Where nothing is asked for long the server ends it, while a request is on its way perhaps.
    bool const was_idle = world_.clock.time() - c.idle_since >= world_.plan.config.limits.handshake_timeout;
    // Or what it does not read.
    auto const& plan = world_.plan;
    bool const slow =
        plan.has(Fault::stalled_reader) || plan.has(Fault::short_send) || plan.has(Fault::late_send);
    if (!own_doing && !was_idle && !slow && !c.requests.empty() && world_.signals() == 0)
        violated(fmt::format("publisher {}: its connection was closed before {} answers", number_,
                             c.requests.size()));
    forget();
}

void Publisher::flush(std::size_t bytes_max) {
    auto& c = *connection_;
    if (c.outbox.empty() || c.fin_sent || c.reset || c.vanished || socket().closed) return;
    auto const bytes = std::min(bytes_max, c.outbox.size());
    trace("publisher {} sends {} of {} bytes", number_, bytes, c.outbox.size());
    socket().deliver(std::string_view(c.outbox).substr(0, bytes));
    c.outbox.erase(0, bytes);
}

void Publisher::meet_faults() {
    auto& c = *connection_;
    auto& mine = socket();
    auto const now = world_.steps();
    if (world_.hit(Fault::stalled_reader)) {
        mine.window = chance_.below(200);
        c.stalled_until = now + chance_.between(5, 100);
    } else if (c.stalled_until != 0 && now >= c.stalled_until && !c.vanished) {
        mine.window = test::FakeSocket::kUnlimited;
        c.stalled_until = 0;
    }
    mine.send_max = world_.hit(Fault::short_send) ? chance_.between(1, 60) : test::FakeSocket::kUnlimited;
    static constexpr int kErrors[] = {EINTR, EAGAIN, ECONNRESET};
    if (world_.hit(Fault::receive_error)) {
        mine.receive_error = chance_.of(kErrors);
        c.hard_error |= mine.receive_error == ECONNRESET;
    }
    if (world_.hit(Fault::send_error)) {
        mine.send_error = chance_.of(kErrors);
        c.hard_error |= mine.send_error == ECONNRESET;
    }
    if (c.fin_sent || c.vanished || !world_.hit(Fault::publisher_cut)) return;
    switch (chance_.below(3)) {
        case 0:
            c.reset = true;
            mine.reset();
            break;
        case 1:
            c.fin_sent = true;
            mine.deliver_end();
            break;
        default: vanish();
    }
}

void Publisher::act() {
    if (!connection_) {
        if (chance_.below(3) == 0 && world_.signals() == 0) connect();
        return;
    }
    auto& c = *connection_;
    if (over()) return ended();
    meet_faults();
    if (c.fin_sent || c.reset || c.vanished) return;
    if (!c.outbox.empty())
        return flush(world_.hit(Fault::short_receive) ? chance_.between(1, 60) : c.outbox.size());
    if (c.closes || c.requests.size() >= kRequestsAheadMax || chance_.below(3) == 0) return;
    uint32_t const times = world_.hit(Fault::flood) ? chance_.between(2, 8) : 1;
    for (uint32_t i = 0; i < times && !c.closes; ++i)
        ask();
}

bool Publisher::behave() {
    if (!connection_) return false;
    auto& c = *connection_;
    if (over()) {
        ended();
        return true;
    }
    if (c.vanished || c.reset) return false;
    auto& mine = socket();
    mine.window = mine.send_max = test::FakeSocket::kUnlimited;
    mine.receive_error = mine.send_error = 0;
    if (c.outbox.empty() || c.fin_sent) return false;
    flush(c.outbox.size());
    return true;
}

void Publisher::check_answered() const {
    if (!connection_) return;
    auto const& c = *connection_;
    if (c.fin_sent || c.reset || c.vanished || c.requests.empty()) return;
    auto const& mine = world_.socket(c.core, c.file);
    violated(fmt::format("publisher {} waits for {} answers on core {}, {} bytes {}: {}", number_,
                         c.requests.size(), c.core, mine.unread_bytes(),
                         mine.accepted ? "unread" : "before it is accepted", world_.describe()));
}

void Publisher::hang_up() {
    if (!connection_ || socket().closed) return;
    auto& c = *connection_;
    if (c.fin_sent || c.reset || c.vanished) return;
    c.fin_sent = true;
    socket().deliver_end();
}

void Publisher::leave() {
    hang_up();
    if (!connection_ || socket().closed || !connection_->vanished) return;
    connection_->reset = true;
    socket().reset();
}

void Publisher::vanish() {
    if (!connection_) return;
    connection_->vanished = true;
    connection_->stalled_until = 0;
    socket().window = chance_.below(1000);
}

// --- what it asks

void Publisher::send(Request request, std::string_view line, std::string_view fields, std::string_view body) {
    auto& c = *connection_;
    trace("publisher {} asks {} {}", number_, line, body);
    ++c.sent;
    c.outbox.append(line).append(" HTTP/1.1\r\nHost: a\r\nX-API-Key: key\r\n").append(fields);
    bool const chunked = !body.empty() && chance_.below(8) == 0;
    if (chunked) {
        c.outbox += "Transfer-Encoding: chunked\r\n\r\n";
        while (!body.empty()) {
            auto const piece = body.substr(0, 1 + chance_.below(body.size()));
            c.outbox += fmt::format("{:x}\r\n{}\r\n", piece.size(), piece);
            body.remove_prefix(piece.size());
        }
        c.outbox += "0\r\n\r\n";
    } else if (line.starts_with("POST")) {
        c.outbox += fmt::format("Content-Length: {}\r\n\r\n{}", body.size(), body);
    } else {
        c.outbox += "\r\n";
    }
    c.requests.push_back(std::move(request));
}

uint32_t Publisher::invent(Publication::Kind kind, std::string& body, bool with_key) {
    using Kind = Publication::Kind;
    auto const& plan = world_.plan;
    Publication publication{.kind = kind, .publisher = connection_->serial};
    std::string target;
    switch (kind) {
        case Kind::topic:
            publication.topic = chance_.below(plan.topics);
            target = fmt::format(R"("topic":"{}")", Ledger::topic_name(publication.topic));
            break;
        case Kind::broadcast: target = R"("broadcast":true)"; break;
        default:
            publication.users = 1 + chance_.below((1U << plan.users) - 1);
            if (chance_.coin()) publication.users = 1U << chance_.below(plan.users);
            target = users_field(publication.users, chance_);
            if (chance_.below(4) == 0) {
                publication.topic = chance_.below(plan.topics);
                target += fmt::format(R"(,"topic":"{}")", Ledger::topic_name(publication.topic));
            }
            if (kind == Kind::live_users) target += R"(,"store":false)";
            publication.notification = kind == Kind::stored && chance_.coin();
    }
    auto const n = world_.ledger.size();
    std::string data = fmt::format(R"({{"n":{})", n);
    if (publication.notification) data += fmt::format(R"(,"id":"{}")", Ledger::notification_id(n));
    if (plan.payload_bytes > 0)
        data += fmt::format(R"(,"pad":"{}")", std::string(chance_.below(plan.payload_bytes), 'p'));
    publication.text =
        fmt::format(R"({{"type":"{}","data":{})", publication.notification ? "notification" : "x", data);
    if (!publication.notification) publication.text += "}}";
    data += '}';
    body = fmt::format(R"({{"type":"{}",{},"data":{})", publication.notification ? "notification" : "x",
                       target, data);
    if (with_key) body += fmt::format(R"(,"idempotencyKey":"k{}")", n);
    body += '}';
    publication.under_way = 1;
    return world_.ledger.add(std::move(publication));
}

void Publisher::publish_one() {
    std::string body;
    auto const n = invent(static_cast<Publication::Kind>(chance_.below(4)), body, false);
    std::string const key = chance_.below(4) == 0 ? fmt::format("Idempotency-Key: k{}\r\n", n) : "";
    if (!key.empty() || world_.ledger.at(n).notification) repeatable_.push_back({n, body, key});
    send({.what = Request::What::publish, .publications = {n}}, "POST /api/publish", key, body);
}

void Publisher::publish_batch() {
    Request request{.what = Request::What::batch};
    std::string body, line;
    for (uint32_t i = chance_.between(1, 12); i > 0; --i) {
        request.publications.push_back(
            invent(static_cast<Publication::Kind>(chance_.below(4)), line, chance_.below(8) == 0));
        body += line + '\n';
    }
    send(std::move(request), "POST /api/publish", "Content-Type: application/x-ndjson\r\n", body);
}

// Nobody gets it twice.
void Publisher::repeat() {
    if (repeatable_.empty()) return;
    auto const& old = repeatable_[chance_.below(repeatable_.size())];
    auto& publication = world_.ledger.at(old.n);
    // A log that has forgotten a notification takes it again.
    if (old.key.empty() && (publication.withdrawn || world_.plan.lossy_log())) return;
    ++publication.under_way;
    publication.publisher = 0;  // it may be the first that is accepted
    send({.what = Request::What::publish, .publications = {old.n}}, "POST /api/publish", old.key, old.body);
}

void Publisher::ask() {
    if (world_.hit(Fault::bad_request)) return ask_badly();
    if (world_.hit(Fault::repeat)) return repeat();
    if (world_.hit(Fault::disconnect)) {
        uint32_t const user = chance_.below(world_.plan.users);
        ++world_.ledger.disconnects_asked[user];
        return send({.what = Request::What::disconnect, .user = user},
                    fmt::format("POST /api/users/{}/disconnect", Ledger::user_name(user)), "", "");
    }
    switch (chance_.below(8)) {
        case 0: return publish_batch();
        case 1: return ask_something_else();
        default: return publish_one();
    }
}

void Publisher::ask_something_else() {
    uint32_t const user = chance_.below(world_.plan.users);
    auto const path = "/api/users/" + Ledger::user_name(user);
    auto const& log = world_.ledger.log(user);
    uint32_t n = log.empty() ? kNone : log[chance_.below(log.size())].n;
    if (n != kNone && !world_.ledger.at(n).notification) n = kNone;
    switch (chance_.below(9)) {
        case 0: return send({}, "GET " + path, "", "");
        case 1: return send({}, "GET " + path + "/notifications?limit=5", "", "");
        case 2: return send({}, "POST " + path + "/notifications/read-all", "", "");
        case 3:
        case 4:
            if (n == kNone) return;
            // It may have been deleted or lost meanwhile: 404.
            return send({.expected = 0},
                        fmt::format("POST {}/notifications/{}/read", path, Ledger::notification_id(n)), "",
                        "");
        case 5:
            if (n == kNone || world_.ledger.at(n).under_way > 0) return;
            world_.ledger.at(n).withdrawn = true;
            return send({.expected = 0},
                        fmt::format("DELETE {}/notifications/{}", path, Ledger::notification_id(n)), "", "");
        case 6: return send({}, "GET /healthz", "", "");
        case 7:
            if (chance_.below(4) == 0) return send({}, "GET /api/stats", "", "");
            return send({}, "GET /readyz", "", "");
        default:
            if (chance_.below(8) == 0) return send({}, "GET /metrics", "", "");
    }
}

void Publisher::ask_badly() {
    auto& c = *connection_;
    switch (chance_.below(7)) {
        case 0: return send({.expected = 400}, "POST /api/publish", "", "{}");
        case 1: return send({.expected = 400}, "POST /api/publish", "", R"({"type":"x","data":1})");
        case 2: return send({.expected = 404}, "GET /api/nothing", "", "");
        case 3: return send({.expected = 405}, "GET /api/publish", "", "");
        case 4: return send({.expected = 400}, "POST /api/publish", "", "not json");
        case 5:
            c.closes = true;
            ++c.sent;
            c.outbox += "GET /api/stats HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
            c.requests.push_back({.expected = 401});
            return;
        default:
            c.closes = true;
            ++c.sent;
            c.outbox += "GET / HTTP/1.1\r\nHost : a\r\n\r\n";
            c.requests.push_back({.expected = 400});
    }
}

// --- what it is answered

void Publisher::pump() {
    if (!connection_) return;
    auto& c = *connection_;
    auto const sent = socket().take_sent();
    if (sent.empty()) return;
    world_.digest.add(sent);
    c.inbox += sent;
    for (;;) {
        auto const end = c.inbox.find("\r\n\r\n");
        if (end == std::string::npos) return;
        auto const head = std::string_view(c.inbox).substr(0, end);
        auto const status = static_cast<int>(number_after(head, "HTTP/1.1 "));
        auto const length = number_after(head, "Content-Length: ");
        std::size_t const bytes = length == kNoNumber ? 0 : length;
        if (c.inbox.size() < end + 4 + bytes) return;
        if (head.find("Connection: close") != std::string_view::npos) c.closes = true;
        std::string const body = c.inbox.substr(end + 4, bytes);
        c.inbox.erase(0, end + 4 + bytes);
        take_answer(status, body);
    }
}

void Publisher::take_answer(int status, std::string_view body) {
    auto& c = *connection_;
    trace("publisher {} is answered {} {}", number_, status, body.substr(0, 200));
    if (c.requests.empty()) {
        if (status == 408 || (c.closes && status == 503)) return;  // of a request that was not complete
        violated(fmt::format("publisher {}: an answer to nothing: {} {}", number_, status, body));
    }
    c.idle_since = world_.clock.time();
    auto const request = std::move(c.requests.front());
    c.requests.pop_front();
    auto const unexpected = [&] {
        violated(fmt::format("publisher {}: answered {} {}", number_, status, body));
    };
    bool const cut = status == 408 && c.closes;
    if (request.what == Request::What::batch && status == 200) {
        std::vector<bool> rejected(request.publications.size());
        uint64_t count = 0;
        for (auto rest = body;; ++count) {
            auto const line = number_after(rest, R"("line":)");
            if (line == kNoNumber) break;
            if (line == 0 || line > rejected.size()) unexpected();
            rejected[line - 1] = true;
            rest.remove_prefix(rest.find(R"("line":)") + 7);
            if (rest.find(R"("code":"unavailable")") == std::string_view::npos) unexpected();
        }
        if (number_after(body, R"("accepted":)") + count != rejected.size()) unexpected();
        for (std::size_t i = 0; i < rejected.size(); ++i)
            settle(request.publications[i], !rejected[i], {});
        return;
    }
    for (uint32_t n : request.publications) {
        if (cut) world_.ledger.at(n).unknown = true;
        settle(n, status == 200, body);
    }
    if (request.what == Request::What::disconnect && status == 200)
        ++world_.ledger.disconnects_done[request.user];
    if (status != request.expected && status != 503 && request.expected != 0 && !cut) unexpected();
}

void Publisher::settle(uint32_t n, bool accepted, std::string_view body) {
    auto& publication = world_.ledger.at(n);
    --publication.under_way;
    if (!accepted) return;
    publication.accepted = true;
    if (!publication.posted) violated(fmt::format("publication {} was answered before it was posted", n));
    auto const offset = number_after(body, R"("offset":"e-)");
    if (offset == kNoNumber) return;
    auto const user = static_cast<uint32_t>(__builtin_ctz(publication.users));
    uint32_t const place = publication.user_place[user];
    if (place == kNone || world_.ledger.log(user)[place].offset != offset)
        violated(fmt::format("publication {} was answered with offset {}", n, offset));
}

}  // namespace rc::sim
