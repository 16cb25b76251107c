#!/usr/bin/env bash
# Refuses changes of openapi.json that break a client of the version on a branch, or of a release.
#
#   scripts/compare-api.sh [revision]      default: origin/main
#
# A breaking change that was decided on stands in docs/accepted-breaking-changes.txt, as the script prints it.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

readonly revision=${1:-origin/main}
older=$(mktemp)
trap 'rm -f "$older"' EXIT
# Compares with the common ancestor: changes that the other branch made since then are no changes of this branch.
base=$(git merge-base "$revision" HEAD)
git show "$base:openapi.json" >"$older"
python3 scripts/openapi_diff.py "$older" openapi.json --accepted docs/accepted-breaking-changes.txt
