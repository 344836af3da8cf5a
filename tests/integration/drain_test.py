"""The end of a server with calls on it: who is in goes on, who is new is sent away, and the process ends when it has promised to.

PLENUM_SERVER names the program to test.
"""

import asyncio
import signal
import time

from aiortc_peer import AiortcPeer
from freeze import Frozen
from newcomer import TOKEN, admin, all_is_forwarded, ask, cut_and_resume
from pair import Pair
from peer import run
from plenum_server import Server
from raw_http import get

ANN_HZ, BOB_HZ = TONES = [500, 800]
WAIT_S_MAX = 20
END_S_MAX = 5  # for what takes no waiting
SAME_END_S = 0.6
HUNG_END_S = 7  # a thread that hangs is waited for 5
OTHER = "https://other.example.org"


async def exit_code(server):
    return await asyncio.to_thread(server.process.wait, WAIT_S_MAX)


async def ready(server):
    answer = await asyncio.to_thread(get, server, "/ready")
    return answer.status, answer.body.decode().strip(), answer["retry-after"]


async def a_call_goes_on_until_its_end():
    """SIGTERM: the call is told, loses no packet, even while a WebSocket is away, and no event; nobody new comes in; with the last leave
    the server ends, long before the deadline."""
    server = Server({"drain.deadline_s": 60})
    ann, bob = [await AiortcPeer.join(server.url, "call", name, hz=hz) for name, hz in (("Ann", ANN_HZ), ("Bob", BOB_HZ))]
    await asyncio.gather(ann.until_hears(TONES, [BOB_HZ]), bob.until_hears(TONES, [ANN_HZ]))
    assert await ready(server) == (200, "ok", None)
    async with all_is_forwarded(server, 200):
        server.process.send_signal(signal.SIGTERM)
        for peer in (ann, bob):
            told = await peer.until_event(t="draining")
            assert 59000 <= told["deadline_ms"] <= 60000, told
        status, why, retry = await ready(server)
        assert (status, why) == (503, "draining") and int(retry) > 0
        answer, took_s, _ = await ask(server, "call")
        assert answer["code"] == "draining" and 2000 <= answer["retry_after_ms"] <= 6000 and "url" not in answer, answer
        assert took_s < 1, took_s
        ann.socket.websocket.abort()
        for i in range(3):
            assert (await bob.socket.request(t="data", topic="while away", body=i))["t"] == "ok"
        welcome = await cut_and_resume(server, ann, "call")
        assert welcome["peers"][0]["name"] == "Bob", welcome
        for i in range(3):
            await ann.until_event(t="data", topic="while away", body=i)
    await asyncio.gather(ann.until_hears(TONES, [BOB_HZ]), bob.until_hears(TONES, [ANN_HZ]))
    await asyncio.gather(ann.leave(), bob.leave())
    left_s = time.monotonic()
    assert await exit_code(server) == 0
    assert time.monotonic() - left_s < END_S_MAX
    assert any(" has drained sessions=0" in line for line in server.log), server.log[-5:]


async def says_goodbye(pair):
    for side in pair.sides:
        while (event := await asyncio.wait_for(side.event(), WAIT_S_MAX))["t"] != "bye":
            pass
        assert event == {**event, "code": "shutdown", "resumable": False} and 2000 <= event["retry_after_ms"] <= 6000, event
        assert await side.event() is None and side.websocket.close_code == 1001


async def the_deadline_is_kept():
    server = Server({"drain.deadline_s": 2})
    pair = await Pair.join(server)
    server.process.send_signal(signal.SIGTERM)
    began_s = time.monotonic()
    await says_goodbye(pair)
    assert 1.9 <= time.monotonic() - began_s <= 2 + END_S_MAX
    assert await exit_code(server) == 0


async def a_second_signal_ends_it(first, second):
    server = Server({"drain.deadline_s": 60})
    pair = await Pair.join(server)
    began_s = time.monotonic()
    server.process.send_signal(first)
    server.process.send_signal(first)  # to the process and its group: the same end
    for side in pair.sides:
        assert (await asyncio.wait_for(side.event(), WAIT_S_MAX))["t"] == "draining"
    await asyncio.sleep(SAME_END_S)
    assert server.process.poll() is None
    server.process.send_signal(second)
    await says_goodbye(pair)
    assert await exit_code(server) == 0
    assert time.monotonic() - began_s < END_S_MAX


async def who_is_at_the_keyboard_does_not_wait():
    """SIGINT, and SIGTERM to a server that nobody is on, end it at once."""
    server = Server({"drain.deadline_s": 60})
    pair = await Pair.join(server)
    began_s = time.monotonic()
    server.process.send_signal(signal.SIGINT)
    await says_goodbye(pair)
    assert await exit_code(server) == 0
    empty = Server({"drain.deadline_s": 60})
    empty.process.send_signal(signal.SIGTERM)
    assert await exit_code(empty) == 0
    assert time.monotonic() - began_s < 2 * END_S_MAX


async def an_operator_drains_it():
    """By the admin API, to another server; asked again it has another deadline, and SIGTERM behind it changes nothing."""
    server = Server({"admin.token": TOKEN, "drain.move_to": OTHER, "drain.deadline_s": 60})
    pair = await Pair.join(server)
    assert await admin(server, "/v1/admin/drain") == (200, {"draining": False, "sessions": 2})
    for body in ({"deadline_s": -1}, {"deadline_s": "1"}, {"deadline": 1}, []):
        status, told = await admin(server, "/v1/admin/drain", body)
        assert status == 400, told
    assert (await ready(server))[0] == 200
    for seconds, body in ((600, {"deadline_s": 600}), (60, {})):
        status, told = await admin(server, "/v1/admin/drain", body)
        assert status == 200 and told["draining"] and told["sessions"] == 2, told
        assert (seconds - 10) * 1000 <= told["deadline_ms"] <= seconds * 1000, told
        for side in pair.sides:
            event = await asyncio.wait_for(side.event(), WAIT_S_MAX)
            assert event == {**event, "t": "move", "code": "draining", "url": OTHER}, event
            assert 0 <= event["after_ms"] <= 10000 and event["deadline_ms"] <= seconds * 1000, event
    answer, _, _ = await ask(server, "other")
    assert (answer["code"], answer["url"]) == ("draining", OTHER), answer
    server.process.send_signal(signal.SIGTERM)
    await asyncio.sleep(SAME_END_S)
    assert (await ready(server))[:2] == (503, "draining")
    status, told = await admin(server, "/v1/admin/drain", {"deadline_s": 0})
    assert status == 200 and told["deadline_ms"] == 0, told
    await says_goodbye(pair)
    assert await exit_code(server) == 0


async def an_empty_one_ends_at_once_and_says_so():
    """The answer to who drained it is not lost, and asking twice does not make it stay."""
    server = Server({"admin.token": TOKEN})
    for _ in range(2):
        status, told = await admin(server, "/v1/admin/drain", {"deadline_s": 600})
        assert status == 200 and told["draining"] and told["sessions"] == 0, told
    assert await asyncio.to_thread(server.process.wait, END_S_MAX) == 0


def one_with_a_thread_that_hangs_ends_all_the_same():
    """Its supervisor has seen /live, and would wait for it in vain."""
    server = Server()
    with Frozen(server.pid, "shard-0"):
        server.process.send_signal(signal.SIGTERM)
        time.sleep(HUNG_END_S)
    assert server.process.wait(END_S_MAX) == 1
    assert any("does not end" in line for line in server.log), server.log[-5:]


async def main():
    await a_call_goes_on_until_its_end()
    print("ok: a_call_goes_on_until_its_end")
    for signals in ((signal.SIGTERM, signal.SIGTERM), (signal.SIGTERM, signal.SIGINT)):
        await a_second_signal_ends_it(*signals)
    for check in (the_deadline_is_kept, who_is_at_the_keyboard_does_not_wait, an_operator_drains_it,
                  an_empty_one_ends_at_once_and_says_so):
        await check()
        print(f"ok: {check.__name__}")
    one_with_a_thread_that_hangs_ends_all_the_same()
    print("ok: one_with_a_thread_that_hangs_ends_all_the_same")


run(main)
