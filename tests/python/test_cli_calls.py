"""`voxwire call`, `bridge` and `agent`: calls between processes, with real audio and real signals."""

from __future__ import annotations

import math
import signal
import socket
import statistics
import threading
from typing import TYPE_CHECKING

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect
from websockets.sync.server import ServerConnection

if TYPE_CHECKING:
    from pathlib import Path

from support.command import SECONDS, Command, events, free_port, peer, read_wav, rms, run, write_tone


def test_a_call_over_the_bridge(tmp_path: Path) -> None:
    tone = write_tone(tmp_path / "tone.wav")
    files = {name: tmp_path / f"{name}.jsonl" for name in ("agent", "bridge", "call")}
    back = tmp_path / "back.wav"
    with Command("agent", "--listen", "127.0.0.1:0", "--json", str(files["agent"])) as agent:
        options = ["--listen", "127.0.0.1:0", "--to", agent.url(), "--json", str(files["bridge"])]
        with Command("bridge", *options) as bridge:
            result = run(
                *("call", "--to", bridge.url(), str(tone), "--encoding", "ULAW", "--tag", "t1"),
                *("--custom-parameters", '{"id": 7}', "--out", str(back), "--json", str(files["call"])),
            )
            assert result.returncode == 0, result.stderr
            assert result.stderr == ""
            assert "sent 2.0 of 2.0 s" in result.stdout.splitlines()[-1]
            bridge.wait_for("call 1: ended")
            agent.wait_for("call 1: ended")
            for command in (bridge, agent):
                code, summary = command.interrupt()
                assert code == 0, command.err
                assert summary.startswith("1 call, "), command.out
                assert command.err == []

    rate, samples = read_wav(back)
    assert rate == 8000
    # Nothing is missing; a machine that is too busy to keep time makes pauses between the frames.
    assert 1.9 <= len(samples) / rate < 5
    windows = [rms(samples[at : at + rate // 50]) for at in range(rate // 2, rate * 3 // 2, rate // 50)]
    assert abs(20 * math.log10(statistics.median(windows) / (8192 / math.sqrt(2)))) < 0.5

    # Both legs of the bridge and both ends have seen the stream start and end, with its tag and parameters.
    for name, legs, encodings in (
        ("call", ["call"], ["ULAW"]),
        ("bridge", ["caller", "agent"], ["ULAW", "PCM16"]),
        ("agent", ["agent"], ["PCM16"]),
    ):
        seen = events(files[name])
        assert seen == sorted(seen, key=lambda event: float(str(event["time"])))
        for leg, encoding in zip(legs, encodings, strict=True):
            mine = [event for event in seen if event["leg"] == leg and str(event["name"]).startswith("WebSocket.")]
            assert [str(event["name"]).removeprefix("WebSocket.") for event in mine] == [
                *("Created", "Open", "MediaEventStarted", "MediaEventEnded", "Close"),
            ]
            started, ended = mine[2:4]
            assert (started["tag"], started["encoding"]) == ("t1", encoding)
            assert started["customParameters"] == {"id": 7}
            assert abs(float(str(ended["duration"])) - 2000) <= 100
            assert mine[4]["wasClean"] is True


def test_the_agent_echoes_later(tmp_path: Path) -> None:
    tone = write_tone(tmp_path / "tone.wav", 1.0)
    back = tmp_path / "back.wav"
    with Command("agent", "--listen", "127.0.0.1:0", "--encoding", "ULAW", "--delay", "600") as agent:
        result = run("call", "--to", agent.url(), str(tone), "--out", str(back))
        assert result.returncode == 0, result.stderr
        assert agent.interrupt()[0] == 0
    rate, samples = read_wav(back)
    first = next(n for n, sample in enumerate(samples) if abs(sample) > 1000) / rate
    assert 0.55 <= first <= 0.75
    assert abs(len(samples) / rate - 1.6) <= 0.15


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stopped_call_sums_up(tmp_path: Path, number: signal.Signals) -> None:
    tone = write_tone(tmp_path / "tone.wav", 10.0)
    back = tmp_path / "back.wav"
    with Command("agent", "--listen", "127.0.0.1:0") as agent:
        with Command("call", "--to", agent.url(), str(tone), "--out", str(back), "-v") as call:
            call.wait_for("WebSocket.MediaEventStarted")
            code, summary = call.interrupt(number)
            assert code == 0, call.err
            assert summary.startswith("sent ") and "of 10.0 s" in summary
            assert call.err == []
        assert agent.interrupt(number)[0] == 0
    assert len(read_wav(back)[1]) < 8000 * 5  # complete, and what was heard until then


def test_ctrl_c_ends_open_calls(tmp_path: Path) -> None:
    tone = write_tone(tmp_path / "tone.wav", 10.0)
    with Command("agent", "--listen", "127.0.0.1:0") as agent:
        with Command("bridge", "--listen", "127.0.0.1:0", "--to", agent.url()) as bridge:
            with Command("call", "--to", bridge.url(), str(tone), "-v") as call:
                call.wait_for("WebSocket.MediaEventStarted")
                code, summary = bridge.interrupt()
                assert code == 0, bridge.err
                assert summary.startswith("1 call, ") and "failed" not in summary
                assert call.finish()[0] == 0
                assert "hung up: 1001" in "\n".join(call.out)
            agent.wait_for("call 1: ended")
        assert agent.interrupt()[0] == 0


def test_the_bridge_passes_on_messages_headers_and_the_close() -> None:
    def agent(connection: ServerConnection) -> None:
        assert connection.request is not None
        connection.send(connection.request.headers["X-Key"])
        assert connection.recv(SECONDS) == "to the agent"
        assert connection.recv(SECONDS) == b"\x00\xff"
        connection.close(4001, "enough")

    with (
        peer(agent) as url,
        Command("bridge", "--listen", "127.0.0.1:0", "--to", url, "--header", "X-Key: 42") as bridge,
    ):
        with connect(bridge.url()) as caller:
            caller.send("to the agent")  # waits in the bridge until the agent is there
            caller.send(b"\x00\xff")
            assert caller.recv(SECONDS) == "42"
            with pytest.raises(ConnectionClosed) as closed:
                caller.recv(SECONDS)
        assert closed.value.rcvd is not None
        assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (4001, "enough")
        bridge.wait_for("call 1: ended")
        code, summary = bridge.interrupt()
        assert code == 0
        assert "messages 3" in summary


@pytest.mark.parametrize(
    ("code", "passed_on", "outcome"),
    [
        (1000, 1000, "ended"),
        (3000, 3000, "ended"),
        (1001, 1000, "ended"),
        (1011, 1011, "failed"),
        (1008, 1011, "failed"),
    ],
)
def test_the_bridge_passes_on_the_callers_close(code: int, passed_on: int, outcome: str) -> None:
    seen: list[int | None] = []
    done = threading.Event()

    def agent(connection: ServerConnection) -> None:
        try:
            connection.recv(SECONDS)
        except ConnectionClosed as closed:
            seen.append(closed.rcvd.code if closed.rcvd is not None else None)
        done.set()

    with peer(agent) as url, Command("bridge", "--listen", "127.0.0.1:0", "--to", url, "-v") as bridge:
        with connect(bridge.url()) as caller:
            bridge.wait_for("call 1 agent: WebSocket.Open")
            caller.close(code, "bye")
        assert done.wait(SECONDS)
        bridge.wait_for(f"call 1: {outcome}")
        assert bridge.interrupt()[0] == 0
    assert seen == [passed_on]


def test_the_bridge_reports_an_agent_that_is_not_there() -> None:
    with free_port() as port, Command("bridge", "--listen", "127.0.0.1:0", "--to", f"ws://127.0.0.1:{port}") as bridge:
        with connect(bridge.url()) as caller, pytest.raises(ConnectionClosed) as closed:
            caller.recv(SECONDS)
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1011
        assert str(port) in bridge.wait_for("call 1: failed")
        code, summary = bridge.interrupt()
        assert code == 0
        assert summary.endswith("1 failed")


def test_calls_over_the_limit_are_refused() -> None:
    with Command("agent", "--listen", "127.0.0.1:0", "--max-calls", "1") as agent:
        url = agent.url()
        with connect(url) as first:
            first.send("here")
            assert first.recv(SECONDS) == "here"
            with pytest.raises(Exception, match="503"):
                connect(url)
            agent.wait_for("refused a call")
        code, summary = agent.interrupt()
        assert code == 0
        assert summary.startswith("1 call, ") and summary.endswith("1 refused")


def test_the_other_side_hangs_up(tmp_path: Path) -> None:
    tone = write_tone(tmp_path / "tone.wav", 5.0)

    def politely(connection: ServerConnection) -> None:
        connection.recv(SECONDS)
        connection.close(4000, "not now")

    def rudely(connection: ServerConnection) -> None:
        connection.recv(SECONDS)
        connection.socket.shutdown(socket.SHUT_RDWR)

    with peer(politely) as url:
        result = run("call", "--to", url, str(tone))
        assert result.returncode == 0, result.stderr
        assert "the other side hung up: 4000 not now" in result.stdout
    with peer(rudely) as url:
        result = run("call", "--to", url, str(tone))
        assert result.returncode == 1
        assert result.stderr.startswith("voxwire call: the call was cut off after ")
        assert result.stderr.count("\n") == 1
    with peer(rudely) as url:
        result = run("connect", url, stdin="hello\n")
        assert result.returncode == 1
        assert "lost (1006)" in result.stderr


def test_a_call_that_nobody_answers_ends_after_the_wait(tmp_path: Path) -> None:
    tone = write_tone(tmp_path / "tone.wav", 0.2)

    def listen(connection: ServerConnection) -> None:
        for _ in connection:
            pass

    with peer(listen) as url:
        result = run("call", "--to", url, str(tone), "--wait", "0.3")
    assert result.returncode == 0, result.stderr
    assert "waited 0.3 s" in result.stdout
    assert "in 0, audio played 0.0 s" in result.stdout.splitlines()[-1]
