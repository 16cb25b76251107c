//! Profiles of users, as they see and change them. The table `profiles` is made with the account (`accounts`); the
//! projection of a subscription writes its other columns (`billing`).
//!
//! A read takes the profile from a cache when its version is still the row's. A trigger counts the version at every
//! change, whoever makes it.
//!
//! Trigger: `profiles_version` on `profiles` (`app.count_profile_change`).

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::{
    accounts::FullName,
    audit::{self, NewAuditEntry},
    db::SystemTx,
    error::ApiError,
    input,
    outbound::TenantUrl,
    privacy, tenants,
};

/// The profile of a user.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(example = json!({
    "id": "5d0f3c52-8e7a-4b7e-9a55-6f0a2b1c3d4e", "email": "awa@example.com", "full_name": "Awa Koné",
    "avatar_url": "https://example.com/awa.png", "subscription_status": "active", "subscription_tier": "pro",
    "subscription_current_period_end": "2026-12-23T09:30:06Z", "credits_remaining": 1874,
    "created_at": "2026-11-23T09:30:06Z", "updated_at": "2026-11-23T09:30:06Z",
}))]
pub struct Profile {
    /// `users.id`, the token's `sub`.
    pub id: Uuid,
    /// E-mail address.
    pub email: String,
    /// Name of the person.
    pub full_name: Option<String>,
    /// Public https URL of a picture of the person.
    pub avatar_url: Option<String>,
    /// State of the subscription: `free`, or a status of Stripe such as `active`.
    pub subscription_status: String,
    /// Name of the plan that is paid for; null without one.
    pub subscription_tier: Option<String>,
    /// End of the paid period.
    pub subscription_current_period_end: Option<DateTime<Utc>>,
    /// Requests left: of the period, or of the free quota.
    pub credits_remaining: i32,
    /// Time of the account's creation.
    pub created_at: DateTime<Utc>,
    /// Time of the last change.
    pub updated_at: DateTime<Utc>,
}

/// Profile of the signed-in user, with what the user may open.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({
    "id": "5d0f3c52-8e7a-4b7e-9a55-6f0a2b1c3d4e", "email": "awa@example.com", "full_name": "Awa Koné",
    "avatar_url": "https://example.com/awa.png", "subscription_tier": "pro", "subscription_status": "active",
    "subscription_current_period_end": "2026-12-23T09:30:06Z", "credits_remaining": 1874,
    "created_at": "2026-11-23T09:30:06Z", "updated_at": "2026-11-23T09:30:06Z", "is_administrator": false,
    "companies": [{
        "id": "c1a7e2b4-3f5d-4c6e-8a90-1b2c3d4e5f60", "name": "Comptoir Baobab", "role": "owner", "status": "active",
    }],
}))]
pub struct OwnProfile {
    /// The profile.
    #[serde(flatten)]
    pub profile: Profile,
    /// Companies of the user, the oldest membership first. At most 100.
    pub companies: Vec<OwnCompany>,
    /// True for a `global_admin`, who uses the admin routes.
    pub is_administrator: bool,
}

/// Company of which the user is a member.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({
    "id": "c1a7e2b4-3f5d-4c6e-8a90-1b2c3d4e5f60", "name": "Comptoir Baobab", "role": "owner", "status": "active",
    "purge_after": null,
}))]
pub struct OwnCompany {
    /// Identifier of the company, for the header `X-Customer-Id`.
    pub id: Uuid,
    /// Name of the company.
    pub name: String,
    /// `owner` or `support`.
    pub role: String,
    /// `active`, `suspended` or `deleted`.
    pub status: String,
    /// Time until which an owner can restore a deleted company. Then everything is deleted for good. Null unless the
    /// company is deleted.
    pub purge_after: Option<DateTime<Utc>>,
}

/// Most companies that are shown of one user.
const MAX_OWN_COMPANIES: i64 = 100;

/// Returns the companies of a user, and whether the user is an administrator.
///
/// # Errors
/// Returns any database error.
pub async fn memberships(tx: &mut SystemTx, user: Uuid) -> sqlx::Result<(Vec<OwnCompany>, bool)> {
    let companies = sqlx::query_as!(
        OwnCompany,
        r#"
        select customers.id, customers.name, member.role,
            case
                when customers.deleted_at is not null then 'deleted'
                when customers.suspended_at is not null then 'suspended'
                else 'active'
            end as "status!",
            customers.deleted_at + make_interval(secs => $3) as purge_after
        from customer_members member
        join customers on customers.id = member.customer_id
        where member.user_id = $1
        order by member.created_at, customers.id
        limit $2
        "#,
        user,
        MAX_OWN_COMPANIES,
        privacy::account::GRACE.as_seconds_f64()
    )
    .fetch_all(&mut *tx)
    .await?;
    let role = sqlx::query_scalar!("select role from users where id = $1", user).fetch_optional(tx).await?;
    Ok((companies, role.as_deref() == Some("global_admin")))
}

/// A profile with the version of its row. The cache holds it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct VersionedProfile {
    /// `profiles.version`.
    pub version: i64,
    /// The profile.
    pub profile: Profile,
}

/// Changes to a profile. Omitted fields stay unchanged.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({ "full_name": "Awa Koné", "avatar_url": "https://example.com/awa.png" }))]
pub struct ProfilePatch {
    /// Name of the person; null removes it.
    #[serde(default, deserialize_with = "input::nullable")]
    #[schema(value_type = Option<FullName>)]
    full_name: Option<Option<FullName>>,
    /// Public https URL of a picture of the person; null removes it.
    #[serde(default, deserialize_with = "input::nullable")]
    #[schema(value_type = Option<TenantUrl>)]
    avatar_url: Option<Option<TenantUrl>>,
}

/// The state of a profile's row, compared with a cached copy.
#[derive(Debug)]
pub enum ProfileRead {
    /// The cached copy is up to date.
    Unchanged,
    /// There was no cached copy, or it was out of date.
    Changed(VersionedProfile),
}

/// Reads a user's profile, unless its version is `cached_version`.
///
/// # Errors
/// Returns 401 for a deleted account, 403 for the owner of a deleted company, 404 for a user without a profile, and any
/// database error.
pub async fn read(tx: &mut SystemTx, user: Uuid, cached_version: Option<i64>) -> Result<ProfileRead, ApiError> {
    let row = sqlx::query!(
        r#"
        select known.version, account.deleted_at is not null as "is_deleted!",
            exists (
                select from customers own where own.user_id = account.id and own.deleted_at is not null
            ) as "is_company_deleted!",
            fresh.id as "id?", fresh.email as "email?",
            fresh.full_name, fresh.avatar_url, fresh.subscription_status as "subscription_status?",
            fresh.subscription_tier, fresh.subscription_current_period_end,
            fresh.credits_remaining as "credits_remaining?", fresh.created_at as "created_at?",
            fresh.updated_at as "updated_at?"
        from users account
        join profiles known on known.id = account.id
        left join profiles fresh on fresh.id = known.id and known.version is distinct from $2
        where account.id = $1
        "#,
        user,
        cached_version
    )
    .fetch_optional(tx)
    .await?
    .ok_or_else(|| ApiError::not_found("profile"))?;
    if row.is_deleted {
        return Err(ApiError::unauthorized());
    }
    if row.is_company_deleted {
        return Err(ApiError::forbidden("tenant_deleted", "this company is deleted"));
    }
    let (Some(id), Some(email), Some(subscription_status), Some(credits_remaining), Some(created_at), Some(updated_at)) =
        (row.id, row.email, row.subscription_status, row.credits_remaining, row.created_at, row.updated_at)
    else {
        return Ok(ProfileRead::Unchanged);
    };
    let profile = Profile {
        id,
        email,
        full_name: row.full_name,
        avatar_url: row.avatar_url,
        subscription_status,
        subscription_tier: row.subscription_tier,
        subscription_current_period_end: row.subscription_current_period_end,
        credits_remaining,
        created_at,
        updated_at,
    };
    Ok(ProfileRead::Changed(VersionedProfile { version: row.version, profile }))
}

/// Changes a user's profile, and returns it. A change is recorded in the audit log by the names of its fields.
///
/// # Errors
/// Returns the errors of [`read`].
pub async fn change(
    tx: &mut SystemTx,
    user: Uuid,
    patch: &ProfilePatch,
    request_id: &str,
) -> Result<VersionedProfile, ApiError> {
    let before = read_row(tx, user).await?;
    let full_name = patch.full_name.as_ref().map(|name| name.as_ref().map(FullName::as_str));
    let avatar_url = patch.avatar_url.as_ref().map(|url| url.as_ref().map(TenantUrl::as_str));
    sqlx::query!(
        r#"
        update profiles set
            full_name = case when $2 then $3 else full_name end,
            avatar_url = case when $4 then $5 else avatar_url end
        where id = $1
        "#,
        user,
        full_name.is_some(),
        full_name.flatten(),
        avatar_url.is_some(),
        avatar_url.flatten()
    )
    .execute(&mut *tx)
    .await?;
    let after = read_row(tx, user).await?;
    let changed = [
        ("full_name", before.profile.full_name != after.profile.full_name),
        ("avatar_url", before.profile.avatar_url != after.profile.avatar_url),
    ];
    let fields: Vec<_> = changed.into_iter().filter(|(_, is_changed)| *is_changed).map(|(field, _)| field).collect();
    if !fields.is_empty() {
        let tenant = tenants::find_first(tx, user).await?.map(|customer| customer.id);
        let entry = NewAuditEntry {
            actor: Some(user),
            action: "profile.changed",
            object: format!("user:{user}"),
            request_id: Some(request_id),
            details: serde_json::json!({ "fields": fields }),
        };
        audit::record_for(tx, tenant, &entry).await?;
    }
    Ok(after)
}

/// Reads a user's profile and locks its row, so that of two simultaneous changes each sees the other's result.
async fn read_row(tx: &mut SystemTx, user: Uuid) -> Result<VersionedProfile, ApiError> {
    sqlx::query!("select from profiles where id = $1 for no key update", user).execute(&mut *tx).await?;
    match read(tx, user, None).await? {
        ProfileRead::Changed(found) => Ok(found),
        ProfileRead::Unchanged => Err(ApiError::internal()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_patch_takes_two_fields_and_no_other() {
        let patch: ProfilePatch = serde_json::from_value(json!({ "full_name": null })).unwrap();
        assert!(matches!(patch.full_name, Some(None)) && patch.avatar_url.is_none());
        for body in [
            json!({ "email": "a@example.com" }),
            json!({ "credits_remaining": 9 }),
            json!({ "full_name": "" }),
            json!({ "full_name": "a".repeat(256) }),
            json!({ "avatar_url": "http://example.com/a.png" }),
            json!({ "avatar_url": "javascript:alert(1)" }),
        ] {
            assert!(serde_json::from_value::<ProfilePatch>(body.clone()).is_err(), "{body}");
        }
    }
}
