"""How the demo compares two recordings: level, length and correlation, in plain Python.

Independent of voxwire on purpose: G.711 and the change of rate are written again here, from their definitions.
"""

import math
import sys
import wave
from array import array
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

RATE = 8000
COARSE = 40
"""Samples of one step of the envelope: 5 ms."""
MAX_SHIFT_MS = 1500
MAX_GAP_MS = 200


@dataclass(frozen=True)
class Comparison:
    """`back` against `sent`, both at 8 kHz."""

    sent: Sequence[float]
    back: Sequence[float]
    level_db: float
    length_ms: float
    pieces: Sequence[tuple[float, float]]
    """For each second of `sent`: how much later `back` has it in ms, and how well they correlate."""

    @property
    def correlation(self) -> float:
        """The median over the seconds, each aligned by itself."""
        return median(correlation for _, correlation in self.pieces)

    @property
    def worst(self) -> float:
        """The correlation of the worst second: a gap in it is heard as a click."""
        return min(correlation for _, correlation in self.pieces)

    @property
    def gap_ms(self) -> float:
        """How much later `back` became on the way: audio that came late, with silence in its place."""
        return self.pieces[-1][0] - self.pieces[0][0]


def compare(sent: Sequence[float], back: Sequence[float]) -> Comparison:
    """Level, length, and second by second the correlation at the place where it is best."""
    length_ms = (len(back) - len(sent)) * 1000 / RATE
    level_db = 10 * math.log10(max(sum(map(_square, back)), 1e-9) / sum(map(_square, sent)))
    pieces = []
    near, reach = 0, MAX_SHIFT_MS
    for start in range(0, len(sent) - RATE + 1, RATE):
        near, correlation = _align(sent[start : start + RATE], back, start, near, reach)
        reach = MAX_GAP_MS
        pieces.append((near * 1000 / RATE, correlation))
    return Comparison(sent, back, level_db, length_ms, pieces)


def _align(piece: Sequence[float], back: Sequence[float], start: int, near: int, reach_ms: int) -> tuple[int, float]:
    """The shift against `start` with the best correlation: first of the envelopes, then of the samples around it."""
    loud_piece, loud_back = _envelope(piece), _envelope(back)
    middle, steps = (start + near) // COARSE, reach_ms * RATE // 1000 // COARSE
    coarse = COARSE * max(
        range(middle - steps, middle + steps + 1), key=lambda place: _correlation(loud_piece, loud_back, place)
    )
    places = range(coarse - 2 * COARSE, coarse + 2 * COARSE + 1)
    place = max(places, key=lambda place: _correlation(piece, back, place))
    return place - start, _correlation(piece, back, place)


def read_wav(path: Path) -> tuple[int, list[float]]:
    """Rate and samples of a 16-bit mono WAV file."""
    with wave.open(str(path)) as file:
        if (file.getsampwidth(), file.getnchannels()) != (2, 1):
            raise ValueError(f"{path} is not 16-bit mono")
        samples = array("h", file.readframes(file.getnframes()))
        if sys.byteorder == "big":  # WAV is little-endian
            samples.byteswap()
        return file.getframerate(), [float(sample) for sample in samples]


def through_ulaw(speech: Sequence[float]) -> list[float]:
    """16 kHz speech as it sounds at 8 kHz in µ-law: what a phone makes of it."""
    return [_nearest(sample) for sample in _half_rate(speech)]


def _half_rate(samples: Sequence[float], taps: int = 127) -> list[float]:
    """Low-pass below 4 kHz (a windowed sinc of linear phase), then every second sample."""
    middle = taps // 2
    kernel = []
    for n in range(taps):
        x = (n - middle) * 0.48
        window = 0.42 - 0.5 * math.cos(2 * math.pi * n / (taps - 1)) + 0.08 * math.cos(4 * math.pi * n / (taps - 1))
        kernel.append(0.48 * window * (math.sin(math.pi * x) / (math.pi * x) if x else 1.0))
    padded = [0.0] * middle + list(samples) + [0.0] * middle
    return [sum(map(float.__mul__, padded[start : start + taps], kernel)) for start in range(0, len(samples), 2)]


def _levels() -> list[float]:
    """The 255 values of µ-law (ITU-T G.711 table 2), as 16-bit samples in rising order."""
    positive = [(((2 * step + 33) << segment) - 33) * 4.0 for segment in range(8) for step in range(16)]
    return [-value for value in reversed(positive[1:])] + positive


LEVELS = _levels()


def _nearest(sample: float) -> float:
    place = bisect_left(LEVELS, sample)
    around = LEVELS[max(place - 1, 0) : place + 1]
    return min(around, key=lambda level: abs(level - sample))


def _envelope(samples: Sequence[float]) -> list[float]:
    """Level in steps of 5 ms, without its mean: what does not change tells nothing about the place."""
    levels = [_rms(samples[start : start + COARSE]) for start in range(0, len(samples), COARSE)]
    mean = sum(levels) / max(len(levels), 1)
    return [level - mean for level in levels]


def _correlation(reference: Sequence[float], signal: Sequence[float], shift: int) -> float:
    """Normalised: 1.0 is the same but for the level. What `signal` does not have counts as silence."""
    part = signal[shift : shift + len(reference)] if shift >= 0 else signal[: max(shift + len(reference), 0)]
    own = reference if shift >= 0 else reference[-shift:]
    power = math.sqrt(sum(map(_square, reference)) * sum(map(_square, part)))
    return sum(map(float.__mul__, own, part)) / power if power else 0.0


def _rms(samples: Sequence[float]) -> float:
    return math.sqrt(sum(map(_square, samples)) / len(samples)) if samples else 0.0


def _square(sample: float) -> float:
    return sample * sample
