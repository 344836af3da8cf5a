"""What a participant costs the server in memory: printed, bounded, and given back for the next one.

PLENUM_SERVER names the program to test.
"""

import asyncio
import re

from aiortc_peer import AiortcPeer
from plenum_server import Server

WARM_UP = 10  # what the first participants cost includes what is made once
MEASURED = 50
AT_ONCE = 5
KB_MAX = 512


def resident_kb(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as status:
        return int(re.search(r"VmRSS:\s+(\d+) kB", status.read())[1])


async def join_many(url, count):
    """Listeners in rooms of ten, connected: ICE, DTLS and SRTP are up."""
    peers = []
    for start in range(0, count, AT_ONCE):
        joins = (AiortcPeer.join(url, f"room {i // 10}", f"peer {i}") for i in range(start, min(start + AT_ONCE, count)))
        peers += await asyncio.gather(*joins)
    return peers


async def leave_all(peers):
    await asyncio.gather(*(peer.leave() for peer in peers))


async def main():
    with Server() as server:
        await leave_all(await join_many(server.url, WARM_UP))
        before = resident_kb(server.pid)
        peers = await join_many(server.url, MEASURED)
        full = resident_kb(server.pid)
        await leave_all(peers)
        peers = await join_many(server.url, MEASURED)
        again = resident_kb(server.pid)
        await leave_all(peers)

        per_peer = (full - before) / MEASURED
        print(f"{per_peer:.1f} KB per participant ({before} KB before, {full} KB with {MEASURED}, {again} KB with the next {MEASURED})")
        assert per_peer < KB_MAX, "a participant costs too much"
        assert again - full < (full - before) / 2, "the next participants do not reuse the memory of those who left"


asyncio.run(main())
