"""cdp-use's quick start, the Chrome DevTools Protocol: `with_cdp_use.py PORT`."""

import asyncio
import sys

from cdp_use.client import CDPClient


async def main() -> None:
    """Send commands, many at once, and hear of events."""
    titles: list[int] = []
    async with CDPClient(f"ws://127.0.0.1:{sys.argv[1]}/devtools/browser/1") as client:
        client.register.Target.targetCreated(lambda event, _: titles.append(len(event["targetInfo"]["title"])))
        answers = await asyncio.gather(*(client.send.Target.getTargets() for _ in range(20)))
        assert [answer["of"] for answer in answers] == ["Target.getTargets"] * 20, answers
    assert titles == [140_000] * 20, titles


asyncio.run(main())
