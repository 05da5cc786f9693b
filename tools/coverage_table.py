"""Writes docs/coverage.md from what tools/coverage.sh collected: lines of the core, branches of the package, by module.

Usage: coverage_table.py PLACE. Test code is not counted: `tests.rs`, `tests/`, and what follows `#[cfg(test)]`.
"""

import json
import re
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs/coverage.md"
EXPLAINED = ("src/proto", "src/media", "src/session")
"""Layers in which each line that is not covered has a reason on the page."""


def programs(place: Path) -> list[Path]:
    """The test programs that cargo named, and the extension."""
    messages = map(json.loads, (place / "tests.json").read_text().splitlines())
    found = [Path(m["executable"]) for m in messages if m.get("profile", {}).get("test") and m.get("executable")]
    return [*found, place / "python/voxwire/_core.abi3.so"]


def lines_of_the_core(place: Path) -> dict[str, dict[int, int]]:
    """How often each line ran, by file; a line of several programs counts for all of them."""
    first, *others = programs(place)
    command = ["llvm-cov", "export", "--format=lcov", f"--instr-profile={place / 'all.profdata'}", str(first)]
    command += [option for other in others for option in ("--object", str(other))]
    command += [str(ROOT / "src")]
    found: dict[str, dict[int, int]] = {}
    for record in subprocess.check_output(command, text=True).split("end_of_record\n"):
        match = re.search(r"^SF:(.+)$", record, re.MULTILINE)
        if match is None or not Path(match[1]).is_relative_to(ROOT / "src"):
            continue
        name = str(Path(match[1]).relative_to(ROOT))
        if "/tests" in name:
            continue
        source = (ROOT / name).read_text().splitlines()
        end = next((n for n, line in enumerate(source, 1) if line.startswith("#[cfg(test)]")), len(source) + 1)
        pairs = (map(int, pair) for pair in re.findall(r"^DA:(\d+),(\d+)", record, re.MULTILINE))
        found[name] = {line: count for line, count in pairs if line < end}
    return found


def by_module(files: dict[str, tuple[int, int]], depth: int) -> dict[str, tuple[int, int]]:
    """Sums of (all, reached) by the first parts of the path."""
    sums: dict[str, tuple[int, int]] = defaultdict(lambda: (0, 0))
    for name, (total, reached) in files.items():
        parts = Path(name).with_suffix("").parts
        module = "/".join(parts[: depth + 1] if len(parts) > depth + 1 else parts[:depth])
        sums[module] = (sums[module][0] + total, sums[module][1] + reached)
    return dict(sorted(sums.items()))


def table(head: str, sums: dict[str, tuple[int, int]]) -> list[str]:
    rows = [f"| module | {head} | reached | |", "|---|---|---|---|"]
    everything = (sum(total for total, _ in sums.values()), sum(reached for _, reached in sums.values()))
    for name, (total, reached) in [*sums.items(), ("**all**", everything)]:
        share = f"{reached / total:.1%}" if total else "-"
        rows.append(f"| {name if '*' in name else f'`{name}`'} | {total} | {reached} | {share} |")
    return rows


def uncovered(files: dict[str, dict[int, int]]) -> list[str]:
    """The lines that no test reaches, as `file`: text, in the layers that are to be explained."""
    found = []
    for name, lines in sorted(files.items()):
        if name.startswith(EXPLAINED):
            source = (ROOT / name).read_text().splitlines()
            found += [
                f"{name}:{line}: {source[line - 1].strip()}" for line, count in sorted(lines.items()) if not count
            ]
    return found


def main(place: Path) -> None:
    core = lines_of_the_core(place)
    reached = {name: (len(lines), sum(1 for count in lines.values() if count)) for name, lines in core.items()}
    branches = {
        str(Path(name)): (data["summary"]["num_branches"], data["summary"]["covered_branches"])
        for name, data in json.loads((place / "python.json").read_text())["files"].items()
    }
    made = "\n".join(
        [
            "## The core: lines",
            "",
            *table("lines", by_module(reached, 2)),
            "",
            "## The package: branches",
            "",
            *table("branches", by_module(branches, 2)),
            "",
        ]
    )
    page = PAGE.read_text()
    start, rest = page.split("<!-- made by make coverage -->\n", 1)
    _, end = rest.split("<!-- end -->\n", 1)
    PAGE.write_text(f"{start}<!-- made by make coverage -->\n{made}<!-- end -->\n{end}")
    left = uncovered(core)
    (place / "uncovered.txt").write_text("".join(f"{line}\n" for line in left))
    print(f"{PAGE.relative_to(ROOT)} written; {len(left)} lines of {', '.join(EXPLAINED)} in {place / 'uncovered.txt'}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
