"""On a machine of several nodes each shard has a core, and its memory is on that core's node.

The unit tests of topology and memory ask the kernel (move_pages(2)) about every page; on a machine of one node they
cannot fail.  So they run in guests of 2 and 4 nodes.

usage: placement_test.py NODES TOPOLOGY_TEST MEMORY_TEST
"""

import sys

import guest

PER_NODE = 2  # CPUs, so that nodes and CPUs are not the same number
HUGE_PAGES_PER_NODE = 8


def main():
    nodes, topology_test, memory_test = int(sys.argv[1]), sys.argv[2], sys.argv[3]
    # The second line is the harness's own test: it must be able to fail.
    script = f"""
        PLENUM_NODES={nodes} {topology_test} || exit 1
        PLENUM_NODES={nodes + 1} {topology_test} >/dev/null 2>&1 && exit 2
        {memory_test} || exit 3
        echo 0 >/proc/sys/vm/nr_hugepages
        {memory_test} || exit 4
        echo never >/sys/kernel/mm/transparent_hugepage/enabled
        {memory_test} || exit 5
    """
    try:
        result = guest.run(nodes, script, [topology_test, memory_test], [guest.ROOT / "tests/sfu/topology"],
                           cpus_per_node=PER_NODE, huge_pages=nodes * HUGE_PAGES_PER_NODE)
    except guest.Unavailable as reason:
        print(f"skipped: {reason}")
        return guest.SKIPPED
    print(result.output)
    print(f"{nodes} nodes: status {result.status} after {result.seconds:.1f} s")
    return 0 if result.status == 0 and result.output.count("PASSED") == 4 else 1


if __name__ == "__main__":
    sys.exit(main())
