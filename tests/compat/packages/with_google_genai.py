"""google-genai's quick start for the Live API, over TLS: `with_google_genai.py PORT`."""

import asyncio
import sys

from google import genai


async def main() -> None:
    """Say something, read the answer."""
    client = genai.Client(api_key="a-key", http_options={"base_url": f"https://127.0.0.1:{sys.argv[1]}"})
    config = {"response_modalities": ["TEXT"]}
    async with client.aio.live.connect(model="gemini-live", config=config) as session:
        await session.send_client_content(turns={"role": "user", "parts": [{"text": "Say hello!"}]}, turn_complete=True)
        words = [response.text async for response in session.receive() if response.text]
        assert words == ["Say", "hello!"], words


asyncio.run(main())
