"""Who may connect in modes jwt and header (contract 6; hazards A1 to A13, H16, H19, J12)."""
import base64
import hmac
import http.server
import json
import os
import pathlib
import signal
import subprocess
import threading
import time

import pytest

from ringcast.client import HandshakeRefused
from ringcast.exposition import parse
from ringcast.frames import TEXT, encode_frame
from ringcast.waiting import eventually

SECRET = "a secret of the tests that is long enough"


def b64(data):
    data = data if isinstance(data, bytes) else json.dumps(data).encode()
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def claims(user="7", lasts=600, **more):
    return {"sub": user, "exp": int(time.time()) + lasts, **more}


def signed(header, payload, sign):
    text = f"{b64(header)}.{b64(payload)}"
    return f"{text}.{b64(sign(text.encode()))}"


def token(user="7", lasts=600, secret=SECRET, header=None, **more):
    return signed(header or {"alg": "HS256", "typ": "JWT"}, claims(user, lasts, **more),
                  lambda text: hmac.new(secret.encode(), text, "sha256").digest())


class RsaKey:
    """A key of openssl's making: what it signs, and its public half as PEM and as a JSON Web Key."""

    def __init__(self, directory, kid):
        self.kid, self.file = kid, directory / f"{kid}.pem"
        self._openssl("genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048", "-out", self.file)
        self.pem = self._openssl("pkey", "-in", self.file, "-pubout").decode()
        modulus = self._openssl("rsa", "-in", self.file, "-noout", "-modulus").decode().strip().partition("=")[2]
        self.jwk = {"kty": "RSA", "use": "sig", "alg": "RS256", "kid": kid, "n": b64(bytes.fromhex(modulus)), "e": "AQAB"}

    def _openssl(self, *args, data=None):
        return subprocess.run(["openssl", *args], input=data, capture_output=True, check=True).stdout

    def token(self, user="7", header=None, **more):
        return signed({"alg": "RS256", "kid": self.kid, **(header or {})}, claims(user, **more),
                      lambda text: self._openssl("dgst", "-sha256", "-sign", self.file, data=text))


@pytest.fixture(scope="module")
def rsa(tmp_path_factory):
    directory = tmp_path_factory.mktemp("rsa")
    return RsaKey(directory, "first"), RsaKey(directory, "second")


class Listener:
    """A web server on this host that counts who asks, and answers as it is told."""

    def __init__(self):
        listener = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                listener.requests.append(self.path)
                listener.answer(self)

            def log_message(self, *_):
                pass

        self.requests, self.keys = [], []
        self.answer = self.key_set
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}/keys"
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    def key_set(self, request):
        self.send(request, 200, json.dumps({"keys": [key.jwk for key in self.keys]}).encode())

    @staticmethod
    def send(request, status, body=b"", **headers):
        request.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            request.send_header(name.replace("_", "-"), value)
        request.end_headers()
        try:
            request.wfile.write(body)
        except OSError:
            pass  # it has read enough

    def close(self):
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def listener():
    listener = Listener()
    yield listener
    listener.close()


@pytest.fixture
def secret_file(tmp_path):
    file = tmp_path / "secrets"
    file.write_text(SECRET + "\n")
    return file


def jwt_settings(secret_file=None, **jwt):
    files = {"secret_file": str(secret_file)} if secret_file else {}
    return {"auth": {"mode": "jwt", "jwt": {"algorithms": ["HS256", "RS256"], **files, **jwt}},
            "limits": {"messages_per_second": 10000}}


@pytest.fixture
def server(start_server, secret_file):
    return start_server(workers=2, settings=jwt_settings(secret_file, cookie="session") | {"allowed_origins": ["https://ok.example"]})


def status(server, path="/ws", headers=()):
    """Of the handshake."""
    try:
        server.connect(path=path, headers=headers).close()
        return 101
    except HandshakeRefused as refusal:
        return refusal.status


def told(server, text):
    """What a subscribe with this token is told: "ack", or the error's code."""
    with server.connect() as client:
        client.send_json({"type": "subscribe", "id": 1, "data": {"token": text}})
        answer = client.next_message()
        return answer["data"]["code"] if answer["type"] == "error" else answer["type"]


def test_h18_a_cookie_that_the_browser_adds_to_a_strangers_page_opens_nothing(server):
    cookie = ("Cookie", "session=" + token())
    assert status(server, headers=[cookie, ("Origin", "https://ok.example")]) == 101
    for origin in ("https://evil.example", "https://ok.example.evil.example", "http://ok.example", "null"):
        assert status(server, headers=[cookie, ("Origin", origin)]) == 403, origin


@pytest.mark.smoke
def test_a_token_proves_the_user_in_each_place(server):
    good = token()
    for path, headers in [("/ws?token=" + good, []), ("/ws", [("Authorization", "Bearer " + good)]),
                          ("/ws", [("Cookie", "a=b; session=" + good)]),
                          ("/ws", [("Sec-WebSocket-Protocol", "ringcast, " + good)])]:
        with server.connect(path=path, headers=headers) as client:
            client.send_json({"type": "subscribe", "id": 1, "data": {}})
            client.expect_ack(1)
            server.api.to_user("7", {"n": 1})
            assert client.next_message()["data"] == {"n": 1}
    with server.connect() as client:
        client.send_json({"type": "subscribe", "id": 1, "data": {"token": good, "userId": 7}})
        client.expect_ack(1)
        server.api.to_user("7", {"n": 2})
        assert client.next_message()["data"] == {"n": 2}


def test_h19_the_first_frame_may_come_with_the_handshake(server):
    frame = encode_frame(TEXT, b'{"type":"subscribe","id":5,"data":{}}')
    with server.connect(path="/ws?token=" + token(), first_bytes=frame) as client:
        client.expect_ack(5)


def test_j12_a_good_token_gets_nobody_elses_messages(server):
    with server.connect() as client:
        for data in ({"token": token("7"), "userId": 8}, {"token": token("07"), "userId": 7}):
            client.send_json({"type": "subscribe", "data": data})
            client.expect_error("unauthorized")
        client.send_json({"type": "subscribe", "id": 1, "data": {"token": token("7")}})
        client.expect_ack(1)
        server.api.notify("8", id="n-of-8")
        client.send_json({"type": "mark_read", "data": {"notificationId": "n-of-8"}})
        client.expect_error("invalid_message")
        client.expect_nothing()


def rs256_with_the_public_key(key):
    return [signed({"alg": "HS256"}, claims(), lambda text, k=k: hmac.new(k, text, "sha256").digest())
            for k in (key.pem.encode(), key.pem.strip().encode(), json.dumps(key.jwk).encode(), b"")]


def test_a1_to_a10_what_is_no_proof_is_none(start_server, secret_file, rsa, tmp_path):
    pem = tmp_path / "public.pem"
    pem.write_text(rsa[0].pem)
    server = start_server(settings=jwt_settings(secret_file, public_key_file=str(pem), issuer="us", audience="ours"))
    right = {"iss": "us", "aud": ["theirs", "ours"]}
    good = token(**right)
    head, body, signature = good.split(".")
    none = lambda alg: f"{b64({'alg': alg})}.{b64(claims(**right))}."
    bad = {
        "A1 none": [none("none"), none("None"), none("nOnE"), f"{head}.{body}.", f"{head}.{body}", head],
        "A2 confusion": rs256_with_the_public_key(rsa[0]),
        "A3 expired": [token(lasts=-31, **right)],
        "A4 dates": [token(nbf=int(time.time()) + 60, **right), token(iat=int(time.time()) + 60, **right)] + [
            token(exp=e, **right) for e in (None, str(int(time.time()) + 60), time.time() + 60.5, -1, 1e300, True)],
        "A5 kids": [token(header={"alg": "HS256", "kid": kid}, secret="other", **right)
                    for kid in ("../../dev/null", "' or 1", "a\0b", "k" * 9000, "unknown")],
        "A7 audience": [token(iss="us"), token(iss="us", aud="theirs"), token(iss="them", aud="ours"), token(aud="ours")],
        "A8 text": [good + "=", good + "==", " " + good, good + " ", f"{head}.{body}.{signature[:-1]}", good.replace(".", "..")],
        "A10 size": ["a.b.c.d.e", "x" * 9000, token(deep=eval("[" * 40 + "]" * 40), **right), token(long="x" * 9000, **right)],
        "user": [token("", **right), token(7.5, **right), token(None, **right), token("u" * 129, **right), token(-1, **right)],
        "topics": [token(topics="all", **right), token(topics=[1], **right)],
    }
    assert told(server, good) == "ack" and told(server, rsa[0].token(**right)) == "ack"
    for what, tokens in bad.items():
        for text in tokens:
            assert told(server, text) == "unauthorized", (what, text[:100])
            if len(text) < 2000 and " " not in text:
                assert status(server, headers=[("Authorization", "Bearer " + text)]) == 401, (what, text)
    assert status(server, "/ws?token=" + good) == 101


def test_h16_a_token_that_cannot_be_read_in_one_way_is_refused(server):
    good = token()
    assert status(server, f"/ws?token={good}&token={good}") == 400
    assert status(server, f"/ws?token={good}%zz") == 400
    assert status(server, "/ws?token=" + "a" * 65536) == 431
    assert status(server, headers=[("Authorization", "Bearer " + good)] * 2) == 400


def test_a6_no_token_causes_a_request(start_server, listener, rsa):
    listener.keys = [rsa[0]]
    stranger = Listener()
    server = start_server(settings=jwt_settings(jwks_url=listener.url))
    eventually(lambda: told(server, rsa[0].token()) == "ack")
    for header in ({"jku": stranger.url}, {"x5u": stranger.url}, {"jwk": rsa[1].jwk}, {"kid": stranger.url},
                   {"x5c": ["AAAA"]}, {"jku": stranger.url, "kid": "nobody's"}):
        assert told(server, rsa[1].token(header=header)) == "unauthorized", header
        assert told(server, rsa[0].token(header={"kid": rsa[0].kid, **header} | {"kid": rsa[0].kid})) == "ack"
    assert told(server, rsa[0].token(header={"crit": ["exp"]})) == "unauthorized"
    # An unknown kid asks the one URL that the operator has named, once.
    assert len(listener.requests) == 2 and set(listener.requests) == {"/keys"}
    for i in range(50):
        assert told(server, rsa[1].token(header={"kid": f"unknown-{i}"})) == "unauthorized"
    assert len(listener.requests) == 2
    assert stranger.requests == []
    stranger.close()


def test_a3_expiry_while_connected_and_the_newer_token(start_server, secret_file):
    server = start_server(settings=jwt_settings(secret_file, leeway="1s", authenticate_within="3s"))
    silent, one, two = server.connect(), server.connect(), server.connect()
    for client in (one, two):
        client.send_json({"type": "subscribe", "id": 1, "data": {"token": token(lasts=2, topics=["a", "b"]), "topics": ["a", "b"]}})
        client.expect_ack(1)
    two.send_json({"type": "subscribe", "id": 2, "data": {"token": token(topics=["b"])}})
    two.expect_ack(2)
    one.expect_refusal("unauthorized", 1008, timeout=8)
    silent.expect_refusal("unauthorized", 1008, timeout=8)
    for topic in ("a", "b"):
        server.api.to_topic(topic, topic)
    assert two.next_message()["data"] == "b"
    two.send_json({"type": "subscribe", "data": {"topics": ["a"]}})
    two.expect_error("unauthorized")
    two.close()


def test_five_tokens_in_a_row_that_do_not_hold_end_the_connection(server):
    with server.connect() as client:
        for i in range(5):
            client.send_json({"type": "subscribe", "data": {"token": token(secret="another") if i % 2 else "x"}})
        for _ in range(4):
            client.expect_error("unauthorized")
        client.expect_refusal("unauthorized", 1008)


def test_a13_keys_follow_each_other_without_a_logout(start_server, secret_file):
    server = start_server(settings=jwt_settings(secret_file))
    newer = "the newer secret of the tests, as long as the other"
    client = server.connect(path="/ws?token=" + token())

    def reload(text):
        before = server.stderr.count("read anew") + server.stderr.count("stay in force")
        secret_file.write_text(text)
        server.signal(signal.SIGHUP)
        # Two lines: the API's keys, and the tokens'.
        eventually(lambda: server.stderr.count("read anew") + server.stderr.count("stay in force") >= before + 2)

    reload(f"{newer}\n{SECRET}\n")
    assert told(server, token(secret=newer)) == "ack" and told(server, token()) == "ack"
    reload("\n")
    assert told(server, token(secret=newer)) == "ack"
    assert "auth.jwt.secret_file" in server.stderr
    reload(newer)
    assert told(server, token()) == "unauthorized" and told(server, token(secret=newer)) == "ack"
    client.send_json({"type": "subscribe", "id": 1, "data": {}})
    client.expect_ack(1)
    client.close()


@pytest.mark.parametrize("answer", ["down", "500", "redirect", "html", "huge", "none"])
def test_keys_that_do_not_come_cost_nobody_else_anything(start_server, listener, secret_file, rsa, answer):
    elsewhere, over = Listener(), threading.Event()
    elsewhere.keys = listener.keys = [rsa[0]]
    listener.answer = {
        "down": None,
        "500": lambda r: listener.send(r, 500),
        "redirect": lambda r: listener.send(r, 302, Location=elsewhere.url),
        "html": lambda r: listener.send(r, 200, b"<html>"),
        "huge": lambda r: listener.send(r, 200, b" " * (1 << 20)),
        "none": lambda r: over.wait(60),
    }[answer]
    if answer == "down":
        listener.close()
    server = start_server(settings=jwt_settings(secret_file, jwks_url=listener.url))
    assert told(server, token()) == "ack"
    if answer != "none":
        eventually(lambda: "auth.jwt.jwks_url: " in server.stderr)
        assert told(server, rsa[0].token()) == "internal_error", "put off, not refused"
        assert status(server, headers=[("Authorization", "Bearer " + rsa[0].token())]) == 503
    assert elsewhere.requests == []
    elsewhere.close()
    began = time.monotonic()
    server.stop()
    assert time.monotonic() - began < 5, "the end waits for no answer"
    over.set()


def test_a_rotated_key_is_fetched_and_the_last_good_ones_outlive_their_source(start_server, listener, rsa):
    listener.keys = [rsa[0]]
    server = start_server(settings=jwt_settings(jwks_url=listener.url))
    assert told(server, rsa[0].token()) == "ack"
    listener.keys = list(rsa)
    assert told(server, rsa[1].token()) == "ack"
    listener.answer = lambda request: listener.send(request, 500)
    assert told(server, rsa[0].token(header={"kid": "third"})) == "unauthorized"
    assert told(server, rsa[0].token()) == "ack"
    figures = parse(server.api.get("/metrics").body.decode())
    assert list(figures["ringcast_auth_keys"].samples.values()) == [2]
    assert list(figures["ringcast_auth_keys_age_seconds"].samples.values())[0] < 60


# --- mode header

def header_settings(trusted):
    return {"auth": {"mode": "header", "header": {"name": "X-Person"}}, "proxy": {"trusted": trusted}}


def test_the_header_of_a_trusted_proxy_is_the_user(start_server):
    server = start_server(workers=2, settings=header_settings(["127.0.0.1"]))
    with server.connect(headers=[("X-PERSON", "ann")]) as client:
        client.send_json({"type": "subscribe", "data": {"userId": "bob"}})
        client.expect_error("unauthorized")
        client.send_json({"type": "subscribe", "id": 1, "data": {}})
        client.expect_ack(1)
        server.api.to_user("bob", 1)
        server.api.to_user("ann", 2)
        assert client.next_message()["data"] == 2
    for headers in ([], [("X-Person", "")], [("X-User-Id", "ann")]):
        with server.connect(headers=headers) as client:
            client.send_json({"type": "subscribe", "data": {"userId": "ann"}})
            client.expect_error("unauthorized")
            client.send_json({"type": "subscribe", "data": {"topics": ["t"]}})
            client.expect_error("unauthorized")
    assert status(server, headers=[("X-Person", "ann"), ("X-Person", "bob")]) == 400
    assert status(server, headers=[("X-Person", "u" * 129)]) == 400


def test_the_header_of_anybody_else_is_nothing(start_server):
    server = start_server(settings=header_settings(["192.0.2.0/24"]))
    with server.connect(headers=[("X-Person", "ann"), ("X-Forwarded-For", "192.0.2.1")]) as client:
        client.send_json({"type": "subscribe", "data": {"userId": "ann"}})
        client.expect_error("unauthorized")


# --- what is secret

def test_no_token_secret_or_key_is_to_be_seen(start_server, tmp_path, rsa):
    mark = "zQ7tokenSecretW9"
    secret_file = tmp_path / "secrets"
    secret_file.write_text(f"the-{mark}-is-long-enough-to-be-a-secret\n")
    settings = jwt_settings(secret_file, cookie="session") | {
        "log_level": "debug", "access_log": True, "allowed_origins": ["https://ok.example"]}
    server = start_server(workers=2, settings=settings)
    secrets = [mark]
    for user, secret in (("7", secret_file.read_text().strip()), ("7", "wrong"), ("", "wrong")):
        text = token(user, secret=secret)
        secrets += [text, text.rpartition(".")[2]]
        for path, headers in [("/ws?token=" + text, []), ("/ws?token=%zz" + text, []), (f"/{text}?token={text}", []),
                              ("/ws", [("Authorization", "Bearer " + text)]), ("/ws", [("Cookie", "session=" + text)]),
                              ("/ws", [("Sec-WebSocket-Protocol", "ringcast, " + text)])]:
            with server.connect(handshake=False) as client:
                client.send_bytes(client.request(path, headers))
                client.socket.settimeout(5)
                assert text not in client.socket.recv(65536).decode()
        told(server, text)
    for bad in ("\n", f"{mark}\n" * 100, "\n".join([mark] * 70000)):
        secret_file.write_text(bad)
        before = server.stderr.count("stay in force")
        server.signal(signal.SIGHUP)
        eventually(lambda: server.stderr.count("stay in force") > before)
    shown = [server.api.get("/api/stats").body.decode(), server.api.get("/metrics").body.decode(),
             pathlib.Path(f"/proc/{server.pid}/cmdline").read_text()]
    server.stop()
    for text in [*shown, server.stderr]:
        for secret in secrets:
            assert secret not in text


def test_the_thread_that_checks_tokens_gives_way_to_the_cores(server):
    nice = {}
    for task in pathlib.Path(f"/proc/{server.pid}/task").iterdir():
        nice[(task / "comm").read_text().strip()] = int((task / "stat").read_text().rpartition(")")[2].split()[16])
    assert nice["tokens"] == 10
    assert {nice[name] for name in ("core-0", "core-1", "store")} == {os.nice(0)}
