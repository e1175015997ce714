#pragma once

#include <string>

#include "ringcast/base/time.h"
#include "ringcast/server/server.h"

/// What the service manager is told (sd_notify(3)), where there is one: without NOTIFY_SOCKET all of it does
/// nothing, and a manager that cannot be reached gets a line in the log. Core: the main thread. Cost: one
/// datagram.
namespace rc::main {

/// READY=1. `status` is the line that `systemctl status` shows.
void tell_ready(const std::string& status);
/// RELOADING=1 with its MONOTONIC_USEC, which newer managers demand, or READY=1 when that is over.
void tell_reload(server::Reload step);
/// The start goes on, and takes up to `at_most` until it is ready or this is told again.
void tell_waiting(const std::string& why, Duration at_most);
/// STOPPING=1, with the time that the step may take, so that a drain may be longer than TimeoutStopSec=.
void tell_stopping(const std::string& status, Duration at_most);

/// Which start of the kernel this is, from /proc/sys/kernel/random/boot_id, or, where a sandbox hides that,
/// from the variable BOOT_ID, in which the manager's unit passes it. Empty: nobody says.
std::string boot_id();

}  // namespace rc::main
