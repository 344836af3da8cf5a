"""A way between a client and the server that loses media, both ways: a relay whose address stands in the answer instead of the server's."""

import asyncio
import random
import re

CANDIDATE = re.compile(r"a=candidate:(\S+) 1 udp (\d+) (\S+) (\d+) typ host\r\n")


class _Side(asyncio.DatagramProtocol):
    def __init__(self, take):
        self._take = take

    def datagram_received(self, data, addr):
        self._take(data, addr)


class LossyRelay:
    """permille: of SRTP and SRTCP; what makes the connection passes.  lost counts what did not, passed what did."""

    def __init__(self, permille, seed):
        self._permille = permille
        self._random = random.Random(seed)
        self._upstream = {}  # by the client's address: it may check from several
        self.lost = self.passed = 0

    async def stand_in(self, sdp):
        """The answer with the relay's address in place of the server's first one, and without the others."""
        found = CANDIDATE.search(sdp)
        self._server = (found[3], int(found[4]))
        loop = asyncio.get_running_loop()
        self._front, _ = await loop.create_datagram_endpoint(lambda: _Side(self._from_client), (found[3], 0))
        port = self._front.get_extra_info("sockname")[1]
        own = f"a=candidate:{found[1]} 1 udp {found[2]} {found[3]} {port} typ host\r\n"
        return re.sub(CANDIDATE, lambda each: own if each[0] == found[0] else "", sdp)

    def _passes(self, data):
        if 128 <= data[0] <= 191 and self._random.randrange(1000) < self._permille:  # RFC 7983
            self.lost += 1
            return False
        self.passed += 1
        return True

    def _from_client(self, data, addr):
        if addr not in self._upstream:
            self._upstream[addr] = asyncio.ensure_future(self._connect(addr))
        if self._passes(data):
            self._upstream[addr].add_done_callback(lambda upstream: upstream.result().sendto(data))

    async def _connect(self, client):
        def back(data, _):
            if self._passes(data):
                self._front.sendto(data, client)

        loop = asyncio.get_running_loop()
        transport, _ = await loop.create_datagram_endpoint(lambda: _Side(back), remote_addr=self._server)
        return transport

    def close(self):
        self._front.close()
        for upstream in self._upstream.values():
            if upstream.done():
                upstream.result().close()
