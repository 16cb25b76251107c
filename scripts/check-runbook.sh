#!/usr/bin/env bash
# Fails when docs/RUNBOOK.md and template.yaml name different alarms, or when a section lacks one of its three parts.
#
#   scripts/check-runbook.sh
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

alarms() { sed -nE 's/^      AlarmName: !Sub lisa-\$\{Environment\}-([a-z0-9-]+)$/\1/p' template.yaml | sort; }
# shellcheck disable=SC2016 # backquotes of Markdown
sections() { sed -nE 's/^### `([a-z0-9-]+)`$/\1/p' docs/RUNBOOK.md | sort; }

# Each alarm must have been understood: a name in another form would be missing on both sides.
count=$(grep -c 'Type: AWS::CloudWatch::Alarm$' template.yaml)
named=$(alarms | wc -l)
if [ "$count" -eq 0 ] || [ "$count" -ne "$named" ]; then
    echo "template.yaml has $count alarms, but $named names of the form lisa-\${Environment}-…" >&2
    exit 1
fi
if ! diff --label "alarms of template.yaml" --label "sections of docs/RUNBOOK.md" -u <(alarms) <(sections); then
    exit 1
fi

# A section tells what the alarm means, where to look and what to run.
incomplete=$(awk '
    function report() { if (name != "" && parts != 7) print name }
    /^### `/ { report(); name = $2; parts = 0; next }
    /^## / { report(); name = ""; next }
    /^- \*\*Means\*\*: ./ { parts += 1 }
    /^- \*\*Look\*\*: ./ { parts += 2 }
    /^- \*\*Run\*\*: ./ { parts += 4 }
    END { report() }
' docs/RUNBOOK.md)
if [ -n "$incomplete" ]; then
    echo "docs/RUNBOOK.md: these sections lack Means, Look or Run (or have one twice):" >&2
    echo "$incomplete" >&2
    exit 1
fi
echo "$count alarms, each with a section in docs/RUNBOOK.md"
