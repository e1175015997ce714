"""The settings of ringcastd: where they come from, which are refused and in which words: contract.md 1 and 7."""
import os
import re
import signal
import stat
import subprocess

import pytest

from ringcast.http_wire import Connection
from ringcast.server import Process, parse_address, program
from ringcast.world import World

ANYWHERE = ("--listen", "127.0.0.1:0", "--api-listen", "127.0.0.1:0")


def check(tmp_path, text=None, env=None, args=()):
    """ringcastd --check with a file of this text. None where it says ok, else the one line of its refusal."""
    command = [str(program("ringcastd")), "--check", *args]
    if text is not None:
        (tmp_path / "ringcast.toml").write_text(text, encoding="utf-8")
        command += ["--config", "ringcast.toml"]
    kept = {k: v for k, v in os.environ.items() if not k.startswith("RINGCAST_") and k != "STATE_DIRECTORY"}
    result = subprocess.run(command, env={**kept, **(env or {})}, cwd=tmp_path, capture_output=True, timeout=20,
                            text=True, check=False)
    if result.returncode == 0:
        assert result.stdout == "ok\n"
        return None
    assert result.returncode == 2 and result.stdout == ""
    assert result.stderr.endswith("\n") and result.stderr.count("\n") == 1, result.stderr
    return result.stderr


EVERYTHING = """
listen = ["127.0.0.1:5000", "[::1]:5000"]
api_listen = ["127.0.0.1:5001"]
workers = 0
data_dir = "./ringcast-data"
api_key_file = ""
log_level = "info"
ping_interval = "25s"
inactivity_timeout = "30m"
drain_time = "10s"
durability = "fsync"
allowed_origins = []

[limits]
messages_per_second = 10
subscriptions = 100
message_bytes = 16384
publish_bytes = 65536
send_queue_bytes = 1048576
send_queue_messages = 1024
handshake_timeout = "10s"
header_bytes = 8192
connections_per_user = 64

[inbox]
retention = "30d"
notifications_per_user = 1000

[auth]
mode = "open"
allow_open = false

[auth.jwt]
algorithms = ["RS256"]
jwks_file = ""
jwks_url = ""
public_key_file = ""
secret_file = ""
issuer = ""
audience = ""
user_claim = "sub"
leeway = "30s"
cookie = ""
authenticate_within = "30s"

[auth.header]
name = "X-User-Id"

[proxy]
protocol = false
trusted = []
"""


def test_the_contracts_settings_with_their_defaults_pass(tmp_path):
    assert check(tmp_path, EVERYTHING) is None


@pytest.mark.parametrize("setting", re.findall(r"(?m)^(\w+) =", EVERYTHING))
def test_a_setting_of_the_wrong_kind_is_refused_by_file_line_and_key(tmp_path, setting):
    """A date is no setting's kind."""
    lines = EVERYTHING.split("\n")
    number = next(n for n, line in enumerate(lines) if line.startswith(f"{setting} ="))
    lines[number] = f"{setting} = 1979-05-27"
    refusal = check(tmp_path, "\n".join(lines))
    assert refusal and f"ringcast.toml:{number + 1}:" in refusal
    assert re.search(rf"\b{setting}\b", refusal)


@pytest.mark.parametrize("text, line, key", [
    ("nonsense = 1", 1, "nonsense"),
    ("\n\nnonsense = 1\nfurther = 2", 3, "nonsense"),
    ("[nonsense]\nx = 1", 1, "nonsense"),
    ("[limits]\nnonsense = 1", 2, "limits.nonsense"),
    ("[auth.nonsense]\nx = 1", 1, "auth.nonsense"),
    ("[auth.jwt]\nkey = 1", 2, "auth.jwt.key"),
    ("Listen = []", 1, "Listen"),
    ("limits = 1", 1, "limits"),
    ("workers = -1", 1, "workers"),
    ("workers = 65", 1, "workers"),
    ("workers = 1.0", 1, "workers"),
    ('workers = "1"', 1, "workers"),
    ("workers = true", 1, "workers"),
    ("listen = []", 1, "listen"),
    ('listen = "127.0.0.1:5000,x"', 1, "listen"),
    ("listen = [1]", 1, "listen"),
    ('listen = ["localhost"]', 1, "listen"),
    ('listen = ["127.0.0.1:99999"]', 1, "listen"),
    ('api_listen = ["127.0.0.1"]', 1, "api_listen"),
    ('listen = ["0.0.0.0:5000"]', 1, "allow_open"),
    ('workers = 1\nlisten = ["127.0.0.1:5000", "[::]:5000"]', 2, "allow_open"),
    ('listen = ["192.0.2.1:5000"]', 1, "allow_open"),
    ('log_level = "loud"', 1, "log_level"),
    ('log_level = ""', 1, "log_level"),
    ("ping_interval = 25", 1, "ping_interval"),
    ('ping_interval = "25"', 1, "ping_interval"),
    ('ping_interval = "25 s"', 1, "ping_interval"),
    ('ping_interval = "-25s"', 1, "ping_interval"),
    ('ping_interval = "0s"', 1, "ping_interval"),
    ('ping_interval = "2.5s"', 1, "ping_interval"),
    ('ping_interval = "1w"', 1, "ping_interval"),
    ('ping_interval = "99999999999999999999s"', 1, "ping_interval"),
    ('inactivity_timeout = ""', 1, "inactivity_timeout"),
    ('drain_time = "x"', 1, "drain_time"),
    ('durability = "none"', 1, "durability"),
    ('allowed_origins = ["example.com"]', 1, "allowed_origins"),
    ('allowed_origins = ["https://example.com/path"]', 1, "allowed_origins"),
    ('data_dir = ""', 1, "data_dir"),
    ("[limits]\nmessages_per_second = 0", 2, "limits.messages_per_second"),
    ("[limits]\nsubscriptions = 0", 2, "limits.subscriptions"),
    ("[limits]\n\nsubscriptions = -5", 3, "limits.subscriptions"),
    ("limits.subscriptions = 0", 1, "limits.subscriptions"),
    ("limits = { subscriptions = 0 }", 1, "limits.subscriptions"),
    ("[limits]\nmessage_bytes = 0", 2, "limits.message_bytes"),
    ("[limits]\npublish_bytes = 1048577", 2, "limits.publish_bytes"),
    ("[limits]\nsend_queue_bytes = 0", 2, "limits.send_queue_bytes"),
    ("[limits]\nsend_queue_messages = 0", 2, "limits.send_queue_messages"),
    ("[limits]\nheader_bytes = 0", 2, "limits.header_bytes"),
    ('[limits]\nhandshake_timeout = "0s"', 2, "limits.handshake_timeout"),
    ("[limits]\nconnections_per_user = -1", 2, "limits.connections_per_user"),
    ('[inbox]\nretention = "0s"', 2, "inbox.retention"),
    ("[inbox]\nnotifications_per_user = 0", 2, "inbox.notifications_per_user"),
    ('[auth]\nmode = "closed"', 2, "auth.mode"),
    ('[auth]\nallow_open = "true"', 2, "auth.allow_open"),
    ("workers = 1\nworkers = 2", 2, "workers"),
    ("workers = ", 1, ""),
    ("workers = 1\n[limits\n", 2, ""),
    ("\x00", 1, ""),
    ("= 1", 1, ""),
], ids=repr)
def test_a_bad_setting_is_refused_in_one_line_that_names_file_line_and_key(tmp_path, text, line, key):
    refusal = check(tmp_path, text)
    assert refusal and f"ringcast.toml:{line}:" in refusal and key in refusal


@pytest.mark.parametrize("env, word", [
    ({"RINGCAST_NONSENSE": "1"}, "RINGCAST_NONSENSE"),
    ({"RINGCAST_": "1"}, "RINGCAST_"),
    ({"RINGCAST_workers": "1"}, "RINGCAST_workers"),
    ({"RINGCAST_WORKERS": "x"}, "RINGCAST_WORKERS"),
    ({"RINGCAST_WORKERS": ""}, "RINGCAST_WORKERS"),
    ({"RINGCAST_WORKERS": "65"}, "RINGCAST_WORKERS"),
    ({"RINGCAST_WORKERS": "1 "}, "RINGCAST_WORKERS"),
    ({"RINGCAST_PING_INTERVAL": "25"}, "RINGCAST_PING_INTERVAL"),
    ({"RINGCAST_LIMITS_SUBSCRIPTIONS": "0"}, "RINGCAST_LIMITS_SUBSCRIPTIONS"),
    ({"RINGCAST_AUTH_ALLOW_OPEN": "yes"}, "RINGCAST_AUTH_ALLOW_OPEN"),
    ({"RINGCAST_AUTH_MODE": "jwt"}, "RINGCAST_AUTH_MODE"),
    ({"RINGCAST_LISTEN": "0.0.0.0:5000"}, "RINGCAST_LISTEN"),
    ({"RINGCAST_LISTEN": "127.0.0.1"}, "RINGCAST_LISTEN"),
    ({"RINGCAST_API_KEY": ""}, "RINGCAST_API_KEY"),
    ({"RINGCAST_API_KEY": "two words"}, "RINGCAST_API_KEY"),
    ({"RINGCAST_API_KEY": "ä"}, "RINGCAST_API_KEY"),
])
def test_a_bad_variable_is_refused_by_name(tmp_path, env, word):
    refusal = check(tmp_path, None, env)
    assert refusal and word in refusal
    assert not refusal.count("two words"), "a key is never repeated"


@pytest.mark.parametrize("env", [
    {"RINGCAST_LISTEN": "127.0.0.1:0,[::1]:0"},
    {"RINGCAST_WORKERS": "3"},
    {"RINGCAST_AUTH_JWT_USER_CLAIM": "sub"},
    {"RINGCAST_LISTEN": "0.0.0.0:5000", "RINGCAST_AUTH_ALLOW_OPEN": "true"},
    {"RINGCAST_ALLOWED_ORIGINS": "https://a.example,https://b.example"},
    {"RINGCAST_API_KEY": "k"},
    {"OTHER_RINGCAST_X": "1"},
])
def test_a_good_variable_passes(tmp_path, env):
    assert check(tmp_path, None, env) is None


@pytest.mark.parametrize("text", [
    "",
    "# nothing\n",
    'listen = ["0.0.0.0:5000"]\n[auth]\nallow_open = true',
    'listen = ["127.9.9.9:5000", "[::1]:0"]',
    'listen = ["localhost:5000"]',
    'ping_interval = "250ms"\ninactivity_timeout = "12h"\ndrain_time = "0s"\n[inbox]\nretention = "30d"',
    "[limits]\nconnections_per_user = 0",
    'allowed_origins = ["https://example.com", "http://localhost:3000"]',
    "limits.subscriptions = 5\nlimits.messages_per_second = 20",
])
def test_a_good_file_passes(tmp_path, text):
    assert check(tmp_path, text) is None


def test_a_weaker_source_is_checked_although_a_stronger_one_overrides_it(tmp_path):
    assert "ringcast.toml:1:" in check(tmp_path, "workers = 99", {"RINGCAST_WORKERS": "1"}, ["--workers", "2"])


# ---- what they do -------------------------------------------------------------------------------


@pytest.fixture
def start():
    running = []

    def new(*args, env=None):
        process = Process([program("ringcastd"), *args], env, r"(?m)^ringcastd ready clients .*\n")
        line = re.search(r"(?m)^ringcastd ready clients (.*) api (.*)$", process.stderr)
        process.clients, process.apis = ([parse_address(t) for t in part.split()] for part in line.groups())
        running.append(process)
        return process

    yield new
    for process in running:
        if process.process.poll() is None:
            process.signal(signal.SIGTERM)
    for process in running:
        assert process.wait_for_exit() == 0, process.stderr
        process.check_stderr()


def cores(server, key="k"):
    with Connection(server.apis[0], key) as api:
        return len(api.request("GET", "/api/stats").json["cores"])


def test_flags_override_the_environment_which_overrides_the_file(start, tmp_path):
    file = tmp_path / "ringcast.toml"
    file.write_text(f'workers = 3\ndata_dir = "{tmp_path}/file"\nlisten = ["127.0.0.1:1"]\n', encoding="utf-8")
    key = {"RINGCAST_API_KEY": "k"}
    by_file = start("--config", file, *ANYWHERE, env=key)
    assert cores(by_file) == 3
    by_file.stop()
    by_variable = start("--config", file, *ANYWHERE, env={**key, "RINGCAST_WORKERS": "2"})
    assert cores(by_variable) == 2
    by_variable.stop()
    by_flag = start("--config", file, *ANYWHERE, "--workers", "1", env={**key, "RINGCAST_WORKERS": "2"})
    assert cores(by_flag) == 1


def test_a_list_of_a_stronger_source_replaces_the_weaker_one(start, tmp_path):
    file = tmp_path / "ringcast.toml"
    file.write_text('listen = ["127.0.0.1:0", "127.0.0.1:0"]\napi_listen = ["127.0.0.1:0"]', encoding="utf-8")
    server = start("--config", file, "--data-dir", tmp_path / "data", env={"RINGCAST_LISTEN": "127.0.0.1:0"})
    assert len(server.clients) == 1


def test_the_key_of_the_environment_is_the_key_and_none_is_made(start, tmp_path):
    data = tmp_path / "data"
    server = start(*ANYWHERE, "--data-dir", data, env={"RINGCAST_API_KEY": "s3cret-key"})
    with Connection(server.apis[0]) as api:
        assert api.request("GET", "/api/stats", key="s3cret-key").status == 200
        assert api.request("GET", "/api/stats", key="other").status == 401
    assert not (data / "api.key").exists()
    assert "s3cret-key" not in server.stderr


@pytest.mark.parametrize("ending", ["", "\n", "\r\n"])
def test_the_key_of_a_file(start, tmp_path, ending):
    file = tmp_path / "key"
    file.write_bytes(b"key-of-the-file" + ending.encode())
    file.chmod(0o600)
    for n, (args, env) in enumerate([(["--api-key-file", file], {}), ([], {"RINGCAST_API_KEY_FILE": str(file)})]):
        server = start(*ANYWHERE, "--data-dir", tmp_path / f"data{n}", *args, env=env)
        assert cores(server, "key-of-the-file") >= 1
        assert not (tmp_path / f"data{n}" / "api.key").exists()


@pytest.mark.parametrize("content", [b"", b"\n", b" \n", b"k" * 100_000], ids=["empty", "line", "blank", "long"])
def test_a_file_that_holds_no_key_is_refused(tmp_path, content):
    file = tmp_path / "the.key"
    file.write_bytes(content)
    command = [program("ringcastd"), *ANYWHERE, "--data-dir", tmp_path / "data", "--api-key-file", file,
               "--log-level", "error"]
    kept = {k: v for k, v in os.environ.items() if not k.startswith("RINGCAST_")}
    result = subprocess.run(command, env=kept, capture_output=True, timeout=20, text=True, check=False)
    assert result.returncode == 2, result.stderr
    assert result.stderr.count("\n") == 1 and "--api-key-file: " in result.stderr and "the.key" in result.stderr


def test_the_key_that_is_made_is_strong_and_private(start, tmp_path):
    old = os.umask(0)
    try:
        servers = [start(*ANYWHERE, "--data-dir", tmp_path / name) for name in ("a", "b")]
    finally:
        os.umask(old)
    keys = [(tmp_path / name / "api.key").read_text(encoding="ascii").strip() for name in ("a", "b")]
    assert keys[0] != keys[1] and min(len(key) for key in keys) >= 32
    for name, key, server in zip(("a", "b"), keys, servers):
        assert stat.S_IMODE((tmp_path / name / "api.key").stat().st_mode) == 0o600
        assert stat.S_IMODE((tmp_path / name).stat().st_mode) & 0o022 == 0, "others may not write there"
        assert cores(server, key) >= 1


def test_the_data_directory_of_systemd_is_the_default(start, tmp_path):
    (tmp_path / "state").mkdir()
    env = {"STATE_DIRECTORY": str(tmp_path / "state")}
    server = start(*ANYWHERE, env=env)
    assert (tmp_path / "state" / "api.key").exists()
    server.stop()
    start(*ANYWHERE, "--data-dir", tmp_path / "flag", env=env)
    assert (tmp_path / "flag" / "api.key").exists()


def test_a_data_directory_that_cannot_be_is_refused(tmp_path):
    (tmp_path / "file").write_text("x", encoding="ascii")
    kept = {k: v for k, v in os.environ.items() if not k.startswith("RINGCAST_")}
    for place in (tmp_path / "file", tmp_path / "file" / "below"):
        result = subprocess.run([program("ringcastd"), *ANYWHERE, "--data-dir", place, "--log-level", "error"],
                                env=kept, capture_output=True, timeout=20, text=True, check=False)
        assert result.returncode == 2, result
        assert result.stderr.count("\n") == 1 and f"--data-dir: {place}" in result.stderr


def test_open_mode_on_a_reachable_address_starts_with_one_warning_where_that_is_meant(start, tmp_path):
    server = start("--listen", "0.0.0.0:0", "--api-listen", "127.0.0.1:0", "--data-dir", tmp_path / "data",
                   env={"RINGCAST_AUTH_ALLOW_OPEN": "true"})
    warnings = [line for line in server.stderr.splitlines() if "allow_open" in line]
    assert len(warnings) == 1 and "0.0.0.0" in warnings[0]
    with Connection(("127.0.0.1", server.clients[0][1])) as http:
        assert http.request("GET", "/healthz").status == 200


def test_a_start_on_loopback_warns_of_nothing(start, tmp_path):
    server = start(*ANYWHERE, "--data-dir", tmp_path / "data", "--log-level", "warning")
    assert server.stderr.count("\n") == 1, server.stderr


def test_limits_of_the_api_follow_their_settings(start_server):
    server = start_server(settings={"limits": {"publish_bytes": 100, "header_bytes": 512}})
    world = World(server)
    try:
        for size, status in ((99, 200), (100, 200), (101, 413)):
            body = b'{"type":"news","userId":1,"data":"%s"}' % (b"x" * (size - 2))
            assert world.api.publish(body).status == status
        for size, status in ((512, 200), (513, 431)):
            with world.connect() as api:
                plain = b"GET /healthz HTTP/1.1\r\nHost: h\r\nX: \r\n\r\n"
                api.send(plain.replace(b"X: ", b"X: " + b"x" * (size - len(plain))))
                assert api.read_answer().status == status
    finally:
        world.close()


def test_the_inboxs_retention_follows_its_setting(start_server):
    server = start_server(settings={"inbox": {"retention": "1s"}})
    world = World(server)
    try:
        world.notify("a", id="1")
        assert world.notifications("a")["unreadCount"] == 1
        page = world.wait_until(lambda: world.notifications("a"), lambda page: not page["notifications"])
        assert page["unreadCount"] == 0
    finally:
        world.close()
