#!/bin/sh
# Builds the wheel twice, in two directories of different names and lengths, and compares the bytes. PROFILE=quick to be
# done sooner. What would differ is told away: paths (of this source, of cargo's registry, in Rust and in the C of libopus,
# zlib and ring) and the time, which is that of the last commit. What has to be the same: rustc, the C compiler, cmake, maturin.
set -eu
cd "$(dirname "$0")/.."
root=$PWD
profile=${PROFILE:-release}
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
SOURCE_DATE_EPOCH=$(git log -1 --format=%ct)
export SOURCE_DATE_EPOCH
PATH=$root/.venv/bin:$PATH
export PATH
for name in one another-one; do
    here=$place/$name
    mkdir "$here"
    git ls-files --cached --others --exclude-standard | tar cf - -T - | tar xf - -C "$here"
    home=${CARGO_HOME:-$HOME/.cargo}
    (
        cd "$here"
        export CARGO_TARGET_DIR="$here/target"
        export RUSTFLAGS="--remap-path-prefix=$here=. --remap-path-prefix=$home=cargo"
        export CFLAGS="-ffile-prefix-map=$here=. -ffile-prefix-map=$home=cargo"
        python -m maturin build --profile "$profile" --quiet --locked --out "$place/$name-dist" >/dev/null
        python tools/finish_wheel.py "$place/$name-dist"/*.whl
    )
    sha256sum "$place/$name-dist"/*.whl
done
if cmp "$place"/one-dist/*.whl "$place"/another-one-dist/*.whl; then
    echo "the same bytes"
else
    # Which file of the two it is.
    for name in one another-one; do
        python -m zipfile -e "$place/$name-dist"/*.whl "$place/$name-files"
    done
    diff -rq "$place/one-files" "$place/another-one-files" || true
    exit 1
fi
