#pragma once

#include <cstdint>
#include <string_view>

#include "message.h"

namespace rc::load {

/// What the server speaks. Others than ringcast's are there so that servers can be compared with the same
/// clients: just what a subscriber needs, of a server that is trusted.
enum class Dialect : uint8_t {
    ringcast,
    socketio,  // Engine.IO 4 over a WebSocket alone; messages are events
    nchan,     // the topic is in the URL: a subscriber says nothing, and gets what is published as it is
    nats,      // NATS over a WebSocket; a user is the subject `user.ID`, a topic `topic.NAME`
};

/// What a subscriber makes of a text.
class DialectSink {
  public:
    virtual void say(std::string_view text) = 0;
    virtual void on_subscribed() = 0;
    virtual void on_heartbeat() = 0;
    virtual void on_delivery(const Stamp& stamp) = 0;
    virtual void on_nonsense(std::string_view text) = 0;

  protected:
    ~DialectSink() = default;
};

/// Takes a text of the server's, the greeting included.
/// @param subscription  what the event `subscribe` carries: its `data` object as ringcast takes it,
///                      `{"userId":7,"topics":["t"]}`
void hear_socketio(std::string_view text, std::string_view subscription, DialectSink& sink);
/// Likewise; a text may hold several messages. @param subjects  to subscribe to, each `SUB subject id\r\n`
void hear_nats(std::string_view text, std::string_view subjects, DialectSink& sink);

}  // namespace rc::load
