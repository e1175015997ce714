"""bench/raw_limit, the ceiling that servers are compared with: it has to do the whole of what it is measured at."""
import re

import pytest

from ringcast import PING, PONG, TEXT, WsClient, build_dir
from ringcast.api import Api
from ringcast.server import Process, parse_address

CLIENTS = 50


@pytest.fixture
def start():
    running = []

    def start(*args):
        process = Process([build_dir() / "bench" / "raw_limit", "--listen", "127.0.0.1:0", "--api-listen", "127.0.0.1:0",
                           *args], wait_for=r"raw_limit ready")
        running.append(process)
        clients, api = re.search(r"ready clients (\S+) api (\S+)", process.stderr).groups()
        return parse_address(clients), Api(parse_address(api), None)

    yield start
    for process in running:
        process.stop()


def ping(client):
    client.send_frame(PING, b"?")
    client.expect_frame(PONG, b"?")


@pytest.mark.parametrize("how", [["--send", "quiet"], ["--send", "cqe"], ["--send", "loop"], ["--coalesce"], ["--shuffle"],
                                 ["--threads", "2"], ["--chunk", "1"]], ids=" ".join)
def test_everybody_gets_each_publication_once_and_its_user_one_more(start, how):
    address, api = start(*how)
    clients = [WsClient(address) for _ in range(CLIENTS)]
    for number, client in enumerate(clients):
        client.send_json({"type": "subscribe", "data": {"userId": number}})
        ping(client)  # it is known
    for target, n in [('"topic":"t"', 0), ('"topic":"t"', 1), ('"topic":"t"', 2), ('"userId":7', 3)]:
        body = f'{{"type":"x",{target},"data":{{"n":{n}}}}}'
        assert api.request("POST", "/api/publish", body).status == 200
    for number, client in enumerate(clients):
        expected = [0, 1, 2] + [3] * (number == 7)
        assert [client.next_message() for _ in expected] == [{"type": "x", "data": {"n": n}} for n in expected]
        ping(client)  # and nothing more


def test_an_echo_comes_back(start):
    address, _ = start("--echo")
    with WsClient(address) as client:
        for text in (b"", b"a", b"x" * 200, b"y" * 1500):
            client.send_frame(TEXT, text)
            client.expect_frame(TEXT, text)


@pytest.mark.parametrize("how", ["quiet", "loop"])
def test_who_says_good_bye_is_answered_and_let_go(start, how):
    address, _ = start("--send", how)
    WsClient(address).close()
