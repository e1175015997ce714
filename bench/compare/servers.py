"""How each server is started for a work: pinned to CPU 1, with nothing but defaults that its documentation advises."""
import os
import re
import socket
import subprocess
import tempfile
import time
from pathlib import Path

TOP = Path(__file__).resolve().parents[2]
PEERS = TOP / "bench" / "compare" / "peers"
NODE = TOP / "build" / "bench" / "compare"  # the scripts, beside the npm packages that they use
SERVER_CPU, LOAD_CPU, BOTH_CPUS = "1", "0", "0,1"


def congestion_control():
    return Path("/proc/sys/net/ipv4/tcp_congestion_control").read_text().strip()


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def wait_for(port, process, seconds=10):
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if process.poll() is not None:
            raise RuntimeError(f"it ended with {process.returncode}")
        with socket.socket() as one:
            if one.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise RuntimeError(f"nobody listens on port {port}")


class Running:
    """A server for one run. `arguments` are ringcast-load's; `pid` is whose CPU and memory are measured."""

    def __init__(self, server, work):
        self.directory = tempfile.TemporaryDirectory()
        self.port, self.api_port, self.nats_port = free_port(), free_port(), free_port()
        self.processes, self.commands, self.gateway = [], [], None
        self.arguments = ["--url", f"ws://127.0.0.1:{self.port}/ws"]
        if work.load[0] in ("fanout", "targeted"):
            self.arguments += ["--api", f"http://127.0.0.1:{self.api_port}"]
        getattr(self, "start_" + server.replace("-", "_"))(work)
        self.pid = self.worker_of(self.processes[0].pid)

    def run(self, command, port, cpu=SERVER_CPU):
        command = ["taskset", "-c", cpu, *map(str, command)]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=open(f"{self.directory.name}/log", "ab"),
                                   env=os.environ | {"RINGCAST_API_KEY": "compare"})
        self.processes.append(process)
        self.commands.append(self.plain(command))
        wait_for(port, process)
        return process

    def plain(self, command):
        """The command as it stands in the results: no path of this machine, no port that was chosen by chance."""
        text = " ".join(map(str, command)).replace(self.directory.name, "DIRECTORY").replace(f"{TOP}/", "")
        for port, name in zip((self.port, self.api_port, self.nats_port), ("7000", "7001", "7002")):
            text = text.replace(str(port), name)
        return text

    @staticmethod
    def worker_of(pid):
        """nginx serves in its child."""
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        return int(children[0]) if len(children) == 1 else pid

    def address(self, api=False):
        return f"127.0.0.1:{self.api_port if api else self.port}"

    def start_ringcast(self, work):
        if work.load[0] == "echo":
            self.run([TOP / "build/tools/ringcast-echo", "--listen", self.address(), "--workers", 1], self.port)
        else:
            self.ringcastd(1, SERVER_CPU)

    def start_ringcast_2(self, work):
        self.ringcastd(2, BOTH_CPUS)

    def start_ringcast_stalled(self, work):
        self.ringcastd(1, SERVER_CPU)
        command = ["taskset", "-c", LOAD_CPU, str(TOP / "bench/compare/stalled.py"), str(self.port), "10"]
        self.commands.append(self.plain(command))
        self.processes.append(subprocess.Popen(command, stdout=subprocess.PIPE, text=True))
        if self.processes[-1].stdout.readline() != "ready\n":
            raise RuntimeError("no stalled receivers")

    def ringcastd(self, workers, cpus):
        self.run([TOP / "build/src/main/ringcastd", "--workers", workers, "--listen", self.address(), "--api-listen",
                  self.address(api=True), "--data-dir", f"{self.directory.name}/data"], self.port, cpus)

    def start_raw_2(self, work):
        self.start_raw(work, threads=["--threads", 2, "--first-cpu", 0], cpus=BOTH_CPUS)

    def start_raw(self, work, how="quiet", threads=(), cpus=SERVER_CPU):
        self.arguments += ["--no-ack"] if work.load[0] != "echo" else []
        merges = work.load[0] == "fanout" and "--in-flight" in work.load and work.load[-1] != "1"
        extra = ["--echo"] if work.load[0] == "echo" else ["--coalesce"] if merges else []
        self.run([TOP / "build/bench/raw_limit", "--send", how, "--congestion", congestion_control(), "--listen",
                  self.address(), "--api-listen", self.address(api=True), *extra, *threads], self.port, cpus)

    def start_raw_send(self, work):
        self.start_raw(work, "loop")

    def node(self, script, work):
        echo = ["echo"] if work.load[0] == "echo" else []
        self.run(["node", NODE / script, self.port, self.api_port, *echo], self.port)

    def start_ws(self, work):
        self.node("ws.mjs", work)

    def start_uws(self, work):
        self.node("uws.mjs", work)

    def start_socketio(self, work):
        self.arguments[1] = f"ws://{self.address()}/socket.io/?EIO=4&transport=websocket"
        self.arguments += ["--dialect", "socketio"]
        self.node("socketio.mjs", work)

    def start_nats(self, work):
        self.arguments += ["--dialect", "nats"]
        conf = (PEERS / "nats.conf").read_text()
        path = Path(self.directory.name) / "nats.conf"
        path.write_text(conf.replace("{port}", str(self.port)).replace("{nats_port}", str(self.nats_port)))
        self.run(["nats-server", "-c", path], self.port)
        if "--api" in self.arguments:
            self.gateway = self.run(["node", NODE / "nats_gateway.mjs", self.api_port, self.nats_port], self.api_port,
                                    LOAD_CPU)

    def start_nchan(self, work):
        self.arguments += ["--dialect", "nchan"]
        if "--api" in self.arguments:
            self.arguments += ["--bytes", "185"]  # and the `"topic":"load",` that it leaves in the text
        words = {"modules": "/usr/lib/nginx/modules", "directory": self.directory.name, "port": self.port,
                 "api_port": self.api_port}
        path = Path(self.directory.name) / "nchan.conf"
        path.write_text(re.sub(r"\{(\w+)\}", lambda m: str(words[m[1]]), (PEERS / "nchan.conf").read_text()))
        os.chmod(self.directory.name, 0o755)
        self.run(["nginx", "-c", path, "-e", "stderr"], self.port)

    def gateway_ns(self):
        if not self.gateway:
            return 0
        threads = Path(f"/proc/{self.gateway.pid}/task").glob("*/schedstat")
        return sum(int(path.read_text().split()[0]) for path in threads)

    def stop(self):
        for process in reversed(self.processes):  # clients first: a server does not hurry while it has some
            process.terminate()
        for process in self.processes:
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            if process.stdout:
                process.stdout.close()
        self.directory.cleanup()


def output_of(*command):
    done = subprocess.run(command, cwd=TOP, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    return done.stdout.strip()


def commit():
    """The newest that changed what is measured; results and documents do not."""
    measured = ["src", "include", "tools/load", "tools/ringcast_echo.cc", "bench/raw_limit", "bench/compare/peers"]
    dirty = "-dirty" if output_of("git", "status", "--porcelain", "--", *measured) else ""
    return output_of("git", "log", "-1", "--format=%h", "--", *measured) + dirty


def npm_version(name):
    found = re.search(r'"version": "([^"]+)"', (NODE / "node_modules" / name / "package.json").read_text())
    return f"{found[1]} on Node {output_of('node', '--version').lstrip('v')}"


# What a reader calls it: (name, its version)
TITLES = {
    "ringcast": ("ringcast", lambda: "commit " + commit()),
    "ringcast-2": ("ringcast, 2 workers", lambda: "the same, on CPUs 0 and 1"),
    "ringcast-stalled": ("ringcast, 10 more subscribers that never read", lambda: "the same"),
    "raw": ("raw_limit, io_uring", lambda: "the ceiling: see docs/benchmarking.md"),
    "raw-2": ("raw_limit, 2 threads", lambda: "the same, on CPUs 0 and 1"),
    "raw-send": ("raw_limit, send(2)", lambda: "the same with a system call a message"),
    "uws": ("uWebSockets.js", lambda: "npm `uwebsockets` " + npm_version("uwebsockets")),
    "nats": ("NATS", lambda: output_of("nats-server", "-v").split("v")[-1] + ", Debian's, over WebSockets"),
    "nchan": ("Nchan", lambda: output_of("dpkg-query", "-W", "-f", "${Version}", "libnginx-mod-nchan") + ", Debian's, "
              + output_of("nginx", "-v").split(": ")[-1]),
    "ws": ("npm ws", lambda: npm_version("ws")),
    "socketio": ("Socket.IO", lambda: npm_version("socket.io") + ", WebSockets alone"),
}
