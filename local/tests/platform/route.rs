//! Two routes to a test's database: direct, and through PgBouncer in transaction mode without prepared statements.

use std::collections::BTreeMap;

use local::testing::{self, TestDatabase};
use local_postgres::Pooler;
use shared::{
    db::{Db, SystemDb},
    settings::Settings,
};
use sqlx::{Connection, PgConnection};

/// A database of one test, and the route to it.
pub(crate) struct DatabaseRoute {
    pub(crate) database: TestDatabase,
    pooler: Option<Pooler>,
}

impl DatabaseRoute {
    /// Makes a database with the direct route to the server.
    pub(crate) async fn direct() -> Self {
        Self { database: testing::database().await.unwrap(), pooler: None }
    }

    /// Makes a database with the route through PgBouncer and `size` server connections; `None` where PgBouncer is not
    /// installed.
    pub(crate) async fn pooled(size: u32) -> Option<Self> {
        let database = testing::database().await.unwrap();
        let stranger = unprivileged_url(&database);
        let urls = [&database.urls.app, &database.urls.system, &database.urls.admin, &stranger].map(String::as_str);
        let pooler = testing::pooler(&urls, size).await.unwrap()?;
        Some(Self { database, pooler: Some(pooler) })
    }

    /// Converts a direct connection string into one for this route.
    pub(crate) fn url(&self, direct: &str) -> String {
        self.pooler.as_ref().map_or_else(|| direct.to_owned(), |pooler| pooler.url(direct))
    }

    /// The tenants' handle, with a pool of `connections`. A deployed function has 1.
    pub(crate) fn db(&self, connections: u32) -> Db {
        db(&self.url(&self.database.urls.app), connections)
    }

    /// The system's handle, with a pool of `connections`.
    pub(crate) fn system(&self, connections: u32) -> SystemDb {
        system(&self.url(&self.database.urls.system), connections)
    }

    /// A connection of the superuser, always direct.
    pub(crate) async fn admin(&self) -> PgConnection {
        PgConnection::connect(&self.database.urls.admin).await.unwrap()
    }

    /// Name and connection string of a login role without grants, for this test alone. The test creates the role.
    pub(crate) fn unprivileged_login(&self) -> (String, String) {
        (unprivileged_role(&self.database), self.url(&unprivileged_url(&self.database)))
    }
}

fn unprivileged_role(database: &TestDatabase) -> String {
    format!("stranger_of_{}", database.name())
}

fn unprivileged_url(database: &TestDatabase) -> String {
    let (_, rest) = database.urls.app.split_once('@').unwrap();
    format!("postgresql://{}:stranger@{rest}", unprivileged_role(database))
}

/// The tenants' handle on the database at `url`.
pub(crate) fn db(url: &str, connections: u32) -> Db {
    read("DATABASE_URL", url, connections, Db::read)
}

/// The system's handle on the database at `url`.
pub(crate) fn system(url: &str, connections: u32) -> SystemDb {
    read("SYSTEM_DATABASE_URL", url, connections, SystemDb::read)
}

fn read<T>(name: &str, url: &str, connections: u32, make: impl FnOnce(&mut Settings) -> T) -> T {
    let values = [(name, url.to_owned()), ("DATABASE_MAX_CONNECTIONS", connections.to_string())];
    let values: BTreeMap<_, _> = values.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    let mut settings = Settings::new(values);
    let made = make(&mut settings);
    settings.finish().unwrap();
    made
}

/// Makes two tests of each named function, which takes a route: `directly::…` and `through_pgbouncer::…`.
macro_rules! both_ways {
    ($($name:ident),* $(,)?) => {
        mod directly {
            $(#[tokio::test]
            async fn $name() {
                super::$name($crate::route::DatabaseRoute::direct().await).await;
            })*
        }

        mod through_pgbouncer {
            $(#[tokio::test]
            async fn $name() {
                // One server connection: the next transaction finds everything that the one before left behind.
                let Some(route) = $crate::route::DatabaseRoute::pooled(1).await else { return };
                super::$name(route).await;
            })*
        }
    };
}
pub(crate) use both_ways;
