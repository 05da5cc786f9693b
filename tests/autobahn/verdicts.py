"""What the verdicts must be, and the table of what they are. Nothing here runs a case.

A case fails the gate when its verdict is not the one in `expected.json`, whose verdicts are OK, NON-STRICT or
INFORMATIONAL and never anything worse. In one thing a difference is tolerated and only reported: OK and NON-STRICT may
take each other's place in the cases of `TIMING`.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TypeAlias

from suite import Verdict

EXPECTED = Path(__file__).with_name("expected.json")
Results: TypeAlias = dict[str, Verdict]

# These send a good message and, often in one TCP segment, a frame that breaks the protocol. OK: the echo of the first was
# sent before the connection failed. NON-STRICT: it was not, which RFC 6455 section 7.1.7 allows, and which depends on how
# fast the application's thread is. (6.4: the same for a message that is cut where its UTF-8 breaks.)
TIMING = (
    *("3.2", "3.3", "3.4", "4.1.3", "4.1.4", "4.1.5", "4.2.3", "4.2.4", "4.2.5", "5.15"),
    *("6.4.1", "6.4.2", "6.4.3", "6.4.4"),
)

_ACCEPTABLE = ("OK", "NON-STRICT", "INFORMATIONAL")
_COLUMNS = ("OK", "NON-STRICT", "INFORMATIONAL", "FAILED", "UNIMPLEMENTED")


def matches(case: str, patterns: Iterable[str]) -> bool:
    """Answer whether a pattern is the case, its section ("9", "9.3") or a glob ("9.*")."""
    return any(fnmatchcase(case, pattern) or case.startswith(f"{pattern}.") for pattern in patterns)


def case_order(case: str) -> list[int]:
    """Return a sort key: the numbers of a case's id."""
    return [int(number) for number in case.split(".")]


def acceptable(verdict: Verdict) -> bool:
    """Answer whether the case conforms: nothing FAILED, UNCLEAN, WRONG CODE, FAILED BY CLIENT or UNIMPLEMENTED."""
    return verdict.behavior in _ACCEPTABLE and verdict.close in ("OK", "INFORMATIONAL")


def expectations(role: str) -> dict[str, tuple[str, str]]:
    """Read the expected verdicts of a role: case -> behaviour, behaviour at the close."""
    if not EXPECTED.exists():
        return {}
    return {case: (behavior, close) for case, (behavior, close) in json.loads(EXPECTED.read_text())[role].items()}


def record(results: Mapping[str, Results]) -> None:
    """Write the verdicts of these roles to `expected.json`, over those that it has for the same cases."""
    lines = []
    for role in ("client", "server"):
        seen = {case: (it.behavior, it.close) for case, it in results.get(role, {}).items() if acceptable(it)}
        wanted = {**expectations(role), **seen}
        cases = [f'  "{case}": {json.dumps(wanted[case])}' for case in sorted(wanted, key=case_order)]
        lines.append(f' "{role}": {{\n' + ",\n".join(cases) + "\n }")
    EXPECTED.write_text("{\n" + ",\n".join(lines) + "\n}\n")


def compare(role: str, results: Results) -> tuple[list[str], list[str]]:
    """Compare with what is expected: the lines that fail the gate, and those worth knowing."""
    expected = expectations(role)
    failures, notes = [], []
    for case in sorted(results, key=case_order):
        verdict = results[case]
        got, wanted = (verdict.behavior, verdict.close), expected.get(case)
        line = f"{role} {case}: {_pair(got)}, expected {_pair(wanted) if wanted else 'nothing: it is not recorded'}"
        if not acceptable(verdict) or (got != wanted and not _tolerated(case, got, wanted)):
            failures.append(f"{line}\n{verdict.detail}".rstrip())
        elif got != wanted:
            notes.append(f"{line}: timing, tolerated")
    return failures, notes


def table(results: Mapping[str, Results]) -> str:
    """Return the table of verdicts by section and role. FAILED counts whatever is not acceptable in either part."""
    head = f"{'role':8}{'section':>8}{'cases':>7}" + "".join(f"{name:>15}" for name in _COLUMNS)
    rows = [head]
    for role, verdicts in results.items():
        sections: dict[int, Counter[str]] = {}
        for case, verdict in verdicts.items():
            sections.setdefault(case_order(case)[0], Counter())[_column(verdict)] += 1
        for section in sorted(sections):
            rows.append(_row(role, str(section), sections[section]))
        rows.append(_row(role, "all", sum(sections.values(), Counter())))
    return "\n".join(rows)


def _tolerated(case: str, got: tuple[str, str], wanted: tuple[str, str] | None) -> bool:
    if wanted is None or case not in TIMING or got[1] != wanted[1]:
        return False
    return {got[0], wanted[0]} == {"OK", "NON-STRICT"}


def _column(verdict: Verdict) -> str:
    if verdict.behavior == "UNIMPLEMENTED":
        return "UNIMPLEMENTED"
    return verdict.behavior if acceptable(verdict) else "FAILED"


def _row(role: str, section: str, counts: Counter[str]) -> str:
    return f"{role:8}{section:>8}{counts.total():>7}" + "".join(f"{counts[name] or '':>15}" for name in _COLUMNS)


def _pair(verdict: tuple[str, str]) -> str:
    return verdict[0] if verdict[0] == verdict[1] else f"{verdict[0]} / close {verdict[1]}"
