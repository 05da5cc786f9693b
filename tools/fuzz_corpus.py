"""Choose the committed corpus of a fuzz target: few inputs that together reach (nearly) all that is reached.

`python3 tools/fuzz_corpus.py TARGET FOLDER ...` takes all inputs of these folders and of fuzz/corpus/TARGET, asks
libFuzzer which edges each reaches, and leaves at most MOST in fuzz/corpus/TARGET, those that add the most first. What is
called `finding-...` stays. `tools/fuzz.sh` runs it with MERGE=1.
"""

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

MOST = 90
LONGEST = 2048
ROOT = Path(__file__).resolve().parent.parent


def edges(target: str, folders: list[Path], work: Path) -> dict[Path, set[int]]:
    """The edges that each input reaches, longer ones left out."""
    control, empty = work / "control", work / "empty"
    empty.mkdir()
    options = ["-merge=1", f"-merge_control_file={control}", "-use_counters=0"]
    run = [
        "cargo",
        "fuzz",
        "run",
        "--target-dir",
        "target/fuzz",
        target,
        str(empty),
        *map(str, folders),
        "--",
        *options,
    ]
    subprocess.run(run, check=True, cwd=ROOT, env={**os.environ, "RUSTC_BOOTSTRAP": "1"})
    # libFuzzer's FuzzerMerge.h: how many inputs, how many of them in the first folder, their names, then what each has.
    count, _, *lines = control.read_text().splitlines()
    names = [Path(name) for name in lines[: int(count)]]
    found = (line.split() for line in lines[int(count) :])
    reached = {names[int(index)]: set(map(int, features)) for kind, index, *features in found if kind == "FT"}
    return {path: features for path, features in reached.items() if path.stat().st_size <= LONGEST}


def choose(reached: dict[Path, set[int]]) -> list[Path]:
    """Inputs in the order of what each adds, the shorter one where two add the same."""
    chosen: list[Path] = []
    left = dict(reached)
    while left and len(chosen) < MOST:
        best = max(left, key=lambda path: (len(left[path]), -path.stat().st_size))
        added = left.pop(best)
        if not added:
            break
        chosen.append(best)
        left = {path: found - added for path, found in left.items()}
    return chosen


def main() -> None:
    target, *others = sys.argv[1:]
    corpus = ROOT / "fuzz/corpus" / target
    corpus.mkdir(parents=True, exist_ok=True)
    folders = [Path(folder).resolve() for folder in others]
    with tempfile.TemporaryDirectory() as work:
        chosen = choose(edges(target, [*folders, corpus], Path(work)))
        contents = [path.read_bytes() for path in chosen]
    for path in corpus.iterdir():
        if not path.name.startswith("finding-"):
            path.unlink()
    for content in contents:
        (corpus / hashlib.sha1(content, usedforsecurity=False).hexdigest()).write_bytes(content)
    print(f"{target}: {len(list(corpus.iterdir()))} inputs, {sum(p.stat().st_size for p in corpus.iterdir())} bytes")


if __name__ == "__main__":
    if not shutil.which("cargo-fuzz"):
        sys.exit("cargo-fuzz is missing: cargo install cargo-fuzz")
    main()
