#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <tl/expected.hpp>
#include <utility>

namespace rc {

/// What went wrong, in the words of the contract (sections 3 and 4) where it reaches a client or a
/// publisher; the last group never leaves the process.
enum class Errc : uint8_t {
    // client protocol, contract.md 3
    invalid_message,
    unauthorized,
    subscription_failed,
    internal_error,
    rate_limit_exceeded,
    subscription_limit_exceeded,
    inactivity_timeout,
    slow_consumer,
    connection_limit_exceeded,
    disconnected,
    shutting_down,
    // API, contract.md 4
    not_found,
    method_not_allowed,
    conflict,
    too_large,
    unsupported_media_type,
    too_many_requests,
    unavailable,
    // start-up
    settings,
    address_in_use,
    data_in_use,
    data_unusable,  // damaged, or newer than this program
    ring_refused,
    system,
};

/// The code as it stands on the wire, for example "invalid_message". Never empty.
std::string_view errc_name(Errc code) noexcept;

/// An expected failure: the code for programs, the message for the person who has to mend it.
struct Error {
    Errc code;
    std::string message;
};

template <class T>
using Result = tl::expected<T, Error>;

inline tl::unexpected<Error> fail(Errc code, std::string message) {
    return tl::unexpected<Error>(Error{code, std::move(message)});
}

}  // namespace rc
