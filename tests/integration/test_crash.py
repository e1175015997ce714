"""kill -9 again and again: whatever was answered is there, once, in order, with its user. 1,000 times: docs/testing.md."""
import json
import pathlib
import shutil
import signal
import subprocess
import sys

import pytest

from ringcast import Server

HERE = pathlib.Path(__file__).resolve().parent / "crash"


def run(*command, timeout=250):
    return subprocess.run([sys.executable, *map(str, command)], capture_output=True, text=True, timeout=timeout)


@pytest.fixture(scope="module")
def ledger(tmp_path_factory):
    directory = tmp_path_factory.mktemp("crash") / "ledger"
    done = run(HERE / "run.py", directory, "--cycles", 50)
    assert done.returncode == 0, done
    return directory, json.loads(done.stdout)


def test_nothing_answered_is_lost_over_fifty_kills(ledger):
    _, verdict = ledger
    assert verdict["examples"] == {}
    assert verdict["accepted"] == verdict["tried"] > 500
    assert verdict["marked"] > 50 and verdict["received"] > verdict["accepted"]


POINTS = ["handled", "log-write", "log-sync", "log-synced", "committed", "published", "answered", "file-write", "file-sync"]


@pytest.mark.parametrize("point", POINTS)
def test_some_of_the_kills_are_at_each_point(ledger, point):
    assert ledger[1]["points"].get(point, 0) > 0, ledger[1]["points"]


def test_at_published_clients_have_what_the_publisher_was_not_answered():
    server = Server(workers=2, kill_at="published:25")
    try:
        with server.connect() as client:
            client.subscribe("u")
            answered = 0
            with pytest.raises(OSError):
                while True:
                    server.api.to_user("u", answered)
                    answered += 1
            assert [client.next_message()["data"] for _ in range(answered + 1)] == list(range(answered + 1))
        assert server.wait_for_exit() == -signal.SIGKILL
    finally:
        server.kill()
        server.cleanup()


def change(path, edit):
    lines = path.read_text(encoding="ascii").splitlines()
    edit(lines)
    path.write_text("\n".join(lines) + "\n", encoding="ascii")


def of_messages(lines):
    return [n for n, line in enumerate(lines) if '"label": "' in line and '"got"' in line and '"end"' not in line]


def drop(lines):
    del lines[of_messages(lines)[5]]


def double(lines):
    at = of_messages(lines)[5]
    lines.insert(at + 1, lines[at])


def swap(lines):
    first, second = of_messages(lines)[5:7]
    lines[first], lines[second] = lines[second], lines[first]


def stranger(lines):
    at = of_messages(lines)[5]
    message = json.loads(lines[at])
    message["got"]["data"]["label"] = "0-1000000"
    lines[at] = json.dumps(message)


def with_gap(lines):
    at = next(n for n, line in enumerate(lines) if '"resumed"' in line)
    lines[at] = lines[at].replace('"gap": false', '"gap": true')


@pytest.mark.parametrize("edit,found", [(drop, "missing"), (double, "twice"), (swap, "order"), (stranger, "wrongUser"),
                                        (with_gap, "gaps")])
def test_the_verifier_finds_what_is_planted(ledger, tmp_path, edit, found):
    shutil.copytree(ledger[0], tmp_path / "copy")
    change(tmp_path / "copy" / "consumer-user-1.jsonl", edit)
    done = run(HERE / "verifier.py", tmp_path / "copy")
    assert done.returncode == 1 and json.loads(done.stdout)[found] > 0, done.stdout


def test_the_verifier_finds_a_lost_read_mark(ledger, tmp_path):
    shutil.copytree(ledger[0], tmp_path / "copy")
    inboxes = tmp_path / "copy" / "inboxes.json"
    inboxes.write_text(inboxes.read_text(encoding="ascii").replace("true", "false", 1), encoding="ascii")
    verdict = json.loads(run(HERE / "verifier.py", tmp_path / "copy").stdout)
    assert verdict["unreadCounts"] == 1 and verdict["readMarksLost"] == 1
