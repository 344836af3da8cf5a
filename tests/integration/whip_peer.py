"""Clients of WHIP and WHEP: the peers of the other tests, with HTTP instead of the WebSocket around offer and answer."""

import asyncio
import urllib.parse

from raw_http import Connection, request

SDP, FRAGMENT = "application/sdp", "application/trickle-ice-sdpfrag"
WAIT_S_MAX = 20
TICK_S = 0.05


def send(server, method, path, body=None, content_type=None, fields=()):
    """One request on a connection of its own.  body: str, or None for none."""
    fields = list(fields)
    if content_type is not None:
        fields.append(f"Content-Type: {content_type}")
    if body is not None:
        fields.append(f"Content-Length: {len(body.encode())}")
    with Connection(server) as connection:
        connection.send(request(path, method, fields) + (body or "").encode())
        return connection.answer(method)


def endpoint(api, room, name=None, audio=None):
    arguments = {key: value for key, value in (("name", name), ("audio", audio)) if value is not None}
    query = "?" + urllib.parse.urlencode(arguments) if arguments else ""
    return f"/v1/{api}/{urllib.parse.quote(room, safe='')}{query}"


class HttpSession:
    """peer: an AiortcPeer or a GstreamerPeer that has joined nothing.  After start, answer is the 201, and path and etag
    are the session's."""

    @classmethod
    async def start(cls, server, api, room, peer, name=None, audio=None):
        session = cls()
        session.server, session.peer = server, peer
        session.answer = send(server, "POST", endpoint(api, room, name, audio), await peer._offer(), SDP)
        assert session.answer.status == 201, (session.answer.status, session.answer.body)
        assert session.answer["content-type"] == SDP, session.answer.fields
        session.path, session.etag = session.answer["location"], session.answer["etag"]
        await peer._accept(session.answer.body.decode())
        return session

    async def until_hears(self, tones, expected):
        await self.peer.until_hears(tones, expected)

    def patch(self, body, if_match):
        return send(self.server, "PATCH", self.path, body, FRAGMENT, [f"If-Match: {if_match}"])

    async def delete(self):
        answer = send(self.server, "DELETE", self.path)
        assert (answer.status, answer.body) == (200, b""), answer.status
        await self.close()

    async def close(self):
        """Gone without a DELETE."""
        await self.peer._stop()
        for task in self.peer._tasks:
            task.cancel()
        await asyncio.gather(*self.peer._tasks, return_exceptions=True)


async def until_gone(server, path, seconds=WAIT_S_MAX):
    """Waits until the session's URL is nobody's."""
    end_s = asyncio.get_running_loop().time() + seconds
    while send(server, "PATCH", path, "", FRAGMENT, ["If-Match: *"]).status != 404:
        assert asyncio.get_running_loop().time() < end_s, f"{path} is there after {seconds} s"
        await asyncio.sleep(TICK_S)
