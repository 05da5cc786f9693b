"""The `voxwire` command: the parser, one module for each subcommand, and how errors and signals end it.

What a subcommand does stands in its own module; nothing here knows about audio or sockets.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import sys
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import NoReturn

from voxwire import VoxwireError
from voxwire.cli import agent, bridge, call, connect
from voxwire.cli.arguments import CommandError

EXAMPLES = """\
examples:
  Three terminals, a whole call on one machine:
    voxwire agent  --listen 127.0.0.1:8002
    voxwire bridge --listen 127.0.0.1:8001 --to ws://127.0.0.1:8002
    voxwire call   --to ws://127.0.0.1:8001 speech.wav --out back.wav

  Talk to any WebSocket server:
    voxwire connect wss://example.org/chat

`voxwire COMMAND --help` explains the options of a command.
"""


class _Parser(argparse.ArgumentParser):
    """An ArgumentParser whose errors are one line."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message} (see {self.prog} --help)\n")


def build_parser() -> argparse.ArgumentParser:
    """The parser of `voxwire`; each subcommand adds its own."""
    parser = _Parser(
        prog="voxwire",
        description="WebSockets that carry messages and live telephone audio.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"voxwire {_version()}")
    commands = parser.add_subparsers(title="commands", dest="command", metavar="COMMAND", required=True)
    for module in (bridge, call, agent, connect):
        module.add_parser(commands)
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command and answers its exit code: 0 done (Ctrl-C is a normal end), 1 failed, 2 wrong arguments."""
    options = build_parser().parse_args(arguments)
    try:
        return asyncio.run(_until_signal(options))
    except KeyboardInterrupt:
        return 0  # Ctrl-C before the loop could catch it
    except BrokenPipeError:
        # Whoever read our output went away (`voxwire … | head`). Nothing may be written at exit either.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except CommandError as error:
        return _failed(options.command, error, error.exit_code)
    except (VoxwireError, OSError) as error:
        return _failed(options.command, error, 1)


async def _until_signal(options: argparse.Namespace) -> int:
    """Runs the command; SIGINT and SIGTERM set `stop`, and a second one ends the process the hard way."""
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()

    def stopped() -> None:
        stop.set()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopped)
    code: int = await options.run(options, stop)
    return code


def _failed(command: str, error: BaseException, code: int) -> int:
    text = " ".join(str(error).split()) or type(error).__name__
    print(f"voxwire {command}: {text}", file=sys.stderr)
    return code


def _version() -> str:
    try:
        return version("voxwire")
    except PackageNotFoundError:
        return "(not installed)"
