#pragma once

#include "users.h"

/// The two requests that read records. Every call may throw SqlError. Core: the store's thread.
namespace rc::store::sqlite {

/// @param user  null: there is no such log
ReadAnswer read(Tables& tables, const User* user, const Read& request);
ListAnswer list(Tables& tables, const User* user, const List& request);

}  // namespace rc::store::sqlite
