#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "ringcast/auth/token.h"

namespace rc::server {

/// What subscribes have brought whose answers the store still owes. It holds from the moment when it was
/// asked for, so that nothing is missed, but does not stand yet: a subscribe that fails changes nothing
/// (contract.md 3). What several have asked for stands with the first of them that succeeds, and is taken
/// back with the last that fails. One connection's; empty nearly always. Core: own core only. Errors: none.
class Claims {
  public:
    struct Parts {
        std::set<std::string, std::less<>> topics;
        bool user = false;       // who the connection belongs to
        bool receiving = false;  // that it gets what is addressed to the user
        bool offsets = false;
        bool sync = false;
        std::optional<auth::Identity>
            proof;  // a newer one; no other claim's, and in force when this one stands
    };

    /// @return its name for take() and fail(); never 0
    uint32_t add(Parts parts);
    /// Somebody's claim on any of this is open.
    [[nodiscard]] const Parts& open() const { return open_; }
    /// These parts stand from now on, or were dropped by the client itself: nobody takes them back.
    void settle(const Parts& parts);
    /// The claim's subscribe has succeeded. @return what stands from now on and did not before
    Parts succeed(uint32_t claim);
    /// It has failed. @return what the caller has to take back
    Parts fail(uint32_t claim);
    [[nodiscard]] bool empty() const { return claims_.empty(); }

  private:
    struct Claim {
        uint32_t name;
        Parts parts;
    };
    Parts remove(uint32_t claim);
    void sum_up();

    std::vector<Claim> claims_;
    Parts open_;  // the sum of all
    uint32_t newest_ = 0;
};

}  // namespace rc::server
