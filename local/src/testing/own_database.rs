//! A PostgreSQL server of one test, which the test may kill: unlike the shared one, it loses nothing that it has committed.

use anyhow::Result;
use local_postgres::{Cluster, Postgres, ProgressOutput, Python};

use super::shared;
use crate::{dev::migrate, environment::DatabaseUrls};

/// The name of the database.
pub(super) const NAME: &str = "lisa";

/// A running server with a migrated database. Dropping it stops the server and removes its data.
#[derive(Debug)]
pub struct OwnDatabase {
    postgres: Postgres,
}

impl OwnDatabase {
    /// Starts a server and migrates its database.
    ///
    /// # Errors
    /// Fails when the server does not start.
    pub async fn start() -> Result<Self> {
        let python = Python::ensure(ProgressOutput::Silent)?;
        // What the processes have written is in the kernel's cache and survives them, so nothing has to be synced.
        let cluster = Cluster::temporary(&python)?.with_settings(&["synchronous_commit=on", "full_page_writes=on"]);
        let postgres = Postgres::start(cluster, ProgressOutput::Silent).await?;
        postgres.create_database(NAME).await?;
        let database = Self { postgres };
        Box::pin(migrate(&database.urls().await?)).await?;
        Ok(database)
    }

    /// Direct connection strings.
    ///
    /// # Errors
    /// Fails when the shared servers, whose secrets are used, do not start.
    pub async fn urls(&self) -> Result<DatabaseUrls> {
        let secrets = &shared().await?.secrets;
        Ok(DatabaseUrls {
            app: self.postgres.url("lisa_app", &secrets.app_password, NAME),
            system: self.postgres.url("lisa_system", &secrets.system_password, NAME),
            admin: self.postgres.admin_url(NAME),
            billing: None,
        })
    }

    /// Kills the server and all its processes with SIGKILL.
    ///
    /// # Errors
    /// Fails when the processes cannot be listed.
    pub fn kill(&mut self) -> Result<()> {
        self.postgres.kill()
    }

    /// Starts the killed server again, on the same address and data.
    ///
    /// # Errors
    /// Fails when the server does not start.
    pub async fn start_again(&mut self) -> Result<()> {
        self.postgres.start_again().await
    }
}
