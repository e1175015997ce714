#include "ringcast/store/maintenance.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>

#include "check.h"
#include "sqlite_file.h"

namespace rc::store {

using sqlite::Database;
using sqlite::SqlError;
using sqlite::State;
using sqlite::Statement;
using sqlite::Trouble;

namespace {

/// Opens for reading, and throws unless it is a store that this program knows.
void check_usable(Database& db) {
    if (auto const wrong = sqlite::wrong_with(db); !wrong.empty())
        throw SqlError{Trouble::damaged, "it " + wrong};
}

}  // namespace

Result<Verified> verify(const std::string& path) {
    Verified out;
    try {
        Database db(path, Database::Access::read);
        db.execute("BEGIN");
        check_usable(db);
        sqlite::check(db, sqlite::Check::whole, {}, out);
        db.execute("COMMIT");
        return out;
    } catch (const SqlError& error) {
        if (error.trouble != Trouble::damaged || out.problems.empty())
            return tl::unexpected(sqlite::start_error(path, error));
        out.problems.push_back(error.text);
        return out;
    }
}

Result<uint64_t> backup(const std::string& path, const std::string& target) {
    std::string const draft = target + ".part";
    auto cannot = [](const std::string& name) {
        return fail(Errc::settings, fmt::format("{}: {}", name, std::strerror(errno)));
    };
    if (::access(target.c_str(), F_OK) == 0)
        return fail(Errc::settings, fmt::format("{}: it exists", target));
    ::unlink(draft.c_str());
    int const fd = ::open(draft.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0) return cannot(draft);
    ::close(fd);
    try {
        Database db(path, Database::Access::read);
        check_usable(db);
        Database copy(draft, Database::Access::write);
        db.copy_to(copy);
        if (copy.text("PRAGMA journal_mode = DELETE") != "delete")
            throw SqlError{Trouble::failed, "its journal cannot be ended"};
        State state = sqlite::read_state(copy);
        state.backup = true;
        Statement statement(copy, sqlite::kWriteState);
        sqlite::write_state(statement, state);
    } catch (const SqlError& error) {
        ::unlink(draft.c_str());
        return tl::unexpected(sqlite::start_error(path, error));
    }
    struct stat status {};
    if (::stat(draft.c_str(), &status) != 0 || std::rename(draft.c_str(), target.c_str()) != 0 ||
        !sqlite::sync_directory_of(target))
        return cannot(target);
    return static_cast<uint64_t>(status.st_size);
}

}  // namespace rc::store
