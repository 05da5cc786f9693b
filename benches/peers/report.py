"""Figures into tables, and the tables into `benches/README.md`. What is to be reached is in `aims`."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from pathlib import Path

from benches.figures import Table, count, ms

from . import charts
from .cases import CASES, Case, Row
from .clients import APIS, AWAIT, BLOCKING, CALLBACK, find
from .figures import kept_up, median, size_name

FOLDER = Path(__file__).parents[1]
BEGIN, END = "<!-- peers: begin -->", "<!-- peers: end -->"
_APIS = {CALLBACK: "callbacks", AWAIT: "await", BLOCKING: "blocking"}


def about(machine: dict[str, str]) -> str:
    """Versions and machine in a line."""
    return " · ".join(f"{name} {value}" for name, value in machine.items())


def tables(case: Case, rows: Sequence[Row]) -> list[Table]:
    """One for each kind of API that was measured."""
    made = []
    for api in APIS:
        of_kind = [row for row in rows if row.api == api]
        if not of_kind:
            continue
        columns = _columns(case)
        table = Table(f"{case.title}: {_APIS[api]}", ["client", *(name for name, _ in columns)])
        for row in of_kind:
            label = f"{row.client}, {row.loop}" if row.loop else row.client
            cells = [cell(row) for _, cell in columns]
            values = {"client": row.client, "loop": row.loop, "api": row.api, "results": row.results}
            table.add([label, *cells], **values, errors=row.errors)
        wrong = {f"{row.client} {row.loop}".strip(): row.errors[0] for row in of_kind if row.errors}
        table.notes += [f"{name}: {error}" for name, error in wrong.items()]
        made.append(table)
    return made


Cell = Callable[[Row], str]


def _columns(case: Case) -> list[tuple[str, Cell]]:
    """Title and content of each column after the first."""
    if case.kind in ("roundtrip", "busy"):
        middle, last = (256 if 256 in case.sizes else case.sizes[0]), case.sizes[-1]
        return [
            *((f"{size_name(size)} /s", _rate(size)) for size in case.sizes),
            (f"p50 µs, {size_name(middle)}", _scaled(middle, "p50", 1e6)),
            ("p99 µs", _scaled(middle, "p99", 1e6)),
            (f"CPU µs, {size_name(last)}", _scaled(last, "cpu", 1e6)),
        ]
    if case.kind in ("receive", "send"):
        return [
            *((f"{size_name(size)} /s", _rate(size)) for size in case.sizes),
            (f"CPU µs, {size_name(case.sizes[0])}", _scaled(case.sizes[0], "cpu", 1e6)),
        ]
    if case.kind == "media":
        return [
            ("CPU s / 1000 frames", _media_cpu),
            ("× server", _times_server),
            ("late p50 ms", _milliseconds("p50")),
            ("p99 ms", _milliseconds("p99")),
            ("in time", _in_time),
            ("server's own p99 ms", _milliseconds("own_p99")),
        ]
    if case.kind == "connects":
        return [("per second", _rate(0)), ("CPU µs", _scaled(0, "cpu", 1e6)), ("waits for the close", _waits)]
    return [("KiB, no compression", _kib(0)), ("KiB, agreed, not used", _kib(1))]


def _rate(size: int) -> Cell:
    def cell(row: Row) -> str:
        values = [result["rate"] for result in row.results.get(size, ())]
        if not values:
            return "–"
        middle = statistics.median(values)
        return count(middle) + spread(values, middle)

    return cell


def spread(values: Sequence[float], middle: float) -> str:
    """How far the farthest round is off the median."""
    if len(values) < 2:
        return ""
    return f" ±{max(abs(value - middle) for value in values) / middle * 100:.0f}%"


def _scaled(size: int, name: str, factor: float) -> Cell:
    def cell(row: Row) -> str:
        value = median(row, size, name)
        if value is None:
            return "–"
        value *= factor
        return f"{value:.2f}" if value < 10 else f"{value:.1f}" if value < 1000 else f"{value:.0f}"

    return cell


def _media_cpu(row: Row) -> str:
    value = median(row, 0, "cpu")
    return "–" if value is None else f"{value * 1000:.4f}{'' if kept_up(row) else ' †'}"


def _times_server(row: Row) -> str:
    ours, server = median(row, 0, "cpu"), median(row, 0, "server_cpu")
    return "–" if ours is None or not server else f"{ours / server:.2f}"


def _milliseconds(name: str) -> Cell:
    def cell(row: Row) -> str:
        value = median(row, 0, name)
        return "–" if value is None else ms(value)

    return cell


def _in_time(row: Row) -> str:
    value = median(row, 0, "in_time")
    return "–" if value is None else f"{value * 100:.1f} %"


def _waits(row: Row) -> str:
    answers = {result["waits"] for result in row.results.get(0, ())}
    return "–" if not answers else "yes" if answers == {True} else "no"


def _kib(size: int) -> Cell:
    def cell(row: Row) -> str:
        if size and not find(row.client, row.api).compresses:
            return "not offered"
        value = median(row, size, "bytes")
        return "–" if value is None else f"{value / 1024:.1f}"

    return cell


def write(machine: dict[str, str], remark: str, rows: Sequence[Row], found: Table, folder: Path = FOLDER) -> None:
    """Puts everything between the markers of `README.md` in that folder, the charts into `peers/` there."""
    drawn = charts.draw(rows, folder / "peers")
    parts = [about(machine), remark, *(f"![{title}](peers/{name})" for name, title in drawn), found.markdown()]
    for case in CASES:
        parts += [table.markdown() for table in tables(case, [row for row in rows if row.case == case.name])]
    readme = folder / "README.md"
    before, rest = readme.read_text(encoding="utf-8").split(BEGIN)
    after = rest.split(END)[1]
    readme.write_text(before + BEGIN + "\n\n" + "\n\n".join(parts) + "\n\n" + END + after, encoding="utf-8")
