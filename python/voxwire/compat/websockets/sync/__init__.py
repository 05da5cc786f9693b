"""The API of `websockets.sync`: clients and servers in threads, without an event loop."""
