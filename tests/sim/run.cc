#include "run.h"

#include <fmt/format.h>

#include <memory>
#include <vector>

#include "client.h"
#include "publisher.h"
#include "report.h"

namespace rc::sim {
namespace {

class Run {
  public:
    Run(Plan& plan, Histogram& histogram) : world_(plan, histogram) {
        for (uint32_t i = 0; i < plan.clients; ++i)
            clients_.push_back(std::make_unique<Client>(world_, i));
        for (uint32_t i = 0; i < plan.publishers; ++i)
            publishers_.push_back(std::make_unique<Publisher>(world_, i));
    }

    uint64_t all() {
        with_faults();
        world_.end_faults();
        if (world_.signals() == 0) {
            catch_up();
            end();
        }
        shut_down();
        return world_.digest.value();
    }

    void count(Histogram& histogram) {
        histogram.turns += world_.steps();
        histogram.connections += world_.connections_made();
        histogram.publications += world_.ledger.size();
        histogram.posted += world_.ledger.newest_stamp();
        for (uint32_t i = 0; i < world_.plan.workers; ++i)
            histogram.texts += world_.rig().core(i).metrics().deliveries.value() +
                               world_.rig().core(i).metrics().replayed.value();
    }

  private:
    void with_faults() {
        auto& chance = world_.chance;
        uint32_t const peers = static_cast<uint32_t>(clients_.size() + publishers_.size());
        for (uint32_t i = 0; i < world_.plan.steps; ++i) {
            if (chance.below(5) < 2) {
                uint32_t const peer = chance.below(peers);
                if (peer < clients_.size()) {
                    clients_[peer]->act();
                } else {
                    publishers_[peer - clients_.size()]->act();
                }
            } else {
                world_.step();
            }
            if (world_.signals() < 2 && world_.hit(Fault::early_drain)) world_.send_signal();
        }
    }

    bool behave() {
        bool any = false;
        for (auto& client : clients_)
            any |= client->behave();
        for (auto& publisher : publishers_)
            any |= publisher->behave();
        return any;
    }

    // Nothing goes wrong any more: who has missed something comes back for it, and then has it.
    void catch_up() {
        bool came_back = false;
        for (int round = 0; round < 50; ++round) {
            world_.pass(milliseconds(150));
            if (behave()) continue;
            if (came_back) break;
            came_back = true;
            for (auto& client : clients_)
                client->come_back();
        }
        for (auto& client : clients_)
            client->introduce();
        for (int round = 0; round < 5; ++round) {
            behave();
            world_.pass(milliseconds(150));
        }
        for (auto& client : clients_)
            client->check_caught_up();
        for (auto& publisher : publishers_)
            publisher->check_answered();
    }

    // All connections come to their end, one way or the other.
    void end() {
        auto const& config = world_.plan.config;
        switch (world_.plan.end) {
            case Plan::End::clients_close:
                for (auto& client : clients_)
                    client->leave();
                for (auto& publisher : publishers_)
                    publisher->leave();
                for (uint32_t waves = world_.open_files() + 1; waves > 0 && world_.open_files() > 0; --waves)
                    world_.pass(2 * limits::kCloseDeadline + config.limits.handshake_timeout + seconds(3));
                break;
            case Plan::End::clients_vanish:
                for (auto& client : clients_)
                    client->vanish();
                for (auto& publisher : publishers_)
                    publisher->vanish();
                // Every state has a deadline, so nothing waits for them for ever. Where a table was full,
                // others have waited for their places, and are gone as well.
                for (uint32_t waves = world_.open_files() + 1; waves > 0 && world_.open_files() > 0; --waves)
                    world_.pass(config.inactivity_timeout + 2 * limits::kCloseDeadline + seconds(130));
                break;
            default: return;
        }
        behave();
        world_.check_all_gone();
    }

    void shut_down() {
        auto const& config = world_.plan.config;
        if (world_.signals() == 0) world_.send_signal();
        if (world_.plan.end == Plan::End::drain_twice && world_.signals() < 2) {
            world_.pass(config.drain_time * world_.chance.below(16) / 16);
            if (!world_.all_ended()) world_.send_signal();
        }
        auto const at_most = world_.signals() > 1 ? seconds(1) : config.drain_time + seconds(30);
        for (int round = 0; round < 8; ++round) {
            behave();
            world_.pass(at_most / 8);
        }
        if (!world_.all_ended()) violated("the server does not end: " + world_.describe());
        behave();
        for (auto& publisher : publishers_)
            publisher->forget();
        world_.ledger.check_outcomes();
        world_.check_all_gone();
        for (uint32_t i = 0; i < world_.rig().size(); ++i) {
            if (world_.rig().ring(i).operations() > 0)
                violated(fmt::format("participant {} left operations", i));
        }
        world_.check_mail_left();
    }

    World world_;
    std::vector<std::unique_ptr<Client>> clients_;
    std::vector<std::unique_ptr<Publisher>> publishers_;
};

uint64_t run_uncounted(uint64_t seed, uint32_t steps, Histogram& histogram) {
    where = {.seed = seed, .step = 0, .running = true};
    Plan plan(seed, steps);
    Run run(plan, histogram);
    auto const digest = run.all();
    run.count(histogram);
    return digest;
}

}  // namespace

uint64_t run(uint64_t seed, uint32_t steps, Histogram& histogram) {
    int64_t const blocks_before = live_blocks();
    uint64_t const digest = run_uncounted(seed, steps, histogram);
    int64_t const left = live_blocks() - blocks_before;
    if (left != 0) violated(fmt::format("{} blocks of memory were left", left));
    where.running = false;
    return digest;
}

void warm_up(Histogram& histogram) {
    for (uint64_t seed = 1; seed <= 8; ++seed)
        run_uncounted(seed, 0, histogram);
}

}  // namespace rc::sim
