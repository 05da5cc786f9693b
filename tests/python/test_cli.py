"""The `voxwire` command: help, errors, status, signals, and `connect`; run as people run it, with real signals."""

from __future__ import annotations

import contextlib
import os
import pty
import signal
import socket
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from support.tls import Certificates

if TYPE_CHECKING:
    from pathlib import Path

from support.command import SECONDS, Command, free_port, run, write_tone


@pytest.mark.parametrize("command", [[], ["bridge"], ["call"], ["agent"], ["connect"]])
def test_help(command: list[str]) -> None:
    result = run(*command, "--help")
    assert result.returncode == 0
    assert result.stderr == ""
    assert result.stdout.startswith("usage: " + " ".join(["voxwire", *command]))
    assert "examples:" in result.stdout


def test_version() -> None:
    result = run("--version")
    assert result.returncode == 0
    assert result.stdout.startswith("voxwire ")


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ("", "COMMAND"),
        ("fax", "fax"),
        ("bridge --listen 127.0.0.1:0", "--to"),
        ("bridge --to ws://127.0.0.1:1", "--listen"),
        ("bridge --listen 127.0.0.1 --to ws://127.0.0.1:1", "HOST:PORT"),
        ("agent --listen 127.0.0.1:65536", "HOST:PORT"),
        ("agent --listen 127.0.0.1:0 --encoding mp3", "ULAW, ALAW, PCM8, PCM16"),
        ("agent --listen 127.0.0.1:0 --delay -1", "milliseconds"),
        ("agent --listen 127.0.0.1:0 --delay 9001", "9000"),
        ("agent --listen 127.0.0.1:0 --max-calls 0", "at least 1"),
        ("agent --listen 127.0.0.1:0 --tls-cert a.pem", "--tls-key"),
        ("call --to http://127.0.0.1:1 a.wav", "ws://"),
        ("call --to ws://127.0.0.1:99999 a.wav", "99999"),
        ("call --to ws://127.0.0.1:1", "FILE.wav"),
        ("call --to ws://127.0.0.1:1 a.wav --custom-parameters [1]", "JSON object"),
        ("connect ws://127.0.0.1:1 --header nonsense", "NAME:VALUE"),
        ("connect ws://127.0.0.1:1 --wait soon", "seconds"),
    ],
)
def test_wrong_arguments_are_one_line_and_code_2(arguments: str, expected: str) -> None:
    result = run(*arguments.split())
    assert result.returncode == 2
    assert result.stdout == ""
    assert result.stderr.count("\n") == 1, result.stderr
    assert expected in result.stderr


def test_what_cannot_be_done_is_one_line_and_code_1(tmp_path: Path) -> None:
    speech = str(write_tone(tmp_path / "tone.wav", 0.1))
    no_wav = tmp_path / "text.wav"
    no_wav.write_text("not a WAV file")
    with socket.create_server(("127.0.0.1", 0)) as taken, free_port() as refusing:
        port = taken.getsockname()[1]
        for arguments, expected in (
            (["agent", "--listen", f"127.0.0.1:{port}"], f"127.0.0.1:{port}"),
            (["bridge", "--listen", f"127.0.0.1:{port}", "--to", "ws://127.0.0.1:1"], f"127.0.0.1:{port}"),
            (["call", "--to", f"ws://127.0.0.1:{refusing}", speech], f"127.0.0.1:{refusing}"),
            (["connect", f"ws://127.0.0.1:{refusing}"], f"127.0.0.1:{refusing}"),
            (["call", "--to", f"ws://127.0.0.1:{refusing}", str(tmp_path / "none.wav")], "none.wav"),
            (["call", "--to", f"ws://127.0.0.1:{refusing}", str(no_wav)], "text.wav"),
        ):
            result = run(*arguments)
            assert result.returncode == 1, (arguments, result.stderr)
            assert result.stderr.count("\n") == 1, result.stderr
            assert result.stderr.startswith(f"voxwire {arguments[0]}: ")
            assert expected in result.stderr


def test_the_status_is_plain_lines_without_a_terminal() -> None:
    with Command("agent", "--listen", "127.0.0.1:0") as agent:
        agent.wait_for("0 open, 0 calls")
        assert not any("\x1b" in line or "\r" in line for line in agent.out)
        assert agent.interrupt()[0] == 0


def test_the_status_is_one_line_on_a_terminal() -> None:
    terminal, inner = pty.openpty()
    command = [sys.executable, "-m", "voxwire", "agent", "--listen", "127.0.0.1:0"]
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=inner, stderr=subprocess.STDOUT) as process:
        os.close(inner)
        output = b""
        while b"0 open, 0 calls" not in output:
            output += os.read(terminal, 4096)
        process.send_signal(signal.SIGINT)
        with contextlib.suppress(OSError):  # EIO is how a terminal says that nobody writes any more
            while data := os.read(terminal, 4096):
                output += data
        assert process.wait(SECONDS) == 0
    os.close(terminal)
    # The status has no line end; it is wiped out before the summary takes its place.
    assert output.decode().split("\r\n")[1].rpartition("\r\x1b[K")[2].startswith("0 calls, ")


def test_connect_sends_lines_and_prints_messages() -> None:
    with Command("agent", "--listen", "127.0.0.1:0") as agent:
        result = run("connect", agent.url(), "--wait", "0.5", stdin="hello\nwörld\r\nlast, without newline")
        assert result.returncode == 0, result.stderr
        assert result.stdout.splitlines() == ["hello", "wörld", "last, without newline"]
        assert "3 sent, 3 received" in result.stderr
        assert agent.interrupt()[0] == 0


def test_connect_ends_at_ctrl_c() -> None:
    with Command("agent", "--listen", "127.0.0.1:0") as agent:
        with Command("connect", agent.url(), stdin=subprocess.PIPE) as client:
            client.wait_for("connected", err=True)
            stdin = client.process.stdin
            assert stdin is not None
            stdin.write("hello\n")
            stdin.flush()
            client.wait_for("hello")
            assert client.interrupt()[0] == 0
            assert client.err[-1] == "1 sent, 1 received"
        assert agent.interrupt()[0] == 0


def test_tls_both_ways(certificates: Certificates) -> None:
    options = ["--tls-cert", str(certificates.server_cert), "--tls-key", str(certificates.server_key)]
    with Command("agent", "--listen", "localhost:0", *options) as agent:
        url = agent.wait_for("listening on wss://").split()[-1].replace("127.0.0.1", "localhost")
        trusted = run("connect", url, "--ca-file", str(certificates.ca), stdin="secret\n")
        assert (trusted.returncode, trusted.stdout) == (0, "secret\n"), trusted.stderr
        untrusted = run("connect", url, stdin="secret\n")
        assert untrusted.returncode == 1
        assert untrusted.stderr.count("\n") == 1
        assert "certificate" in untrusted.stderr.lower()
        assert agent.interrupt()[0] == 0
