#!/usr/bin/env bash
# Calls the main routes of a running deployment, or of `cargo dev`, and checks their answers. Changes nothing.
#
#   scripts/smoke.sh <url>                  for example https://api.example.com, or http://127.0.0.1:9000
#   CONSOLE_URL=… scripts/smoke.sh <url>    where the console has another address; CONSOLE_URL=none skips it
#
# Needs curl and Python 3.
set -euo pipefail

readonly url=${1:?usage: scripts/smoke.sh <url>}
readonly base=${url%/}
readonly console=${CONSOLE_URL:-$base}
body=$(mktemp)
trap 'rm -f "$body"' EXIT
failed=0

# check <name> <expected status> <Python expression over `text` and `answer`> <curl arguments…>
check() {
    local name=$1 expected=$2 expression=$3 status
    shift 3
    # A new instance may have to start, and a deployment's address may be seconds old.
    status=$(curl --silent --show-error --max-time 30 --retry 3 --retry-connrefused --output "$body" \
        --write-out '%{http_code}' "$@" || true)
    if [ "$status" != "$expected" ]; then
        echo "FAILED  $name: status $status, expected $expected"
        failed=1
    elif ! python3 - "$body" "$expression" <<'PYTHON'; then
import json, sys

text = open(sys.argv[1], encoding="utf-8").read()
try:
    answer = json.loads(text)
except ValueError:
    answer = None
sys.exit(0 if eval(sys.argv[2]) else 1)
PYTHON
        echo "FAILED  $name: status $status, but not: $expression"
        failed=1
    else
        echo "ok      $name"
    fi
}

check "/health" 200 'answer is not None' "$base/health"
check "/openapi.json" 200 'answer["openapi"].startswith("3.") and "/api/v1/query" in answer["paths"]' "$base/openapi.json"
check "/docs" 200 '"<html" in text.lower()' "$base/docs"
[ "$console" = none ] || check "the console" 200 '"<div id=\"root\"" in text' "${console%/}/"
# An address that nobody has: the refusal comes from the database, so the functions reach it.
check "sign-in with a wrong password" 401 'answer["error"]["code"] == "invalid_credentials"' \
    --request POST "$base/api/v1/auth/login" --header 'content-type: application/json' \
    --data '{"email": "nobody@example.invalid", "password": "not the password"}'
check "a route without a token" 401 'answer["error"]["code"]' "$base/api/v1/documents"
check "an unknown path" 404 'answer["error"]["code"] == "not_found"' "$base/api/v1/no-such-path"
exit $failed
