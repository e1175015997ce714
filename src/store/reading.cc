#include "reading.h"

#include <algorithm>

#include "ringcast/base/assert.h"
#include "ringcast/base/limits.h"

namespace rc::store::sqlite {
namespace {

/// A chunk that fills up.
class Chunk {
  public:
    Chunk(const Read& request, ReadAnswer& out) : request_(request), out_(out) {}

    /// @return false when the chunk is full; then it says that there is more
    bool add(Record record) {
        std::size_t const size = record.message ? record.message->data.size() : record.notification_id.size();
        if (!out_.records.empty() &&
            (out_.records.size() >= request_.records_max || bytes_ + size > request_.bytes_max)) {
            out_.more = true;
            return false;
        }
        bytes_ += size;
        out_.position = record.offset;
        out_.records.push_back(std::move(record));
        return true;
    }

  private:
    const Read& request_;
    ReadAnswer& out_;
    std::size_t bytes_ = 0;
};

void read_unread(Tables& tables, const UserRow& user, Chunk& chunk, const ReadAnswer& out, int64_t now) {
    auto at = tables.above(user, EntryState::unread, std::max(out.position, user.read_upto), now);
    for (; at.seq() != 0 && at.seq() <= out.cut; at.next())
        if (!chunk.add(at.record())) return;
}

uint64_t place(uint64_t seq) {
    return seq == 0 ? UINT64_MAX : seq;
}

// Merges the user's states and read marks in the order of their offsets.
void read_all(Tables& tables, const UserRow& user, const Read& request, Chunk& chunk, ReadAnswer& out,
              int64_t now) {
    auto message = tables.above(user, EntryState::message, out.position, now);
    auto unread = tables.above(user, EntryState::unread, out.position, now);
    auto read = tables.above(user, EntryState::read, out.position, now);
    auto mark = tables.marks_above(user.id, request.with_marks ? out.position : UINT64_MAX);
    auto next = [&] { return Next{place(message.seq()), std::min(place(unread.seq()), place(read.seq()))}; };
    auto taken_away = [&user](uint64_t then, uint64_t now) {
        return then != 0 && now > then && user.lost >= then;
    };
    out.overtaken = taken_away(request.next.message, next().message) ||
                    taken_away(request.next.notification, next().notification);
    auto take = [&chunk](auto& cursor) {
        bool const taken = chunk.add(cursor.record());
        if (taken) cursor.next();
        return taken;
    };
    while (true) {
        uint64_t const first =
            std::min({place(message.seq()), place(unread.seq()), place(read.seq()), place(mark.seq())});
        if (first > out.cut) return;
        bool const taken = first == message.seq()  ? take(message)
                           : first == unread.seq() ? take(unread)
                           : first == read.seq()   ? take(read)
                                                   : take(mark);
        if (!taken) break;
    }
    out.next = next();
}

}  // namespace

ReadAnswer read(Tables& tables, const User* found, const Read& request, int64_t now) {
    RC_ASSERT(request.records_max > 0);
    ReadAnswer out;
    out.ticket = request.ticket;
    out.cut = request.upto;
    out.position = request.after;
    bool const since = request.mode == Read::Mode::since;
    if (!found) {
        out.gap = since && request.after > 0;
        return out;
    }
    const UserRow& user = found->row;
    out.unread_count = user.unread;
    if (request.upto == 0) out.cut = user.newest;
    if (since) {
        out.gap = request.after < user.lost || request.after > user.newest ||
                  (request.after > 0 && request.after < user.forgotten) ||
                  (request.with_marks && request.after < user.mark_lost);
        // An offset that this log never gave says nothing: what there is, then.
        if (request.upto == 0 && request.after > user.newest) out.position = 0;
    }
    Chunk chunk(request, out);
    if (request.mode == Read::Mode::unread) {
        read_unread(tables, user, chunk, out, now);
    } else {
        read_all(tables, user, request, chunk, out, now);
    }
    return out;
}

ListAnswer list(Tables& tables, const User* user, const List& request, int64_t now) {
    RC_ASSERT(request.limit > 0 && request.limit <= limits::kListLimitMax);
    ListAnswer out;
    out.ticket = request.ticket;
    if (!user) return out;
    out.unread_count = user->row.unread;
    uint64_t const before = request.before == 0 ? UINT64_MAX : request.before;
    // Of the unread ones those up to read_upto have been read.
    bool const only_read = request.read == true, only_unread = request.read == false;
    uint64_t const read_upto = user->row.read_upto, floor = only_unread ? read_upto : 0;
    auto unread = tables.below(user->row, EntryState::unread,
                               only_read ? std::min(before, read_upto + 1) : before, now);
    auto read = tables.below(user->row, EntryState::read, only_unread ? 0 : before, now);
    while (unread.seq() > floor || read.seq() != 0) {
        if (out.notifications.size() == request.limit) {
            out.next = out.notifications.back().offset;
            break;
        }
        auto& newer = unread.seq() > read.seq() ? unread : read;
        out.notifications.push_back(newer.record());
        newer.next();
    }
    return out;
}

}  // namespace rc::store::sqlite
