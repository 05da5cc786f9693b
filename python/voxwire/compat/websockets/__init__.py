"""The API of `websockets` 17.4 on voxwire's core: change `websockets` to `voxwire.compat.websockets` in imports.

What differs stands in docs/migration.md. Names are imported when they are first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .imports import lazy_import
from .version import version as __version__  # noqa: F401 - an attribute of the original's, too

__all__ = [
    "ClientConnection",
    "ClientProtocol",
    "Close",
    "CloseCode",
    "ConcurrencyError",
    "ConnectionClosed",
    "ConnectionClosedError",
    "ConnectionClosedOK",
    "Data",
    "DuplicateParameter",
    "ExtensionName",
    "ExtensionParameter",
    "Frame",
    "HeaderLineTooLong",
    "Headers",
    "HeadersLike",
    "InvalidHandshake",
    "InvalidHeader",
    "InvalidHeaderFormat",
    "InvalidHeaderValue",
    "InvalidMessage",
    "InvalidMethod",
    "InvalidOrigin",
    "InvalidParameterName",
    "InvalidParameterValue",
    "InvalidProtocol",
    "InvalidProxy",
    "InvalidProxyMessage",
    "InvalidProxyStatus",
    "InvalidState",
    "InvalidStatus",
    "InvalidURI",
    "InvalidUpgrade",
    "LoggerLike",
    "MultipleValuesError",
    "NegotiationError",
    "Opcode",
    "Origin",
    "PayloadTooBig",
    "Protocol",
    "ProtocolError",
    "ProxyError",
    "Request",
    "RequestLineTooLong",
    "Response",
    "Router",
    "SecurityError",
    "Server",
    "ServerConnection",
    "ServerProtocol",
    "Side",
    "State",
    "StatusLike",
    "StatusLineTooLong",
    "Subprotocol",
    "TooManyFragments",
    "TooManyHeaders",
    "WebSocketException",
    "basic_auth",
    "broadcast",
    "connect",
    "route",
    "serve",
    "unix_connect",
    "unix_route",
    "unix_serve",
]

if TYPE_CHECKING:
    from .asyncio.client import ClientConnection, connect, unix_connect
    from .asyncio.router import Router, route, unix_route
    from .asyncio.server import Server, ServerConnection, basic_auth, broadcast, serve, unix_serve
    from .client import ClientProtocol
    from .datastructures import Headers, HeadersLike, MultipleValuesError
    from .exceptions import (
        ConcurrencyError,
        ConnectionClosed,
        ConnectionClosedError,
        ConnectionClosedOK,
        DuplicateParameter,
        HeaderLineTooLong,
        InvalidHandshake,
        InvalidHeader,
        InvalidHeaderFormat,
        InvalidHeaderValue,
        InvalidMessage,
        InvalidMethod,
        InvalidOrigin,
        InvalidParameterName,
        InvalidParameterValue,
        InvalidProtocol,
        InvalidProxy,
        InvalidProxyMessage,
        InvalidProxyStatus,
        InvalidState,
        InvalidStatus,
        InvalidUpgrade,
        InvalidURI,
        NegotiationError,
        PayloadTooBig,
        ProtocolError,
        ProxyError,
        RequestLineTooLong,
        SecurityError,
        StatusLineTooLong,
        TooManyFragments,
        TooManyHeaders,
        WebSocketException,
    )
    from .frames import Close, CloseCode, Frame, Opcode
    from .http11 import Request, Response
    from .protocol import Protocol, Side, State
    from .server import ServerProtocol
    from .typing import Data, ExtensionName, ExtensionParameter, LoggerLike, Origin, StatusLike, Subprotocol
else:
    _sources = {
        ".asyncio.client": "ClientConnection connect unix_connect",
        ".asyncio.router": "Router route unix_route",
        ".asyncio.server": "Server ServerConnection basic_auth broadcast serve unix_serve",
        ".client": "ClientProtocol",
        ".datastructures": "Headers HeadersLike MultipleValuesError",
        ".exceptions": "ConcurrencyError ConnectionClosed ConnectionClosedError ConnectionClosedOK DuplicateParameter HeaderLineTooLong InvalidHandshake InvalidHeader InvalidHeaderFormat InvalidHeaderValue InvalidMessage InvalidMethod InvalidOrigin InvalidParameterName InvalidParameterValue InvalidProtocol InvalidProxy InvalidProxyMessage InvalidProxyStatus InvalidState InvalidStatus InvalidURI InvalidUpgrade NegotiationError PayloadTooBig ProtocolError ProxyError RequestLineTooLong SecurityError StatusLineTooLong TooManyFragments TooManyHeaders WebSocketException",
        ".frames": "Close CloseCode Frame Opcode",
        ".http11": "Request Response",
        ".protocol": "Protocol Side State",
        ".server": "ServerProtocol",
        ".typing": "Data ExtensionName ExtensionParameter LoggerLike Origin StatusLike Subprotocol",
    }
    lazy_import(
        globals(),
        {name: source for source, names in _sources.items() for name in names.split()},
        legacy=(
            "AbortHandshake",
            "BasicAuthWebSocketServerProtocol",
            "InvalidStatusCode",
            "RedirectHandshake",
            "WebSocketClientProtocol",
            "WebSocketCommonProtocol",
            "WebSocketProtocolError",
            "WebSocketServer",
            "WebSocketServerProtocol",
            "basic_auth_protocol_factory",
        ),
    )
