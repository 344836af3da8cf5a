"""`plenum doctor` as an operator meets it: the real program, under real limits.  Each command it proposes, once done,
makes its finding go.

PLENUM_SERVER names the program to test.
"""

import json
import os
import pty
import re
import resource
import socket
import subprocess

from plenum_server import DEFAULT_BINARY, Server

BINARY = os.environ.get("PLENUM_SERVER") or DEFAULT_BINARY
SETTINGS = {"http.listen": "127.0.0.1:0", "media.port": "0"}
FILES_NEEDED = 8192 + 256 + 64  # limits.connections and what the server keeps for itself
NOBODY = 65534


def doctor(settings=None, arguments=("--json",), before=None, wrapper=()):
    """Returns the exit status and stdout.  before: called in the child; wrapper: words before the command."""
    pairs = [word for key, value in {**SETTINGS, **(settings or {})}.items() for word in ("--set", f"{key}={value}")]
    done = subprocess.run([*wrapper, BINARY, "doctor", *pairs, *arguments], stdin=subprocess.DEVNULL, capture_output=True,
                          text=True, preexec_fn=before, timeout=60, check=False)
    assert done.stderr == "", done.stderr
    return done.returncode, done.stdout


def examine(settings=None, **how):
    """The findings as {subject: worst finding}; the exit status agrees with them."""
    status, text = doctor(settings, **how)
    report = json.loads(text)
    order = ["ok", "note", "warning", "broken"]
    findings = {}
    for finding in report["findings"]:
        known = findings.get(finding["subject"], finding)
        findings[finding["subject"]] = max(known, finding, key=lambda one: order.index(one["state"]))
    worst = max(order.index(finding["state"]) for finding in findings.values())
    assert status == report["status"] == max(0, worst - 1), (status, text)
    return findings


def expect(findings, subject, state, words=""):
    finding = findings[subject]
    assert finding["state"] == state and words in finding["found"], (subject, finding)
    return finding


def follow(finding):
    """The settings of a proposed "plenum --set key=value"."""
    words = finding["mend"].split()
    assert words[:2] == ["plenum", "--set"] and len(words) == 3, finding
    return dict([words[2].split("=", 1)])


def test_taken_ports_and_what_it_proposes():
    with Server() as server:
        settings = {"http.listen": f"127.0.0.1:{server.port}", "media.port": str(server.media_port), "media.shards": "1"}
        findings = examine(settings)
        mended = {**follow(expect(findings, "http port", "broken", "taken")),
                  **follow(expect(findings, "media ports", "broken", "taken"))}
        findings = examine({**settings, **mended})
        expect(findings, "http port", "ok")
        expect(findings, "media ports", "ok")
        # And it left the ports to the start that follows.
        with Server({**settings, **mended}) as second:
            assert second.media_port == int(mended["media.port"])


def test_open_files():
    def few():
        resource.setrlimit(resource.RLIMIT_NOFILE, (200, 200))

    finding = expect(examine(before=few), "open files", "warning", f"200 are allowed, limits.connections may need {FILES_NEEDED}")
    assert f"--nofile={2 * FILES_NEEDED}" in finding["mend"]
    with_less = examine({"limits.connections": "10"}, before=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (660, 660)))
    expect(with_less, "open files", "ok", "330")
    just_enough = examine({"limits.connections": "10"}, before=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (330, 330)))
    expect(just_enough, "open files", "warning", "would hold itself for loaded")
    may_raise = subprocess.run(["prlimit", "--nofile=201", "true"], preexec_fn=few, capture_output=True, check=False)
    if may_raise.returncode != 0:
        print("limits cannot be raised here (CAP_SYS_RESOURCE): the proposed command is left out")
        return
    shell = ["sh", "-c", finding["mend"].replace("sudo ", "") + ' && exec "$0" "$@"']
    expect(examine(before=few, wrapper=shell), "open files", "ok")


def start_works(before):
    """Whether a server of these limits starts and answers a request, and what it says if not."""
    pairs = [word for key, value in SETTINGS.items() for word in ("--set", f"{key}={value}")]
    with subprocess.Popen([BINARY, *pairs], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                          preexec_fn=before) as process:
        first = process.stdout.readline()
        works = False
        if first:
            host, port = re.search(r"//([^:/]+):(\d+)", first).groups()
            with socket.create_connection((host, int(port)), 5) as connection:
                connection.settimeout(1)
                connection.sendall(b"GET /live HTTP/1.1\r\nHost: x\r\n\r\n")
                try:
                    works = connection.recv(12) == b"HTTP/1.1 200"
                except TimeoutError:
                    pass
            process.terminate()
        _, error = process.communicate(timeout=60)
    assert bool(first) == (process.returncode == 0), (first, process.returncode, error)
    for number, of in re.findall(r"(\d+) of (\d+)", error):
        assert 1 <= int(number) <= int(of), error
    return works, error


def test_says_what_a_start_does_without_descriptors():
    """From the first descriptor too few to the first that is enough, it says what a start then does."""
    states = set()
    for count in range(6, 80):
        def few(count=count):
            resource.setrlimit(resource.RLIMIT_NOFILE, (count, count))

        works, error = start_works(few)
        findings = examine(before=few)
        broken = [finding for finding in findings.values() if finding["state"] == "broken"]
        assert bool(broken) != works, (count, error, findings)
        states.add(works)
        if works:
            break
        assert any("--nofile=" in (finding["mend"] or "") for finding in broken + [findings["open files"]]), (count, broken)
    assert states == {True, False}, states


def test_says_what_a_start_does_without_memory():
    """The same with memory.  Whether the last few megabytes are enough is the allocator's luck: a step of them is let pass."""
    step = 32 << 20

    def bound(size):
        return lambda: resource.setrlimit(resource.RLIMIT_AS, (size, size))

    sizes = [size for size in range(step, 80 * step, step)
             if subprocess.run([BINARY, "--version"], preexec_fn=bound(size), capture_output=True, check=False).returncode == 0]
    if not sizes:
        print("this build takes all the address space there is (a sanitizer's does): left out")
        return
    works, says = [], []
    for size in sizes:
        works.append(start_works(bound(size))[0])
        findings = examine(before=bound(size))
        says.append(all(finding["state"] != "broken" for finding in findings.values()))
        if not says[-1] and findings.get("start", {}).get("state") == "broken" and "memory" in findings["start"]["found"]:
            assert "--as=unlimited" in findings["start"]["mend"], findings["start"]
        if works[-2:] == says[-2:] == [True, True]:
            break
    assert not works[0] and not says[0] and works[-1] and says[-1], (works, says)
    assert abs(works.index(True) - says.index(True)) <= 1, (works, says)


def test_one_cpu_of_many():
    cpu = max(os.sched_getaffinity(0))
    findings = examine(before=lambda: os.sched_setaffinity(0, {cpu}))
    expect(findings, "cores", "ok", f"1 to use, no quota: 1 media thread, on CPU {cpu}"
           if "no quota" in findings["cores"]["found"] else "1 to use")


def test_limits_of_somebody_without_privileges():
    """Root goes over the limits of sockets and locked memory, the service's user does not."""
    if os.getuid() != 0:
        print("not root: the limits of another user are left out")
        return

    def drop():
        resource.setrlimit(resource.RLIMIT_MEMLOCK, (65536, 65536))
        os.setgroups([])
        os.setgid(NOBODY)
        os.setuid(NOBODY)

    findings = examine(before=drop)
    with open("/proc/swaps", encoding="ascii") as swaps:
        has_swap = len(swaps.readlines()) > 1
    expect(findings, "locked memory", "warning" if has_swap else "note", "over its limit")
    limits = []
    for name in ("rmem_max", "wmem_max"):
        with open(f"/proc/sys/net/core/{name}", encoding="ascii") as file:
            limits.append(int(file.read()))
    if min(limits) >= 4 << 20:
        expect(findings, "UDP buffers", "ok")
    else:
        finding = expect(findings, "UDP buffers", "warning", f"{limits[0] >> 10} KiB to receive")
        assert "net.core.rmem_max=4194304" in finding["mend"]
    expect(examine({"http.listen": "127.0.0.1:81"}, before=drop), "http port",
           "ok" if unprivileged_port() <= 81 else "broken")


def unprivileged_port():
    with open("/proc/sys/net/ipv4/ip_unprivileged_port_start", encoding="ascii") as file:
        return int(file.read())


def test_addresses():
    everywhere = {"http.listen": ":0"}
    finding = expect(examine({**everywhere, "media.address": "10.0.0.7"}), "addresses", "warning", "10.0.0.7 (media.address)")
    assert finding["mend"].startswith("plenum --set media.address=")
    expect(examine({**everywhere, "media.address": "10.0.0.7, 198.51.100.7"}), "addresses", "ok")
    alone = ["unshare", "--net", *([] if os.getuid() == 0 else ["--map-root-user"])]
    if subprocess.run([*alone, "true"], capture_output=True, check=False).returncode != 0:
        print("no network namespace can be made: a machine without addresses is left out")
        return
    expect(examine(everywhere, wrapper=alone), "addresses", "broken", "no interface")
    with_loopback = [*alone, "sh", "-c", 'ip link set lo up && exec "$0" "$@"']
    expect(examine(wrapper=with_loopback), "addresses", "note", "127.0.0.1")
    with_veth = [*alone, "sh", "-c", 'ip link set lo up && ip link add near type veth peer name far && ip link set near up && '
                                     'ip address add 192.168.7.1/24 dev near && exec "$0" "$@"']
    expect(examine(everywhere, wrapper=with_veth), "addresses", "warning", "192.168.7.1 (the interfaces)")
    expect(examine(wrapper=with_loopback), "media ports", "ok")
    # A namespace's own sockets exist for a family that is turned off.
    port = {"media.port": "7882", "media.shards": "1"}
    without_ipv6 = [*alone, "sh", "-c", "echo 1 > /proc/sys/net/ipv6/conf/all/disable_ipv6 && ip link set lo up && "
                                        'exec "$0" "$@"']
    if os.getuid() != 0 or not os.path.exists("/proc/sys/net/ipv6"):
        print("no IPv6 that could be turned off: left out")
        return
    expect(examine(port, wrapper=with_loopback), "media ports", "ok", "for IPv6 and IPv4;")
    expect(examine(port, wrapper=without_ipv6), "media ports", "ok", "for IPv4 alone (no interface has an IPv6 address);")


def test_libraries():
    """What it says of the libraries is what their files say."""
    findings = examine()
    linked = subprocess.run(["ldd", BINARY], capture_output=True, text=True, check=True).stdout
    libraries = dict(line.split()[0:3:2] for line in linked.splitlines() if "=> /" in line)
    srtp = subprocess.run(["ldd", next(path for name, path in libraries.items() if name.startswith("libsrtp2"))],
                          capture_output=True, text=True, check=True).stdout
    assert ("NSS" in findings["libsrtp2"]["found"]) == ("libnss3" in srtp), findings["libsrtp2"]
    assert "not used" in findings["libsrtp2"]["found"], findings["libsrtp2"]
    reference = expect(examine({"media.srtp": "libsrtp2"}), "libsrtp2", "warning" if "libnss3" in srtp else "ok")
    assert "protects the packets" in reference["found"], reference
    opus = next((path for name, path in libraries.items() if name.startswith("libopus")), None)
    assert (opus is None) == ("linked in" in findings["Opus"]["found"]), findings["Opus"]
    with open(opus or BINARY, "rb") as file:
        image = file.read()
    # A library that is linked in is known by the names of its functions, where the program is not stripped.
    has_avx = b"silk_NSQ_del_dec_avx2" in image if opus is None else image.count(b"\xc5\xf8\x77") >= 4  # vzeroupper
    assert has_avx == ("with AVX2 code" in findings["Opus"]["found"]) or os.uname().machine != "x86_64", findings["Opus"]


def test_srtp_is_the_servers():
    """A start protects packets with what the doctor named, and fails where the doctor said it would."""
    for word in ("auto", "ipsec-mb", "openssl", "libsrtp2"):
        finding = examine({"media.srtp": word})["SRTP"]
        if finding["state"] == "broken":
            assert follow(finding) == {"media.srtp": "auto"}, finding
            start = [BINARY, "--set", "http.listen=127.0.0.1:0", "--set", "media.port=0", "--set", f"media.srtp={word}"]
            done = subprocess.run(start, capture_output=True, text=True, timeout=60, check=False)
            assert done.returncode == 1 and f"media.srtp: {word} cannot be used: " in done.stderr, done
            continue
        with Server({"media.srtp": word}) as server:
            ready = next(line for line in server.log if "ready in " in line)
        named = re.search(r' srtp=("[^"]*"|\S+)', ready)[1].strip('"')
        assert finding["found"].startswith(f"{named} protects the packets"), (named, finding)
        assert word in ("auto", named.split()[0]), named


def test_mixer_is_refused_where_it_cannot_run():
    """A start fails where the doctor said it would, with the same reason, and not elsewhere."""
    for word in ("auto", "avx2", "sse41", "neon", "plain"):
        finding = examine({"media.simd": word})["mixer"]
        start = {"http.listen": "127.0.0.1:0", "media.port": "0", "media.simd": word}
        if finding["state"] != "broken":
            assert f"(media.simd is {word})" in finding["found"], finding
            with Server(start):
                pass
            continue
        assert follow(finding) == {"media.simd": "auto"}, finding
        options = [option for key, value in start.items() for option in ("--set", f"{key}={value}")]
        done = subprocess.run([BINARY, *options], capture_output=True, text=True, timeout=60, check=False)
        reason = finding["found"].partition("cannot be used: ")[2]
        assert done.returncode == 2 and f"--set: media.simd: {word} cannot be used: {reason}" in done.stderr, done


def test_configuration():
    expect(examine({"http.tls_cert": "/no/such/file", "http.tls_key": "/no/such/file"}), "configuration", "broken",
           "/no/such/file")
    wrong = subprocess.run([BINARY, "doctor", "--set", "media.prot=1"], capture_output=True, text=True, check=False)
    assert wrong.returncode == 2 and "did you mean media.port?" in wrong.stderr and wrong.stdout == "", wrong


def test_words_for_people():
    _, text = doctor(arguments=())
    lines = text.splitlines()
    assert all(len(line) <= 100 or " mend: " in line for line in lines), text
    assert "\033" not in text
    assert any(word in lines[-1] for word in ("All is well.", "could be better.", "to mend.")), text
    # Colour is for terminals, and for those who want it.
    for environment, wants_colour in (({"NO_COLOR": ""}, True), ({"NO_COLOR": "1"}, False)):
        leader, follower = pty.openpty()
        subprocess.run([BINARY, "doctor"], stdout=follower, stdin=subprocess.DEVNULL, env={**os.environ, **environment},
                       timeout=60, check=False)
        os.close(follower)
        assert (b"\033[32mok" in os.read(leader, 65536)) == wants_colour
        os.close(leader)


def test_one_udp_port_in_the_middle():
    """Two media threads need two ports in a row."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("0.0.0.0", 0))
        port = taken.getsockname()[1]
        findings = examine({"media.port": str(port - 1), "media.shards": "2"})
        mended = follow(expect(findings, "media ports", "broken", f"UDP port {port}"))
        expect(examine({"media.shards": "2", **mended}), "media ports", "ok")


if __name__ == "__main__":
    for name, test in list(globals().items()):
        if name.startswith("test_"):
            print(name)
            test()
