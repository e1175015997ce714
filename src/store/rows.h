#pragma once

#include <optional>
#include <string>

#include "ringcast/store/log.h"
#include "sqlite.h"

/// The rows of the store's tables, and how they are read with their checksums checked: what does not fit
/// throws SqlError (damaged). Columns are named here in the order in which they are read.
namespace rc::store::sqlite {

struct UserRow {
    int64_t id = 0;
    std::string name;
    uint64_t newest = 0;     // offset
    uint64_t lost = 0;       // the newest message or notification that retention took
    uint64_t mark_lost = 0;  // the same of read marks
    uint64_t forgotten = 0;  // this user may have had a log before, and lost it, up to here
    int64_t touched = 0;     // ns since 1970: when `newest` was given
    int64_t oldest = 0;      // nothing of the user's is older than this
    int64_t soonest = 0;     // nothing of it expires of its own before; 0: nothing does
    uint32_t notifications = 0, messages = 0, marks = 0;  // rows
    uint32_t unread = 0;
    uint64_t read_upto = 0;  // up to here all has been read, whatever an entry's state says

    [[nodiscard]] bool empty() const { return notifications == 0 && messages == 0 && marks == 0; }
};

enum class EntryState : uint8_t { message = 0, unread = 1, read = 2 };

/// An entry without what was published.
struct EntryRow {
    uint64_t seq = 0;
    int64_t user = 0;
    EntryState state = EntryState::message;
    int64_t at = 0;
    int64_t expires = 0;           // of its own; 0: never
    std::optional<uint64_t> body;  // where the content stands, unless in the entry
    ContentHash content;
    std::string id;  // of the notification

    [[nodiscard]] bool unread_for(const UserRow& owner) const {
        return state == EntryState::unread && seq > owner.read_upto;
    }
};

struct MarkRow {
    uint64_t seq = 0;
    int64_t user = 0;
    int64_t at = 0;
    bool all = false;
    uint32_t unread = 0;
    MarkOrigin origin = kNoOrigin;
    std::string id;
};

struct KeyRow {
    int64_t id = 0;
    std::string name;
    ContentHash hash;
    std::string answer;
    uint64_t offset = 0;
    int64_t user = 0;  // to whom alone it was; 0: to others
    int64_t expires = 0;
};

uint64_t checksum_of(const UserRow& user);
uint64_t checksum_of(const EntryRow& entry);
uint64_t checksum_of(const MarkRow& mark);
uint64_t checksum_of(const KeyRow& key);
/// Of what was published, seeded by where it stands: its entry's offset or its body's id.
uint64_t checksum_of(uint64_t place, std::string_view type, std::string_view topic, std::string_view data);

constexpr const char* kUserColumns =
    "id, name, newest, lost, mark_lost, forgotten, touched, oldest, soonest, notifications, messages, marks, "
    "unread, sum, read_upto";
constexpr const char* kEntryColumns =
    "seq, user, state, at, expires, body, content_high, content_low, id, sum";
constexpr const char* kContentColumns = "data_sum, type, topic, data";  // of an entry, behind kEntryColumns
constexpr int kAfterEntryColumns = 10, kExpiresColumn = 4;
constexpr const char* kMarkColumns = "seq, user, at, whole, unread, origin, sum, id";
constexpr const char* kKeyColumns = "id, name, content_high, content_low, answer, seq, expires, sum, user";

UserRow read_user(const Statement::Rows& rows);
EntryRow read_entry(const Statement::Rows& rows);
MarkRow read_mark(const Statement::Rows& rows);
KeyRow read_key(const Statement::Rows& rows);
/// Checksum, type, topic and data from a column on.
Message read_content(const Statement::Rows& rows, int column, uint64_t place);

}  // namespace rc::store::sqlite
