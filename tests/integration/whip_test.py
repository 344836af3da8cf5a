"""WHIP and WHEP with clients that share nothing with the server: aiortc and GStreamer's webrtcbin publish and play,
aioice checks connectivity after an ICE restart, and raw HTTP makes each mistake there is.

PLENUM_SERVER names the program to test.
"""

import asyncio
import json
import re
import socket
import time

from aioice import stun

from aiortc_peer import AiortcPeer
from gstreamer_peer import GstreamerPeer
from pair import OFFER
from peer import run
from plenum_server import Server
from raw_http import Connection, metrics, request
from whip_peer import FRAGMENT, SDP, HttpSession, endpoint, send, until_gone

CAM_HZ, ANN_HZ, GUS_HZ = TONES = [500, 800, 1300]
HALF_OPEN_S_MAX = 45
SLOW_S_MAX = 13  # the server's own bound is 10, and a sanitizer's build is slow
UFRAG, PWD = "abcdEFGH", "abcdefghijklmnopqrstuvwx"


async def until_all_hear(expected):
    """expected: {peer: tones}."""
    await asyncio.gather(*(peer.until_hears(TONES, tones) for peer, tones in expected.items()))


def code_of(answer):
    body = json.loads(answer.body)
    assert body["msg"] and answer["content-type"] == "application/json", (answer.fields, body)
    return answer.status, body["code"]


def credentials_of(text):
    return re.search(r"^a=ice-ufrag:(\S+)", text, re.M)[1], re.search(r"^a=ice-pwd:(\S+)", text, re.M)[1]


async def published_is_heard(server):
    """Who publishes by WHIP is a participant: seen by its name, heard over WebSocket and WHEP, gone by DELETE."""
    room = "Küche & Flur/hinten"
    ann = await AiortcPeer.join(server.url, room, "Ann", hz=ANN_HZ)
    cam = await HttpSession.start(server, "whip", room, AiortcPeer(hz=CAM_HZ, slots=0), name="Kamera ü & Ton")
    seen = (await ann.until_event(t="peer", op="join"))["peer"]
    assert seen["name"] == "Kamera ü & Ton" and [track["kind"] for track in seen["tracks"]] == ["audio"], seen
    player = await HttpSession.start(server, "whep", room, AiortcPeer(slots=2), name="Player")
    await until_all_hear({ann: [CAM_HZ], player: [CAM_HZ, ANN_HZ]})
    names = [event["peer"].get("name") for event in ann.events if event["t"] == "peer"]
    assert names == ["Kamera ü & Ton", "Player"], ann.events

    await ann.mute(True)
    await until_all_hear({player: [CAM_HZ]})
    await ann.mute(False)
    await cam.delete()
    await ann.until_event(t="peer", op="leave", peer={"peer": seen["peer"]}, reason="left")
    await until_all_hear({ann: [], player: [ANN_HZ]})
    assert code_of(send(server, "DELETE", cam.path)) == (404, "no_session")
    await player.delete()
    await ann.leave()


async def gstreamer_publishes_and_plays(server):
    """webrtcbin, whose packets have neither mids nor levels, on both sides."""
    gus = await HttpSession.start(server, "whip", "mixed", GstreamerPeer(hz=GUS_HZ, slots=0))
    cam = await HttpSession.start(server, "whip", "mixed", AiortcPeer(hz=CAM_HZ, slots=0))
    player = await HttpSession.start(server, "whep", "mixed", GstreamerPeer(hz=None, slots=3))
    other = await HttpSession.start(server, "whep", "mixed", AiortcPeer(slots=3))
    await until_all_hear({player: [CAM_HZ, GUS_HZ], other: [CAM_HZ, GUS_HZ]})
    for session in (gus, cam, player, other):
        await session.delete()


async def slots_are_as_many_as_offered(server):
    """k audio m-lines hear k talkers; a WHIP offer may send one track and hears nobody."""
    cams = [await HttpSession.start(server, "whip", "slots", AiortcPeer(hz=hz, slots=0)) for hz in TONES]
    narrow = await HttpSession.start(server, "whep", "slots", AiortcPeer(slots=1))
    wide = await HttpSession.start(server, "whep", "slots", AiortcPeer(slots=3))
    await until_all_hear({wide: TONES})
    await narrow.peer._until(lambda: len(narrow.peer.heard(TONES)) == 1, lambda: f"hears {narrow.peer.heard(TONES)}")
    assert narrow.peer.heard(TONES)[0] in TONES
    answers = [session.answer.body.decode() for session in (cams[0], narrow, wide)]
    counts = [(text.count("a=recvonly"), text.count("a=sendonly")) for text in answers]
    assert counts == [(1, 0), (0, 1), (0, 3)], answers
    for session in (*cams, narrow, wide):
        await session.delete()

    browser = send(server, "POST", endpoint("whip", "slots"), OFFER, SDP)
    lines = re.findall(r"^m=audio (\d+) ", browser.body.decode(), re.M)
    assert lines[0] != "0" and set(lines[1:]) == {"0"} and len(lines) == OFFER.count("\nm="), lines
    assert send(server, "DELETE", browser["location"]).status == 200


async def the_end_of_media_ends_it(server):
    """Without a DELETE the session ends with its DTLS association, and others see it leave."""
    ann = await AiortcPeer.join(server.url, "broken", "Ann", hz=ANN_HZ)
    cam = await HttpSession.start(server, "whip", "broken", AiortcPeer(hz=CAM_HZ, slots=0), name="Cam")
    await until_all_hear({ann: [CAM_HZ]})
    await cam.close()
    await ann.until_event(t="peer", op="leave", reason="left")
    await until_gone(server, cam.path)
    await ann.leave()


def check_connectivity(port, local, remote_ufrag):
    """A connectivity check as a full ICE agent sends it (RFC 8445 section 7.2.2).  local: the server's credentials.  True
    when it is answered under them."""
    check = stun.Message(message_method=stun.Method.BINDING, message_class=stun.Class.REQUEST)
    check.attributes["USERNAME"] = f"{local[0]}:{remote_ufrag}"
    check.attributes["PRIORITY"] = 1845494271
    check.attributes["ICE-CONTROLLING"] = 1
    check.add_message_integrity(local[1].encode())
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        udp.settimeout(0.5)
        for _ in range(4):  # the command may still be on its way
            udp.sendto(bytes(check), ("127.0.0.1", port))
            try:
                answer = stun.parse_message(udp.recv(2048), integrity_key=local[1].encode())
            except (TimeoutError, ValueError):
                continue
            if answer.message_class == stun.Class.RESPONSE and answer.transaction_id == check.transaction_id:
                return True
    return False


async def ice_restarts_by_patch(server):
    """New credentials in a fragment make new ones of ours, for the checks that follow; an ETag is of one ICE session."""
    answer = send(server, "POST", endpoint("whip", "restart"), OFFER, SDP)
    path, first = answer["location"], answer["etag"]
    before, theirs = credentials_of(answer.body.decode()), credentials_of(OFFER)
    port = int(re.search(r"^a=candidate:.* 127\.0\.0\.1 (\d+) typ host", answer.body.decode(), re.M)[1])
    assert check_connectivity(port, before, theirs[0])

    def patch(body, if_match):
        return send(server, "PATCH", path, body, FRAGMENT, [f"If-Match: {if_match}"])

    candidate = "a=candidate:1 1 udp 2122260223 192.0.2.1 61764 typ host\r\na=end-of-candidates\r\n"
    media = "m=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=mid:0\r\n"
    same = f"a=ice-ufrag:{theirs[0]}\r\na=ice-pwd:{theirs[1]}\r\n{media}{candidate}"
    for if_match in (first, "*", f'"other", {first}'):
        trickled = patch(same, if_match)
        assert (trickled.status, trickled.body, trickled["etag"]) == (204, b"", None), trickled.fields
        assert trickled["content-length"] is None
    assert patch(candidate, first).status == 204

    restarted = patch(f"a=ice-ufrag:{UFRAG}\r\na=ice-pwd:{PWD}\r\n{candidate}", "*")
    assert (restarted.status, restarted["content-type"]) == (200, FRAGMENT), restarted.body
    second, text = restarted["etag"], restarted.body.decode()
    after = credentials_of(text)
    assert second != first and after[0] != before[0] and after[1] != before[1]
    assert "a=ice-lite" in text and "a=candidate:" in text and "a=mid:0" in text, text
    assert check_connectivity(port, after, UFRAG)
    assert not check_connectivity(port, (after[0], before[1]), UFRAG)

    for if_match, status, code in ((first, 412, "stale"), (f"W/{second}", 412, "stale"), ('"', 412, "stale")):
        assert code_of(patch(same, if_match)) == (status, code), if_match
    assert code_of(send(server, "PATCH", path, same, FRAGMENT)) == (428, "no_condition")
    assert code_of(patch("a=ice-ufrag:abcd\r\n", "*")) == (400, "bad_sdp")
    assert code_of(patch("a=ice-ufrag:ab\r\na=ice-pwd:cd\r\n", "*")) == (400, "bad_sdp")
    assert code_of(send(server, "PATCH", path, same, SDP, ["If-Match: *"])) == (415, "bad_type")
    # None of these mistakes has changed anything.
    assert patch(f"a=ice-ufrag:{UFRAG}\r\na=ice-pwd:{PWD}\r\n", second).status == 204

    statuses = [patch(f"a=ice-ufrag:{UFRAG}{i}\r\na=ice-pwd:{PWD}\r\n", '"*"').status for i in range(30)]
    assert statuses[0] == 200 and statuses[-1] == 429 and set(statuses) == {200, 429}, statuses
    assert send(server, "DELETE", path, fields=["If-Match: " + first]).status == 200


async def mistakes_are_named(server):
    """Each mistake has its status, and a body that says what is wrong; none of them makes a room."""
    before = metrics(server)
    whip, whep = endpoint("whip", "mistakes"), endpoint("whep", "mistakes")
    session = whip + "/" + "A" * 32
    listens = OFFER.replace("a=sendonly", "a=recvonly").replace("a=sendrecv", "a=recvonly")
    sends = OFFER.replace("a=recvonly", "a=sendonly")
    for method, path, body, kind, expected in (
            ("POST", whip, "v=0\r\nnonsense", SDP, (400, "bad_sdp")),
            ("POST", whip, "", SDP, (400, "bad_sdp")),
            ("POST", endpoint("whip", "r" * 129), OFFER, SDP, (400, "bad_field")),
            ("POST", endpoint("whip", "a\tb"), OFFER, SDP, (400, "bad_field")),
            ("POST", "/v1/whip/%ff%fe", OFFER, SDP, (400, "bad_field")),
            ("POST", "/v1/whip/", OFFER, SDP, (400, "bad_field")),
            ("POST", "/v1/whep", OFFER, SDP, (400, "bad_field")),
            ("POST", whip + "?name=" + "n" * 129, OFFER, SDP, (400, "bad_field")),
            ("POST", whip, OFFER, "application/json", (415, "bad_type")),
            ("POST", whip, OFFER, None, (415, "bad_type")),
            ("POST", whip, None, SDP, (411, "no_length")),
            ("POST", whip, listens, SDP, (422, "unsupported")),
            ("POST", whep, sends, SDP, (422, "unsupported")),
            ("POST", session, OFFER, SDP, (405, "bad_method")),
            ("PATCH", whip, "", FRAGMENT, (405, "bad_method")),
            ("DELETE", whip, None, None, (405, "bad_method")),
            ("PUT", whep, OFFER, SDP, (405, "bad_method")),
            ("GET", whip, None, None, (405, "bad_method")),
            ("GET", session, None, None, (405, "bad_method")),
            ("DELETE", session, None, None, (404, "no_session")),
            ("DELETE", whip + "/short", None, None, (404, "no_session")),
            ("PATCH", session, "", FRAGMENT, (404, "no_session"))):
        answer = send(server, method, path, body, kind)
        assert code_of(answer) == expected, (method, path, kind, answer.status, answer.body)
        assert answer["access-control-allow-origin"] == "*", answer.fields
        if answer.status == 405:
            assert answer["allow"] == ("OPTIONS, PATCH, DELETE" if path == session else "OPTIONS, POST"), answer.fields
        if answer.status == 415:
            assert answer["accept-post"] == SDP, answer.fields
    head = send(server, "HEAD", whip)
    assert (head.status, head["allow"]) == (405, "OPTIONS, POST")
    after = metrics(server)
    for gauge in ("plenum_rooms", "plenum_participants"):
        assert after[gauge] == before[gauge], gauge
    assert after['plenum_faults_total{code="bad_type"}'] - before['plenum_faults_total{code="bad_type"}'] == 2


async def bodies_are_bounded(server):
    """A body over the bound or without a length is refused unread, and what comes behind it is no second request."""
    path = endpoint("whip", "bodies")
    head = ["Content-Type: application/sdp"]
    for fields, body, expected in (([f"Content-Length: {65537}"], b"v" * 65537, (413, "too_large")),
                                   (["Content-Length: 99999999999999"], b"v", (413, "too_large")),
                                   (["Transfer-Encoding: chunked"], b"1\r\nv\r\n0\r\n\r\n", (411, "no_length")),
                                   (["Content-Length: 1e3"], request("/live"), (411, "no_length"))):
        with Connection(server) as connection:
            try:
                connection.send(request(path, "POST", head + fields) + body)
            except ConnectionError:
                pass  # it has answered and closed already
            assert code_of(connection.answer()) == expected, fields
            assert connection.is_closed_within(5)
    almost = OFFER + "a=x:" + "y" * 1000 + "\r\n"
    while len(almost) + 1004 < 65536:
        almost += "a=x:" + "y" * 1000 + "\r\n"
    largest = send(server, "POST", path, almost, SDP)
    assert largest.status == 201, largest.body
    assert send(server, "DELETE", largest["location"]).status == 200


async def slow_bodies_are_cut_off(server):
    """A body that drips in, or never comes, holds its connection for ten seconds at most."""
    start_s = time.monotonic()
    fields = ["Content-Type: application/sdp", "Content-Length: 60000"]
    with Connection(server) as dripping, Connection(server) as silent:
        for connection in (dripping, silent):
            connection.send(request(endpoint("whip", "slow"), "POST", fields) + b"v=0\r\n")
        while not dripping.is_closed_within(0.2):
            assert time.monotonic() - start_s < SLOW_S_MAX
            try:
                dripping.send(b"a")
            except ConnectionError:
                break
            await asyncio.sleep(0)
        assert silent.is_closed_within(SLOW_S_MAX)


async def a_connection_serves_many(server):
    """POST, PATCH and DELETE of a session go over one connection, as a browser sends them."""
    with Connection(server) as connection:
        def over(method, path, body="", fields=()):
            connection.send(request(path, method, [f"Content-Length: {len(body)}", *fields]) + body.encode())
            return connection.answer()

        created = over("POST", endpoint("whep", "kept"), OFFER, ["Content-Type: application/sdp; charset=utf-8",
                                                                 "Authorization: Bearer anything"])
        assert created.status == 201, created.body
        fields = [f"Content-Type: {FRAGMENT}", f"If-Match: {created['etag']}"]
        assert over("PATCH", created["location"], "a=end-of-candidates\r\n", fields).status == 204
        assert over("OPTIONS", created["location"]).status == 200
        assert over("DELETE", created["location"]).status == 200
        connection.send(request("/live"))
        assert connection.answer().body == b"ok\n"


async def other_sites_may_use_it(server):
    """A page of elsewhere gets through the browser's preflight, and sees what it needs of the answer."""
    path = endpoint("whip", "cors")
    preflight = send(server, "OPTIONS", path, fields=[
        "Origin: https://elsewhere.test", "Access-Control-Request-Method: POST",
        "Access-Control-Request-Headers: authorization,content-type"])
    assert (preflight.status, preflight["access-control-allow-origin"], preflight["accept-post"]) == (200, "*", SDP)
    assert {"POST", "PATCH", "DELETE"} <= set(preflight["access-control-allow-methods"].split(", "))
    allowed = {field.lower() for field in preflight["access-control-allow-headers"].split(", ")}
    assert {"authorization", "content-type", "if-match"} <= allowed
    created = send(server, "POST", path, OFFER, SDP, ["Origin: https://elsewhere.test"])
    assert {"Location", "ETag", "Link"} <= set(created["access-control-expose-headers"].split(", "))
    assert created["accept-patch"] == FRAGMENT and re.fullmatch(r'"[^"]+"', created["etag"])
    # Nobody ends a session who was not told its URL, and each has one of its own kind and room.
    path = created["location"]
    assert re.fullmatch(r"/v1/whip/cors/[\w-]{32}", path), path
    guess = path[:-1] + ("A" if path[-1] != "A" else "B")
    for other in (path.replace("whip", "whep"), path.replace("cors", "others"), guess):
        assert code_of(send(server, "DELETE", other)) == (404, "no_session"), other
    assert send(server, "DELETE", path).status == 200


async def limits_hold():
    """Participants are counted whatever they speak; who is refused learns when to try again, and DELETE makes room."""
    with Server({"limits.room_participants": 1, "limits.rooms": 2, "limits.participants": 3}) as server:
        first = send(server, "POST", endpoint("whip", "one"), OFFER, SDP)
        second = send(server, "POST", endpoint("whep", "two"), OFFER, SDP)
        assert (first.status, second.status) == (201, 201)
        for room, code in (("one", "room_full"), ("three", "rooms_full")):
            refused = send(server, "POST", endpoint("whep", room), OFFER, SDP)
            assert code_of(refused) == (503, code), refused.body
            assert 1 <= int(refused["retry-after"]) <= 10
            assert json.loads(refused.body)["retry_after_ms"] <= int(refused["retry-after"]) * 1000
        assert send(server, "DELETE", first["location"]).status == 200
        assert send(server, "POST", endpoint("whep", "three"), OFFER, SDP).status == 201


async def main():
    tests = (published_is_heard, gstreamer_publishes_and_plays, slots_are_as_many_as_offered, the_end_of_media_ends_it,
             ice_restarts_by_patch, mistakes_are_named, bodies_are_bounded, slow_bodies_are_cut_off,
             a_connection_serves_many, other_sites_may_use_it)
    with Server() as server:
        # Nobody ever comes for this one: it must not stay for ever.
        forgotten = send(server, "POST", endpoint("whip", "forgotten"), OFFER, SDP)["location"]
        for test in tests:
            await test(server)
            print(f"ok: {test.__name__}: {test.__doc__.splitlines()[0]}", flush=True)
        await until_gone(server, forgotten, HALF_OPEN_S_MAX)
        print("ok: a session whose client never came has ended", flush=True)
    await limits_hold()
    print(f"ok: limits_hold: {limits_hold.__doc__}", flush=True)


run(main)
