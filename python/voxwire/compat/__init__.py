"""Other libraries' interfaces on voxwire's core: code written for them runs with its import changed.

`compat.websockets` stands in for `websockets`, `compat.websocket` for `websocket-client`. Nothing here imports the
library it stands in for.
"""
