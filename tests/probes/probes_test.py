#!/usr/bin/env python3
"""The probes that docs/operating.md promises are in the program, with as many arguments, at instructions that do nothing; and each
line of bpftrace there uses what exists.

usage: probes_test.py SOURCE_DIR PLENUM
"""
import pathlib
import re
import subprocess
import sys

NOPS = {"X86-64": b"\x90", "AArch64": b"\x1f\x20\x03\xd5"}


def documented(root):
    """{probe: (how many arguments, its line)} of the table."""
    rows = {}
    for line in (root / "docs/operating.md").read_text().splitlines():
        match = re.fullmatch(r"\| `(\w+)` \| (.+?) \| `(bpftrace .+)` \|", line)
        if match:
            name, arguments, command = match.groups()
            rows[name] = (len(re.sub(r"\(.*?\)", "", arguments).split(":")[0].split(",")), command)
    return rows


def commented(root):
    """The same of media/trace.h, whose readers write code."""
    table = re.search(r"probe +arguments\n(.*?) \*\n", (root / "media/trace.h").read_text(), re.DOTALL)[1]
    lines = [re.fullmatch(r" \* {5}(\w+) +(.+)", line).groups() for line in table.splitlines()]
    return {name: len(arguments.split(":")[0].split(",")) for name, arguments in lines}


def in_program(program):
    """[(probe, how many arguments, its address)]"""
    text = subprocess.run(["readelf", "--notes", "--wide", program], check=True, capture_output=True, text=True).stdout
    return [(name, len(arguments.split()), int(address, 16)) for name, address, arguments in re.findall(
        r"Provider: plenum\s+Name: (\w+)\s+Location: (0x[0-9a-f]+).*\s+Arguments: *(.*)", text)]


def bytes_at(program, address, size):
    """What the program's code is at this address."""
    segments = subprocess.run(["readelf", "--segments", "--wide", program], check=True, capture_output=True, text=True).stdout
    for offset, start, length in re.findall(r"LOAD +(0x\w+) +(0x\w+) +0x\w+ +(0x\w+) .*R E", segments):
        at = address - int(start, 16)
        if 0 <= at < int(length, 16):
            with open(program, "rb") as file:
                file.seek(int(offset, 16) + at)
                return file.read(size)
    return b""


def machine_of(program):
    header = subprocess.run(["readelf", "--file-header", program], check=True, capture_output=True, text=True).stdout
    return next(name for name in NOPS if name in header)


def main():
    root, program = pathlib.Path(sys.argv[1]), sys.argv[2]
    rows, there, nop = documented(root), in_program(program), NOPS[machine_of(program)]
    wrong = []
    for name in sorted(rows.keys() | {name for name, _, _ in there} | commented(root).keys()):
        counts = {count for probe, count, _ in there if probe == name} | {rows.get(name, (None,))[0], commented(root).get(name)}
        if len(counts) != 1:
            wrong.append(f"{name}: the program, docs/operating.md and media/trace.h differ in whether it is there, or in its arguments: {counts}")
    for name, _, address in there:
        if bytes_at(program, address, len(nop)) != nop:
            wrong.append(f"{name}: at {address:#x} is no nop, but {bytes_at(program, address, len(nop)).hex()}")
    for name, (_, command) in rows.items():
        used = re.findall(r"usdt:PLENUM:plenum:(\w+)([^}]*\})", command)
        if name not in [probe for probe, _ in used]:
            wrong.append(f"{name}: its line does not watch it")
        for probe, action in used:
            if "%d" in action and probe in ("join_refused", "gone"):  # bpftrace's %d is signed, and half of all sources would be negative
                wrong.append(f"{name}: its line writes a room or a source with %d; they are told by %u")
            over = [number for number in map(int, re.findall(r"\barg(\d)\b", action)) if number >= rows.get(probe, (0,))[0]]
            if over:
                wrong.append(f"{name}: its line takes arguments {over} of {probe}, which are not there")
    print("\n".join(wrong) or f"{len(there)} probes of {len(rows)} kinds are as documented")
    return 1 if wrong or len(rows) < 8 else 0


if __name__ == "__main__":
    sys.exit(main())
