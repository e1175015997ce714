#pragma once

#include <deque>
#include <functional>
#include <optional>
#include <string>

#include "ringcast/base/result.h"
#include "ringcast/proto/publish.h"
#include "ringcast/reactor/mailbox.h"
#include "ringcast/store/log.h"

namespace rc::server {

class Core;
struct LivePublication;

/// One accepted publication, or why it was not.
struct PublishOutcome {
    std::optional<Error> error;
    std::string id;
    uint64_t offset = 0;  // 0: none to tell
};

/// Takes a checked publication its way: what users keep through the store, all else through its home core.
/// Core: own core only. Cost: encodes the frame once.
class Publisher {
  public:
    using Done = std::function<void(PublishOutcome&&)>;
    explicit Publisher(Core& core) : core_(core) {}

    /// False when there is no place for it now, and nothing was begun. Else `done` runs behind this call:
    /// when it is durable, if users keep it, and in the mailbox of every core.
    /// @param request  used up, whatever comes of it
    /// @param key  the idempotency key, if there is one
    /// @param may_wait  a line of a batch: it waits for a place at its home core instead of being refused,
    ///                  and nobody wants its id
    [[nodiscard]] bool publish(proto::PublishRequest&& request, const std::optional<std::string>& key,
                               bool may_wait, Done done);

    /// Goes on with what waited for a place. Returns whether any is left.
    bool retry();
    [[nodiscard]] bool idle() const { return waiting_.empty(); }

  private:
    struct Live {
        std::vector<std::pair<reactor::CoreId, std::shared_ptr<const LivePublication>>>
            parts;  // home core, content
        bool may_wait = false;
        std::function<void(bool accepted)> done;
    };
    [[nodiscard]] bool publish_to_one(reactor::CoreId home, LivePublication&& publication, std::string&& id,
                                      bool may_wait, Done&& done);
    [[nodiscard]] bool start(Live& live);
    void publish_reserved(Live live, store::Reserve reserve, Done done);

    Core& core_;
    std::string text_;          // of the message that is being encoded
    std::deque<Live> waiting_;  // for places at their home cores
};

}  // namespace rc::server
