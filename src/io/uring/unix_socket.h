#pragma once

#include <sys/types.h>

#include <string>

#include "ringcast/base/address.h"
#include "ringcast/base/result.h"
#include "ringcast/io/network.h"

namespace rc::io {

/// The file by which a listening unix socket is reached, to be removed by who made it.
struct UnixSocketFile {
    std::string path;
    dev_t device = 0;
    ino_t inode = 0;

    /// Removes it, unless another file has taken its name meanwhile.
    void remove() const;
};

/// Binds the socket to its path, with mode and group as the options say, before anybody can connect, and
/// listens. A file of a server that has died is replaced; one behind which somebody listens is not, nor is
/// anything else of that name. A server that was just killed is waited for, up to a second.
/// @param descriptor  an unbound unix socket; stays the caller's
/// Errors: address_in_use, system; both name the address. Core: the main thread.
Result<UnixSocketFile> listen_unix(int descriptor, const Address& address, const ListenOptions& options);

}  // namespace rc::io
