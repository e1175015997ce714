"""The opening handshake of ringcast-echo: RFC 6455 section 4."""
import pytest

from ringcast import TEXT, RawHttp, f
from ringcast.client import accept_value

KEY = "dGhlIHNhbXBsZSBub25jZQ=="
FIELDS = {"Host": "localhost", "Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Key": KEY,
          "Sec-WebSocket-Version": "13"}


def request(target="/", method="GET", version="HTTP/1.1", **fields):
    """Fields with _ for -; None leaves one out, others replace or add."""
    merged = {**FIELDS, **{name.replace("_", "-"): value for name, value in fields.items()}}
    lines = [f"{method} {target} {version}"] + [f"{name}: {value}" for name, value in merged.items() if value is not None]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


@pytest.mark.parametrize("sent", [
    request(), request("/ws"), request("/runCase?case=1&agent=x"), request("/a/b%20c"), request("http://localhost/"),
    request(Upgrade="WebSocket"), request(Upgrade="WEBSOCKET"), request(Connection="upgrade"),
    request(Connection="keep-alive, Upgrade"), request(Connection="Upgrade,keep-alive"), request(Host="localhost:9001"),
    request(Origin="https://anywhere.example"), request(Origin="null"), request(User_Agent="suite/1.0", Pragma="no-cache"),
    request(Sec_WebSocket_Extensions="permessage-deflate; client_max_window_bits"),
    request(Sec_WebSocket_Extensions="x-webkit-deflate-frame, permessage-bzip2"),
    request(Sec_WebSocket_Protocol="chat, superchat"), request().replace(b"Sec-WebSocket-Key", b"sec-websocket-KEY"),
], ids=lambda sent: repr(sent.split(b"\r\n")[0]))
@pytest.mark.parametrize("piece", [None, 1])
def test_opens(suite_echo, sent, piece):
    with RawHttp(suite_echo.address) as http:
        response = http.send(sent, piece).read_response()
        assert response.status == 101
        assert response.headers["upgrade"].lower() == "websocket"
        assert response.headers["connection"].lower() == "upgrade"
        assert response.headers["sec-websocket-accept"] == accept_value(KEY) == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
        assert not {"sec-websocket-extensions", "sec-websocket-protocol"} & set(response.headers)


@pytest.mark.parametrize("sent, status", [
    (request(method="POST"), 405), (request(version="HTTP/1.0"), 426), (request(Host=None), 400),
    (request(Upgrade=None), 426), (request(Upgrade="h2c"), 426), (request(Connection=None), 400),
    (request(Connection="close"), 400), (request(Sec_WebSocket_Version=None), 426), (request(Sec_WebSocket_Version="8"), 426),
    (request(Sec_WebSocket_Key=None), 400), (request(Sec_WebSocket_Key="AAAA"), 400), (request(Sec_WebSocket_Key=""), 400),
    (b"\r\n\r\n\r\nnonsense\r\n\r\n", 400),
], ids=lambda value: None if isinstance(value, int) else repr(value.split(b"\r\n")[0]))
def test_refuses_and_closes(suite_echo, sent, status):
    with RawHttp(suite_echo.address) as http:
        response = http.send(sent).read_response()
        assert response.status == status, response
        if status == 426:
            assert response.headers["sec-websocket-version"] == "13"
        http.expect_end(timeout=5)


def test_echoes_a_frame_that_came_with_the_request(suite_echo):
    with suite_echo.connect(first_bytes=f(TEXT, "at once")) as client:
        client.expect_frame(TEXT, "at once")
        client.close()
