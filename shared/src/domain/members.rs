//! Members of a company: the list, the removal of a member and the transfer of the ownership. Owns the table
//! `customer_members`.
//!
//! SQL functions: `app.own_members`, `app.transfer_ownership`, `app.revoke_made_by`.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::{
    db::TenantTx,
    error::ApiError,
    paging::{List, Listing, Paging, list_page},
};

/// A member of a company.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({
    "user_id": "b2a19083-7c6d-4e5f-8a9b-0c1d2e3f4a5b", "email": "binta@example.com", "full_name": "Binta Diallo",
    "role": "support", "is_account_owner": false, "created_at": "2026-11-23T09:30:06Z",
}))]
pub struct Member {
    /// `users.id`.
    user_id: Uuid,
    email: String,
    full_name: Option<String>,
    /// `owner` or `support`.
    role: String,
    /// True for the one owner whose quota and subscription the company uses.
    is_account_owner: bool,
    /// Time at which the user joined.
    created_at: DateTime<Utc>,
}

/// Order of the members: by the time of joining.
#[derive(Debug)]
pub struct MemberListing;

impl Listing for MemberListing {
    const NAME: &'static str = "members";
    const SORTS: &'static [&'static str] = &["created_at"];
    const STATUSES: &'static [&'static str] = &[];
}

/// Returns one page of the tenant's members.
///
/// # Errors
/// Returns 422 for a cursor of the wrong form, and any database error.
pub async fn list(tx: &mut TenantTx, paging: &Paging) -> Result<List<Member>, ApiError> {
    list_page!(tx, paging, Member {
        select: r#"user_id as "user_id!", email as "email!", full_name, role as "role!",
            is_account_owner as "is_account_owner!", created_at as "created_at!""#,
        from: "app.own_members() listed where customer_id = $1",
        bind: [],
        order: ["created_at": "created_at" "timestamptz" DateTime<Utc> = created_at],
        id: "user_id" "uuid" Uuid = user_id,
    })
}

/// Removes a member from the transaction's tenant. The next request of the member is refused. The invitations and links
/// that the member made are revoked with it.
///
/// # Errors
/// Returns 404 for somebody who is no member, 409 `account_owner` for the account owner, and any database error.
pub async fn remove(tx: &mut TenantTx, user: Uuid) -> Result<(), ApiError> {
    // A transfer, an invitation and a link to a new password wait for this lock, too: the new owner is not removed, and
    // what the member makes meanwhile is revoked.
    sqlx::query!("select from customers where id = $1 for no key update", tx.tenant()).execute(&mut *tx).await?;
    let removed =
        sqlx::query!("delete from customer_members where customer_id = $1 and user_id = $2", tx.tenant(), user)
            .execute(&mut *tx)
            .await?
            .rows_affected()
            > 0;
    if removed {
        sqlx::query!("select app.revoke_made_by($1)", user).execute(tx).await?;
        return Ok(());
    }
    let is_member = sqlx::query_scalar!(
        r#"
        select exists (select from customer_members where customer_id = $1 and user_id = $2) as "exists!"
        "#,
        tx.tenant(),
        user
    )
    .fetch_one(tx)
    .await?;
    Err(if is_member {
        ApiError::conflict("account_owner", "this is the owner of the account: transfer the ownership first")
    } else {
        ApiError::not_found("member")
    })
}

/// Request for a transfer of the ownership.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({ "user_id": "b2a19083-7c6d-4e5f-8a9b-0c1d2e3f4a5b" }))]
pub struct NewOwner {
    /// Member who becomes the account owner.
    pub user_id: Uuid,
}

/// The account owner after a transfer.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({
    "user_id": "b2a19083-7c6d-4e5f-8a9b-0c1d2e3f4a5b", "former_owner": "5d0f3c52-8e7a-4b7e-9a55-6f0a2b1c3d4e",
}))]
pub struct OwnershipTransfer {
    /// The account owner.
    pub user_id: Uuid,
    /// The former account owner, who stays as a support user; null when nothing changed.
    pub former_owner: Option<Uuid>,
}

/// Makes a member the account owner in place of `former`. A repetition changes nothing.
///
/// # Errors
/// Returns 404 for somebody who is no member, and 409 with what is in the way: `company_exists` when the member owns a
/// company, `subscription_open` while one of the two has a subscription, `owner_changed` when the owner has changed
/// meanwhile. Any database error.
pub async fn transfer_ownership(tx: &mut TenantTx, former: Uuid, new: Uuid) -> Result<OwnershipTransfer, ApiError> {
    let outcome =
        sqlx::query_scalar!(r#"select app.transfer_ownership($1, $2) as "outcome!""#, former, new).fetch_one(tx).await;
    let owns_company = || ApiError::conflict("company_exists", "this member owns a company already");
    let outcome = match outcome {
        // The member has created a company at the same time.
        Err(error)
            if error.as_database_error().and_then(|error| error.constraint()) == Some("customers_user_id_key") =>
        {
            return Err(owns_company());
        }
        outcome => outcome?,
    };
    match outcome.as_str() {
        "transferred" => Ok(OwnershipTransfer { user_id: new, former_owner: Some(former) }),
        "is_owner" => Ok(OwnershipTransfer { user_id: new, former_owner: None }),
        "not_a_member" => Err(ApiError::not_found("member")),
        "owns_company" => Err(owns_company()),
        "subscription" => Err(ApiError::conflict(
            "subscription_open",
            "a subscription belongs to the person who pays for it: end the subscription first",
        )),
        "changed_meanwhile" => Err(ApiError::conflict("owner_changed", "the owner has changed meanwhile")),
        other => Err(ApiError::internal().with_source(format!("app.transfer_ownership: {other}"))),
    }
}
