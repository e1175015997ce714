"""ringcast-load: each scenario against the real server for a moment, and against one that loses things."""
import contextlib
import fcntl
import json
import os
import pty
import re
import struct
import subprocess
import termios

import pytest

from ringcast.server import Process, build_dir, program
from support_lossy import LossyServer


def run(scenario, *args, status=0, timeout=60):
    """The JSON of a run."""
    command = [program("ringcast-load"), scenario, "--json", "-", "--settle", "50ms", *args]
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, timeout=timeout, check=False)
    assert done.returncode == status, done.stdout[:4000] + done.stderr
    return json.loads(done.stdout)


def at(server, publishes=True):
    where = ["--url", "ws://{}:{}/ws".format(*server.address), "--server-pid", server.pid]
    if publishes:
        where += ["--api", "http://{}:{}".format(*server.api_address), "--api-key-file", server.data_dir / "api.key"]
    return where


BRIEF = ["--warmup", "100ms", "--duration", "700ms"]


def expect_well(result, clients):
    assert result["ok"], result
    assert result["connections"]["subscribed"] == clients
    assert result["connections"]["lost"] == result["connections"]["failed"] == 0
    assert {result["deliveries"][fault] for fault in ("missing", "doubled", "reordered", "stray", "other_orders")} == {0}


def expect_ordered(histogram):
    steps = [histogram[name] for name in ("min", "p50", "p90", "p99", "p99.9", "p99.99", "max")]
    assert steps == sorted(steps) and steps[0] > 0, histogram


@pytest.mark.smoke
def test_fanout_counts_every_delivery(either):
    result = run("fanout", "-n", 300, *at(either), *BRIEF)
    expect_well(result, 300)
    topic = result["publications"]["topic"]
    assert topic["published"] == topic["answered"] == topic["complete"] > 0
    assert result["deliveries"]["received"] == 300 * topic["published"]
    latency = result["latency_ns"]
    for name in ("topic_first", "topic_median", "topic_last"):
        expect_ordered(latency[name])
        assert latency[name]["count"] == topic["measured"]
    assert latency["topic_all"]["count"] == 300 * topic["measured"]
    assert latency["topic_first"]["p50"] <= latency["topic_median"]["p50"] <= latency["topic_last"]["p50"]
    cpu = result["cpu"]
    assert 0 < cpu["server_ns"] < cpu["seconds"] * 2e9 and cpu["load_ns"] > 0
    charged = cpu["server_ns"] + cpu["ksoftirqd_ns"] + cpu["unowned_ns"]
    assert cpu["server_ns_per_delivery"] == pytest.approx(charged / result["deliveries"]["measured"], rel=1e-3)


def test_fanout_with_several_in_flight_and_threads_keeps_one_order_for_all(either):
    result = run("fanout", "-n", 200, "--in-flight", 8, "--threads", 2, *at(either), *BRIEF)
    expect_well(result, 200)
    assert result["deliveries"]["received"] == 200 * result["publications"]["topic"]["published"] > 0


def test_open_loop_keeps_its_rate(server):
    result = run("fanout", "-n", 100, "--rate", 100, *at(server), "--warmup", "0", "--duration", "1s")
    expect_well(result, 100)
    assert result["publications"]["topic"]["published"] == pytest.approx(100, abs=2)
    assert result["latency_ns"]["topic_late"]["count"] == result["publications"]["topic"]["measured"]


@pytest.mark.parametrize("store", [[], ["--store"]])
def test_targeted_reaches_each_user_alone(either, store):
    result = run("targeted", "-n", 200, "--in-flight", 4, "--user-bytes", 28, *store, *at(either), *BRIEF)
    expect_well(result, 200)
    users = result["publications"]["users"]
    assert users["published"] == result["deliveries"]["received"] > 0
    expect_ordered(result["latency_ns"]["user_delivery"])


def test_mixed_does_both(either):
    result = run("mixed", "-n", 200, "--rate", 20, "--targeted-rate", 200, "--first-user", 5000, *at(either), *BRIEF)
    expect_well(result, 200)
    topic, users = result["publications"]["topic"]["published"], result["publications"]["users"]["published"]
    assert topic > 0 and users > 0
    assert result["deliveries"]["received"] == 200 * topic + users


@pytest.mark.parametrize("threads", [1, 2])
def test_mixed_with_clients_of_their_own_for_what_goes_to_users(server, threads):
    result = run("mixed", "-n", 200, "--threads", threads, "--rate", 20, "--targeted-rate", 200, "--targeted-clients", 3,
                 *at(server), *BRIEF)
    expect_well(result, 203)
    topic, users = result["publications"]["topic"], result["publications"]["users"]
    assert topic["complete"] == topic["published"] > 0 and users["complete"] == users["published"] > 0
    assert result["deliveries"]["received"] == 200 * topic["published"] + users["published"]
    assert result["settings"]["threads"] == threads + 1
    expect_ordered(result["latency_ns"]["user_delivery"])


def test_idle_answers_heartbeats_and_measures_memory(start_server):
    server = start_server(settings={"ping_interval": "200ms"})
    result = run("idle", "-n", 500, *at(server, publishes=False), "--duration", "1s")
    expect_well(result, 500)
    assert result["connections"]["heartbeats"] >= 3 * 500
    assert [reading["connections"] for reading in result["memory"]["readings"]] == [0, 250, 500, 500]
    assert result["memory"]["per_connection"]["slab_bytes"] > 3000
    assert result["cpu"]["idle_us_per_connection_second"] > 0


def test_storm_brings_all_back(either):
    result = run("storm", "-n", 300, "--rounds", 3, "--first-user", 7000, *at(either, publishes=False))
    expect_well(result, 300)
    assert len(result["storm"]) == 3
    assert all(round["back"] == 300 and 0 < round["all_back_s"] < 30 for round in result["storm"])
    assert result["latency_ns"]["ready"]["count"] == 4 * 300


@pytest.mark.parametrize("rate", [[], ["--rate", 2000]])
def test_echo(echo, rate):
    result = run("echo", "--url", "ws://{}:{}/".format(*echo.address), "-n", 50, "--bytes", 128, "--in-flight", 2, *rate, *BRIEF)
    expect_well(result, 50)
    assert result["deliveries"]["measured"] > 100
    expect_ordered(result["latency_ns"]["echo"])


def test_reports_are_pages_of_their_own(server, tmp_path):
    page = tmp_path / "page.html"
    run("fanout", "-n", 100, *at(server), *BRIEF, "--report", page)
    text = page.read_text(encoding="utf-8")
    assert text.startswith("<!doctype html>") and text.rstrip().endswith("</html>")
    assert text.count("<svg") == text.count("</svg>") == 4
    assert not re.search(r"https?://(?!127\.0\.0\.1)|<script|<link|@import|\bnan\b|\binf\b", text)
    assert "prefers-color-scheme:dark" in text


def test_says_what_it_found_to_people(server):
    command = [program("ringcast-load"), "fanout", "-n", 50, *at(server), *BRIEF]
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout
    assert "all is well" in done.stdout and "topic: last receiver" in done.stdout
    assert done.stderr == "", "no progress line where there is no terminal"


@pytest.mark.parametrize("columns", [60, 300])
def test_the_progress_line_stays_one_line(server, columns):
    main, terminal = pty.openpty()
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    command = [program("ringcast-load"), "fanout", "-n", 50, *at(server), *BRIEF]
    with subprocess.Popen([str(part) for part in command], stdout=subprocess.DEVNULL, stderr=terminal) as process:
        os.close(terminal)
        shown = b""
        with contextlib.suppress(OSError):  # EIO: nobody has the other end any more
            while part := os.read(main, 4096):
                shown += part
    os.close(main)
    assert process.returncode == 0
    before, *lines = shown.decode().split("\r\x1b[K")
    assert before == "" and lines[-1] == "", "it is taken back in the end"
    assert len(lines) > 3 and any(line.startswith("measure") for line in lines)
    assert max(map(len, lines)) == 59 if columns == 60 else all("%" in line for line in lines[:-1]), lines


@pytest.mark.parametrize("scenario, args", [("fanout", ["--in-flight", 4]), ("targeted", []), ("mixed", ["--rate", 20])])
def test_drives_the_ceiling_in_the_same_way(scenario, args):
    raw = Process([build_dir() / "bench" / "raw_limit", "--listen", "127.0.0.1:0", "--api-listen", "127.0.0.1:0"],
                  wait_for=r"raw_limit ready")
    try:
        clients, api = re.search(r"ready clients (\S+) api (\S+)", raw.stderr).groups()
        result = run(scenario, "-n", 100, "--no-ack", "--url", f"ws://{clients}/ws", "--api", f"http://{api}",
                     "--server-pid", raw.pid, *args, *BRIEF)
        expect_well(result, 100)
        assert result["deliveries"]["measured"] > 0
    finally:
        raw.kill()


# --- what must be found


@pytest.fixture
def lossy():
    with LossyServer() as server:
        yield server


def against(lossy, scenario="fanout", *args, clients=20):
    return run(scenario, "-n", clients, "--no-ack", "--url", f"ws://127.0.0.1:{lossy.port}/ws", "--api",
               f"http://127.0.0.1:{lossy.port}", "--rate", 50, "--in-flight", 1, "--warmup", "0", "--duration", "500ms", "--patience", "1s", *args,
               status=1 if lossy.fault else 0)


def test_a_server_without_faults_has_none(lossy):
    assert against(lossy)["ok"]


@pytest.mark.parametrize("fault, counted, words", [("drop", "missing", "never came"), ("double", "doubled", "came twice"),
                                                   ("swap", "reordered", "came behind later ones"),
                                                   ("drop-last", "missing", "never came")])
def test_one_message_to_one_client_is_found_and_named(lossy, fault, counted, words):
    lossy.fault = fault
    result = against(lossy)
    assert not result["ok"]
    faults = {name: result["deliveries"][name] for name in ("missing", "doubled", "reordered", "stray")}
    assert faults == {**dict.fromkeys(faults, 0), counted: 1}
    (name,) = result["deliveries"]["named"]
    assert words in name and name.startswith("client ")


def test_a_message_to_the_wrong_user_is_found(lossy):
    lossy.fault = "misdirect"
    result = against(lossy, "targeted")
    assert result["deliveries"]["stray"] == 1 and result["deliveries"]["missing"] == 1


def test_a_lost_connection_is_found(lossy):
    lossy.fault = "hang-up"
    result = against(lossy)
    assert result["connections"]["lost"] == 1
    assert result["deliveries"]["missing"] > 0
    assert any("lost" in trouble for trouble in result["troubles"])


def test_a_refused_publication_is_no_loss_and_yet_no_success(lossy):
    lossy.fault = "refuse"
    result = against(lossy)
    assert result["publications"]["topic"]["refused"] == 1
    assert result["deliveries"]["missing"] == 0
    assert any(trouble.startswith("503") for trouble in result["troubles"])


def test_a_server_that_is_not_there_is_named():
    result = run("idle", "-n", 5, "--url", "ws://127.0.0.1:9/ws", "--patience", "500ms", "--duration", "100ms", status=1)
    assert "0 of 5" in result["trouble"]


def test_settings_that_are_wrong_have_status_2():
    done = subprocess.run([program("ringcast-load"), "fanout", "--rounds", "3"], capture_output=True, text=True, check=False)
    assert done.returncode == 2 and "--rounds" in done.stderr
