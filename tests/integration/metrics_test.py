"""What /metrics says of a server under load is true: its histograms add up, and count what happened."""

import os
import re
import subprocess
import time

from admin_api import hold_level
from plenum_server import DEFAULT_BINARY, Server
from raw_http import get, metrics, metrics_by_shard, until

LOAD = os.environ.get("PLENUM_LOAD") or DEFAULT_BINARY.with_name("plenum-load")

TOKEN = "0123456789abcdef"
TIMES = ("plenum_transit_seconds", "plenum_join_seconds", "plenum_turn_late_seconds", "plenum_tick_late_seconds")


def histograms(values, name):
    """[(its labels, [(upper bound, count)], sum, count)]"""
    found = {}
    for key, value in values.items():
        match = re.fullmatch(name + r'_(bucket|sum|count)\{((?:shard|worker)="\d+")(?:,le="(.+)")?\}', key)
        if match:
            kind, label, bound = match.groups()
            parts = found.setdefault(label, {"bucket": []})
            if kind == "bucket":
                parts["bucket"].append((float(bound), value))
            else:
                parts[kind] = value
    return [(label, parts["bucket"], parts["sum"], parts["count"]) for label, parts in found.items()]


def check_form(values):
    for name in TIMES:
        there = histograms(values, name)
        assert there, name
        for label, buckets, total_s, count in there:
            bounds, counts = [bound for bound, _ in buckets], [number for _, number in buckets]
            assert bounds == sorted(set(bounds)) and bounds[-1] == float("inf") and len(bounds) > 20, (name, label, bounds)
            assert counts == sorted(counts) and counts[-1] == count, (name, label, buckets)
            lower = sum((after - before) * bound for (bound, before), (_, after) in zip([(0, 0), *buckets], buckets))
            assert lower <= total_s + 1e-6 * count + 1e-6, (name, label, total_s, buckets)


def check_counts(server):
    """Each who connected is in a histogram, and a sample of the packets that were sent."""
    began_s = time.monotonic()
    subprocess.run([LOAD, f"--url={server.url}", "--publishers=2", "--receivers=3", "--slots=2", "--settle=0", "--duration=2"],
                   stdin=subprocess.DEVNULL, capture_output=True, timeout=60, check=True)
    until(lambda: metrics(server)["plenum_participants"] == 0, "all have left")
    took_s = time.monotonic() - began_s
    values = metrics_by_shard(server)
    check_form(values)
    connected = histograms(values, "plenum_join_seconds")
    assert sum(count for *_, count in connected) == values["plenum_joins_total"] == 5, connected
    assert 0 < sum(total_s for _, _, total_s, _ in connected) < 5 * took_s, connected
    transit = histograms(values, "plenum_transit_seconds")
    sent = sum(value for key, value in values.items() if key.startswith("plenum_rtp_out_total"))
    samples, total_s = sum(count for *_, count in transit), sum(total for _, _, total, _ in transit)
    assert 0 < samples <= sent and 0 < total_s < samples * took_s, (samples, sent, total_s)
    assert all(count > 0 for *_, count in histograms(values, "plenum_turn_late_seconds"))


def median_s(before, after):
    """Of what was added to a histogram of all shards: the upper bound of the bucket that has it."""
    added = {}
    for sign, values in ((-1, before), (1, after)):
        for _, buckets, *_ in histograms(values, "plenum_transit_seconds"):
            for bound, count in buckets:
                added[bound] = added.get(bound, 0) + sign * count
    total = added[float("inf")]
    assert total > 100, added
    return min(bound for bound, count in added.items() if count >= total / 2)


def check_transit_has_what_waits_in_the_socket():
    """In an emergency packets are gathered for 5 ms: half of them wait more than a millisecond, and the histogram says so."""
    with Server({"admin.token": TOKEN, "media.shards": 1}) as server:
        process = subprocess.Popen([LOAD, f"--url={server.url}", "--rooms=5", "--publishers=2", "--receivers=4", "--slots=2", "--duration=120"],
                                   stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            until(lambda: metrics(server)["plenum_participants"] == 30, "all are there", seconds=30)
            medians = []
            for level in ("nominal", "emergency", "nominal"):
                hold_level(server, TOKEN, level)
                time.sleep(1)
                before = metrics_by_shard(server)
                time.sleep(3)
                medians.append(median_s(before, metrics_by_shard(server)))
        finally:
            process.terminate()
            process.wait(20)
    assert min(medians[0], medians[2]) < 0.001 < medians[1] < 0.01, medians


def check_capacity():
    """What is used is told from the first seconds on, and without history the forecast is just that."""
    with Server({"limits.participants": 8}) as server:
        process = subprocess.Popen([LOAD, f"--url={server.url}", "--publishers=1", "--receivers=3", "--settle=0", "--duration=60"],
                                   stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            until(lambda: metrics(server)["plenum_capacity_used_ratio"] >= 0.2, "it is used", seconds=30)
            values = metrics(server)
        finally:
            process.terminate()
            process.wait(20)
        assert values["plenum_sessions"] == 4 and values["plenum_capacity_used_ratio"] < 1, values
        assert abs(values["plenum_capacity_forecast_ratio"] - values["plenum_capacity_used_ratio"]) < 0.001
        assert [values[f'plenum_capacity_forecast_basis{{basis="{basis}"}}'] for basis in ("none", "trend", "season")] == [1, 0, 0]


def main():
    check_capacity()
    check_transit_has_what_waits_in_the_socket()
    with Server() as server:
        check_form(metrics_by_shard(server))
        check_counts(server)
        assert get(server, "/metrics")["content-type"].startswith("text/plain; version=0.0.4")


if __name__ == "__main__":
    main()
