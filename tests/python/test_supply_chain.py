"""What is linked into the wheel: from where, and under which licence. `make audit` checks more."""

import json
import re
import subprocess
import tomllib
from functools import cache
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
DENY = tomllib.loads((ROOT / "deny.toml").read_text())
REGISTRY = "registry+https://github.com/rust-lang/crates.io-index"


@cache
def packages() -> list[dict[str, Any]]:
    """Everything that the lock file names, for the systems that the wheel is for."""
    systems = [option for target in DENY["graph"]["targets"] for option in ("--filter-platform", target)]
    command = ["cargo", "metadata", "--locked", "--all-features", "--format-version", "1", *systems]
    metadata = json.loads(subprocess.check_output(command, cwd=ROOT, timeout=60))
    wanted = {node["id"] for node in metadata["resolve"]["nodes"]}
    return [package for package in metadata["packages"] if package["id"] in wanted]


def allowed(expression: str, licences: set[str]) -> bool:
    """Whether an SPDX expression can be met with these licences."""
    tokens = re.findall(r"[()]|[^\s()]+(?: WITH [^\s()]+)?", expression.replace("/", " OR "))
    python = " ".join({"OR": "or", "AND": "and", "(": "(", ")": ")"}.get(t, str(t in licences)) for t in tokens)
    return bool(eval(python))


@pytest.mark.parametrize(
    ("expression", "good"),
    [
        ("MIT", True),
        ("MIT/GPL-3.0", True),
        ("GPL-3.0", False),
        ("MIT AND GPL-3.0", False),
        ("GPL-3.0 OR MIT WITH exception", False),
        ("(MIT OR GPL-3.0) AND ISC", True),
        ("MIT AND (ISC OR BSD-3-Clause) AND GPL-2.0", False),
    ],
)
def test_expressions(expression: str, good: bool) -> None:
    assert allowed(expression, {"MIT", "ISC"}) is good


def test_every_dependency_has_a_licence_that_is_allowed() -> None:
    licences = set(DENY["licenses"]["allow"])
    assert len(packages()) > 50
    wrong = {
        package["name"]: package["license"]
        for package in packages()
        if not allowed(package["license"] or "NONE", licences)
    }
    assert not wrong


def test_everything_comes_from_the_registry() -> None:
    sources = {package["source"] for package in packages()}
    assert sources == {None, REGISTRY}
    assert [package["name"] for package in packages() if package["source"] is None] == ["voxwire"]


@pytest.mark.parametrize("lock", ["Cargo.lock", "fuzz/Cargo.lock", "benches/native/Cargo.lock"])
def test_what_is_locked_has_a_checksum(lock: str) -> None:
    for package in tomllib.loads((ROOT / lock).read_text())["package"]:
        if "source" in package:
            assert package["source"] == REGISTRY, package
            assert re.fullmatch(r"[0-9a-f]{64}", package["checksum"]), package


def test_python_requirements_name_no_place() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert project["project"]["dependencies"] == []
    groups = project["dependency-groups"].values()
    wanted = [*project["build-system"]["requires"], *(entry for group in groups for entry in group)]
    assert not [entry for entry in wanted if "://" in entry or "@" in entry]


def test_banned_crates_are_not_locked() -> None:
    banned = {entry["crate"] for entry in DENY["bans"]["deny"]}
    assert not banned & {package["name"] for package in packages()}
