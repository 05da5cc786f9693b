#!/bin/sh
# Makes the newest wheel of dist/ the same for everybody, checks it, installs it into an empty environment and tries it from
# another folder.
set -eu
wheel=$(ls -t dist/voxwire-*.whl | head -n 1)
echo "trying $wheel"
root=$(pwd)
"$PYTHON" tools/finish_wheel.py "$wheel"
"$PYTHON" tools/check_wheel.py "$wheel"
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
"$PYTHON" -m venv "$place/env"
"$place/env/bin/python" -m pip install --quiet --disable-pip-version-check --no-index "$root/$wheel"
cp tools/smoke.py examples/speech.wav "$place/"
cd "$place"
"$place/env/bin/python" smoke.py speech.wav
"$place/env/bin/voxwire" --help >/dev/null
