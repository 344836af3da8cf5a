"""A server of two media threads: each room is whole on one of them, rooms share them evenly, and people talk in all.

PLENUM_SERVER names the program to test.
"""

import asyncio
import re

from aiortc_peer import AiortcPeer
from peer import run
from plenum_server import Server
from raw_http import metrics_by_shard, until

TONES = ANN_HZ, BOB_HZ, CLEO_HZ, DAN_HZ = 500, 800, 1300, 1900


def ports_of(peer):
    """Where its answer says that media goes."""
    return {int(port) for port in re.findall(r"^a=candidate:\S+ \d+ udp \d+ \S+ (\d+) ", peer.welcome["sdp"], re.M | re.I)}


def by_shard(server, name):
    found = metrics_by_shard(server)
    return [found[f'{name}{{shard="{shard}"}}'] for shard in range(2)]


async def rooms_are_on_shards_of_their_own(server):
    """Two rooms, two ports, two threads; everybody hears their room alone, and what a thread counts is its room's."""
    ann = await AiortcPeer.join(server.url, "kitchen", "Ann", hz=ANN_HZ)
    cleo = await AiortcPeer.join(server.url, "cellar", "Cleo", hz=CLEO_HZ)
    bob = await AiortcPeer.join(server.url, "kitchen", "Bob", hz=BOB_HZ)
    dan = await AiortcPeer.join(server.url, "cellar", "Dan", hz=DAN_HZ)
    peers = ann, bob, cleo, dan
    expected = {ann: [BOB_HZ], bob: [ANN_HZ], cleo: [DAN_HZ], dan: [CLEO_HZ]}
    await asyncio.gather(*(peer.until_hears(TONES, tones) for peer, tones in expected.items()))

    kitchen, cellar = ports_of(ann), ports_of(cleo)
    assert kitchen == ports_of(bob) == {server.media_port}, (kitchen, ports_of(bob))
    assert cellar == ports_of(dan) and len(cellar) == 1 and cellar != kitchen, (cellar, ports_of(dan))
    until(lambda: by_shard(server, "plenum_participants") == [2, 2], "each shard counts its two")
    assert by_shard(server, "plenum_media_rooms") == [1, 1]
    # Threads publish their counters twice a second.
    await asyncio.to_thread(until, lambda: min(by_shard(server, "plenum_rtp_out_total")) > 10, "both threads forward")

    # One room ends: the other talks on, and the next room goes to the thread that is free now.
    await asyncio.gather(ann.leave(), bob.leave())
    until(lambda: by_shard(server, "plenum_participants") == [0, 2], "the kitchen's shard is empty")
    eve = await AiortcPeer.join(server.url, "attic", "Eve")
    assert ports_of(eve) == kitchen, (ports_of(eve), kitchen)
    await asyncio.gather(*(peer.until_hears(TONES, expected[peer]) for peer in (cleo, dan)))
    assert {peer: peer.heard(TONES) for peer in peers[2:]} == {cleo: [DAN_HZ], dan: [CLEO_HZ]}
    await asyncio.gather(cleo.leave(), dan.leave(), eve.leave())
    until(lambda: by_shard(server, "plenum_participants") == [0, 0], "everybody has left")


def threads_have_names_and_cpus(server):
    """An operator who looks with top or taskset finds each media thread."""
    names = []
    for task in server.tasks():
        if (name := (task / "comm").read_text().strip()).startswith("shard-"):
            names.append(name)
    assert sorted(names) == ["shard-0", "shard-1"], names
    told = [line for line in server.log if re.search(r" (?:debug|info) shard \d: UDP port \d+, on ", line)]
    assert len(told) == 2 and f"port {server.media_port}," in told[0], server.log


async def a_room_spreads():
    """One room over two threads: everybody hears everybody, and a packet crosses once."""
    with Server({"media.shards": 2, "media.room_spread": 1}) as server:
        ann = await AiortcPeer.join(server.url, "hall", "Ann", hz=ANN_HZ)
        bob = await AiortcPeer.join(server.url, "hall", "Bob", hz=BOB_HZ)
        cleo = await AiortcPeer.join(server.url, "hall", "Cleo", hz=CLEO_HZ)
        assert ports_of(ann) != ports_of(bob), "on different threads"
        expected = {ann: [BOB_HZ, CLEO_HZ], bob: [ANN_HZ, CLEO_HZ], cleo: [ANN_HZ, BOB_HZ]}
        await asyncio.gather(*(peer.until_hears(TONES, tones) for peer, tones in expected.items()))
        await asyncio.to_thread(until, lambda: min(by_shard(server, "plenum_crossed_total")) > 10, "packets cross both ways")
        assert sum(by_shard(server, "plenum_copied_total")) <= sum(by_shard(server, "plenum_crossed_total"))
        # Home's own member leaves: it goes on choosing for the others.
        await ann.leave()
        expected = {bob: [CLEO_HZ], cleo: [BOB_HZ]}
        await asyncio.gather(*(peer.until_hears(TONES, tones) for peer, tones in expected.items()))
        await asyncio.gather(bob.leave(), cleo.leave())
        await asyncio.to_thread(until, lambda: by_shard(server, "plenum_media_rooms") == [0, 0], "the room has ended on both")
        await asyncio.to_thread(until, lambda: by_shard(server, "plenum_pool_packets_used") == [0, 0], "no buffer is held any more")


async def main():
    with Server({"media.shards": 2, "log.level": "debug"}) as server:
        assert server.shards == 2
        threads_have_names_and_cpus(server)
        print(f"ok: threads_have_names_and_cpus: {threads_have_names_and_cpus.__doc__.splitlines()[0]}", flush=True)
        await rooms_are_on_shards_of_their_own(server)
        print(f"ok: rooms_are_on_shards_of_their_own: {rooms_are_on_shards_of_their_own.__doc__.splitlines()[0]}", flush=True)
    await a_room_spreads()
    print(f"ok: a_room_spreads: {a_room_spreads.__doc__.splitlines()[0]}", flush=True)


run(main)
