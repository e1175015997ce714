# Sourced by tests/kernel/run and tests/kernel/service, behind tools/setup.sh. What both take from the environment:
#   RINGCAST_BUILD  the build directory (default: build)
#   RINGCAST_ACCEL  kvm or tcg (default: kvm where it runs, else tcg)
#   RINGCAST_KERNEL a kernel of your own, with NVMe and ext4 built in
PATH=$PATH:/sbin:/usr/sbin

build=$(realpath -m "${RINGCAST_BUILD:-$top/build}")
install_packages build test kernel
targets=(src/main/ringcastd tools/ringcast-echo tools/ringcast-load tools/ringcastctl)
build "$build" --buildtype=release

work=$build/kernel
mkdir -p "$work"
kernel=${RINGCAST_KERNEL:-}
if [[ -z $kernel ]]; then
    kernel=$(find "$work" -path '*/boot/vmlinuz-*' | sort -V | tail -n 1)
fi
if [[ -z $kernel ]]; then
    # Debian's kernel for virtual machines: the same source, and all that it boots from here is built in.
    package=$(apt-cache depends linux-image-cloud-amd64 | awk '$1 == "Depends:" {print $2}')
    [[ -n $package ]] || die "apt-get knows no linux-image-cloud-amd64: run apt-get update"
    say "fetching $package"
    (cd "$work" && apt-get -qq -o APT::Sandbox::User=root download "$package") || die "apt-get could not fetch $package"
    dpkg-deb --fsys-tarfile "$work/$package"_*.deb | tar -x -C "$work" --wildcards './boot/vmlinuz-*'
    kernel=$(find "$work" -path '*/boot/vmlinuz-*')
fi
