#!/usr/bin/env bash
# planted.sh [PATCH...]: plants each bug of planted/ in a copy of the sources, and says after how many seeds ringcast-sim
# finds it. What is committed is copied, changes that are not are not. Status 1 if one is not found, or not planted.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
seeds_max=${SEEDS_MAX:-200000}
patches=("$@")
[[ $# -gt 0 ]] || patches=("$here"/planted/*.patch)
[[ ! -d /usr/lib/ccache ]] || PATH=/usr/lib/ccache:$PATH

copy=$(mktemp -d)
trap 'rm -rf "$copy"' EXIT
top=$(git -C "$here" rev-parse --show-toplevel)
git -C "$top" archive HEAD | tar -x -C "$copy"
meson setup "$copy/build" "$copy" --buildtype=release -Dtests=enabled >"$copy/setup.log"

missed=0
for patch in "${patches[@]}"; do
    name=$(basename "$patch" .patch)
    patch -s -d "$copy" -p1 <"$patch"
    ninja -C "$copy/build" tests/sim/ringcast-sim >"$copy/build.log" || { cat "$copy/build.log"; exit 1; }
    if found=$("$copy/build/tests/sim/ringcast-sim" --seeds "1..$seeds_max" 2>&1 >/dev/null); then
        echo "$name: not found in $seeds_max seeds"
        missed=1
    else
        echo "$name: ${found//$'\n'/; }"
    fi
    patch -s -R -d "$copy" -p1 <"$patch"
done
exit $missed
