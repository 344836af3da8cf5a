"""A control group of our own, of version 1 or 2, whichever the machine has: what it grants is what a container would have."""

import contextlib
import os
import pathlib

from raw_http import until

ROOT = pathlib.Path("/sys/fs/cgroup")
COUNTER = iter(range(1 << 30))


class Lacking(Exception):
    """This machine has no such control group for us; says why."""


def _folders(controller):
    """Where groups with that controller can be made, below this process's own first: [folder, is it version 2]."""
    own = dict(line.split(":", 2)[1:] for line in pathlib.Path("/proc/self/cgroup").read_text().splitlines())
    path = next((path for controllers, path in own.items() if controller in controllers.split(",")), "/")
    for folder in (pathlib.Path(f"{ROOT}/{controller}{path}"), ROOT / controller):
        if (folder / "cgroup.procs").exists():
            yield folder, False
    for unified in (pathlib.Path(f"{ROOT}{own.get('', '/none')}"), ROOT, ROOT / "unified"):
        listed = unified / "cgroup.controllers"
        if listed.exists() and controller in listed.read_text().split():
            with contextlib.suppress(OSError):
                (unified / "cgroup.subtree_control").write_text(f"+{controller}")
            yield unified, True


class Group:
    """with Group("cpu") as group: group.set_quota(...), and Popen(..., preexec_fn=group.enter)."""

    def __init__(self, controller):
        why = "it is not mounted"
        for folder, self.is_v2 in _folders(controller):
            self.path = folder / f"plenum-test-{os.getpid()}-{next(COUNTER)}"
            try:
                self.path.mkdir()
                return
            except OSError as error:
                why = str(error)
        raise Lacking(f"no control group with {controller} can be made here: {why}")

    def enter(self):
        """Of a child, before it becomes the program."""
        (self.path / "cgroup.procs").write_text(str(os.getpid()))

    def set_quota(self, share, period_us):
        """So much of one core in each period."""
        quota_us = int(share * period_us)
        try:
            if self.is_v2:
                (self.path / "cpu.max").write_text(f"{quota_us} {period_us}")
            else:
                (self.path / "cpu.cfs_period_us").write_text(str(period_us))
                (self.path / "cpu.cfs_quota_us").write_text(str(quota_us))
        except OSError as error:
            raise Lacking(f"no CPU quota can be set here: {error}") from error

    def set_memory(self, limit):
        """So many bytes."""
        try:
            (self.path / ("memory.max" if self.is_v2 else "memory.limit_in_bytes")).write_text(str(limit))
        except OSError as error:
            raise Lacking(f"no memory limit can be set here: {error}") from error

    def __enter__(self):
        return self

    def __exit__(self, *_):
        until(lambda: not (self.path / "cgroup.procs").read_text(), "all processes of the group have ended")
        self.path.rmdir()
