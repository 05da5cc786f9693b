"""Async tests run on asyncio's loop and on uvloop (or on those that their module names as `ON_LOOPS`); an exception that
reaches the loop's handler fails the test.
"""

import asyncio
import inspect
import logging
import os
from collections.abc import Callable
from typing import Any, cast

import pytest
import trustme
import uvloop
from support.tls import Certificates

for _name in [name for name in os.environ if name.lower().endswith("_proxy")]:
    del os.environ[_name]  # nothing here is for the proxy of whoever runs the tests

PATIENCE = 25.0
LOOPS: dict[str, Callable[[], asyncio.AbstractEventLoop]] = {
    "asyncio": asyncio.new_event_loop,
    "uvloop": uvloop.new_event_loop,
}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if inspect.iscoroutinefunction(metafunc.function):
        metafunc.fixturenames.append("loop_name")
    if "loop_name" in metafunc.fixturenames:
        metafunc.parametrize("loop_name", getattr(metafunc.module, "ON_LOOPS", list(LOOPS)))
    drivers = getattr(metafunc.module, "ON_DRIVERS", None)
    if drivers is not None:
        metafunc.fixturenames.append("driver")
        metafunc.parametrize("driver", drivers, indirect=True)


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    if not inspect.iscoroutinefunction(pyfuncitem.obj):
        return None
    arguments = {name: pyfuncitem.funcargs[name] for name in inspect.signature(pyfuncitem.obj).parameters}
    expected = cast("list[dict[str, Any]] | None", pyfuncitem.funcargs.get("loop_errors"))
    errors: list[dict[str, Any]] = [] if expected is None else expected

    async def main() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _loop, context: errors.append(context))
        await asyncio.wait_for(pyfuncitem.obj(**arguments), PATIENCE)

    with asyncio.Runner(loop_factory=LOOPS[str(pyfuncitem.callspec.params["loop_name"])]) as runner:
        runner.run(main())
    if expected is None:
        assert not errors
    return True


@pytest.fixture
def driver(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Who reads the connections of this test, where its module names `ON_DRIVERS`."""
    name = str(request.param)
    monkeypatch.setenv("VOXWIRE_DRIVER", name)
    return name


@pytest.fixture
def loop_errors() -> list[dict[str, Any]]:
    """What reached the loop's exception handler; a test that asks for it looks at it itself."""
    return []


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return Certificates(trustme.CA(), tmp_path_factory.mktemp("certificates"))


@pytest.fixture(autouse=True)
def quiet(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, logger="voxwire")
