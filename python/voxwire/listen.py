"""Where a server listens: what may be given, and what excludes what. The sockets are made in the core."""

from __future__ import annotations

import socket
from os import PathLike, fspath
from typing import Any, TypeAlias

from .checks import refuse
from .parameters import stream_socket

Place: TypeAlias = tuple[str, int, bool] | tuple[str, int | None] | int
"""What the core takes: host, port and whether to share it; the path of a Unix socket and its mode; a descriptor."""
_MODES = 0o7777


def place(
    host: str | None,
    port: int | None,
    *,
    reuse_port: bool,
    unix_path: str | PathLike[str] | None,
    unix_mode: int | None,
    sock: socket.socket | None,
) -> Place:
    """Check where to listen. Raises InvalidParameter, which names what does not go together."""
    _check_alone({"host": host, "port": port, "unix_path": unix_path, "sock": sock}, reuse_port=reuse_port)
    if unix_mode is not None:
        if unix_path is None:
            refuse("unix_mode", unix_mode, "nothing without unix_path")
        if not isinstance(unix_mode, int) or isinstance(unix_mode, bool) or not 0 <= unix_mode <= _MODES:
            refuse("unix_mode", unix_mode, "permissions of a file, such as 0o660, or None")
    if unix_path is not None:
        return _path(unix_path), unix_mode
    if sock is not None:
        return _descriptor(sock)
    host, port = "127.0.0.1" if host is None else host, 0 if port is None else port
    if not isinstance(host, str):
        refuse("host", host, "a host name or an address")
    if not isinstance(port, int) or isinstance(port, bool) or not 0 <= port < 2**16:
        refuse("port", port, "a port from 0 to 65535")
    return host, port, reuse_port


def unix_name(sock: socket.socket) -> str | None:
    """Answer the path of a bound Unix socket; None for any other."""
    name = sock.getsockname() if sock.family == socket.AF_UNIX else None
    return name if isinstance(name, str) else None


def _check_alone(places: dict[str, Any], *, reuse_port: bool) -> None:
    given = [name for name, value in places.items() if value is not None]
    if given != ["host", "port"] and len(given) > 1:
        refuse(given[-1], places[given[-1]], f"nothing beside {' and '.join(given[:-1])}")
    if not isinstance(reuse_port, bool):
        refuse("reuse_port", reuse_port, "True or False")
    if reuse_port and given and given[0] in ("unix_path", "sock"):
        refuse("reuse_port", reuse_port, f"nothing beside {given[0]}: it is for host and port")
    if reuse_port and not hasattr(socket, "SO_REUSEPORT"):
        refuse("reuse_port", reuse_port, "False: this platform has no SO_REUSEPORT")


def _path(value: Any) -> str:
    path = fspath(value) if isinstance(value, str | PathLike) else None
    if not isinstance(path, str) or not path or "\0" in path:
        refuse("unix_path", value, "the path of a Unix socket, or None")
    return path


def _descriptor(value: Any) -> int:
    sock = stream_socket("sock", value)
    try:
        name = sock.getsockname()
    except OSError as error:
        refuse("sock", value, f"a bound socket ({error.strerror})")
    if not name or (sock.family != socket.AF_UNIX and not name[1]):
        refuse("sock", value, "a bound socket")
    try:
        sock.getpeername()
    except OSError:  # not connected, as it should be
        pass
    else:
        refuse("sock", value, "a socket that listens, not a connected one")
    return sock.fileno()
