"""The WebSocket's edges.  Around each of them a pair of people in a room must notice nothing, and the server gets back all that
the strange client took: sockets here, memory where a sanitizer counts it.

PLENUM_SERVER names the program to test.
"""

import asyncio
import json
import pathlib
import socket
import struct
import subprocess
import tempfile
import time

from pair import OFFER, Pair, join
from plenum_server import Server
from plenum_ws import BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT, HandshakeError, WebSocket, frame
from raw_http import Connection, get, metrics, open_fds, request

MESSAGE_BYTES_MAX = 65536
PING_S = 1
SILENCE_S_MAX = 2 * PING_S + 5
WAIT_S_MAX = 15
CUT_S_MAX = 10  # 6, and what a busy machine takes
TICK_S = 0.1
UPGRADE = ["Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 13",
           "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", "Sec-WebSocket-Protocol: plenum.v1"]


async def until(predicate, what, seconds=WAIT_S_MAX):
    """For what the server does after the other side is gone, which nobody can wait for in another way."""
    end_s = time.monotonic() + seconds
    while not predicate():
        assert time.monotonic() < end_s, f"not within {seconds} s: {what}"
        await asyncio.sleep(TICK_S / 5)


async def answer_to(websocket, message):
    """The next message, after the given one was sent in a frame of its own."""
    websocket.send_text(message)
    return json.loads(await websocket.receive())


async def is_alive(websocket):
    answer = await answer_to(websocket, '{"t":"ping","id":77}')
    return answer["id"] == 77


async def until_closed(websocket):
    """The code that the server closed with (None: no close frame), and the messages before it."""
    messages = []
    async with asyncio.timeout(WAIT_S_MAX):
        while (text := await websocket.receive()) is not None:
            messages.append(json.loads(text))
    return websocket.close_code, messages


async def messages_in_pieces(server):
    """A message is one whatever its frames are, also when a character is cut in two and pings come between."""
    websocket = await WebSocket.open(server.url)
    message = json.dumps({"t": "join", "id": 5, "v": 1, "room": "küche ☕ 🎧", "name": "Åse", "sdp": OFFER}, ensure_ascii=False)
    pieces = [bytes([byte]) for byte in message.encode()]
    for index, piece in enumerate(pieces):
        websocket.send(TEXT if index == 0 else CONTINUATION, piece, fin=index == len(pieces) - 1)
        if index % 500 == 0:
            websocket.send(PING, str(index).encode())
            assert await websocket.receive_frame() == (PONG, str(index).encode())
    welcome = json.loads(await websocket.receive())
    assert (welcome["t"], welcome["id"], welcome["room"]["name"], welcome["you"]["name"]) == ("welcome", 5, "küche ☕ 🎧", "Åse")
    for payload, fin, opcode in ((b'{"t":"ping"', False, TEXT), (b"", False, CONTINUATION), (b',"id":6}', False, CONTINUATION),
                                 (b"", True, CONTINUATION)):
        websocket.send(opcode, payload, fin)
    assert json.loads(await websocket.receive()) == {"t": "pong", "id": 6}
    assert (await answer_to(websocket, '{"t":"leave","id":8}'))["t"] == "ok"
    assert await until_closed(websocket) == (1000, [])


async def bytes_as_the_network_likes(server):
    """Handshake and frames may arrive byte by byte, and many frames in one segment.

    The first frame waits for the 101, as RFC 6455 section 4.1 wants of a client; libwebsockets does not promise to read one
    that came before."""
    ping = frame(TEXT, b'{"t":"ping","id":1}')
    with Connection(server) as connection:
        connection.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

        def drip(data):
            for byte in data:
                connection.send(bytes([byte]))

        def answers(count):
            for _ in range(count):
                size = connection.file.read(2)[1]
                assert json.loads(connection.file.read(size))["id"] == 1

        drip(request("/v1/ws", fields=UPGRADE))
        assert connection.answer().status == 101
        drip(ping * 3)
        answers(3)
        connection.send(ping * 3)
        answers(3)


async def sizes_are_bounded(server):
    """A message of just the limit is read; a longer one is answered and ends the connection, however it is cut."""
    websocket = await WebSocket.open(server.url)
    message = '{"t":"ping","id":77,"pad":"%s"}'
    fitting = message % ("x" * (MESSAGE_BYTES_MAX - len(message) + 2))
    assert (await answer_to(websocket, fitting))["code"] == "not_joined"
    await websocket.close()
    for size, piece in ((1, 1 << 30), (1, 1000), (256 << 10, 1 << 30), (1 << 20, 1 << 30), (1 << 20, 30000), (8 << 20, 1 << 30)):
        websocket = await WebSocket.open(server.url)
        data = fitting.encode() + b" " * size
        starts = range(0, len(data), piece)
        for start in starts:
            websocket.send(TEXT if start == 0 else CONTINUATION, data[start:start + piece], fin=start == starts[-1])
        code, messages = await until_closed(websocket)
        assert [(answer["t"], answer["code"]) for answer in messages] == [("err", "too_large")] and code == 1009, (size, piece, code)


async def a_message_without_end(server):
    """Who goes on sending after the server said why it closes is read for a few seconds more, then cut off; meanwhile others
    are served."""
    pair = await Pair.join(server, "meanwhile")
    websocket = await WebSocket.open(server.url)
    websocket.send(TEXT, b"{", fin=False)
    piece = frame(CONTINUATION, bytes(30000), fin=False)

    async def send_for_ever():
        async with asyncio.timeout(CUT_S_MAX):
            try:
                while True:
                    websocket.writer.write(piece)
                    await websocket.writer.drain()
            except ConnectionError:
                pass

    sending = asyncio.ensure_future(send_for_ever())
    while not sending.done():
        await pair.notice_nothing()
        await asyncio.sleep(TICK_S)
    sending.result()
    await pair.leave()


async def what_is_no_text(server):
    """Binary and broken UTF-8 end the connection with the code that says why; a NUL is merely wrong JSON."""
    websocket = await WebSocket.open(server.url)
    for text in ('{"t":"ping"\0}', "\0", "", " ", '{"t":"ping","id":1}\0', "\x7f\u2028\ufeff"):
        answer = await answer_to(websocket, text)
        assert (answer["t"], answer["id"], answer["code"]) == ("err", None, "bad_json"), (text, answer)
    websocket.send(BINARY, b'{"t":"ping","id":1}')
    code, messages = await until_closed(websocket)
    assert ([answer["t"] for answer in messages], code) == (["err"], 1003)
    for bad in (b"\xff", b"\xc0\x80", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xe2\x98"):
        websocket = await WebSocket.open(server.url)
        websocket.send(TEXT, b'{"t":"' + bad + b'"}')
        assert await until_closed(websocket) == (1007, []), bad
    websocket = await WebSocket.open(server.url)
    websocket.send(TEXT, b"\xe2\x98", fin=False)
    websocket.send(CONTINUATION, b"(", fin=True)
    assert await until_closed(websocket) == (1007, [])


async def frames_against_the_rules(server):
    """Frames that RFC 6455 forbids end the connection, and nothing in them is taken for a message.  Without a mask a frame is
    read: libwebsockets does not tell, and the mask protects proxies from pages, not us."""
    ping = b'{"t":"ping","id":1}'
    huge = bytes([0x81, 0xFF]) + struct.pack("!Q", 1 << 63) + b"mask" + ping
    largest = bytes([0x81, 0xFF]) + struct.pack("!Q", (1 << 63) - 1) + b"mask"
    cases = {"reserved opcode": frame(0x3, ping), "reserved control opcode": frame(0xB, b""), "a length of 2^63": huge,
             "a length of 2^63-1": largest + bytes(2 * MESSAGE_BYTES_MAX),
             "continuation of nothing": frame(CONTINUATION, ping),
             "a message within a message": frame(TEXT, ping, fin=False) + frame(TEXT, ping),
             "a ping in pieces": frame(PING, b"a", fin=False), "a long ping": frame(PING, bytes(126)),
             **{f"reserved bit {bit:#x}": frame(TEXT | bit, ping) for bit in (0x40, 0x20, 0x10)}}
    for name, data in cases.items():
        websocket = await WebSocket.open(server.url)
        websocket.writer.write(data)
        code, messages = await until_closed(websocket)
        assert code in (None, 1002, 1009), (name, code)
        assert all(message["t"] == "err" for message in messages), (name, messages)
        assert (code == 1009) == (name == "a length of 2^63-1"), (name, code, messages)
    websocket = await WebSocket.open(server.url)
    websocket.writer.write(frame(TEXT, ping, masked=False))
    assert json.loads(await websocket.receive())["code"] == "not_joined" and await is_alive(websocket)
    await websocket.close()


async def closing_is_answered(server):
    """A close is answered with its code, a forbidden one with 1002, and one without a code with none; a broken one ends the
    connection all the same."""
    for payload, codes in ((struct.pack("!H", 1000) + b"bye", (1000,)), (struct.pack("!H", 4000), (4000,)), (b"", (1005,)),
                           (b"\x03", (1002, 1005)), (struct.pack("!H", 1005), (1002,)), (struct.pack("!H", 999), (1002,)),
                           (struct.pack("!H", 1000) + b"\xff", (1007, 1002, None))):
        websocket = await WebSocket.open(server.url)
        websocket.send(CLOSE, payload)
        code, messages = await until_closed(websocket)
        assert (messages, code in codes) == ([], True), (payload, code)


async def pings_are_answered(server):
    """Each ping gets its own bytes back, and a flood of them delays no message."""
    websocket = await WebSocket.open(server.url)
    websocket.send(PING, bytes(125))
    assert await websocket.receive_frame() == (PONG, bytes(125))
    websocket.send(PONG, b"unasked")
    for number in range(2000):
        websocket.send(PING, str(number).encode())
    assert await is_alive(websocket)
    await websocket.close()


async def upgrades_are_checked(server):
    """Another path, version, key or protocol is refused before anything is opened; another origin is welcome."""
    for path, status in (("/v1/ws/", 404), ("/", 404), ("/v1/ws%00", None), ("/v2/ws", 404), ("/" + "a" * 5000, 404)):
        try:
            await WebSocket.open(server.url, path=path)
            raise AssertionError(f"{path} was taken")
        except HandshakeError as error:
            assert error.status == status, (path, error)
    for options, subprotocol in (({"path": "/v1/ws?a=b"}, "plenum.v1"), ({"headers": ["Origin: https://elsewhere.test"]}, "plenum.v1"),
                                 ({"subprotocol": "chat, plenum.v1"}, "plenum.v1"), ({"subprotocol": None}, None)):
        websocket = await WebSocket.open(server.url, **options)
        assert websocket.subprotocol == subprotocol and await is_alive(websocket), options
        await websocket.close()
    try:
        await WebSocket.open(server.url, subprotocol="plenum.v9")
        raise AssertionError("an unknown protocol was taken")
    except HandshakeError as error:
        assert error.status != 101
    for changed in ("Sec-WebSocket-Version: 12", "Sec-WebSocket-Version: x", "Sec-WebSocket-Version: 130", "Sec-WebSocket-Key:",
                    "Sec-WebSocket-Key: short", "Upgrade: h2c", "Connection: close"):
        name = changed.split(":")[0]
        others = [field for field in UPGRADE if not field.startswith(name + ":")]
        for fields in (others + [changed], others):
            answer = get(server, "/v1/ws", fields=fields)
            assert answer is None or 400 <= answer.status < 500, (changed, answer.status)
            assert name != "Sec-WebSocket-Version" or (answer.status, answer["sec-websocket-version"]) == (426, "13"), changed
    for method in ("POST", "HEAD"):
        answer = get(server, "/v1/ws", method, UPGRADE)
        assert answer.status == 404, (method, answer.status)


async def compression_is_declined(server):
    """A client that offers permessage-deflate gets none, so that no small frame can grow into a large one."""
    with Connection(server) as connection:
        connection.send(request("/v1/ws", fields=[*UPGRADE, "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits"]))
        head = b"".join(iter(connection.file.readline, b"\r\n"))
        assert head.startswith(b"HTTP/1.1 101") and b"extensions" not in head.lower(), head


async def storms_leave_nothing(server):
    """Clients that come and vanish at every stage leave nothing behind."""
    for _ in range(50):
        opened = await asyncio.gather(*(WebSocket.open(server.url) for _ in range(8)))
        opened[0].abort()
        opened[1].send(TEXT, b'{"t":"join","id":1,', fin=False)
        opened[2].writer.write(frame(TEXT, bytes(60000), fin=False)[:30000])
        opened[3].send_text(json.dumps({"t": "join", "id": 1, "v": 1, "room": "storm", "sdp": OFFER}))
        opened[4].send(CLOSE, b"")
        opened[5].send(BINARY, bytes(1000))
        opened[6].send_text("x" * 70000)
        for websocket in opened[1:]:
            await websocket.writer.drain()
            websocket.abort()


async def one_who_does_not_read(server):
    """Who lets the room's messages pile up is told `bye slow` (resumable) if they read again in time, and is cut off if they
    do not; those who read get every message."""
    slow = [await join_deaf(server) for _ in range(2)]
    senders = [await join(server, "slow", f"sender {number}") for number in range(6)]
    fds = open_fds(server)
    body = "x" * 16000
    for _ in range(100):
        answers = await asyncio.gather(*(sender.request(t="data", topic="pile", body=body) for sender in senders))
        assert all(answer["t"] == "ok" for answer in answers), answers
    for sender in senders:
        assert await count_events(sender, "pile") == 100 * (len(senders) - 1)
    slow[0].writer.transport.resume_reading()
    code, messages = await until_closed(slow[0])
    assert (messages[-1]["t"], messages[-1]["code"], messages[-1]["resumable"]) == ("bye", "slow", True), messages[-1]
    assert code == 1008, code
    await until(lambda: open_fds(server) <= fds - 2, "the one who never reads again is cut off", 2 * WAIT_S_MAX)
    for sender in senders:
        await sender.close()
    for websocket in slow:
        websocket.abort()


async def join_deaf(server):
    """Joins with a small window and reads no more after that."""
    unread = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    unread.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    unread.connect((server.host, server.port))
    unread.setblocking(False)
    websocket = WebSocket(*await asyncio.open_connection(sock=unread, limit=1 << 20))
    await websocket._handshake("plenum.test", "/v1/ws", "plenum.v1", ())
    websocket.send_text(json.dumps({"t": "join", "id": 1, "v": 1, "room": "slow", "sdp": OFFER}))
    assert json.loads(await websocket.receive())["t"] == "welcome"
    websocket.writer.transport.pause_reading()
    return websocket


async def count_events(peer, topic):
    """How many data events of this topic are waiting, in order and without a gap."""
    assert (await peer.request(t="ping"))["t"] == "pong"
    count, last = 0, 0
    while not peer._events.empty():
        event = await peer.event()
        assert event["n"] == last + 1, event
        last = event["n"]
        count += event.get("topic") == topic
    return count


async def the_silent_are_found(server):
    """Who answers pings stays; who does not is dropped, as is one that never says who it is; both free their place."""
    def message(room):
        return json.dumps({"t": "join", "id": 1, "v": 1, "room": room, "sdp": OFFER})

    async def stays():
        websocket = await WebSocket.open(server.url)
        assert (await answer_to(websocket, message("awake")))["t"] == "welcome"
        while websocket.pings < SILENCE_S_MAX + 1:
            opcode, payload = await websocket.receive_frame()
            assert opcode == PING
            websocket.pings += 1
            websocket.send(PONG, payload)
        assert await is_alive(websocket)
        await websocket.close()

    async def is_dropped():
        websocket = await WebSocket.open(server.url)
        websocket.answers_pings = False
        assert (await answer_to(websocket, message("asleep")))["t"] == "welcome"
        _, messages = await until_closed(websocket)
        assert messages == [] and websocket.pings > 0, messages

    async def never_joins():
        websocket = await WebSocket.open(server.url)
        code, messages = await until_closed(websocket)
        assert (code, [message["code"] for message in messages]) == (1008, ["not_joined"]), (code, messages)

    await asyncio.gather(stays(), is_dropped(), never_joins())


async def all_places_taken():
    """One connection over the limit is refused with 503 and when to come again; a place that becomes free is taken."""
    with Server({"limits.connections": 4}) as server:
        pair = await Pair.join(server)
        more = [await WebSocket.open(server.url) for _ in range(2)]
        for _ in range(20):
            try:
                await WebSocket.open(server.url)
                raise AssertionError("one too many was taken")
            except HandshakeError as error:
                assert error.status == 503 and b"Retry-After: " in error.head, error
        assert get(server, "/").status == 200, "the page is there all the same"
        assert metrics(server)["plenum_connections_refused_total"] >= 20
        more[0].abort()
        await until(lambda: metrics(server)["plenum_websockets"] == 3, "the place is free")
        again = await WebSocket.open(server.url)
        assert await is_alive(again)
        await pair.notice_nothing()
        await pair.leave()


async def an_idle_crowd_leaves_places():
    """Those who never join, and never close when they are told to, do not hold all of a small server."""
    with Server({"limits.connections": 20}) as server:
        pair = await Pair.join(server)
        crowd = [await WebSocket.open(server.url) for _ in range(40)]
        others = await Pair.join(server, "others")
        await pair.notice_nothing()
        for websocket in crowd:
            websocket.abort()
        await others.leave()
        await pair.leave()


async def over_tls():
    """All of it goes over HTTPS too: a large message, pieces, and a clean end."""
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout",
                        folder / "key", "-out", folder / "cert", "-subj", "/CN=localhost"], check=True, capture_output=True)
        with Server({"http.tls_cert": folder / "cert", "http.tls_key": folder / "key"}) as server:
            pair = await Pair.join(server)
            await messages_in_pieces(server)
            await sizes_are_bounded(server)
            await pair.notice_nothing()
            await pair.leave()


async def leaves_no_trace(server, test):
    """Runs the test beside a pair that must notice nothing; then all sockets are given back."""
    pair = await Pair.join(server)
    before, sockets = open_fds(server), metrics(server)["plenum_websockets"]
    await test(server)
    await pair.notice_nothing()
    await until(lambda: metrics(server)["plenum_websockets"] == sockets, "the WebSockets are gone")
    await until(lambda: open_fds(server) <= before, "the descriptors are back")
    await pair.notice_nothing()
    await pair.leave()


TESTS = (messages_in_pieces, bytes_as_the_network_likes, sizes_are_bounded, a_message_without_end, what_is_no_text, frames_against_the_rules,
         closing_is_answered, pings_are_answered, upgrades_are_checked, compression_is_declined, storms_leave_nothing,
         one_who_does_not_read)


def tell(test):
    print(f"ok: {test.__name__}: {test.__doc__.splitlines()[0]}", flush=True)


async def main():
    with Server() as server:
        for test in TESTS:
            await leaves_no_trace(server, test)
            tell(test)
    for test in (all_places_taken, an_idle_crowd_leaves_places, over_tls):
        await test()
        tell(test)
    with Server({"http.ping_s": PING_S}) as server:
        await the_silent_are_found(server)
        tell(the_silent_are_found)


asyncio.run(main())
