//! `cargo rotate-keys`: seals every stored secret again with a new key, whatever interrupts it.

use std::process::{Output, Stdio};

use local::{
    environment::lisa_program,
    fakes::{manychat::KEYS, webhook_receiver::FakeReceiver},
};
use reqwest::Method;
use serde_json::{Value, json};
use sqlx::AssertSqlSafe;
use standardwebhooks::Webhook;
use tokio::process::Command;

use super::support::{App, TenantUser, WAIT_TIMEOUT, WhatsAppFixture, wait_until};

const NEW_KEY: &str = "new:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
/// Columns with sealed secrets: the table, the id by which the command walks it, and the column, in the command's order.
const SEALED: [(&str, &str, &str); 4] = [
    ("customers", "id", "manychat_api_key"),
    ("billing.user_config", "user_id", "data_pod_api_key"),
    ("webhook_endpoints", "id", "secret"),
    ("webhook_secrets", "id", "sealed_value"),
];

/// A company with a secret of each kind.
struct Company {
    owner: TenantUser,
    manychat_key: &'static str,
    data_pod_key: String,
    webhook_secret: String,
    endpoint: String,
    /// The secret of the endpoint, and the one before it, which is valid still.
    endpoint_secrets: [String; 2],
}

impl Company {
    async fn create(app: &App, owner: TenantUser, manychat_key: &'static str) -> Self {
        let data_pod_key = format!("pod_{}", owner.user_id.simple());
        let pod = json!({ "data_pod_url": "https://pod.example.com/hub", "data_pod_api_key": data_pod_key });
        app.call(Method::PUT, "/api/v1/user-config").by(&owner).json(&pod).await.data(200);
        let new = json!({ "url": "https://hooks.example.com/in", "events": [] });
        let created = app.post("/api/v1/webhook-endpoints").by(&owner).json(&new).await.data(201);
        let endpoint = format!("/api/v1/webhook-endpoints/{}", created["id"].as_str().unwrap());
        let rotated = app.post(&format!("{endpoint}/secret")).by(&owner).json(&json!({})).await.data(201);
        let secret = |answer: &Value| answer["secret"].as_str().unwrap().to_owned();
        let endpoint_secrets = [secret(&rotated), secret(&created)];
        let webhook_secret = Self::click_rotation(app, &owner, 201).await;
        Self { owner, manychat_key, data_pod_key, webhook_secret, endpoint, endpoint_secrets }
    }

    /// Asks for a new webhook secret, and expects this status: 201, or 200 for a repeated call within a minute, which gets
    /// the secret of the first one.
    async fn click_rotation(app: &App, owner: &TenantUser, status: u16) -> String {
        let data = app.post("/api/v1/customers/me/webhook-secret").by(owner).await.data(status);
        data["webhook_secret"].as_str().unwrap().to_owned()
    }

    /// Asserts that the product can use each secret.
    async fn assert_readable(&self, whatsapp: &WhatsAppFixture, receiver: &FakeReceiver, contact: u64) {
        let app = &whatsapp.app;
        let path = format!("/api/v1/user-config?user_id={}", self.owner.user_id);
        let pod = app.get(&path).by(app.service_token()).await.data(200);
        assert_eq!(pod["data_pod_api_key"], self.data_pod_key);

        let test = app.post(&format!("{}/test", self.endpoint)).by(&self.owner).await.data(201);
        let webhook = wait_until("the test event", WAIT_TIMEOUT, async || {
            receiver.received().into_iter().find(|request| request.json()["id"] == test["event_id"])
        })
        .await;
        for secret in &self.endpoint_secrets {
            Webhook::new(secret).unwrap().verify(&webhook.body, &webhook.headers).unwrap();
        }

        app.sql("update webhook_secrets set created_at = now() where sealed_value is not null").await;
        assert_eq!(Self::click_rotation(app, &self.owner, 200).await, self.webhook_secret);

        // The answer is sent with the ManyChat key.
        whatsapp.models.reply_text("Oui, à Bouaké aussi.");
        let message = json!({ "id": contact, "last_input_text": "Livrez-vous à Bouaké ?" });
        whatsapp.deliver_with_secret(&self.webhook_secret, &message).await.json_body(200);
        whatsapp.wait_for_texts(contact, 1).await;
        let sent = whatsapp.manychat.sent();
        let sent = sent.iter().find(|sent| sent.contact_id == contact.to_string()).unwrap();
        assert_eq!(self.manychat_key.split(':').next(), Some(sent.page.as_str()));
    }
}

/// The command with these sealing keys.
fn command(app: &App, keys: &str) -> Command {
    let mut command = Command::new(lisa_program().unwrap());
    command.arg("rotate-keys").env("SYSTEM_DATABASE_URL", &app.stack.database.system).env("SEALING_KEYS", keys);
    command.env_remove("BACKEND_APP_DATABASE_URL").stdin(Stdio::null()).kill_on_drop(true);
    command
}

/// Runs the command to its end, and returns its status and what it printed.
async fn rotate(app: &App, keys: &str) -> (bool, String) {
    let Output { status, stdout, stderr } = command(app, keys).output().await.unwrap();
    (status.success(), String::from_utf8(stdout).unwrap() + &String::from_utf8(stderr).unwrap())
}

/// All sealed secrets, and the number of audit entries.
async fn stored(app: &App) -> (String, i64) {
    let columns = SEALED.map(|(table, id, column)| {
        format!("select {id}::text as id, {column} as sealed from {table} where {column} is not null")
    });
    let all = format!(
        "select string_agg(encode(sealed, 'hex'), ' ' order by id, sealed) from (
             {} union all select id::text, previous_secret from webhook_endpoints
         ) all_of_them",
        columns.join(" union all ")
    );
    let sealed = sqlx::query_scalar(AssertSqlSafe(all)).fetch_one(&mut app.admin_db().await).await.unwrap();
    (sealed, app.number("select count(*) from audit_log").await)
}

/// Numbers of a column's values that the new key has sealed, and of all of them.
async fn progress(app: &App, table: &str, column: &str) -> (i64, i64) {
    // The third to fifth byte are the id of a key with three characters.
    let is_new = format!("substring({column} from 3 for 3) = 'new'::bytea");
    let new = app.number(&format!("select count(*) from {table} where {is_new}")).await;
    (new, app.number(&format!("select count(*) from {table} where {column} is not null")).await)
}

/// Two companies with secrets of each kind, one without any, and a receiver of their webhooks.
async fn companies() -> (WhatsAppFixture, FakeReceiver, [Company; 2]) {
    let receiver = FakeReceiver::start().await.unwrap();
    let sites = format!("hooks.example.com={}", receiver.address());
    let whatsapp = WhatsAppFixture::with_settings(&[("OUTBOUND_LOCAL_SITES", &sites)]).await;
    let (other, _) = whatsapp.add_tenant().await;
    whatsapp.app.sign_up("Sans secret").await;
    whatsapp.app.sql("insert into bot_sessions (company_id, mode) select id, 'live' from customers").await;
    let companies = [
        Company::create(&whatsapp.app, whatsapp.tenant.clone(), KEYS[0]).await,
        Company::create(&whatsapp.app, other, KEYS[1]).await,
    ];
    (whatsapp, receiver, companies)
}

#[tokio::test]
async fn every_secret_opens_with_the_new_key_alone_after_a_rotation_that_was_killed_in_each_table() {
    let (whatsapp, receiver, companies) = companies().await;
    let both = format!("{NEW_KEY},{}", whatsapp.app.stack.secrets.sealing_keys);
    let whatsapp = whatsapp.restart_with(&[("SEALING_KEYS", &both)]).await;
    let app = &whatsapp.app;
    for (table, id, column) in SEALED {
        let last = format!("select max({id}::text) from {table} where {column} is not null");
        let last: String = sqlx::query_scalar(AssertSqlSafe(last)).fetch_one(&mut app.admin_db().await).await.unwrap();
        let of_last = format!("before update on {table} for each row when (old.{id}::text = '{last}')");
        let mut hold = app.hold_statements(&of_last).await;
        let mut rotation = command(app, &both).stdout(Stdio::null()).spawn().unwrap();
        hold.wait_for_held_statement().await;
        assert_eq!(progress(app, table, column).await, (1, 2), "{table}");
        rotation.kill().await.unwrap();
        hold.release().await;
        app.sql(&format!("drop trigger hold on {table}; drop function public.hold()")).await;
    }
    for (company, contact) in companies.iter().zip(1..) {
        company.assert_readable(&whatsapp, &receiver, contact).await;
    }

    let (is_done, output) = rotate(app, &both).await;
    assert!(is_done && output.contains("1 new webhook secrets sealed again"), "{output}");
    for (table, _, column) in SEALED {
        assert_eq!(progress(app, table, column).await, (2, 2), "{table}");
    }
    assert_eq!(progress(app, "webhook_endpoints", "previous_secret").await, (2, 2));
    let before = stored(app).await;
    let (is_done, output) = rotate(app, &both).await;
    assert!(is_done && output.matches(|digit: char| ('1'..='9').contains(&digit)).count() == 0, "{output}");
    assert_eq!(stored(app).await, before, "a rotation with nothing to do changes nothing");

    let whatsapp = whatsapp.restart_with(&[("SEALING_KEYS", NEW_KEY)]).await;
    for (company, contact) in companies.iter().zip(11..) {
        company.assert_readable(&whatsapp, &receiver, contact).await;
    }
}

#[tokio::test]
async fn a_rotation_without_the_old_key_fails_names_what_stays_and_changes_nothing() {
    let (whatsapp, _receiver, companies) = companies().await;
    let app = &whatsapp.app;
    let before = stored(app).await;
    let (is_done, output) = rotate(app, NEW_KEY).await;
    assert!(!is_done && output.contains("8 keys could not be opened"), "{output}");
    for company in &companies {
        for named in [
            format!("  tenant {}: sealed by the key local", company.owner.customer_id),
            format!("  user {}: sealed by the key local", company.owner.user_id),
            format!("  webhook endpoint {}:", company.endpoint.rsplit('/').next().unwrap()),
            format!("  new webhook secret of tenant {}:", company.owner.customer_id),
        ] {
            assert!(output.contains(&named), "{named} in {output}");
        }
    }
    assert_eq!(stored(app).await, before);
}
