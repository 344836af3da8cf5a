"""The server and clients that share nothing with it: aiortc (SRTP_AES128_CM_HMAC_SHA1_80) and GStreamer, over loopback.

PLENUM_SERVER names the program to test.
"""

import asyncio
import re

from aiortc_peer import AiortcPeer
from gstreamer_peer import GstreamerPeer
from peer import run
from plenum_server import Server
from raw_http import until

ANN_HZ, BOB_HZ, GUS_HZ = TONES = [500, 800, 1300]


async def until_all_hear(expected):
    """expected: {peer: tones}."""
    await asyncio.gather(*(peer.until_hears(TONES, tones) for peer, tones in expected.items()))


async def two_hear_each_other(url):
    """Nobody hears themselves, mute holds, and a leave is seen."""
    ann = await AiortcPeer.join(url, "two", "Ann", hz=ANN_HZ)
    bob = await AiortcPeer.join(url, "two", "Bob", hz=BOB_HZ)
    await until_all_hear({ann: [BOB_HZ], bob: [ANN_HZ]})

    # aiortc goes on sending: it is the server that keeps the packets back.
    await bob.mute(True)
    event = await ann.until_event(t="track", op="update", peer=bob.id)
    assert event["track"]["muted"] is True, event
    await until_all_hear({ann: [], bob: [ANN_HZ]})
    await bob.mute(False)
    await until_all_hear({ann: [BOB_HZ], bob: [ANN_HZ]})

    bob_id = bob.id
    await bob.leave()
    await ann.until_event(t="peer", op="leave", peer={"peer": bob_id}, reason="left")
    await until_all_hear({ann: []})
    await ann.leave()


async def slots_name_their_talker(url):
    """A slots event says whose voice is in which slot, by the names that the roster uses."""
    ann = await AiortcPeer.join(url, "names", "Ann", hz=ANN_HZ)
    bob = await AiortcPeer.join(url, "names", "Bob")
    await until_all_hear({bob: [ANN_HZ]})
    slots = (await bob.until_event(t="slots"))["slots"]
    taken = [(slot["peer"], slot["source"], slot["track"]) for slot in slots if slot["peer"] is not None]
    you = ann.welcome["you"]
    assert taken == [(you["peer"], you["source"], you["tracks"][0]["track"])], slots
    await asyncio.gather(ann.leave(), bob.leave())


async def different_clients_meet(url):
    """GStreamer brings libnice's full agent, and has neither audio levels nor mids in its packets."""
    ann = await AiortcPeer.join(url, "mixed", "Ann", hz=ANN_HZ)
    gus = await GstreamerPeer.join(url, "mixed", "Gus", hz=GUS_HZ)
    bob = await AiortcPeer.join(url, "mixed", "Bob", hz=BOB_HZ)
    await until_all_hear({ann: [BOB_HZ, GUS_HZ], bob: [ANN_HZ, GUS_HZ], gus: [ANN_HZ, BOB_HZ]})
    await gus.leave()
    await until_all_hear({ann: [BOB_HZ], bob: [ANN_HZ]})
    await asyncio.gather(ann.leave(), bob.leave())


class Stranger(AiortcPeer):
    """Has another certificate than its offer says: one whose fingerprint ends with another digit."""

    async def _offer(self):
        return re.sub(r"(a=fingerprint:.*)(\w)\b", lambda m: m[1] + ("0" if m[2] != "0" else "1"), await super()._offer())


async def another_certificate_is_sent_away(server):
    """Told by bye and not connected; and the log says who lost its media and why, in words."""
    why = "the certificate is not the one of the offer, or DTLS failed"
    ann = Stranger(hz=ANN_HZ)
    await ann.join_in(server.url, "lost", "Ann")
    await ann.until_event(t="bye", code="media_lost", msg=why)
    assert not any(event["t"] == "connected" for event in ann.events), ann.events
    source = ann.welcome["you"]["source"]
    said = f'media is gone source={source} close="{why}"'
    await asyncio.to_thread(until, lambda: any(line.endswith(said) for line in server.log), said)
    await ann.close()


async def main():
    with Server() as server:
        for test in (two_hear_each_other, slots_name_their_talker, different_clients_meet):
            await test(server.url)
            print(f"ok: {test.__name__}: {test.__doc__.splitlines()[0]}", flush=True)
        await another_certificate_is_sent_away(server)
        print(f"ok: {another_certificate_is_sent_away.__name__}: {another_certificate_is_sent_away.__doc__.splitlines()[0]}", flush=True)


run(main)
