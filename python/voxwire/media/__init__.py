"""Media units: what sends or takes audio, a file each. The audio itself stays in the core."""

from .audio_unit import AudioUnit
from .conference import Conference
from .player import Player
from .recorder import Recorder
from .routing import MediaSource, MediaUnit, SendMediaParameters, StopMediaParameters, TagParameters, tag_of
from .tone_detector import ToneDetector, ToneEnded, ToneStarted
from .tone_generator import ToneGenerator

__all__ = [
    "AudioUnit",
    "Conference",
    "MediaSource",
    "MediaUnit",
    "Player",
    "Recorder",
    "SendMediaParameters",
    "StopMediaParameters",
    "TagParameters",
    "ToneDetector",
    "ToneEnded",
    "ToneGenerator",
    "ToneStarted",
    "tag_of",
]
