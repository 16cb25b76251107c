//! Routes of a company's members: the list, invitations, the removal of a member, the transfer of the ownership, and links
//! by which a support user sets a new password.

use axum::extract::{FromRef, State};
use serde_json::json;
use shared::{
    auth::{AccountUser, Caller, VerificationKeys},
    db::Db,
    error::{ApiError, Result},
    function::{Function, HttpFunction},
    http::{Created, Data, Envelope, Json, NoContent, Path, Query},
    invitations::{self, CreatedInvitation, Invitation, InvitationListing, NewInvitation},
    links::OneTimeLinks,
    members::{self, Member, MemberListing, NewOwner, OwnershipTransfer},
    paging::{List, ListParams, ListParamsOf},
    password_resets::{self, PasswordResetLink},
    rate_limits::RateLimits,
    routes,
    settings::Settings,
};
use utoipa_axum::router::OpenApiRouter;
use uuid::Uuid;

/// The `members` Lambda function.
pub const FUNCTION: Function = Function::http::<Deps>();

/// Dependencies of the function.
#[derive(Debug, Clone, FromRef)]
pub struct Deps {
    db: Db,
    keys: VerificationKeys,
    limits: RateLimits,
    links: OneTimeLinks,
}

impl HttpFunction for Deps {
    const NAME: &'static str = "members";

    fn read(settings: &mut Settings) -> Self {
        let db = Db::read(settings);
        Self {
            limits: RateLimits::read(settings, &db),
            db,
            keys: VerificationKeys::read(settings),
            links: OneTimeLinks::read(settings),
        }
    }

    fn routes() -> OpenApiRouter<Self> {
        OpenApiRouter::new()
            .routes(routes!(list_members))
            .routes(routes!(remove_member))
            .routes(routes!(reset_password))
            .routes(routes!(invite, list_invitations))
            .routes(routes!(revoke_invitation))
            .routes(routes!(transfer_ownership))
    }
}

/// Lists the members of the company, those who joined last first unless another order is given.
#[utoipa::path(
    get, path = "/api/v1/customers/me/members", tag = "members", params(ListParamsOf<MemberListing>),
    responses((status = 200, body = List<Member>)),
)]
async fn list_members(
    caller: Caller<AccountUser>,
    State(db): State<Db>,
    Query(params): Query<ListParams>,
) -> Result<List<Member>> {
    let paging = params.validate::<MemberListing>()?;
    db.tenant_tx(caller.tenant(), async |tx| members::list(tx, &paging).await).await
}

/// Removes a member. Its next request is refused, and the invitations and links that it made are revoked. The account owner
/// cannot be removed: 409 `account_owner`.
#[utoipa::path(
    delete, path = "/api/v1/customers/me/members/{user_id}", tag = "members",
    params(("user_id" = Uuid, Path, description = "`users.id` of the member")),
    responses((status = 204), (status = 404), (status = 409)),
)]
async fn remove_member(caller: Caller<AccountUser>, State(db): State<Db>, Path(user): Path<Uuid>) -> Result<NoContent> {
    db.tenant_tx(caller.tenant(), async |tx| {
        members::remove(tx, user).await?;
        caller.record(tx, "member.removed", format!("user:{user}"), json!({})).await?;
        Ok(NoContent)
    })
    .await
}

/// Issues a one-time link, valid for 24 hours, by which a support user of this company sets a new password. Earlier links
/// of the user end. The owner gives the link to the user: no mail is sent. For an owner, and for a member of another
/// company too, an administrator issues the link: 409.
#[utoipa::path(
    post, path = "/api/v1/customers/me/members/{user_id}/password-reset", tag = "members",
    params(("user_id" = Uuid, Path, description = "`users.id` of the member")),
    responses((status = 201, body = Envelope<PasswordResetLink>), (status = 404), (status = 409)),
)]
async fn reset_password(
    caller: Caller<AccountUser>,
    State(deps): State<Deps>,
    Path(user): Path<Uuid>,
) -> Result<Created<PasswordResetLink>> {
    deps.db
        .tenant_tx(caller.tenant(), async |tx| {
            let link = password_resets::issue(tx, &deps.links, caller.user, user).await?;
            caller.record(tx, "password_reset.issued", format!("user:{user}"), json!({})).await?;
            Ok(Created(link))
        })
        .await
}

/// Creates a one-time invitation, valid for 72 hours. Its token is shown in this response only. At most 100 are open at
/// once: 409 `too_many_invitations`.
#[utoipa::path(
    post, path = "/api/v1/customers/me/invitations", tag = "members", request_body = NewInvitation,
    responses((status = 201, body = Envelope<CreatedInvitation>), (status = 409)),
)]
async fn invite(
    caller: Caller<AccountUser>,
    State(deps): State<Deps>,
    Json(new): Json<NewInvitation>,
) -> Result<Created<CreatedInvitation>> {
    deps.db
        .tenant_tx(caller.tenant(), async |tx| {
            let created = invitations::create(tx, &deps.links, caller.user, &new).await?;
            let object = format!("invitation:{}", created.id);
            caller.record(tx, "invitation.created", object, json!({})).await?;
            Ok(Created(created))
        })
        .await
}

/// Lists the invitations of the company, the newest first unless another order is given.
#[utoipa::path(
    get, path = "/api/v1/customers/me/invitations", tag = "members", params(ListParamsOf<InvitationListing>),
    responses((status = 200, body = List<Invitation>)),
)]
async fn list_invitations(
    caller: Caller<AccountUser>,
    State(db): State<Db>,
    Query(params): Query<ListParams>,
) -> Result<List<Invitation>> {
    let paging = params.validate::<InvitationListing>()?;
    db.tenant_tx(caller.tenant(), async |tx| invitations::list(tx, &paging).await).await
}

/// Revokes an invitation. A repetition changes nothing. For one that was used, 409 `invitation_used` names the member.
#[utoipa::path(
    delete, path = "/api/v1/customers/me/invitations/{id}", tag = "members",
    params(("id" = Uuid, Path, description = "Identifier of the invitation")),
    responses((status = 204), (status = 404), (status = 409)),
)]
async fn revoke_invitation(
    caller: Caller<AccountUser>,
    State(db): State<Db>,
    Path(id): Path<Uuid>,
) -> Result<NoContent> {
    db.tenant_tx(caller.tenant(), async |tx| {
        if invitations::revoke(tx, id).await? {
            caller.record(tx, "invitation.revoked", format!("invitation:{id}"), json!({})).await?;
        }
        Ok(NoContent)
    })
    .await
}

/// Makes another member the account owner, whose quota and subscription the company uses from then on. The former owner
/// stays as a support user. Only the account owner may do this. A repetition changes nothing.
#[utoipa::path(
    post, path = "/api/v1/customers/me/owner", tag = "members", request_body = NewOwner,
    responses((status = 200, body = Envelope<OwnershipTransfer>), (status = 404), (status = 409)),
)]
async fn transfer_ownership(
    caller: Caller<AccountUser>,
    State(db): State<Db>,
    Json(new): Json<NewOwner>,
) -> Result<Data<OwnershipTransfer>> {
    if caller.user != caller.owner() {
        let message = "only the owner of the account may transfer the ownership";
        return Err(ApiError::forbidden("forbidden", message));
    }
    db.tenant_tx(caller.tenant(), async |tx| {
        let transfer = members::transfer_ownership(tx, caller.owner(), new.user_id).await?;
        if let Some(former) = transfer.former_owner {
            let details = json!({ "former_owner": former });
            caller.record(tx, "ownership.transferred", format!("user:{}", new.user_id), details).await?;
        }
        Ok(Data(transfer))
    })
    .await
}
