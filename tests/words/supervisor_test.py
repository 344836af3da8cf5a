"""Whoever ends a server by its supervisor waits as long as the server may take: what the examples give it, and what the manual says, is the sum of
the deadline, the goodbyes, and the wait for a thread that hangs.

argv: the source folder.
"""

import pathlib
import re
import sys

ROOT = pathlib.Path(sys.argv[1])


def number(path, pattern):
    (found,) = re.findall(pattern, (ROOT / path).read_text())
    return int(found)


def main():
    deadline_s = number("config/plenum.yaml", r"\n  deadline_s: (\d+)\n")
    goodbye_s = number("signaling/server.h", r"PL_SERVER_END_MS_MAX = (\d+)000 ")
    hung_s = number("signaling/main.c", r"END_S_MAX = (\d+)")
    given_s = number("docker/compose.yaml", r"\n    stop_grace_period: (\d+)s\n")
    assert given_s > deadline_s + goodbye_s + hung_s, f"docker/compose.yaml: {given_s} s of {deadline_s} + {goodbye_s} + {hung_s}"
    said_s = number("docs/operating.md", r"Give the supervisor (\d+) s more than that")
    assert said_s > goodbye_s + hung_s, f"docs/operating.md: {said_s} s of {goodbye_s} + {hung_s}"
    print(f"{given_s} s for {deadline_s} + {goodbye_s} + {hung_s}")


main()
