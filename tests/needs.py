"""What the tests need beside the compiler, asked once before them: each piece that is missing is named, with where to get it,
and the tests that need it are not run (ctest's fixtures) instead of failing in words of their own.

usage: needs.py clients            the programs and Python modules of tests/integration
       needs.py browsers NODE      those of tests/e2e
       needs.py sanitizer PROGRAM  whether a program with a sanitizer in it starts here
"""

import importlib
import os
import pathlib
import re
import resource
import shutil
import subprocess
import sys

E2E = pathlib.Path(__file__).resolve().parent / "e2e"
MODULES = {"numpy": "python3-numpy", "aioice": "python3-aioice", "aiortc": "python3-aiortc", "audioop": "Python's own until 3.12",
           "gi": "python3-gi"}
PROGRAMS = {"espeak-ng": "espeak-ng", "openssl": "openssl", "ldd": "libc-bin", "prlimit": "util-linux"}
# Elements of the pipelines of gstreamer_peer.py, and what webrtcbin makes for itself.
ELEMENTS = {"webrtcbin": "gstreamer1.0-plugins-bad", "dtlssrtpenc": "gstreamer1.0-plugins-bad", "srtpenc": "gstreamer1.0-plugins-bad",
            "nicesrc": "gstreamer1.0-nice", "rtpbin": "gstreamer1.0-plugins-good", "rtpopuspay": "gstreamer1.0-plugins-good",
            "opusenc": "gstreamer1.0-plugins-base", "audiotestsrc": "gstreamer1.0-plugins-base"}
FILES_MIN = 4096  # a load of 800 clients, and a server of 8192 connections that says so if it has less
NODE_MIN = 18


def missing_modules():
    for module, package in MODULES.items():
        try:
            importlib.import_module(module)
        except ImportError as error:
            yield f"the Python module {module} of {sys.executable} ({package}): {error}"


def missing_elements():
    try:
        import gi
        for name in ("Gst", "GstSdp", "GstWebRTC"):
            gi.require_version(name, "1.0")
        from gi.repository import Gst, GstSdp, GstWebRTC  # noqa: F401
    except ImportError:
        return  # is told as a module
    except ValueError as error:
        yield f"GStreamer for Python (gir1.2-gstreamer-1.0, gir1.2-gst-plugins-bad-1.0): {error}"
        return
    Gst.init(None)
    for element, package in ELEMENTS.items():
        if Gst.ElementFactory.find(element) is None:
            yield f"the GStreamer element {element} ({package})"


def missing_programs(programs):
    for program, package in programs.items():
        if shutil.which(program) is None:
            yield f"the program {program} ({package})"


def missing_for_clients():
    yield from missing_modules()
    yield from missing_elements()
    yield from missing_programs(PROGRAMS)
    files = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    if files != resource.RLIM_INFINITY and files < FILES_MIN:
        yield f"file descriptors: {files} are allowed, the tests open {FILES_MIN} (ulimit -Hn, or --ulimit nofile of a container)"


def missing_for_browsers(node):
    found = shutil.which(node)
    version = subprocess.run([found, "--version"], capture_output=True, text=True, check=False).stdout.strip() if found else ""
    number = re.match(r"v(\d+)\.", version)
    if number is None or int(number[1]) < NODE_MIN:
        yield f"Node {NODE_MIN} or newer: {node} is {version or 'none'} (nodejs)"
    yield from missing_programs({os.environ.get("PLENUM_CHROMIUM", "/usr/bin/chromium"): "chromium",
                                 os.environ.get("PLENUM_FIREFOX", "/usr/bin/firefox-esr"): "firefox-esr",
                                 "ip": "iproute2", "unshare": "util-linux"})
    if not (E2E / "node_modules/puppeteer-core/package.json").exists():
        yield "the browsers' driver: npm ci --ignore-scripts in tests/e2e"


def missing_for_sanitizer(program):
    try:
        done = subprocess.run([program, "--version"], capture_output=True, text=True, check=False)
    except OSError as error:
        yield f"{program}: {error.strerror}"
        return
    if done.returncode == 0:
        return
    yield f"{program} does not start here: {(done.stderr or f'exit status {done.returncode}').strip().splitlines()[0]}"
    if "unexpected memory mapping" in done.stderr:
        yield "the kernel puts memory where this sanitizer has its own: sysctl vm.mmap_rnd_bits=28"


def main():
    ask = {"clients": missing_for_clients, "browsers": missing_for_browsers, "sanitizer": missing_for_sanitizer}[sys.argv[1]]
    lines = list(ask(*sys.argv[2:]))
    for line in lines:
        print(f"missing: {line}")
    if lines:
        print("./dev test installs what Debian has of it")
    else:
        print("nothing is missing")
    return 1 if lines else 0


if __name__ == "__main__":
    sys.exit(main())
