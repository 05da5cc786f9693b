"""The layers that the compiler cannot check: what the sans-IO code must not name, and who must not know whom.

Tests may take a clock to have some Instant to start from; everything else gets the time as an argument.
"""

import re
import sys
from pathlib import Path

SRC = Path(__file__).resolve().parent.parent / "src"
NO_IO = [
    (r"\btokio\b", "a runtime"),
    (r"\bpyo3\b", "Python"),
    (r"\brustls\b", "TLS"),
    (r"Instant::now|SystemTime|UNIX_EPOCH|\.elapsed\(\)", "a clock"),
    (r"std::(thread|fs|process|env)\b", "the operating system"),
    (r"\b(TcpStream|UdpSocket|TcpListener|UnixStream)\b", "a socket"),
    (r"crate::(net|python)\b", "a layer above"),
]
RULES = {
    "proto": [*NO_IO, (r"crate::(media|session)\b", "a layer it must not know")],
    "media": [*NO_IO, (r"crate::(proto|session)\b", "a layer it must not know")],
    "session": NO_IO,
    "net": [(r"\bpyo3\b", "Python"), (r"crate::python\b", "a layer above")],
}


def code_of(text: str) -> list[str]:
    """The lines of a file without comments, up to its tests."""
    body = text.split("#[cfg(test)]", maxsplit=1)[0]
    return [re.sub(r"//.*", "", line) for line in body.splitlines()]


def main() -> int:
    """Print every breach; 1 if there is one."""
    breaches = 0
    for layer, rules in RULES.items():
        for path in sorted((SRC / layer).rglob("*.rs")):
            if path.name == "tests.rs":
                continue
            for number, line in enumerate(code_of(path.read_text()), 1):
                for pattern, what in rules:
                    if re.search(pattern, line):
                        print(f"{path.relative_to(SRC.parent)}:{number}: {layer} names {what}: {line.strip()}")
                        breaches += 1
    return 1 if breaches else 0


if __name__ == "__main__":
    sys.exit(main())
