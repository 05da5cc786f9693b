"""A process that runs out: descriptors, address space, threads; and calls from where they do not belong."""

import asyncio
import subprocess
import sys
import threading
from typing import Any

import pytest
from support.facing import SIDES, Side
from support.log import Log
from support.pair import pair, serving
from support.process import Program, echo_server
from support.raw import RawPeer

import voxwire
from voxwire import AppEvents, Engine, WebSocket
from voxwire import WebSocketEvents as E


def test_a_client_without_descriptors(loop_name: str) -> None:
    """Every further connection is a ConnectError that says so; those that are open live, and when there are descriptors
    again, so do new ones.
    """
    program = """
    async def main():
        first = WebSocket(sys.argv[2])
        await first.wait_open()
        resource.setrlimit(resource.RLIMIT_NOFILE, (len(os.listdir("/proc/self/fd")) + 10, 4096))
        opened, errors = [], []
        for _ in range(30):
            ws = WebSocket(sys.argv[2])
            try:
                await ws.wait_open()
                opened.append(ws)
            except Exception as error:
                errors.append(error)
        say(len(opened) > 0, len(errors) > 0, {type(error).__mro__[-5].__name__ for error in errors})
        say(errors[0])
        first.send("alive")
        say(await first.recv())
        for ws in opened:
            ws.close()
            await ws.wait_closed()
        async with WebSocket(sys.argv[2]) as again:
            again.send("again")
            say(await again.recv())
        first.close()
    run(main)
    """
    with echo_server(loop_name) as (_, url), Program(program, loop_name, url) as client:
        code, (counts, error, alive, again) = client.finish()
        assert code == 0, client.errors
    assert counts.startswith("True True")
    assert "Too many open files" in error
    assert (alive, again) == ("alive", "again")


def test_a_server_without_descriptors(loop_name: str) -> None:
    """It cannot accept: whoever is inside lives on, and whoever waits gets in when there is room again."""
    program = """
    async def main():
        engine = Engine()
        async def echo(event):
            async for message in event.websocket:
                event.websocket.send(message)
        engine.addEventListener(AppEvents.WebSocket, echo)
        async with engine.allowWebSocketConnections() as server:
            say(server.url)
            async with WebSocket(server.url) as inside:
                limit = len(os.listdir("/proc/self/fd")) + 5
                resource.setrlimit(resource.RLIMIT_NOFILE, (limit, 4096))
                say("full")
                await asyncio.to_thread(sys.stdin.readline)
                inside.send("alive")
                say(await inside.recv())
                resource.setrlimit(resource.RLIMIT_NOFILE, (4096, 4096))
                await asyncio.to_thread(sys.stdin.read)
    run(main)
    """
    from support.raw import RawClient

    with Program(program, loop_name) as server:
        url = server.line()
        assert server.line() == "full"
        clients = [RawClient(url) for _ in range(30)]
        server.tell("go on")
        assert server.line() == "alive"
        for client in clients:
            client.open()
            client.text("late")
            assert client.frame().payload == b"late"
            client.hang_up()
        assert server.finish()[0] == 0


@pytest.mark.parametrize("side", SIDES)
def test_a_message_for_which_there_is_no_memory(side: Side, loop_name: str) -> None:
    """RLIMIT_AS: the message is refused and its connection ends with 1006 and an error that says why; others live on."""
    source = """
    async def main():
        await asyncio.sleep(0)
        errors = []
        limits = {"max_message_size": 4 << 30, "compression": False}
        def used():
            with open("/proc/self/statm") as file: return int(file.read().split()[0]) * 4096
        engine = Engine()
        arrived = asyncio.get_running_loop().create_future()
        engine.addEventListener(AppEvents.WebSocket, lambda event: arrived.set_result(event.websocket))
        if sys.argv[2] == "server":
            server = engine.allowWebSocketConnections(parameters=limits)
            say(server.url)
            ws = await arrived
        else:
            ws = WebSocket(await asyncio.to_thread(sys.stdin.readline), limits)
        ws.onerror = lambda event: errors.append(event.error)
        await ws.wait_open()
        async with engine.allowWebSocketConnections() as inner:
            other = asyncio.get_running_loop().create_future()
            engine.removeEventListener(AppEvents.WebSocket)
            engine.addEventListener(AppEvents.WebSocket, lambda event: other.set_result(event.websocket))
            async with WebSocket(inner.url) as bystander:
                peer = await other
                resource.setrlimit(resource.RLIMIT_AS, (used() + (100 << 20),) * 2)
                say("limited")
                closed = await ws.wait_closed()
                say(closed.code, type(errors[0]).__name__, errors[0])
                bystander.send("alive")
                say(await peer.recv())
    run(main)
    """
    from support.raw import RawClient, RawServer

    def pour(peer: RawPeer, started: threading.Event) -> None:
        started.wait(15)
        mask = 0x80 if peer.masks else 0
        try:
            peer.write(bytes([0x82, mask | 127]) + (1 << 30).to_bytes(8, "big") + bytes(4 if mask else 0))
            for _ in range(1024):
                peer.write(bytes(1 << 20))
            peer.wait_eof()
        except OSError:
            pass

    limited = threading.Event()
    with Program(source, loop_name, side) as ours:
        if side == "server":
            client = RawClient(ours.line()).open()
            pouring = threading.Thread(target=pour, args=(client, limited))
            pouring.start()
            check(ours, limited)
            pouring.join(15)
            client.hang_up()
        else:

            def script(peer: RawPeer) -> None:
                peer.accept()
                pour(peer, limited)
                peer.hang_up()

            with RawServer(script) as server:
                ours.tell(server.url)
                check(ours, limited)


def check(ours: Program, limited: threading.Event) -> None:
    assert ours.line() == "limited"
    limited.set()
    closed = ours.line()
    assert closed.startswith("1006 "), closed
    assert "memory" in closed, closed
    assert ours.line() == "alive"
    code, _ = ours.finish()
    assert code == 0, ours.errors


def test_a_process_that_may_start_no_threads(loop_name: str) -> None:
    """The first connection needs them: an error that says so, and not the end of the process."""
    source = """
    def limit():
        with open("/proc/self/statm") as file: used = int(file.read().split()[0]) * 4096
        resource.setrlimit(resource.RLIMIT_AS, (used + (1 << 20),) * 2)
    async def main():
        limit()
        try:
            ws = WebSocket("ws://127.0.0.1:9/")
        except Exception as error:
            say(isinstance(error, OSError), error)
        else:
            say("made")
    run(main)
    """
    with Program(source, loop_name) as program:
        code, lines = program.finish()
    assert code == 0, (code, program.errors)
    assert lines[0].startswith("True "), lines


# From where it does not belong


async def test_from_another_thread() -> None:
    """`send` and `close` may be called from any thread; what touches the loop may not be made or awaited elsewhere."""
    async with pair() as (ours, theirs):
        caught: list[BaseException] = []

        def elsewhere() -> None:
            try:
                WebSocket("ws://127.0.0.1:9/")
            except voxwire.InvalidState as error:
                caught.append(error)
            ours.send("from a thread")

        thread = threading.Thread(target=elsewhere)
        thread.start()
        await asyncio.to_thread(thread.join)
        assert len(caught) == 1
        assert await theirs.recv() == "from a thread"

        theirs.send("still works")
        assert await ours.recv() == "still works"


async def test_handlers_that_raise(loop_errors: list[dict[str, Any]]) -> None:
    """In every event of both ends: each is reported, nothing else stops, and the close is a clean one."""

    def bad(_event: object) -> None:
        raise ZeroDivisionError

    async def worse(_event: object) -> None:
        raise LookupError

    engine = Engine()
    logs: list[Log] = []

    def welcome(event: voxwire.NewWebSocketEvent) -> None:
        for name in E:
            event.websocket.addEventListener(name, bad)
        logs.append(Log(event.websocket))
        raise ArithmeticError

    engine.addEventListener(AppEvents.WebSocket, welcome)
    async with engine.allowWebSocketConnections() as server:
        ws = WebSocket(server.url)
        for name in E:
            ws.addEventListener(name, worse)
        log = Log(ws)
        await ws.wait_open()
        ws.send("x")
        await logs[0].until(E.MESSAGE)
        logs[0].events[0].websocket.send("y")
        await log.until(E.MESSAGE)
        ws.close(1000)
        await logs[0].until(E.CLOSE)
        close = await log.until(E.CLOSE)
        await asyncio.sleep(0.01)
    assert close.wasClean
    kinds = {type(context["exception"]) for context in loop_errors}
    assert kinds == {ZeroDivisionError, LookupError, ArithmeticError}
    assert len(loop_errors) == 1 + 4 + 4


async def test_one_bad_connection_among_many(loop_errors: list[dict[str, Any]]) -> None:
    async def handler(ws: WebSocket) -> None:
        async for message in ws:
            if message == "fail":
                raise ZeroDivisionError
            ws.send(message)

    async with serving(handler) as server:
        sockets = [WebSocket(server.url) for _ in range(20)]
        for ws in sockets:
            await ws.wait_open()
        sockets[7].send("fail")
        for number, ws in enumerate(sockets):
            if number != 7:
                ws.send("x")
                assert await ws.recv() == "x"
        for ws in sockets:
            ws.close()
            await ws.wait_closed()
    assert [type(context["exception"]) for context in loop_errors] == [ZeroDivisionError]


def test_a_subinterpreter_is_refused() -> None:
    source = """
    import _xxsubinterpreters as interpreters
    there = interpreters.create()
    try:
        interpreters.run_string(there, "import voxwire")
    except interpreters.RunFailedError as error:
        print("refused:", error)
    """
    if sys.version_info >= (3, 13):
        pytest.skip("the module for subinterpreters has another name there")
    import textwrap

    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(source)], capture_output=True, text=True, timeout=20, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("refused:")
    assert "ImportError" in done.stdout
