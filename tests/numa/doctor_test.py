"""The whole program on a machine of 4 nodes, under real control groups: `plenum doctor` tells the plan that the server
makes.

usage: doctor_test.py v1|v2 PLENUM
"""

import json
import sys

import guest

NODES, PER_NODE = 4, 2
ABSENT = "absent\n"  # Linux 6.12 and later can be built without version 1's cpusets, as Debian does

# "case NAME" and the doctor's report, one after the other.  A controller belongs to one version at a time, and goes
# from one to the other late; so each version has a guest of its own.
EXAMINE = """
    examine() {{ echo "case $1"; shift; {plenum} doctor --set media.port=0 --json "$@" || [ $? = 1 ]; }}
"""
SCRIPTS = {
    "v1": """
        cpu=/tmp/cpu/media; cpuset=/tmp/cpuset/media
        examine whole
        mkdir /tmp/cpu /tmp/cpuset && mount -t cgroup -o cpu cgroup /tmp/cpu && mkdir $cpu || exit 1
        echo 150000 >$cpu/cpu.cfs_quota_us; echo $$ >$cpu/cgroup.procs || exit 1
        examine v1-quota
        echo -1 >$cpu/cpu.cfs_quota_us
        if mount -t cgroup -o cpuset cgroup /tmp/cpuset; then
            mkdir $cpuset; echo 2-3,7 >$cpuset/cpuset.cpus; echo 0-3 >$cpuset/cpuset.mems
            echo $$ >$cpuset/cgroup.procs || exit 1
            examine v1-cpuset
        else
            echo "case v1-cpuset"; echo absent
        fi
    """,
    "v2": """
        v2=/sys/fs/cgroup/pod
        echo "+cpu +cpuset" >/sys/fs/cgroup/cgroup.subtree_control
        mkdir -p $v2/container; echo "+cpu +cpuset" >$v2/cgroup.subtree_control
        echo "350000 100000" >$v2/cpu.max; echo $$ >$v2/container/cgroup.procs || exit 1
        examine v2-quota
        echo max >$v2/cpu.max; echo 4-6 >$v2/cpuset.cpus
        examine v2-cpuset
        echo 0 >/sys/devices/system/cpu/cpu5/online
        examine offline
        examine override --set media.shards=5
    """,
}

# What the subjects "cores" and "NUMA" have to say in each case.
EXPECTED = {
    "v1": {
        "whole": ("8 to use, no quota: 8 media threads, on CPUs 0-7", "node 3 has 2 cores and 2 media threads"),
        "v1-quota": ("a quota of 1.50 CPUs (/tmp/cpu/media/cpu.cfs_quota_us): 2 media threads, free to move", "4 nodes"),
        "v1-cpuset": ("3 to use, no quota: 3 media threads, on CPUs 2-3, 7", "node 1 has 2 cores and 2 media threads"),
    },
    "v2": {
        "v2-quota": ("a quota of 3.50 CPUs (/sys/fs/cgroup/pod/cpu.max): 4 media threads, free to move", "4 nodes"),
        "v2-cpuset": ("3 to use, no quota: 3 media threads, on CPUs 4-6", "node 2 has 2 cores"),
        "offline": ("2 to use, no quota: 2 media threads, on CPUs 4, 6", "node 2 has 1 core and 1 media thread"),
        "override": ("2 to use, no quota: 5 media threads", "node 2 has 1 core and 3 media threads"),
    },
}


def wrong(output, expected):
    """Yields what is not as expected."""
    cases = dict(part.split("\n", 1) for part in output.split("case ")[1:])
    if set(cases) != set(expected):
        yield f"cases: {sorted(cases)}"
    for name, (cores, nodes) in expected.items():
        if cases.get(name) == ABSENT:
            print(f"{name}: left out, the guest's kernel has no such thing")
            continue
        try:
            findings = json.loads(cases.get(name, ""))["findings"]
        except ValueError as error:
            yield f"{name}: {error}: {cases.get(name)}"
            continue
        told = {subject: [one["found"] for one in findings if one["subject"] == subject] for subject in ("cores", "NUMA")}
        if cores not in told["cores"][0] or nodes not in told["NUMA"][0]:
            yield f"{name}: {told}"


def main():
    version, plenum = sys.argv[1:]
    script = EXAMINE.format(plenum=plenum) + SCRIPTS[version]
    try:
        result = guest.run(NODES, script, [plenum], cpus_per_node=PER_NODE)
    except guest.Unavailable as reason:
        print(f"skipped: {reason}")
        return guest.SKIPPED
    problems = list(wrong(result.output, EXPECTED[version]))
    if problems or result.status != 0:
        print(result.output)
    print("\n".join(problems))
    print(f"status {result.status} after {result.seconds:.1f} s")
    return 1 if problems or result.status != 0 else 0


if __name__ == "__main__":
    sys.exit(main())
