#include "rows.h"

#include "checksum.h"

namespace rc::store::sqlite {

uint64_t checksum_of(const UserRow& u) {
    uint64_t const sum =
        checksum(std::array<uint64_t, 12>{static_cast<uint64_t>(u.id), u.newest, u.lost, u.mark_lost,
                                          u.forgotten, static_cast<uint64_t>(u.touched),
                                          static_cast<uint64_t>(u.oldest), static_cast<uint64_t>(u.soonest),
                                          u.notifications, u.messages, u.marks, u.unread},
                 u.name);
    return u.read_upto == 0 ? sum : checksum(std::array<uint64_t, 2>{sum, u.read_upto});
}
uint64_t checksum_of(const EntryRow& e) {
    return checksum(
        std::array<uint64_t, 8>{e.seq, static_cast<uint64_t>(e.user), static_cast<uint64_t>(e.state),
                                static_cast<uint64_t>(e.at), static_cast<uint64_t>(e.expires),
                                e.body.value_or(0), e.content.high, e.content.low},
        e.id);
}
uint64_t checksum_of(const MarkRow& m) {
    return checksum(std::array<uint64_t, 5>{m.seq, static_cast<uint64_t>(m.user), static_cast<uint64_t>(m.at),
                                            m.all, m.unread},
                    m.id);
}
uint64_t checksum_of(const KeyRow& k) {
    return checksum(std::array<uint64_t, 5>{k.hash.high, k.hash.low, k.offset, static_cast<uint64_t>(k.user),
                                            static_cast<uint64_t>(k.expires)},
                    k.name, k.answer);
}
uint64_t checksum_of(uint64_t place, std::string_view type, std::string_view topic, std::string_view data) {
    return checksum(std::array<uint64_t, 1>{place}, type, topic, data);
}

UserRow read_user(const Statement::Rows& rows) {
    UserRow u;
    u.id = rows.integer(0);
    u.name = rows.text(1);
    u.newest = rows.number(2);
    u.lost = rows.number(3);
    u.mark_lost = rows.number(4);
    u.forgotten = rows.number(5);
    u.touched = rows.integer(6);
    u.oldest = rows.integer(7);
    u.soonest = rows.integer(8);
    u.notifications = static_cast<uint32_t>(rows.integer(9));
    u.messages = static_cast<uint32_t>(rows.integer(10));
    u.marks = static_cast<uint32_t>(rows.integer(11));
    u.unread = static_cast<uint32_t>(rows.integer(12));
    u.read_upto = rows.number(14);
    if (rows.number(13) != checksum_of(u)) throw_damaged("a user");
    return u;
}

EntryRow read_entry(const Statement::Rows& rows) {
    EntryRow e;
    e.seq = rows.number(0);
    e.user = rows.integer(1);
    auto const state = rows.number(2);
    if (state > 2) throw_damaged("an entry");
    e.state = static_cast<EntryState>(state);
    e.at = rows.integer(3);
    e.expires = rows.integer(4);
    if (!rows.null(5)) e.body = rows.number(5);
    e.content = {rows.number(6), rows.number(7)};
    e.id = rows.text(8);
    if (rows.number(9) != checksum_of(e)) throw_damaged("an entry");
    return e;
}

MarkRow read_mark(const Statement::Rows& rows) {
    MarkRow m;
    m.seq = rows.number(0);
    m.user = rows.integer(1);
    m.at = rows.integer(2);
    m.all = rows.integer(3) != 0;
    m.unread = static_cast<uint32_t>(rows.integer(4));
    m.origin = MarkOrigin(rows.number(5));
    m.id = rows.text(7);
    if (rows.number(6) != checksum_of(m)) throw_damaged("a read mark");
    return m;
}

KeyRow read_key(const Statement::Rows& rows) {
    KeyRow k;
    k.id = rows.integer(0);
    k.name = rows.text(1);
    k.hash = {rows.number(2), rows.number(3)};
    k.answer = rows.text(4);
    k.offset = rows.number(5);
    k.expires = rows.integer(6);
    k.user = rows.integer(8);
    if (rows.number(7) != checksum_of(k)) throw_damaged("an idempotency key");
    return k;
}

Message read_content(const Statement::Rows& rows, int column, uint64_t place) {
    Message message;
    message.type = rows.text(column + 1);
    message.topic = rows.text(column + 2);
    message.data = rows.text(column + 3);
    if (rows.number(column) != checksum_of(place, message.type, message.topic, message.data))
        throw_damaged("a message");
    return message;
}

}  // namespace rc::store::sqlite
