"""config/prometheus and config/grafana against a real Prometheus that watches the real server under load: each alert fires when it should,
and each query of the rules, the alerts and the dashboard gives numbers.

PLENUM_PROMETHEUS names the folder with Debian's prometheus and promtool (./dev test unpacks them there); else they are looked for in PATH.
Without them only the names are compared.
"""

import contextlib
import json
import math
import os
import pathlib
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request

from plenum_server import DEFAULT_BINARY, Server
from raw_http import get

ROOT = pathlib.Path(__file__).resolve().parents[2]
LOAD = os.environ.get("PLENUM_LOAD") or DEFAULT_BINARY.with_name("plenum-load")
RULES, ALERTS = "plenum.rules.yml", "plenum.alerts.yml"
UNIT_TESTS = pathlib.Path(__file__).with_name("alerts.yml")
SKIPPED = 77
DATA_S_MAX = 30  # until all queries have data; a quiet machine takes 6
WINDOW = re.compile(r"\$__rate_interval")


def tool(name):
    """Its path, or None."""
    folder = os.environ.get("PLENUM_PROMETHEUS")
    path = pathlib.Path(folder, name) if folder else None
    return path if path and path.exists() else shutil.which(name)


def expressions(path):
    """{"record or alert": expr} of a file of rules; a YAML reader is not needed for what we write ourselves."""
    text = re.sub(r"expr: >-\n((?: {10,}.+\n)+)", lambda match: "expr: " + " ".join(match[1].split()) + "\n", path.read_text())
    found = dict(re.findall(r"- (?:record|alert): (\S+)\n +expr: (.+)\n", text))
    assert len(found) == len(re.findall(r"- (?:record|alert):", text)) > 5, f"{path}: a rule was not understood"
    return found


def queries_of_dashboard():
    """{"panel: legend": expr}, of a server that is called whatever it is called."""
    dashboard = json.loads((ROOT / "config/grafana/plenum.json").read_text())
    queries = {}
    for panel in dashboard["panels"]:
        for target in panel.get("targets", []):
            queries[f'{panel["title"]}: {target["refId"]}'] = WINDOW.sub("1m", target["expr"]).replace("$instance", ".+")
    assert len(queries) > 40 and not any("$" in expr for expr in queries.values())
    return queries


def queries_of_alerts():
    """What they compare must be there while all is well, too: with bool a comparison is 0 or 1 instead of nothing."""
    return {name: re.sub(r" (==|!=|<=|>=|<|>) ", r" \1 bool ", expr)
            for name, expr in expressions(ROOT / "config/prometheus" / ALERTS).items()}


def check_names(server):
    """Each metric that is asked for, or written about, is in /metrics, or is recorded."""
    text = get(server, "/metrics").body.decode()
    told = set(re.findall(r"^# TYPE (\S+)", text, re.MULTILINE))
    recorded = expressions(ROOT / "config/prometheus" / RULES)
    for name, expr in {**recorded, **queries_of_alerts(), **queries_of_dashboard()}.items():
        for metric in re.findall(r"\b(?:plenum|process)[_:][a-z0-9_:]+", re.sub(r'"[^"]*"', "", expr)):
            base = re.sub(r"_(bucket|sum|count)$", "", metric)
            assert metric in told or base in told or metric in recorded, f"{name}: nobody tells {metric}"
        for label, values in re.findall(r'\b(\w+)=~?"([^"]+)"', expr):
            for value in values.split("|") if label not in ("job", "instance") else ():
                assert f'{label}="{value}"' in text, f"{name}: no {label} is {value}"
    page = (ROOT / "web-demo/status.js").read_text()
    for metric, label in re.findall(r"\.by\('(\w+)', '(\w+)'\)", page):
        assert re.search(rf'^{metric}{{(?:.*,)?{label}="', text, re.MULTILINE), f"status.js: {metric} has no label {label}"
    for path in [*sorted((ROOT / "docs").glob("*.md")), ROOT / "web-demo/status.js", ROOT / "README.md"]:
        for metric in re.findall(r"\bplenum_[a-z0-9_]*[a-z0-9]\b(?![*_])", path.read_text()):
            base = re.sub(r"_(bucket|sum|count)$", "", metric)
            assert metric in told or base in told, f"{path}: nobody tells {metric}"


def run(program, *arguments, **options):
    done = subprocess.run([program, *arguments], capture_output=True, text=True, timeout=60, check=False, **options)
    assert done.returncode == 0, (arguments, done.stdout, done.stderr)
    return done.stdout


def check_files(promtool):
    """The files are well formed; each alert fires for the reason that it is for, and not before (alerts.yml)."""
    run(promtool, "check", "config", ROOT / "config/prometheus/prometheus.yml")
    untested = [name for name in expressions(ROOT / "config/prometheus" / ALERTS) if f"alertname: {name}\n" not in UNIT_TESTS.read_text()]
    assert not untested, untested
    run(promtool, "test", "rules", UNIT_TESTS)


def check_exposition(promtool, server):
    """What Prometheus' own reader says of /metrics: nothing of its form, and of its style only what we mean to do."""
    text = get(server, "/metrics").body.decode()
    done = subprocess.run([promtool, "check", "metrics"], input=text, capture_output=True, text=True, timeout=60, check=False)
    complaints = [line for line in (done.stdout + done.stderr).splitlines() if line and not re.search(
        r"use base unit|no help text|metric names should not contain abbreviated units", line)]
    assert not complaints, complaints


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


@contextlib.contextmanager
def watching(prometheus, server):
    """A Prometheus as config/prometheus has it, only quicker; yields what answers queries."""
    with tempfile.TemporaryDirectory() as folder:
        for name in (RULES, ALERTS):
            shutil.copy(ROOT / "config/prometheus" / name, folder)
        text = (ROOT / "config/prometheus/prometheus.yml").read_text()
        changed = text.replace('"127.0.0.1:8080"', f'"{server.host}:{server.port}"').replace("15s", "300ms")
        assert changed.count("300ms") == 2 and f":{server.port}" in changed
        config, log, port = pathlib.Path(folder, "prometheus.yml"), pathlib.Path(folder, "log"), free_port()
        config.write_text(changed)
        with open(log, "w", encoding="utf-8") as file:
            process = subprocess.Popen([prometheus, f"--config.file={config}", f"--storage.tsdb.path={folder}/data", "--log.level=warn",
                                        f"--web.listen-address=127.0.0.1:{port}"], stdout=file, stderr=subprocess.STDOUT)
        try:
            yield lambda expr: ask(port, expr)
        except BaseException:
            print(log.read_text())
            raise
        finally:
            process.terminate()
            process.wait(20)


def ask(port, expr):
    """The finite numbers that a query gives now."""
    url = f"http://127.0.0.1:{port}/api/v1/query?" + urllib.parse.urlencode({"query": expr})
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:
            body = json.load(answer)
    except urllib.error.HTTPError as error:
        if error.code == 503:
            return []  # it starts
        raise AssertionError(f"{expr}: {error.read().decode()}") from error
    except OSError:
        return []  # it does not listen yet
    assert body["status"] == "success" and body["data"]["resultType"] == "vector", body
    return [value for value in (float(sample["value"][1]) for sample in body["data"]["result"]) if math.isfinite(value)]


@contextlib.contextmanager
def loaded(server, **options):
    words = [f"--{key}={value}" for key, value in {"url": server.url, "settle": 0, "duration": 90, **options}.items()]
    process = subprocess.Popen([LOAD, *words], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        yield
        assert process.poll() is None, f"plenum-load ended with {process.returncode}: {process.stdout.read()}"
    finally:
        process.terminate()
        process.communicate(timeout=20)


def check_queries(prometheus, server):
    recorded = {name: name for name in expressions(ROOT / "config/prometheus" / RULES)}
    left = {**recorded, **queries_of_alerts(), **queries_of_dashboard()}
    count = len(left)
    with watching(prometheus, server) as query, loaded(server, room="talk", publishers=6, receivers=4, slots=3), \
            loaded(server, room="mix", publishers=3, receivers=3, audio="mixed"), \
            loaded(server, room="join", publishers=0, receivers=200, ramp=4):  # somebody joins all the time
        end_s = time.monotonic() + DATA_S_MAX
        while left and time.monotonic() < end_s:
            time.sleep(0.3)
            left = {name: expr for name, expr in left.items() if not query(expr)}
        assert not left, f"{len(left)} of {count} queries give no numbers: {json.dumps(left, indent=1)}"
        assert query("sum(plenum_sessions)")[0] > 16
        assert query("plenum_unheard_of") == []
        firing = query('ALERTS{alertstate="firing",severity="page"}')
        assert not firing, "a page of a healthy server"
    return count


def main():
    promtool, prometheus = tool("promtool"), tool("prometheus")
    with Server({"canary.interval_s": 1}) as server:
        check_names(server)
        if promtool is None or prometheus is None:
            print("names compared; no prometheus and promtool (./dev test fetches them), so nothing else")
            return SKIPPED
        check_files(promtool)
        check_exposition(promtool, server)
        print(f"{check_queries(prometheus, server)} queries give numbers")
    return 0


if __name__ == "__main__":
    sys.exit(main())
