"""The log of the real server, as a machine reads it: each line is JSON, says what an operator has to know, and a flood fills no disk."""

import json
import os
import pathlib
import re
import subprocess
import time

from admin_api import hold_level
from plenum_server import DEFAULT_BINARY, Server
from raw_http import metrics, until

LOAD = os.environ.get("PLENUM_LOAD") or DEFAULT_BINARY.with_name("plenum-load")
ROOT = pathlib.Path(__file__).resolve().parents[2]
TOKEN = "a-token-of-thirty-two-characters"
FLOOD = 150


def load(server, **options):
    words = [f"--{key}={value}" for key, value in {"url": server.url, "settle": 0, "duration": 1, "publishers": 0, **options}.items()]
    return subprocess.run([LOAD, *words], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, check=False)


def lines(server, message):
    return [line for line in map(json.loads, server.log) if line["msg"] == message]


def pressure_is_told(server):
    """Each change of the level is a line, a rise to where people are refused a warning; who did it is in it."""
    for level in ("high", "critical", "elevated"):
        count = len(lines(server, "the pressure has another level"))
        hold_level(server, TOKEN, level)
        until(lambda: len(lines(server, "the pressure has another level")) > count, f"the level {level} is told")
    hold_level(server, TOKEN, "nominal")
    told = lines(server, "the pressure has another level")
    assert [(line["level"], line["by"]) for line in told if line["by"] == "hand"][:3] == [
        ("warning", "hand"), ("warning", "hand"), ("info", "hand")], told
    assert [line["to"] for line in told if line["by"] == "hand"][:3] == ["high", "critical", "elevated"], told
    assert all(float(line["score"]) >= 0 and line["cause"] for line in told)


def refusals_are_told(server):
    """A flood of refusals is a line a second for each reason, and their counts add up."""
    began_s = time.monotonic()
    load(server, receivers=FLOOD, retries=0, room="full")
    refused = metrics(server)['plenum_refusals_total{reason="server_full"}']
    assert refused > FLOOD / 2, refused
    until(lambda: sum(line["count"] for line in lines(server, "joins are refused")) == refused, "all refusals are told")
    told = lines(server, "joins are refused")
    assert {line["reason"] for line in told} == {"server_full"} and len(told) <= 2 + time.monotonic() - began_s, told


def floods_are_counted(server):
    """Joins and leaves beyond the rate are left out, and how many is told although none comes any more."""
    load(server, receivers=FLOOD, room="flood")
    until(lambda: metrics(server)["plenum_log_left_out_total"] == sum(json.loads(line).get("left_out", 0) for line in server.log),
          "what was left out is told", seconds=30)
    assert metrics(server)["plenum_log_left_out_total"] > FLOOD / 2
    assert len(server.log) < 2 * FLOOD


def documented_lines_are_there():
    """docs/operating.md names lines and fields by which operators search: each is one that the source writes."""
    source = "".join(path.read_text() for path in sorted((ROOT / "signaling").glob("*.c")))
    section = (ROOT / "docs/operating.md").read_text().split("## The log")[1].split("\n## ")[0]
    rows = re.findall(r"^\| `([^`]+)`(?: N ms)? \| [a-z, ]+ \| (.*)\|$", section, re.MULTILINE)
    assert len(rows) >= 15, rows
    for message, fields in rows:
        at = source.find(f'"{message}')
        assert at >= 0, message
        for field in re.findall(r"`(\w+)`", re.sub(r"`plenum_\w+`", "", fields)):
            assert re.search(rf'PL_LOG_(TEXT|NUMBER)\("{field}"', source), (message, field)


def main():
    documented_lines_are_there()
    settings = {"log.format": "json", "admin.token": TOKEN}
    with Server({**settings, "limits.participants": 10}) as server:
        pressure_is_told(server)
        refusals_are_told(server)
    with Server(settings) as server:
        floods_are_counted(server)
        assert server.stop() == 0
        assert all({"time", "level", "msg"} <= json.loads(line).keys() for line in server.log)
        assert json.loads(server.log[-1])["msg"] == "ended"


if __name__ == "__main__":
    main()
