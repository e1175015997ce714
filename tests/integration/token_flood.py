"""A flood of tokens from a process of its own, so that it takes nothing from the one that measures: see test_days_tokens.py.

    token_flood.py HOST PORT A_SECOND < TOKEN   then a line `on` or `off` a time; the end of its input ends it
"""
import json
import os
import select
import socket
import sys
import time

from ringcast.client import WsClient
from ringcast.frames import TEXT, encode_frame

CONNECTIONS, BATCH = 10, 20


def take_all(sock):
    try:
        while sock.recv(1 << 16):
            pass
    except BlockingIOError:
        pass


def main():
    address, rate = (sys.argv[1], int(sys.argv[2])), int(sys.argv[3])
    token = sys.stdin.readline().strip()
    sockets = []
    clients = [WsClient(address) for _ in range(CONNECTIONS)]
    for client in clients:
        client.socket.settimeout(0)
        sockets.append(client.socket)
    # The pong keeps the refusals from being five in a row.
    pong = encode_frame(TEXT, '{"type":"pong"}')
    batch = (encode_frame(TEXT, json.dumps({"type": "subscribe", "data": {"token": token}})) + pong) * BATCH
    rests = [b""] * CONNECTIONS
    print("ready", flush=True)
    commands = os.fdopen(os.dup(0), "rb", buffering=0)
    on, due, turn = False, 0.0, 0
    while True:
        now = time.monotonic()
        if select.select([commands], [], [], max(0.0, min(due - now, 0.1)) if on else None)[0]:
            said = commands.readline().strip()
            if not said:
                return
            on, due = said == b"on", time.monotonic()
            continue
        if not on or time.monotonic() < due:
            continue
        # Behind its time it does not hurry: what the server does not take is not sent.
        due = max(due + BATCH / rate, time.monotonic() - 0.02)
        turn = (turn + 1) % CONNECTIONS
        rest = rests[turn] or batch
        try:
            rests[turn] = rest[sockets[turn].send(rest):]
        except BlockingIOError:
            rests[turn] = rest
        take_all(sockets[turn])


if __name__ == "__main__":
    main()
