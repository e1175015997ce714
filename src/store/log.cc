#include "ringcast/store/log.h"

#include <fmt/core.h>

namespace rc::store {

Ticket ticket_of(const Answer& answer) {
    return std::visit([](const auto& a) { return a.ticket; }, answer);
}

std::string format_offset(std::string_view epoch, uint64_t offset) {
    return fmt::format("{}-{}", epoch, offset);
}

}  // namespace rc::store
