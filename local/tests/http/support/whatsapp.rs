//! A tenant whose customers write on WhatsApp: a fake ManyChat, a scripted model, and the product between them.

use std::collections::BTreeMap;

use local::fakes::{
    manychat::{FakeManyChat, KEYS},
    models::FakeModels,
};
use serde_json::{Value, json};
use shared::{sealed::KeyRing, settings::Settings, tenants};
use sqlx::{AssertSqlSafe, Row};
use uuid::Uuid;

use super::{Answer, App, SOON, Tenant, wait_until};

/// The product with its outside.
pub(crate) struct WhatsApp {
    pub(crate) app: App,
    pub(crate) manychat: FakeManyChat,
    pub(crate) models: FakeModels,
    pub(crate) tenant: Tenant,
    secret: String,
}

impl WhatsApp {
    /// Answers at once: bursts are what the tests of bursts are for.
    pub(crate) async fn start() -> Self {
        Self::with(&[]).await
    }

    pub(crate) async fn with(settings: &[(&str, &str)]) -> Self {
        let manychat = FakeManyChat::start().await.unwrap();
        let models = FakeModels::start().await.unwrap();
        let (manychat_url, models_url) = (manychat.base_url(), models.base_url());
        let mut all = vec![
            ("MANYCHAT_BASE_URL", manychat_url.as_str()),
            ("LLM_PROVIDER", "groq"),
            ("GROQ_API_KEY", "test"),
            ("GROQ_BASE_URL", models_url.as_str()),
            ("BURST_WINDOW_S", "0"),
            ("RATE_LIMIT_WEBHOOK", "1000000"),
        ];
        all.retain(|(name, _)| !settings.iter().any(|(other, _)| other == name));
        all.extend_from_slice(settings);
        let app = App::with_options(&all, Some(3)).await;
        let (tenant, secret) = connect(&app, "Boutique Awa", KEYS[0]).await;
        Self { app, manychat, models, tenant, secret }
    }

    /// Another company on the same product, with its webhook secret.
    pub(crate) async fn neighbour(&self) -> (Tenant, String) {
        connect(&self.app, "Chez Koffi", KEYS[1]).await
    }

    /// What a contact writes, as ManyChat delivers it.
    pub(crate) async fn write(&self, contact: u64, text: &str) -> Answer {
        self.deliver(&json!({ "id": contact, "last_input_text": text, "message_id": Uuid::new_v4() })).await
    }

    /// Any body.
    pub(crate) async fn deliver(&self, body: &Value) -> Answer {
        self.deliver_with(&self.secret, body).await
    }

    pub(crate) async fn deliver_with(&self, secret: &str, body: &Value) -> Answer {
        self.app.post("/api/v1/webhook/manychat").header("x-webhook-secret", secret).json(body).await
    }

    /// The tenant's webhook secret.
    pub(crate) fn secret(&self) -> &str {
        &self.secret
    }

    /// A statement about the tenant, with `{tenant}` for its id.
    pub(crate) async fn sql(&self, statement: &str) {
        self.app.sql(&statement.replace("{tenant}", &self.tenant.customer_id.to_string())).await;
    }

    pub(crate) async fn number(&self, query: &str) -> i64 {
        self.app.number(&query.replace("{tenant}", &self.tenant.customer_id.to_string())).await
    }

    /// Switches to LIVE.
    pub(crate) async fn go_live(&self) {
        self.sql("insert into bot_sessions (company_id, mode) values ('{tenant}', 'live')").await;
    }

    /// Parts to one contact follow each other at once.
    pub(crate) async fn do_not_space_parts(&self) {
        self.sql(
            "create function unspaced() returns trigger language plpgsql as
                 $$ begin new.next_send_at := now() - interval '1 minute'; return new; end $$;
             create trigger unspaced before update on conversations for each row execute function unspaced()",
        )
        .await;
    }

    /// The texts that a contact has got, once there are so many.
    pub(crate) async fn got(&self, contact: u64, count: usize) -> Vec<String> {
        let contact = contact.to_string();
        wait_until(&format!("{count} texts for {contact}"), SOON, async || {
            let sent = self.manychat.sent_to(&contact);
            (sent.len() >= count).then_some(sent)
        })
        .await
    }

    /// Waits until nothing is left to do in any conversation.
    pub(crate) async fn settled(&self) {
        wait_until("all jobs done", SOON, async || {
            let open = "select count(*) from jobs where kind = 'reply' and status <> 'done'";
            (self.app.number(open).await == 0).then_some(())
        })
        .await;
    }

    /// One column of a conversation, as text.
    pub(crate) async fn conversation(&self, contact: u64, column: &str) -> Option<String> {
        let query = format!(
            "select {column}::text from conversations where customer_id = '{}' and contact_id = '{contact}'",
            self.tenant.customer_id
        );
        let row = sqlx::query(AssertSqlSafe(query)).fetch_one(&mut self.app.admin_db().await).await.unwrap();
        row.get(0)
    }

    /// A document of one page, processed.
    pub(crate) async fn teach(&self, text: &str) {
        self.app.learn(&self.tenant, "guide.pdf", super::small_pdf(text)).await;
    }
}

/// Signs a company up and connects its ManyChat.
async fn connect(app: &App, company: &str, key: &str) -> (Tenant, String) {
    let tenant = app.sign_up(company).await;
    let secret = app.webhook_secret(&tenant).await;
    let keys = BTreeMap::from([("SEALING_KEYS".to_owned(), app.stack.secrets.sealing_keys.clone())]);
    let mut settings = Settings::new(keys);
    let ring = KeyRing::read(&mut settings);
    settings.finish().unwrap();
    let sealed = ring.seal(tenant.customer_id, tenants::MANYCHAT_KEY_PURPOSE, key).unwrap();
    let statement = "update customers set manychat_api_key = $2 where id = $1";
    let update = sqlx::query(statement).bind(tenant.customer_id).bind(sealed);
    update.execute(&mut app.admin_db().await).await.unwrap();
    (tenant, secret)
}
