"""How each contestant does each operation, as its documentation says. Nothing is measured here.

Answers are what the next step needs: bytes for bytes, text for text. What is not installed is left out.
"""

from __future__ import annotations

import base64
import json
import math
import struct
from collections.abc import Callable
from fractions import Fraction
from functools import partial
from importlib.metadata import version
from importlib.util import find_spec
from typing import Any

from voxwire import OpusParameters, audio

Work = Callable[[], object]
NAMES = {
    "audioop": "audioop",
    "numpy": "numpy",
    "soxr": "soxr",
    "pybase64": "pybase64",
    "msgspec": "msgspec",
    "av": "PyAV",
}
HAVE = {name for name in NAMES if find_spec(name) is not None}
MISSING = [label for name, label in NAMES.items() if name not in HAVE]
BITRATE, COMPLEXITY = 32_000, 9


def versions() -> str:
    """Of those that are there."""
    names = [(NAMES[name], name) for name in NAMES if name in HAVE and name != "audioop"]
    return " · ".join(f"{label} {version(name)}" for label, name in names)


def tone(samples: int, rate: int = 8000) -> bytes:
    """Something like a voice: two partials and a little noise."""
    noise = [((n * 2_654_435_761) >> 20 & 1023) - 512 for n in range(samples)]
    waves = [math.sin(n * 900 / rate) * 8000 + math.sin(n * 5300 / rate) * 3000 for n in range(samples)]
    return struct.pack(f"<{samples}h", *(round(wave) + hiss for wave, hiss in zip(waves, noise, strict=True)))


def frames() -> dict[str, dict[str, Work]]:
    """What is done with each 20 ms of a call."""
    pcm8, pcm48 = tone(160), tone(960, 48000)
    made = _laws(pcm8)
    made["level"] = _level(pcm8)
    made |= _messages(pcm8)
    made["8 → 16 kHz"] = _rates(pcm8, 8000, 16000)
    made["16 → 8 kHz"] = _rates(tone(320, 16000), 16000, 8000)
    made |= _codec("G.722", "G722", tone(320, 16000), "g722", 16000)
    made |= _codec("Opus", "OPUS", pcm48, "libopus", 48000)
    made |= _legs(pcm8)
    return made


def megabyte() -> dict[str, dict[str, Work]]:
    """A megabyte of G.711, and of PCM."""
    return _laws((tone(4096) * 128)[: 1 << 20])


def _laws(pcm: bytes) -> dict[str, dict[str, Work]]:
    made: dict[str, dict[str, Work]] = {}
    for law, name, encode, decode in (
        ("µ-law", "ulaw", audio.ulaw_encode, audio.ulaw_decode),
        ("A-law", "alaw", audio.alaw_encode, audio.alaw_decode),
    ):
        # A megabyte of input for each.
        codes = encode(pcm) if len(pcm) < 1 << 20 else encode(pcm) * 2
        decoding: dict[str, Work] = {"voxwire": partial(decode, codes)}
        encoding: dict[str, Work] = {"voxwire": partial(encode, pcm)}
        if "audioop" in HAVE:
            import audioop

            expand, compress = getattr(audioop, f"{name}2lin"), getattr(audioop, f"lin2{name}")
            decoding["audioop"], encoding["audioop"] = partial(expand, codes, 2), partial(compress, pcm, 2)
        if "numpy" in HAVE:
            import numpy as np

            samples = np.frombuffer(decode(bytes(range(256))), np.int16)
            table = np.frombuffer(encode(np.arange(65536, dtype=np.uint16).tobytes()), np.uint8)
            decoding["numpy table"] = _looked_up(samples, codes, np.uint8)
            encoding["numpy table"] = _looked_up(table, pcm, np.uint16)
        made[f"{law} → PCM16"], made[f"PCM16 → {law}"] = decoding, encoding
    return made


def _looked_up(table: Any, data: bytes, kind: Any) -> Work:
    import numpy as np

    def work() -> bytes:
        looked_up: bytes = table[np.frombuffer(data, kind)].tobytes()
        return looked_up

    return work


def _level(pcm: bytes) -> dict[str, Work]:
    made: dict[str, Work] = {"voxwire": lambda: audio.level(pcm)}
    if "audioop" in HAVE:
        import audioop

        made["audioop rms + max"] = lambda: (audioop.rms(pcm, 2), audioop.max(pcm, 2))
    return made


class Media:
    """Media messages with the best of Python's tools: msgspec with types, pybase64."""

    def __init__(self) -> None:
        import msgspec
        import pybase64

        fields = [("tag", str), ("chunk", int), ("timestamp", int), ("payload", str)]
        self._body = msgspec.defstruct("Body", fields)
        self._message = msgspec.defstruct("Message", [("event", str), ("sequenceNumber", int), ("media", self._body)])
        self._decode: Callable[[str], Any] = msgspec.json.Decoder(self._message).decode
        self._encode = msgspec.json.Encoder().encode
        self._b64decode, self._b64encode = pybase64.b64decode, pybase64.b64encode_as_string

    def read(self, text: str) -> bytes:
        payload: bytes = self._b64decode(self._decode(text).media.payload, validate=True)
        return payload

    def write(self, payload: bytes) -> str:
        body = self._body("call-1", 1234, 197_440, self._b64encode(payload))
        text: str = self._encode(self._message("media", 1235, body)).decode()
        return text


class Standard:
    """The same with the standard library."""

    def read(self, text: str) -> bytes:
        return base64.b64decode(json.loads(text)["media"]["payload"])

    def write(self, payload: bytes) -> str:
        media = {
            "tag": "call-1",
            "chunk": 1234,
            "timestamp": 197_440,
            "payload": base64.b64encode(payload).decode(),
        }
        return json.dumps({"event": "media", "sequenceNumber": 1235, "media": media})


def _write(payload: bytes) -> str:
    return audio.write_media(payload, chunk=1234, timestamp=197_440, tag="call-1", sequenceNumber=1235)


def _tools() -> dict[str, Any]:
    """The ways to read and write messages, with audioop for G.711."""
    if "audioop" not in HAVE:
        return {}
    tools: dict[str, Any] = {"json + base64 + audioop": Standard()}
    if {"msgspec", "pybase64"} <= HAVE:
        tools = {"msgspec + pybase64 + audioop": Media()} | tools
    return tools


def _messages(pcm: bytes) -> dict[str, dict[str, Work]]:
    text = _write(audio.ulaw_encode(pcm))
    decoder, encoder = audio.Decoder("ULAW"), audio.Encoder("ULAW")
    reading: dict[str, Work] = {"voxwire": lambda: audio.parse_media(text, decoder)}
    writing: dict[str, Work] = {"voxwire": lambda: _write(encoder.encode(pcm)[0])}
    for who, tool in _tools().items():
        reading[who], writing[who] = _by_hand(tool, text, pcm)
    return {"media JSON → PCM16 (µ-law)": reading, "PCM16 → media JSON (µ-law)": writing}


def _by_hand(tool: Any, text: str, pcm: bytes) -> tuple[Work, Work]:
    import audioop

    return lambda: audioop.ulaw2lin(tool.read(text), 2), lambda: tool.write(audioop.lin2ulaw(pcm, 2))


def _rates(pcm: bytes, source: int, target: int) -> dict[str, Work]:
    resampler = audio.Resampler(source, target, prime=True)
    made: dict[str, Work] = {"voxwire": lambda: resampler.process(pcm)}
    if {"soxr", "numpy"} <= HAVE:
        import numpy as np
        import soxr

        stream = soxr.ResampleStream(source, target, 1, dtype="int16", quality="HQ")
        made["soxr HQ"] = lambda: stream.resample_chunk(np.frombuffer(pcm, np.int16)).tobytes()
    if "audioop" in HAVE:
        made["audioop ratecv"] = partial(_ratecv(source, target), pcm)
    return made


def _ratecv(source: int, target: int) -> Callable[[bytes], bytes]:
    """Keeps its state, as it has to."""
    import audioop

    state: Any = None

    def convert(pcm: bytes) -> bytes:
        nonlocal state
        converted, state = audioop.ratecv(pcm, 2, 1, source, target, state)
        return converted

    return convert


def _codec(name: str, encoding: str, pcm: bytes, codec: str, rate: int) -> dict[str, dict[str, Work]]:
    opus = OpusParameters(bitrate=BITRATE, complexity=COMPLEXITY) if encoding == "OPUS" else None
    encoder, decoder = audio.Encoder(encoding, opus=opus), audio.Decoder(encoding)
    (packet,) = audio.Encoder(encoding, opus=opus).encode(pcm)
    encoding_work: dict[str, Work] = {"voxwire": lambda: encoder.encode(pcm)}
    decoding_work: dict[str, Work] = {"voxwire": lambda: decoder.decode(packet)}
    if "av" in HAVE:
        encoding_work["PyAV"], decoding_work["PyAV"] = _pyav(codec, pcm, packet, rate)
    return {f"{name} encode": encoding_work, f"{name} decode": decoding_work}


def _pyav(codec: str, pcm: bytes, packet: bytes, rate: int) -> tuple[Work, Work]:
    import av

    encoder: Any = av.CodecContext.create(codec, "w")
    encoder.sample_rate, encoder.layout, encoder.format = rate, "mono", "s16"
    encoder.time_base = Fraction(1, rate)
    if codec == "libopus":
        encoder.bit_rate = BITRATE
        encoder.options = {"application": "voip", "compression_level": str(COMPLEXITY), "frame_duration": "20"}
    decoder: Any = av.CodecContext.create(codec, "r")
    decoder.sample_rate, decoder.layout = rate, "mono"
    position = 0

    def encode() -> list[bytes]:
        nonlocal position
        frame = av.AudioFrame(format="s16", layout="mono", samples=len(pcm) // 2)
        frame.planes[0].update(pcm)
        frame.sample_rate, frame.pts = rate, position
        position += len(pcm) // 2
        return [bytes(one) for one in encoder.encode(frame)]

    def decode() -> list[bytes]:
        return [bytes(frame.planes[0]) for frame in decoder.decode(av.Packet(packet))]

    return encode, decode


def _legs(pcm: bytes) -> dict[str, dict[str, Work]]:
    text = _write(audio.ulaw_encode(pcm))
    decoder, law, wide = audio.Decoder("ULAW"), audio.Encoder("ALAW"), audio.Encoder("PCM16")
    up = audio.Resampler(8000, 16000, prime=True)

    def plain() -> str:
        message = audio.parse_media(text, decoder)
        assert isinstance(message, audio.MediaMessage)
        return _write(law.encode(message.payload)[0])

    def resampled() -> str:
        message = audio.parse_media(text, decoder)
        assert isinstance(message, audio.MediaMessage)
        return _write(wide.encode(up.process(message.payload))[0])

    legs: dict[str, dict[str, Work]] = {
        "leg: µ-law JSON → A-law JSON": {"voxwire": plain},
        "leg: µ-law JSON → 16 kHz PCM16 JSON": {"voxwire": resampled},
    }
    for who, tool in _tools().items():
        convert, called = _converter()
        one, other = _legs_by_hand(tool, text, convert)
        legs["leg: µ-law JSON → A-law JSON"][who] = one
        legs["leg: µ-law JSON → 16 kHz PCM16 JSON"][f"{who} + {called}"] = other
    return legs


def _legs_by_hand(tool: Any, text: str, convert: Callable[[bytes], bytes]) -> tuple[Work, Work]:
    import audioop

    return (
        lambda: tool.write(audioop.lin2alaw(audioop.ulaw2lin(tool.read(text), 2), 2)),
        lambda: tool.write(convert(audioop.ulaw2lin(tool.read(text), 2))),
    )


def _converter() -> tuple[Callable[[bytes], bytes], str]:
    """8 to 16 kHz with a filter, where there is one."""
    if {"soxr", "numpy"} <= HAVE:
        import numpy as np
        import soxr

        stream = soxr.ResampleStream(8000, 16000, 1, dtype="int16", quality="HQ")
        return lambda pcm: stream.resample_chunk(np.frombuffer(pcm, np.int16)).tobytes(), "soxr HQ"
    return _ratecv(8000, 16000), "ratecv"
