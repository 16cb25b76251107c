//! Conversations, begun as ManyChat's calls begin them, and what becomes of them.

use sqlx::Connection;
use uuid::Uuid;

use super::{App, Tenant};

impl App {
    /// Stores a message of a contact, by the database's own function; nobody is told to answer it. Returns the
    /// conversation.
    pub(crate) async fn write_in(&self, tenant: &Tenant, contact: &str, text: &str) -> Uuid {
        let mut db = self.admin_db().await;
        let mut tx = db.begin().await.unwrap();
        sqlx::raw_sql("set local role lisa_tenant").execute(&mut *tx).await.unwrap();
        let own = "select set_config('app.customer_id', $1, true)";
        sqlx::query(own).bind(tenant.customer_id.to_string()).execute(&mut *tx).await.unwrap();
        let receive = "select conversation_id from app.receive_message($1, $2, 'Awa', 'fr', $3, null, $4)";
        let conversation = sqlx::query_scalar(receive)
            .bind(contact)
            .bind(format!("+22507{contact:0>8}"))
            .bind(text)
            .bind(Uuid::new_v4().to_string())
            .fetch_one(&mut *tx)
            .await
            .unwrap();
        tx.commit().await.unwrap();
        conversation
    }

    /// Writes what the bot said in a conversation, and returns the message.
    pub(crate) async fn bot_says(&self, tenant: &Tenant, conversation: Uuid, text: &str) -> Uuid {
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

    /// The activities of a tenant, the oldest first, as `type`.
    pub(crate) async fn activities(&self, tenant: &Tenant) -> Vec<String> {
        let select = "select type from activities where company_id = $1 order by created_at, id";
        sqlx::query_scalar(select).bind(tenant.customer_id).fetch_all(&mut self.admin_db().await).await.unwrap()
    }

    /// What was done in a tenant since its sign-up, the oldest first, as `action object`.
    pub(crate) async fn audited(&self, tenant: &Tenant) -> Vec<String> {
        let select = "select action || ' ' || object from audit_log
                      where customer_id = $1 and action not like 'auth.%' order by id";
        sqlx::query_scalar(select).bind(tenant.customer_id).fetch_all(&mut self.admin_db().await).await.unwrap()
    }
}
