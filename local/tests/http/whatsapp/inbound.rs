//! Inbound messages: storage, acknowledgement, deduplication and refusals.

use std::fs;

use local_postgres::root;
use serde_json::{Value, json};

use super::super::support::{TenantUser, TestResponse, WhatsAppFixture, repository_file};

/// The texts of an acknowledgement, whose format is asserted.
fn acknowledgement_texts(block: &Value) -> Vec<&str> {
    assert_eq!((&block["version"], &block["content"]["type"]), (&json!("v2"), &json!("whatsapp")));
    assert_eq!((&block["content"]["actions"], &block["content"]["quick_replies"]), (&json!([]), &json!([])));
    let messages = block["content"]["messages"].as_array().unwrap();
    messages.iter().map(|message| message["text"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn a_burst_is_acknowledged_once_in_the_tenants_language() {
    let whatsapp = WhatsAppFixture::with_settings(&[("BURST_WINDOW_S", "20"), ("BURST_CAP_S", "60")]).await;
    assert_eq!(acknowledgement_texts(&whatsapp.deliver_text(1, "Bonjour").await.json_body(200)), ["OK, bien reçu"]);
    assert_eq!(acknowledgement_texts(&whatsapp.deliver_text(1, "Vous livrez ?").await.json_body(200)), [""; 0]);
    // Another contact has a burst of its own.
    whatsapp.sql("update company_rag_configs set language = 'en'").await;
    assert_eq!(acknowledgement_texts(&whatsapp.deliver_text(2, "Bonjour").await.json_body(200)), ["OK, got it"]);
}

#[tokio::test]
async fn a_message_that_the_bot_will_not_answer_is_not_acknowledged() {
    let whatsapp = WhatsAppFixture::with_settings(&[("BURST_WINDOW_S", "20"), ("BURST_CAP_S", "60")]).await;
    whatsapp.deliver_text(1, "Bonjour").await.json_body(200);
    whatsapp.sql("update messages set skipped_reason = 'failed'").await;
    for change in [
        "update conversations set handler = 'human', handover_until = now() + interval '1 hour'",
        "update conversations set handler = 'bot', handover_until = null, opted_out_at = now()",
    ] {
        whatsapp.sql(change).await;
        assert_eq!(
            acknowledgement_texts(&whatsapp.deliver_text(1, "Allô ?").await.json_body(200)),
            [""; 0],
            "{change}"
        );
        whatsapp.sql("update messages set skipped_reason = 'failed'").await;
    }
    assert_eq!(acknowledgement_texts(&whatsapp.deliver_text(2, "STOP").await.json_body(200)), [""; 0]);
}

#[tokio::test]
async fn a_repeated_delivery_changes_nothing() {
    let whatsapp = WhatsAppFixture::with_settings(&[("BURST_WINDOW_S", "20"), ("BURST_CAP_S", "60")]).await;
    let bodies = [
        json!({ "id": 1, "last_input_text": "oui", "message_id": "m1" }),
        json!({ "id": 1, "last_input_text": "oui", "last_interaction": "2026-11-21T09:00:00+00:00" }),
        // Without an id or a time, equal texts within ten seconds count as one message.
        json!({ "id": 1, "last_input_text": "non" }),
    ];
    for body in &bodies {
        let (first, second) = tokio::join!(whatsapp.deliver(body), whatsapp.deliver(body));
        assert_eq!((first.status, second.status), (200, 200));
        whatsapp.deliver(body).await.json_body(200);
    }
    assert_eq!(whatsapp.number("select count(*) from messages").await, 3);
    assert_eq!(whatsapp.number("select count(*) from conversations").await, 1);
    assert_eq!(whatsapp.number("select count(*) from jobs where kind = 'reply'").await, 1);
    // A message with an equal text and another id is a new message.
    whatsapp.deliver(&json!({ "id": 1, "last_input_text": "oui", "message_id": "m2" })).await.json_body(200);
    assert_eq!(whatsapp.number("select count(*) from messages").await, 4);
}

#[tokio::test]
async fn fixture_bodies_are_accepted_or_refused_with_a_code() {
    let whatsapp = WhatsAppFixture::with_settings(&[("BURST_WINDOW_S", "20"), ("BURST_CAP_S", "60")]).await;
    let mut taken = Vec::new();
    let folder = root().join("local/fixtures/manychat");
    let mut files: Vec<_> = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(files.len() >= 7);
    for file in &files {
        let answer = whatsapp.deliver(&serde_json::from_slice(&fs::read(file).unwrap()).unwrap()).await;
        let name = file.file_name().unwrap().to_str().unwrap();
        match answer.status {
            200 => taken.push(name.to_owned()),
            status => {
                assert_eq!(status, 422, "{name}: {}", answer.text);
                answer.invalid_fields(&["last_input_text"]);
            }
        }
    }
    assert_eq!(taken.len(), files.len() - 1, "only the placeholder is refused: {taken:?}");
    let sent = i64::try_from(taken.len()).unwrap();
    assert_eq!(whatsapp.number("select count(*) from messages").await, sent);
    // Bodies that are not valid JSON.
    let call = |body: &'static str| {
        let call = whatsapp.app.post("/api/v1/webhook/manychat").raw_json(body);
        call.header("x-webhook-secret", whatsapp.secret())
    };
    for body in ["{", "", "Bonjour", "<html>"] {
        call(body).await.refused(400, "malformed_json");
    }
    call("[]").await.invalid_fields(&["body"]);
    call("{\"last_input_text\": \"hi\"}").await.invalid_fields(&["id"]);
    let long = json!({ "id": 9, "last_input_text": "mot ".repeat(16_000) });
    whatsapp.deliver(&long).await.json_body(200);
    assert_eq!(whatsapp.number("select count(*) from messages").await, sent + 1);
    assert_eq!(whatsapp.number("select max(length(content)) from messages").await, 9_999);
}

#[tokio::test]
async fn wrong_secrets_are_limited_by_address_and_right_ones_by_tenant() {
    // The sign-up uses one call of the address.
    let whatsapp = WhatsAppFixture::with_settings(&[("RATE_LIMIT_ADDRESS", "4"), ("RATE_LIMIT_WEBHOOK", "2")]).await;
    let body = json!({ "id": 1, "last_input_text": "hi" });
    for _ in 0..3 {
        whatsapp.deliver_with_secret("whs_wrong", &body).await.refused(401, "invalid_webhook_secret");
    }
    whatsapp.deliver_with_secret("whs_wrong", &body).await.refused(429, "rate_limited");
    // Calls with the tenant's secret have a separate limit.
    for left in ["1", "0"] {
        let answer = whatsapp.deliver(&body).await;
        assert_eq!((answer.status, answer.header("ratelimit-remaining")), (200, left));
    }
    whatsapp.deliver(&body).await.refused(429, "rate_limited");
}

#[tokio::test]
async fn a_contact_of_two_companies_has_two_separate_conversations() {
    let whatsapp = WhatsAppFixture::start().await;
    let (neighbour, secret) = whatsapp.add_tenant().await;
    let both = "insert into bot_sessions (company_id, mode) select id, 'live' from customers";
    whatsapp.sql(both).await;
    whatsapp.models.reply_text("Le code est 4711.");
    whatsapp.deliver_text(7, "Quel est mon code secret ?").await.json_body(200);
    assert_eq!(whatsapp.wait_for_texts(7, 1).await.len(), 1);
    whatsapp.wait_for_reply_jobs().await;

    whatsapp.models.reply_text("Je ne le connais pas.");
    let body = json!({ "id": 7, "last_input_text": "Quel code vous ai-je donné ?", "message_id": "x" });
    whatsapp.deliver_with_secret(&secret, &body).await.json_body(200);
    let got = whatsapp.wait_for_texts(7, 2).await;
    assert!(got[1].contains("Chez Koffi") && got[1].contains("Je ne le connais pas."), "{got:?}");
    let asked = whatsapp.models.requests()[1].to_string();
    assert!(!asked.contains("4711") && !asked.contains("secret") && !asked.contains("Boutique Awa"), "{asked}");
    assert_eq!(whatsapp.manychat.sent().iter().map(|sent| sent.page.as_str()).collect::<Vec<_>>(), ["1001", "1002"]);
    // The next prompt of the first company contains that company's earlier messages.
    whatsapp.deliver_text(7, "Et maintenant ?").await.json_body(200);
    whatsapp.wait_for_texts(7, 3).await;
    assert!(whatsapp.models.requests()[2].to_string().contains("4711"));
    let theirs = format!("select count(*) from messages where customer_id = '{}'", neighbour.customer_id);
    assert_eq!(whatsapp.app.number(&theirs).await, 2);
}

/// The texts of a contact's messages, oldest first.
async fn stored_texts(whatsapp: &WhatsAppFixture, contact: &str) -> Vec<String> {
    let select = "select content from messages join conversations conversation on conversation.id = conversation_id
                  where contact_id = $1 and direction = 'inbound' order by messages.created_at, messages.id";
    sqlx::query_scalar(select).bind(contact).fetch_all(&mut whatsapp.app.admin_db().await).await.unwrap()
}

/// Posts a body as it stands, with the tenant's secret.
async fn deliver_raw(whatsapp: &WhatsAppFixture, body: impl Into<reqwest::Body>) -> TestResponse {
    let call = whatsapp.app.post("/api/v1/webhook/manychat").raw_json(body);
    call.header("x-webhook-secret", whatsapp.secret()).await
}

#[tokio::test]
async fn bodies_that_a_template_broke_are_stored_and_acknowledged() {
    let whatsapp = WhatsAppFixture::with_settings(&[("BURST_WINDOW_S", "20"), ("BURST_CAP_S", "60")]).await;
    let field = |name: &str| repository_file(format!("local/fixtures/field/manychat/{name}"));
    let latin1: Vec<u8> = b"{\"id\": 9, \"last_input_text\": \"Livrez-vous \xe0 Man ?\"}".to_vec();
    let deep = format!("{{\"custom\": {}{}, \"id\": 10, \"text\": \"prix ?\"}}", "[".repeat(200), "]".repeat(200));
    for (body, contact, expected) in [
        (field("body_newline.txt"), "1101", "Bonjour\nCombien coute la livraison a Abidjan ?"),
        (field("body_tab.txt"), "1102", "Abidjan\tprix ?"),
        (field("body_lone_surrogate.txt"), "1105", "Bonjour, livraison a Abidjan ?"),
        (
            br#"{"id": 2, "last_input_text": "il a dit "oui" hier", "name": "Awa"}"#.to_vec(),
            "2",
            "il a dit \"oui\" hier",
        ),
        (br#"{"id": 3, "last_input_text": "le dossier C:\prix\"}"#.to_vec(), "3", "le dossier C:\\prix\\"),
        (b"{\"id\": 4, \"last_input_text\": \"a\r\nb\x01\"}".to_vec(), "4", "a\nb"),
        (br#"{"id": 5, "last_input_text": "prix ?",}"#.to_vec(), "5", "prix ?"),
        (br#"{"id": 6, "name": "Awa "La Reine"", "last_input_text": "prix ?""#.to_vec(), "6", "prix ?"),
        (br#"{"id": 7, "last_input_text": "prix ?", "score": 1e400}"#.to_vec(), "7", "prix ?"),
        (br#"{"id": 8, "last_input_text": Bonjour, vous livrez ?}"#.to_vec(), "8", "Bonjour, vous livrez ?"),
        (latin1, "9", "Livrez-vous à Man ?"),
        (deep.into_bytes(), "10", "prix ?"),
    ] {
        let answer = deliver_raw(&whatsapp, body.clone()).await;
        let shown = String::from_utf8_lossy(&body).into_owned();
        assert_eq!(answer.status, 200, "{shown}: {}", answer.text);
        assert_eq!(acknowledgement_texts(&answer.json_body(200)), ["OK, bien reçu"], "{shown}");
        assert_eq!(stored_texts(&whatsapp, contact).await, [expected], "{shown}");
        // A repeated delivery is one message here, too.
        deliver_raw(&whatsapp, body).await.json_body(200);
        assert_eq!(stored_texts(&whatsapp, contact).await.len(), 1, "{shown}");
    }
    assert_eq!(whatsapp.app.activities(&whatsapp.tenant).await, ["webhook_body_repaired"], "told once a day");
    assert_eq!(whatsapp.number("select count(*) from unread_webhook_bodies").await, 0);
}

#[tokio::test]
async fn a_body_that_cannot_be_read_is_kept_and_the_company_is_told_once_a_day() {
    let whatsapp = WhatsAppFixture::start().await;
    let (other, _) = whatsapp.add_tenant().await;
    let long = format!("id=1&text={}", "x".repeat(100_000));
    for (body, status, code) in [
        ("id=1101&text=Bonjour", 400, "malformed_json"),
        (r#"{"last_input_text": "Bonjour"}"#, 422, "validation_failed"),
        (r#"{"id": "{{user_id}}", "last_input_text": "Bonjour"}"#, 422, "validation_failed"),
        (r#"{"id": 1, "last_input_text": "{{last_input_text}}"}"#, 422, "validation_failed"),
        (r#"{"id": 7, "last_input_text": "x", "id": 132}"#, 422, "validation_failed"),
        (long.as_str(), 400, "malformed_json"),
    ] {
        deliver_raw(&whatsapp, body.to_owned()).await.refused(status, code);
    }
    assert_eq!(whatsapp.number("select count(*) from messages").await, 0);
    // A wrong secret keeps nothing.
    let call = whatsapp.app.post("/api/v1/webhook/manychat").raw_json("x").header("x-webhook-secret", "whs_wrong");
    call.await.refused(401, "invalid_webhook_secret");

    let list = async |tenant: &TenantUser| whatsapp.app.get("/api/v1/unread-messages").by(tenant).await.json_body(200);
    let unread = list(&whatsapp.tenant).await;
    assert_eq!(unread["meta"]["total"], 6);
    let (newest, oldest) = (&unread["data"][0], &unread["data"][5]);
    assert_eq!((&newest["size_bytes"], newest["body"].as_str().unwrap().len()), (&json!(100_010), 16_384));
    assert_eq!((&oldest["reason"], &oldest["body"]), (&json!("malformed_json"), &json!("id=1101&text=Bonjour")));
    assert_eq!(list(&other).await["data"], json!([]), "another company sees none");
    assert_eq!(whatsapp.app.activities(&whatsapp.tenant).await, ["webhook_body_unread"]);
    let leaked = "select count(*) from activities where metadata::text like '%Bonjour%'";
    assert_eq!(whatsapp.number(leaked).await, 0);

    // The next day it is told again. The bodies are deleted after 30 days.
    whatsapp.sql("update tenant_notices set since = since - interval '1 day'").await;
    deliver_raw(&whatsapp, "x").await.refused(400, "malformed_json");
    assert_eq!(whatsapp.app.activities(&whatsapp.tenant).await, ["webhook_body_unread"; 2]);
    whatsapp
        .sql("update unread_webhook_bodies set created_at = created_at - interval '31 days' where size_bytes > 1")
        .await;
    whatsapp.app.stack.invoke("maintenance", json!({})).await.unwrap();
    assert_eq!(whatsapp.number("select count(*) from unread_webhook_bodies").await, 1);
}

#[tokio::test]
async fn a_flood_of_unreadable_bodies_keeps_a_bounded_number() {
    let whatsapp = WhatsAppFixture::start().await;
    let seeded = "insert into unread_webhook_bodies (customer_id, reason, body, size_bytes)
                  select '{tenant}', 'malformed_json', 'x', 1 from generate_series(1, 199)";
    whatsapp.sql(seeded).await;
    for _ in 0..3 {
        deliver_raw(&whatsapp, "x").await.refused(400, "malformed_json");
    }
    assert_eq!(whatsapp.number("select count(*) from unread_webhook_bodies").await, 200);
}

#[tokio::test]
async fn a_contact_that_breaks_bodies_does_not_crowd_out_the_others() {
    for template in [
        r#"{"last_input_text": "%s", "id": %d}"#,
        r#"{"id": %d, "last_input_text": "%s"}"#,
        r#"{"last_input_text": "%s", "id": "%d", "last_interaction": "2026-11-28T09:00:00Z"}"#,
    ] {
        let whatsapp = WhatsAppFixture::start().await;
        let deliver = async |contact: u64, text: String| {
            let body = template.replace("%s", &text).replace("%d", &contact.to_string());
            deliver_raw(&whatsapp, body).await.refused(422, "validation_failed");
        };
        // Each names another contact, and one that no text is right about.
        for number in 0..30 {
            deliver(6001, format!("x\", \"id\": {}, \"y\": {{\"z\": \"", 7000 + number)).await;
        }
        assert_eq!(whatsapp.number("select count(*) from unread_webhook_bodies").await, 20, "{template}");
        // A contact that was named keeps its own share, and so does any other.
        for contact in [7000, 8000] {
            deliver(contact, "a\", \"id\": 1, \"y\": {\"z\": \"".to_owned()).await;
        }
        assert_eq!(whatsapp.number("select count(*) from unread_webhook_bodies").await, 22, "{template}");
        // The room for bodies without a contact is used up; that of contacts is not.
        let seeded = "insert into unread_webhook_bodies (customer_id, reason, body, size_bytes)
                      select '{tenant}', 'malformed_json', 'x', 1 from generate_series(1, 200)";
        whatsapp.sql(seeded).await;
        deliver_raw(&whatsapp, "x").await.refused(400, "malformed_json");
        deliver(8000, "b\", \"id\": 1, \"y\": {\"z\": \"".to_owned()).await;
        assert_eq!(whatsapp.number("select count(*) from unread_webhook_bodies").await, 223, "{template}");
    }
}

#[tokio::test]
async fn a_contact_cannot_pose_as_another_one_by_its_text() {
    let whatsapp = WhatsAppFixture::start().await;
    whatsapp.deliver_text(5001, "Bonjour").await.json_body(200);
    whatsapp.wait_for_reply_jobs().await;
    let before = whatsapp.number("select count(*) from messages").await;
    for (body, field) in [
        (r#"{"last_input_text": "x", "id": 5001, "last_input_text": "STOP", "y": {"z": "", "id": 6001}"#, "body"),
        (r#"{"last_input_text": "x", "id": 5001, "y": 'z', "id": 6001}"#, "id"),
        (r#"{"last_input_text": "x", "id": 5001, "y": {"z": "", "id": 6001}}"#, "id"),
        (r#"{"last_input_text": "x", "contact_id": 5001, "y": [{"z": "", "id": 6001}"#, "body"),
        (r#"{"last_input_text": "x", "id": 5001, "y": “", "id": 6001}"#, "id"),
        (r#"{"last_input_text": "x", "id": 5001} {"z":"", "id": 6001}"#, "id"),
        (r#"{"id": 5001, "last_input_text": "STOP", "last_input_text": "x"}"#, "last_input_text"),
        (r#"{"id": "null", "last_input_text": "x"}"#, "id"),
        (r#"{"id": "{{contact.id}}", "last_input_text": "x"}"#, "id"),
    ] {
        deliver_raw(&whatsapp, body.to_owned()).await.invalid_fields(&[field]);
    }
    assert_eq!(whatsapp.number("select count(*) from messages").await, before);
    assert_eq!(whatsapp.number("select count(*) from conversations").await, 1);
    assert_eq!(whatsapp.conversation_column(5001, "opted_out_at").await, None);
    assert_eq!(whatsapp.number("select count(*) from unread_webhook_bodies").await, 9);
    assert_eq!(whatsapp.app.activities(&whatsapp.tenant).await, ["webhook_body_unread"]);
}

#[tokio::test]
async fn a_constant_message_id_does_not_swallow_a_second_yes() {
    let whatsapp = WhatsAppFixture::with_settings(&[("BURST_WINDOW_S", "20"), ("BURST_CAP_S", "60")]).await;
    let age = "update messages set created_at = created_at - interval '1 minute'";
    let post = async |contact: u64, text: &str, at: Option<&str>| {
        let body = json!({ "id": contact, "message_id": "msg", "last_input_text": text, "last_interaction": at });
        whatsapp.deliver(&body).await.json_body(200);
    };
    // A later time of interaction is another message; the same body is a repetition.
    post(1, "oui", Some("2026-11-28T09:00:00Z")).await;
    post(1, "oui", Some("2026-11-28T09:00:00Z")).await;
    post(1, "oui", Some("2026-11-28T09:01:00Z")).await;
    assert_eq!(stored_texts(&whatsapp, "1").await, ["oui"; 2]);
    // Without a time, an id that another text had is no id: a repetition comes within ten seconds.
    post(2, "Je prends deux sacs", None).await;
    post(2, "oui", None).await;
    post(2, "oui", None).await;
    whatsapp.sql(age).await;
    post(2, "oui", None).await;
    post(2, "oui", None).await;
    assert_eq!(stored_texts(&whatsapp, "2").await, ["Je prends deux sacs", "oui", "oui"]);
    // An id that no other message has identifies it, however late the repetition comes.
    let real = json!({ "id": 3, "message_id": "wamid.1", "last_input_text": "oui" });
    whatsapp.deliver(&real).await.json_body(200);
    whatsapp.sql(age).await;
    whatsapp.deliver(&real).await.json_body(200);
    assert_eq!(stored_texts(&whatsapp, "3").await, ["oui"]);
}

#[tokio::test]
async fn phone_numbers_are_found_in_every_form_and_do_not_merge_contacts() {
    let whatsapp = WhatsAppFixture::with_settings(&[("BURST_WINDOW_S", "20"), ("BURST_CAP_S", "60")]).await;
    let cases = String::from_utf8(repository_file("local/fixtures/field/manychat/phones.jsonl")).unwrap();
    for (number, case) in cases.lines().enumerate() {
        let case: Value = serde_json::from_str(case).unwrap();
        // Two contacts share the number: WhatsApp's id of a user has no meaning, and a number may change its owner.
        let ids = [format!("CI.{number}{}", "z".repeat(127)), (9_007_199_254_740_993 + number).to_string()];
        for id in &ids {
            let body = json!({ "id": id, "whatsapp_phone": case["whatsapp_phone"], "last_input_text": "Bonjour" });
            whatsapp.deliver(&body).await.json_body(200);
        }
        for form in case["found_by"].as_array().unwrap() {
            let form: String = url::form_urlencoded::byte_serialize(form.as_str().unwrap().as_bytes()).collect();
            for path in ["conversations", "messages"] {
                let listed = whatsapp.app.get(&format!("/api/v1/{path}?user_phone={form}")).by(&whatsapp.tenant).await;
                assert_eq!(listed.json_body(200)["meta"]["total"], 2, "{path} {form}");
            }
        }
        let kept = format!("select count(*) from conversations where contact_id in ('{}', '{}')", ids[0], ids[1]);
        assert_eq!(whatsapp.number(&kept).await, 2);
    }
    let forms = "select count(*) from conversations where user_phone !~ '^[+]225[0-9]{10}$'";
    assert_eq!(whatsapp.number(forms).await, 0, "one form");
    // 161 characters are too many.
    whatsapp.deliver(&json!({ "id": "z".repeat(161), "last_input_text": "x" })).await.invalid_fields(&["id"]);
}
