"""The canary of the real server, and what /live makes of it: it hears itself through the real sockets, nobody sees it, and a media
thread or codec worker that stands still is found, named, and forgiven when it goes on.

PLENUM_SERVER names the program to test.
"""

import os
import resource
import shutil
import subprocess
import sys
import threading
import time

from freeze import Frozen
from plenum_server import DEFAULT_BINARY, Server
from raw_http import get, metrics, metrics_by_shard, until

BINARY = os.environ.get("PLENUM_SERVER") or DEFAULT_BINARY
OFTEN = {"canary.interval_s": 1, "canary.deaf_s": 8, "media.shards": 2}
HUNG_S = 10  # until a thread is believed to hang, and a second or two more


def live(server):
    answer = get(server, "/live")
    return answer.status, answer.body.decode()


def is_well(server):
    return live(server) == (200, "ok\n")


def state_of(server):
    states = [name for name, value in metrics(server).items() if name.startswith("plenum_canary_state{") and value == 1]
    assert len(states) == 1, states
    return states[0].split('"')[1]


def runs(server, fault):
    return metrics(server)[f'plenum_canary_runs_total{{fault="{fault}"}}']


def sounds_well(figures, shard, way, snr_db_min, delay_s_max):
    labels = f'{{shard="{shard}",way="{way}"}}'
    return (figures.get("plenum_canary_heard_ratio" + labels, 0) >= 0.9 and figures.get("plenum_canary_snr_db" + labels, 0) >= snr_db_min
            and -0.001 < figures["plenum_canary_delay_seconds" + labels] < delay_s_max)


def it_hears_itself_and_is_not_seen(server):
    """Each way of each media thread sounds well; on a machine with other work a run may not, and is not the last."""
    ways = [(shard, *way) for shard in range(2) for way in (("forwarded", 30, 0.05), ("mixed", 15, 0.2))]
    well, seen = set(), []

    def have_all_been_well():
        seen.append(metrics_by_shard(server))
        well.update(way for way in ways if sounds_well(seen[-1], *way))
        return len(well) == len(ways) and seen[-1]['plenum_canary_runs_total{fault="none"}'] >= 4

    until(have_all_been_well, "four runs, and each way well", 60)
    for one in seen:
        for shard in range(2):
            for gauge in ("plenum_participants", "plenum_media_rooms"):
                assert one[f'{gauge}{{shard="{shard}"}}'] == 0, (gauge, one)
        for nothing in ("plenum_sessions", "plenum_rooms", "plenum_joins_total", "plenum_canary_deaf_seconds"):
            assert one[nothing] == 0, (nothing, one[nothing])
    for shard in range(2):
        assert 0 < seen[-1][f'plenum_canary_join_seconds{{shard="{shard}"}}'] < 3, seen[-1]
    for shard, way, *_ in ways:
        labels = f'{{shard="{shard}",way="{way}"}}'
        print(f"shard {shard} {way}: {seen[-1].get('plenum_canary_snr_db' + labels, 0):.1f} dB, "
              f"{seen[-1].get('plenum_canary_delay_seconds' + labels, 0) * 1e3:.2f} ms")
    until(lambda: is_well(server) and state_of(server) == "hears", "it hears", 20)
    until(lambda: metrics(server)['plenum_pressure_input{input="canary"}'] <= 0.2, "it does not press", 20)


def thread_that_stands_still_is_named(server, name, words, fault, hang, press):
    """words: what /live says of the canary; hang: what it says of the thread; press: the pressure that it comes to."""
    before = runs(server, fault)
    begun_s = time.monotonic()
    with Frozen(server.pid, name):
        until(lambda: runs(server, fault) > before, f"{name}: {fault}", 20)
        assert state_of(server) == "deaf"
        assert is_well(server), "it is deaf for less than canary.deaf_s"
        until(lambda: live(server)[0] == 503, f"{name}: 503", 30)
        until(lambda: words in live(server)[1], f"{name}: {words}", 10)
        until(lambda: metrics(server)['plenum_pressure_input{input="canary"}'] == press, f"{name}: presses by {press}", 10)
        until(lambda: hang in live(server)[1], f"{name}: {hang}", HUNG_S + 20)
        print(f"{name} frozen for {time.monotonic() - begun_s:.1f} s; /live says: {live(server)[1].strip()}")
    until(lambda: is_well(server), f"{name}: well again", 15)
    until(lambda: state_of(server) == "hears", f"{name}: hears again", 15)
    assert any("the canary is deaf" in line for line in server.log), server.log
    assert any(f'a thread hangs thread="{hang.removesuffix(" hangs")}"' in line for line in server.log), server.log
    assert any("a thread hangs no longer" in line for line in server.log), server.log
    assert any("the canary hears itself" in line for line in server.log), server.log


def process_that_was_stopped_is_not_dead(server):
    """A machine that was suspended, or a debugger: nobody is to blame, and no call is ended for it."""
    before = metrics(server)
    os.kill(server.pid, 19)  # SIGSTOP
    time.sleep(HUNG_S + 2)
    os.kill(server.pid, 18)
    end_s = time.monotonic() + 4
    while time.monotonic() < end_s:
        assert is_well(server), live(server)
        time.sleep(0.05)
    until(lambda: metrics(server)['plenum_canary_runs_total{fault="none"}'] > before['plenum_canary_runs_total{fault="none"}'],
          "it sings again")


def lowest_free_fd(server):
    used = {int(name) for name in os.listdir(f"/proc/{server.pid}/fd")}
    return min(set(range(len(used) + 1)) - used)


def without_sockets_it_says_so_once(server):
    until(lambda: state_of(server) == "hears", "hears")
    soft, hard = resource.prlimit(server.pid, resource.RLIMIT_NOFILE)
    free = []  # some of them while it sings
    until(lambda: free.append(lowest_free_fd(server)) or len(free) > 100, "a hundred looks")
    resource.prlimit(server.pid, resource.RLIMIT_NOFILE, (min(free), hard))
    try:
        until(lambda: any("no sockets" in line for line in server.log), "unable", 20)
        time.sleep(3)
    finally:
        resource.prlimit(server.pid, resource.RLIMIT_NOFILE, (soft, hard))
    until(lambda: is_well(server) and state_of(server) == "hears", "hears again", 15)
    assert metrics(server)["plenum_canary_unable_total"] >= 3
    assert len([line for line in server.log if "no sockets" in line]) == 1, server.log


def nobody_who_sings_is_told_and_forgiven(meanwhile):
    """A canary whose thread stands still says nothing more, whatever it heard last; calls go on, so nothing is restarted for it."""
    with Server(settings=OFTEN) as server:
        until(lambda: state_of(server) == "hears", "hears", 15)
        with Frozen(server.pid, "canary"):
            meanwhile()
            until(lambda: state_of(server) == "stalled", "it is missed", 30)
            until(lambda: any("canary's thread stands still" in line for line in server.log), "and that is told")
            assert is_well(server), live(server)
            until(lambda: 'plenum_pressure_input{input="canary"}' not in metrics(server), "it does not press")
        until(lambda: is_well(server) and state_of(server) == "hears", "hears again", 15)
        until(lambda: any("the canary hears itself" in line for line in server.log), "and that is told")


def without_a_mixer_it_hears_what_is_forwarded():
    with Server(settings={**OFTEN, "media.mixing": "off", "media.shards": 1}) as server:
        until(lambda: state_of(server) == "hears", "hears", 15)
        assert not [name for name in metrics(server) if "plenum_canary" in name and "mixed" in name and "fault" not in name]


def off_is_off():
    with Server(settings={**OFTEN, "canary.interval_s": 0}) as server:
        time.sleep(2)
        assert state_of(server) == "off" and is_well(server)
        assert metrics(server)["plenum_datagrams_in_total"] == 0
        assert not [task for task in server.tasks() if (task / "comm").read_text().strip() == "canary"]


def where_loopback_is_closed_it_is_not_believed(said):
    """In a namespace of its own, whose firewall keeps UDP off its loopback interface."""
    script = ("ip link set lo up && nft add table inet t && nft 'add chain inet t i { type filter hook input priority 0; }' && "
              'nft add rule inet t i meta l4proto udp drop && exec timeout -s INT 28 "$0" "$@"')
    words = [word for key, value in {"http.listen": "127.0.0.1:0", "media.port": 0, **OFTEN}.items()
             for word in ("--set", f"{key}={value}")]
    done = subprocess.run(["unshare", "--net", "sh", "-c", script, str(BINARY), *words], stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, check=False)
    said.append(done.stderr)


def main():
    said = []
    can_close = os.geteuid() == 0 and shutil.which("nft") and shutil.which("unshare")
    closed = threading.Thread(target=where_loopback_is_closed_it_is_not_believed, args=[said])
    if can_close:
        closed.start()
    with Server(settings=OFTEN) as server:
        it_hears_itself_and_is_not_seen(server)
        nobody_who_sings_is_told_and_forgiven(lambda: thread_that_stands_still_is_named(
            server, "codec-0", "nothing of the mix comes", "mixed_silent", "codec worker 0 hangs", 0.8))
        thread_that_stands_still_is_named(server, "shard-1", "the canary is deaf on media thread 1", "checks",
                                          "media thread 1 hangs", 0.99)
        process_that_was_stopped_is_not_dead(server)
        without_sockets_it_says_so_once(server)
    without_a_mixer_it_hears_what_is_forwarded()
    off_is_off()
    if can_close:
        closed.join()
        off = [line for line in said[0].splitlines() if "has never heard itself and is off" in line]
        assert len(off) == 1 and "is deaf" not in said[0], said[0]
    else:
        print("a closed loopback interface was not tried: that takes root, unshare and nft")
    print("canary: it hears, and /live knows who does not")


sys.exit(main())
