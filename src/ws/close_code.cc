#include "ringcast/ws/close_code.h"

#include "ringcast/ws/utf8.h"

namespace rc::ws {

tl::expected<CloseBody, CloseCode> parse_close(std::string_view payload) {
    if (payload.empty()) return CloseBody{};
    if (payload.size() == 1) return tl::unexpected(CloseCode::protocol_error);
    const auto high = static_cast<uint8_t>(payload[0]), low = static_cast<uint8_t>(payload[1]);
    const auto code = static_cast<uint16_t>(high << 8 | low);
    if (!may_arrive(code)) return tl::unexpected(CloseCode::protocol_error);
    const std::string_view reason = payload.substr(2);
    if (!is_valid_utf8(reason)) return tl::unexpected(CloseCode::invalid_payload);
    return CloseBody{code, reason};
}

std::string close_kind_name(size_t kind) {
    switch (kind) {
        case 15: return "3xxx";
        case 16: return "4xxx";
        case 17: return "none";
        default: return std::to_string(1000 + kind);
    }
}

}  // namespace rc::ws
