"""A participant on GStreamer's webrtcbin, and so on libnice's full ICE agent.  It offers no header extensions at all: the
server has to do without levels and mids."""

import asyncio
import threading

import gi
import numpy

gi.require_version("Gst", "1.0")
gi.require_version("GstSdp", "1.0")
gi.require_version("GstWebRTC", "1.0")
from gi.repository import GLib, Gst, GstSdp, GstWebRTC  # noqa: E402

from peer import Peer  # noqa: E402
from tones import AMPLITUDE, Ear  # noqa: E402

OPUS = "application/x-rtp,media=audio,encoding-name=OPUS,clock-rate=48000,encoding-params=(string)2,payload=111"
HEAR = (
    "rtpopusdepay ! opusdec ! audioconvert ! audioresample ! audio/x-raw,format=F32LE,rate=48000,channels=1"
    " ! appsink name=ear emit-signals=true sync=false"
)

Gst.init(None)
threading.Thread(target=GLib.MainLoop().run, daemon=True).start()


class GstreamerPeer(Peer):
    """webrtcbin calls back on threads of its own; everything goes over to the loop of asyncio."""

    def __init__(self, hz, slots=3):
        """hz: the tone that it says; None only listens."""
        super().__init__()
        self._loop = asyncio.get_running_loop()
        self._offered = self._loop.create_future()
        rtc = "webrtcbin name=rtc bundle-policy=max-bundle"
        says = (
            f"audiotestsrc is-live=true wave=sine freq={hz} volume={AMPLITUDE} ! audio/x-raw,rate=48000,channels=1"
            f" ! opusenc frame-size=20 ! rtpopuspay pt=111 ! {OPUS} ! {rtc}"
        )
        self._pipeline = Gst.parse_launch(says) if hz is not None else Gst.Pipeline()
        if hz is None:
            self._pipeline.add(Gst.parse_launch(rtc))
        self._rtc = self._pipeline.get_by_name("rtc")
        directions = GstWebRTC.WebRTCRTPTransceiverDirection
        if hz is not None:
            self._rtc.emit("get-transceiver", 0).props.direction = directions.SENDONLY
        self._pipeline.set_state(Gst.State.READY)
        for _ in range(slots):
            self._rtc.emit("add-transceiver", directions.RECVONLY, Gst.Caps.from_string(OPUS))
        # Who says something negotiates when the first caps are there; for who only listens nothing is to be waited for.
        self._is_listener = hz is None
        if not self._is_listener:
            self._rtc.connect("on-negotiation-needed", self._create_offer)
        self._rtc.connect("pad-added", self._on_pad)

    def _create_offer(self, _rtc):
        self._rtc.emit("create-offer", None, Gst.Promise.new_with_change_func(self._on_offer))

    def _on_offer(self, promise, *_):
        reply = promise.get_reply()  # it owns the offer
        offer = reply.get_value("offer")
        self._rtc.emit("set-local-description", offer, Gst.Promise.new())
        self._loop.call_soon_threadsafe(self._offered.set_result, offer.sdp.as_text())

    async def _offer(self):
        self._pipeline.set_state(Gst.State.PLAYING)
        if self._is_listener:
            self._create_offer(self._rtc)
        return await self._offered

    async def _accept(self, sdp):
        result, message = GstSdp.SDPMessage.new_from_text(sdp)
        assert result == GstSdp.SDPResult.OK
        answer = GstWebRTC.WebRTCSessionDescription.new(GstWebRTC.WebRTCSDPType.ANSWER, message)
        self._rtc.emit("set-remote-description", answer, Gst.Promise.new())

    def _on_pad(self, _rtc, pad):
        if pad.direction != Gst.PadDirection.SRC:
            return
        ear = Ear()
        self.ears.append(ear)
        hearing = Gst.parse_bin_from_description(HEAR, True)
        hearing.get_by_name("ear").connect("new-sample", self._on_sample, ear)
        self._pipeline.add(hearing)
        hearing.sync_state_with_parent()
        pad.link(hearing.get_static_pad("sink"))

    def _on_sample(self, sink, ear):
        buffer = sink.emit("pull-sample").get_buffer()
        samples = numpy.frombuffer(buffer.extract_dup(0, buffer.get_size()), dtype=numpy.float32)
        self._loop.call_soon_threadsafe(self._hear, ear, samples)
        return Gst.FlowReturn.OK

    def _hear(self, ear, samples):
        ear.feed(samples)
        self._happened.set()

    async def _stop(self):
        await self._loop.run_in_executor(None, self._pipeline.set_state, Gst.State.NULL)
