"""Holds many idle clients, each a user with a topic: `python3 hold.py PORT FIRST COUNT USER_BYTES`. User ids are strings of
that length, integers where it is 0. Says `ready` when each has its ack, ends with its stdin. Answers no heartbeat."""
import resource
import socket
import sys

REQUEST = ("GET /ws HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
           "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n").encode()


def subscribe_frame(n, user_bytes):
    user = '"user-%0*d"' % (user_bytes - 5, n) if user_bytes else n
    text = ('{"type":"subscribe","id":1,"data":{"userId":%s,"topics":["all"]}}' % user).encode()
    return b"\x81" + bytes([0x80 | len(text)]) + b"\0\0\0\0" + text


def read_until(client, mark):
    """Reads up to the mark, which must be the last that has come."""
    data = b""
    while not data.endswith(mark):
        piece = client.recv(4096)
        if not piece:
            raise SystemExit(f"closed after {data!r}")
        data += piece


def main():
    port, first, count, user_bytes = map(int, sys.argv[1:])
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    clients = []
    for n in range(first, first + count):
        client = socket.create_connection(("127.0.0.1", port), timeout=30)
        client.sendall(REQUEST)
        clients.append(client)
        read_until(client, b"\r\n\r\n")
        client.sendall(subscribe_frame(n, user_bytes))
        read_until(client, b"}")
    print("ready", flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main()
