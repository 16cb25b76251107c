//! Every grant in the database is in an explicit list. A new grant must be added here too.

use std::collections::BTreeMap;

use local::testing;
use sqlx::{Connection, PgConnection};

use super::catalog::OWN_SCHEMAS;

/// All privileges of roles other than an object's owner, one line per role and object: `role: privilege on object
/// (columns)`.
pub(crate) async fn list_grants(admin: &mut PgConnection) -> Vec<String> {
    let statement = r#"
        with acl as (
            select 'schema ' || nspname as object, null::text as part, acl.*
            from pg_namespace, aclexplode(coalesce(nspacl, acldefault('n', nspowner))) acl where {ours}
            union all
            select relname, null, acl.*
            from pg_class join pg_namespace on pg_namespace.oid = relnamespace,
                aclexplode(coalesce(relacl, acldefault(case relkind when 'S' then 's' else 'r' end::"char", relowner))) acl
            where {ours} and relkind in ('r', 'p', 'v', 'm', 'f', 'S')
            union all
            select relname, attname, acl.*
            from pg_attribute join pg_class on pg_class.oid = attrelid
            join pg_namespace on pg_namespace.oid = relnamespace, aclexplode(attacl) acl
            where {ours} and attnum > 0
            union all
            select pg_proc.oid::regprocedure::text, null, acl.*
            from pg_proc join pg_namespace on pg_namespace.oid = pronamespace,
                aclexplode(coalesce(proacl, acldefault('f', proowner))) acl
            where {ours} and not exists (select from pg_depend where objid = pg_proc.oid and deptype = 'e')
        )
        select case when grantee = 0 then 'public' else grantee::regrole::text end, lower(privilege_type),
            object, coalesce(part, ''), is_grantable
        from acl where grantee <> grantor or grantee = 0
        order by 1, 3, 2, 4
    "#;
    let statement = statement.replace("{ours}", OWN_SCHEMAS);
    let rows: Vec<(String, String, String, String, bool)> =
        sqlx::query_as(sqlx::AssertSqlSafe(statement)).fetch_all(admin).await.unwrap();
    let mut columns = BTreeMap::<(String, String, String), Vec<String>>::new();
    for (role, privilege, object, column, is_grantable) in rows {
        assert!(!is_grantable, "{role} may pass {privilege} on {object} on");
        columns.entry((role, object, privilege)).or_default().push(column);
    }
    let mut lines = BTreeMap::<(String, String, String), Vec<String>>::new();
    for ((role, object, privilege), columns) in columns {
        lines.entry((role, object, columns.join(", "))).or_default().push(privilege);
    }
    lines
        .into_iter()
        .map(|((role, object, columns), privileges)| {
            let columns = if columns.is_empty() { String::new() } else { format!(" ({columns})") };
            format!("{role}: {} on {object}{columns}", privileges.join(", "))
        })
        .collect()
}

/// Privileges of every role.
const PUBLIC_GRANTS: [&str; 4] = [
    "public: execute on auth.jwt()",
    "public: execute on auth.role()",
    "public: execute on auth.uid()",
    "public: usage on schema public",
];

/// Privileges of the frontends, which read and write through Supabase.
pub(crate) const FRONTEND_GRANTS: [&str; 24] = [
    "anon: usage on schema auth",
    "anon: usage on schema public",
    "authenticated: execute on app.companies()",
    "authenticated: execute on app.tenants()",
    "authenticated: select on activities",
    "authenticated: select on bot_sessions",
    "authenticated: select on bot_usage",
    "authenticated: select on company_mapping",
    "authenticated: select on company_rag_configs",
    "authenticated: update on company_rag_configs (prompt_botlive_deepseek_v3, prompt_botlive_groq_70b)",
    "authenticated: select on conversation_memory",
    // The view conversation_memory reads these columns with the rights of its caller.
    "authenticated: select on conversations (contact_id, customer_id, id, user_id)",
    "authenticated: select on messages (content, conversation_id, created_at, customer_id, direction)",
    "authenticated: select on documents \
     (company_id, content, filename, id, metadata, pages_done, pages_total, status, upload_date)",
    "authenticated: select on orders",
    "authenticated: select on profiles",
    "authenticated: update on profiles (avatar_url, full_name)",
    "authenticated: usage on schema app",
    "authenticated: usage on schema auth",
    "authenticated: usage on schema public",
    "authenticated: select on user_settings",
    "authenticated: select on users (id, is_pro)",
    "service_role: usage on schema auth",
    "service_role: usage on schema public",
];

/// Privileges of the functions' login role, before it sets the role of a tenant.
const APP_GRANTS: [&str; 9] = [
    "lisa_app: execute on app.deleted_membership(uuid)",
    "lisa_app: execute on app.memberships(uuid,uuid)",
    "lisa_app: execute on app.public_plans()",
    "lisa_app: execute on app.quota_of(uuid)",
    "lisa_app: execute on app.take_rate(text,integer,integer)",
    "lisa_app: execute on app.user_role(uuid)",
    "lisa_app: execute on app.webhook_tenant(text)",
    "lisa_app: usage on schema app",
    // The vector types are in this schema.
    "lisa_app: usage on schema public",
];

/// Privileges of a tenant's transaction.
const TENANT_GRANTS: [&str; 86] = [
    "lisa_tenant: execute on app.changes_after(bigint,integer)",
    "lisa_tenant: execute on app.changes_bound()",
    "lisa_tenant: execute on app.wait_bucket(double precision)",
    // Triggers write it.
    "lisa_tenant: select on changes",
    "lisa_tenant: insert, select, update on first_answer_times",
    "lisa_tenant: execute on app.fold_name(text)",
    // A trigger on orders writes it.
    "lisa_tenant: select on order_days",
    "lisa_tenant: execute on app.own_member(uuid)",
    "lisa_tenant: execute on app.own_trust()",
    "lisa_tenant: execute on app.issue_password_reset(uuid,uuid,bytea,integer)",
    "lisa_tenant: execute on app.own_members()",
    "lisa_tenant: execute on app.revoke_made_by(uuid)",
    "lisa_tenant: execute on app.transfer_ownership(uuid,uuid)",
    "lisa_tenant: execute on app.take_unconfirmed_request(integer)",
    "lisa_tenant: execute on app.audit_own(uuid,text,text,text,jsonb)",
    "lisa_tenant: execute on app.current_company()",
    "lisa_tenant: execute on app.current_customer()",
    "lisa_tenant: execute on app.current_owner()",
    "lisa_tenant: execute on app.has_paid_plan(boolean,timestamp with time zone)",
    "lisa_tenant: execute on app.nearest_chunks(real[],text,uuid[],integer)",
    "lisa_tenant: execute on app.nearest_short_chunks(real[],text,uuid[],integer)",
    "lisa_tenant: execute on app.open_own_period()",
    "lisa_tenant: execute on app.own_model_spend(timestamp with time zone)",
    "lisa_tenant: execute on app.own_period()",
    "lisa_tenant: execute on app.question_key(text,regdictionary)",
    "lisa_tenant: execute on app.search_chunks(text,text,text,uuid[],integer)",
    "lisa_tenant: execute on app.word_keys(uuid,text[])",
    // Only app.audit_own writes entries.
    "lisa_tenant: select on audit_log",
    "lisa_tenant: delete, select on approved_answers",
    "lisa_tenant: insert on approved_answers (answer, customer_id, language, question)",
    "lisa_tenant: update on approved_answers (answer, language, question, updated_at)",
    "lisa_tenant: insert, select on closed_questions",
    "lisa_tenant: update on closed_questions (approved_answer_id)",
    "lisa_tenant: delete, insert, select, update on golden_questions",
    "lisa_tenant: insert, select, update on preview_counts",
    // Only the system role reads the hashes of invitations.
    "lisa_tenant: select on invitations \
     (created_at, created_by, customer_id, email, expires_at, id, revoked_at, role, used_at, used_by)",
    "lisa_tenant: insert on invitations (created_by, customer_id, email, expires_at, role, token_sha256)",
    "lisa_tenant: update on invitations (expires_at, revoked_at)",
    "lisa_tenant: select on config_versions",
    "lisa_tenant: update on company_rag_configs \
     (ai_name, business_hours, customer_texts, handover_keywords, handover_minutes, language, outside_hours, \
     prompt_botlive_deepseek_v3, prompt_botlive_groq_70b, prompt_rag, show_sources, unsupported_messages)",
    // The export-worker changes the state of an export. The deletion of a contact takes the work away and ends archives.
    "lisa_tenant: select on exports",
    "lisa_tenant: update on exports (expires_at, held_until, link_issued_at, link_issued_to, worker)",
    "lisa_tenant: insert on exports (customer_id, id, requested_by)",
    "lisa_tenant: select on billing_records",
    "lisa_tenant: delete, insert, select, update on checkout_sessions",
    "lisa_tenant: select on company_mapping",
    "lisa_tenant: select on company_rag_configs",
    "lisa_tenant: delete, select on customer_members",
    "lisa_tenant: select on customers",
    "lisa_tenant: delete, insert, select, update on document_chunks",
    "lisa_tenant: delete, insert, select, update on document_pages",
    "lisa_tenant: delete, insert, select, update on documents",
    "lisa_tenant: delete, insert, select, update on idempotency_keys",
    "lisa_tenant: delete, insert, select, update on ingest_slots",
    "lisa_tenant: insert, select, update on jobs",
    "lisa_tenant: select on plans",
    "lisa_tenant: select on profiles (email, id, stripe_customer_id, subscription_access_until, \
     subscription_cancel_at, subscription_cancel_at_period_end, subscription_current_period_end, \
     subscription_current_period_start, subscription_status, subscription_tier)",
    "lisa_tenant: insert, select, update on reservations",
    "lisa_tenant: usage on schema app",
    "lisa_tenant: usage on schema public",
    "lisa_tenant: execute on app.receive_message(text,text,text,text,text,text,text)",
    "lisa_tenant: delete, insert, select on activities",
    "lisa_tenant: insert, select, update on bot_sessions",
    "lisa_tenant: insert, select, update on bot_usage",
    "lisa_tenant: select on conversation_memory",
    "lisa_tenant: delete, insert, select, update on conversations",
    "lisa_tenant: update on customers \
     (conversation_retention_months, currency, deleted_at, embedding_model, manychat_api_key, manychat_api_key_last4, \
     muted_notices, name, overage_cap_requests, timezone, webhook_url)",
    "lisa_tenant: insert, select, update on feedback",
    "lisa_tenant: insert, select on llm_calls",
    "lisa_tenant: delete, insert, select, update on messages",
    "lisa_tenant: delete, insert, select, update on orders",
    "lisa_tenant: insert, select, update on outbox",
    "lisa_tenant: delete, insert, select, update on products",
    // Only app.webhook_tenant reads the hashes. The sealed value is there for a minute.
    "lisa_tenant: insert, select, update on webhook_deliveries",
    "lisa_tenant: delete, insert, select, update on webhook_endpoints",
    "lisa_tenant: delete, insert on webhook_secrets",
    "lisa_tenant: select on webhook_secrets (created_at, customer_id, expires_at, id, sealed_value)",
    "lisa_tenant: update on webhook_secrets (expires_at, sealed_value)",
    // Only app.open_own_period inserts rows.
    "lisa_tenant: select on usage_periods",
    "lisa_tenant: update on usage_periods (requests)",
    "lisa_tenant: select on user_settings",
    "lisa_tenant: update on user_settings (free_quota_used)",
    "lisa_tenant: insert, select on tenant_notices",
    "lisa_tenant: delete, insert, select on unread_webhook_bodies",
    "lisa_tenant: select on unanswered",
    "lisa_tenant: select on users (id, is_pro)",
];

#[tokio::test]
async fn grants_equal_the_explicit_lists() {
    let database = testing::database().await.unwrap();
    let mut admin = PgConnection::connect(&database.urls.admin).await.unwrap();
    let (system, others): (Vec<_>, Vec<_>) =
        list_grants(&mut admin).await.into_iter().partition(|line| line.starts_with("lisa_system: "));

    let mut expected: Vec<_> = [&PUBLIC_GRANTS[..], &FRONTEND_GRANTS, &APP_GRANTS, &TENANT_GRANTS].concat();
    expected.sort_unstable();
    let mut others: Vec<_> = others.iter().map(String::as_str).collect();
    others.sort_unstable();
    assert_eq!(others, expected, "\nfound:\n{}", others.join("\n"));

    // The system role has rows of every table, with the exceptions below.
    let mut expected: Vec<_> = [
        "execute on app.audit(uuid,uuid,text,text,text,jsonb)",
        "execute on app.audit_faults()",
        "execute on app.count_failed_sign_in(uuid,text,text)",
        "execute on app.current_customer()",
        "execute on app.end_account(uuid)",
        "execute on app.is_only_support_of(uuid,uuid)",
        "execute on app.fold_name(text)",
        "execute on app.has_subscription(uuid)",
        "execute on app.legacy_rank(text)",
        "execute on app.memberships(uuid,uuid)",
        "execute on app.open_period(uuid,timestamp with time zone)",
        "execute on app.period_of(uuid,timestamp with time zone)",
        "execute on app.purge_legacy(text,uuid,uuid[],bigint)",
        "execute on app.provision_account(uuid,text,text,integer)",
        "execute on app.question_key(text,regdictionary)",
        "execute on app.report_failed_sign_ins()",
        "execute on app.synchronize_account(uuid,text,text,integer)",
        "execute on app.take_rate(text,integer,integer)",
        "execute on app.wait_bucket(double precision)",
        "execute on app.word_keys(uuid,text[])",
        "usage on schema app",
        "usage on schema billing",
        "usage on schema legacy",
        "usage on schema public",
        // The rows of an older project that were copied.
        "insert, select on adopted_rows",
        // Tables of billing, on which no other role has a privilege.
        "delete, insert, select, update on duplicate_subscriptions",
        "delete, insert, select, update on stripe_customers",
        "delete, insert, select, update on stripe_events",
        "delete, insert, select, update on subscription_states",
        "delete, insert, select, update on subscriptions",
        "delete, insert, select, update on user_config",
        "usage on subscription_versions",
    ]
    .map(|privilege| format!("lisa_system: {privilege}"))
    .into();
    for table in super::catalog::tables(&mut admin).await {
        let privileges = match table.name.as_str() {
            "_sqlx_migrations" | "audit_heads" => continue,
            "audit_log" => "select",
            "failed_sign_ins" | "rate_limits" | "unconfirmed_days" => "delete, select",
            _ => "delete, insert, select, update",
        };
        expected.push(format!("lisa_system: {privileges} on {}", table.name));
    }
    expected.sort_unstable();
    let mut system = system;
    system.sort_unstable();
    assert_eq!(system, expected);
}

#[tokio::test]
async fn login_roles_own_nothing_and_inherit_nothing() {
    let database = testing::database().await.unwrap();
    let mut admin = PgConnection::connect(&database.urls.admin).await.unwrap();
    let statement = r#"
        select rolname::text, rolsuper or rolbypassrls or rolcreaterole or rolcreatedb or rolreplication, rolcanlogin,
            rolinherit,
            (select count(*) from pg_shdepend where refobjid = role.oid and refclassid = 'pg_authid'::regclass
                and deptype = 'o'),
            coalesce((select string_agg(roleid::regrole::text, ', ') from pg_auth_members where member = role.oid), '')
        from pg_roles role where rolname like 'lisa%' order by rolname
    "#;
    let roles: Vec<(String, bool, bool, bool, i64, String)> =
        sqlx::query_as(statement).fetch_all(&mut admin).await.unwrap();
    let role = |name: &str, may_log_in, member: &str| (name.to_owned(), false, may_log_in, false, 0, member.to_owned());
    assert_eq!(
        roles,
        [role("lisa_app", true, "lisa_tenant"), role("lisa_system", true, ""), role("lisa_tenant", false, "")]
    );
}

#[tokio::test]
async fn login_roles_have_a_timeout_for_sessions_idle_in_a_transaction() {
    let database = testing::database().await.unwrap();
    for (url, expected) in [(&database.urls.app, "15s"), (&database.urls.system, "1min")] {
        let mut session = PgConnection::connect(url).await.unwrap();
        let setting = "select current_setting('idle_in_transaction_session_timeout')";
        let found: String = sqlx::query_scalar(setting).fetch_one(&mut session).await.unwrap();
        assert_eq!(found, expected);
    }
}
