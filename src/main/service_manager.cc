#include "service_manager.h"

#include <fmt/format.h>
#include <systemd/sd-daemon.h>

#include <cstdlib>
#include <cstring>
#include <fstream>

#include "ringcast/base/log.h"

namespace rc::main {
namespace {

void tell(const std::string& what) {
    int const told = ::sd_notify(0, what.c_str());
    if (told < 0) log::warning("the service manager cannot be told: {}", std::strerror(-told));
}

}  // namespace

void tell_ready(const std::string& status) {
    tell(fmt::format("READY=1\nSTATUS={}", status));
}

void tell_reload(server::Reload step) {
    if (!step.begun) return tell("READY=1");
    tell(fmt::format("RELOADING=1\nMONOTONIC_USEC={}",
                     std::chrono::duration_cast<microseconds>(step.at.time_since_epoch()).count()));
}

void tell_waiting(const std::string& why, Duration at_most) {
    tell(fmt::format("STATUS=not ready: {}\nEXTEND_TIMEOUT_USEC={}", why,
                     std::chrono::duration_cast<microseconds>(at_most).count()));
}

void tell_stopping(const std::string& status, Duration at_most) {
    tell(fmt::format("STOPPING=1\nSTATUS={}\nEXTEND_TIMEOUT_USEC={}", status,
                     std::chrono::duration_cast<microseconds>(at_most).count()));
}

std::string boot_id() {
    std::string id;
    std::getline(std::ifstream("/proc/sys/kernel/random/boot_id") >> std::ws, id);
    if (const char* passed = std::getenv("BOOT_ID"); id.empty() && passed) id = passed;
    std::erase(id, '-');  // the manager writes none
    return id;
}

}  // namespace rc::main
