"""What is to be reached beside the others, and whether it is: ratios of medians of one run."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from benches.figures import Table

from .cases import Row
from .clients import APIS, AWAIT, BLOCKING, CALLBACK, FLOOR, LOOPS, find
from .figures import kept_up, median, size_name

COMPAT, DROP_IN = "voxwire.compat.websockets", "picows.websockets"
SIZES = (32, 256, 8192, 102400, 1 << 20)


@dataclass(frozen=True)
class Aim:
    """A measured number, and what it should be. The number is None when nobody has one: nobody kept up, or none was ours."""

    what: str
    measured: float | None
    wanted: str
    reached: bool
    beside: str = ""


def table(rows: Sequence[Row]) -> Table:
    """Each aim of the cases and sizes that were measured."""
    made = Table("Aims", ["aim", "measured", "wanted", "reached", "beside"])
    for aim in _aims(_Found(rows)):
        measured = "–" if aim.measured is None else f"{aim.measured:.2f}"
        made.add([aim.what, measured, aim.wanted, "yes" if aim.reached else "no", aim.beside], **aim.__dict__)
    return made


class _Found:
    """The rows, to be asked."""

    def __init__(self, rows: Sequence[Row]) -> None:
        self._rows = rows

    def has(self, case: str, size: int) -> bool:
        """Whether anybody has figures of that."""
        return any(row.case == case and size in row.results for row in self._rows)

    def row(self, case: str, client: str, api: str, loop: str) -> Row | None:
        """Of one client."""
        for row in self._rows:
            if (row.case, row.client, row.api, row.loop) == (case, client, api, loop):
                return row
        return None

    def value(self, case: str, client: str, api: str, loop: str, size: int, name: str = "rate") -> float | None:
        """A median of one client."""
        return median(self.row(case, client, api, loop), size, name)

    def of(self, case: str, apis: Sequence[str] = APIS, loops: Sequence[str] = (*LOOPS, "")) -> list[Row]:
        """Rows without the floor."""
        rows = [row for row in self._rows if row.case == case and row.api in apis and row.loop in loops]
        return [row for row in rows if row.client != FLOOR]

    def best(
        self, rows: Sequence[Row], size: int, name: str = "rate", *, ours: bool, least: bool = False
    ) -> tuple[str, float | None]:
        """The client with the best median, and that."""
        found = [
            (value, f"{row.client}, {row.loop}" if row.loop else row.client)
            for row in rows
            if find(row.client, row.api).ours == ours and (value := median(row, size, name)) is not None
        ]
        if not found:
            return "", None
        value, label = min(found) if least else max(found)
        return label, value


def _ratio(a: float | None, b: float | None) -> float | None:
    return None if a is None or not b else a / b


def _above(what: str, ratio: float | None, wanted: float, beside: str) -> Aim:
    return Aim(what, ratio, f"> {wanted:g}", ratio is not None and ratio > wanted, beside)


def _below(what: str, ratio: float | None, wanted: float, beside: str) -> Aim:
    return Aim(what, ratio, f"≤ {wanted:g}", ratio is not None and ratio <= wanted, beside)


def _aims(found: _Found) -> Iterator[Aim]:
    yield from _round_trips(found)
    yield from _one_way(found)
    yield from _media(found)
    yield from _connections(found)


def _round_trips(found: _Found) -> Iterator[Aim]:
    sizes = [size for size in SIZES if found.has("roundtrip", size)]
    for loop in LOOPS:
        for size in sizes:
            ours, peer = (found.value("roundtrip", name, CALLBACK, loop, size) for name in ("voxwire", "picows"))
            yield _above(f"round trips, callback, {loop}, {size_name(size)}", _ratio(ours, peer), 1, "picows")
        for size in sizes:
            ours, peer = (found.value("roundtrip", name, AWAIT, loop, size) for name in (COMPAT, DROP_IN))
            yield _above(f"round trips, drop-in, {loop}, {size_name(size)}", _ratio(ours, peer), 1, DROP_IN)
    rows = found.of("roundtrip", (BLOCKING,))
    if 256 in sizes:
        name, ours = found.best(rows, 256, ours=True)
        floor = found.value("roundtrip", FLOOR, BLOCKING, "", 256)
        what = "round trips, blocking, 256 B, of the raw socket's"
        yield _above(what, _ratio(ours, floor), 0.97, f"{name} / {FLOOR}")
    for size in sizes[3:]:
        name, ours = found.best(rows, size, ours=True)
        peer_name, peer = found.best(rows, size, ours=False)
        what = f"round trips, blocking, {size_name(size)}"
        yield _above(what, _ratio(ours, peer), 1, f"{name} / {peer_name}")
    for case in ("roundtrip", "roundtrip-binary"):
        if not found.has(case, 1 << 20):
            continue
        kind = "binary" if "binary" in case else "text"
        for apis, floor_api, floor_loop in (((CALLBACK, AWAIT), CALLBACK, "uvloop"), ((BLOCKING,), BLOCKING, "")):
            name, ours = found.best(found.of(case, apis), 1 << 20, "cpu", ours=True, least=True)
            floor = found.value(case, FLOOR, floor_api, floor_loop, 1 << 20, "cpu")
            what = f"CPU of 1 MiB, {kind}, of the {'blocking' if floor_api == BLOCKING else 'uvloop'} raw socket's"
            yield _below(what, _ratio(ours, floor), 1.3, f"{name} / {FLOOR}")


def _one_way(found: _Found) -> Iterator[Aim]:
    for case, verb in (("receive", "receiving"), ("send", "sending")):
        if not found.has(case, 160):
            continue
        for apis, wanted in (((CALLBACK, AWAIT), 1.5), ((BLOCKING,), 1)):
            rows = found.of(case, apis)
            name, ours = found.best(rows, 160, ours=True)
            peer_name, peer = found.best(rows, 160, ours=False)
            kind = "on a loop" if CALLBACK in apis else "blocking"
            yield _above(f"{verb}, {kind}, 160 B", _ratio(ours, peer), wanted, f"{name} / {peer_name}")
    if found.has("receive", 160):
        name, ours = found.best(found.of("receive", (BLOCKING,)), 160, ours=True)
        millions = None if ours is None else ours / 1e6
        yield _above("receiving, blocking, 160 B, millions a second", millions, 1.7, name)


def _media(found: _Found) -> Iterator[Aim]:
    """Only who kept up: a client that is behind reads several frames at once, and looks cheap."""
    if not found.has("media", 0):
        return
    kept = [row for row in found.of("media") if kept_up(row)]
    name, ours = found.best(kept, 0, "cpu", ours=True, least=True)
    peer_name, peer = found.best(kept, 0, "cpu", ours=False, least=True)
    yield _below("1,000 connections, CPU a frame", _ratio(ours, peer), 0.7, f"{name} / {peer_name}")
    _, server = found.best(kept, 0, "server_cpu", ours=True, least=True)
    yield _below("1,000 connections, CPU a frame, of the native server's", _ratio(ours, server), 1.5, name)
    name, ours = found.best(kept, 0, "p99", ours=True, least=True)
    peer_name, peer = found.best(kept, 0, "p99", ours=False, least=True)
    yield _below("1,000 connections, lateness p99", _ratio(ours, peer), 1, f"{name} / {peer_name}")


def _connections(found: _Found) -> Iterator[Aim]:
    if found.has("connects", 0):
        yield _connects(found)
    for compressed, wanted in ((0, 8), (1, 12)):
        if not found.has("memory", compressed):
            continue
        for client, api in (("voxwire", CALLBACK), (COMPAT, AWAIT)):
            rows = [row for row in found.of("memory", (api,)) if row.client == client]
            name, least = found.best(rows, compressed, "bytes", ours=True, least=True)
            kib = None if least is None else least / 1024
            what = f"idle connection, KiB, {'compression agreed' if compressed else 'no compression'}"
            yield _below(what, kib, wanted, name or client)


def _connects(found: _Found) -> Aim:
    waiting = [
        row for row in found.of("connects") if row.results and all(result["waits"] for result in row.results.get(0, ()))
    ]
    name, ours = found.best(waiting, 0, ours=True)
    peer_name, peer = found.best(waiting, 0, ours=False)
    return _above("connects, close handshake waited for", _ratio(ours, peer), 1.5, f"{name} / {peer_name}")
