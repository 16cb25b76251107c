//! PgBouncer before the database, for the program `http_through_pgbouncer`.

use std::io::Write;

use local::testing;
use local_postgres::Pooler;
use shared::settings::SettingsMap;
use tokio::sync::OnceCell;

/// Few backends, so that statements of different clients meet on the same one.
const BACKENDS: u32 = 3;

/// The settings that lead the functions through the pooler; none in the program `http`.
pub(super) async fn settings() -> SettingsMap {
    // Ends with the process; its guard sees to that.
    static POOLER: OnceCell<Pooler> = OnceCell::const_new();
    if env!("CARGO_CRATE_NAME") != "http_through_pgbouncer" {
        return SettingsMap::new();
    }
    // `{database}` becomes the name of each test's own.
    let direct = testing::database_urls("{database}").await.unwrap();
    let start = async || {
        let started = testing::pooler(&[&direct.app, &direct.system], BACKENDS).await;
        started.unwrap().unwrap_or_else(|| leave_out())
    };
    let pooler = POOLER.get_or_init(start).await;
    SettingsMap::from([
        ("DATABASE_URL".to_owned(), pooler.url(&direct.app)),
        ("SYSTEM_DATABASE_URL".to_owned(), pooler.url(&direct.system)),
    ])
}

/// Ends this program, well: everything in it needs the pooler.
fn leave_out() -> ! {
    let advice = "PgBouncer is not installed (apt install pgbouncer): the tests through it are left out";
    // Past the harness, which shows nothing of a test that passes.
    let _ = writeln!(std::io::stderr(), "\n{advice}");
    std::process::exit(0)
}
