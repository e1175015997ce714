#include "host.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <numeric>

#include "../../tests/support/held_outcomes.h"
#include "ringcast/store/memory_log.h"
#include "ringcast/ws/frame.h"

namespace rc::bench {
namespace {

constexpr uint32_t kPublishersPerCoreMax = 16;
// One that has used up its requests comes anew while its old connection ends.
constexpr uint32_t kPublishersMax = limits::kApiConnectionsMax * 3 / 4;
constexpr uint32_t kTogether = 64;             // connections that a core takes in one go
constexpr Duration kHeartbeats = seconds(25);  // over which clients come, so that theirs are spread
constexpr Duration kPongAfter = milliseconds(20);
constexpr std::string_view kUpgrade =
    "GET /ws HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";

/// A log whose commits take time: what one step has decided comes out of the next.
class TimedLog final : public store::Log {
  public:
    TimedLog(CoreClock& clock, const Costs& costs)
        : log_(store::MemoryLog::Options{}), clock_(clock), costs_(costs) {}
    [[nodiscard]] bool submit(store::Request&& request) override { return log_.submit(std::move(request)); }
    [[nodiscard]] store::Figures figures() const override { return log_.figures(); }
    bool step(WallTime now, store::Outcomes& out) override {
        held_.release(out, [] { return true; });
        held_.release_reads(out, [] { return true; });
        auto const before = records();
        bool const more = log_.step(now, held_);
        if (auto const fresh = records() - before; fresh > 0)
            clock_.spend(costs_.commit + costs_.record * static_cast<double>(fresh));
        return more || !held_.empty();
    }

  private:
    [[nodiscard]] uint64_t records() const {
        auto const figures = log_.figures();
        return figures.messages + figures.notifications;
    }
    store::MemoryLog log_;
    CoreClock& clock_;
    const Costs& costs_;
    test::HeldOutcomes held_;
};

std::string masked(std::string_view json) {
    return ws::encode_masked_frame(ws::Opcode::text, json, {1, 2, 3, 4});
}

std::string publish_request(VirtualHost::Target target, uint64_t publication) {
    using Kind = VirtualHost::Target::Kind;
    std::string address;
    switch (target.kind) {
        case Kind::everybody: address = R"("broadcast":true)"; break;
        case Kind::topic: address = R"("topic":"t)" + std::to_string(target.number) + '"'; break;
        case Kind::user: address = R"("store":false,"userId":)" + std::to_string(target.number); break;
        case Kind::stored_user: address = R"("userId":)" + std::to_string(target.number); break;
    }
    // 200 bytes at the receiver, about.
    std::string const body = R"({"type":"m",)" + address + R"(,"data":{"n":)" + std::to_string(publication) +
                             R"(,"text":")" + std::string(160, 'x') + R"("}})";
    return "POST /api/publish HTTP/1.1\r\nHost: localhost\r\nX-API-Key: key\r\nContent-Type: "
           "application/json\r\n"
           "Content-Length: " +
           std::to_string(body.size()) + "\r\n\r\n" + body;
}

// Between the two sizes that were measured, by the logarithm.
double cost_of_cold(const VirtualHost::Options& options) {
    double const sockets = static_cast<double>(options.clients) / options.workers;
    return options.costs.cold * std::clamp(std::log10(sockets / 1'000), 0.0, 1.0);
}
}  // namespace

Duration Seen::busy_workers() const {
    return std::accumulate(busy.begin(), busy.end() - 1, Duration::zero());
}
double Seen::busiest_worker() const {
    return static_cast<double>(std::max_element(busy.begin(), busy.end() - 1)->count()) /
           static_cast<double>(time.count());
}
double Seen::store() const {
    return static_cast<double>(busy.back().count()) / static_cast<double>(time.count());
}

class VirtualHost::Main final : public reactor::CoreProgram, private reactor::MailSink {
  public:
    explicit Main(reactor::Reactor& reactor) {
        reactor.bind_mail(static_cast<uint8_t>(server::MailKind::progress), *this);
    }
    bool ended() override { return stopped; }
    bool stopped = false;

  private:
    void on_mail(const reactor::Mail&) override {}
};

VirtualHost::VirtualHost(const Options& options)
    : options_(options),
      cold_(cost_of_cold(options)),
      rig_({.workers = options.workers,
            .direct_slots = 2 * options.clients / options.workers + 1'000,
            .config = config_,
            .make_log = [this] { return std::make_unique<TimedLog>(clock_, options_.costs); },
            .make_main = [](reactor::Reactor& reactor) { return std::make_unique<Main>(reactor); }},
           clock_, entropy_),
      now_(clock_.now()),
      participants_(rig_.size()),
      publisher_of_(rig_.workers()),
      subscribers_(options.topics),
      clients_free_(rig_.workers()) {
    for (uint32_t i = 0; i < rig_.size(); ++i) {
        rig_.ring(i).observe(*this);
        participants_[i].handed_over.resize(rig_.size());
        participants_[i].free = participants_[i].wake = now_;
    }
    connect_clients();
    uint32_t const publishers = std::min(kPublishersPerCoreMax, kPublishersMax / rig_.workers());
    for (uint32_t core = 0; core < rig_.workers(); ++core) {
        for (uint32_t n = 0; n < publishers; ++n) {
            publishers_.emplace_back();
            requests_.emplace_back();
            publishers_.back().core = core;
            open_publisher(static_cast<uint32_t>(publishers_.size() - 1));
            free_publishers_.push_back(static_cast<uint32_t>(publishers_.size() - 1));
        }
    }
    run_until(now_ + milliseconds(100));
    counting_ = true;
}

VirtualHost::~VirtualHost() {
    for (uint32_t core = 0; core < rig_.workers(); ++core) {
        for (std::size_t n = 0; n < publisher_of_[core].size(); ++n) {
            io::File const file{static_cast<int32_t>(n), true};
            if (!rig_.ring(core).closed(file)) rig_.ring(core).end(file);
        }
        wake(core, now_);
    }
    run_until(now_ + seconds(1));
    order(server::Control::finish);
    order(server::Control::hurry);
    run_until(now_ + seconds(1));
    order(server::Control::stop);
    static_cast<Main&>(rig_.program(rig_.main())).stopped = true;
    run_until(now_ + seconds(1));
}

// --- clients and publishers

void VirtualHost::connect_clients() {
    std::vector<std::pair<uint32_t, io::File>> fresh;
    std::vector<std::string> lent;
    auto const workers = rig_.workers();
    auto const pause =
        kHeartbeats * (kTogether * workers) / (2 * std::max(options_.clients, kTogether * workers));
    for (uint32_t first = 0; first < options_.clients; first += kTogether * workers) {
        auto const end = std::min(options_.clients, first + kTogether * workers);
        fresh.clear();
        lent.clear();
        lent.reserve(end - first);
        for (uint32_t client = first; client < end; ++client) {
            uint32_t const core = client % workers;
            auto const file = rig_.ring(core).connect(Rig::kClientListener);
            publisher_of_[core].push_back(-1);
            rig_.ring(core).deliver(file, kUpgrade);
            fresh.emplace_back(core, file);
            wake(core, now_);
        }
        run_until(now_ + pause);
        for (uint32_t client = first; client < end; ++client) {
            uint32_t const topic = client % options_.topics;
            ++subscribers_[topic];
            lent.push_back(masked(R"({"type":"subscribe","data":{"userId":)" + std::to_string(client) +
                                  R"(,"topics":["t)" + std::to_string(topic) + R"("]}})"));
            auto const [core, file] = fresh[client - first];
            rig_.ring(core).deliver(file, lent.back());
            wake(core, now_);
        }
        run_until(now_ + pause);
    }
}

void VirtualHost::open_publisher(uint32_t publisher) {
    auto& one = publishers_[publisher];
    one.file = rig_.ring(one.core).connect(Rig::kApiListener);
    one.requests = 0;
    publisher_of_[one.core].push_back(static_cast<int32_t>(publisher));
    wake(one.core, now_);
}

void VirtualHost::publish(MonoTime due, Target target, std::function<void()> over) {
    auto const number = publications_.size();
    uint32_t missing = 1;
    if (target.kind == Target::Kind::topic) missing = subscribers_[target.number];
    if (target.kind == Target::Kind::everybody) missing = options_.clients;
    publications_.push_back({.due = due, .target = target, .missing = missing, .over = std::move(over)});
    ++open_;
    schedule({.time = due, .kind = Event::Kind::due, .publication = number});
}

// The connections take turns, so that every core gets its share of the requests.
void VirtualHost::ask(uint64_t publication) {
    auto const publisher = free_publishers_.front();
    free_publishers_.pop_front();
    auto& one = publishers_[publisher];
    if (one.requests == limits::kApiRequestsPerConnection) {
        rig_.ring(one.core).end(one.file);
        open_publisher(publisher);
    }
    ++one.requests;
    one.publication = publication;
    schedule({.time = spend_at_client(one.core, options_.costs.ask),
              .kind = Event::Kind::request,
              .publisher = publisher});
}

void VirtualHost::deliver_request(uint32_t publisher) {
    auto const& one = publishers_[publisher];
    requests_[publisher] = publish_request(publications_[one.publication].target, one.publication);
    rig_.ring(one.core).deliver(one.file, requests_[publisher]);
    wake(one.core, now_);
}

// When the clients' CPU will have done that, behind what it has to do.
MonoTime VirtualHost::spend_at_client(uint32_t core, double ns) {
    auto const from = in_turn_ == kNobody ? now_ : clock_.now();
    return clients_free_[core] = std::max(clients_free_[core], from) + nanoseconds_of(ns);
}

void VirtualHost::apply(const Event& event) {
    if (event.kind == Event::Kind::due) {
        unasked_.push_back(event.publication);
    } else if (event.kind == Event::Kind::request) {
        deliver_request(event.publisher);
    } else if (event.kind == Event::Kind::over) {
        --open_;
        if (auto const over = std::move(publications_[event.publication].over)) over();
    } else if (!rig_.ring(event.core).has_incoming(event.file)) {
        static const std::string kPong = masked(R"({"type":"pong"})");
        rig_.ring(event.core).deliver(event.file, kPong);
        wake(event.core, now_);
    }
}

void VirtualHost::answered(uint32_t publisher, bool accepted, MonoTime time) {
    auto const number = publishers_[publisher].publication;
    free_publishers_.push_back(publisher);
    auto& publication = publications_[number];
    publication.answered = true;
    if (counting_) ++(accepted ? seen_.published : seen_.refused);
    if (!accepted) publication.missing = 0;
    if (publication.missing == 0) conclude(number, std::max(time, publication.last));
}

void VirtualHost::conclude(uint64_t publication, MonoTime time) {
    schedule({.time = time, .kind = Event::Kind::over, .publication = publication});
}

void VirtualHost::take_frames(uint32_t core, io::File file, std::string_view bytes) {
    while (!bytes.empty()) {
        std::size_t head = 2, size = static_cast<uint8_t>(bytes[1]);
        if (size == 126) {
            head = 4;
            size = static_cast<std::size_t>(static_cast<uint8_t>(bytes[2])) << 8 |
                   static_cast<uint8_t>(bytes[3]);
        }
        auto const text = bytes.substr(head, size);
        bytes.remove_prefix(head + size);
        if (text == R"({"type":"ping"})") {
            schedule(
                {.time = clock_.now() + kPongAfter, .kind = Event::Kind::pong, .core = core, .file = file});
            continue;
        }
        constexpr std::string_view kNumber = R"("data":{"n":)";
        auto const at = text.find(kNumber);
        if (at == std::string_view::npos) continue;  // an acknowledgement
        spend(options_.costs.delivery);
        auto const taken = spend_at_client(core, options_.costs.client_message);
        uint64_t number = 0;
        std::from_chars(text.data() + at + kNumber.size(), text.data() + text.size(), number);
        auto& publication = publications_[number];
        auto const took = static_cast<int64_t>((taken - publication.due) / Duration(1));
        publication.last = std::max(publication.last, taken);
        ++seen_.deliveries;
        seen_.latency.record(took);
        RC_ASSERT(publication.missing > 0);
        if (--publication.missing > 0) continue;
        seen_.last.record((publication.last - publication.due) / Duration(1));
        if (publication.answered) conclude(number, publication.last);
    }
}

// --- what rings do, and what it costs

uint32_t VirtualHost::core_of(const LeanRing& ring) {
    if (in_turn_ != kNobody && &rig_.ring(in_turn_) == &ring) return in_turn_;
    for (uint32_t i = 0; i < rig_.size(); ++i) {
        if (&rig_.ring(i) == &ring) return i;
    }
    RC_ASSERT(false);
}

void VirtualHost::on_accept(LeanRing&) {
    spend(options_.costs.accept);
}

void VirtualHost::on_receive(LeanRing& ring, io::File file) {
    bool const request = publisher_of_[core_of(ring)][static_cast<std::size_t>(file.index)] >= 0;
    auto const& costs = options_.costs;
    spend(costs.receive + (request ? costs.publisher + costs.request : costs.message));
}

void VirtualHost::on_send(LeanRing& ring, io::File file, std::span<const iovec> parts) {
    auto const core = core_of(ring);
    std::size_t bytes = 0;
    for (const auto& part : parts)
        bytes += part.iov_len;
    auto const& costs = options_.costs;
    auto const publisher = publisher_of_[core][static_cast<std::size_t>(file.index)];
    spend(costs.send + (options_.crowded ? costs.crowded : 0) + costs.send_byte * static_cast<double>(bytes) +
          (publisher < 0 ? cold_ + costs.sent : 0));
    auto const text = [](const iovec& part) {
        return std::string_view(static_cast<const char*>(part.iov_base), part.iov_len);
    };
    auto const taken = spend_at_client(core, costs.client);
    if (publisher >= 0) {
        RC_ASSERT(text(parts[0]).starts_with("HTTP/1.1 "));
        return answered(static_cast<uint32_t>(publisher), text(parts[0])[9] == '2', taken);
    }
    for (const auto& part : parts) {
        if (!text(part).starts_with("HTTP/1.1 101")) take_frames(core, file, text(part));
    }
}

void VirtualHost::on_wake(LeanRing& sleeper) {
    spend(options_.costs.wake);
    wake(core_of(sleeper), clock_.now());
}

// --- turns

void VirtualHost::schedule(Event event) {
    event.number = next_event_++;
    events_.push(event);
}

void VirtualHost::wake(uint32_t i, MonoTime time) {
    auto& one = participants_[i];
    one.wake = std::min(one.wake, std::max(one.free, time));
}

void VirtualHost::turn(uint32_t i) {
    auto& one = participants_[i];
    auto const& costs = options_.costs;
    auto const began = one.wake;
    clock_.set(began);
    if (std::exchange(one.asleep, false)) {
        rig_.mesh().woke(static_cast<reactor::CoreId>(i));
        spend(costs.woken);
    }
    spend(costs.turn + costs.look * rig_.size() + costs.mail * std::exchange(one.mails, 0U));
    one.wake = MonoTime::max();
    in_turn_ = i;
    rig_.turn(i, limits::kTurnWaitMax);
    in_turn_ = kNobody;
    for (uint32_t to = 0; to < rig_.size(); ++to) {
        auto const total =
            rig_.mesh().box(static_cast<reactor::CoreId>(i), static_cast<reactor::CoreId>(to)).handed_over();
        auto const mails = total - std::exchange(one.handed_over[to], total);
        participants_[to].mails += mails;
        spend(costs.mail * mails);
        if (counting_) seen_.mails += mails;
    }
    one.free = clock_.now();
    if (counting_) {
        seen_.busy[std::min(i, rig_.workers())] += i <= rig_.workers() ? one.free - began : Duration::zero();
        if (i < rig_.workers()) seen_.turns.record((one.free - began) / Duration(1));
    }
    auto const& ring = rig_.ring(i);
    if (ring.busy() || ring.last_wait() <= Duration::zero()) {
        one.wake = one.free;
    } else {
        one.asleep = rig_.mesh().may_sleep(static_cast<reactor::CoreId>(i));
        one.wake = one.asleep ? std::min(one.wake, one.free + ring.last_wait()) : one.free;
    }
}

void VirtualHost::run_until(MonoTime end) {
    for (;;) {
        auto const next = std::min_element(participants_.begin(), participants_.end(),
                                           [](auto& a, auto& b) { return a.wake < b.wake; });
        auto const event = events_.empty() ? MonoTime::max() : events_.top().time;
        if (std::min(next->wake, event) >= end) break;
        now_ = std::max(now_, std::min(next->wake, event));
        if (event <= next->wake) {
            auto const due = events_.top();
            events_.pop();
            apply(due);
        } else {
            turn(static_cast<uint32_t>(next - participants_.begin()));
        }
        while (!unasked_.empty() && !free_publishers_.empty()) {
            ask(unasked_.front());
            unasked_.pop_front();
        }
    }
    now_ = std::max(now_, end);
}

void VirtualHost::finish() {
    while (open_ > 0)
        run_until(now_ + milliseconds(1));
}

void VirtualHost::order(server::Control what) {
    {
        reactor::CoreScope const scope(rig_.main());
        auto const mail = reactor::Mail::make(static_cast<uint8_t>(server::MailKind::control), what);
        for (uint32_t i = 0; i < rig_.workers(); ++i)
            rig_.reactor(rig_.main()).send(static_cast<reactor::CoreId>(i), mail);
        if (what == server::Control::stop) rig_.reactor(rig_.main()).send(rig_.store(), mail);
    }
    wake(rig_.main(), now_);
    run_until(now_ + milliseconds(100));
}

void VirtualHost::begin() {
    seen_ = {};
    seen_.busy.resize(rig_.workers() + 1);
    begun_ = now_;
}

const Seen& VirtualHost::end() {
    seen_.time = now_ - begun_;
    return seen_;
}

}  // namespace rc::bench
