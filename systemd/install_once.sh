#!/bin/sh
# install_once.sh FILE DIRECTORY: run by `meson install`; copies the file there unless there is one of its name.
set -eu
target=${DESTDIR:-}$2/${1##*/}
[ -e "$target" ] || install -D -m 0644 "$1" "$target"
