"""The core's audio functions, for code that has the bytes in its hands: what audioop, numpy, base64 and json do otherwise.

A route (`sendMediaTo`) needs none of this: it does the same in the core, without Python. PCM is always signed 16-bit
little-endian, mono. What takes bytes takes anything with the buffer protocol (`bytes`, `bytearray`, `memoryview`; PCM
also arrays of int16, such as numpy's); answers are `bytes`. Inputs with some 10 µs of work or more release the GIL.

    stream = Decoder("ULAW")
    up = Resampler(8000, 16000, prime=True)
    message = parse_media(text, stream)
    if isinstance(message, MediaMessage):
        pcm = up.process(message.payload)
"""

from ._core import (
    Decoder,
    Encoder,
    Level,
    MediaMessage,
    Resampler,
    StartMessage,
    StopMessage,
    alaw_decode,
    alaw_encode,
    level,
    parse_media,
    ulaw_decode,
    ulaw_encode,
    write_media,
    write_start,
    write_stop,
)

__all__ = [
    "Decoder",
    "Encoder",
    "Level",
    "MediaMessage",
    "Resampler",
    "StartMessage",
    "StopMessage",
    "alaw_decode",
    "alaw_encode",
    "level",
    "parse_media",
    "ulaw_decode",
    "ulaw_encode",
    "write_media",
    "write_start",
    "write_stop",
]
