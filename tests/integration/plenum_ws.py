"""A WebSocket client in the standard library alone (RFC 6455), small enough to also send what no browser would."""

import asyncio
import base64
import hashlib
import itertools
import json
import os
import ssl
import struct
import urllib.parse

TEXT, BINARY, CLOSE, PING, PONG, CONTINUATION = 0x1, 0x2, 0x8, 0x9, 0xA, 0x0
MAGIC = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # section 1.3
REPLIES = {"ok", "err", "welcome", "answer", "pong", "refused"}


class HandshakeError(Exception):
    """The server answered the upgrade with something else than 101."""

    def __init__(self, status, head):
        super().__init__(f"status {status}: {head!r}")
        self.status, self.head = status, head


def frame(opcode, payload, fin=True, masked=True):
    """One frame as bytes (section 5.2)."""
    head = bytes([(0x80 if fin else 0) | opcode])
    mask_bit = 0x80 if masked else 0
    if len(payload) < 126:
        head += bytes([mask_bit | len(payload)])
    elif len(payload) < 65536:
        head += struct.pack("!BH", mask_bit | 126, len(payload))
    else:
        head += struct.pack("!BQ", mask_bit | 127, len(payload))
    if not masked:
        return head + payload
    mask = os.urandom(4)
    repeated = (mask * (len(payload) // 4 + 1))[: len(payload)]
    xored = int.from_bytes(payload, "big") ^ int.from_bytes(repeated, "big")
    return head + mask + xored.to_bytes(len(payload), "big")


class WebSocket:
    """Frames in both directions.  Pings are answered unless answers_pings is taken away."""

    def __init__(self, reader, writer):
        self.reader, self.writer = reader, writer
        self.answers_pings = True
        self.pings = 0
        self.close_code = None
        self.subprotocol = None

    @classmethod
    async def open(cls, url, path="/v1/ws", subprotocol="plenum.v1", headers=()):
        parts = urllib.parse.urlsplit(url)
        context = None
        if parts.scheme in ("https", "wss"):
            context = ssl.create_default_context()
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        socket = cls(*await asyncio.open_connection(parts.hostname, parts.port, ssl=context))
        await socket._handshake(parts.netloc, path, subprotocol, headers)
        return socket

    async def _handshake(self, host, path, subprotocol, headers):
        key = base64.b64encode(os.urandom(16))
        lines = [f"GET {path} HTTP/1.1", f"Host: {host}", "Upgrade: websocket", "Connection: Upgrade",
                 "Sec-WebSocket-Version: 13", f"Sec-WebSocket-Key: {key.decode()}", *headers]
        if subprotocol is not None:
            lines.append(f"Sec-WebSocket-Protocol: {subprotocol}")
        self.writer.write(("\r\n".join(lines) + "\r\n\r\n").encode())
        try:
            head = await self.reader.readuntil(b"\r\n\r\n")
        except (asyncio.IncompleteReadError, ConnectionError) as error:
            raise HandshakeError(None, getattr(error, "partial", b"")) from error
        status = int(head.split(b" ", 2)[1])
        if status != 101:
            self.writer.close()
            raise HandshakeError(status, head)
        fields = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:] if b": " in line)
        accept = base64.b64encode(hashlib.sha1(key + MAGIC).digest())
        assert fields[b"sec-websocket-accept"] == accept.lower(), head
        self.subprotocol = fields.get(b"sec-websocket-protocol", b"").decode() or None

    def send(self, opcode, payload, fin=True):
        if isinstance(payload, str):
            payload = payload.encode()
        self.writer.write(frame(opcode, payload, fin))

    def send_text(self, text):
        self.send(TEXT, text)

    async def receive_frame(self):
        """(opcode, payload) of the next frame, or None at the end of the stream."""
        try:
            first, second = await self.reader.readexactly(2)
            size = second & 0x7F
            if size == 126:
                (size,) = struct.unpack("!H", await self.reader.readexactly(2))
            elif size == 127:
                (size,) = struct.unpack("!Q", await self.reader.readexactly(8))
            assert not second & 0x80, "a server's frame is never masked"
            return first & 0x0F, await self.reader.readexactly(size)
        except (asyncio.IncompleteReadError, ConnectionError):
            return None

    async def receive(self):
        """The next text message, or None when the connection is closed; close_code then says how."""
        while (received := await self.receive_frame()) is not None:
            opcode, payload = received
            if opcode == PING:
                self.pings += 1
                if self.answers_pings:
                    self.send(PONG, payload)
            elif opcode == CLOSE:
                self.close_code = struct.unpack("!H", payload[:2])[0] if len(payload) >= 2 else 1005
                self.send(CLOSE, payload[:2])
                return None
            elif opcode in (TEXT, CONTINUATION):
                return payload.decode()
        return None

    async def close(self, code=1000):
        try:
            self.send(CLOSE, struct.pack("!H", code))
            await self.writer.drain()
            self.writer.close()
            await self.writer.wait_closed()
        except (ConnectionError, ssl.SSLError):
            pass

    def abort(self):
        """Gone without a word, as a client whose network broke."""
        self.writer.transport.abort()


class PlenumSocket:
    """The signaling API over a WebSocket: requests find their answers by id, and events wait until they are asked for."""

    @classmethod
    async def connect(cls, url):
        """url: the server's address, "http://127.0.0.1:8080"."""
        return cls(await WebSocket.open(url))

    def __init__(self, websocket):
        self.websocket = websocket
        self._ids = itertools.count(1)
        self._waiting = {}
        self._events = asyncio.Queue()
        self._reader = asyncio.ensure_future(self._read())

    async def _read(self):
        while (text := await self.websocket.receive()) is not None:
            message = json.loads(text)
            waiting = self._waiting.pop(message.get("id"), None) if message["t"] in REPLIES else None
            if waiting is not None and not waiting.done():
                waiting.set_result(message)
            else:
                self._events.put_nowait(message)
        for waiting in self._waiting.values():
            if not waiting.done():
                waiting.set_exception(ConnectionError(f"closed with {self.websocket.close_code}"))
        self._events.put_nowait(None)

    async def request(self, **fields):
        """Sends the request with an id of its own and returns its answer."""
        number = next(self._ids)
        answer = self._waiting[number] = asyncio.get_running_loop().create_future()
        self.websocket.send_text(json.dumps({"id": number, **fields}))
        return await answer

    async def event(self):
        """The next message that answers no request; None once the connection is closed."""
        event = await self._events.get()
        if event is None:
            self._events.put_nowait(None)
        return event

    async def close(self):
        await self.websocket.close()
        self._reader.cancel()
