"""Starts the real programs and speaks raw bytes to them. Needs nothing but the standard library."""
from .api import Api, RawHttp, Response
from .client import Closed, HandshakeRefused, WsClient
from .frames import (BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT, Frame, close_payload, encode_frame)
from .manager import ServiceManager
from .script import f, play, rows
from .server import EchoServer, Server, build_dir, build_has_sanitizer, unique
from .waiting import eventually, together, until

__all__ = [
    "Api", "RawHttp", "Response", "Closed", "HandshakeRefused", "WsClient", "BINARY", "CLOSE", "CONTINUATION",
    "PING", "PONG", "TEXT", "Frame", "close_payload", "encode_frame", "EchoServer", "Server", "build_dir",
    "build_has_sanitizer", "unique", "ServiceManager", "f", "play", "rows",
    "eventually", "together", "until",
]
