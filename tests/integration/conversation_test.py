"""People talk: espeak-ng's voices through the real server, spoken and heard by aiortc; what the mix of them sounds like.

PLENUM_SERVER names the program to test; PLENUM_SANITIZED: it is a sanitizer's build.
"""

import asyncio
import audioop
import os
import time

import numpy
from aiortc.codecs._opus import ffi, lib

from aiortc_peer import AiortcPeer
from lossy_relay import LossyRelay
from peer import run
from plenum_server import Server
from speech import Conversation, Hearing, resampled
from tones import FRAME_SAMPLES, RATE_HZ, Microphone

VOICES = {"Ann": "en-us+f3", "Bob": "en-gb-scotland+m3", "Cat": "en-gb+f5"}
TURNS = (
    [("Ann", "Good morning. Shall we begin with the numbers?")],
    [("Bob", "Yes, please.")],
    [("Ann", "In June we sold ninety."), ("Bob", "I thought it was more.")],
    [("Ann", "What did you say just now?"), ("Bob", "Please, one after the other."), ("Cat", "It was a hundred and four.")],
)
PAUSE_S = 0.8
LEAD_S = 0.5  # before the first word, and after the last one
CONCEALED_MAX = 5
LATE_S_MAX = 0.03  # a talker that stutters by itself says nothing about the mix: such a take is made again
TAKES_MAX = 6


class Recorder(AiortcPeer):
    """Keeps the packets of its first slot as they came out of SRTP: to a listener with a jitter buffer without end."""

    def __init__(self, **options):
        super().__init__(**options)
        self._codec = options.get("codec", "audio/opus")
        self._packets = {}

    def _on_track(self, track):
        receivers = [each.receiver for each in self.pc.getTransceivers() if each.receiver.track is track]
        if not self.ears:  # the first slot has the mix
            receivers[0]._handle_rtp_packet = self._keep
        super()._on_track(track)

    async def _keep(self, packet, arrival_time_ms):
        self._packets.setdefault((packet.sequence_number, packet.timestamp), packet.payload)

    def recording(self):
        """What was heard, at RATE_HZ: each packet where its timestamp says, lost ones concealed, silence where none was sent."""
        (seq0, ts0), rate_hz = next(iter(self._packets)), RATE_HZ if self._codec == "audio/opus" else 8000

        def unwrapped(key):
            return (key[0] - seq0 + 0x8000) % 0x10000, (key[1] - ts0 + 0x80000000) % 0x100000000 - 0x80000000

        packets = sorted((unwrapped(key), payload) for key, payload in self._packets.items())
        first_ts, last_ts = packets[0][0][1], packets[-1][0][1]
        sound = numpy.zeros(last_ts - first_ts + rate_hz)
        decode = _opus_decoder() if self._codec == "audio/opus" else _g711_decoder
        frame, before = rate_hz // 50, None
        for (seq, ts), payload in packets:
            lost = 0 if before is None else min(seq - before - 1, CONCEALED_MAX)
            for i in range(lost, 0, -1):
                at = ts - first_ts - i * frame
                sound[at : at + frame] = decode(None, payload if i == 1 else None)
            sound[ts - first_ts : ts - first_ts + frame] = decode(payload, None)
            before = seq
        self.lost = packets[-1][0][0] - packets[0][0][0] + 1 - len(packets)
        return sound if rate_hz == RATE_HZ else resampled(sound, rate_hz, RATE_HZ)


def _g711_decoder(payload, _):
    return numpy.frombuffer(audioop.ulaw2lin(payload or b"\xff" * 160, 2), "<i2") / 32768


def _opus_decoder():
    error = ffi.new("int *")
    decoder = ffi.gc(lib.opus_decoder_create(RATE_HZ, 1, error), lib.opus_decoder_destroy)
    pcm = ffi.new("int16_t []", FRAME_SAMPLES)

    def decode(payload, following):
        """payload None: it is lost; what the packet after it, if that is there, repeats of it is used."""
        data = payload or following
        size = lib.opus_decode(decoder, data or ffi.NULL, len(data or b""), pcm, FRAME_SAMPLES, int(payload is None and data is not None))
        assert size == FRAME_SAMPLES, size
        return numpy.frombuffer(ffi.buffer(pcm), "<i2") / 32768

    return decode


async def _take(server, room, conversation, listeners, loss_permille):
    """One take: the recorders, and by how much a talker was late at most."""
    epoch = asyncio.get_running_loop().create_future()
    relays, microphones, peers = [], [], {}
    for i, name in enumerate([*VOICES, *(name for name in listeners if name not in VOICES)]):
        options = {"audio": "mixed", "slots": 1, **listeners[name]} if name in listeners else {"slots": 0}
        if loss_permille > 0:
            relays.append(LossyRelay(loss_permille, seed=i))
            options["relay"] = relays[-1]
        if name in VOICES:
            microphones.append(Microphone(conversation.says[name], epoch))
            options["microphone"] = microphones[-1]
        quality = options.pop("quality", None)
        peers[name] = await Recorder.join(server.url, room, name, **options)
        if quality is not None:
            await peers[name].set_mode("mixed", quality)
    epoch.set_result(time.monotonic() + LEAD_S)
    await asyncio.sleep(conversation.seconds + 2 * LEAD_S)
    await asyncio.gather(*(peer.leave() for peer in peers.values()))
    for relay in relays:
        relay.close()
    if relays:
        share = sum(relay.lost for relay in relays) / sum(relay.lost + relay.passed for relay in relays)
        assert 0.03 < share < 0.07, share
    return {name: peers[name] for name in listeners}, max(microphone.late_s for microphone in microphones)


async def held(server, conversation, listeners, loss_permille=0):
    """Holds the conversation.  listeners: {name: what AiortcPeer.join takes}; a name of VOICES talks, too.  Returns the recorders."""
    for take in range(TAKES_MAX):
        recorders, late_s = await _take(server, f"take-{take}", conversation, listeners, loss_permille)
        if late_s < LATE_S_MAX:
            return recorders
        print(f"  a talker was {late_s * 1000:.0f} ms late by itself: once more", flush=True)
    raise AssertionError(f"this machine is too busy for a conversation: {TAKES_MAX} takes stuttered")


def check(name, hearing, correlation, worst, intelligibility, gains):
    """correlation: of the median window at least, worst: of nine in ten; gains: of each utterance, from and to."""
    print(f"  {name}: {hearing}", flush=True)
    low, middle = numpy.percentile(hearing.correlations, (10, 50))
    assert middle > correlation and low > worst, f"{name}: {hearing}"
    assert hearing.intelligibility > intelligibility, f"{name}: {hearing}"
    for talker, all_of in hearing.gains.items():
        assert all(gains[0] < gain < gains[1] for gain in all_of), f"{name} hears {talker} so loud: {all_of}"
    assert hearing.pause_db < -60, f"{name} hears pauses: {hearing.pause_db:.0f} dB"


async def a_conversation(server, conversation):
    """A mix is what was said: to who listens, to who talks (all but itself), to a telephone."""
    recorders = await held(server, conversation, {"Ann": {}, "Listener": {}, "Phone": {"codec": "audio/PCMU"}})
    for name, recorder in recorders.items():
        sound, below_hz = recorder.recording(), 3000 if name == "Phone" else None
        assert recorder.lost == 0, f"{name}: {recorder.lost} packets are missing"
        others = {talker: said for talker, said in conversation.says.items() if talker != name}
        check(name, Hearing(conversation, sound, others, below_hz), 0.9, 0.4, 0.8, (0.6, 1.25))
        if name in VOICES:
            own = Hearing(conversation, sound, conversation.says).gains[name]
            assert max(map(abs, own)) < 0.1, f"{name} hears itself so loud: {own}"


async def a_conversation_with_loss(server, conversation):
    """5 % of all media is lost, on its way in and on its way out."""
    recorders = await held(server, conversation, {"Listener": {}, "Robust": {"quality": "robust"}}, loss_permille=50)
    for name, recorder in recorders.items():
        sound = recorder.recording()
        assert recorder.lost > 0
        check(name, Hearing(conversation, sound, conversation.says), 0.65, 0.3, 0.7, (0.25, 1.25))


async def main():
    conversation = Conversation(VOICES, TURNS, PAUSE_S)
    with Server() as server:
        try:
            os.setpriority(os.PRIO_PROCESS, 0, -10)  # its people must not stutter
        except PermissionError:
            pass
        # How it sounds is the release build's matter: what a sanitizer may find on the way is found with loss, and by mix_test.
        tests = (a_conversation_with_loss,) if os.environ.get("PLENUM_SANITIZED") else (a_conversation, a_conversation_with_loss)
        for test in tests:
            await test(server, conversation)
            print(f"ok: {test.__name__}: {test.__doc__.splitlines()[0]}", flush=True)


run(main)
