#!/bin/sh
# Says which tracked sources clang-format would change. Status 77 (meson: skipped) without clang-format.
cd "$1" || exit 1
command -v clang-format >/dev/null || exit 77
if git rev-parse --git-dir >/dev/null 2>&1; then
    git ls-files -z -- '*.h' '*.cc'
else
    find include src tests tools bench \( -name '*.h' -o -name '*.cc' \) -print0 2>/dev/null
fi | xargs -0 clang-format --dry-run -Werror
