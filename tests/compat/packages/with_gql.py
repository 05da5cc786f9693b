"""gql's quick start for subscriptions: `with_gql.py PORT`."""

import asyncio
import sys

from gql import Client, gql
from gql.transport.websockets import WebsocketsTransport


async def main() -> None:
    """Subscribe to a countdown, twice on one connection."""
    transport = WebsocketsTransport(url=f"ws://127.0.0.1:{sys.argv[1]}/graphql")
    query = gql("subscription countdown($start: Int!) { number(start: $start) }")
    async with Client(transport=transport) as session:
        for start in (3, 100):
            query.variable_values = {"start": start}
            numbers = [result["number"] async for result in session.subscribe(query)]
            assert numbers == list(range(start, -1, -1)), numbers


asyncio.run(main())
