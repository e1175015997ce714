#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <vector>

/// A disk in memory below SQLite, as its default VFS while this lives. It knows what a sync has made last and
/// what only the page cache has, and fails, loses and tears what it is told to.
///
/// A sync that fails loses what it should have written, as Linux does: the page cache still shows it, and
/// no later sync writes it.
namespace rc::store {

class SimDisk {
  public:
    enum class Call : uint8_t { write, truncate, sync, open };

    SimDisk();
    ~SimDisk();
    SimDisk(const SimDisk&) = delete;
    SimDisk& operator=(const SimDisk&) = delete;

    /// Puts a file there whose content has reached the disk.
    void put(const std::string& path, std::string content);

    /// Asked before each call that changes something; true: it fails. The page cache has nothing of it then.
    std::function<bool(Call)> fails;
    /// The calls so far.
    [[nodiscard]] uint64_t calls() const { return calls_; }

    /// From the call with this number on nothing works any more: the process, or the power, is gone. The
    /// call itself may be half done.
    void end_at(uint64_t call) { end_at_ = call; }
    [[nodiscard]] bool ended() const { return ended_; }
    /// The next process begins on what the page cache has.
    void restart();
    /// The next one begins on what has reached the disk, and of the rest on what chance left: each write
    /// whole, torn at sectors, or not at all.
    void restart_after_power_cut(std::mt19937_64& chance);

    // For the VFS.
    struct Write {
        uint64_t at = 0;
        std::string bytes;
        bool truncate = false;  // to `at`
    };
    struct File {
        std::string now;             // in the page cache
        std::string durable;         // on the disk
        std::vector<Write> pending;  // since the last sync
        std::vector<std::unique_ptr<char[]>> shared_memory;
    };
    [[nodiscard]] bool begin(Call call);
    std::map<std::string, std::shared_ptr<File>> files;

  private:
    uint64_t calls_ = 0, end_at_ = UINT64_MAX;
    bool ended_ = false;
};

}  // namespace rc::store
