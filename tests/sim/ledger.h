#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "ringcast/reactor/mailbox.h"
#include "ringcast/store/log.h"

namespace rc::sim {

constexpr uint32_t kTopicsMax = 4, kUsersMax = 4;
constexpr uint32_t kNone = UINT32_MAX;

/// What publishers send: `n` stands in its data and names it everywhere.
struct Publication {
    enum class Kind : uint8_t { topic, broadcast, live_users, stored } kind = Kind::topic;
    uint32_t topic = kNone;  // also of messages to users
    uint32_t users = 0;      // a bit each
    bool notification = false;
    std::string text;        // as clients get it; of a notification, its beginning
    uint32_t publisher = 0;  // which connection sent it first; 0: order means nothing
    // What became of it.
    uint32_t under_way = 0;                  // requests without an answer
    bool accepted = false, unknown = false;  // by an answer; an answer was lost
    bool withdrawn = false;                  // a DELETE was sent: it may be missing from the log
    bool posted = false;
    uint64_t stamp = 0;
    uint32_t place = kNone;                        // in its topic's order, or among the broadcasts
    std::array<uint32_t, kUsersMax> user_place;    // in each user's order of this kind
    std::array<uint64_t, kUsersMax> user_stamp{};  // live ones go to each user's home by themselves
};

/// One step of a user's log.
struct UserEvent {
    uint64_t offset = 0, stamp = 0;
    uint32_t n = kNone;       // of a publication; none: a read mark
    uint32_t marked = kNone;  // by a read mark: n of the notification; none: all
    uint32_t unread = 0;      // by a read mark
};

/// What the server has accepted, in its order: written down as it is posted to the cores, before any of them
/// can deliver it.
class Ledger {
  public:
    static std::string topic_name(uint32_t topic) { return std::string(1, static_cast<char>('a' + topic)); }
    static std::string user_name(uint32_t user) { return "u" + std::to_string(user); }
    static std::string notification_id(uint32_t n) { return "n" + std::to_string(n); }

    uint32_t add(Publication publication);
    Publication& at(uint32_t n);
    [[nodiscard]] uint32_t size() const { return static_cast<uint32_t>(publications_.size()); }

    /// A mail with a stamp, seen on its way to the first core.
    void posted(const reactor::Mail& mail);

    [[nodiscard]] const std::vector<uint32_t>& topic(uint32_t t) const { return topics_[t]; }
    [[nodiscard]] const std::vector<uint32_t>& broadcasts() const { return broadcasts_; }
    [[nodiscard]] const std::vector<UserEvent>& log(uint32_t user) const { return logs_[user]; }
    [[nodiscard]] const std::vector<uint32_t>& live(uint32_t user) const { return live_[user]; }
    /// The log's event with this offset, or none.
    [[nodiscard]] uint32_t place_of(uint32_t user, uint64_t offset) const;
    [[nodiscard]] uint64_t newest_stamp() const { return stamp_; }

    /// Everything has been answered that ever will be.
    void check_outcomes() const;

    std::array<uint32_t, kUsersMax> disconnects_asked{}, disconnects_done{};  // by the backend, of each user

  private:
    void in_order(uint32_t n, std::map<uint32_t, uint32_t>& newest, std::string_view where);

    std::vector<Publication> publications_;
    std::array<std::vector<uint32_t>, kTopicsMax> topics_;
    std::vector<uint32_t> broadcasts_;
    std::array<std::vector<UserEvent>, kUsersMax> logs_;
    std::array<std::vector<uint32_t>, kUsersMax> live_;
    std::array<std::map<uint32_t, uint32_t>, 2 * kUsersMax + kTopicsMax + 1> newest_;  // n by publisher
    uint64_t stamp_ = 0;
};

/// The number behind a mark in a text; none without it.
uint64_t number_after(std::string_view text, std::string_view mark);
constexpr uint64_t kNoNumber = UINT64_MAX;

}  // namespace rc::sim
