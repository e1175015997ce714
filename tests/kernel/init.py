"""The first process of the guest: /init.py BUILD PYTEST-ARGUMENT... Runs pytest on the console, writes its status to
the second serial port, and turns the machine off."""
import ctypes
import fcntl
import os
import resource
import signal
import socket
import struct
import subprocess
import sys

LIBC = ctypes.CDLL(None, use_errno=True)
RB_POWER_OFF = 0x4321FEDC
SIOCGIFFLAGS, SIOCSIFFLAGS, IFF_UP = 0x8913, 0x8914, 1


def mount(kind, where):
    if LIBC.mount(kind, where, kind, 0, None) != 0:
        raise OSError(ctypes.get_errno(), f"mount {where}")


def loopback_up():
    with socket.socket() as any_socket:
        request = struct.pack("16sh14x", b"lo", 0)
        flags = struct.unpack("16sh14x", fcntl.ioctl(any_socket, SIOCGIFFLAGS, request))[1]
        fcntl.ioctl(any_socket, SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", flags | IFF_UP))


def run(build, arguments):
    os.environ.update(PATH="/usr/bin", HOME="/tmp", LANG="C.UTF-8", RINGCAST_BUILD=build, PYTHONDONTWRITEBYTECODE="1")
    resource.setrlimit(resource.RLIMIT_NOFILE, (1024, 524288))  # as systemd has it
    tests = subprocess.Popen([sys.executable, "-m", "pytest", "-c", "pytest.ini", "--color=no", *arguments], cwd="/tests/integration")
    while True:  # orphans end here too
        pid, status = os.wait()
        if pid == tests.pid:
            return os.waitstatus_to_exitcode(status)


def main():
    mount(b"devtmpfs", b"/dev")
    for descriptor in range(3):
        os.dup2(os.open("/dev/ttyS0", os.O_RDWR | os.O_NOCTTY), descriptor)
    mount(b"proc", b"/proc")
    mount(b"sysfs", b"/sys")
    loopback_up()
    name = os.uname()
    print(f"guest: Linux {name.release} {name.version}, {os.cpu_count()} CPUs", flush=True)
    status = run(sys.argv[1], sys.argv[2:])
    with open("/dev/ttyS1", "w", encoding="ascii") as result:
        print(status, file=result, flush=True)
    LIBC.tcdrain(1)


signal.signal(signal.SIGINT, signal.SIG_IGN)
try:
    main()
finally:
    os.sync()
    LIBC.reboot(RB_POWER_OFF)
