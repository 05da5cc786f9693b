"""Autobahn|Testsuite itself: finding a Python 2.7 for it, installing it, running `wstest`, reading its reports."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import socket
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

VERSION = "25.10.1"
PATIENCE = 900.0  # seconds, for pip
_LIST_CASES = """
from autobahntestsuite.case import Cases
print(' '.join(case.__name__[len('Case'):].replace('_', '.') for case in Cases))
"""


class SuiteError(Exception):
    """The suite cannot be installed or run; the message says what to do."""


@dataclass(frozen=True)
class Verdict:
    """What the suite says about one case."""

    behavior: str
    close: str
    detail: str = ""
    """Of a case that is not OK: what was expected and what happened, and where the report is."""


@dataclass(frozen=True)
class Suite:
    """An installed Autobahn|Testsuite."""

    python: Path
    base: Path

    @classmethod
    def ready(cls, python: str | None) -> Self:
        """Find a Python 2.7 (`python`, when given) and install the suite, unless it is there. Raises SuiteError."""
        cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
        suite = cls(_python27(python), cache / "voxwire" / f"autobahn-{VERSION}")
        if not suite.works():
            print(f"installing autobahntestsuite {VERSION} into {suite.base} (about a minute)", flush=True)
            suite.install()
        return suite

    def works(self) -> bool:
        """Answer whether the suite can be imported."""
        return self._run("-c", "import autobahntestsuite.wstest").returncode == 0

    def install(self) -> None:
        """Install it. Its packages share namespaces, so it has to be a --user installation, with a base of its own."""
        if self._run("-m", "pip", "--version").returncode != 0:
            self._run("-m", "ensurepip", "--user")
        options = ("--user", "--no-warn-script-location", "--disable-pip-version-check", "--quiet")
        done = self._run("-m", "pip", "install", *options, f"autobahntestsuite=={VERSION}")
        if done.returncode != 0 or not self.works():
            said = done.stderr[-2000:]
            message = f"autobahntestsuite {VERSION} could not be installed (it needs a C compiler):\n{said}"
            raise SuiteError(message)

    def cases(self) -> list[str]:
        """Return the ids of all cases, in the suite's order."""
        done = self._run("-c", _LIST_CASES)
        if done.returncode != 0:
            raise SuiteError(done.stderr)
        return done.stdout.split()

    async def start(self, mode: str, folder: Path, specification: dict[str, Any]) -> asyncio.subprocess.Process:
        """Start `wstest`. What it prints goes to wstest.log in `folder`, its reports to reports/."""
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        (folder / "spec.json").write_text(json.dumps({"outdir": "reports", **specification}))
        command = ("-u", "-m", "autobahntestsuite.wstest", "-m", mode, "-s", "spec.json", "-u", "0")
        with (folder / "wstest.log").open("wb") as log:
            return await asyncio.create_subprocess_exec(
                self.python, *command, cwd=folder, env=self._environment(), stdout=log, stderr=asyncio.subprocess.STDOUT
            )

    def _run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = (str(self.python), *arguments)
        return subprocess.run(
            command, env=self._environment(), capture_output=True, text=True, timeout=PATIENCE, check=False
        )

    def _environment(self) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
        return {**kept, "PYTHONUSERBASE": str(self.base)}


def verdicts(folder: Path, agent: str) -> dict[str, Verdict]:
    """Read the reports that `wstest` left in `folder`. Empty when it wrote none."""
    reports = folder / "reports"
    index = reports / "index.json"
    if not index.exists():
        return {}
    entries = json.loads(index.read_text()).get(agent, {})
    return {case: _verdict(reports, entry) for case, entry in entries.items()}


def log_tail(folder: Path) -> str:
    """Return the end of what `wstest` printed."""
    return (folder / "wstest.log").read_text(errors="replace")[-1500:]


def free_port() -> int:
    """Return a port that nothing listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


async def listening(port: int, process: asyncio.subprocess.Process) -> None:
    """Return when something listens on `port`. Raises SuiteError when the process ends before."""
    for _ in range(600):
        if process.returncode is not None:
            break
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            await asyncio.sleep(0.05)
        else:
            writer.close()
            return
    message = f"wstest does not listen on port {port}; see wstest.log in the reports"
    raise SuiteError(message)


async def stop(process: asyncio.subprocess.Process) -> None:
    """End it, if it runs."""
    if process.returncode is None:
        process.kill()
    await process.wait()


def _verdict(reports: Path, entry: dict[str, Any]) -> Verdict:
    behavior, close = entry["behavior"], entry["behaviorClose"]
    if (behavior, close) == ("OK", "OK"):
        return Verdict(behavior, close)
    file = reports / entry["reportfile"]
    case = json.loads(file.read_text())
    lines = (
        f"does:     {case['description']}",
        f"expects:  {case['expectation']}",
        f"result:   {case['result']} {case['resultClose']}",
        f"received: {str(case['received'])[:300]}",
        f"close:    {case['remoteCloseCode']} {case['remoteCloseReason'] or ''}",
        f"report:   {file.with_suffix('.html')}",
    )
    return Verdict(behavior, close, "\n".join(f"    {' '.join(line.split())}" for line in lines))


def _python27(given: str | None) -> Path:
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    found = [shutil.which(name) for name in ("python2.7", "python2")]
    versions = sorted(pyenv.glob("versions/2.7*/bin/python2.7"), reverse=True)
    for candidate in [given] if given else [*found, *map(str, versions)]:
        if candidate is not None and _is_27(candidate):
            return Path(candidate)
    where = given or f"PATH (python2.7, python2) and {pyenv}/versions"
    message = (
        f"no Python 2.7 in {where}, and Autobahn|Testsuite runs on nothing newer: install one (`pyenv install 2.7.18`) or "
        "name one with --python27. Its core cases run without: pytest tests/autobahn"
    )
    raise SuiteError(message)


def _is_27(python: str) -> bool:
    command = (python, "-c", "import sys; print('%d.%d' % sys.version_info[:2])")
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    except OSError:
        return False
    return done.stdout.strip() == "2.7"
