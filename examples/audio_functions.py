"""The audio of a call by hand: media messages in, twice as loud, media messages out. No connection, only `voxwire.audio`.

A route does all this without Python; this is for code that has the messages already. Needs numpy.

Usage:
    python examples/audio_functions.py
"""

import numpy as np

from voxwire.audio import (
    Decoder,
    Encoder,
    MediaMessage,
    Resampler,
    StartMessage,
    level,
    parse_media,
    write_media,
    write_start,
    write_stop,
)


def messages() -> list[str]:
    """A call, as a server gets it: a second of a tone, µ-law at 8 kHz, in chunks of 20 ms."""
    tone = (6000 * np.sin(2 * np.pi * 440 / 8000 * np.arange(8000))).astype(np.int16)
    encoder = Encoder("ULAW")
    found = [write_start("ULAW", tag="call")]
    for chunk, frame in enumerate(tone.reshape(-1, 160)):
        (payload,) = encoder.encode(frame)
        found.append(write_media(payload, chunk=chunk, timestamp=chunk * 160, tag="call", sequenceNumber=chunk + 1))
    return [*found, write_stop(bytesSent=8000, duration=1000, tag="call", sequenceNumber=51)]


def main() -> None:
    decoder: Decoder | None = None
    sent: list[str] = []
    to_wideband, encoder = Resampler(8000, 16000, prime=True), Encoder("PCM16")
    heard, said = b"", b""
    for text in messages():
        message = parse_media(text, decoder)  # with a decoder the payload is PCM
        if isinstance(message, StartMessage):
            decoder = Decoder(message.encoding, message.sampleRate)
            print(f"{message.tag}: {decoder.encoding} at {decoder.rate} Hz")
        elif isinstance(message, MediaMessage):
            pcm = to_wideband.process(message.payload)
            louder = np.clip(np.frombuffer(pcm, np.int16) * 2.0, -32768, 32767).astype(np.int16)
            for payload in encoder.encode(louder):
                sent.append(
                    write_media(payload, chunk=len(sent), timestamp=len(sent) * 320, sequenceNumber=len(sent) + 1)
                )
            heard, said = heard + pcm, said + louder.tobytes()
    gain = level(said).rms - level(heard).rms
    print(f"50 chunks in, {len(sent)} chunks out, {gain:+.1f} dB")


main()
