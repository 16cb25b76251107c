//! The frontends' access through Supabase: the roles `authenticated` and `anon`, with the claims of a token.

use std::collections::BTreeSet;

use serde_json::json;
use sqlx::{AssertSqlSafe, Connection, PgConnection};
use uuid::Uuid;

use super::{
    catalog,
    isolation::{StatementOutcome, statements_on_foreign_rows},
    rows,
};
use crate::{route::DatabaseRoute, seed};

/// Runs one statement as a frontend does, and rolls it back.
async fn run_as_frontend(
    admin: &mut PgConnection,
    role: &str,
    user: Option<Uuid>,
    statement: &str,
) -> StatementOutcome {
    let mut tx = admin.begin().await.unwrap();
    let claims = user.map_or_else(String::new, |user| json!({ "sub": user, "role": role }).to_string());
    let begin = format!("set local role {role}; select set_config('request.jwt.claims', '{claims}', true)");
    sqlx::raw_sql(AssertSqlSafe(begin)).execute(&mut *tx).await.unwrap();
    let sql = AssertSqlSafe(statement.to_owned());
    let outcome = if statement.starts_with("select") {
        sqlx::query_scalar(sql)
            .fetch_one(&mut *tx)
            .await
            .map_or_else(|error| StatementOutcome::from_error(&error), StatementOutcome::Rows)
    } else {
        sqlx::query(sql).execute(&mut *tx).await.map_or_else(
            |error| StatementOutcome::from_error(&error),
            |done| StatementOutcome::Rows(i64::try_from(done.rows_affected()).unwrap()),
        )
    };
    tx.rollback().await.unwrap();
    outcome
}

/// Names of the tables in which a user sees a row.
async fn visible_tables(
    admin: &mut PgConnection,
    role: &str,
    user: Option<Uuid>,
    only_tenants: bool,
) -> BTreeSet<String> {
    let mut seen = BTreeSet::new();
    for table in catalog::tables(admin).await {
        if only_tenants && !table.is_of_tenants() {
            continue;
        }
        let statement = format!("select count(*) from {}", table.name);
        match run_as_frontend(admin, role, user, &statement).await {
            StatementOutcome::Rows(1..) => drop(seen.insert(table.name)),
            StatementOutcome::Rows(_) | StatementOutcome::Refused => {}
            StatementOutcome::Failed(error) => panic!("{statement}: {error}"),
        }
    }
    seen
}

fn names<const N: usize>(names: [&str; N]) -> BTreeSet<String> {
    names.into_iter().map(str::to_owned).collect()
}

const TENANT_TABLES: [&str; 9] = [
    "activities",
    "bot_sessions",
    "bot_usage",
    "company_mapping",
    "company_rag_configs",
    "conversations",
    "documents",
    "messages",
    "orders",
];
const USER_TABLES: [&str; 3] = ["profiles", "user_settings", "users"];

#[tokio::test]
async fn a_signed_in_user_sees_own_rows_only_and_changes_nothing_of_others() {
    let route = DatabaseRoute::direct().await;
    let mut admin = route.admin().await;
    let [mine, theirs] = rows::two_tenants(&mut admin).await;
    let mut tried = 0;
    for table in catalog::tables(&mut admin).await {
        for statement in statements_on_foreign_rows(&mut admin, &table, &mine, &theirs).await {
            let outcome = run_as_frontend(&mut admin, "authenticated", Some(mine.owner), &statement).await;
            assert!(outcome.touches_nothing(), "{statement}: {outcome:?}");
            tried += 1;
        }
    }
    assert!(tried > 100, "only {tried} statements were tried");
    // The user does see rows of its own.
    let seen = visible_tables(&mut admin, "authenticated", Some(mine.owner), false).await;
    assert_eq!(seen, names(TENANT_TABLES).union(&names(USER_TABLES)).cloned().collect());
}

#[tokio::test]
async fn a_role_without_a_known_user_sees_nothing() {
    let route = DatabaseRoute::direct().await;
    let mut admin = route.admin().await;
    rows::two_tenants(&mut admin).await;
    for (role, user) in
        [("authenticated", None), ("authenticated", Some(Uuid::new_v4())), ("anon", None), ("service_role", None)]
    {
        assert_eq!(visible_tables(&mut admin, role, user, false).await, BTreeSet::new(), "{role} {user:?}");
    }
}

#[tokio::test]
async fn an_owner_can_change_only_the_name_the_picture_and_two_prompts() {
    let route = DatabaseRoute::direct().await;
    let mut admin = route.admin().await;
    let [mine, _] = rows::two_tenants(&mut admin).await;
    let mut changeable = BTreeSet::new();
    for table in catalog::tables(&mut admin).await {
        let Some(own) = table.rows_condition(&mine) else {
            assert!(!matches!(
                run_as_frontend(&mut admin, "authenticated", Some(mine.owner), &format!("delete from {}", table.name))
                    .await,
                StatementOutcome::Rows(_)
            ));
            continue;
        };
        let insert = table.insert_copy_sql(&mut admin, &mine).await;
        for statement in [insert, format!("delete from {} where {own}", table.name), format!("truncate {}", table.name)]
        {
            let outcome = run_as_frontend(&mut admin, "authenticated", Some(mine.owner), &statement).await;
            assert!(matches!(outcome, StatementOutcome::Refused), "{statement}: {outcome:?}");
        }
        for column in table.columns.iter().filter(|column| column.is_plain) {
            let statement = format!("update {} set {1} = {1}", table.name, column.name);
            match run_as_frontend(&mut admin, "authenticated", Some(mine.owner), &statement).await {
                StatementOutcome::Rows(1) => drop(changeable.insert(format!("{}.{}", table.name, column.name))),
                StatementOutcome::Refused => {}
                // Setting a column to itself needs the right to read it; setting it to null below does not.
                outcome => panic!("{statement}: {outcome:?}"),
            }
            let statement = format!("update {} set {} = null", table.name, column.name);
            let outcome = run_as_frontend(&mut admin, "authenticated", Some(mine.owner), &statement).await;
            let is_changeable = changeable.contains(&format!("{}.{}", table.name, column.name));
            assert!(is_changeable || matches!(outcome, StatementOutcome::Refused), "{statement}: {outcome:?}");
        }
    }
    let expected = [
        "company_rag_configs.prompt_botlive_deepseek_v3",
        "company_rag_configs.prompt_botlive_groq_70b",
        "profiles.avatar_url",
        "profiles.full_name",
    ];
    assert_eq!(changeable, names(expected));
}

#[tokio::test]
async fn a_support_user_reads_the_prompts_but_cannot_change_them() {
    let route = DatabaseRoute::direct().await;
    let mut admin = route.admin().await;
    let [mine, theirs] = rows::two_tenants(&mut admin).await;
    let support = seed::tenant(&mut admin, "support", 8).await.owner;
    sqlx::query("insert into customer_members (customer_id, user_id, role) values ($1, $2, 'support')")
        .bind(mine.customer)
        .bind(support)
        .execute(&mut admin)
        .await
        .unwrap();
    let of = |company: &str| format!("company_rag_configs where company_id = '{company}'");
    let read = format!("select count(*) from {}", of(&mine.company));
    assert!(matches!(
        run_as_frontend(&mut admin, "authenticated", Some(support), &read).await,
        StatementOutcome::Rows(1)
    ));
    let read = format!("select count(*) from {}", of(&theirs.company));
    assert!(matches!(
        run_as_frontend(&mut admin, "authenticated", Some(support), &read).await,
        StatementOutcome::Rows(0)
    ));
    let write =
        format!("update company_rag_configs set prompt_botlive_groq_70b = 'x' where company_id = '{}'", mine.company);
    assert!(matches!(
        run_as_frontend(&mut admin, "authenticated", Some(support), &write).await,
        StatementOutcome::Rows(0)
    ));
    assert!(matches!(
        run_as_frontend(&mut admin, "authenticated", Some(mine.owner), &write).await,
        StatementOutcome::Rows(1)
    ));
}

#[tokio::test]
async fn rows_of_a_suspended_or_deleted_tenant_are_hidden_from_frontends() {
    let route = DatabaseRoute::direct().await;
    let mut admin = route.admin().await;
    let [mine, theirs] = rows::two_tenants(&mut admin).await;
    let user = Some(mine.owner);
    assert_eq!(visible_tables(&mut admin, "authenticated", user, true).await, names(TENANT_TABLES));
    let prompt = "update company_rag_configs set prompt_botlive_groq_70b = 'x'";
    for column in ["suspended_at", "deleted_at"] {
        let set = |value: &str| {
            AssertSqlSafe(format!("update customers set {column} = {value} where id = '{}'", mine.customer))
        };
        sqlx::raw_sql(set("now()")).execute(&mut admin).await.unwrap();
        assert_eq!(visible_tables(&mut admin, "authenticated", user, true).await, BTreeSet::new(), "{column}");
        assert!(run_as_frontend(&mut admin, "authenticated", user, prompt).await.touches_nothing(), "{column}");
        // The rows of the other tenant stay visible.
        assert_eq!(visible_tables(&mut admin, "authenticated", Some(theirs.owner), true).await, names(TENANT_TABLES));
        sqlx::raw_sql(set("null")).execute(&mut admin).await.unwrap();
        assert_eq!(visible_tables(&mut admin, "authenticated", user, true).await, names(TENANT_TABLES));
    }
}

#[tokio::test]
async fn prompt_changes_by_a_frontend_keep_the_last_twenty_versions() {
    let route = DatabaseRoute::direct().await;
    let mut admin = route.admin().await;
    let tenant = seed::tenant(&mut admin, "a", 8).await;
    let claims = json!({ "sub": tenant.owner, "role": "authenticated" });
    for version in 0..25 {
        let edit = format!(
            "begin; set local role authenticated; select set_config('request.jwt.claims', '{claims}', true); \
             update company_rag_configs set prompt_botlive_groq_70b = 'version {version}'; commit"
        );
        sqlx::raw_sql(AssertSqlSafe(edit)).execute(&mut admin).await.unwrap();
    }
    let kept: Vec<(Option<String>, Option<Uuid>)> = sqlx::query_as(
        "select config ->> 'prompt_botlive_groq_70b', changed_by from config_versions where company_id = $1 order by id",
    )
    .bind(&tenant.company)
    .fetch_all(&mut admin)
    .await
    .unwrap();
    assert_eq!(kept.len(), 20);
    assert_eq!(kept.first().unwrap().0.as_deref(), Some("version 4"));
    assert_eq!(kept.last().unwrap().0.as_deref(), Some("version 23"));
    assert!(kept.iter().all(|(_, by)| *by == Some(tenant.owner)));
}
