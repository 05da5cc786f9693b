"""What is not there raises an error that says so."""

import importlib
import subprocess
import sys

import pytest


@pytest.mark.filterwarnings("ignore:websockets.auth")
def test_what_the_legacy_module_had() -> None:
    auth = importlib.import_module("voxwire.compat.websockets.auth")
    with pytest.raises(NotImplementedError, match="legacy implementation"):
        auth.basic_auth_protocol_factory("realm")
    with pytest.raises(NotImplementedError, match="legacy implementation"):
        type("Mine", (auth.BasicAuthWebSocketServerProtocol,), {})


def test_the_original_is_not_imported() -> None:
    modules = "voxwire.compat.websockets.asyncio.client, voxwire.compat.websockets.asyncio.server"
    program = f"import sys, {modules}; print([name for name in sys.modules if name.split('.')[0] == 'websockets'])"
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=20, check=True)
    assert result.stdout.strip() == "[]"
