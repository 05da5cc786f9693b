"""Who is measured: each client, the kind of its API, the loops it runs on, and what it cannot do."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from typing import Any

CALLBACK, AWAIT, BLOCKING = "callback", "await", "blocking"
APIS = (CALLBACK, AWAIT, BLOCKING)
FLOOR = "raw socket"
LOOPS = ("uvloop", "asyncio")


@dataclass(frozen=True)
class Client:
    """One API of one library."""

    name: str
    api: str
    adapter: str
    """Module and name in `adapters`."""
    needs: str
    """The module that has to be there."""
    package: str
    argument: str | None = None
    """What the name of the adapter is called with."""
    compresses: bool = True
    tls: bool = True
    loops: tuple[str, ...] = LOOPS

    @property
    def ours(self) -> bool:
        """Whether it is voxwire."""
        return self.package == "voxwire"

    @property
    def floor(self) -> bool:
        """Whether it is no library at all."""
        return self.name == FLOOR

    def load(self) -> Any:
        """Its adapter: an object for callbacks, a function that opens a connection for the others."""
        module, _, name = self.adapter.partition(":")
        found = getattr(importlib.import_module(f".adapters.{module}", __package__), name)
        if self.argument is not None:
            return found(self.argument)
        return found() if self.api == CALLBACK else found

    @property
    def missing(self) -> bool:
        """Whether the library is not installed."""
        try:
            return find_spec(self.needs) is None
        except ModuleNotFoundError:
            return True

    @property
    def version(self) -> str:
        """Of the package; of the floor there is none."""
        try:
            return version(self.package)
        except PackageNotFoundError:
            return ""


_BLOCKS = ("",)
# ry 0.0.105 sends its request in the clear, whatever the URL says.
_COMPAT = "voxwire.compat.websockets"

CLIENTS = (
    Client(FLOOR, CALLBACK, "floor:Callbacks", "asyncio", "", compresses=False),
    Client("voxwire", CALLBACK, "native:Callbacks", "voxwire", "voxwire"),
    Client("picows", CALLBACK, "picows:Callbacks", "picows", "picows", compresses=False),
    Client("websocket-rs", CALLBACK, "rust:WebSocketRs", "websocket_rs", "websocket-rs"),
    Client("voxwire recv", AWAIT, "native:recv", "voxwire", "voxwire"),
    Client(_COMPAT, AWAIT, "websockets_like:asynchronous", _COMPAT, "voxwire", _COMPAT),
    Client("picows.websockets", AWAIT, "websockets_like:asynchronous", "picows", "picows", "picows.websockets"),
    Client("websockets", AWAIT, "websockets_like:asynchronous", "websockets", "websockets", "websockets"),
    Client("aiohttp", AWAIT, "aiohttp:connect", "aiohttp", "aiohttp"),
    Client("tornado", AWAIT, "tornado:connect", "tornado", "tornado"),
    Client("websocket-rs recv", AWAIT, "rust:websocket_rs", "websocket_rs", "websocket-rs"),
    Client("rnet", AWAIT, "rust:rnet", "rnet", "rnet", compresses=False),
    Client("wreq", AWAIT, "rust:wreq", "wreq", "wreq", compresses=False),
    Client("ry", AWAIT, "rust:ry", "ry", "ry", compresses=False, tls=False),
    Client(FLOOR, BLOCKING, "floor:blocking", "socket", "", compresses=False, loops=_BLOCKS),
    Client("voxwire.sync", BLOCKING, "native:sync", "voxwire.sync", "voxwire", loops=_BLOCKS),
    Client(
        f"{_COMPAT}.sync", BLOCKING, "websockets_like:synchronous", f"{_COMPAT}.sync", "voxwire", _COMPAT, loops=_BLOCKS
    ),
    Client(
        "voxwire.compat.websocket",
        BLOCKING,
        "websocket_client_like:blocking",
        "voxwire.compat.websocket",
        "voxwire",
        "voxwire.compat.websocket",
        compresses=False,
        loops=_BLOCKS,
    ),
    Client(
        "websockets.sync",
        BLOCKING,
        "websockets_like:synchronous",
        "websockets",
        "websockets",
        "websockets",
        loops=_BLOCKS,
    ),
    Client(
        "websocket-client",
        BLOCKING,
        "websocket_client_like:blocking",
        "websocket",
        "websocket-client",
        "websocket",
        compresses=False,
        loops=_BLOCKS,
    ),
    Client(
        "websocket-rs.sync",
        BLOCKING,
        "rust:websocket_rs_blocking",
        "websocket_rs",
        "websocket-rs",
        compresses=False,
        loops=_BLOCKS,
    ),
    Client("rnet.blocking", BLOCKING, "rust:rnet_blocking", "rnet", "rnet", compresses=False, loops=_BLOCKS),
    Client("wreq.blocking", BLOCKING, "rust:wreq_blocking", "wreq", "wreq", compresses=False, loops=_BLOCKS),
)


def find(name: str, api: str) -> Client:
    """The client of that name. Raises LookupError."""
    for client in CLIENTS:
        if (client.name, client.api) == (name, api):
            return client
    raise LookupError(f"no such client: {name!r} ({api})")
