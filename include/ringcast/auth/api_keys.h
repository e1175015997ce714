#pragma once

#include <array>
#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace rc::auth {

/// What a key of the API may do; see docs/api.md for the routes.
enum class Right : uint8_t { publish, read, admin };

class Rights {
  public:
    constexpr Rights() = default;
    constexpr Rights(std::initializer_list<Right> rights) {
        for (Right right : rights)
            add(right);
    }
    static constexpr Rights all() { return {Right::publish, Right::read, Right::admin}; }
    constexpr void add(Right right) {
        bits_ = static_cast<uint8_t>(bits_ | 1U << static_cast<uint8_t>(right));
    }
    [[nodiscard]] constexpr bool has(Right right) const {
        return (bits_ >> static_cast<uint8_t>(right) & 1U) != 0;
    }
    friend bool operator==(const Rights&, const Rights&) = default;

  private:
    uint8_t bits_ = 0;
};

/// "publish", "read" or "admin".
std::string_view right_name(Right right);
std::optional<Right> right_named(std::string_view name);

using Sha256 = std::array<uint8_t, 32>;
/// Core: any. Cost: some 0.5 us for a key's length.
Sha256 sha256(std::string_view text);
/// 64 hexadecimal digits in lower case.
std::string hex(const Sha256& digest);
/// Reads hex() back, capitals too.
std::optional<Sha256> parse_sha256(std::string_view text);

/// One key. Only its hash is kept, however the file has it, and hashes are what is compared. A plain hash
/// is enough: a key is 256 random bits, which nobody tries out, fast or slow; a slow hash is for passwords,
/// and would be paid for with each request.
struct ApiKey {
    std::string name;
    Rights rights;
    Sha256 digest;
};

/// The keys of the API. Immutable, shared by all cores.
class ApiKeys {
  public:
    ApiKeys() = default;
    explicit ApiKeys(std::vector<ApiKey> keys) : keys_(std::move(keys)) {}

    /// The key whose text was presented, or null. Takes as long for a wrong key as for a right one of its
    /// length: every digest is compared, whole. Core: any. Cost: one hash, O(keys), allocates nothing.
    [[nodiscard]] const ApiKey* find(std::string_view presented) const;
    [[nodiscard]] const std::vector<ApiKey>& all() const { return keys_; }

  private:
    std::vector<ApiKey> keys_;
};

}  // namespace rc::auth
