"""Event handlers: keeping them and calling them. Knows nothing of connections.

A handler runs in the context (`contextvars`) it was registered in. What it raises goes to the loop's exception handler
and stops nothing else.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from contextvars import Context, copy_context
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeAlias, TypeVar, overload

if TYPE_CHECKING:
    from enum import StrEnum

    from .events import Event

Callback: TypeAlias = Callable[[Any], object]
_E = TypeVar("_E")


class Handler:
    """A callback and the context it runs in."""

    __slots__ = ("callback", "context", "removed", "run")

    def __init__(self, callback: Callback, *, fresh: bool) -> None:
        self.callback = callback
        self.context: Context = copy_context()
        self.run = self._run_fresh if fresh else self.context.run
        self.removed = False

    def _run_fresh(self, callback: Callback, event: Event) -> object:
        return self.context.copy().run(callback, event)


class EventTarget:
    """Something that handlers of events can be added to.

    A handler is a function that takes the event. It may be an `async def`: it then runs as a task of the loop.
    """

    _names: ClassVar[type[StrEnum]]
    """The events that there are."""
    _role: ClassVar[str]
    """Under this key the loop's exception handler finds the object whose handler raised."""
    _fresh_context: ClassVar[bool] = False
    """Whether each call gets a copy of the handler's context: two threads cannot be in one context at a time."""

    def __init__(self) -> None:
        """Begin without handlers."""
        self._singles: dict[str, Handler] = {}
        self._listeners: dict[str, list[Handler]] = {}
        self._order: dict[str, tuple[Handler, ...]] = {}  # what dispatch goes through: the on… handler, then the others
        self._tasks: set[asyncio.Task[object]] | None = None  # most objects never have one

    def addEventListener(self, event: StrEnum | str, callback: Callback) -> None:
        """Call `callback` for each such event, after the handlers that were added before. Once is enough: adding the
        same callback again changes nothing.

        Raises TypeError when the callback cannot be called, ValueError when there is no such event.
        """
        name = self._event_name(event)
        _check_callable(name, callback)
        listeners = self._listeners.setdefault(name, [])
        if all(handler.callback != callback for handler in listeners):
            listeners.append(Handler(callback, fresh=self._fresh_context))
            self._arrange(name)

    def removeEventListener(self, event: StrEnum | str, callback: Callback | None = None) -> None:
        """Remove one handler of an event, or without `callback` all that were added with `addEventListener`.

        Raises ValueError when there is no such event; a callback that was never added is no error.
        """
        name = self._event_name(event)
        kept = []
        for handler in self._listeners.get(name, ()):
            if callback is None or handler.callback == callback:
                handler.removed = True
            else:
                kept.append(handler)
        self._listeners[name] = kept
        self._arrange(name)

    def _event_name(self, event: StrEnum | str) -> str:
        try:
            return str(self._names(event))
        except ValueError:
            known = ", ".join(self._names)
            message = f"no such event: {event!r}; expected one of {known}"
            raise ValueError(message) from None

    def _set_single(self, name: str, callback: Callback | None) -> None:
        old = self._singles.pop(name, None)
        if old is not None:
            old.removed = True
        if callback is not None:
            self._singles[name] = Handler(callback, fresh=self._fresh_context)
        self._arrange(name)

    def _arrange(self, name: str) -> None:
        single = self._singles.get(name)
        listeners = self._listeners.get(name, ())
        self._order[name] = (single, *listeners) if single is not None else tuple(listeners)

    def _dispatch(self, event: Event) -> list[asyncio.Task[object]] | None:
        """Call the handlers of an event; answers the tasks of those that are `async def`, None if none is."""
        tasks: list[asyncio.Task[object]] | None = None
        for handler in self._order.get(event.name, ()):
            if handler.removed:
                continue
            try:
                result = handler.run(handler.callback, event)
            except (SystemExit, KeyboardInterrupt):
                raise
            except BaseException as error:  # noqa: BLE001 - as asyncio does: a handler must not stop the others
                self._report(event.name, error)
                continue
            if result is not None and asyncio.iscoroutine(result):
                task = self._start(event.name, handler, result)
                tasks = [task] if tasks is None else [*tasks, task]
        return tasks

    def _start(self, name: str, handler: Handler, work: Coroutine[Any, Any, object]) -> asyncio.Task[object]:
        # A copy: tasks of one handler run side by side, and must not see each other's changes.
        task = asyncio.get_running_loop().create_task(work, context=handler.context.copy())
        self._tasks = tasks = self._tasks or set()
        tasks.add(task)

        def finished(task: asyncio.Task[object]) -> None:
            tasks.discard(task)
            if not task.cancelled() and (error := task.exception()) is not None:
                self._report(name, error)

        task.add_done_callback(finished)
        return task

    def _report(self, name: str, error: BaseException) -> None:
        context = {"message": f"a handler of {name} raised", "exception": error, self._role: self}
        asyncio.get_running_loop().call_exception_handler(context)


class OnHandler(Generic[_E]):
    """An `on…` property: one handler of one event, called right before those added with `addEventListener`.

    Reads as the function that was assigned, or None; assigning None removes it. Raises TypeError for what cannot be
    called.
    """

    def __init__(self, event: StrEnum) -> None:
        """`event` is the one it handles."""
        self._name = str(event)

    @overload
    def __get__(self, target: None, owner: type[EventTarget]) -> OnHandler[_E]: ...
    @overload
    def __get__(self, target: EventTarget, owner: type[EventTarget]) -> Callable[[_E], object] | None: ...
    def __get__(
        self, target: EventTarget | None, owner: type[EventTarget]
    ) -> OnHandler[_E] | Callable[[_E], object] | None:
        """Answer the handler."""
        if target is None:
            return self
        handler = target._singles.get(self._name)
        return None if handler is None else handler.callback

    def __set__(self, target: EventTarget, callback: Callable[[_E], object] | None) -> None:
        """Set or remove the handler."""
        if callback is not None:
            _check_callable(self._name, callback)
        target._set_single(self._name, callback)


def _check_callable(name: str, callback: object) -> None:
    if not callable(callback):
        message = f"a handler of {name} must be a function, not {type(callback).__name__}"
        raise TypeError(message)
