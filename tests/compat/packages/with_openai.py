"""openai's quick start for the Realtime API: `with_openai.py PORT`."""

import asyncio
import sys

from openai import AsyncOpenAI


async def main() -> None:
    """Say something, read the answer."""
    client = AsyncOpenAI(api_key="a-key", websocket_base_url=f"ws://127.0.0.1:{sys.argv[1]}/v1")
    async with client.realtime.connect(model="gpt-realtime") as connection:
        content = [{"type": "input_text", "text": "Say hello!"}]
        await connection.conversation.item.create(item={"type": "message", "role": "user", "content": content})
        await connection.response.create()
        words = []
        async for event in connection:
            if event.type == "response.output_text.delta":
                words.append(event.delta)
            elif event.type == "response.done":
                break
        assert words == ["Say", "hello!"], words


asyncio.run(main())
