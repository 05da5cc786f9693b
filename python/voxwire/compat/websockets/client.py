"""`ClientProtocol`: the client's side of the opening handshake, without I/O; and when a client tries again."""

from __future__ import annotations

import os
import random
import warnings
from collections.abc import Generator, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from .datastructures import Headers, MultipleValuesError
from .exceptions import (
    InvalidHandshake,
    InvalidHeader,
    InvalidHeaderValue,
    InvalidMessage,
    InvalidStatus,
    InvalidUpgrade,
    NegotiationError,
    StatusLineTooLong,
)
from .headers import (
    build_authorization_basic,
    build_extension,
    build_host,
    build_subprotocol,
    parse_connection,
    parse_extension,
    parse_subprotocol,
    parse_upgrade,
)
from .http11 import Request, Response
from .imports import lazy_import
from .protocol import CLIENT, CONNECTING, OPEN, Protocol, State
from .utils import accept_key, generate_key

if TYPE_CHECKING:
    from collections.abc import Callable

    from .extensions import ClientExtensionFactory, Extension
    from .streams import StreamReader
    from .typing import LoggerLike, Origin, Subprotocol
    from .uri import WebSocketURI

__all__ = ["ClientProtocol"]

T = TypeVar("T")


class ClientProtocol(Protocol):
    """The state of a client's connection."""

    def __init__(
        self,
        uri: WebSocketURI,
        *,
        origin: Origin | None = None,
        extensions: Sequence[ClientExtensionFactory] | None = None,
        subprotocols: Sequence[Subprotocol] | None = None,
        state: State = CONNECTING,
        max_size: int | tuple[int | None, int | None] | None = 2**20,
        logger: LoggerLike | None = None,
    ) -> None:
        """Begin with what is offered to the server."""
        super().__init__(CLIENT, state=state, max_size=max_size, logger=logger)
        self.uri = uri
        self.origin = origin
        self.available_extensions = extensions
        self.available_subprotocols = subprotocols
        self.key = generate_key()

    def connect(self) -> Request:
        """Answer the request. It may be changed before `send_request`."""
        uri = self.uri
        headers = Headers()
        headers["Host"] = build_host(uri.host, uri.port, uri.secure)
        if uri.user_info is not None:
            headers["Authorization"] = build_authorization_basic(*uri.user_info)
        if self.origin is not None:
            headers["Origin"] = self.origin
        headers["Upgrade"] = "websocket"
        headers["Connection"] = "Upgrade"
        headers["Sec-WebSocket-Key"] = self.key
        headers["Sec-WebSocket-Version"] = "13"
        if self.available_extensions is not None:
            offers = [(factory.name, factory.get_request_params()) for factory in self.available_extensions]
            headers["Sec-WebSocket-Extensions"] = build_extension(offers)
        if self.available_subprotocols is not None:
            headers["Sec-WebSocket-Protocol"] = build_subprotocol(self.available_subprotocols)
        return Request(uri.resource_name, headers)

    def send_request(self, request: Request) -> None:
        """Send the request."""
        if self.debug:
            self.logger.debug("> GET %s HTTP/1.1", request.path)
            log_headers(self.logger, ">", request.headers)
        self.writes.append(request.serialize())

    def process_response(self, response: Response) -> None:
        """Check the response and note what was agreed. Raises InvalidHandshake."""
        if response.status_code != 101:  # noqa: PLR2004 - Switching Protocols
            raise InvalidStatus(response)
        headers = response.headers
        check_upgrade(headers)
        accept = single(headers, "Sec-WebSocket-Accept")
        if accept != accept_key(self.key):
            raise InvalidHeaderValue("Sec-WebSocket-Accept", accept)
        self.extensions = self.process_extensions(headers)
        self.subprotocol = self.process_subprotocol(headers)

    def process_extensions(self, headers: Headers) -> list[Extension]:
        """Answer the extensions that the server took. Raises InvalidHandshake for others."""
        accepted: list[Extension] = []
        values = headers.get_all("Sec-WebSocket-Extensions")
        if values and self.available_extensions is None:
            message = "no extensions supported"
            raise NegotiationError(message)
        for name, params in each(parse_extension, values):
            for factory in self.available_extensions or ():
                if factory.name != name:
                    continue
                try:
                    accepted.append(factory.process_response_params(params, accepted))
                except NegotiationError:
                    continue
                break
            else:
                message = f"Unsupported extension: name = {name}, params = {params}"
                raise NegotiationError(message)
        return accepted

    def process_subprotocol(self, headers: Headers) -> Subprotocol | None:
        """Answer the subprotocol that the server chose. Raises InvalidHandshake."""
        values = headers.get_all("Sec-WebSocket-Protocol")
        if not values:
            return None
        if self.available_subprotocols is None:
            message = "no subprotocols supported"
            raise NegotiationError(message)
        chosen = each(parse_subprotocol, values)
        if len(chosen) > 1:
            raise InvalidHeader("Sec-WebSocket-Protocol", f"multiple values: {', '.join(chosen)}")
        if chosen[0] not in self.available_subprotocols:
            message = f"unsupported subprotocol: {chosen[0]}"
            raise NegotiationError(message)
        return chosen[0]

    def _open(self, stream: StreamReader) -> Generator[None, None, None]:
        try:
            response = yield from Response.parse(stream.read_line, stream.read_exact, stream.read_to_eof)
        except StatusLineTooLong as exc:
            self._refuse(exc)
            return
        except Exception as exc:  # noqa: BLE001 - whatever is wrong with it
            invalid = InvalidMessage("did not receive a valid HTTP response")
            invalid.__cause__ = exc
            self._refuse(invalid)
            return
        if self.debug:
            self.logger.debug("< HTTP/1.1 %d %s", response.status_code, response.reason_phrase)
            log_headers(self.logger, "<", response.headers)
            if response.body:
                self.logger.debug("< [body] (%d bytes)", len(response.body))
        try:
            self.process_response(response)
        except InvalidHandshake as exc:
            response._exception = exc
            self._handshaken.append(response)
            self._refuse(exc)
            return
        self.state = OPEN
        self._handshaken.append(response)

    def _refuse(self, exc: Exception) -> None:
        self.handshake_exc = exc
        self.send_eof()
        self._discarding = True


class ClientConnection(ClientProtocol):
    """The former name of `ClientProtocol`."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """Warn, and begin."""
        warnings.warn("ClientConnection was renamed to ClientProtocol", DeprecationWarning, stacklevel=2)
        super().__init__(*args, **kwargs)


def each(parse: Callable[[str], list[T]], values: list[str]) -> list[T]:
    """Answer the elements of all headers of one name."""
    return [item for value in values for item in parse(value)]


def single(headers: Headers, name: str) -> str:
    """Answer the one value of a header. Raises InvalidHeader."""
    try:
        return headers[name]
    except KeyError:
        raise InvalidHeader(name) from None
    except MultipleValuesError:
        raise InvalidHeader(name, "multiple values") from None


def check_upgrade(headers: Headers) -> None:
    """Raise InvalidUpgrade unless Connection and Upgrade speak of a WebSocket."""
    options = each(parse_connection, headers.get_all("Connection"))
    if not any(option.lower() == "upgrade" for option in options):
        raise InvalidUpgrade("Connection", ", ".join(options) or None)
    upgrade = each(parse_upgrade, headers.get_all("Upgrade"))
    if [protocol.lower() for protocol in upgrade] != ["websocket"]:
        raise InvalidUpgrade("Upgrade", ", ".join(upgrade) or None)


def log_headers(logger: LoggerLike, arrow: str, headers: Headers) -> None:
    """Log each header on a line."""
    for name, value in headers.raw_items():
        logger.debug(f"{arrow} %s: %s", name, value)  # noqa: G004 - the arrow is part of the format


_TRANSIENT = (500, 502, 503, 504)


def process_exception(exc: Exception) -> Exception | None:
    """Answer None for what may pass when a client tries again: network errors and HTTP 500, 502, 503, 504.

    Anything else is answered as it is, which ends the attempts.
    """
    lost = isinstance(exc, InvalidMessage) and isinstance(exc.__cause__, EOFError)
    busy = isinstance(exc, InvalidStatus) and exc.response.status_code in _TRANSIENT
    return None if lost or busy or isinstance(exc, OSError) else exc


BACKOFF_INITIAL_DELAY = float(os.environ.get("WEBSOCKETS_BACKOFF_INITIAL_DELAY", "5"))
BACKOFF_MIN_DELAY = float(os.environ.get("WEBSOCKETS_BACKOFF_MIN_DELAY", "3.1"))
BACKOFF_MAX_DELAY = float(os.environ.get("WEBSOCKETS_BACKOFF_MAX_DELAY", "90.0"))
BACKOFF_FACTOR = float(os.environ.get("WEBSOCKETS_BACKOFF_FACTOR", "1.618"))


def backoff(
    initial_delay: float = BACKOFF_INITIAL_DELAY,
    min_delay: float = BACKOFF_MIN_DELAY,
    max_delay: float = BACKOFF_MAX_DELAY,
    factor: float = BACKOFF_FACTOR,
) -> Generator[float, None, None]:
    """Yield the seconds before each attempt: random at first (RFC 6455 section 7.2.3), then growing to `max_delay`."""
    yield random.random() * initial_delay  # noqa: S311 - spreads clients, hides nothing
    delay = min_delay
    while True:
        yield min(delay, max_delay)
        delay = min(delay * factor, max_delay)


lazy_import(globals(), legacy=("WebSocketClientProtocol", "connect", "unix_connect"))
