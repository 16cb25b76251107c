//! The fronts that read through Supabase: the roles `authenticated` and `anon`, with the claims of a token.

use std::collections::BTreeSet;

use serde_json::json;
use sqlx::{AssertSqlSafe, Connection, PgConnection};
use uuid::Uuid;

use super::{
    catalog,
    isolation::{Outcome, statements},
    rows,
};
use crate::{route::Route, seed};

/// Runs one statement as a front does, and rolls it back.
async fn attempt(admin: &mut PgConnection, role: &str, user: Option<Uuid>, statement: &str) -> Outcome {
    let mut tx = admin.begin().await.unwrap();
    let claims = user.map_or_else(String::new, |user| json!({ "sub": user, "role": role }).to_string());
    let begin = format!("set local role {role}; select set_config('request.jwt.claims', '{claims}', true)");
    sqlx::raw_sql(AssertSqlSafe(begin)).execute(&mut *tx).await.unwrap();
    let sql = AssertSqlSafe(statement.to_owned());
    let outcome = if statement.starts_with("select") {
        sqlx::query_scalar(sql).fetch_one(&mut *tx).await.map_or_else(|error| Outcome::of(&error), Outcome::Rows)
    } else {
        sqlx::query(sql).execute(&mut *tx).await.map_or_else(
            |error| Outcome::of(&error),
            |done| Outcome::Rows(i64::try_from(done.rows_affected()).unwrap()),
        )
    };
    tx.rollback().await.unwrap();
    outcome
}

/// The tables of which somebody sees a row of a tenant.
async fn visible(admin: &mut PgConnection, role: &str, user: Option<Uuid>, only_tenants: bool) -> BTreeSet<String> {
    let mut seen = BTreeSet::new();
    for table in catalog::tables(admin).await {
        if only_tenants && !table.is_of_tenants() {
            continue;
        }
        let statement = format!("select count(*) from {}", table.name);
        match attempt(admin, role, user, &statement).await {
            Outcome::Rows(1..) => drop(seen.insert(table.name)),
            Outcome::Rows(_) | Outcome::Refused => {}
            Outcome::Failed(error) => panic!("{statement}: {error}"),
        }
    }
    seen
}

fn names<const N: usize>(names: [&str; N]) -> BTreeSet<String> {
    names.into_iter().map(str::to_owned).collect()
}

const OF_TENANTS: [&str; 9] = [
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
const OF_PEOPLE: [&str; 3] = ["profiles", "user_settings", "users"];

#[tokio::test]
async fn a_signed_in_user_sees_own_rows_only_and_changes_nothing_of_others() {
    let route = Route::direct().await;
    let mut admin = route.admin().await;
    let [mine, theirs] = rows::two_tenants(&mut admin).await;
    let mut tried = 0;
    for table in catalog::tables(&mut admin).await {
        for statement in statements(&mut admin, &table, &mine, &theirs).await {
            let outcome = attempt(&mut admin, "authenticated", Some(mine.owner), &statement).await;
            assert!(outcome.touches_nothing(), "{statement}: {outcome:?}");
            tried += 1;
        }
    }
    assert!(tried > 100, "only {tried} statements were tried");
    // And the same user does see the own ones.
    let seen = visible(&mut admin, "authenticated", Some(mine.owner), false).await;
    assert_eq!(seen, names(OF_TENANTS).union(&names(OF_PEOPLE)).cloned().collect());
}

#[tokio::test]
async fn nobody_without_claims_sees_anything() {
    let route = Route::direct().await;
    let mut admin = route.admin().await;
    rows::two_tenants(&mut admin).await;
    for (role, user) in
        [("authenticated", None), ("authenticated", Some(Uuid::new_v4())), ("anon", None), ("service_role", None)]
    {
        assert_eq!(visible(&mut admin, role, user, false).await, BTreeSet::new(), "{role} {user:?}");
    }
}

#[tokio::test]
async fn an_owner_changes_exactly_the_name_the_picture_and_the_two_prompts() {
    let route = Route::direct().await;
    let mut admin = route.admin().await;
    let [mine, _] = rows::two_tenants(&mut admin).await;
    let mut changeable = BTreeSet::new();
    for table in catalog::tables(&mut admin).await {
        let Some(own) = table.of(&mine) else {
            assert!(!matches!(
                attempt(&mut admin, "authenticated", Some(mine.owner), &format!("delete from {}", table.name)).await,
                Outcome::Rows(_)
            ));
            continue;
        };
        let insert = table.copy_of(&mut admin, &mine).await;
        for statement in [insert, format!("delete from {} where {own}", table.name), format!("truncate {}", table.name)]
        {
            let outcome = attempt(&mut admin, "authenticated", Some(mine.owner), &statement).await;
            assert!(matches!(outcome, Outcome::Refused), "{statement}: {outcome:?}");
        }
        for column in table.columns.iter().filter(|column| column.is_plain) {
            let statement = format!("update {} set {1} = {1}", table.name, column.name);
            match attempt(&mut admin, "authenticated", Some(mine.owner), &statement).await {
                Outcome::Rows(1) => drop(changeable.insert(format!("{}.{}", table.name, column.name))),
                Outcome::Refused => {}
                // To set a column to itself is to read it; to null is not.
                outcome => panic!("{statement}: {outcome:?}"),
            }
            let statement = format!("update {} set {} = null", table.name, column.name);
            let outcome = attempt(&mut admin, "authenticated", Some(mine.owner), &statement).await;
            let is_changeable = changeable.contains(&format!("{}.{}", table.name, column.name));
            assert!(is_changeable || matches!(outcome, Outcome::Refused), "{statement}: {outcome:?}");
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
async fn a_support_user_reads_the_prompts_and_does_not_write_them() {
    let route = Route::direct().await;
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
    assert!(matches!(attempt(&mut admin, "authenticated", Some(support), &read).await, Outcome::Rows(1)));
    let read = format!("select count(*) from {}", of(&theirs.company));
    assert!(matches!(attempt(&mut admin, "authenticated", Some(support), &read).await, Outcome::Rows(0)));
    let write =
        format!("update company_rag_configs set prompt_botlive_groq_70b = 'x' where company_id = '{}'", mine.company);
    assert!(matches!(attempt(&mut admin, "authenticated", Some(support), &write).await, Outcome::Rows(0)));
    assert!(matches!(attempt(&mut admin, "authenticated", Some(mine.owner), &write).await, Outcome::Rows(1)));
}

#[tokio::test]
async fn a_suspended_or_deleted_tenants_rows_are_gone_for_the_fronts() {
    let route = Route::direct().await;
    let mut admin = route.admin().await;
    let [mine, theirs] = rows::two_tenants(&mut admin).await;
    let user = Some(mine.owner);
    assert_eq!(visible(&mut admin, "authenticated", user, true).await, names(OF_TENANTS));
    let prompt = "update company_rag_configs set prompt_botlive_groq_70b = 'x'";
    for column in ["suspended_at", "deleted_at"] {
        let set = |value: &str| {
            AssertSqlSafe(format!("update customers set {column} = {value} where id = '{}'", mine.customer))
        };
        sqlx::raw_sql(set("now()")).execute(&mut admin).await.unwrap();
        assert_eq!(visible(&mut admin, "authenticated", user, true).await, BTreeSet::new(), "{column}");
        assert!(attempt(&mut admin, "authenticated", user, prompt).await.touches_nothing(), "{column}");
        // Nobody else's are.
        assert_eq!(visible(&mut admin, "authenticated", Some(theirs.owner), true).await, names(OF_TENANTS));
        sqlx::raw_sql(set("null")).execute(&mut admin).await.unwrap();
        assert_eq!(visible(&mut admin, "authenticated", user, true).await, names(OF_TENANTS));
    }
}

#[tokio::test]
async fn a_prompt_that_a_front_changes_leaves_its_last_twenty_versions() {
    let route = Route::direct().await;
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
