//! The servers below a stack: PostgreSQL and the stand-in for AWS, our own or somebody else's.

use std::path::PathBuf;

use anyhow::{Context, Result};
use local_postgres::{Cluster, Folder, Postgres, Progress, Python};

use crate::{
    aws::Aws,
    environment::{BillingDatabase, Database, External},
    kept::Kept,
};

/// Running servers. Dropped, they end; they also end when this process is killed.
#[derive(Debug)]
pub struct Servers {
    /// The stand-in for AWS.
    pub aws: Aws,
    /// The library that reads PDFs.
    pub libpdfium: PathBuf,
    postgres: Source,
}

#[derive(Debug)]
enum Source {
    Own(Postgres),
    External(Database),
}

impl Servers {
    /// Starts what `external` does not name. A temporary start leaves nothing behind; otherwise data is kept in `data`,
    /// which must be locked.
    ///
    /// # Errors
    /// A server that does not start; one sentence each.
    pub async fn start(data: &Folder, external: External, temporary: bool, progress: Progress) -> Result<Self> {
        let python = Python::ensure(data, progress)?;
        let starting = match external.aws {
            Some(_) => None,
            None => {
                let kept = (!temporary).then(|| data.join("aws"));
                let log = data.join(if temporary { "aws-test.log" } else { "aws.log" });
                Some(Aws::start(&python, kept.as_deref(), &log)?)
            }
        };
        let postgres = match external.database {
            Some(database) => Source::External(database),
            None => {
                let cluster =
                    if temporary { Cluster::temporary(&python) } else { Cluster::kept(data, &python, progress) };
                Source::Own(Postgres::start(cluster?, progress).await?)
            }
        };
        let aws = match (starting, external.aws) {
            (Some(starting), _) => starting.ready(progress)?,
            (None, endpoint) => Aws::external(&endpoint.unwrap_or_default())?,
        };
        Ok(Self { aws, libpdfium: python.libpdfium(), postgres })
    }

    /// The connection strings of a database, made where it is not there yet. One that is external is taken as it is.
    ///
    /// # Errors
    /// Those of the server.
    pub async fn database(&self, name: &'static str, kept: &Kept) -> Result<Database> {
        if let Source::Own(postgres) = &self.postgres {
            postgres.create_database(name).await.context("the database cannot be made")?;
        }
        Ok(self.urls(name, kept))
    }

    /// The connection strings of a database that is there, or is about to be.
    #[must_use]
    pub fn urls(&self, name: &str, kept: &Kept) -> Database {
        match &self.postgres {
            Source::External(database) => database.clone(),
            Source::Own(postgres) => Database {
                app: postgres.url("lisa_app", &kept.app_password, name),
                system: postgres.url("lisa_system", &kept.system_password, name),
                admin: postgres.admin_url(name),
                billing: None,
            },
        }
    }

    /// The same with a second database, of this name, for the schema `billing`.
    #[must_use]
    pub fn with_billing(&self, database: Database, name: &str, kept: &Kept) -> Database {
        let second = self.urls(name, kept);
        Database { billing: Some(BillingDatabase { system: second.system, admin: second.admin }), ..database }
    }

    /// Whether the database is our own.
    #[must_use]
    pub fn are_own(&self) -> bool {
        matches!(self.postgres, Source::Own(_))
    }
}
