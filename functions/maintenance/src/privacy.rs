//! Purges of deleted accounts, and the deletion of expired archives of exports.

use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use shared::{
    db::SystemTx,
    error::BoxError,
    logging,
    privacy::{
        exports,
        purge::{self, BATCH_ROWS, BATCHED_TABLES, HeldPurge, LEGACY_BATCH_ROWS},
    },
    storage,
};
use uuid::Uuid;

use crate::{BATCH_SIZE, Deps};

/// Maximum number of purges that one run begins.
const MAX_NEW_PURGES: i64 = 10;
/// Time after which one run begins no further batch of a purge. The next run, five minutes later, goes on.
const MAX_PURGE_TIME: Duration = Duration::from_secs(60);
/// Time after which one run deletes no further archive of an export. While S3 does not answer, a call takes seconds.
const MAX_EXPORTS_TIME: Duration = Duration::from_secs(20);
/// Number of files that are deleted between two updates of the count.
const FILES_PER_COUNT: i32 = 100;

impl Deps {
    /// Deletes the archives of exports that expired before `now`, and returns their number. An archive that cannot be
    /// deleted does not stop the others; the next run tries it again.
    pub(crate) async fn remove_expired_exports(&self, now: DateTime<Utc>) -> Result<usize, BoxError> {
        let stops_at = Instant::now() + MAX_EXPORTS_TIME;
        let expired = self.db.system_tx(async |tx| Ok(exports::list_expired(tx, now, BATCH_SIZE).await?)).await?;
        let (mut removed, mut first_error) = (0, None);
        for export in expired.iter().take_while(|_| Instant::now() < stops_at) {
            match self.storage.delete(&storage::export_key(export.customer_id, export.id)).await {
                Ok(()) => {
                    self.db.system_tx(async |tx| Ok(exports::mark_expired(tx, export.id).await?)).await?;
                    removed += 1;
                }
                Err(error) => {
                    tracing::warn!(export_id = %export.id, error = logging::chain(&error), "the archive stays for now");
                    first_error = first_error.or(Some(error));
                }
            }
        }
        first_error.map_or(Ok(removed), |error| Err(error.into()))
    }

    /// Begins the purges that are due at `now`, and goes on with those that are under way. Returns the number of companies
    /// whose rows were deleted by this run. A purge that fails does not stop the others.
    pub(crate) async fn purge_accounts(&self, now: DateTime<Utc>) -> Result<usize, BoxError> {
        let stops_at = Instant::now() + MAX_PURGE_TIME;
        self.db.system_tx(async |tx| Ok(purge::begin_due(tx, now, MAX_NEW_PURGES).await?)).await?;
        let (mut purged, mut first_error) = (0, None);
        while Instant::now() < stops_at {
            let held = self.db.system_tx(async |tx| Ok(purge::hold_next(tx, now).await?)).await?;
            let Some(held) = held else { break };
            let tenant = held.customer_id;
            match self.purge(&held, now, stops_at).await {
                Ok(is_done) => purged += usize::from(is_done && !held.are_rows_deleted),
                // The failed purge stays held for two minutes, so this run continues with the next one.
                Err(error) => {
                    tracing::warn!(%tenant, error = logging::chain(error.as_ref()), "the purge goes on in a later run");
                    first_error = first_error.or(Some(error));
                }
            }
        }
        first_error.map_or(Ok(purged), Err)
    }

    /// Continues a purge until `stops_at`. Returns true when one of its two parts is done: the deletion of rows and
    /// files, or the second deletion of files.
    async fn purge(&self, held: &HeldPurge, now: DateTime<Utc>, stops_at: Instant) -> Result<bool, BoxError> {
        let tenant = held.customer_id;
        if held.are_rows_deleted {
            let Some(late_files) = self.delete_files(tenant, stops_at).await? else {
                return self.pause_purge(tenant).await;
            };
            self.db.system_tx(async |tx| Ok(purge::finish(tx, tenant, late_files, now).await?)).await?;
            return Ok(true);
        }
        for &table in BATCHED_TABLES {
            loop {
                if Instant::now() >= stops_at {
                    return self.pause_purge(tenant).await;
                }
                let deleted = self.db.system_tx(async |tx| Ok(purge::delete_batch(tx, table, tenant).await?)).await?;
                if i64::try_from(deleted).unwrap_or(i64::MAX) < BATCH_ROWS {
                    break;
                }
            }
        }
        let is_done = self.delete_legacy_rows(tenant, stops_at).await?;
        if !is_done || self.delete_files(tenant, stops_at).await?.is_none() {
            return self.pause_purge(tenant).await;
        }
        purge::finish_rows(&self.db, &self.billing_db, tenant, now).await?;
        Ok(true)
    }

    /// Deletes a company's rows of the tables of an older project. Returns false when the time is over before all are deleted.
    async fn delete_legacy_rows(&self, tenant: Uuid, stops_at: Instant) -> Result<bool, BoxError> {
        for table in self.db.system_tx(async |tx| Ok(purge::list_legacy_tables(tx).await?)).await? {
            loop {
                if Instant::now() >= stops_at {
                    return Ok(false);
                }
                let delete = async |tx: &mut SystemTx| Ok(purge::delete_legacy_batch(tx, &table, tenant).await?);
                let deleted = self.db.system_tx(delete).await?;
                if i64::try_from(deleted).unwrap_or(i64::MAX) < LEGACY_BATCH_ROWS {
                    break;
                }
            }
        }
        Ok(true)
    }

    /// Leaves a purge to the next run.
    async fn pause_purge(&self, tenant: Uuid) -> Result<bool, BoxError> {
        self.db.system_tx(async |tx| Ok(purge::release(tx, tenant).await?)).await?;
        Ok(false)
    }

    /// Deletes and counts the files of a company. Returns their number, or `None` when the time is over before all are
    /// deleted.
    async fn delete_files(&self, tenant: Uuid, stops_at: Instant) -> Result<Option<u64>, BoxError> {
        let prefix = storage::tenant_prefix(tenant);
        let mut total = 0;
        loop {
            let keys = self.storage.list_keys(&prefix, FILES_PER_COUNT).await?;
            if keys.is_empty() {
                return Ok(Some(total));
            }
            if Instant::now() >= stops_at {
                return Ok(None);
            }
            let mut deleted = 0;
            // Another worker may take the purge a minute after the end of this time.
            for key in keys.iter().take_while(|_| Instant::now() < stops_at) {
                self.storage.delete(key).await?;
                deleted += 1;
            }
            total += deleted;
            self.db.system_tx(async |tx| Ok(purge::count_files(tx, tenant, deleted).await?)).await?;
        }
    }
}
