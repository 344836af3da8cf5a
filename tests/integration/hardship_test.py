"""What a media thread goes through without harm to those who are in: junk from anybody at its port, and a pool without a free buffer.

PLENUM_SERVER and PLENUM_LOAD name the programs.
"""

import random
import socket
import time

from freeze import Frozen
from load_test import begin, end
from plenum_server import Server
from raw_http import get, metrics, until

JUNK_S, JUNK_PER_S, JUNK_SOURCES = 4, 5000, 20
FIRST_BYTES = [0, 1, 3, 20, 22, 23, 63, 64, 79, 127, 128, 144, 176, 191, 192, 255]  # of RFC 7983's ranges, and beside them
SIZES = [0, 1, 2, 11, 12, 13, 19, 20, 28, 60, 100, 300, 1200, 1472]


def junk(chance):
    size = chance.choice(SIZES)
    return bytes([chance.choice(FIRST_BYTES), *chance.randbytes(size - 1)]) if size > 0 else b""


def dropped(server):
    return sum(value for name, value in metrics(server).items() if name.startswith("plenum_drops_total{"))


def junk_beside_a_call():
    """Twenty thousand datagrams of every size and kind from strangers: each is counted, and of the call nothing is lost."""
    chance = random.Random(7)
    with Server({"media.shards": 1}) as server:
        call = begin(server, publishers=2, receivers=8, slots=2, duration=JUNK_S + 3)
        until(lambda: metrics(server)["plenum_sessions"] == 10 and metrics(server)["plenum_sessions_connecting"] == 0, "all are in")
        time.sleep(1)  # plenum-load has begun to measure
        before, sources = dropped(server), [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(JUNK_SOURCES)]
        sent, end_s = 0, time.monotonic() + JUNK_S
        while (now_s := time.monotonic()) < end_s:
            while sent < (now_s - end_s + JUNK_S) * JUNK_PER_S:
                chance.choice(sources).sendto(junk(chance), ("127.0.0.1", server.media_port))
                sent += 1
            time.sleep(0.005)
        status, report, table = end(call)
        for source in sources:
            source.close()
        assert status == 0 and report["media"]["lost"] == report["media"]["missing"] == 0, table
        until(lambda: dropped(server) - before >= sent, f"{sent} datagrams are counted")
        assert get(server, "/live").status == 200
        print(f"{sent} junk datagrams beside {report['media']['delivered']} packets of a call")


def pool_without_a_free_buffer():
    """Two codec workers stand still and hold what they were lent, more than the pool has: packets are dropped by name, the thread goes on,
    and when they go on, so does everything."""
    settings = {"media.shards": 1, "media.pool_packets": 1024, "media.codec_workers": 2}
    with Server(settings) as server:
        rooms = begin(server, rooms=6, publishers=3, receivers=2, audio="mixed", duration=25, max_loss=100)
        until(lambda: metrics(server)["plenum_sessions"] == 30 and metrics(server)["plenum_sessions_connecting"] == 0, "all are in", 20)
        until(lambda: all(metrics(server)[f'plenum_codec_rooms_active{{worker="{i}"}}'] > 0 for i in range(2)), "both mix", 20)
        with Frozen(server.pid, "codec-0"), Frozen(server.pid, "codec-1"):
            until(lambda: metrics(server)["plenum_pool_low_total"] > 0, "the pool is low", 20)
            until(lambda: metrics(server)['plenum_drops_total{reason="pool_low"}'] > 100, "packets are dropped by name", 10)
            until(lambda: metrics(server)['plenum_pressure_input{input="pool"}'] > 0.9, "it presses", 10)
            turns = metrics(server)["plenum_media_syscalls_total"]
            until(lambda: metrics(server)["plenum_media_syscalls_total"] > turns + 100, "the thread goes on", 10)
        until(lambda: metrics(server)["plenum_pool_packets_used"] < 200, "what was lent is back", 10)
        low = metrics(server)['plenum_drops_total{reason="pool_low"}']
        heard = sum(metrics(server)[f'plenum_codec_sent_total{{worker="{i}"}}'] for i in range(2))
        until(lambda: sum(metrics(server)[f'plenum_codec_sent_total{{worker="{i}"}}'] for i in range(2)) > heard + 500,
              "rooms are mixed again", 10)
        assert metrics(server)['plenum_drops_total{reason="pool_low"}'] == low, "nothing is dropped any more"
        _, report, table = end(rooms)
        assert report["clients"]["failed"] == 0, table
        until(lambda: metrics(server)["plenum_pool_packets_used"] == 0, "the pool is empty", 10)
        print(f"{low:.0f} packets found no buffer")


if __name__ == "__main__":
    for test in (junk_beside_a_call, pool_without_a_free_buffer):
        print(test.__name__, flush=True)
        test()
