"""What a media unit is to routes: `sendMediaTo`, `stopMediaTo` and their parameters. No unit of its own."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final, Literal, TypedDict, Unpack

from voxwire import _core
from voxwire.checks import is_number, refuse
from voxwire.enums import RouteEndReason
from voxwire.errors import AudioRouteError
from voxwire.opus import OpusParameters
from voxwire.parameters import merged
from voxwire.routes import Heard, Route

if TYPE_CHECKING:
    from voxwire.enums import WebSocketAudioEncoding

_GAINS: Final = (-96.0, 24.0)


class SendMediaParameters(TypedDict, total=False):
    """How audio is sent: to a WebSocket, or with what gain to anything."""

    encoding: WebSocketAudioEncoding | str
    """How the audio is encoded. Default `WebSocketAudioEncoding.PCM16_8KHZ`."""
    opus: OpusParameters
    """How Opus is encoded, when that is the encoding. Default `OpusParameters()`."""
    tag: str
    """The name of the stream, to tell several on one connection apart."""
    customParameters: Any
    """Sent along in the start event; anything that JSON can hold."""
    gain: float
    """How much louder it gets, in dB, -96 to 24. Default 0. Sent again with another one, audio changes within 20 ms."""
    channel: Literal["left", "right"]
    """The channel of a `Recorder` that has two. No other unit has channels."""
    source_tag: str
    """Of a WebSocket that receives several streams: send only those of this tag. Without it all, mixed."""


class TagParameters(TypedDict, total=False):
    """Which of several streams is meant."""

    tag: str
    """The stream's tag; without it all streams."""
    channel: Literal["left", "right"]
    """The channel of a `Recorder` that has two; without it both."""


class StopMediaParameters(TagParameters, total=False):
    """Which of the routes to a unit ends."""

    source_tag: str
    """What `sendMediaTo` was given as such; without it, whatever that was."""


class MediaUnit:
    """Anything that audio can be sent to."""

    _links: dict[Route, None] | None = None
    """The routes from and to it, oldest first; most units never have one."""

    def _sink(self) -> _core.MediaSink:
        message = f"a {type(self).__name__} takes no audio"
        raise AudioRouteError(message)

    def _sinks(self, channel: str | None) -> list[_core.MediaSink]:
        """Answer where audio for a channel goes, or (None) for all of them."""
        if channel is not None:
            refuse("channel", channel, f"none: a {type(self).__name__} has no channels")
        return [self._sink()]

    def _default_encoding(self) -> str | None:
        return None

    def _is_over(self) -> bool:
        """Say whether no audio will ever come or go here again."""
        return False

    def _may_return(self) -> bool:
        """Say whether it makes its routes again when the core has lost it."""
        return False

    def _heard(self) -> Heard:
        """Answer what was received here, as a source of audio."""
        return Heard()

    def _waiting(self) -> float:
        """Answer how many milliseconds wait here to be sent."""
        return 0.0

    def _linked(self) -> dict[Route, None]:
        links = self._links
        if links is None:
            links = self._links = {}
        return links

    def _on_route_ended(self, identity: int, why: str, figures: _core.RouteFigures) -> None:
        for route in list(self._linked()):
            if route.id == identity:
                route.ended(RouteEndReason(why), figures)

    def _end_routes(self) -> None:
        """Take down those that wait for another end to reconnect: this one is over. The core reports the others."""
        for route in list(self._linked()):
            if route.id is None:
                ours = route.source is self
                route.take_down(RouteEndReason.SOURCE_ENDED if ours else RouteEndReason.TARGET_ENDED)


class MediaSource(MediaUnit):
    """Anything that audio can come from."""

    def _source(self) -> _core.MediaSource:
        raise NotImplementedError

    def sendMediaTo(
        self,
        mediaUnit: MediaUnit,
        parameters: SendMediaParameters | None = None,
        **options: Unpack[SendMediaParameters],
    ) -> None:
        """Send the audio of this unit to another, until `stopMediaTo`, the end of either, or the end of the audio.

        Decoded, buffered, timed and encoded in the core. Parameters but `gain` matter only when the other is a WebSocket, and
        `channel` when it is a Recorder with two channels, which wants to know it.

        What several units send to one is mixed; to a WebSocket, what has the same tag, or none. That is one stream, of one
        encoding: its tag and customParameters are those of the unit that begins it, and it stops with the last of them.

        Called again for the same unit (and tag, and channel) it replaces what was before, also where `source_tag` differs.

        Raises TypeError for a thing that is no media unit, AudioRouteError (another encoding with the same tag),
        InvalidParameter, InvalidState.
        """
        values = merged(parameters, options, known=SendMediaParameters.__annotations__)
        unit = _unit(mediaUnit)
        encoding = values.get("encoding", unit._default_encoding())
        if encoding is not None and not isinstance(encoding, str):
            refuse("encoding", encoding, "a WebSocketAudioEncoding")
        opus = values.get("opus")
        if opus is not None and not isinstance(opus, OpusParameters):
            refuse("opus", opus, "OpusParameters")
        channel = _channel(values)
        sinks = unit._sinks(channel)
        if len(sinks) != 1:
            refuse("channel", channel, '"left" or "right"')
        custom = values.get("customParameters")
        try:
            text = None if custom is None else json.dumps(custom, ensure_ascii=False, allow_nan=False)
        except (TypeError, ValueError):
            refuse("customParameters", custom, "something that JSON can hold")
        gain = gain_of(values.get("gain", 0.0))
        tag = _tag(values) if unit._default_encoding() is not None else None  # only a WebSocket has several streams
        source_tag = _tag(values, "source_tag")
        if source_tag is not None and self._default_encoding() is None:
            refuse("source_tag", source_tag, f"none: a {type(self).__name__} has no tags; a WebSocket has")
        name = None if encoding is None else str(encoding)
        Route(self, unit, name, tag, text, opus, gain, channel, source_tag).establish()

    def stopMediaTo(
        self,
        mediaUnit: MediaUnit,
        parameters: StopMediaParameters | None = None,
        **options: Unpack[StopMediaParameters],
    ) -> None:
        """End what `sendMediaTo` began; nothing happens when nothing was sent. Raises TypeError as it does."""
        values = merged(parameters, options, known=SendMediaParameters.__annotations__)
        unit, tag, channel = _unit(mediaUnit), _tag(values), _channel(values)
        source_tag = _tag(values, "source_tag")
        for sink in unit._sinks(channel):
            _core.unroute(self._source(), sink, tag, source_tag)
        several = unit._default_encoding() is not None
        for route in list(self._linked()):
            if (
                route.is_between(self, unit)
                and (tag is None or route.tag == tag or not several)
                and channel in {None, route.channel}
                and source_tag in {None, route.source_tag}
            ):
                route.take_down(RouteEndReason.STOPPED)


def tag_of(parameters: TagParameters | None, options: TagParameters) -> str | None:
    """Answer the tag in parameters. Raises TypeError, InvalidParameter."""
    return _tag(merged(parameters, options, known=TagParameters.__annotations__))


def gain_of(gain: object) -> float:
    """Answer a gain in dB. Raises InvalidParameter."""
    least, most = _GAINS
    if not is_number(gain) or not least <= gain <= most:
        refuse("gain", gain, f"decibels from {least:g} to {most:g}")
    return float(gain)


def _unit(thing: object) -> MediaUnit:
    if not isinstance(thing, MediaUnit):
        message = (
            "audio goes to a WebSocket, a Recorder, an AudioUnit, a ToneDetector or a Conference, "
            f"not to {type(thing).__name__}"
        )
        raise TypeError(message)
    return thing


def _tag(values: dict[str, Any], field: str = "tag") -> str | None:
    tag = values.get(field)
    if tag is not None and not isinstance(tag, str):
        refuse(field, tag, "a string")
    return tag


def _channel(values: dict[str, Any]) -> str | None:
    channel = values.get("channel")
    if channel is not None and not isinstance(channel, str):
        refuse("channel", channel, '"left" or "right"')
    return channel
