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

/// The frames of a write-ahead log, one after the other.
class Frames {
  public:
    explicit Frames(const std::string& database) : file_(database + "-wal"), bytes_(kHeaderBytes) {
        there_ = file_.read(0, bytes_);
        if (!there_) return;
        uint32_t const magic = big_endian(bytes_.data());
        big_ = (magic & 1) != 0;
        header_fits_ =
            (magic & ~1U) == kMagic && add({}, bytes_.data(), 24, big_) == sum_at(bytes_.data() + 24);
        salts_ = sum_at(bytes_.data() + 16);
        before_ = sum_at(bytes_.data() + 24);
        bytes_.resize(kFrameHeaderBytes + (header_fits_ ? big_endian(bytes_.data() + 8) : 4'096));
    }

    /// False: there is none, or not even its header is whole.
    [[nodiscard]] bool there() const { return there_; }
    [[nodiscard]] bool header_fits() const { return header_fits_; }
    bool next() {
        if (!there_ || !file_.read(at_, bytes_)) return false;
        const auto* const head = bytes_.data();
        if (at_ == kHeaderBytes && !header_fits_) salts_ = sum_at(head + 8);
        at_ += bytes_.size();
        Sum sum = add(before_, head, 8, big_);
        sum = add(sum, head + kFrameHeaderBytes, bytes_.size() - kFrameHeaderBytes, big_);
        before_ = sum_at(head + 16);
        fits_ = sum_at(head + 8) == salts_ && sum == before_;
        return true;
    }
    /// Of the present one: whether it belongs behind the one before.
    [[nodiscard]] bool fits() const { return fits_; }
    [[nodiscard]] uint32_t page() const { return big_endian(bytes_.data()); }
    [[nodiscard]] bool commits() const { return big_endian(bytes_.data() + 4) != 0; }

  private:
    WalFile file_;
    std::vector<unsigned char> bytes_;
    bool there_ = false, header_fits_ = false, big_ = false, fits_ = false;
    Sum salts_{}, before_{};
    uint64_t at_ = kHeaderBytes;
};

}  // namespace

bool wal_is_damaged(const std::string& database) {
    Frames frames(database);
    if (!frames.there()) return false;
    bool broken = !frames.header_fits();
    bool commit_behind = false;  // of frames that fit, behind the first that does not
    uint32_t commit_page = 0;
    while (frames.next()) {
        if (!frames.fits()) {
            broken = true;
            continue;
        }
        if (!broken) continue;
        // A commit repeats its last frame up to the end of a sector.
        if (commit_behind && !(frames.commits() && frames.page() == commit_page)) return true;
        if (frames.commits()) {
            commit_behind = true;
            commit_page = frames.page();
        }
    }
    return false;
}

uint32_t missing_page(Database& db, const std::string& database) {
    sqlite3_file* file = nullptr;
    sqlite3_int64 bytes = 0;
    sqlite3_file_control(db.handle(), "main", SQLITE_FCNTL_FILE_POINTER, &file);
    if (int const code = file->pMethods->xFileSize(file, &bytes); code != SQLITE_OK) db.raise(code);
    auto const in_file = static_cast<uint64_t>(bytes / db.integer("PRAGMA page_size"));
    auto const pages = static_cast<uint64_t>(db.integer("PRAGMA page_count"));
    if (in_file >= pages) return 0;
    std::vector<bool> in_log(pages + 1);
    std::vector<uint32_t> of_commit;
    for (Frames frames(database); frames.header_fits() && frames.next() && frames.fits();) {
        of_commit.push_back(frames.page());
        if (!frames.commits()) continue;
        for (uint32_t const page : of_commit)
            if (page <= pages) in_log[page] = true;
        of_commit.clear();
    }
    for (uint64_t page = in_file + 1; page <= pages; ++page)
        if (!in_log[page]) return static_cast<uint32_t>(page);
    return 0;
}

}  // namespace rc::store::sqlite
