"""Packages that use `websockets`, unchanged, on voxwire.compat.websockets: their quick starts against local servers.

`python packages` in tests/compat, in an environment that has them (`make compat-packages` makes it). Each script runs
on the original, too: it must succeed there, or it says nothing.
"""

from __future__ import annotations

import importlib.metadata
import os
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parent
PACKAGES = {
    "gql": "graphql",
    "uvicorn": None,
    "openai": "realtime",
    "cdp-use": "devtools",
    "google-genai": "live",
}
"""Each with its server in peers.py."""
OVER_TLS = {"google-genai"}


def run(package: str, *, ours: bool) -> str:
    """Answer "ok", or the last words of the script."""
    script = [str(HERE / f"with_{package.replace('-', '_')}.py")]
    command = [sys.executable, *([str(HERE / "redirect.py")] if ours else []), *script]
    name = PACKAGES[package]
    peer = None
    ca_file = tempfile.NamedTemporaryFile(suffix=".pem")
    if name is not None:
        serving = [sys.executable, str(HERE / "peers.py"), name]
        if package in OVER_TLS:
            serving.append(ca_file.name)
        peer = subprocess.Popen(serving, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert peer.stdout is not None
        command.append(peer.stdout.readline().strip())
    env = {**os.environ, "SSL_CERT_FILE": ca_file.name} if package in OVER_TLS else None
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, env=env)
    except subprocess.TimeoutExpired:
        return "no end after 60 s"
    finally:
        if peer is not None:
            peer.communicate(timeout=20)
        ca_file.close()
    return "ok" if done.returncode == 0 else done.stderr.strip()


def main() -> int:
    """Print a table; 1 if a script failed."""
    failed = False
    print("| package | websockets | voxwire |\n|---|---|---|")
    for package in PACKAGES:
        results = [run(package, ours=ours) for ours in (False, True)]
        print(
            f"| {package} {importlib.metadata.version(package)} | {' | '.join(r.splitlines()[-1] for r in results)} |"
        )
        for result in results:
            if result != "ok":
                failed = True
                print(result, file=sys.stderr)
    return failed


if __name__ == "__main__":
    sys.exit(main())
