"""What tests do to a server that does not take everybody: join, be refused, come back, and see whether a call goes on meanwhile."""

import asyncio
import contextlib
import json
import time

from pair import OFFER
from plenum_ws import PlenumSocket, WebSocket
from raw_http import Connection, get, metrics, request

TOKEN = "0123456789abcdef"
WAIT_S_MAX = 20


def send(server, path, body, fields):
    lines = [f"Content-Length: {len(body.encode())}", *fields]
    with Connection(server) as connection:
        connection.send(request(path, "POST", lines) + body.encode())
        return connection.answer("POST")


async def post(server, path, body, content_type, *fields):
    return await asyncio.to_thread(send, server, path, body, [f"Content-Type: {content_type}", *fields])


async def admin(server, path, body=None):
    """(status, JSON) of the admin API's answer; GET without a body."""
    fields = [f"Authorization: Bearer {TOKEN}"]
    if body is None:
        answer = await asyncio.to_thread(get, server, path, fields=fields)
    else:
        answer = await post(server, path, json.dumps(body), "application/json", *fields)
    return answer.status, json.loads(answer.body)


async def connect(server, *fields):
    return PlenumSocket(await WebSocket.open(server.url, headers=fields))


async def ask(server, room, *fields, **more):
    """The answer to a join, and after how many seconds it came; a connection that was not taken in is closed."""
    client = await connect(server, *fields)
    asked_s = time.monotonic()
    answer = await asyncio.wait_for(client.request(t="join", v=1, room=room, sdp=OFFER, **more), WAIT_S_MAX)
    took_s = time.monotonic() - asked_s
    if answer["t"] == "refused":
        assert await asyncio.wait_for(client.event(), WAIT_S_MAX) is None and client.websocket.close_code == 1013
        await client.close()
    return answer, took_s, client


async def flow(server):
    """(packets that came from publishers, how many of all that came have not gone out): in a call of two each goes out once."""
    now = await asyncio.to_thread(metrics, server)
    return now["plenum_rtp_in_total"], now["plenum_rtp_in_total"] - now["plenum_rtp_out_total"]


@contextlib.asynccontextmanager
async def all_is_forwarded(server, packets_min):
    """Of what two talkers send meanwhile, so many packets or more, the server forwards 999 of 1,000.  Some are on their way whenever one
    looks, so the least of several looks counts: what is lost is missing in all of them."""
    looks = [await flow(server) for _ in range(5)]
    began, missing = looks[0][0], min(behind for _, behind in looks)
    yield
    end_s = time.monotonic() + WAIT_S_MAX
    while True:
        now, behind = await flow(server)
        if now - began >= packets_min and behind - missing <= max(1, (now - began) / 1000):
            return
        assert time.monotonic() < end_s, f"of {now - began} packets {behind - missing} are missing"
        await asyncio.sleep(0.05)


async def cut_and_resume(server, peer, room):
    """Its WebSocket breaks; another one takes over, knowing all that was said."""
    n = max([event["n"] for event in peer.events], default=peer.welcome["n"])
    peer.socket.websocket.abort()
    socket = await PlenumSocket.connect(server.url)
    secrets = {"session": peer.welcome["session"], "ticket": peer.welcome["ticket"], "n": n}
    welcome = await socket.request(t="join", v=1, room=room, resume=secrets)
    assert welcome["t"] == "welcome" and welcome["resumed"] and welcome["replayed"], welcome
    peer.welcome = {**peer.welcome, "ticket": welcome["ticket"]}
    peer.socket = socket
    peer._spawn(peer._read_events())
    return welcome
