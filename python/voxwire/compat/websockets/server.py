"""`ServerProtocol`: the server's side of the opening handshake, without I/O."""

from __future__ import annotations

import base64
import binascii
import email.utils
import http
import re
import warnings
from collections.abc import Callable, Generator, Sequence
from typing import TYPE_CHECKING, Any

from .client import check_upgrade, each, log_headers, single
from .datastructures import Headers, MultipleValuesError
from .exceptions import (
    HeaderLineTooLong,
    InvalidHandshake,
    InvalidHeader,
    InvalidHeaderValue,
    InvalidMessage,
    InvalidMethod,
    InvalidOrigin,
    InvalidProtocol,
    InvalidUpgrade,
    NegotiationError,
    RequestLineTooLong,
    TooManyHeaders,
)
from .headers import build_extension, parse_extension, parse_subprotocol
from .http11 import Request, Response
from .imports import lazy_import
from .protocol import CONNECTING, OPEN, SERVER, Protocol, State
from .typing import ExtensionHeader, Origin, StatusLike, Subprotocol
from .utils import accept_key

if TYPE_CHECKING:
    from .extensions import Extension, ServerExtensionFactory
    from .streams import StreamReader
    from .typing import LoggerLike

__all__ = ["ServerProtocol"]

_KEY_BYTES = 16


class ServerProtocol(Protocol):
    """The state of a server's connection."""

    def __init__(
        self,
        *,
        origins: Sequence[Origin | re.Pattern[str] | None] | None = None,
        extensions: Sequence[ServerExtensionFactory] | None = None,
        subprotocols: Sequence[Subprotocol] | None = None,
        select_subprotocol: Callable[[ServerProtocol, Sequence[Subprotocol]], Subprotocol | None] | None = None,
        state: State = CONNECTING,
        max_size: int | tuple[int | None, int | None] | None = 2**20,
        logger: LoggerLike | None = None,
    ) -> None:
        """Begin with what is accepted from a client."""
        super().__init__(SERVER, state=state, max_size=max_size, logger=logger)
        self.origins = origins
        self.available_extensions = extensions
        self.available_subprotocols = subprotocols
        self._select = select_subprotocol
        # Whether a refusal answers an attempt to open, rather than a plain HTTP response of the application.
        self._accepting = False

    def accept(self, request: Request) -> Response:
        """Answer the response that opens the connection, or the one that refuses a wrong request."""
        self._accepting = True
        try:
            accept, extensions, subprotocol = self.process_request(request)
        except Exception as exc:  # noqa: BLE001 - select_subprotocol may raise anything
            request._exception = self.handshake_exc = exc
            return self._refusal(exc)
        headers = Headers()
        headers["Date"] = email.utils.formatdate(usegmt=True)
        headers["Upgrade"] = "websocket"
        headers["Connection"] = "Upgrade"
        headers["Sec-WebSocket-Accept"] = accept
        if extensions is not None:
            headers["Sec-WebSocket-Extensions"] = extensions
        if subprotocol is not None:
            headers["Sec-WebSocket-Protocol"] = subprotocol
        return Response(101, "Switching Protocols", headers)

    def process_request(self, request: Request) -> tuple[str, str | None, str | None]:
        """Answer the headers Sec-WebSocket-Accept, -Extensions and -Protocol. Raises InvalidHandshake."""
        if request.method != "GET":
            raise InvalidMethod(request.method)
        if request.protocol != "HTTP/1.1":
            raise InvalidProtocol(request.protocol)
        headers = request.headers
        check_upgrade(headers)
        key = single(headers, "Sec-WebSocket-Key")
        try:
            nonce = base64.b64decode(key.encode(), validate=True)
        except binascii.Error as exc:
            raise InvalidHeaderValue("Sec-WebSocket-Key", key) from exc
        if len(nonce) != _KEY_BYTES:
            raise InvalidHeaderValue("Sec-WebSocket-Key", key)
        version = single(headers, "Sec-WebSocket-Version")
        if version != "13":
            raise InvalidHeaderValue("Sec-WebSocket-Version", version)
        self.origin = self.process_origin(headers)
        extensions, accepted = self.process_extensions(headers)
        self.extensions = accepted
        self.subprotocol = self.process_subprotocol(headers)
        return accept_key(key), extensions, self.subprotocol

    def process_origin(self, headers: Headers) -> Origin | None:
        """Answer the origin. Raises InvalidHeader, InvalidOrigin."""
        try:
            value = headers.get("Origin")
        except MultipleValuesError:
            raise InvalidHeader("Origin", "multiple values") from None
        origin = None if value is None else Origin(value)
        if self.origins is not None and not any(_allows(allowed, origin) for allowed in self.origins):
            raise InvalidOrigin(origin)
        return origin

    def process_extensions(self, headers: Headers) -> tuple[str | None, list[Extension]]:
        """Answer the header and the extensions that were agreed on. Raises InvalidHandshake."""
        answers: list[ExtensionHeader] = []
        accepted: list[Extension] = []
        values = headers.get_all("Sec-WebSocket-Extensions")
        offers = each(parse_extension, values) if self.available_extensions else []
        for name, params in offers:
            for factory in self.available_extensions or ():
                if factory.name != name:
                    continue
                try:
                    answer, extension = factory.process_request_params(params, accepted)
                except NegotiationError:
                    continue
                answers.append((name, answer))
                accepted.append(extension)
                break
        return build_extension(answers) if answers else None, accepted

    def process_subprotocol(self, headers: Headers) -> Subprotocol | None:
        """Answer the subprotocol. Raises InvalidHandshake."""
        return self.select_subprotocol(each(parse_subprotocol, headers.get_all("Sec-WebSocket-Protocol")))

    def select_subprotocol(self, subprotocols: Sequence[Subprotocol]) -> Subprotocol | None:
        """Choose among what the client offers: the first of ours that it has. Raises NegotiationError for none."""
        if self._select is not None:
            return self._select(self, subprotocols)
        if not self.available_subprotocols:
            return None
        if not subprotocols:
            message = "missing subprotocol"
            raise NegotiationError(message)
        for subprotocol in self.available_subprotocols:
            if subprotocol in subprotocols:
                return subprotocol
        message = f"invalid subprotocol; expected one of {', '.join(self.available_subprotocols)}"
        raise NegotiationError(message)

    def reject(self, status: StatusLike, text: str) -> Response:
        """Answer a response of plain text, which ends the connection."""
        status = http.HTTPStatus(status)
        body = text.encode()
        headers = Headers()
        headers["Date"] = email.utils.formatdate(usegmt=True)
        headers["Connection"] = "close"
        headers["Content-Length"] = str(len(body))
        headers["Content-Type"] = "text/plain; charset=utf-8"
        return Response(status.value, status.phrase, headers, body)

    def send_response(self, response: Response) -> None:
        """Send the response: 101 opens the connection, any other ends it."""
        status, phrase = response.status_code, response.reason_phrase
        if self.debug:
            self.logger.debug("> HTTP/1.1 %d %s", status, phrase)
            log_headers(self.logger, ">", response.headers)
            if response.body:
                self.logger.debug("> [body] (%d bytes)", len(response.body))
        self.writes.append(response.serialize())
        if status == http.HTTPStatus.SWITCHING_PROTOCOLS:
            assert self._state is CONNECTING  # noqa: S101 - as the original, for the caller's mistake
            self.state = OPEN
            self.logger.info("connection open")
            return
        what = "connection rejected (%d %s)" if self._accepting else "HTTP response sent (%d %s)"
        self.logger.info(what, status, phrase)
        self.send_eof()
        self._discard()

    def _refusal(self, exc: Exception) -> Response:
        """Answer the response to a request that cannot be accepted."""
        if not isinstance(exc, InvalidHandshake):
            self.logger.error("opening handshake failed", exc_info=exc)
            text = "Failed to open a WebSocket connection.\nSee server log for more information.\n"
            return self.reject(http.HTTPStatus.INTERNAL_SERVER_ERROR, text)
        status, name, extra = _refused_as(exc)
        if self.debug:
            self.logger.debug(f"! invalid {name}", exc_info=exc)  # noqa: G004 - one line for each kind
        words = str(exc)
        if status is http.HTTPStatus.BAD_REQUEST:
            cause = exc.__cause__
            while cause is not None:
                words, cause = f"{words}; {cause}", cause.__cause__
        text = f"Failed to open a WebSocket connection: {words}.\n"
        if status is http.HTTPStatus.UPGRADE_REQUIRED:
            text += "\nYou cannot access a WebSocket server directly with a browser. You need a WebSocket client.\n"
        response = self.reject(status, text)
        response.headers.update(extra)
        return response

    def _open(self, stream: StreamReader) -> Generator[None, None, None]:
        try:
            request = yield from Request.parse(stream.read_line)
        except RequestLineTooLong as exc:
            self._too_long(http.HTTPStatus.REQUEST_URI_TOO_LONG, exc, "! request line too long")
            return
        except (HeaderLineTooLong, TooManyHeaders) as exc:
            self._too_long(http.HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, exc, "! header fields too large")
            return
        except Exception as exc:
            self.handshake_exc = InvalidMessage("did not receive a valid HTTP request")
            self.handshake_exc.__cause__ = exc
            if self.debug:
                self.logger.debug("! no valid HTTP request", exc_info=True)
            self.send_eof()
            self._discarding = True
            return
        if self.debug:
            self.logger.debug("< %s %s %s", request.method, request.path, request.protocol)
            log_headers(self.logger, "<", request.headers)
        self._handshaken.append(request)

    def _too_long(self, status: http.HTTPStatus, exc: Exception, note: str) -> None:
        self.handshake_exc = exc
        if self.debug:
            self.logger.debug(note, exc_info=exc)
        self.send_response(self.reject(status, f"Failed to open a WebSocket connection: {exc}.\n"))


class ServerConnection(ServerProtocol):
    """The former name of `ServerProtocol`."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """Warn, and begin."""
        warnings.warn("ServerConnection was renamed to ServerProtocol", DeprecationWarning, stacklevel=2)
        super().__init__(*args, **kwargs)


def _allows(allowed: Origin | re.Pattern[str] | None, origin: Origin | None) -> bool:
    if isinstance(allowed, re.Pattern):
        return origin is not None and allowed.fullmatch(origin) is not None
    return allowed == origin


def _refused_as(exc: InvalidHandshake) -> tuple[http.HTTPStatus, str, dict[str, str]]:
    """Answer status, name in the log and further headers of the refusal."""
    if isinstance(exc, InvalidOrigin):
        return http.HTTPStatus.FORBIDDEN, "origin", {}
    if isinstance(exc, InvalidMethod):
        return http.HTTPStatus.METHOD_NOT_ALLOWED, "method", {"Allow": "GET"}
    if isinstance(exc, InvalidProtocol):
        return http.HTTPStatus.HTTP_VERSION_NOT_SUPPORTED, "protocol", {}
    if isinstance(exc, InvalidUpgrade):
        return http.HTTPStatus.UPGRADE_REQUIRED, "upgrade", {"Upgrade": "websocket"}
    return http.HTTPStatus.BAD_REQUEST, "handshake", {}


lazy_import(
    globals(),
    legacy=("WebSocketServer", "WebSocketServerProtocol", "broadcast", "serve", "unix_serve"),
)
