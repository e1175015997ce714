"""Several API keys: names, rights, hashes, the access log, and ringcastctl apikey."""
import hashlib
import re
import time

import pytest

from ringcast import Server
from ringcast.api import Api
from ringcast.http_wire import Connection
from ringcast.waiting import eventually
from test_reload import reload, replace
from test_ringcastctl import run

KEYS = {"publisher": "publish", "reader": "read", "admin": "admin", "everything": "publish, read, admin"}
NOTIFICATION = {"type": "notification", "userId": 1, "data": {"id": "n"}}
ROUTES = [  # method, path, body, right, status for who may
    ("POST", "/api/publish", NOTIFICATION, "publish", 200),
    ("GET", "/api/stats", None, "read", 200),
    ("GET", "/api/users/1", None, "read", 200),
    ("GET", "/api/users/1/notifications", None, "read", 200),
    ("POST", "/api/users/1/notifications/n/read", None, "admin", 200),
    ("POST", "/api/users/1/notifications/read-all", None, "admin", 200),
    ("POST", "/api/users/1/disconnect", None, "admin", 200),
    ("DELETE", "/api/users/1/notifications/n", None, "admin", 204),
    ("DELETE", "/api/users/1", None, "admin", 200),
]


def secret(name):
    return f"{name}-0123456789-0123456789"


def table(name, rights, *, hashed=False):
    rights = ", ".join(f'"{right.strip()}"' for right in rights.split(","))
    key = (f'sha256 = "{hashlib.sha256(secret(name).encode()).hexdigest()}"' if hashed else f'key = "{secret(name)}"')
    return f'[[key]]\nname = "{name}"\nrights = [{rights}]\n{key}\n'


@pytest.fixture
def key_file(tmp_path):
    file = tmp_path / "api.keys"
    file.write_text("# who may use the API\n" + "".join(table(n, r, hashed=r != "read") for n, r in KEYS.items()))
    return file


@pytest.fixture
def keyed(start_server, key_file):
    """keyed(**how): a server with these keys, and its api with the one that may do everything."""

    def start(**how):
        how["settings"] = {"api_key_file": str(key_file), **how.get("settings", {})}
        server = start_server(api_key=secret("everything"), **how)
        return server

    return start


@pytest.mark.parametrize("method, path, body, right, good", ROUTES, ids=lambda v: v if isinstance(v, str) else "")
def test_each_route_needs_its_right(keyed, method, path, body, right, good):
    server = keyed()
    for name, rights in KEYS.items():
        server.api.publish(NOTIFICATION)
        answer = server.api.request(method, path, body, key=secret(name))
        if right in rights:
            assert answer.status == good, (name, answer)
            continue
        assert answer.status == 401 and answer.error() == "unauthorized", (name, answer)
        assert answer.json()["error"]["message"] == f'the API key "{name}" lacks the right "{right}"'
        assert answer.headers["www-authenticate"] == "Bearer"


def test_the_key_is_judged_first_then_path_then_method_then_right(keyed):
    api = keyed().api
    for path, method in [("/api/nothing", "GET"), ("/api/publish", "GET"), ("/api/publish", "POST")]:
        assert api.request(method, path, key="no-key-of-this-server").status == 401
    assert api.get("/api/nothing", key=secret("reader")).status == 404
    assert api.get("/api/publish", key=secret("reader")).status == 405
    assert api.post("/api/publish", {}, key=secret("reader")).status == 401
    for path in ("/healthz", "/readyz", "/metrics"):
        assert api.get(path, key=None).status == api.get(path, key="wrong").status == 200


def test_a_refused_publication_is_not_read(keyed):
    server = keyed()
    with Connection(server.api_address) as wire:
        wire.send(f"POST /api/publish HTTP/1.1\r\nHost: h\r\nX-API-Key: {secret('reader')}\r\n"
                  f"Content-Length: 1000\r\n\r\n".encode())
        assert wire.read_answer().status == 401
        assert wire.at_end()


def test_either_header_serves_and_a_hash_is_no_key(keyed):
    api = keyed().api
    reader, everything = secret("reader"), secret("everything")
    digest = hashlib.sha256(everything.encode()).hexdigest()
    for headers, status in [
            ({"X-API-Key": reader}, 200), ({"Authorization": f"Bearer {reader}"}, 200),
            ({"Authorization": f"bEaReR {everything}"}, 200), ({"Authorization": f"Basic {everything}"}, 401),
            ({"Authorization": "Bearer wrong", "X-API-Key": reader}, 200), ({"Authorization": everything}, 401),
            ({"X-API-Key": digest}, 401), ({"X-API-Key": everything[:-1]}, 401), ({"X-API-Key": everything + "x"}, 401),
            ({"X-API-Key": ""}, 401), ({"X-API-Key": "everything"}, 401), ({}, 401)]:
        assert api.get("/api/stats", key=None, headers=headers).status == status, headers
    for query in (f"key={everything}", f"api_key={everything}", f"token={everything}"):
        assert api.get(f"/api/stats?{query}", key=None).status == 401


def test_keys_come_and_go_by_sighup(keyed, key_file):
    server = keyed(workers=2)
    replace(key_file, table("everything", "publish, read, admin") + table("fresh", "read", hashed=True))
    reload(server)
    for _ in range(8):
        api = Api(server.api_address, key=None)
        assert [api.get("/api/stats", key=secret(name)).status
                for name in ("everything", "fresh", "reader")] == [200, 200, 401]
        api.close()
    assert f"API keys read anew: api_key_file: {key_file}: everything, fresh" in re.sub(
        r"\S+ringcast\.toml:\d+: ", "", server.stderr)
    replace(key_file, table("everything", "publish, read, admin") + table("fresh", "all"))
    reload(server, line=f"{key_file}:7: rights must be a list")
    assert server.api.get("/api/stats", key=secret("fresh")).status == 200


# --- the access log

def access_lines(server):
    return re.findall(r"\d (info|debug) api: (127\.0\.0\.1:\d+) key (\S+): (.*): (\d+), \d+\.\d ms", server.stderr)


def test_the_access_log_names_the_key_and_the_route_and_nothing_of_the_request(keyed):
    server = keyed(settings={"access_log": True})
    for name, method, path, status in [
            ("everything", "GET", "/api/users/secret-user?q=secret-query", 200),
            ("reader", "GET", "/api/stats", 200),
            ("publisher", "GET", "/api/stats", 401),
            ("wrong-key", "GET", "/api/users/secret-user", 401),
            ("reader", "GET", "/api/secret-path", 404),
            ("admin", "POST", "/api/users/a/notifications/secret-id/read", 404)]:
        assert server.api.request(method, path, key=secret(name)).status == status
    server.api.get("/healthz", key=secret("admin"))
    with Connection(server.api_address) as wire:
        wire.send(b"GET /secret HTTP/1.1\r\nHost: h\r\nBroken Header: x\r\n\r\n")
        assert wire.read_answer().status == 400
    wanted = [("everything", "GET /api/users/{id}", "200"), ("reader", "GET /api/stats", "200"),
              ("publisher", "GET /api/stats", "401"), ("-", "-", "401"), ("reader", "-", "404"),
              ("admin", "POST /api/users/{id}/notifications/{nid}/read", "404"), ("-", "GET /healthz", "200"),
              ("-", "-", "400")]
    eventually(lambda: len(access_lines(server)) >= len(wanted))
    lines = access_lines(server)
    assert [(key, route, status) for _, _, key, route, status in lines] == wanted
    assert {level for level, *_ in lines} == {"info"}
    assert "secret" not in server.stderr


def test_without_it_requests_are_debug_lines(keyed):
    server = keyed()
    server.api.get("/api/stats")
    server.stop()
    assert " api: " not in server.stderr
    server = keyed(settings={"log_level": "debug"})
    server.api.get("/api/stats")
    eventually(lambda: access_lines(server))
    assert [line[0] for line in access_lines(server)] == ["debug"]


def test_the_access_log_is_bounded_and_says_what_it_left_out(keyed):
    server = keyed(settings={"access_log": True})
    request = b"GET /healthz HTTP/1.1\r\nHost: h\r\n\r\n"
    deadline = time.monotonic() + 60
    while "requests without a line" not in server.stderr:
        assert time.monotonic() < deadline
        with Connection(server.api_address) as wire:
            wire.send(request * 900)
            for _ in range(900):
                assert wire.read_answer().status == 200
    # A core writes at most 1,000 a second, whatever is asked of it.
    seconds = re.findall(r"T(\d+:\d+:\d+)\S+ info api: 127", server.stderr)
    assert max(seconds.count(second) for second in set(seconds)) <= 2000


# --- ringcastctl apikey

def new_key(*args):
    made = run("apikey", "new", *args)
    assert made.returncode == 0, made
    key = re.fullmatch(r"the key, which nothing shows again: (rck_[0-9a-f]{64})\n", made.stderr)
    assert key and key.group(1) not in made.stdout, made
    return key.group(1), made.stdout


def test_ringcastctl_makes_a_key_whose_table_goes_into_the_file(keyed, key_file):
    server = keyed()
    publisher, its_table = new_key("new-publisher", "--rights", "publish")
    both, other_table = new_key("both", "--rights", "publish,read")
    assert publisher != both
    with key_file.open("a") as file:
        file.write(its_table + other_table)
    reload(server)
    assert server.api.post("/api/publish", NOTIFICATION, key=publisher).status == 200
    assert server.api.get("/api/stats", key=publisher).status == 401
    assert server.api.post("/api/publish", NOTIFICATION, key=both).status == 200
    assert server.api.get("/api/stats", key=both).status == 200
    assert publisher not in key_file.read_text() and both not in key_file.read_text()


@pytest.mark.parametrize("args", [(), ("n",), ("n", "--rights", ""), ("n", "--rights", "write"),
                                  ("n", "--rights", "publish,all"), ("a b", "--rights", "read"), ("", "--rights", "read")])
def test_ringcastctl_refuses_what_the_server_would(args):
    made = run("apikey", "new", *args)
    assert made.returncode in (1, 2) and made.stdout == "" and made.stderr.count("\n") == 1, made
    assert "rck_" not in made.stderr


def test_a_wrong_key_file_stops_the_start_and_the_check_alike(tmp_path):
    file = tmp_path / "api.keys"
    file.write_text(table("n", "read") + table("n", "read"))
    done = run("check", env={"RINGCAST_API_KEY_FILE": str(file)})
    assert (done.returncode, done.stderr) == (2, f"ringcastctl: RINGCAST_API_KEY_FILE: {file}:5: a second key named n\n")
    server = Server(env={"RINGCAST_API_KEY_FILE": str(file)}, ready=False)
    assert server.wait_for_exit() == 2
    assert server.stderr.splitlines()[-1] == f"ringcastd: RINGCAST_API_KEY_FILE: {file}:5: a second key named n"
    server.cleanup()
