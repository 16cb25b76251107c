#!/usr/bin/env bash
# Breaks a promise of the product in each way that scripts/sabotages has, and expects a test to fail:
#
#     scripts/sabotage.sh [<part of a patch's name>]…
#
# A patch names its test. It is applied to a copy of the last commit in target/sabotage, so the folder of work stays as it
# is. The test must pass on the copy as it is, so that servers and programs are there, and fail on the copy with the patch.
# Its own words are shown, to be read. Ends with status 1 when a test does not notice, or when a patch does not fit any more.
#
# The first run builds everything once more: some 15 minutes and 10 GB.
set -euo pipefail
exec </dev/null
cd "$(dirname "${BASH_SOURCE[0]}")/.."

copy=$PWD/target/sabotage/copy
export CARGO_TARGET_DIR=$PWD/target/sabotage/build CARGO_TERM_COLOR=never CARGO_INCREMENTAL=0
output=target/sabotage/output

remove_copy() {
    git worktree remove --force "$copy" 2>/dev/null || rm -rf "$copy"
    git worktree prune
}
trap remove_copy EXIT

# run <binary> <test>: builds and runs one test on the copy. The program lisa is what some tests start.
run() {
    (cd "$copy" && cargo build --quiet --locked --package local --bin lisa && cargo test --quiet --locked --package local --test "$1" --no-run) \
        >"$output" 2>&1 || return 2
    (cd "$copy" && cargo test --quiet --locked --package local --test "$1" -- --exact "$2") >"$output" 2>&1
}

mkdir -p target/sabotage
remove_copy
git worktree add --quiet --detach "$copy" HEAD
# What git does not hold: the servers, libraries and models that the tests use.
for folder in .local layers; do
    [ ! -e "$folder" ] || [ -e "$copy/$folder" ] || ln -s "$PWD/$folder" "$copy/$folder"
done

shopt -s nullglob
patches=()
for patch in "$PWD"/scripts/sabotages/*.patch; do
    [ $# -eq 0 ] && patches+=("$patch")
    for part in "$@"; do
        [[ $(basename "$patch") == *"$part"* ]] && patches+=("$patch")
    done
done
[ ${#patches[@]} -gt 0 ] || { echo "no patch of this name" >&2 && exit 1; }

status=0
declare -A passes
for patch in "${patches[@]}"; do
    name=$(basename "$patch" .patch)
    read -r binary test < <(sed -n 's/^Test: //p' "$patch")
    if [ -z "${passes[$test]:-}" ]; then
        if ! run "$binary" "$test" || ! grep -q '^test result: ok. 1 passed' "$output"; then
            echo "$name: $binary $test does not pass on the last commit"
            tail -n 30 "$output"
            exit 1
        fi
        passes[$test]=yes
    fi
    if ! git -C "$copy" apply "$patch"; then
        echo "$name: the patch does not fit any more: renew it"
        status=1
        continue
    fi
    result=0
    run "$binary" "$test" || result=$?
    git -C "$copy" apply --reverse "$patch"
    if [ $result -eq 2 ]; then
        echo "$name: the sabotaged product does not build"
        tail -n 30 "$output"
        status=1
    elif [ $result -ne 0 ] && grep -q '^test result: FAILED. 0 passed; 1 failed' "$output"; then
        echo "$name: noticed by $binary $test"
        grep -m 3 -A 2 'panicked at' "$output" | cut -c 1-300 | sed 's/^/    /'
    else
        echo "$name: NOT noticed by $binary $test"
        status=1
    fi
done
exit $status
