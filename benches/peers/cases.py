"""What is measured, how long and how often; one round of one client is one fresh process."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from benches.child import Child

from .clients import APIS, AWAIT, CALLBACK, Client
from .server import Server

ON_LOOPS = (CALLBACK, AWAIT)
PATIENCE = 20.0


@dataclass(frozen=True)
class Case:
    """A question."""

    name: str
    title: str
    kind: str
    """What `measured` knows it as."""
    sizes: tuple[int, ...]
    seconds: float
    rounds: int
    apis: tuple[str, ...] = APIS
    tls: bool = False
    binary: bool = False
    connections: int = 0

    def can(self, client: Client) -> bool:
        """Whether it is a question for this client."""
        return client.api in self.apis and (client.tls or not self.tls)

    def quick(self) -> Case:
        """The same in tenths of a second."""
        sizes = self.sizes if self.kind == "memory" else self.sizes[:1]
        values = {**self.__dict__, "sizes": sizes, "seconds": min(self.seconds, 0.06), "rounds": 1}
        if self.kind == "media":
            values["seconds"] = 0.3
        return Case(**{**values, "connections": min(self.connections, 10)})


_TRIPS = (32, 256, 8192, 102400, 1 << 20)
_FLOWS = (160, 640, 8192)

CASES = (
    Case("roundtrip", "Round trips, text", "roundtrip", _TRIPS, 0.25, 5),
    Case("roundtrip-binary", "Round trips, binary", "roundtrip", (256, 1 << 20), 0.25, 4, binary=True),
    Case("receive", "Receiving, text", "receive", _FLOWS, 0.25, 4),
    Case("send", "Sending, text", "send", _FLOWS, 0.25, 4),
    Case("tls-roundtrip", "Round trips over TLS, text", "roundtrip", (256, 8192, 1 << 20), 0.25, 3, tls=True),
    Case("tls-receive", "Receiving over TLS, text", "receive", (160, 8192), 0.25, 3, tls=True),
    Case("tls-send", "Sending over TLS, text", "send", (160, 8192), 0.25, 3, tls=True),
    Case(
        "media",
        "1,000 connections, 50 frames a second each, sent back",
        "media",
        (),
        3.0,
        3,
        ON_LOOPS,
        connections=1000,
    ),
    Case("connects", "Connecting and closing", "connects", (), 0.6, 3),
    Case("memory", "Memory of an idle connection", "memory", (0, 1), 0.0, 1, connections=500),
    Case("busy", "Round trips on a loop that is busy half of the time, text", "busy", (256,), 0.5, 3, ON_LOOPS),
)


@dataclass
class Row:
    """What one client gave: for each size the results of the rounds that went well."""

    case: str
    client: str
    api: str
    loop: str
    results: dict[int, list[dict[str, Any]]] = field(default_factory=dict)
    errors: list[str] = field(default_factory=list)


def measure(case: Case, row: Row, server: Server, core: int | None) -> None:
    """One round of one client."""
    job: dict[str, Any] = {
        "client": row.client,
        "api": row.api,
        "loop": row.loop,
        "case": case.kind,
        "sizes": case.sizes if case.kind not in ("memory", "media", "connects") else (),
        "seconds": case.seconds,
        "binary": case.binary,
        "server": server.tls_url if case.tls else server.url,
        "connections": case.connections,
    }
    with server.trusted(case.tls):
        try:
            for result in _answers(case, job, server, core):
                if "error" in result:
                    row.errors.append(result["error"])
                    return
                row.results.setdefault(result.pop("size"), []).append(result)
        except RuntimeError as error:
            row.errors.append(str(error))


def _answers(case: Case, job: dict[str, Any], server: Server, core: int | None) -> Iterator[dict[str, Any]]:
    if case.kind == "memory":
        for compressed in case.sizes:
            with Child("benches.peers.measured", {**job, "compressed": bool(compressed)}, core=core) as measured:
                yield measured.hear(PATIENCE)
        return
    with Child("benches.peers.measured", job, core=core) as measured:
        if case.kind == "media":
            yield _media(measured, server, case)
            return
        for _ in case.sizes or (0,):
            yield (answer := measured.hear(PATIENCE + case.seconds))
            if "error" in answer:
                return


def _media(measured: Child, server: Server, case: Case) -> dict[str, Any]:
    """The server paces, between the client's two readings of its CPU time."""
    if "error" in (ready := measured.hear(60)):
        return ready
    measured.tell(begin=True)
    measured.hear(PATIENCE)
    result = server.pace(case.seconds)
    measured.tell(end=True)
    if "error" in (answer := measured.hear(PATIENCE)):
        return answer
    if result["connections"] != case.connections or not result["sent"]:
        return {"error": f"{result['connections']} of {case.connections} connections were there"}
    used = answer["cpu"]
    received = max(1, result["received"])
    return {
        "size": 0,
        "cpu": used / received,
        "server_cpu": result["server_cpu"] / result["sent"],
        "p50": result["lateness"]["p50"],
        "p99": result["lateness"]["p99"],
        "own_p99": result["own_lateness"]["p99"],
        "in_time": result["in_time"] / result["sent"],
        "connections": result["connections"],
    }
