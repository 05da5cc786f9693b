"""How Opus is encoded, as people ask for it. The encoding is done in the core."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from .checks import is_number, refuse

_BITRATES = (500, 512_000)  # libopus, for one channel
_COMPLEXITIES = (0, 10)
_PERCENT = (0, 100)
_DURATIONS = (2.5, 5, 10, 20, 40, 60)  # RFC 6716 section 2.1.4
_SHORTEST_WITH_FEC = 10
_APPLICATIONS = ("voip", "audio", "lowdelay")


@dataclass(frozen=True)
class OpusParameters:
    """How the Opus encoder of a media stream works: 48 kHz, mono (RFC 6716). Raises InvalidParameter for a wrong value."""

    bitrate: int | None = None
    """Bits a second, 500 to 512000. None: libopus chooses, about 50000 for packets of 20 ms; speech is clear from 16000."""
    complexity: int = 9
    """How hard to try, 0 to 10: CPU for quality."""
    frame_duration: float = 20
    """Milliseconds of audio in a packet, and so in a chunk: 2.5, 5, 10, 20, 40 or 60."""
    application: Literal["voip", "audio", "lowdelay"] = "voip"
    """What to be good at: speech, anything as faithful as possible, or the least delay (5 ms less, and worse at speech)."""
    dtx: bool = False
    """In silence send a packet in 400 ms. Chunk numbers go on without a gap, timestamps with the time: a receiver takes it
    for a pause, not for a loss. In Ogg every packet is sent."""
    fec: bool = False
    """Repeat speech coarsely in the next packet, so that a receiver can make up for a lost one (in-band forward error
    correction). Needs `expected_loss`, packets of 10 ms and more, and another application than "lowdelay"."""
    expected_loss: int = 0
    """How many packets get lost, in percent, 0 to 100: how many bits FEC is worth, and how little a packet leans on those
    before it."""

    def __post_init__(self) -> None:
        """Check the values."""
        if self.bitrate is not None:
            _check("bitrate", self.bitrate, *_BITRATES, " or None")
        _check("complexity", self.complexity, *_COMPLEXITIES)
        if not is_number(self.frame_duration) or self.frame_duration not in _DURATIONS:
            refuse("opus.frame_duration", self.frame_duration, "2.5, 5, 10, 20, 40 or 60 (milliseconds)")
        if self.application not in _APPLICATIONS:
            refuse("opus.application", self.application, "'voip', 'audio' or 'lowdelay'")
        for name in ("dtx", "fec"):
            if not isinstance(value := getattr(self, name), bool):
                refuse(f"opus.{name}", value, "True or False")
        _check("expected_loss", self.expected_loss, *_PERCENT, " (percent)")
        if self.fec and self.expected_loss == 0:
            refuse("opus.expected_loss", 0, "1 to 100 (percent) with fec: for no loss nothing is repeated")
        if self.fec and self.frame_duration < _SHORTEST_WITH_FEC:
            refuse("opus.frame_duration", self.frame_duration, "10 or more (milliseconds) with fec")
        if self.fec and self.application == "lowdelay":
            refuse("opus.application", self.application, "'voip' or 'audio' with fec")


def _check(name: str, value: object, least: int, most: int, more: str = "") -> None:
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
        refuse(f"opus.{name}", value, f"a whole number from {least} to {most}{more}")
