#include "listeners.h"

#include "ringcast/base/log.h"

namespace rc::server {

Result<Listeners> Listeners::open(io::Network& network, const std::vector<ListenAddress>& wanted,
                                  const std::string& place, uint32_t workers) {
    Listeners out(network);
    out.listeners_.resize(workers);
    for (const auto& entry : wanted) {
        auto const refused = [&](const Error& error) {
            return fail(error.code, (entry.place.empty() ? place : entry.place) + error.message);
        };
        if (entry.may_lack_family && !network.has_family(entry.address)) {
            log::warning("{} is skipped: this host lacks the address family", entry.address.format());
            continue;
        }
        if (auto free = network.check_free(entry.address); !free) return refused(free.error());
        Listener listener{.proxy_protocol = entry.proxy_protocol};
        bool const is_unix = entry.address.kind == Address::Kind::unix_path;
        if (is_unix && workers > 1)
            listener.shared = out.shared_.emplace_back(std::make_unique<net::SharedListener>(workers)).get();
        Address address = entry.address;
        for (uint32_t worker = 0; worker < workers; ++worker) {
            if (worker == 0 || !is_unix) {
                auto socket = network.listen(address, {.unix_mode = entry.mode, .unix_group = entry.group});
                if (!socket) return refused(socket.error());
                address = socket->address;  // the first one picks the port if 0 was asked for
                listener.descriptor = socket->descriptor;
                out.sockets_.push_back(std::move(*socket));
            }
            out.listeners_[worker].push_back(listener);
        }
        out.addresses_.push_back(std::move(address));
    }
    if (out.addresses_.empty()) return fail(Errc::system, place + "no address is left to listen on");
    return out;
}

Listeners::~Listeners() {
    for (const auto& socket : sockets_)
        network_->close(socket);
}

std::string Listeners::text() const {
    std::string out;
    for (const auto& address : addresses_)
        out += ' ' + address.format();
    return out;
}

}  // namespace rc::server
