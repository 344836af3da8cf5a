"""A participant on aiortc: ICE, SRTP handling, RTP and jitter buffer in Python, none of it shared with the server."""

from aiortc import RTCPeerConnection, RTCRtpSender, RTCSessionDescription
from aiortc.mediastreams import MediaStreamError

from peer import Peer
from tones import Ear, Tone

NAMES = ("a=group:BUNDLE", "a=mid:")


class AiortcPeer(Peer):
    def __init__(self, hz=None, slots=3, codec="audio/opus", bare=False, microphone=None, relay=None):
        """hz: the tone that it says; microphone: what it says instead; without both it only listens.  codec: the only one that it
        has.  relay: between it and the server.  bare: one m-line both ways (slots
        does not count), offered as a gateway of telephones does, without a group and without a name."""
        super().__init__()
        codecs = [each for each in RTCRtpSender.getCapabilities("audio").codecs if each.mimeType == codec]
        self.pc = RTCPeerConnection()
        self.pc.on("track", self._on_track)
        self._is_bare = bare
        self._relay = relay
        says = microphone or (Tone(hz) if hz is not None else None)
        if says is not None:
            self.pc.addTransceiver(says, direction="sendrecv" if bare else "sendonly")
        for _ in range(0 if bare else slots):
            self.pc.addTransceiver("audio", direction="recvonly")
        for transceiver in self.pc.getTransceivers():
            transceiver.setCodecPreferences(codecs)

    async def _offer(self):
        await self.pc.setLocalDescription(await self.pc.createOffer())
        sdp = self.pc.localDescription.sdp
        return "".join(line for line in sdp.splitlines(True) if not line.startswith(NAMES)) if self._is_bare else sdp

    async def _accept(self, sdp):
        if self._is_bare:  # aiortc itself knows no m-line without a name
            assert not any(line.startswith(NAMES) for line in sdp.splitlines()), sdp
            sdp = sdp.replace("t=0 0\r\n", "t=0 0\r\na=group:BUNDLE 0\r\n").replace("a=rtcp-mux\r\n", "a=mid:0\r\na=rtcp-mux\r\n")
        if self._relay is not None:
            sdp = await self._relay.stand_in(sdp)
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
