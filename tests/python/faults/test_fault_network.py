"""A network that is cut: two network namespaces, a cable between them that goes dead. Nobody sends a FIN or a RST."""

import asyncio
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from support.process import ECHO, Program

import voxwire
from voxwire import WebSocket

KEEPALIVE: dict[str, Any] = {"ping_interval": 0.3, "ping_timeout": 0.6}


def ip(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["ip", *arguments], capture_output=True, text=True, timeout=10, check=True)


def why_not() -> str:
    """Why there can be no namespaces here; empty where there can."""
    name = f"vx{os.getpid()}probe"
    try:
        ip("netns", "add", name)
        ip("netns", "del", name)
    except FileNotFoundError:
        return "there is no `ip` (iproute2)"
    except subprocess.CalledProcessError as error:
        return f"no network namespaces: {error.stderr.strip()}"
    return ""


REASON = why_not()
pytestmark = pytest.mark.skipif(bool(REASON), reason=REASON)


class Cable:
    """A pair of interfaces: one here (10.213.N.1), one in a namespace (10.213.N.2)."""

    def __init__(self) -> None:
        number = os.getpid() % 250
        self.namespace = f"vx{os.getpid()}"
        self.end = f"vx{os.getpid()}a"
        self.here, self.there = f"10.213.{number}.1", f"10.213.{number}.2"
        ip("netns", "add", self.namespace)
        ip("link", "add", self.end, "type", "veth", "peer", "name", "far", "netns", self.namespace)
        ip("addr", "add", f"{self.here}/24", "dev", self.end)
        ip("link", "set", self.end, "up")
        ip("-n", self.namespace, "addr", "add", f"{self.there}/24", "dev", "far")
        ip("-n", self.namespace, "link", "set", "far", "up")

    def cut(self) -> None:
        """Packets vanish, both ways: nobody is told."""
        ip("-n", self.namespace, "link", "set", "far", "arp", "off", "mtu", "68")
        ip("-n", self.namespace, "addr", "del", f"{self.there}/24", "dev", "far")

    def mend(self) -> None:
        ip("-n", self.namespace, "link", "set", "far", "arp", "on", "mtu", "1500")
        ip("-n", self.namespace, "addr", "add", f"{self.there}/24", "dev", "far")

    def remove(self) -> None:
        ip("link", "del", self.end)
        ip("netns", "del", self.namespace)


@pytest.fixture
def cable() -> Iterator[Cable]:
    cable = Cable()
    try:
        yield cable
    finally:
        cable.remove()


class Far(Program):
    """A program in the namespace of a cable."""

    def __init__(self, cable: Cable, source: str, loop_name: str, *arguments: str) -> None:
        self.cable = cable
        super().__init__(source, loop_name, *arguments)

    def command(self, *words: str) -> list[str]:
        return ["ip", "netns", "exec", self.cable.namespace, *words]


@contextmanager
def far_server(cable: Cable, loop_name: str, **parameters: object) -> Iterator[tuple[Far, str]]:
    with Far(cable, ECHO, loop_name, repr({"host": cable.there, **parameters})) as program:
        yield program, program.line()


async def test_the_client_finds_out(cable: Cable, loop_name: str) -> None:
    """The keepalive notices, the connection is over with 1006, and the next attempt is a time-out."""
    with far_server(cable, loop_name) as (_, url):
        ws = WebSocket(url, proxy=None, **KEEPALIVE)
        await ws.wait_open()
        ws.send("x")
        assert await ws.recv() == "x"
        cable.cut()
        ws.send("into the void")
        with pytest.raises(voxwire.ConnectionClosed) as caught:
            await ws.recv()
        assert isinstance(caught.value.__cause__, voxwire.KeepaliveTimeout)
        assert (await ws.wait_closed()).code == 1006
        again = WebSocket(url, proxy=None, connect_timeout=0.5)
        with pytest.raises(voxwire.ConnectTimeout):
            await again.wait_open()
        cable.mend()
        async with WebSocket(url, proxy=None) as back:
            back.send("back")
            assert await back.recv() == "back"


async def test_a_cut_that_is_shorter_than_the_keepalive_is_survived(cable: Cable, loop_name: str) -> None:
    with far_server(cable, loop_name) as (_, url):
        async with WebSocket(url, proxy=None, ping_interval=5, ping_timeout=15) as ws:
            cable.cut()
            for number in range(50):
                ws.send(str(number))
            await asyncio.sleep(0.4)
            cable.mend()
            assert [await ws.recv() for _ in range(50)] == [str(number) for number in range(50)]


async def test_the_server_finds_out(cable: Cable, loop_name: str) -> None:
    """The far side is the server: it gives up a client behind the cut and says so, and takes the next one."""
    server = """
    async def main():
        engine = Engine()
        def welcome(event):
            ws = event.websocket
            ws.onerror = lambda event: say(type(event.error).__name__)
            ws.onclose = lambda event: say("closed", event.code)
        engine.addEventListener(AppEvents.WebSocket, welcome)
        keepalive = {"ping_interval": 0.3, "ping_timeout": 0.6}
        async with engine.allowWebSocketConnections(sys.argv[2], parameters=keepalive) as server:
            say(server.url)
            await asyncio.to_thread(sys.stdin.read)
    run(main)
    """
    with Far(cable, server, loop_name, cable.there) as far:
        url = far.line()
        ws = WebSocket(url, proxy=None, **KEEPALIVE)
        await ws.wait_open()
        cable.cut()
        assert await asyncio.to_thread(far.line) == "KeepaliveTimeout"
        assert far.line() == "closed 1006"
        await ws.wait_closed()
        cable.mend()
        async with WebSocket(url, proxy=None) as again:
            assert await again.ping() < 20


async def test_a_reconnecting_client_comes_back_by_itself(cable: Cable, loop_name: str) -> None:
    with far_server(cable, loop_name) as (_, url):
        policy = voxwire.Backoff(initial=0.1, maximum=0.3)
        async with WebSocket(url, proxy=None, reconnect=policy, connect_timeout=0.5, **KEEPALIVE) as ws:
            cable.cut()
            while ws.readyState == "open":
                await asyncio.sleep(0.02)
            await asyncio.sleep(0.5)
            cable.mend()
            while ws.readyState != "open":
                await asyncio.sleep(0.02)
            ws.send("back")
            assert await ws.recv() == "back"
            assert ws.statistics().reconnects == 1
