//! What goes wrong while a scan is read: workers that die, models that are away or decline, documents that go.

use std::time::{Duration, Instant};

use super::*;

const FOUR: [&str; 4] = ["The first page.", "The second page.", "The third page.", "The fourth page."];

fn scans(pages: usize) -> Vec<Sheet> {
    (0..pages).map(|_| Sheet::scan()).collect()
}

#[tokio::test]
async fn a_worker_that_is_killed_between_pages_is_followed_by_one_that_reads_the_others() {
    let scene = Scene::of("gemini", "GEMINI", &[], Some(3)).await;
    scene.replies(&FOUR);
    let mut hold = scene.app.hold("before insert on document_pages for each row when (new.page = 3)").await;
    let id = scene.upload(&scans(4)).await;
    hold.is_met().await;
    let halfway = scene.app.document(&scene.tenant, id).await;
    assert_eq!(
        (&halfway["status"], &halfway["pages_done"], &halfway["pages_total"]),
        (&json!("pending"), &json!(2), &json!(4))
    );
    assert_eq!(scene.server.calls(), 2);

    let scene = scene.restart().await;
    hold.release().await;

    assert_eq!(scene.ended(id).await["status"], "processed");
    assert_eq!(scene.server.calls(), 4, "no page is paid for twice");
    assert_eq!(scene.indexed(id).await.into_iter().map(|(_, text)| text).collect::<Vec<_>>(), FOUR);
    assert_eq!(scene.app.dead().await, 0);
}

#[tokio::test]
async fn a_page_whose_worker_died_over_it_is_read_when_its_claim_has_run_out() {
    let scene = Scene::of("gemini", "GEMINI", &[], Some(3)).await;
    scene.server.hold();
    let id = scene.upload(&scans(1)).await;
    scene.server.wait_for_held_request().await;

    let scene = scene.restart().await;
    scene.server.release();
    // The successor comes after three seconds, and waits for the claim.
    scene.app.queue_is_empty().await;
    assert_eq!(scene.app.document(&scene.tenant, id).await["status"], "pending");
    assert_eq!(scene.server.calls(), 1);
    scene.app.sql("update document_pages set claimed_until = now()").await;
    assert_eq!(scene.invoke(id).await, nothing_failed());

    assert_eq!(scene.app.document(&scene.tenant, id).await["status"], "processed");
    assert_eq!(scene.server.calls(), 2);
}

#[tokio::test]
async fn when_the_time_of_an_invocation_is_over_another_one_goes_on() {
    let scene = Scene::new(&[("SCANNED_PDF_TURN_S", "0")]).await;
    scene.replies(&FOUR);
    scene.app.lose_events().await;
    let id = scene.upload(&scans(3)).await;
    let mut hold = scene.app.hold("before insert on document_pages for each row when (new.page = 2)").await;

    assert_eq!(scene.invoke(id).await, nothing_failed());

    assert_eq!(scene.server.calls(), 1, "one page a turn");
    hold.is_met().await;
    hold.release().await;
    assert_eq!(scene.ended(id).await["status"], "processed");
    assert_eq!(scene.server.calls(), 3);
    scene.app.queue_is_empty().await;
    assert_eq!(scene.app.dead().await, 0);
}

#[tokio::test]
async fn two_workers_at_once_pay_for_each_page_once() {
    let scene = Scene::new(&[]).await;
    scene.app.lose_events().await;
    let id = scene.upload(&scans(2)).await;
    scene.server.hold();
    let other = async {
        scene.server.wait_for_held_request().await;
        // It leaves the page to the first one, and looks again later.
        let left = scene.invoke(id).await;
        scene.server.release();
        left
    };
    let (one, two) = tokio::join!(scene.invoke(id), other);
    assert_eq!([one, two], [nothing_failed(), nothing_failed()]);
    assert_eq!(scene.app.document(&scene.tenant, id).await["status"], "processed");
    assert_eq!(scene.server.calls(), 2);
}

#[tokio::test]
async fn a_worker_that_comes_back_too_late_leaves_the_claim_of_its_successor() {
    let scene = Scene::new(&[]).await;
    scene.app.lose_events().await;
    let id = scene.upload(&scans(1)).await;
    scene.server.always(FakeReply::Refused { status: 401, retry_after_s: None });
    scene.server.hold();
    let successor = async {
        scene.server.wait_for_held_request().await;
        scene
            .app
            .sql("update document_pages set attempts = attempts + 1, claimed_until = now() + interval '1 h'")
            .await;
        scene.server.release();
    };
    tokio::join!(scene.invoke(id), successor);
    assert_eq!(scene.app.number("select count(*) from document_pages where claimed_until > now()").await, 1);
    assert_eq!(scene.server.calls(), 1);
}

#[tokio::test]
async fn models_that_are_away_are_asked_again_and_in_the_end_the_owner_is_told() {
    let scene = Scene::new(&[]).await;
    scene.app.lose_events().await;
    scene.replies(&FOUR[..1]);
    scene.server.always(FakeReply::Refused { status: 503, retry_after_s: Some(0) });
    let id = scene.upload(&scans(2)).await;

    assert_eq!(scene.invoke(id).await, nothing_failed());
    assert_eq!(scene.app.document(&scene.tenant, id).await["status"], "pending");
    assert_eq!(scene.ledger().await, ["ok", "failed", "failed", "failed"]);
    // Of the waits between, which double, only the first one passes here.
    scene.app.sql("update document_pages set attempts = 9 where page = 2").await;
    scene.fails(id, "scan_failed").await;

    // The page that was read stays read.
    scene.server.always(FakeReply::Text(FOUR[1].to_owned()));
    let before = scene.server.calls();
    scene.retry(id).await;
    assert_eq!(scene.ended(id).await["status"], "processed");
    assert_eq!(scene.server.calls(), before + 1);
    assert_eq!(scene.indexed(id).await.len(), 2);
}

#[tokio::test]
async fn a_provider_that_asks_for_patience_gets_it() {
    let scene = Scene::new(&[]).await;
    scene.app.lose_events().await;
    let id = scene.upload(&scans(1)).await;
    scene.server.reply(FakeReply::Refused { status: 429, retry_after_s: Some(8) });
    let started = Instant::now();
    assert_eq!(scene.invoke(id).await, nothing_failed());
    assert_eq!(scene.ended(id).await["status"], "processed");
    assert!(started.elapsed() >= Duration::from_secs(8), "{:?}", started.elapsed());
    assert_eq!(scene.ledger().await, ["rate_limited", "ok"]);
}

#[tokio::test]
async fn a_page_that_nobody_survives_ends_its_document() {
    let scene = Scene::new(&[]).await;
    scene.app.lose_events().await;
    let id = scene.upload(&scans(1)).await;
    let claimed = "insert into document_pages (document_id, customer_id, page, attempts) \
                   select id, customer_id, 1, 10 from documents";
    scene.app.sql(claimed).await;
    assert_eq!(scene.invoke(id).await, nothing_failed());
    scene.fails(id, "scan_failed").await;
    assert_eq!(scene.server.calls(), 0);
    scene.retry(id).await;
    assert_eq!(scene.ended(id).await["status"], "processed");
}

#[tokio::test]
async fn an_empty_reply_is_asked_for_again_and_a_declined_page_is_not() {
    for (name, prefix) in [("gemini", "GEMINI"), ("anthropic", "ANTHROPIC"), ("openai", "OPENAI")] {
        let scene = Scene::of(name, prefix, &[], None).await;
        scene.server.reply(FakeReply::Empty);
        scene.server.reply_text(FOUR[0]);
        scene.server.reply(FakeReply::Blocked);
        scene.server.reply(FakeReply::Truncated("The third page breaks".to_owned()));
        let id = scene.learn(&scans(3)).await;
        assert_eq!(scene.ledger().await, ["empty", "ok", "blocked", "ok"], "{name}");
        let unread =
            format!("select count(*) from documents where id = '{id}' and metadata -> 'unread_pages' = '[2, 3]'");
        assert_eq!(scene.app.number(&unread).await, 1, "the document says which pages are missing");
        assert_eq!(scene.indexed(id).await.len(), 2);
    }
}

#[tokio::test]
async fn a_document_that_is_deleted_while_it_is_read_leaves_its_cost_and_nothing_else() {
    let scene = Scene::new(&[]).await;
    scene.server.hold();
    let id = scene.upload(&scans(2)).await;
    scene.server.wait_for_held_request().await;
    scene.app.delete(&format!("/api/v1/documents/{id}")).by(&scene.tenant).await.empty();
    scene.server.release();
    scene.app.queue_is_empty().await;
    assert_eq!(scene.ledger().await, ["ok"]);
    assert_eq!(scene.app.number("select count(*) from document_pages").await, 0);
    assert_eq!((scene.server.calls(), scene.app.dead().await), (1, 0));
}

#[tokio::test]
async fn a_page_that_cannot_be_drawn_is_left_out() {
    let scene = Scene::new(&[]).await;
    let mut pdf = String::from_utf8(sheets(&scans(2))).unwrap();
    // Pixels for 3.6 GB, of which four are there.
    pdf = pdf.replacen("/Width 1 /Height 4", "/Width 60000 /Height 60000", 1);
    let id = scene.app.learn(&scene.tenant, "bomb.pdf", pdf.into_bytes()).await;
    assert_eq!(scene.indexed(id).await.last().unwrap().0, 2);
}
