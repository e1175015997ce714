#include "ringcast/base/hash.h"

#include <xxhash.h>

namespace rc {

Hasher::Hasher() : state_(XXH3_createState()) {
    XXH3_128bits_reset(static_cast<XXH3_state_t*>(state_));
}
Hasher::~Hasher() {
    XXH3_freeState(static_cast<XXH3_state_t*>(state_));
}

void Hasher::add(std::string_view part) {
    uint64_t const size = part.size();
    auto* state = static_cast<XXH3_state_t*>(state_);
    XXH3_128bits_update(state, &size, sizeof(size));
    XXH3_128bits_update(state, part.data(), part.size());
}

Hash128 Hasher::result() const {
    auto const hash = XXH3_128bits_digest(static_cast<XXH3_state_t*>(state_));
    return {hash.high64, hash.low64};
}

uint64_t hash64(std::string_view text, uint64_t seed) {
    return XXH3_64bits_withSeed(text.data(), text.size(), seed);
}

}  // namespace rc
