"""The real server in a process of its own, on ports that nobody else has."""

import json
import os
import pathlib
import re
import signal
import subprocess
import threading

READY_S_MAX = 20
STOP_S_MAX = 10
DEFAULT_BINARY = pathlib.Path(__file__).resolve().parents[2] / "build/release/plenum"


def in_words(line):
    """A line of the log as text, also with log.format=json."""
    if not line.startswith("{"):
        return line
    fields = json.loads(line)
    return " ".join([fields.pop("msg"), *(f"{key}={value}" for key, value in fields.items())])


class Server:
    """with Server() as server: server.url is "http://127.0.0.1:41234".

    settings: keys of the configuration over the test's own, such as {"limits.rooms": 1}.  arguments: more of the command
    line.  binary: else PLENUM_SERVER of the environment, else the release build's.  options: of subprocess.Popen."""

    def __init__(self, settings=None, arguments=(), binary=None, **options):
        # A machine that is busy with tests is under pressure: what a server takes away then is the matter of tests of their own.
        # Many tests count packets, and one that is about the canary asks for it.
        all_settings = {"http.listen": "127.0.0.1:0", "media.port": "0", "pressure.level": "nominal",
                        "drain.deadline_s": 0, "canary.interval_s": 0, **(settings or {})}
        pairs = [word for key, value in all_settings.items() for word in ("--set", f"{key}={value}")]
        self.log = []
        options = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, **options}
        self.process = subprocess.Popen([binary or os.environ.get("PLENUM_SERVER") or DEFAULT_BINARY, *pairs, *arguments],
                                        stderr=subprocess.PIPE, text=True, **options)
        self._is_ready = threading.Event()
        self._ready_line = None
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        if not self._is_ready.wait(READY_S_MAX) or self._ready_line is None:
            self.process.kill()
            self.process.wait()
            raise AssertionError("the server was not ready; it said:\n" + "\n".join(self.log))
        host, self.port = re.search(r" http=(\S+):(\d+)", self._ready_line).groups()
        self.media_port = int(re.search(r" udp=(\d+)", self._ready_line)[1])
        self.shards = int(re.search(r" shards=(\d+)", self._ready_line)[1])
        self.ready_ms = float(re.search(r"ready in ([\d.]+) ms", self._ready_line)[1])
        scheme = re.search(r" url=(https?)://", self._ready_line)[1]
        self.host, self.port = host.strip("[]"), int(self.port)
        self.url = f"{scheme}://{host}:{self.port}"
        self.pid = self.process.pid

    def _read(self):
        for line in self.process.stderr:
            self.log.append(line.rstrip("\n"))
            if "ready in " in line:
                self._ready_line = in_words(line)
                self._is_ready.set()
        self._is_ready.set()

    def tasks(self):
        """The folders of its threads in /proc."""
        return list(pathlib.Path(f"/proc/{self.pid}/task").iterdir())

    def stop(self, with_signal=signal.SIGTERM):
        """Asks it to end, and returns its exit code (negative: the signal that killed it)."""
        if self.process.poll() is None:
            self.process.send_signal(with_signal)
        try:
            code = self.process.wait(STOP_S_MAX)
        except subprocess.TimeoutExpired:
            self.process.kill()
            code = self.process.wait()
        self._reader.join()
        return code

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        code = self.stop()
        if kind is not None:
            print("\n".join(self.log))
        elif code != 0:
            raise AssertionError(f"the server ended with {code}; it said:\n" + "\n".join(self.log))
