"""What outlives the process: a kill, a restart, a disk that refuses for a while, files that are not as they were left."""

import pathlib
import resource
import signal
import socket
import subprocess

import pytest

from ringcast import Server, eventually, unique

DATABASE = "ringcast.db"


@pytest.fixture
def data_dir(tmp_path):
    return tmp_path / "data"


def test_idempotency_survives_a_kill(start_server, data_dir):
    server = start_server(data_dir=data_dir)
    to_user = {"type": "custom", "userId": "u", "data": 1}
    to_topic = {"type": "custom", "topic": "t", "data": 2}
    first = [server.api.publish(to_user, idempotency_key="user"), server.api.publish(to_topic, idempotency_key="topic")]
    server.kill()
    server = start_server(data_dir=data_dir)
    with server.connect() as client:
        client.subscribe("u", ["t"])
        assert server.api.publish(to_user, idempotency_key="user") == first[0]
        assert server.api.publish(to_topic, idempotency_key="topic") == first[1]
        changed = server.api.post("/api/publish", {**to_topic, "data": 3}, headers={"Idempotency-Key": "topic"})
        assert (changed.status, changed.error()) == (409, "conflict")
        client.expect_nothing()


def test_the_inbox_survives_a_kill(start_server, data_dir):
    server = start_server(data_dir=data_dir)
    notification = {"type": "notification", "userId": "u", "data": {"id": "known", "title": "title"}}
    ids = [server.api.publish(notification)["id"]]
    ids += [server.api.notify("u", f"title {n}")["id"] for n in range(4)]
    server.api.mark_read("u", ids[1])
    assert server.api.request("DELETE", f"/api/users/u/notifications/{ids[2]}").status == 204
    before = server.api.notifications("u")
    server.kill()
    server = start_server(data_dir=data_dir)
    assert server.api.notifications("u") == before
    assert before["unreadCount"] == 3
    assert server.api.publish(notification)["id"] == ids[0]
    assert server.api.notifications("u")["unreadCount"] == 3


@pytest.mark.parametrize("durability", ["fsync", "write"])
def test_offsets_go_on_after_a_restart(start_server, data_dir, durability):
    settings = {"durability": durability}
    server = start_server(data_dir=data_dir, settings=settings)
    first = server.api.to_user("u", 1)["offset"]
    server.stop()
    server = start_server(data_dir=data_dir, settings=settings)
    epoch, _, number = server.api.to_user("u", 2)["offset"].rpartition("-")
    assert (epoch, int(number)) == (first.rpartition("-")[0], int(first.rpartition("-")[2]) + 1)
    server.kill()
    server = start_server(data_dir=data_dir, settings=settings)
    with server.connect() as client:
        client.subscribe("u", since=first)
        client.expect_json({"type": "custom", "data": 2, "offset": f"{epoch}-{number}"})


def test_a_disk_that_refuses_disconnects_nobody_and_is_forgiven(start_server):
    server = start_server()
    notification = server.api.notify("u")["id"]
    with server.connect() as client:
        client.subscribe("u", ["t"])
        # Files may not grow: what SQLite gets is what a full disk says.
        resource.prlimit(server.pid, resource.RLIMIT_FSIZE, (4096, resource.RLIM_INFINITY))
        refused = server.api.post("/api/publish", {"type": "custom", "userId": "u", "data": "refused"})
        assert (refused.status, refused.error()) == (503, "unavailable")
        assert refused.headers["retry-after"]
        assert server.api.get("/readyz").status == 503
        assert server.api.get("/healthz").status == 200
        client.send_json({"type": "mark_read", "id": 1, "data": {"notificationId": notification}})
        client.expect_error("internal_error", id=1)
        for path in ("/read-all", f"/{notification}/read"):
            assert server.api.post("/api/users/u/notifications" + path).status == 503
        assert server.api.notifications("u")["unreadCount"] == 1
        server.api.to_topic("t", "not stored")
        client.expect_json({"type": "custom", "data": "not stored"})
        with server.connect() as other:
            other.subscribe("u", since="0")
            assert other.next_message()["data"]["id"] == notification
        resource.prlimit(server.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        eventually(lambda: server.api.get("/readyz").status == 200)
        server.api.to_user("u", "taken")
        client.expect_json({"type": "custom", "data": "taken"})
        client.mark_read(notification)
    assert server.api.notifications("u")["unreadCount"] == 0


def test_a_message_is_gone_after_its_ttl(start_server):
    server = start_server()
    with server.connect() as live:
        live.subscribe("u")
        server.api.notify("u", "short", ttl=1)
        assert live.next_message()["data"]["title"] == "short"
    server.api.notify("u", "kept")
    eventually(lambda: [n["data"]["title"] for n in server.api.notifications("u")["notifications"]] == ["kept"])
    assert server.api.notifications("u")["unreadCount"] == 1
    with server.connect() as client:
        assert client.subscribe("u", since="0")["gap"] is False
        assert client.next_message()["data"]["title"] == "kept"


def test_erases_a_user(start_server, data_dir):
    server = start_server(data_dir=data_dir)
    first = server.api.notify("u", "a secret")["offset"]
    server.api.to_user("u", "another secret")
    message = {"type": "custom", "userId": "u", "data": "a third secret"}
    server.api.publish(message, idempotency_key="k")
    server.api.mark_all_read("u")
    server.api.notify("v", "kept")
    answer = server.api.request("DELETE", "/api/users/u")
    assert answer.status == 200
    assert answer.json() == {"erased": {"notifications": 1, "messages": 2, "readMarks": 1, "idempotencyKeys": 1}}
    for name in (DATABASE, DATABASE + "-wal"):
        assert b"secret" not in (data_dir / name).read_bytes()
    server.kill()
    server = start_server(data_dir=data_dir)
    assert server.api.notifications("u") == {"notifications": [], "unreadCount": 0, "next": None}
    assert server.api.notifications("v")["unreadCount"] == 1
    with server.connect() as client:
        assert client.subscribe("u", since=first)["gap"] is True
        client.expect_nothing()
    assert server.api.publish(message, idempotency_key="k")["offset"] != first
    assert server.api.request("DELETE", "/api/users/nobody").json()["erased"]["messages"] == 0
    refused = server.api.request("PUT", "/api/users/u")
    assert (refused.status, refused.headers["allow"]) == (405, "GET, DELETE")


def test_shows_how_the_store_stands(start_server):
    server = start_server()
    ids = [server.api.notify("u")["id"] for _ in range(3)]
    server.api.publish({"type": "custom", "userId": "v", "data": 1}, idempotency_key="k")
    server.api.mark_read("u", ids[0])
    store = server.api.get("/api/stats").json()["store"]
    expected = {"down": 0, "failures_total": 0, "users": 2, "notifications": 3, "messages": 1, "read_marks": 1,
                "idempotency_keys": 1}
    assert {name: store[name] for name in expected} == expected
    assert 1 <= store["batches_total"] <= store["batch_requests_total"]
    assert store["bytes"] > 0
    commits = store["commit_seconds"]
    assert commits["count"] == store["batches_total"] == commits["buckets"][-1][1] and commits["sum"] > 0
    assert commits["buckets"] == sorted(commits["buckets"])
    figures = server.api.get("/metrics").body.decode()
    assert "ringcast_store_notifications 3\n" in figures
    assert f'ringcast_store_commit_seconds_count {store["batches_total"]}\n' in figures


def refusal(data_dir):
    """The status and the one line with which a start on these data ends."""
    server = Server(data_dir=data_dir, ready=False)
    try:
        status = server.wait_for_exit()
        lines = [line for line in server.stderr.splitlines() if line.startswith("ringcastd: ")]
        assert len(lines) == 1, server.stderr
        return status, lines[0]
    finally:
        server.cleanup()


@pytest.fixture
def used(start_server, data_dir):
    server = start_server(data_dir=data_dir)
    server.api.notify(unique("user"))
    server.stop()
    return data_dir


@pytest.mark.parametrize("damage,words", [
    (lambda file: file.write_bytes(b""), "damaged"),
    (lambda file: file.write_bytes(b"not a database" * 1000), "not a database"),
    (lambda file: file.write_bytes(file.read_bytes()[:8192]), "malformed"),
    (lambda file: (file.with_name(DATABASE + "-wal").write_bytes(b"left"), file.unlink()), "missing"),
    (lambda file: file.write_bytes(file.read_bytes()[:60] + b"\0\0\0\x63" + file.read_bytes()[64:]), "newer"),
], ids=["empty", "foreign", "cut", "missing", "newer"])
def test_refuses_data_that_it_cannot_use_and_leaves_them(used, damage, words):
    file = used / DATABASE
    damage(file)
    left = file.read_bytes() if file.exists() else None
    status, line = refusal(used)
    assert status == 65, line
    assert words in line and str(file) in line
    assert (file.read_bytes() if file.exists() else None) == left


def test_a_start_that_was_cut_off_is_begun_anew(start_server, data_dir):
    data_dir.mkdir()
    (data_dir / (DATABASE + ".new")).write_bytes(b"half")
    server = start_server(data_dir=data_dir)
    server.api.notify("u")
    assert not (data_dir / (DATABASE + ".new")).exists()
    assert (data_dir / DATABASE).stat().st_mode & 0o777 == 0o600


def test_leaves_one_whole_file_when_it_ends(start_server, data_dir):
    server = start_server(data_dir=data_dir)
    server.api.notify("u")
    server.signal(signal.SIGTERM)
    assert server.wait_for_exit() == 0
    assert not (data_dir / (DATABASE + "-wal")).exists()


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


def test_a_disk_that_refuses_at_the_start_lets_clients_in_and_is_waited_for(start_server, data_dir):
    server = start_server(data_dir=data_dir)
    known = server.api.notify("u")["id"]
    server.kill()
    ports = {"listen": [f"127.0.0.1:{free_port()}"], "api_listen": [f"127.0.0.1:{free_port()}"]}
    server = start_server(data_dir=data_dir, settings=ports, ready=False, under=["prlimit", "--fsize=40000:unlimited"])
    server.client_addresses, server.api_addresses = ([("127.0.0.1", int(ports[which][0].rpartition(":")[2]))]
                                                     for which in ("listen", "api_listen"))
    server.wait_for_stderr("not ready yet")
    server.api = server.new_api()
    assert eventually(lambda: server.api.get("/readyz").status) == 503
    refused = server.api.post("/api/publish", {"type": "custom", "userId": "u", "data": 1})
    assert (refused.status, refused.error()) == (503, "unavailable")
    with server.connect() as client:
        client.subscribe("u", replay="unread")
        assert client.next_message()["data"]["id"] == known
        server.api.to_topic("t", "not stored")
        assert "ringcastd ready" not in server.stderr
        resource.prlimit(server.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        server.wait_for_stderr("ringcastd ready")
        assert server.api.get("/readyz").status == 200
        client.mark_read(known)
    assert server.api.notifications("u")["unreadCount"] == 0


def test_a_killed_server_keeps_its_epoch_while_the_machine_runs_also_where_proc_is_hidden(start_server, data_dir):
    hide = ["unshare", "--map-root-user", "--mount", "sh", "-c", 'mount -t tmpfs tmpfs /proc/sys && exec "$@"', "sh"]
    if subprocess.run([*hide, "true"], capture_output=True).returncode != 0:
        pytest.skip("no file system can be mounted here")
    data_dir.mkdir()
    (data_dir / "api.key").write_text("key", encoding="ascii")

    def epoch(boot_id):
        server = start_server(data_dir=data_dir, settings={"durability": "write"}, under=hide,
                              env={"RINGCAST_API_KEY": "key", **({"BOOT_ID": boot_id} if boot_id else {})})
        offset = server.api.to_user("u", 1)["offset"]
        server.kill()
        return offset.rpartition("-")[0]

    first = epoch("0123")
    assert epoch("0123") == first
    second = epoch("4567")
    assert second != first
    assert epoch(None) not in (first, second)


def private_tmpfs(size, directory):
    """A command under which the server has a small file system of its own at the directory; None where that is
    not allowed."""
    script = f'mount -t tmpfs -o size={size} tmpfs "{directory}" && exec "$@"'
    under = ["unshare", "--map-root-user", "--mount", "sh", "-c", script, "sh"]
    allowed = subprocess.run([*under, "true"], capture_output=True).returncode == 0
    return under if allowed else None


def test_a_full_file_system_is_survived(start_server, data_dir):
    data_dir.mkdir()
    under = private_tmpfs("8m", data_dir)
    if under is None:
        pytest.skip("no file system can be mounted here")
    (data_dir / "api.key").write_text("key", encoding="ascii")  # for this process, which sees the other directory
    server = start_server(data_dir=data_dir, under=under, env={"RINGCAST_API_KEY": "key"})
    ballast = pathlib.Path(f"/proc/{server.pid}/root{data_dir}") / "ballast"
    ballast.write_bytes(b"x" * (3 << 20))
    accepted = []
    with server.connect() as client:
        client.subscribe("u", offsets=True)
        refused = None
        for n in range(2000):
            answer = server.api.post("/api/publish", {"type": "custom", "userId": "u", "data": str(n) + "x" * 30000})
            if answer.status != 200:
                refused = answer
                break
            accepted.append(answer.json()["offset"])
        assert refused is not None and (refused.status, refused.error()) == (503, "unavailable")
        assert len(accepted) > 20
        assert server.api.get("/readyz").status == 503
        for offset in accepted:
            assert client.next_message()["offset"] == offset
        with server.connect() as other:  # what is there is served
            assert other.subscribe("u", since="0")["offset"] == accepted[-1]
            assert [other.next_message()["offset"] for _ in accepted] == accepted
        ballast.unlink()
        eventually(lambda: server.api.get("/readyz").status == 200)
        again = server.api.to_user("u", "there is space again")["offset"]
        assert client.next_message()["offset"] == again


def test_a_start_that_finds_no_space_says_so(start_server, data_dir, tmp_path):
    """SQLite alone says "disk I/O error" of the file through which the readers and the writer share the log."""
    start_server(data_dir=data_dir).stop()
    full = tmp_path / "full"
    full.mkdir()
    under = private_tmpfs("8m", full)
    if under is None:
        pytest.skip("no file system can be mounted here")
    fill = f'cp -r "{data_dir}/." "{full}"; cat /dev/zero > "{full}/ballast" 2> /dev/null; exec "$@"'
    server = Server(data_dir=full, under=[*under, "sh", "-c", fill, "sh"], ready=False)
    try:
        assert server.wait_for_exit() == 1
        assert "ringcast.db: disk I/O error" in server.stderr and "No space left" in server.stderr, server.stderr
    finally:
        server.cleanup()
