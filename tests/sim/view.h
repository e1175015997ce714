#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <set>
#include <string_view>

#include "ledger.h"

namespace rc::sim {

/// What a client has asked the server for, and the answer is not there yet.
struct Op {
    enum class What : uint8_t {
        subscribe,
        unsubscribe,
        unsubscribe_all,
        mark_read,
        refused
    } what = What::subscribe;
    uint32_t topics = 0;  // a bit each
    bool user = false;    // names its user
    enum class Resume : uint8_t { none, offsets, since, unread } resume = Resume::none;
    uint64_t after = 0;       // of a since; 0: everything
    bool valid_after = true;  // an offset that this log has given
    bool sync = false;
    uint32_t marked = kNone;  // n of a notification
    // What might have come already when it was asked.
    uint32_t had_topics = 0;
    bool had_user = false;
};

/// What one connection must and may get, by what it asked for and what was accepted: the ledger's order, each
/// once, nothing that it does not hold, nothing of another user, and everything from the moment on at which
/// its subscription was acknowledged.
class View {
  public:
    /// @param lossy  the log keeps less than there is, so that a replay may have holes
    View(Ledger& ledger, bool lossy) : ledger_(ledger), lossy_(lossy) {}

    void asked(uint32_t id, const Op& op);
    void acknowledged(uint32_t id, std::string_view text);
    void refused(uint32_t id);
    /// Any text but a heartbeat, an ack or an error.
    void delivered(std::string_view text);

    /// Everything is at rest, so everything that had to come has come.
    void check_caught_up() const;

    [[nodiscard]] const std::map<uint32_t, Op>& open_ops() const { return ops_; }
    [[nodiscard]] uint32_t held_topics() const;       // perhaps
    [[nodiscard]] uint32_t undecided_topics() const;  // with an op under way
    [[nodiscard]] uint32_t user() const { return user_; }
    void set_user(uint32_t user) { user_ = user; }
    [[nodiscard]] bool user_known() const { return user_known_; }  // by an ack
    [[nodiscard]] uint64_t newest_offset() const { return newest_offset_; }
    [[nodiscard]] bool ever_resumed() const { return ever_resumed_; }

  private:
    // A run of a list's entries: it begins somewhere, and from there nothing is left out.
    struct Window {
        bool maybe = false;  // entries may come
        bool sure = false;   // entries must come
        bool started = false;
        uint32_t next = 0;         // none below it comes any more
        uint32_t at_most = kNone;  // it begins there at the latest
        uint64_t sure_since = 0;   // a stamp
        [[nodiscard]] uint32_t due() const { return started ? next : at_most; }
        void become_sure(uint32_t size, uint64_t stamp);
        void stop();
    };
    template <class MaySkip>
    void take(Window& window, uint32_t place, std::string_view what, MaySkip&& may_skip);
    void take_logged(uint32_t place, bool has_offset);
    void take_mark(std::string_view text);
    void take_stamp(uint64_t stamp, uint32_t lane);
    void resumed(const Op& op, std::string_view text);
    void look_at_broadcasts();
    [[nodiscard]] bool may_lack_topic(const Publication& publication) const;
    [[nodiscard]] bool has_twin(const UserEvent& mark) const;
    [[nodiscard]] bool may_skip_event(const UserEvent& event) const;
    [[nodiscard]] bool may_skip_live(uint32_t n) const;
    [[nodiscard]] bool user_op_after(uint32_t id) const;

    static constexpr uint32_t kBroadcastLane = kTopicsMax, kUserLane = kTopicsMax + 1;

    Ledger& ledger_;
    bool lossy_;
    uint32_t user_ = kNone;
    bool user_known_ = false;
    std::map<uint32_t, Op> ops_;  // by id, in the order in which they were asked
    std::array<Window, kTopicsMax> topics_;
    Window broadcasts_, live_, log_;
    bool lenient_ = false;  // a replay may leave out what was lost
    bool ever_resumed_ = false;
    uint32_t unread_upto_ = 0, unread_next_ = 0;  // places: unread ones of the past may come from next on
    bool offsets_maybe_ = false, offsets_sure_ = false;
    bool sync_maybe_ = false, sync_sure_ = false;
    uint64_t sync_since_ = 0;
    std::set<uint32_t> own_marks_;
    uint32_t given_up_before_ = 0;  // resumes with lower ids end without a replay
    uint64_t newest_offset_ = 0;
    std::array<uint64_t, kTopicsMax + 2> stamps_{};  // the newest that came, of each lane
};

}  // namespace rc::sim
