"""ringcastctl as a newcomer uses it."""
import base64
import hmac
import json
import signal
import subprocess

import pytest

from ringcast import unique
from ringcast.server import program

pytestmark = pytest.mark.skipif(not program("ringcastctl").exists(), reason="not part of a sanitizer build")
PATIENCE = 30.0


def url(server, path="/ws"):
    return "ws://%s:%d%s" % (*server.address, path)


def run(*args, env=None):
    return subprocess.run([program("ringcastctl"), *args], env=env or {}, stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, timeout=PATIENCE)


def publish(server, *args):
    return run("publish", "--api", "http://%s:%d" % server.api_address, *args,
               env={"RINGCAST_API_KEY": server.api_key()})


@pytest.fixture
def listen(server):
    started = []

    def start(*args):
        """A listener that has subscribed."""
        where = () if "--url" in args else ("--url", url(server))
        process = subprocess.Popen([program("ringcastctl"), "listen", *where, *args], text=True,
                                   stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        started.append(process)
        process.first_line = process.stderr.readline()
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


@pytest.mark.smoke
def test_prints_what_is_published_to_a_user_and_a_topic(server, listen):
    user, topic = unique("user"), unique("topic")
    listener = listen("--user", user, "--topic", topic, "--count", "2")
    assert listener.first_line == f"listening as user {user}, topics {topic}\n"
    answer = publish(server, "--user", user, "--title", 'A "title"', "--link", "/jobs/1")
    assert answer.returncode == 0 and set(json.loads(answer.stdout)) == {"id", "offset"}, answer
    assert publish(server, "--topic", topic, "--type", "job_update", "--data", '{ "id" : 7 }').returncode == 0
    out, _ = listener.communicate(timeout=PATIENCE)
    first, second = out.splitlines()
    assert '  notification  {"title":"A \\"title\\"","link":"/jobs/1","id":' in first
    assert '  job_update  {"id":7,"timestamp":' in second
    assert listener.returncode == 0


def test_replays_and_resumes_by_the_offsets_that_it_prints(server, listen):
    user = unique("user")
    offsets = [json.loads(publish(server, "--user", user, "--title", title).stdout)["offset"] for title in "ab"]
    out, _ = listen("--user", user, "--replay", "--count", "2").communicate(timeout=PATIENCE)
    assert [line.split("  ")[-1] for line in out.splitlines()] == offsets
    out, _ = listen("--user", user, "--since", offsets[0], "--count", "1", "--raw").communicate(timeout=PATIENCE)
    assert json.loads(out)["data"]["title"] == "b"


def test_listens_on_a_unix_socket(start_server, listen, tmp_path):
    socket = f"unix:{tmp_path}/clients.sock"
    server = start_server(settings={"listen": [socket]})
    listener = listen("--url", socket, "--user", "u", "--count", "1")
    assert listener.first_line == "listening as user u\n"
    server.api.notify("u", "hello")
    out, _ = listener.communicate(timeout=PATIENCE)
    assert listener.returncode == 0 and '"title":"hello"' in out
    nobody = run("listen", "--user", "u", "--url", socket + "2")
    assert (nobody.returncode, nobody.stderr) == (
        1, f"ringcastctl: no server listens at {socket}2; start one with tools/run or ringcastd\n")


@pytest.mark.parametrize("signal_number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_listening_with_status_0(listen, signal_number):
    listener = listen("--user", unique("user"))
    listener.send_signal(signal_number)
    listener.communicate(timeout=PATIENCE)
    assert listener.returncode == 0


def test_says_why_it_was_refused(server):
    for args, words in [(("--topic", "a b"), "refused: subscription_failed: "),
                        (("--user", "u", "--since", "x"), "refused: invalid_message: "),
                        (("--user", "u", "--url", url(server, "/elsewhere")), "refused: 404 ")]:
        result = run("listen", *(() if "--url" in args else ("--url", url(server))), *args)
        assert (result.returncode, result.stderr.count("\n")) == (1, 1), result
        assert result.stderr.startswith("ringcastctl: " + words)


def test_says_why_it_was_closed(server, listen):
    user = unique("user")
    listener = listen("--user", user)
    server.api.disconnect(user, "gone")
    _, err = listener.communicate(timeout=PATIENCE)
    assert (listener.returncode, err) == (1, "ringcastctl: closed by the server: 1008 gone (gone)\n")


def test_a_publication_with_a_ttl(server):
    user = unique("user")
    assert publish(server, "--user", user, "--title", "x", "--ttl", "315360000").returncode == 0
    refused = publish(server, "--user", user, "--title", "x", "--ttl", "315360001")
    assert refused.returncode == 1 and "ttl" in refused.stderr, refused
    assert publish(server, "--user", user, "--title", "x", "--ttl", "5", "--no-store").returncode == 2
    assert len(server.api.notifications(user)["notifications"]) == 1


def test_prints_the_servers_refusal_of_a_publication(server):
    result = publish(server, "--topic", "t", "--title", "x")
    assert result.returncode == 1 and result.stderr.startswith("ringcastctl: 400 invalid_message: "), result
    result = publish(server, "--api-key", "wrong", "--user", "1")
    assert result.returncode == 1 and result.stderr.startswith("ringcastctl: 401 unauthorized: "), result


def test_tells_how_to_start_a_server_where_none_is():
    for args in [("listen", "--user", "1", "--url", "ws://127.0.0.1:1/ws"),
                 ("publish", "--user", "1", "--api-key", "k", "--api", "http://127.0.0.1:1")]:
        result = run(*args)
        assert result.returncode == 1
        assert result.stderr == "ringcastctl: no server listens at 127.0.0.1:1; start one with tools/run or ringcastd\n"


def test_asks_an_api_on_a_unix_socket(start_server, tmp_path):
    socket = f"unix:{tmp_path}/api.sock"
    server = start_server(settings={"api_listen": [socket]})
    key = {"RINGCAST_API_KEY": server.api_key()}
    assert run("publish", "--api", socket, "--user", "u", "--title", "hello", env=key).returncode == 0
    answer = run("inbox", "u", "--api", socket, env=key)
    assert (answer.returncode, answer.stdout.splitlines()[1]) == (0, "1 unread"), answer
    nobody = run("inbox", "u", "--api", socket + "2", "--api-key", "k")
    assert (nobody.returncode, nobody.stderr) == (
        1, f"ringcastctl: no server listens at {socket}2; start one with tools/run or ringcastd\n")
    for wrong in ("unix:", "unix:/" + "x" * 107):
        refused = run("inbox", "u", "--api", wrong, "--api-key", "k")
        assert refused.returncode == 2 and "a socket's path has 1 to 107 bytes" in refused.stderr, refused


@pytest.mark.parametrize("args, words", [
    (["--api", "localhost:5001"], "a URL begins with http://"),
    (["--api", "https://localhost:5001"], "TLS ends at the proxy in front"),
    (["--api-key-file", "/nonexistent"], "/nonexistent: no API key can be read from it"),
    ([], "no API key: give --api-key-file or set RINGCAST_API_KEY"),
])
@pytest.mark.parametrize("command", [["publish", "--user", "1"], ["inbox", "1"], ["status"], ["top"]])
def test_settings_that_are_wrong_end_with_status_2(command, args, words, tmp_path):
    key = {} if not args or "file" in args[0] else {"RINGCAST_API_KEY": "k"}
    result = subprocess.run([program("ringcastctl"), *command, *args], env=key, stdin=subprocess.DEVNULL, cwd=tmp_path,
                            capture_output=True, text=True, timeout=PATIENCE)
    assert (result.returncode, result.stdout, result.stderr.count("\n")) == (2, "", 1), result
    assert result.stderr.startswith("ringcastctl: ") and words in result.stderr, result


def test_checks_settings(tmp_path):
    file = tmp_path / "ringcast.toml"
    file.write_text('workers = "many"\n', encoding="ascii")
    result = run("check", "--config", str(file))
    assert result.returncode == 2
    assert result.stderr == f"ringcastctl: {file}:1: workers: must be an integer from 0 to 64\n"
    assert (run("check").returncode, run("check").stdout) == (0, "ok\n")


def test_prints_an_inbox(server):
    user = unique("user/with space")
    ids = [server.api.notify(user, f"title {n}")["id"] for n in range(3)]
    server.api.mark_read(user, ids[1])

    def inbox(*args):
        answer = run("inbox", user, "--api", "http://%s:%d" % server.api_address, *args,
                     env={"RINGCAST_API_KEY": server.api_key()})
        assert answer.returncode == 0, answer
        return answer.stdout.splitlines()

    lines = inbox()
    assert [line.split()[1] for line in lines[:3]] == ["unread", "read", "unread"]
    assert '"title":"title 2"' in lines[0] and lines[3] == "2 unread"
    assert ["title 2" in line or "title 0" in line for line in inbox("--unread")[:2]] == [True, True]
    assert len(inbox("--limit", "1")) == 2


def test_backs_up_a_running_server_and_the_copy_goes_on_with_an_epoch_of_its_own(start_server, tmp_path):
    server = start_server(data_dir=tmp_path / "data")
    first = server.api.notify("u", "kept")["offset"]
    copy = tmp_path / "copy" / "ringcast.db"
    copy.parent.mkdir()
    answer = run("backup", copy, "--data-dir", tmp_path / "data")
    assert answer.returncode == 0 and answer.stdout.startswith(f"{copy}: "), answer
    server.api.notify("u", "later")
    assert run("backup", copy, "--data-dir", tmp_path / "data").returncode == 2, "it exists"
    verified = run("verify", copy)
    assert verified.returncode == 0 and verified.stdout.startswith("ok: 1 users, 1 notifications"), verified
    assert run("verify", tmp_path / "copy").stdout == verified.stdout
    assert list(copy.parent.iterdir()) == [copy]

    restored = start_server(data_dir=tmp_path / "copy")
    assert [n["data"]["title"] for n in restored.api.notifications("u")["notifications"]] == ["kept"]
    with restored.connect() as client:
        ack = client.subscribe("u", since=first)
        assert ack["gap"] is True and ack["offset"].rpartition("-")[0] != first.rpartition("-")[0]
        assert client.next_message()["data"]["title"] == "kept"


def test_verifies_data(start_server, tmp_path):
    server = start_server(data_dir=tmp_path / "data")
    server.api.notify("u", "a title to be damaged")
    offset = server.api.to_user("u", 1)["offset"]
    answer = run("verify", tmp_path / "data")
    assert answer.returncode == 0, answer
    assert answer.stdout == f"ok: 1 users, 1 notifications, 1 messages, 0 read marks, 0 idempotency keys, newest offset {offset}\n"
    server.stop()
    file = tmp_path / "data" / "ringcast.db"
    file.write_bytes(file.read_bytes().replace(b"to be damaged", b"to be DAMAGED"))
    answer = run("verify", tmp_path / "data")
    assert answer.returncode == 65
    assert answer.stderr == "entry 1: its checksum is wrong\n"
    assert answer.stdout.startswith("damaged: ")
    nowhere = run("verify", tmp_path / "nowhere")
    assert nowhere.returncode == 2
    assert nowhere.stderr == f"ringcastctl: {tmp_path}/nowhere/ringcast.db: unable to open database file\n"


def test_token_mints_what_the_server_takes(tmp_path):
    secret = tmp_path / "secret"
    secret.write_text("\nthe newest secret of this test, long enough\nan older one\n")
    minted = run("token", "--secret-file", str(secret), "--user", "7", "--expires", "10m", "--topics", "jobs.*,news",
                 "--issuer", "me", "--audience", "you")
    assert minted.returncode == 0, minted.stderr
    header, claims, signature = minted.stdout.strip().split(".")
    unpadded = lambda part: base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))
    assert json.loads(unpadded(header)) == {"alg": "HS256", "typ": "JWT"}
    claims_read = json.loads(unpadded(claims))
    assert claims_read["exp"] - claims_read["iat"] == 600
    assert {k: claims_read[k] for k in ("sub", "iss", "aud", "topics")} == {
        "sub": "7", "iss": "me", "aud": "you", "topics": ["jobs.*", "news"]}
    expected = hmac.new(b"the newest secret of this test, long enough", f"{header}.{claims}".encode(), "sha256").digest()
    assert unpadded(signature) == expected


def test_listens_with_a_token_that_it_has_minted(start_server, tmp_path):
    secret = tmp_path / "secret"
    secret.write_text("the secret of this test, which is long enough\n")
    server = start_server(settings={"auth": {"mode": "jwt", "jwt": {"algorithms": ["HS256"], "secret_file": str(secret)}}})
    token = run("token", "--secret-file", str(secret), "--user", "7", "--expires", "10m").stdout.strip()
    assert "unauthorized" in run("listen", "--url", url(server), "--user", "7", "--count", "1").stderr
    publish(server, "--user", "7", "--title", "hello")
    heard = run("listen", "--url", url(server), "--replay", "--count", "1", env={"RINGCAST_TOKEN": token})
    assert "listening as the token's user" in heard.stderr and '"title":"hello"' in heard.stdout, heard
    assert "--user or --token" in run("listen", "--url", url(server), "--topic", "t", "--replay").stderr


@pytest.mark.parametrize("args, word", [
    (["--user", "7"], "--secret-file"),
    (["--secret-file", "/nonexistent", "--user", "7"], "/nonexistent"),
    (["--secret-file", "/dev/null", "--user", "7"], "no secret"),
    (["--secret-file", "/etc/hostname", "--user", "7", "--expires", "soon"], "--expires"),
    (["--secret-file", "/etc/hostname", "--user", ""], "--user"),
])
def test_token_says_what_is_wrong(args, word):
    minted = run("token", *args)
    assert minted.returncode == 2 and word in minted.stderr and not minted.stdout
