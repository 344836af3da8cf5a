"""A conversation of espeak-ng's voices, and how well somebody heard it."""

import io
import subprocess
import wave

import numpy

from tones import RATE_HZ

PEAK = 0.3  # of an utterance: three at once do not clip
WINDOW_S = 0.3
SEARCH_S = 0.15  # two voices may be delayed unlike by so much: each has a jitter buffer of its own
SILENT_DB = -90.0


def resampled(samples, from_hz, to_hz):
    """By the spectrum: nothing above the lower band is left, and nothing is made up."""
    size = int(round(len(samples) * to_hz / from_hz))
    spectrum = numpy.fft.rfft(samples)
    grown = numpy.zeros(size // 2 + 1, complex)
    kept = min(len(spectrum), len(grown))
    grown[:kept] = spectrum[:kept]
    return numpy.fft.irfft(grown, size) * (size / len(samples))


def low_passed(samples, below_hz):
    spectrum = numpy.fft.rfft(samples)
    spectrum[numpy.fft.rfftfreq(len(samples), 1 / RATE_HZ) > below_hz] = 0
    return numpy.fft.irfft(spectrum, len(samples))


def said(voice, text):
    """48 kHz, mono, without the silence at either end."""
    spoken = subprocess.run(["espeak-ng", "-v", voice, "-s", "160", "--stdout", text], check=True, stdout=subprocess.PIPE).stdout
    with wave.open(io.BytesIO(spoken)) as file:  # its header knows no length: it was written into a pipe
        rate_hz, channels = file.getframerate(), file.getnchannels()
    assert channels == 1
    samples = numpy.frombuffer(spoken[44:len(spoken) // 2 * 2], "<i2") / 32768
    loud = numpy.flatnonzero(numpy.abs(samples) > 0.002)
    samples = resampled(samples[loud[0] : loud[-1] + 1], rate_hz, RATE_HZ)
    return samples * (PEAK / numpy.abs(samples).max())


class Conversation:
    """turns: lists of (talker, text) who begin together; between turns nobody speaks for pause_s.  says[talker] is all that one
    says, on one clock; utterances are (talker, from, to) in samples; pauses are (from, to)."""

    def __init__(self, voices, turns, pause_s):
        at, pause = int(pause_s * RATE_HZ), int(pause_s * RATE_HZ)
        self.utterances, self.pauses, spoken = [], [(0, at)], []
        for turn in turns:
            sounds = [(talker, said(voices[talker], text)) for talker, text in turn]
            self.utterances += [(talker, at, at + len(sound)) for talker, sound in sounds]
            spoken += [sound for _, sound in sounds]
            end = at + max(len(sound) for _, sound in sounds)
            self.pauses.append((end, end + pause))
            at = end + pause
        self.says = {talker: numpy.zeros(at) for talker in voices}
        for (talker, begin, end), sound in zip(self.utterances, spoken):
            self.says[talker][begin:end] = sound
        self.seconds = at / RATE_HZ


def lag_of(heard, clean, search):
    """How many samples later `clean` is in `heard`, of those in the slice `search`: where they are most alike."""
    size = 1 << (len(heard) + len(clean)).bit_length()
    alike = numpy.fft.irfft(numpy.fft.rfft(heard, size) * numpy.conj(numpy.fft.rfft(clean, size)), size)
    lags = numpy.arange(search.start, search.stop)
    return int(lags[numpy.argmax(alike[lags])])


def cut(samples, begin, size):
    """samples[begin : begin + size], with silence where there are none."""
    part = numpy.zeros(size)
    first, last = max(begin, 0), min(begin + size, len(samples))
    if last > first:
        part[first - begin : last - begin] = samples[first:last]
    return part


def level_db(samples):
    power = numpy.mean(numpy.square(samples)) if len(samples) > 0 else 0
    return max(10 * numpy.log10(power + 1e-12), SILENT_DB)


class Hearing:
    """What is to be said of a recording of a conversation.  says: the voices that should be in it.

    correlations: of each window in which somebody speaks, with the voices in it, each shifted and scaled as fits best;
    gains: {talker: [gain of each utterance]}; intelligibility: see stoi; pause_db: the loudest pause."""

    def __init__(self, conversation, recording, says, below_hz=None):
        says = {talker: low_passed(sound, below_hz) if below_hz else sound for talker, sound in says.items()}
        clean = sum(says.values())
        self._search = int(SEARCH_S * RATE_HZ)
        self.lag = lag_of(recording, clean, slice(0, max(len(recording), 1)))
        recording = cut(recording, self.lag - self._search, len(clean) + 2 * self._search)
        self.correlations, self.gains = [], {talker: [] for talker in says}
        aligned = numpy.zeros(len(recording))
        for talker, begin, end in conversation.utterances:
            if talker not in says:
                continue
            lag = self._lag(recording, says[talker], begin, end - begin)
            part = says[talker][begin:end]
            aligned[begin + lag : begin + lag + len(part)] += part
        size = int(WINDOW_S * RATE_HZ)
        for begin in range(0, len(clean) - size, size):
            self._window(recording, says, begin, size)
        for talker, begin, end in conversation.utterances:
            if talker in says:
                self.gains[talker].append(self._gain(recording, says, talker, begin, end))
        self.intelligibility = stoi(aligned, recording, below_hz or RATE_HZ / 2)
        # What is late and what a stream ends with is not silence yet.
        quiet = [recording[a + self._search + RATE_HZ // 3 : b + self._search - RATE_HZ // 10] for a, b in conversation.pauses[1:]]
        self.pause_db = max(level_db(part) for part in quiet)

    def _lag(self, recording, sound, begin, size):
        return lag_of(cut(recording, begin, size + 2 * self._search), sound[begin : begin + size], slice(0, 2 * self._search))

    def _fitted(self, recording, says, begin, size):
        """The voices of this window where they are in the recording; and what of it was recorded."""
        lags = {talker: self._lag(recording, sound, begin, size) for talker, sound in says.items()
                if level_db(sound[begin : begin + size]) > -45}
        if not lags:
            return None, None, None
        first = int(numpy.median(list(lags.values())))
        heard = cut(recording, begin + first, size)
        parts = numpy.array([cut(says[talker], begin + first - lag, size) for talker, lag in lags.items()])
        gains = numpy.linalg.lstsq(parts.T, heard, rcond=None)[0]
        return heard, gains @ parts, dict(zip(lags, gains))

    def _window(self, recording, says, begin, size):
        heard, fit, _ = self._fitted(recording, says, begin, size)
        if heard is not None:
            norm = numpy.linalg.norm(heard) * numpy.linalg.norm(fit)
            self.correlations.append(float(heard @ fit / norm) if norm > 0 else 0.0)

    def _gain(self, recording, says, talker, begin, end):
        """The median of its windows: a voice that is delayed unlike in the middle still is heard."""
        size = int(WINDOW_S * RATE_HZ)
        gains = [self._fitted(recording, says, at, size)[2] for at in range(begin, max(end - size, begin + 1), size)]
        return float(numpy.median([gain[talker] for gain in gains if gain is not None and talker in gain]))

    def __str__(self):
        low, middle = numpy.percentile(self.correlations, (10, 50))
        gains = ", ".join(f"{talker} {min(all_of):.2f}-{max(all_of):.2f}" for talker, all_of in self.gains.items())
        return (f"correlation {middle:.3f} (of the worst tenth {low:.3f}), intelligibility {self.intelligibility:.3f}, "
                f"gains {gains}, pauses {self.pause_db:.0f} dB")


def stoi(clean, heard, below_hz):
    """The short-time objective intelligibility (Taal, Hendriks, Heusdens, Jensen 2011): 1 is the clean sound, about 0.7 is understood
    without effort.  Both of one length and aligned; bands above below_hz are left out."""
    rate_hz, size, hop, frames = 10000, 256, 128, 30
    clean, heard = (resampled(sound, RATE_HZ, rate_hz) for sound in (clean, heard))
    window = numpy.hanning(size + 2)[1:-1]
    starts = numpy.arange(0, len(clean) - size, hop)
    clean, heard = (numpy.array([sound[at : at + size] * window for at in starts]) for sound in (clean, heard))
    power_db = 20 * numpy.log10(numpy.linalg.norm(clean, axis=1) + 1e-9)
    spoken = power_db > power_db.max() - 40
    hz = numpy.fft.rfftfreq(512, 1 / rate_hz)
    edges = [(150 * 2 ** ((2 * k - 1) / 6), 150 * 2 ** ((2 * k + 1) / 6)) for k in range(15)]
    bands = numpy.array([(hz >= low) & (hz < high) for low, high in edges if high < below_hz], float)
    clean, heard = (numpy.sqrt(bands @ numpy.abs(numpy.fft.rfft(sound[spoken], 512).T) ** 2) for sound in (clean, heard))
    scores = []
    for at in range(clean.shape[1] - frames + 1):
        x, y = clean[:, at : at + frames], heard[:, at : at + frames]
        y = y * (numpy.linalg.norm(x, axis=1) / (numpy.linalg.norm(y, axis=1) + 1e-12))[:, None]
        y = numpy.minimum(y, x * (1 + 10 ** (15 / 20)))
        x, y = (each - each.mean(axis=1, keepdims=True) for each in (x, y))
        scores.append(numpy.sum(x * y, axis=1) / (numpy.linalg.norm(x, axis=1) * numpy.linalg.norm(y, axis=1) + 1e-12))
    return float(numpy.mean(scores))
