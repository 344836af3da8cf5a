"""A participant on aiortc: ICE, SRTP handling, RTP and jitter buffer in Python, none of it shared with the server."""

from aiortc import RTCPeerConnection, RTCRtpSender, RTCSessionDescription
from aiortc.mediastreams import MediaStreamError

from peer import Peer
from tones import Ear, Tone


class AiortcPeer(Peer):
    def __init__(self, hz=None, slots=3, codec="audio/opus"):
        """hz: the tone that it says; None only listens.  codec: the only one that it has."""
        super().__init__()
        codecs = [each for each in RTCRtpSender.getCapabilities("audio").codecs if each.mimeType == codec]
        self.pc = RTCPeerConnection()
        self.pc.on("track", self._on_track)
        if hz is not None:
            self.pc.addTransceiver(Tone(hz), direction="sendonly")
        for _ in range(slots):
            self.pc.addTransceiver("audio", direction="recvonly")
        for transceiver in self.pc.getTransceivers():
            transceiver.setCodecPreferences(codecs)

    async def _offer(self):
        await self.pc.setLocalDescription(await self.pc.createOffer())
        return self.pc.localDescription.sdp

    async def _accept(self, sdp):
        await self.pc.setRemoteDescription(RTCSessionDescription(sdp, "answer"))

    async def _stop(self):
        await self.pc.close()

    def _on_track(self, track):
        ear = Ear()
        self.ears.append(ear)
        self._spawn(self._listen(track, ear))

    async def _listen(self, track, ear):
        try:
            while True:
                frame = await track.recv()
                samples = frame.to_ndarray().reshape(-1, len(frame.layout.channels))[:, 0] / 32768
                ear.feed(samples, frame.sample_rate)
                self._happened.set()
        except MediaStreamError:
            pass  # the track has ended
