"""What a start of the real server takes, and that it tells it: by phase in the log at debug level and in /metrics.

PLENUM_SERVER names the program to test.
"""

import re
import urllib.request

from plenum_server import Server

PHASES = ["libraries", "configuration", "listener", "topology", "dtls_identity", "shards_begin", "codec_workers",
          "shards_settle", "media", "certificate", "server"]


def metrics_of(server):
    with urllib.request.urlopen(f"{server.url}/metrics", timeout=10) as answer:
        return answer.read().decode()


def phases_are_told_and_are_the_whole_of_it():
    with Server(settings={"log.level": "debug"}) as server:
        logged = next(line for line in server.log if "start, in ms" in line)
        shown = re.findall(r'plenum_start_seconds\{phase="(\w+)"\} ([\d.]+)', metrics_of(server))
        assert [name for name, _ in shown] == PHASES, shown
        in_log = dict(re.findall(r"(\w+)=([\d.]+)", logged))
        for name, seconds in shown:
            assert abs(float(in_log[name]) - float(seconds) * 1e3) <= 0.006, (name, seconds, logged)
        sum_ms = sum(float(seconds) for _, seconds in shown) * 1e3
        assert abs(sum_ms - server.ready_ms) <= 0.51, (sum_ms, server.ready_ms)
        assert float(dict(shown)["libraries"]) > 0, shown


phases_are_told_and_are_the_whole_of_it()
print("start: phases are told")
