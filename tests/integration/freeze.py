"""Stops one thread of another process, as a fault in it would, and lets it go on: by ptrace, so the server needs no switch for it.

It must be a descendant of the caller, or the caller root."""

import ctypes
import os
import pathlib

PTRACE_DETACH, PTRACE_SEIZE, PTRACE_INTERRUPT = 17, 0x4206, 0x4207
WALL = 0x40000000  # __WALL: threads, too

_libc = ctypes.CDLL(None, use_errno=True)
_libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
_libc.ptrace.restype = ctypes.c_long


def _ptrace(request, tid):
    if _libc.ptrace(request, tid, None, None) != 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))


def threads(pid):
    """The threads' ids by their names."""
    tasks = pathlib.Path(f"/proc/{pid}/task").iterdir()
    return {(task / "comm").read_text(encoding="ascii").strip(): int(task.name) for task in tasks}


class Frozen:
    """with Frozen(server.pid, "shard-1"): that thread does nothing.  All of it from one thread of the caller's."""

    def __init__(self, pid, name):
        self.tid = threads(pid)[name]

    def __enter__(self):
        _ptrace(PTRACE_SEIZE, self.tid)
        _ptrace(PTRACE_INTERRUPT, self.tid)
        os.waitpid(self.tid, WALL)
        return self

    def __exit__(self, *_):
        try:
            _ptrace(PTRACE_DETACH, self.tid)
        except ProcessLookupError:  # it has ended with its process, which cannot before this is heard of
            os.waitpid(self.tid, WALL)
