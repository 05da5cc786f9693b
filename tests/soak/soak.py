"""The soak: calls, floods, numbered messages, kills and restarts for a given time. Exit code 1 when a promise is broken.

`python tests/soak/soak.py --minutes 60`. The peer (`peer.py`) is killed (SIGKILL) and started again, and restarts its server
gracefully, by turns. What is promised: nothing is lost or out of order within a connection, every number is acknowledged
in the end, a flood that ends cleanly is complete, a call that is not cut is heard, and nothing is left: descriptors and
threads return to what they were, and over the last half of a long run memory grows by less than 1 %.
"""

import argparse
import asyncio
import gc
import logging
import signal
import socket
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import traffic
import uvloop
from watch import Watch, descriptors, resident, threads

HERE = Path(__file__).parent
LONG = 300.0
"""From so many seconds on the growth of memory is judged: before, it is still finding its size."""
CONNECTIONS, CALLS = 6, 4


class Peer:
    """The other process, and what becomes of it."""

    def __init__(self, port: int, url: str) -> None:
        self.killed = self.restarted = 0
        self._command = (sys.executable, str(HERE / "peer.py"), str(port), url)
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        self._process = await asyncio.create_subprocess_exec(*self._command)

    async def kill(self) -> None:
        assert self._process is not None
        self._process.kill()
        code = await self._process.wait()
        if code != -signal.SIGKILL:
            sys.exit(f"the peer had ended by itself, with {code}")
        self.killed += 1

    def restart(self) -> None:
        assert self._process is not None
        if self._process.returncode is not None:
            sys.exit(f"the peer has ended by itself, with {self._process.returncode}")
        self._process.send_signal(signal.SIGUSR1)
        self.restarted += 1

    async def disturb(self, every: float, stop: asyncio.Event) -> None:
        """Kill it and restart its server, by turns, while nobody says stop."""
        while True:
            try:
                await asyncio.wait_for(stop.wait(), every)
            except TimeoutError:
                if self.restarted < self.killed:
                    self.restart()
                else:
                    await self.kill()
                    await asyncio.sleep(0.3)
                    await self.start()
            else:
                return


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        return int(sock.getsockname()[1])


async def soak(seconds: float, disturb_every: float) -> list[str]:
    """Run it; prints the figures and answers the promises that were broken."""
    tally, stop, port = traffic.Tally(), asyncio.Event(), free_port()
    url = f"ws://127.0.0.1:{port}/"
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as directory:
        async with traffic.serve(tally) as own:
            peer = Peer(port, own.url)
            await peer.start()
            # What is made once and stays (the core's threads, the loop's handles) is made now.
            await traffic.calls(url, traffic.Tally(), stopped_after(2.5), Path(directory), 0)
            await peer.kill()
            await settled(lambda: own.connections == 0)
            before = descriptors(), threads()
            await peer.start()
            counting = traffic.numbers(url, CONNECTIONS)
            tasks = [
                asyncio.create_task(peer.disturb(disturb_every, stop)),
                asyncio.create_task(traffic.floods(url, tally, stop)),
                asyncio.create_task(traffic.openings(url, own.url, tally, stop)),
                *(asyncio.create_task(traffic.calls(url, tally, stop, Path(directory), n)) for n in range(CALLS)),
            ]
            watch = Watch()
            for second in range(int(seconds)):
                await asyncio.sleep(max(began + second + 1 - time.monotonic(), 0))
                watch.look()
                if second % 60 == 59:
                    acknowledged = sum(one.acknowledged for one in counting)
                    print(
                        f"{second // 60 + 1:4} min: {acknowledged} acknowledged, {tally.flooded} of floods, {tally.calls} calls, "
                        f"{watch.memory[-1] / 2**20:.1f} MiB, {descriptors()} descriptors, {threads()} threads, "
                        f"loop late p99 {watch.late(0.99)} ms, max {watch.late(1)} ms",
                        flush=True,
                    )
            stop.set()
            await asyncio.gather(*tasks)
            lost = sum(await asyncio.gather(*(one.finish(20) for one in counting)))
            watch.stop()
            await peer.kill()
            gc.collect()
            await settled(lambda: (descriptors(), threads()) <= before)
            after = descriptors(), threads()
    acknowledged, resent = sum(one.acknowledged for one in counting), sum(one.resent for one in counting)
    gaps = sum(one.gaps for one in counting)
    rows = {
        "peer killed, its server restarted": f"{peer.killed}, {peer.restarted}",
        "connections opened": f"{tally.opened + sum(one.opened for one in counting) + tally.floods + tally.calls}",
        "openings that failed, as they should": tally.not_opened,
        "numbers sent, acknowledged, sent again": f"{acknowledged + lost}, {acknowledged}, {resent}",
        "numbers lost; gaps within a connection": f"{lost}; {gaps}",
        "numbers taken as a server; gaps": f"{tally.taken}; {tally.gaps_taken}",
        "messages of floods; floods, cut by a kill": f"{tally.flooded}; {tally.floods}, {tally.floods_cut}",
        "messages of floods missing": tally.flood_gaps,
        "calls; cut by a kill or not opened; not heard": f"{tally.calls}; {tally.calls_cut}; {tally.calls_silent}",
        "memory at the middle, at the end": f"{watch.memory[len(watch.memory) // 2] / 2**20:.1f}, {resident() / 2**20:.1f} MiB",
        "its growth over the last half": f"{watch.growth():+.2%}",
        "descriptors before, at most, after": f"{before[0]}, {watch.most_descriptors}, {after[0]}",
        "threads before, at most, after": f"{before[1]}, {watch.most_threads}, {after[1]}",
        "loop late by (p50, p99, p99.9, max)": f"{watch.late(0.5)}, {watch.late(0.99)}, {watch.late(0.999)}, {watch.late(1)} ms",
    }
    for name, value in rows.items():
        print(f"| {name} | {value} |")
    broken = {
        "numbers were lost": lost,
        "there are gaps in what a connection carried": gaps + tally.gaps_taken + tally.flood_gaps,
        "nothing was done": not (acknowledged and tally.taken and tally.floods and tally.calls and peer.killed),
        "calls were not heard": tally.calls_silent,
        "descriptors are left": after[0] > before[0],
        "threads are left": after[1] > before[1],
        "memory grows": seconds >= LONG and watch.growth() >= 0.01,
    }
    return [name for name, is_so in broken.items() if is_so]


async def settled(condition: Callable[[], bool]) -> None:
    """Wait until everything that was closed is: the core hears of a peer that is gone a moment later."""
    for _ in range(50):
        await asyncio.sleep(0.1)
        if condition():
            return


def stopped_after(seconds: float) -> asyncio.Event:
    event = asyncio.Event()
    asyncio.get_running_loop().call_later(seconds, event.set)
    return event


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=10, help="how long (default 10)")
    parser.add_argument(
        "--kill-every", type=float, default=7, help="seconds between two disturbances of the peer (default 7)"
    )
    parser.add_argument("--loop", choices=["asyncio", "uvloop"], default="asyncio")
    options = parser.parse_args()
    factory = uvloop.new_event_loop if options.loop == "uvloop" else asyncio.new_event_loop
    seconds = options.minutes * 60
    logging.getLogger("voxwire").setLevel(logging.ERROR)  # it tells of each knock and each kill
    with asyncio.Runner(loop_factory=factory) as runner:
        broken = runner.run(soak(seconds, min(options.kill_every, max(seconds / 4, 1))))
    for promise in broken:
        print(f"BROKEN: {promise}")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
