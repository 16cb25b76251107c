#!/usr/bin/env bash
# Deploys the working tree to an environment: build, migrations, code, console, smoke test. A step that fails ends it.
#
#   scripts/deploy.sh <environment> [--built] [--rollback]      dev, staging or prod
#
#   --built      take the last build of this tree, for example after a change of a parameter or a secret
#   --rollback   leave migrations out: an older release refuses a newer schema, and runs on it
#
# Migrations run before the code that needs them; they suit the code that is running (migrations/README.md). In prod, five
# functions shift a tenth of their calls first and go back when an alarm goes off (docs/DEPLOY.md). The first deployment
# of a stack is by hand (docs/DEPLOY.md), because its secrets are empty. Settings of an environment stand in samconfig.toml;
# EDGE_SECRET and PERMISSIONS_BOUNDARY, when they are set, become the parameters EdgeSecret and PermissionsBoundary.
#
# Needs the AWS CLI with credentials, the SAM CLI, cargo-lambda, zig, Python 3.11 or newer, zip, curl, and Node for the
# console.
set -euo pipefail

readonly environment=${1:?usage: scripts/deploy.sh <environment> [--built] [--rollback]}
shift
is_built=false is_rollback=false
for option in "$@"; do
    case $option in
    --built) is_built=true ;;
    --rollback) is_rollback=true ;;
    *) echo "unknown option: $option" >&2 && exit 2 ;;
    esac
done
readonly stack=lisa-$environment
cd "$(dirname "${BASH_SOURCE[0]}")/.."

case $environment in dev | staging | prod) ;; *) echo "unknown environment: $environment" >&2 && exit 2 ;; esac
for tool in aws sam python3 zip curl npm; do
    command -v "$tool" >/dev/null || { echo "$tool is missing" >&2; exit 1; }
done

step() { printf '\n== %s\n' "$*"; }

# The stack's parameters of samconfig.toml, one a line, and those that are not in a file. On the command line they replace
# the file's, so all are given.
parameters() {
    python3 - "$environment" <<'PYTHON'
import os, sys, tomllib

with open("samconfig.toml", "rb") as file:
    given = tomllib.load(file)[sys.argv[1]]["global"]["parameters"]["parameter_overrides"]
for parameter, variable in [("EdgeSecret", "EDGE_SECRET"), ("PermissionsBoundary", "PERMISSIONS_BOUNDARY")]:
    if value := os.environ.get(variable):
        given.append(f"{parameter}={value}")
print("\n".join(given))
PYTHON
}
mapfile -t overrides < <(parameters)
# A failure inside of <( ) is not noticed by bash.
[ ${#overrides[@]} -gt 0 ] || { echo "samconfig.toml has no parameters of $environment" >&2; exit 1; }
architecture=arm64
for override in "${overrides[@]}"; do
    case $override in Architecture=*) architecture=${override#Architecture=} ;; esac
done

if ! $is_built; then
    step "build for $architecture"
    scripts/fetch-libpdfium.sh "$architecture"
    scripts/fetch-e5.sh
    scripts/fetch-ocr.sh
    sam build --config-env "$environment"
fi
build=.aws-sam/build
[ -f "$build/template.yaml" ] || { echo "$build has no build: leave --built out" >&2; exit 1; }

# Publishes a version of the functions with an alias, also where only a parameter or a secret has changed.
release="$(git rev-parse --short=12 HEAD)-$(date -u +%Y%m%dT%H%M%SZ)"
sed -E -i "s/^( *Description: )release .*/\1release $release/" "$build/template.yaml"
grep -q "Description: release $release" "$build/template.yaml" ||
    { echo "$build/template.yaml has no function to publish" >&2; exit 1; }

migrate() {
    local error
    rm -f .aws-sam/migrate.zip
    (cd "$build/MigrateFunction" && zip -q ../../migrate.zip bootstrap)
    aws lambda update-function-code --function-name "$stack-migrate" --zip-file fileb://.aws-sam/migrate.zip \
        --query LastUpdateStatus --output text
    aws lambda wait function-updated-v2 --function-name "$stack-migrate"
    # The answer of a function that failed has FunctionError; the exit code is 0 all the same.
    error=$(aws lambda invoke --function-name "$stack-migrate" --cli-read-timeout 0 --query FunctionError --output text \
        .aws-sam/migrate.json)
    cat .aws-sam/migrate.json
    echo
    if [ "$error" != None ]; then
        echo "migrate failed ($error): the code is not deployed. See the log of $stack-migrate" >&2
        exit 1
    fi
}

if $is_rollback; then
    step "no migrations"
else
    step "migrations"
    migrate
fi

step "code, release $release"
sam deploy --config-env "$environment" --template-file "$build/template.yaml" --parameter-overrides "${overrides[@]}" \
    --no-confirm-changeset --no-fail-on-empty-changeset

step "console"
scripts/deploy-console.sh "$environment"

output() {
    aws cloudformation describe-stacks --stack-name "$stack" \
        --query "Stacks[0].Outputs[?OutputKey=='$1'].OutputValue" --output text
}
step "smoke test"
url=$(output ApiUrl)
console_url=$(output ConsoleUrl)
CONSOLE_URL=$console_url scripts/smoke.sh "$url"
echo "$environment runs release $release"
