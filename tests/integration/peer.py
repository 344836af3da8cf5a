"""A participant of a test: joins by the signaling API, and hears with one ear per slot.  What speaks WebRTC is a subclass."""

import asyncio
import os
import re
import sys
import traceback

from plenum_ws import PlenumSocket

WAIT_S_MAX = 20
TICK_S = 0.1  # silence makes no event that could be awaited


def run(main):
    """Runs a test of peers to its end.  One that fails ends at once: the threads of a peer that nobody has closed would keep the
    process until ctest's timeout."""
    try:
        asyncio.run(main())
    except BaseException:
        traceback.print_exc()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(1)


def limited(sdp, bitrate=None, maxptime=None):
    """The offer of one that takes no more of Opus."""
    sections = re.split(r"(?=^m=)", sdp, flags=re.M)
    for i, section in enumerate(sections):
        opus = re.search(r"^a=rtpmap:(\d+) opus/", section, re.M | re.I)
        if opus is not None and bitrate is not None:
            assert f"a=fmtp:{opus[1]} " not in section, section  # one line has all parameters
            sections[i] += f"a=fmtp:{opus[1]} maxaveragebitrate={bitrate}\r\n"
        if opus is not None and maxptime is not None:
            sections[i] += f"a=maxptime:{maxptime}\r\n"
    return "".join(sections)


class Peer:
    """A subclass gives _offer(), which returns SDP, _accept(sdp) and _stop(), all coroutines; it adds to ears and calls
    _happened.set() when something was heard.  After join, welcome is the server's answer, and events holds what it told since."""

    @classmethod
    async def join(cls, url, room, name, audio=None, takes=None, **options):
        """takes: what of limited."""
        peer = cls(**options)
        await peer.join_in(url, room, name, audio, takes)
        await peer.until_event(t="connected")
        return peer

    async def join_in(self, url, room, name, audio=None, takes=None):
        """As join, without waiting for the media."""
        self.socket = await PlenumSocket.connect(url)
        self.welcome = await self.socket.request(t="join", v=1, room=room, name=name, audio=audio,
                                                 sdp=limited(await self._offer(), **(takes or {})))
        assert self.welcome["t"] == "welcome", self.welcome
        self._spawn(self._read_events())
        await self._accept(self.welcome["sdp"])

    def __init__(self):
        self.events = []
        self.ears = []
        self._tasks = []
        self._happened = asyncio.Event()

    def _spawn(self, coroutine):
        self._tasks.append(asyncio.ensure_future(coroutine))

    async def _read_events(self):
        while (event := await self.socket.event()) is not None:
            self.events.append(event)
            self._happened.set()

    @property
    def id(self):
        return self.welcome["you"]["peer"]

    async def mute(self, on):
        track = self.welcome["you"]["tracks"][0]["track"]
        answer = await self.socket.request(t="mute", track=track, on=on)
        assert answer["t"] == "ok", answer

    def heard(self, tones):
        """The tones in the slots now, sorted; silent slots are left out."""
        found = [ear.tone(tones) for ear in self.ears]
        return sorted((tone for tone in found if tone is not None), key=str)

    async def set_mode(self, audio, quality=None):
        answer = await self.socket.request(t="mode", audio=audio, quality=quality)
        assert answer["t"] == "ok", answer

    def chords(self, tones):
        """As heard, of slots in which several are heard: "500+800"."""
        return sorted(chord for chord in (ear.chord(tones) for ear in self.ears) if chord is not None)

    async def until_chords(self, tones, *expected):
        wanted = sorted(expected)
        await self._until(lambda: self.chords(tones) == wanted, lambda: f"hears {self.chords(tones)}, not {wanted}")

    async def until_hears(self, tones, expected):
        wanted = sorted(expected, key=str)
        await self._until(lambda: self.heard(tones) == wanted, lambda: f"hears {self.heard(tones)}, not {wanted}")

    async def until_event(self, **fields):
        """Waits for an event with these fields (one that was there already counts) and returns it."""

        def find():
            return next((event for event in self.events if fields.items() <= event.items()), None)

        await self._until(lambda: find() is not None, lambda: f"no event {fields} among {self.events}")
        return find()

    async def _until(self, is_true, describe):
        deadline = asyncio.get_running_loop().time() + WAIT_S_MAX
        while not is_true():
            if asyncio.get_running_loop().time() > deadline:
                raise AssertionError(f"{type(self).__name__} {describe()}")
            self._happened.clear()
            try:
                await asyncio.wait_for(self._happened.wait(), TICK_S)
            except asyncio.TimeoutError:
                pass

    async def leave(self):
        answer = await self.socket.request(t="leave")
        assert answer["t"] == "ok", answer
        await self.close()

    async def close(self):
        await self._stop()
        await self.socket.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
