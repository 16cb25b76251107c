//! The company: its name and settings, its ManyChat key, and its webhook secrets.

use std::collections::BTreeSet;

use futures::future::join_all;
use local::fakes::manychat::{FakeManyChat, KEYS, ManyChatMode};
use reqwest::Method;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use shared::{
    sealed::KeyRing,
    settings::{Settings, SettingsMap},
    tenants::MANYCHAT_KEY_PURPOSE,
};

use super::support::{App, TenantUser, TestRequest, WhatsAppFixture};

const ME: &str = "/api/v1/customers/me";
const SECRET: &str = "/api/v1/customers/me/webhook-secret";

/// A product with a fake ManyChat and one company.
struct CustomerFixture {
    app: App,
    manychat: FakeManyChat,
    owner: TenantUser,
}

impl CustomerFixture {
    async fn start() -> Self {
        Self::with(&[]).await
    }

    async fn with(settings: &[(&str, &str)]) -> Self {
        let manychat = FakeManyChat::start().await.unwrap();
        let url = manychat.base_url();
        let app = App::with_settings(&[&[("MANYCHAT_BASE_URL", url.as_str())], settings].concat()).await;
        let owner = app.sign_up("Comptoir Baobab").await;
        Self { app, manychat, owner }
    }

    fn patch(&self, body: &Value) -> TestRequest {
        self.app.call(Method::PATCH, ME).by(&self.owner).json(body)
    }

    /// The company as its owner sees it.
    async fn get(&self) -> Value {
        self.app.get(ME).by(&self.owner).await.data(200)
    }

    /// The stored ManyChat key, unsealed as the reply worker does it.
    async fn unsealed_key(&self) -> Option<String> {
        let select = "select manychat_api_key from customers where id = $1";
        let sealed: Option<Vec<u8>> = sqlx::query_scalar(select)
            .bind(self.owner.customer_id)
            .fetch_one(&mut self.app.admin_db().await)
            .await
            .unwrap();
        let keys = self.app.stack.secrets.sealing_keys.clone();
        let mut settings = Settings::new(SettingsMap::from([("SEALING_KEYS".to_owned(), keys)]));
        let ring = KeyRing::read(&mut settings);
        settings.finish().unwrap();
        sealed
            .map(|sealed| ring.open(self.owner.customer_id, MANYCHAT_KEY_PURPOSE, &sealed).unwrap().expose().to_owned())
    }

    /// Moves the creation of the webhook secrets into the past, so that another call is no repeated click.
    async fn let_a_minute_pass(&self) {
        self.app.sql("update webhook_secrets set created_at = created_at - interval '61 seconds'").await;
    }

    /// Creates a webhook secret through the API, more than a minute after the last one.
    async fn create_secret(&self) -> String {
        self.let_a_minute_pass().await;
        let data = self.app.post(SECRET).by(&self.owner).await.data(201);
        data["webhook_secret"].as_str().unwrap().to_owned()
    }

    /// True when the webhook accepts this secret for the tenant.
    async fn is_valid_secret(&self, secret: &str) -> bool {
        let sha256 = Sha256::digest(secret).iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        let found = format!(
            "select count(*) from app.webhook_tenant('{sha256}') where customer_id = '{}'",
            self.owner.customer_id
        );
        self.app.number(&found).await == 1
    }
}

#[tokio::test]
async fn only_the_owner_sees_and_changes_the_company() {
    let company = CustomerFixture::start().await;
    let shown = company.get().await;
    let expected = json!({
        "id": company.owner.customer_id, "name": "Comptoir Baobab", "company_id": company.owner.company_id,
        "plan": "free", "currency": "XOF", "timezone": "UTC", "webhook_url": null, "manychat_api_key": null,
        "overage_cap_requests": null, "conversation_retention_months": 12, "language": "fr", "webhook_secrets": [], "created_at": shown["created_at"],
        "greeting": {
            "fr": "Bonjour ! Je suis Lisa, l’assistant virtuel de Comptoir Baobab.",
            "en": "Hello! I am Lisa, the virtual assistant of Comptoir Baobab.",
        },
        "refusal": shown["refusal"], "handover": shown["handover"], "notices": shown["notices"],
    });
    assert_eq!(shown, expected);

    let url = "https://example.com/hooks/s3cr3t?token=1";
    company.patch(&json!({ "webhook_url": url, "manychat_api_key": KEYS[0] })).await.data(200);
    company.create_secret().await;
    let shown = company.get().await;
    assert_eq!((&shown["webhook_url"], &shown["manychat_api_key"]), (&json!(url), &json!("••••page")));
    let support = company.app.sign_up_support(&company.owner).await;
    company.app.get(ME).by(&support).await.refused(403, "forbidden");
    company.app.call(Method::PATCH, ME).by(&support).json(&json!({ "name": "A" })).await.refused(403, "forbidden");
    company.app.post(SECRET).by(&support).await.refused(403, "forbidden");
}

#[tokio::test]
async fn a_patch_changes_the_given_fields_only() {
    let company = CustomerFixture::start().await;
    let object = format!("customer:{}", company.owner.customer_id);
    let changed = company.patch(&json!({ "name": " Le Baobab ", "timezone": "Africa/Abidjan" })).await.data(200);
    assert_eq!((&changed["name"], &changed["timezone"]), (&json!("Le Baobab"), &json!("Africa/Abidjan")));
    assert_eq!(changed["currency"], "XOF");
    company.patch(&json!({ "currency": "EUR", "webhook_url": "https://example.com/a" })).await.data(200);
    // Unchanged values, and null for fields that cannot be null, change nothing.
    for body in [json!({}), json!({ "currency": "EUR", "name": null, "timezone": "Africa/Abidjan" })] {
        company.patch(&body).await.data(200);
    }
    company.patch(&json!({ "currency": "XOF", "plan": "scale" })).await.invalid_fields(&["plan"]);
    let removed = company.patch(&json!({ "webhook_url": null })).await.data(200);
    assert_eq!((&removed["webhook_url"], &removed["currency"]), (&Value::Null, &json!("EUR")));
    assert_eq!(company.get().await, removed);
    assert_eq!(company.app.audit_actions(&company.owner).await, vec![format!("customer.changed {object}"); 3]);
    let other = company.app.sign_up("Chez Koffi").await;
    assert_eq!(company.app.get(ME).by(&other).await.data(200)["name"], "Chez Koffi");
}

#[tokio::test]
async fn an_invalid_field_is_named_and_nothing_changes() {
    let company = CustomerFixture::start().await;
    let before = company.get().await;
    for (field, values) in [
        ("name", vec![json!(""), json!("a\u{0}b"), json!("é".repeat(201)), json!(1)]),
        ("currency", vec![json!("xof"), json!("XXX"), json!("F CFA"), json!("")]),
        ("timezone", vec![json!("Mars/Olympus"), json!(""), json!("UTC\u{0}"), json!("a".repeat(1_000))]),
        ("webhook_url", vec![json!("http://example.com"), json!("https://localhost/a"), json!("https://10.0.0.1")]),
        ("conversation_retention_months", vec![json!(0), json!(-1), json!(61), json!("12"), json!(1.5)]),
        ("overage_cap_requests", vec![json!(-1), json!(1_000_001), json!("many"), json!(1.5)]),
        ("manychat_api_key", vec![json!("short"), json!("1001:with space in it"), json!("1001:é".repeat(4)), json!(7)]),
    ] {
        for value in values {
            company.patch(&json!({ "name": "Le Baobab", field: value })).await.invalid_fields(&[field]);
        }
    }
    company.patch(&json!([])).await.invalid_fields(&["body"]);
    assert_eq!(company.get().await, before);
    assert_eq!(company.app.audit_actions(&company.owner).await, [""; 0]);
}

#[tokio::test]
async fn own_sentences_replace_the_defaults_of_their_language() {
    let company = CustomerFixture::start().await;
    let defaults = company.get().await;
    let body = json!({
        "language": "en", "greeting": { "fr": "{company} à votre écoute, par {assistant}." },
        "refusal": { "en": "Ask us by telephone." }, "handover": { "fr": "Awa arrive.", "en": "Awa is coming." },
    });
    let changed = company.patch(&body).await.data(200);
    assert_eq!(changed["language"], "en");
    let greeting = json!({ "fr": "Comptoir Baobab à votre écoute, par Lisa.", "en": defaults["greeting"]["en"] });
    assert_eq!(changed["greeting"], greeting);
    assert_eq!(changed["refusal"], json!({ "fr": defaults["refusal"]["fr"], "en": "Ask us by telephone." }));
    assert_eq!(changed["handover"], json!({ "fr": "Awa arrive.", "en": "Awa is coming." }));
    // A question that the documents do not answer gets the company's refusal, here in the company's language.
    let asked = company.app.ask(&company.owner, "What is the capital of Mongolia?").await.data(200);
    assert_eq!((&asked["answered"], &asked["answer"]), (&json!(false), &json!("Ask us by telephone.")));

    let restored = company.patch(&json!({ "greeting": null, "handover": { "fr": null } })).await.data(200);
    assert_eq!(restored["greeting"], defaults["greeting"]);
    assert_eq!(restored["handover"], json!({ "fr": defaults["handover"]["fr"], "en": "Awa is coming." }));
    let versions = company.app.get("/api/v1/companies/me/config/versions").by(&company.owner).await.data(200);
    assert_eq!(versions.as_array().unwrap().len(), 2);
    assert_eq!(versions[0]["changed_by"], company.owner.user_id.to_string());
    for (body, field) in [
        (json!({ "language": "de" }), "language"),
        (json!({ "greeting": { "de": "Hallo" } }), "greeting.de"),
        (json!({ "greeting": { "fr": "" } }), "greeting.fr"),
        (json!({ "refusal": { "fr": "a".repeat(1_001) } }), "refusal.fr"),
        (json!({ "handover": "Awa" }), "handover"),
    ] {
        company.patch(&body).await.invalid_fields(&[field]);
    }
    assert_eq!(company.get().await, restored);
}

#[tokio::test]
async fn a_contact_on_whatsapp_reads_the_own_sentences() {
    let whatsapp = WhatsAppFixture::start().await;
    whatsapp.remove_part_spacing().await;
    let texts = json!({
        "greeting": { "fr": "Ici {assistant}." }, "refusal": { "fr": "Demandez au magasin." },
        "handover": { "fr": "Awa arrive." },
    });
    let update = "update company_rag_configs set customer_texts = 'TEXTS'
                  where company_id = (select company_id from company_mapping where uuid = '{tenant}')";
    whatsapp.sql(&update.replace("TEXTS", &texts.to_string())).await;
    whatsapp.deliver_text(1, "Bonjour").await.json_body(200);
    let greeted = whatsapp.wait_for_texts(1, 1).await.remove(0);
    assert!(greeted.starts_with("Ici Lisa. "), "{greeted}");
    whatsapp.deliver_text(1, "Je veux parler à un conseiller").await.json_body(200);
    assert_eq!(whatsapp.wait_for_texts(1, 2).await[1], "Awa arrive.");
}

#[tokio::test]
async fn a_muted_notice_is_not_recorded() {
    let company = CustomerFixture::start().await;
    let notices = company.get().await["notices"].clone();
    assert_eq!(notices.as_object().unwrap().len(), 10);
    assert!(notices.as_object().unwrap().values().all(|is_on| is_on == true), "{notices}");
    let muted = company.patch(&json!({ "notices": { "webhook_body_unread": false } })).await.data(200);
    assert_eq!(muted["notices"]["webhook_body_unread"], false);
    assert_eq!(muted["notices"]["quota_blocked"], true);
    let secret = company.create_secret().await;
    let unreadable = || {
        let call = company.app.post("/api/v1/webhook/manychat").header("x-webhook-secret", &secret);
        call.raw_json("{\"broken")
    };
    unreadable().await;
    assert_eq!(company.app.activities(&company.owner).await, [""; 0]);
    company.patch(&json!({ "notices": { "webhook_body_unread": true } })).await.data(200);
    company.app.sql("delete from tenant_notices").await;
    unreadable().await;
    assert_eq!(company.app.activities(&company.owner).await, ["webhook_body_unread"]);
    company.patch(&json!({ "notices": { "unknown": true } })).await.invalid_fields(&["notices"]);
    company.patch(&json!({ "notices": { "quota_blocked": "no" } })).await.invalid_fields(&["notices.quota_blocked"]);
}

#[tokio::test]
async fn a_manychat_key_is_verified_then_stored_sealed_and_never_shown_again() {
    let company = CustomerFixture::start().await;
    let shown = company.patch(&json!({ "manychat_api_key": KEYS[0] })).await;
    assert!(!shown.text.contains(KEYS[0]));
    assert_eq!(shown.data(200)["manychat_api_key"], "••••page");
    assert_eq!(company.unsealed_key().await.as_deref(), Some(KEYS[0]));
    company.patch(&json!({ "manychat_api_key": KEYS[1] })).await.data(200);
    assert_eq!(company.unsealed_key().await.as_deref(), Some(KEYS[1]));
    company.patch(&json!({ "name": "Le Baobab" })).await.data(200);
    assert_eq!(company.unsealed_key().await.as_deref(), Some(KEYS[1]), "left out, it stays");
    for _ in 0..2 {
        assert_eq!(
            company.patch(&json!({ "manychat_api_key": null })).await.data(200)["manychat_api_key"],
            Value::Null
        );
    }
    assert_eq!(company.unsealed_key().await, None);

    let object = format!("customer:{}", company.owner.customer_id);
    let expected = ["key.changed", "key.changed", "customer.changed", "key.removed"];
    assert_eq!(company.app.audit_actions(&company.owner).await, expected.map(|action| format!("{action} {object}")));
    let leaked = "select count(*) from audit_log entry where entry::text ~ 'fake-manychat|page'";
    assert_eq!(company.app.number(leaked).await, 0);
}

#[tokio::test]
async fn a_key_that_manychat_rejects_is_not_stored() {
    let company = CustomerFixture::start().await;
    company.patch(&json!({ "manychat_api_key": KEYS[0] })).await.data(200);
    let before = company.get().await;
    let wrong = json!({ "name": "Le Baobab", "manychat_api_key": "1001:not-a-key-of-anybody" });
    company.patch(&wrong).await.invalid_fields(&["manychat_api_key"]);
    assert_eq!(company.get().await, before);
    assert_eq!(company.unsealed_key().await.as_deref(), Some(KEYS[0]));
}

#[tokio::test]
async fn no_key_is_stored_while_manychat_is_unavailable() {
    let company = CustomerFixture::start().await;
    let before = company.get().await;
    let body = json!({ "name": "Le Baobab", "manychat_api_key": KEYS[0] });
    for mode in [ManyChatMode::TooManyRequests, ManyChatMode::ServerError, ManyChatMode::AnswerLost] {
        company.manychat.set_mode(mode);
        company.patch(&body).await.refused(503, "unavailable");
    }
    let CustomerFixture { app, manychat, owner } = company;
    drop(manychat);
    app.call(Method::PATCH, ME).by(&owner).json(&body).await.refused(503, "unavailable");
    assert_eq!(app.get(ME).by(&owner).await.data(200), before);
    assert_eq!(app.audit_actions(&owner).await, [""; 0]);
    // Changes that need no request to ManyChat work, including the removal of the key.
    app.call(Method::PATCH, ME).by(&owner).json(&json!({ "manychat_api_key": null, "name": "A" })).await.data(200);
}

#[tokio::test]
async fn the_previous_webhook_secret_stays_valid_for_the_grace_period() {
    let company = CustomerFixture::start().await;
    let first = company.create_secret().await;
    assert!(first.starts_with("whs_") && first.len() == 68, "256 bits");
    assert!(company.is_valid_secret(&first).await);
    let second = company.create_secret().await;
    assert!(company.is_valid_secret(&first).await && company.is_valid_secret(&second).await);
    let hours =
        "select extract(epoch from expires_at - now()) / 3600 from webhook_secrets where expires_at is not null";
    assert!((23..=24).contains(&company.app.number(hours).await));

    let third = company.create_secret().await;
    let live = [
        company.is_valid_secret(&first).await,
        company.is_valid_secret(&second).await,
        company.is_valid_secret(&third).await,
    ];
    assert_eq!(live, [true; 3], "the first was promised a day, which the third does not end");
    let shown = company.get().await;
    let ends: Vec<_> =
        shown["webhook_secrets"].as_array().unwrap().iter().map(|one| one["expires_at"].is_null()).collect();
    assert_eq!(ends, [true, false, false], "the newest first");
    assert!(!shown.to_string().contains("whs_"));

    company
        .app
        .sql("update webhook_secrets set expires_at = now() - interval '1 second' where expires_at is not null")
        .await;
    assert!(!company.is_valid_secret(&second).await && company.is_valid_secret(&third).await);
    assert!(!company.is_valid_secret(&first).await);
    assert_eq!(company.get().await["webhook_secrets"].as_array().unwrap().len(), 1);
    let expected = vec![format!("webhook_secret.created customer:{}", company.owner.customer_id); 3];
    assert_eq!(company.app.audit_actions(&company.owner).await, expected);
    assert_eq!(company.app.number("select count(*) from audit_log entry where entry::text like '%whs_%'").await, 0);
}

#[tokio::test]
async fn a_repeated_click_gets_the_secret_of_the_first_and_changes_nothing() {
    let company = CustomerFixture::start().await;
    let old = company.create_secret().await;
    company.let_a_minute_pass().await;
    let promised = "select extract(epoch from expires_at) * 1000 from webhook_secrets where expires_at is not null";
    let first = company.app.post(SECRET).by(&company.owner).await.data(201);
    let end = company.app.number(promised).await;
    let before = company.get().await;
    for _ in 0..3 {
        let again = company.app.post(SECRET).by(&company.owner).await.data(200);
        assert_eq!(again, first);
    }
    assert_eq!(company.get().await, before);
    assert_eq!(company.app.number(promised).await, end, "the end that the first click promised");
    let secret = first["webhook_secret"].as_str().unwrap();
    assert!(company.is_valid_secret(&old).await && company.is_valid_secret(secret).await);
    assert_eq!(company.app.number("select count(*) from webhook_secrets").await, 2);
    let created = format!("webhook_secret.created customer:{}", company.owner.customer_id);
    assert_eq!(company.app.audit_actions(&company.owner).await, vec![created; 2]);

    // A minute later it is no repetition, and only hashes are kept.
    company.let_a_minute_pass().await;
    company.app.stack.invoke("maintenance", json!({})).await.unwrap();
    assert_eq!(company.app.number("select count(*) from webhook_secrets where sealed_value is not null").await, 0);
    let next = company.app.post(SECRET).by(&company.owner).await.data(201);
    assert_ne!(next["webhook_secret"], first["webhook_secret"]);
    assert!(company.is_valid_secret(secret).await && company.is_valid_secret(&old).await);
}

#[tokio::test]
async fn a_repeated_click_without_a_grace_period_does_not_end_the_secret_of_the_first() {
    let company = CustomerFixture::with(&[("WEBHOOK_SECRET_GRACE_S", "0")]).await;
    let first = company.app.post(SECRET).by(&company.owner).await.data(201);
    assert_eq!(company.app.post(SECRET).by(&company.owner).await.data(200), first);
    assert!(company.is_valid_secret(first["webhook_secret"].as_str().unwrap()).await);
}

#[tokio::test]
async fn the_sealed_value_of_a_webhook_secret_does_not_contain_it_and_belongs_to_its_company() {
    let company = CustomerFixture::start().await;
    let other = company.app.sign_up("Chez Koffi").await;
    let first = company.app.post(SECRET).by(&company.owner).await.data(201);
    let secret = first["webhook_secret"].as_str().unwrap();
    let stored = format!("select count(*) from webhook_secrets where position('{secret}'::bytea in sealed_value) > 0");
    assert_eq!(company.app.number(&stored).await, 0);
    assert_ne!(company.app.post(SECRET).by(&other).await.data(201)["webhook_secret"], first["webhook_secret"]);
    // A value that was copied to another company's row does not open there.
    company
        .app
        .sql("update webhook_secrets set sealed_value = (select sealed_value from webhook_secrets order by created_at limit 1)")
        .await;
    company.app.post(SECRET).by(&other).await.refused(500, "internal");
    assert_eq!(company.app.post(SECRET).by(&company.owner).await.data(200), first);
}

#[tokio::test]
async fn clicks_at_once_create_one_webhook_secret() {
    let company = CustomerFixture::start().await;
    let old = company.create_secret().await;
    company.let_a_minute_pass().await;
    let answers = join_all((0..8).map(|_| async { company.app.post(SECRET).by(&company.owner).await })).await;
    let created = answers.iter().filter(|answer| answer.status == 201).count();
    let repeated = answers.iter().filter(|answer| answer.status == 200).count();
    assert_eq!((created, repeated), (1, 7));
    let secrets: BTreeSet<_> = answers.iter().map(|answer| answer.body["data"]["webhook_secret"].to_string()).collect();
    assert_eq!(secrets.len(), 1, "all clicks show one secret");
    assert_eq!(company.app.number("select count(*) from webhook_secrets").await, 2);
    assert_eq!(company.app.number("select count(*) from webhook_secrets where expires_at is null").await, 1);
    assert!(company.is_valid_secret(&old).await);
}

#[tokio::test]
async fn without_a_grace_period_the_previous_webhook_secret_ends_at_once() {
    let company = CustomerFixture::with(&[("WEBHOOK_SECRET_GRACE_S", "0")]).await;
    let first = company.create_secret().await;
    let second = company.create_secret().await;
    assert_eq!((company.is_valid_secret(&first).await, company.is_valid_secret(&second).await), (false, true));
}

#[tokio::test]
async fn a_secret_that_was_replaced_keeps_its_promised_end_and_ten_are_valid_at_most() {
    let company = CustomerFixture::start().await;
    let first = company.create_secret().await;
    company.create_secret().await;
    let end = "select extract(epoch from min(expires_at)) * 1000 from webhook_secrets";
    let promised = company.app.number(end).await;
    for _ in 0..8 {
        company.create_secret().await;
    }
    assert_eq!(company.app.number(end).await, promised, "later secrets neither end the first nor prolong it");
    assert_eq!(company.app.post(SECRET).by(&company.owner).await.status, 200, "a repeated click is none too many");
    company.let_a_minute_pass().await;
    let refused = company.app.post(SECRET).by(&company.owner).await;
    refused.refused(409, "too_many_webhook_secrets");
    assert!(company.is_valid_secret(&first).await);
    assert_eq!(company.app.number("select count(*) from webhook_secrets").await, 10);
    // One that has ended makes room.
    company
        .app
        .sql(
            "update webhook_secrets set expires_at = now() - interval '1 second' where expires_at = (
        select min(expires_at) from webhook_secrets)",
        )
        .await;
    company.create_secret().await;
    assert!(!company.is_valid_secret(&first).await);
}

#[tokio::test]
async fn the_owner_sets_the_cap_of_paid_requests_over_the_plan() {
    let company = CustomerFixture::start().await;
    let changed = company.patch(&json!({ "overage_cap_requests": 250 })).await.data(200);
    assert_eq!(changed["overage_cap_requests"], 250);
    company.patch(&json!({ "name": "Le Baobab" })).await.data(200);
    assert_eq!(company.get().await["overage_cap_requests"], 250, "left out, it stays");
    let removed = company.patch(&json!({ "overage_cap_requests": null })).await.data(200);
    assert_eq!(removed["overage_cap_requests"], Value::Null);
    let object = format!("customer:{}", company.owner.customer_id);
    assert_eq!(company.app.audit_actions(&company.owner).await, vec![format!("customer.changed {object}"); 3]);
}
