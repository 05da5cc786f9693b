#!/bin/sh
# pytest on an extension built with AddressSanitizer: sanitize_python.sh LIBRARY PYTHON [ARGUMENTS OF PYTEST]
# The package is copied, so that the one in the working tree stays as it is.
set -eu
cd "$(dirname "$0")/.."
library=$1 python=$2
shift 2
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
cp -r python/voxwire "$place/voxwire"
cp "$library" "$place/voxwire/_core.abi3.so"
# Python itself is not instrumented: the runtime comes first, and every object has memory of its own. What Python keeps until
# its end is no leak of ours.
[ $# -gt 0 ] || set -- tests/python/test_loops.py tests/python/test_lifecycle.py tests/python/test_cancellation.py \
    tests/python/test_recv.py tests/python/test_routes.py tests/python/test_recorder.py tests/python/test_server.py
LD_PRELOAD="$(gcc -print-file-name=libasan.so)" PYTHONMALLOC=malloc PYTHONPATH="$place" \
    ASAN_OPTIONS="detect_leaks=0 verify_asan_link_order=0 ${ASAN_OPTIONS:-}" \
    "$python" -m pytest --timeout 300 -n "${JOBS:-3}" --dist loadfile -p no:cacheprovider "$@"
