"""A machine of several NUMA nodes that this one has not: a guest under qemu's emulation, which runs a script with
programs of this machine and hands back its exit status and output.

    result = guest.run(nodes=2, script=f"{program} --flag", programs=[program])
    assert result.status == 0, result.output

Everything is emulated: assert placement and correctness, never time.  A boot takes 3 to 8 seconds.
"""

import dataclasses
import os
import pathlib
import re
import shlex
import shutil
import stat
import subprocess
import tempfile
import time

SKIPPED = 77  # the exit status that ctest takes for it
QEMU = "qemu-system-x86_64"
ROOT = pathlib.Path(__file__).resolve().parents[2]
KERNEL = pathlib.Path(os.environ.get("PLENUM_GUEST_KERNEL") or ROOT / "build/guest/vmlinuz")
# What a library opens while it runs, which its file does not tell: NSS, under Debian's libsrtp2, has its ciphers there, and
# libwebsockets its event loops.
OPENED_LATER = {"libnss3.so": ("libsoftokn3.so", "libfreebl3.so", "libfreeblpriv3.so"),
                "libwebsockets.so": ("libwebsockets-evlib_ev.so",)}
BEGIN, END = "guest: begin", "guest: end"

INIT = f"""#!/bin/busybox sh
export PATH=/bin HOME=/tmp
/bin/busybox --install -s /bin
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
mount -t cgroup2 cgroup2 /sys/fs/cgroup
ip link set lo up
cd /tmp
echo '{BEGIN}'
sh /script 2>&1
echo "{END} $?"
poweroff -f
"""


class Unavailable(Exception):
    """What this machine lacks to boot a guest, in words for the one who wonders why a test was skipped."""


@dataclasses.dataclass
class Result:
    status: int
    output: str
    seconds: float


def find(program, package):
    path = shutil.which(program)
    if path is None:
        raise Unavailable(f"{program} is missing: apt-get install {package}")
    return path


class Archive:
    """An initramfs in the "newc" format (Documentation/driver-api/early-userspace/buffer-format.rst of Linux)."""

    def __init__(self):
        self.data = bytearray()
        self.names = set()
        self.inode = 0

    def _entry(self, name, mode, content=b"", device=(0, 0)):
        self.inode += 1
        fields = (self.inode, mode, 0, 0, 1, 0, len(content), 0, 0, *device, len(name) + 1, 0)
        self.data += b"070701" + b"".join(b"%08X" % field for field in fields) + name.encode() + b"\0"
        self.data += bytes(-len(self.data) % 4) + content
        self.data += bytes(-len(self.data) % 4)

    def _folder(self, path):
        for folder in [*reversed(path.parents), path]:
            name = str(folder).lstrip("/")
            if name not in self.names and name not in ("", "."):
                self.names.add(name)
                self._entry(name, stat.S_IFDIR | 0o755)

    def folder(self, path):
        self._folder(pathlib.PurePosixPath(path))

    def file(self, path, content, mode=0o644):
        path = pathlib.PurePosixPath(path)
        if str(path) in self.names:
            return
        self._folder(path.parent)
        self.names.add(str(path))
        self._entry(str(path).lstrip("/"), stat.S_IFREG | mode, content)

    def copy(self, path):
        """A file or a folder with all that is in it, at its own place."""
        path = pathlib.Path(path).absolute()
        for one in sorted(path.rglob("*")) if path.is_dir() else [path]:
            if one.is_file():
                self.file(one, one.read_bytes(), 0o755 if os.access(one, os.X_OK) else 0o644)

    def program(self, path):
        """The same, with the libraries it is linked with."""
        self.copy(path)
        listed = subprocess.run(["ldd", path], capture_output=True, text=True, check=False).stdout
        for library in re.findall(r"(/\S+) \(0x", listed):
            if str(pathlib.Path(library).absolute()) in self.names:
                continue
            self.copy(library)
            file = pathlib.Path(library)
            soname = file.name[:file.name.index(".so") + 3]
            for name in OPENED_LATER.get(soname, ()):
                for folder in (file.parent, file.parent / "nss", file.resolve().parent):
                    if (folder / name).is_file():
                        self.program(folder / name)

    def finish(self):
        self._entry("TRAILER!!!", 0)
        return self.data


def initramfs(script, programs, files):
    archive = Archive()
    for folder in ("/bin", "/dev", "/proc", "/sys", "/tmp"):
        archive.folder(folder)
    archive.file("/init", INIT.encode(), 0o755)
    archive.file("/script", script.encode())
    archive.file("/bin/busybox", pathlib.Path(find("busybox", "busybox-static")).read_bytes(), 0o755)
    archive._entry("dev/console", stat.S_IFCHR | 0o600, device=(5, 1))
    for program in programs:
        archive.program(program)
    for file in files:
        archive.copy(file)
    return archive.finish()


def command_line(nodes, cpus_per_node, node_mb, huge_pages, initrd):
    cpus = nodes * cpus_per_node
    line = [QEMU, "-accel", "tcg,thread=single", "-machine", "q35", "-bios", "qboot.rom", "-cpu", "max",
            "-smp", f"{cpus},sockets={nodes},cores={cpus_per_node},threads=1", "-m", str(nodes * node_mb)]
    for node in range(nodes):
        line += ["-object", f"memory-backend-ram,id=memory{node},size={node_mb}M",
                 "-numa", f"node,nodeid={node},memdev=memory{node}", "-numa", f"cpu,node-id={node},socket-id={node}"]
    kernel = ("console=ttyS0 quiet panic=-1 mitigations=off nokaslr no_timer_check tsc=reliable "
              f"hugepagesz=2M hugepages={huge_pages}")
    return line + ["-kernel", KERNEL, "-initrd", initrd, "-append", kernel, "-nodefaults", "-no-reboot",
                   "-display", "none", "-monitor", "none", "-serial", "stdio"]


def run(nodes, script, programs=(), files=(), cpus_per_node=1, node_mb=192, huge_pages=0, timeout_s=60):
    """Boots a guest, runs script (busybox's sh) in it as root with loopback up, and powers it off.

    programs: paths that are there with the libraries they need; files: other files and folders.  All keep their paths.
    huge_pages: of 2 MiB, in all nodes together.  Raises Unavailable where no guest can be had."""
    find(QEMU, "qemu-system-x86")
    if os.uname().machine != "x86_64":
        raise Unavailable("guests are for x86-64 alone")
    if not KERNEL.is_file():
        raise Unavailable(f"the guests' kernel is missing at {KERNEL}: ./dev test fetches it")
    begun = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        initrd = pathlib.Path(folder) / "initramfs"
        initrd.write_bytes(initramfs(script, programs, files))
        line = command_line(nodes, cpus_per_node, node_mb, huge_pages, initrd)
        try:
            process = subprocess.run(line, stdin=subprocess.DEVNULL, capture_output=True, timeout=timeout_s, check=False)
            console = process.stdout + process.stderr
        except subprocess.TimeoutExpired as late:
            console = (late.stdout or b"") + b"\n(the guest did not end by itself)"
    text = console.decode(errors="replace").replace("\r", "")
    found = re.search(rf"{BEGIN}\n(.*){END} (\d+)\n", text, re.DOTALL)
    if found is None:
        raise AssertionError(f"the guest did not come to its end ({shlex.join(map(str, line))}); its console:\n{text}")
    return Result(int(found[2]), found[1], time.monotonic() - begun)
