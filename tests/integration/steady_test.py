"""In the steady state a media thread takes no memory, takes no lock, and makes few system calls for what it forwards; nor does the
codec worker for what it mixes.

count_calls.c stands before the C library in the server, and counts.  What it counts is the whole of a call that goes on:
media, the receivers' reports and connectivity checks, and the news for signaling.

PLENUM_SERVER and PLENUM_LOAD name the programs, PLENUM_COUNT_CALLS the library.
"""

import os
import pathlib
import struct
import subprocess
import tempfile
import time

from plenum_server import DEFAULT_BINARY, Server
from raw_http import metrics, until

LOAD = os.environ.get("PLENUM_LOAD") or DEFAULT_BINARY.with_name("plenum-load")
LIBRARY = os.environ.get("PLENUM_COUNT_CALLS") or DEFAULT_BINARY.with_name("tests") / "libplenum_count_calls.so"
LINE = struct.Struct("5Q24x")
KINDS = "allocations", "frees", "locks", "syscalls"
CODEC_KINDS = tuple(f"codec_{kind}" for kind in KINDS)
COUNTERS = "plenum_datagrams_in_total", "plenum_rtp_in_total", "plenum_rtp_out_total", "plenum_media_syscalls_total"
CONNECT_S_MAX = 60
SETTLE_S, WINDOW_S = 2, 5  # after a join the handshake's memory is given back, and slots are told
ALLOCATIONS_PER_CHECK = 2  # the STUN library takes a hash for each direction
SKEW = 4  # checks that came between the looks at the one count and at the other
SYSCALLS_PER_PACKET_MAX = 0.05
LISTENERS = 200  # of a mix
CODEC_STEPS = 4  # in the time of a packet


class Counted:
    """A server of one media thread and one codec worker, and what these have called so far."""

    def __init__(self, folder):
        self.file = pathlib.Path(folder, "calls")
        self.file.touch()
        environment = {**os.environ, "LD_PRELOAD": str(LIBRARY), "COUNT_CALLS": str(self.file)}
        self.server = Server({"media.shards": 1, "media.codec_workers": 1}, env=environment)
        threads = {(task / "comm").read_text().strip(): int(task.name) for task in self.server.tasks()}
        self.shard, self.codec = threads["shard-0"], threads["codec-0"]

    def calls(self):
        lines = {line[0]: line[1:] for line in LINE.iter_unpack(self.file.read_bytes())}
        codec = lines.get(self.codec, (0,) * len(KINDS))  # it may not have made one yet
        return {**dict(zip(KINDS, lines[self.shard])), **dict(zip(CODEC_KINDS, codec))}

    def look(self):
        """The thread publishes its counters twice a second: taken right after it has, they belong together."""
        before = metrics(self.server)["plenum_rtp_out_total"]
        until(lambda: metrics(self.server)["plenum_rtp_out_total"] != before, "packets are forwarded")
        return {**self.calls(), **metrics(self.server)}


def steady(**options):
    """Returns how much more there was of everything at the end of a while of steady load."""
    clients = options["publishers"] + options["receivers"]
    words = [f"--{key}={value}" for key, value in {"duration": 600, **options}.items()]
    with tempfile.TemporaryDirectory() as folder:
        counted = Counted(folder)
        with counted.server as server:
            load = subprocess.Popen([LOAD, "--url", server.url, *words], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                    stderr=subprocess.DEVNULL)

            def are_all_connected():
                now = metrics(server)
                return now["plenum_sessions"] == clients and now["plenum_sessions_connecting"] == 0

            try:
                until(are_all_connected, "all are connected", CONNECT_S_MAX)
                time.sleep(SETTLE_S)
                before = counted.look()
                time.sleep(WINDOW_S)
                after = counted.look()
            finally:
                load.terminate()
                load.wait()
    more = {name: int(after[name] - before[name]) for name in (*KINDS, *CODEC_KINDS, *COUNTERS)}
    print(f"  {more}", flush=True)
    came, went = more["plenum_rtp_in_total"], more["plenum_rtp_out_total"]
    assert came > options["publishers"] * 50 * WINDOW_S * 0.5
    each = came / options["publishers"] if options.get("audio") == "mixed" else came  # one stream has them all
    assert went > each * options["receivers"] * 0.9
    return more


def test_no_memory_and_no_lock():
    """Ten talk, ten listen: thousands of packets come, ten times as many go, and none of them takes memory or a lock."""
    check_memory(steady(publishers=10, receivers=10, slots=10))


def test_no_memory_and_no_lock_in_a_mix():
    """Three talk, and hundreds hear the mix of them: not where it is forwarded, and not where it is decoded, mixed and encoded."""
    more = steady(publishers=3, receivers=LISTENERS, slots=1, audio="mixed")
    check_memory(more)
    assert more["codec_allocations"] == more["codec_frees"] == more["codec_locks"] == 0, more
    steps = more["plenum_rtp_out_total"] / LISTENERS * CODEC_STEPS
    assert more["codec_syscalls"] < 2 * steps, (steps, more)  # it sleeps, and no packet wakes it


def check_memory(more):
    checks = more["plenum_datagrams_in_total"] - more["plenum_rtp_in_total"]
    assert more["locks"] == 0, more
    # Both count system calls: by as many as they differ the two looks were apart, and each call may have brought a check.
    skew = SKEW + abs(more["syscalls"] - more["plenum_media_syscalls_total"])
    assert more["allocations"] <= ALLOCATIONS_PER_CHECK * (checks + skew), (checks, skew, more)
    assert abs(more["allocations"] - more["frees"]) <= 1, more


def test_few_system_calls():
    """Two talkers with hundreds of listeners each; /metrics tells of the system calls what is true."""
    more = steady(publishers=2, receivers=400, slots=2)
    per_packet = more["syscalls"] / more["plenum_rtp_out_total"]
    print(f"  {per_packet:.4f} system calls per delivered packet", flush=True)
    assert per_packet < SYSCALLS_PER_PACKET_MAX, per_packet
    assert abs(more["plenum_media_syscalls_total"] / more["syscalls"] - 1) < 0.05, more
    assert more["locks"] == 0, more


if __name__ == "__main__":
    for name, test in list(globals().items()):
        if name.startswith("test_"):
            print(name, flush=True)
            test()
