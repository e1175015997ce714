#include "wal_check.h"

#include <fmt/core.h>
#include <sqlite3.h>

#include <array>
#include <cstdint>
#include <memory>
#include <vector>

#include "sqlite.h"

namespace rc::store::sqlite {
namespace {

// The format: https://www.sqlite.org/fileformat2.html, "The Write-Ahead Log".
constexpr std::size_t kHeaderBytes = 32, kFrameHeaderBytes = 24;
constexpr uint32_t kMagic = 0x377f0682;  // the last bit says how checksums read their words

/// A file, read by SQLite's own way to the disk.
class WalFile {
  public:
    explicit WalFile(const std::string& name) : name_(name + std::string(4, '\0')) {
        sqlite3_vfs* const vfs = sqlite3_vfs_find(nullptr);
        int there = 0;
        if (vfs->xAccess(vfs, name_.c_str(), SQLITE_ACCESS_EXISTS, &there) != SQLITE_OK || there == 0) return;
        memory_ = std::make_unique<char[]>(static_cast<std::size_t>(vfs->szOsFile));
        auto* const file = reinterpret_cast<sqlite3_file*>(memory_.get());
        check(vfs->xOpen(vfs, name_.c_str(), file, SQLITE_OPEN_READONLY | SQLITE_OPEN_WAL, nullptr));
        file_ = file;
    }
    ~WalFile() {
        if (file_) file_->pMethods->xClose(file_);
    }
    WalFile(const WalFile&) = delete;
    WalFile& operator=(const WalFile&) = delete;

    /// False where the file ends before.
    bool read(uint64_t at, std::vector<unsigned char>& out) {
        if (!file_) return false;
        int const code = file_->pMethods->xRead(file_, out.data(), static_cast<int>(out.size()),
                                                static_cast<sqlite3_int64>(at));
        if (code == SQLITE_IOERR_SHORT_READ) return false;
        check(code);
        return true;
    }

  private:
    static void check(int code) {
        if (code != SQLITE_OK)
            throw SqlError{Trouble::failed, fmt::format("the write-ahead log: {}", sqlite3_errstr(code))};
    }
    std::string name_;
    std::unique_ptr<char[]> memory_;
    sqlite3_file* file_ = nullptr;
};

uint32_t big_endian(const unsigned char* at) {
    return uint32_t{at[0]} << 24 | uint32_t{at[1]} << 16 | uint32_t{at[2]} << 8 | at[3];
}

using Sum = std::array<uint32_t, 2>;

Sum sum_at(const unsigned char* at) {
    return {big_endian(at), big_endian(at + 4)};
}

/// Goes on from a sum over an even number of words.
Sum add(Sum sum, const unsigned char* at, std::size_t bytes, bool big) {
    auto word = [big](const unsigned char* p) {
        return big ? big_endian(p)
                   : uint32_t{p[3]} << 24 | uint32_t{p[2]} << 16 | uint32_t{p[1]} << 8 | uint32_t{p[0]};
    };
    for (std::size_t i = 0; i < bytes; i += 8) {
        sum[0] += word(at + i) + sum[1];
        sum[1] += word(at + i + 4) + sum[0];
    }
    return sum;
}

}  // namespace

bool wal_is_damaged(const std::string& database) {
    WalFile file(database + "-wal");
    std::vector<unsigned char> header(kHeaderBytes);
    if (!file.read(0, header)) return false;  // none, or not even begun
    uint32_t const magic = big_endian(header.data());
    bool const big = (magic & 1) != 0;
    uint32_t page_bytes = big_endian(header.data() + 8);
    bool broken = (magic & ~1U) != kMagic || add({}, header.data(), 24, big) != sum_at(header.data() + 24);
    if (broken) page_bytes = 4'096;

    std::vector<unsigned char> frame(kFrameHeaderBytes + page_bytes);
    std::array<uint32_t, 2> salts = sum_at(header.data() + 16);
    Sum before = sum_at(header.data() + 24);
    bool commit_behind = false;  // of frames that fit, behind the first that does not
    uint32_t commit_page = 0;
    for (uint64_t at = kHeaderBytes; file.read(at, frame); at += frame.size()) {
        auto const* const head = frame.data();
        if (at == kHeaderBytes && broken) salts = sum_at(head + 8);
        Sum sum = add(before, head, 8, big);
        sum = add(sum, head + kFrameHeaderBytes, page_bytes, big);
        before = sum_at(head + 16);
        if (sum_at(head + 8) != salts || sum != before) {
            broken = true;
            continue;
        }
        if (!broken) continue;
        uint32_t const page = big_endian(head);
        bool const commits = big_endian(head + 4) != 0;
        // A commit repeats its last frame up to the end of a sector.
        if (commit_behind && !(commits && page == commit_page)) return true;
        if (commits) {
            commit_behind = true;
            commit_page = page;
        }
    }
    return false;
}

}  // namespace rc::store::sqlite
