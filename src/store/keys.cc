#include "keys.h"

#include <utility>

#include "ringcast/base/assert.h"
#include "ringcast/base/limits.h"

namespace rc::store::sqlite {

void Keys::park(const std::string& name, Request request) {
    queue_.set_aside(open_.at(name).waiting, std::move(request));
}

std::optional<KeyRow> Keys::find(const std::string& name) {
    auto at = unwritten_.find(name);
    auto key = at != unwritten_.end() ? at->second : tables_.key(name);
    if (!key || now_ < key->expires) return key;
    if (key->id == 0) {
        unwritten_.erase(at);
    } else {
        remove(key->id);
    }
    return std::nullopt;
}

void Keys::open(const std::string& name, ContentHash hash, std::string id) {
    open_.emplace(name, Open{hash, std::move(id), {}});
    opened_.push_back(name);
}

void Keys::settle(const std::string& name, bool accepted) {
    auto at = open_.find(name);
    RC_ASSERT(at != open_.end());
    Open key = std::move(at->second);
    open_.erase(at);
    queue_.take_up(std::move(key.waiting));
    if (accepted) unwritten_.emplace(name, settled(name, key.hash, std::move(key.id)));
}

void Keys::insert(const std::string& name, ContentHash hash, std::string id, uint64_t offset, int64_t user) {
    KeyRow key = settled(name, hash, std::move(id));
    key.offset = offset;
    key.user = user;
    insert(key);
}

void Keys::write() {
    for (const auto& [name, key] : unwritten_)
        insert(key);
}

void Keys::committed() {
    unwritten_.clear();
    opened_.clear();
}

RequestQueue::Aside Keys::rollback() {
    RequestQueue::Aside waited;
    for (const auto& name : std::exchange(opened_, {})) {
        auto at = open_.find(name);
        if (at == open_.end()) continue;  // settled in the same transaction
        for (auto& request : at->second.waiting) {
            queue_.forget(request);
            waited.push_back(std::move(request));
        }
        open_.erase(at);
    }
    return waited;
}

bool Keys::sweep(uint32_t& rows) {
    for (; rows > 0; --rows) {
        auto const oldest = tables_.oldest_key();
        if (!oldest || now_ < oldest->second) return true;
        remove(oldest->first);
    }
    return false;
}

KeyRow Keys::settled(const std::string& name, ContentHash hash, std::string id) const {
    return {.name = name,
            .hash = hash,
            .answer = std::move(id),
            .expires = now_ + Duration(limits::kIdempotencyKept).count()};
}

void Keys::insert(const KeyRow& key) {
    tables_.insert_key(key);
    ++users_.change().keys;
}

void Keys::remove(int64_t id) {
    tables_.delete_key(id);
    --users_.change().keys;
}

}  // namespace rc::store::sqlite
