"""What the core cannot do raises an error that says so."""

import subprocess
import sys
from typing import Any

import pytest

from voxwire.compat.websockets.asyncio.client import ClientConnection, connect
from voxwire.compat.websockets.asyncio.server import serve
from voxwire.compat.websockets.extensions import ClientExtensionFactory, ServerExtensionFactory
from voxwire.compat.websockets.extensions.permessage_deflate import (
    ClientPerMessageDeflateFactory,
    ServerPerMessageDeflateFactory,
)
from voxwire.compat.websockets.typing import ExtensionName


class Offer(ClientExtensionFactory):
    name = ExtensionName("mine")


class Answer(ServerExtensionFactory):
    name = ExtensionName("mine")


def test_an_extension_of_ones_own() -> None:
    with pytest.raises(NotImplementedError, match="permessage-deflate only"):
        connect("ws://localhost", extensions=[Offer()])
    with pytest.raises(NotImplementedError, match="permessage-deflate only"):
        serve(_nothing, extensions=[Answer()])


@pytest.mark.parametrize("factory", [ClientPerMessageDeflateFactory, ServerPerMessageDeflateFactory])
def test_settings_of_zlib_that_the_core_has_not(factory: Any) -> None:
    factory(compress_settings={"level": 9, "memLevel": 9, "strategy": 0})
    with pytest.raises(NotImplementedError, match="strategy=3 is not supported"):
        factory(compress_settings={"strategy": 3})


def test_a_class_that_depends_on_the_inside() -> None:
    with pytest.raises(TypeError, match="overrides process_event, which voxwire.compat does not call"):
        type("Mine", (ClientConnection,), {"process_event": lambda self, event: None, "__module__": __name__})


def test_the_original_is_not_imported() -> None:
    modules = "voxwire.compat.websockets.asyncio.client, voxwire.compat.websockets.asyncio.server"
    program = f"import sys, {modules}; print([name for name in sys.modules if name.split('.')[0] == 'websockets'])"
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=20, check=True)
    assert result.stdout.strip() == "[]"


async def _nothing(connection: Any) -> None: ...
