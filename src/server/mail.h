#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "ringcast/auth/keys.h"
#include "ringcast/base/shared_bytes.h"
#include "ringcast/base/time.h"
#include "ringcast/base/user_id.h"
#include "ringcast/net/stream.h"
#include "ringcast/reactor/reactor.h"
#include "ringcast/store/log.h"

/// What the server's cores write to each other. A mail that points to something hands it over.
namespace rc::server {

enum class MailKind : uint8_t {
    store_request = 1,  // core -> store; request
    store_settle,       // core -> store; one way: it must always find a place
    store_settled,      // store -> core; one way, what it is answered with
    store_answer,       // store -> core; answer
    publication,        // store -> every core; one way, stamped
    read_mark,          // store -> every core; one way, stamped
    live_request,       // core -> home core; request
    live_answer,        // home core -> core; answer
    live_publication,   // home core -> every core; one way, stamped
    gather_request,     // core -> every core; request, stamped
    gather_answer,      // every core -> core; answer
    user_count,         // core -> the user's home core; one way
    user_watch,         // the user's home core -> every core; one way
    close_connection,   // core -> core; one way
    address_report,     // core -> the address's home core; one way
    address_word,       // the address's home core -> every core; one way
    control,            // main -> every core; one way
    keys,               // main -> every core; one way
    progress,           // core -> main; one way
    token_check,        // core -> token host; request
    token_verdict,      // token host -> core; answer
    keys_fetch,         // token host -> key fetcher; request
    keys_fetched,       // key fetcher -> token host; answer
};

/// A heap object on its way through a mailbox. send() gives it up, receive() takes it over.
template <class T>
struct Parcel {
    T* content;
    uint64_t token;

    static reactor::Mail mail(MailKind kind, T content, uint64_t token = 0) {
        return reactor::Mail::make(static_cast<uint8_t>(kind), Parcel{new T(std::move(content)), token});
    }
    static reactor::Mail mail(MailKind kind, std::unique_ptr<T> content) {
        return reactor::Mail::make(static_cast<uint8_t>(kind), Parcel{content.release(), 0});
    }
    static std::pair<std::unique_ptr<T>, uint64_t> open(const reactor::Mail& mail) {
        auto const parcel = mail.as<Parcel>();
        return {std::unique_ptr<T>(parcel.content), parcel.token};
    }
};

/// What goes to the store with a request comes back with its answer: so the core that has allocated it frees
/// it, which costs the store's thread nothing.
using StoreEnvelope = std::variant<store::Request, store::Answer>;

/// A publication that no log keeps: to a topic, to everybody, or live only to users.
struct LivePublication {
    SharedBytes frame;
    std::string topic;          // empty: none
    std::vector<UserId> users;  // empty: the topic's subscribers, or everybody
    bool broadcast = false;
};

struct LiveRequest {
    std::shared_ptr<const LivePublication> publication;
    bool may_wait = false;  // for a place in the mailboxes, instead of being refused
};
struct LiveAnswer {
    uint64_t token;
    bool accepted;
};

/// One connection, as the core that holds it describes it.
struct ConnectionInfo {
    reactor::CoreId core = 0;
    net::StreamHandle handle;
    MonoTime opened;
    WallTime since;
    std::string address;
    std::vector<std::string> topics;
};

struct GatherRequest {
    enum class What : uint8_t { connections, disconnect } what = What::connections;
    UserId user;
    std::string reason;  // of a disconnect
};
struct GatherAnswer {
    std::vector<ConnectionInfo> connections;
    uint32_t closed = 0;
};

/// Whether each core tells the user's home core of each new connection of the user's.
struct UserWatch {
    UserId user;
    bool on;
};

struct CloseConnection {
    net::StreamHandle handle;
    Errc code;
};

/// What the token host says of a signature. Nothing: it cannot say, there are no keys yet or too much waits.
using Verdict = std::optional<auth::Signature>;
struct TokenVerdict {
    uint64_t token;  // of the request
    Verdict verdict;
};

/// The end, step by step. Each core reports when it has done a step, and when new keys are in force.
enum class Control : uint8_t {
    keys,    // reported only; an order to the token host: read the files anew
    drain,   // close the clients, spread over drain_time; publishers are still served
    finish,  // publishers are told 503; what is under way is finished
    hurry,   // likewise, without waiting for anybody
    stop,    // nothing is under way on any core: end
};

/// What is asked of others and not answered yet, by token. A token is never used again.
/// Core: own core only. Cost: O(1).
template <class Continuation>
class Pending {
  public:
    uint64_t add(Continuation continuation) {
        uint32_t slot;
        if (free_.empty()) {
            slot = static_cast<uint32_t>(entries_.size());
            entries_.emplace_back();
        } else {
            slot = free_.back();
            free_.pop_back();
        }
        entries_[slot].continuation = std::move(continuation);
        entries_[slot].used = true;
        ++count_;
        return uint64_t{entries_[slot].generation} << 32 | slot;
    }
    Continuation take(uint64_t token) {
        auto const slot = static_cast<uint32_t>(token);
        RC_ASSERT(slot < entries_.size() && entries_[slot].used && entries_[slot].generation == token >> 32);
        auto out = std::move(entries_[slot].continuation);
        entries_[slot].continuation = nullptr;
        entries_[slot].used = false;
        ++entries_[slot].generation;
        free_.push_back(slot);
        --count_;
        return out;
    }
    [[nodiscard]] uint32_t count() const { return count_; }

  private:
    struct Entry {
        Continuation continuation;
        uint32_t generation = 0;
        bool used = false;
    };
    std::vector<Entry> entries_;
    std::vector<uint32_t> free_;
    uint32_t count_ = 0;
};

/// Drops what stands in the mailboxes when everybody has ended: counts of a user's connections may still be
/// under way then. Core: none runs any more. @return what it was
std::vector<MailKind> drop_mail(reactor::Mesh& mesh);

}  // namespace rc::server
