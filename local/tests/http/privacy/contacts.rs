//! `GET /api/v1/privacy/contacts/{conversation_id}/export` and `DELETE /api/v1/privacy/contacts/{conversation_id}`.

use serde_json::{Value, json};
use uuid::Uuid;

use super::super::support::{App, TenantUser, WAIT_TIMEOUT, WhatsAppFixture, wait_until};

fn path(conversation: Uuid) -> String {
    format!("/api/v1/privacy/contacts/{conversation}")
}

fn export_path(conversation: Uuid) -> String {
    format!("{}/export", path(conversation))
}

/// Fills everything that can belong to a contact: messages, an order, feedback, activities, the outbox, a closed question,
/// a kept answer, an unreadable body and a model's call.
async fn contact(app: &App, owner: &TenantUser, id: &str, name: &str) -> Uuid {
    let conversation = app.store_contact_message(owner, id, &format!("Je suis {name}, au 07 00 00 {id}")).await;
    let answer = app.store_bot_message(owner, conversation, &format!("Bonjour {name}")).await;
    let order = json!({
        "conversation_id": conversation, "customer_name": name,
        "items": [{ "name": "Savon", "quantity": 2, "unit_price": "500" }],
    });
    let key = format!("order-of-{id}");
    app.post("/api/v1/orders").by(owner).header("idempotency-key", key).json(&order).await.data(201);
    app.post(&format!("/api/v1/messages/{answer}/feedback"))
        .by(owner)
        .json(&json!({ "is_helpful": true, "comment": format!("bien répondu à {name}") }))
        .await
        .data(200);
    let tenant = owner.customer_id;
    app.sql(&format!(
        "insert into activities (company_id, conversation_id, type, title) values ('{tenant}', '{conversation}', 'test', '{name}');
         insert into outbox (message_id, part, customer_id, conversation_id, content)
             values ('{answer}', 0, '{tenant}', '{conversation}', 'Bonjour {name}');
         insert into closed_questions (message_id, customer_id)
             select id, customer_id from messages where conversation_id = '{conversation}' and direction = 'inbound';
         insert into unread_webhook_bodies (customer_id, reason, body, size_bytes)
             values ('{tenant}', 'malformed_json', convert_to('{{\"id\": {id}, \"text\": \"{name}', 'UTF8'), 30);
         insert into llm_calls (customer_id, conversation_id, purpose, provider, model, status)
             values ('{tenant}', '{conversation}', 'reply', 'groq', 'm', 'ok')"
    ))
    .await;
    conversation
}

/// The tables of the database that hold `text` anywhere.
async fn tables_with(app: &App, text: &str) -> Vec<String> {
    let mut db = app.admin_db().await;
    let tables: Vec<String> =
        sqlx::query_scalar("select tablename::text from pg_tables where schemaname = 'public' order by 1")
            .fetch_all(&mut db)
            .await
            .unwrap();
    let mut found = Vec::new();
    for table in tables {
        // Bytes are shown as hexadecimal digits in JSON.
        let hex: String = text.bytes().map(|byte| format!("{byte:02x}")).collect();
        let select = format!(
            "select exists (select from {table} t where strpos(to_jsonb(t)::text, '{text}') + strpos(to_jsonb(t)::text, '{hex}') > 0)"
        );
        if sqlx::query_scalar(sqlx::AssertSqlSafe(select)).fetch_one(&mut db).await.unwrap() {
            found.push(table);
        }
    }
    found
}

#[tokio::test]
async fn an_export_of_a_contact_has_all_that_belongs_to_it_and_nothing_of_another() {
    let app = App::start().await;
    let owner = app.sign_up("Comptoir Baobab").await;
    let support = app.sign_up_support(&owner).await;
    let awa = contact(&app, &owner, "132", "Awa Koné").await;
    contact(&app, &owner, "1320", "Koffi Yao").await;

    app.get(&export_path(awa)).by(&support).await.refused(403, "forbidden");
    let exported = app.get(&export_path(awa)).by(&owner).await.data(200);

    let conversation = &exported["conversation"];
    assert_eq!((&conversation["contact_id"], &conversation["user_phone"]), (&json!("132"), &json!("+2250700000132")));
    assert!(conversation.get("lease_token").is_none());
    let texts: Vec<_> = exported["messages"].as_array().unwrap().iter().map(|one| &one["content"]).collect();
    assert_eq!(texts, ["Je suis Awa Koné, au 07 00 00 132", "Bonjour Awa Koné"]);
    let one = |list: &str, field: &str| {
        let all = exported[list].as_array().unwrap();
        assert_eq!(all.len(), 1, "{list}: {all:?}");
        all[0][field].clone()
    };
    assert_eq!((one("orders", "customer_name"), one("orders", "total_amount")), (json!("Awa Koné"), json!(1000.0)));
    assert_eq!(one("feedback", "comment"), "bien répondu à Awa Koné");
    assert_eq!((one("outbox", "state"), one("outbox", "content")), (json!("queued"), Value::Null));
    assert_eq!(one("model_calls", "provider"), "groq");
    let titles: Vec<_> = exported["activities"].as_array().unwrap().iter().map(|one| &one["title"]).collect();
    assert_eq!(titles, ["A person of the company has made an order", "Awa Koné"]);
    one("closed_questions", "message_id");
    assert_eq!(exported["next"], Value::Null);
    assert!(!exported.to_string().contains("Koffi"));
    let actions = app.audit_actions(&owner).await;
    assert!(actions.contains(&format!("contact.exported conversation:{awa}")), "{actions:?}");
}

#[tokio::test]
async fn a_long_conversation_is_exported_in_several_answers_each_message_once() {
    let app = App::start().await;
    let owner = app.sign_up("Comptoir Baobab").await;
    let conversation = app.store_contact_message(&owner, "132", "Bonjour").await;
    app.sql(&format!(
        "insert into messages (customer_id, conversation_id, direction, author, content, created_at)
         select customer_id, id, 'inbound', 'contact', repeat('x', 9000) || n, now() + make_interval(secs => n / 2)
         from conversations, generate_series(1, 600) n where id = '{conversation}'"
    ))
    .await;
    let (mut after, mut seen, mut answers) = (String::new(), Vec::new(), 0);
    loop {
        let page = app.get(&format!("{}{after}", export_path(conversation))).by(&owner).await;
        assert!(page.text.len() < 6_000_000, "{}", page.text.len());
        let page = page.data(200);
        seen.extend(page["messages"].as_array().unwrap().iter().map(|one| one["id"].clone()));
        answers += 1;
        let Some(next) = page["next"].as_str() else { break };
        after = format!("?after={next}");
    }
    assert_eq!((seen.len(), answers), (601, 3));
    seen.sort_by_key(Value::to_string);
    seen.dedup();
    assert_eq!(seen.len(), 601, "none twice");
    for unknown in [Uuid::new_v4().to_string(), "eyJsaXN0IjoibWVzc2FnZXMiLCJhZnRlciI6bnVsbA".to_owned()] {
        let path = format!("{}?after={unknown}", export_path(conversation));
        app.get(&path).by(&owner).await.invalid_fields(&["after"]);
    }
}

#[tokio::test]
async fn a_busy_contact_is_exported_in_answers_of_a_bounded_size_each_row_once() {
    let app = App::start().await;
    let owner = app.sign_up("Comptoir Baobab").await;
    let conversation = app.store_contact_message(&owner, "132", "Bonjour").await;
    let others = app.store_contact_message(&owner, "133", "Bonsoir").await;
    // A year of a few answers a day: two parts and two calls of models for each. All at one moment, so that no time alone
    // says where an answer ends.
    app.sql(&format!(
        "insert into messages (customer_id, conversation_id, direction, author, content, created_at)
             select customer_id, id, 'outbound', 'bot', 'Réponse ' || n, date_trunc('day', now())
             from conversations, generate_series(1, 4000) n where id = '{conversation}';
         insert into outbox (message_id, part, customer_id, conversation_id, content, created_at)
             select id, part, customer_id, conversation_id, 'Partie', date_trunc('day', now())
             from messages, generate_series(0, 1) part where conversation_id = '{conversation}' and author = 'bot';
         insert into llm_calls (customer_id, conversation_id, purpose, provider, model, status, created_at)
             select customer_id, id, 'reply', 'groq', 'm', 'ok', date_trunc('day', now())
             from conversations, generate_series(1, 8000) where id = '{conversation}';
         insert into activities (company_id, conversation_id, type, title)
             select customer_id, id, 'test', case when id = '{others}' then 'other' else 'this' end
             from conversations, generate_series(1, 10)"
    ))
    .await;
    let (mut after, mut seen, mut answers) =
        (String::new(), std::collections::BTreeMap::<String, Vec<String>>::new(), 0);
    loop {
        let page = app.get(&format!("{}{after}", export_path(conversation))).by(&owner).await;
        assert!(page.text.len() < 6_000_000, "{}", page.text.len());
        let page = page.data(200);
        for (list, rows) in page.as_object().unwrap().iter().filter(|(_, rows)| rows.is_array()) {
            seen.entry(list.clone()).or_default().extend(rows.as_array().unwrap().iter().map(Value::to_string));
        }
        answers += 1;
        let Some(next) = page["next"].as_str() else { break };
        after = format!("?after={next}");
    }
    assert!(answers >= 3, "{answers}");
    let numbers: std::collections::BTreeMap<_, _> =
        seen.iter().map(|(list, rows)| (list.as_str(), rows.len())).collect();
    let expected = [
        ("activities", 10),
        ("closed_questions", 0),
        ("feedback", 0),
        ("messages", 4001),
        ("model_calls", 8000),
        ("orders", 0),
        ("outbox", 8000),
    ];
    assert_eq!(numbers, expected.into());
    for (list, mut rows) in seen {
        let number = rows.len();
        rows.sort_unstable();
        rows.dedup();
        assert_eq!(rows.len(), number, "none of {list} twice");
        assert!(rows.iter().all(|row| row.contains(&conversation.to_string()) && !row.contains("Partie")), "{list}");
    }
}

/// Gives a conversation so many further messages of the contact, each with its telephone number.
async fn add_messages(app: &App, conversation: Uuid, number: u32) {
    app.sql(&format!(
        "insert into messages (customer_id, conversation_id, direction, author, content, created_at)
         select customer_id, id, 'inbound', 'contact', 'Awa Koné ' || n, now() + make_interval(secs => n)
         from conversations, generate_series(1, {number}) n where id = '{conversation}'"
    ))
    .await;
}

#[tokio::test]
async fn a_busy_contact_is_deleted_in_several_transactions() {
    let app = App::start().await;
    let owner = app.sign_up("Comptoir Baobab").await;
    let awa = contact(&app, &owner, "132", "Awa Koné").await;
    let koffi = contact(&app, &owner, "1320", "Koffi Yao").await;
    add_messages(&app, awa, 2_500).await;
    let before = tables_with(&app, "Koffi Yao").await;
    app.sql(
        "create table transactions (id xid8); grant insert on transactions to public;
         create function note() returns trigger language plpgsql as
             'begin insert into transactions values (pg_current_xact_id()); return null; end';
         create trigger note after delete on messages for each statement execute function note()",
    )
    .await;

    app.delete(&path(awa)).by(&owner).await.no_content();

    assert_eq!(app.number("select count(distinct id::text) from transactions").await, 3, "1,000 messages each");
    assert_eq!(tables_with(&app, "Awa Koné").await, Vec::<String>::new());
    assert_eq!(tables_with(&app, "Koffi Yao").await, before);
    assert_eq!(app.number(&format!("select count(*) from messages where conversation_id = '{koffi}'")).await, 2);
    let details = "select details -> 'deleted' from audit_log where action = 'contact.deleted'";
    let deleted: Value = sqlx::query_scalar(details).fetch_one(&mut app.admin_db().await).await.unwrap();
    assert_eq!((&deleted["messages"], &deleted["outbox"]), (&json!(2502), &json!(1)));
}

#[tokio::test]
async fn a_deletion_that_is_interrupted_has_taken_the_contact_and_is_ended_by_a_repetition() {
    let whatsapp = WhatsAppFixture::start().await;
    let (app, tenant) = (&whatsapp.app, &whatsapp.tenant);
    let old = app.store_contact_message(tenant, "7", "Mon secret").await;
    add_messages(app, old, 1_500).await;
    app.sql(
        "create function fail() returns trigger language plpgsql as 'begin raise exception ''fault''; end';
         create trigger fail before delete on messages for each row when (old.content = 'Awa Koné 1200')
             execute function fail()",
    )
    .await;

    assert_eq!(app.delete(&path(old)).by(tenant).await.status, 500);

    assert_eq!(app.number("select count(*) from messages").await, 501);
    let named = "select count(*) from conversations where contact_id = '7' or user_phone is not null";
    assert_eq!(app.number(named).await, 0);
    // A message that comes now belongs to somebody new.
    whatsapp.deliver_text(7, "Vous livrez ?").await.json_body(200);
    whatsapp.wait_for_texts(7, 1).await;
    let new: Uuid = sqlx::query_scalar("select id from conversations where contact_id = '7'")
        .fetch_one(&mut app.admin_db().await)
        .await
        .unwrap();
    assert_ne!(new, old);
    app.sql("drop trigger fail on messages").await;

    app.delete(&path(old)).by(tenant).await.no_content();

    assert_eq!(app.number(&format!("select count(*) from messages where conversation_id <> '{new}'")).await, 0);
    assert_eq!(app.number("select count(*) from conversations").await, 1);
    let mut actions = app.audit_actions(tenant).await;
    actions.retain(|line| line.starts_with("contact."));
    let object = format!("conversation:{old}");
    assert_eq!(actions, [format!("contact.deletion_begun {object}"), format!("contact.deleted {object}")]);
}

#[tokio::test]
async fn a_deleted_contact_is_nowhere_and_the_others_and_the_bookings_stay() {
    let app = App::start().await;
    let owner = app.sign_up("Comptoir Baobab").await;
    let other = app.sign_up("Lumaworks").await;
    let awa = contact(&app, &owner, "132", "Awa Koné").await;
    contact(&app, &owner, "1320", "Koffi Yao").await;
    let foreign = contact(&app, &other, "132", "Aïssata Ba").await;
    let before = tables_with(&app, "Koffi Yao").await;
    assert_eq!(
        tables_with(&app, "Awa Koné").await,
        ["activities", "feedback", "idempotency_keys", "messages", "orders", "outbox", "unread_webhook_bodies"]
    );
    app.delete(&path(foreign)).by(&owner).await.refused(404, "not_found");
    app.get(&export_path(foreign)).by(&owner).await.refused(404, "not_found");

    app.delete(&path(awa)).by(&owner).await.no_content();

    assert_eq!(tables_with(&app, "Awa Koné").await, Vec::<String>::new());
    assert_eq!(tables_with(&app, "+2250700000132").await, ["conversations", "messages"], "the other company's contact");
    assert_eq!(tables_with(&app, "Koffi Yao").await, before);
    assert!(tables_with(&app, "Aïssata Ba").await.contains(&"messages".to_owned()));
    let orders = app.get("/api/v1/orders").by(&owner).await.data(200);
    let booked: Vec<_> =
        orders.as_array().unwrap().iter().map(|one| (&one["customer_name"], &one["total_amount"])).collect();
    assert_eq!(booked, [(&json!("Koffi Yao"), &json!("1000")), (&Value::Null, &json!("1000"))]);
    app.get(&export_path(awa)).by(&owner).await.refused(404, "not_found");
    app.delete(&path(awa)).by(&owner).await.refused(404, "not_found");
    let details = "select details -> 'deleted' from audit_log where action = 'contact.deleted'";
    let deleted: Value = sqlx::query_scalar(details).fetch_one(&mut app.admin_db().await).await.unwrap();
    let expected = json!({
        "messages": 2, "outbox": 1, "feedback": 1, "closed_questions": 1, "webhook_deliveries": 0, "activities": 2,
        "unread_webhook_bodies": 1, "idempotency_keys": 1, "orders_without_name": 1,
    });
    assert_eq!(deleted, expected);
    let gone = format!("select count(*) from changes where kind = 'conversation' and id = '{awa}' and is_deleted");
    assert_eq!(app.number(&gone).await, 1, "whoever shows conversations live is told");
}

#[tokio::test]
async fn a_message_that_arrives_during_the_deletion_begins_a_new_conversation() {
    let whatsapp = WhatsAppFixture::start().await;
    let (app, tenant) = (&whatsapp.app, &whatsapp.tenant);
    let old = app.store_contact_message(tenant, "7", "Mon secret").await;
    let mut hold = app.hold_statements("after delete on conversations for each statement").await;
    let deletion = app.delete(&path(old)).by(tenant).into_future();
    let arrival = async {
        hold.wait_for_held_statement().await;
        let delivery = whatsapp.deliver_text(7, "Vous livrez ?");
        let release = async {
            wait_until("the message waits for the row", WAIT_TIMEOUT, async || {
                let waiting = "select count(*) from pg_stat_activity where wait_event_type = 'Lock'
                    and query like '%receive_message%' and datname = current_database()";
                (app.number(waiting).await == 1).then_some(())
            })
            .await;
            hold.release().await;
        };
        tokio::join!(delivery, release).0
    };
    let (deleted, delivered) = tokio::join!(deletion, arrival);
    deleted.no_content();
    delivered.json_body(200);
    whatsapp.wait_for_texts(7, 1).await;
    let texts = "select count(*) from messages where conversation_id <> (select id from conversations)";
    assert_eq!(app.number(texts).await, 0);
    assert_eq!(app.number(&format!("select count(*) from conversations where id <> '{old}'")).await, 1);
    assert_eq!(tables_with(app, "Mon secret").await, Vec::<String>::new());
}

#[tokio::test]
async fn an_answer_that_the_worker_thinks_of_meanwhile_is_neither_stored_nor_sent() {
    let whatsapp = WhatsAppFixture::start().await;
    let (app, tenant) = (&whatsapp.app, &whatsapp.tenant);
    whatsapp.switch_to_live().await;
    whatsapp.models.hold();
    whatsapp.deliver_text(7, "Mon secret, vous livrez ?").await.json_body(200);
    whatsapp.models.wait_for_held_request().await;
    let conversation: Uuid =
        sqlx::query_scalar("select id from conversations").fetch_one(&mut app.admin_db().await).await.unwrap();

    app.delete(&path(conversation)).by(tenant).await.no_content();
    whatsapp.models.release();

    wait_until("the unit is returned", WAIT_TIMEOUT, async || {
        (whatsapp.number("select count(*) from reservations where state = 'returned'").await == 1).then_some(())
    })
    .await;
    whatsapp.wait_for_reply_jobs().await;
    assert_eq!(whatsapp.manychat.calls(), 0);
    let left =
        "select (select count(*) from conversations) + (select count(*) from messages) + (select count(*) from outbox)";
    assert_eq!(whatsapp.number(left).await, 0);
    let costs = "select count(*) from llm_calls where conversation_id is null";
    assert_eq!(whatsapp.number(costs).await, 1, "what it cost is written down, without the contact");
    assert_eq!(tables_with(app, "Mon secret").await, Vec::<String>::new());
    // The contact is a new one from here on.
    whatsapp.models.reply_text("Oui, à Abidjan.");
    whatsapp.deliver_text(7, "Vous livrez ?").await.json_body(200);
    let texts = whatsapp.wait_for_texts(7, 1).await;
    assert!(texts[0].contains("Abidjan"), "{texts:?}");
}

#[tokio::test]
async fn of_two_deletions_at_once_one_finds_nothing() {
    let app = App::start().await;
    let owner = app.sign_up("Comptoir Baobab").await;
    let awa = contact(&app, &owner, "132", "Awa Koné").await;
    let path = path(awa);
    let (one, two) =
        tokio::join!(app.delete(&path).by(&owner).into_future(), app.delete(&path).by(&owner).into_future());
    let mut statuses = [one.status, two.status];
    statuses.sort_unstable();
    assert_eq!(statuses, [204, 404]);
    assert_eq!(app.number("select count(*) from audit_log where action = 'contact.deleted'").await, 1);
}
