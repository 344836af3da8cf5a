"""How hard the server is pressed: what the kernel's files say becomes a level with a cause, in a real control group, too; who
comes is refused, who is there is told, and all is given back soon after.

PLENUM_SERVER names the program to test.
"""

import asyncio
import contextlib
import os
import pathlib
import subprocess
import sys
import tempfile
import threading
import time

from control_group import Group, Lacking
from minimal_offer import offer
from peer import run
from plenum_server import Server
from plenum_ws import PlenumSocket
from raw_http import metrics_by_shard, until

HOLD_S, STEP_S, PERIOD_S = 5, 1, 0.1
CAREFUL_MAX = 0.8  # PL_METER_CAREFUL_PERMILLE is below
ENDS = [0, 0.56, 0.64, 0.72, 0.80]  # the score below which each level ends
NOMINAL, ELEVATED, HIGH, CRITICAL, EMERGENCY = range(5)
WAIT_S_MAX = 30
MIB = 1 << 20


class Machine:
    """A folder with the files of a machine, whose counters go on as fast as their share says: 0.5 of stall is half of the time."""

    GROUP = "/sys/fs/cgroup/pod"

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.share = {"psi_cpu": 0, "psi_memory": 0, "throttled": 0, "steal": 0, "queue_full": 0}
        self.memory = 0.1
        self._count = dict.fromkeys(self.share, 0)
        self._ticks = self._datagrams = 0
        self._is_over = threading.Event()
        self._last_s = time.monotonic()
        self.put("/proc/self/cgroup", "0::/pod\n")
        self.put("/proc/self/mountinfo", "31 23 0:28 / /sys/fs/cgroup rw,relatime - cgroup2 cgroup2 rw\n")
        self.put("/proc/self/statm", "90000 10000 9000 1 0 1 0\n")
        self.put(self.GROUP + "/cgroup.events", "populated 1\n")
        self.put(self.GROUP + "/memory.max", "1000000000\n")
        self.put(self.GROUP + "/memory.stat", "anon 5\ninactive_file 50000000\n")
        self._go_on()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def put(self, path, text):
        """Over the same file, as the kernel's change under an open descriptor."""
        path = self.folder / path[1:]
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(path, "r+" if path.exists() else "w", encoding="ascii") as file:
            file.write(text)
            file.truncate()

    def _go_on(self):
        now_s = time.monotonic()
        passed_s, self._last_s = now_s - self._last_s, now_s
        for name, share in self.share.items():
            self._count[name] += share * passed_s
        self._ticks += passed_s * 100
        self._datagrams += passed_s * 10000
        psi = "some avg10=0.00 avg60=0.00 avg300=0.00 total={:.0f}\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=0\n"
        self.put(self.GROUP + "/cpu.pressure", psi.format(self._count["psi_cpu"] * 1e6))
        self.put(self.GROUP + "/memory.pressure", psi.format(self._count["psi_memory"] * 1e6))
        cpus = len(os.sched_getaffinity(0))
        self.put(self.GROUP + "/cpu.stat", f"nr_throttled 1\nthrottled_usec {self._count['throttled'] * cpus * 1e6:.0f}\n")
        steal = self._count["steal"] * 100
        self.put("/proc/stat", f"cpu  {self._ticks - steal:.0f} 0 0 1000 0 0 0 {steal:.0f} 0 0\n")
        full = self._count["queue_full"] * 10000
        self.put("/proc/net/snmp", f"Udp: InDatagrams NoPorts RcvbufErrors\nUdp: {self._datagrams - full:.0f} 0 {full:.0f}\n")
        self.put(self.GROUP + "/memory.current", f"{self.memory * 1e9 + 50e6:.0f}\n")

    def _run(self):
        while not self._is_over.wait(PERIOD_S / 3):
            self._go_on()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._is_over.set()
        self._thread.join()


def look(server):
    """Returns level, score, cause, and the inputs by name, as /metrics has them."""
    now = metrics_by_shard(server)
    inputs = {name.split('"')[1]: value for name, value in now.items() if name.startswith("plenum_pressure_input{")}
    causes = [name.split('"')[1] for name, value in now.items() if name.startswith("plenum_pressure_cause{") and value == 1]
    return now["plenum_pressure_level"], now["plenum_pressure_score"], causes[0] if causes else "none", inputs


def until_input(server, name, low, high):
    until(lambda: low <= look(server)[3].get(name, -1) <= high, f"{name} from {low} to {high}: {look(server)}", WAIT_S_MAX)


def watch_it_end(server):
    """To nominal, level by level, each held for as long as it has to be.  Returns how long it took from when nothing pressed any
    more.  What is seen was so at some time between the look before it and the answer: durations are the longest that it can be.
    A score that others may be the cause of keeps no level that refuses anybody, so what surely keeps one is more than such a score."""
    level, pressed_s, changed_s = look(server)[0], [None] * len(ENDS), None
    asked_s = began_s = time.monotonic()
    while level != NOMINAL:
        assert time.monotonic() < began_s + 90, ("it does not end", look(server))
        last_level, before_s, asked_s = level, asked_s, time.monotonic()
        level, score, _, _ = look(server)
        now_s = time.monotonic()
        for at, ends in enumerate(ENDS):
            if score >= (ends if at <= ELEVATED else max(ends, CAREFUL_MAX)):
                pressed_s[at] = asked_s - PERIOD_S
        if level < last_level:
            held_s = pressed_s[int(last_level)]
            assert level == last_level - 1 or now_s - before_s > STEP_S, "one level at a time"
            assert held_s is None or now_s - held_s >= HOLD_S, "it was not held"
            assert changed_s is None or now_s - changed_s >= STEP_S, "too fast after the last"
            changed_s = before_s - PERIOD_S
        time.sleep(PERIOD_S / 4)
    return time.monotonic() - (pressed_s[ELEVATED] or began_s)


async def join(server, room, **fields):
    client = await PlenumSocket.connect(server.url)
    return client, await client.request(t="join", v=1, room=room, sdp=offer(), **fields)


async def until_told(client, **fields):
    told = []
    async with asyncio.timeout(WAIT_S_MAX):
        while (event := await client.event()) is not None:
            told.append(event)
            if event == {**event, **fields}:
                return event
    raise AssertionError(f"the connection ended: {told}")


async def until_degraded(client, level):
    return await until_told(client, t="degraded", level=level)


async def files_of_the_kernel_are_inputs():
    """Each that a test can redirect, from nothing to more than there is; what others can cause refuses nobody."""
    with tempfile.TemporaryDirectory() as folder, Machine(folder) as machine:
        with Server({"pressure.level": "auto", "pressure.root": folder, "canary.interval_s": 0}) as server:
            ann, welcome = await join(server, "one")
            assert welcome["t"] == "welcome", welcome
            for name in ("psi_cpu", "psi_memory", "throttled", "steal", "receive_queue"):
                until_input(server, name, 0, 0.1)
            until_input(server, "memory", 0.1, 0.1)

            machine.share["psi_cpu"] = 1
            until_input(server, "psi_cpu", 0.79, 0.79)
            assert look(server)[0] == ELEVATED
            machine.share["psi_cpu"] = 0
            machine.share["queue_full"] = 0.5
            until_input(server, "receive_queue", 0.79, 0.79)
            assert look(server)[0] == ELEVATED
            machine.share["queue_full"] = 0

            machine.memory = 0.85
            until_input(server, "memory", 0.85, 0.85)
            assert look(server)[:3] == (HIGH, 0.85, "memory"), look(server)
            degraded = await until_degraded(ann, HIGH)
            assert degraded["cause"] == "memory", degraded

            machine.memory = 0.2
            machine.share["throttled"] = 0.32
            until_input(server, "throttled", 0.9, 0.99)
            assert look(server)[0] >= CRITICAL and look(server)[2] == "throttled", look(server)
            bob, refused = await join(server, "one")
            assert (refused["t"], refused["code"], refused["cause"]) == ("refused", "pressure", "throttled"), refused

            machine.share["throttled"] = 0
            machine.share["steal"] = 0.5
            until_input(server, "steal", 1.3, 1.7)
            assert look(server)[0] == EMERGENCY and look(server)[2] == "steal", look(server)
            bye = await until_told(ann, t="bye")
            assert bye["code"] == "pressure", "who never talked is asked to go"
            machine.share["steal"] = 0
            machine.share["psi_memory"] = 1
            until_input(server, "psi_memory", 4.5, 5.6)
            assert look(server)[0] == EMERGENCY and look(server)[2] == "psi_memory", look(server)

            machine.share["psi_memory"] = 0
            calm_s = watch_it_end(server)
            assert calm_s < 10, calm_s
            await bob.close()
            carl, welcome = await join(server, "one")
            assert welcome["t"] == "welcome" and welcome["pressure"]["level"] == NOMINAL, welcome
            machine.memory = 0.75
            assert (await until_degraded(carl, ELEVATED))["cause"] == "memory"
            machine.memory = 0.1
            degraded = await until_degraded(carl, NOMINAL)
            assert (degraded["cause"], degraded["actions"]) == (None, []), degraded
            await carl.close()
            await ann.close()
    print(f"all was given back {calm_s:.1f} s after nothing pressed any more")


def a_machine_without_files_is_served():
    """What is not there is named once, and left out."""
    with tempfile.TemporaryDirectory() as folder:
        with Server({"pressure.level": "auto", "pressure.root": folder}) as server:
            time.sleep(3 * PERIOD_S)
            inputs = look(server)[3]
            for name in ("steal", "throttled", "psi_cpu", "psi_memory", "memory"):
                assert name not in inputs, inputs
            assert {"shard_busy", "cpu", "files", "pool"} <= set(inputs), inputs
            told = [line for line in server.log if "does not tell all of its load" in line]
        assert len(told) == 1, server.log
        for name in ("steal (", "throttled (", "psi_cpu (", "psi_memory (", "memory ("):
            assert name in told[0], told


HOG = """
import sys
held = []
for line in sys.stdin:
    held.append(bytearray(int(line)))  # bytearray writes them
    print("has", flush=True)
"""


async def a_real_memory_limit():
    """Somebody in our container takes its memory: nobody new is let in before the kernel kills, and who is there stays."""
    try:
        group = Group("memory")
        group.set_memory(256 * MIB)
    except Lacking as error:
        print(f"left out: no control group with a memory limit can be made here ({error})")
        return
    with contextlib.ExitStack() as stack:
        stack.enter_context(group)
        server = stack.enter_context(Server({"pressure.level": "auto", "media.shards": 1, "limits.participants": 256,
                                             "canary.interval_s": 0},
                                            preexec_fn=group.enter))
        ann, welcome = await join(server, "one")
        assert welcome["t"] == "welcome", welcome
        until_input(server, "memory", 0.01, 0.6)
        before = look(server)[3]["memory"]
        hog = stack.enter_context(subprocess.Popen([sys.executable, "-c", HOG], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                                   text=True, bufsize=1, preexec_fn=group.enter))
        try:
            for _ in range(60):
                if look(server)[3]["memory"] >= 0.92:
                    break
                hog.stdin.write(f"{6 * MIB}\n")
                assert hog.stdout.readline() == "has\n"
                time.sleep(PERIOD_S)
            until(lambda: look(server)[0] >= CRITICAL, f"critical: {look(server)}", 2)
            level, score, cause, inputs = look(server)
            assert cause == "memory" and score == inputs["memory"], (level, score, cause, inputs)
            bob, refused = await join(server, "one")
            assert (refused["t"], refused["code"], refused["cause"]) == ("refused", "pressure", "memory"), refused
        finally:
            hog.kill()
            hog.wait()
        until_input(server, "memory", 0, before + 0.1)
        assert (await ann.request(t="ping"))["t"] == "pong", "who was there has noticed nothing"
        await bob.close()
        await ann.close()
    print(f"a real limit: from {before:.2f} to {inputs['memory']:.2f} of it, level {level:.0f}")


async def main():
    a_machine_without_files_is_served()
    await files_of_the_kernel_are_inputs()
    await a_real_memory_limit()


if __name__ == "__main__":
    run(main)
