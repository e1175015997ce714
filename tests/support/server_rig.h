#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "../../src/server/core.h"
#include "../../src/server/store_host.h"
#include "../../src/server/token_host.h"
#include "fake_ring.h"
#include "ringcast/store/log.h"

/// The parts of a whole server in one thread: workers, the store's core, and main's place in the mesh, each
/// on a simulated ring. Whose turn it is, what time it is and what the peers do is the owner's business.
namespace rc::test {

/// @tparam SimulatedRing  FakeRing, or one that is made for measuring (bench/support/lean_ring.h)
template <class SimulatedRing>
class BasicServerRig {
  public:
    static constexpr int kClientListener = 1, kApiListener = 2;

    struct Options {
        uint32_t workers = 2;
        uint32_t mailbox_places = 1024;
        uint32_t direct_slots = 100'000;  // of each ring
        std::size_t buffer_bytes = 4096;  // of a provided buffer
        const server::Config& config;     // outlives the rig
        std::string epoch = "e";
        std::function<std::unique_ptr<store::Log>()> make_log;
        /// What stands in main's place.
        std::function<std::unique_ptr<reactor::CoreProgram>(reactor::Reactor&)> make_main;
        /// In mode jwt the token host has its place behind the store's, with these keys; where something
        /// fetches, the key fetcher behind it.
        std::function<auth::KeyRing()> make_token_keys = {};
        server::KeyFetcher::Fetch fetch_keys = {};
    };

    BasicServerRig(const Options& options, io::Clock& clock, io::Entropy& entropy)
        : mesh_(options.workers + 2 + (options.make_token_keys ? 1 : 0) + (options.fetch_keys ? 1 : 0),
                options.mailbox_places),
          shared_{.config = options.config,
                  .keys = std::make_shared<const server::Keys>(
                      server::Keys{.api = std::make_shared<const auth::ApiKeys>(std::vector{
                                       auth::ApiKey{"default", auth::Rights::all(), auth::sha256("key")}})}),
                  .epoch = options.epoch,
                  .hash_key = {1, 2},
                  .workers = options.workers,
                  .started = clock.wall(),
                  .store = static_cast<reactor::CoreId>(options.workers),
                  .main = static_cast<reactor::CoreId>(mesh_.size() - 1),
                  .entropy = entropy,
                  .cores = std::vector<server::Core*>(options.workers),
                  .store_metrics = store_metrics_,
                  .tokens = options.make_token_keys
                                ? std::optional(static_cast<reactor::CoreId>(options.workers + 1))
                                : std::nullopt,
                  .policy = server::token_policy(options.config.auth.jwt)} {
        // As much wider as the server's are.
        mesh_.widen(shared_.store,
                    options.mailbox_places * (limits::kStoreMailboxPlaces / limits::kMailboxPlaces));
        for (uint32_t i = 0; i < mesh_.size(); ++i) {
            auto const id = static_cast<reactor::CoreId>(i);
            reactor::CoreScope const scope(id);
            rings_.push_back(std::make_unique<SimulatedRing>(options.buffer_bytes));
            rings_.back()->set_direct_slots(options.direct_slots);
            mesh_.attach(id, *rings_.back());
            reactors_.push_back(std::make_unique<reactor::Reactor>(id, *rings_.back(), clock, mesh_));
        }
        for (uint32_t i = 0; i < options.workers; ++i) {
            reactor::CoreScope const scope(static_cast<reactor::CoreId>(i));
            programs_.push_back(std::make_unique<server::Core>(
                *reactors_[i], shared_,
                std::vector<server::Listener>{{kClientListener, options.config.proxy.protocol}},
                std::vector<server::Listener>{{kApiListener}}));
        }
        {
            reactor::CoreScope const scope(shared_.store);
            programs_.push_back(std::make_unique<server::StoreHost>(
                *reactors_[shared_.store], options.workers, options.make_log(), shared_.store_metrics));
        }
        if (shared_.tokens) add_token_host(options);
        reactor::CoreScope const scope(shared_.main);
        programs_.push_back(options.make_main(*reactors_[shared_.main]));
    }
    /// Every program has ended.
    ~BasicServerRig() {
        while (!programs_.empty()) {
            reactor::CoreScope const scope(static_cast<reactor::CoreId>(programs_.size() - 1));
            programs_.pop_back();
        }
        server::drop_mail(mesh_);
    }
    BasicServerRig(const BasicServerRig&) = delete;
    BasicServerRig& operator=(const BasicServerRig&) = delete;

    /// One turn, then the question that a core's loop asks. @return whether its program has ended.
    bool turn(uint32_t participant, Duration wait_max) {
        reactors_[participant]->turn(wait_max);
        reactor::CoreScope const scope(static_cast<reactor::CoreId>(participant));
        return programs_[participant]->ended();
    }

    [[nodiscard]] uint32_t size() const { return mesh_.size(); }  // workers, store, token hosts, main
    [[nodiscard]] uint32_t workers() const { return shared_.workers; }
    [[nodiscard]] reactor::CoreId store() const { return shared_.store; }
    [[nodiscard]] reactor::CoreId main() const { return shared_.main; }
    /// Those that main alone tells to stop: the store and what stands behind it.
    [[nodiscard]] std::vector<reactor::CoreId> hosts() const {
        std::vector<reactor::CoreId> out;
        for (auto id = shared_.store; id < shared_.main; ++id)
            out.push_back(id);
        return out;
    }
    [[nodiscard]] reactor::Mesh& mesh() { return mesh_; }
    [[nodiscard]] server::Shared& shared() { return shared_; }
    [[nodiscard]] server::Core& core(uint32_t worker) { return *shared_.cores[worker]; }
    [[nodiscard]] SimulatedRing& ring(uint32_t participant) { return *rings_[participant]; }
    [[nodiscard]] reactor::Reactor& reactor(uint32_t participant) { return *reactors_[participant]; }
    [[nodiscard]] reactor::CoreProgram& program(uint32_t participant) { return *programs_[participant]; }
    [[nodiscard]] bool has_mail(uint32_t participant) {
        for (uint32_t from = 0; from < size(); ++from) {
            if (mesh_.box(static_cast<reactor::CoreId>(from), static_cast<reactor::CoreId>(participant))
                    .has_mail())
                return true;
        }
        return false;
    }

  private:
    void add_token_host(const Options& options) {
        auto const host = *shared_.tokens;
        auto const fetcher = static_cast<reactor::CoreId>(host + 1);
        {
            reactor::CoreScope const scope(host);
            programs_.push_back(std::make_unique<server::TokenHost>(
                *reactors_[host], server::TokenHost::Options{
                                      .keys = options.make_token_keys(),
                                      .files = server::token_key_files(options.config.auth.jwt),
                                      .main = shared_.main,
                                      .fetcher = options.fetch_keys ? std::optional(fetcher) : std::nullopt,
                                      .metrics = shared_.key_metrics}));
        }
        if (!options.fetch_keys) return;
        reactor::CoreScope const scope(fetcher);
        programs_.push_back(
            std::make_unique<server::KeyFetcher>(*reactors_[fetcher], shared_.main, options.fetch_keys));
    }

    reactor::Mesh mesh_;
    server::StoreMetrics store_metrics_;
    server::Shared shared_;
    std::vector<std::unique_ptr<SimulatedRing>> rings_;
    std::vector<std::unique_ptr<reactor::Reactor>> reactors_;
    std::vector<std::unique_ptr<reactor::CoreProgram>> programs_;
};

using ServerRig = BasicServerRig<FakeRing>;

}  // namespace rc::test
