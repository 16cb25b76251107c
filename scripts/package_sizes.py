#!/usr/bin/env python3
"""Holds the packages of a `sam build` to the size budget.

    scripts/package_sizes.py [folder] [--budget MB]      default: .aws-sam/build, 5 MB

The folder holds one folder per function with its `bootstrap`. Each is zipped (deflate at its default level, as `sam
package` uploads it) and compared with the budget of docs/BENCHMARKS.md: 5 MB, in which a megabyte is 1,000,000 bytes. A
start reads the whole package, so its size is time. Layers have limits of their own and are not counted.
"""
import argparse
import io
import sys
import zipfile
from pathlib import Path

MEGABYTE = 1_000_000


def zipped_size(folder):
    """The size in bytes of a folder as one zip file."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(path for path in folder.rglob("*") if path.is_file()):
            archive.write(path, path.relative_to(folder))
    return buffer.tell()


def sizes(folder):
    """The zipped size in bytes of each function's package, by the name of its folder."""
    return {path.parent.name: zipped_size(path.parent) for path in sorted(folder.glob("*/bootstrap"))}


def main():
    arguments = argparse.ArgumentParser(description="Holds packages to the size budget.")
    arguments.add_argument("folder", nargs="?", default=".aws-sam/build", type=Path)
    arguments.add_argument("--budget", default=5.0, type=float, help="MB a package")
    given = arguments.parse_args()
    measured = sizes(given.folder)
    if not measured:
        print(f"error: {given.folder} holds no bootstrap: run sam build", file=sys.stderr)
        return 2
    over = [name for name, size in measured.items() if size > given.budget * MEGABYTE]
    for name, size in measured.items():
        print(f"{size / MEGABYTE:6.2f} MB  {name}{'  over the budget' if name in over else ''}")
    print(f"{len(measured)} packages, {len(over)} over {given.budget:g} MB", file=sys.stderr)
    return 1 if over else 0


if __name__ == "__main__":
    sys.exit(main())
