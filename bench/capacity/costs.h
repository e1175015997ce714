#pragma once

#include "ringcast/base/time.h"

namespace rc::bench {

/// What a core pays for one thing that it does, in nanoseconds: see costs.toml.
struct Costs {
    double turn = 0;       // a turn, whatever it finds, with its io_uring_enter
    double look = 0;       // at one other participant's mailbox, in every turn
    double mail = 0;       // one, at either end
    double wake = 0;       // of a sleeping core: what the one pays that rings
    double woken = 0;      // and the sleeper
    double accept = 0;     // a connection and its handshake
    double receive = 0;    // the kernel's part of a receive
    double message = 0;    // our part of a client's message
    double publisher = 0;  // what the kernel does for a publisher beside its receive and its answer's send
    double request = 0;    // our part of a publish over HTTP, with its answer
    double send = 0;       // the kernel's part of a send, on a core that holds 1,000 sockets
    double cold = 0;       // and more of it to one of 10,000, which no cache holds
    double crowded = 0;    // and more where clients' CPUs are the server's: see Options::crowded
    double send_byte = 0;  // and of each of its bytes
    double sent = 0;       // our part of a send to a client
    double delivery = 0;   // and of each message in it
    double client = 0;     // of the clients' CPU, one for each core: what one send gives it to do
    double client_message = 0;  // and each message in it
    double ask = 0;             // and a publisher to send a request
    double commit = 0;          // of the store, whatever is in it
    double record = 0;          // and of each message in it
};

inline Duration nanoseconds_of(double ns) {
    return Duration(static_cast<Duration::rep>(ns));
}

}  // namespace rc::bench
