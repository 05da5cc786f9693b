#!/bin/sh
# Applications with the newest wheel of dist/ in them: frozen by PyInstaller into a folder and into one file, and a zip file with
# the package beside it. Each must start where there is neither a Python environment nor this source, say what it says, and
# leave with exit code 0 and nothing on stderr.
set -eu
wheel=$(ls -t dist/voxwire-*.whl | head -n 1)
echo "freezing $wheel"
root=$(pwd)
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
"$PYTHON" -m venv "$place/env"
env=$place/env/bin/python
"$env" -m pip install --quiet --disable-pip-version-check "pyinstaller==6.22.3"
"$env" -m pip install --quiet --disable-pip-version-check --no-index "$root/$wheel"
cp tools/frozen.py "$place/application.py"
cp examples/speech.wav "$place/"
cd "$place"
path=

try() { # name, command: it has no variables but those of this line
    name=$1
    shift
    code=0
    env -i HOME="$place" PYTHONPATH="$path" timeout 60 "$@" speech.wav >stdout 2>stderr || code=$?
    if [ $code -ne 0 ] || [ -s stderr ] || ! grep -q "messages and audio work" stdout; then
        echo "$name: exit code $code" >&2
        cat stdout stderr >&2
        exit 1
    fi
    echo "$name: $(cat stdout)"
}

for kind in onedir onefile; do
    "$env" -m PyInstaller --noconfirm --log-level ERROR --$kind --name "$kind" --distpath frozen application.py \
        >build.log 2>&1 || { cat build.log >&2; exit 1; }
done
mkdir zipped beside
cp application.py zipped/__main__.py
"$env" -m zipapp zipped --output application.pyz
"$env" -m pip install --quiet --disable-pip-version-check --no-index --target beside "$root/$wheel"
# The wheel must not be found in the environment that built them.
"$env" -m pip uninstall --quiet --yes voxwire
try "PyInstaller, a folder" frozen/onedir/onedir
try "PyInstaller, one file" frozen/onefile
path=$place/beside
try "a zip file, the package beside it" "$env" -W error application.pyz
