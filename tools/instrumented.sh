#!/bin/sh
# RUSTC_WORKSPACE_WRAPPER of tools/coverage.sh: counters in this crate only, its dependencies are built as always.
exec "$@" -Cinstrument-coverage
