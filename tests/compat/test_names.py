"""Every public name of the originals is there: modules, functions, classes with their members, parameters, constants."""

import importlib
import inspect
import pkgutil
import re
import warnings
from collections.abc import Iterator
from fnmatch import fnmatchcase
from types import ModuleType
from typing import Any

import pytest
import websocket
import websockets
from names_that_differ import DIFFERENCES

_CONSTANTS = (int, float, str, bytes, tuple, list, dict, frozenset)
_SKIPPED = ("legacy", "cli", "speedups", "trio", "__main__", "tests")


def _walk() -> Iterator[tuple[str, str]]:
    for package, ours in ((websockets, "voxwire.compat.websockets"), (websocket, "voxwire.compat.websocket")):
        yield package.__name__, ours
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            rest = module.name.split(".")[1:]
            private = any(part.startswith("_") for part in rest)
            if not private and not any(part in _SKIPPED for part in rest):
                yield module.name, f"{ours}.{'.'.join(rest)}"


with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # the legacy package is imported on the way
    MODULES = list(_walk())
    """The original's modules and ours."""


def _load(name: str) -> ModuleType:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # some modules are former names
        return importlib.import_module(name)


def _default(value: object) -> str:
    if callable(value):
        return getattr(value, "__name__", repr(value))
    return re.sub(r" voxwire/[0-9.a-z]+", "", repr(value).replace("voxwire.compat.", ""))


def _parameters(function: Any) -> list[tuple[str, str, str]] | None:
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):
        return None
    return [
        (name, parameter.kind.name, "" if parameter.default is parameter.empty else _default(parameter.default))
        for name, parameter in signature.parameters.items()
    ]


def _kind(value: object) -> str:
    if inspect.isclass(value):
        return "class"
    if isinstance(value, (staticmethod, classmethod)) or callable(value):
        return "function"
    return "property" if inspect.isdatadescriptor(value) else "value"


def _compared(where: str, theirs: object, ours: object) -> Iterator[str]:
    """What differs between two objects of the same name: nothing is yielded for objects that are the same."""
    if _kind(theirs) == "function":
        if _kind(ours) != "function":
            yield f"{where}: is no function"
            return
        if inspect.iscoroutinefunction(theirs) != inspect.iscoroutinefunction(ours):
            yield f"{where}: one is a coroutine function"
        if _parameters(theirs) != _parameters(ours):
            yield f"{where}: {_parameters(theirs)} here {_parameters(ours)}"
    elif inspect.isclass(theirs) and inspect.isclass(ours):
        bases = [[base.__name__ for base in of.__mro__ if base.__name__[0] != "_"] for of in (theirs, ours)]
        if not set(bases[0]) <= set(bases[1]):
            yield f"{where}: bases {bases}"
        for name in dir(theirs):
            if not name.startswith("_") or name in ("__init__", "__iter__", "__aiter__", "__await__", "__enter__"):
                yield from _member(f"{where}.{name}", name, theirs, ours)
    elif isinstance(theirs, _CONSTANTS) and theirs != ours and _default(theirs) != _default(ours):
        yield f"{where}: {theirs!r} here {ours!r}"


def _member(where: str, name: str, theirs: Any, ours: Any) -> Iterator[str]:
    if not hasattr(ours, name):
        yield f"{where}: is not there"
        return
    one, other = inspect.getattr_static(theirs, name), inspect.getattr_static(ours, name)
    if _kind(one) in ("property", "value") and _kind(other) in ("property", "value"):
        return
    yield from _compared(where, getattr(theirs, name), getattr(ours, name))


def _difference(name: str, ours: str) -> Iterator[str]:
    theirs_module, ours_module = _load(name), _load(ours)
    exported = [sorted(getattr(module, "__all__", ())) for module in (theirs_module, ours_module)]
    if exported[0] and exported[0] != exported[1]:
        yield f"{name}: __all__ {set(exported[0]) ^ set(exported[1])}"
    for attribute, value in vars(theirs_module).items():
        if attribute.startswith("_") or inspect.ismodule(value):
            continue
        # What a module only imports is found where it comes from.
        source = getattr(value, "__module__", name)
        if attribute not in exported[0] and source != name:
            continue
        if not hasattr(ours_module, attribute):
            yield f"{name}.{attribute}: is not there"
            continue
        yield from _compared(f"{name}.{attribute}", value, getattr(ours_module, attribute))


@pytest.mark.parametrize(("name", "ours"), MODULES, ids=lambda value: value)
def test_the_same_names(name: str, ours: str) -> None:
    found = {line.partition(":")[0]: line for line in _difference(name, ours)}
    unlisted = [
        line for where, line in sorted(found.items()) if not any(fnmatchcase(where, item) for item in DIFFERENCES)
    ]
    assert not unlisted, "\n".join(unlisted)


def test_what_is_listed_differs() -> None:
    found = [line.partition(":")[0] for name, ours in MODULES for line in _difference(name, ours)]
    assert [item for item in DIFFERENCES if not any(fnmatchcase(where, item) for where in found)] == []
