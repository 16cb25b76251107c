//! `DELETE /api/v1/privacy/account` and `POST /api/v1/privacy/account/restore`.

use chrono::{DateTime, TimeDelta, Utc};
use local::fakes::stripe::StripeFault;
use serde_json::{Value, json};

use super::{
    super::{
        purchases::Shop,
        support::{App, PASSWORD, TenantUser, WAIT_TIMEOUT, WhatsAppFixture, small_pdf, wait_until},
    },
    ACCOUNT, RESTORE, maintain,
};

#[tokio::test]
async fn a_deleted_account_signs_in_and_is_restored_with_everything() {
    let app = App::start().await;
    let owner = app.sign_up("Comptoir Baobab").await;
    let support = app.sign_up_support(&owner).await;
    let document = app.upload_and_process(&owner, "guide.pdf", small_pdf("The delivery takes three days.")).await;

    app.delete(ACCOUNT).by(&support).await.refused(403, "forbidden");
    app.delete(ACCOUNT).by(&owner).await.no_content();

    for path in ["/api/v1/documents", "/api/v1/customers/me", "/api/v1/context", "/api/v1/quota/status"] {
        for member in [&owner, &support] {
            app.get(path).by(member).await.refused(403, "tenant_deleted");
        }
    }
    for path in ["/api/v1/profiles/me", "/api/v1/user-config"] {
        app.get(path).by(&owner).await.refused(403, "tenant_deleted");
        app.get(path).by(&support).await.data(200);
    }
    app.delete(ACCOUNT).by(&owner).await.refused(403, "tenant_deleted");
    app.get(ACCOUNT).by(&support).await.refused(403, "tenant_deleted");
    let deleted = app.get(ACCOUNT).by(&owner).await.data(200);
    let time = |field: &str| deleted[field].as_str().unwrap().parse::<DateTime<Utc>>().unwrap();
    assert_eq!(
        (&deleted["status"], time("purge_after") - time("deleted_at")),
        (&json!("deleted"), TimeDelta::days(30))
    );
    let company = &app.get("/api/v1/profiles/me").by(&support).await.data(200)["companies"][0];
    assert_eq!((&company["status"], &company["purge_after"]), (&json!("deleted"), &deleted["purge_after"]));
    app.post(RESTORE).by(&support).await.refused(403, "tenant_deleted");
    let session = app.log_in(&owner.email, PASSWORD).await.data(200);
    let token = session["access_token"].as_str().unwrap();
    app.post("/api/v1/auth/refresh").json(&json!({ "refresh_token": session["refresh_token"] })).await.data(200);

    let active = json!({ "status": "active", "deleted_at": null, "purge_after": null });
    assert_eq!(app.post(RESTORE).by(token).await.data(200), active);
    assert_eq!(app.post(RESTORE).by(token).await.data(200), active, "a repetition changes nothing");
    assert_eq!(app.get(ACCOUNT).by(token).await.data(200), active);
    app.get(ACCOUNT).by(&support).await.refused(403, "forbidden");
    assert_eq!(app.get("/api/v1/profiles/me").by(&owner).await.data(200)["companies"][0]["purge_after"], Value::Null);

    assert_eq!(app.document(&owner, document).await["status"], "processed");
    assert_eq!(app.ask(&support, "How long does the delivery take?").await.data(200)["answered"], true);
    let customer = format!("customer:{}", owner.customer_id);
    let mut actions = app.audit_actions(&owner).await;
    actions.retain(|line| line.starts_with("account."));
    assert_eq!(actions, [format!("account.deleted {customer}"), format!("account.restored {customer}")]);
}

#[tokio::test]
async fn of_two_deletions_at_once_one_is_recorded() {
    let app = App::start().await;
    let owner = app.sign_up("Comptoir Baobab").await;
    // The first deletion is held at its write, until the second one has passed the check of its caller.
    let mut hold = app.hold_statements("before update of deleted_at on customers for each row").await;
    let both = async {
        let calls = (app.delete(ACCOUNT).by(&owner).into_future(), app.delete(ACCOUNT).by(&owner).into_future());
        tokio::join!(calls.0, calls.1)
    };
    let release = async {
        hold.wait_for_held_statement().await;
        wait_until("the other one waits for the row", WAIT_TIMEOUT, async || {
            let waiting = "select count(*) from pg_stat_activity where wait_event_type = 'Lock' and query like '%deleted_at = now()%'
                and datname = current_database()";
            (app.number(waiting).await >= 2).then_some(())
        })
        .await;
        hold.release().await;
    };
    let ((one, two), ()) = tokio::join!(both, release);
    one.no_content();
    two.no_content();
    let deleted = "select count(*) from audit_log where action = 'account.deleted'";
    assert_eq!(app.number(deleted).await, 1);
    assert_eq!(app.number("select count(*) from jobs where kind = 'collection'").await, 1);
}

#[tokio::test]
async fn an_owner_of_a_deleted_company_who_helps_another_one_restores_by_naming_none() {
    let app = App::start().await;
    let owner = app.sign_up("Comptoir Baobab").await;
    let other = app.sign_up("Lumaworks").await;
    let join = async |other: &TenantUser| {
        app.sql(&format!(
            "insert into customer_members (customer_id, user_id, role) values ('{}', '{}', 'support')",
            other.customer_id, owner.user_id
        ))
        .await;
    };
    join(&other).await;
    let named = owner.customer_id.to_string();
    app.delete(ACCOUNT).by(&owner).header("x-customer-id", &named).await.no_content();
    // The other company is the only one now.
    app.get("/api/v1/documents").by(&owner).await.json_body(200);
    for call in [app.post(RESTORE), app.get(ACCOUNT)] {
        call.by(&owner).header("x-customer-id", other.customer_id.to_string()).await.refused(403, "forbidden");
    }
    assert_eq!(app.get(ACCOUNT).by(&owner).await.data(200)["status"], "deleted");
    app.post(RESTORE).by(&owner).await.data(200);
    app.get("/api/v1/documents").by(&owner).header("x-customer-id", &named).await.json_body(200);
    // Also one who helps two others.
    join(&app.sign_up("Chez Koffi").await).await;
    app.delete(ACCOUNT).by(&owner).header("x-customer-id", &named).await.no_content();
    app.get("/api/v1/documents").by(&owner).await.refused(422, "tenant_required");
    app.post(RESTORE).by(&owner).await.data(200);
    app.get("/api/v1/documents").by(&owner).header("x-customer-id", &named).await.json_body(200);
}

#[tokio::test]
async fn a_webhook_of_a_deleted_company_is_refused_and_an_answer_that_was_thought_of_is_not_sent() {
    let whatsapp = WhatsAppFixture::start().await;
    let (app, tenant) = (&whatsapp.app, &whatsapp.tenant);
    whatsapp.switch_to_live().await;
    whatsapp.models.hold();
    whatsapp.deliver_text(1, "Vous livrez ?").await.json_body(200);
    whatsapp.models.wait_for_held_request().await;

    app.delete(ACCOUNT).by(tenant).await.no_content();
    whatsapp.models.release();

    wait_until("the unit is returned", WAIT_TIMEOUT, async || {
        (whatsapp.number("select count(*) from reservations where state = 'returned'").await == 1).then_some(())
    })
    .await;
    whatsapp.deliver_text(1, "Allô ?").await.refused(403, "tenant_deleted");
    assert_eq!(whatsapp.number("select count(*) from messages where author = 'bot'").await, 0);
    assert_eq!(whatsapp.number("select count(*) from messages").await, 1, "what is refused is not stored");
    assert_eq!(whatsapp.number("select count(*) from llm_calls").await, 1, "what it cost is written down");
    // Maintenance does not answer the messages of a deleted company either.
    whatsapp.sql("update jobs set status = 'queued', run_after = now()").await;
    maintain(app).await;
    assert_eq!(whatsapp.manychat.calls(), 0);

    // A lease that was lost ends by itself.
    whatsapp.sql("update conversations set lease_token = null, lease_expires_at = null").await;
    app.post(RESTORE).by(tenant).await.data(200);
    maintain(app).await;
    let sent = whatsapp.wait_for_texts(1, 1).await;
    assert_eq!(sent.len(), 1, "the question of a moment ago is answered: {sent:?}");
}

#[tokio::test]
async fn parts_that_wait_to_be_sent_are_cancelled_by_the_deletion_for_good() {
    let whatsapp = WhatsAppFixture::start().await;
    whatsapp.switch_to_live().await;
    whatsapp.models.reply_text(&"Une phrase de la réponse. ".repeat(100));
    whatsapp.deliver_text(1, "Vous livrez ?").await.json_body(200);
    // The next part is due six seconds after the first.
    whatsapp.wait_for_texts(1, 1).await;
    whatsapp.app.delete(ACCOUNT).by(&whatsapp.tenant).await.no_content();
    assert!(whatsapp.number("select count(*) from outbox where state = 'cancelled'").await > 0);
    assert_eq!(whatsapp.number("select count(*) from outbox where state = 'queued'").await, 0);
    assert_eq!(whatsapp.number("select count(*) from messages where error_code = 'account_deleted'").await, 1);
    whatsapp.app.post(RESTORE).by(&whatsapp.tenant).await.data(200);
    whatsapp.sql("update conversations set lease_token = null, lease_expires_at = null").await;
    whatsapp.models.reply_text("Oui.");
    whatsapp.deliver_text(1, "Et demain ?").await.json_body(200);
    let texts = whatsapp.wait_for_texts(1, 2).await;
    assert!(texts[1].starts_with("Oui."), "nothing old is sent before it: {texts:?}");
}

/// The status of the owner's subscription at the fake Stripe.
fn status(shop: &Shop) -> Value {
    shop.stripe.subscription_of(shop.owner.user_id).unwrap()["status"].clone()
}

#[tokio::test]
async fn the_subscription_is_cancelled_with_the_account_also_when_stripe_is_away_and_a_process_dies() {
    let shop = Shop::open(&[]).await;
    shop.send_events();
    shop.buy("pro").await;
    assert_eq!(status(&shop), "active");
    shop.app.delete(ACCOUNT).by(&shop.owner).await.no_content();
    shop.stripe.fail_route("DELETE /v1/subscriptions/", &[StripeFault::Refuse(500); 3]);
    maintain(&shop.app).await;
    assert_eq!((status(&shop), shop.app.number(OPEN_JOBS).await), (json!("active"), 1));
    shop.stripe.stop_failing();
    // The call takes effect, and the process ends before it has the answer.
    shop.stripe.fail_route("DELETE /v1/subscriptions/", &[StripeFault::HoldAnswer]);
    shop.app.sql(JOBS_DUE).await;
    let called = async {
        wait_until("it is cancelled", WAIT_TIMEOUT, async || (status(&shop) == "canceled").then_some(())).await;
    };
    tokio::select! { report = maintain(&shop.app) => panic!("{report}"), () = called => {} }
    let Shop { app, stripe, owner } = shop;
    let shop = Shop { app: app.restart().await, stripe, owner };
    shop.send_events();
    shop.stripe.stop_failing();
    shop.app.sql(JOBS_DUE).await;
    maintain(&shop.app).await;
    assert_eq!((status(&shop), shop.app.number(OPEN_JOBS).await), (json!("canceled"), 0));
    shop.app.post(RESTORE).by(&shop.owner).await.data(200);
    maintain(&shop.app).await;
    assert_eq!(status(&shop), "canceled", "a plan is bought again");
}

const OPEN_JOBS: &str = "select count(*) from jobs where kind = 'collection' and status = 'queued'";
const JOBS_DUE: &str = "update jobs set run_after = now() where kind = 'collection'";

#[tokio::test]
async fn a_subscription_that_is_paid_after_the_deletion_is_cancelled_too() {
    let shop = Shop::open(&[]).await;
    shop.send_events();
    shop.app.delete(ACCOUNT).by(&shop.owner).await.no_content();
    maintain(&shop.app).await;
    assert_eq!(shop.app.number(OPEN_JOBS).await, 0, "without a subscription there is nothing to cancel");
    // A checkout page that was open before the deletion is paid afterwards.
    shop.buy("pro").await;
    assert_eq!(status(&shop), "active");
    maintain(&shop.app).await;
    assert_eq!(status(&shop), "canceled");
}

#[tokio::test]
async fn a_restoration_before_the_cancellation_keeps_the_subscription() {
    let shop = Shop::open(&[]).await;
    shop.send_events();
    shop.buy("pro").await;
    shop.app.delete(ACCOUNT).by(&shop.owner).await.no_content();
    shop.app.post(RESTORE).by(&shop.owner).await.data(200);
    maintain(&shop.app).await;
    assert_eq!((status(&shop), shop.app.number(OPEN_JOBS).await), (json!("active"), 0));
}

#[tokio::test]
async fn a_document_that_was_waiting_is_read_after_the_restoration() {
    let app = App::start().await;
    let owner = app.sign_up("Comptoir Baobab").await;
    let pdf = small_pdf("The delivery takes three days.");
    let place = app.announce(&owner, "guide.pdf", pdf.len()).await;
    app.delete(ACCOUNT).by(&owner).await.no_content();
    app.put_file(&place, pdf).await;
    app.wait_for_empty_ingest_queue().await;
    app.sql("update jobs set run_after = now()").await;
    maintain(&app).await;
    app.wait_for_empty_ingest_queue().await;
    assert_eq!(app.number("select count(*) from document_chunks").await, 0, "nothing is read for a deleted company");
    app.post(RESTORE).by(&owner).await.data(200);
    app.sql("update jobs set run_after = now()").await;
    maintain(&app).await;
    assert_eq!(app.wait_for_end_state(&owner, place.document).await["status"], "processed");
}
