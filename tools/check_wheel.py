"""Checks a wheel before anybody installs it: its licences, its SBOM, the shared libraries and the glibc that it needs.

Usage: check_wheel.py FILE.whl. Exit code 1 with what is wrong.
"""

import json
import re
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

SYSTEM = {
    "libc.so.6",
    "libm.so.6",
    "libgcc_s.so.1",
    "libpthread.so.0",
    "libdl.so.2",
    "ld-linux-x86-64.so.2",
    "ld-linux-aarch64.so.1",
}
"""What every manylinux system has (PEP 600); anything else would have to be in the wheel."""
LICENCES = {"LICENSE-MIT", "LICENSE-APACHE", "LICENSE-OPUS"}
LINKED = {"tokio", "rustls", "ring", "opusic-sys", "libz-sys", "pyo3", "tungstenite"}
"""Crates that must be in the SBOM: what is in the wheel for sure."""


def needs(library: Path) -> tuple[set[str], tuple[int, ...]]:
    """The shared libraries that an ELF file names, and the newest glibc whose symbols it uses."""
    told = subprocess.check_output(["readelf", "--wide", "--dynamic", "--version-info", str(library)], text=True)
    libraries = set(re.findall(r"\(NEEDED\).*\[(.+)\]", told))
    versions = (tuple(map(int, version.split("."))) for version in re.findall(r"GLIBC_([\d.]+)", told))
    return libraries, max(versions, default=(0,))


def problems(wheel: Path) -> list[str]:
    """What is wrong with it; prints what is right."""
    found = []
    with zipfile.ZipFile(wheel) as archive, tempfile.TemporaryDirectory() as directory:
        names = archive.namelist()
        licences = {Path(name).name for name in names if ".dist-info/licenses/" in name}
        if not licences >= LICENCES:
            found.append(f"licences are missing: {sorted(LICENCES - licences)}")
        sboms = [name for name in names if ".dist-info/sboms/" in name and name.endswith(".cyclonedx.json")]
        crates: set[str] = set()
        for name in sboms:
            bill = json.loads(archive.read(name))
            crates |= {component["name"] for component in bill["components"]}
            print(f"{name}: {bill['bomFormat']} {bill['specVersion']}, {len(bill['components'])} components")
        if not crates >= LINKED:
            found.append(f"the SBOM does not name {sorted(LINKED - crates)}")
        extensions = [name for name in names if name.endswith(".so")]
        if len(extensions) != 1:
            found.append(f"there is not one extension, but {extensions}")
        tag = re.search(r"manylinux_(\d+)_(\d+)_", wheel.name)
        if sys.platform == "linux" and tag is None:
            found.append(f"{wheel.name} has no manylinux tag: it would not be taken for other systems than this")
        for name in extensions if tag else ():
            libraries, glibc = needs(Path(archive.extract(name, directory)))
            promised = (int(tag[1]), int(tag[2])) if tag else ()
            print(f"{name}: needs {', '.join(sorted(libraries))}; glibc {'.'.join(map(str, glibc))}")
            if libraries - SYSTEM:
                found.append(f"it needs libraries that not every system has: {sorted(libraries - SYSTEM)}")
            if glibc > promised:
                found.append(f"it needs glibc {glibc}, its name promises {promised}")
    return found


def main() -> None:
    wrong = problems(Path(sys.argv[1]))
    if wrong:
        sys.exit("\n".join(wrong))


if __name__ == "__main__":
    main()
