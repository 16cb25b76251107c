//! Two tenants with at least one row in every table that holds rows of tenants.

use sqlx::{AssertSqlSafe, PgConnection};

use super::catalog;
use crate::seed::{self, SeededTenant};

/// Makes both tenants. Panics when a table has no row of one of them: insert one below.
pub(crate) async fn two_tenants(admin: &mut PgConnection) -> [SeededTenant; 2] {
    let tenants = [full_tenant(admin, "mine").await, full_tenant(admin, "theirs").await];
    for table in catalog::tables(admin).await {
        for tenant in &tenants {
            let Some(condition) = table.rows_condition(tenant) else { continue };
            let count = format!("select count(*) from {} where {condition}", table.name);
            let count: i64 = sqlx::query_scalar(AssertSqlSafe(count)).fetch_one(&mut *admin).await.unwrap();
            assert!(count > 0, "no row of {} is seeded: a test of its policies would say nothing", table.name);
        }
    }
    tenants
}

/// Makes a tenant with rows in every table.
#[expect(clippy::too_many_lines, reason = "one insert per table of a tenant")]
async fn full_tenant(admin: &mut PgConnection, name: &str) -> SeededTenant {
    let tenant = seed::tenant(admin, name, 8).await;
    let SeededTenant { customer, owner, company } = &tenant;
    let text = format!("gen_random_uuid()::text || '{name}'");
    let hash = format!("sha256(({text})::bytea)");
    let statements = [
        format!("insert into credentials (user_id, hashed_password) values ('{owner}', 'x')"),
        format!(
            "insert into refresh_sessions (user_id, token_sha256, expires_at) \
             values ('{owner}', {hash}, now() + interval '1 day')"
        ),
        format!("select app.count_failed_sign_in('{owner}', 'auth.login_failed', 'request')"),
        format!(
            "insert into invitations (customer_id, token_sha256, expires_at) \
             values ('{customer}', {hash}, now() + interval '1 day')"
        ),
        format!("insert into webhook_secrets (customer_id, sha256) values ('{customer}', {hash})"),
        format!(
            "insert into webhook_endpoints (customer_id, url, secret, events) \
             values ('{customer}', 'https://hooks.example.com/', {hash}, '{{quota.warning}}')"
        ),
        // A trigger also inserts a row into config_versions.
        format!("update company_rag_configs set prompt_rag = '{name}' where company_id = '{company}'"),
        format!(
            "insert into documents (customer_id, company_id, filename, bytes, storage_key, status) \
             values ('{customer}', '{company}', '{name}.pdf', 1, {text}, 'processed')"
        ),
        format!(
            "insert into document_chunks (document_id, customer_id, chunk_index, page_start, page_end, text_chunk, \
             search_text, language, embedding, embedding_model) \
             select id, customer_id, 0, 1, 1, 'delivery', 'delivery', 'en', array_fill(0.1, array[1536])::vector, 'm' \
             from documents where customer_id = '{customer}'"
        ),
        format!(
            "insert into document_pages (document_id, customer_id, page, text) \
             select id, customer_id, 1, 'delivery' from documents where customer_id = '{customer}'"
        ),
        format!(
            "insert into ingest_slots (document_id, customer_id) \
             select id, customer_id from documents where customer_id = '{customer}'"
        ),
        format!(
            "insert into reembedded_chunks (chunk_id, customer_id, embedding_model, embedding) \
             select id, customer_id, 'n', embedding from document_chunks where customer_id = '{customer}'"
        ),
        format!("insert into jobs (customer_id, kind) values ('{customer}', 'delete_object')"),
        format!(
            "insert into reservations (customer_id, user_id, kind, expires_at) \
             values ('{customer}', '{owner}', 'free_quota', now() + interval '1 day')"
        ),
        format!(
            "insert into idempotency_keys (customer_id, key, request_sha256, locked_until, expires_at) \
             values ('{customer}', 'key', {hash}, now(), now() + interval '1 day')"
        ),
        format!("insert into conversations (customer_id, contact_id) values ('{customer}', '1')"),
        format!(
            "insert into webhook_deliveries (customer_id, endpoint_id, event_id, event_type, conversation_id, data) \
             select customer_id, endpoint.id, gen_random_uuid(), 'message.received', conversation.id, '{{}}' \
             from webhook_endpoints endpoint join conversations conversation using (customer_id) \
             where customer_id = '{customer}'"
        ),
        format!(
            "insert into messages (customer_id, conversation_id, direction, author, content) \
             select customer_id, id, 'outbound', 'bot', 'hello' from conversations where customer_id = '{customer}'"
        ),
        format!(
            "insert into outbox (message_id, part, customer_id, conversation_id, content) \
             select id, 0, customer_id, conversation_id, 'hello' from messages where customer_id = '{customer}'"
        ),
        format!(
            "insert into approved_answers (customer_id, question, answer) values ('{customer}', 'delivery?', 'yes')"
        ),
        format!(
            "insert into golden_questions (customer_id, question, document_id) \
             select customer_id, 'delivery?', id from documents where customer_id = '{customer}'"
        ),
        format!("insert into exports (customer_id, status) values ('{customer}', 'expired')"),
        format!("insert into purges (customer_id, finished_at) values ('{customer}', now())"),
        format!("insert into preview_counts (customer_id, day, questions) values ('{customer}', '2026-11-29', 1)"),
        format!(
            "insert into closed_questions (message_id, customer_id) \
             select id, customer_id from messages where customer_id = '{customer}'"
        ),
        format!(
            "insert into password_resets (user_id, customer_id, token_sha256, expires_at) \
             values ('{owner}', '{customer}', {hash}, now() + interval '1 day')"
        ),
        format!("insert into products (customer_id, name, price, currency) values ('{customer}', 'coffee', 1, 'XOF')"),
        format!("insert into orders (company_id, total_amount, currency, items) values ('{customer}', 0, 'XOF', '[]')"),
        format!("insert into activities (company_id, type, title) values ('{customer}', 'test', 'test')"),
        format!(
            "insert into unread_webhook_bodies (customer_id, reason, body, size_bytes) \
             values ('{customer}', 'malformed_json', 'x', 1)"
        ),
        format!("insert into tenant_notices (customer_id, kind, since) values ('{customer}', 'test', now())"),
        format!("insert into bot_sessions (company_id, mode) values ('{customer}', 'live')"),
        format!("insert into bot_usage (company_id, date) values ('{customer}', '2026-11-21')"),
        format!("insert into first_answer_times (company_id, date, bucket) values ('{customer}', '2026-11-21', 1)"),
        format!(
            "insert into llm_calls (customer_id, purpose, provider, model, status) \
             values ('{customer}', 'answer', 'extractive', 'extractive-1', 'ok')"
        ),
        format!(
            "insert into feedback (message_id, user_id, customer_id, is_helpful) \
             select id, '{owner}', customer_id, true from messages where customer_id = '{customer}'"
        ),
        format!("select app.open_period('{customer}', now())"),
        format!(
            "insert into checkout_sessions (id, customer_id, plan, status, expires_at) \
             values ({text}, '{customer}', 'pro', 'expired', now())"
        ),
        format!(
            "insert into billing_records (customer_id, period_start, period_end, plan, requests, amount_cents, \
             overage_requests, overage_cents, currency) values ('{customer}', now(), now(), 'pro', 1, 1, 0, 0, 'EUR')"
        ),
        // The function also inserts the chain's row into audit_heads.
        format!("select app.audit('{customer}', '{owner}', 'test', 'object', null, '{{}}')"),
    ];
    for statement in statements {
        let done = sqlx::raw_sql(AssertSqlSafe(statement.clone())).execute(&mut *admin).await;
        done.unwrap_or_else(|error| panic!("{statement}: {error}"));
    }
    tenant
}
