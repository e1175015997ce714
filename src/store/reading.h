#pragma once

#include "users.h"

/// The two requests that read records. Every call may throw SqlError. Core: the store's thread.
namespace rc::store::sqlite {

/// @param user  null: there is no such log
/// @param now  ns since 1970: what has expired of its own by then is not there
ReadAnswer read(Tables& tables, const User* user, const Read& request, int64_t now);
ListAnswer list(Tables& tables, const User* user, const List& request, int64_t now);

}  // namespace rc::store::sqlite
