# Settings and functions that the scripts of this folder share. Sourced by each of them, never run.
# shellcheck shell=bash
set -euo pipefail
exec </dev/null
cd "$(dirname "${BASH_SOURCE[0]}")/.."

# Tests that lack what they need fail under CI=true instead of being skipped.
export CI=true
export SAM_CLI_TELEMETRY=0 AWS_DEFAULT_REGION=eu-west-1
export DEBIAN_FRONTEND=noninteractive PIP_DISABLE_PIP_VERSION_CHECK=1
export CARGO_TERM_COLOR=never CARGO_INCREMENTAL=0 CARGO_NET_RETRY=5

# The clock of the whole run, also in the scripts that .ci/run starts.
export CI_STARTED=${CI_STARTED:-$(date +%s)}

current=start
elapsed() {
    local seconds=$(($(date +%s) - CI_STARTED))
    printf '%dm%02ds' $((seconds / 60)) $((seconds % 60))
}
section() {
    current=$1
    printf '\n==== %s  [%s] ====\n' "$current" "$(elapsed)"
}
stop() {
    echo "error: $*" >&2
    exit 1
}
finish() {
    local status=$?
    [ $status -eq 0 ] && return
    printf '\n==== FAILED in: %s  [%s] ====\n' "$current" "$(elapsed)" >&2
}
trap finish EXIT

# Installed by a shell profile that a CI job may not have read.
command -v cargo >/dev/null || export PATH="$HOME/.cargo/bin:$PATH"

# The same flags for every cargo command, also those that tests start: other flags would build everything again.
use_mold() {
    host=$(rustc -vV | sed -n 's/^host: //p')
    flags="CARGO_TARGET_$(tr 'a-z-' 'A-Z_' <<<"$host")_RUSTFLAGS"
    export "$flags=-C link-arg=-fuse-ld=mold"
}

# python_tools <folder> <pin>…: a Python environment in target/ci/<folder> with exactly these packages.
python_tools() {
    local folder=target/ci/$1
    shift
    if [ "$(cat "$folder/pins" 2>/dev/null || true)" != "$*" ]; then
        rm -rf "$folder"
        python3 -m venv "$folder"
        "$folder/bin/pip" install --quiet --retries 5 "$@"
        echo "$*" >"$folder/pins"
    fi
}
