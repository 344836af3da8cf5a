"""The real server in a control group of version 2, with limits that the kernel enforces: what it says of them is an input of the
pressure, nobody new is let in before the kernel kills, and it is over when it is over.

usage: pressure_test.py PLENUM
"""

import re
import sys

import guest

READY_S_MAX = 40
SETTLE_S = 3  # emulated: a rate is measured over a second

SCRIPT = """
    v2=/sys/fs/cgroup/pod
    echo "+cpu +memory" >/sys/fs/cgroup/cgroup.subtree_control || exit 1
    mkdir $v2; echo 200M >$v2/memory.max; echo "80000 100000" >$v2/cpu.max
    within() {{ sh -c "echo \\$\\$ >$v2/cgroup.procs; exec $*"; }}
    get() {{ wget -qO- http://127.0.0.1:8080/metrics; }}
    look() {{
        sleep {settle_s}; echo "case $1"
        get | grep -E "^plenum_pressure_(level|input|score)|^plenum_pressure_cause.* 1"
    }}
    within {plenum} --set http.listen=127.0.0.1:8080 --set media.port=0 --set limits.participants=256 \
        --set limits.room_participants=256 --set canary.interval_s=0 2>/tmp/log &
    left={ready_s}
    until grep -q "ready in" /tmp/log; do
        left=$((left - 1)); [ $left -gt 0 ] || {{ cat /tmp/log; exit 1; }}
        sleep 1
    done
    grep "does not tell all" /tmp/log
    until get | grep -q "^plenum_pressure_level 0"; do
        left=$((left - 1)); [ $left -gt 0 ] || {{ look pressed; exit 4; }}
        sleep 1
    done
    look calm
    mkdir /tmp/hog; mount -t tmpfs -o size=200M none /tmp/hog
    used=$(($(cat $v2/memory.current) / 1048576))
    within dd if=/dev/zero of=/tmp/hog/a bs=1M count=$((188 - used)) 2>/dev/null
    look memory
    rm /tmp/hog/a
    look freed
    within sh -c '"while :; do :; done"' &
    look throttled
    echo 30M >$v2/memory.high
    within dd if=/dev/zero of=/tmp/hog/b bs=1M count=100 2>/dev/null &
    look stalled
    echo max >$v2/memory.high
    pid=$(pidof plenum)
    kill $pid; left=20
    while kill -0 $pid 2>/dev/null; do left=$((left - 1)); [ $left -gt 0 ] || {{ cat /tmp/log; exit 2; }}; sleep 1; done
    grep -q " ended" /tmp/log || {{ cat /tmp/log; exit 3; }}
"""


def figures(text):
    """{'level': 3.0, 'score': ..., 'memory': 0.93, ...} of a look at /metrics."""
    return {name or what: float(value)
            for what, name, value in re.findall(r'^plenum_pressure_(\w+)(?:\{input="(\w+)"\})? (\S+)$', text, re.MULTILINE)}


def wrong(cases):
    """Yields what is not as it should be."""
    calm, memory, freed, throttled, stalled = (
        figures(cases.get(name, "")) for name in ("calm", "memory", "freed", "throttled", "stalled"))
    if not 0.01 < calm.get("memory", 0) < 0.7 or calm.get("throttled", 1) > 0.5:
        yield f"calm: {calm}"
    if not 0.9 <= memory.get("memory", 0) < 1 or memory["level"] < 3 or 'cause="memory"' not in cases["memory"]:
        yield f"with 188 of 200 MB in use: {memory}"
    if abs(freed.get("memory", 9) - calm.get("memory", 0)) > 0.1:
        yield f"after it was freed: {freed}"
    if throttled.get("throttled", 0) < 0.3 or throttled["throttled"] <= calm.get("throttled", 0):
        yield f"with a spinner in the group: {throttled}"


    if stalled.get("psi_memory", 0) < 0.2:
        yield f"with somebody in the group who waits for memory all the time: {stalled}"


def main():
    plenum = sys.argv[1]
    script = SCRIPT.format(plenum=plenum, ready_s=READY_S_MAX, settle_s=SETTLE_S)
    try:
        result = guest.run(2, script, [plenum], timeout_s=100)
    except guest.Unavailable as reason:
        print(f"skipped: {reason}")
        return guest.SKIPPED
    cases = dict(part.split("\n", 1) for part in result.output.split("case ")[1:])
    problems = list(wrong(cases))
    if problems or result.status != 0:
        print(result.output)
    print("\n".join(problems))
    print({name: figures(text) for name, text in cases.items()})
    print(f"status {result.status} after {result.seconds:.1f} s")
    return 1 if problems or result.status != 0 else 0


if __name__ == "__main__":
    sys.exit(main())
