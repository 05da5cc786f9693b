"""docs/migration.md names every public name of the original."""

import importlib
import re
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[2] / "docs" / "migration.md"
MODULES: tuple[str, ...] = (
    "",
    ".asyncio.client",
    ".asyncio.server",
    ".asyncio.router",
    ".sync.client",
    ".sync.server",
    ".sync.router",
    ".exceptions",
    ".frames",
    ".datastructures",
)
MODULES += (".http11", ".typing", ".extensions", ".extensions.permessage_deflate", ".protocol", ".client", ".server")


@pytest.mark.parametrize("module", MODULES)
def test_every_name_is_there(module: str) -> None:
    named = set(re.findall(r"\w+", PAGE.read_text()))
    assert set(importlib.import_module(f"websockets{module}").__all__) - named == set()


@pytest.mark.parametrize("name", ["BasicAuthWebSocketServerProtocol", "WebSocketClientProtocol", "InvalidStatusCode"])
def test_what_is_refused_says_so(name: str) -> None:
    with pytest.raises(AttributeError, match="legacy implementation is not part of voxwire.compat"):
        getattr(importlib.import_module("voxwire.compat.websockets"), name)
