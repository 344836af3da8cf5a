"""The mixing part of the system benchmark: one room with thousands of listeners of a mix, rooms in which nobody talks, what mixing
adds to the way from mouth to ear, what a worker spends beside the bare calls of libopus, and Janus's AudioBridge."""

import contextlib
import json
import resource
import subprocess
import tempfile
import time

import machine
from janus import AudioBridge
from load import MARGIN_S, PORTS, Mark, cores_of, measure_other, threads_ns

TALKERS = 3
CALLED = {"publishers": TALKERS, "slots": 1, "audio": "mixed", "api": "whip"}
LISTENERS = (1000, 5000)
SETTLED_S = 25  # after the wave of joins DTLS settles: what follows is what a room costs all the time
ROOMY = {"limits__participants": 8000, "limits__rooms": 8000, "limits__connections": 16000, "limits__room_participants": 8000,
         "media__room_spread": 1000000}
LOST = ("kernel_drops", "send_full", "send_failed")
BUSY_LATE_US = 10000
IDLE_ROOMS, IDLE_S, IDLE_SETTLE_S = 5000, 20, 5
DELAY_ROOMS, DELAY_S = 20, 10  # publishers of many rooms lie to the ticks in every way
CODEC_ROOMS, CODEC_S = 10, 6
BRIDGE_LISTENERS = 60


def grown_between(server, seconds):
    """What the counters and each thread's CPU time grew by, and how long it was."""
    first, threads = Mark(server), threads_ns(server)
    time.sleep(max(0.0, seconds - 0.5))
    last = Mark(server)
    spent_ns = {name: ns - threads.get(name, 0) for name, ns in threads_ns(server).items()}
    grown = {name: value - first.counters.get(name, 0) for name, value in last.counters.items()}
    return grown, spent_ns, last.at_s - first.at_s, last.cpu_ns - first.cpu_ns


def of_worker(grown, name):
    return sum(value for key, value in grown.items() if key.startswith(f"plenum_codec_{name}_total"))


def dropped_in_rings(grown):
    return sum(value for key, value in grown.items() if key.startswith('plenum_drops_total{reason="cross_full"'))


def measure_room(bench, listeners, is_dropped):
    """A mixed room; figures of the server's own counters, and what the receivers that look at each packet saw."""
    with bench.server(**ROOMY) as server, contextlib.ExitStack() as stack:
        duration = int(bench.seconds + 2 * MARGIN_S + 0.5)
        load = stack.enter_context(bench.load(server, receivers=listeners, ramp=500, settle=SETTLED_S, duration=duration,
                                             decrypt_every=100000 if is_dropped else 100, **CALLED))
        load.until_set_up()
        if is_dropped:
            stack.enter_context(machine.Dropped(PORTS))
        time.sleep(SETTLED_S + MARGIN_S / 3)
        grown, spent_ns, passed_s, cpu_ns = grown_between(server, bench.seconds)
        report = load.report()
    packets = grown["plenum_rtp_out_total"]
    lost = sum(grown.get(f"plenum_{name}_total", 0) for name in LOST) + dropped_in_rings(grown)
    ticks, seen = of_worker(grown, "encoded_shared"), report["mix"]
    looked_at = max(seen["late_us"]["count"], 1)
    return {
        "packets_per_s": packets / passed_s, "us": cpu_ns / 1e3 / max(packets, 1), "core": cpu_ns / 1e9 / passed_s,
        "threads": {name: ns / 1e9 / passed_s for name, ns in spent_ns.items()},
        "ticks_late": of_worker(grown, "late"), "ticks_left_out": of_worker(grown, "left_out"), "ticks": ticks,
        "lost_by_server": lost, "loss_percent": 100 * lost / max(packets + lost, 1),
        "seen_loss_percent": max(0 if is_dropped else report["media"]["loss_percent"],
                                 100 * seen["ticks_missing"] / (looked_at + seen["ticks_missing"])),
        "seen_late_us": seen["late_us"], "seen_ticks_late": seen["ticks_late"], "looked_at": looked_at,
        "microphones_late_us": report["generator"]["late_us"],
        "talkers_sent": grown["plenum_rtp_in_total"] / passed_s / (TALKERS * 50),
    }


def run_rooms(bench):
    figures = bench.figures["mix"]["rooms"] = {}
    print(f"\none mixed room on one core, {TALKERS} talkers\n{'listeners':<22}{'packets/s':>10}{'us/packet':>10}{'floor':>7}{'core':>7}"
          f"{'shard':>7}{'codec':>7}{'late ticks':>12}{'loss %':>8}{'seen %':>8}{'late p50':>10}{'p99 ms':>8}{'talkers':>9}{'late p99':>10}")
    for is_dropped in (True, False):
        if is_dropped and bench.cannot_drop:
            bench.leave_out("mixed rooms with the receivers' cost taken out", bench.cannot_drop)
            continue
        for listeners in LISTENERS if bench.is_full or is_dropped else LISTENERS[1:]:
            name = f"{listeners}{', dropped' if is_dropped else ''}"
            try:
                f = figures[name] = measure_room(bench, listeners, is_dropped)
            except machine.Failed as why:
                bench.leave_out(f"a mixed room of {name}", str(why))
                continue
            f["floor_us"] = bench.floors(is_dropped)["floor_us"]
            late = f"{f['ticks_late']:.0f} of {f['ticks']:.0f}"
            print(f"{name:<22}{f['packets_per_s']:>10.0f}{f['us']:>10.2f}{f['floor_us']:>7.2f}{f['core'] * 100:>6.1f}%"
                  f"{f['threads']['shard-0'] * 100:>6.1f}%{f['threads']['codec-0'] * 100:>6.1f}%{late:>12}{f['loss_percent']:>8.3f}"
                  f"{f['seen_loss_percent']:>8.3f}{f['seen_late_us']['p50'] / 1e3:>10.2f}{f['seen_late_us']['p99'] / 1e3:>8.2f}"
                  f"{f['talkers_sent'] * 100:>8.0f}%{f['microphones_late_us']['p99'] / 1e3:>10.2f}", flush=True)
            if f["microphones_late_us"]["p99"] > BUSY_LATE_US:
                print(f"{'':<22}the generator's own microphones were late: this machine was too busy to say who else was")
    for kind in (", dropped", ""):
        few, many = (figures.get(f"{listeners}{kind}") for listeners in LISTENERS)
        how = "receivers' cost taken out" if kind else "plain loopback"
        if few and kind:
            bench.goal(f"1,000 listeners of a mix, {how}: of a core", 12, few["core"] * 100, "%")
        if many:
            bench.goal(f"5,000 listeners of a mix, {how}: of a core", 100, many["core"] * 100, "%")
            bench.goal(f"5,000 listeners of a mix, {how}: late ticks", 0, many["ticks_late"] + many["ticks_left_out"], "")
            lost = max(many["loss_percent"], many["seen_loss_percent"])
            bench.goal(f"5,000 listeners of a mix, {how}: loss", 0.1, lost, "%")


def run_idle(bench):
    """Listeners of a mix, each alone in a room: nobody talks, so there is nothing to do."""
    files = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    rooms = min(IDLE_ROOMS, (files - 500) // 2 // 100 * 100)
    with bench.server(**ROOMY) as server, bench.load(
            server, rooms=rooms, receivers=1, ramp=400, settle=600, duration=1, **CALLED | {"publishers": 0}) as load:
        load.until_set_up()
        time.sleep(IDLE_SETTLE_S)
        before = Mark(server)
        cores = cores_of(server, IDLE_S)
        after = Mark(server)
    waits = of_worker(after.counters, "waits") - of_worker(before.counters, "waits")
    codec = {name: figures for name, figures in cores.items() if name.startswith("codec")}
    in_mix = sum(value for key, value in after.counters.items() if key.startswith("plenum_codec_rooms{"))
    bench.figures["mix"]["idle"] = {"rooms": rooms, "rooms_of_worker": in_mix, "waits": waits, "threads": cores}
    core = sum(figures["core"] for figures in codec.values())
    print(f"\n{rooms} idle mixed rooms ({in_mix:.0f} known to the worker), {IDLE_S} s: the codec worker took {core * 100:.4f} % of a core and "
          f"slept {waits:.0f} times; the media thread {cores['shard-0']['core'] * 100:.2f} % (ICE consent)", flush=True)
    bench.goal(f"{rooms} idle mixed rooms: CPU of the codec worker", 0.01, core * 100, "% of a core")


def mouth_to_ear_ms(bench, audio):
    options = {"rooms": DELAY_ROOMS, "publishers": 1, "receivers": 1, "slots": 1, "audio": audio, "sound": "pulse",
               "decode_every": 1, "settle": 3, "duration": DELAY_S}
    with bench.server() as server, bench.load(server, **options) as load:
        report = load.report()
    return {key: report["decoded"]["mouth_to_ear_us"][key] / 1e3 for key in ("p50", "p90", "p99", "max")} | {
        "pulses": report["decoded"]["mouth_to_ear_us"]["count"], "late_p99_ms": report["generator"]["late_us"]["p99"] / 1e3}


def run_delay(bench):
    ways = bench.figures["mix"]["delay"] = {audio: mouth_to_ear_ms(bench, audio) for audio in ("forward", "mixed")}
    more = {key: ways["mixed"][key] - ways["forward"][key] for key in ("p50", "p90", "p99")}
    ways["more"] = more
    print(f"\nmouth to ear, {DELAY_ROOMS} rooms, a tone that begins (20 ms of frame in it, no receiver's jitter buffer): " + "; ".join(
        f"{audio} p50 {ways[audio]['p50']:.1f}, p90 {ways[audio]['p90']:.1f}, p99 {ways[audio]['p99']:.1f} ms of "
        f"{ways[audio]['pulses']} (microphones late by {ways[audio]['late_p99_ms']:.1f}, p99)" for audio in ("forward", "mixed")),
        flush=True)
    bench.goal("mouth to ear: added by mixing, p50", 40, more["p50"], "ms")
    bench.goal("mouth to ear: added by mixing, p90", 40, more["p90"], "ms")


def bare_calls_us(bench):
    """3 decodes and 4 encodes, as a room of 3 talkers wants; and what plenum-bench's room takes without server and threads."""
    with tempfile.NamedTemporaryFile() as file:
        command = [bench.build / "plenum-bench", "--only", "codec", "--json", file.name]
        subprocess.run(machine.pinned([bench.server_core], command), check=True, stdout=subprocess.DEVNULL)
        figures = {figure["name"]: figure for figure in json.load(file)}
    room = figures["mixed room, 3 VOIP, load 1: a tick"]
    return room["floor"] / 1e3, room["value"] / 1e3


def run_codec(bench):
    """Calls of three who hear each other's mix, and one who only listens: by tick of a room what the codec thread takes."""
    runs = []
    options = {"rooms": CODEC_ROOMS, "publishers": TALKERS, "publishers_listen": "true", "receivers": 1, "slots": 1, "audio": "mixed",
               "payload": 80, "settle": 3, "duration": CODEC_S}
    for _ in range(max(bench.repeats, 2)):
        floor_us, alone_us = bare_calls_us(bench)
        with bench.server() as server, bench.load(server, **options) as load:
            load.until_set_up()
            time.sleep(4)
            grown, spent_ns, passed_s, _ = grown_between(server, CODEC_S - 2)
            load.report()
        ticks = of_worker(grown, "encoded_shared")
        encoded = (ticks + of_worker(grown, "encoded_own")) / max(ticks, 1)
        runs.append({"us": spent_ns["codec-0"] / 1e3 / max(ticks, 1), "ticks_per_s": ticks / passed_s, "encodes": encoded,
                     "floor_us": floor_us, "alone_us": alone_us, "ratio": spent_ns["codec-0"] / 1e3 / max(ticks, 1) / floor_us})
    f = sorted(runs, key=lambda run: run["ratio"])[(len(runs) - 1) // 2]
    bench.figures["mix"]["codec"] = {"runs": runs, "chosen": f}
    print(f"\na tick of a mixed call of {TALKERS}, {CODEC_ROOMS} of them: {f['us']:.0f} us of the codec thread ({f['encodes']:.1f} encodes), bare "
          f"libopus {f['floor_us']:.0f}: ratio {f['ratio']:.2f}; in plenum-bench {f['alone_us']:.0f}, ratio "
          f"{f['alone_us'] / f['floor_us']:.2f}", flush=True)
    bench.goal("a mixed call of 3: codec work over bare libopus (plenum-bench)", 1.15, f["alone_us"] / f["floor_us"], "x")
    bench.goal("a mixed call of 3: the codec thread, its wake-ups included, over bare libopus", 1.15, f["ratio"], "x")


def run_bridge(bench):
    """The same talkers and listeners, by WHIP and WHEP.  The bridge keeps no more than it can encode: each listener has an encoder."""
    options = {"publishers": TALKERS, "receivers": BRIDGE_LISTENERS, "slots": 1, "api": "whip", "audio": "mixed", "ramp": 20,
               "settle": 2}
    program = bench.build / "plenum-load"
    with AudioBridge(bench.server_core) as janus:
        theirs = measure_other(janus, program, bench.load_core, bench.seconds, **options)
    with bench.server() as server:
        ours = measure_other(server, program, bench.load_core, bench.seconds, **options)
    bench.figures["mix"]["bridge"] = {"janus": theirs, "plenum": ours}
    print(f"\nJanus's AudioBridge beside it, {TALKERS} talkers and {BRIDGE_LISTENERS} listeners, plain loopback: " + "; ".join(
        f"{name} {f['core'] * 100:.1f} % of a core, {f['us']:.1f} us a packet, loss {f['loss_percent']:.2f} %, late p99 {f['mix_late_p99_us'] / 1e3:.1f} ms, "
        f"{BRIDGE_LISTENERS / f['core']:.0f} listeners would fill the core, join p50 {f['join_p50_ms']:.0f} ms, {f['kb']:.0f} KB a client"
        for name, f in (("Janus", theirs), ("Plenum", ours))) + f"; ratio {theirs['us'] / ours['us']:.1f}", flush=True)
    bench.goal(f"{BRIDGE_LISTENERS} listeners beside AudioBridge: its CPU for a packet over ours", 5, theirs["us"] / ours["us"], "x",
               is_at_least=True)


def run_mix(bench):
    bench.figures["mix"] = {}
    for part in (run_rooms, run_idle, run_delay, run_codec, run_bridge):
        try:
            part(bench)
        except (machine.Leave, machine.Failed) as why:
            bench.leave_out(f"mix: {part.__name__.removeprefix('run_')}", str(why))
