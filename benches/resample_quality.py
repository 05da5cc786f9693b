"""Resamplers, side by side: what they do to a sine of full scale, how late they are, what a frame costs.

`python -m benches.resample_quality [--all] [--engines voxwire,rubato-fft,rubato-sinc,soxr]`. Needs numpy, cargo, and the
PyPI package soxr (libsoxr HQ) for the row of that name. Every engine gets 16-bit PCM in frames of 20 ms, and gives
16-bit PCM back.
"""

from __future__ import annotations

import argparse
import itertools
import json
import math
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .figures import Table

Pcm = NDArray[np.int16]
Convert = Callable[[int, int, Pcm], Pcm]

ROOT = Path(__file__).resolve().parent.parent
RATES = (8000, 16000, 24000, 32000, 44100, 48000)
# The pairs of a bridge: telephone, wideband and speech services, Opus, CD.
SHOWN = (
    *((8000, 16000), (16000, 8000), (8000, 24000), (24000, 8000), (16000, 24000), (24000, 16000)),
    *((8000, 48000), (48000, 8000), (16000, 48000), (48000, 16000), (44100, 8000), (44100, 48000)),
)
AMPLITUDE = 29491.0  # 0.9 of full scale
FRAMES_PER_SECOND = 50


@dataclass
class Quality:
    """What was measured of one engine and one pair of rates."""

    noise: float  # worst THD+N up to 0.8 of the lower Nyquist frequency, dB
    ripple: float  # largest deviation of the gain there, dB
    edge: float  # where the gain is -3 dB, as a part of the lower Nyquist frequency
    alias: float  # loudest remainder of what lies above the lower Nyquist frequency, dB (downwards only)
    delay: float  # ms
    cost: float  # ns for 20 ms


def build() -> Path:
    """The command that runs the engines written in Rust, compiled."""
    subprocess.run(
        ["cargo", "build", "--quiet", "--release", "--no-default-features", "--example", "resample_engines"],
        cwd=ROOT,
        check=True,
    )
    metadata = subprocess.run(
        ["cargo", "metadata", "--format-version=1", "--no-deps"], cwd=ROOT, check=True, capture_output=True, text=True
    )

    return Path(json.loads(metadata.stdout)["target_directory"]) / "release" / "examples" / "resample_engines"


class Command:
    """An engine behind the command."""

    def __init__(self, command: Path, engine: str) -> None:
        self.start = [str(command), engine]

    def convert(self, source: int, target: int, pcm: Pcm) -> Pcm:
        """What the engine makes of whole frames."""
        start = [*self.start, str(source), str(target)]
        done = subprocess.run(start, input=pcm.tobytes(), check=True, capture_output=True)
        return np.frombuffer(done.stdout, np.int16)

    def cost(self, source: int, target: int) -> float:
        """Nanoseconds for a frame."""
        start = [*self.start, str(source), str(target), "time"]
        done = subprocess.run(start, check=True, capture_output=True, text=True)
        return float(done.stdout.split()[0])


class Soxr:
    """libsoxr by its Python binding, HQ."""

    def __init__(self) -> None:
        import soxr

        self.soxr: Any = soxr

    def convert(self, source: int, target: int, pcm: Pcm) -> Pcm:
        """What the engine makes of whole frames."""
        stream = self.soxr.ResampleStream(source, target, 1, dtype="int16", quality="HQ")
        frame = source // FRAMES_PER_SECOND
        parts = [stream.resample_chunk(pcm[at : at + frame]) for at in range(0, len(pcm) - frame + 1, frame)]
        out: Pcm = np.concatenate(parts)
        return out

    def cost(self, source: int, target: int) -> float:
        """Nanoseconds for a frame, as little as a batch took; the call from Python included."""
        stream = self.soxr.ResampleStream(source, target, 1, dtype="int16", quality="HQ")
        frame = sine(source, 0.048 * source, source // FRAMES_PER_SECOND)
        best = math.inf
        for _ in range(200):
            begun = time.perf_counter_ns()
            for _ in range(25):
                stream.resample_chunk(frame)
            best = min(best, (time.perf_counter_ns() - begun) / 25)
        return best


def sine(rate: int, frequency: float, samples: int) -> Pcm:
    """A sine rounded to 16 bits."""
    wave = AMPLITUDE * np.sin(2 * np.pi * frequency / rate * np.arange(samples))
    pcm: Pcm = np.rint(wave).astype(np.int16)
    return pcm


def fit(pcm: Pcm, rate: int, frequency: float) -> tuple[float, float, float]:
    """The best-fitting sine: its amplitude and phase, and the RMS of what is left beside it."""
    step = 2 * np.pi * frequency / rate * np.arange(len(pcm))
    basis = np.stack([np.sin(step), np.cos(step)], axis=1)
    wave = pcm.astype(np.float64)
    (a, b), *_ = np.linalg.lstsq(basis, wave, rcond=None)
    rest = wave - basis @ np.array([a, b])
    return math.hypot(a, b), math.atan2(b, a), float(np.sqrt(np.mean(rest**2)))


def decibels(ratio: float) -> float:
    return 20 * math.log10(ratio) if ratio > 0 else -math.inf


def steady(convert: Convert, source: int, target: int, frequency: float, seconds: float = 0.3) -> Pcm:
    """The steady part of a converted sine."""
    frames = int(seconds * FRAMES_PER_SECOND)
    out = convert(source, target, sine(source, frequency, frames * (source // FRAMES_PER_SECOND)))
    return out[len(out) // 3 : -len(out) // 10]


def measure(engine: Command | Soxr, source: int, target: int) -> Quality:
    """All of it for one pair of rates."""
    nyquist = min(source, target) / 2

    def gain(part: float) -> tuple[float, float]:
        frequency = nyquist * part - 1.37
        amplitude, _, rest = fit(steady(engine.convert, source, target, frequency), target, frequency)
        return decibels(amplitude / AMPLITUDE), decibels(amplitude / math.sqrt(2) / max(rest, 1e-9))

    band = [gain(0.05 * step) for step in range(1, 17)]
    low, high = 0.8, 1.2
    for _ in range(9):
        middle = (low + high) / 2
        low, high = (middle, high) if gain(middle)[0] > -3 else (low, middle)
    alias = -math.inf
    if source > target:
        for step in range(21):
            frequency = nyquist + (source / 2 - nyquist) * 0.98 * step / 20 + 0.7
            rest = steady(engine.convert, source, target, frequency).astype(np.float64)
            alias = max(alias, decibels(float(np.sqrt(np.mean(rest**2))) / (AMPLITUDE / math.sqrt(2))))
    return Quality(
        noise=min(noise for _, noise in band),
        ripple=max(abs(level) for level, _ in band),
        edge=low,
        alias=alias,
        delay=delay(engine, source, target),
        cost=engine.cost(source, target),
    )


def delay(engine: Command | Soxr, source: int, target: int) -> float:
    """How long after its sample was given an instant is heard, in ms: samples held back, and the shift of the rest."""
    frequency = 12.0
    given = sine(source, frequency, 2 * source)
    out = engine.convert(source, target, given)
    held = len(given) / source - len(out) / target
    # Whole periods away from the start, so that the phase is that of the stream.
    skip = round(target / frequency) * 6
    _, phase, _ = fit(out[skip:], target, frequency)
    start = (2 * math.pi * frequency * skip / target) % (2 * math.pi)
    shift = (start - phase + math.pi) % (2 * math.pi) - math.pi
    return 1000 * (held + shift / (2 * math.pi * frequency))


def row(name: str, engine: str, quality: Quality) -> list[str]:
    alias = "–" if math.isinf(quality.alias) and quality.alias < 0 else f"{quality.alias:.0f}"
    texts = [f"{quality.noise:.1f}", f"{quality.ripple:.4f}", f"{quality.edge:.3f}", alias, f"{quality.delay:.1f}"]
    return [name, engine, *texts, f"{quality.cost:.0f}"]


def worst(measured: list[Quality]) -> Quality:
    """The worst of each figure; the delay and the cost the highest."""
    return Quality(
        noise=min(one.noise for one in measured),
        ripple=max(one.ripple for one in measured),
        edge=min(one.edge for one in measured),
        alias=max(one.alias for one in measured),
        delay=max(one.delay for one in measured),
        cost=max(one.cost for one in measured),
    )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--all", action="store_true", help="all 30 pairs of rates, not only those of a bridge")
    parser.add_argument("--engines", default="voxwire,rubato-fft,rubato-sinc,soxr")
    arguments = parser.parse_args()
    command = build()
    engines: dict[str, Command | Soxr] = {
        name: Soxr() if name == "soxr" else Command(command, name) for name in arguments.engines.split(",")
    }
    columns = ["kHz", "engine", "THD+N dB", "ripple dB", "-3 dB at", "alias dB", "delay ms", "ns / 20 ms"]
    table = Table("Resamplers", columns)
    pairs = list(itertools.permutations(RATES, 2)) if arguments.all else list(SHOWN)
    measured: dict[str, list[Quality]] = {name: [] for name in engines}
    for source, target in pairs:
        for name, engine in engines.items():
            quality = measure(engine, source, target)
            measured[name].append(quality)
            table.add(row(f"{source / 1000:g} → {target / 1000:g}", name, quality))
    for name, all_of_it in measured.items():
        table.add(row(f"worst of {len(pairs)}", name, worst(all_of_it)))
    print(table.markdown())


if __name__ == "__main__":
    main()
