#!/bin/sh
# Which lines of the core and which branches of the package the tests reach; writes docs/coverage.md.
#
# The Rust tests run with counters in them, and so does the extension while pytest runs: what only Python's tests reach
# counts, too. Needs the llvm-profdata and llvm-cov of the compiler's LLVM (`rustc -vV` names it), as Debian's llvm-22 has
# them. The installed extension stays as it is. Takes about 10 minutes.
set -eu
cd "$(dirname "$0")/.."
root=$PWD
place=$root/target/coverage
version=$(rustc -vV | sed -n 's/^LLVM version: \([0-9]*\).*/\1/p')
PATH=/usr/lib/llvm-$version/bin:$root/.venv/bin:$PATH
export PATH
command -v llvm-profdata >/dev/null || { echo "no llvm-profdata: install llvm-$version" >&2; exit 1; }
python -m pip install --quiet --disable-pip-version-check "coverage==7.17.3"

rm -rf "$place/raw" "$place/python" "$place/data"
mkdir -p "$place/raw" "$place/python" "$place/data"
export RUSTC_WORKSPACE_WRAPPER="$root/tools/instrumented.sh"
# A pool of four files for each program, into which its processes merge what they counted.
export LLVM_PROFILE_FILE="$place/raw/%4m.profraw"

# What the programs are called is in cargo's messages.
cargo test --locked --features net --no-run --message-format=json >"$place/tests.json"
cargo test --quiet --locked --features net >"$place/rust-tests.log" 2>&1 || { tail -50 "$place/rust-tests.log" >&2; exit 1; }

# The package, file by file a link to the one here, with the core that counts.
cargo build --quiet --locked --lib --features python --profile quick
cp -rs "$root/python/voxwire" "$place/python/"
rm -f "$place/python/voxwire/"_core.*.so
cp "${CARGO_TARGET_DIR:-target}/quick/libvoxwire.so" "$place/python/voxwire/_core.abi3.so"
# Tests fail that look at memory or time with counters in the way: that is for `make test` to judge.
PYTHONPATH="$place/python" COVERAGE_FILE="$place/data/.coverage" python -m coverage run --rcfile=tools/coverage.ini \
    -m pytest -n "${JOBS:-3}" --dist loadfile -p no:cacheprovider --timeout 120 >"$place/pytest.log" 2>&1 || true
tail -1 "$place/pytest.log"

COVERAGE_FILE="$place/data/.coverage" python -m coverage combine --quiet --rcfile=tools/coverage.ini "$place/data"
COVERAGE_FILE="$place/data/.coverage" python -m coverage json --quiet --rcfile=tools/coverage.ini -o "$place/python.json"
llvm-profdata merge -sparse "$place"/raw/*.profraw -o "$place/all.profdata"
python tools/coverage_table.py "$place"
