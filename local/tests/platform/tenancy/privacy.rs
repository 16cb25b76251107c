//! Completeness of the export and of the purge: every table of the catalog and every prefix of the bucket is in the
//! inventory, and what the inventory says is what the two do.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    io::{Cursor, Read},
};

use local::testing::{TestStack, servers, stack};
use local_postgres::root;
use serde_json::{Value, json};
use shared::{
    privacy::{
        inventory::{BUCKET_PREFIXES, Export, HIDDEN_COLUMNS, Purge, TABLES, Table},
        purge::BATCHED_TABLES,
    },
    storage,
};
use sqlx::{AssertSqlSafe, Connection, PgConnection};
use uuid::Uuid;
use zip::ZipArchive;

use super::rows;
use crate::seed::SeededTenant;

/// Table with a statement that inserts a row of an owner into it, for the tables of billing.
fn billing_rows(owner: Uuid) -> String {
    format!(
        r#"insert into billing.stripe_customers (id, user_id) values ('cus_{owner}', '{owner}');
        insert into billing.subscription_states (id, user_id, stripe_customer_id, status, plan, started_at)
            values ('sub_{owner}', '{owner}', 'cus_{owner}', 'canceled', 'pro', now());
        insert into billing.subscriptions (id, user_id, state_id, status, stripe_customer_id)
            values ('s{owner}', '{owner}', 'sub_{owner}', 'cancelled', 'cus_{owner}');
        insert into billing.duplicate_subscriptions (subscription_id, user_id, kept_subscription_id, status)
            values ('dup_{owner}', '{owner}', 'sub_{owner}', 'cancelled');
        insert into billing.user_config (id, user_id, data_pod_url, data_pod_api_key)
            values ('c{owner}', '{owner}', 'https://pod.example.com', 'sealed');
        insert into billing.stripe_events (id, type, created, payload, applied_at, projected_at)
            values ('evt_{owner}', 'invoice.paid', now(),
                '{{"data": {{"object": {{"id": "in_1", "customer": "cus_{owner}", "customer_email": "x@example.com"}}}}}}',
                now(), now());
        insert into billing_notices (key) values ('duplicate:dup_{owner}');"#
    )
}

/// SQL condition for the rows of a tenant in a table of the inventory.
fn condition(table: &Table, tenant: &SeededTenant) -> String {
    let SeededTenant { customer, owner, company } = tenant;
    match table.short_name() {
        "stripe_events" => format!("id = 'evt_{owner}'"),
        _ if table.is_of_billing() => format!("user_id = '{owner}'"),
        "billing_notices" => format!("strpos(key, '{owner}') > 0"),
        "customers" => format!("id = '{customer}'"),
        "users" | "profiles" => format!("id = '{owner}'"),
        "activities" | "bot_sessions" | "bot_usage" | "first_answer_times" | "orders" | "order_days" => {
            format!("company_id = '{customer}'")
        }
        "company_rag_configs" | "config_versions" => format!("company_id = '{company}'"),
        "company_mapping" => format!("uuid = '{customer}'"),
        "credentials" | "refresh_sessions" | "user_settings" => format!("user_id = '{owner}'"),
        _ => format!("customer_id = '{customer}'"),
    }
}

/// Tables that hold rows of tenants, by the inventory.
fn tenant_tables() -> Vec<&'static Table> {
    TABLES
        .iter()
        .filter(|table| !matches!((table.export, table.purge), (Export::LeftOut(one), Purge::Kept(two)) if one == two))
        .collect()
}

async fn numbers(admin: &mut PgConnection, tenant: &SeededTenant) -> BTreeMap<&'static str, i64> {
    let mut numbers = BTreeMap::new();
    for table in tenant_tables() {
        let select = format!("select count(*) from {} where {}", table.name, condition(table, tenant));
        let count: i64 = sqlx::query_scalar(AssertSqlSafe(select)).fetch_one(&mut *admin).await.unwrap();
        numbers.insert(table.name, count);
    }
    numbers
}

/// A product with two companies that have rows in every table.
async fn seeded_stack() -> (TestStack, PgConnection, [SeededTenant; 2]) {
    let stack = stack(Default::default()).await.unwrap();
    let mut admin = PgConnection::connect(&stack.database.admin).await.unwrap();
    let tenants = rows::two_tenants(&mut admin).await;
    for tenant in &tenants {
        sqlx::raw_sql(AssertSqlSafe(billing_rows(tenant.owner))).execute(&mut admin).await.unwrap();
        for (table, count) in numbers(&mut admin, tenant).await {
            assert!(count > 0, "no row of {table} is seeded");
        }
    }
    (stack, admin, tenants)
}

async fn s3() -> aws_sdk_s3::Client {
    let config = servers().await.unwrap().aws.config();
    aws_sdk_s3::Client::from_conf(aws_sdk_s3::config::Builder::from(&config).force_path_style(true).build())
}

#[tokio::test]
async fn the_inventory_names_every_table_of_the_catalog() {
    let (_database, mut admin) = super::structure::admin().await;
    let statement =
        "select nspname || '.' || relname from pg_class join pg_namespace on pg_namespace.oid = relnamespace
         where nspname in ('public', 'billing') and relkind in ('r', 'p') and relname <> '_sqlx_migrations' order by 1";
    let tables: Vec<String> = sqlx::query_scalar(statement).fetch_all(&mut admin).await.unwrap();
    let inventory: Vec<_> = TABLES.iter().map(|table| table.name).collect();
    let (found, known): (BTreeSet<_>, BTreeSet<_>) =
        (tables.iter().map(String::as_str).collect(), inventory.iter().copied().collect());
    assert_eq!(found, known, "say of each table in shared::privacy::inventory whether it is exported and purged");
    assert_eq!(inventory.len(), known.len(), "a table is named twice");
    for (table, column, _) in HIDDEN_COLUMNS {
        let (schema, name) = table.split_once('.').unwrap();
        let exists = "select exists (select from information_schema.columns
            where table_schema = $1 and table_name = $2 and column_name = $3)";
        let exists = sqlx::query_scalar::<_, bool>(exists).bind(schema).bind(name).bind(*column);
        assert!(exists.fetch_one(&mut admin).await.unwrap(), "{table}.{column}");
    }
}

#[tokio::test]
async fn the_inventory_names_every_other_schema_that_could_hold_rows() {
    let (_database, mut admin) = super::structure::admin().await;
    let statement = "select distinct nspname::text from pg_class join pg_namespace on pg_namespace.oid = relnamespace
         where relkind in ('r', 'p') and nspname not in ('pg_catalog', 'information_schema') and nspname !~ '^pg_'
         order by 1";
    let schemas: Vec<String> = sqlx::query_scalar(statement).fetch_all(&mut admin).await.unwrap();
    // Tables of an older project in `legacy` are purged by app.purge_legacy, as far as their columns say whose a row is.
    assert_eq!(schemas, ["billing", "legacy", "public"]);
}

#[test]
fn each_reason_for_an_exception_is_a_sentence_and_the_batches_are_those_of_the_inventory() {
    for table in TABLES {
        for reason in [
            if let Export::LeftOut(reason) = table.export { Some(reason) } else { None },
            if let Purge::Kept(reason) = table.purge { Some(reason) } else { None },
        ]
        .into_iter()
        .flatten()
        {
            assert!(reason.len() > 8, "{}: {reason:?}", table.name);
        }
    }
    let rows = TABLES.iter().filter(|table| table.purge == Purge::Rows).map(|table| table.short_name());
    // The company itself goes last, with its accounts.
    let last = ["customer_members", "company_mapping", "customers"];
    let batched: BTreeSet<_> = BATCHED_TABLES.iter().copied().chain(last).collect();
    assert_eq!(rows.collect::<BTreeSet<_>>(), batched);
}

#[tokio::test]
async fn a_batch_of_a_purge_takes_no_rows_of_another_table_with_it() {
    let (_database, mut admin) = super::structure::admin().await;
    let cascades = "select conrelid::regclass::text, confrelid::regclass::text from pg_constraint
         where contype = 'f' and confdeltype = 'c' and connamespace = 'public'::regnamespace order by 1, 2";
    let cascades: Vec<(String, String)> = sqlx::query_as(cascades).fetch_all(&mut admin).await.unwrap();
    let place = |table: &str| BATCHED_TABLES.iter().position(|batched| *batched == table);
    let mut compared = 0;
    for (of, with) in &cascades {
        if let (Some(of_place), Some(with_place)) = (place(of), place(with)) {
            assert!(of_place < with_place, "{of} goes with {with}: uncounted, and without a bound");
            compared += 1;
        }
    }
    assert!(compared >= 10, "{cascades:?}");
}

#[test]
fn every_prefix_of_the_bucket_is_in_the_inventory() {
    let tenant = Uuid::new_v4();
    let known: Vec<_> =
        BUCKET_PREFIXES.iter().map(|(prefix, ..)| prefix.replace("{tenant}", &tenant.to_string())).collect();
    for key in [storage::document_key(tenant, Uuid::new_v4()), storage::export_key(tenant, Uuid::new_v4())] {
        assert!(known.iter().any(|prefix| key.starts_with(prefix)), "{key}");
        assert!(
            key.starts_with(&storage::tenant_prefix(tenant)),
            "a purge deletes below the company's prefix only: {key}"
        );
    }
    // Keys are made in one file, and every key begins with the company's prefix.
    let source = fs::read_to_string(root().join("shared/src/integrations/storage.rs")).unwrap();
    let code = source.split("#[cfg(test)]").next().unwrap();
    let made = code.matches("format!(\"tenants/{tenant}/").count();
    let others: Vec<_> = code.match_indices("format!(\"").map(|(at, _)| &code[at..(at + 40).min(code.len())]).collect();
    let keys = others.iter().filter(|line| line.contains('/')).count();
    assert_eq!((made, keys), (3, 3), "a key of a new form: add it here and to BUCKET_PREFIXES: {others:?}");
    // Nothing else of the bucket is granted.
    let template = fs::read_to_string(root().join("template.yaml")).unwrap();
    let grants: BTreeSet<_> = template
        .match_indices("${DocumentsBucket.Arn}/")
        .map(|(at, found)| template[at + found.len()..].split(['"', ']']).next().unwrap())
        .collect();
    assert_eq!(grants, BTreeSet::from(["*", "tenants/*"]), "`*` is the refusal without TLS");
}

/// The files of an archive by name.
fn unzip(bytes: Vec<u8>) -> BTreeMap<String, Vec<u8>> {
    let mut archive = ZipArchive::new(Cursor::new(bytes)).unwrap();
    let mut files = BTreeMap::new();
    for index in 0..archive.len() {
        let mut file = archive.by_index(index).unwrap();
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).unwrap();
        let is_new = files.insert(file.name().unwrap().to_string(), bytes).is_none();
        assert!(is_new, "a name is in the archive twice");
    }
    files
}

/// Makes an export of a company with the export-worker, and returns the files of its archive.
async fn export(stack: &TestStack, admin: &mut PgConnection, tenant: &SeededTenant) -> BTreeMap<String, Vec<u8>> {
    let insert = "insert into exports (customer_id, requested_by) values ($1, $2) returning id";
    let id: Uuid =
        sqlx::query_scalar(insert).bind(tenant.customer).bind(tenant.owner).fetch_one(&mut *admin).await.unwrap();
    let body = json!({ "customer_id": tenant.customer, "export_id": id }).to_string();
    let record = json!({ "messageId": "1", "receiptHandle": "1", "body": body });
    let answer = stack.invoke("export-worker", json!({ "Records": [record] })).await.unwrap();
    assert_eq!(answer, json!({ "batchItemFailures": [] }));
    let key = storage::export_key(tenant.customer, id);
    let bucket = stack.resource_setting("DOCUMENTS_BUCKET").unwrap();
    let object = s3().await.get_object().bucket(bucket).key(key).send().await.unwrap();
    unzip(object.body.collect().await.unwrap().into_bytes().to_vec())
}

#[tokio::test]
async fn an_export_holds_every_row_of_every_table_and_nothing_of_another_company() {
    let (stack, mut admin, [mine, theirs]) = seeded_stack().await;
    let files = export(&stack, &mut admin, &mine).await;
    let mut expected = BTreeSet::from(["manifest.json".to_owned()]);
    for table in TABLES.iter().filter(|table| table.export == Export::Rows) {
        let name = if table.is_of_billing() { "tables/billing/" } else { "tables/" }.to_owned()
            + table.short_name()
            + ".jsonl";
        let text = String::from_utf8(files[&name].clone()).unwrap();
        let mut exported: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let hidden: Vec<_> = HIDDEN_COLUMNS
            .iter()
            .filter(|(of, ..)| *of == table.name)
            .map(|(_, column, _)| format!("'{column}'"))
            .collect();
        let rows = format!(
            "select to_jsonb(t) - array[{}]::text[] from {} t where {}",
            hidden.join(", "),
            table.name,
            condition(table, &mine)
        );
        let mut rows: Vec<Value> = sqlx::query_scalar(AssertSqlSafe(rows)).fetch_all(&mut admin).await.unwrap();
        if table.short_name() == "customer_members" {
            // The names of the members are in their own tables, of which the export has the owner's rows.
            for row in &mut exported {
                assert_eq!(row.as_object_mut().unwrap().remove("email"), Some(json!("mine@example.com")));
                assert_eq!(row.as_object_mut().unwrap().remove("full_name"), Some(json!("mine")));
            }
        }
        if table.short_name() == "exports" {
            // The exported row of the export itself shows it as running, so only ids are compared.
            rows.iter_mut().chain(&mut exported).for_each(|row| *row = row["id"].clone());
        }
        rows.sort_by_key(Value::to_string);
        exported.sort_by_key(Value::to_string);
        assert!(!rows.is_empty(), "{}", table.name);
        assert_eq!(exported, rows, "{}", table.name);
        expected.insert(name);
    }
    assert_eq!(files.keys().cloned().collect::<BTreeSet<_>>(), expected);
    let manifest: Value = serde_json::from_slice(&files["manifest.json"]).unwrap();
    for table in TABLES {
        let in_tables = manifest["tables"].get(table.name).is_some();
        let left_out = manifest["left_out"].get(table.name).is_some();
        assert_eq!(
            (in_tables, left_out),
            (table.export == Export::Rows, table.export != Export::Rows),
            "{}",
            table.name
        );
    }
    for (name, bytes) in &files {
        let text = String::from_utf8_lossy(bytes);
        for foreign in [theirs.customer.to_string(), theirs.owner.to_string(), "theirs".to_owned()] {
            assert!(!text.contains(&foreign), "{name} has something of another company");
        }
    }
}

/// The tables that hold `text` anywhere, with the number of rows.
async fn tables_with(admin: &mut PgConnection, text: &str) -> BTreeMap<&'static str, i64> {
    let mut found = BTreeMap::new();
    for table in TABLES {
        let select = format!("select count(*) from {} t where strpos(to_jsonb(t)::text, '{text}') > 0", table.name);
        let count: i64 = sqlx::query_scalar(AssertSqlSafe(select)).fetch_one(&mut *admin).await.unwrap();
        if count > 0 {
            found.insert(table.name, count);
        }
    }
    found
}

#[tokio::test]
async fn a_purge_deletes_every_row_and_file_but_those_that_are_kept_and_counts_them_in_the_audit_log() {
    let (stack, mut admin, [mine, theirs]) = seeded_stack().await;
    sqlx::raw_sql("create table legacy.old_rows (company_id text, content text)").execute(&mut admin).await.unwrap();
    for tenant in [&mine, &theirs] {
        let insert = sqlx::query("insert into legacy.old_rows values ($1, 'old')");
        insert.bind(&tenant.company).execute(&mut admin).await.unwrap();
    }
    let bucket = stack.resource_setting("DOCUMENTS_BUCKET").unwrap().to_owned();
    for tenant in [&mine, &theirs] {
        for key in [
            // No PDF: the stack deletes a PDF without a row of `documents` by itself.
            format!("{}notes/{}.txt", storage::tenant_prefix(tenant.customer), Uuid::new_v4()),
            storage::export_key(tenant.customer, Uuid::new_v4()),
        ] {
            s3().await.put_object().bucket(&bucket).key(key).body(b"x".to_vec().into()).send().await.unwrap();
        }
    }
    // Runs maintenance once before the count, so that its other due work does not change the numbers later.
    stack.invoke("maintenance", json!({})).await.unwrap();
    let (before, others_before) = (numbers(&mut admin, &mine).await, numbers(&mut admin, &theirs).await);
    let delete = sqlx::query("update customers set deleted_at = now() - interval '31 days' where id = $1");
    delete.bind(mine.customer).execute(&mut admin).await.unwrap();
    for table in ["changes", "purges"] {
        let delete = format!("delete from {table} where customer_id = '{}'", mine.customer);
        sqlx::raw_sql(AssertSqlSafe(delete)).execute(&mut admin).await.unwrap();
    }

    let report = stack.invoke("maintenance", json!({})).await.unwrap();

    assert_eq!(report["accounts_purged"], 1);
    let after = numbers(&mut admin, &mine).await;
    for table in tenant_tables() {
        match table.purge {
            Purge::Rows | Purge::WithAccount => assert_eq!(after[table.name], 0, "{}", table.name),
            Purge::Kept(_) => assert!(after[table.name] >= before[table.name], "{}", table.name),
        }
    }
    assert_eq!(numbers(&mut admin, &theirs).await, others_before, "of another company nothing is touched");
    let kept = BTreeSet::from(["public.audit_heads", "public.audit_log", "public.billing_records", "public.purges"]);
    let found = tables_with(&mut admin, &mine.customer.to_string()).await;
    assert_eq!(found.keys().copied().collect::<BTreeSet<_>>(), kept);
    // An id may stay in the log; the address, the name and what Stripe knows may not.
    let found = tables_with(&mut admin, &mine.owner.to_string()).await;
    assert_eq!(found.keys().copied().collect::<Vec<_>>(), ["public.audit_log"]);
    let customer_at_stripe = format!("cus_{}", mine.owner);
    for personal in ["mine@example.com", customer_at_stripe.as_str(), mine.company.as_str()] {
        assert_eq!(tables_with(&mut admin, personal).await, BTreeMap::new(), "{personal}");
    }
    let objects = s3().await.list_objects_v2().bucket(&bucket).send().await.unwrap();
    let keys: Vec<_> = objects.contents().iter().map(|object| object.key().unwrap()).collect();
    assert!(keys.len() == 2 && keys.iter().all(|key| key.contains(&theirs.customer.to_string())), "{keys:?}");
    assert_counts(&mut admin, &mine, &before).await;
}

/// Asserts that the audit log has the number of deleted rows of each table.
async fn assert_counts(admin: &mut PgConnection, tenant: &SeededTenant, before: &BTreeMap<&'static str, i64>) {
    let select = "select details -> 'deleted' from audit_log where customer_id = $1 and action = 'account.purged'";
    let entries: Vec<Value> = sqlx::query_scalar(select).bind(tenant.customer).fetch_all(&mut *admin).await.unwrap();
    let [counts] = entries.as_slice() else { panic!("{entries:?}") };
    for table in tenant_tables().into_iter().filter(|table| !matches!(table.purge, Purge::Kept(_))) {
        let expected = if table.short_name() == "changes" { 0 } else { before[table.name] };
        assert_eq!(counts[table.short_name()], expected, "{}: {counts}", table.name);
    }
    assert_eq!((&counts["files"], &counts["legacy"], &counts["users"]), (&json!(2), &json!(1), &json!(1)));
    assert!(counts.as_object().unwrap().values().all(Value::is_number), "counts only: {counts}");
    let faults: i64 = sqlx::query_scalar("select count(*) from app.audit_faults()").fetch_one(admin).await.unwrap();
    assert_eq!(faults, 0, "the chain is whole");
}

/// Tables of an older project with what keeps rows from being deleted: foreign keys, also of a table that is not ours, and
/// a trigger that calls the old back end.
const LEGACY_TABLES: &str = r#"
    create table legacy.users (id uuid primary key, email text);
    create table legacy.profiles (id uuid primary key references legacy.users (id), full_name text);
    create table legacy.user_settings (user_id uuid primary key references legacy.users (id), free_quota_used integer);
    create table legacy.credentials (login serial primary key, email text);
    create table legacy.conversations (id uuid primary key, company_id uuid, assigned_to uuid references legacy.users (id));
    create table legacy.messages (id uuid primary key, conversation_id uuid references legacy.conversations (id), content text);
    create table legacy.feedback (message_id uuid references legacy.messages (id), comment text);
    create table legacy.orders (id uuid primary key, conversation_id uuid references legacy.conversations (id), customer_name text);
    create table legacy.activities (company_id uuid, conversation_id uuid references legacy.conversations (id));
    create table legacy.documents (id uuid primary key, company_id text, content text) partition by hash (id);
    create table documents_one partition of legacy.documents for values with (modulus 2, remainder 0);
    create table documents_two partition of legacy.documents for values with (modulus 2, remainder 1);
    create table legacy.rate_limits (address text);
    create table order_items (order_id uuid references legacy.orders (id), name text);
    create function legacy.call_back_end() returns trigger language plpgsql as
        $body$ begin raise exception 'the old back end is called'; end $body$;
    create trigger call_back_end after delete on legacy.messages for each row execute function legacy.call_back_end();
"#;

/// Inserts a company's rows into [`LEGACY_TABLES`].
async fn fill_legacy(admin: &mut PgConnection, tenant: &SeededTenant, name: &str) {
    let SeededTenant { customer, owner, company } = tenant;
    let [conversation, message, order] = [(); 3].map(|()| Uuid::new_v4());
    let rows = format!(
        r#"insert into legacy.users values ('{owner}', '{name}@example.com');
        insert into legacy.profiles values ('{owner}', '{name} Koné');
        insert into legacy.user_settings values ('{owner}', 3);
        insert into legacy.credentials (email) values ('{name}@Example.com');
        insert into legacy.conversations values ('{conversation}', '{customer}', '{owner}');
        insert into legacy.messages values ('{message}', '{conversation}', 'of {name}');
        insert into legacy.feedback values ('{message}', 'by {name}');
        insert into legacy.orders values ('{order}', '{conversation}', 'for {name}');
        insert into legacy.activities values ('{customer}', '{conversation}');
        insert into legacy.documents select gen_random_uuid(), '{company}', 'of {name}' from generate_series(1, 20);
        insert into order_items values ('{order}', 'soap');"#
    );
    sqlx::raw_sql(AssertSqlSafe(rows)).execute(admin).await.unwrap();
}

/// The rows of the older project's tables, as text.
async fn legacy_rows(admin: &mut PgConnection) -> BTreeMap<String, Vec<String>> {
    let tables =
        "select relname::text from pg_class where relnamespace = 'legacy'::regnamespace and relkind in ('r', 'p')";
    let tables: Vec<String> = sqlx::query_scalar(tables).fetch_all(&mut *admin).await.unwrap();
    let mut rows = BTreeMap::new();
    for table in tables {
        let select = format!("select to_jsonb(t)::text from legacy.{table} t order by 1");
        rows.insert(table, sqlx::query_scalar(AssertSqlSafe(select)).fetch_all(&mut *admin).await.unwrap());
    }
    rows
}

#[tokio::test]
async fn a_purge_deletes_the_rows_of_an_older_project_whatever_refers_to_them() {
    let (stack, mut admin, [mine, theirs]) = seeded_stack().await;
    sqlx::raw_sql(LEGACY_TABLES).execute(&mut admin).await.unwrap();
    fill_legacy(&mut admin, &theirs, "theirs").await;
    let kept = legacy_rows(&mut admin).await;
    fill_legacy(&mut admin, &mine, "mine").await;
    // As with each deployment.
    super::migrate::run(&stack.database).await.unwrap();
    let delete = sqlx::query("update customers set deleted_at = now() - interval '31 days' where id = $1");
    delete.bind(mine.customer).execute(&mut admin).await.unwrap();
    sqlx::raw_sql("delete from purges").execute(&mut admin).await.unwrap();

    let report = stack.invoke("maintenance", json!({})).await.unwrap();

    assert_eq!(report["accounts_purged"], 1);
    assert_eq!(legacy_rows(&mut admin).await, kept, "nothing of this company, and all of the other one");
    let counts = "select details -> 'deleted' ->> 'legacy' from audit_log where action = 'account.purged'";
    assert_eq!(sqlx::query_scalar::<_, String>(counts).fetch_one(&mut admin).await.unwrap(), "29");
}

/// Rows of the company of the measurement, and of the sixteen others together.
const LARGE_TABLES: &str = r#"
    set session_replication_role = replica;
    create temporary table owner_of as
        select n, case when n % 5 = 0 then (select id from customers where name = 'mine') else md5((n % 20)::text)::uuid end as id
        from generate_series(1, 1000000) n;
    create temporary table file_of as
        select id, gen_random_uuid() as file, part from (select distinct id from owner_of) owners, generate_series(0, 499) part;
    insert into documents (id, customer_id, company_id, filename, bytes, storage_key, status)
        select file, id, 'company', file || '.pdf', 1, 'k' || file, 'processed' from file_of;
    insert into document_chunks (document_id, customer_id, chunk_index, page_start, page_end, text_chunk, search_text, language,
            embedding, embedding_model)
        select file, id, chunk, 1, 1, repeat('la livraison prend trois jours ', 30), 'livraison jours', 'fr', vectors.embedding, 'm'
        from file_of,
            (select array_agg(random() - 0.5)::vector as embedding from generate_series(1, 1536)) vectors,
            generate_series(0, 99) chunk
        where id = (select id from customers where name = 'mine') or part < 30;
    create temporary table talk_of as
        select id, gen_random_uuid() as talk, part from (select distinct id from owner_of) owners, generate_series(0, 999) part;
    insert into conversations (id, customer_id, contact_id) select talk, id, 'c' || part from talk_of;
    insert into messages (customer_id, conversation_id, direction, author, content, created_at)
        select owner_of.id, talk, 'outbound', 'bot', repeat('Nous livrons en trois jours. ', 10), now() - n * interval '30 seconds'
        from owner_of join talk_of on talk_of.id = owner_of.id and talk_of.part = n / 5 % 1000;
    insert into outbox (message_id, part, customer_id, conversation_id, content, created_at)
        select id, 0, customer_id, conversation_id, content, created_at from messages;
    insert into llm_calls (customer_id, conversation_id, purpose, provider, model, status, created_at)
        select customer_id, conversation_id, 'reply', 'groq', 'm', 'ok', created_at from messages;
    set session_replication_role = origin;
    analyze;
"#;

/// Time for which the measurement reads one table.
const TABLE_TIME: std::time::Duration = std::time::Duration::from_secs(120);

#[tokio::test]
#[ignore = "takes minutes and 4 GB of disk, and asserts little"]
async fn how_long_an_export_of_a_large_company_among_others_takes() {
    let (stack, mut admin, [mine, _]) = seeded_stack().await;
    sqlx::raw_sql(LARGE_TABLES).execute(&mut admin).await.unwrap();
    let db = crate::route::system(&stack.database.system, 1).with_operator_timeout();
    println!("| table | rows | pages | ms | ms a page | slowest page, ms |");
    println!("| --- | ---: | ---: | ---: | ---: | ---: |");
    for table in ["document_chunks", "messages", "outbox", "llm_calls", "conversations", "documents"] {
        let (begin, mut rows, mut pages, mut slowest, mut after) =
            (std::time::Instant::now(), 0, 0_u32, std::time::Duration::ZERO, None::<String>);
        let is_whole = loop {
            let page_begin = std::time::Instant::now();
            let read = async |tx: &mut shared::db::SystemTx| {
                Ok(shared::privacy::archive::read_page(tx, table, mine.customer, after.as_deref(), 500).await?)
            };
            let page = db.system_tx(read).await.unwrap();
            slowest = slowest.max(page_begin.elapsed());
            let Some(last) = page.last() else { break true };
            after = Some(last.key.clone());
            rows += page.len();
            pages += 1;
            if begin.elapsed() > TABLE_TIME {
                break false;
            }
        };
        let ms = begin.elapsed().as_secs_f64() * 1000.0;
        println!(
            "| {table}{} | {rows} | {pages} | {ms:.0} | {:.1} | {:.0} |",
            if is_whole { "" } else { ", not whole" },
            ms / f64::from(pages.max(1)),
            slowest.as_secs_f64() * 1000.0
        );
    }
}
