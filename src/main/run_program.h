#pragma once

#include <functional>

#include "ringcast/server/server.h"

namespace rc::main {

/// The server as a program: arguments, signals, and the status that it ends with.
/// @param at  see server::RunOptions
int run_program(int argc, char** argv, std::function<void(store::Moment)> at = {});

}  // namespace rc::main
