"""One load of plenum-load against one server, measured from both sides."""

import contextlib
import json
import pathlib
import subprocess
import sys
import threading
import time

from machine import Dropped, Failed, cpu_ns, pinned, resident_kb

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "integration"))
from raw_http import metrics  # noqa: E402

TIMEOUT_S = 120
SETTLE_S = 1
MARGIN_S = 1.5  # in which the counters are read, at both ends of what is measured
PORTS = "20000-29999"


class Load:
    """plenum-load on a core of its own; options are its words."""

    def __init__(self, binary, core, url, **options):
        words = {"settle": SETTLE_S, "max-loss": 100, "json": "-", "port-range": PORTS, "url": url, **options}
        command = [binary, *(f"--{key.replace('_', '-')}={value}" for key, value in words.items())]
        self.process = subprocess.Popen(pinned([core], command), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                        stderr=subprocess.PIPE, text=True)
        self.said = []
        self._is_set_up = threading.Event()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self):
        for line in self.process.stderr:
            self.said.append(line)
            if "set up;" in line:
                self._is_set_up.set()
        self._is_set_up.set()

    def until_set_up(self):
        """All clients are connected, or have failed; the measurement begins after its settle."""
        if not self._is_set_up.wait(TIMEOUT_S):
            raise Failed("plenum-load was not ready:\n" + "".join(self.said))

    def report(self):
        text = self.process.stdout.read()
        self.process.wait(TIMEOUT_S)
        self._reader.join()
        if not text:
            raise Failed("plenum-load has no report:\n" + "".join(self.said))
        report = json.loads(text)
        if report["clients"]["failed"] > 0:
            raise Failed(f"joins failed: {report['failures']}")
        return report

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()


class Mark:
    """The server's counters and what it has cost, at the moment that it publishes them."""

    def __init__(self, server):
        first = metrics(server)["plenum_media_syscalls_total"]
        while True:
            self.counters = metrics(server)
            if self.counters["plenum_media_syscalls_total"] != first:
                break
            time.sleep(0.01)
        self.cpu_ns = cpu_ns(server.pid)
        self.at_s = time.monotonic()


def between(server, seconds):
    """What the server does in so many seconds, by its own counters."""
    first = Mark(server)
    time.sleep(max(0.0, seconds - 0.5))
    last = Mark(server)
    passed_s = last.at_s - first.at_s
    grown = {name: value - first.counters.get(name, 0) for name, value in last.counters.items()}
    packets = grown["plenum_rtp_out_total"]
    lost = sum(grown.get(f"plenum_{name}_total", 0) for name in ("kernel_drops", "send_full", "send_failed"))
    return {
        "packets_per_s": packets / passed_s,
        "us": (last.cpu_ns - first.cpu_ns) / 1e3 / max(packets, 1),
        "core": (last.cpu_ns - first.cpu_ns) / 1e9 / passed_s,
        "syscalls": grown["plenum_media_syscalls_total"] / max(packets, 1),
        "lost_by_server": lost,
        "rtp_in_per_s": grown["plenum_rtp_in_total"] / passed_s,
    }


def threads_ns(server):
    """CPU time of each of the server's threads, by its name."""
    return {(task / "comm").read_text().strip(): int((task / "schedstat").read_text().split()[0]) for task in server.tasks()}


def cores_of(server, seconds):
    """Of each thread: the share of a core, and the most that a half second took of it."""
    begun_s, first = time.monotonic(), threads_ns(server)
    last, most, end_s = first, dict.fromkeys(first, 0.0), begun_s
    while end_s < begun_s + seconds:
        time.sleep(0.5)
        now_s, now = time.monotonic(), threads_ns(server)
        for name, ns in now.items():
            most[name] = max(most[name], (ns - last[name]) / 1e9 / (now_s - end_s))
        last, end_s = now, now_s
    return {name: {"core": (last[name] - ns) / 1e9 / (end_s - begun_s), "half_second_core_max": most[name]}
            for name, ns in first.items()}


def measure(server, binary, core, seconds, is_dropped=False, **options):
    """One load, and what it costs the server: 'us' is CPU time for a delivered packet.  is_dropped: RTP ends at the
    loopback once everybody is there; a receiver in each room still gets it, for latency."""
    before_kb = resident_kb(server.pid)
    duration = int(seconds + 2 * MARGIN_S + 0.5)
    with Load(binary, core, server.url, duration=duration, **options) as load, contextlib.ExitStack() as stack:
        load.until_set_up()
        grown_kb = resident_kb(server.pid) - before_kb
        if is_dropped:
            stack.enter_context(Dropped(PORTS))
        time.sleep(SETTLE_S + MARGIN_S / 3)
        figures = between(server, seconds)
        report = load.report()
    if not is_dropped:
        figures["loss_percent"] = report["media"]["loss_percent"]
    scenario = report["scenario"]
    wanted_per_s = scenario["rooms"] * scenario["publishers"] * scenario["rate"]
    figures["sent_share"] = figures["rtp_in_per_s"] / wanted_per_s if wanted_per_s > 0 else 1
    return figures | of_report(report) | {"kb": grown_kb / report["clients"]["connected"]}


def measure_other(server, binary, core, seconds, **options):
    """The same for a server that has no counters of ours: all is plenum-load's."""
    with Load(binary, core, server.url, duration=int(seconds + 0.5), pid=server.pid, **options) as load:
        report = load.report()
    media = report["media"]
    return of_report(report) | {
        "packets_per_s": media["delivered"] / media["seconds"],
        "us": report["server"]["cpu_us_per_packet"],
        "core": report["server"]["cpu_percent"] / 100,
        "loss_percent": media["loss_percent"],
        "kb": report["server"].get("rss_kb_per_client"),
    }


def of_report(report):
    latency, connected = report["latency_us"], report["join_ms"]["connected"]
    return {"clients": report["clients"]["connected"], "p50_us": latency["p50"], "p99_us": latency["p99"],
            "mix_late_p99_us": report["mix"]["late_us"]["p99"], "join_p50_ms": connected["p50"], "join_p99_ms": connected["p99"]}
