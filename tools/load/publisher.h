#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "http_client.h"
#include "ringcast/reactor/reactor.h"
#include "schedule.h"
#include "shared.h"

namespace rc::load {

/// What came of one kind of publications.
struct PathFindings {
    Histogram first_ns, middle_ns, last_ns;              // receivers, from the intended time
    Histogram answer_ns;                                 // the publisher's 200
    Histogram late_ns;                                   // from the intended time to when it was really sent
    uint64_t published = 0, answered = 0, complete = 0;  // measured or not
    uint64_t measured = 0;
    uint64_t refused = 0, unanswered = 0, given_up = 0;
    std::map<std::string, uint64_t> troubles;
    std::vector<uint32_t>
        next;  // of each stream: how many were published (topic: by HTTP connection; users: by user)
    Excused excused;
};

/// Publishes messages of one kind over HTTP connections of its own, one at a time on each, so that what one
/// connection publishes has an order. A message to a user always goes by the same connection. Core: the
/// control's.
class Publisher final : private HttpClientOwner {
  public:
    /// @param rate  0: closed loop
    Publisher(reactor::Reactor& reactor, net::StreamTable& streams, io::Network& network, Shared& shared,
              Path path, double rate, uint32_t& next_publication, uint64_t chance);

    void start(MonoTime now);
    /// Begins nothing any more; what is under way goes on.
    void stop() { running_ = false; }
    /// Nothing is under way.
    [[nodiscard]] bool idle() const { return under_way_.empty(); }
    /// Ends what has been delivered, begins what is due, and sees that the turn ends in time for the next
    /// one.
    void run();
    /// What is under way is given up.
    void give_up();
    void close();
    [[nodiscard]] bool closed() const;

    [[nodiscard]] PathFindings& findings() { return findings_; }

  private:
    struct UnderWay {
        uint32_t publication, stream, seq;
        uint32_t client;  // HTTP
        MonoTime intended, sent;
        bool measured;
        bool answered = false;
    };
    void on_answer(uint32_t client, uint16_t status, std::string_view body) override;
    void on_no_answer(uint32_t client, std::string_view why) override;

    void harvest();
    void begin(uint32_t client, MonoTime intended);
    [[nodiscard]] std::optional<uint32_t> free_client();
    void excuse(uint32_t client, std::string why);
    [[nodiscard]] uint32_t pick_user(uint32_t client);

    reactor::Reactor& reactor_;
    Shared& shared_;
    const Settings& settings_;
    const Path path_;
    const double rate_;
    uint32_t& next_publication_;
    uint64_t chance_;
    bool running_ = false;
    std::optional<Schedule> schedule_;
    std::string request_head_;
    std::vector<std::unique_ptr<HttpClient>> clients_;
    std::vector<bool>
        taken_;  // by client: its publication is under way (closed loop: also where it is answered)
    std::vector<UnderWay> under_way_;
    PathFindings findings_;
};

}  // namespace rc::load
