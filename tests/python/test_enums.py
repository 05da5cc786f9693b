"""The published names and values."""

from enum import Enum
from typing import Any

import pytest

import voxwire
from voxwire import (
    AppEvents,
    AudioUnitEvents,
    WebSocketAudioEncoding,
    WebSocketCloseCode,
    WebSocketEvents,
    WebSocketReadyState,
)

TABLES: dict[type[Enum], dict[str, Any]] = {
    WebSocketEvents: {
        "CREATED": "WebSocket.Created",
        "OPEN": "WebSocket.Open",
        "MESSAGE": "WebSocket.Message",
        "ERROR": "WebSocket.Error",
        "CLOSE": "WebSocket.Close",
        "MEDIA_STARTED": "WebSocket.MediaEventStarted",
        "MEDIA_ENDED": "WebSocket.MediaEventEnded",
        "MEDIA_DISCARDED": "WebSocket.MediaDiscarded",
        "SPEECH_STARTED": "WebSocket.SpeechStarted",
        "SPEECH_ENDED": "WebSocket.SpeechEnded",
        "MARK": "WebSocket.Mark",
        "RECONNECTING": "WebSocket.Reconnecting",
    },
    WebSocketReadyState: {
        "CONNECTING": "connecting",
        "OPEN": "open",
        "CLOSING": "closing",
        "CLOSED": "closed",
    },
    WebSocketCloseCode: {
        "CLOSE_NORMAL": 1000,
        "CLOSE_GOING_AWAY": 1001,
        "CLOSE_PROTOCOL_ERROR": 1002,
        "CLOSE_UNSUPPORTED": 1003,
        "CLOSED_NO_STATUS": 1005,
        "CLOSE_ABNORMAL": 1006,
        "CLOSE_UNSUPPORTED_PAYLOAD": 1007,
        "CLOSE_POLICY_VIOLATION": 1008,
        "CLOSE_TOO_LARGE": 1009,
        "CLOSE_MANDATORY_EXTENSION": 1010,
        "CLOSE_SERVER_ERROR": 1011,
        "CLOSE_SERVICE_RESTART": 1012,
        "CLOSE_TRY_AGAIN_LATER": 1013,
        "CLOSE_BAD_GATEWAY": 1014,
        "CLOSE_TLS_FAIL": 1015,
    },
    WebSocketAudioEncoding: {
        "PCM16_8KHZ": "PCM8",
        "PCM8": "PCM8",
        "PCM16_16KHZ": "PCM16",
        "PCM16": "PCM16",
        "ALAW": "ALAW",
        "ULAW": "ULAW",
        "OPUS": "OPUS",
        # ours
        "G722": "G722",
        "PCM16_24KHZ": "audio/l16;rate=24000",
        "PCM16_32KHZ": "audio/l16;rate=32000",
        "PCM16_44KHZ": "audio/l16;rate=44100",
        "PCM16_48KHZ": "audio/l16;rate=48000",
        "PCM_S16BE": "pcm_s16be",
        "PCM_U8": "pcm_u8",
        "PCM_S24LE": "pcm_s24le",
        "PCM_F32LE": "pcm_f32le",
    },
    AudioUnitEvents: {
        "MARK": "AudioUnit.Mark",
    },
    AppEvents: {
        "WebSocket": "Application.WebSocket",
        "NewWebSocketFailed": "Application.NewWebSocketFailed",
        "RouteEnded": "Application.RouteEnded",  # ours
    },
}


@pytest.mark.parametrize("enum", TABLES, ids=lambda enum: enum.__name__)
def test_names_and_values(enum: type[Enum]) -> None:
    assert {name: member.value for name, member in enum.__members__.items()} == TABLES[enum]


def test_values_are_plain_strings_and_numbers() -> None:
    assert f"{WebSocketEvents.OPEN} {WebSocketReadyState.OPEN}" == "WebSocket.Open open"
    assert str(WebSocketReadyState.CLOSED) == "closed"
    assert {"closed": 1}[WebSocketReadyState.CLOSED] == 1
    assert int(WebSocketCloseCode.CLOSE_NORMAL) == 1000


def test_older_names_are_the_same_encoding() -> None:
    names = WebSocketAudioEncoding.__members__
    assert names["PCM8"] is names["PCM16_8KHZ"]
    assert names["PCM16"] is names["PCM16_16KHZ"]


def test_everything_public_is_there() -> None:
    for name in voxwire.__all__:
        assert getattr(voxwire, name) is not None
