"""A thread that stands still is a fault and no load: nobody new gets in, nobody is sent away for it, others go on talking, and when it
goes on, so does everything.

PLENUM_SERVER and PLENUM_LOAD name the programs.
"""

import asyncio
import contextlib
import time

from freeze import Frozen
from load_test import begin
from newcomer import ask
from peer import run
from plenum_server import Server
from raw_http import get, metrics_by_shard, until

SEEN_S = 3      # until the level must be there; it takes a tenth of that
LOUD_S = 5      # in which others must be heard again
AGAIN_S = 20    # from the moment that the thread goes on
# What else the machine does makes a server careful, and is not the matter here.
ELEVATED, CRITICAL = 1, 3
SETTINGS = {"pressure.level": "auto", "media.shards": 2, "media.codec_workers": 1, "canary.interval_s": 1}
ROOMS = {"rooms": 2, "publishers": 2, "receivers": 4, "duration": 90, "max_loss": 100}
SESSIONS = 2 * ROOMS["rooms"] * (ROOMS["publishers"] + ROOMS["receivers"])


def cause_of(now):
    return [name.split('"')[1] for name, value in now.items() if name.startswith("plenum_pressure_cause{") and value == 1]


class Case:
    """One server of its own, with calls that hear each other and calls that hear the mix."""

    def __init__(self, stack, thread, frozen_s, causes, shards_well):
        """frozen_s: longer than the 30 s after which consent ends, which a media thread's own callers are not to be charged for."""
        self.thread, self.frozen_s, self.causes, self.shards_well = thread, frozen_s, causes, shards_well
        self.server = stack.enter_context(Server(SETTINGS))
        self.calls = [begin(self.server, audio=audio, room=audio, **ROOMS) for audio in ("forward", "mixed")]
        stack.callback(lambda: [call.kill() for call in self.calls])
        self.heard, self.heard_s = 0, 0

    def now(self):
        return metrics_by_shard(self.server)

    def is_calm(self):
        now = self.now()
        return (now["plenum_sessions"] == SESSIONS and now["plenum_sessions_connecting"] == 0 and now["plenum_pressure_level"] <= ELEVATED
                and now['plenum_codec_rooms_active{worker="0"}'] > 0 and now['plenum_canary_state{state="hears"}'] == 1)

    def well(self, now, name):
        return sum(now[f'{name}{{shard="{shard}"}}'] for shard in self.shards_well)

    def look(self, frozen_s):
        """Once in a while, as long as the thread stands still."""
        now = self.now()
        said = (f"{self.thread} frozen for {frozen_s:.1f} s: level {now['plenum_pressure_level']:.0f}, {cause_of(now)} "
                f"{now['plenum_pressure_score']}, {now['plenum_sessions']:.0f} sessions")
        assert now["plenum_pressure_level"] <= CRITICAL, said
        assert now["plenum_asked_to_go_total"] == 0, said
        assert now["plenum_sessions"] == SESSIONS, said
        if frozen_s > SEEN_S:
            assert now["plenum_pressure_level"] == CRITICAL and cause_of(now)[0] in self.causes, said
        heard = self.well(now, "plenum_rtp_out_total")
        if heard > self.heard + 20:
            self.heard, self.heard_s = heard, frozen_s
        assert frozen_s - self.heard_s < LOUD_S, f"{said}; nothing was sent to the others for {frozen_s - self.heard_s:.1f} s"
        return now

    async def is_closed(self):
        answer, _, _ = await ask(self.server, "forward-0")
        assert (answer["t"], answer["code"]) == ("refused", "pressure") and answer["cause"] in self.causes, answer
        assert get(self.server, "/live").status == 503

    def is_forgiven(self):
        began_s = time.monotonic()
        until(lambda: self.now()["plenum_pressure_level"] <= ELEVATED, f"{self.thread}: as before", AGAIN_S)
        now = self.now()
        assert now["plenum_sessions"] == SESSIONS and now["plenum_asked_to_go_total"] == 0, f"{now['plenum_sessions']} of {SESSIONS}"
        until(lambda: get(self.server, "/live").status == 200, f"{self.thread}: lives", 5)
        print(f"{self.thread} stood still for {self.frozen_s} s; all is as before {time.monotonic() - began_s:.1f} s after it went on")


def idle_worker_that_does_not_come(seconds):
    """It sleeps until it is woken, and stands still meanwhile: that is seen, too, before its rings are full."""
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(Server({**SETTINGS, "canary.interval_s": 0}))
        stack.enter_context(Frozen(server.pid, "codec-0"))
        call = begin(server, audio="mixed", retries=100, **ROOMS)
        stack.callback(call.kill)
        until(lambda: metrics_by_shard(server)["plenum_pressure_level"] == CRITICAL, "no new participants", 20)
        end_s = time.monotonic() + seconds
        while time.monotonic() < end_s:
            now = metrics_by_shard(server)
            said = f"level {now['plenum_pressure_level']:.0f}, {cause_of(now)} {now['plenum_pressure_score']}"
            assert now["plenum_pressure_level"] == CRITICAL and cause_of(now) == ["codec_late"], said
            assert now["plenum_asked_to_go_total"] == 0, said
            time.sleep(0.1)


async def main():
    idle_worker_that_does_not_come(8)
    with contextlib.ExitStack() as stack:
        codec = Case(stack, "codec-0", 34, ["codec_late"], [0, 1])
        shard = Case(stack, "shard-1", 33, ["shard_busy", "shard_late"], [0])
        for case in (codec, shard):
            until(case.is_calm, f"{case.thread}: all are in, heard, and mixed", 40)
            until(lambda: all(case.now()[f'plenum_participants{{shard="{i}"}}'] > 0 for i in range(2)), "on both media threads")
        begun_s = time.monotonic()
        with Frozen(codec.server.pid, codec.thread):
            with Frozen(shard.server.pid, shard.thread):
                while (frozen_s := time.monotonic() - begun_s) < shard.frozen_s:
                    codec.look(frozen_s)
                    shard.look(frozen_s)
                    await asyncio.sleep(0.1)
                await shard.is_closed()
            shard.is_forgiven()
            while (frozen_s := time.monotonic() - begun_s) < codec.frozen_s:
                codec.look(frozen_s)
                await asyncio.sleep(0.1)
            await codec.is_closed()
        codec.is_forgiven()


run(main)
