"""`Conference`: everybody in it hears all others."""

from __future__ import annotations

from typing import TYPE_CHECKING, Unpack

from voxwire import _core
from voxwire.closing import Closing
from voxwire.errors import AudioRouteError

from .routing import MediaSource, MediaUnit, SendMediaParameters, gain_of
from .unit import Unit

if TYPE_CHECKING:
    from voxwire.routes import Route


class Conference(Unit, MediaSource, Closing):
    """Mixes audio for any number of members, for each without its own: who is sent to it is heard by all it is sent to.

    `conference.add(ws, {"encoding": "ULAW"})` is `ws.sendMediaTo(conference)` and `conference.sendMediaTo(ws, …)`. A unit
    that only sends (a Player) or only hears (a Recorder) may be added, too. Who closes is no member any more; a WebSocket
    that reconnects stays one.
    """

    def __init__(self, rate: int = 16000) -> None:
        """`rate`, at which it mixes, in Hz: 8000, 16000, 24000, 32000, 44100 or 48000. A member of that rate is
        not converted: 8000 is the rate for telephones alone (ULAW, ALAW, PCM8), and costs least. Raises InvalidParameter,
        InvalidState (no running loop).
        """
        super().__init__()
        self._rate = rate
        self._unit = _core.Conference(self._bridge, self._reports, rate)

    def _sink(self) -> _core.MediaSink:
        return self._unit

    def _source(self) -> _core.MediaSource:
        return self._unit

    @property
    def rate(self) -> int:
        """The sample rate at which it mixes, in Hz."""
        return self._rate

    @property
    def members(self) -> list[MediaUnit]:
        """Who is heard here, or hears, in the order of their coming."""
        ends = [end for route in self._linked() if route.lives() for end in (route.source, route.target)]
        return list(dict.fromkeys(end for end in ends if end is not self))

    def add(
        self,
        unit: MediaUnit,
        parameters: SendMediaParameters | None = None,
        **options: Unpack[SendMediaParameters],
    ) -> None:
        """Make a unit a member. The parameters are how audio is sent to it; how loud it is heard says `set_gain`.

        Raises as `sendMediaTo` does.
        """
        hears = not isinstance(unit, MediaSource) or type(unit)._sink is not MediaUnit._sink
        if hears:
            self.sendMediaTo(unit, parameters, **options)
        if isinstance(unit, MediaSource):
            unit.sendMediaTo(self, gain=next((route.gain for route in self._from(unit)), 0.0))

    def remove(self, unit: MediaUnit) -> None:
        """End the membership of a unit; it may come back. Nothing happens when it is no member."""
        for route in list(self._linked()):
            if route.source is unit and not route.over:
                route.source.stopMediaTo(self)
            elif route.target is unit and not route.over:
                self.stopMediaTo(unit)

    def set_gain(self, member: MediaUnit, gain: float) -> None:
        """Make a member louder for all others, by so many dB, -96 to 24, within 20 ms.

        Raises InvalidParameter, AudioRouteError (it is no member that is heard).
        """
        self._change(member, gain=gain_of(gain))

    def mute(self, member: MediaUnit) -> None:
        """Let nobody hear a member; it hears the others. Raises AudioRouteError (it is no member that is heard)."""
        self._change(member, muted=True)

    def unmute(self, member: MediaUnit) -> None:
        """Let the others hear a member again, with the gain it had. Raises AudioRouteError as `mute` does."""
        self._change(member, muted=False)

    def close(self) -> None:
        """End the conference and its routes; the members stay open. A second close is ignored."""
        self._unit.close()
        self._finished = True

    def _from(self, member: MediaUnit) -> list[Route]:
        return [route for route in self._linked() if route.source is member and route.lives()]

    def _change(self, member: MediaUnit, *, gain: float | None = None, muted: bool | None = None) -> None:
        routes = self._from(member)
        if not routes:
            message = f"{member!r:.200} sends nothing to this conference; add it first"
            raise AudioRouteError(message)
        for route in routes:
            route.change(gain=gain, muted=muted)
