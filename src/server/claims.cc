#include "claims.h"

#include <algorithm>
#include <utility>

namespace rc::server {
namespace {

void add_to(Claims::Parts& sum, const Claims::Parts& parts) {
    sum.topics.insert(parts.topics.begin(), parts.topics.end());
    sum.user |= parts.user;
    sum.receiving |= parts.receiving;
    sum.offsets |= parts.offsets;
    sum.sync |= parts.sync;
}

void take_from(Claims::Parts& parts, const Claims::Parts& others) {
    for (const auto& topic : others.topics)
        parts.topics.erase(topic);
    parts.user &= !others.user;
    parts.receiving &= !others.receiving;
    parts.offsets &= !others.offsets;
    parts.sync &= !others.sync;
}

}  // namespace

uint32_t Claims::add(Parts parts) {
    add_to(open_, parts);
    claims_.push_back({++newest_, std::move(parts)});
    return newest_;
}

void Claims::settle(const Parts& parts) {
    for (auto& claim : claims_)
        take_from(claim.parts, parts);
    sum_up();
}

Claims::Parts Claims::succeed(uint32_t claim) {
    auto parts = remove(claim);
    settle(parts);
    return parts;
}

Claims::Parts Claims::fail(uint32_t claim) {
    auto parts = remove(claim);
    take_from(parts, open_);
    return parts;
}

Claims::Parts Claims::remove(uint32_t claim) {
    auto const at = std::ranges::find(claims_, claim, &Claim::name);
    if (at == claims_.end()) return {};
    auto parts = std::move(at->parts);
    claims_.erase(at);
    sum_up();
    return parts;
}

void Claims::sum_up() {
    open_ = {};
    for (const auto& claim : claims_)
        add_to(open_, claim.parts);
}

}  // namespace rc::server
