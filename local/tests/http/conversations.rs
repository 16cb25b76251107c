//! Conversations and messages: the routes for the owner and the support users of a company.

use futures::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};
use uuid::Uuid;

use super::support::{App, TenantUser, TestRequest, create_queue};

const CONVERSATIONS: &str = "/api/v1/conversations";
const MESSAGES: &str = "/api/v1/messages";
const WAITING_COUNT: &str = "/api/v1/conversations/waiting-count";

/// A product without a reply worker, so that messages in the reply queue stay there, and one company.
struct InboxFixture {
    app: App,
    queue: String,
    owner: TenantUser,
    support: TenantUser,
}

impl InboxFixture {
    async fn start() -> Self {
        let queue = create_queue().await;
        let app = App::with_settings(&[("REPLY_QUEUE_URL", &queue)]).await;
        let owner = app.sign_up("Comptoir Baobab").await;
        let support = app.sign_up_support(&owner).await;
        Self { app, queue, owner, support }
    }

    /// Stores a message of a contact and returns the conversation's id.
    async fn receive(&self, contact: &str, text: &str) -> Uuid {
        self.app.store_contact_message(&self.owner, contact, text).await
    }

    /// A request of the support user to `POST /api/v1/conversations/{conversation}/{what}`.
    fn call(&self, conversation: Uuid, what: &str) -> TestRequest {
        self.app.post(&format!("{CONVERSATIONS}/{conversation}/{what}")).by(&self.support)
    }

    fn reply(&self, conversation: Uuid, text: &str) -> TestRequest {
        self.call(conversation, "reply").json(&json!({ "text": text }))
    }

    async fn messages(&self, query: &str) -> Vec<Value> {
        let list = self.app.get(&format!("{MESSAGES}?{query}")).by(&self.owner).await.data(200);
        list.as_array().unwrap().clone()
    }

    async fn conversation(&self, id: Uuid) -> Value {
        let list = self.app.get(CONVERSATIONS).by(&self.owner).await.data(200);
        let found = list.as_array().unwrap().iter().find(|one| one["id"] == json!(id));
        found.unwrap().clone()
    }

    /// The queue message about a conversation's reply job.
    fn reply_message(&self, conversation: Uuid) -> Value {
        json!({ "customer_id": self.owner.customer_id, "conversation_id": conversation })
    }

    async fn count(&self, table: &str) -> i64 {
        self.app.number(&format!("select count(*) from {table}")).await
    }
}

fn texts(messages: &[Value]) -> Vec<&str> {
    messages.iter().map(|message| message["content"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn conversations_are_listed_with_their_unanswered_messages() {
    let company = InboxFixture::start().await;
    let first = company.receive("132", "Bonjour").await;
    let second = company.receive("133", "Combien coûte la livraison ?").await;
    company.receive("132", "Vous êtes là ?").await;
    company.call(second, "takeover").await.data(200);
    let list = async |query: &str| company.app.get(&format!("{CONVERSATIONS}?{query}")).by(&company.support).await;

    let all = list("").await.json_body(200);
    assert_eq!(all["meta"]["total"], 2);
    let expected = json!({
        "id": first, "channel": "whatsapp", "contact_id": "132", "user_phone": "+2250700000132", "display_name": "Awa",
        "language": "fr", "handler": "bot", "handover_reason": null, "handover_until": null, "opted_out_at": null,
        "last_message_at": all["data"][0]["last_message_at"], "last_message": "Vous êtes là ?", "unanswered": 2,
        "waiting_reason": null, "handled_by": null,
        "created_at": all["data"][0]["created_at"],
    });
    assert_eq!(all["data"][0], expected);
    for (status, expected) in [("bot", first), ("human", second)] {
        let some = list(&format!("status={status}")).await.data(200);
        assert_eq!((some.as_array().unwrap().len(), &some[0]["id"]), (1, &json!(expected)));
    }
    let page = list("limit=1").await.json_body(200);
    let cursor = page["meta"]["next_cursor"].as_str().unwrap();
    assert_eq!(list(&format!("cursor={cursor}")).await.data(200)[0]["id"], json!(second));
    for (query, field) in [("status=robot", "status"), ("sort=contact_id", "sort"), ("limit=0", "limit")] {
        list(query).await.invalid_fields(&[field]);
    }
    let other = company.app.sign_up("Chez Koffi").await;
    assert_eq!(company.app.get(CONVERSATIONS).by(&other).await.data(200), json!([]));
}

#[tokio::test]
async fn messages_are_found_by_conversation_and_by_phone_number() {
    let company = InboxFixture::start().await;
    let first = company.receive("132", "Bonjour").await;
    company.receive("133", "Bonsoir").await;
    company.app.store_bot_message(&company.owner, first, "Bienvenue").await;

    assert_eq!(texts(&company.messages("").await), ["Bienvenue", "Bonsoir", "Bonjour"]);
    assert_eq!(texts(&company.messages("sort=created_at&limit=1").await), ["Bonjour"]);
    assert_eq!(texts(&company.messages(&format!("conversation_id={first}")).await), ["Bienvenue", "Bonjour"]);
    // An unencoded plus sign arrives as a space.
    for phone in ["%2B2250700000133", "+2250700000133", "2250700000133"] {
        assert_eq!(texts(&company.messages(&format!("user_phone={phone}")).await), ["Bonsoir"], "{phone}");
    }
    assert_eq!(texts(&company.messages("user_phone=%2B33612345678").await), [""; 0]);
    for (query, field) in
        [("conversation_id=x", "conversation_id"), ("user_phone=%00", "user_phone"), ("page=0", "page")]
    {
        company.app.get(&format!("{MESSAGES}?{query}")).by(&company.owner).await.invalid_fields(&[field]);
    }
    for query in [format!("conversation_id={first}"), "user_phone=%2B2250700000132".to_owned()] {
        let listed = company.app.get(&format!("{CONVERSATIONS}?{query}")).by(&company.owner).await.json_body(200);
        assert_eq!((&listed["data"][0]["id"], &listed["meta"]["total"]), (&json!(first), &json!(1)), "{query}");
    }
    let other = company.app.sign_up("Chez Koffi").await;
    for query in [String::new(), format!("conversation_id={first}"), "user_phone=2250700000133".to_owned()] {
        assert_eq!(company.app.get(&format!("{CONVERSATIONS}?{query}")).by(&other).await.data(200), json!([]));
        assert_eq!(company.app.get(&format!("{MESSAGES}?{query}")).by(&other).await.data(200), json!([]));
    }
}

#[tokio::test]
async fn conversations_are_searched_and_filtered_by_waiting_messages() {
    let company = InboxFixture::start().await;
    let first = company.receive("132", "Bonjour").await;
    let second = company.receive("133", "Bonsoir").await;
    let third = company.receive("134", "Salut").await;
    for (conversation, name) in [(first, "Awa Koné"), (second, "Œuvres & Cie 100%"), (third, "KOUAMÉ_Aya")] {
        company.app.sql(&format!("update conversations set display_name = '{name}' where id = '{conversation}'")).await;
    }
    let find = async |parameters: &[(&str, &str)]| {
        let query = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(parameters).finish();
        let list = company.app.get(&format!("{CONVERSATIONS}?{query}")).by(&company.support).await.json_body(200);
        let ids = list["data"].as_array().unwrap().iter().map(|one| one["id"].as_str().unwrap().parse().unwrap());
        assert_eq!(list["meta"]["total"], list["data"].as_array().unwrap().len(), "{query}");
        ids.collect::<Vec<Uuid>>()
    };
    for (search, expected) in [
        ("awa kone", &[first][..]),
        ("KONÉ", &[first]),
        ("oeuvres", &[second]),
        // Neither sign stands for other letters.
        ("100%", &[second]),
        ("%", &[second]),
        ("_", &[third]),
        ("a", &[third, first]),
        ("0000133", &[second]),
        ("+225 07 00 00 01 33", &[second]),
        ("nobody", &[]),
    ] {
        assert_eq!(find(&[("search", search)]).await, expected, "{search}");
    }

    assert_eq!(find(&[("unanswered", "true")]).await, [third, second, first]);
    company.call(first, "takeover").await.data(200);
    company.reply(first, "Bonjour Awa").await.data(201);
    company.app.sql(&format!("update messages set skipped_reason = 'quota' where conversation_id = '{second}'")).await;
    assert_eq!(find(&[("unanswered", "true")]).await, [third, second]);
    assert_eq!(find(&[("unanswered", "false")]).await, [first]);
    assert_eq!(find(&[("unanswered", "true"), ("search", "aya")]).await, [third]);
    let refused = [("search=", "search"), ("search=%20", "search"), ("unanswered=perhaps", "unanswered")];
    for (query, field) in refused {
        let answer = company.app.get(&format!("{CONVERSATIONS}?{query}")).by(&company.support).await;
        answer.invalid_fields(&[field]);
    }
}

/// The ids of the conversations that a list with this query shows to the support user, in its order.
async fn listed_ids(company: &InboxFixture, query: &str) -> Vec<Uuid> {
    let list = company.app.get(&format!("{CONVERSATIONS}?{query}")).by(&company.support).await.json_body(200);
    assert_eq!(list["meta"]["total"], list["data"].as_array().unwrap().len(), "{query}");
    list["data"].as_array().unwrap().iter().map(|one| one["id"].as_str().unwrap().parse().unwrap()).collect()
}

#[tokio::test]
async fn a_conversation_waits_from_the_handover_until_a_person_answers_and_when_the_contact_writes_again() {
    let company = InboxFixture::start().await;
    let count = async || company.app.get(WAITING_COUNT).by(&company.support).await.data(200);
    let change = async |id: Uuid, change: &str| {
        company.app.sql(&format!("update conversations set {change} where id = '{id}'")).await;
    };
    let with_bot = company.receive("131", "Bonjour").await;
    let handed_over = company.receive("132", "Je veux un conseiller").await;
    let taken = company.receive("133", "Bonsoir").await;
    assert_eq!(count().await, json!({ "count": 0, "has_more": false }));
    assert_eq!(listed_ids(&company, "waiting=true").await, Vec::<Uuid>::new());

    // The notice of a handover answers the message that asked for it.
    change(handed_over, "handler = 'human', handover_reason = 'keyword', handover_until = now() + interval '1 hour'")
        .await;
    company
        .app
        .sql(&format!("update messages set skipped_reason = 'courtesy' where conversation_id = '{handed_over}'"))
        .await;
    company.call(taken, "takeover").await.data(200);
    assert_eq!(
        listed_ids(&company, "waiting=true").await,
        [taken, handed_over],
        "nobody has answered the one that was taken"
    );
    assert_eq!(listed_ids(&company, "waiting=false").await, [with_bot]);
    assert_eq!(listed_ids(&company, "waiting=true&search=0000132").await, [handed_over]);
    assert_eq!(count().await, json!({ "count": 2, "has_more": false }));

    company.reply(taken, "Bonsoir !").await.data(201);
    assert_eq!(listed_ids(&company, "waiting=true").await, [handed_over]);
    // A handover that nobody took waits also after its time; a takeover that has ended leaves what comes to the bot.
    change(handed_over, "handover_until = now() - interval '1 hour'").await;
    company.receive("133", "Vous êtes là ?").await;
    assert_eq!(listed_ids(&company, "waiting=true").await, [taken, handed_over]);
    change(taken, "handover_until = now() - interval '1 second'").await;
    assert_eq!(listed_ids(&company, "waiting=true").await, [handed_over]);
    assert_eq!(count().await, json!({ "count": 1, "has_more": false }));

    company.call(handed_over, "release").await.data(200);
    assert_eq!(count().await, json!({ "count": 0, "has_more": false }));
    let refused = company.app.get(&format!("{CONVERSATIONS}?waiting=perhaps")).by(&company.support).await;
    refused.invalid_fields(&["waiting"]);
}

#[tokio::test]
async fn the_count_of_what_waits_ends_at_99_and_is_the_companys_own() {
    let company = InboxFixture::start().await;
    let other = company.app.sign_up("Chez Koffi").await;
    let wait = |first: u32, last: u32| {
        format!(
            "insert into conversations (customer_id, contact_id, handler, handover_reason, handover_until)
             select '{}', n::text, 'human', 'model', now() from generate_series({first}, {last}) n",
            company.owner.customer_id
        )
    };
    let count = async || company.app.get(WAITING_COUNT).by(&company.owner).await.data(200);
    company.app.sql(&wait(1, 99)).await;
    assert_eq!(count().await, json!({ "count": 99, "has_more": false }));
    company.app.sql(&wait(100, 140)).await;
    assert_eq!(count().await, json!({ "count": 99, "has_more": true }));

    assert_eq!(company.app.get(WAITING_COUNT).by(&other).await.data(200), json!({ "count": 0, "has_more": false }));
    let theirs = company.app.get(&format!("{CONVERSATIONS}?waiting=true")).by(&other).await;
    assert_eq!(theirs.data(200), json!([]));
    company.app.get(WAITING_COUNT).await.refused(401, "unauthorized");
}

#[tokio::test]
async fn a_conversation_names_the_member_who_has_it() {
    let company = InboxFixture::start().await;
    let id = company.receive("132", "Bonjour").await;
    let path = format!("{CONVERSATIONS}?conversation_id={id}");
    let handled_by = async || company.app.get(&path).by(&company.owner).await.data(200)[0]["handled_by"].clone();
    assert_eq!(handled_by().await, Value::Null);

    let taken = company.call(id, "takeover").await.data(200);
    let support = json!({ "id": company.support.user_id, "name": company.support.email });
    assert_eq!((&taken["handled_by"], handled_by().await), (&support, support.clone()));

    let name = json!({ "full_name": "Awa Koné" });
    company.app.call(Method::PATCH, "/api/v1/profiles/me").by(&company.owner).json(&name).await.data(200);
    let reply = company.app.post(&format!("{CONVERSATIONS}/{id}/reply")).by(&company.owner);
    reply.json(&json!({ "text": "Bonjour" })).await.data(201);
    assert_eq!(handled_by().await, json!({ "id": company.owner.user_id, "name": "Awa Koné" }), "who writes has it");

    company.call(id, "takeover").await.data(200);
    let member = format!("/api/v1/customers/me/members/{}", company.support.user_id);
    company.app.delete(&member).by(&company.owner).await.no_content();
    assert_eq!(handled_by().await, json!({ "id": company.support.user_id, "name": null }), "who has left has no name");

    let release = company.app.post(&format!("{CONVERSATIONS}/{id}/release")).by(&company.owner);
    assert_eq!(release.await.data(200)["handled_by"], Value::Null);
    let stored = "select count(*) from conversations where handled_by is not null";
    assert_eq!(company.app.number(stored).await, 0);
}

#[tokio::test]
async fn messages_show_the_feedback_of_the_caller_and_of_nobody_else() {
    let company = InboxFixture::start().await;
    let id = company.receive("132", "Bonjour").await;
    let rated = company.app.store_bot_message(&company.owner, id, "La livraison est gratuite.").await;
    let unrated = company.app.store_bot_message(&company.owner, id, "Bienvenue").await;
    let opinion = json!({ "is_helpful": false, "comment": "Elle coûte 1 500 F CFA." });
    let feedback = company.app.post(&format!("{MESSAGES}/{rated}/feedback")).by(&company.support);
    feedback.json(&opinion).await.data(200);
    let own_feedback = async |reader: &TenantUser| {
        let list = company.app.get(&format!("{MESSAGES}?conversation_id={id}")).by(reader).await.data(200);
        let list = list.as_array().unwrap().clone();
        let of = |message: Uuid| list.iter().find(|one| one["id"] == json!(message)).unwrap()["own_feedback"].clone();
        [of(rated), of(unrated)]
    };
    assert_eq!(own_feedback(&company.support).await, [opinion, Value::Null]);
    assert_eq!(own_feedback(&company.owner).await, [Value::Null, Value::Null]);
    let other = company.app.sign_up("Chez Koffi").await;
    assert_eq!(company.app.get(MESSAGES).by(&other).await.data(200), json!([]));
}

#[tokio::test]
async fn reads_by_a_support_user_are_logged_without_the_content() {
    let company = InboxFixture::start().await;
    let conversation = company.receive("132", "Bonjour").await;
    let by_conversation = format!("{MESSAGES}?conversation_id={conversation}");
    for path in [CONVERSATIONS, MESSAGES, &by_conversation] {
        company.app.get(path).by(&company.owner).await.data(200);
        company.app.get(path).by(&company.support).await.data(200);
    }
    company.app.get("/api/v1/messages?page=0").by(&company.support).await.invalid_fields(&["page"]);

    let tenant = company.owner.customer_id;
    let expected = [
        format!("conversations.read tenant:{tenant}"),
        format!("messages.read tenant:{tenant}"),
        format!("messages.read conversation:{conversation}"),
    ];
    assert_eq!(company.app.audit_actions(&company.owner).await, expected);
    let leaked = "select count(*) from audit_log where details::text ~ 'Bonjour|132'";
    assert_eq!(company.app.number(leaked).await, 0);
}

#[tokio::test]
async fn a_support_user_reads_nothing_when_the_audit_entry_cannot_be_written() {
    let company = InboxFixture::start().await;
    company.receive("132", "Bonjour").await;
    let revoke = "revoke execute on function app.audit_own(uuid, text, text, text, jsonb) from lisa_tenant";
    company.app.sql(revoke).await;
    for path in [CONVERSATIONS, MESSAGES] {
        company.app.get(path).by(&company.support).await.refused(500, "internal");
        company.app.get(path).by(&company.owner).await.data(200);
    }
}

#[tokio::test]
async fn concurrent_takeovers_of_a_conversation_record_one_activity() {
    let company = InboxFixture::start().await;
    let id = company.receive("132", "Je voudrais parler à quelqu'un").await;

    let answers = join_all((0..8).map(|_| async { company.call(id, "takeover").await.data(200) })).await;

    assert!(answers.iter().all(|one| one["handler"] == "human" && one["handover_reason"] == "person"), "{answers:?}");
    assert_eq!(company.app.activities(&company.owner).await, ["conversation_taken_over"]);
    let minutes = "select extract(epoch from handover_until - now()) / 60 from conversations";
    assert!((235..=240).contains(&company.app.number(minutes).await), "as long as configured");
    assert_eq!(company.app.drain_queue(&company.queue).await, [Value::Null; 0], "there is nothing to do");
}

#[tokio::test]
async fn a_repeated_takeover_restarts_the_handover_time_without_a_new_activity() {
    let company = InboxFixture::start().await;
    let id = company.receive("132", "Bonjour").await;
    company.call(id, "takeover").await.data(200);
    company.app.sql("update conversations set handover_until = now() + interval '1 minute'").await;

    company.call(id, "takeover").await.data(200);

    let minutes = "select extract(epoch from handover_until - now()) / 60 from conversations";
    assert!(company.app.number(minutes).await > 200);
    assert_eq!(company.app.activities(&company.owner).await, ["conversation_taken_over"]);
    // A takeover is new when the bot had handed over the conversation, and when the earlier handover has expired.
    for change in ["handover_reason = 'keyword'", "handover_until = now() - interval '1 second'"] {
        company.app.sql(&format!("update conversations set {change}")).await;
        company.call(id, "takeover").await.data(200);
    }
    assert_eq!(company.app.activities(&company.owner).await, ["conversation_taken_over"; 3]);
}

#[tokio::test]
async fn releasing_a_conversation_queues_a_reply_job_at_once() {
    let company = InboxFixture::start().await;
    let id = company.receive("132", "Bonjour").await;
    company.call(id, "takeover").await.data(200);
    company.app.sql("update jobs set status = 'done'").await;

    let conversation = company.call(id, "release").await.data(200);

    assert_eq!((&conversation["handler"], &conversation["handover_until"]), (&json!("bot"), &Value::Null));
    assert_eq!(conversation["unanswered"], 1);
    assert_eq!(company.count("jobs where kind = 'reply' and status = 'queued'").await, 1);
    assert_eq!(company.app.drain_queue(&company.queue).await, [company.reply_message(id)]);

    let answers = join_all((0..4).map(|_| async { company.call(id, "release").await.data(200) })).await;
    assert!(answers.iter().all(|one| *one == conversation), "calling it again changes nothing: {answers:?}");
    assert_eq!(company.app.drain_queue(&company.queue).await, [Value::Null; 0]);
    assert_eq!(company.app.activities(&company.owner).await, ["conversation_taken_over", "conversation_released"]);
}

#[tokio::test]
async fn a_reply_of_an_agent_answers_the_pending_messages_and_silences_the_bot() {
    let company = InboxFixture::start().await;
    let id = company.receive("132", "Bonjour").await;
    company.receive("132", "Combien coûte la livraison ?").await;

    let message = company.reply(id, "  Bonjour,\nelle coûte 1 500 F CFA. ").await.data(201);

    let expected = json!({
        "id": message["id"], "conversation_id": id, "direction": "outbound", "author": "agent",
        "content": "Bonjour,\nelle coûte 1 500 F CFA.", "attachment": null, "citations": null, "answered": null,
        "model": null, "sent_by": company.support.user_id, "answered_by": null, "skipped_reason": null,
        "sent_at": null, "error_code": null, "created_at": message["created_at"],
    });
    assert_eq!(message, expected);
    let conversation = company.conversation(id).await;
    assert_eq!((&conversation["handler"], &conversation["unanswered"]), (&json!("human"), &json!(0)));
    let answered = company.messages("sort=created_at").await;
    assert!(answered[..2].iter().all(|one| one["answered_by"] == message["id"]), "{answered:?}");
    assert_eq!(company.count("outbox where state = 'queued'").await, 1);
    assert_eq!(company.count("jobs where kind = 'reply' and status = 'queued'").await, 1);
    assert_eq!(company.app.drain_queue(&company.queue).await, [company.reply_message(id)]);
    assert_eq!(company.app.activities(&company.owner).await, ["conversation_taken_over", "agent_replied"]);

    // Each reply of an agent restarts the handover time. The longest text is sent in parts.
    company.app.sql("update conversations set handover_until = now() + interval '1 minute'").await;
    company.reply(id, &"é".repeat(4_096)).await.data(201);
    let minutes = "select extract(epoch from handover_until - now()) / 60 from conversations";
    assert!(company.app.number(minutes).await > 200);
    assert_eq!(company.count("outbox").await, 1 + 3);
    assert_eq!(company.app.activities(&company.owner).await.len(), 3);
}

#[tokio::test]
async fn a_reply_repeated_with_one_idempotency_key_is_sent_once() {
    let company = InboxFixture::start().await;
    let id = company.receive("132", "Bonjour").await;
    let reply = |text: &str| company.reply(id, text).header("idempotency-key", "click");

    let answers = join_all((0..6).map(|_| async { reply("Bonjour").await })).await;

    let replayed = answers.iter().filter(|answer| answer.header("idempotency-replayed") == "true").count();
    assert_eq!(replayed, 5);
    let mut messages: Vec<_> = answers.into_iter().map(|answer| answer.data(201)["id"].clone()).collect();
    messages.dedup();
    assert_eq!(messages.len(), 1);
    assert_eq!(company.count("messages where author = 'agent'").await, 1);
    assert_eq!(company.app.drain_queue(&company.queue).await, [company.reply_message(id)]);
    assert_eq!(company.app.activities(&company.owner).await, ["conversation_taken_over", "agent_replied"]);

    reply("Bonsoir").await.refused(409, "idempotency_key_reused");
    let another = company.receive("133", "Bonjour").await;
    company.reply(another, "Bonjour").header("idempotency-key", "click").await.refused(409, "idempotency_key_reused");
    // Without an idempotency key, two requests are two messages.
    company.reply(another, "Bonjour").await.data(201);
    company.reply(another, "Bonjour").await.data(201);
    assert_eq!(company.count("messages where author = 'agent'").await, 3);
}

#[tokio::test]
async fn a_reply_to_an_opted_out_contact_or_outside_the_whatsapp_window_is_refused() {
    let company = InboxFixture::start().await;
    let id = company.receive("132", "Bonjour").await;
    let reply = || company.reply(id, "Bonjour").header("idempotency-key", "click");
    for (change, code) in [
        ("last_inbound_at = now() - interval '24 hours 1 second'", "whatsapp_window_closed"),
        ("last_inbound_at = null", "whatsapp_window_closed"),
        ("last_inbound_at = now(), opted_out_at = now()", "contact_opted_out"),
    ] {
        company.app.sql(&format!("update conversations set {change}")).await;
        reply().await.refused(409, code);
    }
    assert_eq!(company.count("messages where author = 'agent'").await, 0);
    assert_eq!(company.count("outbox").await, 0);
    assert_eq!(company.conversation(id).await["handler"], "bot");
    assert_eq!(company.app.drain_queue(&company.queue).await, [Value::Null; 0]);
    assert_eq!(company.app.activities(&company.owner).await, [""; 0]);

    // After the contact writes again, the reply with the same idempotency key works.
    company.app.sql("update conversations set opted_out_at = null").await;
    company.receive("132", "Me revoilà").await;
    reply().await.data(201);
}

#[tokio::test]
async fn a_reply_that_is_not_a_text_of_1_to_4096_characters_is_refused() {
    let company = InboxFixture::start().await;
    let id = company.receive("132", "Bonjour").await;
    let call = || company.call(id, "reply");
    for text in [json!(""), json!(" \n "), json!("\u{0}"), json!("é".repeat(4_097)), json!(1), json!(null)] {
        call().json(&json!({ "text": text })).await.invalid_fields(&["text"]);
    }
    call().json(&json!({})).await.invalid_fields(&["text"]);
    call().raw_json("{").await.refused(400, "malformed_json");
    call().body("text/plain", "Bonjour").await.refused(415, "unsupported_media_type");
    for key in [" ", "a\tb", "a b", "\u{e9}", &"k".repeat(256)] {
        call().json(&json!({ "text": "a" })).header("idempotency-key", key).await.invalid_fields(&["Idempotency-Key"]);
    }
    assert_eq!(company.count("messages where author = 'agent'").await, 0);
}

#[tokio::test]
async fn a_reply_job_stays_queued_when_the_queue_is_unreachable() {
    let queue = create_queue().await + "-gone";
    let app = App::with_settings(&[("REPLY_QUEUE_URL", &queue)]).await;
    let owner = app.sign_up("Comptoir Baobab").await;
    let id = app.store_contact_message(&owner, "132", "Bonjour").await;
    app.sql("delete from jobs").await;

    let reply = app.post(&format!("{CONVERSATIONS}/{id}/reply")).by(&owner).json(&json!({ "text": "Bonjour" }));
    reply.await.data(201);
    assert_eq!(app.number("select count(*) from jobs where kind = 'reply' and status = 'queued'").await, 1);

    app.sql("update jobs set status = 'done'").await;
    app.post(&format!("{CONVERSATIONS}/{id}/release")).by(&owner).await.data(200);
    assert_eq!(app.number("select count(*) from jobs where kind = 'reply' and status = 'queued'").await, 1);
}

#[tokio::test]
async fn a_reply_or_takeover_that_fails_halfway_changes_nothing() {
    let company = InboxFixture::start().await;
    let id = company.receive("132", "Bonjour").await;
    company.app.sql("revoke insert on activities from lisa_tenant").await;
    for (what, body) in [("reply", json!({ "text": "Bonjour" })), ("takeover", json!({}))] {
        company.call(id, what).json(&body).header("idempotency-key", "click").await.refused(500, "internal");
    }
    assert_eq!(company.count("messages where author = 'agent'").await, 0);
    assert_eq!(company.count("idempotency_keys").await, 0);
    assert_eq!(company.conversation(id).await["handler"], "bot");
    assert_eq!(company.app.drain_queue(&company.queue).await, [Value::Null; 0]);
}

#[tokio::test]
async fn each_member_gives_one_feedback_on_an_answer_of_the_bot() {
    let company = InboxFixture::start().await;
    let id = company.receive("132", "Bonjour").await;
    let answer = company.app.store_bot_message(&company.owner, id, "La livraison est gratuite.").await;
    let feedback = |message: &str| company.app.post(&format!("{MESSAGES}/{message}/feedback"));
    let answer = answer.to_string();

    let first = json!({ "is_helpful": true });
    let given = feedback(&answer).by(&company.support).json(&first).await.data(200);
    assert_eq!((&given["is_helpful"], &given["comment"]), (&json!(true), &Value::Null));
    let second = json!({ "is_helpful": false, "comment": "Elle coûte 1 500 F CFA." });
    let given = feedback(&answer).by(&company.support).json(&second).await.data(200);
    let expected = json!({
        "message_id": answer, "user_id": company.support.user_id, "is_helpful": false,
        "comment": "Elle coûte 1 500 F CFA.", "updated_at": given["updated_at"],
    });
    assert_eq!(given, expected);
    feedback(&answer).by(&company.owner).json(&first).await.data(200);
    assert_eq!(company.count("feedback").await, 2);

    let contact_message = company.messages("sort=created_at&limit=1").await[0]["id"].as_str().unwrap().to_owned();
    let agent_message = company.reply(id, "Bonjour").await.data(201)["id"].as_str().unwrap().to_owned();
    for other in [contact_message.as_str(), agent_message.as_str(), "x"] {
        feedback(other).by(&company.owner).json(&first).await.refused(404, "not_found");
    }
    let feedback = || feedback(&answer).by(&company.owner);
    feedback().json(&json!({ "comment": "?" })).await.invalid_fields(&["is_helpful"]);
    feedback().json(&json!({ "is_helpful": true, "comment": "é".repeat(2_001) })).await.invalid_fields(&["comment"]);
}

#[tokio::test]
async fn conversations_of_another_company_are_answered_as_not_found() {
    let company = InboxFixture::start().await;
    let theirs = company.receive("132", "Bonjour").await;
    let message = company.app.store_bot_message(&company.owner, theirs, "Bienvenue").await;
    let other = company.app.sign_up("Chez Koffi").await;
    let before = company.conversation(theirs).await;
    let unknown = Uuid::new_v4();
    let reply = json!({ "text": "Bonjour" });
    for (theirs, path, body) in [
        (theirs, format!("{CONVERSATIONS}/{{id}}/takeover"), json!({})),
        (theirs, format!("{CONVERSATIONS}/{{id}}/release"), json!({})),
        (theirs, format!("{CONVERSATIONS}/{{id}}/reply"), reply),
        (message, format!("{MESSAGES}/{{id}}/feedback"), json!({ "is_helpful": true })),
    ] {
        let mut bodies = Vec::new();
        for id in [theirs, unknown] {
            let call = company.app.call(Method::POST, &path.replace("{id}", &id.to_string())).by(&other);
            let mut answer = call.json(&body).header("idempotency-key", "click").await;
            answer.body["error"]["request_id"].take();
            assert_eq!(answer.status, 404, "{path}: {}", answer.text);
            bodies.push(answer.body);
        }
        assert_eq!(bodies[0], bodies[1], "{path}");
    }
    assert_eq!(company.conversation(theirs).await, before);
    assert_eq!(
        company.count("feedback").await + company.count("outbox").await + company.count("idempotency_keys").await,
        0
    );
}

/// Lambda's limit of a response: 6 MB of a JSON string that holds the body.
const MAX_RESPONSE_BYTES: usize = 6 * 1024 * 1024;

#[tokio::test]
async fn lists_of_the_longest_texts_fit_a_response_and_name_every_row_once() {
    let company = InboxFixture::start().await;
    let conversation = company.receive("132", "Bonjour").await;
    let tenant = company.owner.customer_id;
    // Ten bursts of 50 messages of 20,000 characters, each with an answer that found nothing. Quotes are escaped twice.
    company
        .app
        .sql(&format!(
            "with answer as (
             insert into messages (customer_id, conversation_id, direction, author, content, answered)
             select '{tenant}', '{conversation}', 'outbound', 'bot', repeat('\"é', 10000), false
             from generate_series(1, 10) returning id
         )
         insert into messages (customer_id, conversation_id, direction, author, content, answered_by)
         select '{tenant}', '{conversation}', 'inbound', 'contact', repeat('\"👍', 10000), answer.id
         from answer, generate_series(1, 50)"
        ))
        .await;
    for (path, rows) in [("/api/v1/unanswered-questions", 10), (MESSAGES, 511)] {
        let mut seen = std::collections::BTreeSet::new();
        let mut next = format!("{path}?limit=100");
        loop {
            let page = company.app.get(&next).by(&company.owner).await;
            let escapes = page.text.bytes().filter(|byte| matches!(byte, b'"' | b'\\')).count();
            assert!(page.text.len() + escapes < MAX_RESPONSE_BYTES, "{path}: {}", page.text.len());
            let page = page.json_body(200);
            let listed = page["data"].as_array().unwrap();
            assert!(!listed.is_empty(), "{path}: {seen:?}");
            for row in listed {
                let id = if row["id"].is_null() { &row["message_id"] } else { &row["id"] };
                assert!(seen.insert(id.as_str().unwrap().to_owned()), "{path}: {id} twice");
                let question = row["question"].as_str().unwrap_or_default();
                assert!(question.chars().count() <= 2_000);
            }
            let Some(cursor) = page["meta"]["next_cursor"].as_str() else { break };
            next = format!("{path}?limit=100&cursor={cursor}");
        }
        assert_eq!(seen.len(), rows, "{path}");
    }
}
