"""The real server on a machine of several nodes: each of its media threads is on CPUs of one node, and what it took at
its start is on that node.

What the kernel says counts: the threads' own lists of CPUs and /proc/PID/numa_maps.  One run has a thread on each core,
another has one thread in all: there the same check of the memory must find it on a single node, or it could not fail.

usage: server_test.py NODES PLENUM
"""

import re
import sys

import guest

PER_NODE = 2  # CPUs, so that nodes and CPUs are not the same number
PARTICIPANTS = 2048
SHARD_PAGES_MIN = 1400  # of 4 KiB: the packet pool and what the socket needs, taken at the start; tables are taken as they fill
READY_S_MAX = 40
PORT = 7000

SCRIPT = """
    examine() {{
        echo "case $1"; shift
        {plenum} --set http.listen=127.0.0.1:8080 --set media.port={port} --set log.level=debug \
            --set drain.deadline_s=0 --set limits.participants={participants} --set limits.room_participants={participants} "$@" 2>/tmp/log &
        pid=$!
        left={ready_s}
        until grep -q "ready in" /tmp/log; do
            left=$((left - 1)); [ $left -gt 0 ] && kill -0 $pid || {{ cat /tmp/log; exit 1; }}
            sleep 1
        done
        cat /tmp/log
        for task in /proc/$pid/task/*; do
            echo "thread $(cat $task/comm) $(grep Cpus_allowed_list $task/status)"
        done
        cat /proc/$pid/numa_maps
        kill $pid; wait $pid || exit 2
    }}
    examine each
    examine one --set media.shards=1
"""


def cpus_of(text):
    """{2, 3} of "2-3"."""
    ends = [part.split("-") for part in text.split(",")]
    return {cpu for end in ends for cpu in range(int(end[0]), int(end[-1]) + 1)}


def pages_by_node(output, nodes):
    """Pages of 4 KiB that no file is behind."""
    pages = [0] * nodes
    for line in re.findall(r"^[0-9a-f]{6,} .*anon=.*$", output, re.MULTILINE):
        kib = int(re.search(r"kernelpagesize_kB=(\d+)", line)[1])
        for node, count in re.findall(r" N(\d+)=(\d+)", line):
            pages[int(node)] += int(count) * kib // 4
    return pages


def wrong_memory(output, nodes, shards_of):
    """shards_of: how many shards each node has."""
    pages = pages_by_node(output, nodes)
    for node, shards in enumerate(shards_of):
        if shards == 0 and pages[node] >= SHARD_PAGES_MIN:
            yield f"node {node} has no shard, and of all pages {pages}"
        if pages[node] < shards * SHARD_PAGES_MIN:
            yield f"the memory of {shards} shards is not on node {node}: {pages}"


def wrong(output, nodes, expected):
    """Yields what is not as it should be.  expected: each shard's CPUs."""
    threads = re.findall(r"^thread (\S+) Cpus_allowed_list:\s*(\S+)$", output, re.MULTILINE)
    shards = {name: cpus_of(cpus) for name, cpus in threads if name.startswith("shard-")}
    if shards != {f"shard-{index}": cpus for index, cpus in enumerate(expected)}:
        yield f"threads: {threads}"
    node_of = [min(cpus) // PER_NODE for cpus in expected]
    told = re.findall(r"shard (\d+): UDP port (\d+), on .*? of node (\d+); tables are there, too; .* on node (\d+),", output)
    if told != [(str(i), str(PORT + i), str(node), str(node)) for i, node in enumerate(node_of)]:
        yield f"the log tells of {told}"
    if " warning media" in output:
        yield "the log has a warning"
    yield from wrong_memory(output, nodes, [node_of.count(node) for node in range(nodes)])


def main():
    nodes, plenum = int(sys.argv[1]), sys.argv[2]
    script = SCRIPT.format(plenum=plenum, port=PORT, participants=PARTICIPANTS, ready_s=READY_S_MAX)
    try:
        result = guest.run(nodes, script, [plenum], cpus_per_node=PER_NODE, timeout_s=80)
    except guest.Unavailable as reason:
        print(f"skipped: {reason}")
        return guest.SKIPPED
    cases = dict(part.split("\n", 1) for part in result.output.split("case ")[1:])
    problems = list(wrong(cases.get("each", ""), nodes, [{cpu} for cpu in range(nodes * PER_NODE)]))
    homes = [set(range(node * PER_NODE, (node + 1) * PER_NODE)) for node in range(nodes)]
    if all(list(wrong(cases.get("one", ""), nodes, [home])) for home in homes):
        problems += ["one thread is not on one node, such as the first:", *wrong(cases.get("one", ""), nodes, homes[:1])]
    if not list(wrong_memory(cases.get("one", ""), nodes, [PER_NODE] * nodes)):
        problems.append("the check of memory finds it on all nodes, where a single thread took it")
    if problems or result.status != 0:
        print(result.output)
    print("\n".join(problems))
    print(f"{nodes} nodes: status {result.status} after {result.seconds:.1f} s")
    return 1 if problems or result.status != 0 else 0


if __name__ == "__main__":
    sys.exit(main())
