"""How soon a server is ready: from before exec, with defaults (but for its ports), until it says so."""

import os
import signal
import statistics
import time

import machine

RUNS = 50


def _start(binary):
    """Milliseconds until ready, and milliseconds of CPU of all its threads until then."""
    read, write = os.pipe()
    words = [binary, "--set", "http.listen=127.0.0.1:0", "--set", "media.port=0"]
    begun = time.monotonic()
    pid = os.posix_spawn(binary, words, os.environ,
                         file_actions=[(os.POSIX_SPAWN_DUP2, write, 1), (os.POSIX_SPAWN_OPEN, 2, "/dev/null", os.O_WRONLY, 0)])
    os.close(write)
    try:
        said = b""
        while b"Plenum is at" not in said:
            part = os.read(read, 4096)
            if not part:
                raise machine.Failed("the server did not become ready")
            said += part
        ready_ms = (time.monotonic() - begun) * 1e3
        tasks = [f"/proc/{pid}/task/{task}/schedstat" for task in os.listdir(f"/proc/{pid}/task")]
        return ready_ms, sum(int(open(task, encoding="ascii").read().split()[0]) for task in tasks) / 1e6
    finally:
        os.close(read)
        os.kill(pid, signal.SIGTERM)
        os.waitpid(pid, 0)


def run(bench):
    binary = str(bench.build / "plenum")
    _start(binary)  # the libraries are in memory from here on
    ready, cpu = zip(*(_start(binary) for _ in range(RUNS)))
    p95 = statistics.quantiles(ready, n=20)[18]
    figures = {"p50_ms": statistics.median(ready), "p95_ms": p95, "max_ms": max(ready), "cpu_ms": statistics.median(cpu)}
    bench.figures["start"] = figures
    print(f"start: ready {figures['p50_ms']:.1f} ms after exec, p95 {p95:.1f}, max {figures['max_ms']:.1f} "
          f"({RUNS} runs); CPU of all threads until then {figures['cpu_ms']:.1f} ms", flush=True)
    bench.goal("exec to ready with defaults, p95", 30, p95, "ms")
