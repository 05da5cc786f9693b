#!/bin/sh
# Says what to install when Rust or Python is missing or too old.
set -eu

newer() { # newer A B: version A is at least B
    [ "$(printf '%s\n%s\n' "$2" "$1" | sort -V | head -n 1)" = "$2" ]
}

fail() {
    echo "voxwire: $1" >&2
    exit 1
}

command -v "$PYTHON" >/dev/null 2>&1 ||
    fail "no $PYTHON found. Install CPython $MIN_PYTHON or newer (python.org, your system's packages, pyenv), or name one: make PYTHON=/path/to/python3 …"
have=$("$PYTHON" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
newer "$have" "$MIN_PYTHON" ||
    fail "$PYTHON is Python $have; voxwire needs $MIN_PYTHON or newer. Install one, or name one: make PYTHON=/path/to/python3 …"
"$PYTHON" -c 'import venv, ensurepip' 2>/dev/null ||
    fail "$PYTHON has no venv module. On Debian and Ubuntu: apt install python3-venv"

command -v cargo >/dev/null 2>&1 && command -v rustc >/dev/null 2>&1 ||
    fail "no Rust toolchain found. Install Rust $MIN_RUST or newer with rustup (https://rustup.rs), then open a new shell"
have=$(rustc --version | cut -d' ' -f2)
newer "$have" "$MIN_RUST" ||
    fail "rustc is $have; voxwire needs $MIN_RUST or newer. Run: rustup update stable"

command -v cc >/dev/null 2>&1 ||
    fail "no C compiler found (the TLS library has some assembler). On Debian and Ubuntu: apt install gcc"
