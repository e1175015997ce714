"""ringcastctl as a newcomer uses it."""
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
        process = subprocess.Popen([program("ringcastctl"), "listen", "--url", url(server), *args], text=True,
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


def test_checks_settings(tmp_path):
    file = tmp_path / "ringcast.toml"
    file.write_text('workers = "many"\n', encoding="ascii")
    result = run("check", "--config", str(file))
    assert result.returncode == 2
    assert result.stderr == f"ringcastctl: {file}:1: workers: must be an integer from 0 to 64\n"
    assert (run("check").returncode, run("check").stdout) == (0, "ok\n")
