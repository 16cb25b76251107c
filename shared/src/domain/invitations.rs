//! Invitations to a company: one-time tokens with a role, valid for 72 hours, that can be revoked. Owns the table
//! `invitations`, which holds hashes of the tokens only.
//!
//! A token is used up in the transaction that adds the member, by one statement. Of several who use it at once, one
//! joins.

use std::fmt;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::{
    accounts::{Email, is_placeholder_email, mask_email},
    db::{SystemTx, TenantTx},
    error::ApiError,
    links::{LinkPage, OneTimeLinks},
    paging::{List, Listing, Paging, list_page},
    tenants::{self, Customer},
};

/// Validity of an invitation, in hours.
const LIFETIME_HOURS: i32 = 72;
/// Invitations of a company that may be open at once.
const MAX_OPEN_INVITATIONS: i64 = 100;

/// Role of a member.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum MemberRole {
    /// May do what the account owner may, except to transfer the ownership.
    Owner,
    /// Reads and handles conversations and orders.
    Support,
}

impl MemberRole {
    /// Returns the value of the database.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Owner => "owner",
            Self::Support => "support",
        }
    }
}

/// An invitation to be created.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({ "role": "support", "email": "binta@example.com" }))]
pub struct NewInvitation {
    /// Role of the new member.
    role: MemberRole,
    /// Address whose account alone may use the invitation; without it, whoever has the token may.
    email: Option<Email>,
}

/// An invitation as its company sees it, without its token.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({
    "id": "6f1e2d3c-4b5a-4968-8776-95a4b3c2d1e0", "role": "support", "email": "binta@example.com", "status": "open",
    "created_by": "5d0f3c52-8e7a-4b7e-9a55-6f0a2b1c3d4e", "used_by": null, "created_at": "2026-11-23T09:30:06Z",
    "expires_at": "2026-11-26T09:30:06Z",
}))]
pub struct Invitation {
    /// Identifier of the invitation.
    pub id: Uuid,
    /// Role of the new member: `owner` or `support`.
    role: String,
    /// Address whose account alone may use the invitation.
    email: Option<String>,
    /// `open`, `used`, `revoked` or `expired`.
    status: String,
    /// User who made the invitation; null when the account is gone.
    created_by: Option<Uuid>,
    /// User who joined by it.
    used_by: Option<Uuid>,
    created_at: DateTime<Utc>,
    /// Time until which the invitation can be used.
    expires_at: DateTime<Utc>,
}

/// A new invitation with its token, which no other response shows.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({
    "id": "6f1e2d3c-4b5a-4968-8776-95a4b3c2d1e0", "role": "support", "email": "binta@example.com",
    "expires_at": "2026-11-26T09:30:06Z", "token": "inv_0a1b2c3d4e5f60718293a4b5c6d7e8f9",
    "link": "https://app.example.com/invitation#token=inv_0a1b2c3d4e5f60718293a4b5c6d7e8f9",
}))]
pub struct CreatedInvitation {
    /// Identifier of the invitation.
    pub id: Uuid,
    role: MemberRole,
    email: Option<String>,
    expires_at: DateTime<Utc>,
    /// The token, for the field `invitation` of a sign-up, or of a signed-in user's acceptance.
    token: String,
    /// Page of the front end with the token; null when APP_URL is not set.
    link: Option<String>,
}

impl fmt::Debug for CreatedInvitation {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "CreatedInvitation({}, …)", self.id)
    }
}

/// An open invitation as the person who has its token sees it, before joining.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({
    "company_name": "Comptoir Baobab", "invited_by": "Awa Koné", "role": "support", "email": "b…@example.com",
    "expires_at": "2026-11-26T09:30:06Z",
}))]
pub struct OpenInvitation {
    /// Name of the company that invites.
    company_name: String,
    /// Name of the user who made the invitation, or the address of one without a name; null when the account is gone.
    invited_by: Option<String>,
    /// Role of the new member: `owner` or `support`.
    role: String,
    /// Address whose account alone may use the invitation, with its first letter and its domain only; null when whoever
    /// has the token may.
    email: Option<String>,
    /// Time until which the invitation can be used.
    expires_at: DateTime<Utc>,
}

/// Creates an invitation of the transaction's tenant.
///
/// # Errors
/// Returns 403 when the creator was removed meanwhile, 409 `too_many_invitations` when `MAX_OPEN_INVITATIONS` are open, and
/// any database error.
pub async fn create(
    tx: &mut TenantTx,
    links: &OneTimeLinks,
    creator: Uuid,
    new: &NewInvitation,
) -> Result<CreatedInvitation, ApiError> {
    // The lock makes simultaneous invitations count one after the other.
    sqlx::query!("select from customers where id = $1 for no key update", tx.tenant()).execute(&mut *tx).await?;
    let is_owner = sqlx::query_scalar!(
        r#"
        select exists (
            select from customer_members where customer_id = $1 and user_id = $2 and role = 'owner'
        ) as "exists!"
        "#,
        tx.tenant(),
        creator
    )
    .fetch_one(&mut *tx)
    .await?;
    if !is_owner {
        return Err(ApiError::forbidden("forbidden", "you are no owner of this company any more"));
    }
    let open = sqlx::query_scalar!(
        r#"
        select count(*) as "count!" from invitations
        where customer_id = $1 and used_at is null and revoked_at is null and expires_at > now()
        "#,
        tx.tenant()
    )
    .fetch_one(&mut *tx)
    .await?;
    if open >= MAX_OPEN_INVITATIONS {
        let message = "too many invitations are open: revoke some of them first";
        let details = serde_json::json!({ "open": open, "most": MAX_OPEN_INVITATIONS });
        return Err(ApiError::conflict("too_many_invitations", message).with_details(details));
    }
    let token = tenants::random_secret("inv");
    let email = new.email.as_ref().map(Email::as_str);
    let row = sqlx::query!(
        r#"
        insert into invitations (customer_id, token_sha256, email, role, created_by, expires_at)
        values ($1, $2, $3, $4, $5, now() + make_interval(hours => $6))
        returning id, expires_at
        "#,
        tx.tenant(),
        &tenants::sha256(token.as_bytes()),
        email,
        new.role.as_str(),
        creator,
        LIFETIME_HOURS
    )
    .fetch_one(tx)
    .await?;
    Ok(CreatedInvitation {
        id: row.id,
        role: new.role,
        email: email.map(str::to_owned),
        expires_at: row.expires_at,
        link: links.link(LinkPage::Invitation, &token),
        token,
    })
}

/// Order and filter of the invitations.
#[derive(Debug)]
pub struct InvitationListing;

impl Listing for InvitationListing {
    const NAME: &'static str = "invitations";
    const SORTS: &'static [&'static str] = &["created_at"];
    const STATUSES: &'static [&'static str] = &["open", "used", "revoked", "expired"];
}

/// Returns one page of the tenant's invitations.
///
/// # Errors
/// Returns 422 for a cursor of the wrong form, and any database error.
pub async fn list(tx: &mut TenantTx, paging: &Paging) -> Result<List<Invitation>, ApiError> {
    list_page!(tx, paging, Invitation {
        select: r#"id as "id!", role as "role!", email, status as "status!", created_by, used_by,
            created_at as "created_at!", expires_at as "expires_at!""#,
        from: "(
                select id, customer_id, role, email, created_by, used_by, created_at, expires_at,
                    case when used_at is not null then 'used' when revoked_at is not null then 'revoked'
                        when expires_at <= now() then 'expired' else 'open' end as status
                from invitations
            ) listed where customer_id = $1 and ($2::text is null or status = $2)",
        bind: [paging.status],
        order: ["created_at": "created_at" "timestamptz" DateTime<Utc> = created_at],
        id: "id" "uuid" Uuid = id,
    })
}

/// Revokes an invitation of the transaction's tenant. A repetition changes nothing, and returns false.
///
/// # Errors
/// Returns 404 for an unknown invitation, 409 `invitation_used` for one that was used, and any database error.
pub async fn revoke(tx: &mut TenantTx, id: Uuid) -> Result<bool, ApiError> {
    let revoked = sqlx::query!(
        r#"
        update invitations set revoked_at = now(), expires_at = least(expires_at, now())
        where customer_id = $1 and id = $2 and used_at is null and revoked_at is null
        "#,
        tx.tenant(),
        id
    )
    .execute(&mut *tx)
    .await?
    .rows_affected()
        > 0;
    if revoked {
        return Ok(true);
    }
    let found =
        sqlx::query!("select used_by, used_at from invitations where customer_id = $1 and id = $2", tx.tenant(), id)
            .fetch_optional(tx)
            .await?
            .ok_or_else(|| ApiError::not_found("invitation"))?;
    match found.used_at {
        Some(used_at) => {
            let details = serde_json::json!({ "used_by": found.used_by, "used_at": used_at });
            let message = "the invitation was used already: remove the member instead";
            Err(ApiError::conflict("invitation_used", message).with_details(details))
        }
        None => Ok(false),
    }
}

/// Finds the open invitation that a token belongs to. The invitation stays as it is.
///
/// # Errors
/// Returns 410 `invitation_used`, `invitation_revoked` or `invitation_expired` with the time at which the invitation ended,
/// 404 for an unknown token and for one of a suspended or deleted company, and any database error.
pub async fn find_open(tx: &mut SystemTx, token: &str) -> Result<OpenInvitation, ApiError> {
    let found = sqlx::query!(
        r#"
        select tenant.name as company_name, invitation.role, invitation.email, invitation.expires_at,
            invitation.used_at, invitation.revoked_at, invitation.expires_at <= now() as "is_expired!",
            coalesce(nullif(btrim(profile.full_name), ''), inviter.email) as invited_by
        from invitations invitation
        join customers tenant on tenant.id = invitation.customer_id
            and tenant.deleted_at is null and tenant.suspended_at is null
        left join users inviter on inviter.id = invitation.created_by and inviter.deleted_at is null
        left join profiles profile on profile.id = inviter.id
        where invitation.token_sha256 = $1
        "#,
        &tenants::sha256(token.as_bytes())
    )
    .fetch_optional(tx)
    .await?
    .ok_or_else(|| ApiError::not_found("invitation"))?;
    let gone = |code, message, ended_at: DateTime<Utc>| {
        Err(ApiError::gone(code, message).with_details(serde_json::json!({ "ended_at": ended_at })))
    };
    if let Some(used_at) = found.used_at {
        return gone("invitation_used", "the invitation was used already", used_at);
    }
    if let Some(revoked_at) = found.revoked_at {
        return gone("invitation_revoked", "the invitation was revoked by the company", revoked_at);
    }
    if found.is_expired {
        return gone("invitation_expired", "the invitation has expired", found.expires_at);
    }
    Ok(OpenInvitation {
        company_name: found.company_name,
        invited_by: found.invited_by.filter(|name| !is_placeholder_email(name)),
        role: found.role,
        email: found.email.as_deref().map(mask_email),
        expires_at: found.expires_at,
    })
}

/// Error of joining a company by an invitation.
#[derive(Debug, thiserror::Error)]
pub enum InvitationError {
    /// The invitation is unknown, used, revoked, expired, or for another e-mail address.
    #[error("the invitation is not valid")]
    Invalid,
    /// The user is a member of the company with this role already. The invitation stays open.
    #[error("the user is a member already")]
    AlreadyMember,
    /// A database error.
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

impl From<InvitationError> for ApiError {
    fn from(error: InvitationError) -> Self {
        match error {
            InvitationError::Invalid => {
                Self::field("invitation", "is unknown, was used already, or is no longer valid")
            }
            InvitationError::AlreadyMember => {
                Self::conflict("already_member", "you belong to this company already: the invitation stays open")
            }
            InvitationError::Database(error) => error.into(),
        }
    }
}

/// Uses up an invitation and adds the user to its company with its role. A support user becomes an owner by an
/// invitation with that role. After an error, the invitation is as it was.
///
/// # Errors
/// Returns [`InvitationError`].
pub async fn accept(tx: &mut SystemTx, user: Uuid, email: &str, token: &str) -> Result<Customer, InvitationError> {
    let token_sha256 = tenants::sha256(token.as_bytes());
    let customer = sqlx::query_as!(
        Customer,
        r#"
        with invitation as (
            update invitations set used_at = now(), used_by = $1
            where token_sha256 = $2 and used_at is null and revoked_at is null and expires_at > now()
              and (email is null or lower(btrim(email)) = lower($3))
              and exists (
                  select from customers tenant
                  where tenant.id = invitations.customer_id and tenant.deleted_at is null and tenant.suspended_at is null
              )
              and not exists (
                  select from customer_members known
                  where known.customer_id = invitations.customer_id and known.user_id = $1
                    and (known.role = 'owner' or invitations.role = 'support')
              )
            returning customer_id, role
        ), member as (
            insert into customer_members (customer_id, user_id, role)
            select customer_id, $1, role from invitation
            -- Of two invitations that one user accepts at once, the stronger role stays.
            on conflict on constraint customer_members_pkey do update
                set role = case when customer_members.role = 'owner' then 'owner' else excluded.role end
        )
        select tenant.id, tenant.name, mapping.company_id, tenant.created_at
        from invitation
        join customers tenant on tenant.id = invitation.customer_id
        join company_mapping mapping on mapping.uuid = tenant.id
        "#,
        user,
        &token_sha256,
        email
    )
    .fetch_optional(&mut *tx)
    .await?;
    if let Some(customer) = customer {
        return Ok(customer);
    }
    let is_member = sqlx::query_scalar!(
        r#"
        select exists (
            select from invitations invitation
            join customer_members known on known.customer_id = invitation.customer_id and known.user_id = $1
            where invitation.token_sha256 = $2 and invitation.used_at is null and invitation.revoked_at is null
              and invitation.expires_at > now()
        ) as "is_member!"
        "#,
        user,
        &token_sha256
    )
    .fetch_one(tx)
    .await?;
    Err(if is_member { InvitationError::AlreadyMember } else { InvitationError::Invalid })
}

/// Deletes at most `limit` invitations, used ones too, that expired more than `days` ago, and returns their number.
///
/// # Errors
/// Returns any database error.
pub async fn remove_expired(tx: &mut SystemTx, days: i32, limit: i64) -> sqlx::Result<u64> {
    sqlx::query!(
        r#"
        delete from invitations where id in (
            select id from invitations where expires_at < now() - make_interval(days => $1)
            order by expires_at
            limit $2
        )
        "#,
        days,
        limit
    )
    .execute(tx)
    .await
    .map(|done| done.rows_affected())
}
