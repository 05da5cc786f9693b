"""`websocket-client` and `voxwire.compat.websocket`: one program, another import.

`skip_utf8_validation` and the package wsaccel are what its documentation names for speed; text is decoded strictly all the
same. There is no compression.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable

from benches.peers.contract import Blocking, Message


def blocking(base: str) -> Callable[[str, bool], Blocking]:
    """`<base>.create_connection`."""
    library = importlib.import_module(base)
    binary = library.ABNF.OPCODE_BINARY

    def open_connection(url: str, _compressed: bool) -> Blocking:
        ws = library.create_connection(url, skip_utf8_validation=True)

        def send(message: Message) -> None:
            if isinstance(message, str):
                ws.send(message)
            else:
                ws.send(message, binary)

        return Blocking(send, ws.recv, ws.close, kept=ws)

    return open_connection
