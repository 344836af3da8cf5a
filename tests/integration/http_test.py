"""What a browser, a proxy, a monitor and a stranger get from the server over HTTP and HTTPS.

PLENUM_SERVER names the program to test.
"""

import concurrent.futures
import json
import os
import pathlib
import re
import select
import socket
import ssl
import subprocess
import tempfile
import time

from pair import OFFER
from plenum_server import Server
from raw_http import Connection, get, metrics, metrics_by_shard, open_fds, request, until
from whip_peer import SDP, send

ROOT = pathlib.Path(__file__).resolve().parents[2]
PAGES = ROOT / "web-demo"
DOCUMENT = ROOT / "docs/signaling.md"
TYPES = {".html": "text/html; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8",
         ".svg": "image/svg+xml"}
SLOW_S_MAX = 13  # the server's own bound is 10, and a sanitizer's build is slow
CONNECTIONS, SPARE_CONNECTIONS = 64, 256  # WebSockets allowed, and TCP connections beside them


def page_is_whole(server):
    """Every file of the page comes byte for byte, with a type that browsers take, and all that it refers to is there."""
    files = [path for path in PAGES.iterdir() if path.is_file()]
    assert len(files) > 5
    for file in files:
        answer = get(server, f"/{file.name}")
        assert (answer.status, answer["content-type"]) == (200, TYPES[file.suffix]), file.name
        assert answer.body == file.read_bytes(), file.name
        references = re.findall(rb"""(?:href|src)="([^":#]+)"|(?:from|import) ["']([^"']+)["']""", answer.body)
        if file.suffix in (".html", ".js"):
            for reference in filter(None, (b"".join(pair).decode() for pair in references)):
                assert get(server, "/" + reference.removeprefix("./").lstrip("/")).status == 200, (file.name, reference)
    assert get(server, "/").body == (PAGES / "index.html").read_bytes()
    assert get(server, "/index.html?room=kitchen").status == 200


def copies_are_kept(server):
    """A browser that has the file already is told so without a body; one that has another gets the file."""
    whole = get(server, "/plenum.js")
    etag = whole["etag"]
    assert whole["cache-control"] == "no-cache" and re.fullmatch(r'"[^"]+"', etag), whole.fields
    assert etag != get(server, "/style.css")["etag"]
    for known in (etag, f"W/{etag}", f'"other", {etag}', "*"):
        again = get(server, "/plenum.js", fields=[f"If-None-Match: {known}"])
        assert (again.status, again.body, again["etag"]) == (304, b"", etag), known
        assert again["content-length"] is None and again["cache-control"] == "no-cache"
    for unknown in ('"other"', etag.strip('"'), etag[:-2] + '"', ""):
        assert get(server, "/plenum.js", fields=[f"If-None-Match: {unknown}"]).status == 200, unknown


def head_is_get_without_body(server):
    """A monitor that asks with HEAD gets what GET would say, and the connection can be used again."""
    for path, status in (("/", 200), ("/live", 200), ("/nothing", 404)):
        with Connection(server) as connection:
            connection.send(request(path, "HEAD"))
            head = connection.answer("HEAD")
            connection.send(request(path))
            body = connection.answer()
            assert head.status == body.status == status and head.fields == body.fields
            assert int(head["content-length"]) == len(body.body)


def methods_are_named(server):
    """Who posts to a page is told what is allowed, and nothing of the body is taken for a second request."""
    for method in ("POST", "PUT", "DELETE", "OPTIONS", "PATCH"):
        with Connection(server) as connection:
            body = request("/live")
            connection.send(request("/", method, [f"Content-Length: {len(body)}"]) + body)
            answer = connection.answer()
            assert (answer.status, answer["allow"]) == (405, "GET, HEAD"), method
            assert connection.is_closed_within(5)


def strange_paths_lead_nowhere(server):
    """No spelling of a path gets a file that is no page."""
    inside = ("/../../etc/passwd", "/%2e%2e/%2e%2e/etc/passwd", "/..%2f..%2fetc/passwd", "//etc/passwd", "/.git/config",
              "/%2fetc/passwd", "/..\\..\\etc\\passwd", "/index.html/", "/live/", "/a" * 500, "/%ff%fe", "/" + "a" * 3000)
    for path in inside:
        assert get(server, path).status == 404, path
    for path in ("/%zz", "index.html", "*", "/" + "a" * 100000):
        answer = get(server, path)
        assert answer is None or answer.status in (400, 403, 404, 414, 431), path


def a_nul_byte_is_no_end_of_a_path(server):
    """What stands before an escaped NUL is not taken for the path that was meant: behind a slash it is a mistake with an
    answer; elsewhere libwebsockets reads no further and ends the connection at once."""
    before = metrics(server)
    for method in ("GET", "POST", "PATCH", "DELETE", "OPTIONS"):
        for path, status in (("/%00live", 400), ("/v1/whip/r/%00abc", 400), ("/v1/whep/%00abc", 400), ("/live%00", None),
                             ("/v1/whip/a%00b", None), ("/v1/whip%00/a", None), ("/v1/whep/a?name=x%00y", None)):
            with Connection(server) as connection:
                connection.send(request(path, method, ["Content-Type: application/sdp", "Content-Length: 0"]))
                answer = connection.answer(method)
                assert (answer and answer.status) == status, (method, path, answer and answer.status)
                assert connection.is_closed_within(5), (method, path)
    assert metrics(server)["plenum_rooms"] == before["plenum_rooms"]


def long_cookies_are_no_obstacle(server):
    """Browsers send localhost's cookies to every port: what other programs of a developer keep there must not hide us."""
    assert get(server, "/", fields=["Cookie: " + "a" * 12000]).status == 200
    assert get(server, "/live", fields=[f"X-Field-{i}: {i}" for i in range(100)]).status == 200


def oversized_heads_end(server):
    """A head without end costs the sender the connection, and nobody else a thing."""
    for fields in (["Cookie: " + "a" * 1000000], [f"X-Field-{i}: {i}" for i in range(50000)]):
        with Connection(server) as connection:
            try:
                connection.send(request("/live", fields=fields))
            except ConnectionError:
                pass
            assert connection.is_closed_within(5)


def garbage_ends(server):
    """What is no HTTP is refused at once."""
    for data in (b"\0" * 100, b"\xff" * 5000, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"a" * 500, b"GET\r\n\r\n",
                 b"BREW / HTTP/1.1\r\nHost: a\r\n\r\n", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
                 b"CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n"):
        with Connection(server) as connection:
            connection.send(data)
            assert connection.is_closed_within(5), data[:20]


def pipelined_requests_are_answered_in_order(server):
    """A client may send many requests before it reads; slow reading changes no byte."""
    files = sorted(path for path in PAGES.iterdir() if path.is_file())
    with Connection(server) as connection:
        connection.send(b"".join(request(f"/{file.name}") for file in files) + request("/live"))
        for file in files:
            assert connection.answer().body == file.read_bytes(), file.name
        assert connection.answer().body == b"ok\n"


def slow_senders_are_cut_off(server):
    """Nobody holds a connection by sending next to nothing: all at the same time, a byte a second each."""
    half = b"GET / HTTP/1.1\r\nX-Half: "
    body = request("/", fields=["Content-Length: 100000"])
    cases = {"silent": (b"", b""), "half a head": (half, b""), "a head that drips": (half, b"a"),
             "a body that drips": (body, b"a"), "a body that never comes": (body, b""),
             "a chunked body": (request("/live", fields=["Transfer-Encoding: chunked"]), b"1\r\na\r\n"),
             "kept alive": (request("/live"), b"")}
    waiting = {}
    for name, (first, drip) in cases.items():
        connection = Connection(server)
        connection.send(first)
        waiting[connection.socket] = (name, drip, connection)
    end_s = drip_s = time.monotonic()
    end_s += SLOW_S_MAX
    while waiting and time.monotonic() < end_s:
        for ready in select.select(list(waiting), [], [], 1)[0]:
            try:
                is_open = ready.recv(65536)
            except ConnectionError:
                is_open = False
            if not is_open:
                waiting.pop(ready)[2].close()
        if time.monotonic() - drip_s >= 1:
            drip_s = time.monotonic()
            for _, drip, connection in waiting.values():
                try:
                    connection.send(drip)
                except ConnectionError:
                    pass  # seen by select
    assert not waiting, [name for name, _, _ in waiting.values()]


def idle_connections_are_bounded(server):
    """A page opens however many connections do nothing; over the bound the oldest of them is closed; all is given back."""
    before = open_fds(server)
    idle = [Connection(server) for _ in range(SPARE_CONNECTIONS)]
    assert get(server, "/").status == 200
    idle += [Connection(server) for _ in range(2 * CONNECTIONS)]
    assert get(server, "/").status == 200
    assert idle[0].is_closed_within(5) and not idle[-1].is_closed_within(0)
    assert open_fds(server) <= before + SPARE_CONNECTIONS + CONNECTIONS
    for connection in idle:
        connection.close()
    until(lambda: open_fds(server) <= before, "descriptors of closed connections are given back")
    assert metrics(server)["plenum_connections_displaced_total"] > 0


def metrics_are_prometheus(server):
    """The exposition parses: each family has its HELP and TYPE before its samples, and drops and faults have names."""
    answer = get(server, "/metrics")
    assert answer["content-type"].startswith("text/plain; version=0.0.4"), answer.fields
    assert answer.body.endswith(b"\n")
    helped, types, samples = set(), {}, {}
    for line in answer.body.decode().splitlines():
        if match := re.fullmatch(r"# HELP ([a-z_][a-z0-9_]*) \S.*", line):
            assert match[1] not in helped, line
            helped.add(match[1])
        elif match := re.fullmatch(r"# TYPE ([a-z_][a-z0-9_]*) (counter|gauge|histogram)", line):
            assert match[1] not in types and match[1] in helped, line
            types[match[1]] = match[2]
            family = match[1]
        else:
            match = re.fullmatch(r'([a-z_][a-z0-9_]*)(\{[a-z_]+="[^"\\]*"(?:,[a-z_]+="[^"\\]*")*\})? ([0-9.e+]+)', line)
            parts = ("_bucket", "_sum", "_count") if types[family] == "histogram" else ("",)
            assert match and match[1] in [family + part for part in parts], line
            assert match[1] + (match[2] or "") not in samples, line
            samples[match[1] + (match[2] or "")] = float(match[3])
            assert (types[family] == "counter") == family.endswith("_total"), f"{family} is misnamed"
    assert helped == set(types)
    # A sum beside its parts would be counted twice by every query that sums.
    summed = {name.split("{")[0] for name in samples if "shard=" in name}
    assert not summed & samples.keys()
    documented = re.findall(r"^\| `([a-z_]+)` \| ", DOCUMENT.read_text().split("## Errors")[1].split("##")[0], re.M)
    assert len(documented) > 10
    shards = int(samples["plenum_shards"])
    assert shards >= 1
    of_shards = (f'{begin}shard="{shard}"}}' for shard in range(shards) for begin in (
        'plenum_drops_total{reason="srtp_auth",', 'plenum_drops_total{reason="srtp_replay",', "plenum_participants{",
        'plenum_drops_total{reason="stun_unauthorized",', 'plenum_drops_total{reason="rtp_muted",', "plenum_rtp_out_total{"))
    for name in (*(f'plenum_faults_total{{code="{code}"}}' for code in documented), *of_shards, "plenum_ready", "plenum_rooms"):
        assert name in samples, f"{name} is missing; there are {sorted(samples)}"
    assert samples["process_open_fds"] > 3 and samples["process_resident_memory_bytes"] > 1e6
    assert abs(samples["process_start_time_seconds"] - time.time()) < 600
    more = metrics_by_shard(server)
    assert all(more[name] >= value for name, value in samples.items() if types.get(name.split("{")[0]) != "gauge")
    assert more["plenum_http_requests_total"] == samples["plenum_http_requests_total"] + 1


def stray_datagrams_are_counted_by_reason(server):
    """An operator sees what is dropped, and why."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        before = metrics(server)
        udp.sendto(b"\x7fnonsense", ("127.0.0.1", server.media_port))
        until(lambda: sum(value - before[name] for name, value in metrics(server).items()
                          if name.startswith("plenum_drops_total")) == 1, "the drop is counted")


def health_is_told(server):
    """Probes get a status that needs no body, and never a copy."""
    for path in ("/live", "/ready"):
        answer = get(server, path)
        assert (answer.status, answer.body, answer["cache-control"]) == (200, b"ok\n", "no-store")
    upgrade = get(server, "/v1/ws")
    assert (upgrade.status, upgrade["upgrade"]) == (426, "websocket")


def answers_are_not_mixed_up(server):
    """What one is told is not overwritten by what the server does for others before it has gone out."""
    paths, rounds = ("/ready", "/live", "/metrics", "/index.html"), 10
    for _ in range(rounds):
        asking = [(path, Connection(server)) for path in paths * 5]
        for path, connection in asking:
            connection.send(request(path))
        for path, connection in asking:
            with connection:
                body = connection.answer().body
            assert len(body) > 1000 if path in ("/metrics", "/index.html") else body == b"ok\n", (path, body)


def headers_protect_the_page(server):
    """Nothing foreign runs in the page or frames it, and it may talk to its own server alone."""
    answer = get(server, "/")
    policy = dict(part.strip().split(" ", 1) for part in answer["content-security-policy"].split(";"))
    assert policy["default-src"] == policy["frame-ancestors"] == policy["base-uri"] == policy["form-action"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == "'self'"
    assert policy["connect-src"] == "'self' ws://plenum.test wss://plenum.test"
    assert b"<script>" not in answer.body and b"style=" not in answer.body and b"onclick=" not in answer.body
    for path in ("/", "/plenum.js", "/live", "/metrics", "/nothing"):
        assert get(server, path)["x-content-type-options"] == "nosniff", path
    with Connection(server) as connection:
        connection.send(b"GET / HTTP/1.1\r\nHost: a; script-src *\r\n\r\n")
        assert "script-src *" not in connection.answer()["content-security-policy"]


def other_sites_may_load_the_library(server):
    """A page elsewhere imports plenum.js; the metrics are not for it."""
    assert get(server, "/plenum.js", fields=["Origin: https://elsewhere.test"])["access-control-allow-origin"] == "*"
    assert get(server, "/metrics", fields=["Origin: https://elsewhere.test"])["access-control-allow-origin"] is None


def page_may_go_where_it_is_sent():
    """drain.move_to: the page's call goes on there, so the browser must let it connect."""
    for url, socket in (("https://other.test:8443", "wss://other.test:8443"), ("http://[::1]:80", "ws://[::1]:80")):
        with Server({"drain.move_to": url}) as server:
            policy = get(server, "/")["content-security-policy"]
            assert f"connect-src 'self' ws://plenum.test wss://plenum.test {url} {socket};" in policy, policy


def folder_is_served():
    """http.root: a page's author edits and reloads; nothing outside of the folder is served, whatever links there are."""
    with tempfile.TemporaryDirectory() as folder:
        root = pathlib.Path(folder, "pages")
        (root / "deep").mkdir(parents=True)
        pathlib.Path(folder, "secret.txt").write_text("secret")
        (root / "index.html").write_text("first")
        (root / "deep/empty.js").write_text("")
        (root / "big.bin").write_bytes(bytes(range(256)) * 4096)
        (root / "out.txt").symlink_to("../secret.txt")
        (root / "outside").symlink_to("..")
        (root / "within.html").symlink_to("index.html")
        (root / ".hidden").write_text("hidden")
        os.mkfifo(root / "pipe")
        with Server({"http.root": root}) as server:
            first = get(server, "/")
            (root / "index.html").write_text("second")
            second = get(server, "/", fields=[f"If-None-Match: {first['etag']}"])
            assert (first.body, second.status, second.body) == (b"first", 200, b"second")
            assert get(server, "/within.html").body == b"second"
            assert get(server, "/big.bin").body == (root / "big.bin").read_bytes()
            empty = get(server, "/deep/empty.js")
            assert (empty.status, empty.body) == (200, b"")
            for path in ("/out.txt", "/outside/secret.txt", "/../secret.txt", "/.hidden", "/pipe", "/deep", "/deep/"):
                assert get(server, path).status == 404, path


def make_certificate(folder, name):
    cert, key = folder / f"{name}.crt", folder / f"{name}.key"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", key,
                    "-out", cert, "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"],
                   check=True, capture_output=True)
    return cert, key


def https_is_served():
    """With a certificate all is HTTPS; who comes with plain HTTP is shown the way, and holds nothing open."""
    with tempfile.TemporaryDirectory() as folder:
        cert, key = make_certificate(pathlib.Path(folder), "own")
        with Server({"http.tls_cert": cert, "http.tls_key": key}) as server:
            assert server.url.startswith("https://")
            with Connection(server, ssl.create_default_context(cafile=cert)) as connection:
                connection.send(request("/plenum.js"))
                assert connection.answer().body == (PAGES / "plenum.js").read_bytes()
            with Connection(server) as connection:
                assert connection.socket.version() in ("TLSv1.2", "TLSv1.3")

            plain = type("Plain", (), {"host": server.host, "port": server.port, "url": "http://"})
            with Connection(plain) as connection:
                connection.send(request("/index.html?a=b"))
                answer = connection.answer()
                assert answer and answer.status == 307, answer
                assert answer["location"] == "https://plenum.test/", answer.fields
                assert connection.is_closed_within(5)
            published = send(server, "POST", "/v1/whip/kitchen", OFFER, SDP)
            assert published.status == 201 and send(server, "DELETE", published["location"]).status == 200
            refused = send(plain, "POST", "/v1/whip/kitchen", OFFER, SDP)
            assert (refused.status, json.loads(refused.body)["code"]) == (403, "unsupported"), refused.body
            refused = send(plain, "GET", "/v1/admin/media", fields=["Authorization: Bearer 0123456789abcdef"])
            assert (refused.status, json.loads(refused.body)["code"]) == (403, "unsupported"), refused.body
            upgrade = ["Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 13",
                       "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==", "Sec-WebSocket-Protocol: plenum.v1"]
            with Connection(plain) as connection:
                connection.send(request("/v1/ws", fields=upgrade))
                answer = connection.answer()
                assert answer and answer.status == 403, "a token must not travel in clear by a mistake"
            with Connection(plain) as silent, Connection(plain) as half:
                half.send(b"\x16\x03\x01\x02\x00\x01")
                assert get(server, "/live").status == 200
                assert half.is_closed_within(SLOW_S_MAX) and silent.is_closed_within(SLOW_S_MAX)


def refuses(settings, code, *words):
    """The server does not start with these settings, ends with code, and says each of the words in its last line."""
    pairs = [word for key, value in settings.items() for word in ("--set", f"{key}={value}")]
    ended = subprocess.run([os.environ["PLENUM_SERVER"], "--set", "http.listen=127.0.0.1:0", "--set", "media.port=0", *pairs],
                           capture_output=True, text=True, timeout=20, check=False)
    assert ended.returncode == code, (settings, ended)
    last = ended.stderr.strip().splitlines()[-1]
    assert last.startswith("plenum: ") and all(word in last for word in words), (settings, last)


def wrong_certificates_are_explained():
    """Who mistakes a certificate learns which key of the configuration it is, and the server does not start."""
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        cert, key = make_certificate(folder, "own")
        other_key = make_certificate(folder, "other")[1]
        text = folder / "text.pem"
        text.write_text("no PEM at all\n")
        refuses({"http.tls_cert": cert}, 2, "http.tls_cert is set", "http.tls_key is not")
        refuses({"http.tls_key": key}, 2, "http.tls_key is set", "http.tls_cert is not")
        refuses({"http.tls_cert": cert, "http.tls_key": folder / "none.key"}, 2, "http.tls_key", "none.key", "No such file")
        refuses({"http.tls_cert": cert, "http.tls_key": other_key}, 1, "plenum: --set: http.tls_cert", "http.tls_key", "belong together")
        refuses({"http.tls_cert": text, "http.tls_key": key}, 1, "http.tls_cert", "PEM")
        refuses({"http.tls_cert": cert, "http.tls_key": text}, 1, "http.tls_key", "PEM")
        refuses({"http.tls_cert": cert, "http.tls_key": folder}, 1, "http.tls_key", "PEM")


WITH_SERVER = (page_is_whole, copies_are_kept, head_is_get_without_body, methods_are_named, strange_paths_lead_nowhere,
               a_nul_byte_is_no_end_of_a_path, long_cookies_are_no_obstacle, oversized_heads_end, garbage_ends,
               pipelined_requests_are_answered_in_order,
               metrics_are_prometheus, stray_datagrams_are_counted_by_reason, health_is_told, answers_are_not_mixed_up,
               headers_protect_the_page, other_sites_may_load_the_library, idle_connections_are_bounded, slow_senders_are_cut_off)
ALONE = (page_may_go_where_it_is_sent, folder_is_served, https_is_served, wrong_certificates_are_explained)


def run(tests, *arguments):
    for test in tests:
        test(*arguments)
        print(f"ok: {test.__name__}: {test.__doc__.splitlines()[0]}", flush=True)


def run_with_server():
    with Server({"limits.connections": CONNECTIONS}) as server:
        run(WITH_SERVER, server)


def main():
    # At the same time, because both wait for the server's patience to end.
    with concurrent.futures.ThreadPoolExecutor() as pool:
        for running in (pool.submit(run_with_server), pool.submit(run, ALONE)):
            running.result()


main()
