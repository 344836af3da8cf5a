"""What who runs the server meets: options and mistakes in them, signals, full tables, certificates, two servers, the local network.

PLENUM_SERVER names the program to test.
"""

import asyncio
import contextlib
import json
import os
import pathlib
import pty
import re
import resource
import select
import signal
import socket
import ssl
import subprocess
import sys
import tempfile

from pair import OFFER, Pair
from plenum_server import DEFAULT_BINARY, Server
from plenum_ws import WebSocket
from raw_http import Connection, get, metrics, open_fds, request, until

ROOT = pathlib.Path(__file__).resolve().parents[2]
NAMESPACE = ROOT / "tests/e2e/namespace.sh"
BINARY = os.environ.get("PLENUM_SERVER") or DEFAULT_BINARY
# And as Server does: how busy this machine is with tests is no matter of these.
ANY_PORTS = ("--set", "http.listen=127.0.0.1:0", "--set", "media.port=0", "--set", "pressure.level=nominal")
END_S_MAX = 3  # the server's own bound is two, and a sanitizer's build is slow
SAME_END_S = 0.5  # within which signals are one
OK, FAILED, USAGE, SKIPPED = 0, 1, 2, 77
FILES_FEW = 48


def plenum(*arguments, **options):
    """Runs to its end."""
    return subprocess.run([BINARY, *arguments], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=20, check=False,
                          **options)


def refuses(code, *arguments, words):
    """Ends with code, and says each of the words in one sentence on stderr, and nothing on stdout."""
    ended = plenum(*arguments)
    assert (ended.returncode, ended.stdout) == (code, ""), (arguments, ended)
    last = ended.stderr.strip().splitlines()[-1]
    missing = [word for word in words if word not in last]
    assert last.startswith("plenum: ") and not missing, (arguments, last, missing)


def options_are_told():
    """--help names every option and key, --version one line; neither needs anything of the machine."""
    asked = plenum("--help")
    assert (asked.returncode, asked.stderr) == (OK, "") and asked.stdout.startswith("usage: plenum"), asked
    for word in ("--config", "--set", "--lan", "--qr", "--print-config", "--version", "--help"):
        assert f"  {word}" in asked.stdout, word
    section, keys = None, []
    for line in (ROOT / "config/plenum.yaml").read_text().splitlines():
        if match := re.fullmatch(r"(\w+):", line):
            section = match[1]
        elif match := re.fullmatch(r"  (\w+): \S+", line):
            keys.append(f"{section}.{match[1]}")
    assert len(keys) > 10
    for key in keys:
        assert f"\n  {key}=" in asked.stdout, key
    assert max(map(len, asked.stdout.splitlines())) <= 130, "help fits a window"
    assert plenum("-h").stdout == asked.stdout
    version = plenum("--version")
    assert version.returncode == OK and re.fullmatch(r"plenum \d+\.\d+\.\d+\n", version.stdout), version
    assert plenum("--help", "--set", "http.tls_cert=/none").returncode == OK, "help is given whatever else is wrong"


def mistakes_are_located():
    """A wrong option, file, key or value is refused before anything is opened: where it stands, what it is, what would be right."""
    refuses(USAGE, "--frobnicate", words=["--frobnicate", "--help"])
    refuses(USAGE, "start", words=["start", "--help"])
    refuses(USAGE, "--config", words=["--config wants a value"])
    refuses(USAGE, "--set", words=["--set wants a value"])
    refuses(USAGE, "--set", "media.port", words=["media.port", "key=value"])
    refuses(USAGE, "--set", "media.prot=1", words=["media.prot", "did you mean media.port?"])
    refuses(USAGE, "--set", "media.port=70000", words=["media.port", "70000", "0 to 65000"])
    refuses(USAGE, "--set", "http.listen=nowhere", words=["http.listen", '"nowhere"', "127.0.0.1:8080"])
    refuses(USAGE, "--set", "log.level=loud", words=["log.level", "error|warning|info|debug"])
    refuses(USAGE, "--set", "http.root=/none/such", words=["http.root", "/none/such", "No such file"])
    refuses(USAGE, "--config", "/none/such.yaml", words=["/none/such.yaml", "cannot be read", "No such file"])
    cases = {"media:\n  port: abc\n": [":2: media.port:", '"abc"', "0 to 65000"],
             "media:\n  port: 1\n  prot: 2\n": [":3: media.prot:", "did you mean media.port?"],
             "mediaa:\n  port: 1\n": [":1: mediaa:", "did you mean media?"],
             "log:\n  level: info\n  format: [text]\n": [":3: log.format:", "a list"],
             "http:\n\tlisten: x\n": [":2: ", "not YAML"],
             "http:\n  tls_cert: /none/such\n": [":2: http.tls_cert is set", "http.tls_key is not"],
             "http:\n  tls_cert: /none/such\n  tls_key: /dev/null\n": [":2: http.tls_cert:", '"/none/such"', "No such file"],
             "http:\n\n  root: /none/such\n": [":3: http.root:", "No such file"],
             "limits:\n  rooms: 5\n  rooms: 6\n": [":3: limits.rooms:", "second time", "line 2"]}
    with tempfile.TemporaryDirectory() as folder:
        file = pathlib.Path(folder, "mine.yaml")
        for text, words in cases.items():
            file.write_text(text)
            refuses(USAGE, "--config", str(file), words=[str(file) + words[0], *words[1:]])
        refuses(USAGE, "--config", folder, words=[folder, "directory"])


def settings_have_an_order():
    """The file is read over the defaults and --set over the file, wherever each stands; what is printed can be fed back."""
    with tempfile.TemporaryDirectory() as folder:
        file, again = pathlib.Path(folder, "mine.yaml"), pathlib.Path(folder, "again.yaml")
        file.write_text("media:\n  port: 9000\n  address: [192.0.2.1, '2001:db8::1']\nlog:\n  level: error\n")
        first = plenum("--set", "media.port=9001", "--config", str(file), "--print-config", "--set=limits.rooms=7")
        assert first.returncode == OK, first
        for line in ("  port: 9001", '  address: "192.0.2.1, 2001:db8::1"', '  level: "error"', "  rooms: 7", "  participants: 4096"):
            assert f"\n{line}\n" in first.stdout, line
        again.write_text(first.stdout)
        assert plenum(f"--config={again}", "--print-config").stdout == first.stdout
        assert plenum("--print-config").stdout == (ROOT / "config/plenum.yaml").read_text()
        file.write_text("http:\n  listen: 127.0.0.1:0\nmedia:\n  port: 0\nlimits:\n  connections: 1\n")
        with Server(arguments=("--config", str(file))) as server:
            assert get(server, "/live").status == 200


def taken_ports_are_named():
    """A second server on a port says at the start which key it is, who may have it, and what to do; two with ports of their own
    get along."""
    with Server() as one, Server() as two:
        refuses(FAILED, *ANY_PORTS, "--set", f"http.listen=127.0.0.1:{one.port}",
                words=[f"http.listen: 127.0.0.1:{one.port} is taken", f"--set http.listen=127.0.0.1:{one.port + 1}"])
        refuses(FAILED, *ANY_PORTS, "--set", f"media.port={one.media_port}",
                words=["media.port", f"UDP port {one.media_port} is in use", "--set media.port="])
        refuses(FAILED, *ANY_PORTS, "--set", "http.listen=192.0.2.1:8080", words=["http.listen", "192.0.2.1", "no address of this machine"])

        async def talk():
            pairs = await asyncio.gather(Pair.join(one), Pair.join(two))
            for pair in pairs:
                await pair.notice_nothing()
                await pair.leave()

        asyncio.run(talk())
        assert metrics(one)["plenum_joins_total"] == metrics(two)["plenum_joins_total"] == 2


async def ends(server, number, within_s=END_S_MAX):
    """Its exit code after this signal."""
    server.process.send_signal(number)
    return await asyncio.to_thread(server.process.wait, within_s)


async def signals_end_it():
    """SIGTERM and SIGINT: everybody is told `bye shutdown`, /ready says 503, who does not answer is not waited for longer than two
    seconds, and the exit code is 0."""
    for number in (signal.SIGTERM, signal.SIGINT):
        server = Server()
        pair = await Pair.join(server)
        silent = await WebSocket.open(server.url)
        silent.writer.transport.pause_reading()
        with Connection(server) as monitor:
            ending = asyncio.ensure_future(ends(server, number))
            for side in pair.sides:
                event = await side.event()
                assert (event["t"], event["code"], event["resumable"]) == ("bye", "shutdown", False), event
                assert await side.event() is None and side.websocket.close_code == 1001, side.websocket.close_code
            monitor.send(request("/ready"))
            answer = monitor.answer()
            assert answer.status == 503 and int(answer["retry-after"]) > 0, answer.fields
            late = get(server, "/v1/ws", fields=["Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 13",
                                                 "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="])
            assert late.status == 503 and late["retry-after"], late.fields
        assert await ending == OK
        silent.abort()
        assert [line for line in server.log if " ends " in line] and server.log[-1].endswith(" ended"), server.log[-3:]


async def an_idle_server_ends_at_once():
    """Nobody to say goodbye to: a restart takes no time."""
    server = Server()
    assert get(server, "/live").status == 200
    assert await ends(server, signal.SIGTERM, END_S_MAX / 2) == OK


def early_ends_are_clean():
    """A start that is taken back at once, again and again: threads that take their memory at the same time take it apart."""
    for _ in range(30):
        with Server():
            pass


async def a_second_signal_is_final():
    """Who presses Ctrl-C twice does not wait for clients that do not answer; it is an end in order all the same."""
    server = Server()
    silent = await WebSocket.open(server.url)
    silent.writer.transport.pause_reading()
    server.process.send_signal(signal.SIGINT)
    await asyncio.to_thread(until, lambda: any(" ends " in line for line in server.log), "the first signal is seen")
    await asyncio.sleep(SAME_END_S + 0.1)
    assert await ends(server, signal.SIGINT, END_S_MAX / 4) == OK
    silent.abort()


async def signals_at_once_are_one():
    """timeout(1) and shells tell the process and its group: the same end comes twice, and everybody is told goodbye."""
    server = Server()
    pair = await Pair.join(server)
    server.process.send_signal(signal.SIGINT)
    server.process.send_signal(signal.SIGTERM)
    ending = asyncio.ensure_future(ends(server, signal.SIGTERM))
    for side in pair.sides:
        event = await side.event()
        assert (event["t"], event["code"]) == ("bye", "shutdown"), event
        assert await side.event() is None and side.websocket.close_code == 1001, side.websocket.close_code
    assert await ending == OK


async def descriptors_run_out():
    """Without descriptors the server says so and goes on; those who talk do not notice, and who comes later gets in."""
    few = {"preexec_fn": lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (FILES_FEW, FILES_FEW))}
    with Server(**few) as server:
        assert any("fewer file descriptors than limits.connections needs" in line for line in server.log), server.log
        pair = await Pair.join(server)
        before = open_fds(server)
        idle = [socket.create_connection((server.host, server.port)) for _ in range(3 * FILES_FEW)]
        await asyncio.to_thread(until, lambda: any("connections cannot be accepted" in line for line in server.log), "it is said")
        for _ in range(20):
            await pair.notice_nothing()
        assert open_fds(server) <= FILES_FEW
        said = len(server.log)
        for connection in idle:
            connection.close()
        await asyncio.to_thread(until, lambda: open_fds(server) <= before, "the descriptors are back")
        assert get(server, "/").status == 200
        await pair.notice_nothing()
        await pair.leave()
        assert said < 60, "a full table is no flood of lines"


def full_by_its_own_limits_is_no_pressure():
    """All connections that limits.connections allows, and the descriptors that they are press nobody; only the kernel's limit would."""
    connections, spare, own, begins = 300, 256, 64, 0.70
    hard = {"preexec_fn": lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (1024, 4096))}
    with Server({"limits.connections": connections}, **hard) as server:
        assert not any("fewer file descriptors" in line for line in server.log), server.log
        soft = resource.prlimit(server.pid, resource.RLIMIT_NOFILE)[0]
        assert (connections + spare + own) / soft < begins, f"{soft} descriptors are all that a full server has"
        files = 'plenum_pressure_input{input="files"}'
        idle = [socket.create_connection((server.host, server.port)) for _ in range(300)]
        until(lambda: abs(metrics(server)[files] - open_fds(server) / soft) < 5 / soft, "it is measured against that")
        for connection in idle:
            connection.close()


def more_memory_than_there_is_is_refused():
    """Pools of packets that the machine, or the control group, has no memory for: a sentence with both figures, and not the kernel's
    SIGKILL; the doctor says it, too."""
    shards = 64
    packets = 1048576  # 1.9 GB each
    large = ("--set", f"media.shards={shards}", "--set", f"media.pool_packets={packets}")
    with tempfile.TemporaryDirectory() as folder:
        root = pathlib.Path(folder)
        (root / "proc").mkdir()
        (root / "proc/meminfo").write_text("MemTotal:       100000000 kB\n")
        words = ("media.pool_packets", "media.shards", f"{packets} packets", f"{shards} media threads", "MB", "/proc/meminfo")
        refuses(FAILED, *ANY_PORTS, *large, "--set", f"pressure.root={root}", words=words)
        (root / "proc/self").mkdir()
        (root / "proc/self/cgroup").write_text("0::/pod\n")
        (root / "proc/self/mountinfo").write_text("31 23 0:28 / /sys/fs/cgroup rw,relatime - cgroup2 cgroup2 rw\n")
        group = root / "sys/fs/cgroup/pod"
        group.mkdir(parents=True)
        (group / "memory.max").write_text("20000000\n")
        few = ("--set", "media.shards=1", "--set", "media.pool_packets=16384", "--set", f"pressure.root={root}")
        refuses(FAILED, *ANY_PORTS, *few, words=("16384 packets", "1 media thread", "17 MB", "/sys/fs/cgroup/pod/memory.max"))
        doctor = plenum("doctor", *ANY_PORTS, *few, "--json")
        assert doctor.returncode == 2 and "16384 packets" in doctor.stdout and "/pod/memory.max" in doctor.stdout, doctor
        (group / "memory.max").write_text("200000000\n")
        with Server({"media.shards": 1, "media.pool_packets": 16384, "pressure.root": str(root)}) as server:
            assert get(server, "/live").status == 200


def ipv6_is_served():
    """[::1] is an address like any other; [::] takes IPv4 too."""
    with socket.socket(socket.AF_INET6) as probe:
        try:
            probe.bind(("::1", 0))
        except OSError:
            print("ipv6_is_served: skipped, this machine has no IPv6")
            return
    with Server({"http.listen": "[::1]:0"}) as server:
        assert server.host == "::1" and f"url=http://[::1]:{server.port}" in server.log[0], server.log
        assert get(server, "/").status == 200
        asyncio.run(talk_once(server))
    with Server({"http.listen": "[::]:0"}) as server:
        for host in ("127.0.0.1", "::1"):
            server.host = host
            assert get(server, "/live").status == 200


async def talk_once(server):
    pair = await Pair.join(server)
    await pair.notice_nothing()
    await pair.leave()


@contextlib.contextmanager
def running(*arguments, **options):
    """A server of which stdout is read too: (process, url, what it printed).  Ended with SIGTERM, and its exit code checked."""
    with subprocess.Popen([BINARY, *ANY_PORTS, *arguments], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          text=True, **options) as process:
        try:
            first = process.stdout.readline()
            match = re.fullmatch(r"Plenum is at (\S+)\n", first)
            assert match, (first, process.stderr.read())
            yield process, match[1]
        finally:
            process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=20)
        assert process.returncode == OK, (process.returncode, err)
        process.said = (out, err.splitlines())


def log_has_levels_and_a_format():
    """log.level silences what is below it; with log.format=json each line is an object with the same fields, whatever a stranger
    sends."""
    async def come_and_go(url):
        websocket = await WebSocket.open(url)
        websocket.send_text(json.dumps({"t": "join", "id": 1, "v": 1, "room": 'a"\\\n', "sdp": OFFER}))
        await websocket.receive()
        websocket.send_text(json.dumps({"t": "join", "id": 1, "v": 1, "room": "log", "sdp": OFFER}))
        assert json.loads(await websocket.receive())["t"] == "welcome"
        websocket.send_text('{"t":"leave","id":2}')
        while await websocket.receive() is not None:
            pass

    lines = {}
    for level in ("error", "warning", "info", "debug"):
        with running("--set", f"log.level={level}", "--set", "log.format=json") as (process, url):
            asyncio.run(come_and_go(url))
        lines[level] = [json.loads(line) for line in process.said[1]]
        order = ["error", "warning", "info", "debug"]
        assert all(line["level"] in order[: order.index(level) + 1] for line in lines[level]), lines[level]
    assert lines["error"] == [] and lines["warning"] == [], lines["warning"]
    messages = [line["msg"] for line in lines["info"]]
    assert re.fullmatch(r"ready in \d+ ms", messages[0]) and messages[-2:] == ["ends", "ended"], messages
    assert {"joins", "leaves"} <= set(messages), messages
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", line["time"]) for line in lines["info"])
    assert len(lines["debug"]) >= len(lines["info"])


def closed_standard_files_are_no_trap():
    """A supervisor that closes stdin and stdout gets a server whose sockets are not taken for them: nothing is printed into a
    call."""
    def close():
        for fd in (0, 1):
            os.close(fd)

    with Server(preexec_fn=close) as server:
        for fd in (0, 1):
            assert os.readlink(f"/proc/{server.pid}/fd/{fd}") == "/dev/null"
        asyncio.run(talk_once(server))
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    process = subprocess.Popen([BINARY, *ANY_PORTS, "--set", f"http.listen=127.0.0.1:{port}"],
                               preexec_fn=lambda: [os.close(fd) for fd in (0, 1, 2)])
    server = type("Server", (), {"host": "127.0.0.1", "port": port, "url": f"http://127.0.0.1:{port}"})

    def answers():
        try:
            return get(server, "/live").status == 200
        except ConnectionRefusedError:
            return False

    until(answers, "a server without any standard file serves")
    process.terminate()
    assert process.wait(20) == OK


def a_pipe_that_breaks_is_no_end():
    """`plenum | head -1` goes on serving when the reader has left."""
    with running() as (process, url):
        process.stdout.close()
        process.stdout = None
        host, port = re.fullmatch(r"http://(\S+):(\d+)", url).groups()
        server = type("Server", (), {"host": host, "port": int(port), "url": url})
        assert get(server, "/live").status == 200


def the_local_network_is_served():
    """--lan: the address of the network with HTTPS, the certificate it made and keeps, and a QR code where it can be seen."""
    ran = subprocess.run([NAMESPACE, "/usr/bin/python3", __file__, "in-namespace"], capture_output=True, text=True, timeout=120,
                         check=False)
    if ran.returncode == SKIPPED:
        print(f"the_local_network_is_served: {ran.stdout.strip()}")
        return
    assert ran.returncode == OK, ran.stdout + ran.stderr


def read_terminal(terminal, wanted):
    """What is printed on it until wanted is there."""
    text = ""
    while wanted not in text:
        assert select.select([terminal], [], [], 20)[0], text
        text += os.read(terminal, 65536).decode(errors="replace")
    return text


def lan_in_namespace(address):
    with tempfile.TemporaryDirectory() as folder:
        environment = {**os.environ, "XDG_STATE_HOME": folder}
        cert, key = (pathlib.Path(folder, "plenum", f"lan.{kind}") for kind in ("crt", "key"))
        made = None
        for _ in range(2):
            with Server({"http.listen": ":0"}, ("--lan",), env=environment, stdout=subprocess.PIPE) as server:
                assert server.process.stdout.readline() == f"Plenum is at https://localhost:{server.port}\n"
                assert server.process.stdout.readline() == f"         and https://{address}:{server.port}\n"
                assert "certificate" in server.process.stdout.readline(), "no QR code, for it is no terminal"
                trusting = ssl.create_default_context(cafile=cert)
                for host in (address, "localhost"):
                    with socket.create_connection((address, server.port)) as plain:
                        with trusting.wrap_socket(plain, server_hostname=host) as secure:
                            secure.sendall(request("/") + request("/live"))
                            assert secure.recv(17) == b"HTTP/1.1 200 OK\r\n"
                server.url = server.url.replace("[::]", address)
                server.host = address
                asyncio.run(talk_once(server))
            assert key.stat().st_mode & 0o77 == 0 and key.parent.stat().st_mode & 0o77 == 0, "the key is the user's alone"
            assert made is None or cert.read_bytes() == made, "a phone that went on once goes on again"
            made = cert.read_bytes()

        terminal, its_end = pty.openpty()
        with Server({"http.listen": ":0"}, ("--lan",), env=environment, stdout=its_end):
            text = read_terminal(terminal, "certificate")
            assert len([line for line in text.splitlines() if "\033[40;97m" in line and "█" in line]) > 10, text
        with Server({"http.listen": ":0"}, ("--lan", "--qr"), env=environment, stdout=subprocess.PIPE) as server:
            lines = [server.process.stdout.readline() for _ in range(16)]
            assert sum("█" in line for line in lines) > 10 and not any("\033" in line for line in lines), lines
        blocked = pathlib.Path(folder, "file")
        blocked.write_text("")
        ended = plenum("--lan", *ANY_PORTS, env={**os.environ, "XDG_STATE_HOME": str(blocked)})
        assert ended.returncode == FAILED and str(blocked) in ended.stderr and "certificate" in ended.stderr, ended
        nameless = {name: value for name, value in os.environ.items() if name not in ("HOME", "XDG_STATE_HOME")}
        ended = plenum("--lan", *ANY_PORTS, env=nameless)
        assert ended.returncode == FAILED and "XDG_STATE_HOME" in ended.stderr, ended


TESTS = (options_are_told, mistakes_are_located, settings_have_an_order, taken_ports_are_named, signals_end_it,
         an_idle_server_ends_at_once, early_ends_are_clean, a_second_signal_is_final, signals_at_once_are_one, descriptors_run_out,
         full_by_its_own_limits_is_no_pressure, more_memory_than_there_is_is_refused, ipv6_is_served, log_has_levels_and_a_format,
         closed_standard_files_are_no_trap, a_pipe_that_breaks_is_no_end, the_local_network_is_served)


def main():
    for test in TESTS:
        if asyncio.iscoroutinefunction(test):
            asyncio.run(test())
        else:
            test()
        print(f"ok: {test.__name__}: {test.__doc__.splitlines()[0]}", flush=True)


if "in-namespace" in sys.argv:
    lan_in_namespace(os.environ["PLENUM_NAMESPACE"])
else:
    main()
