//! Stores messages of conversations, and reads the activities and audit entries that follow.

use sqlx::Connection;
use uuid::Uuid;

use super::{App, TenantUser, logs::plant_text, plant_phone};

impl App {
    /// Stores a message of a contact through `app.receive_message`, without sending a reply job to the queue. Returns
    /// the conversation's id.
    pub(crate) async fn store_contact_message(&self, tenant: &TenantUser, contact: &str, text: &str) -> Uuid {
        let phone = format!("+22507{contact:0>8}");
        plant_text("text", text);
        plant_phone(&phone);
        let mut db = self.admin_db().await;
        let mut tx = db.begin().await.unwrap();
        sqlx::raw_sql("set local role lisa_tenant").execute(&mut *tx).await.unwrap();
        let own = "select set_config('app.customer_id', $1, true)";
        sqlx::query(own).bind(tenant.customer_id.to_string()).execute(&mut *tx).await.unwrap();
        let receive = "select conversation_id from app.receive_message($1, $2, 'Awa', 'fr', $3, null, $4)";
        let conversation = sqlx::query_scalar(receive)
            .bind(contact)
            .bind(phone)
            .bind(text)
            .bind(Uuid::new_v4().to_string())
            .fetch_one(&mut *tx)
            .await
            .unwrap();
        tx.commit().await.unwrap();
        conversation
    }

    /// Stores an answer of the bot in a conversation and returns the message's id.
    pub(crate) async fn store_bot_message(&self, tenant: &TenantUser, conversation: Uuid, text: &str) -> Uuid {
        plant_text("text", text);
        let insert = "insert into messages (customer_id, conversation_id, direction, author, content, answered)
                      values ($1, $2, 'outbound', 'bot', $3, true) returning id";
        sqlx::query_scalar(insert)
            .bind(tenant.customer_id)
            .bind(conversation)
            .bind(text)
            .fetch_one(&mut self.admin_db().await)
            .await
            .unwrap()
    }

    /// The types of a tenant's activities, oldest first.
    pub(crate) async fn activities(&self, tenant: &TenantUser) -> Vec<String> {
        let select = "select type from activities where company_id = $1 order by created_at, id";
        sqlx::query_scalar(select).bind(tenant.customer_id).fetch_all(&mut self.admin_db().await).await.unwrap()
    }

    /// A tenant's audit entries as `action object`, oldest first, without the `auth.` actions.
    pub(crate) async fn audit_actions(&self, tenant: &TenantUser) -> Vec<String> {
        let select = "select action || ' ' || object from audit_log
                      where customer_id = $1 and action not like 'auth.%' order by id";
        sqlx::query_scalar(select).bind(tenant.customer_id).fetch_all(&mut self.admin_db().await).await.unwrap()
    }
}
