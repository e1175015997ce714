"""What is secret stands in no log, no answer, no figure, no list of arguments, and in no last words."""
import base64
import hashlib
import hmac
import json
import pathlib
import signal
import socket
import subprocess
import time

import pytest

from ringcast import Server, build_has_sanitizer
from ringcast.client import WsClient
from ringcast.http_wire import Connection, build
from ringcast.server import program
from ringcast.waiting import eventually

MARK = "zQ7xsecretW9"  # in every secret here, and in nothing else
GOOD, WRONG, TOKEN = f"good-{MARK}-0123456789", f"wrong-{MARK}-0123456789", f"ey.{MARK}.{MARK}"
KEYS = f"""# keys
[[key]]
name = "all"
rights = ["publish", "read", "admin"]
key = "{GOOD}"
[[key]]
name = "reader"
rights = ["read"]
key = "reader-{GOOD}"
"""


def api_cases(key):
    """Requests that hold a key where it belongs, and where somebody put it by mistake."""
    quoted = json.dumps(key)
    for method, path in [("GET", "/api/stats"), ("GET", "/api/users/1"), ("POST", "/api/publish"), ("GET", "/api/nothing"),
                         ("DELETE", "/api/users/1"), ("GET", "/metrics"), ("PATCH", "/api/publish"), ("GET", "/")]:
        for name, value in [("X-API-Key", key), ("Authorization", f"Bearer {key}"), ("Authorization", f"Basic {key}"),
                            ("Authorization", key), ("Cookie", f"key={key}"), ("API-Key", key), ("X-Api-Key", f"{key},{key}")]:
            yield build(method, path, b"" if method == "POST" else None, [(name, value)])
    for path in (f"/api/stats?key={key}", f"/api/users/1/notifications?token={key}&limit={key}", f"/{key}", f"/api/{key}",
                 f"/metrics?{key}", f"/healthz?api_key={key}", f"/api/users/{key}", f"/api/users/1/{key}"):
        yield build("GET", path)
        yield build("GET", path, None, [("X-API-Key", GOOD)])
    for body in (key, quoted, f'{{"key":{quoted}}}', f'{{"type":"x","userId":1,"data":{quoted}}}', f'{{"type":"x","{key}":',
                 f'{{"type":"x","userId":1,"apiKey":{quoted},"data":1}}', f'{{"type":"x","userId":1,"data":1}}\n{key}\n'):
        for kind in ("application/json", "application/x-ndjson", "text/plain"):
            for auth in ([], [("X-API-Key", GOOD)]):
                yield build("POST", "/api/publish", body.encode(), [*auth, ("Content-Type", kind)])
    yield build("POST", "/api/publish", b"{}", [("X-API-Key", GOOD), ("Idempotency-Key", key)])
    yield build("POST", "/api/users/1/disconnect", json.dumps({"reason": key}).encode(), [("X-API-Key", GOOD)])
    # Not HTTP any more, in several ways.
    yield f"GET /api/stats HTTP/1.1\r\nHost: h\r\nX-API-Key {key}\r\n\r\n".encode()
    yield f"GET /api/stats HTTP/1.1\r\nHost: h\r\nX-API-Key : {key}\r\n\r\n".encode()
    yield f"GET /api/stats HTTP/1.1\r\nHost: h\r\nX-API-Key: {key}\x01\r\n\r\n".encode()
    yield f"GET /api/stats HTTP/9.9\r\nX-API-Key: {key}\r\n\r\n".encode()
    yield f"{key} /api/stats HTTP/1.1\r\nHost: h\r\n\r\n".encode()
    yield f"GET {key} HTTP/1.1\r\nHost: {key}\r\n\r\n".encode()
    yield f"GET /?{key * 400} HTTP/1.1\r\nHost: h\r\nX-API-Key: {key * 400}\r\n\r\n".encode()
    yield f"POST /api/publish HTTP/1.1\r\nHost: h\r\nContent-Length: {key}\r\n\r\n".encode()


def handshake_cases(secret):
    for path, headers in [
            (f"/ws?token={secret}", []), (f"/ws?token={secret}&token={secret}", []), (f"/ws?token=%zz{secret}", []),
            (f"/{secret}", []), ("/ws", [("Authorization", f"Bearer {secret}")]), ("/ws", [("Cookie", f"session={secret}")]),
            ("/ws", [("Sec-WebSocket-Protocol", f"ringcast, {secret}")]), ("/ws", [("Origin", f"https://{secret}")]),
            ("/ws", [("X-Forwarded-For", secret)]), ("/ws", [("X-User-Id", secret)]), ("/ws", [("X-API-Key", secret)]),
            (f"/ws?token={secret * 200}", []), (f"/healthz?token={secret}", [])]:
        yield path, headers


CLIENT_MESSAGES = [
    '{"type":"subscribe","data":{"userId":1,"token":"%s"}}', '{"type":"subscribe","data":{"token":"%s"}}',
    '{"type":"subscribe","data":{"token":["%s"]}}', '{"type":"subscribe","token":"%s","data":{}}',
    '{"type":"subscribe","data":{"token":"%s"', '{"type":"auth","data":{"token":"%s"}}', "%s",
]


def run_api(server):
    for key in (WRONG, GOOD):
        for request in api_cases(key):
            with Connection(server.api_address) as wire:
                wire.send(request)
                answer = wire.read_answer()
                shown = answer.body + str(answer.headers).encode()
                # Who has a key and calls a user by a secret's name is told of that user.
                is_users_name = request.startswith(f"GET /api/users/{key} ".encode())
                assert is_users_name or MARK.encode() not in shown, (request, shown)


def run_clients(server):
    for path, headers in handshake_cases(TOKEN):
        with WsClient(server.address, handshake=False) as client:
            client.send_bytes(client.request(path, headers))
            client.socket.settimeout(0.5)
            assert MARK.encode() not in client.socket.recv(65536), (path, headers)
    for message in CLIENT_MESSAGES:
        with server.connect() as client:
            client.send_text(message % TOKEN)
            client.send_json({"type": "subscribe", "id": "end", "data": {"topics": []}})
            while (answer := client.next_message()).get("id") != "end":
                assert MARK not in json.dumps(answer), (message, answer)


def shown_by(server):
    """Everything that people and machines get to see of a server."""
    yield "stats", server.api.get("/api/stats").body.decode()
    yield "metrics", server.api.get("/metrics").body.decode()
    yield "arguments", pathlib.Path(f"/proc/{server.pid}/cmdline").read_text()
    for thread in pathlib.Path(f"/proc/{server.pid}/task").iterdir():
        yield "thread", (thread / "comm").read_text()


@pytest.mark.parametrize("workers", [1, 2])
def test_after_many_right_and_wrong_uses_no_secret_is_to_be_seen(start_server, tmp_path, workers):
    file = tmp_path / "api.keys"
    file.write_text(KEYS)
    server = start_server(workers=workers, api_key=GOOD, settings={
        "api_key_file": str(file), "log_level": "debug", "access_log": True, "allowed_origins": ["https://ok.example"],
        "limits": {"auth_failures_per_address": 5, "connections_per_address": 1, "dry_run": True}})
    run_api(server)
    run_clients(server)
    for bad in (KEYS.replace("[[key]]", f"[[{GOOD}]]"), KEYS.replace("rights", GOOD), KEYS.replace('"', ""), GOOD * 99999):
        file.write_text(bad)
        server.signal(signal.SIGHUP)
        already = server.stderr.count("the keys that were read before stay in force")
        eventually(lambda: server.stderr.count("the keys that were read before stay in force") > already)
    for what, text in shown_by(server):
        assert MARK not in text, what
    server.stop()
    assert len(server.stderr.splitlines()) > 100, "the log has seen it all"
    found = [line for line in server.stderr.splitlines() if MARK in line]
    assert not found, found


@pytest.mark.parametrize("number", [signal.SIGABRT, signal.SIGSEGV, signal.SIGBUS])
def test_the_last_words_of_a_crash_hold_none(number):
    server = Server(env={"RINGCAST_API_KEY": GOOD}, settings={"log_level": "debug"})
    run_api(server)
    server.signal(number)
    status = server.wait_for_exit()
    assert status == -number or build_has_sanitizer(), "a sanitizer has last words of its own"
    assert MARK not in server.stderr
    server.cleanup()


@pytest.mark.parametrize("text", [
    KEYS.replace("]]", "]", 1), KEYS.replace(f'"{GOOD}"', GOOD), KEYS.replace(f'"{GOOD}"', f'"{GOOD}', 1),
    KEYS.replace("key =", "sha256 ="), KEYS.replace('name = "all"', f'name = "{MARK} {MARK}"'), f"# a\n{GOOD}\n",
    KEYS.replace('"read"', f'"{GOOD}"'), KEYS + KEYS, f'[{GOOD}]\nkey = "{GOOD}"\n', KEYS.replace("key =", f'"{GOOD}" ='),
    f"#\nkey = '''{GOOD}", f"#\n{GOOD} = 1 {GOOD}", "#\n[[key]]\nkey = " + json.dumps(GOOD + "\n"),
    "#\n[[key]]\nkey = \"" + MARK + "\\q\"", f"{GOOD * 300}\n",
    f'#\n"{GOOD}" = 1\n"{GOOD}" = 2\n', f"#\n[{GOOD}]\n[{GOOD}]\n", f"#\nk.{GOOD} = 1\nk.{GOOD}.{GOOD} = 2\n",
])
def test_an_error_in_a_key_file_repeats_nothing_of_it(tmp_path, text):
    file = tmp_path / "api.keys"
    file.write_text(text)
    for command in ([program("ringcastd"), "--api-key-file", file, "--data-dir", tmp_path / "d"],
                    [program("ringcastd"), "--check", "--api-key-file", file]):
        done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False, env={})
        assert done.returncode == 2 and done.stderr.count("\n") == 1, done
        assert MARK not in done.stderr + done.stdout
        assert str(file) in done.stderr


@pytest.mark.parametrize("variable", ["", " ", f"{GOOD} ", f"{GOOD}\n", f"{GOOD}\xe9", GOOD * 100])
def test_an_error_in_the_environments_key_repeats_nothing_of_it(tmp_path, variable):
    done = subprocess.run([program("ringcastd"), "--data-dir", tmp_path / "d"], capture_output=True, timeout=30, check=False,
                          env={"RINGCAST_API_KEY": variable})
    assert done.returncode == 2 and MARK.encode() not in done.stderr + done.stdout, done


@pytest.mark.parametrize("name, args", [
    ("ringcastd", ["--api-key", GOOD]), ("ringcastd", [f"--api-key={GOOD}"]), ("ringcastd", [GOOD]), ("ringcastd", ["-k", GOOD]),
    ("ringcastctl", ["publish", "--user", "1", "--apikey", GOOD]), ("ringcastctl", ["inbox", "u", f"--key={GOOD}"]),
    ("ringcastctl", ["inbox", "u", GOOD]), ("ringcastctl", ["inbox", "u", "--api-key", GOOD, "--api-key", GOOD]),
    ("ringcastctl", [GOOD]),
])
def test_a_slip_of_the_pen_in_the_arguments_shows_no_value(name, args):
    if not program(name).exists():
        pytest.skip("not part of a sanitizer build")
    done = subprocess.run([program(name), *args], capture_output=True, text=True, timeout=30, check=False, env={})
    assert done.returncode == 2 and done.stderr.count("\n") == 1, done
    assert MARK not in done.stderr + done.stdout, done
    flags = [arg.partition("=")[0] for arg in args if arg.startswith("-")]
    assert not flags or any(flag in done.stderr for flag in flags)


@pytest.mark.skipif(not program("ringcastctl").exists(), reason="not part of a sanitizer build")
def test_ringcastctl_takes_the_key_out_of_its_arguments(tmp_path):
    """While it waits for a server that accepts and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        for given in (["--api-key", GOOD], [f"--api-key={GOOD}"]):
            process = subprocess.Popen([program("ringcastctl"), "inbox", "u", *given, "--api",
                                        "http://127.0.0.1:%d" % silent.getsockname()[1]],
                                       env={}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            try:
                connection, _ = silent.accept()
                received = connection.recv(65536)
                assert GOOD.encode() in received, "it has the key all the same"
                arguments = pathlib.Path(f"/proc/{process.pid}/cmdline").read_bytes()
                assert b"inbox" in arguments and MARK.encode() not in arguments, arguments
                connection.close()
            finally:
                process.kill()
                process.wait()


# --- tokens

SECRET = f"hs-{MARK}-0123456789-0123456789-0123456789"


def b64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def token(claims, *, secret=SECRET, **header):
    signed = b64(json.dumps({"alg": "HS256", **header}).encode()) + "." + b64(json.dumps(claims).encode())
    return signed + "." + b64(hmac.new(secret.encode(), signed.encode(), hashlib.sha256).digest())


def tokens():
    """Good ones, and bad ones of many kinds, which name their secrets where they can."""
    later = int(time.time()) + 600
    good = {"sub": "u", "exp": later}
    yield token(good)
    yield token(good, kid=MARK)
    yield token(good, secret=f"another-{MARK}-0123456789-0123456789")
    yield token({**good, "exp": 1})
    yield token({**good, "nbf": later})
    yield token({**good, "iss": MARK, "aud": MARK})
    yield token({**good, "topics": MARK})
    yield token({**good, MARK: [[[[MARK]]]]})
    yield token({"exp": later, "sub": {MARK: MARK}})
    yield token({"sub": "u", "exp": MARK})
    yield token(good, alg=MARK)
    yield token(good, alg="none")
    yield token(good, alg="RS256", jku=f"http://{MARK}/", x5u=MARK, jwk={"k": MARK}, crit=[MARK])
    yield token(good)[:-3]
    yield token(good) + "." + MARK
    yield TOKEN
    yield MARK


@pytest.mark.parametrize("workers", [1, 2])
def test_no_token_and_no_tokens_secret_is_to_be_seen(start_server, tmp_path, workers):
    file = tmp_path / "hs.secrets"
    file.write_text(f"{SECRET}\nolder-{SECRET}\n")
    server = start_server(workers=workers, settings={"log_level": "debug", "access_log": True, "auth": {"mode": "jwt", "jwt": {
        "algorithms": ["HS256"], "secret_file": str(file), "cookie": "session"}},
        "allowed_origins": ["https://ok.example"]})
    statuses, parts = set(), [MARK]
    for text in tokens():
        parts += [part for part in text.split(".")[1:] if len(part) > 12]
        for path, headers in [(f"/ws?token={text}", []), ("/ws", [("Authorization", f"Bearer {text}")]),
                              ("/ws", [("Cookie", f"session={text}")]), ("/ws", [("Sec-WebSocket-Protocol", f"ringcast, {text}")]),
                              (f"/{text}", []), (f"/ws?token={text}&token={text}", [])]:
            with WsClient(server.address, handshake=False) as client:
                client.send_bytes(client.request(path, headers))
                shown = client.socket.recv(65536).decode("latin-1")
                statuses.add(shown[9:12])
                assert not [part for part in parts if part in shown], (path, headers, shown)
        with server.connect() as client:
            client.send_json({"type": "subscribe", "id": "end", "data": {"token": text}})
            answer = client.next_message()
            assert answer["id"] == "end" and not [part for part in parts if part in json.dumps(answer)], (text, answer)
    assert {"101", "401", "404", "400"} <= statuses
    for spoilt in ("", f"{MARK}\n", f"{SECRET}\n\n\x00{SECRET}\n", SECRET * 99999):
        file.write_text(spoilt)
        already = server.stderr.count("\n")
        server.signal(signal.SIGHUP)
        eventually(lambda: server.stderr.count("\n") > already)
    for what, text in shown_by(server):
        assert not [part for part in parts if part in text], what
    server.stop()
    found = [line for line in server.stderr.splitlines() if [part for part in parts if part in line]]
    assert not found, found
