"""A client written from docs/signaling.md alone: each message has the fields that the page says and no others, each
error is met, and each way in which a connection ends.

PLENUM_SERVER names the program to test.
"""

import asyncio
import json
import pathlib
import re

from minimal_offer import offer
from peer import run
from plenum_server import Server
from plenum_ws import BINARY, TEXT, HandshakeError, PlenumSocket, WebSocket
from raw_http import get

DOCUMENT = (pathlib.Path(__file__).resolve().parents[2] / "docs/signaling.md").read_text()
WAIT_S_MAX = 20
PEER, TRACK = r"p[0-9a-f]{8}", r"t[0-9a-f]{8}"
WELCOME = {"t", "id", "v", "session", "ticket", "ttl_ms", "n", "resumed", "you", "room", "peers", "slots", "audio", "sdp",
           "ice", "limits", "pressure"}
LIMITS = {"message_bytes": 65536, "data_bytes": 16384, "attrs_bytes": 4096, "name_bytes": 128, "slots": 16, "tracks": 8}
EMPTY = {"peer": None, "track": None, "source": None, "mix": None}


async def connect(server):
    return await PlenumSocket.connect(server.url)


async def join(server, room, **fields):
    client = await connect(server)
    welcome = await client.request(t="join", v=1, room=room, **{"sdp": offer(), **fields})
    assert welcome["t"] == "welcome", welcome
    return client, welcome


async def resume(server, room, welcome, n, **fields):
    client = await connect(server)
    secrets = {"session": welcome["session"], "ticket": welcome["ticket"], "n": n}
    return client, await client.request(t="join", v=1, room=room, resume=secrets, **fields)


async def event(client, **expected):
    """The next event, which must be this one and have no other fields."""
    message = await asyncio.wait_for(client.event(), WAIT_S_MAX)
    assert message == {**message, **expected} and set(message) == set(expected) | {"n"}, (message, expected)
    return message


async def ok(client, **fields):
    answer = await client.request(**fields)
    assert set(answer) == {"t", "id"} and answer["t"] == "ok", answer


async def ends(client, code):
    """Reads to the end; returns the last message before it."""
    last = None
    async with asyncio.timeout(WAIT_S_MAX):
        while (message := await client.event()) is not None:
            last = message
    assert client.websocket.close_code == code, (client.websocket.close_code, last)
    return last


def check_welcome(welcome, more=frozenset()):
    assert set(welcome) == WELCOME | more, set(welcome) ^ WELCOME
    assert (welcome["v"], welcome["ttl_ms"], welcome["ice"], welcome["limits"]) == (1, 60000, {"lite": True}, LIMITS)
    assert welcome["pressure"] == {"level": 0, "name": "nominal", "cause": None, "audio_slots": None, "actions": []}
    assert all(0 < len(welcome[secret]) <= 63 for secret in ("session", "ticket"))
    for index, slot in enumerate(welcome["slots"]):
        assert set(slot) == {"slot", "mid", "kind", "ssrc", "peer", "track", "source", "mix"}
        assert (slot["slot"], slot["kind"]) == (index, "audio") and 0 < slot["ssrc"] < 2**32


async def the_answer_to_a_join(server):
    """First somebody alone, then somebody who finds somebody."""
    ann, welcome = await join(server, "one", name="Ann", attrs={"color": "red"}, audio="forward", token="x", later=[1])
    check_welcome(welcome)
    assert (welcome["n"], welcome["resumed"], welcome["peers"], welcome["room"]) == (0, False, [], {"name": "one"})
    you = welcome["you"]
    assert set(you) == {"peer", "source", "name", "attrs", "tracks"}
    assert (you["name"], you["attrs"]) == ("Ann", {"color": "red"})
    assert re.fullmatch(PEER, you["peer"]) and 0 < you["source"] < 2**32
    (track,) = you["tracks"]
    assert re.fullmatch(TRACK, track["track"])
    assert track == {"track": track["track"], "mid": "0", "kind": "audio", "muted": False}
    assert [slot["mid"] for slot in welcome["slots"]] == ["1", "2"]
    assert all({key: slot[key] for key in EMPTY} == EMPTY for slot in welcome["slots"])
    answer = welcome["sdp"].split("\r\n")
    assert "a=ice-lite" in answer and "a=group:BUNDLE 0 1 2" in answer and answer.count("a=setup:passive") == 3
    assert [line for line in answer if line.endswith("only")] == ["a=recvonly", "a=sendonly", "a=sendonly"]
    assert any(re.fullmatch(r"a=candidate:\S+ 1 udp \d+ \S+ \d+ typ host", line) for line in answer)
    for slot in welcome["slots"]:
        assert any(line.startswith(f"a=ssrc:{slot['ssrc']} ") for line in answer)

    bob, found = await join(server, "one")
    assert (found["you"]["name"], found["you"]["attrs"]) == ("", {})
    ann_is = {"peer": you["peer"], "source": you["source"], "name": "Ann", "attrs": {"color": "red"},
              "tracks": [{"track": track["track"], "kind": "audio", "muted": False}]}
    assert found["peers"] == [ann_is]
    bob_is = {**found["you"], "tracks": [{key: found["you"]["tracks"][0][key] for key in ("track", "kind", "muted")}]}
    assert await event(ann, t="peer", op="join", peer=bob_is) == {"t": "peer", "n": 1, "op": "join", "peer": bob_is}
    await ok(bob, t="leave")
    await ends(bob, 1000)
    await event(ann, t="peer", op="leave", peer={"peer": bob_is["peer"]}, reason="left")
    await ok(ann, t="leave")
    await ends(ann, 1000)


async def requests_and_their_events(server):
    joined = [await join(server, "two", name=name) for name in ("Ann", "Bob", "Cleo")]
    (ann, anns), (bob, bobs), (cleo, cleos) = joined
    peer = {name: welcome["you"]["peer"] for name, welcome in (("ann", anns), ("bob", bobs), ("cleo", cleos))}
    for client, count in ((ann, 2), (bob, 1)):
        for _ in range(count):
            assert (await client.event())["op"] == "join"
    track = anns["you"]["tracks"][0]["track"]
    assert await ann.request(t="ping") == {"t": "pong", "id": 2}

    for on in (True, False):
        await ok(ann, t="mute", track=track, on=on)
        for client in (ann, bob, cleo):
            muted = {"track": track, "kind": "audio", "muted": on}
            await event(client, t="track", op="update", peer=peer["ann"], track=muted)
    await ok(ann, t="mute", track=track, on=False)  # is so already: no event

    await ok(bob, t="meta", attrs={"a": [1, None]})
    bob_is = {**bobs["you"], "attrs": {"a": [1, None]},
              "tracks": [{key: bobs["you"]["tracks"][0][key] for key in ("track", "kind", "muted")}]}
    for client in (ann, bob, cleo):
        await event(client, t="peer", op="update", peer=bob_is)

    for body in (None, 0.5, "x", {"a": []}, "y" * 16382):
        await ok(ann, t="data", topic="chat", body=body)
        for client in (bob, cleo):
            await event(client, t="data", topic="chat", body=body, **{"from": peer["ann"]})
    await ok(ann, t="data", topic="x", body=1, to=[peer["bob"], peer["ann"], peer["bob"]])
    await ok(ann, t="data", topic="y", body=2, to=[])
    for client in (ann, bob):
        await event(client, t="data", topic="x", body=1, **{"from": peer["ann"]})

    answer = await ann.request(t="offer", sdp=offer(("sendrecv", "recvonly", "inactive", "sendonly")))
    assert set(answer) == {"t", "id", "sdp", "tracks", "slots"} and answer["t"] == "answer", answer
    assert [slot["mid"] for slot in answer["slots"]] == ["0", "1"]
    assert answer["slots"][1]["ssrc"] == anns["slots"][0]["ssrc"]
    assert answer["tracks"][0] == {"track": track, "mid": "0", "kind": "audio", "muted": False}
    assert answer["tracks"][1]["mid"] == "3"
    more = {key: answer["tracks"][1][key] for key in ("track", "kind", "muted")}
    again = await ann.request(t="offer", sdp=offer())
    assert again["tracks"] == anns["you"]["tracks"]
    for client in (bob, cleo):
        await event(client, t="track", op="add", peer=peer["ann"], track=more)
        await event(client, t="track", op="remove", peer=peer["ann"], track=more)
    for client in (ann, bob, cleo):
        await client.close()


async def every_error(server):
    """Each code of the table but one has its way to be met; afterwards the session is as it was."""
    met = set()

    async def refused(client, code, says="", **fields):
        answer = await client.request(**fields)
        assert set(answer) == {"t", "id", "code", "msg"} and (answer["t"], answer["code"]) == ("err", code), answer
        assert says in answer["msg"], answer
        met.add(code)

    client = await connect(server)
    await refused(client, "not_joined", t="ping")
    await refused(client, "unsupported", t="join", v=2)
    await refused(client, "bad_field", 'join.audio: "loud"; it must be "forward", "mixed" or "auto"', t="join", v=1, room="r",
                  sdp=offer(), audio="loud")
    await refused(client, "bad_field", "join.room: 300 bytes; it must be a string of 1 to 128 bytes without control "
                  "characters", t="join", v=1, room="x" * 300, sdp=offer())
    await refused(client, "bad_sdp", "line ", t="join", v=1, room="r", sdp=offer().replace("a=rtcp-mux\r\n", ""))
    await refused(client, "no_session", t="join", v=1, room="r", resume={"session": "x", "ticket": "x", "n": 0})
    welcome = await client.request(t="join", v=1, room="r", sdp=offer())
    check_welcome(welcome)
    await refused(client, "joined", t="join", v=1, room="r", sdp=offer())
    await refused(client, "unknown", t="dance")
    await refused(client, "no_track", t="mute", track="t1", on=True)
    await refused(client, "no_peer", t="data", topic="x", body=1, to=["p00000000"])
    await refused(client, "bad_field", t="data", topic="x", body="y" * 16383)
    for changed in ({"hexadecimal": "CD"}, {"setup": "passive"}):
        await refused(client, "bad_sdp", t="offer", sdp=offer(**changed))
    for text in ("{", "[]", '{"t":"ping","x":"\\u0000"}', '{"t":"ping","x":100000000000000000000}',
                 '{"t":"ping","x":' + "[" * 16):
        client.websocket.send_text(text)
        answer = await client.event()
        assert (answer["t"], answer["id"], answer["code"]) == ("err", None, "bad_json"), answer
        assert "line 1 column " in answer["msg"], answer
    met.add("bad_json")
    client.websocket.send_text('{"t":"ping","x":1e20}')
    assert await client.event() == {"t": "pong", "id": None}
    answers = await asyncio.gather(*(client.request(t="data", topic="x", body=1) for _ in range(140)))
    codes = [answer.get("code", "ok") for answer in answers]
    assert codes[:100] == ["ok"] * 100 and codes[-1] == "rate", codes
    met.add("rate")
    client.websocket.send_text("x" * 65537)
    last = await ends(client, 1009)
    assert last == {**last, "t": "err", "id": None, "code": "too_large"}
    met.add("too_large")
    table = DOCUMENT.split("## Errors")[1].split("| code over HTTP |")[0]
    documented = set(re.findall(r"^\| `([a-z_]+)` \| ", table, re.M))
    assert documented - met == {"busy"} and met <= documented, documented ^ met


async def resuming(server):
    ann, first = await join(server, "three", name="Ann")
    bob, bobs = await join(server, "three", name="Bob")
    joined = await event(ann, t="peer", op="join", peer={**bobs["you"], "tracks": [
        {key: bobs["you"]["tracks"][0][key] for key in ("track", "kind", "muted")}]})
    ann.websocket.abort()
    for number in range(3):
        await ok(bob, t="data", topic="x", body=number)
    stray, answer = await resume(server, "other", first, joined["n"])
    assert (answer["code"], "join.room" in answer["msg"]) == ("bad_field", True), answer
    await stray.close()
    lost, second = await resume(server, "three", first, joined["n"], name="not looked at")
    assert set(second) == (WELCOME - {"sdp"}) | {"replayed"}
    assert (second["resumed"], second["replayed"], second["n"]) == (True, True, 4)
    assert (second["session"], second["you"]) == (first["session"], first["you"])
    assert second["ticket"] != first["ticket"]
    for number in range(3):
        message = await event(lost, t="data", topic="x", body=number, **{"from": bobs["you"]["peer"]})
        assert message["n"] == joined["n"] + 1 + number
    # That welcome got lost: the ticket that was shown is good once more, and the connection before is told.
    ann, third = await resume(server, "three", first, 4)
    assert (third["t"], third["replayed"]) == ("welcome", True), third
    assert await ends(lost, 1000) == {"t": "bye", "n": 4, "code": "replaced", "resumable": False,
                                      "msg": "The session goes on in another connection."}
    assert (await ann.request(t="ping"))["t"] == "pong"
    stray, answer = await resume(server, "three", first, 4)
    assert answer["code"] == "no_session", answer
    await stray.close()
    # With an offer the peer connection is new; everybody keeps their ids, and nobody is told.
    ann, fourth = await resume(server, "three", third, 999, sdp=offer(ufrag="wxyz", hexadecimal="CD"))
    check_welcome(fourth, {"replayed"})
    assert (fourth["replayed"], fourth["you"], fourth["slots"]) == (False, first["you"], first["slots"])
    await ok(bob, t="data", topic="y", body=0, to=[bobs["you"]["peer"]])
    await event(bob, t="data", topic="y", body=0, **{"from": bobs["you"]["peer"]})
    for _ in range(20):
        for _ in range(15):
            await ok(ann, t="meta", name="z")
        await asyncio.sleep(0.1)
    bob.websocket.abort()
    bob, snapshot = await resume(server, "three", bobs, 0)
    assert snapshot["replayed"] is False and snapshot["peers"][0]["name"] == "z" and snapshot["n"] > 300
    for client in (ann, bob):
        await client.close()


async def ways_to_end(server):
    websocket = await WebSocket.open(server.url)
    websocket.send(BINARY, b"{}")
    answer = json.loads(await websocket.receive())
    assert (answer["code"], answer["id"]) == ("bad_field", None)
    assert (await websocket.receive(), websocket.close_code) == (None, 1003)
    websocket = await WebSocket.open(server.url)
    websocket.send(TEXT, b"\xff")
    assert (await websocket.receive(), websocket.close_code) == (None, 1007)
    ann, _ = await join(server, "four")
    bob, bobs = await join(server, "four")
    await ann.event()
    bob.websocket.send_text('{"t":"ping"}')
    for _ in range(1500):
        bob.websocket.send_text('{"t":"ping"}')
    last = await ends(bob, 1008)
    assert last == {**last, "t": "bye", "code": "rate", "resumable": False}
    assert set(last) == {"t", "n", "code", "msg", "resumable"}
    await event(ann, t="peer", op="leave", peer={"peer": bobs["you"]["peer"]}, reason="kicked")
    await ann.close()


async def no_join_in_time(server):
    client = await connect(server)
    last = await ends(client, 1008)
    assert last == {**last, "t": "err", "id": None, "code": "not_joined"}, last


async def handshakes(server):
    for options, status in (({"subprotocol": "chat"}, None), ({"path": "/v1/other"}, 404)):
        try:
            await WebSocket.open(server.url, **options)
        except HandshakeError as error:
            assert status is None or error.status == status, error
        else:
            raise AssertionError(f"{options} was taken")
    for path, status in (("/", 200), ("/plenum.js", 200), ("/live", 200), ("/ready", 200), ("/metrics", 200),
                         ("/v1/ws", 426), ("/nothing", 404)):
        assert get(server, path).status == status, path


async def a_full_server():
    limits = {"limits.participants": 3, "limits.rooms": 2, "limits.room_participants": 2}
    with Server(limits) as server:
        clients = [(await join(server, "a"))[0] for _ in range(2)]

        async def refused(room, code, limit):
            client = await connect(server)
            answer = await client.request(t="join", v=1, room=room, sdp=offer())
            assert set(answer) == {"t", "id", "code", "reason", "retry_after_ms", "limit"} and answer["t"] == "refused", answer
            assert (answer["code"], answer["limit"]) == (code, limit) and 2000 <= answer["retry_after_ms"] <= 6000, answer
            await ends(client, 1013)

        await refused("a", "room_full", 2)
        clients.append((await join(server, "b"))[0])
        await refused("b", "server_full", 3)
        stopping = asyncio.ensure_future(asyncio.to_thread(server.stop))
        for client in clients:
            last = await ends(client, 1001)
            assert last == {**last, "t": "bye", "code": "shutdown", "resumable": False}
        assert await stopping == 0
    with Server({"limits.rooms": 1}) as server:
        client, _ = await join(server, "a")
        other = await connect(server)
        assert (await other.request(t="join", v=1, room="b", sdp=offer()))["code"] == "rooms_full"
        await client.close()


async def main():
    with Server() as server:
        waiting = asyncio.ensure_future(no_join_in_time(server))
        for check in (the_answer_to_a_join, requests_and_their_events, every_error, resuming, ways_to_end, handshakes):
            await check(server)
            print(f"ok: {check.__name__}")
        await waiting
    await a_full_server()


run(main)
