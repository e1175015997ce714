#pragma once

#include <cstdint>
#include <string>

namespace rc::bench {

/// How one prebuilt frame goes to many sockets.
enum class Send : uint8_t {
    loop,   // send(2), one call a socket
    cqe,    // io_uring, a completion a send
    quiet,  // io_uring, DONTWAIT | WAITALL without completions: what completes has failed
};

struct Options {
    std::string listen = "127.0.0.1:7000";
    std::string api_listen = "127.0.0.1:7001";
    uint32_t threads = 1;
    int first_cpu = -1;  // thread i is pinned to first_cpu + i; -1: not pinned
    Send send = Send::quiet;
    uint32_t chunk = 128;      // sends between two submissions
    bool coalesce = false;     // what one turn has read goes out as one buffer
    bool shuffle = false;      // sockets in random order instead of their table's
    bool echo = false;         // what a client sends comes back
    int send_buffer = 262144;  // SO_SNDBUF, bytes
    std::string congestion = "cubic";
};

}  // namespace rc::bench
