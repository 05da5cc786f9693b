"""`VoiceActivity`: what counts as speech in incoming audio. The detector is the core's."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from .checks import is_number, refuse

_LONGEST = 60.0  # seconds


@dataclass(frozen=True, slots=True)
class VoiceActivity:
    """What counts as speech, for `voice_activity`. Raises InvalidParameter."""

    threshold: float = 0.7
    """The score from which on audio is speech, above 0 and at most 1; more means fewer false starts. Speech goes on until the
    score is 0.15 lower."""
    min_speech: float = 0.1
    """Seconds of speech before it counts: SPEECH_STARTED fires that late, and a cough does not fire it."""
    min_silence: float = 0.5
    """Seconds without speech before it has ended: SPEECH_ENDED fires that late, and a pause between words does not fire it."""

    def __post_init__(self) -> None:
        """Check the ranges."""
        if not is_number(self.threshold) or not 0 < self.threshold <= 1:
            refuse("voice_activity.threshold", self.threshold, "a number above 0 and at most 1")
        for name in ("min_speech", "min_silence"):
            if not is_number(value := getattr(self, name)) or not 0 <= value <= _LONGEST:
                refuse(f"voice_activity.{name}", value, f"a number of seconds from 0 to {_LONGEST:g}")


def voice_activity(value: Any) -> VoiceActivity | None:
    """Check the parameter. Raises InvalidParameter."""
    if isinstance(value, bool):
        return VoiceActivity() if value else None
    if not isinstance(value, VoiceActivity):
        refuse("voice_activity", value, "True, False or a VoiceActivity")
    return value
