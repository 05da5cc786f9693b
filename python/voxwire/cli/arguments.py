"""What the subcommands share: argument types and groups, and the connection parameters made of them.

Only parsing lives here; nothing here opens a socket.
"""

from __future__ import annotations

import argparse
from typing import Any, TypeAlias
from urllib.parse import urlsplit

from voxwire import ServerTLSOptions, TLSOptions, WebSocketAudioEncoding

Subparsers: TypeAlias = "argparse._SubParsersAction[Any]"

ENCODINGS = {
    "ULAW": WebSocketAudioEncoding.ULAW,
    "ALAW": WebSocketAudioEncoding.ALAW,
    "PCM8": WebSocketAudioEncoding.PCM16_8KHZ,
    "PCM16": WebSocketAudioEncoding.PCM16_16KHZ,
    "G722": WebSocketAudioEncoding.G722,
    "OPUS": WebSocketAudioEncoding.OPUS,
}
ENCODING_HELP = "ULAW, ALAW (G.711, 8 kHz), PCM8, PCM16 (16-bit PCM, 8 and 16 kHz), G722 (16 kHz) or OPUS (48 kHz)"


class CommandError(Exception):
    """Something the user can put right; printed as one line."""

    def __init__(self, message: str, exit_code: int = 1) -> None:
        super().__init__(message)
        self.exit_code = exit_code


def host_port(text: str) -> tuple[str, int]:
    """`127.0.0.1:8000`, `[::1]:8000`, `localhost:0` (0: any free port)."""
    host, colon, port = text.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not colon or not host or not port.isascii() or not port.isdigit() or int(port) > 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is not HOST:PORT, as in 127.0.0.1:8000 (port 0: any free port)")
    return host, int(port)


def websocket_url(text: str) -> str:
    """A ws:// or wss:// URL."""
    try:
        parts = urlsplit(text)
        parts.port  # noqa: B018 - the property raises for a bad port
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r} is not a URL: {error}") from None
    if parts.scheme not in ("ws", "wss") or not parts.hostname:
        raise argparse.ArgumentTypeError(f"{text!r} is not a WebSocket URL, as in ws://127.0.0.1:8000/path")
    return text


def encoding(text: str) -> WebSocketAudioEncoding:
    """An encoding by its short name, in any case."""
    try:
        return ENCODINGS[text.upper()]
    except KeyError:
        raise argparse.ArgumentTypeError(f"{text!r} is not one of {', '.join(ENCODINGS)}") from None


def header(text: str) -> tuple[str, str]:
    """`Name: value`."""
    name, colon, value = text.partition(":")
    if not colon or not name.strip():
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME:VALUE, as in 'Authorization: Bearer abc'")
    return name.strip(), value.strip()


def seconds(text: str) -> float:
    """A time that is not negative."""
    return _number(text, "seconds")


def milliseconds(text: str) -> float:
    """A time that is not negative."""
    return _number(text, "milliseconds")


def count(text: str) -> int:
    """A whole number of at least 1."""
    if not text.isascii() or not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of at least 1")
    return int(text)


def add_connect_group(parser: argparse.ArgumentParser) -> None:
    """Options of an outgoing connection."""
    group = parser.add_argument_group("the outgoing connection")
    group.add_argument(
        "--header",
        type=header,
        action="append",
        default=[],
        metavar="NAME:VALUE",
        help="a header of the opening request; may be given several times",
    )
    group.add_argument(
        "--protocol",
        action="append",
        metavar="NAME",
        help="a WebSocket subprotocol to offer; may be given several times (default: chat)",
    )
    group.add_argument("--ca-file", metavar="PEM", help="trust these certificates for wss:// instead of the system's")
    group.add_argument(
        "--connect-timeout", type=seconds, default=10.0, metavar="SECONDS", help="give up after this long (default: 10)"
    )


def connect_parameters(options: argparse.Namespace) -> dict[str, Any]:
    """The WebSocket parameters that `add_connect_group` asked for."""
    parameters: dict[str, Any] = {"headers": options.header, "connect_timeout": options.connect_timeout}
    if options.protocol:
        parameters["protocols"] = options.protocol
    if options.ca_file:
        parameters["tls"] = TLSOptions(ca_file=options.ca_file)
    return parameters


def add_listen_group(parser: argparse.ArgumentParser) -> None:
    """Options of a listening socket."""
    group = parser.add_argument_group("the listening side")
    group.add_argument(
        "--listen",
        type=host_port,
        required=True,
        metavar="HOST:PORT",
        help="where to accept calls, as in 127.0.0.1:8001; port 0 takes a free one, and the first line says which",
    )
    group.add_argument(
        "--max-calls", type=count, default=1000, metavar="N", help="refuse calls over this many at once (default: 1000)"
    )
    group.add_argument("--tls-cert", metavar="PEM", help="certificate chain: accept wss:// (with --tls-key)")
    group.add_argument("--tls-key", metavar="PEM", help="private key of --tls-cert")


def server_tls(options: argparse.Namespace) -> ServerTLSOptions | None:
    """The TLS settings that `add_listen_group` asked for."""
    if not options.tls_cert and not options.tls_key:
        return None
    if not options.tls_cert or not options.tls_key:
        raise CommandError("--tls-cert and --tls-key belong together: give both", 2)
    return ServerTLSOptions(cert_file=options.tls_cert, key_file=options.tls_key)


def add_report_group(parser: argparse.ArgumentParser) -> None:
    """Options of what is shown and written."""
    group = parser.add_argument_group("what is shown")
    group.add_argument("-v", "--verbose", action="store_true", help="show every event of every connection")
    group.add_argument("-q", "--quiet", action="store_true", help="no live status")
    group.add_argument(
        "--json", metavar="FILE", help="write the events with their times to FILE, one JSON object a line"
    )


def _number(text: str, unit: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value < 1e9:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of {unit} of at least 0")
    return value
