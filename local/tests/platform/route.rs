//! The two ways to the database, which tests go one after the other: directly, and through a transaction pooler that
//! knows no prepared statements.

use std::collections::BTreeMap;

use local::testing::{self, TestDatabase};
use local_postgres::Pooler;
use shared::{
    db::{Db, SystemDb},
    settings::Settings,
};
use sqlx::{Connection, PgConnection};

/// A database of a test, and how it is reached.
pub(crate) struct Route {
    pub(crate) database: TestDatabase,
    pooler: Option<Pooler>,
}

impl Route {
    /// Straight to the server.
    pub(crate) async fn direct() -> Self {
        Self { database: testing::database().await.unwrap(), pooler: None }
    }

    /// Through PgBouncer with so many server connections; `None` where it is not installed.
    pub(crate) async fn pooled(size: u32) -> Option<Self> {
        let database = testing::database().await.unwrap();
        let stranger = stranger_url(&database);
        let urls = [&database.urls.app, &database.urls.system, &database.urls.admin, &stranger].map(String::as_str);
        let pooler = testing::pooler(&urls, size).await.unwrap()?;
        Some(Self { database, pooler: Some(pooler) })
    }

    /// The connection string by this way.
    pub(crate) fn url(&self, direct: &str) -> String {
        self.pooler.as_ref().map_or_else(|| direct.to_owned(), |pooler| pooler.url(direct))
    }

    /// The tenants' handle, with a pool of so many connections; a deployed function has one.
    pub(crate) fn db(&self, connections: u32) -> Db {
        db(&self.url(&self.database.urls.app), connections)
    }

    /// The system's handle.
    pub(crate) fn system(&self, connections: u32) -> SystemDb {
        system(&self.url(&self.database.urls.system), connections)
    }

    /// The superuser's own connection, always direct.
    pub(crate) async fn admin(&self) -> PgConnection {
        PgConnection::connect(&self.database.urls.admin).await.unwrap()
    }

    /// A login role of this test alone, which no migration has granted anything. It must be made by the test.
    pub(crate) fn stranger(&self) -> (String, String) {
        (stranger_name(&self.database), self.url(&stranger_url(&self.database)))
    }
}

fn stranger_name(database: &TestDatabase) -> String {
    format!("stranger_of_{}", database.name())
}

fn stranger_url(database: &TestDatabase) -> String {
    let (_, rest) = database.urls.app.split_once('@').unwrap();
    format!("postgresql://{}:stranger@{rest}", stranger_name(database))
}

pub(crate) fn db(url: &str, connections: u32) -> Db {
    read("DATABASE_URL", url, connections, Db::read)
}

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

/// Makes each of these functions, which take a [`Route`], two tests: `directly::…` and `through_pgbouncer::…`, the
/// latter with so many server connections.
macro_rules! both_ways {
    ($($name:ident),* $(,)?) => {
        mod directly {
            $(#[tokio::test]
            async fn $name() {
                super::$name($crate::route::Route::direct().await).await;
            })*
        }

        mod through_pgbouncer {
            $(#[tokio::test]
            async fn $name() {
                // One server connection: what one transaction leaves behind, the next one finds.
                let Some(route) = $crate::route::Route::pooled(1).await else { return };
                super::$name(route).await;
            })*
        }
    };
}
pub(crate) use both_ways;
