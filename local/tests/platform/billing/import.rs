//! The import of the old system's subscriptions.

use std::io::Write;

use chrono::Utc;
use local::testing;
use shared::billing::{self as subscriptions, ImportCounts, OldSubscription, ProjectionOutcome};
use uuid::Uuid;

use super::{
    admin, billing, billing_admin, event, number, one_hour_ago, receive, stored_subscription, subscription_object,
};
use crate::seed;

/// A row of the old system's table of subscriptions.
fn row(user: &str, subscription: Option<&str>, status: &str) -> OldSubscription {
    OldSubscription {
        id: format!("old{}", Uuid::new_v4().simple()),
        user_id: user.to_owned(),
        status: status.to_owned(),
        plan: "pro".to_owned(),
        stripe_customer_id: subscription.map(|id| format!("cus_{id}")),
        stripe_subscription_id: subscription.map(str::to_owned),
        current_period_start: Some(one_hour_ago()),
        current_period_end: Some(one_hour_ago() + chrono::TimeDelta::days(30)),
        cancel_at_period_end: false,
        created_at: one_hour_ago() - chrono::TimeDelta::days(100),
    }
}

#[tokio::test]
async fn a_repeated_import_changes_nothing_and_does_not_overwrite_stripe() {
    let database = testing::two_databases().await.unwrap();
    let (mut app, mut books) = (admin(&database.urls).await, billing_admin(&database.urls).await);
    let billing = billing(&database.urls, None, 2);
    let one = seed::tenant(&mut app, "one", 8).await;
    let two = seed::tenant(&mut app, "two", 8).await;
    let later = Uuid::new_v4();
    let rows = [
        row(&one.owner.to_string(), Some("sub_one"), "active"),
        row(&two.owner.to_string(), None, "active"),
        row(&later.to_string(), Some("sub_later"), "active"),
        row("kratos:not-a-uuid", None, "cancelled"),
    ];
    let first = subscriptions::import(&billing, &rows).await.unwrap();
    assert_eq!(first, ImportCounts { written: 4, unchanged: 0 });
    assert_eq!(subscriptions::import(&billing, &rows).await.unwrap(), ImportCounts { written: 0, unchanged: 4 });
    for (row, expected) in rows.iter().zip([
        ProjectionOutcome::Changed,
        ProjectionOutcome::Changed,
        ProjectionOutcome::UserUnknown,
        ProjectionOutcome::UserUnknown,
    ]) {
        assert_eq!(billing.project(&row.user_id, Utc::now()).await.unwrap(), expected, "{}", row.user_id);
    }
    let stored = stored_subscription(&mut app, &mut books, one.owner).await;
    assert_eq!((stored.is_pro, stored.subscription.as_deref()), (true, Some("sub_one")));
    let stored = stored_subscription(&mut app, &mut books, two.owner).await;
    assert_eq!((stored.is_pro, stored.subscription), (true, None));
    let kept = format!("select count(*) from billing.subscriptions where id = '{}'", rows[0].id);
    assert_eq!(number(&mut books, &kept).await, 1, "the old ids stay");

    // After an event of Stripe, a repeated import does not overwrite the subscription.
    let start = one_hour_ago().timestamp();
    let ended = subscription_object("sub_one", one.owner, "canceled", start, start, false);
    receive(&billing, &event("evt_1", "customer.subscription.deleted", start, &ended), Utc::now()).await;
    assert_eq!(subscriptions::import(&billing, &rows).await.unwrap(), ImportCounts { written: 0, unchanged: 4 });
    assert!(!stored_subscription(&mut app, &mut books, one.owner).await.is_pro);

    // A user who signs up later gets the subscription with the next projection.
    assert_eq!(billing.project_pending(Utc::now()).await.unwrap(), 0);
    sqlx::query("select app.provision_account($1, 'later@example.com', 'Later', 8)")
        .bind(later)
        .execute(&mut app)
        .await
        .unwrap();
    assert_eq!(billing.project_pending(Utc::now()).await.unwrap(), 1);
    let is_pro = format!("select count(*) from users where id = '{later}' and is_pro");
    assert_eq!(number(&mut app, &is_pro).await, 1);
    assert_eq!(billing.project_pending(Utc::now()).await.unwrap(), 0);
}

#[tokio::test]
async fn the_import_command_imports_all_rows_or_none_and_names_the_bad_lines() {
    let database = testing::database().await.unwrap();
    let (mut app, mut books) = (admin(&database.urls).await, billing_admin(&database.urls).await);
    let tenant = seed::tenant(&mut app, "command", 8).await;
    let header = "id,user_id,status,plan,stripe_customer_id,stripe_subscription_id,current_period_start,\
                  current_period_end,cancel_at_period_end,created_at,updated_at";
    let good = format!("c1,{},active,pro,cus_1,sub_1,,,f,2025-01-31 12:00:00,2025-01-31 12:00:00", tenant.owner);
    let run = |text: String| {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(text.as_bytes()).unwrap();
        let mut command = std::process::Command::new(local::environment::lisa_program().unwrap());
        command.arg("import-subscriptions").arg(file.path()).env("SYSTEM_DATABASE_URL", &database.urls.system);
        command.env_remove("BACKEND_APP_DATABASE_URL");
        let output = command.output().unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (output.status.success(), text(&output.stdout) + &text(&output.stderr))
    };
    let (done, output_text) = run(format!("{header}\n{good}\nc2,u2,sleeping,pro,,,,,f,,\nc3\n"));
    assert!(!done);
    assert!(
        output_text.contains("line 3: status sleeping") && output_text.contains("line 4: it has 1 fields"),
        "{output_text}"
    );
    assert!(output_text.contains("2 of 3 rows are bad: nothing was imported"), "{output_text}");
    assert_eq!(number(&mut books, "select count(*) from billing.subscriptions").await, 0);

    let (done, output_text) = run(format!("{header}\n{good}\n"));
    assert!(done, "{output_text}");
    assert!(
        output_text.contains("1 rows written, 0 unchanged") && output_text.contains("1 projected, 0 of users"),
        "{output_text}"
    );
    assert!(stored_subscription(&mut app, &mut books, tenant.owner).await.is_pro);
    let (done, output_text) = run(format!("{header}\n{good}\n"));
    assert!(done && output_text.contains("0 rows written, 1 unchanged"), "{output_text}");
}
