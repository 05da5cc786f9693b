#!/bin/sh
# Fuzzes the sans-IO layers: MINUTES for each target, or for TARGET alone. What it finds on its way stays in
# target/fuzz-corpus and is used by the next run; a crash is in fuzz/artifacts. With MERGE=1 it fuzzes nothing, but
# takes what is worth keeping of that into the committed corpus.
set -eu
cd "$(dirname "$0")/.."
targets=${TARGET:-frames wire_frames handshake deflate media codecs}
tools=$PWD/target/tools
PATH=$tools/bin:$PATH
export PATH
command -v cargo-fuzz >/dev/null || cargo install --quiet --locked --root "$tools" cargo-fuzz
# The address sanitizer's flag is not stable; the compiler is.
export RUSTC_BOOTSTRAP=1
for target in $targets; do
    found=target/fuzz-corpus/$target
    mkdir -p "$found"
    if [ -n "${MERGE:-}" ]; then
        python3 tools/fuzz_corpus.py "$target" "$found"
    else
        cargo fuzz run --target-dir target/fuzz "$target" "$found" "fuzz/corpus/$target" -- \
            -max_len=4096 -rss_limit_mb=2048 -timeout=20 -print_final_stats=1 "-max_total_time=$((${MINUTES:-10} * 60))"
    fi
done
