//! Users' own configuration: where a user's data pod is, and its sealed (encrypted) API key. Owns the table
//! `billing.user_config`.
//!
//! The accounts and the audit log are in the app's database. So no transaction spans a change and its audit entry: the
//! entry is written first. An entry without a change is possible then, a change without an entry is not.

use std::fmt;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::json;
use url::Url;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::{
    audit::{self, NewAuditEntry},
    billing::new_id,
    db::{BillingDb, BillingTx, SystemDb, SystemTx},
    error::ApiError,
    outbound::TenantUrl,
    sealed::{self, KeyRing, MASK, SealingError},
    settings::Settings,
};

/// Purpose under which a data pod's key is sealed. Also the name of its column.
pub const DATA_POD_KEY_PURPOSE: &str = "data_pod_api_key";

/// Maximum length of a data pod's key, in bytes.
pub const MAX_DATA_POD_KEY_BYTES: usize = 500;
/// Minimum length of a data pod's key, in bytes.
const MIN_DATA_POD_KEY_BYTES: usize = 8;

/// A user's configuration, as the user or a service sees it.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({
    "user_id": "5d0f3c52-8e7a-4b7e-9a55-6f0a2b1c3d4e", "data_pod_url": "https://pod.example.com/hub",
    "data_pod_api_key": "••••1234", "created_at": "2026-11-23T09:30:06Z", "updated_at": "2026-11-23T09:30:06Z",
}))]
pub struct UserConfig {
    /// `users.id`.
    pub user_id: Uuid,
    /// https URL of the user's data pod; null when none is configured. Its host name may lead elsewhere later: whoever
    /// calls it checks the address of each connection.
    pub data_pod_url: Option<String>,
    /// Key of the data pod: its last four characters for the user, the whole key for a service; null when there is none.
    pub data_pod_api_key: Option<String>,
    /// Time of the first change; null when nothing is configured.
    pub created_at: Option<DateTime<Utc>>,
    /// Time of the last change; null when nothing is configured.
    pub updated_at: Option<DateTime<Utc>>,
}

impl fmt::Debug for UserConfig {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "UserConfig({}, …)", self.user_id)
    }
}

/// Key of a data pod in plain text: 8 to 500 visible ASCII characters, so that it fits into a header. Hidden in debug
/// output.
#[derive(Clone, Deserialize, ToSchema)]
#[serde(try_from = "String")]
#[schema(value_type = String, min_length = 8, max_length = 500)]
pub struct DataPodKey(String);

impl TryFrom<String> for DataPodKey {
    type Error = String;

    fn try_from(key: String) -> Result<Self, String> {
        let key = key.trim();
        let is_length = (MIN_DATA_POD_KEY_BYTES..=MAX_DATA_POD_KEY_BYTES).contains(&key.len());
        if is_length && key.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Ok(Self(key.to_owned()));
        }
        Err(format!("must have {MIN_DATA_POD_KEY_BYTES} to {MAX_DATA_POD_KEY_BYTES} visible ASCII characters"))
    }
}

impl fmt::Debug for DataPodKey {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("DataPodKey(…)")
    }
}

/// A user's new configuration. It replaces the one before.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({
    "data_pod_url": "https://pod.example.com/hub", "data_pod_api_key": "pod_0a1b2c3d4e5f1234",
}))]
pub struct NewUserConfig {
    /// https URL of the data pod, at a public address.
    #[schema(value_type = TenantUrl)]
    data_pod_url: TenantUrl,
    /// Key of the data pod. Omitted, the stored key stays, as long as the URL has the same origin; null removes it.
    #[serde(default, deserialize_with = "crate::input::nullable")]
    #[schema(value_type = Option<DataPodKey>)]
    data_pod_api_key: Option<Option<DataPodKey>>,
}

/// A row of `billing.user_config`.
struct StoredConfig {
    data_pod_url: Option<String>,
    data_pod_api_key: Option<Vec<u8>>,
    data_pod_api_key_last4: Option<String>,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
}

impl StoredConfig {
    /// The configuration without its key.
    fn masked(self, user: Uuid) -> UserConfig {
        let last4 = self.data_pod_api_key_last4.unwrap_or_default();
        UserConfig {
            user_id: user,
            data_pod_url: self.data_pod_url,
            data_pod_api_key: self.data_pod_api_key.map(|_| format!("{MASK}{last4}")),
            created_at: Some(self.created_at),
            updated_at: Some(self.updated_at),
        }
    }
}

fn empty(user: Uuid) -> UserConfig {
    UserConfig { user_id: user, data_pod_url: None, data_pod_api_key: None, created_at: None, updated_at: None }
}

/// The store of users' configuration: both databases and the sealing keys.
#[derive(Debug, Clone)]
pub struct UserConfigs {
    billing: BillingDb,
    app: SystemDb,
    keys: KeyRing,
}

impl UserConfigs {
    /// Reads the settings of both databases, and SEALING_KEYS.
    pub fn read(settings: &mut Settings) -> Self {
        Self { billing: BillingDb::read(settings), app: SystemDb::read(settings), keys: KeyRing::read(settings) }
    }

    /// The app's database.
    #[must_use]
    pub fn app(&self) -> &SystemDb {
        &self.app
    }

    /// Returns the user's own configuration, with the last four characters of the key.
    ///
    /// # Errors
    /// Returns 401 for an account that is deleted, 404 for an unknown one, and any error of the databases.
    pub async fn show(&self, user: Uuid) -> Result<UserConfig, ApiError> {
        self.app.system_tx(async |tx| own_account(tx, user).await.map(drop)).await?;
        let stored = self.billing.billing_tx(async |tx| Ok(find(tx, user).await?)).await?;
        Ok(stored.map_or_else(|| empty(user), |stored| stored.masked(user)))
    }

    /// Returns a user's configuration with the whole key, for a service. The read is recorded in the audit log first.
    ///
    /// # Errors
    /// Returns 404 for a user who does not exist or whose account is deleted, 500 for a key that does not open, and any
    /// error of the databases.
    pub async fn reveal(&self, user: Uuid, request_id: &str) -> Result<UserConfig, ApiError> {
        let stored = self.billing.billing_tx(async |tx| Ok(find(tx, user).await?)).await?;
        self.app
            .system_tx(async |tx| {
                let Account::Active { tenant } = find_account(tx, user).await? else {
                    return Err(ApiError::not_found("user"));
                };
                if let Some(stored) = &stored {
                    let details = json!({ "has_key": stored.data_pod_api_key.is_some() });
                    record(tx, tenant, None, "user_config.read", user, request_id, details).await?;
                }
                Ok(())
            })
            .await?;
        let Some(mut stored) = stored else { return Ok(empty(user)) };
        let key = match stored.data_pod_api_key.take() {
            Some(sealed) => Some(self.open(user, &sealed)?),
            None => None,
        };
        Ok(UserConfig { data_pod_api_key: key, ..stored.masked(user) })
    }

    fn open(&self, user: Uuid, sealed: &[u8]) -> Result<String, ApiError> {
        let opened = self.keys.open(user, DATA_POD_KEY_PURPOSE, sealed);
        opened.map(|key| key.expose().to_owned()).map_err(|error| ApiError::internal().with_source(error))
    }

    /// Replaces the user's configuration.
    ///
    /// # Errors
    /// Returns 422 when the key must be sent again, 401 for an account that is deleted, 404 for an unknown one, and any
    /// error of the databases.
    pub async fn replace(&self, user: Uuid, request_id: &str, new: NewUserConfig) -> Result<UserConfig, ApiError> {
        let key = match &new.data_pod_api_key {
            Some(Some(key)) => Some(self.seal(user, key).map_err(|error| ApiError::internal().with_source(error))?),
            Some(None) | None => None,
        };
        let before = self.billing.billing_tx(async |tx| Ok(find(tx, user).await?)).await?;
        check_kept_key(before.as_ref(), &new)?;
        self.app
            .system_tx(async |tx| {
                let tenant = own_account(tx, user).await?;
                let details = json!({ "key_changed": new.data_pod_api_key.is_some() });
                record(tx, tenant, Some(user), "user_config.changed", user, request_id, details).await
            })
            .await?;
        let stored = self.billing.billing_tx(async |tx| save(tx, user, &new, key.as_ref()).await).await?;
        Ok(stored.masked(user))
    }

    fn seal(&self, user: Uuid, key: &DataPodKey) -> Result<SealedDataPodKey, SealingError> {
        Ok(SealedDataPodKey {
            sealed: self.keys.seal(user, DATA_POD_KEY_PURPOSE, &key.0)?,
            last4: sealed::last4(&key.0),
        })
    }

    /// Deletes the user's configuration. A repetition changes nothing.
    ///
    /// # Errors
    /// Returns 401 for an account that is deleted, 404 for an unknown one, and any error of the databases.
    pub async fn delete(&self, user: Uuid, request_id: &str) -> Result<(), ApiError> {
        let stored = self.billing.billing_tx(async |tx| Ok(find(tx, user).await?)).await?;
        self.app
            .system_tx(async |tx| {
                let tenant = own_account(tx, user).await?;
                if stored.is_some() {
                    record(tx, tenant, Some(user), "user_config.deleted", user, request_id, json!({})).await?;
                }
                Ok(())
            })
            .await?;
        // One that is made meanwhile would be deleted without an entry.
        if stored.is_none() {
            return Ok(());
        }
        self.billing
            .billing_tx(async |tx| {
                let user = user.to_string();
                sqlx::query!("delete from billing.user_config where user_id = $1", user).execute(tx).await?;
                Ok(())
            })
            .await
    }
}

/// A new key, sealed for its user.
struct SealedDataPodKey {
    sealed: Vec<u8>,
    last4: String,
}

/// The state of an account.
enum Account {
    Unknown,
    Deleted,
    /// The company that the user owns is deleted.
    CompanyDeleted,
    /// `tenant` is the company that the user owns.
    Active {
        tenant: Option<Uuid>,
    },
}

async fn find_account(tx: &mut SystemTx, user: Uuid) -> sqlx::Result<Account> {
    let row = sqlx::query!(
        r#"
        select account.deleted_at is not null as "is_deleted!", tenant.id as "tenant?",
            tenant.deleted_at is not null as "is_company_deleted!"
        from users account left join customers tenant on tenant.user_id = account.id
        where account.id = $1
        "#,
        user
    )
    .fetch_optional(tx)
    .await?;
    Ok(match row {
        None => Account::Unknown,
        Some(row) if row.is_deleted => Account::Deleted,
        Some(row) if row.is_company_deleted => Account::CompanyDeleted,
        Some(row) => Account::Active { tenant: row.tenant },
    })
}

/// Returns the company that the caller owns.
async fn own_account(tx: &mut SystemTx, user: Uuid) -> Result<Option<Uuid>, ApiError> {
    match find_account(tx, user).await? {
        Account::Active { tenant } => Ok(tenant),
        Account::Deleted => Err(ApiError::unauthorized()),
        Account::CompanyDeleted => Err(ApiError::forbidden("tenant_deleted", "this company is deleted")),
        Account::Unknown => Err(ApiError::not_found("user")),
    }
}

/// Writes an audit entry into the chain of the user's company, or into the chain of those without one.
async fn record(
    tx: &mut SystemTx,
    tenant: Option<Uuid>,
    actor: Option<Uuid>,
    action: &'static str,
    user: Uuid,
    request_id: &str,
    details: serde_json::Value,
) -> Result<(), ApiError> {
    let object = format!("user:{user}");
    let entry = NewAuditEntry { actor, action, object, request_id: Some(request_id), details };
    Ok(audit::record_for(tx, tenant, &entry).await?)
}

async fn find(tx: &mut BillingTx, user: Uuid) -> sqlx::Result<Option<StoredConfig>> {
    sqlx::query_as!(
        StoredConfig,
        r#"
        select data_pod_url, data_pod_api_key, data_pod_api_key_last4, created_at, updated_at
        from billing.user_config where user_id = $1
        "#,
        user.to_string()
    )
    .fetch_optional(tx)
    .await
}

/// Refuses to keep a key for the URL of another server: somebody with a stolen session could read the key there.
fn check_kept_key(before: Option<&StoredConfig>, new: &NewUserConfig) -> Result<(), ApiError> {
    let Some(before) = before.filter(|before| new.data_pod_api_key.is_none() && before.data_pod_api_key.is_some())
    else {
        return Ok(());
    };
    let origin = |url: &str| Url::parse(url).ok().map(|url| url.origin());
    if before.data_pod_url.as_deref().and_then(origin) == origin(new.data_pod_url.as_str()) {
        return Ok(());
    }
    Err(ApiError::field("data_pod_api_key", "must be sent again, or be null, when data_pod_url names another server"))
}

/// Stores the configuration. `key` is the new key, sealed.
async fn save(
    tx: &mut BillingTx,
    user: Uuid,
    new: &NewUserConfig,
    key: Option<&SealedDataPodKey>,
) -> Result<StoredConfig, ApiError> {
    let user_id = user.to_string();
    // Of two simultaneous changes, the second sees the URL of the first, before it keeps the key.
    sqlx::query!("select pg_advisory_xact_lock(hashtextextended($1, 41))", user_id).execute(&mut *tx).await?;
    check_kept_key(find(tx, user).await?.as_ref(), new)?;
    let stored = sqlx::query_as!(
        StoredConfig,
        r#"
        insert into billing.user_config as config
            (id, user_id, data_pod_url, data_pod_api_key, data_pod_api_key_last4)
        values ($1, $2, $3, $4, $5)
        on conflict on constraint user_config_user_id_key do update
        set data_pod_url = excluded.data_pod_url,
            data_pod_api_key = case when $6 then excluded.data_pod_api_key else config.data_pod_api_key end,
            data_pod_api_key_last4 =
                case when $6 then excluded.data_pod_api_key_last4 else config.data_pod_api_key_last4 end,
            updated_at = now()
        returning data_pod_url, data_pod_api_key, data_pod_api_key_last4, created_at, updated_at
        "#,
        new_id(),
        user_id,
        new.data_pod_url.as_str(),
        key.map(|key| key.sealed.as_slice()),
        key.map(|key| key.last4.as_str()),
        new.data_pod_api_key.is_some()
    )
    .fetch_one(tx)
    .await?;
    Ok(stored)
}

/// Sealed key of a user's data pod.
#[derive(Debug)]
pub struct SealedKey {
    /// `users.id`, for which the key is sealed.
    pub user: Uuid,
    /// Sealed key, in the format of [`crate::sealed`].
    pub sealed: Vec<u8>,
}

/// Returns up to `limit` sealed keys, in the order of their users' ids, of users after `after`. Rows whose user is no
/// UUID have no key that could open.
///
/// # Errors
/// Returns any database error.
pub async fn sealed_keys(tx: &mut BillingTx, after: Uuid, limit: i64) -> sqlx::Result<Vec<SealedKey>> {
    sqlx::query_as!(
        SealedKey,
        r#"
        select user_id::uuid as "user!", data_pod_api_key as "sealed!" from billing.user_config
        where data_pod_api_key is not null
          and user_id ~ '^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$' and user_id > $1
        order by user_id
        limit $2
        "#,
        after.to_string(),
        limit
    )
    .fetch_all(tx)
    .await
}

/// Replaces a sealed key by `resealed`. Returns false, and changes nothing, when the user's key is no longer `key`.
///
/// # Errors
/// Returns any database error.
pub async fn replace_sealed_key(tx: &mut BillingTx, key: &SealedKey, resealed: &[u8]) -> sqlx::Result<bool> {
    sqlx::query!(
        "update billing.user_config set data_pod_api_key = $3 where user_id = $1 and data_pod_api_key = $2",
        key.user.to_string(),
        key.sealed,
        resealed
    )
    .execute(tx)
    .await
    .map(|done| done.rows_affected() > 0)
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    fn new(body: Value) -> Result<NewUserConfig, serde_json::Error> {
        serde_json::from_value(body)
    }

    #[test]
    fn a_key_fits_a_header_and_is_hidden_in_debug_output() {
        let url = "https://pod.example.com/";
        let read = new(json!({ "data_pod_url": url, "data_pod_api_key": " pod_0a1b2c3d1234 " })).unwrap();
        assert!(!format!("{read:?}").contains("0a1b2c"), "{read:?}");
        assert_eq!(read.data_pod_api_key.unwrap().unwrap().0, "pod_0a1b2c3d1234");
        for key in ["", "short", "pod_0a1b 2c3d", "clé-secrète-longue", "pod_0a1b\u{0}2c3d", &"k".repeat(501)] {
            assert!(new(json!({ "data_pod_url": url, "data_pod_api_key": key })).is_err(), "{key}");
        }
    }

    #[test]
    fn a_kept_key_stays_with_its_server() {
        let before = |url: &str| StoredConfig {
            data_pod_url: Some(url.to_owned()),
            data_pod_api_key: Some(vec![1]),
            data_pod_api_key_last4: None,
            created_at: Utc::now(),
            updated_at: Utc::now(),
        };
        let stored = before("https://pod.example.com/hub");
        for (url, is_kept) in [
            ("https://pod.example.com/other?x=1", true),
            ("https://pod.example.com:443/hub", true),
            ("https://pod.example.com:8443/hub", false),
            ("https://pod.example.org/hub", false),
            ("https://www.pod.example.com/hub", false),
        ] {
            let omitted = new(json!({ "data_pod_url": url })).unwrap();
            assert_eq!(check_kept_key(Some(&stored), &omitted).is_ok(), is_kept, "{url}");
            let removed = new(json!({ "data_pod_url": url, "data_pod_api_key": null })).unwrap();
            assert!(check_kept_key(Some(&stored), &removed).is_ok());
            assert!(check_kept_key(None, &omitted).is_ok());
        }
    }
}
