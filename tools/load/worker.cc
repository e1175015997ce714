#include "worker.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace rc::load {
namespace {

constexpr uint8_t kStreamTable = 0;
constexpr Duration kRetryAfter = milliseconds(250);
constexpr uint32_t kDialsPerTurn = 64;  // between which what has come is received
constexpr std::string_view kPing = R"({"type":"ping"})", kPong = R"({"type":"pong"})";

FrameRef masked_text(std::string_view payload, ws::MaskKey mask) {
    return FrameRef(SharedBytes::copy_of(ws::encode_masked_frame(ws::Opcode::text, payload, mask)));
}

std::string describe(const ws::Ending& ending) {
    using Why = ws::Ending::Why;
    switch (ending.why) {
        case Why::asked: return "asked for";
        case Why::refused: return fmt::format("not upgraded: {}", ending.reason);
        case Why::closed: return fmt::format("closed by the server: {} {}", ending.code, ending.reason);
        case Why::lost: return fmt::format("lost: {}", ending.reason);
        case Why::broken: return fmt::format("the server broke the protocol: {}", ending.reason);
    }
    return {};
}

}  // namespace

void Client::on_open() {
    worker_.on_open(*this);
}
void Client::on_message(ws::Opcode, std::string_view payload) {
    worker_.on_text(*this, payload);
}
void Client::on_ending(const ws::Ending& ending) {
    worker_.on_ending(*this, ending);
}
void Client::on_closed() {
    worker_.on_closed(*this);
}

Worker::Worker(reactor::Reactor& reactor, Shared& shared, uint32_t number, uint64_t chance)
    : reactor_(reactor),
      shared_(shared),
      settings_(shared.settings),
      news_(shared.news[number]),
      findings_(shared.findings[number]),
      number_(number),
      first_(shared.first_client(number)),
      network_(io::make_system_network()),
      streams_(reactor, kStreamTable, limits::kSlotsMax),
      endpoint_(streams_, settings_.host, settings_.target, chance) {
    uint32_t const count = shared.first_client(number + 1) - first_;
    for (uint32_t place = 0; place < count; ++place)
        clients_.emplace_back(*this, place);
    away_ = count;
    findings_.ledger =
        std::make_unique<Ledger>(first_, count, shared.holds_topic(number) ? settings_.in_flight : 0);
    pong_ = masked_text(kPong, endpoint_.next_mask());
    if (settings_.scenario == Scenario::fanout && settings_.dialect == Dialect::ringcast)
        subscribe_ = masked_text(subscribe_text(0), endpoint_.next_mask());
    reactor.bind_mail(kCommandMail, *this);
    reactor.add_work(*this);
    reactor.add_work(streams_);
}

bool Worker::ended() {
    if (!leaving_) return false;
    if (reactor_.now() >= leave_deadline_) {
        leave_deadline_ = MonoTime::max();
        for (auto& client : clients_)
            if (client.connection_) client.connection_->abort();
    }
    return away_ == clients_.size();
}

std::string Worker::subscription(uint32_t client) const {
    bool const user = settings_.scenario != Scenario::fanout,
               topic = settings_.scenario != Scenario::targeted &&
                       client < settings_.connections - settings_.targeted_clients;
    if (settings_.dialect == Dialect::nats)
        return (user ? fmt::format("SUB user.{} 1\r\n", settings_.user(client)) : "") +
               (topic ? fmt::format("SUB topic.{} 2\r\n", settings_.topic) : "");
    std::string data;
    if (user) data += fmt::format("\"userId\":{}", settings_.user(client));
    if (topic) data += fmt::format("{}\"topics\":[\"{}\"]", data.empty() ? "" : ",", settings_.topic);
    return fmt::format("{{{}}}", data);
}

std::string Worker::subscribe_text(uint32_t client) const {
    return fmt::format(R"({{"type":"subscribe",{}"data":{}}})", settings_.ack ? "\"id\":1," : "",
                       subscription(client));
}

void Worker::on_mail(const reactor::Mail& mail) {
    auto const command = mail.as<Command>();
    auto const at = MonoTime(Duration(command.at_ns));
    switch (command.what) {
        case Command::What::connect:
            wanted_ = std::min<uint32_t>(command.count, static_cast<uint32_t>(clients_.size()));
            if (settings_.connect_rate > 0)
                dial_schedule_.emplace(reactor_.now(), settings_.connect_rate / settings_.threads);
            break;
        case Command::What::drop:
            if (settings_.connect_rate > 0)
                dial_schedule_.emplace(reactor_.now(), settings_.connect_rate / settings_.threads);
            for (auto& client : clients_) {
                if (!client.connection_) continue;
                client.back_at_once_ = true;
                client.connection_->abort();
            }
            break;
        case Command::What::echo:
            echoing_ = true;
            echo_until_ = MonoTime(Duration(command.until_ns));
            if (settings_.rate > 0) echo_schedule_.emplace(at, settings_.rate / settings_.threads);
            if (settings_.rate <= 0) {
                for (auto& client : clients_)
                    for (uint32_t i = 0; i < settings_.in_flight; ++i)
                        send_echo(client, reactor_.now());
            }
            break;
        case Command::What::leave:
            leaving_ = true;
            leave_deadline_ = reactor_.now() + settings_.patience;
            wanted_ = 0;
            returning_.clear();
            retries_.clear();
            for (auto& client : clients_)
                if (client.connection_) client.connection_->close(ws::CloseCode::normal);
            break;
    }
}

bool Worker::run_slice() {
    if (!leaving_) dial_due();
    expire_handshakes();
    if (echoing_) send_due_echoes();
    flush_groups();
    if (std::exchange(news_for_control_, false)) tell_control();
    return false;
}

// The control looks at everything when it is woken, so one mail is as good as many.
void Worker::tell_control() {
    auto const control = static_cast<reactor::CoreId>(shared_.control());
    if (reactor_.has_place(control)) reactor_.send(control, reactor::Mail::make(kNewsMail, number_));
}

// --- connecting

void Worker::dial_due() {
    auto const now = reactor_.now();
    while (!retries_.empty() && retries_.front().since <= now) {
        returning_.push_back(retries_.front().place);
        retries_.pop_front();
    }
    uint32_t const at_once = std::max(1U, settings_.connecting_max / settings_.threads);
    for (uint32_t dialed = 0; connecting_ < at_once; ++dialed) {
        if (returning_.empty() && next_new_ >= wanted_) return;
        if (dialed == kDialsPerTurn) return reactor_.stay_awake();
        if (dial_schedule_) {
            if (!dial_schedule_->due(now)) return reactor_.wake_by(dial_schedule_->next());
            dial_schedule_->take();
        }
        uint32_t const place = returning_.empty() ? next_new_++ : returning_.front();
        if (!returning_.empty()) returning_.pop_front();
        if (!dial(clients_[place])) retries_.push_back({place, now + kRetryAfter});
    }
}

bool Worker::dial(Client& client) {
    std::optional<Address> source;
    if (!settings_.sources.empty())
        source = settings_.sources[(first_ + client.place_) % settings_.sources.size()];
    auto const descriptor = network_->connect(settings_.address, source);
    if (!descriptor) {
        news_.failed.add();
        trouble(descriptor.error().message);
        return false;
    }
    auto const file = reactor_.ring().adopt(*descriptor);
    client.connection_.emplace(endpoint_, client);
    if (!client.connection_->open(file)) {
        client.connection_.reset();
        reactor_.ring().discard(file);
        news_.failed.add();
        trouble("no place in the table of streams");
        return false;
    }
    client.state_ = Client::State::connecting;
    client.dialed_ = reactor_.now();
    ++connecting_;
    --away_;
    dialing_.push_back({client.place_, client.dialed_});
    return true;
}

void Worker::expire_handshakes() {
    for (; !dialing_.empty(); dialing_.pop_front()) {
        auto& client = clients_[dialing_.front().place];
        bool const waits =
            client.dialed_ == dialing_.front().since &&
            (client.state_ == Client::State::connecting || client.state_ == Client::State::open);
        if (!waits) continue;
        if (dialing_.front().since + settings_.patience > reactor_.now()) return;
        trouble(client.state_ == Client::State::open ? "no acknowledgement of the subscribe (see --no-ack)"
                                                     : "no answer to the upgrade in time");
        client.connection_->abort();
    }
}

void Worker::on_open(Client& client) {
    client.state_ = Client::State::open;
    --connecting_;
    news_.connected.add();
    findings_.connect_ns.record((reactor_.now() - client.dialed_).count());
    if (settings_.scenario == Scenario::echo) return on_subscribed(client);
    if (settings_.dialect == Dialect::nchan) return on_subscribed(client);
    if (settings_.dialect != Dialect::ringcast) return;  // the server speaks first
    if (subscribe_) {
        client.connection_->send(subscribe_);
    } else {
        client.connection_->send_text(subscribe_text(first_ + client.place_));
    }
    if (!settings_.ack) on_subscribed(client);
}

void Worker::on_subscribed(Client& client) {
    if (client.state_ != Client::State::open) return;
    client.state_ = Client::State::subscribed;
    findings_.ready_ns.record((reactor_.now() - client.dialed_).count());
    news_.subscribed.add();
    news_.came.add();
    news_.last_came_ns.set(static_cast<uint64_t>(reactor_.now().time_since_epoch().count()));
    if (news_.subscribed.value() == wanted_) news_for_control_ = true;
}

void Worker::on_ending(Client& client, const ws::Ending& ending) {
    bool const there = client.state_ == Client::State::subscribed || client.state_ == Client::State::open;
    if (there) news_.connected.subtract();
    if (client.state_ == Client::State::subscribed) news_.subscribed.subtract();
    if (client.state_ == Client::State::connecting) --connecting_;
    bool const had_come = client.state_ == Client::State::subscribed;
    client.state_ = Client::State::ending;
    if (client.back_at_once_ || leaving_) return;
    if (ending.why != ws::Ending::Why::asked) trouble(describe(ending));
    (had_come ? news_.lost : news_.failed).add();
    news_for_control_ = true;
    // Who was there stays away: what it misses is the server's doing.
    if (!had_come) retries_.push_back({client.place_, reactor_.now() + kRetryAfter});
}

void Worker::on_closed(Client& client) {
    client.connection_.reset();
    client.state_ = Client::State::away;
    ++away_;
    if (std::exchange(client.back_at_once_, false) && !leaving_) returning_.push_back(client.place_);
}

// --- receiving

void Worker::on_text(Client& client, std::string_view text) {
    news_.texts.add();
    news_.bytes.add(text.size());
    if (settings_.scenario == Scenario::echo) return on_echo(client, text);
    if (settings_.dialect == Dialect::socketio || settings_.dialect == Dialect::nats)
        return on_foreign_text(client, text);
    if (text == kPing) {
        news_.heartbeats.add();
        client.connection_->send(pong_);
        return;
    }
    if (text.starts_with(R"({"type":"load")")) {
        if (auto const stamp = read_stamp(text)) return on_delivery(client, *stamp);
    }
    on_other_text(client, text);
}

void Worker::on_other_text(Client& client, std::string_view text) {
    auto has = [&](std::string_view what) { return text.find(what) != std::string_view::npos; };
    if (has(R"("type":"ack")")) return on_subscribed(client);
    if (has(R"("type":"error")")) return trouble(fmt::format("error message: {}", text.substr(0, 200)));
    if (has(R"("type":"ping")")) {
        news_.heartbeats.add();
        client.connection_->send(pong_);
        return;
    }
    if (auto const stamp = read_stamp(text)) return on_delivery(client, *stamp);
    trouble(fmt::format("not asked for: {}", text.substr(0, 100)));
}

void Worker::on_foreign_text(Client& client, std::string_view text) {
    struct Sink final : DialectSink {
        Sink(Worker& w, Client& c) : worker(w), client(c) {}
        void say(std::string_view words) override { client.connection_->send_text(words); }
        void on_subscribed() override { worker.on_subscribed(client); }
        void on_heartbeat() override { worker.news_.heartbeats.add(); }
        void on_delivery(const Stamp& stamp) override { worker.on_delivery(client, stamp); }
        void on_nonsense(std::string_view words) override {
            worker.trouble(fmt::format("not asked for: {}", words.substr(0, 100)));
        }
        Worker& worker;
        Client& client;
    } sink(*this, client);
    // Only who is not subscribed yet has use for what it would subscribe to.
    auto const wanted = client.state_ == Client::State::open ? subscription(first_ + client.place_) : "";
    if (settings_.dialect == Dialect::nats) {
        hear_nats(text, wanted, sink);
    } else {
        hear_socketio(text, wanted, sink);
    }
}

void Worker::on_delivery(Client& client, const Stamp& stamp) {
    news_.deliveries.add();
    findings_.ledger->take(client.place_, stamp.stream, stamp.seq);
    // Bursts come to one client after the other in the same order: the next group is the likely one.
    if (!groups_.empty()) {
        for (std::size_t i = 0; i < groups_.size(); ++i) {
            auto& group = groups_[group_];
            if (group.publication == stamp.publication) {
                ++group.count;
                return;
            }
            group_ = group_ + 1 < groups_.size() ? group_ + 1 : 0;
        }
    }
    group_ = groups_.size();
    groups_.push_back(
        {stamp.publication, 1, stamp.at_ns, stamp.stream < Ledger::kOwnStream ? kTopicPath : kUserPath});
}

void Worker::flush_groups() {
    if (groups_.empty()) return;
    auto const now = reactor_.now();
    uint32_t const measured_from = shared_.measured_from.load(std::memory_order_relaxed);
    for (const auto& group : groups_) {
        if (group.publication >= measured_from)
            findings_.deliveries_ns[group.path].record(now.time_since_epoch().count() - group.at_ns,
                                                       group.count);
        news_for_control_ |= shared_.publications.deliver(group.publication, group.count, now);
    }
    groups_.clear();
    group_ = 0;
}

// --- echoes

void Worker::send_echo(Client& client, MonoTime at) {
    if (client.state_ != Client::State::subscribed) return;
    news_.echoes_open.add();
    client.connection_->send_text(make_message(
        {.at_ns = at.time_since_epoch().count(), .seq = client.echoes_sent_++}, settings_.message_bytes));
}

// Of an open loop. An echo belongs to the clients in turn; one that has too many open sends it late.
void Worker::send_due_echoes() {
    if (!echo_schedule_) return;
    auto const now = reactor_.now();
    if (now >= echo_until_) return;
    for (; echo_schedule_->due(now); echo_schedule_->take()) {
        auto& client = clients_[echo_schedule_->taken() % clients_.size()];
        if (client.echoes_sent_ - client.echoes_got_ >= settings_.in_flight) continue;
        send_echo(client, echo_schedule_->time_of(client.echoes_sent_ * clients_.size() + client.place_));
    }
    reactor_.wake_by(echo_schedule_->next());
}

void Worker::on_echo(Client& client, std::string_view text) {
    auto const stamp = read_stamp(text);
    if (!stamp || text.size() != settings_.message_bytes) {
        ++findings_.echo_faults.stray;
        findings_.echo_faults.name(
            fmt::format("client {}: not what it sent: {}", first_ + client.place_, text.substr(0, 100)));
        return;
    }
    auto const name = [&](const char* what) {
        findings_.echo_faults.name(
            fmt::format("client {}: echo {} {}", first_ + client.place_, stamp->seq, what));
    };
    if (stamp->seq < client.echoes_got_) {
        ++findings_.echo_faults.doubled;
        return name("came twice, or behind later ones");
    }
    findings_.echo_faults.missing += stamp->seq - client.echoes_got_;
    if (stamp->seq > client.echoes_got_) name("came, but not those before it");
    client.echoes_got_ = stamp->seq + 1;
    news_.deliveries.add();
    news_.echoes_open.subtract();
    auto const now = reactor_.now();
    if (shared_.measuring_echoes.load(std::memory_order_relaxed))
        findings_.echoes_ns.record(now.time_since_epoch().count() - stamp->at_ns);
    if (now >= echo_until_) {
        if (news_.echoes_open.value() == 0) news_for_control_ = true;
        return;
    }
    if (!echo_schedule_) return send_echo(client, now);
    // What this client's turn was while it was waiting goes now, at its own time.
    auto const mine = echo_schedule_->time_of(client.echoes_sent_ * clients_.size() + client.place_);
    if (mine <= now && client.echoes_sent_ * clients_.size() + client.place_ < echo_schedule_->taken())
        send_echo(client, mine);
}

}  // namespace rc::load
