#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "ringcast/base/address.h"
#include "ringcast/base/result.h"
#include "ringcast/base/time.h"

namespace rc::io {

struct ListenOptions {
    bool share_port = true;  // SO_REUSEPORT: a listener a core on one address
    int backlog = 4096;
    Duration user_timeout = seconds(30);  // unacknowledged data or a closed window: the peer is gone
    // Of a unix socket's file: who may connect is who may write to it.
    uint32_t unix_mode = 0660;
    std::string unix_group;  // name or number; empty: the process's own
};

/// Listening sockets as a port. Accepted connections inherit the listener's TCP options, so that no
/// system call is owed per connection. Core: the main thread, before the cores run.
class Network {
  public:
    virtual ~Network() = default;

    struct Listener {
        int descriptor = -1;
        Address address;  // with the port that was picked, if 0 was asked for
    };
    /// A unix socket's file is made, in place of one that a dead server left, and is there until close().
    /// Errors: address_in_use, system (the host lacks the family: see has_family).
    virtual Result<Listener> listen(const Address& address, const ListenOptions& options) = 0;
    /// Binds once without SO_REUSEPORT, because with it a second server would share the port silently. Waits
    /// up to a second for one that was just killed to let go. Of a unix socket listen() finds out.
    /// Errors: address_in_use, system.
    virtual Result<void> check_free(const Address& address) = 0;
    [[nodiscard]] virtual bool has_family(const Address& address) = 0;
    virtual void close(const Listener& listener) = 0;
    /// Begins to connect, and does not wait for it: what is sent and received on the descriptor waits in the
    /// kernel until it is connected, or fails with the reason why it is not. The caller owns the descriptor.
    /// @param source  whom to call as: its port is chosen by the kernel when it connects (0), so that each
    ///                pair of source and destination has all ports
    /// Errors: system (no descriptor, no port, no such source).
    virtual Result<int> connect(const Address& to, const std::optional<Address>& source) = 0;
};

}  // namespace rc::io
