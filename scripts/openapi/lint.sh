#!/usr/bin/env bash
# Holds a document to the rules of Spectral and Redocly. A warning fails.
#
#   scripts/openapi/lint.sh [file]      default: openapi.json
#
# Needs the packages of scripts/openapi: npm ci --prefix scripts/openapi
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

readonly document=${1:-openapi.json} tools=scripts/openapi/node_modules/.bin
export REDOCLY_TELEMETRY=off REDOCLY_SUPPRESS_UPDATE_NOTICE=true
"$tools/spectral" lint "$document" --ruleset scripts/openapi/spectral.yaml --fail-severity=hint
"$tools/redocly" lint "$document" --config scripts/openapi/redocly.yaml
