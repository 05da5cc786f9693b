"""Clients and servers for asyncio."""
