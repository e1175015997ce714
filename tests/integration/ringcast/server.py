"""The programs under test, as processes of their own."""
import itertools
import os
import pathlib
import re
import shutil
import signal
import subprocess
import tempfile
import threading
import time

from .api import Api
from .client import PATIENCE, WsClient

_STARTS_WITHIN = 30.0  # seconds, for a sanitizer build on a busy machine
_TROUBLE = re.compile(r"Sanitizer|runtime error:|assertion failed|terminate called|panic", re.IGNORECASE)
_READY = re.compile(r"^ringcastd ready clients((?: \S+:\d+| unix:\S+)+) api((?: \S+:\d+| unix:\S+)*)$", re.MULTILINE)
_numbers = itertools.count(1)


def build_dir():
    """The meson build directory whose programs are tested: RINGCAST_BUILD, else `build` beside the sources."""
    default = pathlib.Path(__file__).resolve().parents[3] / "build"
    return pathlib.Path(os.environ.get("RINGCAST_BUILD", default)).resolve()  # tests start programs elsewhere


def program(name):
    folder = {"ringcastd": "src/main", "killable": "tests/integration"}.get(name, "tools")
    return build_dir() / folder / name


def build_has_sanitizer():
    """True if the programs were built with a sanitizer: memory and time mean nothing then."""
    content = program("ringcastd").read_bytes()
    return b"__asan_init" in content or b"__tsan_init" in content


def unique(prefix=""):
    """A name for a user or a topic that no other test of this run has."""
    return f"{prefix or 'name'}-{os.getpid()}-{next(_numbers)}"


def clean_environment():
    """Without what the server would take for its settings."""
    return {k: v for k, v in os.environ.items()
            if not k.startswith("RINGCAST_") and k not in ("STATE_DIRECTORY", "NOTIFY_SOCKET")}


def to_toml(settings):
    """Settings as TOML: plain values first, then the tables."""
    def value(v):
        if isinstance(v, bool):
            return "true" if v else "false"
        if isinstance(v, int):
            return str(v)
        if isinstance(v, str):
            return '"' + v.replace("\\", "\\\\").replace('"', '\\"') + '"'
        return "[" + ", ".join(value(item) for item in v) + "]"

    def is_tables(v):
        return isinstance(v, list) and v and all(isinstance(entry, dict) for entry in v)

    def table(prefix, entries):
        lines = [f"[{prefix}]"] if prefix else []
        lines += [f"{k} = {value(v)}" for k, v in entries.items() if not isinstance(v, dict) and not is_tables(v)]
        for k, v in entries.items():
            name = f"{prefix}.{k}" if prefix else k
            if isinstance(v, dict):
                lines += table(name, v)
            elif is_tables(v):
                for entry in v:
                    lines += [f"[[{name}]]"] + table("", entry)
        return lines

    return "\n".join(table("", settings)) + "\n"


def parse_address(text):
    """`127.0.0.1:80` or `[::1]:80` as the socket module has it."""
    host, _, port = text.rpartition(":")
    return host.strip("[]"), int(port)


class Process:
    """A program that says when it is ready on stderr, which is kept."""

    def __init__(self, command, env=None, wait_for=None):
        self.command = [str(part) for part in command]
        environment = {**clean_environment(), **(env or {})}
        self._lines, self._arrived, self._ended = [], threading.Condition(), False
        self.process = subprocess.Popen(self.command, env=environment, stdin=subprocess.DEVNULL,
                                        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, close_fds=True)
        self._thread = threading.Thread(target=self._collect, daemon=True)
        self._thread.start()
        if wait_for is not None:
            try:
                self.wait_for_stderr(wait_for, _STARTS_WITHIN)
            except BaseException:
                self.kill()
                raise

    @property
    def pid(self):
        return self.process.pid

    def _collect(self):
        for line in self.process.stderr:
            with self._arrived:
                self._lines.append(line.decode("utf-8", "replace"))
                self._arrived.notify_all()
        with self._arrived:
            self._ended = True
            self._arrived.notify_all()

    @property
    def stderr(self):
        with self._arrived:
            return "".join(self._lines)

    def wait_for_stderr(self, pattern, timeout=PATIENCE):
        """The first match of the pattern in what has come and comes."""
        pattern = re.compile(pattern) if isinstance(pattern, str) else pattern
        deadline = time.monotonic() + timeout
        with self._arrived:
            while True:
                text = "".join(self._lines)
                if match := pattern.search(text):
                    return match
                left = deadline - time.monotonic()
                assert not self._ended, f"{self.command} ended:\n{text}"
                assert left > 0, f"no {pattern.pattern!r} in:\n{text}"
                self._arrived.wait(left)

    def wait_for_exit(self, timeout=PATIENCE):
        status = self.process.wait(timeout)
        self._thread.join(timeout)
        return status

    def check_stderr(self):
        assert not _TROUBLE.search(self.stderr), self.stderr

    def signal(self, number):
        self.process.send_signal(number)

    def stop(self, timeout=60.0):
        """SIGTERM; then status 0 and no sanitizer's report."""
        if self.process.returncode is not None:
            return
        self.signal(signal.SIGTERM)
        try:
            status = self.wait_for_exit(timeout)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"did not end after SIGTERM:\n{self.stderr}") from None
        self.check_stderr()
        assert status == 0, f"status {status}:\n{self.stderr}"

    def kill(self):
        """SIGKILL, at once."""
        self.process.kill()
        self.wait_for_exit()

    # --- what the kernel says about it ---

    def rss_bytes(self):
        with open(f"/proc/{self.pid}/status", encoding="ascii") as file:
            return int(re.search(r"VmRSS:\s+(\d+) kB", file.read()).group(1)) * 1024

    def cpu_seconds(self):
        with open(f"/proc/{self.pid}/stat", encoding="ascii") as file:
            fields = file.read().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def descriptors(self):
        return len(os.listdir(f"/proc/{self.pid}/fd"))


class Server(Process):
    """ringcastd on free ports, with a data directory of its own.

    settings: as in the TOML file, e.g. {"ping_interval": "200ms", "limits": {"subscriptions": 5}}.
    data_dir: to keep one over a restart; else it is temporary and goes with cleanup().
    under: a command to which the server's own is appended.
    ready False: does not wait for the ready line, for starts that must fail.
    kill_at: "POINT:N", where the server kills itself (tests/integration/killable.cc).
    """

    def __init__(self, *, workers=1, settings=None, args=(), env=None, data_dir=None, under=(), ready=True, api_key=None,
                 kill_at=None):
        self._temporary = tempfile.mkdtemp(prefix="ringcast-test-")
        self._api_key = api_key or (env or {}).get("RINGCAST_API_KEY")
        self.data_dir = pathlib.Path(data_dir or os.path.join(self._temporary, "data"))
        self.config_file = pathlib.Path(self._temporary) / "ringcast.toml"
        everything = {"ping_interval": "1h", "drain_time": "100ms", **(settings or {})}
        self.config_file.write_text(to_toml(everything), encoding="utf-8")
        if kill_at:
            env = {**(env or {}), "KILL_AT": kill_at}
        command = [*under, program("killable" if kill_at else "ringcastd"), "--config", self.config_file, "--data-dir", self.data_dir,
                   "--workers", workers]
        if not {"listen", "listener"} & set(everything) and "--listen" not in args:
            command += ["--listen", "127.0.0.1:0"]
        if "api_listen" not in everything and "--api-listen" not in args:
            command += ["--api-listen", "127.0.0.1:0"]
        try:
            super().__init__(command + list(args), env, _READY if ready else None)
        except BaseException:
            shutil.rmtree(self._temporary, ignore_errors=True)
            raise
        if ready:
            match = _READY.search(self.stderr)
            self.client_addresses = [parse_address(t) for t in match.group(1).split() if not t.startswith("unix:")]
            self.api_addresses = [parse_address(t) for t in match.group(2).split() if not t.startswith("unix:")]
            self.client_sockets = [t.removeprefix("unix:") for t in match.group(1).split() if t.startswith("unix:")]
            self.api = self.new_api() if self.api_addresses else None

    @property
    def address(self):
        return self.client_addresses[0]

    @property
    def api_address(self):
        return self.api_addresses[0]

    def api_key(self):
        return self._api_key or (self.data_dir / "api.key").read_text(encoding="ascii").strip()

    def new_api(self, **how):
        return Api(self.api_address, self.api_key(), **how)

    def connect(self, **how):
        return WsClient(self.address, **how)

    def stop(self, timeout=60.0):
        if self.api:
            self.api.close()
        super().stop(timeout)

    def cleanup(self):
        """Ends it, whatever its state, and removes its files."""
        if self.process.returncode is None:
            self.kill()
        if getattr(self, "api", None):
            self.api.close()
        shutil.rmtree(self._temporary, ignore_errors=True)


class EchoServer(Process):
    """ringcast-echo on a free port."""

    def __init__(self, *, workers=1, args=()):
        super().__init__([program("ringcast-echo"), "--listen", "127.0.0.1:0", "--workers", workers, *args],
                         wait_for=r"ready.* \S+:\d+")
        line = self.wait_for_stderr(r"ready(.*)\n").group(1)
        self.address = parse_address(re.search(r"\S+:\d+", line).group(0))

    def connect(self, path="/", **how):
        return WsClient(self.address, path, **how)

    def cleanup(self):
        if self.process.returncode is None:
            self.kill()
