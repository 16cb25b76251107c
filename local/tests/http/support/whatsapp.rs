//! A tenant with WhatsApp contacts: a fake ManyChat, a scripted model, and the product between them.

use std::collections::BTreeMap;

use local::{
    fakes::{
        manychat::{FakeManyChat, KEYS},
        models::FakeModels,
    },
    testing::OwnDatabase,
};
use serde_json::{Value, json};
use shared::{sealed::KeyRing, settings::Settings, tenants};
use sqlx::{AssertSqlSafe, Row};
use uuid::Uuid;

use super::{App, TenantUser, TestResponse, WAIT_TIMEOUT, logs::plant_answer, wait_until};

/// The product with a fake ManyChat, fake models and one tenant that is connected to ManyChat.
pub(crate) struct WhatsAppFixture {
    pub(crate) app: App,
    pub(crate) manychat: FakeManyChat,
    pub(crate) models: FakeModels,
    pub(crate) tenant: TenantUser,
    secret: String,
}

impl WhatsAppFixture {
    /// Starts the product with a burst window of zero, so that each message is answered at once.
    pub(crate) async fn start() -> Self {
        Self::with_settings(&[]).await
    }

    /// Starts the product with these settings, which replace the defaults below.
    pub(crate) async fn with_settings(settings: &[(&str, &str)]) -> Self {
        Self::build(None, settings).await
    }

    /// Starts the product on a database server that the test may kill.
    pub(crate) async fn on_database(database: &OwnDatabase, settings: &[(&str, &str)]) -> Self {
        Self::build(Some(database), settings).await
    }

    /// Kills all running work of the product and starts it again on the same data.
    pub(crate) async fn restart(self) -> Self {
        Self { app: self.app.restart().await, ..self }
    }

    /// Kills all running work of the product and starts it again on the same data with these settings besides.
    pub(crate) async fn restart_with(self, settings: &[(&str, &str)]) -> Self {
        Self { app: self.app.restart_with(settings).await, ..self }
    }

    async fn build(database: Option<&OwnDatabase>, settings: &[(&str, &str)]) -> Self {
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
        let app = match database {
            Some(database) => App::on_database(database, &all, 3).await,
            None => App::with_options(&all, Some(3)).await,
        };
        let (tenant, secret) = connect(&app, "Boutique Awa", KEYS[0]).await;
        Self { app, manychat, models, tenant, secret }
    }

    /// Signs up a second tenant that is connected to ManyChat, and returns it with its webhook secret.
    pub(crate) async fn add_tenant(&self) -> (TenantUser, String) {
        connect(&self.app, "Chez Koffi", KEYS[1]).await
    }

    /// Delivers a text message of a contact, as ManyChat does.
    pub(crate) async fn deliver_text(&self, contact: u64, text: &str) -> TestResponse {
        self.deliver(&json!({ "id": contact, "last_input_text": text, "message_id": Uuid::new_v4() })).await
    }

    /// Posts a body to the ManyChat webhook with the tenant's secret.
    pub(crate) async fn deliver(&self, body: &Value) -> TestResponse {
        self.deliver_with_secret(&self.secret, body).await
    }

    /// Posts a body to the ManyChat webhook with this secret.
    pub(crate) async fn deliver_with_secret(&self, secret: &str, body: &Value) -> TestResponse {
        self.app.post("/api/v1/webhook/manychat").header("x-webhook-secret", secret).json(body).await
    }

    /// The tenant's webhook secret.
    pub(crate) fn secret(&self) -> &str {
        &self.secret
    }

    /// Runs SQL as superuser, with `{tenant}` replaced by the tenant's id.
    pub(crate) async fn sql(&self, statement: &str) {
        self.app.sql(&statement.replace("{tenant}", &self.tenant.customer_id.to_string())).await;
    }

    /// Returns the single number that a query yields, with `{tenant}` replaced by the tenant's id.
    pub(crate) async fn number(&self, query: &str) -> i64 {
        self.app.number(&query.replace("{tenant}", &self.tenant.customer_id.to_string())).await
    }

    /// Switches the tenant's bot to LIVE mode.
    pub(crate) async fn switch_to_live(&self) {
        self.sql("insert into bot_sessions (company_id, mode) values ('{tenant}', 'live')").await;
    }

    /// Removes the delay between the message parts sent to one contact.
    pub(crate) async fn remove_part_spacing(&self) {
        self.sql(
            "create function unspaced() returns trigger language plpgsql as
                 $$ begin new.next_send_at := now() - interval '1 minute'; return new; end $$;
             create trigger unspaced before update on conversations for each row execute function unspaced()",
        )
        .await;
    }

    /// Waits until a contact has received at least `count` texts, and returns all of them.
    pub(crate) async fn wait_for_texts(&self, contact: u64, count: usize) -> Vec<String> {
        let contact = contact.to_string();
        wait_until(&format!("{count} texts for {contact}"), WAIT_TIMEOUT, async || {
            let sent = self.manychat.sent_to(&contact);
            plant_answer(&json!({ "content": sent }));
            (sent.len() >= count).then_some(sent)
        })
        .await
    }

    /// Waits until all reply jobs are done.
    pub(crate) async fn wait_for_reply_jobs(&self) {
        wait_until("all jobs done", WAIT_TIMEOUT, async || {
            let open = "select count(*) from jobs where kind = 'reply' and status <> 'done'";
            (self.app.number(open).await == 0).then_some(())
        })
        .await;
    }

    /// Waits until the only conversation's message waits for the end of a handover: the worker that saw it has put the
    /// job off and released the lease.
    pub(crate) async fn wait_until_put_off(&self) {
        wait_until("the job put off", WAIT_TIMEOUT, async || {
            let put_off = "select count(*) from jobs, conversations where kind = 'reply' and status = 'queued'
                and run_after > now() + interval '2 minutes' and lease_token is null";
            (self.app.number(put_off).await == 1).then_some(())
        })
        .await;
    }

    /// The value of one column of a contact's conversation, as text.
    pub(crate) async fn conversation_column(&self, contact: u64, column: &str) -> Option<String> {
        let query = format!(
            "select {column}::text from conversations where customer_id = '{}' and contact_id = '{contact}'",
            self.tenant.customer_id
        );
        let row = sqlx::query(AssertSqlSafe(query)).fetch_one(&mut self.app.admin_db().await).await.unwrap();
        row.get(0)
    }

    /// Uploads a document of one page and waits until it is processed.
    pub(crate) async fn upload_document(&self, text: &str) {
        self.app.upload_and_process(&self.tenant, "guide.pdf", super::small_pdf(text)).await;
    }
}

/// Signs up a company, stores its ManyChat key, and returns it with its webhook secret.
async fn connect(app: &App, company: &str, key: &str) -> (TenantUser, String) {
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
