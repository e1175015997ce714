"""service.py BUILD KERNEL DEBIAN-TAR PYTEST-ARGUMENT...: puts an installation and its tests onto a Debian with systemd,
boots that in qemu, and ends with pytest's status. Called by tests/kernel/service."""
import pathlib
import subprocess
import sys
import tempfile

from boot import HERE, as_image, libraries, put, run

# The boot's goal: systemd brings up the usual system first, and turns the machine off behind the tests.
TESTS_UNIT = """\
[Unit]
Description=Tests of ringcast.service
Requires=multi-user.target
After=multi-user.target
SuccessAction=poweroff-force
FailureAction=poweroff-force

[Service]
Type=oneshot
StandardOutput=tty
StandardError=inherit
TTYPath=/dev/ttyS0
WorkingDirectory=/tests/kernel
Environment=PYTHONDONTWRITEBYTECODE=1 PYTHONPATH=/tests/integration
ExecStartPre=/bin/sh -c 'echo "guest: Linux $(uname -r), $(systemctl --version | head -n 1)"'
ExecStart=/usr/bin/python3 -m pytest -v --color=no -p no:cacheprovider {arguments} test_service_boot.py
ExecStopPost=/bin/sh -c 'echo $EXIT_STATUS >/dev/ttyS1; sync'
"""


def quoted(argument):
    return '"' + argument.replace("%", "%%").replace('"', '\\"') + '"'


def make_disk(build, debian, arguments, folder):
    root = folder / "root"
    root.mkdir()
    subprocess.run(["tar", "-x", "--numeric-owner", "-f", debian, "-C", root], check=True)
    subprocess.run(["meson", "install", "-C", build, "--no-rebuild", "--quiet", "--destdir", root], check=True)
    for library in libraries([build / "src/main/ringcastd", build / "tools/ringcastctl"]):
        put(library, root)
    put(HERE.parent / "integration/ringcast", root, "/tests/integration/ringcast")
    put(HERE / "test_service_boot.py", root, "/tests/kernel/test_service_boot.py")
    (root / "etc/systemd/system/tests.service").write_text(TESTS_UNIT.format(arguments=" ".join(map(quoted, arguments))))
    return as_image(root, folder / "disk")


def main():
    build, kernel, debian, arguments = pathlib.Path(sys.argv[1]), sys.argv[2], sys.argv[3], sys.argv[4:]
    with tempfile.TemporaryDirectory(dir=build / "kernel") as folder:
        folder = pathlib.Path(folder)
        disk = make_disk(build, debian, arguments, folder)
        sys.exit(run(kernel, disk, "systemd.unit=tests.service systemd.show_status=no", folder))


if __name__ == "__main__":
    main()
