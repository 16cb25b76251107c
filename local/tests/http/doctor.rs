//! `cargo doctor` on a running product: a good one has no errors, and each fault is named with what to do.

mod bucket;
mod stripe;

use std::{fs, path::Path, time::Duration};

use chrono::TimeDelta;
use local::{
    doctor::{Finding, Report, Status, Target, examine},
    environment::lisa_program,
    fakes::{
        models::{FakeModels, FakeReply},
        stripe::FakeStripe,
    },
    testing::{self, AwsFault, AwsFaults},
};
use local_postgres::free_port;
use reqwest::Url;
use serde_json::{Value, json};
use shared::{clock, settings::SettingsMap};
use tokio::process::Command;
use uuid::Uuid;

use super::support::{App, FakeSupabase};

/// The settings of the product with these changes; an empty value removes a setting.
fn changed(app: &App, changes: &[(&str, &str)]) -> SettingsMap {
    let mut settings = app.stack.settings();
    // A test of the whole suite may have put a pooler before the database.
    settings.extend(app.stack.database.migrate_settings());
    settings.extend(changes.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
    settings
}

async fn examine_with(app: &App, changes: &[(&str, &str)]) -> Report {
    examine(Target {
        settings: changed(app, changes),
        names_in_file: Vec::new(),
        secrets: Vec::new(),
        local_url: Some(app.stack.base_url()),
        timeout: Duration::from_secs(10),
    })
    .await
}

/// The findings of a check that are not good.
fn faults<'r>(report: &'r Report, check: &'r str) -> Vec<&'r Finding> {
    report.of(check).filter(|finding| !matches!(finding.status, Status::Ok | Status::Skipped)).collect()
}

/// Asserts that a check found exactly one fault with these words, and that it says what to do.
fn assert_fault(report: &Report, check: &str, status: Status, words: &str) {
    let found = faults(report, check);
    let [fault] = found.as_slice() else { panic!("{check}: {found:?} in {}", report.to_text()) };
    assert!(fault.status == status && fault.message.contains(words), "{fault:?}");
    assert!(!fault.advice.is_empty(), "{fault:?}");
}

/// Runs the program `lisa doctor` with no other environment, and returns its exit code and its output.
async fn run(arguments: &[&str]) -> (Option<i32>, String, String) {
    // The product runs on this test's only thread, so the wait must not block it.
    let mut command = Command::new(lisa_program().unwrap());
    let output = command.arg("doctor").args(arguments).env_clear().output().await.unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

fn write_env_file(folder: &Path, settings: &SettingsMap) -> String {
    let path = folder.join("lisa.env");
    let lines: Vec<_> = settings.iter().map(|(name, value)| format!("{name}={value}\n")).collect();
    fs::write(&path, lines.concat()).unwrap();
    path.to_str().unwrap().to_owned()
}

/// The keys of all objects in the bucket.
async fn object_keys(app: &App) -> Vec<String> {
    let servers = testing::servers().await.unwrap();
    let options = aws_sdk_s3::config::Builder::from(&servers.aws.config()).force_path_style(true).build();
    let bucket = app.stack.resource_setting("DOCUMENTS_BUCKET").unwrap();
    let listed = aws_sdk_s3::Client::from_conf(options).list_objects_v2().bucket(bucket).send().await.unwrap();
    listed.contents.unwrap_or_default().into_iter().filter_map(|object| object.key).collect()
}

#[tokio::test]
async fn a_good_product_has_no_errors_and_keeps_nothing_of_the_examination() {
    let stripe = FakeStripe::start(None).await.unwrap();
    let settings = stripe.settings();
    let settings: Vec<_> = settings.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let app = App::with_settings(&[&settings[..], &[("BILLING_RETURN_URL", "http://127.0.0.1:9/")]].concat()).await;
    stripe.send_to(&format!("{}/api/v1/webhooks/stripe", app.stack.base_url()), "whsec_x");
    let tenant = app.sign_up("Boutique Awa").await;
    app.post("/api/v1/webhook-endpoints")
        .by(&tenant)
        .json(&json!({ "url": "https://hooks.example.com/lisa", "events": [] }))
        .await
        .data(201);
    app.post("/api/v1/customers/me/webhook-secret").by(&tenant).await.data(201);

    let report = examine_with(&app, &[]).await;

    assert_eq!(report.count(Status::Error), 0, "{}", report.to_text());
    for check in [
        "settings",
        "API",
        "DATABASE_URL",
        "SYSTEM_DATABASE_URL",
        "MIGRATE_DATABASE_URL",
        "clock",
        "migrations",
        "roles and row-level security",
        "bucket",
        "queues",
        "sealed keys",
        "tokens",
        "Stripe",
        "embeddings",
    ] {
        assert!(report.of(check).any(|finding| finding.status == Status::Ok), "{check}: {}", report.to_text());
    }
    assert!(
        report.of("sealed keys").any(|finding| finding.message == "all 2 sealed keys open"),
        "{}",
        report.to_text()
    );
    let keys = object_keys(&app).await;
    assert!(!keys.iter().any(|key| key.contains("doctor")), "{keys:?}");
}

#[tokio::test]
async fn the_program_ends_with_0_or_1_and_shows_no_secret() {
    let app = App::start().await;
    let folder = tempfile::tempdir().unwrap();
    let file = write_env_file(folder.path(), &changed(&app, &[("LISA_TYPO", "1")]));

    let (code, json, errors) = run(&["--env-file", &file, "--json"]).await;
    assert_eq!((code, errors.as_str()), (Some(0), ""), "{json}");
    let report: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(report["errors"], 0, "{json}");
    assert!(json.contains("no function reads LISA_TYPO") && json.contains("AWS_ENDPOINT_URL is set"), "{json}");

    let wrong = changed(&app, &[("DATABASE_URL", "postgresql://lisa_app:hunter2-hunter2@127.0.0.1:1/lisa")]);
    let (code, text, errors) = run(&["--env-file", &write_env_file(folder.path(), &wrong)]).await;
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("nothing listens on 127.0.0.1:1"), "{text}");
    assert!(errors.contains("found an error"), "{errors}");

    let secrets = &app.stack.secrets;
    for secret in [
        "hunter2",
        &secrets.app_password,
        &secrets.system_password,
        &secrets.jwt_secret,
        &secrets.sealing_keys,
        &secrets.stripe_webhook_secret,
    ] {
        assert!(![&json, &text, &errors].iter().any(|output| output.contains(secret)), "a secret is shown");
    }
}

#[tokio::test]
async fn the_program_finds_the_local_stack_and_says_so_when_it_is_not_there() {
    let app = App::start().await;
    let folder = tempfile::tempdir().unwrap();
    let demo = folder.path().join("demo.json");
    let demo = demo.to_str().unwrap();
    let (code, _, errors) = run(&["--local", "--demo", demo]).await;
    assert_eq!(code, Some(1));
    assert!(errors.contains("is `cargo dev` running?"), "{errors}");

    let settings = json!({ "base_url": app.stack.base_url(), "settings": changed(&app, &[]) });
    fs::write(folder.path().join("settings.json"), settings.to_string()).unwrap();
    let (code, text, errors) = run(&["--local", "--demo", demo]).await;
    assert_eq!(code, Some(0), "{text}{errors}");
    assert!(text.contains(&format!("{} answers", app.stack.base_url())), "{text}");

    let (code, _, errors) = run(&["--env-file", folder.path().join("none.env").to_str().unwrap()]).await;
    assert_eq!(code, Some(1));
    assert!(errors.contains("none.env cannot be read"), "{errors}");
}

#[tokio::test]
async fn settings_come_from_secrets_and_a_secret_that_cannot_be_read_is_an_error() {
    let app = App::start().await;
    let servers = testing::servers().await.unwrap();
    let client = aws_sdk_secretsmanager::Client::new(&servers.aws.config());
    let name = format!("doctor-{}", Uuid::new_v4());
    let secret = json!({ "DATABASE_URL": app.stack.database.app, "JWT_SECRET": app.stack.secrets.jwt_secret });
    client.create_secret().name(&name).secret_string(secret.to_string()).send().await.unwrap();
    let target = |secrets: &[&str]| Target {
        settings: changed(&app, &[("DATABASE_URL", ""), ("JWT_SECRET", "")])
            .into_iter()
            .filter(|(_, value)| !value.is_empty())
            .collect(),
        names_in_file: Vec::new(),
        secrets: secrets.iter().map(|name| (*name).to_owned()).collect(),
        local_url: None,
        timeout: Duration::from_secs(10),
    };

    let report = examine(target(&[&name])).await;
    assert_eq!(report.count(Status::Error), 0, "{}", report.to_text());
    assert!(report.of("secrets").all(|finding| finding.message == format!("2 settings come from {name}")));

    let report = examine(target(&["doctor-gone"])).await;
    assert_fault(&report, "secrets", Status::Error, "doctor-gone cannot be read: ResourceNotFoundException");
    assert!(report.of("settings").any(|finding| finding.message == "DATABASE_URL is missing"), "{}", report.to_text());
}

#[tokio::test]
async fn settings_that_stop_a_function_are_named_with_the_function_and_their_meaning() {
    let app = App::start().await;
    let report =
        examine_with(&app, &[("STRIPE_WEBHOOK_SECRET", ""), ("BURST_CAP_S", "soon"), ("JWT_SECRET", "short")]).await;
    let of = |words: &str| report.of("settings").find(|finding| finding.message.contains(words)).unwrap();
    let missing = of("STRIPE_WEBHOOK_SECRET is missing");
    assert_eq!(missing.status, Status::Error);
    assert!(missing.advice.starts_with("stripe-webhook does not start."), "{missing:?}");
    assert!(missing.advice.contains("Signing secrets of Stripe's webhook"), "{missing:?}");
    assert!(of("BURST_CAP_S is not valid").advice.contains("reply-worker"));
    assert!(of("JWT_SECRET is shorter than 32 bytes").advice.contains("functions do not start"));
}

#[tokio::test]
async fn a_wrong_password_a_wrong_role_and_a_missing_database_are_told_apart() {
    let app = App::start().await;
    let mut url = Url::parse(&app.stack.database.app).unwrap();
    url.set_password(Some("hunter2-hunter2")).unwrap();
    let report = examine_with(&app, &[("DATABASE_URL", url.as_str())]).await;
    assert_fault(&report, "DATABASE_URL", Status::Error, "refuses the password of lisa_app");
    assert!(!report.to_text().contains("hunter2"), "{}", report.to_text());

    let report = examine_with(&app, &[("DATABASE_URL", &app.stack.database.system)]).await;
    assert_fault(&report, "DATABASE_URL", Status::Error, "logs in as lisa_system instead of lisa_app");

    let mut url = Url::parse(&app.stack.database.system).unwrap();
    url.set_path("/nowhere");
    let report = examine_with(&app, &[("SYSTEM_DATABASE_URL", url.as_str())]).await;
    assert_fault(&report, "SYSTEM_DATABASE_URL", Status::Error, "does not exist");
}

#[tokio::test]
async fn a_closed_port_is_an_error_and_a_server_that_hangs_ends_the_check_in_time() {
    let app = App::start().await;
    let mut url = Url::parse(&app.stack.database.app).unwrap();
    url.set_port(Some(free_port().unwrap())).unwrap();
    let report = examine_with(&app, &[("DATABASE_URL", url.as_str())]).await;
    assert_fault(&report, "DATABASE_URL", Status::Error, "nothing listens on 127.0.0.1:");

    // Accepts connections, and never answers.
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    url.set_port(Some(silent.local_addr().unwrap().port())).unwrap();
    let report = examine(Target {
        settings: changed(&app, &[("DATABASE_URL", url.as_str())]),
        names_in_file: Vec::new(),
        secrets: Vec::new(),
        local_url: None,
        timeout: Duration::from_secs(2),
    })
    .await;
    assert_fault(&report, "DATABASE_URL", Status::Error, "no answer within 2 s");
}

#[tokio::test]
async fn missing_interrupted_changed_and_newer_migrations_are_named() {
    let app = App::start().await;
    app.sql(
        "delete from _sqlx_migrations where version = (select max(version) from _sqlx_migrations);
         update _sqlx_migrations set success = false where version = 2;
         update _sqlx_migrations set checksum = '\\x00' where version = 3;
         insert into _sqlx_migrations (version, description, success, checksum, execution_time)
             values (9999, 'later', true, '\\x00', 0);
         drop table billing._sqlx_migrations",
    )
    .await;
    let report = examine_with(&app, &[]).await;
    let found: Vec<_> = faults(&report, "migrations").iter().map(|finding| finding.message.as_str()).collect();
    let [missing, unfinished, changed, newer, billing] = found[..] else { panic!("{found:?}") };
    assert!(missing.starts_with("app: 1 migrations are missing, from "), "{missing}");
    assert_eq!(unfinished, "app: interrupted migrations: 0002");
    assert_eq!(changed, "app: applied migrations differ from those of this release: 0003");
    assert_eq!(newer, "app: the database has migrations of a newer release: 9999");
    assert!(billing.starts_with("billing: ") && billing.contains("from 0001 on"), "{billing}");
}

#[tokio::test]
async fn row_level_security_that_is_off_and_rights_without_a_tenant_are_errors() {
    let app = App::start().await;
    app.sign_up("Boutique Awa").await;
    app.sql("alter table customers disable row level security").await;
    let report = examine_with(&app, &[]).await;
    let found: Vec<_> =
        faults(&report, "roles and row-level security").iter().map(|finding| finding.message.as_str()).collect();
    assert_eq!(
        found,
        ["row-level security is off on customers", "a transaction of one tenant sees the rows of others"]
    );

    app.sql("alter table customers enable row level security; grant select on customers to lisa_app").await;
    let report = examine_with(&app, &[]).await;
    let words = "lisa_app has rights without a tenant on customers";
    assert_fault(&report, "roles and row-level security", Status::Error, words);

    // A right on a column counts, one that everybody has, and one on a view.
    app.sql(
        "revoke select on customers from lisa_app; grant select on messages to lisa_app;
         grant insert (id) on orders to lisa_app; grant delete on billing.user_config to public;
         grant select on conversation_memory to public",
    )
    .await;
    let report = examine_with(&app, &[]).await;
    let words = "lisa_app has rights without a tenant on billing.user_config, conversation_memory, messages, orders";
    assert_fault(&report, "roles and row-level security", Status::Error, words);
    app.sql(
        "revoke select on messages from lisa_app; revoke insert (id) on orders from lisa_app;
         revoke delete on billing.user_config from public; revoke select on conversation_memory from public",
    )
    .await;
    assert_eq!(faults(&examine_with(&app, &[]).await, "roles and row-level security"), Vec::<&Finding>::new());
}

#[tokio::test]
async fn row_level_security_that_is_off_on_a_table_of_which_a_tenant_reads_some_columns_is_an_error() {
    let app = App::start().await;
    let tables = ["invitations", "profiles", "users", "webhook_secrets"];
    for table in tables {
        app.sql(&format!("alter table {table} disable row level security")).await;
    }
    let report = examine_with(&app, &[]).await;
    let words = format!("row-level security is off on {}", tables.join(", "));
    assert_fault(&report, "roles and row-level security", Status::Error, &words);
}

#[tokio::test]
async fn a_clock_that_is_an_hour_off_is_an_error() {
    let app = App::start().await;
    let report = clock::with_offset(TimeDelta::hours(1), examine_with(&app, &[])).await;
    assert_fault(&report, "clock", Status::Error, "ahead of the database's");
    let report = clock::with_offset(TimeDelta::seconds(-20), examine_with(&app, &[])).await;
    assert_fault(&report, "clock", Status::Warning, "behind the database's");
}

#[tokio::test]
async fn a_missing_bucket_and_a_missing_queue_are_errors() {
    let app = App::start().await;
    let queue = app.stack.resource_setting("REPLY_QUEUE_URL").unwrap().replace("reply", "gone");
    let report = examine_with(&app, &[("DOCUMENTS_BUCKET", "lisa-gone"), ("REPLY_QUEUE_URL", &queue)]).await;
    assert_fault(&report, "bucket", Status::Error, "the bucket lisa-gone does not exist");
    assert_fault(&report, "queues", Status::Error, "the queue of REPLY_QUEUE_URL does not exist");

    let report = examine_with(&app, &[("AWS_ACCESS_KEY_ID", "")]).await;
    let skipped = report.of("bucket").next().unwrap();
    assert!(skipped.status == Status::Skipped && skipped.message.contains("export-credentials"), "{skipped:?}");
}

#[tokio::test]
async fn trouble_at_aws_is_an_error_with_its_code() {
    let app = App::start().await;
    let servers = testing::servers().await.unwrap();
    let proxy = AwsFaults::start(servers.aws.endpoint()).await.unwrap();
    let address = |name: &str| {
        let url = app.stack.resource_setting(name).unwrap();
        url.replace(servers.aws.endpoint(), &proxy.endpoint())
    };
    let queue = address("INGEST_QUEUE_URL");
    let settings = [("AWS_ENDPOINT_URL", proxy.endpoint()), ("INGEST_QUEUE_URL", queue)];
    let settings: Vec<_> = settings.iter().map(|(name, value)| (*name, value.as_str())).collect();
    proxy.set(Some(AwsFault::InternalError));
    let report = examine_with(&app, &settings).await;
    assert_fault(&report, "bucket", Status::Error, "500 InternalError");
    assert!(faults(&report, "queues").iter().all(|fault| fault.message.contains("500 InternalError")));
    assert!(proxy.count() > 0);
}

#[tokio::test]
async fn dead_letters_are_a_warning() {
    let app = App::start().await;
    let servers = testing::servers().await.unwrap();
    let client = aws_sdk_sqs::Client::new(&servers.aws.config());
    let url = app.stack.resource_setting("INGEST_QUEUE_URL").unwrap();
    let attributes = client
        .get_queue_attributes()
        .queue_url(url)
        .attribute_names(aws_sdk_sqs::types::QueueAttributeName::RedrivePolicy)
        .send()
        .await
        .unwrap();
    let policy: Value = serde_json::from_str(attributes.attributes.unwrap().values().next().unwrap()).unwrap();
    let name = policy["deadLetterTargetArn"].as_str().unwrap().rsplit(':').next().unwrap();
    let dead = client.get_queue_url().queue_name(name).send().await.unwrap().queue_url.unwrap();
    client.send_message().queue_url(dead).message_body("{}").send().await.unwrap();

    let report = examine_with(&app, &[]).await;
    assert_fault(&report, "queues", Status::Warning, &format!("{name} holds 1 dead letters"));
}

#[tokio::test]
async fn sealed_keys_that_do_not_open_are_counted_by_the_key_that_is_missing() {
    let app = App::start().await;
    let tenant = app.sign_up("Boutique Awa").await;
    // Sealed by another implementation, with a key of the id `k1`.
    let sealed = "01026b31000102030405060708090a0bc8c3f654458a776b015055d72b1cf16143c6d8185e67";
    app.sql(&format!(
        "update customers set manychat_api_key = decode('{sealed}', 'hex') where id = '{}'",
        tenant.customer_id
    ))
    .await;
    let report = examine_with(&app, &[]).await;
    assert_fault(&report, "sealed keys", Status::Error, "1 sealed keys do not open: sealed by the key k1");

    let (_, key) = app.stack.secrets.sealing_keys.split_once(':').unwrap();
    let report = examine_with(&app, &[("SEALING_KEYS", &format!("k1:{key}"))]).await;
    assert_fault(&report, "sealed keys", Status::Error, "sealed by another key with the id of one in SEALING_KEYS");

    app.post("/api/v1/customers/me/webhook-secret").by(&tenant).await.data(201);
    app.sql(&format!("update webhook_secrets set sealed_value = decode('{sealed}', 'hex')")).await;
    let report = examine_with(&app, &[]).await;
    assert_fault(&report, "sealed keys", Status::Error, "2 sealed keys do not open: sealed by the key k1");
}

#[tokio::test]
async fn a_model_whose_key_is_refused_is_an_error_unless_another_one_answers() {
    let app = App::start().await;
    let (first, second) = (FakeModels::start().await.unwrap(), FakeModels::start().await.unwrap());
    let urls = [first.base_url(), second.base_url()];
    let settings = [
        ("LLM_PROVIDER", "groq"),
        ("GROQ_API_KEY", "gsk-of-the-test"),
        ("GROQ_MODELS", "first-model"),
        ("GROQ_BASE_URL", urls[0].as_str()),
    ];
    first.fail(401);
    let report = examine_with(&app, &settings).await;
    assert_fault(
        &report,
        "language models",
        Status::Error,
        "first-model of groq does not answer: the provider does not",
    );
    assert!(faults(&report, "language models")[0].advice.contains("GROQ_API_KEY"));

    // A proxy that answers in the provider's place, with a page and status 200.
    first.reply(FakeReply::NotJson);
    let report = examine_with(&app, &settings).await;
    let words = "first-model of groq does not answer: the reply is malformed";
    assert_fault(&report, "language models", Status::Error, words);
    assert!(faults(&report, "language models")[0].advice.contains("GROQ_BASE_URL"));

    let with_fallback = [
        &settings[..],
        &[
            ("LLM_FALLBACKS", "gemini"),
            ("GEMINI_API_KEY", "key-of-the-test"),
            ("GEMINI_MODELS", "second-model"),
            ("GEMINI_BASE_URL", urls[1].as_str()),
        ],
    ]
    .concat();
    first.fail(404);
    let report = examine_with(&app, &with_fallback).await;
    assert_fault(&report, "language models", Status::Warning, "first-model of groq does not answer");
    assert!(report.of("language models").any(|finding| finding.message.starts_with("second-model of gemini answers")));
    let calls = second.requests();
    assert_eq!(calls.len(), 1, "{calls:?}");
    assert_eq!(calls[0]["generationConfig"]["maxOutputTokens"], 16, "{calls:?}");
}

#[tokio::test]
async fn an_embedding_model_that_refuses_the_key_is_an_error() {
    let app = App::start().await;
    let models = FakeModels::start().await.unwrap();
    let url = models.base_url();
    let settings = [
        ("EMBEDDING_PROVIDER", "openai"),
        ("EMBEDDING_MODEL", "embedder"),
        ("OPENAI_BASE_URL", url.as_str()),
        ("OPENAI_API_KEY", "key-of-the-test"),
        ("LLM_PROVIDER", "extractive"),
    ];
    let report = examine_with(&app, &settings).await;
    assert!(report.of("embeddings").all(|finding| finding.status == Status::Ok), "{}", report.to_text());
    models.fail(401);
    assert_fault(&examine_with(&app, &settings).await, "embeddings", Status::Error, "openai:embedder does not embed");
}

#[tokio::test]
async fn a_supabase_project_that_is_away_or_refuses_the_anon_key_is_an_error() {
    let project = FakeSupabase::start().await;
    let app = App::with_settings(&project.settings()).await;
    let report = examine_with(&app, &project.settings()).await;
    assert!(report.of("tokens").all(|finding| finding.message == "the Supabase project has 2 public keys"));
    assert!(report.of("Supabase").all(|finding| finding.status == Status::Ok), "{}", report.to_text());

    let [url, _] = project.settings();
    let report = examine_with(&app, &[url, ("SUPABASE_ANON_KEY", "another-key")]).await;
    assert_fault(&report, "Supabase", Status::Error, "refuses SUPABASE_ANON_KEY");

    let nowhere = format!("http://127.0.0.1:{}", free_port().unwrap());
    let report = examine_with(&app, &[("SUPABASE_URL", &nowhere), ("SUPABASE_ANON_KEY", "another-key")]).await;
    assert_fault(&report, "tokens", Status::Error, "cannot be fetched");
    assert_fault(&report, "Supabase", Status::Error, "cannot be reached");
}

#[tokio::test]
async fn redis_is_tried_where_it_is_set() {
    let Some(redis) = testing::redis().await.unwrap() else { return };
    let app = App::start().await;
    let report = examine_with(&app, &[("REDIS_URL", &format!("redis://{}", redis.address()))]).await;
    assert!(report.of("Redis").all(|finding| finding.status == Status::Ok), "{}", report.to_text());
    let client = redis::Client::open(format!("redis://{}", redis.address())).unwrap();
    let mut connection = client.get_multiplexed_async_connection().await.unwrap();
    let lifetime_ms: i64 = redis::cmd("PTTL").arg("lisa:check").query_async(&mut connection).await.unwrap();
    assert!((1..=120_000).contains(&lifetime_ms), "{lifetime_ms}");
    let nowhere = format!("redis://:hunter2-hunter2@127.0.0.1:{}", free_port().unwrap());
    let report = examine_with(&app, &[("REDIS_URL", &nowhere)]).await;
    assert_fault(&report, "Redis", Status::Error, "Redis cannot be used");
    assert!(!report.to_text().contains("hunter2"), "{}", report.to_text());
}
