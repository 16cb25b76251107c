//! The demo: two tenants, a service and an administrator, with tokens to try the product with, in `demo.json`.

use std::{path::Path, time::Duration};

use anyhow::{Context, Result, bail};
use chrono::Utc;
use local_postgres::write_private;
use serde::Serialize;
use serde_json::json;
use sha2::{Digest, Sha256};
use shared::{
    auth::tokens::SigningKey,
    sealed::{self, KeyRing},
    settings::{Settings, SettingsMap},
    tenants,
};
use sqlx::{Connection, PgConnection};
use uuid::Uuid;

use crate::{
    environment::Database,
    fakes::manychat::{FakeManyChat, KEYS},
    kept::Kept,
    stack::Stack,
};

const TOKEN_LIFE: Duration = Duration::from_secs(30 * 24 * 60 * 60);
const ADMIN: &str = "admin@example.com";
const TENANTS: [(&str, &str); 2] = [("demo@example.com", "Boutique Awa"), ("other@example.com", "Chez Koffi")];

/// What `demo.json` holds.
#[derive(Debug, Serialize)]
pub struct Demo {
    base_url: String,
    database_url: String,
    admin_database_url: String,
    /// Absent where billing stands in the same database.
    #[serde(skip_serializing_if = "Option::is_none")]
    billing_database_url: Option<String>,
    /// The first tenant.
    pub tenant: Tenant,
    /// One that must never see the first one's data.
    pub other_tenant: Tenant,
    service_token: String,
    admin_token: String,
    stripe_webhook_secret: String,
    /// Where the fake ManyChat is; null when the functions speak to another one.
    pub manychat_url: Option<String>,
    /// Where the fake models are, the first one first; empty without `--fake-models`.
    pub models_urls: Vec<String>,
    /// Where the fake Stripe is; absent with somebody's own.
    pub stripe_url: Option<String>,
}

/// A demo tenant and its owner.
#[derive(Debug, Serialize)]
pub struct Tenant {
    /// The owner's address.
    pub email: String,
    password: String,
    /// Good for 30 days.
    pub access_token: String,
    customer_id: Uuid,
    user_id: Uuid,
    company_id: String,
    webhook_secret: String,
    /// The page of the fake ManyChat that the tenant's key is of.
    manychat_page: String,
}

/// What the demo is made with.
struct Maker<'s> {
    stack: &'s Stack,
    admin: PgConnection,
    kept: &'s Kept,
    signing: SigningKey,
    sealing: KeyRing,
    /// Whether the tenants' keys are those of the fake ManyChat.
    has_fake: bool,
}

/// Makes what is not there yet, through the product's own sign-up, and fresh tokens.
///
/// # Errors
/// A product that refuses, or a database that is away.
pub async fn seed(
    stack: &Stack,
    database: &Database,
    kept: &Kept,
    settings: &SettingsMap,
    manychat: Option<&FakeManyChat>,
) -> Result<Demo> {
    let mut settings = settings.clone();
    settings.entry("JWT_SECRET".to_owned()).or_insert_with(|| kept.jwt_secret.clone());
    settings.entry("SEALING_KEYS".to_owned()).or_insert_with(|| kept.sealing_keys.clone());
    let mut settings = Settings::new(settings);
    let (signing, sealing) = (SigningKey::read(&mut settings), KeyRing::read(&mut settings));
    settings.finish()?;

    let admin = PgConnection::connect(&database.admin).await.context("the database is away")?;
    let mut maker = Maker { stack, admin, kept, signing, sealing, has_fake: manychat.is_some() };
    let demo = Demo {
        base_url: stack.base_url(),
        database_url: database.app.clone(),
        admin_database_url: database.admin.clone(),
        billing_database_url: database.billing.as_ref().map(|billing| billing.admin.clone()),
        tenant: maker.tenant(0).await?,
        other_tenant: maker.tenant(1).await?,
        service_token: maker.signing.service(Utc::now(), TOKEN_LIFE)?,
        admin_token: maker.administrator().await?,
        stripe_webhook_secret: kept.stripe_webhook_secret.clone(),
        manychat_url: manychat.map(FakeManyChat::base_url),
        models_urls: Vec::new(),
        stripe_url: None,
    };
    maker.admin.close().await.context("the database connection cannot be closed")?;
    Ok(demo)
}

/// Gives the plans prices at the fake Stripe, where they have none.
///
/// # Errors
/// A database that is away.
pub async fn sell_plans(database: &Database) -> Result<()> {
    let mut admin = PgConnection::connect(&database.admin).await.context("the database is away")?;
    let statement = "update plans set stripe_price_id = 'price_local_' || name
                     where stripe_price_id is null and price_cents > 0";
    sqlx::query(statement).execute(&mut admin).await.context("the plans cannot be sold")?;
    admin.close().await.context("the database connection cannot be closed")
}

/// Gives a demo tenant something to sell, where it has nothing.
///
/// # Errors
/// A database that is away.
pub async fn offer_products(database: &Database, tenant: &Tenant) -> Result<()> {
    let mut admin = PgConnection::connect(&database.admin).await.context("the database is away")?;
    let statement = "insert into products (customer_id, name, price, currency)
                     select customer.id, offered.name, offered.price, customer.currency
                     from customers customer, (values ('Lampe solaire', 15000), ('Panier de fruits', 4000)) offered (name, price)
                     where customer.id = $1 and not exists (select from products where customer_id = $1)";
    let insert = sqlx::query(statement).bind(tenant.customer_id).execute(&mut admin).await;
    insert.context("the products cannot be offered")?;
    admin.close().await.context("the database connection cannot be closed")
}

impl Demo {
    /// Writes the file; only its owner may read it.
    ///
    /// # Errors
    /// A folder that cannot be written.
    pub fn write(&self, path: &Path) -> Result<()> {
        let text = serde_json::to_string_pretty(self).context("the demo cannot be written")?;
        write_private(path, (text + "\n").as_bytes())
    }
}

impl Maker<'_> {
    async fn tenant(&mut self, index: usize) -> Result<Tenant> {
        let (email, company) = TENANTS[index];
        let found = match find(&mut self.admin, email).await? {
            Some(found) => found,
            None => {
                sign_up(self.stack, email, &self.kept.demo_password, company).await?;
                let found = find(&mut self.admin, email).await?;
                found.with_context(|| format!("{email} signed up, but has no company"))?
            }
        };
        let (user_id, customer_id, company_id) = found;
        let webhook_secret = &self.kept.webhook_secrets[index];
        // Also where it was rotated out: `cargo phone` knows no other.
        let statement = r#"
            insert into webhook_secrets (customer_id, sha256) values ($1, $2)
            on conflict on constraint webhook_secrets_sha256_key do update set expires_at = null
        "#;
        sqlx::query(statement)
            .bind(customer_id)
            .bind(Sha256::digest(webhook_secret).to_vec())
            .execute(&mut self.admin)
            .await
            .context("the webhook secret cannot be kept")?;
        if self.has_fake {
            self.connect_manychat(customer_id, KEYS[index]).await?;
        }
        Ok(Tenant {
            email: email.to_owned(),
            password: self.kept.demo_password.clone(),
            access_token: self.signing.person(user_id, email, Uuid::new_v4(), Utc::now(), TOKEN_LIFE)?,
            customer_id,
            user_id,
            company_id,
            webhook_secret: webhook_secret.clone(),
            manychat_page: KEYS[index].split(':').next().unwrap_or_default().to_owned(),
        })
    }

    /// Gives a tenant a key of the fake ManyChat, where it has none: one that somebody put there stays.
    async fn connect_manychat(&mut self, tenant: Uuid, key: &str) -> Result<()> {
        let statement = r#"
            update customers set manychat_api_key = $2, manychat_api_key_last4 = $3
            where id = $1 and manychat_api_key is null
        "#;
        sqlx::query(statement)
            .bind(tenant)
            .bind(self.sealing.seal(tenant, tenants::MANYCHAT_KEY, key)?)
            .bind(sealed::last4(key))
            .execute(&mut self.admin)
            .await
            .context("the ManyChat key cannot be kept")?;
        Ok(())
    }

    /// No route makes an administrator, on purpose.
    async fn administrator(&mut self) -> Result<String> {
        let statement = r#"
            with made as (
                insert into users (email, role) values ($1, 'global_admin')
                on conflict (lower(email)) do nothing
                returning id
            )
            select id from made union all select id from users where lower(email) = lower($1)
        "#;
        let id = sqlx::query_scalar(statement).bind(ADMIN).fetch_one(&mut self.admin).await;
        let id = id.context("the administrator cannot be made")?;
        Ok(self.signing.person(id, ADMIN, Uuid::new_v4(), Utc::now(), TOKEN_LIFE)?)
    }
}

async fn find(admin: &mut PgConnection, email: &str) -> Result<Option<(Uuid, Uuid, String)>> {
    let statement = r#"
        select account.id, tenant.id, mapping.company_id
        from users account
        join customers tenant on tenant.user_id = account.id
        join company_mapping mapping on mapping.uuid = tenant.id
        where lower(account.email) = lower($1)
    "#;
    sqlx::query_as(statement).bind(email).fetch_optional(admin).await.context("the demo tenants cannot be looked up")
}

/// Without the gateway, which opens when the demo is ready.
async fn sign_up(stack: &Stack, email: &str, password: &str, company: &str) -> Result<()> {
    let body = json!({ "email": email, "password": password, "company_name": company });
    let route = "POST /api/v1/auth/signup";
    let event = json!({
        "version": "2.0",
        "routeKey": route,
        "rawPath": "/api/v1/auth/signup",
        "headers": { "content-type": "application/json" },
        "requestContext": {
            "http": { "method": "POST", "path": "/api/v1/auth/signup", "sourceIp": "127.0.0.1" },
            "requestId": Uuid::new_v4(),
            "routeKey": route,
            "stage": "$default",
        },
        "body": body.to_string(),
        "isBase64Encoded": false,
    });
    let answer = stack.invoke("auth", event).await?;
    if answer["statusCode"] != 201 {
        bail!("the demo tenant {email} cannot sign up: {}", answer["body"]);
    }
    Ok(())
}
