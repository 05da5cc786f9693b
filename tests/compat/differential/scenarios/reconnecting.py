"""`async for connection in connect(...)`: when a client tries again, after how long, and what ends it."""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any

from support.raw import RawPeer

from differential.trial import Trial, scenario


def _delays(t: Trial, *delays: float) -> Callable[[], Generator[float, None, None]]:
    def generate() -> Generator[float, None, None]:
        t.note("backoff begins")
        yield from delays or (0.0,) * 100

    return generate


def _scripts(t: Trial, *answers: bytes) -> Callable[[RawPeer], None]:
    """Answers, one for each connection; an empty one opens and closes."""
    count = 0

    def script(peer: RawPeer) -> None:
        nonlocal count
        number, count = count, count + 1
        answer = answers[number] if number < len(answers) else b""
        if answer:
            peer.read_head()
            peer.write(answer if answer != b"hang up" else b"")
            return
        peer.accept(None)
        peer.text(f"connection {number}")
        t.hear_all(peer)

    return script


BUSY = b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n"
GONE = b"HTTP/1.1 404 Gone\r\nContent-Length: 0\r\n\r\n"


async def _iterate(t: Trial, *answers: bytes, rounds: int = 2, **kwargs: Any) -> None:
    options = {"reconnect_delays": _delays(t), "compression": None, **kwargs}

    async def loop(url: str) -> None:
        number = 0
        async for ws in t.client.connect(url, **options):
            t.note("connected", await ws.recv())
            number += 1
            if number == rounds:
                break
        await ws.close()

    with t.raw(_scripts(t, *answers), handshake=False) as server:
        await t.outcome("loop", loop(server.url))


@scenario
async def again_and_again(t: Trial) -> None:
    await _iterate(t, rounds=3)


@scenario
async def after_a_busy_server(t: Trial) -> None:
    await _iterate(t, BUSY, BUSY, rounds=1)


@scenario
async def after_one_that_hangs_up(t: Trial) -> None:
    await _iterate(t, b"hang up", rounds=1)


@scenario
async def backoff_begins_anew(t: Trial) -> None:
    await _iterate(t, BUSY, b"", BUSY, rounds=2)


@scenario
async def not_after_a_404(t: Trial) -> None:
    await _iterate(t, GONE)


@scenario
async def not_after_nonsense(t: Trial) -> None:
    await _iterate(t, b"nonsense\r\n\r\n")


@scenario
async def process_exception_retries(t: Trial) -> None:
    def process(exc: Exception) -> Exception | None:
        t.note("process", f"{type(exc).__name__} {exc}")
        return None

    await _iterate(t, GONE, rounds=1, process_exception=process)


@scenario
async def process_exception_replaces(t: Trial) -> None:
    await _iterate(t, BUSY, process_exception=lambda exc: KeyError("mine"))


@scenario
async def process_exception_raises(t: Trial) -> None:
    def process(exc: Exception) -> Exception | None:
        raise KeyError("mine")

    await _iterate(t, BUSY, process_exception=process)


@scenario
async def an_exception_in_the_body(t: Trial) -> None:
    async def loop(url: str) -> None:
        async for _ in t.client.connect(url, compression=None, reconnect_delays=_delays(t)):
            raise KeyError("mine")

    with t.raw(lambda peer: peer.finish()) as server:
        await t.outcome("loop", loop(server.url))


@scenario
async def continue_on_connection_closed(t: Trial) -> None:
    def script(peer: RawPeer) -> None:
        peer.text("hello")
        peer.close(1011, "broken")
        t.hear_all(peer)

    async def loop(url: str) -> None:
        number = 0
        async for ws in t.client.connect(url, compression=None, reconnect_delays=_delays(t)):
            try:
                async for message in ws:
                    t.note("message", message)
            except t.exceptions.ConnectionClosed as error:
                t.note("closed", error)
                number += 1
                if number == 3:
                    return
                continue

    with t.raw(script) as server:
        await t.outcome("loop", loop(server.url))


@scenario
async def reentrance(t: Trial) -> None:
    with t.raw(t.hear_all) as server:
        connector = t.client.connect(server.url, compression=None)

        async def twice() -> None:
            async with connector, connector:
                pass

        await t.outcome("twice", twice())
        async with connector as ws:
            t.look(ws)


@scenario
async def delays(t: Trial) -> None:
    client = t.module("client")
    generated = client.backoff(0, 1, 10, 2)
    t.note("delays", [next(generated) for _ in range(8)])
    first = next(client.backoff())
    t.note("first", 0 <= first <= 5)


@scenario
async def what_may_pass(t: Trial) -> None:
    client, exceptions = t.module("client"), t.exceptions
    response = t.http11.Response(502, "Bad", t.datastructures.Headers())
    refused = t.http11.Response(501, "No", t.datastructures.Headers())
    lost = exceptions.InvalidMessage("lost")
    lost.__cause__ = EOFError()
    for exc in (
        OSError("net"),
        TimeoutError(),
        ConnectionResetError(),
        exceptions.InvalidStatus(response),
        exceptions.InvalidStatus(refused),
        exceptions.InvalidMessage("wrong"),
        lost,
        exceptions.InvalidURI("uri", "wrong"),
        ValueError("mine"),
    ):
        t.note(f"{type(exc).__name__} {exc}", client.process_exception(exc) is exc)
