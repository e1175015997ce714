"""ringcastd's command line, its exit statuses, and how it starts and ends: contract.md 1."""
import ctypes
import errno
import os
import re
import signal
import socket
import stat
import struct
import subprocess
import time

import pytest

from ringcast.http_wire import Connection
from ringcast.server import Process, parse_address, program
from ringcast.waiting import eventually

READY = r"(?m)^ringcastd ready clients( \S+)+ api( \S+)+$"


def clean_environment(more=None):
    kept = {k: v for k, v in os.environ.items() if not k.startswith("RINGCAST_") and k != "STATE_DIRECTORY"}
    return {**kept, **(more or {})}


def run(*args, env=None, cwd=None, before=None):
    """Runs ringcastd to its end."""
    command = [str(program("ringcastd")), *map(str, args)]
    return subprocess.run(command, env=clean_environment(env), cwd=cwd, preexec_fn=before, stdin=subprocess.DEVNULL,
                          capture_output=True, timeout=30, text=True, check=False)


def the_line(result, status):
    """The one line on stderr of a start that was refused."""
    assert result.returncode == status, (result.returncode, result.stderr)
    assert result.stdout == ""
    assert result.stderr.endswith("\n") and result.stderr.count("\n") == 1, result.stderr
    assert len(result.stderr) < 500
    return result.stderr


class Started(Process):
    """ringcastd with exactly these arguments, ready."""

    def __init__(self, *args, env=None):
        super().__init__([program("ringcastd"), *args], env, READY)
        line = re.search(r"(?m)^ringcastd ready clients (.*) api (.*)$", self.stderr)
        self.clients, self.apis = ([parse_address(text) for text in part.split()] for part in line.groups())


@pytest.fixture
def start():
    running = []

    def new(*args, env=None):
        running.append(Started(*args, env=env))
        return running[-1]

    yield new
    for process in running:
        if process.process.poll() is None:
            process.signal(signal.SIGTERM)
    for process in running:
        assert process.wait_for_exit() == 0, process.stderr
        process.check_stderr()


ANYWHERE = ("--listen", "127.0.0.1:0", "--api-listen", "127.0.0.1:0")


# ---- words --------------------------------------------------------------------------------------


def test_help_names_every_flag_of_the_contract():
    for flag in ("--help", "-h"):
        result = run(flag)
        assert result.returncode == 0 and result.stderr == ""
        for name in ("--config", "--check", "--version", "--help", "--listen", "--api-listen", "--workers",
                     "--data-dir", "--api-key-file", "--log-level"):
            assert re.search(rf"{name}\b", result.stdout), name


def test_version_is_one_line():
    result = run("--version")
    assert result.returncode == 0 and result.stderr == ""
    assert re.fullmatch(r"ringcastd \d+\.\d+\.\d+\S*\n", result.stdout)


@pytest.mark.parametrize("args, word", [
    (["--nonsense"], "--nonsense"),
    (["--nonsense=1"], "--nonsense"),
    (["-x"], "-x"),
    (["extra"], "argument 1"),
    (["--workers"], "--workers"),
    (["--workers", "x"], "--workers"),
    (["--workers", "-1"], "--workers"),
    (["--workers", "65"], "--workers"),
    (["--workers", "1.0"], "--workers"),
    (["--workers", "1", "--workers", "2"], "--workers"),
    (["--log-level", "loud"], "--log-level"),
    (["--log-level", "INFO"], "--log-level"),
    (["--listen", "5000"], "--listen"),
    (["--listen", "127.0.0.1"], "--listen"),
    (["--listen", "127.0.0.1:65536"], "--listen"),
    (["--listen", "127.0.0.1:x"], "--listen"),
    (["--listen", "300.0.0.1:5000"], "--listen"),
    (["--listen", "::1:5000"], "--listen"),
    (["--listen", "127.0.0.1:5000,"], "--listen"),
    (["--listen", ""], "--listen"),
    (["--listen", "unix:"], "--listen"),
    (["--listen", "0.0.0.0:0"], "allow_open"),
    (["--listen", "[::]:0"], "allow_open"),
    (["--listen", "127.0.0.1:7000,127.0.0.1:7000"], "127.0.0.1:7000"),
    (["--listen", "127.0.0.1:7000", "--api-listen", "127.0.0.1:7000"], "127.0.0.1:7000"),
    (["--data-dir", ""], "--data-dir"),
    (["--config", "/nonexistent/ringcast.toml"], "/nonexistent/ringcast.toml"),
    (["--config", "/"], "/"),
])
@pytest.mark.parametrize("check", [[], ["--check"]], ids=["start", "check"])
def test_a_bad_argument_ends_with_status_2_and_a_line_that_names_it(args, word, check, tmp_path):
    assert word in the_line(run(*args, *check, cwd=tmp_path), 2)
    assert not list(tmp_path.iterdir()), "nothing is made by a start that is refused"


def test_a_flag_without_its_value_is_refused_by_name(tmp_path):
    for flag in ("--config", "--workers", "--listen"):
        assert flag in the_line(run(flag, cwd=tmp_path), 2)


# ---- --check ------------------------------------------------------------------------------------


def test_check_says_ok_and_touches_nothing(tmp_path):
    file = tmp_path / "ringcast.toml"
    file.write_text('listen = ["127.0.0.1:1"]\ndata_dir = "data"\n[limits]\nsubscriptions = 5\n', encoding="utf-8")
    for args in (["--check"], ["--check", "--config", file], ["--config", file, "--check", "--workers", "2"]):
        result = run(*args, cwd=tmp_path)
        assert (result.returncode, result.stdout, result.stderr) == (0, "ok\n", "")
    assert list(tmp_path.iterdir()) == [file]


def test_check_of_addresses_in_use_is_ok(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        result = run("--check", "--listen", f"127.0.0.1:{taken.getsockname()[1]}", cwd=tmp_path)
    assert result.returncode == 0, result.stderr


# ---- addresses ----------------------------------------------------------------------------------


@pytest.mark.parametrize("which", ["--listen", "--api-listen"])
def test_a_second_server_never_shares_a_port_silently(server2, which, tmp_path):
    """Two cores: the first server's own listeners do share it, by SO_REUSEPORT."""
    taken = "%s:%d" % (server2.address if which == "--listen" else server2.api_address)
    other = "--api-listen" if which == "--listen" else "--listen"
    result = run(which, taken, other, "127.0.0.1:0", "--data-dir", tmp_path / "data")
    assert f"{which}: {taken}: " in the_line(result, 2)
    with Connection(server2.api_address) as api:
        assert api.request("GET", "/readyz").status == 200


def test_an_address_that_another_program_has_is_refused(tmp_path):
    with socket.create_server(("127.0.0.1", 0), reuse_port=True) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        result = run("--listen", address, "--api-listen", "127.0.0.1:0", "--data-dir", tmp_path / "data")
    assert address in the_line(result, 2)


def test_an_address_that_the_host_does_not_have_is_refused(tmp_path):
    result = run("--listen", "127.0.0.1:0", "--api-listen", "192.0.2.1:0", "--data-dir", tmp_path / "data")
    assert "--api-listen: 192.0.2.1" in the_line(result, 2)


def test_an_address_that_is_taken_is_named_with_its_place(tmp_path):
    file = tmp_path / "ringcast.toml"
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        file.write_text(f'workers = 1\nlisten = ["{address}"]\n', encoding="ascii")
        rest = ("--api-listen", "127.0.0.1:0", "--data-dir", tmp_path / "data")
        by_file = the_line(run("--config", file, *rest), 2)
        by_variable = the_line(run(*rest, env={"RINGCAST_LISTEN": address}), 2)
    assert f"{file}:2: listen: {address}: " in by_file
    assert f"RINGCAST_LISTEN: {address}: " in by_variable


def test_listen_may_repeat_and_hold_commas(start, tmp_path):
    server = start("--listen", "127.0.0.1:0,127.0.0.1:0", "--listen", "127.0.0.1:0", "--api-listen", "127.0.0.1:0",
                   "--data-dir", tmp_path / "data", "--workers", "1")
    assert len(server.clients) == 3 and len({*server.clients, *server.apis}) == 4
    for address in server.clients:
        with Connection(address) as http:
            assert http.request("GET", "/healthz").body.strip() == b"ok"


def has_ipv6():
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        return False
    return True


@pytest.mark.skipif(not has_ipv6(), reason="the host has no ::1")
def test_ipv6_addresses(start, tmp_path):
    server = start("--listen", "[::1]:0", "--api-listen", "[::1]:0", "--data-dir", tmp_path / "data", "--workers", "1")
    for address in server.clients + server.apis:
        assert address[0] == "::1"
        with Connection(address) as http:
            assert http.request("GET", "/healthz").body.strip() == b"ok"


def is_free(family, address):
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(address)
        except OSError as error:
            return error.errno != errno.EADDRINUSE  # a missing family is free: it is skipped
    return True


def test_with_nothing_said_it_starts_on_loopback_and_makes_a_key(tmp_path):
    wanted = [(socket.AF_INET, ("127.0.0.1", 5000)), (socket.AF_INET6, ("::1", 5000)),
              (socket.AF_INET, ("127.0.0.1", 5001))]
    if not all(is_free(*address) for address in wanted):
        pytest.skip("5000 or 5001 is taken")
    clients = " 127.0.0.1:5000" + (" [::1]:5000" if has_ipv6() else "")
    process = subprocess.Popen([program("ringcastd")], cwd=tmp_path, env=clean_environment(), text=True,
                               stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        lines = []
        for line in process.stderr:
            lines.append(line)
            if "ringcastd ready" in line:
                break
        assert lines[-1] == f"ringcastd ready clients{clients} api 127.0.0.1:5001\n"
        key_file = tmp_path / "ringcast-data" / "api.key"
        assert stat.S_IMODE(key_file.stat().st_mode) == 0o600
        assert any("ringcast-data/api.key" in line for line in lines), "the log names the file"
        key = key_file.read_text(encoding="ascii").strip()
        assert len(key) >= 32 and not any(key in line for line in lines)
        with Connection(("127.0.0.1", 5001), key) as api:
            assert api.publish({"type": "news", "userId": 1, "data": 1}).status == 200
        with Connection(("127.0.0.1", 5000)) as client:
            assert client.request("GET", "/healthz").status == 200
    finally:
        process.terminate()
        out, _ = process.communicate(timeout=15)
    assert process.returncode == 0 and out == ""


# ---- the kernel ---------------------------------------------------------------------------------

IO_URING_SETUP, IO_URING_REGISTER = 425, 427  # on every architecture since 5.1
SOCKET = {"x86_64": 41, "aarch64": 198}.get(os.uname().machine)


def refuse(system_call, error_number, first_argument=None):
    """A seccomp filter under which this call (with this argument) fails; everything else passes."""
    def install():
        libc = ctypes.CDLL(None, use_errno=True)
        allow, errno_ = 0x7FFF0000, 0x00050000
        load, jump_if_equal, answer = 0x20, 0x15, 0x06
        judged = [] if first_argument is None else [
            struct.pack("HBBI", load, 0, 0, 16),  # the first argument's low half
            struct.pack("HBBI", jump_if_equal, 0, 1, first_argument),
        ]
        program_ = b"".join([
            struct.pack("HBBI", load, 0, 0, 0),  # the call's number
            struct.pack("HBBI", jump_if_equal, 0, len(judged) + 1, system_call),
            *judged,
            struct.pack("HBBI", answer, 0, 0, errno_ | error_number),
            struct.pack("HBBI", answer, 0, 0, allow),
        ])
        code = ctypes.create_string_buffer(program_, len(program_))
        filter_ = struct.pack("HxxxxxxP", len(program_) // 8, ctypes.addressof(code))
        if libc.prctl(38, 1, 0, 0, 0) or libc.prctl(22, 2, filter_, 0, 0):  # no new privileges; seccomp
            raise OSError(ctypes.get_errno(), "seccomp")
    return install


@pytest.mark.parametrize("error_number", [1, 13, 38], ids=["EPERM", "EACCES", "ENOSYS"])
@pytest.mark.parametrize("system_call", [IO_URING_SETUP, IO_URING_REGISTER], ids=["setup", "register"])
@pytest.mark.smoke
def test_where_io_uring_is_refused_it_says_so_and_ends_with_78(tmp_path, system_call, error_number):
    result = run(*ANYWHERE, "--data-dir", tmp_path / "data", before=refuse(system_call, error_number))
    assert "io_uring" in the_line(result, 78)


@pytest.mark.skipif(SOCKET is None, reason="socket()'s number is not known here")
def test_a_family_that_the_host_lacks_is_skipped_with_a_line_unless_asked_for(tmp_path):
    no_ipv6 = refuse(SOCKET, errno.EAFNOSUPPORT, socket.AF_INET6)
    result = run("--listen", "[::1]:0", "--api-listen", "127.0.0.1:0", "--data-dir", tmp_path / "data",
                 "--log-level", "error", before=no_ipv6)
    assert "[::1]:0" in the_line(result, 2)
    process = subprocess.Popen([program("ringcastd"), "--listen", "localhost:0", "--api-listen", "127.0.0.1:0",
                                "--data-dir", tmp_path / "data"], text=True, env=clean_environment(),
                               preexec_fn=no_ipv6, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE)
    try:
        lines = []
        for line in process.stderr:
            lines.append(line)
            if "ringcastd ready" in line:
                break
        assert re.fullmatch(r"ringcastd ready clients 127\.0\.0\.1:\d+ api 127\.0\.0\.1:\d+\n", lines[-1]), lines
        assert len([line for line in lines if "[::1]" in line]) == 1, lines
    finally:
        process.terminate()
        process.communicate(timeout=15)
    assert process.returncode == 0


def test_on_one_cpu_only_it_runs_one_core(start, tmp_path):
    allowed = os.sched_getaffinity(0)
    one = {max(allowed)}
    os.sched_setaffinity(0, one)
    try:
        server = start(*ANYWHERE, "--workers", "0", "--data-dir", tmp_path / "data",
                       env={"RINGCAST_API_KEY": "k"})
    finally:
        os.sched_setaffinity(0, allowed)
    with Connection(server.apis[0], "k") as api:
        assert len(api.request("GET", "/api/stats").json["cores"]) == 1
    for thread in os.listdir(f"/proc/{server.pid}/task"):
        assert os.sched_getaffinity(int(thread)) <= one


@pytest.mark.smoke
def test_workers_0_is_one_core_for_each_cpu_and_each_is_pinned_inside(start, tmp_path):
    server = start(*ANYWHERE, "--data-dir", tmp_path / "data", env={"RINGCAST_API_KEY": "k"})
    allowed = os.sched_getaffinity(0)
    with Connection(server.apis[0], "k") as api:
        assert len(api.request("GET", "/api/stats").json["cores"]) == min(len(allowed), 64)
    for thread in os.listdir(f"/proc/{server.pid}/task"):
        assert os.sched_getaffinity(int(thread)) <= allowed


def cpus_of_threads(pid):
    cpus = {}
    for thread in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{thread}/comm", encoding="ascii") as name:
            cpus[name.read().strip()] = os.sched_getaffinity(int(thread))
    return cpus


@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="needs two CPUs")
def test_the_stores_thread_has_a_cpu_that_no_core_has(start, tmp_path):
    server = start(*ANYWHERE, "--workers", "1", "--data-dir", tmp_path / "data", env={"RINGCAST_API_KEY": "k"})
    cpus = cpus_of_threads(server.pid)
    assert len(cpus["core-0"]) == 1
    assert cpus["store"] == os.sched_getaffinity(0) - cpus["core-0"]


@pytest.mark.skipif(not 2 <= len(os.sched_getaffinity(0)) <= 64, reason="needs two CPUs")
def test_where_each_cpu_has_a_core_the_last_one_makes_way_for_the_store(start, tmp_path):
    server = start(*ANYWHERE, "--data-dir", tmp_path / "data", env={"RINGCAST_API_KEY": "k"})
    allowed = os.sched_getaffinity(0)
    cpus = cpus_of_threads(server.pid)
    pinned = [cpus[f"core-{core}"] for core in range(len(allowed) - 1)]
    assert sorted(pinned, key=min) == [{cpu} for cpu in sorted(allowed)[:-1]]
    assert cpus[f"core-{len(allowed) - 1}"] == cpus["store"] == allowed


def test_more_cores_than_cpus_start(start, tmp_path):
    server = start(*ANYWHERE, "--workers", "5", "--data-dir", tmp_path / "data", env={"RINGCAST_API_KEY": "k"})
    with Connection(server.apis[0], "k") as api:
        assert len(api.request("GET", "/api/stats").json["cores"]) == 5
        assert api.publish({"type": "news", "userId": 1, "data": 1}).status == 200


# ---- ends ---------------------------------------------------------------------------------------


def killed_with_clients(start_server, data):
    """A server's addresses and key after kill -9, with clients that were connected."""
    server = start_server(workers=2, data_dir=data)
    server.api.to_user("a", 1)
    clients = [server.connect() for _ in range(5)]
    for client in clients:
        client.subscribe("a")
    server.kill()
    for client in clients:
        client.abandon()
    return server.address, server.api_address, server.api_key()


@pytest.mark.smoke
def test_after_kill_9_it_starts_again_on_the_same_ports_with_the_same_key(start_server, tmp_path):
    address, api_address, key = killed_with_clients(start_server, tmp_path / "data")
    # The kernel ends a dead process's ring, and its listeners, a little later.
    eventually(lambda: is_free(socket.AF_INET, address) and is_free(socket.AF_INET, api_address))
    second = start_server(workers=2, data_dir=tmp_path / "data",
                          args=["--listen", "%s:%d" % address, "--api-listen", "%s:%d" % api_address])
    assert (second.address, second.api_address, second.api_key()) == (address, api_address, key)
    with second.connect() as client:
        client.subscribe("a")
        second.api.to_user("a", 2)
        assert client.next_message()["data"] == 2


def test_after_kill_9_it_starts_again_at_once(start_server, tmp_path):
    address, api_address, _ = killed_with_clients(start_server, tmp_path / "data")
    start_server(workers=2, data_dir=tmp_path / "data",
                 args=["--listen", "%s:%d" % address, "--api-listen", "%s:%d" % api_address])


def test_a_start_right_after_the_end_gets_the_same_ports(start_server, tmp_path):
    first = start_server(data_dir=tmp_path / "data")
    with Connection(first.api_address) as api:
        assert api.request("GET", "/healthz").status == 200
        addresses = ["--listen", "%s:%d" % first.address, "--api-listen", "%s:%d" % first.api_address]
        first.stop()
    start_server(data_dir=tmp_path / "data", args=addresses)


def test_sigterm_while_it_starts_ends_it(tmp_path):
    """Whenever the signal comes: either it is not caught yet, or it ends cleanly."""
    for delay_ms in (0, 2, 5, 10, 20, 40):
        process = subprocess.Popen([program("ringcastd"), *ANYWHERE, "--data-dir", tmp_path / f"data-{delay_ms}"],
                                   env=clean_environment(), stdin=subprocess.DEVNULL, stderr=subprocess.PIPE)
        time.sleep(delay_ms / 1000)
        process.terminate()
        _, words = process.communicate(timeout=15)
        assert process.returncode in (0, -15), (delay_ms, process.returncode, words)


def test_closed_standard_streams_do_not_matter(tmp_path):
    """A service manager may give /dev/null, or nothing at all; nothing of ours may land in descriptor 2."""
    for streams in ({"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}, {"preexec_fn": close_streams}):
        data = tmp_path / f"data-{len(streams)}"
        process = subprocess.Popen([program("ringcastd"), *ANYWHERE, "--data-dir", data], env=clean_environment(),
                                   stdin=subprocess.DEVNULL, **streams)
        try:
            assert eventually(lambda: (data / "api.key").exists() or process.poll() is not None)
            assert process.poll() is None
        finally:
            process.terminate()
        assert process.wait(15) in (0, -15)


def close_streams():
    for descriptor in (0, 1, 2):
        os.close(descriptor)


def test_a_reader_of_its_log_that_goes_away_does_not_end_it(tmp_path):
    process = subprocess.Popen([program("ringcastd"), *ANYWHERE, "--data-dir", tmp_path / "data"], text=True,
                               env=clean_environment(), stdin=subprocess.DEVNULL, stderr=subprocess.PIPE)
    try:
        line = next(line for line in process.stderr if "ringcastd ready" in line)
        process.stderr.close()
        for _ in range(5):
            with Connection(parse_address(line.split()[-1])) as api:
                assert api.request("GET", "/api/nope", key="wrong").status == 401
                assert api.request("GET", "/readyz").status == 200
    finally:
        process.terminate()
    assert process.wait(15) == 0


def test_it_serves_on_when_its_cpus_become_fewer(start, tmp_path):
    server = start(*ANYWHERE, "--workers", "2", "--data-dir", tmp_path / "data", env={"RINGCAST_API_KEY": "k"})
    fewer = {min(os.sched_getaffinity(0))}
    for thread in os.listdir(f"/proc/{server.pid}/task"):
        os.sched_setaffinity(int(thread), fewer)
    with Connection(server.apis[0], "k") as api:
        assert len(api.request("GET", "/api/stats").json["cores"]) == 2
        for n in range(50):
            assert api.publish({"type": "news", "userId": n, "data": n}).status == 200
    for thread in os.listdir(f"/proc/{server.pid}/task"):
        assert os.sched_getaffinity(int(thread)) == fewer, "it does not take back what it was denied"
