//! The state that the model and the database are compared by after each event, in one form for both.

use anyhow::Result;
use sqlx::{FromRow, PgConnection};
use uuid::Uuid;

use super::{
    contact::{Contact, InboundState, PartState},
    model::{ReservationState, World},
};
use crate::testing::SeededTenant;

/// The compared state. Each text has one letter for each row, such as the first letter of its status.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Picture {
    contacts: Vec<ContactPicture>,
    free_used: i32,
    /// Reservations, the oldest first: `h` held, `s` spent, `r` returned; a capital for a reservation of a plan.
    reservations: String,
    /// Orders, the oldest first: the first letter of the status, as a capital. `P` is pending or preparing.
    orders: String,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, FromRow)]
struct ContactPicture {
    /// Messages of the contact: `w` waiting, `a` answered, `q` over quota, `o` opted out, `s` superseded.
    inbound: String,
    /// Parts of messages to the contact: `q` queued, `s` sent, `f` failed, `c` cancelled.
    outbox: String,
    is_human: bool,
    is_opted_out: bool,
    is_leased: bool,
    has_draft: bool,
    job_is_queued: bool,
    /// Number of parts that arrived.
    #[sqlx(skip)]
    arrived: usize,
}

impl Picture {
    pub(super) fn of_model(world: &World) -> Self {
        let reservation = |one: &super::model::Reservation| {
            let letter = match one.state {
                ReservationState::Held => 'h',
                ReservationState::Spent => 's',
                ReservationState::Returned => 'r',
            };
            if one.is_free { letter } else { letter.to_ascii_uppercase() }
        };
        let letter = |status: &super::event::OrderStatus| format!("{status:?}").chars().next().unwrap_or_default();
        Self {
            contacts: world.contacts.iter().map(ContactPicture::of_model).collect(),
            free_used: world.free_used,
            reservations: world.reservations.iter().map(reservation).collect(),
            orders: world.orders.iter().map(letter).collect(),
        }
    }

    pub(super) async fn of_database(
        admin: &mut PgConnection,
        tenant: &SeededTenant,
        conversations: &[Option<Uuid>],
        arrived: Vec<usize>,
    ) -> Result<Self> {
        let mut contacts = Vec::new();
        for (conversation, arrived) in conversations.iter().zip(arrived) {
            contacts.push(match conversation {
                Some(conversation) => {
                    let row = sqlx::query_as(CONTACT_SQL).bind(conversation).fetch_one(&mut *admin).await?;
                    ContactPicture { arrived, ..row }
                }
                None => ContactPicture::default(),
            });
        }
        let (free_used, reservations, orders) =
            sqlx::query_as(ACCOUNT_SQL).bind(tenant.customer).bind(tenant.owner).fetch_one(admin).await?;
        Ok(Self { contacts, free_used, reservations, orders })
    }
}

impl ContactPicture {
    fn of_model(contact: &Contact) -> Self {
        let inbound = |message: &super::contact::Inbound| match message.state {
            InboundState::Waiting => 'w',
            InboundState::Answered => 'a',
            InboundState::OverQuota => 'q',
            InboundState::OptedOut => 'o',
            InboundState::Superseded => 's',
        };
        let parts = || contact.outbound.iter().flat_map(|message| &message.parts);
        let outbox = parts().map(|part| match part.state {
            PartState::Queued => 'q',
            PartState::Sent => 's',
            PartState::Failed => 'f',
            PartState::Cancelled => 'c',
        });
        Self {
            inbound: contact.inbound.iter().map(inbound).collect(),
            outbox: outbox.collect(),
            is_human: contact.is_human,
            is_opted_out: contact.is_opted_out(),
            is_leased: contact.is_leased(),
            has_draft: contact.has_draft(),
            job_is_queued: contact.job_is_queued,
            arrived: parts().map(|part| part.arrived as usize).sum(),
        }
    }
}

const CONTACT_SQL: &str = "
    select
        coalesce((
            select string_agg(
                case when answered_by is not null then 'a' when skipped_reason is null then 'w'
                    when skipped_reason = 'quota' then 'q' else left(skipped_reason, 1) end,
                '' order by created_at, id
            )
            from messages where conversation_id = conversation.id and direction = 'inbound'
        ), '') as inbound,
        coalesce((
            select string_agg(left(state, 1), '' order by created_at, message_id, part)
            from outbox where conversation_id = conversation.id
        ), '') as outbox,
        handler = 'human' as is_human,
        opted_out_at is not null as is_opted_out,
        lease_token is not null as is_leased,
        order_draft is not null as has_draft,
        coalesce((
            select status = 'queued' from jobs
            where kind = 'reply' and payload ->> 'conversation_id' = conversation.id::text
        ), false) as job_is_queued
    from conversations conversation where id = $1";

const ACCOUNT_SQL: &str = "
    select free_quota_used,
        coalesce((
            select string_agg(
                case when kind = 'plan' then upper(left(state, 1)) else left(state, 1) end, '' order by created_at, id
            )
            from reservations where customer_id = $1
        ), ''),
        coalesce((
            select string_agg(upper(left(status, 1)), '' order by created_at, id) from orders where company_id = $1
        ), '')
    from user_settings where user_id = $2";
