#!/usr/bin/env python3
"""The thread sanitizer's tree leaves out the test programs that make no thread, because it can find nothing in them.  Here the
programs themselves are asked: each that can make a thread is in the list, and each in the list can.

usage: threads_test.py "LISTED;LISTED..." NAME=PROGRAM...
"""
import re
import subprocess
import sys

MAKES_A_THREAD = re.compile(r" U (pthread_create|thrd_create|timer_create|_?_?clone)\b")


def main():
    listed = set(sys.argv[1].split(";"))
    programs = dict(word.split("=", 1) for word in sys.argv[2:])
    able = {name for name, program in programs.items()
            if MAKES_A_THREAD.search(subprocess.run(["nm", "-D", program], check=True, capture_output=True, text=True).stdout)}
    for name in sorted(able - listed):
        print(f"{name} can make threads: add it to PLENUM_UNITS_WITH_THREADS in tests/CMakeLists.txt, so that tsan sees it")
    for name in sorted(listed - able):
        print(f"{name} makes no thread: take it out of PLENUM_UNITS_WITH_THREADS in tests/CMakeLists.txt")
    if able == listed:
        print(f"of {len(programs)} programs {len(able)} can make threads, and tsan sees them")
    return 0 if able == listed and len(able) > 3 else 1


if __name__ == "__main__":
    sys.exit(main())
