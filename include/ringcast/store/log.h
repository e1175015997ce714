#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "ringcast/base/shared_bytes.h"
#include "ringcast/base/strong_id.h"
#include "ringcast/base/time.h"
#include "ringcast/base/user_id.h"

/// The users' durable log and inbox, behind the port Log. Requests go in by value, outcomes come out of
/// step(); nothing is answered from within submit(). See contract.md 3 to 5 and design.md 4.
///
/// Offsets are one ascending sequence for the whole store, starting at 1; 0 stands for none. Every record
/// of a user has one: messages, notifications, and read marks.
namespace rc::store {

/// Whom an answer goes to. The store hands it back as it came.
struct Ticket {
    uint32_t core = 0;
    uint64_t token = 0;

    friend bool operator==(const Ticket&, const Ticket&) = default;
};

/// Who made a read mark: a number of the caller's choice, different for each of its connections also over
/// restarts. The log keeps it with the mark, so that a connection can tell its own.
using MarkOrigin = StrongId<struct MarkOriginTag, uint64_t>;
constexpr MarkOrigin kNoOrigin{0};

/// A strong hash of what a publisher sent. The caller decides what goes into it.
struct ContentHash {
    uint64_t high = 0;
    uint64_t low = 0;

    friend bool operator==(const ContentHash&, const ContentHash&) = default;
};

/// A message as its receivers get it. Immutable, shared between the store and the cores.
struct Message {
    std::string type;
    std::string topic;            // empty: none
    std::string data;             // final JSON text, with what was filled in
    std::string notification_id;  // empty: not a notification
};

struct Addressee {
    UserId user;
    uint64_t offset = 0;
};

/// A message and who gets it.
struct Publication {
    std::shared_ptr<const Message> message;
    SharedBytes frame;                  // passed through to the cores, not kept
    std::vector<Addressee> addressees;  // all different
};

// ---- requests -----------------------------------------------------------------------------------

struct Idempotency {
    std::string key;   // 1 to limits::kIdempotencyKeyBytesMax bytes
    ContentHash hash;  // of type, targets, topic and raw data
};

/// Appends one message to the logs of all its addressees, or of none. -> Publication to all cores (when
/// anybody got it), then AppendAnswer.
struct Append {
    Ticket ticket;
    // To 1 to limits::kPublishUsersMax users. The store's own from submit() on: it is the outcome too, so
    // that nothing of it is allocated or copied once more.
    std::shared_ptr<Publication> publication;
    ContentHash content_hash;  // of type, topic and raw data: compared where a notification id comes again
    std::optional<Idempotency> idempotency;
    std::string publication_id;   // the answer's id; unused where the message is a notification
    bool id_wanted = true;        // in the answer
    bool read = false;            // a notification that counts as read from the start
    std::optional<Duration> ttl;  // then it is as if it had been removed; above zero
    uint32_t bytes = 0;           // queued_bytes(), counted where it is in a CPU's cache; 0: not yet
};

/// Takes an idempotency key for a publication that the store does not keep. -> ReserveAnswer; a `fresh` one
/// is followed by Settle.
struct Reserve {
    Ticket ticket;
    Idempotency idempotency;
    std::string publication_id;
};
/// Ends what a fresh Reserve began. -> Settled, when the key is as durable as a message would be.
/// accepted = false forgets it.
struct Settle {
    Ticket ticket;
    std::string key;
    bool accepted = true;
};

/// Where a reader stands who goes on: the first message and the first notification that it has not had. 0:
/// none is known.
struct Next {
    uint64_t message = 0, notification = 0;  // offsets
};

/// Reads a user's log in chunks. -> ReadAnswer.
/// A first read has upto = 0 and learns its cut from the answer; while the answer says `more`, the
/// next one has the same mode, after = the answer's position, and upto = the answer's cut.
struct Read {
    enum class Mode : uint8_t {
        since,       // everything above `after`
        everything,  // everything kept: never a gap; `after` is for the following chunks alone
        unread,      // unread notifications above `after`, oldest first: never a gap
    };
    Ticket ticket;
    UserId user;
    Mode mode = Mode::since;
    uint64_t after = 0;
    uint64_t upto = 0;         // the cut of the first answer; 0: the newest
    Next next;                 // of the answer before
    bool with_marks = false;   // read marks too
    uint32_t records_max = 0;  // a chunk; above zero
    uint32_t bytes_max = 0;    // of data in a chunk; one record is given whatever its size
};

struct MarkRead {  // -> ReadMark to all cores, unless it was read already; then MarkReadAnswer
    Ticket ticket;
    UserId user;
    std::string notification_id;
    MarkOrigin origin = kNoOrigin;
};
struct ReadAll {  // -> ReadMark to all cores, unless none was unread; then ReadAllAnswer
    Ticket ticket;
    UserId user;
};
/// An unread notification that is removed is one less to read. -> ReadMark to all cores, if it was unread;
/// then RemoveAnswer
struct Remove {
    Ticket ticket;
    UserId user;
    std::string notification_id;
};
/// Erases all that is kept of a user, for good. Offsets are not given again. -> EraseAnswer
struct Erase {
    Ticket ticket;
    UserId user;
};
struct List {  // the user's notifications, newest first -> ListAnswer
    Ticket ticket;
    UserId user;
    std::optional<bool> read;  // only those whose read state is this
    uint32_t limit = 0;        // 1 to limits::kListLimitMax
    uint64_t before = 0;       // only offsets below this; 0: from the newest
};
struct UserInfo {  // -> UserInfoAnswer
    Ticket ticket;
    UserId user;
};

using Request = std::variant<Append, Reserve, Settle, Read, MarkRead, ReadAll, Remove, Erase, List, UserInfo>;

// ---- outcomes -----------------------------------------------------------------------------------

/// To every core: a user's notification, or all of them, became read.
struct ReadMark {
    UserId user;
    std::string notification_id;  // empty when all
    bool all = false;
    uint64_t offset = 0;
    uint32_t unread_count = 0;
    MarkOrigin origin = kNoOrigin;
};

struct AppendAnswer {
    enum class Verdict : uint8_t { accepted, conflict, unavailable };
    Ticket ticket;
    Verdict verdict = Verdict::accepted;
    bool duplicate = false;  // accepted, but nobody got anything now
    std::string id;
    uint64_t offset = 0;  // where one user was addressed; else 0
};
struct ReserveAnswer {
    enum class Verdict : uint8_t { fresh, repeat, conflict, unavailable };
    Ticket ticket;
    Verdict verdict = Verdict::fresh;
    std::string id;       // fresh: the request's publication_id; repeat: the remembered one
    uint64_t offset = 0;  // repeat: of the remembered answer
};

struct Record {
    enum class Kind : uint8_t { message, notification, read_mark };
    uint64_t offset = 0;
    Kind kind = Kind::message;
    bool read = false;                       // notification: as it is now
    std::shared_ptr<const Message> message;  // message, notification
    std::string notification_id;             // read_mark; empty when all
    bool all = false;                        // read_mark
    uint32_t unread_count = 0;               // read_mark: when it was made
    MarkOrigin origin = kNoOrigin;           // read_mark
};
struct ReadAnswer {
    Ticket ticket;
    std::vector<Record> records;  // ascending
    uint64_t cut = 0;             // the user's newest offset when the first chunk was read; 0: none ever
    bool gap = false;  // something above `after` is not kept any more, or `after` is above the newest
    uint32_t unread_count = 0;
    bool more = false;         // up to the cut
    uint64_t position = 0;     // `after` of the next chunk
    Next next;                 // above `position`, up to the cut; not in mode unread
    bool overtaken = false;    // retention took what the request's `next` named
    bool unavailable = false;  // the store cannot read; nothing else holds
};
struct MarkReadAnswer {
    Ticket ticket;
    bool found = false;
    bool was_read = false;
    uint64_t offset = 0;  // of the read mark; 0 if none was made
    uint32_t unread_count = 0;
    bool unavailable = false;  // nothing was done, nothing else holds; here and in the following ones
};
struct ReadAllAnswer {
    Ticket ticket;
    uint32_t marked = 0;
    uint64_t offset = 0;  // of the read mark; 0 if none was made
    uint32_t unread_count = 0;
    bool unavailable = false;
};
struct RemoveAnswer {
    Ticket ticket;
    bool found = false;
    uint32_t unread_count = 0;
    bool unavailable = false;
};
struct EraseAnswer {
    Ticket ticket;
    uint64_t notifications = 0, messages = 0, marks = 0;
    uint64_t keys = 0;  // idempotency keys of publications to this user alone
    bool unavailable = false;
};
struct ListAnswer {
    Ticket ticket;
    std::vector<Record> notifications;  // newest first
    uint32_t unread_count = 0;
    uint64_t next = 0;  // `before` of the next page; 0: this was the last
    bool unavailable = false;
};
struct UserInfoAnswer {
    Ticket ticket;
    uint32_t unread_count = 0;
    bool unavailable = false;
};

using Answer = std::variant<AppendAnswer, ReserveAnswer, ReadAnswer, MarkReadAnswer, ReadAllAnswer,
                            RemoveAnswer, EraseAnswer, ListAnswer, UserInfoAnswer>;

Ticket ticket_of(const Answer& answer);
Ticket ticket_of(const Request& request);
/// The answer that says that nothing was done; none for a Settle.
std::optional<Answer> unavailable_answer(const Request& request);
/// The same for a request of which no more is left.
using RequestKind = std::size_t;  // Request::index()
std::optional<Answer> unavailable_answer(RequestKind kind, Ticket ticket);
/// Whether a request changes nothing.
bool only_reads(const Request& request);
/// What a request takes in a queue: of a message and its addressees; else 0.
std::size_t queued_bytes(const Request& request);

/// Where step() puts what has happened, in the order in which it happened. What a call reports is durable.
/// An implementation only queues: it must not call the Log.
class Outcomes {
  public:
    /// To every core. One addressee at least: users whom a notification id passed over are not in it any
    /// more. Offsets ascend, and from one publication to the next.
    virtual void publication(std::shared_ptr<const Publication> publication) = 0;
    virtual void read_mark(std::shared_ptr<const ReadMark> mark) = 0;  // to every core
    virtual void answer(Answer answer) = 0;                            // to its ticket's core
    virtual void settled(Ticket ticket) = 0;                           // of the Settle; likewise

  protected:
    ~Outcomes() = default;
};

/// How a log stands, for metrics and readyz.
struct Figures {
    bool down = false;     // writes are `unavailable`
    uint64_t waiting = 0;  // requests, those for a key's outcome included
    uint64_t users = 0, notifications = 0, messages = 0, marks = 0, keys = 0;  // that are kept
    uint64_t bytes = 0;                                                        // that they take
};

/// The port. One object, used by the store's thread alone.
class Log {
  public:
    virtual ~Log() = default;

    /// Queues a request. Every request gets one answer, a Settle settled(), from a later step().
    /// @return false when the queue is full: the request is left as it was, and the caller answers for
    ///         it. A Settle is always taken, there are never more of them than fresh answers.
    [[nodiscard]] virtual bool submit(Request&& request) = 0;

    /// Does a bounded share of what waits, and of the housekeeping that is due.
    /// @param now  the date; decides what has expired
    /// @return whether work is left; if not, come back when a request has come, and once a minute.
    virtual bool step(WallTime now, Outcomes& outcomes) = 0;

    [[nodiscard]] virtual Figures figures() const = 0;
};

/// An offset as clients see it: `<epoch>-<n>`.
std::string format_offset(std::string_view epoch, uint64_t offset);

}  // namespace rc::store
