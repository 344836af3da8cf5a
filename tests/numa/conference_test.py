"""A conference over all shards of a machine of several nodes, with the real server and real clients on the guest's loopback:
everything arrives, a packet crosses once into each shard, and it is copied at most once for each node.

Listeners are there before anybody talks, so that the counts are exact: every packet of the call is in them.

usage: conference_test.py NODES PLENUM PLENUM_LOAD
"""

import json
import re
import sys

import guest
import server_test

PER_NODE = server_test.PER_NODE
PUBLISHERS, RATE_HZ, TALK_S = 2, 20, 6
WAIT_S_MAX = 30

# The counters are published twice a second; what is read after two seconds of silence is all.
SCRIPT = """
    metrics() {{ wget -qO- http://127.0.0.1:8080/metrics; }}
    until_metrics() {{ # name, and the sum that it is to have over the shards
        left={wait_s}
        until metrics | awk -v name="$1" -v sum="$2" '
            $1 == name || index($1, name "{{") == 1 {{ found += $2; any = 1 }}
            END {{ exit !(any && found == sum) }}'; do
            left=$((left - 1)); [ $left -gt 0 ] || {{ echo "$1 does not become $2:"; metrics; exit 3; }}
            sleep 1
        done
    }}
    load="{load} --url http://127.0.0.1:8080 --settle=0 --timeout=60 --rate={rate_hz} --json=-"

    {plenum} --set http.listen=127.0.0.1:8080 --set media.port={port} --set log.level=debug --set media.room_spread=1 --set pressure.level=nominal \
        --set drain.deadline_s=0 --set canary.interval_s=0 \
        --set limits.participants={participants} --set limits.room_participants={participants} 2>/tmp/log &
    server=$!
    until_metrics plenum_ready 1
    $load --publishers=0 --receivers={receivers} --duration=600 >/tmp/heard 2>/tmp/heard.log &
    listeners=$!
    until_metrics plenum_sessions {receivers}
    until_metrics plenum_sessions_connecting 0
    sleep 2
    $load --publishers={publishers} --receivers=0 --duration={talk_s} >/tmp/said 2>/tmp/said.log || {{ cat /tmp/said.log; exit 4; }}
    sleep 2
    echo "case call"; metrics
    cat /tmp/log
    for task in /proc/$server/task/*; do
        echo "thread $(cat $task/comm) $(grep Cpus_allowed_list $task/status)"
    done
    cat /proc/$server/numa_maps
    kill -TERM $listeners; wait $listeners
    until_metrics plenum_participants 0
    sleep 2
    echo "case after"; metrics
    echo "case said"; cat /tmp/said
    echo "case heard"; cat /tmp/heard
    kill $server; wait $server || exit 5
"""


def by_shard(text, name, shards):
    found = dict(re.findall(rf'^{name}\{{shard="(\d+)"\}} (\d+)$', text, re.MULTILINE))
    return [int(found[str(shard)]) for shard in range(shards)]


def wrong_ways(call, shards, receivers):
    """Who hears what over which shard: home is where a packet of its own member need not cross into, and into a shard whose
    only member does not listen nothing crosses."""
    came, crossed, copied = (by_shard(call, f"plenum_{name}_total", shards) for name in ("rtp_in", "crossed", "copied"))
    packets = sum(came)
    story = f"{packets} packets, came {came}, crossed {crossed}, copied {copied}"
    print(story)
    if packets < PUBLISHERS * RATE_HZ * TALK_S * 0.9 or sorted(came)[-PUBLISHERS] == 0:
        yield f"publishers are not on shards of their own: {story}"
        return
    homes = [shard for shard in range(shards) if came[shard] > 0 and crossed[shard] == packets - came[shard]]
    is_deaf = [came[shard] > 0 and shard not in homes and receivers < shards for shard in range(shards)]
    others = [crossed[shard] == (0 if is_deaf[shard] else packets) for shard in range(shards) if shard not in homes]
    if len(homes) != 1 or not all(others):
        yield f"a packet does not cross once into each shard: {story}"
        return
    nodes = [copied[first : first + PER_NODE] for first in range(0, shards, PER_NODE)]
    for node, copies in enumerate(nodes):
        is_home = node == homes[0] // PER_NODE
        # What comes to home is copied there, whatever node it comes from; elsewhere the node's first copies for all.
        if sum(copies) != (crossed[homes[0]] if is_home else packets) or sorted(copies)[:-1] != [0] * (PER_NODE - 1):
            yield f"node {node} copies {copies}: {story}"


def wrong_sound(cases, receivers):
    said, heard = json.loads(cases["said"]), json.loads(cases["heard"])
    packets = sum(int(count) for count in re.findall(r'^plenum_rtp_in_total\{.*\} (\d+)$', cases["call"], re.MULTILINE))
    media = heard["media"]
    if said["clients"]["connected"] != PUBLISHERS or heard["clients"]["connected"] != receivers:
        yield f"not all connected: {said['clients']}, {heard['clients']}"
    if media["delivered"] != receivers * packets or media["lost"] != 0 or media["kernel_drops"] != 0:
        yield f"{receivers} receivers of {packets} packets: {media}"
    if heard["receivers"]["complete"] != receivers:
        yield f"{heard['receivers']}"


def wrong_counts(cases, shards):
    drops = r'^plenum_drops_total\{reason="(\S+)",shard="(\d+)"\} (\d+)$'
    for reason, shard, count in re.findall(drops, cases["after"], re.MULTILINE):
        if int(count) > 0 and reason in ("cross_full", "pool_low", "egress_full", "srtp_auth"):
            yield f"shard {shard} drops {count} for {reason}"
    for name in ("plenum_kernel_drops_total", "plenum_pool_low_total", "plenum_pool_packets_used", "plenum_media_rooms"):
        if any(by_shard(cases["after"], name, shards)):
            yield f"{name} is {by_shard(cases['after'], name, shards)} when all have left"


def main():
    nodes, plenum, load = int(sys.argv[1]), sys.argv[2], sys.argv[3]
    shards = nodes * PER_NODE
    receivers = shards - 1 if shards > 4 else 2 * shards - 1  # so one publisher is at home, and one is far away
    script = SCRIPT.format(plenum=plenum, load=load, port=server_test.PORT, participants=server_test.PARTICIPANTS,
                           receivers=receivers, publishers=PUBLISHERS, rate_hz=RATE_HZ, talk_s=TALK_S, wait_s=WAIT_S_MAX)
    try:
        result = guest.run(nodes, script, [plenum, load], cpus_per_node=PER_NODE, timeout_s=100)
    except guest.Unavailable as reason:
        print(f"skipped: {reason}")
        return guest.SKIPPED
    cases = dict(part.split("\n", 1) for part in result.output.split("case ")[1:])
    problems = []
    if result.status == 0:
        problems += wrong_ways(cases["call"], shards, receivers)
        problems += wrong_sound(cases, receivers)
        problems += wrong_counts(cases, shards)
        problems += server_test.wrong(cases["call"], nodes, [{cpu} for cpu in range(shards)])
    if problems or result.status != 0:
        print(result.output)
    print("\n".join(problems))
    print(f"{nodes} nodes: status {result.status} after {result.seconds:.1f} s")
    return 1 if problems or result.status != 0 else 0


if __name__ == "__main__":
    sys.exit(main())
