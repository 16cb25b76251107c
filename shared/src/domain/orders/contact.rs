//! Creating, changing and cancelling orders as their contact, who confirms a draft. The company's side is in
//! [`super::company`].

use serde_json::Value;
use uuid::Uuid;

use super::{
    Order, OrderDraft, OrderStatus,
    revenue::{add_revenue, lock_counted_revenue},
};
use crate::db::TenantTx;

/// Creates the order of a draft that its contact confirmed. The database computes the total from the items.
///
/// # Errors
/// A database error.
pub async fn create(tx: &mut TenantTx, conversation: Uuid, draft: &OrderDraft) -> sqlx::Result<Order> {
    let items = lock_products(tx, draft).await?;
    sqlx::query_as!(
        Order,
        r#"
        insert into orders (company_id, conversation_id, customer_name, currency, items, needs_review, total_amount)
        select $1, $2, $3, $4, $5, $6, coalesce(sum((item ->> 'quantity')::numeric * (item ->> 'unit_price')::numeric), 0)
        from jsonb_array_elements($5) item
        returning id, conversation_id, items, (total_amount * 100)::bigint as "total_cents!", currency, status
        "#,
        tx.tenant(),
        conversation,
        draft.customer_name,
        draft.currency,
        items,
        draft.needs_review()
    )
    .fetch_one(tx)
    .await
}

/// Keeps the products of a draft from being deleted until the transaction ends: whoever deletes one sees the order, and
/// archives the product. Returns the items; one whose product was deleted between the catalogue's reading and the proposal
/// keeps its name and price, and names no product.
async fn lock_products(tx: &mut TenantTx, draft: &OrderDraft) -> sqlx::Result<Value> {
    let ids: Vec<Uuid> = draft.items.iter().filter_map(|item| item.product_id).collect();
    let known = sqlx::query_scalar!(
        "select id from products where customer_id = $1 and id = any ($2) order by id for key share",
        tx.tenant(),
        &ids
    )
    .fetch_all(tx)
    .await?;
    let mut items = draft.items.clone();
    for item in &mut items {
        item.product_id = item.product_id.filter(|id| known.contains(id));
    }
    serde_json::to_value(items).map_err(|error| sqlx::Error::Encode(error.into()))
}

/// Finds the order of a conversation that its contact may still change: the newest one that is pending or confirmed.
///
/// # Errors
/// A database error.
pub async fn find_changeable(tx: &mut TenantTx, conversation: Uuid) -> sqlx::Result<Option<Order>> {
    sqlx::query_as!(
        Order,
        r#"
        select id, conversation_id, items, (total_amount * 100)::bigint as "total_cents!", currency, status from orders
        where company_id = $1 and conversation_id = $2 and status in ('pending', 'confirmed')
        order by created_at desc
        limit 1
        "#,
        tx.tenant(),
        conversation
    )
    .fetch_optional(tx)
    .await
}

/// Returns true when the newest order of a conversation is being prepared, so that its contact may not change it any more.
///
/// # Errors
/// A database error.
pub async fn is_in_preparation(tx: &mut TenantTx, conversation: Uuid) -> sqlx::Result<bool> {
    let status = sqlx::query_scalar!(
        "select status from orders where company_id = $1 and conversation_id = $2 order by created_at desc limit 1",
        tx.tenant(),
        conversation
    )
    .fetch_optional(tx)
    .await?;
    Ok(status.as_deref() == Some(OrderStatus::Preparing.as_str()))
}

/// Replaces the items of a pending or confirmed order and sets its status to pending. Returns `None` when the order
/// has another status. Revenue that was counted for the order is subtracted.
///
/// # Errors
/// A database error.
pub async fn change(
    tx: &mut TenantTx,
    conversation: Uuid,
    order: Uuid,
    draft: &OrderDraft,
) -> sqlx::Result<Option<Order>> {
    let items = lock_products(tx, draft).await?;
    let counted = lock_counted_revenue(tx, order).await?;
    let changed = sqlx::query_as!(
        Order,
        r#"
        update orders set
            items = $4, needs_review = $5, currency = $6, status = 'pending', updated_at = now(),
            total_amount = (
                select coalesce(sum((item ->> 'quantity')::numeric * (item ->> 'unit_price')::numeric), 0)
                from jsonb_array_elements($4) item
            )
        where company_id = $1 and conversation_id = $2 and id = $3 and status in ('pending', 'confirmed')
        returning id, conversation_id, items, (total_amount * 100)::bigint as "total_cents!", currency, status
        "#,
        tx.tenant(),
        conversation,
        order,
        items,
        draft.needs_review(),
        draft.currency
    )
    .fetch_optional(&mut *tx)
    .await?;
    if changed.is_some() {
        add_revenue(tx, -counted).await?;
    }
    Ok(changed)
}

/// Cancels a pending or confirmed order on the contact's request. Returns `None` when the order has another status.
/// Revenue that was counted for the order is subtracted.
///
/// # Errors
/// A database error.
pub async fn cancel(tx: &mut TenantTx, conversation: Uuid, order: Uuid) -> sqlx::Result<Option<Order>> {
    let counted = lock_counted_revenue(tx, order).await?;
    let cancelled = sqlx::query_as!(
        Order,
        r#"
        update orders set status = 'cancelled', updated_at = now()
        where company_id = $1 and conversation_id = $2 and id = $3 and status in ('pending', 'confirmed')
        returning id, conversation_id, items, (total_amount * 100)::bigint as "total_cents!", currency, status
        "#,
        tx.tenant(),
        conversation,
        order
    )
    .fetch_optional(&mut *tx)
    .await?;
    if cancelled.is_some() {
        add_revenue(tx, -counted).await?;
    }
    Ok(cancelled)
}
