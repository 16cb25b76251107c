//! Creates the demo data of `cargo dev` and `demo.json`: two tenants, a service token and an administrator.

use std::{path::Path, time::Duration};

use anyhow::{Context, Result, bail};
use chrono::Utc;
use local_postgres::write_private;
use serde::Serialize;
use serde_json::json;
use sha2::{Digest, Sha256};
use shared::{
    accounts::DEFAULT_FREE_QUOTA_LIMIT,
    auth::tokens::SigningKey,
    sealed::{self, KeyRing},
    settings::{Settings, SettingsMap},
    tenants,
};
use sqlx::{Connection, PgConnection};
use uuid::Uuid;

use crate::{
    environment::DatabaseUrls,
    fakes::manychat::{FakeManyChat, KEYS},
    secrets::LocalSecrets,
    stack::Stack,
};

const TOKEN_LIFETIME: Duration = Duration::from_secs(30 * 24 * 60 * 60);
const ADMIN_EMAIL: &str = "admin@example.com";
const TENANTS: [(&str, &str); 2] = [("demo@example.com", "Boutique Awa"), ("other@example.com", "Chez Koffi")];

/// The contents of `demo.json`.
#[derive(Debug, Serialize)]
pub struct Demo {
    base_url: String,
    database_url: String,
    admin_database_url: String,
    /// The database of billing; absent when billing shares the main database.
    #[serde(skip_serializing_if = "Option::is_none")]
    billing_database_url: Option<String>,
    /// The first demo tenant.
    pub tenant: DemoTenant,
    /// The second demo tenant, to try the isolation of tenants with.
    pub other_tenant: DemoTenant,
    service_token: String,
    admin_token: String,
    stripe_webhook_secret: String,
    /// The base URL of the fake ManyChat; null when another server is configured.
    pub manychat_url: Option<String>,
    /// The base URLs of the fake model servers, in the order of the fallback chain; empty without `--fake-models`.
    pub models_urls: Vec<String>,
    /// The base URL of the fake Stripe; null when the functions call Stripe itself.
    pub stripe_url: Option<String>,
}

/// A demo tenant and its owner.
#[derive(Debug, Serialize)]
pub struct DemoTenant {
    /// The owner's email address.
    pub email: String,
    password: String,
    /// The owner's access token, valid for 30 days.
    pub access_token: String,
    customer_id: Uuid,
    user_id: Uuid,
    company_id: String,
    webhook_secret: String,
    /// The page id of the tenant's key at the fake ManyChat.
    manychat_page: String,
}

/// Creates the demo data.
struct DemoBuilder<'s> {
    stack: &'s Stack,
    admin: PgConnection,
    secrets: &'s LocalSecrets,
    signing: SigningKey,
    sealing: KeyRing,
    /// True when the tenants get keys of the fake ManyChat.
    uses_fake_manychat: bool,
}

/// Creates missing demo tenants through the product's sign-up, and issues new tokens.
///
/// # Errors
/// Fails when a sign-up is refused or the database cannot be reached.
pub async fn create_demo(
    stack: &Stack,
    database: &DatabaseUrls,
    secrets: &LocalSecrets,
    settings: &SettingsMap,
    manychat: Option<&FakeManyChat>,
) -> Result<Demo> {
    let mut settings = settings.clone();
    settings.entry("JWT_SECRET".to_owned()).or_insert_with(|| secrets.jwt_secret.clone());
    settings.entry("SEALING_KEYS".to_owned()).or_insert_with(|| secrets.sealing_keys.clone());
    let mut settings = Settings::new(settings);
    let (signing, sealing) = (SigningKey::read(&mut settings), KeyRing::read(&mut settings));
    settings.finish()?;

    let admin = PgConnection::connect(&database.admin).await.context("cannot connect to the database")?;
    let mut builder = DemoBuilder { stack, admin, secrets, signing, sealing, uses_fake_manychat: manychat.is_some() };
    let demo = Demo {
        base_url: stack.base_url(),
        database_url: database.app.clone(),
        admin_database_url: database.admin.clone(),
        billing_database_url: database.billing.as_ref().map(|billing| billing.admin.clone()),
        tenant: builder.tenant(0).await?,
        other_tenant: builder.tenant(1).await?,
        service_token: builder.signing.sign_service_token(Utc::now(), TOKEN_LIFETIME)?,
        admin_token: builder.administrator().await?,
        stripe_webhook_secret: secrets.stripe_webhook_secret.clone(),
        manychat_url: manychat.map(FakeManyChat::base_url),
        models_urls: Vec::new(),
        stripe_url: None,
    };
    builder.admin.close().await.context("the database connection cannot be closed")?;
    Ok(demo)
}

/// Sets a Stripe price of the fake Stripe for each paid plan that has none.
///
/// # Errors
/// Fails when the database cannot be reached.
pub async fn set_plan_prices(database: &DatabaseUrls) -> Result<()> {
    let mut admin = PgConnection::connect(&database.admin).await.context("cannot connect to the database")?;
    let statement = "update plans set stripe_price_id = 'price_local_' || name
                     where stripe_price_id is null and price_cents > 0";
    sqlx::query(statement).execute(&mut admin).await.context("the plans cannot be sold")?;
    admin.close().await.context("the database connection cannot be closed")
}

/// Adds two products to a tenant that has none.
///
/// # Errors
/// Fails when the database cannot be reached.
pub async fn add_demo_products(database: &DatabaseUrls, tenant: &DemoTenant) -> Result<()> {
    let mut admin = PgConnection::connect(&database.admin).await.context("cannot connect to the database")?;
    let statement = "insert into products (customer_id, name, price, currency)
                     select customer.id, offered.name, offered.price, customer.currency
                     from customers customer, (values ('Lampe solaire', 15000), ('Panier de fruits', 4000)) offered (name, price)
                     where customer.id = $1 and not exists (select from products where customer_id = $1)";
    let insert = sqlx::query(statement).bind(tenant.customer_id).execute(&mut admin).await;
    insert.context("the products cannot be offered")?;
    admin.close().await.context("the database connection cannot be closed")
}

impl Demo {
    /// Writes the file with mode 0600.
    ///
    /// # Errors
    /// Fails when the folder cannot be written.
    pub fn write(&self, path: &Path) -> Result<()> {
        let text = serde_json::to_string_pretty(self).context("the demo cannot be written")?;
        write_private(path, (text + "\n").as_bytes())
    }
}

impl DemoBuilder<'_> {
    async fn tenant(&mut self, index: usize) -> Result<DemoTenant> {
        let (email, company) = TENANTS[index];
        let found = match find(&mut self.admin, email).await? {
            Some(found) => found,
            None => {
                sign_up(self.stack, email, &self.secrets.demo_password, company).await?;
                let found = find(&mut self.admin, email).await?;
                found.with_context(|| format!("{email} signed up, but has no company"))?
            }
        };
        let (user_id, customer_id, company_id) = found;
        let confirmed = "update users set email_confirmed_at = now() where id = $1 and email_confirmed_at is null";
        sqlx::query(confirmed)
            .bind(user_id)
            .execute(&mut self.admin)
            .await
            .context("the tenant cannot be confirmed")?;
        let webhook_secret = &self.secrets.webhook_secrets[index];
        // Reactivates a secret that was rotated out: `cargo phone` uses this one.
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
        if self.uses_fake_manychat {
            self.connect_manychat(customer_id, KEYS[index]).await?;
        }
        Ok(DemoTenant {
            email: email.to_owned(),
            password: self.secrets.demo_password.clone(),
            access_token: self.signing.sign_user_token(user_id, email, Uuid::new_v4(), Utc::now(), TOKEN_LIFETIME)?,
            customer_id,
            user_id,
            company_id,
            webhook_secret: webhook_secret.clone(),
            manychat_page: KEYS[index].split(':').next().unwrap_or_default().to_owned(),
        })
    }

    /// Sets a tenant's key of the fake ManyChat. A key that is already set stays.
    async fn connect_manychat(&mut self, tenant: Uuid, key: &str) -> Result<()> {
        let statement = r#"
            update customers set manychat_api_key = $2, manychat_api_key_last4 = $3
            where id = $1 and manychat_api_key is null
        "#;
        sqlx::query(statement)
            .bind(tenant)
            .bind(self.sealing.seal(tenant, tenants::MANYCHAT_KEY_PURPOSE, key)?)
            .bind(sealed::last4(key))
            .execute(&mut self.admin)
            .await
            .context("the ManyChat key cannot be kept")?;
        Ok(())
    }

    /// Creates the administrator by SQL, because no route may do so. Returns an access token.
    async fn administrator(&mut self) -> Result<String> {
        let statement = r#"
            with made as (
                insert into users (email, role) values ($1, 'global_admin')
                on conflict (lower(email)) do nothing
                returning id
            )
            select id from made union all select id from users where lower(email) = lower($1)
        "#;
        let id = sqlx::query_scalar(statement).bind(ADMIN_EMAIL).fetch_one(&mut self.admin).await;
        let id: Uuid = id.context("the administrator cannot be created")?;
        // As a sign-up does: an administrator may own a company too, which then has the quota of the account.
        let provision = sqlx::query("select app.provision_account($1, $2, null, $3)").bind(id).bind(ADMIN_EMAIL);
        let provision = provision.bind(i32::from(DEFAULT_FREE_QUOTA_LIMIT)).execute(&mut self.admin).await;
        provision.context("the administrator's account cannot be completed")?;
        Ok(self.signing.sign_user_token(id, ADMIN_EMAIL, Uuid::new_v4(), Utc::now(), TOKEN_LIFETIME)?)
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

/// Signs a tenant up by invoking `auth` directly: the gateway is still closed.
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
