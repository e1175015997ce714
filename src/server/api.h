#pragma once

#include <list>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "access_log.h"
#include "publisher.h"
#include "ringcast/base/user_id.h"
#include "ringcast/http/connection.h"
#include "ringcast/proto/publish.h"
#include "ringcast/reactor/reactor.h"

namespace rc::server {

class Core;

/// The API listener's routes (contract.md 4): who may call, what is asked, and the answer. Core: own core
/// only.
class Api final : public http::RequestHandler, public reactor::Work {
  public:
    explicit Api(Core& core);
    ~Api() override;
    void attach(http::Server& server) { server_ = &server; }

    http::HeadVerdict on_head(const http::RequestHead& head, const net::PeerAddress& peer) override;
    void on_request(http::RequestHandle handle, http::Request& request) override;
    void on_abandoned(http::RequestHandle handle) override;
    void on_answered(const http::Answered& answered) override;
    std::string error_body(int status, std::string_view message) override;
    /// A slice of each batch that is under way.
    bool run_slice() override;
    /// Nothing that was accepted is under way.
    [[nodiscard]] bool idle() const { return batches_.empty() && publisher_.idle(); }

  private:
    enum class Action : uint8_t {
        none,
        publish,
        stats,
        user,
        erase,
        list,
        read,
        read_all,
        remove,
        disconnect,
        healthz,
        readyz,
        metrics,
    };
    /// What stands in the access log for an action, and what a key must be allowed for it.
    struct ActionTraits;
    static const ActionTraits& traits(Action action);
    struct Route {
        Action action = Action::none;
        UserId user;
        std::string notification_id;
    };
    struct Refusal {
        int status;
        std::string_view code;
        std::string message;
        std::string_view allow;  // for 405
    };
    /// Lines that wait for their outcome, of them those that no log keeps, and their bytes as they came.
    struct Outstanding {
        uint32_t lines = 0, live = 0;
        std::size_t bytes = 0;

        Outstanding& operator+=(const Outstanding& more);
        Outstanding& operator-=(const Outstanding& done);
    };
    /// A batch that is taken line by line.
    struct Batch;

    [[nodiscard]] std::optional<Refusal> find_route(const http::RequestHead& head, Route& route) const;
    [[nodiscard]] const auth::ApiKey* key_of(const http::RequestHead& head) const;
    [[nodiscard]] std::optional<Refusal> judge(const http::RequestHead& head, Route& route,
                                               const auth::ApiKey*& key) const;

    net::PeerAddress client_of(const http::RequestHead& head, const net::PeerAddress& peer) const;
    std::optional<http::HeadVerdict> slow_down(const net::PeerAddress& peer);
    static http::HeadVerdict refusal_of(const Refusal& refusal);
    http::HeadVerdict accept(const http::RequestHead& head, const Route& route);

    void publish_one(http::RequestHandle handle, http::Request& request);
    void begin_batch(http::RequestHandle handle, http::Request& request);
    bool run_batch(const std::shared_ptr<Batch>& batch);
    void finish_batch(Batch& batch);

    void show_user(http::RequestHandle handle, const Route& route);
    void erase(http::RequestHandle handle, const Route& route);
    void list(http::RequestHandle handle, const Route& route, std::string_view query);
    void mark(http::RequestHandle handle, const Route& route);
    void disconnect(http::RequestHandle handle, const Route& route, const std::string& body);

    void respond(http::RequestHandle handle, int status, std::string body,
                 std::string_view content_type = "application/json");
    void refuse(http::RequestHandle handle, Errc code, std::string_view message);
    void unavailable(http::RequestHandle handle);

    Core& core_;
    http::Server* server_ = nullptr;
    AccessLog access_log_;
    Publisher publisher_;
    proto::PublishDecoder decoder_;
    std::list<std::shared_ptr<Batch>> batches_;
    Outstanding outstanding_;  // of all batches, also of those whose publisher has gone
};

/// The status that goes with an error on the API.
int status_of(Errc code);

}  // namespace rc::server
