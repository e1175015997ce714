// ringcastd, but that it kills itself at a named point: for the crash ledger.
//   KILL_AT=POINT:N   the N-th time that it gets there. POINT: handled, committed, published, answered (see
//                     ringcast/store/moment.h); log-write, log-sync, log-synced, file-write, file-sync: in
//                     the middle of a commit, and of a checkpoint
#include <signal.h>
#include <sqlite3.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <cstring>
#include <string>
#include <string_view>
#include <thread>

#include "ringcast/base/limits.h"
#include "run_program.h"

namespace {

std::string wanted;
std::atomic<int> left;

void reach(std::string_view point) {
    if (wanted != point || --left != 0) return;
    // The cores are not woken yet, but have a turn by then: clients get what nobody is answered for.
    if (point == "published") std::this_thread::sleep_for(2 * rc::limits::kTurnWaitMax);
    ::kill(::getpid(), SIGKILL);
}

// SQLite's own files, with a word before and after what they do.
sqlite3_io_methods log_methods, file_methods;
const sqlite3_io_methods* own_methods;

int write(sqlite3_file* file, const void* bytes, int count, sqlite3_int64 at) {
    reach(file->pMethods == &log_methods ? "log-write" : "file-write");
    return own_methods->xWrite(file, bytes, count, at);
}

int sync(sqlite3_file* file, int flags) {
    bool const log = file->pMethods == &log_methods;
    reach(log ? "log-sync" : "file-sync");
    int const code = own_methods->xSync(file, flags);
    if (log) reach("log-synced");
    return code;
}

sqlite3_vfs vfs;
sqlite3_vfs* own_vfs;

int open(sqlite3_vfs*, const char* name, sqlite3_file* file, int flags, int* out) {
    int const code = own_vfs->xOpen(own_vfs, name, file, flags, out);
    if (code != SQLITE_OK || (flags & (SQLITE_OPEN_WAL | SQLITE_OPEN_MAIN_DB)) == 0) return code;
    own_methods = file->pMethods;
    auto& methods = (flags & SQLITE_OPEN_WAL) != 0 ? log_methods : file_methods;
    methods = *own_methods;
    methods.xWrite = write;
    methods.xSync = sync;
    file->pMethods = &methods;
    return code;
}

}  // namespace

int main(int argc, char** argv) {
    if (const char* where = std::getenv("KILL_AT")) {
        const char* const colon = std::strchr(where, ':');
        if (!colon) return 2;
        wanted.assign(where, colon);
        left = std::atoi(colon + 1);
        own_vfs = sqlite3_vfs_find(nullptr);
        vfs = *own_vfs;
        vfs.zName = "killable";
        vfs.xOpen = open;
        sqlite3_vfs_register(&vfs, 1);
    }
    return rc::main::run_program(argc, argv, [](rc::store::Moment moment) {
        constexpr const char* kNames[] = {"handled", "committed", "published", "answered"};
        reach(kNames[static_cast<int>(moment)]);
    });
}
