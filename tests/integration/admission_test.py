"""Who is let in while the real server is pressed, flooded or asked too often; beside it a call of aiortc's that notices nothing.

PLENUM_SERVER names the program to test.
"""

import asyncio
import contextlib
import json
import os
import random
import statistics

from aiortc_peer import AiortcPeer
from newcomer import TOKEN, admin, all_is_forwarded, ask, cut_and_resume, post
from pair import OFFER, Pair
from peer import run
from plenum_server import Server
from plenum_ws import BINARY, CONTINUATION, PING, TEXT, WebSocket, frame
from raw_http import get, metrics

ANN_HZ, BOB_HZ = TONES = [500, 800]
REFUSED_S_MAX = 0.05
FLOODER, OTHER = "203.0.113.9", "203.0.113.10"


async def press(server, level):
    status, told = await admin(server, "/v1/admin/media", {"pressure_level": level})
    assert status == 200 and told["pressure_level"] == level, told


async def call(server, room="call"):
    ann, bob = [await AiortcPeer.join(server.url, room, name, hz=hz) for name, hz in (("Ann", ANN_HZ), ("Bob", BOB_HZ))]
    await hear_each_other(ann, bob)
    return ann, bob


async def hear_each_other(ann, bob):
    await asyncio.gather(ann.until_hears(TONES, [BOB_HZ]), bob.until_hears(TONES, [ANN_HZ]))


async def pressure_refuses_at_once(server):
    """New rooms, then new people: refused in no time, with a time to come back, over both APIs; those in the call lose nothing, are
    told what is taken, and may resume."""
    ann, bob = await call(server)
    async with all_is_forwarded(server, 100):
        await press(server, "high")
        told = await ann.until_event(t="degraded", level=2)
        assert told["name"] == "high" and told["audio_slots"] == 2 and "rooms" in told["actions"], told
        answer, _, _ = await ask(server, "new")
        assert (answer["t"], answer["code"], answer["level"]) == ("refused", "pressure", 2), answer
        answer, _, third = await ask(server, "call")
        assert answer["t"] == "welcome" and answer["pressure"]["level"] == 2, answer
        assert (await third.request(t="leave"))["t"] == "ok"

        await press(server, "critical")
        await bob.until_event(t="degraded", level=3, audio_slots=1)
        assert (await asyncio.to_thread(get, server, "/ready")).status == 503
        took_s = []
        for i in range(20):
            answer, seconds, _ = await ask(server, "call" if i % 2 else "new")
            took_s.append(seconds)
            assert set(answer) == {"t", "id", "code", "reason", "retry_after_ms", "level", "cause", "score_permille"}, answer
            assert (answer["code"], answer["level"]) == ("pressure", 3), answer
            assert 4000 <= answer["retry_after_ms"] <= 9000, answer
        assert statistics.median(took_s) <= REFUSED_S_MAX, took_s
        over_http = await post(server, "/v1/whip/call", OFFER, "application/sdp")
        body = json.loads(over_http.body)
        assert over_http.status == 503 and body["code"] == "pressure", body
        assert int(over_http["retry-after"]) == -(-body["retry_after_ms"] // 1000), (over_http["retry-after"], body)
        await cut_and_resume(server, ann, "call")
    await press(server, "auto")
    await press(server, "nominal")
    await ann.until_event(t="degraded", level=0, actions=[])
    assert (await asyncio.to_thread(get, server, "/ready")).status == 200
    answer, _, client = await ask(server, "call")
    assert answer["t"] == "welcome", answer
    await client.close()
    refused = await asyncio.to_thread(metrics, server)
    assert refused['plenum_refusals_total{reason="pressure"}'] == 22, refused
    await hear_each_other(ann, bob)
    await asyncio.gather(ann.leave(), bob.leave())
    return statistics.median(took_s) * 1000, max(took_s) * 1000


async def rates_are_limited():
    """By address, as a trusted proxy tells it, and by token; who is refused learns when the next one is taken."""
    clients = []

    async def answer_of(server, *fields, **more):
        answer, _, client = await ask(server, "a", *fields, **more)
        clients.append(client)
        return answer

    settings = {"http.trusted_proxies": "10.0.0.0/8, 127.0.0.0/8", "limits.joins_per_address": 3, "limits.joins_per_token": 2}
    with Server(settings) as server:
        by = [f"X-Forwarded-For: {OTHER}, {FLOODER}"]
        for _ in range(3):
            assert (await answer_of(server, *by))["t"] == "welcome"
        answer = await answer_of(server, *by)
        assert (answer["code"], answer["limit"]) == ("rate", 3) and 19000 <= answer["retry_after_ms"] <= 22000, answer
        # Whatever the client wrote itself, in lines of its own or at any length: what counts is what the proxy added.
        for more in ([f"X-Forwarded-For: {OTHER}", *by], ["X-Forwarded-For: " + "192.0.2.1, " * 800 + FLOODER]):
            assert (await answer_of(server, *more))["code"] == "rate"
        over_http = await post(server, "/v1/whip/a", OFFER, "application/sdp", *by)
        assert over_http.status == 429 and json.loads(over_http.body)["code"] == "rate", over_http.body
        assert (await answer_of(server, f"X-Forwarded-For: {OTHER}"))["t"] == "welcome"
        # Who comes without the proxy is on this machine, and is not limited.
        answers = [await answer_of(server, token="ticket") for _ in range(3)]
        assert [answer["t"] for answer in answers] == ["welcome", "welcome", "refused"], answers
        assert (answers[2]["code"], answers[2]["limit"]) == ("rate", 2), answers[2]
        for _ in range(5):
            assert (await answer_of(server))["t"] == "welcome"
    with Server({"limits.joins_per_address": 1}) as server:  # nobody is trusted: what a client writes says nothing
        for _ in range(3):
            assert (await answer_of(server, f"X-Forwarded-For: {FLOODER}"))["t"] == "welcome"
    for client in clients:
        await client.close()


def garbage(chance):
    """What is no frame, or none that a client may send."""
    noise = chance.randbytes(chance.randrange(1, 200))
    return chance.choice([
        noise,
        frame(TEXT, noise),
        frame(TEXT, b'{"t":"join","id":1,"v":1,"room":"call","sdp":"' + b"v" * 60000 + b'"}'),
        frame(TEXT, b"[" * 1000),
        frame(BINARY, noise),
        frame(CONTINUATION, noise),
        frame(PING, bytes(200)),
        frame(0x3, noise),
        frame(TEXT, b'{"t":"ping"}', masked=False),
        b"\x81\xff" + b"\xff" * 12,
        frame(TEXT, b"x" * 70000),
    ])


async def send_garbage(server, chance):
    with contextlib.suppress(ConnectionError, OSError):
        client = await WebSocket.open(server.url, headers=[f"X-Forwarded-For: {FLOODER}"])
        for _ in range(chance.randrange(1, 4)):
            client.writer.write(garbage(chance))
        await client.writer.drain()
        await asyncio.wait_for(client.receive(), 1)
        client.abort()


async def floods_leave_the_call_alone():
    """Connections that say nothing, WebSockets that never join, joins that never connect, and WebSockets of garbage: the call beside them loses no packet and no event,
    and somebody else still gets in."""
    seed = int(os.environ.get("PLENUM_SEED") or random.randrange(2**32))
    print(f"seed {seed}")
    chance = random.Random(seed)
    settings = {"http.trusted_proxies": "127.0.0.1", "limits.joins_per_address": 40, "limits.connections": 400}
    with Server(settings) as server:
        ann, bob = await call(server)
        pair = await Pair.join(server)
        async with all_is_forwarded(server, 300):
            silent, idle, joined = [], [], []
            for i in range(150):
                silent += [await asyncio.open_connection(server.host, server.port) for _ in range(3)]
                idle.append(await WebSocket.open(server.url, headers=[f"X-Forwarded-For: {FLOODER}"]))
                if i % 3 == 0:
                    joined.append(await ask(server, f"room{i}", f"X-Forwarded-For: {FLOODER}"))
                if i % 2 == 0:
                    await send_garbage(server, chance)
            codes = [answer.get("code", answer["t"]) for answer, _, _ in joined]
            assert set(codes) == {"welcome", "rate"} and codes.count("welcome") <= 41, codes  # some of the garbage joins, too
            answer, _, client = await ask(server, "call", f"X-Forwarded-For: {OTHER}")
            assert answer["t"] == "welcome", answer
            assert (await client.request(t="leave"))["t"] == "ok"
            now = await asyncio.to_thread(metrics, server)
            assert now["plenum_websockets_waiting"] <= 100 and now["plenum_websockets_displaced_total"] >= 40, now
            assert now["plenum_connections_displaced_total"] >= 450 - 256 - 400 // 8, now
            await pair.notice_nothing()
        await hear_each_other(ann, bob)
        assert not any(event["t"] == "bye" for peer in (ann, bob) for event in peer.events)
        await pair.leave()
        for client in idle:
            client.abort()
        for _, writer in silent:
            writer.transport.abort()
        for _, _, client in joined:
            client.websocket.abort()
        await asyncio.gather(ann.leave(), bob.leave())


async def who_never_connects_keeps_nobody_out():
    """Joins that send no connectivity check hold all the places that there are for half-open ones, and more come all the time:
    a real client gets in beside them, once those there are two seconds old, and they are told why they go."""
    # One address may join as often as it likes: this is what four hundred of them can do.
    with Server({"media.shards": 1, "limits.participants": 200}) as server:
        joined = [await ask(server, f"flood{i}") for i in range(64)]
        assert {answer["t"] for answer, *_ in joined} == {"welcome"}
        answer, *_ = await ask(server, "call")
        assert answer["code"] == "joins_full", answer
        is_over = False

        async def flood():
            while not is_over:
                joined.append(await ask(server, f"flood{len(joined)}"))
                await asyncio.sleep(0.05)

        flooding = asyncio.ensure_future(flood())
        await asyncio.sleep(2.1)
        ann, bob = [await AiortcPeer.join(server.url, "call", name, hz=hz) for name, hz in (("Ann", ANN_HZ), ("Bob", BOB_HZ))]
        await hear_each_other(ann, bob)
        await asyncio.sleep(2.5)  # connected ones are not given up, whatever comes
        is_over = True
        await flooding
        await hear_each_other(ann, bob)
        assert not any(event["t"] == "bye" for peer in (ann, bob) for event in peer.events)
        bye = await asyncio.wait_for(joined[0][2].event(), 5)
        assert (bye["t"], bye["code"], bye["resumable"]) == ("bye", "media_lost", False) and "no connectivity check" in bye["msg"], bye
        now = await asyncio.to_thread(metrics, server)
        assert now["plenum_joins_displaced_total"] >= 2 and now["plenum_sessions_connecting"] <= 64, now
        for _, _, client in joined:
            client.websocket.abort()
        await asyncio.gather(ann.leave(), bob.leave())


async def main():
    with Server({"admin.token": TOKEN}) as server:
        median_ms, worst_ms = await pressure_refuses_at_once(server)
        print(f"ok: pressure_refuses_at_once (refused after {median_ms:.1f} ms, at worst {worst_ms:.1f})")
    for check in (rates_are_limited, who_never_connects_keeps_nobody_out, floods_leave_the_call_alone):
        await check()
        print(f"ok: {check.__name__}")


run(main)
