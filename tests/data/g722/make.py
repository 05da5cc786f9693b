"""Makes the vectors beside it with libg722 (`pip install G722 numpy`), an implementation of G.722 that is not ours.

`python tests/data/g722/make.py`. Each name: PCM at 16 kHz (`.pcm`, s16le), what libg722 encodes it to (`.g722`), and what it
decodes that to (`.out`). `codes` are bytes no encoder made. The speech is half a second of examples/speech.wav.
"""

import wave
from pathlib import Path

import numpy as np
from G722 import G722

HERE = Path(__file__).resolve().parent
SPEECH = HERE.parents[2] / "examples" / "speech.wav"
RATE, BITS = 16000, 64000  # of examples/speech.wav, too
SAMPLES = 8000


def speech() -> np.ndarray:
    """The part of the recording with the most energy."""
    with wave.open(str(SPEECH)) as file:
        pcm = np.frombuffer(file.readframes(file.getnframes()), np.int16)
    energy = np.convolve(pcm.astype(np.float64) ** 2, np.ones(SAMPLES), "valid")
    start = int(np.argmax(energy))
    return pcm[start : start + SAMPLES]


def signals() -> dict[str, np.ndarray]:
    """What is encoded."""
    random = np.random.default_rng(722)
    time = np.arange(SAMPLES) / RATE
    sweep = 12000 * np.sin(2 * np.pi * (50 * time + 7900 * time**2))
    loud = np.where(random.random(SAMPLES) < 0.5, 32767, -32768)
    quiet = np.concatenate([np.zeros(2000), random.integers(-3, 4, SAMPLES - 2000)])
    given = {
        "speech": speech(),
        "noise": random.normal(0, 4000, SAMPLES),
        "sweep": sweep,
        "loud": loud,
        "quiet": quiet,
    }
    return {name: np.clip(np.rint(pcm), -32768, 32767).astype(np.int16) for name, pcm in given.items()}


def main() -> None:
    """Write all files."""
    for name, pcm in signals().items():
        codes = bytes(G722(RATE, BITS).encode(pcm))
        (HERE / f"{name}.pcm").write_bytes(pcm.astype("<i2").tobytes())
        write(name, codes)
    write("codes", np.random.default_rng(64).integers(0, 256, SAMPLES // 2, dtype=np.uint8).tobytes())


def write(name: str, codes: bytes) -> None:
    """The codes, and what they decode to."""
    (HERE / f"{name}.g722").write_bytes(codes)
    out = np.asarray(G722(RATE, BITS).decode(codes), np.int16)
    (HERE / f"{name}.out").write_bytes(out.astype("<i2").tobytes())


if __name__ == "__main__":
    main()
