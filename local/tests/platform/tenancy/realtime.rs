//! Supabase's publication `supabase_realtime`, whenever it is made.

use sqlx::{Connection, PgConnection};

use super::migrate;

/// The published columns by table; `None` where the table has no column list.
async fn published(admin: &mut PgConnection) -> Vec<(String, Option<Vec<String>>)> {
    let statement = r#"
        select prrelid::regclass::text, (
            select array_agg(attname::text order by attnum) from pg_attribute
            where attrelid = prrelid and attnum = any (prattrs)
        )
        from pg_publication_rel join pg_publication publication on publication.oid = prpubid
        where pubname = 'supabase_realtime' order by 1
    "#;
    sqlx::query_as(statement).fetch_all(admin).await.unwrap()
}

fn expected() -> Vec<(String, Option<Vec<String>>)> {
    let line = |table: &str, columns: &[&str]| {
        let columns: Vec<_> = columns.iter().map(|name| (*name).to_owned()).collect();
        (table.to_owned(), Some(columns).filter(|columns| !columns.is_empty()))
    };
    vec![
        line("activities", &[]),
        line("orders", &super::PUBLISHED_ORDER_COLUMNS),
        line("user_settings", &["user_id", "free_quota_used", "free_quota_limit"]),
        line("users", &["id", "is_pro"]),
    ]
}

#[tokio::test]
async fn the_tables_join_a_publication_that_is_older_or_newer_than_the_migrations() {
    let server = migrate::start_server().await;
    for (database, is_older) in [("older", true), ("newer", false)] {
        server.create_database(database).await.unwrap();
        let urls = migrate::urls(&server, database);
        let mut admin = PgConnection::connect(&urls.admin).await.unwrap();
        if is_older {
            sqlx::raw_sql("create publication supabase_realtime").execute(&mut admin).await.unwrap();
        }
        migrate::run(&urls).await.unwrap();
        if !is_older {
            assert_eq!(published(&mut admin).await, []);
            sqlx::raw_sql("create publication supabase_realtime").execute(&mut admin).await.unwrap();
            migrate::run(&urls).await.unwrap();
        }
        assert_eq!(published(&mut admin).await, expected(), "{database}");
        // The next deployment changes nothing.
        migrate::run(&urls).await.unwrap();
        assert_eq!(published(&mut admin).await, expected(), "{database}");
    }
}

#[tokio::test]
async fn wrong_columns_are_put_right_and_other_members_stay() {
    let server = migrate::start_server().await;
    server.create_database("lisa").await.unwrap();
    let urls = migrate::urls(&server, "lisa");
    let mut admin = PgConnection::connect(&urls.admin).await.unwrap();
    migrate::run(&urls).await.unwrap();
    sqlx::raw_sql(
        "create table own (id integer primary key);
         create publication supabase_realtime for table users, orders (id, status), own",
    )
    .execute(&mut admin)
    .await
    .unwrap();
    migrate::run(&urls).await.unwrap();
    let mut all = expected();
    all.insert(2, ("own".to_owned(), None));
    assert_eq!(published(&mut admin).await, all);
}

#[tokio::test]
async fn a_publication_for_all_tables_is_left_as_it_is() {
    let server = migrate::start_server().await;
    server.create_database("lisa").await.unwrap();
    let urls = migrate::urls(&server, "lisa");
    let mut admin = PgConnection::connect(&urls.admin).await.unwrap();
    migrate::run(&urls).await.unwrap();
    sqlx::raw_sql("create publication supabase_realtime for all tables").execute(&mut admin).await.unwrap();
    migrate::run(&urls).await.unwrap();
    assert_eq!(published(&mut admin).await, []);
}
