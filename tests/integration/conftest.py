"""Servers for the tests. RINGCAST_BUILD names the build directory (default: `build` beside the sources)."""
import sys

import pytest

sys.dont_write_bytecode = True
pytest.register_assert_rewrite("ringcast")

from ringcast import EchoServer, Server, build_dir  # noqa: E402
from ringcast.server import program  # noqa: E402

_SKIPPED = 77  # what meson takes for a skipped test


def pytest_sessionstart(session):
    missing = [name for name in ("ringcastd", "ringcast-echo") if not program(name).exists()]
    if missing:
        pytest.exit(f"{build_dir()} holds no {' and no '.join(missing)}", _SKIPPED)


# For tests of which none is about rate: enough for any of them.
QUICK = {"limits": {"messages_per_second": 10000, "connections_per_user": 0}}


def _running(server):
    yield server
    try:
        server.stop()
    finally:
        server.cleanup()


@pytest.fixture(scope="session")
def server():
    """One core, no rate limit, default limits else. Shared: use unique() users and topics."""
    yield from _running(Server(workers=1, settings=QUICK))


@pytest.fixture(scope="session")
def server2():
    """As `server`, on two cores."""
    yield from _running(Server(workers=2, settings=QUICK))


@pytest.fixture(scope="session", params=[1, 2], ids=["1-core", "2-cores"])
def either(request):
    """`server`, then `server2`."""
    return request.getfixturevalue("server" if request.param == 1 else "server2")


@pytest.fixture(scope="session")
def echo():
    """Messages up to 1 MiB."""
    yield from _running(EchoServer(args=["--max-message", 1 << 20]))


@pytest.fixture(scope="session")
def suite_echo():
    """As a conformance suite wants it: messages of 16 MiB, in as many fragments as it likes."""
    yield from _running(EchoServer(workers=2, args=["--max-message", 16 << 20, "--max-fragments", 1 << 19]))


@pytest.fixture
def start_server():
    """start_server(workers=…, settings=…): servers of this test's own, stopped and checked at its end."""
    yield from _factory(Server)


@pytest.fixture
def start_echo():
    yield from _factory(EchoServer)


def _factory(kind):
    started = []

    def start(**how):
        started.append(kind(**how))
        return started[-1]

    yield start
    try:
        for process in started:
            process.stop()
    finally:
        for process in started:
            process.cleanup()


@pytest.fixture
def connect(server):
    """connect(**how): clients of the shared server, gone at the test's end."""
    clients = []

    def new(address=None, **how):
        clients.append(server.connect(**how))
        return clients[-1]

    yield new
    for client in clients:
        client.abandon()
