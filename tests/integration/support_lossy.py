"""A small WebSocket server that publishes what it is posted, and makes one fault if told to."""
import asyncio
import base64
import hashlib
import json
import threading

_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


def _frame(text):
    size = len(text)
    return bytes([0x81, size]) + text if size < 126 else bytes([0x81, 126]) + size.to_bytes(2, "big") + text


class LossyServer:
    """Clients and publishers on one port. fault: made once, at the fifth publication and to the fourth client.

    drop, double     that message
    swap             it comes behind the next one
    drop-last        the newest message of all, when no other has come for a while
    misdirect        it goes to the client behind it
    hang-up          the client's connection ends
    refuse           503 instead
    """

    def __init__(self):
        self.fault = None
        self._clients, self._users, self._published, self._held = [], {}, 0, None
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self):
        self._thread.start()
        self._ready.wait(10)
        return self

    def __exit__(self, *_):
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)

    def _run(self):
        async def start():
            server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
            self.port = server.sockets[0].getsockname()[1]
            self._ready.set()
        self._loop.create_task(start())
        self._loop.run_forever()

    async def _serve(self, reader, writer):
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                fields = {name.lower(): value for name, value in
                          (line.split(": ", 1) for line in head.split("\r\n")[1:] if line)}
                if head.startswith("POST"):
                    self._publish(json.loads(await reader.readexactly(int(fields["content-length"]))), writer)
                else:
                    await self._listen(fields["sec-websocket-key"].encode(), reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    async def _listen(self, key, reader, writer):
        accept = base64.b64encode(hashlib.sha1(key + _GUID).digest())
        writer.write(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                     b"Sec-WebSocket-Accept: " + accept + b"\r\n\r\n")
        self._clients.append(writer)
        while True:
            first, size = await reader.readexactly(2)
            size &= 127
            if size == 126:
                size = int.from_bytes(await reader.readexactly(2), "big")
            mask = await reader.readexactly(4)
            payload = bytes(b ^ mask[i % 4] for i, b in enumerate(await reader.readexactly(size)))
            if first & 15 == 8:
                writer.write(b"\x88\x00")
                writer.close()
                raise ConnectionError
            message = json.loads(payload)
            if message["type"] == "subscribe" and "userId" in message["data"]:
                self._users[message["data"]["userId"]] = writer

    def _publish(self, body, writer):
        self._published += 1
        fifth = self._published == 5
        if fifth and self.fault == "refuse":
            writer.write(b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 2\r\n\r\nno")
            return
        frame = _frame(json.dumps({"type": body["type"], "data": body["data"]}, separators=(",", ":")).encode())
        if "userId" in body:
            targets = [self._users[body["userId"]]]
            if fifth and self.fault == "misdirect":
                others = [client for client in self._clients if client is not targets[0]]
                targets = [others[0]]
        else:
            targets = self._clients
        for i, client in enumerate(targets):
            self._deliver(client, frame, fifth and i == 3, i == 3)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}")

    def _deliver(self, client, frame, chosen, fourth):
        if client.is_closing():
            return
        if chosen and self.fault == "hang-up":
            client.transport.abort()
            return
        if chosen and self.fault == "swap":
            self._held = frame
            return
        if fourth and self.fault == "drop-last":  # each is sent when the next one comes
            self._held, frame = frame, self._held
            if frame is None:
                return
        if chosen and self.fault == "drop":
            return
        client.write(frame)
        if chosen and self.fault == "double":
            client.write(frame)
        if fourth and self.fault == "swap" and self._held:
            client.write(self._held)
            self._held = None
