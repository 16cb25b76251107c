//! PgBouncer between the functions and the database, when the tests run with `TEST_POOLER=1`.

use std::io::Write;

use local::testing;
use local_postgres::Pooler;
use shared::settings::SettingsMap;
use tokio::sync::OnceCell;

/// Number of database connections of PgBouncer. It is small, so that statements of different clients share a
/// connection.
const MAX_BACKENDS: u32 = 3;

/// Returns true when the tests run with PgBouncer.
#[expect(clippy::disallowed_methods, reason = "chosen by whoever runs the tests, no setting of a function")]
pub(crate) fn is_used() -> bool {
    std::env::var("TEST_POOLER").is_ok_and(|value| value == "1")
}

/// The database settings that route the functions through PgBouncer; empty without it.
pub(super) async fn settings() -> SettingsMap {
    // PgBouncer ends with this process: its guard process stops it.
    static POOLER: OnceCell<Pooler> = OnceCell::const_new();
    if !is_used() {
        return SettingsMap::new();
    }
    // `{database}` is replaced by the name of each test's database.
    let direct = testing::database_urls("{database}").await.unwrap();
    let start = async || {
        let started = testing::pooler(&[&direct.app, &direct.system], MAX_BACKENDS).await;
        started.unwrap().unwrap_or_else(|| skip_all_tests())
    };
    let pooler = POOLER.get_or_init(start).await;
    SettingsMap::from([
        ("DATABASE_URL".to_owned(), pooler.url(&direct.app)),
        ("SYSTEM_DATABASE_URL".to_owned(), pooler.url(&direct.system)),
    ])
}

/// Ends this test program with success, since all its tests need PgBouncer.
fn skip_all_tests() -> ! {
    let advice = "PgBouncer is not installed (apt install pgbouncer): the tests through it are left out";
    // Written directly to standard error: the test harness hides the output of passing tests.
    let _ = writeln!(std::io::stderr(), "\n{advice}");
    std::process::exit(0)
}
