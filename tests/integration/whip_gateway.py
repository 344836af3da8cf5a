"""A WHIP and WHEP server (RFC 9725 and its sibling draft) in front of a real Plenum: POST /whip/ROOM and /whep/ROOM join
over its WebSocket, DELETE of the resource leaves.  It stands for the servers of others, also in their less usual answers."""

import asyncio
import itertools
import threading

from plenum_ws import PlenumSocket


class Gateway:
    """with Gateway(server) as gateway: gateway.url is "http://127.0.0.1:41234".

    detours: what the first POSTs get instead of an answer: (status, {header: value}).  has_length: whether answers have a
    Content-Length, else their end is the connection's.  Afterwards: requests, a list of (method, path, headers)."""

    def __init__(self, server, detours=(), has_length=True):
        self.server, self.detours, self.has_length = server, list(detours), has_length
        self.requests, self.joined = [], {}
        self._ids = itertools.count(1)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    def __enter__(self):
        self._thread.start()
        self._listener = self._run(asyncio.start_server(self._serve, "127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.sockets[0].getsockname()[1]}"
        return self

    def __exit__(self, *_):
        self._run(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _run(self, coroutine):
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(20)

    async def _close(self):
        self._listener.close()
        for socket in self.joined.values():
            await socket.close()
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            task.cancel()

    async def _serve(self, reader, writer):
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            method, path, _ = head.split("\r\n", 1)[0].split(" ")
            headers = dict(line.lower().split(": ", 1) for line in head.split("\r\n")[1:] if ": " in line)
            body = (await reader.readexactly(int(headers.get("content-length", 0)))).decode()
            self.requests.append((method, path, headers))
            status, fields, text = await self._answer(method, path, headers, body)
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()
            return
        if self.has_length:
            fields = {**fields, "Content-Length": str(len(text))}
        lines = [f"HTTP/1.1 {status} Whatever", "Connection: close", *(f"{name}: {value}" for name, value in fields.items())]
        writer.write(("\r\n".join(lines) + "\r\n\r\n" + text).encode())
        await writer.drain()
        writer.close()

    async def _answer(self, method, path, headers, body):
        """Returns the status, the headers and the body."""
        if method == "DELETE" and path in self.joined:
            socket = self.joined.pop(path)
            await socket.request(t="leave")
            await socket.close()
            return 200, {}, ""
        if method != "POST" or not path.startswith(("/whip/", "/whep/")):
            return 404, {}, "nothing here\nand more of it"
        if headers.get("content-type") != "application/sdp":
            return 415, {}, "SDP is wanted"
        if self.detours:
            status, fields = self.detours.pop(0)
            return status, fields, "not now"
        socket = await PlenumSocket.connect(self.server.url)
        welcome = await socket.request(t="join", v=1, room=path[6:], name="someone", sdp=body)
        number = next(self._ids)
        self.joined[f"{path}/{number}"] = socket
        # Both forms of a Location that RFC 9110 section 10.2.2 allows, by turns: absolute path, and relative.
        where = f"{path}/{number}" if number % 2 else f"{path.rsplit('/', 1)[1]}/{number}"
        return 201, {"Content-Type": "application/sdp", "Location": where, "ETag": f'"{number}"'}, welcome["sdp"]
