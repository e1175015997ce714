"""The system call filter of a systemd unit, without systemd as process 1.

    sandbox.py UNIT REFUSED COMMAND...: replaces itself by the command behind the filter that UNIT's
    SystemCallFilter=, RestrictAddressFamilies= and MemoryDenyWriteExecute= ask for; REFUSED, comma-separated, are
    calls to refuse as well.
"""
import errno
import mmap
import os
import re
import socket
import subprocess
import sys

import seccomp


def calls_of(name):
    """The calls of a set such as @aio; a call is a set of one."""
    if not name.startswith("@"):
        return {name}
    listed = subprocess.run(["systemd-analyze", "syscall-filter", name], capture_output=True, text=True, check=True)
    members = re.findall(r"^    ([@\w-]+)$", listed.stdout, re.MULTILINE)
    return set().union(*map(calls_of, members))


def permitted(unit):
    """systemd.exec(5): the first line makes it a list of what is allowed, to which @default belongs always."""
    calls = calls_of("@default")
    for line in re.findall(r"^SystemCallFilter=(.*)$", unit, re.MULTILINE):
        named = set().union(*map(calls_of, line.lstrip("~").split()))
        calls = calls - named if line.startswith("~") else calls | named
    return calls


def load_filter(unit, refused):
    assert "SystemCallErrorNumber=EPERM" in unit and "MemoryDenyWriteExecute=yes" in unit
    families = re.search(r"^RestrictAddressFamilies=(.*)$", unit, re.MULTILINE).group(1).split()
    no = seccomp.ERRNO(errno.EPERM)
    fence = seccomp.SyscallFilter(defaction=no)

    def allow(call, *arguments):
        try:
            fence.add_rule(seccomp.ALLOW, call, *arguments)
        except RuntimeError:
            pass  # libseccomp is older than the name

    for call in permitted(unit) - set(refused) - {"socket", "mmap", "mprotect"}:
        allow(call)
    for family in families:
        allow("socket", seccomp.Arg(0, seccomp.EQ, int(getattr(socket, family))))
    for unwanted in (mmap.PROT_WRITE, mmap.PROT_EXEC):
        allow("mmap", seccomp.Arg(2, seccomp.MASKED_EQ, unwanted, 0))
    allow("mprotect", seccomp.Arg(2, seccomp.MASKED_EQ, mmap.PROT_EXEC, 0))
    fence.load()


if __name__ == "__main__":
    with open(sys.argv[1], encoding="utf-8") as file:
        load_filter(file.read(), sys.argv[2].split(","))
    os.execv(sys.argv[3], sys.argv[3:])
