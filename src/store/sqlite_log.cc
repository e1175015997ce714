#include "ringcast/store/sqlite_log.h"

#include <algorithm>
#include <array>
#include <deque>
#include <utility>

#include "erasures.h"
#include "keys.h"
#include "prefetch.h"
#include "reading.h"
#include "request_queue.h"
#include "ringcast/base/assert.h"
#include "ringcast/base/limits.h"
#include "ringcast/base/log.h"
#include "sqlite_file.h"
#include "sweep_pace.h"

namespace rc::store {

using sqlite::Database, sqlite::EntryRow, sqlite::EntryState, sqlite::list, sqlite::read, sqlite::SqlError,
    sqlite::State, sqlite::Tables, sqlite::Trouble, sqlite::User;

namespace {

constexpr Duration kSweepEvery = minutes(1);
constexpr Duration kRecoverEvery = seconds(1);
constexpr Duration kMeasureEvery = seconds(1);
constexpr Duration kCutEvery = seconds(1);  // while a reader holds it
constexpr uint32_t kExpireRows = 64;        // that a batch deletes by the way
constexpr int64_t kFreePagesMin = 1'024;    // and a quarter of the file: then it is cut
constexpr uint32_t kFloodRequests = 32;     // a batch: wal_frames_max holds; with fewer, as much less
constexpr uint32_t kFewRequests = 2;        // a batch: no less than with so many
constexpr uint32_t kQuietSteps = 8;         // in a row without a request: a flood is over
constexpr uint32_t kAppendsPerLook = 8;     // to one user each, between two looks at the clock
constexpr uint32_t kPutOffMax = 8;          // batches of reads in a row without anything being deleted beside
constexpr uint32_t kSweepSlice = 4;         // rows, likewise
constexpr uint32_t kFetchedTogether = 8;    // requests
constexpr std::size_t kFetchedBytes = 256;  // of each one's data
constexpr const char* kVacuumSlice = "PRAGMA incremental_vacuum(16)";

struct Settled {
    Ticket ticket;
};
using Effect =
    std::variant<std::shared_ptr<const Publication>, std::shared_ptr<const ReadMark>, Answer, Settled>;

}  // namespace

class SqliteLog::Impl {
  public:
    Impl(Options options, std::unique_ptr<Database> db, State state)
        : options_(std::move(options)),
          db_(std::move(db)),
          tables_(*db_),
          write_state_(*db_, sqlite::kWriteState),
          users_(tables_, options_.notifications_per_user) {
        RC_ASSERT(options_.notifications_per_user > 0 && options_.retention > Duration::zero());
        RC_ASSERT(options_.batch_requests_max > 0 && options_.sweep_rows > 0);
        users_.reset(std::move(state));
        guarded([this] { begin(); });
    }

    ~Impl() {
        if (down()) return;
        try {
            db_->execute("BEGIN");
            users_.state().clean = true;
            keys_.write();
            sqlite::write_state(write_state_, users_.state());
            db_->execute("COMMIT");
            if (!db_->cut_log()) log::info("store: a reader holds the write-ahead log: it is left");
        } catch (const SqlError& error) {
            log::error("store: the log could not be closed cleanly: {}", error.text);
        }
    }

    bool submit(Request&& request) {
        if (const auto* append = std::get_if<Append>(&request))
            prefetch(append->publication.get(), sizeof(Publication));
        return queue_.push(std::move(request));
    }

    bool step(WallTime now, Outcomes& outcomes) {
        now_ = now;
        keys_.set_now(now);
        if (condition_ == Condition::failed) recover();
        if (!down()) checkpoint_if_due();
        cut_if_due();
        measure();
        bool const idle = queue_.empty();
        quiet_steps_ = idle ? std::min(quiet_steps_ + 1, kQuietSteps) : 0;
        if (quiet_steps_ == kQuietSteps) recent_requests_ = 0;
        bool left = false;
        if (down()) {
            answer_while_down();
        } else if (!idle || keys_.has_unwritten() || sweep_is_due()) {
            left = run_batch();
        } else {
            left = give_space_back();
        }
        if (down()) give_up_erasing();
        for (auto& effect : effects_)
            report(effect, outcomes);
        effects_.clear();
        // Whoever sleeps after a batch comes back with the next request: a moment without any is asked for.
        return left || !queue_.empty() || (!down() && (has_freed_ || checkpoint_is_due()));
    }

    [[nodiscard]] std::string_view epoch() const { return users_.state().epoch; }
    [[nodiscard]] Figures figures() const {
        const State& s = users_.state();
        return {down(), queue_.waiting(), s.users, s.notifications, s.messages, s.marks, s.keys, bytes_};
    }

  private:
    enum class Condition : uint8_t { healthy, failed, damaged };

    // ---- the transaction ------------------------------------------------------------------------

    [[nodiscard]] bool down() const { return condition_ != Condition::healthy; }

    // Begins, handles what waits up to the bounds of a batch, and commits. When anything of that fails,
    // nothing of it was done: reads are read anew, and all else is unavailable.
    bool run_batch() {
        bool sweep_left = false;
        batch_requests_ = batch_users_ = 0;
        batch_bytes_ = rows_new_ = 0;
        batch_began_ = time();
        bool const done = guarded([&] {
            db_->execute("BEGIN");
            users_.begin(now_, now_ - options_.retention, kExpireRows);
            for (uint32_t n = 0; !queue_.empty() && fits_the_batch(queue_.front()); ++n) {
                if (n % kFetchedTogether == 0) fetch_ahead();
                hint_ = fetched_[n % kFetchedTogether];
                Request request = queue_.pop();
                fallbacks_.push_back(fallback_of(request));
                if (must_wait(request)) {
                    fallbacks_.pop_back();
                    behind_.push_back(std::move(request));
                    continue;
                }
                rows_new_ += rows_of(request);
                std::visit([this](auto& r) { handle(r); }, request);
            }
            sweep_left = sweep();
            keys_.write();
            bool const changed = users_.flush();
            if (changed) sqlite::write_state(write_state_, users_.state());
            commit(changed);
        });
        if (done) {
            if (sweep_left && fallbacks_.empty() && options_.clock) pace_.took(swept_, time() - batch_began_);
            if (!fallbacks_.empty())
                recent_requests_ =
                    std::max(static_cast<uint32_t>(std::min<std::size_t>(fallbacks_.size(), kFloodRequests)),
                             recent_requests_ - (recent_requests_ + 7) / 8);
            keys_.committed();
            users_.committed();
            erasures_.committed();
            cut_if_due();
        } else {
            take_back();
        }
        fallbacks_.clear();
        queue_.put_back(std::exchange(behind_, {}));
        return sweep_left && done;
    }

    // What the next ones need of memory, together: one by one, each would be waited for. It is one behind the
    // other: the publication, its message and addressees, the data and the user.
    void fetch_ahead() {
        fetched_.fill(nullptr);
        std::size_t const count = std::min<std::size_t>(queue_.size(), 2 * kFetchedTogether);
        for (std::size_t i = 0; i < count; ++i) {
            const auto* append = std::get_if<Append>(&queue_.at(i));
            if (!append) continue;
            const Publication& publication = *append->publication;
            if (i >= kFetchedTogether) {
                prefetch(publication.addressees.data(), sizeof(Addressee));
                prefetch(publication.message.get(), sizeof(Message));
                continue;
            }
            fetched_[i] = users_.prefetch(publication.addressees.front().user.text);
            prefetch(publication.message->data.data(), kFetchedBytes);
        }
    }

    // Moves the write-ahead log into the file now and then, so that it can be begun anew. While a backup
    // reads, it cannot, and grows.
    void checkpoint_if_due() {
        if (!checkpoint_is_due()) return;
        checkpointed_ = db_->wal_frames();
        guarded([this] { db_->checkpoint(); });
    }

    [[nodiscard]] bool checkpoint_is_due() {
        uint64_t const frames = db_->wal_frames();
        if (frames < checkpointed_) checkpointed_ = 0;
        // Whoever comes meanwhile waits: where few come it is done often and in a moment. Where many do, each
        // page would be moved again and again, which takes more of the thread than they wait.
        uint64_t const requests =
            queue_.empty() ? std::clamp(recent_requests_, kFewRequests, kFloodRequests) : kFloodRequests;
        uint64_t const frames_max = options_.wal_frames_max * requests / kFloodRequests;
        return frames - checkpointed_ >= std::max<uint64_t>(frames_max, 1);
    }

    // What was erased stands in the write-ahead log too, until that is cut. A backup may hold it for a while.
    void cut_if_due() {
        cut_at_ = std::min(cut_at_, now_ + kCutEvery);  // the date may jump back
        if (down() || !cut_is_due_ || now_ < cut_at_) return;
        cut_at_ = now_ + kCutEvery;
        guarded([this] { cut_is_due_ = !db_->cut_log(); });
        if (!cut_is_due_) cut_at_ = now_;
    }

    // A request whose answer counts what has expired and is still there waits until that is gone.
    bool must_wait(const Request& request) {
        return std::visit(
            [this](const auto& r) {
                if constexpr (requires { r.user; } && !std::is_same_v<std::decay_t<decltype(r)>, Erase>) {
                    const User* user = users_.find(r.user.text);
                    return user && users_.is_behind(*user);
                } else {
                    return false;
                }
            },
            request);
    }

    void commit(bool changed) {
        if (changed && options_.at) options_.at(Moment::handled);
        auto const began = time();
        db_->execute("COMMIT");
        if (!changed) return;
        if (options_.at) options_.at(Moment::committed);
        if (options_.on_commit) options_.on_commit(static_cast<uint32_t>(fallbacks_.size()), time() - began);
    }

    [[nodiscard]] bool fits_the_batch(const Request& next) {
        const auto* append = std::get_if<Append>(&next);
        uint32_t const users = append ? static_cast<uint32_t>(append->publication->addressees.size()) : 0;
        std::size_t const bytes = queue_.front_bytes();
        bool const look = users != 1 || batch_requests_ % kAppendsPerLook == 0;  // others may take long
        bool const fits =
            batch_requests_ == 0 ||
            (batch_requests_ < options_.batch_requests_max &&
             batch_users_ + users <= options_.batch_users_max &&
             batch_bytes_ + bytes <= options_.batch_bytes_max &&
             (!look || time() < batch_began_ + options_.batch_time_max));  // always, without a clock
        ++batch_requests_;
        batch_users_ += users;
        batch_bytes_ += bytes;
        return fits;
    }

    /// That a request may bring, at most.
    static std::size_t rows_of(const Request& request) {
        if (const auto* append = std::get_if<Append>(&request)) return append->publication->addressees.size();
        return only_reads(request) ? 0 : 1;
    }

    // What becomes of a request when its batch fails: read again, or answered. Nothing: it is parked. A
    // settled key is kept in memory until it can be written, because what it stands for has been delivered.
    struct Refusal {
        RequestKind kind;
        Ticket ticket;
    };
    using Fallback = std::variant<std::monostate, Refusal, Settled, std::unique_ptr<Request>>;
    static Fallback fallback_of(const Request& request) {
        if (const auto* settle = std::get_if<Settle>(&request)) return Settled{settle->ticket};
        if (only_reads(request)) return std::make_unique<Request>(request);
        return Refusal{request.index(), ticket_of(request)};
    }

    template <class Work>
    bool guarded(Work work) {
        try {
            work();
            return true;
        } catch (const SqlError& error) {
            if (error.trouble == Trouble::damaged) {
                condition_ = Condition::damaged;
                log::error("store: down until the next start: {}", error.text);
            } else if (condition_ == Condition::healthy) {
                condition_ = Condition::failed;
                recover_at_ = now_ + kRecoverEvery;
                log::error("store: down: {}", error.text);
            }
            return false;
        }
    }

    void take_back() {
        try {
            if (db_->in_transaction()) db_->execute("ROLLBACK");
        } catch (const SqlError& error) {
            log::error("store: {}", error.text);
        }
        users_.rollback();
        effects_.clear();
        erasures_.rollback();
        for (const auto& request : keys_.rollback())
            refuse(request);
        for (auto& fallback : fallbacks_) {
            if (auto* refusal = std::get_if<Refusal>(&fallback))
                answer(std::move(*unavailable_answer(refusal->kind, refusal->ticket)));
            if (auto* settled = std::get_if<Settled>(&fallback)) effects_.emplace_back(*settled);
            if (auto* request = std::get_if<std::unique_ptr<Request>>(&fallback)) read_again(**request);
        }
    }

    void read_again(Request& request) {
        Request const asked = request;
        bool const read = condition_ == Condition::failed && guarded([&] {
                              users_.begin(now_, now_ - options_.retention, 0);
                              std::visit([this](auto& r) { handle(r); }, request);
                          });
        if (!read) refuse(asked);
    }

    void answer_while_down() {
        for (uint32_t i = 0; i < options_.batch_requests_max && !queue_.empty(); ++i) {
            Request request = queue_.pop();
            if (auto* settle = std::get_if<Settle>(&request)) {
                handle(*settle);
            } else if (only_reads(request)) {
                read_again(request);
            } else {
                refuse(request);
            }
        }
    }

    // Rewrites and syncs what may only be in the page cache, and goes on when that has succeeded.
    void recover() {
        recover_at_ = std::min(recover_at_, now_ + kRecoverEvery);  // the date may jump back
        if (now_ < recover_at_) return;
        recover_at_ = now_ + kRecoverEvery;
        bool const well = guarded([this] {
            if (db_->in_transaction()) db_->execute("ROLLBACK");
            begin();
        });
        if (!well) return;
        condition_ = Condition::healthy;
        log::info("store: up again");
    }

    void cut() {
        if (!db_->cut_log()) throw SqlError{Trouble::busy, "a reader holds the write-ahead log"};
    }

    // Before anything is answered: all that is in the page cache is written and synced, whatever became of it
    // in an earlier life or failure; then the file says how it was opened, if it does not yet.
    void begin() {
        cut();
        if (!begun_) {
            db_->execute("BEGIN");
            sqlite::write_state(write_state_, users_.state());
            db_->execute("COMMIT");
            cut();
            begun_ = true;
        }
        users_.reset(sqlite::read_state(*db_));
        erasures_.look();
        cut_is_due_ = false;
    }

    void give_up_erasing() {
        for (auto ticket : erasures_.give_up())
            answer(EraseAnswer{.ticket = ticket, .unavailable = true});
    }

    void refuse(const Request& request) {
        if (auto no = unavailable_answer(request)) answer(std::move(*no));
    }

    void answer(Answer done) { effects_.emplace_back(std::move(done)); }

    static void report(Effect& effect, Outcomes& outcomes) {
        if (auto* publication = std::get_if<0>(&effect)) outcomes.publication(std::move(*publication));
        if (auto* mark = std::get_if<1>(&effect)) outcomes.read_mark(std::move(*mark));
        if (auto* answer = std::get_if<2>(&effect)) outcomes.answer(std::move(*answer));
        if (auto* settled = std::get_if<3>(&effect)) outcomes.settled(settled->ticket);
    }

    // ---- idempotency keys -----------------------------------------------------------------------

    template <class Keyed>
    void park(const std::string& name, Keyed& request) {
        std::string const key = name;  // the request's own
        keys_.park(key, std::move(request));
        fallbacks_.back() = {};
    }

    void handle(Reserve& request) {
        const auto& [name, hash] = request.idempotency;
        using Verdict = ReserveAnswer::Verdict;
        if (keys_.is_open(name)) return park(name, request);
        if (auto key = keys_.find(name)) {
            if (key->hash != hash) return answer(ReserveAnswer{request.ticket, Verdict::conflict});
            return answer(ReserveAnswer{request.ticket, Verdict::repeat, key->answer, key->offset});
        }
        keys_.open(name, hash, request.publication_id);
        answer(ReserveAnswer{request.ticket, Verdict::fresh, std::move(request.publication_id)});
    }

    void handle(Settle& request) {
        keys_.settle(request.key, request.accepted);
        effects_.emplace_back(Settled{request.ticket});
    }

    // ---- appending ------------------------------------------------------------------------------

    void handle(Append& request) {
        using Verdict = AppendAnswer::Verdict;
        const Message& message = *request.publication->message;
        auto& addressees = request.publication->addressees;
        RC_ASSERT(!addressees.empty() && addressees.size() <= limits::kPublishUsersMax);
        if (request.idempotency) {
            const auto& [name, hash] = *request.idempotency;
            if (keys_.is_open(name)) return park(name, request);
            if (auto key = keys_.find(name)) {
                if (key->hash != hash) return answer(AppendAnswer{request.ticket, Verdict::conflict});
                return answer(
                    AppendAnswer{request.ticket, Verdict::accepted, true, key->answer, key->offset});
            }
        }

        // Who gets it; all or nobody, so nothing is changed before everything is known.
        bool const alone = addressees.size() == 1, notification = !message.notification_id.empty();
        auto& receivers = receivers_;
        receivers.clear();
        User* user = nullptr;
        uint64_t offset = 0;  // of the last one
        for (auto& addressee : addressees) {
            user = users_.find(addressee.user.text, hint_);
            if (notification && user) {
                if (auto known = users_.notification(*user, message.notification_id)) {
                    if (known->content != request.content_hash)
                        return answer(AppendAnswer{request.ticket, Verdict::conflict});
                    offset = known->seq;
                    continue;
                }
            }
            if (auto& place = addressees[receivers.size()]; &place != &addressee)
                place = std::move(addressee);
            receivers.push_back(user);
        }
        addressees.resize(receivers.size());

        EntryRow entry;
        entry.content = request.content_hash;
        entry.id = message.notification_id;
        entry.at = nanoseconds(now_);
        if (request.ttl) entry.expires = nanoseconds(now_ + *request.ttl);
        if (notification) entry.state = request.read ? EntryState::read : EntryState::unread;
        if (receivers.size() > 1) {
            entry.body = users_.state().sequence + 1;
            tables_.insert_body(*entry.body, message, receivers.size());
        }
        for (std::size_t i = 0; i < receivers.size(); ++i) {
            user = receivers[i] ? receivers[i] : &users_.make(addressees[i].user.text);
            offset = addressees[i].offset = users_.append(*user, entry, message);
        }

        AppendAnswer done{request.ticket, Verdict::accepted, receivers.empty()};
        const std::string& id = notification ? message.notification_id : request.publication_id;
        if (request.id_wanted) done.id = id;
        if (alone) done.offset = offset;
        if (request.idempotency) {
            const auto& [name, hash] = *request.idempotency;
            keys_.insert(name, hash, id, done.offset, alone ? user->row.id : 0);
        }
        if (!receivers.empty()) effects_.emplace_back(std::move(request.publication));
        answer(std::move(done));
    }

    // ---- reading --------------------------------------------------------------------------------

    void handle(Read& request) {
        answer(read(tables_, users_.find(request.user.text), request, nanoseconds(now_)));
    }
    void handle(List& request) {
        answer(list(tables_, users_.find(request.user.text), request, nanoseconds(now_)));
    }
    void handle(UserInfo& request) {
        const User* user = users_.find(request.user.text);
        answer(UserInfoAnswer{request.ticket, user ? user->row.unread : 0});
    }

    // ---- read state -----------------------------------------------------------------------------

    /// Writes the mark into the log and tells the cores. @return its offset
    uint64_t mark(User& user, const UserId& user_id, MarkOrigin origin, std::string id, bool all) {
        uint64_t const offset = users_.mark(user, id, all, origin);
        effects_.emplace_back(std::make_shared<const ReadMark>(
            ReadMark{user_id, std::move(id), all, offset, user.row.unread, origin}));
        return offset;
    }

    void handle(MarkRead& request) {
        MarkReadAnswer done;
        done.ticket = request.ticket;
        if (User* user = users_.find(request.user.text)) {
            if (auto entry = users_.notification(*user, request.notification_id)) {
                done.found = true;
                done.was_read = !entry->unread_for(user->row);
                if (!done.was_read) {
                    users_.set_read(*user, *entry);
                    done.offset = mark(*user, request.user, request.origin, request.notification_id, false);
                }
            }
            done.unread_count = user->row.unread;
        }
        answer(done);
    }

    void handle(ReadAll& request) {
        ReadAllAnswer done;
        done.ticket = request.ticket;
        User* user = users_.find(request.user.text);
        if (user && user->row.unread > 0) {
            done.marked = users_.set_all_read(*user);
            done.offset = mark(*user, request.user, kNoOrigin, {}, true);
        }
        answer(done);
    }

    void handle(Remove& request) {
        RemoveAnswer done;
        done.ticket = request.ticket;
        if (User* user = users_.find(request.user.text)) {
            if (auto entry = users_.notification(*user, request.notification_id)) {
                bool const was_unread = entry->unread_for(user->row);
                users_.erase(*user, *entry);
                done.found = true;
                if (was_unread) mark(*user, request.user, kNoOrigin, request.notification_id, false);
            }
            done.unread_count = user->row.unread;
        }
        answer(done);
    }

    void handle(Erase& request) {
        User* user = users_.find(request.user.text);
        if (!user) return answer(EraseAnswer{.ticket = request.ticket});
        erasures_.begin(request.ticket, *user);
    }

    bool erase_some(uint32_t& rows) {
        std::vector<EraseAnswer> done;
        uint32_t const before = rows;
        bool const nobody_left = erasures_.go_on(rows, done);
        cut_is_due_ = cut_is_due_ || !done.empty() || (nobody_left && rows < before);
        for (auto& gone : done)
            answer(gone);
        return nobody_left;
    }

    // ---- housekeeping ---------------------------------------------------------------------------

    bool sweep_is_due() {
        if (down()) return false;
        if (sweeping_ || erasures_.any()) return true;
        next_sweep_ = std::min(next_sweep_, now_ + kSweepEvery);  // the date may jump back
        return now_ >= next_sweep_;
    }

    /// @return whether anything is left that has to go
    bool sweep() {
        if (!sweep_is_due()) return false;
        // A batch of reads has nothing to sync, and is not made to wait for it.
        bool const alone = fallbacks_.empty();
        if (!alone && rows_new_ == 0 && ++put_off_ <= kPutOffMax)
            return sweeping_ || erasures_.any();  // what is only due may have nothing
        sweeping_ = true;
        put_off_ = swept_ = 0;
        // Beside others' writes it may take as long as those have taken, or it would fall behind them.
        auto const now = time();
        auto const time_max =
            alone ? options_.sweep_time_max
                  : std::max(options_.sweep_time_max, std::min(now - batch_began_, options_.batch_time_max));
        auto const end = now + time_max;  // for ever, without a clock
        uint32_t rows = alone ? pace_.rows_alone() : SweepPace::rows_beside(rows_new_);
        while (sweeping_ && rows > 0) {
            uint32_t const slice = std::min(rows, kSweepSlice);
            uint32_t left = slice;
            if (erase_some(left) && keys_.sweep(left)) left = users_.sweep(left);
            sweeping_ = left == 0;
            rows -= slice - left;
            swept_ += slice - left;
            has_freed_ = has_freed_ || left < slice;
            if (time() >= end) break;
        }
        if (!sweeping_) next_sweep_ = now_ + kSweepEvery;
        return sweeping_;
    }

    // Cuts the file by a slice of its free pages where those are many. @return whether there are still
    bool give_space_back() {
        if (!std::exchange(has_freed_, false)) return false;
        guarded([&] {
            int64_t const free = db_->integer("PRAGMA freelist_count");
            has_freed_ = free > kFreePagesMin && free > db_->integer("PRAGMA page_count") / 4;
            if (has_freed_) db_->execute(kVacuumSlice);
        });
        return has_freed_;
    }

    // Once a second: it asks SQLite.
    void measure() {
        next_measure_ = std::min(next_measure_, now_ + kMeasureEvery);  // the date may jump back
        if (down() || now_ < next_measure_) return;
        next_measure_ = now_ + kMeasureEvery;
        guarded([this] { bytes_ = db_->bytes(); });
    }

    [[nodiscard]] MonoTime time() const { return options_.clock ? options_.clock() : MonoTime{}; }
    static int64_t nanoseconds(WallTime at) { return at.time_since_epoch().count(); }

    Options const options_;
    std::unique_ptr<Database> db_;
    Tables tables_;
    sqlite::Statement write_state_;
    sqlite::Users users_;
    sqlite::Erasures erasures_{users_};
    Condition condition_ = Condition::healthy;
    bool begun_ = false;  // the file says how it was opened
    WallTime now_, recover_at_;
    MonoTime batch_began_;
    uint32_t batch_requests_ = 0, batch_users_ = 0;
    std::size_t batch_bytes_ = 0, rows_new_ = 0;  // that this batch may bring
    uint64_t checkpointed_ = 0;                   // frames of the write-ahead log, at the last checkpoint
    RequestQueue queue_{options_.queue_max, options_.queue_bytes_max};
    std::array<User*, kFetchedTogether> fetched_{};  // of the requests that were next when they were fetched
    User* hint_ = nullptr;                           // to the first addressee of the Append at hand
    std::vector<User*> receivers_;                   // of the Append at hand; null: a new user
    std::vector<Effect> effects_;                    // of this step, reported when they are durable
    std::vector<Fallback> fallbacks_;                // of each request in this batch
    sqlite::Keys keys_{tables_, users_, queue_};
    bool cut_is_due_ = false;     // of the write-ahead log
    RequestQueue::Aside behind_;  // of this batch, those that go on with the next one
    bool sweeping_ = false;
    uint32_t swept_ = 0, put_off_ = 0;  // rows of this transaction; batches in a row
    SweepPace pace_{options_.sweep_rows, options_.sweep_time_max, static_cast<bool>(options_.clock)};
    uint32_t recent_requests_ = 0;  // a batch: the most, which fades with each further one
    uint32_t quiet_steps_ = 0;
    bool has_freed_ = false;  // pages, perhaps, since the file was last cut
    WallTime next_sweep_ = WallTime::min(), next_measure_ = WallTime::min(), cut_at_ = WallTime::min();
    uint64_t bytes_ = 0;
};

Result<std::unique_ptr<SqliteLog>> SqliteLog::open(Options options) {
    auto const path = options.path;
    bool const synced = options.durability == Durability::fsync;
    auto db = sqlite::open_file({.path = path,
                                 .synced = synced,
                                 .epoch = options.fresh_epoch,
                                 .clock = options.clock,
                                 .look_time_max = options.look_time_max});
    if (!db) return tl::unexpected(db.error());
    try {
        State state = sqlite::read_state(**db);
        // Commits that were never synced may be gone with the kernel that had them, and then their offsets
        // would be given again.
        bool const may_have_lost =
            !state.synced && !state.clean && (state.boot.empty() || state.boot != options.boot_id);
        if (state.backup || may_have_lost) state.epoch = options.fresh_epoch;
        state.synced = synced;
        state.boot = options.boot_id;
        state.clean = state.backup = false;
        auto impl = std::make_unique<Impl>(std::move(options), std::move(*db), std::move(state));
        return std::unique_ptr<SqliteLog>(new SqliteLog(std::move(impl)));
    } catch (const SqlError& error) {
        return tl::unexpected(sqlite::start_error(path, error));
    }
}

SqliteLog::SqliteLog(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
SqliteLog::~SqliteLog() = default;

bool SqliteLog::submit(Request&& request) {
    return impl_->submit(std::move(request));
}
bool SqliteLog::step(WallTime now, Outcomes& outcomes) {
    return impl_->step(now, outcomes);
}
Figures SqliteLog::figures() const {
    return impl_->figures();
}
std::string_view SqliteLog::epoch() const {
    return impl_->epoch();
}

}  // namespace rc::store
