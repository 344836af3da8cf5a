"""Who hears the room mixed, and who has no Opus: aiortc and GStreamer, over loopback.

PLENUM_SERVER names the program to test.
"""

import asyncio
import json
import time

from aiortc_peer import AiortcPeer
from gstreamer_peer import GstreamerPeer
from peer import run
from plenum_server import Server
from plenum_ws import PlenumSocket
from whip_peer import HttpSession, endpoint, send

ANN_HZ, BOB_HZ, CAT_HZ = TONES = [500, 800, 1300]
TOKEN = "0123456789abcdef-for-tests"
MEDIA = "/v1/admin/media"


def chord(*tones):
    return "+".join(str(tone) for tone in sorted(tones))


async def until_slot(peer, mix):
    """Waits until the first slot is said to have this mix."""

    def now():
        told = [event["slots"] for event in peer.events if event["t"] == "slots"] or [peer.welcome["slots"]]
        return told[-1][0]["mix"]

    await peer._until(lambda: now() == mix, lambda: f"is told {now()}, not {mix}")


async def the_others_in_one_stream(server):
    """Mixed is everybody but oneself in the first slot; both ways and back on one connection, in each quality there is."""
    ann = await AiortcPeer.join(server.url, "mixed", "Ann", hz=ANN_HZ, audio="mixed")
    bob = await AiortcPeer.join(server.url, "mixed", "Bob", hz=BOB_HZ)
    cat = await AiortcPeer.join(server.url, "mixed", "Cat", hz=CAT_HZ)
    audio = ann.welcome["audio"]
    assert (audio["mode"], audio["modes"]) == ("mixed", ["forward", "mixed", "auto"]), audio
    await until_slot(ann, "full")
    await ann.until_chords(TONES, chord(BOB_HZ, CAT_HZ))
    await bob.until_hears(TONES, [ANN_HZ, CAT_HZ])
    for quality in audio["qualities"]:
        await ann.set_mode("mixed", quality)
        await until_slot(ann, quality)
        await ann.until_chords(TONES, chord(BOB_HZ, CAT_HZ))
    await ann.set_mode("forward")
    await until_slot(ann, None)
    await ann.until_hears(TONES, [BOB_HZ, CAT_HZ])
    await ann.set_mode("mixed", "full")
    await until_slot(ann, "full")
    await cat.mute(True)
    await ann.until_chords(TONES, chord(BOB_HZ))
    await bob.mute(True)
    await ann.until_chords(TONES)
    await cat.mute(False)
    await ann.until_chords(TONES, chord(CAT_HZ))
    await asyncio.gather(ann.leave(), bob.leave(), cat.leave())


async def a_single_slot_is_mixed_by_auto(server):
    """The only way to hear more than one; with more slots auto is forwarding."""
    one = await AiortcPeer.join(server.url, "auto", "One", slots=1, audio="auto")
    two = await AiortcPeer.join(server.url, "auto", "Two", slots=2, audio="auto")
    ann = await AiortcPeer.join(server.url, "auto", "Ann", hz=ANN_HZ)
    bob = await AiortcPeer.join(server.url, "auto", "Bob", hz=BOB_HZ)
    await one.until_chords(TONES, chord(ANN_HZ, BOB_HZ))
    await two.until_hears(TONES, [ANN_HZ, BOB_HZ])
    await until_slot(one, "full")
    await until_slot(two, None)
    await asyncio.gather(*(peer.leave() for peer in (one, two, ann, bob)))


async def who_takes_less(server):
    """Who takes fewer bits than a talker sends, or shorter packets, hears it in a mix; who takes as many hears it as it is."""
    small = await AiortcPeer.join(server.url, "limits", "Small", slots=1, takes={"bitrate": 40000})
    wide = await AiortcPeer.join(server.url, "limits", "Wide", slots=1, takes={"bitrate": 80000})
    short = await GstreamerPeer.join(server.url, "limits", "Short", hz=None, slots=1, takes={"maxptime": 10})
    await until_slot(small, None)
    ann = await GstreamerPeer.join(server.url, "limits", "Ann", hz=ANN_HZ)  # 64 kb/s, in packets of 20 ms
    await until_slot(short, "short")
    await until_slot(small, "full")
    for peer in (small, short):
        await peer.until_chords(TONES, chord(ANN_HZ))
    await wide.until_hears(TONES, [ANN_HZ])
    await until_slot(wide, None)
    await asyncio.gather(*(peer.leave() for peer in (small, wide, short, ann)))


async def telephones(server):
    """Who has PCMU or PCMA alone hears the others and is heard by them, each in what they have; one behind a gateway, too, that
    offers one m-line and no group."""
    ann = await AiortcPeer.join(server.url, "phones", "Ann", hz=ANN_HZ)
    phone = await AiortcPeer.join(server.url, "phones", "Phone", hz=BOB_HZ, codec="audio/PCMU", bare=True)
    other = await AiortcPeer.join(server.url, "phones", "Other", hz=CAT_HZ, slots=1, codec="audio/PCMA")
    await until_slot(phone, "pcmu")
    await until_slot(other, "pcma")
    await phone.until_chords(TONES, chord(ANN_HZ, CAT_HZ))
    await other.until_chords(TONES, chord(ANN_HZ, BOB_HZ))
    await ann.until_hears(TONES, [BOB_HZ, CAT_HZ])
    await ann.set_mode("mixed")
    await ann.until_chords(TONES, chord(BOB_HZ, CAT_HZ))
    await phone.mute(True)
    await ann.until_chords(TONES, chord(CAT_HZ))
    await phone.mute(False)
    await ann.until_chords(TONES, chord(BOB_HZ, CAT_HZ))
    await asyncio.gather(ann.leave(), phone.leave(), other.leave())


async def players(server):
    """?audio= of WHEP: a player with one m-line hears everybody, a telephone too; a wrong word is told."""
    ann = await AiortcPeer.join(server.url, "players", "Ann", hz=ANN_HZ)
    cam = await HttpSession.start(server, "whip", "players", AiortcPeer(hz=CAT_HZ, slots=0))
    mixed = await HttpSession.start(server, "whep", "players", AiortcPeer(slots=1), audio="mixed")
    auto = await HttpSession.start(server, "whep", "players", GstreamerPeer(hz=None, slots=1), audio="auto")
    phone = await HttpSession.start(server, "whep", "players", AiortcPeer(slots=1, codec="audio/PCMU"))
    plain = await HttpSession.start(server, "whep", "players", AiortcPeer(slots=2), audio="forward")
    for player in (mixed, auto, phone):
        await player.peer.until_chords(TONES, chord(ANN_HZ, CAT_HZ))
    await plain.until_hears(TONES, [ANN_HZ, CAT_HZ])
    peer = AiortcPeer(slots=1)
    answer = send(server, "POST", endpoint("whep", "players", audio="loud"), await peer._offer(), "application/sdp")
    assert answer.status == 400 and json.loads(answer.body) == {
        "code": "bad_field", "msg": 'url.audio: "loud"; it must be "forward", "mixed" or "auto"'}, answer.body
    await peer._stop()
    for session in (cam, mixed, auto, phone, plain):
        await session.delete()
    await ann.leave()


def admin(server, method, body=None, token=TOKEN):
    """(status, JSON) of the admin API's answer."""
    fields = [] if token is None else [f"Authorization: Bearer {token}"]
    answer = send(server, method, MEDIA, body, None if body is None else "application/json", fields)
    return answer.status, json.loads(answer.body)


async def the_kill_switch(server):
    """The admin API changes the instructions that mix while people listen, and nobody without the token can."""
    ann = await AiortcPeer.join(server.url, "switch", "Ann", slots=1, audio="mixed")
    bob = await AiortcPeer.join(server.url, "switch", "Bob", hz=BOB_HZ)
    cat = await AiortcPeer.join(server.url, "switch", "Cat", hz=CAT_HZ)
    await ann.until_chords(TONES, chord(BOB_HZ, CAT_HZ))
    for token in (None, TOKEN[:-1], TOKEN + "x"):
        status, told = admin(server, "POST", '{"simd": "plain"}', token)
        assert (status, told["code"]) == (401, "unauthorized"), told
    status, told = admin(server, "GET")
    assert status == 200 and told["opus"].startswith("libopus "), told
    assert sum(worker["rooms"] for worker in told["workers"]) == 1 and told["workers"][0]["encoders"] > 0, told
    first, levels = told["simd"], told["simd_available"]
    assert first == levels[0] and levels[-1] == "plain", told
    for level in [*reversed(levels), "auto"]:
        status, told = admin(server, "POST", json.dumps({"simd": level}))
        assert (status, told["simd"]) == (200, first if level == "auto" else level), told
        await asyncio.sleep(0.15)
        await ann.until_chords(TONES, chord(BOB_HZ, CAT_HZ))
    assert admin(server, "POST", '{"simd": "fast"}')[0] == 400 and admin(server, "DELETE")[0] == 405
    assert admin(server, "GET")[1]["simd"] == first
    await asyncio.gather(ann.leave(), bob.leave(), cat.leave())


def steps(told):
    return [worker["load_step"] for worker in told["workers"]]


async def until_metrics(server, line):
    deadline = time.monotonic() + 10
    while f"\n{line}\n" not in send(server, "GET", "/metrics").body.decode():
        assert time.monotonic() < deadline, f"/metrics never says {line}"
        await asyncio.sleep(0.05)


async def the_ladder(server):
    """The admin API changes how hard encoders work while people listen, of all threads that mix or of one."""
    ann = await AiortcPeer.join(server.url, "ladder", "Ann", slots=1, audio="mixed")
    bob = await AiortcPeer.join(server.url, "ladder", "Bob", hz=BOB_HZ)
    cat = await AiortcPeer.join(server.url, "ladder", "Cat", hz=CAT_HZ)
    await ann.until_chords(TONES, chord(BOB_HZ, CAT_HZ))
    first = steps(admin(server, "GET")[1])
    assert first == [1] * len(first) and first, first
    last = len(first) - 1
    for step in (0, 1, 2, 3, 4, 0):
        status, told = admin(server, "POST", json.dumps({"load_step": step}))
        assert (status, steps(told)) == (200, [step] * len(first)), told
        await until_metrics(server, f'plenum_codec_load_step{{worker="{last}"}} {step}')
        await ann.until_chords(TONES, chord(BOB_HZ, CAT_HZ))
    status, told = admin(server, "POST", json.dumps({"worker": last, "load_step": 3, "simd": "plain"}))
    assert (status, told["simd"], steps(told)) == (200, "plain", [0] * last + [3]), told
    await until_metrics(server, f'plenum_codec_load_step{{worker="{last}"}} 3')
    await until_metrics(server, 'plenum_codec_simd_info{simd="plain"} 1')
    for body, key in (('{"load_step": 5}', "load_step"), ('{"load_step": "1"}', "load_step"), ('{"worker": 0}', "load_step"),
                      (f'{{"simd": "auto", "load_step": 1, "worker": {last + 1}}}', "worker")):
        status, told = admin(server, "POST", body)
        assert (status, told["code"]) == (400, "bad_field") and told["msg"].startswith(f"{key}: "), told
    told = admin(server, "GET")[1]
    assert (told["simd"], steps(told)) == ("plain", [0] * last + [3]), told
    status, told = admin(server, "POST", '{"simd": "auto", "load_step": 1}')
    assert (status, steps(told)) == (200, first), told
    await ann.until_chords(TONES, chord(BOB_HZ, CAT_HZ))
    await asyncio.gather(ann.leave(), bob.leave(), cat.leave())


async def without_mixing():
    """media.mixing: off has forwarding, says so beforehand and when asked, and takes no telephones."""
    with Server(settings={"media.mixing": "off"}) as server:
        ann = AiortcPeer(slots=1)
        offer = await ann._offer()
        socket = await PlenumSocket.connect(server.url)
        said = 'this server does not mix; it has "forward", which "auto" is here, too'
        refused = await socket.request(t="join", v=1, room="off", audio="mixed", sdp=offer)
        assert (refused["code"], refused["msg"]) == ("unsupported", f"join.audio: {said}"), refused
        await socket.close()
        answer = send(server, "POST", endpoint("whep", "off", audio="mixed"), offer, "application/sdp")
        assert answer.status == 422 and json.loads(answer.body) == {"code": "unsupported", "msg": f"url.audio: {said}"}, answer.body
        await ann._stop()
        phone = AiortcPeer(hz=BOB_HZ, codec="audio/PCMU")
        answer = send(server, "POST", endpoint("whep", "off"), await phone._offer(), "application/sdp")
        assert answer.status == 400 and json.loads(answer.body)["code"] == "bad_sdp", answer.body
        await phone._stop()
        one = await AiortcPeer.join(server.url, "off", "One", slots=1, audio="auto")
        bob = await AiortcPeer.join(server.url, "off", "Bob", hz=BOB_HZ)
        audio = {"mode": "auto", "quality": "full", "modes": ["forward", "auto"], "qualities": []}
        assert one.welcome["audio"] == audio, one.welcome["audio"]
        await one.until_hears(TONES, [BOB_HZ])
        await until_slot(one, None)
        refused = await one.socket.request(t="mode", audio="mixed")
        assert (refused["code"], refused["msg"]) == ("unsupported", f"mode.audio: {said}"), refused
        await asyncio.gather(one.leave(), bob.leave())


async def without_a_token():
    """There is no admin API then."""
    with Server() as server:
        status, told = admin(server, "GET")
        assert (status, told["code"]) == (404, "no_admin"), told


async def main():
    with Server(settings={"admin.token": TOKEN}) as server:
        for test in (the_others_in_one_stream, a_single_slot_is_mixed_by_auto, who_takes_less, telephones, players, the_kill_switch,
                     the_ladder):
            await test(server)
            print(f"ok: {test.__name__}: {test.__doc__.splitlines()[0]}", flush=True)
    for test in (without_mixing, without_a_token):
        await test()
        print(f"ok: {test.__name__}: {test.__doc__.splitlines()[0]}", flush=True)


run(main)
