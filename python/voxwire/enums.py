"""The names VoxEngine publishes: events, states, close codes, encodings. Values only, no behaviour."""

from enum import IntEnum, StrEnum


class WebSocketEvents(StrEnum):
    """What a `WebSocket` reports. The values are VoxEngine's, where nothing else is said."""

    CREATED = "WebSocket.Created"
    """The object exists; nothing was sent yet."""
    OPEN = "WebSocket.Open"
    """The handshake is done, messages may be sent."""
    MESSAGE = "WebSocket.Message"
    """A text or binary message came."""
    ERROR = "WebSocket.Error"
    """Something failed; unless it is a `MediaError`, CLOSE follows."""
    CLOSE = "WebSocket.Close"
    """The connection is closed. The last event."""
    MEDIA_STARTED = "WebSocket.MediaEventStarted"
    """The audio of a stream that the peer sends begins to play."""
    MEDIA_ENDED = "WebSocket.MediaEventEnded"
    """That audio ended: the peer stopped it, or it was silent for a second."""
    MEDIA_DISCARDED = "WebSocket.MediaDiscarded"
    """Audio of that stream was thrown away: there was too much of it. Not in VoxEngine."""
    SPEECH_STARTED = "WebSocket.SpeechStarted"
    """With `voice_activity`: somebody began to speak in audio that came in. Not in VoxEngine."""
    SPEECH_ENDED = "WebSocket.SpeechEnded"
    """And stopped. Not in VoxEngine."""
    MARK = "WebSocket.Mark"
    """The audio before a mark was played, or dropped. Not in VoxEngine."""
    RECONNECTING = "WebSocket.Reconnecting"
    """With `reconnect`: the connection was lost and will be made again. Not in VoxEngine."""


class WebSocketReadyState(StrEnum):
    """The states of a `WebSocket`, as in the browser and in VoxEngine."""

    CONNECTING = "connecting"
    OPEN = "open"
    CLOSING = "closing"
    CLOSED = "closed"
    """Closed, or could not be opened."""


class WebSocketCloseCode(IntEnum):
    """Why a connection was closed: RFC 6455 section 7.4.1 and the IANA registry, under VoxEngine's names."""

    CLOSE_NORMAL = 1000
    CLOSE_GOING_AWAY = 1001
    CLOSE_PROTOCOL_ERROR = 1002
    CLOSE_UNSUPPORTED = 1003
    CLOSED_NO_STATUS = 1005
    """The peer's close frame had no code. Never sent."""
    CLOSE_ABNORMAL = 1006
    """The connection was lost without a close frame. Never sent."""
    CLOSE_UNSUPPORTED_PAYLOAD = 1007
    CLOSE_POLICY_VIOLATION = 1008
    CLOSE_TOO_LARGE = 1009
    CLOSE_MANDATORY_EXTENSION = 1010
    CLOSE_SERVER_ERROR = 1011
    CLOSE_SERVICE_RESTART = 1012
    CLOSE_TRY_AGAIN_LATER = 1013
    CLOSE_BAD_GATEWAY = 1014
    CLOSE_TLS_FAIL = 1015
    """Never sent."""


class WebSocketAudioEncoding(StrEnum):
    """How audio is written in a media stream. All are mono; two channels that come are mixed. The values are the names on the wire, but for those with a
    rate: there they are `PCM16` with its `sampleRate`.

    PCM of any format is sent at 8, 16, 24, 32, 44.1 and 48 kHz: `"pcm_f32le;rate=24000"` in place of a member says so.
    """

    PCM16_8KHZ = "PCM8"
    """Signed 16-bit little-endian PCM, 8 kHz. The default."""
    PCM8 = "PCM8"
    """The older name of PCM16_8KHZ."""
    PCM16_16KHZ = "PCM16"
    """Signed 16-bit little-endian PCM, 16 kHz."""
    PCM16 = "PCM16"
    """The older name of PCM16_16KHZ."""
    ALAW = "ALAW"
    """ITU-T G.711 A-law, 8 kHz."""
    ULAW = "ULAW"
    """ITU-T G.711 µ-law, 8 kHz."""
    OPUS = "OPUS"
    """Opus (RFC 6716), 48 kHz: a packet of 20 ms in each chunk. What comes in may also be Ogg (RFC 7845), which begins
    with `OggS`; `"audio/ogg"` in place of a member of this enum sends Ogg, a page in each chunk."""
    G722 = "G722"
    """ITU-T G.722 at 64 kbit/s, 16 kHz. Not one of VoxEngine's, as are all that follow."""
    PCM16_24KHZ = "audio/l16;rate=24000"
    """Signed 16-bit little-endian PCM, 24 kHz: what speech services like."""
    PCM16_32KHZ = "audio/l16;rate=32000"
    PCM16_44KHZ = "audio/l16;rate=44100"
    """44.1 kHz."""
    PCM16_48KHZ = "audio/l16;rate=48000"
    PCM_S16BE = "pcm_s16be"
    """Signed 16-bit big-endian PCM, 8 kHz if no rate is given; as are those that follow."""
    PCM_U8 = "pcm_u8"
    """Unsigned 8-bit PCM."""
    PCM_S24LE = "pcm_s24le"
    """Signed 24-bit little-endian PCM."""
    PCM_F32LE = "pcm_f32le"
    """32-bit float little-endian PCM, full scale at 1."""


class AudioUnitEvents(StrEnum):
    """What an `AudioUnit` reports. Not in VoxEngine."""

    MARK = "AudioUnit.Mark"
    """What was written before a mark was played, or dropped."""


class AppEvents(StrEnum):
    """What an `Engine` (`VoxEngine`) reports."""

    WebSocket = "Application.WebSocket"
    """Somebody connected; add handlers to `event.websocket` now."""
    NewWebSocketFailed = "Application.NewWebSocketFailed"
    """A connection was refused: the cap was reached."""
    RouteEnded = "Application.RouteEnded"
    """A route, made with `sendMediaTo`, has ended; those of the whole process. Not in VoxEngine."""


class RouteState(StrEnum):
    """What happens on a route."""

    IDLE = "idle"
    """The source sends nothing at the moment."""
    PLAYING = "playing"
    """Audio goes straight from the source to the target."""
    MIXED = "mixed"
    """It is mixed with that of others for the target."""
    WAITING = "waiting"
    """An end was lost and reconnects."""
    ENDED = "ended"


class RouteEndReason(StrEnum):
    """Why a route has ended."""

    STOPPED = "stopped"
    """`stopMediaTo`, or its tag had another encoding after a reconnection."""
    REPLACED = "replaced"
    """Another `sendMediaTo` with the same ends and tag."""
    SOURCE_ENDED = "source"
    """The unit that sent is closed, or has finished."""
    TARGET_ENDED = "target"
    """The unit that heard is closed."""
