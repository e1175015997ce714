#!/usr/bin/python3
"""stalled.py PORT COUNT: so many subscribers of the topic `load` that never read. Who is closed for it comes back."""
import os
import select
import socket
import sys

UPGRADE = (b"GET /ws HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
           b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n")
SUBSCRIBE = b'{"type":"subscribe","data":{"topics":["load"]}}'


def stall(port):
    one = socket.socket()
    one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    one.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, 536)  # or the kernel would take 2 MB for it
    one.connect(("127.0.0.1", port))
    one.sendall(UPGRADE)
    answer = b""
    while not answer.endswith(b"\r\n\r\n"):
        answer += one.recv(1)
    assert answer.startswith(b"HTTP/1.1 101 "), answer
    mask = os.urandom(4)
    one.sendall(bytes([0x81, 0x80 | len(SUBSCRIBE)]) + mask + bytes(b ^ mask[i % 4] for i, b in enumerate(SUBSCRIBE)))
    return one


def main():
    port, count = map(int, sys.argv[1:])
    over = select.poll()  # asks for nothing: it tells of an end alone
    held = {}

    def add():
        one = stall(port)
        held[one.fileno()] = one
        over.register(one, 0)

    for _ in range(count):
        add()
    print("ready", flush=True)
    while True:
        for descriptor, _ in over.poll():
            over.unregister(descriptor)
            held.pop(descriptor).close()
            add()


main()
