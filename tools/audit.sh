#!/bin/sh
# cargo-deny with deny.toml; installed into target/tools the first time, which takes minutes. Vulnerabilities are looked up where
# the advisory database can be fetched, and it says so where it cannot. OFFLINE=1 does not try.
set -eu
cd "$(dirname "$0")/.."
tools=$PWD/target/tools
PATH=$tools/bin:$PATH
export PATH
command -v cargo-deny >/dev/null || cargo install --quiet --locked --root "$tools" cargo-deny
cargo-deny --locked --offline check licenses bans sources
for manifest in benches/native/Cargo.toml fuzz/Cargo.toml; do # which nobody installs
    cargo-deny --manifest-path "$manifest" --locked --offline --config deny.toml check sources
done
if [ -z "${OFFLINE:-}" ] && cargo-deny --locked fetch db; then
    cargo-deny --locked check advisories
else
    echo "known vulnerabilities were not checked: the advisory database cannot be fetched" >&2
fi
