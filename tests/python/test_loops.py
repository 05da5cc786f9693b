"""Loops, threads, processes: what happens when a loop closes, the interpreter exits or the process forks."""

import asyncio
import threading
from typing import Any

import pytest
import uvloop
from conftest import LOOPS
from support import frames
from support.pair import serving
from support.programs import run
from support.raw import RawPeer, RawServer

import voxwire
from voxwire import WebSocket


def end_seen_by(peer: RawPeer) -> object:
    """1001, or the end of the file, when our side goes away."""
    try:
        return peer.until(frames.CLOSE).close[0]
    except (EOFError, ConnectionError):
        return "eof"


def ends(server_ends: list[object]) -> RawServer:
    def script(peer: RawPeer) -> None:
        peer.accept()
        server_ends.append(end_seen_by(peer))
        peer.hang_up()

    return RawServer(script)


@pytest.mark.parametrize("how", ["runner", "close"])
def test_a_loop_closed_under_an_open_connection(loop_name: str, how: str) -> None:
    seen: list[object] = []
    with ends(seen) as server:

        async def main() -> None:
            ws = WebSocket(server.url)
            await ws.wait_open()

        if how == "runner":
            with asyncio.Runner(loop_factory=LOOPS[loop_name]) as runner:
                runner.run(main())
        else:
            loop = LOOPS[loop_name]()
            loop.run_until_complete(main())
            loop.close()
    assert seen[0] in (1001, "eof")
    if how == "runner":
        assert seen == [1001]


def test_a_new_loop_after_a_closed_one(loop_name: str) -> None:
    for _ in range(5):
        seen: list[object] = []
        with ends(seen) as server, asyncio.Runner(loop_factory=LOOPS[loop_name]) as runner:

            async def main(url: str = server.url) -> None:
                async with WebSocket(url) as ws:
                    ws.send("x")

            runner.run(main())
        assert seen == [1000]


def test_a_server_closes_with_its_loop(loop_name: str) -> None:
    async def main() -> int:
        engine = voxwire.Engine()
        return engine.allowWebSocketConnections().port

    with asyncio.Runner(loop_factory=LOOPS[loop_name]) as runner:
        port = runner.run(main())

    async def again() -> None:
        async with WebSocket(f"ws://127.0.0.1:{port}/"):
            pass

    with pytest.raises(voxwire.ConnectError):
        asyncio.run(again())


def test_several_loops_in_several_threads() -> None:
    problems: list[BaseException] = []
    engine = voxwire.Engine()

    async def echo(event: voxwire.NewWebSocketEvent) -> None:
        async for message in event.websocket:
            event.websocket.send(message)

    engine.addEventListener(voxwire.AppEvents.WebSocket, echo)

    async def main(name: int) -> None:
        async with engine.allowWebSocketConnections() as server:
            for turn in range(5):
                async with WebSocket(server.url) as ws:
                    for number in range(50):
                        ws.send(f"{name} {turn} {number}")
                        assert await ws.recv() == f"{name} {turn} {number}"

    def thread(name: int) -> None:
        try:
            factory = uvloop.new_event_loop if name % 2 else asyncio.new_event_loop
            with asyncio.Runner(loop_factory=factory) as runner:
                runner.run(asyncio.wait_for(main(name), 20))
        except BaseException as error:
            problems.append(error)

    threads = [threading.Thread(target=thread, args=(name,)) for name in range(4)]
    for each in threads:
        each.start()
    for each in threads:
        each.join(25)
    assert not problems


async def test_a_loop_without_add_reader(monkeypatch: pytest.MonkeyPatch) -> None:
    class Bare(asyncio.SelectorEventLoop):
        def add_reader(self, *_args: Any) -> None:  # type: ignore[override]
            raise NotImplementedError

    def other() -> None:
        async def main() -> None:
            with pytest.raises(NotImplementedError, match="Bare"):
                WebSocket("ws://127.0.0.1:9/")

        with asyncio.Runner(loop_factory=Bare) as runner:
            runner.run(main())

    await asyncio.to_thread(other)


# Processes

EXITS = {
    "open when main returns": """
        async def main():
            global ws
            ws = WebSocket(url); await ws.wait_open()
        with asyncio.Runner(loop_factory=new_loop) as runner: runner.run(main())
    """,
    "loop never closed": """
        async def main():
            global ws
            ws = WebSocket(url); await ws.wait_open()
        loop = new_loop(); loop.run_until_complete(main())
    """,
    "loop closed, then garbage": """
        async def main():
            ws = WebSocket(url); await ws.wait_open()
        loop = new_loop(); loop.run_until_complete(main()); loop.close(); del loop; gc.collect()
    """,
    "sys.exit in a handler": """
        async def main():
            ws = WebSocket(url); ws.onopen = lambda event: sys.exit(0); await ws.wait_closed()
        with asyncio.Runner(loop_factory=new_loop) as runner: runner.run(main())
    """,
    "sys.exit in a coroutine": """
        async def main():
            ws = WebSocket(url); await ws.wait_open(); sys.exit(0)
        with asyncio.Runner(loop_factory=new_loop) as runner: runner.run(main())
    """,
    "under traffic": """
        async def main():
            ws = WebSocket(url, close_timeout=0.2); ws.onmessage = lambda event: ws.send(event.text); await ws.wait_open()
            for _ in range(100): ws.send("x" * 1000)
            await asyncio.sleep(0.05)
        with asyncio.Runner(loop_factory=new_loop) as runner: runner.run(main())
    """,
    "a daemon thread with a loop": """
        opened = threading.Event()
        async def main():
            ws = WebSocket(url); await ws.wait_open(); opened.set(); await asyncio.sleep(60)
        def run():
            with asyncio.Runner(loop_factory=new_loop) as runner: runner.run(main())
        threading.Thread(target=run, daemon=True).start(); opened.wait(10)
    """,
    "connecting": """
        async def main():
            global ws
            ws = WebSocket(url)
        with asyncio.Runner(loop_factory=new_loop) as runner: runner.run(main())
    """,
    "waiting to connect again": """
        async def main():
            global ws
            ws = WebSocket("ws://127.0.0.1:1/", reconnect=lambda loss: 60); waiting = asyncio.Event()
            ws.onreconnecting = lambda event: waiting.set(); await waiting.wait()
        with asyncio.Runner(loop_factory=new_loop) as runner: runner.run(main())
    """,
    "audio on its way": """
        async def main():
            global ws, unit
            ws = WebSocket(url); await ws.wait_open()
            unit = voxwire.AudioUnit(8000); unit.sendMediaTo(ws); unit.write(bytes(80000)); await asyncio.sleep(0.05)
        with asyncio.Runner(loop_factory=new_loop) as runner: runner.run(main())
    """,
    "never used": "",
}


@pytest.mark.parametrize("name", EXITS)
def test_exit(name: str, loop_name: str) -> None:
    def script(peer: RawPeer) -> None:
        try:
            peer.accept()
            while peer.frame().opcode != frames.CLOSE:
                peer.text("y")
            peer.close(1001)
        except (EOFError, ConnectionError):
            pass
        peer.hang_up()

    with RawServer(script) as server:
        result = run(EXITS[name], server.url, loop_name)
    assert (result.returncode, result.stderr, result.stdout) == (0, "", "")


FORKS = {
    "before": """
        def child():
            async def main():
                async with WebSocket(url) as ws:
                    ws.send("hello"); print(await ws.recv())
            run(main())
        pid = os.fork()
        if pid == 0: child(); sys.stdout.flush(); os._exit(0)
        assert os.waitpid(pid, 0)[1] == 0
    """,
    "after": """
        async def main():
            async with WebSocket(url) as ws:
                ws.send("hello"); print(await ws.recv())
        run(main())
        sys.stdout.flush()
        pid = os.fork()
        if pid == 0:
            run(main()); sys.stdout.flush(); os._exit(0)
        assert os.waitpid(pid, 0)[1] == 0
    """,
    "with one open": """
        async def main():
            async with WebSocket(url) as ws:
                pid = os.fork()
                if pid == 0:
                    try: ws.send("no")
                    except voxwire.ForkedError: os._exit(0)
                    os._exit(1)
                assert os.waitpid(pid, 0)[1] == 0
                ws.send("hello"); print(await ws.recv())
        run(main())
    """,
    "a child that exits in the usual way": """
        async def main():
            async with WebSocket(url) as ws:
                ws.send("hello"); print(await ws.recv())
        run(main())
        sys.stdout.flush()
        pid = os.fork()
        if pid == 0: sys.exit(0)
        assert os.waitpid(pid, 0)[1] == 0
        run(main())
    """,
}


@pytest.mark.parametrize("name", FORKS)
def test_fork(name: str, loop_name: str) -> None:
    def echo(peer: RawPeer) -> None:
        peer.accept()
        peer.send(frames.TEXT, peer.frame().payload)
        peer.answer_close()

    with RawServer(echo) as server:
        result = run(FORKS[name], server.url, loop_name)
    assert (result.returncode, result.stderr) == (0, "")
    assert set(result.stdout.split()) == {"hello"}


def test_interrupt(loop_name: str) -> None:
    """Ctrl-C ends a program that waits, with KeyboardInterrupt, and the peer hears of it."""
    seen: list[object] = []
    with ends(seen) as server:
        code = """
            async def main():
                async with WebSocket(url) as ws:
                    threading.Timer(0.2, lambda: os.kill(os.getpid(), 2)).start()
                    await ws.recv()
            try: run(main())
            except KeyboardInterrupt: print("interrupted")
        """
        result = run(code, server.url, loop_name)
    assert (result.returncode, result.stderr, result.stdout) == (0, "", "interrupted\n")
    assert seen[0] in (1000, 1001, 1011)


async def test_a_websocket_nobody_keeps_lives_until_its_close() -> None:
    import gc

    closed = asyncio.Event()
    received: list[str] = []

    def open_one(url: str) -> None:
        ws = WebSocket(url)
        ws.onmessage = lambda event: received.append(str(event.text))
        ws.onclose = lambda _event: closed.set()

    def script(peer: RawPeer) -> None:
        peer.accept()
        for _ in range(3):
            peer.text("x")
        peer.finish()

    with RawServer(script) as server:
        open_one(server.url)
        for _ in range(5):
            gc.collect()
            await asyncio.sleep(0)
        await closed.wait()
    assert received == ["x"] * 3


async def test_nothing_is_left_of_a_closed_websocket() -> None:
    import gc
    import weakref

    async def echo(ws: WebSocket) -> None:
        async for message in ws:
            ws.send(message)

    async with serving(echo) as server:
        references: list[weakref.ref[WebSocket]] = []
        for _ in range(5):
            async with WebSocket(server.url) as ws:
                ws.onmessage = lambda _event: None
                references.append(weakref.ref(ws))
        del ws
        await asyncio.sleep(0.05)
        gc.collect()
        assert [reference() for reference in references] == [None] * 5
