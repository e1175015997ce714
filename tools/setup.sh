# Sourced by tools/run and tools/test. Packages and build directories; says what it does, and does nothing twice.

say() { printf '==> %s\n' "$*" >&2; }
die() { printf '%s: %s\n' "${0##*/}" "$*" >&2; exit 1; }

# install_packages GROUP...: those of tools/packages that are missing. Asks no network when none is.
install_packages() {
    local groups=" $* " missing=() group package command
    while read -r group package command; do
        [[ -z $group || $group == \#* || $groups != *" $group "* ]] && continue
        [[ -n $command ]] && command -v "$command" >/dev/null && continue
        [[ $(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null) == installed ]] || missing+=("$package")
    done <"$top/tools/packages"
    [[ ${#missing[@]} -eq 0 ]] && return

    command -v apt-get >/dev/null || die "needs Debian's apt-get, or these packages under your system's names: ${missing[*]}"
    local root=()
    if [[ $(id -u) -ne 0 ]]; then
        command -v sudo >/dev/null || die "run this as root once: apt-get install ${missing[*]}"
        root=(sudo)
    fi
    say "installing with apt-get: ${missing[*]}"
    local quiet=(-qq -o Dpkg::Use-Pty=0)
    "${root[@]}" apt-get "${quiet[@]}" update >&2 || say "apt-get update failed; trying with the lists that are there"
    "${root[@]}" env DEBIAN_FRONTEND=noninteractive \
        apt-get "${quiet[@]}" install -y --no-install-recommends "${missing[@]}" >&2 ||
        die "apt-get could not install: ${missing[*]}"
}

# build DIR MESON-OPTION...: configures DIR once, and brings it up to date: all of it, or what ${targets[@]} names.
targets=()
build() {
    local directory=$1
    shift
    [[ -d /usr/lib/ccache ]] && command -v ccache >/dev/null && PATH=/usr/lib/ccache:$PATH
    local how=()
    [[ ! -f $directory/build.ninja ]] || how=(--reconfigure)
    # Set up already with these options, and maybe more: nothing to do.
    if [[ ! -f $directory/setup.options || $(<"$directory/setup.options") != *" $* "* ]]; then
        say "setting up ${directory#"$top"/}: meson setup $*"
        meson setup "${how[@]}" "$directory" "$top" "$@" >"$directory.log" 2>&1 || { cat "$directory.log" >&2; die "meson setup failed"; }
        mv "$directory.log" "$directory/setup.log"
        echo " $* " >"$directory/setup.options"
    fi
    say "building ${directory#"$top"/}"
    ninja -C "$directory" --quiet "${targets[@]}" >&2 || die "the build failed"
}
