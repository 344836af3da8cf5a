#!/usr/bin/python3
"""The system benchmark: the real server on one core, plenum-load on another, each load beside its floor in the same run.
Prints tables and the goals beside what was achieved, and writes all of it as JSON.

usage: system.py [--build FOLDER] [--json FILE] [--full] [--only PART,PART]

Root is needed for a network namespace, in which the packets to the receivers are dropped before they cost anything; without it
those figures are left out.  Parts: loads, train, spread, joins, roster, storm, memory, idle, most, janus, mix, overload, start; idle and most are only
in the full run, which also repeats each load and takes medians.
"""

import argparse
import json
import os
import pathlib
import resource
import statistics
import subprocess
import sys
import time

import machine
import start
from janus import Janus
from load import PORTS, Load, between, cores_of, measure, measure_other, threads_ns
from mix import run_mix

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "integration"))
from control_group import Lacking  # noqa: E402
from overload import overload, summary  # noqa: E402
from plenum_server import Server  # noqa: E402
from raw_http import metrics  # noqa: E402

# name, options of plenum-load; every Nth receiver decrypts, because the load has one core as the server has.
LOADS = {
    "1 x 200": {"publishers": 1, "receivers": 200, "slots": 1, "decrypt_every": 2},
    "10 x 40": {"publishers": 10, "receivers": 40, "slots": 10, "decrypt_every": 2},
    "10 x 200": {"publishers": 10, "receivers": 200, "slots": 10, "decrypt_every": 10},
    "10 x 400": {"publishers": 10, "receivers": 400, "slots": 10, "decrypt_every": 50},
    "20 of 4 x 4": {"rooms": 20, "publishers": 4, "receivers": 4, "slots": 4},
    "10 x 900": {"publishers": 10, "receivers": 900, "slots": 10, "decrypt_every": 50},
}
# What the quick run measures of them; the full one measures all both ways.
QUICK = {"loopback": ("1 x 200", "10 x 40", "10 x 200", "20 of 4 x 4"), "dropped": ("10 x 200", "10 x 400", "10 x 900")}
JANUS_LOADS = ("1 x 200", "10 x 40", "10 x 200", "20 of 4 x 4")
JANUS_QUICK = ("10 x 200",)
RECEIVERS_OF_FLOOR = 200
TRAIN = 4
JOINS, JOINS_PER_S = 1200, 400
STORM = 200
IDLE, IDLE_ROOMS = 10000, 5000
IDLE_S, IDLE_SETTLE_S = 45, 25  # rounds of pings are 20 s; settling takes 20 s and more
IDLE_PORTS = "20000-49999"
ROSTER, ROSTER_PER_S = 900, 100
MOST_OF_CORE = 0.7
SENT_SHARE_OFF_MAX = 0.02


def medians(runs):
    """Of each figure of runs that are alike."""
    return {key: statistics.median(run[key] for run in runs) if isinstance(value, (int, float)) else value
            for key, value in runs[0].items()}


class Bench:
    """What all parts share: programs, cores, how long and how often, and the figures so far."""

    def __init__(self, options):
        self.build = options.build
        self.is_full = options.full
        self.seconds, self.repeats = (6, 3) if options.full else (3, 1)
        self.server_core, self.load_core = machine.two_cores()
        self.cannot_drop = machine.cannot_drop()
        self.figures, self.goals, self.left_out = {}, [], []

    def server(self, cores=None, **settings):
        words = {key.replace("__", "."): value for key, value in settings.items()}
        cores = cores or {self.server_core}
        return Server({"media.shards": 1, **words}, binary=self.build / "plenum",
                      preexec_fn=lambda: os.sched_setaffinity(0, cores))

    def measure(self, server, **options):
        return measure(server, self.build / "plenum-load", self.load_core, self.seconds, **options)

    def load(self, server, **options):
        return Load(self.build / "plenum-load", self.load_core, server.url, **options)

    def floor(self, train=1, pause_us=0):
        """Nanoseconds of CPU for a packet of the floor; the receivers' cost is in, or out where the rule stands."""
        words = {"receivers": RECEIVERS_OF_FLOOR, "train": train, "pause": pause_us, "ports": PORTS}
        command = [self.build / "plenum-floor", *(word for key, value in words.items() for word in (f"--{key}", value))]
        done = subprocess.run(machine.pinned([self.server_core], command), capture_output=True, text=True, check=True)
        return json.loads(done.stdout)["ns"]

    def floors(self, is_dropped, train=1):
        """The tight loop, and the same with the pauses that packets of 10 microphones leave."""
        if not is_dropped:
            return {"floor_us": self.floor(train) / 1e3, "floor_paced_us": self.floor(train, 1700) / 1e3}
        with machine.Dropped(PORTS):
            return {"floor_us": self.floor(train) / 1e3, "floor_paced_us": self.floor(train, 1700) / 1e3}

    def goal(self, text, goal, achieved, unit, is_at_least=False):
        is_met = achieved >= goal if is_at_least else achieved <= goal
        self.goals.append({"goal": text, "bound": goal, "achieved": achieved, "unit": unit, "is_at_least": is_at_least,
                           "is_met": is_met})

    def leave_out(self, what, why):
        self.left_out.append({"what": what, "why": why})
        print(f"left out: {what}: {why}", flush=True)


# ---- the loads of the goals ----

def run_load(bench, name, is_dropped):
    """Floor and load by turns, so that a neighbour of this machine disturbs both."""
    runs = []
    for _ in range(bench.repeats):
        floors = bench.floors(is_dropped)
        with bench.server() as server:
            runs.append(bench.measure(server, is_dropped=is_dropped, **LOADS[name]) | floors)
    return medians(runs)


def print_head(title):
    print(f"\n{title}\n{'load':<14}{'packets/s':>10}{'us/packet':>10}{'floor':>7}{'ratio':>6}{'paced':>7}{'ratio':>6}"
          f"{'core':>6}{'p50 ms':>8}{'p99 ms':>8}{'loss %':>7}{'calls/p':>9}{'KB/client':>10}{'join ms':>8}")


def print_row(name, f):
    loss = "-" if f.get("loss_percent") is None else f"{f['loss_percent']:.3f}"
    print(f"{name:<14}{f['packets_per_s']:>10.0f}{f['us']:>10.2f}{f['floor_us']:>7.2f}{f['us'] / f['floor_us']:>6.2f}"
          f"{f['floor_paced_us']:>7.2f}{f['us'] / f['floor_paced_us']:>6.2f}{f['core'] * 100:>5.0f}%"
          f"{f['p50_us'] / 1e3:>8.2f}{f['p99_us'] / 1e3:>8.2f}{loss:>7}{f['syscalls']:>9.4f}{f['kb']:>10.1f}"
          f"{f['join_p50_ms']:>8.1f}", flush=True)
    if abs(f["sent_share"] - 1) > SENT_SHARE_OFF_MAX:
        print(f"{'':<14}the microphones sent {f['sent_share'] * 100:.0f} % of their packets in that time: this machine is too busy "
              "for these figures")


def run_loads(bench):
    for is_dropped in (False, True):
        if is_dropped and bench.cannot_drop:
            bench.leave_out("loads with the receivers' cost taken out", bench.cannot_drop)
            return
        kind = "dropped" if is_dropped else "loopback"
        print_head("the receivers' cost taken out" if is_dropped else "plain loopback")
        figures = bench.figures[kind] = {}
        for name in LOADS if bench.is_full else QUICK[kind]:
            try:
                figures[name] = run_load(bench, name, is_dropped)
                print_row(name, figures[name])
            except machine.Failed as why:
                bench.leave_out(f"{name}, {kind}", str(why))
    loads_goals(bench, bench.figures["loopback"], bench.figures["dropped"])


def loads_goals(bench, plain, dropped):
    if any(name not in dropped for name in QUICK["dropped"]) or any(name not in plain for name in QUICK["loopback"]):
        return  # what failed has been told
    room, large = dropped["10 x 200"], dropped["10 x 900"]
    bench.goal("10 x 200, receivers' cost taken out: CPU for a packet over its floor", 1.4, room["us"] / room["floor_us"], "x")
    bench.goal("10 x 200, plain loopback: CPU for a packet", 1.4, plain["10 x 200"]["us"], "us")
    bench.goal("20 rooms of 4 x 4: CPU for a packet", 2.5, plain["20 of 4 x 4"]["us"], "us")
    bench.goal("10 x 900 on one core: delivered", 449000, large["packets_per_s"], "packets/s", is_at_least=True)
    bench.goal("10 x 900: lost by the server", 0, large["lost_by_server"], "packets")
    bench.goal("10 x 200: p99 of the packet's way", 0.5, plain["10 x 200"]["p99_us"] / 1e3, "ms")
    bench.goal("10 x 200: system calls for a packet", 0.05, room["syscalls"], "")
    bench.goal("join to connected on loopback: p50", 8, plain["10 x 200"]["join_p50_ms"], "ms")


def run_train(bench):
    """Frames of 5 ms: 2000 packets a second, and 2 ms of them gathered: a train of four to each receiver."""
    if bench.cannot_drop:
        bench.leave_out("trains of four", bench.cannot_drop)
        return
    runs = []
    for _ in range(bench.repeats):
        floors = bench.floors(True, TRAIN)
        with bench.server(media__coalesce_us=2000) as server:
            runs.append(bench.measure(server, is_dropped=True, publishers=10, receivers=200, slots=10, rate=200,
                                      decrypt_every=50, ramp=50) | floors)
    figures = bench.figures["train"] = medians(runs)
    print_head(f"trains of {TRAIN}: media.coalesce_us 2000, the receivers' cost taken out")
    print_row("10 x 200, 200/s", figures)
    bench.goal("four packets for a receiver at once: CPU for a packet over the floor of trains", 1.5,
               figures["us"] / figures["floor_us"], "x")


def run_most(bench):
    """As many listeners as take 70 % of the core, receivers' cost taken out: in one room, where a packet's last copy has all the
    others before it, and in rooms of 200."""
    if bench.cannot_drop:
        bench.leave_out("70 % of a core", bench.cannot_drop)
        return
    cost_us = bench.figures.get("dropped", {}).get("10 x 900", {"us": 1.1})["us"]
    rooms = max(1, round(MOST_OF_CORE * 1e6 / cost_us / 1e5))
    shapes = {
        f"10 x {int(MOST_OF_CORE * 1e6 / cost_us / 500)}": {"receivers": int(MOST_OF_CORE * 1e6 / cost_us / 500)},
        f"{rooms} of 10 x 200": {"rooms": rooms, "receivers": 200},
    }
    floors = bench.floors(True)
    figures = bench.figures["most"] = {}
    print_head("70 % of a core, the receivers' cost taken out")
    for name, shape in shapes.items():
        with bench.server(limits__room_participants=4096, media__room_spread=1000000) as server:
            figures[name] = bench.measure(server, is_dropped=True, publishers=10, slots=10, decrypt_every=50, ramp=200,
                                          **shape) | floors
        print_row(name, figures[name])
        bench.goal(f"{name}, {figures[name]['core'] * 100:.0f} % of a core: p99 of the packet's way", 1,
                   figures[name]["p99_us"] / 1e3, "ms")


def run_spread(bench):
    """One room on one shard, and on two; both servers have both cores."""
    cores = {bench.server_core, bench.load_core}
    if len(cores) < 2:
        bench.leave_out("a room on two shards", "there is one core")
        return
    is_dropped = bench.cannot_drop is None
    ratios, last = [], {}
    for _ in range(bench.repeats):
        for shards in (1, 2):
            with bench.server(cores, media__shards=shards, media__room_spread=105) as server:
                last[shards] = bench.measure(server, is_dropped=is_dropped, **LOADS["10 x 200"])
        ratios.append(last[2]["us"] / last[1]["us"])
    ratio = statistics.median(ratios)
    bench.figures["spread"] = {"one": last[1], "two": last[2], "ratios": ratios}
    print(f"\na room of 10 x 200 on two shards: {last[2]['us']:.2f} us a packet, on one {last[1]['us']:.2f}; median ratio "
          f"{ratio:.2f}", flush=True)
    bench.goal("a room on two shards: CPU for a packet over that on one", 1.1, ratio, "x")


# ---- joins, memory, idleness ----

def run_joins(bench):
    with bench.server() as server:
        before_ns, begun_s = machine.cpu_ns(server.pid), time.monotonic()
        with bench.load(server, rooms=JOINS // 12, publishers=0, receivers=12, ramp=JOINS_PER_S, duration=1) as load:
            load.until_set_up()
            passed_s, cpu_ms = time.monotonic() - begun_s, (machine.cpu_ns(server.pid) - before_ns) / 1e6
            joins = load.report()["join_ms"]["connected"]
    figures = bench.figures["joins"] = {"per_s": JOINS / passed_s, "cpu_ms": cpu_ms / JOINS, "p50_ms": joins["p50"],
                                        "p99_ms": joins["p99"], "per_core": JOINS / cpu_ms * 1e3}
    print(f"\n{JOINS} joins at {JOINS_PER_S}/s: {figures['per_s']:.0f}/s connected, p50 {joins['p50']:.1f} ms, p99 "
          f"{joins['p99']:.1f} ms, {figures['cpu_ms']:.2f} ms of CPU each: {figures['per_core']:.0f}/s would fill the core",
          flush=True)
    bench.goal(f"joins of {JOINS_PER_S}/s: a core's worth of joins", JOINS_PER_S, figures["per_core"], "joins/s", True)
    bench.goal(f"joins of {JOINS_PER_S}/s: p50", 8, joins["p50"], "ms")


def way_of_room(bench, has_storm):
    """p99 of the packet's way of 10 x 40 in 2 s, in the beginning of which 200 others join, or nobody does."""
    with bench.server() as server, bench.load(server, settle=2, duration=2, **LOADS["10 x 40"]) as room:
        room.until_set_up()
        time.sleep(1.9)
        if not has_storm:
            return room.report()["latency_us"], None
        with bench.load(server, room="storm", publishers=0, receivers=STORM, ramp=100000, settle=0, duration=1) as storm:
            latency, joins = room.report()["latency_us"], storm.report()["join_ms"]["connected"]
            return latency, joins


def run_storm(bench):
    more, quiet, stormy, joins = [], None, None, None
    for _ in range(max(bench.repeats, 2)):
        quiet, _joins = way_of_room(bench, False)
        stormy, joins = way_of_room(bench, True)
        more.append((stormy["p99"] - quiet["p99"]) / 1e3)
    figures = bench.figures["storm"] = {"quiet": quiet, "stormy": stormy, "joins": joins, "more_ms": more}
    print(f"\n{STORM} joins at once beside 10 x 40: p99 of the packet's way {stormy['p99'] / 1e3:.2f} ms, else "
          f"{quiet['p99'] / 1e3:.2f} (more by {', '.join(f'{ms:.2f}' for ms in more)}); joins p50 {joins['p50']:.0f} ms, "
          f"max {joins['max']:.0f} ms", flush=True)
    bench.goal(f"{STORM} joins at once: p99 of the packet's way grows by", 5, statistics.median(figures["more_ms"]), "ms")


def run_memory(bench):
    """A client more, in rooms of ten: from 100 of them to 1000."""
    kb = {}
    for rooms in (10, 100):
        with bench.server() as server:
            before_kb = machine.resident_kb(server.pid)
            with bench.load(server, rooms=rooms, publishers=1, receivers=9, slots=3, ramp=200, settle=3, duration=1) as load:
                load.until_set_up()
                time.sleep(2)
                kb[rooms * 10] = machine.resident_kb(server.pid) - before_kb
                load.report()
    each = (kb[1000] - kb[100]) / 900
    bench.figures["memory"] = {"kb": kb, "kb_each": each}
    print(f"\nmemory: 100 clients {kb[100] / 1024:.1f} MB, 1000 {kb[1000] / 1024:.1f} MB: {each:.1f} KB for one more", flush=True)
    bench.goal("one more audio participant: memory", 24, each, "KB")


def print_cores(what, cores):
    for name, figures in cores.items():
        print(f"{what:<48}{name:<12}{figures['core'] * 100:>9.2f} %{figures['half_second_core_max'] * 100:>11.2f} %", flush=True)
        what = ""


def files_for(clients):
    """How many of them plenum-load and the server may have: a client is a TCP and a UDP socket there, a TCP socket here."""
    return min(clients, (resource.getrlimit(resource.RLIMIT_NOFILE)[1] - 500) // 2 // 100 * 100)


def run_idle(bench):
    """Connected participants without media; and rooms with nobody in them but one silent WebSocket each, in none of which anything
    happens.  Both after the wave of joins has settled, over several rounds of pings."""
    figures = bench.figures["idle"] = {}
    print(f"\nidle, {IDLE_S} s: CPU of a core{'':<19}{'thread':<12}{'mean':>11}{'half second':>13}")
    clients = files_for(IDLE)
    kinds = (("empty", 0, 0), ("in rooms of ten", clients, 10), ("alone in a room", min(clients, IDLE_ROOMS), 1))
    for what, count, each in kinds:
        limits = {"limits__participants": 2 * IDLE, "limits__rooms": 2 * IDLE, "limits__connections": 2 * IDLE}
        with bench.server(**limits) as server:
            if count == 0:
                time.sleep(1)
                figures[what] = cores_of(server, 4)
                print_cores("nobody", figures[what])
                continue
            with bench.load(server, rooms=count // each, publishers=0, receivers=each, ramp=250, settle=2 * IDLE_S, duration=1,
                            port_range=IDLE_PORTS) as load:
                load.until_set_up()
                time.sleep(IDLE_SETTLE_S)
                there = metrics(server)["plenum_participants"]
                figures[what] = cores_of(server, IDLE_S) | {"participants": there, "rss_kb": machine.resident_kb(server.pid)}
            threads = {name: value for name, value in figures[what].items() if isinstance(value, dict)}
            print_cores(f"{there:.0f} participants {what}", threads)
    of_ws = figures["in rooms of ten"]["plenum"]
    bench.goal(f"{clients} idle participants: CPU of the signaling thread", 1, of_ws["core"] * 100, "% of a core")
    bench.goal(f"{clients} idle participants: the same, in the busiest half second", 5, of_ws["half_second_core_max"] * 100,
               "% of a core")


def run_roster(bench):
    """900 joins into one room, each told to all who are there: what the signaling thread pays for a message."""
    with bench.server(limits__room_participants=2000) as server:
        before, begun_ns = metrics(server), threads_ns(server)["plenum"]
        with bench.load(server, rooms=1, publishers=0, receivers=ROSTER, slots=1, ramp=ROSTER_PER_S, duration=1) as load:
            load.until_set_up()
            time.sleep(0.2)
            spent_ns, after = threads_ns(server)["plenum"] - begun_ns, metrics(server)
            joins = load.report()["join_ms"]["answer"]
    messages = after["plenum_messages_out_total"] - before["plenum_messages_out_total"]
    bench.figures["roster"] = {"messages": messages, "ns": spent_ns / messages, "answer_ms": joins}
    print(f"\n{ROSTER} joins into one room at {ROSTER_PER_S}/s: {messages:.0f} messages, {spent_ns / messages:.0f} ns of the signaling "
          f"thread each (the joins themselves included), answered after {joins['p50']:.1f} ms (p50)", flush=True)


# ---- a peer beside it ----

def run_janus(bench):
    """Debian's Janus with the same load.  Plenum is measured again beside it, through WHIP and WHEP, too."""
    figures = bench.figures["janus"] = {}
    print("\nJanus as Debian has it beside it, plain loopback, WHIP and WHEP\n"
          f"{'load':<14}{'Janus us':>10}{'core':>6}{'p99 ms':>8}{'loss %':>8}{'join ms':>8}{'KB':>7}   "
          f"{'Plenum us':>10}{'core':>6}{'p99 ms':>8}{'loss %':>8}{'join ms':>8}{'KB':>7}{'ratio':>8}")
    program = bench.build / "plenum-load"
    for name in JANUS_LOADS if bench.is_full else JANUS_QUICK:
        options = LOADS[name] | {"api": "whip", "ramp": 20, "settle": 2}
        with Janus(bench.server_core) as janus:
            theirs = measure_other(janus, program, bench.load_core, bench.seconds, **options)
        with bench.server() as server:
            ours = measure_other(server, program, bench.load_core, bench.seconds, **options)
        figures[name] = {"janus": theirs, "plenum": ours}
        print(f"{name:<14}" + "   ".join(
            f"{f['us']:>10.2f}{f['core'] * 100:>5.0f}%{f['p99_us'] / 1e3:>8.2f}{f['loss_percent']:>8.3f}"
            f"{f['join_p50_ms']:>8.1f}{f['kb']:>7.0f}" for f in (theirs, ours)) + f"{theirs['us'] / ours['us']:>8.1f}",
            flush=True)
    room = figures["10 x 200"]
    bench.goal("10 x 200 beside Janus: Janus's CPU for a packet over ours", 5, room["janus"]["us"] / room["plenum"]["us"], "x",
               is_at_least=True)


# ---- more than it can carry ----

def run_overload(bench):
    """Twice of what half of a core is worth, by the tools of tests/integration/overload_test.py."""
    print("\ntwice of what the server can carry: half of a core, rooms of one talker at 300/s and 50 listeners, and a crowd that "
          "goes on asking", flush=True)
    try:
        found = summary(overload(quota=0.5, period_us=2000, rooms=24, receivers=50, rate=300, seconds=60 if bench.is_full else 20,
                                 ramp=150, binary=bench.build / "plenum", load=bench.build / "plenum-load"))
    except Lacking as error:
        raise machine.Leave(str(error)) from error
    bench.figures["overload"] = found
    print("\n".join(f"  {name:<24}{value}" for name, value in found.items()), flush=True)
    added_ms = found["p99_ms"] - found["quiet_p99_ms"]
    bench.goal("twice the load: lost of what the admitted talk", 0.1, found["loss_percent"], "%")
    bench.goal("twice the load: p99 of a packet's way, more than before", 5, added_ms, "ms")
    bench.goal("twice the load: p99 of a refusal", 50, found["refusal_p99_ms"], "ms")
    bench.goal("twice the load: nominal again after its end", 10, found["recovered_s"] or 99, "s")


PARTS = {"loads": run_loads, "train": run_train, "most": run_most, "spread": run_spread, "joins": run_joins,
         "storm": run_storm, "memory": run_memory, "idle": run_idle, "roster": run_roster, "janus": run_janus,
         "mix": run_mix, "overload": run_overload, "start": start.run}
ONLY_FULL = {"most", "idle"}


def print_goals(bench):
    print(f"\n{'goal':<84}{'wanted':>18}{'achieved':>12}")
    for goal in bench.goals:
        wanted = f"{'at least' if goal['is_at_least'] else 'at most'} {goal['bound']:g}"
        print(f"{goal['goal']:<84}{wanted:>18}{goal['achieved']:>12.4g} {goal['unit']:<12}{'' if goal['is_met'] else 'MISSED'}")


def read_options():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    default = pathlib.Path(__file__).resolve().parents[2] / "build/release"
    parser.add_argument("--build", type=pathlib.Path, default=default)
    parser.add_argument("--json", type=pathlib.Path)
    parser.add_argument("--full", action="store_true")
    parser.add_argument("--only", default="")
    options = parser.parse_args()
    options.parts = [part for part in options.only.split(",") if part] or [
        part for part in PARTS if options.full or part not in ONLY_FULL]
    if unknown := set(options.parts) - set(PARTS):
        parser.error(f"no such part: {', '.join(unknown)}; there are {', '.join(PARTS)}")
    return options


def main():
    options = read_options()
    machine.enter_namespace()
    machine.raise_loopback()
    machine.take_precedence()
    bench = Bench(options)
    if bench.server_core == bench.load_core:
        print("there is one core for server and load: times of a packet's way say nothing here")
    for part in options.parts:
        try:
            PARTS[part](bench)
        except (machine.Leave, machine.Failed) as why:
            bench.leave_out(part, str(why))
    print_goals(bench)
    if options.json:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        all_of_it = {"figures": bench.figures, "goals": bench.goals, "left_out": bench.left_out}
        options.json.write_text(json.dumps(all_of_it, indent=1))


main()
