"""docs/security.md says what there is: its tests exist, its limits are those of the code. And comparing passwords."""

import ast
import hmac
import inspect
import re
from pathlib import Path

import pytest

from voxwire import Engine
from voxwire.compat.websockets.asyncio import auth
from voxwire.parameters import MIB, WebSocketParameters

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/security.md").read_text()
UNITS = {"s": 1, "KiB": 1024, "MiB": MIB, "": 1}


def rows(heading: str) -> list[list[str]]:
    """The cells of the table under a heading, without its head."""
    text = PAGE.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    lines = [line for line in text.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


THREATS = rows("What an attacker can send, and what stops it")
NAMED = [name for *_, shown in THREATS for name in re.findall(r"`([^`]+)`", shown)]


@pytest.mark.parametrize("name", NAMED)
def test_a_test_that_is_named_exists(name: str) -> None:
    file, _, function = name.partition("::")
    assert re.search(rf"^\s*(async )?(def|fn) {function}\(", (ROOT / file).read_text(), re.MULTILINE)


def test_every_threat_names_a_test() -> None:
    assert len(THREATS) >= 20
    assert all("::" in shown for *_, shown in THREATS)


def number(text: str) -> float:
    match = re.fullmatch(r"([\d.]+) ?(\w*)", text)
    assert match, text
    return float(match[1]) * UNITS[match[2]]


def defaults_of_parameters() -> dict[str, float]:
    """What `get("name", default)` stands for in parameters.py."""
    found = {}
    for node in ast.walk(ast.parse((ROOT / "python/voxwire/parameters.py").read_text())):
        match node:
            case ast.Call(func=ast.Name("get") | ast.Attribute(attr="get"), args=[ast.Constant(str(name)), default]):
                known = {"MIB": MIB, "max": max, "least": 0.0}
                try:
                    found[name] = eval(compile(ast.Expression(default), "parameters.py", "eval"), known)
                except NameError:
                    pass
    return found


@pytest.mark.parametrize(("limit", "default", "where"), rows("Limits"))
def test_a_limit_is_what_the_page_says(limit: str, default: str, where: str) -> None:
    name = limit.strip("`")
    if where == "parameter":
        assert name in WebSocketParameters.__annotations__
        assert defaults_of_parameters()[name] == number(default)
    elif where == "of a server":
        assert inspect.signature(Engine.allowWebSocketConnections).parameters[name].default == number(default)
    else:
        match = re.fullmatch(r"`(\S+)`: `(.+)`", where)
        assert match, where
        assert match[2] in (ROOT / match[1]).read_text()
        value = re.split(r"[:=] (?=[\d ()*<]+$)", match[2])[-1]
        assert eval(value) == number(default)


RUST = {
    "connect_timeout": r"connect_timeout: Some\(Duration::from_secs\((\d+)\)\)",
    "handshake_timeout": r"handshake_timeout: Some\(Duration::from_secs\((\d+)\)\)",
    "close_timeout": r"close_timeout: Duration::from_secs\((\d+)\)",
    "ping_interval": r"ping_interval: Some\(Duration::from_secs\((\d+)\)\)",
    "ping_timeout": r"ping_timeout: Some\(Duration::from_secs\((\d+)\)\)",
    "receive_buffer": r"receive_buffer: ([\d<> ]+),",
    "send_buffer": r"send_buffer: ([\d<> ]+),",
}


@pytest.mark.parametrize("name", RUST)
def test_the_core_has_the_same_default(name: str) -> None:
    match = re.search(RUST[name], (ROOT / "src/net/options.rs").read_text())
    assert match
    assert eval(match[1]) == defaults_of_parameters()[name]


def test_an_unknown_user_is_compared_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """Otherwise the time would tell which users there are."""
    compared: list[tuple[bytes, bytes]] = []

    def compare(one: bytes, other: bytes) -> bool:
        compared.append((one, other))
        return one == other

    monkeypatch.setattr(hmac, "compare_digest", compare)
    check = auth.known([("user", "secret"), ("empty", "")])
    assert check("user", "secret")
    assert check("empty", "")
    assert not check("user", "guess")
    assert not check("nobody", "guess")
    assert not check("nobody", "")
    assert len(compared) == 5
