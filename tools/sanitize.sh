#!/bin/sh
# The Rust tests under ThreadSanitizer and AddressSanitizer, and the extension under pytest with AddressSanitizer.
#   tools/sanitize.sh [thread|address|python]...     all three without an argument; ARGS="-k fork" for pytest
# On the stable compiler: RUSTC_BOOTSTRAP lets it take -Z. std is not instrumented, and the C of libopus and zlib is not.
set -eu
cd "$(dirname "$0")/.."
PY="$PWD/.venv/bin/python"
# cmake, which builds libopus, is in the environment unless the machine has one.
export PATH="$PATH:$PWD/.venv/bin"
HOST="$(rustc -vV | sed -n 's/^host: //p')"
export RUSTC_BOOTSTRAP=1
# A target of its own for each: the flags are part of every object.
TARGET="${CARGO_TARGET_DIR:-$PWD/target}/sanitize"

build_flags() {
    echo "-Zsanitizer=$1 -Cunsafe-allow-abi-mismatch=sanitizer -Cdebuginfo=1"
}

rust_tests() {
    # --target: build scripts and macros run without the sanitizer.
    RUSTFLAGS="$(build_flags "$1")" cargo test --quiet --locked --features net --target "$HOST" --target-dir "$TARGET-$1" \
        --lib --test net --test proto --test media_network --test media_concealment --test corpus
}

for what in ${@:-thread address python}; do
    echo "== $what"
    case "$what" in
    thread)
        TSAN_OPTIONS="halt_on_error=0 exitcode=66 suppressions=$PWD/tools/sanitize-thread.txt ${TSAN_OPTIONS:-}" rust_tests thread
        ;;
    address)
        # A core lives as long as its process: what it holds at the end is no leak, and LeakSanitizer sees it as none.
        ASAN_OPTIONS="detect_leaks=0 detect_stack_use_after_return=1 ${ASAN_OPTIONS:-}" rust_tests address
        ;;
    python)
        RUSTFLAGS="$(build_flags address)" cargo build --quiet --locked --lib --features python --target "$HOST" \
            --target-dir "$TARGET-address"
        sh tools/sanitize_python.sh "$TARGET-address/$HOST/debug/libvoxwire.so" "$PY" ${ARGS:-}
        ;;
    *)
        echo "unknown: $what (thread, address or python)" >&2
        exit 2
        ;;
    esac
done
