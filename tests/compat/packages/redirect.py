"""Programs of other packages on voxwire: `websockets` and its modules are `voxwire.compat.websockets`. Nothing else."""

from __future__ import annotations

import importlib
import importlib.abc
import importlib.machinery
import importlib.util
import runpy
import sys
from collections.abc import Sequence
from types import ModuleType

OURS = "voxwire.compat.websockets"


class Redirect(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Finds each module of `websockets` in voxwire; what voxwire lacks is not found."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """Answer a spec for names of `websockets` only. Raises ModuleNotFoundError for what voxwire lacks."""
        top, _, rest = fullname.partition(".")
        if top != "websockets":
            return None
        name = f"{OURS}.{rest}" if rest else OURS
        if importlib.util.find_spec(name) is None:
            message = f"No module named {fullname!r} in voxwire.compat"
            raise ModuleNotFoundError(message, name=fullname)
        return importlib.machinery.ModuleSpec(fullname, self, loader_state=name, is_package=True)

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType:
        """Answer the proxy that `exec_module` replaces."""
        return ModuleType(spec.name)

    def exec_module(self, module: ModuleType) -> None:
        """Put voxwire's module in the place of the proxy, unchanged."""
        spec = module.__spec__
        assert spec is not None
        sys.modules[spec.name] = importlib.import_module(spec.loader_state)


def main() -> None:
    """`redirect.py SCRIPT ARGUMENT...`: run a script with the redirection; fail if the original was loaded."""
    sys.meta_path.insert(0, Redirect())
    sys.argv = sys.argv[1:]
    runpy.run_path(sys.argv[0], run_name="__main__")
    foreign = [
        name
        for name, module in sys.modules.items()
        if name.partition(".")[0] == "websockets" and not module.__name__.startswith(OURS)
    ]
    assert not foreign, foreign
    assert "websockets" in sys.modules, "the script did not use websockets"


if __name__ == "__main__":
    main()
