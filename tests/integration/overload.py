"""Twice the load that a server can carry, for a while: what becomes of those who are in, and of those who ask.

The server has a small CPU quota, so that a load generator beside it can ask for twice of what that is worth.  Talkers fill rooms until
the server refuses; while they talk a second generator goes on asking, and each refused client comes back as the server tells it."""

import json
import os
import subprocess
import threading
import time

from control_group import Group
from plenum_server import DEFAULT_BINARY, Server
from raw_http import get, metrics_by_shard

LOAD = os.environ.get("PLENUM_LOAD") or DEFAULT_BINARY.with_name("plenum-load")
LEVELS = ("nominal", "elevated", "high", "critical", "emergency")
SAMPLE_S = 0.1
ROOM = {"publishers": 1, "slots": 2, "payload": 100}


def words(program, server, **options):
    pairs = {"url": server.url, "json": "-", "refusals": "count", "max-loss": 100, **ROOM, **options}
    return [program, *(f"--{key.replace('_', '-')}={value}" for key, value in pairs.items())]


def begin(program, server, **options):
    return subprocess.Popen(words(program, server, **options), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                            text=True)


def end(process, timeout_s):
    text, said = process.communicate(timeout=timeout_s)
    assert text, said
    return json.loads(text)


class Watch:
    """What /metrics and /ready say, ten times a second: [seconds, level, score, cause]."""

    def __init__(self, server):
        self.server, self.seen = server, []
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()

    def look(self):
        found = metrics_by_shard(self.server)
        causes = [name.split('"')[1] for name, value in found.items()
                  if name.startswith("plenum_pressure_cause{") and value == 1]
        return (time.monotonic(), int(found["plenum_pressure_level"]), found["plenum_pressure_score"],
                causes[0] if causes else "none")

    def _look(self):
        while not self._is_over.wait(SAMPLE_S):
            self.seen.append(self.look())

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._is_over.set()
        self._thread.join()


def overload(quota, period_us, rooms, receivers, rate, seconds, ramp, binary=None, load=LOAD):
    """Returns what happened, as a dictionary.  quota: of a core; rooms x receivers at rate: about twice what it is worth."""
    with Group("cpu") as group:
        group.set_quota(quota, period_us)
        base = {"pressure.level": "auto", "media.shards": 1, "limits.participants": 20000, "limits.rooms": 10000,
                "limits.joins_per_address": 0}
        with Server(base, binary=binary, preexec_fn=group.enter) as server, Watch(server) as watch:
            quiet = end(begin(load, server, room="quiet", rooms=max(1, rooms // 8), receivers=receivers, rate=rate, ramp=ramp // 2,
                              duration=3, retries=0), 90)
            talk = begin(load, server, room="talk", rooms=rooms, receivers=receivers, rate=rate, ramp=ramp, duration=seconds,
                         retries=0, settle=2, timeout=60)
            ramp_s = rooms * (receivers + 1) / ramp
            time.sleep(ramp_s)
            crowd = begin(load, server, room="crowd", rooms=rooms, receivers=receivers, rate=rate, ramp=ramp,
                          duration=1, retries=max(1, int(seconds / 4)), timeout=60)
            talked = end(talk, ramp_s + seconds + 120)
            crowd.terminate()
            crowded = end(crowd, 60)
            over_s = time.monotonic()
            recovered_s = None
            while time.monotonic() < over_s + 30:
                if watch.look()[1] == 0:
                    recovered_s = time.monotonic() - over_s
                    break
                time.sleep(SAMPLE_S)
            ready = get(server, "/ready").status
        return {"quiet": quiet, "talk": talked, "crowd": crowded, "seen": watch.seen, "recovered_s": recovered_s,
                "ready": ready}


def summary(result):
    """The figures that the promises are about."""
    talk, crowd, quiet = result["talk"], result["crowd"], result["quiet"]
    refusal = [report["join_ms"]["refusal"] for report in (talk, crowd) if report["join_ms"]["refusal"]["count"]]
    levels = [level for _, level, _, _ in result["seen"]]
    causes = {}
    for _, level, _, cause in result["seen"]:
        if level > 0:
            causes[cause] = causes.get(cause, 0) + 1
    return {
        "asked": talk["clients"]["asked"], "admitted": talk["clients"]["connected"],
        "turned_away": talk["clients"]["turned_away"], "failed": talk["clients"]["failed"],
        "failures": talk["failures"][:3],
        "loss_percent": talk["media"]["loss_percent"], "delivered_per_s": talk["media"]["delivered"] / talk["media"]["seconds"],
        "quiet_p99_ms": quiet["latency_us"]["p99"] / 1000, "p99_ms": talk["latency_us"]["p99"] / 1000,
        "generator_late_p99_ms": talk["generator"]["late_us"]["p99"] / 1000,
        "refusals": sum(each["count"] for each in refusal),
        "refusal_p99_ms": max((each["p99"] for each in refusal), default=None),
        "refusal_max_ms": max((each["max"] for each in refusal), default=None),
        "untimed": talk["clients"]["refusals_untimed"] + crowd["clients"]["refusals_untimed"],
        "level_max": LEVELS[max(levels, default=0)], "causes": causes, "recovered_s": result["recovered_s"],
        "ready_after": result["ready"],
    }


if __name__ == "__main__":
    print(json.dumps(summary(overload(quota=0.5, period_us=2000, rooms=24, receivers=50, rate=300, seconds=20, ramp=150)),
                     indent=1))
