#include "publisher.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "message.h"

namespace rc::load {

Publisher::Publisher(reactor::Reactor& reactor, net::StreamTable& streams, io::Network& network,
                     Shared& shared, Path path, double rate, uint32_t& next_publication, uint64_t chance)
    : reactor_(reactor),
      shared_(shared),
      settings_(shared.settings),
      path_(path),
      rate_(rate),
      next_publication_(next_publication),
      chance_(chance) {
    request_head_ =
        fmt::format("POST /api/publish HTTP/1.1\r\nHost: {}\r\nContent-Type: application/json\r\n",
                    settings_.api_address.format());
    if (!settings_.api_key.empty()) request_head_ += fmt::format("X-API-Key: {}\r\n", settings_.api_key);
    uint32_t const clients =
        path == kUserPath ? std::min(settings_.in_flight, settings_.connections - settings_.first_targeted())
                          : settings_.in_flight;
    HttpClientOwner& owner = *this;
    for (uint32_t i = 0; i < clients; ++i)
        clients_.push_back(std::make_unique<HttpClient>(streams, network, settings_.api_address, owner, i));
    taken_.resize(clients);
    findings_.next.resize(path == kTopicPath ? clients : settings_.connections);
}

void Publisher::start(MonoTime now) {
    running_ = true;
    if (rate_ > 0) schedule_.emplace(now, rate_);
}

void Publisher::run() {
    harvest();
    if (!running_) return;
    auto const now = reactor_.now();
    if (!schedule_) {
        for (auto client = free_client(); client && running_; client = free_client())
            begin(*client, now);
        return;
    }
    while (schedule_->due(now)) {
        auto const client = free_client();
        if (!client || under_way_.size() >= Publications::kPlaces / 4) return;  // the next answer wakes
        begin(*client, schedule_->take());
    }
    reactor_.wake_by(schedule_->next());
}

std::optional<uint32_t> Publisher::free_client() {
    for (uint32_t i = 0; i < clients_.size(); ++i)
        if (!taken_[i] && clients_[i]->ready()) return i;
    return std::nullopt;
}

// Users are divided among the connections, so that each user's messages have one order.
uint32_t Publisher::pick_user(uint32_t client) {
    auto const connections = static_cast<uint32_t>(clients_.size());
    uint32_t const first = settings_.first_targeted();
    uint32_t const users = (settings_.connections - first - client - 1) / connections + 1;
    chance_ = chance_ * 6364136223846793005ULL + 1442695040888963407ULL;
    return first + client + static_cast<uint32_t>((chance_ >> 33) % users) * connections;
}

void Publisher::begin(uint32_t client, MonoTime intended) {
    uint32_t const publication = next_publication_++;
    uint32_t const number = path_ == kTopicPath ? client : pick_user(client);
    uint32_t const stream = path_ == kTopicPath ? number : Ledger::kOwnStream + number;
    Stamp const stamp{intended.time_since_epoch().count(), publication, stream, findings_.next[number]};
    auto const expected = path_ == kTopicPath ? shared_.topic_subscribers() : 1U;
    auto const to = path_ == kTopicPath ? fmt::format("\"topic\":\"{}\"", settings_.topic)
                                        : fmt::format("\"userId\":{}{}", settings_.user(number),
                                                      settings_.store ? "" : ",\"store\":false");
    auto const body =
        fmt::format(R"({{"type":"load",{},"data":{}}})", to, make_data(stamp, settings_.message_bytes));
    auto const length = fmt::format("Content-Length: {}\r\n\r\n", body.size());
    shared_.publications.begin(publication, expected);
    if (auto const sent = clients_[client]->send(FrameRef(SharedBytes::join({request_head_, length, body})));
        !sent) {
        ++findings_.unanswered;
        ++findings_.troubles[sent.error().message];
        shared_.publications.end(publication);
        running_ = false;  // of nothing that goes away by itself
        return;
    }
    ++findings_.next[number];
    ++findings_.published;
    taken_[client] = true;
    bool const measured = publication >= shared_.measured_from.load(std::memory_order_relaxed);
    if (measured) {
        ++findings_.measured;
        findings_.late_ns.record((reactor_.now() - intended).count());
    }
    under_way_.push_back({publication, stream, stamp.seq, client, intended, reactor_.now(), measured});
}

void Publisher::harvest() {
    auto const now = reactor_.now();
    for (std::size_t i = 0; i < under_way_.size();) {
        auto const& one = under_way_[i];
        auto const times = shared_.publications.times(one.publication);
        bool const given_up = now - one.sent > settings_.patience;
        if ((!one.answered || !times.complete()) && !given_up) {
            ++i;
            continue;
        }
        if (times.complete()) {
            ++findings_.complete;
            if (one.measured) {
                auto const intended = one.intended.time_since_epoch().count();
                findings_.first_ns.record(times.at_ns[Publications::kFirst] - intended);
                findings_.middle_ns.record(times.at_ns[Publications::kMiddle] - intended);
                findings_.last_ns.record(times.at_ns[Publications::kLast] - intended);
            }
        } else if (one.answered) {
            ++findings_.given_up;
        }
        if (!schedule_ && one.answered) taken_[one.client] = false;
        if (!one.answered) {
            ++findings_.unanswered;
            clients_[one.client]->close();
            excuse(one.client, "no answer in time");
            continue;  // it is gone from the list, and the next one stands in its place
        }
        shared_.publications.end(one.publication);
        under_way_[i] = under_way_.back();
        under_way_.pop_back();
    }
}

void Publisher::on_answer(uint32_t client, uint16_t status, std::string_view body) {
    auto const one = std::ranges::find_if(
        under_way_, [&](const UnderWay& entry) { return entry.client == client && !entry.answered; });
    if (one == under_way_.end()) return;
    if (status / 100 != 2) {
        ++findings_.refused;
        return excuse(client, fmt::format("{} {}", status, body.substr(0, 200)));
    }
    one->answered = true;
    ++findings_.answered;
    if (one->measured) findings_.answer_ns.record((reactor_.now() - one->intended).count());
    if (schedule_) taken_[client] = false;
}

void Publisher::on_no_answer(uint32_t client, std::string_view why) {
    ++findings_.unanswered;
    excuse(client, fmt::format("no answer to a publication: {}", why));
}

// Whether it was published is not known, or it was refused: nobody has to get it.
void Publisher::excuse(uint32_t client, std::string why) {
    auto const one = std::ranges::find_if(
        under_way_, [&](const UnderWay& entry) { return entry.client == client && !entry.answered; });
    ++findings_.troubles[std::move(why)];
    if (one == under_way_.end()) return;
    findings_.excused[one->stream].insert(one->seq);
    shared_.publications.end(one->publication);
    taken_[client] = false;
    *one = under_way_.back();
    under_way_.pop_back();
}

void Publisher::give_up() {
    running_ = false;
    for (const auto& one : under_way_) {
        shared_.publications.end(one.publication);
        ++findings_.given_up;
        if (one.answered) continue;
        findings_.excused[one.stream].insert(one.seq);
        ++findings_.unanswered;
    }
    under_way_.clear();
}

void Publisher::close() {
    for (auto& client : clients_)
        client->close();
}

bool Publisher::closed() const {
    return std::ranges::all_of(clients_, [](const auto& client) { return client->closed(); });
}

}  // namespace rc::load
