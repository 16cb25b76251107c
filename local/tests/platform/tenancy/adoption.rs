//! The adoption of an older project: its tables move to `legacy`, and their rows are copied.

use std::collections::BTreeMap;

use local::environment::DatabaseUrls;
use local_postgres::Postgres;
use serde_json::{Value, json};
use shared::adoption::{self, AdoptionHints, TableReport};
use sqlx::{AssertSqlSafe, Connection, PgConnection};
use uuid::Uuid;

use super::migrate;
use crate::route;

const FIXTURE: &str = include_str!("../../../fixtures/legacy/project.sql");
/// The account that is named for the company without a user.
const LENA: &str = "00000000-0000-4000-8000-0000000000a3";

/// A server with an old project that was migrated.
struct OldProject {
    urls: DatabaseUrls,
    admin: PgConnection,
    migrated: Value,
    _server: Postgres,
}

impl OldProject {
    async fn migrated() -> Self {
        let server = migrate::start_server().await;
        server.create_database("lisa").await.unwrap();
        let urls = migrate::urls(&server, "lisa");
        let mut admin = PgConnection::connect(&urls.admin).await.unwrap();
        sqlx::raw_sql(FIXTURE).execute(&mut admin).await.unwrap();
        let migrated = migrate::run(&urls).await;
        let migrated = migrated.unwrap_or_else(|error| panic!("{}", shared::logging::chain(error.as_ref())));
        Self { urls, admin, migrated, _server: server }
    }

    async fn adopt(&self) -> Result<Vec<TableReport>, shared::error::ApiError> {
        let hints = AdoptionHints { owners: BTreeMap::from([("par_indication".to_owned(), LENA.parse().unwrap())]) };
        adoption::adopt(&route::system(&self.urls.system, 1).with_operator_timeout(), &hints).await
    }

    async fn sql(&mut self, statements: &str) {
        sqlx::raw_sql(AssertSqlSafe(statements.to_owned())).execute(&mut self.admin).await.unwrap();
    }

    /// The rows that a query yields, as one JSON value.
    async fn json(&mut self, query: &str) -> Value {
        let query = format!("select coalesce(jsonb_agg(to_jsonb(found)), '[]') from ({query}) found");
        sqlx::query_scalar(AssertSqlSafe(query)).fetch_one(&mut self.admin).await.unwrap()
    }

    /// All rows of the tables of tenants, as text.
    async fn dump(&mut self) -> BTreeMap<String, String> {
        let tables: Vec<String> = sqlx::query_scalar(
            "select relname::text from pg_class where relnamespace = 'public'::regnamespace and relkind = 'r'",
        )
        .fetch_all(&mut self.admin)
        .await
        .unwrap();
        let mut rows = BTreeMap::new();
        for table in tables {
            let all = format!("select coalesce(string_agg(one::text, E'\\n' order by one::text), '') from {table} one");
            rows.insert(table, sqlx::query_scalar(AssertSqlSafe(all)).fetch_one(&mut self.admin).await.unwrap());
        }
        rows
    }
}

/// The number of copied rows of a table, and each refused row with its reason.
fn refused<'r>(reports: &'r [TableReport], table: &str) -> (u64, Vec<(&'r str, &'r str)>) {
    let report = reports.iter().find(|report| report.table == table).unwrap_or_else(|| panic!("{table}: {reports:?}"));
    let lines = report.refused.iter().map(|refusal| (refusal.row.as_str(), refusal.reason.as_str())).collect();
    (report.taken, lines)
}

#[tokio::test]
async fn tables_of_the_same_name_move_and_are_closed_to_everybody() {
    let mut project = OldProject::migrated().await;
    let expected = [
        "activities",
        "bot_sessions",
        "bot_usage",
        "company_mapping",
        "company_rag_configs",
        "conversation_memory",
        "conversations",
        "documents",
        "messages",
        "orders",
        "user_settings",
        "users",
    ];
    assert_eq!(project.migrated["moved_to_legacy"], json!(expected));
    // A table whose name is not ours stays where it is.
    assert_eq!(project.json("select count(*) as n from public.companies").await[0]["n"], 3);
    assert_eq!(project.json("select count(*) as n from legacy.orders").await[0]["n"], 5);
    for role in ["anon", "authenticated", "service_role", "lisa_app", "lisa_tenant"] {
        let may = format!(
            "select has_schema_privilege('{role}', 'legacy', 'usage')
                 or has_table_privilege('{role}', 'legacy.orders', 'select') as may"
        );
        assert_eq!(project.json(&may).await[0]["may"], false, "{role}");
    }
    // A purge deletes rows of them in any order, and calls nothing of the old project.
    let hindrances = "select conname::text as name from pg_constraint where contype = 'f'
            and 'legacy'::regnamespace in (
                select relnamespace::regnamespace from pg_class where oid in (conrelid, confrelid)
            )
        union all select tgname::text from pg_trigger join pg_class on pg_class.oid = tgrelid
            where relnamespace = 'legacy'::regnamespace and not tgisinternal and tgenabled <> 'D'";
    assert_eq!(project.json(hindrances).await, json!([]));
    let published = "select schemaname, tablename from pg_publication_tables where pubname = 'supabase_realtime' \
                     order by tablename";
    let names: Vec<_> = project
        .json(published)
        .await
        .as_array()
        .unwrap()
        .iter()
        .map(|row| (row["schemaname"].clone(), row["tablename"].clone()))
        .collect();
    let expected = ["activities", "orders", "user_settings", "users"].map(|name| (json!("public"), json!(name)));
    assert_eq!(names, expected, "the old table is not published any more, and ours are");
    // A second migration moves nothing.
    let again = migrate::run(&project.urls).await.unwrap();
    assert_eq!(again["moved_to_legacy"], json!([]));
    assert_eq!(project.json("select count(*) as n from legacy.orders").await[0]["n"], 5);
}

#[tokio::test]
async fn rows_are_copied_or_reported_and_a_repetition_gives_the_same() {
    let mut project = OldProject::migrated().await;
    let first = project.adopt().await.unwrap();
    let row = |suffix: &str| format!("00000000-0000-4000-8000-{suffix:0>12}");
    assert_eq!(
        refused(&first, "users"),
        (2, vec![(row("a2").as_str(), "subscription_not_imported"), (row("ff").as_str(), "no_account")])
    );
    assert_eq!(refused(&first, "user_settings"), (2, vec![(row("ff").as_str(), "no_account")]));
    assert_eq!(
        refused(&first, "company_rag_configs"),
        (3, vec![("chez_koffi", "prompt_botlive_groq_70b_too_long"), ("sans_compte", "no_owner")])
    );
    assert_eq!(refused(&first, "company_mapping"), (2, vec![]));
    assert_eq!(
        refused(&first, "conversation_memory"),
        (904, vec![("5", "unknown_role"), ("6", "no_content"), ("7", "unknown_company"), ("8", "no_user_id")])
    );
    assert_eq!(
        refused(&first, "documents"),
        (3, vec![(row("d004").as_str(), "no_content"), (row("d005").as_str(), "unknown_company")])
    );
    assert_eq!(
        refused(&first, "orders"),
        (
            2,
            vec![
                (row("e003").as_str(), "no_exact_total_amount"),
                (row("e004").as_str(), "orders_status_known"),
                (row("e005").as_str(), "unknown_company")
            ]
        )
    );
    assert_eq!(
        refused(&first, "activities"),
        (1, vec![(row("f002").as_str(), "no_title"), (row("f003").as_str(), "activities_status_known")])
    );
    assert_eq!(refused(&first, "bot_sessions"), (2, vec![(row("5e2").as_str(), "newer_session")]));
    assert_eq!(refused(&first, "bot_usage"), (1, vec![(row("b2").as_str(), "no_date")]));
    for table in ["conversations", "messages"] {
        assert_eq!(refused(&first, table), (0, vec![("all", "table_not_adopted")]));
    }
    assert_rows(&mut project).await;

    let before = project.dump().await;
    assert_eq!(project.adopt().await.unwrap(), first);
    assert_eq!(project.dump().await, before);
    // A row that was deleted since does not come back.
    project.sql(&format!("delete from orders where id = '{}'", row("e001"))).await;
    assert_eq!(project.adopt().await.unwrap(), first);
    assert_eq!(project.json("select id from orders").await.as_array().unwrap().len(), 1);
}

/// Asserts the copied rows.
#[expect(clippy::too_many_lines, reason = "the rows of each table")]
async fn assert_rows(project: &mut OldProject) {
    let companies =
        "select tenant.id, tenant.name, mapping.company_id, config.ai_name, config.prompt_botlive_groq_70b as groq,
            config.prompt_botlive_deepseek_v3 as deepseek, plan.name as plan
        from customers tenant join company_mapping mapping on mapping.uuid = tenant.id
        join company_rag_configs config on config.company_id = mapping.company_id join plans plan on plan.id = plan_id
        order by mapping.company_id";
    let found = project.json(companies).await;
    let third = found[1]["id"].clone();
    let company = |id: &Value, company_id: &str, name: &str, ai_name: &str, groq: Value, deepseek: Value| {
        json!({
            "id": id, "name": name, "company_id": company_id, "ai_name": ai_name, "groq": groq, "deepseek": deepseek,
            "plan": "free",
        })
    };
    assert_eq!(
        found,
        json!([
            company(
                &json!("00000000-0000-4000-8000-0000000000c2"),
                "chez_koffi",
                "Chez Koffi",
                "Lisa",
                Value::Null,
                json!("Tu vends du café.")
            ),
            company(&third, "par_indication", "par_indication", "Lisa", Value::Null, Value::Null),
            company(
                &json!("00000000-0000-4000-8000-0000000000c1"),
                "rue_du_grossiste",
                "Rue du Grossiste",
                "Jessica",
                json!("Tu es Jessica."),
                Value::Null
            ),
        ])
    );
    let owners = "select user_id from customer_members where role = 'owner' order by user_id";
    let owners: Vec<_> =
        project.json(owners).await.as_array().unwrap().iter().map(|row| row["user_id"].clone()).collect();
    assert_eq!(owners, ["a1", "a2", "a3"].map(|suffix| json!(format!("00000000-0000-4000-8000-0000000000{suffix}"))));
    let quota = "select free_quota_used as used, free_quota_limit as most from user_settings order by user_id";
    assert_eq!(
        project.json(quota).await,
        json!([{ "used": 6, "most": 8 }, { "used": 0, "most": 12 }, { "used": 0, "most": 8 }])
    );
    // What the frontends read is what they read before.
    let memory = "select user_id, role, content, timestamp at time zone 'UTC' as time from conversation_memory
                  where company_id = 'rue_du_grossiste' order by timestamp";
    assert_eq!(
        project.json(memory).await,
        json!([
            { "user_id": "+2250700000001", "role": "user", "content": "Bonjour, le prix du carton ?", "time": "2025-10-01T08:00:00" },
            { "user_id": "+2250700000001", "role": "assistant", "content": "Bonjour ! 12 000 F.", "time": "2025-10-01T08:00:05" },
            { "user_id": "987654", "role": "user", "content": "Livraison à Bouaké ?", "time": "2025-10-02T09:30:00" },
        ])
    );
    let waiting = "select count(*) as n from messages where direction = 'inbound' and answered_by is null and skipped_reason is null";
    assert_eq!(project.json(waiting).await[0]["n"], 0, "no old question is answered now");
    let conversations = "select contact_id, user_phone, last_message_at at time zone 'UTC' as last from conversations
                         where customer_id = '00000000-0000-4000-8000-0000000000c1' order by contact_id";
    assert_eq!(
        project.json(conversations).await,
        json!([
            { "contact_id": "+2250700000001", "user_phone": "+2250700000001", "last": "2025-10-01T08:00:05" },
            { "contact_id": "987654", "user_phone": null, "last": "2025-10-02T09:30:00" },
        ])
    );
    let documents = "select filename, status, format, chunks, pages_total, content from documents order by filename";
    assert_eq!(
        project.json(documents).await,
        json!([
            { "filename": "00000000-0000-4000-8000-00000000d003.txt", "status": "processed", "format": "txt", "chunks": 1, "pages_total": 1, "content": "Le café coûte 500 F." },
            { "filename": "livraison.pdf", "status": "processed", "format": "pdf", "chunks": 2, "pages_total": 2, "content": "La livraison à Bouaké coûte 2 500 F." },
        ])
    );
    let chunks = "select chunk_index, page_start, chunk.embedding_model, embedding is null as is_short from document_chunks chunk
                  join documents on documents.id = document_id where filename = 'livraison.pdf' order by chunk_index";
    assert_eq!(
        project.json(chunks).await,
        json!([
            { "chunk_index": 0, "page_start": 1, "embedding_model": "legacy", "is_short": true },
            { "chunk_index": 1, "page_start": 2, "embedding_model": "legacy", "is_short": true },
        ])
    );
    let orders =
        "select right(id::text, 3) as id, customer_name, total_amount::text as total, currency, status, needs_review,
                  updated_at at time zone 'UTC' as updated from orders order by id";
    assert_eq!(
        project.json(orders).await,
        json!([
            { "id": "001", "customer_name": "Awa", "total": "24000.00", "currency": "XOF", "status": "confirmed", "needs_review": false, "updated": "2025-10-05T00:00:00" },
            { "id": "002", "customer_name": "Yao", "total": "123456789012.34", "currency": "XOF", "status": "pending", "needs_review": true, "updated": "2025-10-04T00:00:00" },
        ])
    );
    let sessions = "select mode, ended_at is null as open from bot_sessions order by started_at";
    assert_eq!(
        project.json(sessions).await,
        json!([{ "mode": "rag", "open": false }, { "mode": "live", "open": true }])
    );
    let usage = "select date, conversations_count as c, messages_count as m, orders_count as o, revenue::text as r from bot_usage
                 where date = '2025-10-04'";
    assert_eq!(project.json(usage).await, json!([{ "date": "2025-10-04", "c": 3, "m": 20, "o": 2, "r": "24000.50" }]));
}

#[tokio::test]
async fn copied_messages_are_kept_for_eleven_months_unless_the_company_chose_otherwise() {
    let mut project = OldProject::migrated().await;
    // Messages of 30 months ago, of one company: the others have none that are older than a day.
    project
        .sql(
            "update legacy.conversation_memory set timestamp = now() - interval '1 hour';
             update legacy.conversation_memory set timestamp = now() - interval '30 months' where id = 1",
        )
        .await;
    project.adopt().await.unwrap();
    let kept = "select company_id, conversation_retention_months as months from customers
        join company_mapping on uuid = customers.id order by company_id";
    let months = |of_first: i32| {
        json!([
            { "company_id": "chez_koffi", "months": 12 }, { "company_id": "par_indication", "months": 12 },
            { "company_id": "rue_du_grossiste", "months": of_first },
        ])
    };
    assert_eq!(project.json(kept).await, months(42));
    let db = route::system(&project.urls.system, 1);
    let remove = async |days: i64| {
        let now = chrono::Utc::now() + chrono::TimeDelta::days(days);
        db.system_tx(async |tx| Ok(shared::privacy::retention::remove_old_messages(tx, now, 2_000).await?))
            .await
            .unwrap()
    };
    assert_eq!((remove(0).await, remove(330).await), (0, 0));
    // The company has chosen since, and a repetition copies a row that was refused before.
    project
        .sql(
            "update customers set conversation_retention_months = 3;
             select app.audit(id, null, 'customer.changed', 'customer', null,
                 '{\"fields\": [\"conversation_retention_months\"]}') from customers;
             update legacy.conversation_memory set role = 'user', timestamp = now() - interval '30 months' where id = 5",
        )
        .await;
    project.adopt().await.unwrap();
    assert_eq!(project.json("select max(conversation_retention_months) as n from customers").await[0]["n"], 3);
    assert_eq!(remove(0).await, 2, "both old messages, by the company's choice");
}

#[tokio::test]
async fn an_adoption_that_dies_half_way_ends_as_one_that_did_not() {
    let (mut whole, mut broken) = tokio::join!(OldProject::migrated(), OldProject::migrated());
    let expected = whole.adopt().await.unwrap();
    // In the middle of the messages, in the middle of a batch, the server ends the connection. Then a table fails.
    broken
        .sql(
            "create function die() returns trigger language plpgsql as $$ begin
                 if new.content like 'Message 800 %' then
                     perform pg_terminate_backend(pg_backend_pid());
                 end if;
                 return new;
             end $$;
             grant execute on function die() to public;
             create trigger die before insert on messages for each row execute function die();
             create function fail() returns trigger language plpgsql as $$ begin raise exception 'fault'; end $$;
             grant execute on function fail() to public;
             create trigger fail before insert on activities for each row execute function fail();",
        )
        .await;
    assert!(broken.adopt().await.is_err());
    let copied = broken.json("select count(*) as n from messages").await[0]["n"].as_i64().unwrap();
    assert!((1..904).contains(&copied), "{copied}");
    broken.sql("drop trigger die on messages").await;
    assert!(broken.adopt().await.is_err());
    assert_eq!(broken.json("select count(*) as n from orders").await[0]["n"], 2);
    broken.sql("drop trigger fail on activities").await;
    assert_eq!(broken.adopt().await.unwrap(), expected);
    for query in [
        "select company_id, user_id, role, content, timestamp from conversation_memory order by timestamp, content",
        "select right(id::text, 3) as id, total_amount, status from orders order by id",
        "select contact_id, last_message_at from conversations order by customer_id, contact_id",
        "select filename, chunks, chars, bytes from documents order by filename",
        "select chunk_index, text_chunk from document_chunks order by text_chunk",
        "select date, messages_count, revenue from bot_usage order by date, messages_count",
        "select company_id, ai_name from company_rag_configs order by company_id",
    ] {
        assert_eq!(broken.json(query).await, whole.json(query).await, "{query}");
    }
}

#[tokio::test]
async fn copied_rows_are_no_events_for_webhooks() {
    let mut project = OldProject::migrated().await;
    project.adopt().await.unwrap();
    // Each company has an endpoint before the rest of its history is copied.
    project
        .sql(
            "insert into webhook_endpoints (customer_id, url, secret)
                 select id, 'https://hooks.example.com/' || id, convert_to(repeat('s', 40), 'UTF8') from customers;
             delete from legacy.adopted_rows where relation in ('conversation_memory', 'orders', 'documents');
             delete from messages; delete from orders",
        )
        .await;
    let reports = project.adopt().await.unwrap();
    assert!(refused(&reports, "conversation_memory").0 > 900 && refused(&reports, "orders").0 > 0, "{reports:?}");
    assert_ne!(project.json("select count(*) as n from messages").await[0]["n"], 0);
    assert_ne!(project.json("select count(*) as n from orders").await[0]["n"], 0);
    assert_eq!(project.json("select event_type, data from webhook_deliveries").await, json!([]));

    // What happens afterwards is an event.
    project.sql("update orders set needs_review = not needs_review where id = (select id from orders limit 1)").await;
    assert_eq!(
        project.json("select event_type from webhook_deliveries").await,
        json!([{ "event_type": "order.updated" }])
    );
}

#[tokio::test]
async fn two_adoptions_at_once_copy_each_row_once() {
    let mut project = OldProject::migrated().await;
    let (one, two) = tokio::join!(project.adopt(), project.adopt());
    // A deadlock or a wait may end one of the two; a repetition completes it.
    let expected = project.adopt().await.unwrap();
    for report in [one, two].into_iter().flatten() {
        assert_eq!(report, expected);
    }
    assert_eq!(project.json("select count(*) as n from messages").await[0]["n"], 904);
    assert_eq!(project.json("select max(chunks) as n from documents").await[0]["n"], 2);
    assert_eq!(project.json("select count(*) as n from customers").await[0]["n"], 3);
}

#[tokio::test]
async fn nobody_gets_an_old_companys_rows_by_its_name() {
    let mut project = OldProject::migrated().await;
    let stranger = Uuid::new_v4();
    // Somebody signed up with a name whose slug is the old company's id.
    project
        .sql(&format!(
            "select app.provision_account('{stranger}', 'eve@example.com', 'Eve', 8);
             insert into customers (id, user_id, name, plan_id)
                 select '{stranger}', '{stranger}', 'x', id from plans where name = 'free';
             insert into company_mapping (uuid, company_id, user_id) values ('{stranger}', 'rue_du_grossiste', '{stranger}')"
        ))
        .await;
    let report = project.adopt().await.unwrap();
    assert!(refused(&report, "company_rag_configs").1.contains(&("rue_du_grossiste", "company_id_taken")));
    let leaked = format!(
        "select count(*) as n from messages where customer_id = '{stranger}'
         union all select count(*) from documents where customer_id = '{stranger}'"
    );
    assert_eq!(project.json(&leaked).await, json!([{ "n": 0 }, { "n": 0 }]));
}

#[tokio::test]
async fn a_database_without_an_older_project_has_nothing_to_adopt() {
    let route = route::DatabaseRoute::direct().await;
    let reports = adoption::adopt(&route.system(1), &AdoptionHints::default()).await.unwrap();
    assert_eq!(reports, []);
}
