#pragma once

#include "ringcast/base/assert.h"
#include "ringcast/reactor/mailbox.h"

namespace rc::reactor {

constexpr CoreId kNoCore = 255;

/// The core that this thread is running a turn of, or kNoCore.
CoreId current_core() noexcept;

/// Says which core the thread acts for while the scope lives: a turn, or the set-up of a core's objects.
class CoreScope {
  public:
    explicit CoreScope(CoreId core) noexcept;
    ~CoreScope();
    CoreScope(const CoreScope&) = delete;
    CoreScope& operator=(const CoreScope&) = delete;

  private:
    CoreId before_;
};

/// A base of objects that one core owns: they belong to the core whose scope they are made in, and say so
/// when another touches them, in release builds too.
class CoreBound {
  public:
    [[nodiscard]] CoreId core() const { return core_; }

  protected:
    CoreBound() : core_(current_core()) {}
    ~CoreBound() = default;
    void assert_own_core() const { RC_ASSERT(core_ == current_core()); }

  private:
    CoreId core_;
};

}  // namespace rc::reactor
