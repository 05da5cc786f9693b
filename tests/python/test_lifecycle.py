"""The life of an interpreter: how it ends with voxwire at work in it, forks, worker processes, where it can be loaded."""

import multiprocessing
import signal
import subprocess
import sys
import textwrap
import wave
import zipapp
import zipfile
from pathlib import Path

import pytest
from support import exits, frames
from support.programs import run
from support.raw import RawPeer, RawServer

PACKAGE = Path(__file__).parents[2] / "python" / "voxwire"


def echo(peer: RawPeer) -> None:
    """Sends back what comes, until the other side goes away in whatever manner."""
    try:
        peer.accept(None)
        while (frame := peer.frame()).opcode != frames.CLOSE:
            if frame.opcode in (frames.TEXT, frames.BINARY):
                peer.send(frame.opcode, frame.payload)
        peer.send(frames.CLOSE, frame.payload)
    except (EOFError, ConnectionError):
        pass
    peer.hang_up()


# Exit

EXITS = {
    "KeyboardInterrupt in a handler": """
        async def main():
            ws = WebSocket(url)
            def interrupt(event): raise KeyboardInterrupt
            ws.onopen = interrupt; await ws.wait_closed()
        try: run(main())
        except KeyboardInterrupt: sys.exit(0)
        sys.exit("no KeyboardInterrupt")
    """,
    "SIGINT while a coroutine waits": """
        async def main():
            async with WebSocket(url) as ws:
                os.kill(os.getpid(), signal.SIGINT); await ws.recv()
        try: run(main())
        except KeyboardInterrupt: sys.exit(0)
        sys.exit("no KeyboardInterrupt")
    """,
    "SIGTERM that the loop handles": """
        async def main():
            ws = WebSocket(url); await ws.wait_open()
            asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, sys.exit, 0)
            os.kill(os.getpid(), signal.SIGTERM); await ws.recv()
        run(main())
    """,
    "a coroutine that is never awaited again": """
        async def main():
            ws = WebSocket(url); await ws.wait_open()
            async def receive():
                async for message in ws: pass
            global task
            task = asyncio.create_task(receive()); await asyncio.sleep(0)
        run(main())
    """,
    "all kinds of media units at work": """
        async def main():
            global everything
            ws = WebSocket(url); await ws.wait_open()
            unit = voxwire.AudioUnit(8000); conference = voxwire.Conference(); tones = voxwire.ToneGenerator()
            player = voxwire.Player(bytes(320000), format="raw", rate=16000); player.start(); detector = voxwire.ToneDetector()
            player.sendMediaTo(conference); unit.sendMediaTo(conference); conference.sendMediaTo(ws)
            tones.sendMediaTo(detector); tones.play("1234"); unit.write(bytes(80000))
            everything = ws, unit, conference, tones, player, detector
            await asyncio.sleep(0.05)
        run(main())
    """,
    "daemon threads with busy loops": """
        busy = threading.Barrier(4)
        async def main():
            ws = WebSocket(url); await ws.wait_open(); left = 100
            def back(event):
                nonlocal left
                left -= 1
                if left == 0: loop.run_in_executor(None, busy.wait)
                sum(range(2000)); ws.send(event.data)
            loop = asyncio.get_running_loop()
            ws.onmessage = back
            for _ in range(50): ws.send(b"x" * 100)
            await asyncio.sleep(60)
        for _ in range(3): threading.Thread(target=run, args=(main(),), daemon=True).start()
        busy.wait(30)
    """,
    "a loop in a daemon thread that an older exit handler stops": """
        # Registered before voxwire's own, so it runs after that.
        async def main():
            global loop, stop
            loop, stop = asyncio.get_running_loop(), asyncio.Event()
            ws = WebSocket(url); await ws.wait_open(); opened.set(); await stop.wait()
        opened = threading.Event(); thread = threading.Thread(target=run, args=(main(),), daemon=True)
        thread.start(); opened.wait(10)
        at_exit.append(lambda: (loop.call_soon_threadsafe(stop.set), thread.join(10), thread.is_alive() and print("alive")))
    """,
    "an older exit handler that connects": """
        async def main():
            async with WebSocket(url) as ws:
                ws.send("late"); assert await ws.recv() == "late"
        run(main())
        at_exit.append(lambda: run(main()))
    """,
    "compat.websockets.asyncio, open": """
        import warnings; warnings.simplefilter("ignore", ResourceWarning)  # of the transport, as with the original
        from voxwire.compat.websockets.asyncio.client import connect
        async def main():
            global ws
            ws = await connect(url); await ws.send("x"); await ws.recv()
        run(main())
    """,
    "compat.websockets.sync, waiting in a daemon thread": """
        from voxwire.compat.websockets.sync.client import connect
        def receive():
            with connect(url) as ws:
                ws.send("x"); ws.recv(); opened.set()
                while True: ws.send("y"); ws.recv()
        opened = threading.Event(); threading.Thread(target=receive, daemon=True).start(); opened.wait(10)
    """,
    "compat.websocket, run_forever in a daemon thread": """
        import voxwire.compat.websocket as websocket
        app = websocket.WebSocketApp(url, on_open=lambda ws: ws.send("x"), on_message=lambda ws, data: (opened.set(), ws.send(data)))
        opened = threading.Event(); threading.Thread(target=app.run_forever, daemon=True).start(); opened.wait(10)
    """,
}

OLDER_HANDLER = """
import atexit
at_exit = []
@atexit.register
def _run():
    for handler in at_exit: handler()
"""


@pytest.mark.parametrize("name", EXITS)
def test_exit(name: str, loop_name: str) -> None:
    if name.startswith("compat.websocket") and ".asyncio" not in name and loop_name != "asyncio":
        pytest.skip("has no loop")
    with RawServer(echo) as server:
        result = run(textwrap.dedent(EXITS[name]), server.url, loop_name, before=OLDER_HANDLER)
    assert (result.returncode, result.stderr, result.stdout) == (0, "", "")


def test_an_exception_at_the_top_is_told_once(loop_name: str) -> None:
    code = """
        async def main():
            global ws
            ws = WebSocket(url); await ws.wait_open(); raise LookupError("mine")
        run(main())
    """
    with RawServer(echo) as server:
        result = run(code, server.url, loop_name)
    assert result.returncode == 1
    assert result.stderr.count("Traceback") == 1
    assert result.stderr.rstrip().endswith("LookupError: mine")


RECORDING = """
from pathlib import Path
async def record(end):
    global kept
    recorder = voxwire.Recorder(sys.argv[3]); player = voxwire.Player(b"\\x10\\x20" * 80000, format="raw", rate=8000); player.start()
    player.sendMediaTo(recorder); kept = recorder, player
    while recorder.duration < 100: await asyncio.sleep(0.01)
    await end()
async def nothing(): pass
async def leave(): sys.exit(0)
"""

IGNORE = "import warnings; warnings.simplefilter('ignore', ResourceWarning)  # of a loop that was left open\n"
RECORDING_ENDS = {
    "return": (0, "run(record(nothing))"),
    "sys.exit": (0, "run(record(leave))"),
    "a loop that is never closed": (0, IGNORE + "loop = new_loop(); loop.run_until_complete(record(nothing))"),
    "SIGTERM": (0, "signal.signal(signal.SIGTERM, lambda *_: sys.exit(0)); run(record(kill))"),
    "a process of multiprocessing": (
        0,
        """
import multiprocessing
worker = multiprocessing.get_context("fork").Process(target=lambda: run(record(nothing)))
worker.start(); worker.join(); sys.exit(worker.exitcode)
""",
    ),
}


@pytest.mark.parametrize("name", RECORDING_ENDS)
def test_a_recording_is_complete_after(name: str, loop_name: str, tmp_path: Path) -> None:
    path = tmp_path / "call.wav"
    code, program = RECORDING_ENDS[name]
    kill = "\nasync def kill():\n    os.kill(os.getpid(), signal.SIGTERM)\n    await asyncio.sleep(60)\n"
    result = run(RECORDING + kill + program, "", loop_name, str(path))
    assert (result.returncode, result.stderr, result.stdout) == (code, "", "")
    exits.check_recording(path)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_program_that_is_killed_leaves_a_file_that_can_be_read(number: signal.Signals, tmp_path: Path) -> None:
    path = tmp_path / "call.wav"
    program = f"\nasync def kill():\n    os.kill(os.getpid(), {int(number)})\n    await asyncio.sleep(60)\nrun(record(kill))\n"
    result = run(RECORDING + program, "", "asyncio", str(path))
    assert (result.returncode, result.stderr) == (-number, "")
    with wave.open(str(path)) as file:  # what was written until then; the header is brought up to date at the end
        assert file.getframerate() == 8000


@pytest.mark.timeout(120)
def test_exits_under_traffic(tmp_path: Path) -> None:
    """A few of what `make exits` does a hundred times."""
    problems = [exits.leave(number, tmp_path) for number in range(4)]
    assert problems == [""] * 4


# Objects that go

GARBAGE = """
import random
async def main():
    heard = lambda event: None
    async def accept(event): event.websocket.onmessage = lambda e: e.websocket.send(e.data)
    engine = voxwire.Engine(); engine.addEventListener(voxwire.AppEvents.WebSocket, accept)
    for seed in range(15):
        chance = random.Random(seed)
        server = engine.allowWebSocketConnections()
        ws, other = WebSocket(server.url), WebSocket(server.url)
        await ws.wait_open(); await other.wait_open()
        things = [server, ws, other, voxwire.Recorder(f"{sys.argv[3]}/{seed}.wav"), voxwire.AudioUnit(8000),
                  voxwire.Player(bytes(32000), format="raw", rate=8000), voxwire.Conference(), voxwire.ToneGenerator(), voxwire.ToneDetector()]
        _, _, _, recorder, unit, player, conference, tones, detector = things
        player.sendMediaTo(conference); conference.sendMediaTo(recorder); conference.sendMediaTo(ws)
        ws.sendMediaTo(conference); tones.sendMediaTo(detector); unit.sendMediaTo(other); unit.write(bytes(3200))
        for one in (ws, other): one.onmessage = lambda e, things=things: len(things); one.send("x")
        holder = {"things": things, "ws": ws}; holder["self"] = holder; recorder.cycle = holder
        if seed % 3 == 0: server.close(0); ws.close(); other.close()
        left = list(things); things.clear()
        del server, ws, other, recorder, unit, player, conference, tones, detector, holder, one, _
        chance.shuffle(left)
        while left:
            left.pop()
            if chance.random() < 0.5: gc.collect()
            if chance.random() < 0.5: await asyncio.sleep(0)
        gc.collect()
run(main()); gc.collect()
"""


def test_garbage_in_any_order(loop_name: str, tmp_path: Path) -> None:
    result = run(GARBAGE, "", loop_name, str(tmp_path))
    assert (result.returncode, result.stderr, result.stdout) == (0, "", "")


# Fork

FORKS = {
    "waiting on what is the parent's": """
        async def main():
            async with WebSocket(url) as ws:
                recorder = voxwire.Recorder(os.devnull)
                pid = os.fork()
                if pid == 0:
                    async def child():
                        for wait in (ws.recv, ws.wait_closed, ws.drain, ws.ping, recorder.wait_closed):
                            try: await asyncio.wait_for(wait(), 5)
                            except voxwire.ForkedError: continue
                            os._exit(1)
                    try: new_loop().run_until_complete(child())
                    except BaseException as error: print(repr(error), file=sys.stderr, flush=True); os._exit(2)
                    os._exit(0)
                assert os.waitpid(pid, 0)[1] == 0
                ws.send("hello"); print(await ws.recv())
                recorder.close(); await recorder.wait_closed()
        run(main())
    """,
    "a child that winds up the loop of its parent": """
        async def main():
            loop = asyncio.get_running_loop()
            async with WebSocket(url) as ws:
                pid = os.fork()
                if pid == 0:
                    for generator in list(loop._asyncgens):  # shutdown_asyncgens() needs a loop that runs here
                        try: generator.aclose().send(None)
                        except StopIteration: pass
                    gc.collect(); os._exit(0)
                assert os.waitpid(pid, 0)[1] == 0
                for _ in range(3): ws.send("hello"); print(await ws.recv())
        run(main())
    """,
    "under traffic, many times": """
        async def main():
            async with WebSocket(url) as ws:
                ws.onmessage = lambda event: ws.send(event.data)
                for _ in range(20): ws.send("x" * 500)
                for _ in range(10):
                    await asyncio.sleep(0.005)
                    pid = os.fork()
                    if pid == 0:
                        async def again():
                            async with WebSocket(url) as fresh:
                                fresh.send("hello"); assert await asyncio.wait_for(fresh.recv(), 10) == "hello"
                        try: new_loop().run_until_complete(again())
                        except BaseException as error: print(repr(error), file=sys.stderr, flush=True); os._exit(2)
                        os._exit(0)
                    assert os.waitpid(pid, 0)[1] == 0
            print("hello")
        run(main())
    """,
    "concurrent.futures": """
        import concurrent.futures, multiprocessing
        async def say():
            async with WebSocket(url) as ws:
                ws.send("hello"); return await ws.recv()
        def work(_): return run(say())
        print(run(say()))
        with concurrent.futures.ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("fork")) as pool:
            print(*pool.map(work, range(4)))
    """,
    "compat.websockets.sync": """
        from voxwire.compat.websockets.sync.client import connect
        with connect(url) as ws:
            ws.send("hello"); print(ws.recv()); sys.stdout.flush()
            pid = os.fork()
            if pid == 0:
                with connect(url) as fresh: fresh.send("hello"); print(fresh.recv(5)); sys.stdout.flush()
                os._exit(0)
            assert os.waitpid(pid, 0)[1] == 0
            ws.send("hello"); print(ws.recv())
    """,
    "compat.websocket": """
        import voxwire.compat.websocket as websocket
        ws = websocket.create_connection(url); ws.send("hello"); print(ws.recv()); sys.stdout.flush()
        pid = os.fork()
        if pid == 0:
            fresh = websocket.create_connection(url, timeout=5); fresh.send("hello"); print(fresh.recv()); sys.stdout.flush()
            os._exit(0)
        assert os.waitpid(pid, 0)[1] == 0
        ws.send("hello"); print(ws.recv()); ws.close()
    """,
}
NO_UVLOOP = {"a child that winds up the loop of its parent", "compat.websockets.sync", "compat.websocket"}


@pytest.mark.parametrize("name", FORKS)
def test_fork(name: str, loop_name: str) -> None:
    if loop_name == "uvloop" and name in NO_UVLOOP:
        pytest.skip("has no such list of generators, or no loop")
    with RawServer(echo) as server:
        result = run(FORKS[name], server.url, loop_name)
    assert (result.returncode, result.stderr) == (0, "")
    assert set(result.stdout.split()) == {"hello"}


def test_a_forked_child_masks_with_keys_of_its_own() -> None:
    code = """
        from voxwire.compat.websockets.frames import Frame, Opcode
        def masked(): return Frame(Opcode.BINARY, bytes(16)).serialize(mask=True)[2:6].hex()
        masked()
        pid = os.fork()
        print(masked(), flush=True)
        if pid == 0: os._exit(0)
        os.waitpid(pid, 0)
    """
    result = run(code, "", "asyncio")
    assert (result.returncode, result.stderr) == (0, "")
    assert len(set(result.stdout.split())) == 2


def _say_hello(url: str) -> str:
    import asyncio

    from voxwire import WebSocket

    async def main() -> str:
        async with WebSocket(url) as ws:
            ws.send("hello")
            return str(await ws.recv())

    return asyncio.run(main())


def test_spawn() -> None:
    with RawServer(echo) as server, multiprocessing.get_context("spawn").Pool(1) as pool:
        assert pool.apply(_say_hello, (server.url,)) == "hello"
        pool.close()
        pool.join()


# Where it can be loaded


@pytest.mark.parametrize("before", ["", "import voxwire"])
def test_a_subinterpreter_is_refused(before: str) -> None:
    code = textwrap.dedent(f"""
        {before}
        try: import _interpreters as interpreters
        except ImportError: import _xxsubinterpreters as interpreters
        one = interpreters.create()
        interpreters.run_string(one, '''
        try: import voxwire
        except ImportError as error: print(error, flush=True)
        '''.replace(chr(10) + " " * 8, chr(10)))
        interpreters.destroy(one)
        import voxwire
        print(len(voxwire.__version__) > 0)
    """)
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False, cwd=PACKAGE.parent
    )
    assert (result.returncode, result.stderr) == (0, "")
    refused, loaded = result.stdout.splitlines()
    assert "main interpreter" in refused
    assert loaded == "True"


def test_a_zip_file_is_refused(tmp_path: Path) -> None:
    archive = tmp_path / "application.zip"
    with zipfile.ZipFile(archive, "w") as file:
        for path in PACKAGE.glob("*"):
            if path.is_file():
                file.write(path, f"voxwire/{path.name}")
    code = f"import sys; sys.path.insert(0, {str(archive)!r}); import voxwire"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert result.returncode == 1
    assert "ImportError: voxwire cannot be imported from a zip file" in result.stderr.splitlines()[-1]


def test_a_zipped_application_with_the_package_beside_it(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    main = f"import sys; sys.path.insert(0, {str(PACKAGE.parent)!r}); import voxwire; print(voxwire.WebSocket.__name__)"
    (source / "__main__.py").write_text(main, encoding="utf-8")
    target = tmp_path / "application.pyz"
    zipapp.create_archive(source, target)
    result = subprocess.run([sys.executable, target], capture_output=True, text=True, timeout=60, check=False)
    assert (result.returncode, result.stderr, result.stdout) == (0, "", "WebSocket\n")
