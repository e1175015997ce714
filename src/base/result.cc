#include "ringcast/base/result.h"

namespace rc {

std::string_view errc_name(Errc code) noexcept {
    switch (code) {
        case Errc::invalid_message: return "invalid_message";
        case Errc::unauthorized: return "unauthorized";
        case Errc::subscription_failed: return "subscription_failed";
        case Errc::internal_error: return "internal_error";
        case Errc::rate_limit_exceeded: return "rate_limit_exceeded";
        case Errc::subscription_limit_exceeded: return "subscription_limit_exceeded";
        case Errc::inactivity_timeout: return "inactivity_timeout";
        case Errc::slow_consumer: return "slow_consumer";
        case Errc::connection_limit_exceeded: return "connection_limit_exceeded";
        case Errc::disconnected: return "disconnected";
        case Errc::shutting_down: return "shutting_down";
        case Errc::not_found: return "not_found";
        case Errc::method_not_allowed: return "method_not_allowed";
        case Errc::conflict: return "conflict";
        case Errc::too_large: return "too_large";
        case Errc::unsupported_media_type: return "unsupported_media_type";
        case Errc::too_many_requests: return "too_many_requests";
        case Errc::unavailable: return "unavailable";
        case Errc::settings: return "settings";
        case Errc::address_in_use: return "address_in_use";
        case Errc::data_in_use: return "data_in_use";
        case Errc::data_unusable: return "data_unusable";
        case Errc::ring_refused: return "ring_refused";
        case Errc::system: return "system";
    }
    return "internal_error";
}

}  // namespace rc
