"""Sines instead of voices: what the talkers of a test say, and how their listeners know them apart."""

import asyncio
import fractions
import time

import numpy
from aiortc.mediastreams import MediaStreamTrack
from av import AudioFrame

RATE_HZ = 48000
FRAME_SAMPLES = 960  # 20 ms
AMPLITUDE = 0.25
AUDIBLE_RMS = 0.01
SILENT_AFTER_S = 0.25  # a slot that nothing flows into stands still: no frames, not silent ones


class _Source(MediaStreamTrack):
    """A frame each 20 ms of what a subclass's _samples(first) gives: FRAME_SAMPLES from the sample of this number on, -1 to 1."""

    kind = "audio"

    def __init__(self):
        super().__init__()
        self._sent = 0
        self._start = time.monotonic()

    async def recv(self):
        await asyncio.sleep(self._start + self._sent / RATE_HZ - time.monotonic())
        wave = (32767 * self._samples(self._sent)).astype(numpy.int16)
        frame = AudioFrame.from_ndarray(wave.reshape(1, -1), layout="mono")
        frame.sample_rate = RATE_HZ
        frame.pts = self._sent
        frame.time_base = fractions.Fraction(1, RATE_HZ)
        self._sent += FRAME_SAMPLES
        return frame


class Tone(_Source):
    """A microphone that hears one sine."""

    def __init__(self, hz):
        super().__init__()
        self._hz = hz

    def _samples(self, first):
        at = (first + numpy.arange(FRAME_SAMPLES)) / RATE_HZ
        return AMPLITUDE * numpy.sin(2 * numpy.pi * self._hz * at)


class Microphone(_Source):
    """One that hears these samples from the moment on that the future `epoch` tells (of time.monotonic), and silence before and
    after.  late_s: the most that a frame of them was late when it was sent, because this machine had no time."""

    def __init__(self, samples, epoch):
        super().__init__()
        self._sound = numpy.concatenate((samples, numpy.zeros(FRAME_SAMPLES)))
        self._epoch = epoch
        self._first = None
        self.late_s = 0

    async def recv(self):
        if self._first is not None and 0 < self._sent - self._first < len(self._sound):  # the frame before has just been sent
            self.late_s = max(self.late_s, time.monotonic() - self._start - (self._sent - FRAME_SAMPLES) / RATE_HZ)
        return await super().recv()

    def _samples(self, first):
        if self._first is None and self._epoch.done():
            self._first = int((self._epoch.result() - self._start) * RATE_HZ)
        if self._first is None or first < self._first - FRAME_SAMPLES or first - self._first >= len(self._sound):
            return numpy.zeros(FRAME_SAMPLES)
        at = first - self._first + numpy.arange(FRAME_SAMPLES)
        return numpy.where((at >= 0) & (at < len(self._sound)), self._sound[numpy.clip(at, 0, len(self._sound) - 1)], 0)


def tone_in(samples, tones):
    """Which of the tones makes up these mono samples; None when they are silent."""
    if len(samples) == 0 or numpy.sqrt(numpy.mean(samples**2)) < AUDIBLE_RMS:
        return None
    power = numpy.abs(numpy.fft.rfft(samples * numpy.hanning(len(samples)))) ** 2
    hz = numpy.fft.rfftfreq(len(samples), 1 / RATE_HZ)
    for tone in tones:
        if power[numpy.abs(hz - tone) < 40].sum() > 0.7 * power.sum():
            return tone
    return "something else"


def chord_in(samples, tones):
    """All of the tones that make up these mono samples, as "500+800", with "?" when there is more; None when they are silent."""
    if len(samples) == 0 or numpy.sqrt(numpy.mean(samples**2)) < AUDIBLE_RMS:
        return None
    power = numpy.abs(numpy.fft.rfft(samples * numpy.hanning(len(samples)))) ** 2
    hz = numpy.fft.rfftfreq(len(samples), 1 / RATE_HZ)
    shares = [power[numpy.abs(hz - tone) < 40].sum() / power.sum() for tone in tones]
    heard = "+".join(str(tone) for tone, share in zip(tones, shares) if share > 0.1)
    return heard + ("" if sum(shares) > 0.7 else "?")


class Ear:
    """The last 100 ms that came out of one slot."""

    def __init__(self):
        self._samples = numpy.zeros(0)
        self._heard_at = -1.0

    def feed(self, samples, rate_hz=RATE_HZ):
        """samples: mono, -1 to 1.  rate_hz: a part of RATE_HZ."""
        samples = numpy.repeat(samples, RATE_HZ // rate_hz)  # its images are weak: below -20 dB for the tones of the tests
        self._samples = numpy.concatenate((self._samples, samples))[-RATE_HZ // 10 :]
        self._heard_at = time.monotonic()

    def tone(self, tones):
        if time.monotonic() - self._heard_at > SILENT_AFTER_S:
            return None
        return tone_in(self._samples, tones)

    def chord(self, tones):
        if time.monotonic() - self._heard_at > SILENT_AFTER_S:
            return None
        return chord_in(self._samples, tones)
