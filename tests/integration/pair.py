"""Two people who talk in a room of their own while something strange happens elsewhere: they must notice nothing."""

import asyncio
import pathlib

from plenum_ws import PlenumSocket

OFFER = (pathlib.Path(__file__).resolve().parents[1] / "signaling/offers/chromium.sdp").read_bytes().decode()
NOTICE_S_MAX = 15


async def join(server, room, name="Ann"):
    """A participant without media: the front end is what these tests are about."""
    peer = await PlenumSocket.connect(server.url)
    welcome = await peer.request(t="join", v=1, room=room, name=name, sdp=OFFER)
    assert welcome["t"] == "welcome", welcome
    return peer


class Pair:
    @classmethod
    async def join(cls, server, room="pair"):
        ann, bob = await join(server, room, "Ann"), await join(server, room, "Bob")
        event = await ann.event()
        assert (event["t"], event["op"]) == ("peer", "join"), event
        return cls(ann, bob)

    def __init__(self, ann, bob):
        self.sides = (ann, bob)
        self.count = {ann: 1, bob: 0}

    async def notice_nothing(self):
        """Each hears the other at once, no event is missing, and none came between."""
        for sender, receiver in (self.sides, self.sides[::-1]):
            topic = f"still {self.count[receiver]}"
            assert (await sender.request(t="data", topic=topic, body=[1, {"a": None}]))["t"] == "ok"
            event = await asyncio.wait_for(receiver.event(), NOTICE_S_MAX)
            self.count[receiver] += 1
            assert (event["t"], event["topic"], event["n"]) == ("data", topic, self.count[receiver]), event

    async def leave(self):
        for side in self.sides:
            assert (await side.request(t="leave"))["t"] == "ok"
            await side.close()
