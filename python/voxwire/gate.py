"""Who decides about requests to a server before they are answered: origins that need Python, then `process_request`.

Servers that have neither never get here: the core answers alone.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
import re
from collections.abc import Awaitable, Callable, Sequence
from contextvars import Context, copy_context
from typing import TYPE_CHECKING, Any, TypeAlias

from .checks import refuse
from .request import Accept, HTTPResponse, IncomingRequest

if TYPE_CHECKING:
    from . import _core

Answer: TypeAlias = HTTPResponse | Accept | None
ProcessRequest: TypeAlias = Callable[[IncomingRequest], Answer | Awaitable[Answer]]
Origins: TypeAlias = Sequence[str | re.Pattern[str] | None]

_log = logging.getLogger("voxwire")
_ORIGIN = re.compile(r"[a-z][a-z0-9+.-]*://[^\s/?#A-Z]+|null")  # RFC 6454 section 6.2
_SHOWN = 200  # characters of a refused origin


class Gate:
    """Answers the questions of the core about requests to one server."""

    def __init__(
        self, process_request: ProcessRequest | None, origins: Origins | None, *, secure: bool, privacy: bool
    ) -> None:
        """`origins` are those that the core cannot check, None if there are none such."""
        self._process_request = process_request
        self._origins = origins
        self._secure = secure
        self._privacy = privacy
        self._context: Context = copy_context()
        self._tasks: dict[int, asyncio.Task[Answer]] = {}

    def ask(self, question: _core.Question) -> None:
        """Decide about a request, now or in a task."""
        request = self._request(question)
        reason = self._forbidden(request)
        if reason is not None:
            why = "HTTP status 403" if self._privacy else reason
            _log.warning("a connection from %s was refused: %s", request.peer, why)
            self._give(question, HTTPResponse(403, body=f"{reason}\n"))
            return
        if self._process_request is None:
            question.go_on(None, [])
            return
        context = self._context.copy()  # requests are decided side by side, and must not see each other's changes
        try:
            result = context.run(self._process_request, request)
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as error:  # noqa: BLE001 - as for handlers: nothing else stops
            self._fail(question, error)
            return
        if not inspect.isawaitable(result):
            self._settle(question, result)
            return
        task = asyncio.get_running_loop().create_task(_result(result), context=context)
        self._tasks[question.id] = task
        task.add_done_callback(lambda task: self._finish(question, task))

    def withdraw(self, question: int, *, late: bool) -> None:
        """Nobody waits for this answer any more: its task is cancelled."""
        task = self._tasks.pop(question, None)
        if late:
            _log.warning("process_request did not answer within handshake_timeout: the request was answered with 503")
        if task is not None:
            task.cancel()

    def close(self) -> None:
        """Cancel what is not decided."""
        for question in list(self._tasks):
            self.withdraw(question, late=False)

    def _request(self, question: _core.Question) -> IncomingRequest:
        return IncomingRequest(
            method=question.method,
            path=question.path,
            headers=question.headers,
            host=question.host,
            protocols=tuple(question.protocols),
            peer=question.peer,
            is_websocket=question.upgrade,
            secure=self._secure,
            certificate=question.certificate,
        )

    def _forbidden(self, request: IncomingRequest) -> str | None:
        if self._origins is None or not request.is_websocket:
            return None
        given = [value.strip() for value in request.header_values("Origin")]
        if not given:
            return None if None in self._origins else "header Origin is missing"
        if len(given) > 1:
            return "header Origin is given more than once"
        origin = given[0]
        for allowed in self._origins:
            if allowed.fullmatch(origin) if isinstance(allowed, re.Pattern) else allowed == origin:
                return None
        return f"origin {origin[:_SHOWN]!r} is not allowed to connect"

    def _finish(self, question: _core.Question, task: asyncio.Task[Answer]) -> None:
        wanted = self._tasks.pop(question.id, None) is not None
        if task.cancelled():
            if wanted:
                self._fail(question, asyncio.CancelledError("process_request was cancelled"))
        elif (error := task.exception()) is not None:
            self._fail(question, error)
        elif wanted:
            self._settle(question, task.result())

    def _settle(self, question: _core.Question, answer: Any) -> None:
        try:
            self._give(question, answer)
        except Exception as error:  # noqa: BLE001 - an answer that cannot be sent is a mistake of process_request
            self._fail(question, error)

    @staticmethod
    def _give(question: _core.Question, answer: Any) -> None:
        if answer is None:
            question.go_on(None, [])
        elif isinstance(answer, Accept):
            protocol = answer.protocol
            question.go_on(None if protocol is ... else protocol or "", answer._headers)
        elif isinstance(answer, HTTPResponse):
            question.respond(answer.status, answer._headers, answer._body)
        else:
            message = f"process_request must answer None, HTTPResponse or Accept, not {type(answer).__name__}"
            raise TypeError(message)

    def _fail(self, question: _core.Question, error: BaseException) -> None:
        question.respond(500, HTTPResponse(500, body="")._headers, b"the server failed to decide about this request\n")
        context = {"message": "process_request raised", "exception": error, "gate": self}
        asyncio.get_running_loop().call_exception_handler(context)


def checked_origins(origins: Origins | None) -> tuple[list[str | None] | None, Origins | None]:
    """Check `origins`; answers those that the core checks and those that need Python, one of them None.

    Raises InvalidParameter.
    """
    if origins is None:
        return None, None
    if isinstance(origins, str) or not isinstance(origins, Sequence):
        refuse("origins", origins, "a list of origins, compiled patterns and None, or None for any")
    plain: list[str | None] = []
    for origin in origins:
        if isinstance(origin, str) and not _ORIGIN.fullmatch(origin):
            refuse("origins", origin, 'an origin as browsers send it: "https://example.com", lower case, no path')
        if isinstance(origin, re.Pattern) and not isinstance(origin.pattern, str):
            refuse("origins", origin, "a pattern of str")
        if origin is None or isinstance(origin, str):
            plain.append(origin)
        elif not isinstance(origin, re.Pattern):
            refuse("origins", origin, "a string, a compiled pattern, or None for no Origin header")
    return (plain, None) if len(plain) == len(origins) else (None, list(origins))


async def _result(work: Awaitable[Answer]) -> Answer:
    return await work
