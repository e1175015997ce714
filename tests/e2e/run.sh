#!/bin/sh
# End-to-end tests: run.sh [node's arguments]. The npm packages go into the build directory, once.
# RINGCAST_BUILD: meson's build directory; default `build` at the root.
set -eu
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
RINGCAST_BUILD=${RINGCAST_BUILD:-$here/../../build}
export RINGCAST_BUILD

packages=$RINGCAST_BUILD/tests/e2e/packages
if ! cmp -s "$here/package-lock.json" "$packages/node_modules/installed.json"; then
  mkdir -p "$packages"
  cp "$here/package.json" "$here/package-lock.json" "$here/.npmrc" "$packages/"
  (cd "$packages" && npm ci --no-progress)
  cp "$here/package-lock.json" "$packages/node_modules/installed.json"
fi

# One file at a time: the example of the protocol document needs port 5000.
exec node --test --test-concurrency=1 --test-reporter=spec "$@" "$here"/*.test.mjs
