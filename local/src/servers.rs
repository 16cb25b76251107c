//! The servers that a stack uses: PostgreSQL and the AWS stand-in, started here or external.

use std::path::PathBuf;

use anyhow::{Context, Result};
use local_postgres::{Cluster, DataFolder, Postgres, ProgressOutput, Python};

use crate::{
    aws::AwsStandIn,
    environment::{BillingDatabaseUrls, DatabaseUrls, ExternalServers},
    secrets::LocalSecrets,
};

/// Running servers. They stop when dropped, and also when this process is killed.
#[derive(Debug)]
pub struct Servers {
    /// The AWS stand-in.
    pub aws: AwsStandIn,
    /// The path of libpdfium, which reads PDFs.
    pub libpdfium: PathBuf,
    postgres: PostgresSource,
}

#[derive(Debug)]
enum PostgresSource {
    Own(Postgres),
    External(DatabaseUrls),
}

impl Servers {
    /// Starts the servers that `external` does not name. With `temporary`, nothing is left behind; otherwise the
    /// servers keep their data in `data`, which must be locked.
    ///
    /// # Errors
    /// Fails when a server does not start; the message is one sentence.
    pub async fn start(
        data: &DataFolder,
        external: ExternalServers,
        temporary: bool,
        progress: ProgressOutput,
    ) -> Result<Self> {
        let python = Python::ensure(progress)?;
        let starting = match external.aws {
            Some(_) => None,
            None => {
                let kept = (!temporary).then(|| data.join("aws"));
                let log = data.join(if temporary { "aws-test.log" } else { "aws.log" });
                Some(AwsStandIn::start(&python, kept.as_deref(), &log)?)
            }
        };
        let postgres = match external.database {
            Some(database) => PostgresSource::External(database),
            None => {
                let cluster =
                    if temporary { Cluster::temporary(&python) } else { Cluster::persistent(data, &python, progress) };
                PostgresSource::Own(Postgres::start(cluster?, progress).await?)
            }
        };
        let aws = match (starting, external.aws) {
            (Some(starting), _) => starting.wait_until_ready(progress)?,
            (None, endpoint) => AwsStandIn::external(&endpoint.unwrap_or_default())?,
        };
        Ok(Self { aws, libpdfium: python.libpdfium(), postgres })
    }

    /// The connection strings of a database, created if missing. An external database is used as it is.
    ///
    /// # Errors
    /// Fails when the server refuses.
    pub async fn create_database(&self, name: &'static str, secrets: &LocalSecrets) -> Result<DatabaseUrls> {
        if let PostgresSource::Own(postgres) = &self.postgres {
            postgres.create_database(name).await.context("the database cannot be created")?;
        }
        Ok(self.database_urls(name, secrets))
    }

    /// The connection strings of a database, which need not exist yet.
    #[must_use]
    pub fn database_urls(&self, name: &str, secrets: &LocalSecrets) -> DatabaseUrls {
        match &self.postgres {
            PostgresSource::External(database) => database.clone(),
            PostgresSource::Own(postgres) => DatabaseUrls {
                app: postgres.url("lisa_app", &secrets.app_password, name),
                system: postgres.url("lisa_system", &secrets.system_password, name),
                admin: postgres.admin_url(name),
                billing: None,
            },
        }
    }

    /// Adds the connection strings of a second database, `name`, for the schema `billing`.
    #[must_use]
    pub fn with_billing(&self, database: DatabaseUrls, name: &str, secrets: &LocalSecrets) -> DatabaseUrls {
        let second = self.database_urls(name, secrets);
        DatabaseUrls { billing: Some(BillingDatabaseUrls { system: second.system, admin: second.admin }), ..database }
    }

    /// True when PostgreSQL was started here.
    #[must_use]
    pub fn owns_postgres(&self) -> bool {
        matches!(self.postgres, PostgresSource::Own(_))
    }
}
