"""What a participant costs the server in memory once its handshake is let go of: printed, bounded, and given back for
the next one.

PLENUM_SERVER and PLENUM_LOAD name the programs to test.
"""

import os
import re
import signal
import subprocess
import time

from plenum_server import Server
from raw_http import metrics

WARM_UP = 10  # what the first participants cost includes what is made once
ROOMS, TALKERS = 200, 4  # calls of four, all talk and listen
JOINED_S_MAX = 60
SETTLED_S_MAX = 65  # up to 22 s of settling, and free memory is given back every 30 s
KB_MAX = 24
LEFT_S = 2


def resident_kb(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as status:
        return int(re.search(r"VmRSS:\s+(\d+) kB", status.read())[1])


def load(server, rooms, seconds):
    return subprocess.Popen(
        [os.environ["PLENUM_LOAD"], "--url", server.url, "--rooms", str(rooms), "--publishers", str(TALKERS), "--publishers-listen",
         "--receivers", "0", "--rate", "5", "--ramp", "100", "--duration", str(seconds), "--max-loss", "100"],
        stdout=subprocess.PIPE, text=True)


def wait_until(server, seconds, kb_max):
    """The resident memory once it is below kb_max, or after so many seconds."""
    end = time.monotonic() + seconds
    while (kb := resident_kb(server.pid)) >= kb_max and time.monotonic() < end:
        time.sleep(0.5)
    return kb


def peak_until_all_are_in(server):
    """The most that was resident meanwhile."""
    end, peak = time.monotonic() + JOINED_S_MAX, 0
    while (now := metrics(server))["plenum_sessions"] != ROOMS * TALKERS or now["plenum_sessions_connecting"] > 0:
        assert time.monotonic() < end, f"of {ROOMS * TALKERS} there are {now['plenum_sessions']} after {JOINED_S_MAX} s"
        peak = max(peak, resident_kb(server.pid))
        time.sleep(0.2)
    return max(peak, resident_kb(server.pid))


def finish(process, status):
    text = process.communicate()[0]
    assert process.returncode == status, text
    assert f"{ROOMS * TALKERS} connected, 0 failed" in text, text


def main():
    clients = ROOMS * TALKERS
    with Server({"media.shards": 1}) as server:
        load(server, WARM_UP // TALKERS, 1).communicate()
        time.sleep(LEFT_S)
        before = resident_kb(server.pid)
        process = load(server, ROOMS, 2 * SETTLED_S_MAX)
        joined = peak_until_all_are_in(server)
        settled = wait_until(server, SETTLED_S_MAX, before + KB_MAX * clients)
        process.send_signal(signal.SIGINT)
        finish(process, status=1)  # as one who is interrupted
        time.sleep(LEFT_S)
        process = load(server, ROOMS, 1)
        peak = joined
        while process.poll() is None:
            peak = max(peak, resident_kb(server.pid))
            time.sleep(0.1)
        finish(process, status=0)

    print(f"a participant: {(joined - before) / clients:.1f} KB when it has joined, {(settled - before) / clients:.1f} KB settled; "
          f"{before} KB before, {settled} KB with {clients}, {peak} KB at most with {clients} others after them")
    assert settled - before < KB_MAX * clients, "a participant costs too much"
    assert peak - joined < (joined - before) / 4, "the next participants do not reuse the memory of those who left"


main()
