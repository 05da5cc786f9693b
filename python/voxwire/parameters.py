"""The parameters of a connection: their names, defaults and checks. Nothing here touches a connection.

A wrong value raises InvalidParameter, which names the parameter, the value and what was expected.
"""

from __future__ import annotations

import re
import socket
import ssl
import tempfile
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from functools import lru_cache
from inspect import iscoroutinefunction
from os import PathLike, fspath
from pathlib import Path
from typing import Any, Literal, TypedDict, cast

from . import _core
from .checks import is_number, refuse
from .compression import Compression
from .reconnect import Backoff, ReconnectPolicy
from .tls import TLSOptions
from .voice import VoiceActivity, voice_activity

MIB = 1024 * 1024
OUTGOING = (
    "tls",
    "headers",
    "require_protocol",
    "happy_eyeballs_delay",
    "proxy",
    "proxy_tls",
    "max_redirects",
    "local_address",
    "unix_path",
    "sock",
    "reconnect",
)
"""Parameters that an incoming connection does not have."""
_FAMILIES = (socket.AF_INET, socket.AF_INET6, socket.AF_UNIX)
_SHORTEST_DELAY = 0.01  # RFC 8305 section 5
_TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")  # RFC 9110 section 5.6.2
_VALUE = re.compile(r"[\t\x20-\x7e\x80-\xff]*")  # RFC 9110 section 5.5
_OURS = frozenset(
    (
        "connection",
        "upgrade",
        "sec-websocket-accept",
        "sec-websocket-extensions",
        "sec-websocket-key",
        "sec-websocket-protocol",
        "sec-websocket-version",
    )
)


class WebSocketParameters(TypedDict, total=False):
    """The parameters of a `WebSocket`. Times are seconds, sizes bytes; None switches a time-out off."""

    protocols: str | Sequence[str]
    """The subprotocols to offer (a server: to accept), best first. Default "chat"; [] offers none."""
    headers: Sequence[Mapping[str, str]] | Sequence[tuple[str, str]] | Mapping[str, str]
    """More headers for the request: [{"name": …, "value": …}] as in VoxEngine, pairs, or a mapping."""
    privacy: bool
    """Log nothing about this connection, and leave what was sent and received (messages, headers, reasons, queries of URLs)
    out of the messages of errors and the statistics file. Default False."""
    statistics: bool | str | PathLike[str]
    """Write the counters to a JSON file at CLOSE: into this directory, or with True the system's temporary one."""
    trace: bool | str | PathLike[str]
    """Write every message to this text file, or with True to voxwire-<id>.trace.txt here. Not with `privacy`. A server
    takes a directory, and each connection gets a file of that name in it."""
    media: bool
    """Understand media stream events. Default True; False makes them ordinary messages."""
    connect_timeout: float | None
    """For name resolution, TCP and TLS. Default 10."""
    handshake_timeout: float | None
    """For the WebSocket handshake. Default 10."""
    close_timeout: float
    """For the peer's answer to a close. Default 10."""
    ping_interval: float | None
    """Between keepalive pings. Default 20."""
    ping_timeout: float | None
    """For the answer to one. Default 20."""
    max_message_size: int
    """Of a message received. Default 16 MiB; more closes with 1009."""
    max_fragments: int
    """Of a message received. Default 4096; more closes with 1009."""
    compression: Compression | bool
    """Compress messages where the peer agrees (permessage-deflate, RFC 7692). Default True; see `Compression`."""
    receive_buffer: int
    """Messages received and not handled yet; above it the connection stops reading. Default 1 MiB."""
    send_buffer: int
    """Messages sent and not taken by the system yet; above it `send` raises SendBufferFull. Default 16 MiB."""
    playout_delay: float
    """Audio kept back at first, to put chunks in order. Default 0.04."""
    playout_delay_max: float | None
    """The delay grows when chunks come late, up to this, and falls again when they come evenly; what a sender that stalled
    is late by beyond it is discarded. At least `playout_delay`; default 0.5. None: it grows, and never falls."""
    playout_buffer: float
    """Audio kept at most; what exceeds it is discarded. Default 10."""
    conceal: bool
    """Make up for audio that is lost (after ITU-T G.711 Appendix I), and fade out where it breaks off. Default True."""
    silence_duration: float
    """Silence after which MEDIA_ENDED fires. Default 1."""
    silence_threshold: float | None
    """Level in dBFS up to which audio counts as silence. Default None: digital silence only."""
    levels: bool
    """Measure how loud incoming audio is played, for `level()`. Default False."""
    stereo: Literal["mix", "split"]
    """What becomes of two channels of PCM and G.711: one stream, or one for each, tagged `<tag>.left` and `<tag>.right`
    (without a tag: `left` and `right`). Default "mix". Opus is always mixed."""
    max_streams: int
    """Incoming media streams at once; a start beyond it is an ERROR with MediaError, and counted. Default 32."""
    voice_activity: VoiceActivity | bool
    """Listen for speech in incoming audio: SPEECH_STARTED and SPEECH_ENDED. Default False."""
    require_protocol: bool
    """Fail when the server chose none of the `protocols`, as a browser does. Default False."""
    tls: TLSOptions | ssl.SSLContext | None
    """For wss:// URLs. Default None: the system's root certificates."""
    happy_eyeballs_delay: float | None
    """Head start of one address of the host over the next one (RFC 8305); what fails sooner is followed sooner. At least
    0.01, default 0.25; None tries one after the other."""
    proxy: str | bool | None
    """A proxy's URL: http, https, socks5h, socks5, socks4a or socks4, with user and password if it wants them. Default
    True: what the environment says (WS_PROXY, WSS_PROXY, SOCKS_PROXY, HTTPS_PROXY, HTTP_PROXY, ALL_PROXY, NO_PROXY), for
    localhost, too, unless NO_PROXY names it. None: no proxy."""
    proxy_tls: TLSOptions | ssl.SSLContext | None
    """For a proxy with an https URL. Default None: the system's root certificates."""
    max_redirects: int
    """Redirects (301, 302, 303, 307, 308) that are followed. Default 10; 0 makes them a HandshakeError like any other
    refusal. None leads from wss to ws, and what is for one origin (Authorization, Cookie, Host, user and password, a
    client certificate) is not sent to another one."""
    local_address: str | tuple[str, int] | None
    """Connect from this address of the machine, or address and port. Default None: what the system chooses."""
    unix_path: str | PathLike[str] | None
    """Connect to this Unix socket; the URL is for the handshake only. Without a proxy. Default None."""
    sock: socket.socket | None
    """A connected stream socket, TCP or Unix; the URL is for TLS and the handshake only. Without a proxy. It belongs to
    the WebSocket from then on: the object is closed. Default None."""
    reconnect: bool | ReconnectPolicy
    """Make a lost connection again: True, when and how often `Backoff()` says; or another policy. Default False."""


@dataclass(frozen=True, slots=True)
class Settings:
    """Checked parameters of one connection."""

    identity: str
    protocols: tuple[str, ...]
    headers: tuple[tuple[str, str], ...]
    privacy: bool
    statistics: Path | None
    receive_buffer: int
    levels: bool
    require_protocol: bool
    tls: TLSOptions | None
    options: _core.ConnectionOptions
    via: _core.Via
    sock: socket.socket | None
    reconnect: ReconnectPolicy | None
    trace: Path | None = None
    """The trace file of an incoming connection; that of an outgoing one is among the `options`."""


def parse(given: Mapping[str, Any] | None, more: Mapping[str, Any], *, incoming: bool = False) -> Settings:
    """Check parameters and fill in the defaults; `more` are keyword arguments, which win.

    Raises TypeError for an unknown parameter, InvalidParameter for a wrong value.
    """
    identity = str(uuid.uuid4())
    values = merged(given, more, known=WebSocketParameters.__annotations__)
    get = values.get
    privacy = _flag("privacy", get("privacy", False))
    trace = get("trace", False)
    if privacy and trace:
        refuse("trace", trace, "no trace together with privacy")
    receive_buffer = count("receive_buffer", get("receive_buffer", MIB), 1)
    tls = _tls("tls", get("tls"))
    close_timeout = _seconds("close_timeout", get("close_timeout", 10.0))
    playout_delay = _seconds("playout_delay", get("playout_delay", 0.04), zero=True)
    threshold = get("silence_threshold")
    if threshold is not None and (not is_number(threshold) or threshold > 0):
        refuse("silence_threshold", threshold, "a level in dBFS, at most 0, or None")
    levels = _flag("levels", get("levels", False))
    options = _options(
        connect_timeout=_optional_seconds("connect_timeout", get("connect_timeout", 10.0)),
        handshake_timeout=_optional_seconds("handshake_timeout", get("handshake_timeout", 10.0)),
        close_timeout=close_timeout,
        ping_interval=_optional_seconds("ping_interval", get("ping_interval", 20.0)),
        ping_timeout=_optional_seconds("ping_timeout", get("ping_timeout", 20.0)),
        max_message_size=count("max_message_size", get("max_message_size", 16 * MIB), 0),
        max_fragments=count("max_fragments", get("max_fragments", 4096), 1),
        compression=_compression(get("compression", True)),
        incoming=incoming,
        receive_buffer=receive_buffer,
        send_buffer=count("send_buffer", get("send_buffer", 16 * MIB), 1),
        media=_flag("media", get("media", True)),
        playout_delay=playout_delay,
        playout_delay_max=_playout_delay_max(values, playout_delay),
        playout_buffer=_seconds("playout_buffer", get("playout_buffer", 10.0)),
        conceal=_flag("conceal", get("conceal", True)),
        silence_duration=_seconds("silence_duration", get("silence_duration", 1.0)),
        silence_threshold=None if threshold is None else float(threshold),
        levels=levels,
        voice_activity=voice_activity(get("voice_activity", False)),
        max_streams=count("max_streams", get("max_streams", 32), 1),
        split_stereo=_stereo(get("stereo", "mix")) == "split",
        privacy=privacy,
        trace=_file("trace", trace, trace_name(identity)),
    )
    return Settings(
        identity=identity,
        protocols=_protocols(get("protocols", "chat")),
        headers=checked_headers(get("headers", ())),
        privacy=privacy,
        statistics=directory("statistics", get("statistics", False), Path(tempfile.gettempdir())),
        receive_buffer=receive_buffer,
        levels=levels,
        require_protocol=_flag("require_protocol", get("require_protocol", False)),
        tls=tls,
        options=options,
        via=_via(values),
        sock=_sock(get("sock")),
        reconnect=_reconnect(get("reconnect", False), get("sock")),
    )


@lru_cache(maxsize=32)
def _options(**values: Any) -> _core.ConnectionOptions:
    """The options of the core; connections with the same ones share them."""
    return _core.ConnectionOptions(**values)


def _playout_delay_max(values: Mapping[str, Any], least: float) -> float | None:
    value = values.get("playout_delay_max", max(0.5, least))
    if value is not None and (not is_number(value) or value <= 0 or value < least):
        refuse("playout_delay_max", value, f"a number of seconds > 0 and >= playout_delay ({least}), or None")
    return None if value is None else float(value)


def _stereo(value: Any) -> str:
    if not isinstance(value, str) or value not in {"mix", "split"}:
        refuse("stereo", value, '"mix" or "split"')
    return value


def _via(values: Mapping[str, Any]) -> _core.Via:
    """Check how the server is to be reached."""
    delay = values.get("happy_eyeballs_delay", 0.25)
    if delay is not None and (not is_number(delay) or delay < _SHORTEST_DELAY):
        refuse("happy_eyeballs_delay", delay, f"a number of seconds >= {_SHORTEST_DELAY}, or None")
    proxy = values.get("proxy", True)
    if proxy is not None and proxy is not True and not isinstance(proxy, str):
        refuse("proxy", proxy, "the URL of a proxy, True (the environment's) or None")
    unix_path = values.get("unix_path")
    if unix_path is not None and (not isinstance(unix_path, str | PathLike) or not fspath(unix_path)):
        refuse("unix_path", unix_path, "the path of a Unix socket, or None")
    direct = next((name for name in ("sock", "unix_path") if values.get(name) is not None), None)
    for name, value in (("proxy", proxy), ("local_address", values.get("local_address")), ("unix_path", unix_path)):
        if direct not in (None, name) and value not in (None, True):
            refuse(name, "..." if name == "proxy" else value, f"nothing beside {direct}")
    proxy_tls = _tls("proxy_tls", values.get("proxy_tls"))
    return _core.Via(
        happy_eyeballs_delay=delay,
        proxy=proxy,
        proxy_tls=None if proxy_tls is None else proxy_tls._config,
        max_redirects=count("max_redirects", values.get("max_redirects", 10), 0),
        local_address=_local_address(values.get("local_address")),
        unix_path=None if unix_path is None else fspath(unix_path),
    )


def _local_address(value: Any) -> tuple[str, int] | None:
    if value is None:
        return None
    host, port = (value, 0) if isinstance(value, str) else value if _pair(value) else (None, None)
    if not isinstance(host, str) or not isinstance(port, int) or isinstance(port, bool) or not 0 <= port < 2**16:
        refuse("local_address", value, "an IP address, or a pair of an IP address and a port, or None")
    return host, port


def _pair(value: Any) -> bool:
    return isinstance(value, tuple | list) and len(value) == 2  # noqa: PLR2004


def _sock(value: Any) -> socket.socket | None:
    if value is None:
        return None
    sock = stream_socket("sock", value)
    try:
        sock.getpeername()
    except OSError as error:
        refuse("sock", value, f"a connected socket ({error.strerror})")
    return sock


def _reconnect(value: Any, sock: Any) -> ReconnectPolicy | None:
    if value is False:
        return None
    if sock is not None:
        refuse("reconnect", value, "False beside sock: a socket that was given cannot be connected again")
    if value is True:
        return Backoff()
    if not callable(value) or isinstance(value, type) or iscoroutinefunction(value):
        refuse("reconnect", value, "True, False, a Backoff or another ReconnectPolicy: a function, not async")
    return cast("ReconnectPolicy", value)


def stream_socket(field: str, value: Any) -> socket.socket:
    """Answer the value, checked to be a stream socket which the core can use. Raises InvalidParameter."""
    if (
        not isinstance(value, socket.socket)
        or isinstance(value, ssl.SSLSocket)
        or value.type != socket.SOCK_STREAM
        or value.family not in _FAMILIES
    ):
        refuse(field, value, "a TCP or Unix stream socket without TLS, or None")
    return value


def trace_name(identity: str) -> str:
    """Name the trace file of a connection."""
    return f"voxwire-{identity}.trace.txt"


def merged(given: Mapping[str, Any] | None, more: Mapping[str, Any], *, known: Iterable[str]) -> dict[str, Any]:
    """Put a parameter object and keyword arguments together. Raises TypeError for a name that is not `known`."""
    if given is not None and not isinstance(given, Mapping):
        message = f"parameters must be a dictionary, not {type(given).__name__}"
        raise TypeError(message)
    values = {**(given or {}), **more}
    for name in values:
        if name not in known:
            near = get_close_matches(str(name), list(known), n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"known are {', '.join(known)}"
            message = f"unknown parameter {name!r}; {hint}"
            raise TypeError(message)
    return values


def _seconds(field: str, value: Any, *, zero: bool = False) -> float:
    if not is_number(value) or value < 0 or (value == 0 and not zero):
        refuse(field, value, f"a number of seconds {'>= 0' if zero else '> 0'}")
    return float(value)


def _optional_seconds(field: str, value: Any) -> float | None:
    if value is not None and (not is_number(value) or value <= 0):
        refuse(field, value, "a number of seconds > 0, or None")
    return None if value is None else float(value)


def count(field: str, value: Any, least: int) -> int:
    """Check a parameter that is a whole number. Raises InvalidParameter."""
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value < 2**63:
        refuse(field, value, f"a whole number >= {least}")
    return value


def _flag(field: str, value: Any) -> bool:
    if not isinstance(value, bool):
        refuse(field, value, "True or False")
    return value


def _compression(value: Any) -> Compression | None:
    if isinstance(value, bool):
        return Compression() if value else None
    if not isinstance(value, Compression):
        refuse("compression", value, "True, False or a Compression")
    return value


def _tls(field: str, value: Any) -> TLSOptions | None:
    if isinstance(value, ssl.SSLContext):
        return TLSOptions.from_context(value)
    if value is not None and not isinstance(value, TLSOptions):
        refuse(field, value, "TLSOptions, ssl.SSLContext or None")
    return value


def directory(field: str, value: Any, default: Path) -> Path | None:
    """Check a parameter that names a directory: True stands for `default`, False for none. Raises InvalidParameter."""
    if isinstance(value, bool):
        return default if value else None
    if not isinstance(value, str | PathLike) or not Path(value).is_dir():
        refuse(field, value, "True, False or an existing directory")
    return Path(value).absolute()


def _file(field: str, value: Any, default: str) -> str | None:
    if isinstance(value, bool):
        return default if value else None
    if not isinstance(value, str | PathLike) or not Path(value).absolute().parent.is_dir():
        refuse(field, value, "True, False or a file name in an existing directory")
    return str(Path(value))


def _protocols(value: Any) -> tuple[str, ...]:
    names = (value,) if isinstance(value, str) else value
    if not isinstance(names, Sequence):
        refuse("protocols", value, "a string or a list of strings")
    for name in names:
        if not isinstance(name, str) or not _TOKEN.fullmatch(name):
            refuse("protocols", name, "a subprotocol name: letters, digits and !#$%&'*+-.^_`|~")
    if len(set(names)) != len(names):
        refuse("protocols", value, "each name once")
    return tuple(names)


def checked_headers(value: Any) -> tuple[tuple[str, str], ...]:
    """Check headers, in any form they may be given in. Raises InvalidParameter."""
    pairs = value.items() if isinstance(value, Mapping) else value
    if isinstance(pairs, str) or not isinstance(pairs, Iterable):
        refuse("headers", value, "a list of {'name': …, 'value': …} or of pairs, or a mapping")
    return tuple(_header(item) for item in pairs)


def _header(item: Any) -> tuple[str, str]:
    if isinstance(item, Mapping):
        if set(item) != {"name", "value"}:
            refuse("headers", item, "a header with a 'name' and a 'value'")
        name, text = item["name"], item["value"]
    elif _pair(item):
        name, text = item
    else:
        refuse("headers", item, "{'name': …, 'value': …} or a pair")
    if not isinstance(name, str) or not _TOKEN.fullmatch(name):
        refuse("headers", name, "a header name (RFC 9110)")
    if name.lower() in _OURS:
        refuse("headers", name, "no header of the WebSocket handshake itself (use protocols for subprotocols)")
    if not isinstance(text, str) or not _VALUE.fullmatch(text):
        # It may be a credential, and is not repeated.
        wrong = "..." if isinstance(text, str) else type(text).__name__
        refuse(f"headers[{name!r}]", wrong, "a header value without line breaks or control characters")
    return name, text
