#include "sim_disk.h"

#include <sqlite3.h>

#include <algorithm>
#include <cstring>
#include <stdexcept>

namespace rc::store {
namespace {

constexpr std::size_t kSectorBytes = 512;
constexpr const char* kName = "ringcast-sim-disk";

SimDisk* disk = nullptr;
sqlite3_vfs* real = nullptr;

struct Handle {
    sqlite3_file base;
    std::shared_ptr<SimDisk::File>* file;
    std::string* path;
    int flags;
};
SimDisk::File& file_of(sqlite3_file* handle) {
    return **reinterpret_cast<Handle*>(handle)->file;
}

void write_into(std::string& content, const SimDisk::Write& write) {
    if (write.truncate) return content.resize(write.at);
    if (content.size() < write.at + write.bytes.size()) content.resize(write.at + write.bytes.size());
    std::memcpy(content.data() + write.at, write.bytes.data(), write.bytes.size());
}

void change(SimDisk::File& file, SimDisk::Write write) {
    write_into(file.now, write);
    file.pending.push_back(std::move(write));
}

int close_file(sqlite3_file* handle) {
    auto* self = reinterpret_cast<Handle*>(handle);
    if ((self->flags & SQLITE_OPEN_DELETEONCLOSE) != 0) disk->files.erase(*self->path);
    delete self->file;
    delete self->path;
    return SQLITE_OK;
}

int read_file(sqlite3_file* handle, void* out, int count, sqlite3_int64 at) {
    if (disk->ended()) return SQLITE_IOERR_READ;
    const auto& content = file_of(handle).now;
    auto const size = static_cast<sqlite3_int64>(content.size());
    auto const there = std::clamp<sqlite3_int64>(size - at, 0, count);
    if (there > 0) std::memcpy(out, content.data() + at, static_cast<std::size_t>(there));
    if (there == count) return SQLITE_OK;
    std::memset(static_cast<char*>(out) + there, 0, static_cast<std::size_t>(count - there));
    return SQLITE_IOERR_SHORT_READ;
}

int write_file(sqlite3_file* handle, const void* bytes, int count, sqlite3_int64 at) {
    if (!disk->begin(SimDisk::Call::write)) return disk->ended() ? SQLITE_IOERR_WRITE : SQLITE_FULL;
    change(file_of(handle),
           {static_cast<uint64_t>(at), {static_cast<const char*>(bytes), static_cast<std::size_t>(count)}});
    return SQLITE_OK;
}

int truncate_file(sqlite3_file* handle, sqlite3_int64 size) {
    if (!disk->begin(SimDisk::Call::truncate)) return SQLITE_IOERR_TRUNCATE;
    if (static_cast<std::size_t>(size) < file_of(handle).now.size())
        change(file_of(handle), {static_cast<uint64_t>(size), {}, true});
    return SQLITE_OK;
}

int sync_file(sqlite3_file* handle, int) {
    auto& file = file_of(handle);
    bool const well = disk->begin(SimDisk::Call::sync);
    if (disk->ended()) return SQLITE_IOERR_FSYNC;
    if (well)
        for (const auto& write : file.pending)
            write_into(file.durable, write);
    file.pending.clear();
    return well ? SQLITE_OK : SQLITE_IOERR_FSYNC;
}

int file_size(sqlite3_file* handle, sqlite3_int64* size) {
    if (disk->ended()) return SQLITE_IOERR_FSTAT;
    *size = static_cast<sqlite3_int64>(file_of(handle).now.size());
    return SQLITE_OK;
}

int map_shared(sqlite3_file* handle, int page, int page_bytes, int extend, void volatile** out) {
    auto& pages = file_of(handle).shared_memory;
    while (extend != 0 && static_cast<int>(pages.size()) <= page)
        pages.push_back(std::make_unique<char[]>(static_cast<std::size_t>(page_bytes)));
    *out = page < static_cast<int>(pages.size()) ? pages[static_cast<std::size_t>(page)].get() : nullptr;
    return SQLITE_OK;
}

const sqlite3_io_methods kMethods{
    .iVersion = 2,
    .xClose = close_file,
    .xRead = read_file,
    .xWrite = write_file,
    .xTruncate = truncate_file,
    .xSync = sync_file,
    .xFileSize = file_size,
    .xLock = [](sqlite3_file*, int) { return SQLITE_OK; },
    .xUnlock = [](sqlite3_file*, int) { return SQLITE_OK; },
    .xCheckReservedLock =
        [](sqlite3_file*, int* held) {
            *held = 0;
            return SQLITE_OK;
        },
    .xFileControl = [](sqlite3_file*, int, void*) { return SQLITE_NOTFOUND; },
    .xSectorSize = [](sqlite3_file*) { return static_cast<int>(kSectorBytes); },
    .xDeviceCharacteristics = [](sqlite3_file*) { return 0; },
    .xShmMap = map_shared,
    .xShmLock = [](sqlite3_file*, int, int, int) { return SQLITE_OK; },
    .xShmBarrier = [](sqlite3_file*) {},
    .xShmUnmap =
        [](sqlite3_file* handle, int remove) {
            if (remove != 0) file_of(handle).shared_memory.clear();
            return SQLITE_OK;
        },
};

int open_file(sqlite3_vfs*, const char* name, sqlite3_file* handle, int flags, int* out_flags) {
    auto* self = reinterpret_cast<Handle*>(handle);
    self->base.pMethods = nullptr;
    if (disk->ended()) return SQLITE_CANTOPEN;
    std::string const path = name ? name : "(temporary)";
    auto& file = disk->files[path];
    if (!file) {
        if ((flags & SQLITE_OPEN_CREATE) == 0 || !disk->begin(SimDisk::Call::open)) {
            disk->files.erase(path);
            return SQLITE_CANTOPEN;
        }
        file = std::make_shared<SimDisk::File>();
    }
    self->file = new std::shared_ptr<SimDisk::File>(file);
    self->path = new std::string(path);
    self->flags = flags;
    self->base.pMethods = &kMethods;
    if (out_flags) *out_flags = flags;
    return SQLITE_OK;
}

sqlite3_vfs vfs{
    .iVersion = 1,
    .szOsFile = sizeof(Handle),
    .mxPathname = 512,
    .zName = kName,
    .xOpen = open_file,
    .xDelete =
        [](sqlite3_vfs*, const char* name, int) {
            if (disk->ended()) return SQLITE_IOERR_DELETE;
            return disk->files.erase(name) > 0 ? SQLITE_OK : SQLITE_IOERR_DELETE_NOENT;
        },
    .xAccess =
        [](sqlite3_vfs*, const char* name, int, int* there) {
            *there = disk->files.count(name) > 0 ? 1 : 0;
            return SQLITE_OK;
        },
    .xFullPathname =
        [](sqlite3_vfs*, const char* name, int size, char* out) {
            sqlite3_snprintf(size, out, "%s", name);
            return SQLITE_OK;
        },
    .xRandomness = [](sqlite3_vfs*, int count, char* out) { return real->xRandomness(real, count, out); },
    .xSleep = [](sqlite3_vfs*, int microseconds) { return microseconds; },
    .xCurrentTime = [](sqlite3_vfs*, double* now) { return real->xCurrentTime(real, now); },
    .xGetLastError = [](sqlite3_vfs*, int, char*) { return 0; },
};

}  // namespace

SimDisk::SimDisk() {
    if (disk) throw std::runtime_error("one disk at a time");
    real = sqlite3_vfs_find(nullptr);
    disk = this;
    sqlite3_vfs_register(&vfs, 1);
}

SimDisk::~SimDisk() {
    sqlite3_vfs_unregister(&vfs);
    sqlite3_vfs_register(real, 1);
    disk = nullptr;
}

void SimDisk::put(const std::string& path, std::string content) {
    auto file = std::make_shared<File>();
    file->now = file->durable = std::move(content);
    files[path] = std::move(file);
}

bool SimDisk::begin(Call call) {
    if (ended_) return false;
    ended_ = ++calls_ >= end_at_;
    return !ended_ && !(fails && fails(call));
}

void SimDisk::restart() {
    ended_ = false;
    end_at_ = UINT64_MAX;
    for (auto& [path, file] : files)
        file->shared_memory.clear();
}

void SimDisk::restart_after_power_cut(std::mt19937_64& chance) {
    for (auto& [path, file] : files) {
        for (const auto& write : file->pending) {
            switch (chance() % 3) {
                case 0: break;
                case 1: write_into(file->durable, write); break;
                default:
                    for (std::size_t at = 0; at < write.bytes.size(); at += kSectorBytes)
                        if (chance() % 2)
                            write_into(file->durable, {write.at + at, write.bytes.substr(at, kSectorBytes)});
            }
        }
        file->pending.clear();
        file->now = file->durable;
    }
    restart();
}

}  // namespace rc::store
