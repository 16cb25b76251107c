#!/usr/bin/env bash
# Prints a version's section of CHANGELOG.md, for the notes of its release.
#
#   scripts/release-notes.sh <version>      such as 0.1.0, or v0.1.0
set -euo pipefail

readonly version=${1:?usage: scripts/release-notes.sh <version>}
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
changelog=${CHANGELOG:-$root/CHANGELOG.md}

notes=$(awk -v heading="## [${version#v}]" '
    /^## / { inside = index($0, heading) == 1; next }
    /^\[[^]]*\]: / { next }
    inside { print }
' "$changelog")
# Without the empty lines at both ends.
notes=$(sed -e '/./,$!d' <<<"$notes")
if [ -z "$notes" ]; then
    echo "$changelog has no section \"## [${version#v}]\", or an empty one" >&2
    exit 1
fi
echo "$notes"
