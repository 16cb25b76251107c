//! Reads of a tenant's data by its support users. The audit log records them. Reads by the owner are not recorded.

use serde_json::{Value, json};
use uuid::Uuid;

use super::{Caller, SupportUser};
use crate::{
    audit::{self, NewAuditEntry},
    db::{Db, TenantTx},
    error::Result,
};

/// A read, as the audit log records it.
#[derive(Debug, Clone)]
pub struct AuditedRead {
    action: &'static str,
    /// `noun:id`; `None` for the tenant.
    object: Option<String>,
    details: Value,
}

impl AuditedRead {
    /// A read of one object. `action` is `noun.verb`.
    #[must_use]
    pub fn of(action: &'static str, noun: &str, id: Uuid) -> Self {
        Self { action, object: Some(format!("{noun}:{id}")), details: json!({}) }
    }

    /// A read of several objects of the tenant. `action` is `noun.verb`.
    #[must_use]
    pub fn of_tenant(action: &'static str) -> Self {
        Self { action, object: None, details: json!({}) }
    }

    /// Sets the details: ids and codes only.
    #[must_use]
    pub fn with_details(self, details: Value) -> Self {
        Self { details, ..self }
    }
}

impl Caller<SupportUser> {
    /// Runs `work` in a transaction of the caller's tenant, and records the read when the caller is a support user.
    /// Nothing is returned when the read cannot be recorded.
    ///
    /// # Errors
    /// Any error of `work` and of [`Db::tenant_tx`].
    pub async fn read_tx<T>(
        &self,
        db: &Db,
        read: AuditedRead,
        work: impl AsyncFnOnce(&mut TenantTx) -> Result<T>,
    ) -> Result<T> {
        db.tenant_tx(self.tenant(), async |tx| {
            let found = work(tx).await?;
            self.audit_read(tx, read).await?;
            Ok(found)
        })
        .await
    }

    /// Records a read when the caller is a support user. For reads within a transaction that also writes; other reads
    /// use [`Self::read_tx`].
    ///
    /// # Errors
    /// Any error of the database.
    pub async fn audit_read(&self, tx: &mut TenantTx, read: AuditedRead) -> Result<()> {
        if self.is_support() {
            let entry = NewAuditEntry {
                actor: Some(self.user),
                action: read.action,
                object: read.object.unwrap_or_else(|| format!("tenant:{}", self.tenant())),
                request_id: Some(&self.request_id),
                details: read.details,
            };
            audit::record(tx, &entry).await?;
        }
        Ok(())
    }
}
