#!/usr/bin/env python3
"""The mixer's kernels for aarch64, on a machine that is none: compiled by a cross compiler with the flags that the
build has for them, and run by qemu's emulation of the processor.  Each test is the one of this machine, from the same source.

Skipped (77), with a word, where compiler or emulation are not installed.

usage: neon_test.py SOURCE_DIR FLAG...     the flags of media/dsp_*.c
"""

import pathlib
import shutil
import subprocess
import sys
import tempfile

COMPILER, EMULATOR = "aarch64-linux-gnu-gcc", "qemu-aarch64"
LEVELS = ["media/dsp_plain.c", "media/dsp_neon.c"]
OTHERS = ["media/dsp.c", "media/limiter.c", "media/base.c", "media/rng.c", "sfu/io/denormals.c"]
TESTS = ["tests/media/dsp_test.c", "tests/media/limiter_test.c", "tests/sfu/denormals_test.c"]


def compiled(root, folder, source, flags=()):
    out = folder / (source.replace("/", "_") + ".o")
    include = [f"-I{root}", f"-I{root / 'tests' / 'foreign'}"]
    subprocess.run([COMPILER, "-std=gnu17", "-O2", "-D_GNU_SOURCE", "-Wall", "-Wextra", "-Wconversion", "-Werror", *include,
                    *flags, "-c", root / source, "-o", out], check=True)
    return out


def main():
    root, flags = pathlib.Path(sys.argv[1]), sys.argv[2:]
    for tool in (COMPILER, EMULATOR):
        if shutil.which(tool) is None:
            print(f"skipped: {tool} is not installed")
            return 77
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        objects = [compiled(root, folder, source, flags) for source in LEVELS]
        objects += [compiled(root, folder, source) for source in OTHERS]
        for test in TESTS:
            program = folder / pathlib.Path(test).stem
            subprocess.run([COMPILER, "-static", compiled(root, folder, test), *objects, "-lm", "-lpthread", "-o", program],
                           check=True)
            done = subprocess.run([EMULATOR, program], capture_output=True, text=True, timeout=100, check=False)
            print(done.stdout, done.stderr, end="")
            assert done.returncode == 0, f"{test} failed on aarch64"
            count = (root / test).read_text().count("\tcmocka_unit_test(")
            assert count > 0 and done.stdout.endswith(f"{count} tests passed\n"), f"{test} has not run {count} tests"
            assert "neon is left out" not in done.stdout
    return 0


if __name__ == "__main__":
    sys.exit(main())
