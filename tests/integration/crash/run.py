"""The crash ledger: publishers and consumers at work while the server is killed again and again.

    RINGCAST_BUILD=build tests/integration/crash/run.py DIRECTORY [--cycles 1000] [--seed 1]

Every other kill is at a named point around write, commit and answer, where the server kills itself; the others
are at any time, some of them while it starts. DIRECTORY must be empty; it keeps the ledgers and the server's data. Prints the verifier's verdict; status 1 when
anything was lost, came twice, out of order or to another user.
"""
import argparse
import collections
import json
import pathlib
import random
import signal
import socket
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from ringcast import Server  # noqa: E402

HERE = pathlib.Path(__file__).resolve().parent
PUBLISHERS = 4
USERS = [f"user-{n}" for n in range(6)]
POINTS = ["handled", "log-write", "log-sync", "log-synced", "committed", "published", "answered", "file-write", "file-sync"]
LIFE_MAX = 2.0  # then a server that does not come to its point is killed all the same


def free_ports(count):
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [s.getsockname()[1] for s in sockets]
    for s in sockets:
        s.close()
    return ports


def inbox_of(api, user):
    read, page, query = {}, None, "?limit=100"
    while page is None or page["next"]:
        page = api.notifications(user, query + (f"&before={page['next']}" if page else ""))
        read.update({n["data"]["id"]: n["data"]["read"] for n in page["notifications"]})
    return {"read": read, "unreadCount": page["unreadCount"]}


def run(directory, cycles, seed):
    chance = random.Random(seed)
    client_port, api_port = free_ports(2)
    settings = {"listen": [f"127.0.0.1:{client_port}"], "api_listen": [f"127.0.0.1:{api_port}"],
                "inbox": {"notifications_per_user": 1000000}}

    reached = collections.Counter()

    def start(ready=True, kill_at=None):
        return Server(workers=2, settings=settings, data_dir=directory / "data", ready=ready, kill_at=kill_at)

    def end_at_point(point):
        """A server that kills itself there; in the middle of its start perhaps."""
        often = 3 if point.startswith("file") else 60
        dying = start(ready=False, kill_at=f"{point}:{1 + chance.randrange(often)}")
        try:
            reached[point] += dying.wait_for_exit(LIFE_MAX) == -signal.SIGKILL
        except subprocess.TimeoutExpired:
            reached["none"] += 1
        dying.kill()
        dying.cleanup()

    def child(script, *args):
        return subprocess.Popen([sys.executable, HERE / script, directory, *map(str, args)])

    server = start()
    key = server.api_key()
    consumers = [child("consumer.py", user, f"127.0.0.1:{client_port}") for user in USERS]
    publishers = [child("publisher.py", n, f"127.0.0.1:{api_port}", key, f"{seed}{n}") for n in range(PUBLISHERS)]
    try:
        for cycle in range(cycles):
            if cycle % 2 == 1:
                server.kill()
                server.cleanup()
                end_at_point(POINTS[cycle // 2 % len(POINTS)])
                server = start()
                continue
            time.sleep(chance.uniform(0, 0.3))
            server.kill()
            server.cleanup()
            if chance.random() < 0.2:  # and once while it starts
                server = start(ready=False)
                time.sleep(chance.uniform(0, 0.05))
                server.kill()
                server.cleanup()
            server = start()
        time.sleep(0.3)
        (directory / "stop").touch()
        for publisher in publishers:
            assert publisher.wait(60) == 0
        for user in USERS:
            server.api.to_user(user, {"label": "end"})
        for consumer in consumers:
            assert consumer.wait(60) == 0
        inboxes = {user: inbox_of(server.api, user) for user in USERS}
        (directory / "inboxes.json").write_text(json.dumps(inboxes), encoding="ascii")
        (directory / "points.json").write_text(json.dumps(reached), encoding="ascii")
        server.stop()
    finally:
        for process in consumers + publishers:
            process.kill()
        server.cleanup()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("directory", type=pathlib.Path)
    parser.add_argument("--cycles", type=int, default=50)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    options.directory.mkdir(parents=True, exist_ok=True)
    assert not any(options.directory.iterdir()), f"{options.directory} is not empty"
    run(options.directory, options.cycles, options.seed)
    sys.exit(subprocess.run([sys.executable, HERE / "verifier.py", options.directory]).returncode)


main()
