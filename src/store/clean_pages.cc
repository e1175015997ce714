#include "clean_pages.h"

#include <array>
#include <cstdint>
#include <cstring>
#include <utility>

namespace rc::store::sqlite {
namespace {

// The format: https://www.sqlite.org/fileformat2.html, "B-tree Pages" and "Pointer Map or Ptrmap Pages".
constexpr int kPageBytes = 4'096;             // SQLite's usual; pages of another size are written as they are
constexpr uint64_t kMapped = kPageBytes / 5;  // pages, by one page of the pointer map
constexpr std::size_t kFileHeaderBytes = 100;
// Up to here, all other kinds of pages begin with a zero, the highest byte of a page's number.
constexpr sqlite3_int64 kFileBytesMax = 32LL << 30;

std::size_t number(const unsigned char* at) {
    return std::size_t{at[0]} << 8 | at[1];
}

/// What belongs to no row of a page of a tree: from its first byte to the one behind its last.
std::pair<std::size_t, std::size_t> gap_in(const unsigned char* page, sqlite3_int64 at) {
    auto const page_number = static_cast<uint64_t>(at) / kPageBytes + 1;
    if (at >= kFileBytesMax || (page_number >= 2 && (page_number - 2) % (kMapped + 1) == 0)) return {};
    std::size_t const start = page_number == 1 ? kFileHeaderBytes : 0;
    const auto* const head = page + start;
    bool const leaf = head[0] == 10 || head[0] == 13, inner = head[0] == 2 || head[0] == 5;
    if (!leaf && !inner) return {};
    std::size_t const from = start + (leaf ? 8 : 12) + 2 * number(head + 3), to = number(head + 5);
    if (from >= to || to > kPageBytes) return {};
    return {from, to};
}

}  // namespace

void CleanPages::attach(sqlite3* db) {
    sqlite3_file* file = nullptr;
    int const code = sqlite3_file_control(db, "main", SQLITE_FCNTL_FILE_POINTER, &file);
    if (code != SQLITE_OK || !file || !file->pMethods) return;  // in memory
    own_ = file->pMethods;
    static_cast<sqlite3_io_methods&>(*this) = *own_;
    xWrite = write;
    file->pMethods = this;
}

int CleanPages::write(sqlite3_file* file, const void* bytes, int count, sqlite3_int64 at) {
    const auto* const own = static_cast<const CleanPages*>(file->pMethods)->own_;
    if (count != kPageBytes || at % kPageBytes != 0) return own->xWrite(file, bytes, count, at);
    auto const [from, to] = gap_in(static_cast<const unsigned char*>(bytes), at);
    if (from == to) return own->xWrite(file, bytes, count, at);
    std::array<unsigned char, kPageBytes> page;
    std::memcpy(page.data(), bytes, kPageBytes);
    std::memset(page.data() + from, 0, to - from);
    return own->xWrite(file, page.data(), count, at);
}

}  // namespace rc::store::sqlite
