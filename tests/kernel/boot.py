"""boot.py BUILD KERNEL PYTEST-ARGUMENT...: makes a disk of the programs, Python, pytest and the integration tests, boots
the kernel from it in qemu, and ends with pytest's status. Called by tests/kernel/run."""
import os
import pathlib
import re
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import threading
import time

HERE = pathlib.Path(__file__).resolve().parent
PROGRAMS = ["src/main/ringcastd", "tools/ringcast-echo", "tools/ringcast-load", "tools/ringcastctl"]
GUEST_BUILD = "/build"
STARTS_WITHIN = {"kvm": 15.0, "tcg": 240.0}  # seconds from power on to the guest's first word
ENDS_WITHIN = 7200.0


def say(words):
    print(f"==> {words}", file=sys.stderr, flush=True)


# --- the disk ---

def python_parts():
    """Files and folders that `import pytest` needs: the standard library, and packages with their names at the top."""
    yield pathlib.Path(sys.executable).resolve()
    yield pathlib.Path(sysconfig.get_path("stdlib"))
    script = ("import sys, pytest\n"
              "for name in {name.split('.')[0] for name in sys.modules}: print(getattr(sys.modules[name], '__file__', None))")
    listing = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    for file in map(pathlib.Path, listing.split("\n")):
        if "-packages" in str(file):
            yield file.parent if file.name == "__init__.py" else file


def libraries(of):
    """The shared libraries, the loader included, by the paths under which they are looked for."""
    listing = subprocess.run(["ldd", *map(str, of)], capture_output=True, text=True, check=False).stdout
    return sorted({pathlib.Path(path) for path in re.findall(r"(/\S+) \(0x", listing)})


def put(source, root, target=None):
    target = root / str(target or source).lstrip("/")
    if target.exists():
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.is_dir():
        shutil.copytree(source, target, symlinks=True, ignore=shutil.ignore_patterns("test", "idlelib", "ensurepip", "config-3*"))
    else:
        shutil.copy2(source, target)


def fill(root, build):
    for folder in ("dev", "proc", "sys", "tmp", "run", "etc", "usr/lib", "usr/lib64", "usr/bin"):
        (root / folder).mkdir(parents=True)
    for link in ("lib", "lib64", "bin"):  # as Debian has it
        (root / link).symlink_to(f"usr/{link}")
    (root / "etc/hosts").write_text("127.0.0.1 localhost\n::1 localhost\n")
    (root / "etc/passwd").write_text("root:x:0:0:root:/tmp:/bin/false\n")
    parts = [*python_parts(), *[build / program for program in PROGRAMS]]
    for part in parts:
        put(part, root, f"{GUEST_BUILD}/{part.relative_to(build)}" if part.is_relative_to(build) else None)
    modules = pathlib.Path(sysconfig.get_path("platstdlib")) / "lib-dynload"
    for library in libraries([*[part for part in parts if os.access(part, os.X_OK) and part.is_file()], *modules.glob("*.so")]):
        put(library, root)
    put(HERE.parent / "integration", root, "/tests/integration")
    put(HERE / "init.py", root, "/init.py")


def make_disk(build, folder):
    root = folder / "root"
    root.mkdir()
    fill(root, build)
    return as_image(root, folder / "disk")


def as_image(root, image):
    subprocess.run(["mke2fs", "-q", "-t", "ext4", "-E", "root_owner=0:0", "-d", root, image, "1G"], check=True,
                   stdout=subprocess.DEVNULL)
    return image


# --- the machine ---

def boot(accel, kernel, image, result, words):
    """Runs the guest to its end, its console on ours; words: for the kernel and the guest's first process.
    False if it said nothing in time: such a KVM does not run here."""
    result.write_text("")
    command = ["qemu-system-x86_64", "-accel", "tcg,thread=multi" if accel == "tcg" else accel, "-cpu", "max", "-smp", "2", "-m", "2G",
               "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot", "-kernel", kernel,
               "-drive", f"file={image},if=none,id=disk,format=raw,cache=unsafe", "-device", "nvme,drive=disk,serial=disk",
               "-serial", "stdio", "-serial", f"file:{result}", "-append",
               f"console=ttyS0 quiet panic=-1 oops=panic root=/dev/nvme0n1 rw rootfstype=ext4 {words}"]
    began = time.monotonic()
    machine = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
    spoken, done = threading.Event(), threading.Event()

    def watch():
        if not spoken.wait(STARTS_WITHIN[accel]) or not done.wait(ENDS_WITHIN):
            machine.kill()

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        for line in machine.stdout:
            if line.startswith(b"guest: "):
                spoken.set()
                say(f"up after {time.monotonic() - began:.0f} s with {accel}")
            if spoken.is_set():
                sys.stdout.buffer.write(line.replace(b"\r\n", b"\n"))
                sys.stdout.flush()
    finally:
        done.set()
        began_in_time = spoken.is_set()
        spoken.set()
        machine.kill()
        machine.wait()
        watcher.join()
    return began_in_time


def as_words(arguments):
    """For the kernel's command line, which knows quotes."""
    return " ".join(f'"{argument}"' if " " in argument else argument for argument in arguments)


def run(kernel, image, words, folder):
    """Pytest's status; or words, when there is none."""
    result = folder / "status"
    chosen = os.environ.get("RINGCAST_ACCEL")
    accel = chosen or ("kvm" if os.access("/dev/kvm", os.R_OK | os.W_OK) else "tcg")
    started = boot(accel, kernel, image, result, words)
    if not started and accel == "kvm" and not chosen:
        say("KVM does not run here; emulating")
        started = boot("tcg", kernel, image, result, words)
    if not started:
        return "the guest did not start"
    status = result.read_text().strip()
    return int(status) if status.isdigit() else "the guest ended without a result"


def main():
    build, kernel, arguments = pathlib.Path(sys.argv[1]), sys.argv[2], sys.argv[3:]
    with tempfile.TemporaryDirectory(dir=build / "kernel") as folder:
        folder = pathlib.Path(folder)
        words = f"init={os.path.realpath(sys.executable)} -- /init.py {as_words([GUEST_BUILD, *arguments])}"
        sys.exit(run(kernel, make_disk(build, folder), words, folder))


if __name__ == "__main__":
    main()
