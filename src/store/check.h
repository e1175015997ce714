#pragma once

#include <functional>

#include "ringcast/store/maintenance.h"
#include "sqlite.h"

namespace rc::store::sqlite {

enum class Check : uint8_t {
    quick,  // the trees of pages of a small file, rows and counts
    whole,  // all pages, the order in the indexes too
};

/// Looks at one snapshot of a file of the present version, newest rows first, and collects what is wrong
/// with it. Throws SqlError where it cannot be read.
/// @param next_part  called before each of the parts; may limit the database's time for it: a part that is
/// cut
///                   off says nothing. May be empty
void check(Database& db, Check how, const std::function<void()>& next_part, Verified& out);

}  // namespace rc::store::sqlite
