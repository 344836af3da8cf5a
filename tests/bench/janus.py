"""Debian's Janus with its VideoRoom or its AudioBridge, and WHIP and WHEP in front of it, which it does not speak itself: so that
plenum-load can load it as it loads any server.  Its video room is an SFU for audio, too: each stream is forwarded as it is.  Its
bridge mixes, with an encoder for each participant.

For WHEP of the video room both sides want to offer: Janus's offer to a subscriber is handed on as the answer to the client's, and the client's
offer as the answer to Janus.  Janus is ICE-lite here, so that the client leads, whoever has offered."""

import asyncio
import itertools
import json
import pathlib
import shutil
import socket
import subprocess
import tempfile
import threading
import time

from machine import Leave, add_address, pinned

ADDRESS = "10.255.255.1"  # Janus takes no loopback's
READY_S_MAX = 20
REQUEST_S_MAX = 20
FEEDS_S_MAX = 20

CORE_CONFIG = """
general: {{ configs_folder = "{folder}", plugins_folder = "{library}/plugins", transports_folder = "{library}/transports",
	events_folder = "{library}/events", loggers_folder = "{library}/loggers", debug_level = 2, event_loops = 1,
	session_timeout = 0, admin_secret = "none" }}
media: {{ rtp_port_range = "30000-49999", slowlink_threshold = 0 }}
nat: {{ ice_lite = true, nice_debug = false, full_trickle = false, ice_enforce_list = "{address}", ignore_mdns = true }}
plugins: {{ disable = "{unused}" }}
transports: {{ disable = "libjanus_mqtt.so,libjanus_nanomsg.so,libjanus_pfunix.so,libjanus_rabbitmq.so,libjanus_websockets.so" }}
"""
PLUGINS = "videoroom audiobridge echotest recordplay sip nosip streaming textroom videocall voicemail lua duktape"
HTTP_CONFIG = 'general: {{ json = "plain", base_path = "/janus", http = true, port = {port}, ip = "127.0.0.1" }}\nadmin: {{ }}\n'


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


class Janus:
    """with Janus(core) as janus: janus.url speaks WHIP and WHEP, janus.pid is the server's.  One event loop: on one core that is
    cheaper than a thread for each client."""

    plugin = "videoroom"
    made = {"publishers": 1000, "audiocodec": "opus", "notify_joining": False}  # of a room

    def __init__(self, core):
        self.core = core
        found = list(pathlib.Path("/usr/lib").glob(f"*/janus/plugins/libjanus_{self.plugin}.so"))
        if not shutil.which("janus") or not found:
            raise Leave("it is not installed: apt-get install janus")
        add_address(ADDRESS)
        self.library = found[0].parents[1]
        self.rooms, self._ids = {}, itertools.count(1)
        self._loop = asyncio.new_event_loop()

    def __enter__(self):
        self._folder = tempfile.TemporaryDirectory()
        folder = pathlib.Path(self._folder.name)
        self.port = free_port()
        unused = ",".join(f"libjanus_{name}.so" for name in PLUGINS.split() if name != self.plugin)
        (folder / "janus.jcfg").write_text(CORE_CONFIG.format(folder=folder, library=self.library, address=ADDRESS,
                                                           unused=unused))
        (folder / "janus.transport.http.jcfg").write_text(HTTP_CONFIG.format(port=self.port))
        (folder / f"janus.plugin.{self.plugin}.jcfg").write_text("general: { }\n")
        command = ["janus", "-F", folder, "-C", folder / "janus.jcfg"]
        self.log = open(folder / "log", "w+", encoding="utf-8")  # noqa: SIM115
        self.process = subprocess.Popen(pinned([self.core], command), stdin=subprocess.DEVNULL, stdout=self.log,
                                        stderr=subprocess.STDOUT)
        self.pid = self.process.pid
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        try:
            self._until_ready()
            listener = asyncio.run_coroutine_threadsafe(asyncio.start_server(self._serve, ADDRESS, 0), self._loop).result(5)
        except BaseException:
            self.__exit__()
            raise
        self.url = f"http://{ADDRESS}:{listener.sockets[0].getsockname()[1]}"
        return self

    def __exit__(self, *_):
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        asyncio.run_coroutine_threadsafe(self._cancel(), self._loop).result(5)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self.log.close()
        self._folder.cleanup()

    def _until_ready(self):
        end_s = time.monotonic() + READY_S_MAX
        while time.monotonic() < end_s and self.process.poll() is None:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return
            except OSError:
                time.sleep(0.05)
        self.log.flush()
        self.log.seek(0)
        raise Leave("it did not start: " + " ".join(self.log.read().split())[-300:])

    async def _cancel(self):
        """Clients that still hang on a gateway whose Janus is gone."""
        rest = asyncio.all_tasks() - {asyncio.current_task()}
        for task in rest:
            task.cancel()
        await asyncio.gather(*rest, return_exceptions=True)

    # ---- Janus's API ----

    async def _http(self, method, path, body=None):
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        data = json.dumps(body).encode() if body is not None else b""
        writer.write(f"{method} {path} HTTP/1.0\r\nContent-Length: {len(data)}\r\n\r\n".encode()
                     + data)
        await writer.drain()
        answer = await asyncio.wait_for(reader.read(), REQUEST_S_MAX)
        writer.close()
        return json.loads(answer.split(b"\r\n\r\n", 1)[1])

    async def _post(self, path, **fields):
        answer = await self._http("POST", path, {"transaction": str(next(self._ids)), **fields})
        if answer["janus"] not in ("success", "ack"):
            raise RuntimeError(str(answer))
        return answer

    async def _handle(self):
        """A session of its own with one handle of the plugin."""
        session = (await self._post("/janus", janus="create"))["data"]["id"]
        handle = (await self._post(f"/janus/{session}", janus="attach", plugin=f"janus.plugin.{self.plugin}"))["data"]["id"]
        return session, handle

    async def _request(self, where, body, jsep=None, wants_jsep=False):
        """Sends a message that is answered by an event, and returns that; wants_jsep: others, who come and go, are told by events without."""
        session, handle = where
        extra = {"jsep": jsep} if jsep else {}
        await self._post(f"/janus/{session}/{handle}", janus="message", body=body, **extra)
        while True:
            event = await self._http("GET", f"/janus/{session}?maxev=1")
            if event["janus"] == "event":
                data = event["plugindata"]["data"]
                if "error" in data:
                    raise RuntimeError(data["error"])
                if "jsep" in event or not wants_jsep:
                    return data, event.get("jsep")

    # ---- WHIP and WHEP ----

    async def _room(self, name):
        """The feeds of a room, which is made by whoever asks first."""
        if name not in self.rooms:
            self.rooms[name] = room = {"id": len(self.rooms) + 1, "feeds": [], "is_there": asyncio.Event()}
            session, handle = await self._handle()
            await self._post(f"/janus/{session}/{handle}", janus="message", body={
                "request": "create", "room": room["id"], **self.made})
            room["is_there"].set()
        await self.rooms[name]["is_there"].wait()
        return self.rooms[name]

    async def _publish(self, room, offer):
        where = await self._handle()
        data, jsep = await self._request(where, {"request": "joinandconfigure", "ptype": "publisher", "room": room["id"]},
                                         {"type": "offer", "sdp": offer})
        room["feeds"].append(data["id"])
        return jsep["sdp"]

    async def _subscribe(self, room, offer):
        wanted, end_s = offer.count("m=audio"), time.monotonic() + FEEDS_S_MAX
        while len(room["feeds"]) < wanted and time.monotonic() < end_s:
            await asyncio.sleep(0.05)
        where = await self._handle()
        streams = [{"feed": feed} for feed in room["feeds"][:wanted]]
        _, jsep = await self._request(where, {"request": "join", "ptype": "subscriber", "room": room["id"], "streams": streams})
        await self._request(where, {"request": "start"},
                            {"type": "answer", "sdp": offer.replace("a=setup:actpass", "a=setup:active")})
        return jsep["sdp"].replace("a=setup:actpass", "a=setup:passive")

    async def _serve(self, reader, writer):
        status, text = 201, ""
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            method, path, _ = head.split("\r\n", 1)[0].split(" ")
            fields = dict(line.lower().split(": ", 1) for line in head.split("\r\n")[1:] if ": " in line)
            body = (await reader.readexactly(int(fields.get("content-length", 0)))).decode()
            _, _, kind, name = path.partition("?")[0].split("/", 3)
            if method == "POST":
                room = await self._room(name)
                text = await (self._publish if kind == "whip" else self._subscribe)(room, body)
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()
            return
        except (RuntimeError, asyncio.TimeoutError, KeyError, ValueError) as error:
            status, text = 502, f"{type(error).__name__}: {error}"
        writer.write(f"HTTP/1.1 {status} Said\r\nConnection: close\r\nContent-Type: application/sdp\r\n"
                     f"Content-Length: {len(text)}\r\n\r\n{text}".encode())
        await writer.drain()
        writer.close()


class AudioBridge(Janus):
    """The same with the bridge: who publishes is heard in the mix, who plays is muted in it.  Each has one m-line both ways."""

    plugin = "audiobridge"
    made = {"sampling_rate": 48000, "default_bitrate": 40000}  # what a mix of Plenum has

    async def _take_part(self, room, offer, is_muted):
        where = await self._handle()
        await self._request(where, {"request": "join", "room": room["id"], "muted": is_muted})
        _, jsep = await self._request(where, {"request": "configure", "muted": is_muted}, {"type": "offer", "sdp": offer}, True)
        return jsep["sdp"]

    async def _publish(self, room, offer):
        return await self._take_part(room, offer, False)

    async def _subscribe(self, room, offer):
        return await self._take_part(room, offer, True)
