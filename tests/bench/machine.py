"""What the system benchmark asks of the machine: cores, a network namespace of its own, the rule that drops what receivers
would get, and what a process has cost."""

import atexit
import contextlib
import os
import pathlib
import re
import shutil
import subprocess
import sys

NICE = -15
NAMESPACE_MARK = "PLENUM_BENCH_NAMESPACE"


class Leave(Exception):
    """A part of the benchmark that cannot be had here, and why."""


class Failed(Exception):
    """A load that a server did not carry, or plenum-load did not."""


def enter_namespace():
    """Starts this program again in a network namespace that has nothing but a loopback: no firewall of the machine is in
    the way, and ours is in nobody's.  Without root it stays where it is."""
    if os.environ.get(NAMESPACE_MARK) or os.geteuid() != 0 or not shutil.which("unshare"):
        return
    os.environ[NAMESPACE_MARK] = "1"
    os.execvp("unshare", ["unshare", "--net", sys.executable, *sys.argv])


def raise_loopback():
    if os.environ.get(NAMESPACE_MARK):
        subprocess.run(["ip", "link", "set", "lo", "up"], check=True)


def take_precedence():
    """Whoever else is on this machine disturbs less: all that is started from here on comes first.  Where the scheduler
    groups processes by session (sched(7), autogroup), the group's own niceness decides."""
    if os.geteuid() != 0:
        return
    os.setpriority(os.PRIO_PROCESS, 0, NICE)
    group = pathlib.Path("/proc/self/autogroup")
    if group.exists():
        before = re.search(r"nice (-?\d+)", group.read_text())[1]
        with contextlib.suppress(OSError):
            group.write_text(str(NICE))
            atexit.register(group.write_text, before)


def add_address(address):
    """An address of this namespace that is no loopback's, though its packets go through the loopback all the same."""
    if not os.environ.get(NAMESPACE_MARK):
        raise Leave("it wants a network namespace, which root can have")
    for words in (["link", "add", "bench0", "type", "veth", "peer", "name", "bench1"], ["link", "set", "bench0", "up"],
                  ["link", "set", "bench1", "up"], ["addr", "add", f"{address}/32", "dev", "bench0"]):
        done = subprocess.run(["ip", *words], capture_output=True, text=True, check=False)
        if done.returncode != 0 and not any(word in done.stderr for word in ("exists", "already")):
            raise Leave(f"ip {' '.join(words)}: {done.stderr.strip()}")


def cannot_drop():
    """Why the receivers' cost cannot be taken out, or None."""
    if not os.environ.get(NAMESPACE_MARK):
        return "the receivers' cost can only be taken out by root"
    if not shutil.which("nft"):
        return "the receivers' cost is taken out by nft, which is missing: apt-get install nftables"
    return None


class Dropped:
    """with Dropped("20000-20999") as dropped: RTP to these ports goes no further than the first hook of the loopback's
    receiving side.  STUN and DTLS pass: the first two bits of RTP are its version, 2 (RFC 3550 section 5.1)."""

    def __init__(self, ports):
        self.ports = ports

    def __enter__(self):
        text = f"""table inet bench {{
  chain media {{
    type filter hook prerouting priority raw;
    udp dport {self.ports} @th,64,2 2 counter drop
  }}
}}
"""
        done = subprocess.run(["nft", "-f", "-"], input=text, text=True, capture_output=True, check=False)
        if done.returncode != 0:
            raise Leave("nft does not take the rule: " + " ".join(done.stderr.split())[:200])
        return self

    def messages(self):
        """Dropped so far; a train counts once."""
        text = subprocess.run(["nft", "list", "table", "inet", "bench"], text=True, capture_output=True, check=True).stdout
        return int(re.search(r"counter packets (\d+)", text)[1])

    def __exit__(self, *_):
        subprocess.run(["nft", "delete", "table", "inet", "bench"], check=False)


def two_cores():
    """The server's and the load's; with a single one both get it, and figures of time are worth little."""
    cores = sorted(os.sched_getaffinity(0))
    return cores[0], cores[1 % len(cores)]


def pinned(cores, command):
    return ["taskset", "-c", ",".join(map(str, sorted(set(cores)))), *map(str, command)]


def cpu_ns(pid):
    """CPU time of all threads of a process, to the nanosecond (field 1 of schedstat)."""
    return sum(int((task / "schedstat").read_text().split()[0]) for task in pathlib.Path(f"/proc/{pid}/task").iterdir())


def resident_kb(pid):
    return int(re.search(r"VmRSS:\s+(\d+) kB", pathlib.Path(f"/proc/{pid}/status").read_text())[1])
