"""The native programs of the benchmarks, in `native/`: built when they are first needed, which takes seconds."""

from __future__ import annotations

import functools
import os
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[1]
_TARGET = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "benches"


@functools.cache
def program(name: str) -> str:
    """The path of `native/src/bin/<name>.rs`, compiled. Raises CalledProcessError when cargo refuses."""
    manifest = str(ROOT / "benches" / "native" / "Cargo.toml")
    build = [
        "cargo",
        "build",
        "--release",
        "--quiet",
        "--locked",
        "--manifest-path",
        manifest,
        "--target-dir",
        str(_TARGET),
    ]
    subprocess.run(build, check=True, stdin=subprocess.DEVNULL)
    return str(_TARGET / "release" / name)
