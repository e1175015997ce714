#pragma once

#include <span>
#include <string_view>

#include "ringcast/net/networks.h"
#include "ringcast/net/peer_address.h"

namespace rc::net {

/// A request's forwarding headers: the values of its lines, in the order of arrival, of
/// `X-Forwarded-For` (a comma-separated list of addresses) and of `Forwarded` (RFC 7239).
struct ForwardingHeaders {
    std::span<const std::string_view> x_forwarded_for, forwarded;
};

/// The client's address, as far as those vouch for it who are trusted. The headers name the hops from the
/// client's to the nearest; each hop was written by the one behind it, so they are read from the right, and
/// the first one that is not trusted is the client: what stands further left is its own word. Where a hop
/// cannot be read (`unknown`, an obfuscated name, no `for`, no address at all), the one that wrote it is the
/// last that is known. With both headers, of which a proxy that sets one may pass on the other, the two must
/// name the same host; if they do not, neither counts.
/// @param peer  who speaks to us; unless it is trusted itself, the result is `peer`
/// @return its port is 0 where the header names none
/// Core: any. Cost: one pass from the right, up to the first hop that is not trusted; allocates nothing.
/// Source: RFC 7239 sections 4 to 6; contract.md 2.
PeerAddress forwarded_client(const PeerAddress& peer, const ForwardingHeaders& headers,
                             const Networks& trusted);

}  // namespace rc::net
