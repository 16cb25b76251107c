//! The purge, 30 days after the deletion of an account.

use chrono::{TimeDelta, Utc};
use serde_json::{Value, json};

use super::{
    super::support::{App, BackendProxy, PASSWORD, TenantUser, WAIT_TIMEOUT, small_pdf, wait_until},
    ACCOUNT, ME, RESTORE, maintain, maintain_at,
};

/// Signs up a company with a support user, a document, a conversation and an order.
async fn company(app: &App, name: &str) -> (TenantUser, TenantUser) {
    let owner = app.sign_up(name).await;
    let support = app.sign_up_support(&owner).await;
    app.upload_and_process(&owner, "guide.pdf", small_pdf("The delivery takes three days.")).await;
    let conversation = app.store_contact_message(&owner, "132", "Bonjour, je suis Awa").await;
    app.store_bot_message(&owner, conversation, "Bonjour Awa").await;
    (owner, support)
}

/// Moves the deletion of an account into the past.
async fn age_deletion(app: &App, owner: &TenantUser, days: u32) {
    app.sql(&format!(
        "update customers set deleted_at = deleted_at - interval '{days} days' where id = '{}'",
        owner.customer_id
    ))
    .await;
}

async fn customers(app: &App, owner: &TenantUser) -> i64 {
    app.number(&format!("select count(*) from customers where id = '{}'", owner.customer_id)).await
}

#[tokio::test]
async fn at_day_29_nothing_is_deleted_and_at_day_31_everything_by_an_injected_clock() {
    let app = App::start().await;
    let (owner, support) = company(&app, "Comptoir Baobab").await;
    let (other, _) = company(&app, "Lumaworks").await;
    app.delete(ACCOUNT).by(&owner).await.no_content();
    maintain(&app).await;
    assert_eq!(maintain_at(&app, Utc::now() + TimeDelta::days(29)).await["accounts_purged"], 0);
    assert_eq!(customers(&app, &owner).await, 1);
    assert_eq!(maintain_at(&app, Utc::now() + TimeDelta::days(31)).await["accounts_purged"], 1);

    assert_eq!((customers(&app, &owner).await, customers(&app, &other).await), (0, 1));
    app.log_in(&owner.email, PASSWORD).await.refused(401, "invalid_credentials");
    app.log_in(&support.email, PASSWORD).await.refused(401, "invalid_credentials");
    app.get("/api/v1/documents").by(&owner).await.refused(422, "tenant_required");
    app.post(RESTORE).by(&owner).await.refused(422, "tenant_required");
    assert_eq!(app.stored_objects().await, 1, "the other company's file");
    assert_eq!(app.number("select count(*) from documents").await, 1);
    let user = format!("select count(*) from users where id in ('{}', '{}')", owner.user_id, support.user_id);
    assert_eq!(app.number(&user).await, 0);
    app.get("/api/v1/documents").by(&other).await.json_body(200);

    // The second deletion of files, an hour later, ends the purge.
    let open = "select count(*) from purges where finished_at is null";
    assert_eq!(app.number(open).await, 1);
    maintain_at(&app, Utc::now() + TimeDelta::days(31) + TimeDelta::hours(2)).await;
    assert_eq!(app.number(open).await, 0);
    let mut actions = app.audit_actions(&owner).await;
    actions.retain(|line| line.starts_with("account."));
    let customer = format!("customer:{}", owner.customer_id);
    let expected = ["account.deleted", "account.purge_started", "account.purged", "account.purge_finished"];
    assert_eq!(actions, expected.map(|action| format!("{action} {customer}")));
}

#[tokio::test]
async fn a_purge_that_has_begun_cannot_be_restored_and_one_that_has_not_can() {
    let app = App::start().await;
    let (owner, _) = company(&app, "Comptoir Baobab").await;
    app.delete(ACCOUNT).by(&owner).await.no_content();
    age_deletion(&app, &owner, 31).await;
    app.post(RESTORE).by(&owner).await.data(200);
    maintain(&app).await;
    assert_eq!(customers(&app, &owner).await, 1, "it was restored in time");

    app.delete(ACCOUNT).by(&owner).await.no_content();
    age_deletion(&app, &owner, 31).await;
    let mut hold = app.hold_statements("after delete on messages for each row").await;
    let purge = maintain(&app);
    let restore = async {
        hold.wait_for_held_statement().await;
        app.post(RESTORE).by(&owner).await.refused(409, "purge_started");
        hold.release().await;
    };
    let (report, ()) = tokio::join!(purge, restore);
    assert_eq!((&report["accounts_purged"], customers(&app, &owner).await), (&json!(1), 0));
}

/// The counts of the purge in the audit log.
async fn counts(app: &App, owner: &TenantUser) -> Value {
    let select = "select details -> 'deleted' from audit_log where customer_id = $1 and action = 'account.purged'";
    let all: Vec<Value> =
        sqlx::query_scalar(select).bind(owner.customer_id).fetch_all(&mut app.admin_db().await).await.unwrap();
    let [counts] = all.as_slice() else { panic!("{all:?}") };
    counts.clone()
}

#[tokio::test]
async fn a_purge_whose_process_dies_is_continued_and_counts_each_row_once() {
    let app = App::start().await;
    let (owner, _) = company(&app, "Comptoir Baobab").await;
    // More messages than one batch has.
    app.sql(&format!(
        "insert into messages (customer_id, conversation_id, direction, author, content)
         select customer_id, id, 'inbound', 'contact', 'Bonjour' from conversations, generate_series(1, 2500)
         where customer_id = '{}'",
        owner.customer_id
    ))
    .await;
    app.delete(ACCOUNT).by(&owner).await.no_content();
    age_deletion(&app, &owner, 31).await;
    // The second batch of messages is held: the first one is committed with its count.
    app.sql(
        "create sequence batches; create function hold_batch() returns trigger language plpgsql security definer as
             'begin
                 if exists (select from public.purges) then
                     if nextval(''public.batches'') = 2 then perform pg_advisory_xact_lock(7); end if;
                 end if;
                 return null;
             end';
         create trigger hold_batch after delete on messages for each statement execute function hold_batch()",
    )
    .await;
    let mut lock = app.admin_db().await;
    sqlx::raw_sql("select pg_advisory_lock(7)").execute(&mut lock).await.unwrap();
    let held = async {
        wait_until("the second batch is held", WAIT_TIMEOUT, async || {
            let waiting = "select count(*) from pg_locks where locktype = 'advisory' and not granted and objid = 7
                and database = (select oid from pg_database where datname = current_database())";
            (app.number(waiting).await == 1).then_some(())
        })
        .await;
    };
    tokio::select! { report = maintain(&app) => panic!("{report}"), () = held => {} }
    let app = app.restart().await;
    sqlx::raw_sql("select pg_advisory_unlock(7)").execute(&mut lock).await.unwrap();
    wait_until("the killed batch is rolled back", WAIT_TIMEOUT, async || {
        (app.number("select count(*) from messages").await == 1502).then_some(())
    })
    .await;
    assert_eq!(maintain(&app).await["accounts_purged"], 0, "the dead run holds it for two minutes");
    app.sql("update purges set held_until = now()").await;

    let (one, two) = tokio::join!(maintain(&app), maintain(&app));

    let purged = [one, two].map(|report| report["accounts_purged"].as_i64().unwrap());
    assert_eq!(purged.iter().sum::<i64>(), 1, "{purged:?}");
    let counts = counts(&app, &owner).await;
    assert_eq!((&counts["messages"], &counts["conversations"], &counts["files"]), (&json!(2502), &json!(1), &json!(1)));
    assert_eq!((&counts["customers"], &counts["users"], &counts["credentials"]), (&json!(1), &json!(2), &json!(2)));
    assert_eq!(app.number("select count(*) from messages").await, 0);
}

#[tokio::test]
async fn a_purge_during_an_outage_of_storage_is_ended_later() {
    let network = BackendProxy::for_aws().await;
    let app = App::with_settings(&network.settings()).await;
    let (owner, _) = company(&app, "Comptoir Baobab").await;
    app.delete(ACCOUNT).by(&owner).await.no_content();
    age_deletion(&app, &owner, 31).await;
    app.stack.start_functions().await.unwrap();
    network.refuse().await.unwrap();
    app.stack.invoke("maintenance", json!({})).await.unwrap_err();
    assert_eq!(customers(&app, &owner).await, 1, "the company stays until its files are gone");
    network.restore().await.unwrap();
    app.sql("update purges set held_until = now()").await;
    assert_eq!(maintain(&app).await["accounts_purged"], 1);
    assert_eq!((customers(&app, &owner).await, app.stored_objects().await), (0, 0));
    assert_eq!(counts(&app, &owner).await["files"], 1);
}

#[tokio::test]
async fn an_upload_that_comes_after_the_purge_is_deleted() {
    let app = App::start().await;
    let (owner, _) = company(&app, "Comptoir Baobab").await;
    let pdf = small_pdf("The delivery takes three days.");
    let [by_event, by_sweep] =
        [app.announce(&owner, "a.pdf", pdf.len()).await, app.announce(&owner, "b.pdf", pdf.len()).await];
    app.delete(ACCOUNT).by(&owner).await.no_content();
    age_deletion(&app, &owner, 31).await;
    assert_eq!(maintain(&app).await["accounts_purged"], 1);
    assert_eq!(app.stored_objects().await, 0);

    app.put_file(&by_event, pdf.clone()).await;
    wait_until("the worker deletes a file that no document wants", WAIT_TIMEOUT, async || {
        (app.stored_objects().await == 0).then_some(())
    })
    .await;
    // The bucket's event of the second file is lost.
    app.wait_for_empty_ingest_queue().await;
    app.disable_bucket_events().await;
    app.put_file(&by_sweep, pdf).await;
    assert_eq!(app.stored_objects().await, 1);
    maintain_at(&app, Utc::now() + TimeDelta::hours(2)).await;
    assert_eq!(app.stored_objects().await, 0);
    let late = "select (details ->> 'late_files')::bigint from audit_log where action = 'account.purge_finished'";
    assert_eq!(app.number(late).await, 1);
}

#[tokio::test]
async fn a_member_of_another_company_keeps_its_account() {
    let app = App::start().await;
    let (owner, support) = company(&app, "Comptoir Baobab").await;
    let (other, _) = company(&app, "Lumaworks").await;
    app.sql(&format!(
        "insert into customer_members (customer_id, user_id, role) values ('{}', '{}', 'support')",
        other.customer_id, support.user_id
    ))
    .await;
    app.delete(ACCOUNT).by(&owner).await.no_content();
    age_deletion(&app, &owner, 31).await;
    assert_eq!(maintain(&app).await["accounts_purged"], 1);
    app.log_in(&support.email, PASSWORD).await.data(200);
    app.get("/api/v1/documents").by(&support).await.json_body(200);
    // The user's last membership ends with the deletion of the own account.
    app.delete(ME).by(&support).await.no_content();
    app.log_in(&support.email, PASSWORD).await.refused(401, "invalid_credentials");
}

#[tokio::test]
async fn nothing_is_deleted_of_a_company_whose_purge_has_not_begun() {
    let app = App::start().await;
    let (owner, _) = company(&app, "Comptoir Baobab").await;
    app.sql(&format!("insert into purges (customer_id) values ('{}')", owner.customer_id)).await;
    assert_eq!(maintain(&app).await["accounts_purged"], 0);
    assert_eq!((customers(&app, &owner).await, app.number("select count(*) from messages").await), (1, 2));
    assert_eq!(app.stored_objects().await, 1);
}

/// Inserts a subscription of a user into both databases.
async fn subscribe(app: &App, user: &TenantUser) {
    app.sql(&format!(
        "update profiles set subscription_status = 'active' where id = '{0}';
         insert into billing.stripe_customers (id, user_id) values ('cus_1', '{0}');
         insert into billing.subscription_states (id, user_id, stripe_customer_id, status, plan, started_at)
             values ('sub_1', '{0}', 'cus_1', 'active', 'pro', now())",
        user.user_id
    ))
    .await;
}

#[tokio::test]
async fn a_member_who_pays_for_a_subscription_keeps_the_account_and_can_still_end_it() {
    let app = App::start().await;
    let (owner, support) = company(&app, "Comptoir Baobab").await;
    subscribe(&app, &support).await;
    app.delete(ACCOUNT).by(&owner).await.no_content();
    age_deletion(&app, &owner, 31).await;
    assert_eq!(maintain(&app).await["accounts_purged"], 1);
    assert_eq!(customers(&app, &owner).await, 0);
    let of_billing =
        "select (select count(*) from billing.subscription_states) + (select count(*) from billing.stripe_customers)";
    assert_eq!(app.number(of_billing).await, 2, "nobody could cancel it otherwise");
    app.log_in(&support.email, PASSWORD).await.data(200);
    app.log_in(&owner.email, PASSWORD).await.refused(401, "invalid_credentials");
    app.delete(ME).by(&support).await.refused(409, "subscription_open");
    app.sql("update profiles set subscription_status = 'canceled'").await;
    app.delete(ME).by(&support).await.no_content();
}

#[tokio::test]
async fn a_member_who_joins_another_company_during_the_purge_keeps_the_account() {
    let app = App::start().await;
    let (owner, support) = company(&app, "Comptoir Baobab").await;
    let (other, _) = company(&app, "Lumaworks").await;
    app.delete(ACCOUNT).by(&owner).await.no_content();
    age_deletion(&app, &owner, 31).await;
    // The acceptance of an invitation is not committed yet.
    let mut acceptance = app.admin_db().await;
    let join = format!(
        "begin; insert into customer_members (customer_id, user_id, role) values ('{}', '{}', 'support')",
        other.customer_id, support.user_id
    );
    sqlx::raw_sql(sqlx::AssertSqlSafe(join)).execute(&mut acceptance).await.unwrap();
    let commit = async {
        wait_until("the purge waits for the account", WAIT_TIMEOUT, async || {
            let waiting = "select count(*) from pg_stat_activity where wait_event_type = 'Lock'
                and query like '%from users%for update%' and datname = current_database()";
            (app.number(waiting).await == 1).then_some(())
        })
        .await;
        sqlx::raw_sql("commit").execute(&mut acceptance).await.unwrap();
    };
    let (report, ()) = tokio::join!(maintain(&app), commit);
    assert_eq!((&report["accounts_purged"], customers(&app, &owner).await), (&json!(1), 0));
    app.log_in(&support.email, PASSWORD).await.data(200);
    app.get("/api/v1/conversations").by(&support).await.json_body(200);
    app.log_in(&owner.email, PASSWORD).await.refused(401, "invalid_credentials");
}

#[tokio::test]
async fn an_account_that_is_being_erased_joins_no_company() {
    let app = App::start().await;
    let (owner, support) = company(&app, "Comptoir Baobab").await;
    let (other, _) = company(&app, "Lumaworks").await;
    let invitation = app.invite(&other, "1 day").await;
    let mut hold = app.hold_statements("after delete on refresh_sessions for each statement").await;
    let departure = app.delete(ME).by(&support).into_future();
    let acceptance = async {
        hold.wait_for_held_statement().await;
        let accept = app.post("/api/v1/auth/invitations").by(&support).json(&json!({ "invitation": invitation }));
        let release = async {
            wait_until("the acceptance waits for the account", WAIT_TIMEOUT, async || {
                let waiting = "select count(*) from pg_stat_activity where wait_event_type = 'Lock'
                    and query like '%for key share%' and datname = current_database()";
                (app.number(waiting).await == 1).then_some(())
            })
            .await;
            hold.release().await;
        };
        tokio::join!(accept.into_future(), release).0
    };
    let (left, accepted) = tokio::join!(departure, acceptance);
    left.no_content();
    accepted.refused(401, "unauthorized");
    let members = format!("select count(*) from customer_members where user_id = '{}'", support.user_id);
    assert_eq!(app.number(&members).await, 0);
    assert_eq!(customers(&app, &owner).await, 1);
}
