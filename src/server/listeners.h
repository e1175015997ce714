#pragma once

#include <memory>
#include <string>
#include <vector>

#include "ringcast/io/network.h"
#include "ringcast/net/shared_listener.h"
#include "ringcast/server/config.h"

namespace rc::server {

/// A listening socket, as a core uses it.
struct Listener {
    int descriptor = -1;
    bool proxy_protocol = false;  // of clients: a PROXY header comes first, from trusted peers alone
    net::SharedListener* shared = nullptr;  // other cores accept on it too
};

/// The sockets of one kind of peers, from bind to close: one a worker and address, so that the kernel spreads
/// the connections, but of a unix socket one for all. Core: the main thread.
class Listeners {
  public:
    /// @param place  where the addresses were written, for errors; see Config::Places
    /// Errors: address_in_use, system.
    static Result<Listeners> open(io::Network& network, const std::vector<ListenAddress>& wanted,
                                  const std::string& place, uint32_t workers);
    /// Closes them, and removes the files of unix sockets: the cores have ended.
    ~Listeners();
    Listeners(Listeners&&) = default;
    Listeners& operator=(Listeners&&) = delete;

    [[nodiscard]] const std::vector<Listener>& of_worker(uint32_t worker) const { return listeners_[worker]; }
    /// Each address behind a blank, with the port that was picked if 0 was asked for.
    [[nodiscard]] std::string text() const;

  private:
    explicit Listeners(io::Network& network) : network_(&network) {}

    io::Network* network_;
    std::vector<io::Network::Listener> sockets_;
    std::vector<Address> addresses_;
    std::vector<std::unique_ptr<net::SharedListener>> shared_;
    std::vector<std::vector<Listener>> listeners_;  // of each worker
};

}  // namespace rc::server
