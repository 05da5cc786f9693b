"""Other libraries' interfaces on voxwire's core: `compat.websockets` for code written for the `websockets` library.

Nothing here imports the library it stands in for.
"""
