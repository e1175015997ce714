#include "ringcast/reactor/core_bound.h"

namespace rc::reactor {
namespace {
thread_local CoreId t_core = kNoCore;
}

CoreId current_core() noexcept {
    return t_core;
}
CoreScope::CoreScope(CoreId core) noexcept : before_(t_core) {
    t_core = core;
}
CoreScope::~CoreScope() {
    t_core = before_;
}

}  // namespace rc::reactor
