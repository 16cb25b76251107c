#!/usr/bin/env bash
# Builds the console and puts its files into the bucket of a deployed stack. Repeating it is harmless.
#
#   scripts/deploy-console.sh <environment>      dev, staging or prod; the stack is lisa-<environment>
#
# Needs Node 20.19 or newer with npm, and the AWS CLI with credentials for the stack's account.
set -euo pipefail

readonly environment=${1:?usage: scripts/deploy-console.sh <environment>}
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$root/console"

for tool in node npm aws; do
    command -v "$tool" >/dev/null || { echo "$tool is missing" >&2; exit 1; }
done

output() {
    local value
    value=$(aws cloudformation describe-stacks --stack-name "lisa-$environment" \
        --query "Stacks[0].Outputs[?OutputKey=='$1'].OutputValue" --output text)
    if [ -z "$value" ] || [ "$value" = None ]; then
        echo "the stack lisa-$environment has no output $1: deploy template.yaml first" >&2
        exit 1
    fi
    echo "$value"
}
bucket=$(output ConsoleBucketName)
distribution=$(output ConsoleDistributionId)

npm ci --no-audit --no-fund
npm run build

# First the files whose names hold a hash of their contents, which no open page misses; then the pages that name them.
# Files of earlier builds stay: a page that is open loads them later.
aws s3 sync dist/assets "s3://$bucket/assets" --cache-control "public, max-age=31536000, immutable"
aws s3 sync dist "s3://$bucket" --exclude "assets/*" --exclude ".*" --cache-control no-cache
aws cloudfront create-invalidation --distribution-id "$distribution" --paths "/*" >/dev/null
echo "the console is at $(output ConsoleUrl)"
