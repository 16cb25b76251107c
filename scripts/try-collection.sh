#!/usr/bin/env bash
# Runs the Bruno collection of docs/bruno against a stack of its own, with fake models: sign-up, then the folders of a
# company's daily work. A request whose answer is no success, or has another status than documented, fails.
#
#   scripts/try-collection.sh [folder or request …]      default: the folders below, after a sign-up
#
# Needs the packages of scripts/openapi (npm ci --prefix scripts/openapi). LISA_BIN names a built `lisa`.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

readonly work=target/collection port=${PORT:-9310}
readonly bru=$PWD/scripts/openapi/node_modules/.bin/bru
readonly url=http://127.0.0.1:$port
requests=("$@")
[ ${#requests[@]} -gt 0 ] || requests=(
    auth/auth_sign_up.bru auth/auth_log_in.bru auth/auth_refresh.bru profile quota context
    documents/document_upload_upload.bru documents/documents_list.bru documents/documents_show.bru
    query conversations/messages_list.bru conversations/messages_give_feedback.bru products webhook-endpoints
    orders/orders_create.bru orders/orders_list.bru orders/orders_show.bru orders/orders_change.bru
    approved-answers/approved_answers_create.bru approved-answers/approved_answers_show.bru
    company-config/company_config_change.bru company-config/company_config_list_versions.bru
    company-config/company_config_restore.bru company-config/company_config_show.bru
    company-config/company_config_preview.bru customer webhooks/manychat_webhook_receive.bru
    conversations/messages_list_conversations.bru conversations/messages_take_over.bru conversations/messages_reply.bru
    conversations/messages_release.bru activities dashboard changes live-mode health docs
)
mkdir -p "$work"

start=("${LISA_BIN:-}")
[ -n "${LISA_BIN:-}" ] || start=(cargo run --quiet --package local --bin lisa --)
"${start[@]}" dev --no-console --no-model --fake-models --quiet --reset --port "$port" --data "$work/data" \
    >"$work/stack.log" 2>&1 </dev/null &
stack=$!
trap 'kill "$stack" 2>/dev/null || true; wait "$stack" 2>/dev/null || true' EXIT
until curl --silent --fail --output /dev/null "$url/health"; do
    kill -0 "$stack" 2>/dev/null || { cat "$work/stack.log" >&2; exit 1; }
    sleep 0.5
done

cd docs/bruno
"$bru" run "${requests[@]}" --env cargo-dev --env-var "base_url=$url"
