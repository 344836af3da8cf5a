"""plenum-load against the real server: what it counts is true, and what it is told wrongly it explains.

PLENUM_LOAD names the program to test.
"""

import json
import os
import pathlib
import pty
import re
import signal
import subprocess
import tempfile
import time

from plenum_server import DEFAULT_BINARY, Server
from raw_http import metrics, until
from whip_gateway import Gateway

BINARY = os.environ.get("PLENUM_LOAD") or DEFAULT_BINARY.with_name("plenum-load")
EXAMPLES = pathlib.Path(__file__).resolve().parents[1] / "load/scenario"
TIMEOUT_S = 90
JOIN_S_MAX = 30
LATE_US_MAX = 10000  # pulses of a generator that stutters by itself say nothing about the server: they are taken again
TAKES_MAX = 5


def words(server, options):
    """The command line for keyword options: slots=3 is --slots 3, gro=False is --gro=false."""
    pairs = [f"--{key.replace('_', '-')}={str(value).lower() if isinstance(value, bool) else value}"
             for key, value in {"url": server.url, "settle": 0, "duration": 1, **options}.items()]
    return [BINARY, *pairs, "--json=-"]


def begin(server, **options):
    return subprocess.Popen(words(server, options), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                            text=True)


def end(process):
    """Returns the exit status, the report, and the table for people."""
    text, table = process.communicate(timeout=TIMEOUT_S)
    assert text, table
    return process.returncode, json.loads(text), table


def until_connected(server, clients):
    def are_in():
        now = metrics(server)
        return now["plenum_sessions"] == clients and now["plenum_sessions_connecting"] == 0

    until(are_in, "all are connected", JOIN_S_MAX)


def load(server, **options):
    return end(begin(server, **options))


def wrong(*arguments):
    """What it says to options that cannot be."""
    done = subprocess.run([BINARY, *arguments], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=TIMEOUT_S,
                          check=False)
    assert done.returncode == 2 and done.stdout == "", done
    assert done.stderr.startswith("plenum-load: ") and done.stderr.count("\n") == 1, done.stderr
    return done.stderr


def check_media(report, publishers, streams, rate=50):
    """All that was sent arrived everywhere: streams is the sum over the receivers."""
    media = report["media"]
    assert media["lost"] == media["missing"] == media["refused"] == media["unexpected"] == media["restarts"] == 0, media
    assert media["kernel_drops"] == 0 and media["loss_percent"] == 0, media
    # One packet of each publisher may be on either side of each edge of the measurement, and a starved generator sends late.
    late = report["generator"]["late_us"]["max"] * rate / 1e6
    assert abs(media["sent"] - publishers * rate * media["seconds"]) <= (3 + late) * publishers, (media, late)
    # What a busy machine delivers late in the beginning was sent before.
    assert -2 * streams <= media["delivered"] - streams * media["sent"] / publishers <= 20 * streams, media
    assert abs(media["expected"] - streams * media["sent"] / publishers) <= streams, media


def test_one_room():
    """What a first run shows: all joined, all arrived, and every figure has a value that can be."""
    with Server() as server:
        status, report, table = load(server, publishers=2, receivers=3, duration=2, pid=server.pid)
    assert status == 0, table
    assert report["clients"] == {"asked": 5, "answered": 5, "connected": 5, "failed": 0, "retries": 0,
                                 "turned_away": 0, "refusals_untimed": 0}
    assert report["failures"] == [] and report["is_interrupted"] is False
    check_media(report, publishers=2, streams=6)
    assert report["receivers"] == {"counted": 3, "complete": 3, "streams_min": 2, "streams_max": 2}
    for what, count in (("answer", 5), ("connected", 5), ("media", 3)):
        figures = report["join_ms"][what]
        assert figures["count"] == count, (what, figures)
        assert 0 < figures["p50"] <= figures["p90"] <= figures["p99"] <= figures["max"] < 10000, (what, figures)
    assert report["join_ms"]["answer"]["p50"] <= report["join_ms"]["connected"]["p50"]
    latency = report["latency_us"]
    assert abs(latency["count"] - report["media"]["delivered"]) <= 2 * 6
    assert 1 < latency["p50"] <= latency["p99"] <= latency["max"] < 2e6, latency
    assert report["server"]["cpu_us_per_packet"] > 0 and report["server"]["cpu_percent"] < 200
    assert "rss_kb_per_client" in report["server"]
    assert report["generator"]["cpu_us_per_packet"] > 0 and report["generator"]["late_us"]["count"] == report["media"]["sent"]
    for line in ("2 publishers and 3 receivers", "5 asked, 5 answered, 5 connected, 0 failed", "with all their streams"):
        assert line in table, table


def test_calls():
    """Rooms in which all talk and listen, on two threads; nobody hears the rooms beside."""
    with Server() as server:
        status, report, table = load(server, rooms=6, publishers=4, receivers=0, publishers_listen=True, threads=2)
    assert status == 0, table
    check_media(report, publishers=24, streams=6 * 4 * 3)
    assert report["receivers"] == {"counted": 24, "complete": 24, "streams_min": 3, "streams_max": 3}


def test_more_talkers_than_slots():
    with Server() as server:
        status, report, table = load(server, publishers=6, receivers=4, slots=2)
    assert status == 0, table
    check_media(report, publishers=6, streams=4 * 2)


def test_offer_of_many_slots():
    """An offer that goes out in several writes is one message."""
    with Server() as server:
        status, report, table = load(server, publishers=12, receivers=3, slots=12)
    assert status == 0, table
    check_media(report, publishers=12, streams=3 * 12)


def test_joins_do_not_wait_for_gathering():
    """A server that gathers packets for 20 ms does not do so between the steps of handshakes: a step each 20 ms would be
    more than ten seconds for these."""
    with Server({"media.coalesce_us": 20000, "media.shards": 1}) as server:
        status, report, table = load(server, publishers=1, receivers=150, slots=1, ramp=1000)
    assert status == 0, table
    assert report["join_ms"]["connected"]["max"] < 5000, report["join_ms"]


def test_talk_spurts():
    """Who pauses sends no packets, and that is no loss."""
    with Server() as server:
        status, report, table = load(server, publishers=8, receivers=2, slots=8, spurts=True, duration=3)
    assert status == 0, table
    media = report["media"]
    assert 8 * 3 * 3 < media["sent"] < 8 * 50 * 3 * 0.8, media
    assert abs(media["delivered"] - 2 * media["sent"]) <= 2 * 16 and media["lost"] == 0, media


def check_mix(server, report, receivers):
    """Each receiver got a packet for each tick of the mix, but those that a machine without CPU for the worker, or for the
    microphones, has left out; and what was decoded is a voice."""
    media, late_ticks = report["media"], report["generator"]["late_us"]["max"] / 20000
    left_out = sum(value for name, value in metrics(server).items() if name.startswith("plenum_codec_left_out_total"))
    assert media["lost"] == media["refused"] == media["unexpected"] == media["restarts"] == 0, media
    starved = receivers * (left_out + (4 * late_ticks if late_ticks > 1 else 0))
    assert media["missing"] <= starved, (media, left_out, late_ticks)
    wanted = receivers * 50 * media["seconds"]
    assert wanted - starved - 2 * receivers <= media["delivered"] <= wanted + 2 * receivers, (media, left_out, late_ticks)
    assert report["receivers"] == {"counted": receivers, "complete": receivers, "streams_min": 1, "streams_max": 1}
    assert report["decoded"]["malformed"] == 0 and report["decoded"]["packets"] > 0, report["decoded"]
    assert report["mix"]["ticks_missing"] <= receivers * left_out and report["mix"]["late_us"]["count"] > 0, report["mix"]
    assert -30 < report["decoded"]["level_dbfs"] < -5, report["decoded"]


def test_mixed_rooms():
    """Receivers of a mix, by the WebSocket and by WHEP, and talkers who hear the others' mix; what comes can be decoded."""
    with Server() as server:
        options = {"audio": "mixed", "slots": 1, "decode_every": 4, "settle": 1, "duration": 2, "max_loss": 100}
        for more in ({"receivers": 8}, {"receivers": 8, "api": "whip"}, {"receivers": 5, "publishers_listen": True}):
            status, report, table = load(server, publishers=3, **options, **more)
            assert status == 0, table
            check_mix(server, report, receivers=8)
            assert report["scenario"]["audio"] == "mixed" and report["scenario"]["sound"] == "voice"
            assert "audio mixed, sound voice" in table and "mix's lateness" in table, table


def test_pulses_tell_the_way_from_mouth_to_ear():
    """One tone each second for each receiver: forwarded it takes the frame's 20 ms and the codec's 6.5, and mixed more."""
    with Server() as server:
        ways = {}
        for audio in ("forward", "mixed"):
            for _ in range(TAKES_MAX):
                status, report, table = load(server, rooms=3, publishers=1, receivers=1, slots=1, audio=audio, sound="pulse",
                                             decode_every=1, settle=2, duration=3)
                assert status == 0, table
                ways[audio] = report["decoded"]["mouth_to_ear_us"]
                assert report["decoded"]["malformed"] == 0 and report["scenario"]["sound"] == "pulse"
                late_us = report["generator"]["late_us"]["p99"]
                if late_us < LATE_US_MAX:
                    break
                print(f"  the generator was {late_us / 1000:.0f} ms late by itself: once more", flush=True)
            assert 3 * 3 - 3 <= ways[audio]["count"] <= 3 * 3 + 3, (audio, ways)
    assert 25000 < ways["forward"]["p50"] < ways["mixed"]["p50"], ways
    assert ways["mixed"]["p50"] < 500000, ways


def test_audio_that_a_server_does_not_have():
    """A join for a mix is refused in words where nothing mixes, and forwarding goes on as if nobody had asked."""
    with Server({"media.mixing": "off"}) as server:
        status, report, _ = load(server, publishers=1, receivers=1, slots=1, audio="mixed")
        assert status == 1 and report["clients"]["failed"] == 1, report["clients"]
        assert "unsupported" in report["failures"][0]["reason"], report["failures"]
        status, report, table = load(server, publishers=1, receivers=1, slots=2, audio="auto")
        assert status == 0, table


def test_sampled_and_silenced():
    """Who does not decrypt counts the same, and with drop_media one receiver in each room stands for all."""
    with Server() as server:
        status, report, table = load(server, publishers=3, receivers=8, decrypt_every=100)
        assert status == 0, table
        check_media(report, publishers=3, streams=24)
        assert 0 < report["latency_us"]["count"] <= 2 * report["media"]["sent"] + 12
        status, report, table = load(server, publishers=3, receivers=8, drop_media=True)
    assert status == 0, table
    media = report["media"]
    assert media["is_estimated"] and media["kernel_drops"] > 0, media
    assert media["lost"] == 0 and abs(media["delivered"] - 8 * media["sent"]) <= 8 * 6, media
    assert report["receivers"]["counted"] == 1


def test_loss_is_found():
    """Receivers that stand still lose what their sockets do not hold: the gaps are as many packets as the kernel says."""
    payload = {"payload": 1000, "rate": 200, "slots": 8, "gro": False}
    with Server() as server:
        talkers = begin(server, publishers=8, receivers=0, duration=8, **payload)
        until_connected(server, 8)
        listeners = begin(server, publishers=0, receivers=2, duration=6, max_loss=0.1, **payload)
        until_connected(server, 10)
        time.sleep(1)
        listeners.send_signal(signal.SIGSTOP)
        time.sleep(3)
        listeners.send_signal(signal.SIGCONT)
        status, report, table = end(listeners)
        talkers_status, talkers_report, talkers_table = end(talkers)
    assert talkers_status == 0 and talkers_report["media"]["expected"] == 0, talkers_table
    assert status == 1 and report["clients"]["failed"] == 0, table
    media = report["media"]
    assert media["lost"] > 1000 and media["expected"] is None, media
    # Reports and checks are dropped like media, and a few packets at the end have no successor that shows the gap.
    assert abs(media["lost"] - media["kernel_drops"]) <= 40, media
    assert abs(media["delivered"] + media["lost"] - 2 * 8 * 200 * media["seconds"]) < 2 * 8 * 200 * 0.2, media
    assert abs(media["loss_percent"] - 100 * media["lost"] / (media["lost"] + media["delivered"])) < 0.01
    assert "they are too small, or this program is too slow" in table


def test_server_full():
    """Who is refused is told by reason, after the time that the server asked for and a retry; the others are measured."""
    with Server({"limits.participants": "3"}) as server:
        status, report, table = load(server, publishers=1, receivers=4, retries=1)
    assert status == 1
    assert report["clients"]["connected"] == 3 and report["clients"]["failed"] == 2, report
    assert report["clients"]["retries"] == 2
    [failure] = report["failures"]
    assert failure["count"] == 2 and failure["reason"].startswith("refused: server_full: "), failure
    assert report["clients"]["turned_away"] == 2 and report["join_ms"]["refusal"]["count"] == 4, report
    assert report["clients"]["refusals_untimed"] == 0
    check_media(report, publishers=1, streams=2)
    assert failure["reason"] in table


def test_refusals_may_be_what_is_wanted():
    """A server that is asked for more than it has: who is turned away is counted, with how soon, and is no failure."""
    with Server({"limits.participants": "3"}) as server:
        for api in ("plenum", "whip"):
            status, report, table = load(server, api=api, publishers=1, receivers=4, retries=0, refusals="count")
            assert status == 0, table
            assert report["clients"]["turned_away"] == 2 and report["clients"]["failed"] == 0, report
            refusal = report["join_ms"]["refusal"]
            assert refusal["count"] == 2 and 0 < refusal["max"] < 1000, refusal
            assert "2 turned away" in table and "request to refusal" in table
            check_media(report, publishers=1, streams=2)
            until(lambda: metrics(server)["plenum_participants"] == 0, "everybody has left", seconds=3)


def test_server_dies():
    """A server that goes ends the run with what is known, not with the timeout."""
    with Server() as server:
        process = begin(server, publishers=1, receivers=3, duration=60)
        until_connected(server, 4)
        time.sleep(1)
        server.stop(signal.SIGKILL)
        started = time.monotonic()
        status, report, _ = end(process)
        assert time.monotonic() - started < 10
        server.process.returncode = 0  # as was wanted
    assert status == 1 and report["is_interrupted"] is False and report["is_deserted"] is True
    assert report["clients"]["connected"] == 4 and report["clients"]["failed"] == 4, report
    assert report["media"]["delivered"] > 0
    # Who sends media may see first that nobody takes it any more.
    reasons = " / ".join(failure["reason"] for failure in report["failures"])
    assert "the server closed the WebSocket" in reasons, report
    assert all(word in ("the server's UDP port is closed", "after joining: the server closed the WebSocket")
               for word in reasons.split(" / ")), reasons


def test_measured_process_dies():
    """What a process cost that is no more is not known, whether or not anybody has waited for it; that is said, and no success."""
    for is_reaped in (False, True):
        with Server() as server, subprocess.Popen(["sleep", "60"]) as measured:
            process = begin(server, publishers=1, receivers=1, duration=3, pid=measured.pid)
            time.sleep(2)
            measured.kill()
            if is_reaped:
                measured.wait()
            status, report, table = end(process)
        assert status == 1, table
        assert report["server"] == {"has_ended": True, "cpu_us_per_packet": None, "cpu_percent": None,
                                    "rss_kb_per_client": None, "pss_kb_per_client": None}
        assert f"(pid {measured.pid}) ended during the run" in table and "server's memory" not in table, table
        assert report["is_interrupted"] is report["is_deserted"] is False
        check_media(report, publishers=1, streams=1)


def test_nobody_gets_in():
    """A server that is not there is no interruption: nobody pressed anything."""
    with Server() as server:
        url = server.url
    with subprocess.Popen(["sleep", "60"]) as gone:
        gone.kill()
    assert "there is no process" in subprocess.run([BINARY, "--url", url, f"--pid={gone.pid}"], capture_output=True, text=True,
                                                   timeout=TIMEOUT_S, check=False).stderr
    done = subprocess.run([BINARY, "--url", url, "--publishers=1", "--receivers=1", "--retries=0", "--json=-"],
                          stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
    report = json.loads(done.stdout)
    assert done.returncode == 1 and report["is_interrupted"] is False and report["is_deserted"] is True, report
    assert report["clients"]["connected"] == 0 and report["clients"]["failed"] == 2, report


def test_interrupt():
    """Control-C shows what was measured until then."""
    with Server() as server:
        process = begin(server, publishers=1, receivers=2, duration=60)
        until_connected(server, 3)
        time.sleep(1.5)
        process.send_signal(signal.SIGINT)
        status, report, _ = end(process)
    assert status == 1 and report["is_interrupted"] is True and report["clients"]["failed"] == 0
    assert 0.5 < report["media"]["seconds"] < 10 and report["media"]["lost"] == 0
    assert report["media"]["delivered"] > 10


def test_nobody_there():
    with Server() as server:
        url = server.url
    done = subprocess.run([BINARY, "--url", url, "--receivers=2", "--json=-"], capture_output=True, text=True, timeout=TIMEOUT_S,
                          check=False)
    report = json.loads(done.stdout)
    assert done.returncode == 1 and report["clients"]["failed"] == 3 and report["media"]["seconds"] == 0
    assert report["failures"] == [{"reason": "WebSocket: Unable to connect", "count": 3}], report["failures"]


def test_ipv6_and_tls():
    with tempfile.TemporaryDirectory() as folder:
        cert, key = pathlib.Path(folder, "cert.pem"), pathlib.Path(folder, "key.pem")
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
                        "-subj", "/CN=localhost", "-out", cert, "-keyout", key], check=True, capture_output=True)
        with Server({"http.tls_cert": cert, "http.tls_key": key, "http.listen": "[::1]:0"}) as server:
            status, report, table = load(server, publishers=1, receivers=2)
            assert status == 1 and report["clients"]["answered"] == 0, table
            status, report, table = load(server, publishers=1, receivers=2, insecure=True)
    assert status == 0, table
    check_media(report, publishers=1, streams=2)


def test_whip_and_whep():
    """Any server that speaks them can be measured, whichever forms of the answer it prefers."""
    paths = {"api": "whip", "whip_path": "/whip/{room}", "whep_path": "/whep/{room}", "token": "secret"}
    for has_length in (True, False):
        with Server() as server, Gateway(server, has_length=has_length) as gateway:
            status, report, table = load(gateway, rooms=2, publishers=2, receivers=3, slots=2, **paths)
            assert status == 0, table
            check_media(report, publishers=4, streams=2 * 3 * 2)
            assert report["join_ms"]["answer"]["count"] == report["join_ms"]["connected"]["count"] == 10
            posts = sorted(path for method, path, _ in gateway.requests if method == "POST")
            assert posts == sorted(f"/{kind}/load-{room}" for room in range(2) for kind in ["whip"] * 2 + ["whep"] * 3), posts
            assert all(headers["authorization"] == "bearer secret" for _, _, headers in gateway.requests)
            # Who leaves deletes its resource, wherever the Location said it is.
            assert sum(method == "DELETE" for method, _, _ in gateway.requests) == 10 and not gateway.joined, gateway.joined


def test_whip_and_whep_of_plenum():
    """Plenum's own WHIP and WHEP: all are heard, who leaves leaves nobody behind, and a full room refuses."""
    with Server({"media.shards": 2}) as server:
        status, report, table = load(server, api="whip", rooms=4, publishers=2, receivers=5, slots=2, token="any")
        assert status == 0, table
        check_media(report, publishers=8, streams=2 * 5 * 4)
        assert report["clients"] == {"asked": 28, "answered": 28, "connected": 28, "failed": 0, "retries": 0,
                                 "turned_away": 0, "refusals_untimed": 0}
        until(lambda: metrics(server)["plenum_participants"] == 0, "everybody has left", seconds=3)
    with Server({"limits.room_participants": 2}) as server:
        status, report, table = load(server, api="whip", publishers=1, receivers=2, retries=0)
        assert status == 1 and report["failures"][0]["reason"].startswith("HTTP 503: room_full: "), table


def test_whip_detours():
    """A server that sends clients elsewhere, or asks them to wait, is followed; a refusal is told in its own words."""
    paths = {"api": "whip", "whip_path": "/whip/{room}", "whep_path": "/whep/{room}", "ramp": 1000}
    with Server() as server, Gateway(server, [(307, {"Location": "/whip/elsewhere"}), (503, {"Retry-After": "1"})]) as gateway:
        status, report, table = load(gateway, publishers=1, receivers=0, **paths)
        assert status == 0 and report["clients"]["retries"] == 1, table
        assert [path for _, path, _ in gateway.requests[:3]] == ["/whip/load-0", "/whip/elsewhere", "/whip/elsewhere"]
        check_media(report, publishers=1, streams=0)

        gateway.detours = [(307, {"Location": "/whip/round"})] * 9
        status, report, table = load(gateway, publishers=1, receivers=0, **paths)
        assert status == 1 and report["failures"] == [{"reason": "HTTP 307: redirected too often, or nowhere", "count": 1}], table

        gateway.detours = [(503, {}), (429, {"Retry-After": "9999"}), (401, {})]
        status, report, table = load(gateway, publishers=3, receivers=0, **paths)
        reasons = {failure["reason"] for failure in report["failures"]}
        assert status == 1 and reasons == {"HTTP 503: not now", "HTTP 429: not now", "HTTP 401: not now"}, reasons

        status, report, table = load(gateway, publishers=1, receivers=0, **{**paths, "whip_path": "/nowhere"})
        assert report["failures"] == [{"reason": "HTTP 404: nothing here", "count": 1}], table


def test_scenario_file():
    """A file says what to do, the command line has the last word, and the report says what was done."""
    with tempfile.TemporaryDirectory() as folder, Server() as server:
        path, json_path = pathlib.Path(folder, "calls.yaml"), pathlib.Path(folder, "report.json")
        path.write_text(f"# two small rooms\nurl: {server.url}\nrooms: 2\npublishers: 3\nreceivers: 1\nslots: 2\nsettle: 0\n"
                        "duration: 30\n")
        done = subprocess.run([BINARY, "--duration=1", "--scenario", path, "--json", json_path], capture_output=True, text=True,
                              timeout=TIMEOUT_S, check=False)
        assert done.returncode == 0, done
        report = json.loads(json_path.read_text())
        assert done.stderr == "" and "2 rooms x 3 publishers and 1 receivers with 2 slots" in done.stdout, done
        check_media(report, publishers=6, streams=2 * 2)
        assert report["scenario"]["rooms"] == 2 and report["scenario"]["publishers"] == 3 and report["scenario"]["slots"] == 2

        for example in sorted(EXAMPLES.glob("*.yaml")):
            sizes = {"url": server.url, "rooms": 1, "receivers": 2, "duration": 1, "settle": 0, "api": "plenum", "room": example.stem}
            status, report, table = end(begin(server, scenario=example, **sizes))
            assert status == 0 and report["media"]["lost"] == 0 and report["clients"]["asked"] > 2, table

        path.write_text("rooms: 2\nslots: 99\n")
        assert f"{path}:2: slots: \"99\" is not a number from 1 to 60 (streams)" in wrong("--scenario", path)


def test_wrong_options():
    for arguments, told in (
            (["--slotz=3"], "--slotz: there is no such option; plenum-load --help lists them"),
            (["--slots=0"], "slots: \"0\" is not a number from 1 to 60 (streams)"),
            (["--api=sip"], "api: \"sip\" is none of plenum|whip"),
            (["--url=localhost"], "url: \"localhost\" is not of the form http://host:port"),
            (["7"], "\"7\" is not understood"),
    ):
        assert told in wrong(*arguments), arguments
    done = subprocess.run([BINARY, "--pid=4194304"], capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
    assert done.returncode == 1 and "pid: there is no process 4194304 here" in done.stderr, done
    help_text = subprocess.run([BINARY, "--help"], capture_output=True, text=True, check=True).stdout
    for option in ("--rooms", "--spurts", "--decrypt-every", "--whep-path", "--json", "--scenario"):
        assert option in help_text


def test_progress():
    """On a terminal there is a line that moves, and it is gone at the end."""
    with Server() as server:
        leader, follower = pty.openpty()
        process = subprocess.Popen([BINARY, "--url", server.url, "--receivers=2", "--duration=3"], stdin=subprocess.DEVNULL,
                                   stdout=subprocess.PIPE, stderr=follower)
        os.close(follower)
        assert process.wait(TIMEOUT_S) == 0
        shown = b""
        try:
            while chunk := os.read(leader, 65536):
                shown += chunk
        except OSError:  # the other end is closed
            pass
        os.close(leader)
        process.stdout.close()
    assert re.search(rb"\r\033\[Kmeasuring 1 s: 3 of 3 connected, 0 failed, \d+ packets/s", shown), shown
    assert shown.endswith(b"\r\033[K"), shown


if __name__ == "__main__":
    for name, test in list(globals().items()):
        if name.startswith("test_"):
            print(name, flush=True)
            test()
