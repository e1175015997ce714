#pragma once

#include <iterator>

namespace rc::store::sqlite {

constexpr int kApplicationId = 0x52434c47;  // "RCLG", in the file's header

// Step n makes format n (PRAGMA user_version) of what the steps before it have made: a new file gets all of
// them, an older one those that it lacks, in one transaction. A step never changes once it has been released.
// What a later step adds counts in a row's checksum only where it is not 0, so that old rows keep theirs.
//
// `seq` is an offset of the log. Every row carries a checksum of what it holds
// (checksum.h). A message to one user stands in its entry, one to several once in `body`.
constexpr const char* kSchemaSteps[] = {
    R"(
CREATE TABLE state (
    id INTEGER PRIMARY KEY, epoch TEXT NOT NULL, sequence INTEGER NOT NULL, forgotten INTEGER NOT NULL,
    users INTEGER NOT NULL, notifications INTEGER NOT NULL, messages INTEGER NOT NULL,
    marks INTEGER NOT NULL, keys INTEGER NOT NULL, synced INTEGER NOT NULL, boot TEXT NOT NULL,
    clean INTEGER NOT NULL, backup INTEGER NOT NULL, sum INTEGER NOT NULL);

CREATE TABLE user (
    id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, newest INTEGER NOT NULL, lost INTEGER NOT NULL,
    mark_lost INTEGER NOT NULL, forgotten INTEGER NOT NULL, touched INTEGER NOT NULL,
    oldest INTEGER NOT NULL, soonest INTEGER NOT NULL, notifications INTEGER NOT NULL, messages INTEGER NOT NULL,
    marks INTEGER NOT NULL, unread INTEGER NOT NULL, sum INTEGER NOT NULL);
CREATE INDEX user_to_expire ON user (soonest) WHERE soonest > 0;
CREATE INDEX user_empty ON user (touched) WHERE notifications = 0 AND messages = 0 AND marks = 0;

CREATE TABLE entry (
    seq INTEGER PRIMARY KEY, user INTEGER NOT NULL, state INTEGER NOT NULL, at INTEGER NOT NULL,
    expires INTEGER, id_hash INTEGER, body INTEGER, content_high INTEGER NOT NULL, content_low INTEGER NOT NULL,
    id TEXT NOT NULL, sum INTEGER NOT NULL, data_sum INTEGER, type TEXT, topic TEXT, data TEXT);
CREATE INDEX entry_of_user ON entry (user, state);
CREATE INDEX entry_to_expire ON entry (user, expires) WHERE expires IS NOT NULL;
CREATE INDEX entry_of_id ON entry (user, id_hash) WHERE id_hash IS NOT NULL;

CREATE TABLE body (
    id INTEGER PRIMARY KEY, sum INTEGER NOT NULL, type TEXT NOT NULL, topic TEXT NOT NULL, data TEXT NOT NULL);
CREATE TABLE body_use (id INTEGER PRIMARY KEY, entries INTEGER NOT NULL);

CREATE TABLE mark (
    seq INTEGER PRIMARY KEY, user INTEGER NOT NULL, at INTEGER NOT NULL, whole INTEGER NOT NULL,
    unread INTEGER NOT NULL, origin INTEGER NOT NULL, sum INTEGER NOT NULL, id TEXT NOT NULL);
CREATE INDEX mark_of_user ON mark (user);

CREATE TABLE key (
    id INTEGER PRIMARY KEY, name_hash INTEGER NOT NULL, content_high INTEGER NOT NULL,
    content_low INTEGER NOT NULL, expires INTEGER NOT NULL, seq INTEGER NOT NULL, user INTEGER,
    sum INTEGER NOT NULL, answer TEXT NOT NULL, name TEXT NOT NULL);
CREATE INDEX key_of_user ON key (user) WHERE user IS NOT NULL;
CREATE INDEX key_of_name ON key (name_hash);
)",
    // What is unread up to user.read_upto has been read all the same, by read-all. Nobody has more than
    // state.kept notifications, or other messages; 0: unknown.
    R"(
ALTER TABLE user ADD COLUMN read_upto INTEGER NOT NULL DEFAULT 0;
ALTER TABLE state ADD COLUMN kept INTEGER NOT NULL DEFAULT 0;
)",
};
constexpr int kSchemaVersion = std::size(kSchemaSteps);

}  // namespace rc::store::sqlite
