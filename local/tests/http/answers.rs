//! Questions in conversations: follow-up questions, approved answers of the tenant, and unanswered questions.

use serde_json::{Value, json};
use uuid::Uuid;

use super::support::{App, TenantUser, WhatsAppFixture, pdf, repository_file, small_pdf, wait_until};

const QUERY: &str = "/api/v1/query";
const STREAM: &str = "/api/v1/query/stream";
const UNANSWERED: &str = "/api/v1/unanswered-questions";

/// A product with one tenant.
struct QueryFixture {
    app: App,
    owner: TenantUser,
}

impl QueryFixture {
    async fn start() -> Self {
        let app = App::start().await;
        let owner = app.sign_up("Comptoir Baobab").await;
        Self { app, owner }
    }

    async fn ask(&self, question: &str, conversation: &Value) -> Value {
        let body = json!({ "question": question, "conversation_id": conversation });
        self.app.post(QUERY).by(&self.owner).json(&body).await.data(200)
    }

    async fn approve(&self, language: &str, question: &str, answer: &str) {
        self.app
            .sql(&format!(
                "insert into approved_answers (customer_id, language, question, answer)
                values ('{}', '{language}', '{question}', '{answer}')",
                self.owner.customer_id
            ))
            .await;
    }

    async fn list_unanswered(&self, query: &str) -> Value {
        self.app.get(&format!("{UNANSWERED}?{query}")).by(&self.owner).await.json_body(200)
    }
}

#[tokio::test]
async fn a_follow_up_question_is_answered_in_the_context_of_the_question_before_it() {
    let company = QueryFixture::start().await;
    let pages = [
        "Pour Abidjan, la livraison coute 1500 francs et prend un jour.".to_owned(),
        "Pour Bouake, la livraison coute 2500 francs et prend trois jours.".to_owned(),
        "Le magasin de Bouake ouvre du lundi au samedi.".to_owned(),
    ];
    company.app.upload_and_process(&company.owner, "guide.pdf", pdf(&pages)).await;
    let first = company.ask("Combien coûte la livraison à Abidjan ?", &Value::Null).await;
    assert_eq!(first["citations"][0]["page"], 1);
    let conversation = &first["conversation_id"];
    let second = company.ask("Et à Bouaké ?", conversation).await;
    assert_eq!((&second["conversation_id"], &second["citations"][0]["page"]), (conversation, &json!(2)), "{second}");
    assert!(second["answer"].as_str().unwrap().contains("2500"), "{second}");

    let id = conversation.as_str().unwrap();
    let kept = company.app.get(&format!("/api/v1/messages?conversation_id={id}")).by(&company.owner).await.data(200);
    let kept: Vec<_> = kept.as_array().unwrap().iter().collect();
    assert_eq!(kept.len(), 4);
    let contents: Vec<_> = kept.iter().rev().map(|message| message["content"].as_str().unwrap()).collect();
    assert_eq!((contents[0], contents[2]), ("Combien coûte la livraison à Abidjan ?", "Et à Bouaké ?"));
    assert_eq!(contents[3], second["answer"].as_str().unwrap());
    assert_eq!(kept[1]["answered_by"], kept[0]["id"]);
    assert_eq!((&kept[0]["answered"], &kept[0]["citations"][0]["page"]), (&json!(true), &json!(2)));
    let day =
        "select count(*) from bot_usage where conversations_count = 1 and messages_count = 4 and requests_count = 2";
    assert_eq!(company.app.number(day).await, 1);

    // The list shows WhatsApp conversations by default, and API conversations cannot be taken over.
    let list = async |query: &str| company.app.get(&format!("/api/v1/conversations?{query}")).by(&company.owner).await;
    assert_eq!(list("").await.json_body(200)["meta"]["total"], 0);
    let listed = list("channel=api").await.json_body(200);
    assert_eq!((&listed["meta"]["total"], &listed["data"][0]["id"]), (&json!(1), conversation));
    list("channel=sms").await.invalid_fields(&["channel"]);
    for what in ["takeover", "release"] {
        let path = format!("/api/v1/conversations/{id}/{what}");
        company.app.post(&path).by(&company.owner).await.refused(404, "not_found");
    }
    let reply = company.app.post(&format!("/api/v1/conversations/{id}/reply")).by(&company.owner);
    reply.json(&json!({ "text": "Bonjour" })).await.refused(404, "not_found");
}

#[tokio::test]
async fn the_samples_answer_questions_in_other_words() {
    let company = QueryFixture::start().await;
    for name in ["guide-livraison.pdf", "product-manual.pdf"] {
        let file = repository_file(format!("docs/samples/{name}"));
        company.app.upload_and_process(&company.owner, name, file).await;
    }
    for (question, filename, page, value) in [
        ("bjr c combien pour envoyer à Abidjan svp", "guide-livraison.pdf", 1, "1 500 FCFA"),
        ("Quel est le délai de retour ?", "guide-livraison.pdf", 2, "quatorze jours"),
        ("On peut vous appeler à quel numéro ?", "guide-livraison.pdf", 3, "+225 07 00 00 00 00"),
        ("Hi, how long does the warranty last please?", "product-manual.pdf", 4, "twenty-four months"),
    ] {
        let answer = company.ask(question, &Value::Null).await;
        let text = answer["answer"].as_str().unwrap().replace('\u{a0}', " ");
        assert!(text.contains(value), "{question}: {answer}");
        let citation = &answer["citations"][0];
        assert_eq!(
            (&citation["filename"], &citation["page"]),
            (&json!(filename), &json!(page)),
            "{question}: {answer}"
        );
        // The text names the document's title, the citation its file.
        assert!(!text.contains(filename), "{question}: {answer}");
    }
    for question in ["Combien coûte la livraison à New York ?", "Do you sell bicycles?", "Vous recrutez des livreurs ?"]
    {
        let answer = company.ask(question, &Value::Null).await;
        assert_eq!(answer["answered"], false, "{question}: {answer}");
        let text = answer["answer"].as_str().unwrap();
        assert!(text.contains("une personne de l’équipe") || text.contains("a person of the team"), "{answer}");
    }
}

#[tokio::test]
async fn a_query_in_a_whatsapp_conversation_or_another_tenants_conversation_is_refused() {
    let company = QueryFixture::start().await;
    let whatsapp = company.app.store_contact_message(&company.owner, "132", "Bonjour").await;
    let other = company.app.sign_up("Chez Koffi").await;
    let theirs = company.app.ask(&other, "Vous livrez ?").await.data(200)["conversation_id"].clone();
    for conversation in [json!(whatsapp), theirs.clone(), json!(Uuid::new_v4())] {
        for path in [QUERY, STREAM] {
            let body = json!({ "question": "Vous livrez ?", "conversation_id": conversation });
            company.app.post(path).by(&company.owner).json(&body).await.refused(404, "not_found");
        }
    }
    let their_messages = format!("select count(*) from messages where conversation_id = {theirs}").replace('"', "'");
    assert_eq!(company.app.number(&their_messages).await, 2);
    let used = company.app.get("/api/v1/quota/status").by(&company.owner).await.data(200);
    assert_eq!(used["free_quota_used"], 0);
}

#[tokio::test]
async fn a_question_is_stored_once_and_only_together_with_its_answer() {
    let company = QueryFixture::start().await;
    let (app, owner) = (&company.app, &company.owner);
    app.upload_and_process(owner, "guide.pdf", small_pdf("The delivery takes three days.")).await;
    let ask = || {
        let call = app.post(QUERY).by(owner).header("idempotency-key", "one");
        call.json(&json!({ "question": "How long does the delivery take?" }))
    };
    let messages = "select count(*) from messages";
    app.sql("alter table messages rename column sent_by to lost").await;
    ask().await.refused(500, "internal");
    app.sql("alter table messages rename column lost to sent_by").await;
    assert_eq!((app.number(messages).await, app.number("select count(*) from conversations").await), (0, 0));
    // The reservation and the idempotency key of the failed question stay until they expire.
    app.sql("delete from idempotency_keys").await;
    let first = ask().await.data(200);
    let again = ask().await.data(200);
    assert_eq!(first, again);
    assert_eq!((app.number(messages).await, app.number("select count(*) from conversations").await), (2, 1));

    let stream = app.post(STREAM).by(owner).json(&json!({
        "question": "And is it free?", "conversation_id": first["conversation_id"],
    }));
    let mut events = stream.stream().await.unwrap();
    events.expect_event("citations").await;
    let (_, done) = events.read_to_end().await;
    assert_eq!(done.data["conversation_id"], first["conversation_id"]);
    assert_eq!(app.number(messages).await, 4);
}

#[tokio::test]
async fn a_question_that_matches_an_approved_answer_gets_that_answer_without_a_search() {
    let company = QueryFixture::start().await;
    let (app, owner) = (&company.app, &company.owner);
    app.upload_and_process(
        owner,
        "guide.pdf",
        small_pdf("Nous livrons partout, le dimanche aussi, contre un supplément."),
    )
    .await;
    company.approve("fr", "Où livrez-vous ?", "Partout à Abidjan, et à Bouaké.").await;
    company.approve("en", "Do you deliver on Sundays?", "Yes, until noon.").await;
    for question in ["Où livrez-vous ?", "Bonjour, ou est-ce que vous livrez svp", "OÙ LIVREZ VOUS"] {
        let answer = company.ask(question, &Value::Null).await;
        assert_eq!(
            (&answer["answer"], &answer["answered"], &answer["model"], &answer["citations"]),
            (&json!("Partout à Abidjan, et à Bouaké."), &json!(true), &json!("approved-answer"), &json!([])),
            "{question}"
        );
    }
    app.sql("update user_settings set free_quota_limit = 100").await;
    let body = json!({ "question": "Hello! Do you deliver on Sunday?" });
    let mut stream = app.post(STREAM).by(owner).json(&body).stream().await.unwrap();
    assert_eq!(stream.expect_event("citations").await["citations"], json!([]));
    let (text, done) = stream.read_to_end().await;
    assert_eq!((text.as_str(), &done.data["model"]), ("Yes, until noon.", &json!("approved-answer")));
    // Similar questions with another meaning do not match.
    for question in ["Quand livrez-vous ?", "Livrez-vous ?", "Où livrez-vous le dimanche ?"] {
        assert_ne!(company.ask(question, &Value::Null).await["model"], "approved-answer", "{question}");
    }
    for (approved, others) in [
        ("Avez-vous la taille M ?", &["Avez-vous la taille L ?", "Avez-vous la taille ?"][..]),
        ("What can be returned?", &["What can't be returned?", "What cannot be returned?", "What can’t be returned?"]),
        ("Un trajet d''Abidjan à Bouaké ?", &["Un trajet de Bouaké à Abidjan ?"]),
        ("Do you ship to the US?", &["Do you ship?", "Do you ship to it?"]),
        ("Livrez-vous à l''est ?", &["Livrez-vous à l’ouest ?"]),
        ("Payer sans carte ?", &["Payer avec carte ?", "Payer sans la carte 2 ?"]),
    ] {
        company.approve(if approved.starts_with(['W', 'D']) { "en" } else { "fr" }, approved, "Oui.").await;
        let same = approved.replace("''", "’").to_lowercase();
        assert_eq!(company.ask(&same, &Value::Null).await["model"], "approved-answer", "{same}");
        for other in others {
            assert_ne!(company.ask(other, &Value::Null).await["model"], "approved-answer", "{other}");
        }
    }
    let other = app.sign_up("Chez Koffi").await;
    let answer = app.ask(&other, "Où livrez-vous ?").await.data(200);
    assert_eq!((&answer["answered"], &answer["model"]), (&json!(false), &json!("extractive-1")));
}

#[tokio::test]
async fn a_whatsapp_contact_gets_the_approved_answer_without_a_model_call() {
    let whatsapp = WhatsAppFixture::start().await;
    whatsapp.switch_to_live().await;
    whatsapp
        .sql("insert into approved_answers (customer_id, question, answer) values ('{tenant}', 'Quels sont vos horaires ?', 'De 8 h à 18 h.')")
        .await;
    whatsapp.deliver_text(1, "Bonjour ! Quels sont vos horaires, s'il vous plaît ?").await.json_body(200);
    let got = whatsapp.wait_for_texts(1, 1).await;
    assert!(got[0].starts_with("Bonjour") && got[0].ends_with("De 8 h à 18 h."), "{got:?}");
    whatsapp.wait_for_reply_jobs().await;
    assert_eq!(whatsapp.models.calls(), 0);
    assert_eq!(whatsapp.number("select count(*) from messages where model = 'approved-answer' and answered").await, 1);
    assert_eq!(whatsapp.number("select sum(free_quota_used) from user_settings").await, 1);
}

#[tokio::test]
async fn a_whatsapp_follow_up_is_searched_together_with_the_message_before_it() {
    let whatsapp = WhatsAppFixture::with_settings(&[("LLM_PROVIDER", "extractive")]).await;
    whatsapp.remove_part_spacing().await;
    whatsapp
        .upload_document("Delivery in Abidjan costs 1500 francs. Delivery in Yamoussoukro costs 4000 francs.")
        .await;
    whatsapp.deliver_text(1, "What does delivery in Abidjan cost?").await.json_body(200);
    whatsapp.wait_for_texts(1, 1).await;
    whatsapp.wait_for_reply_jobs().await;
    whatsapp.deliver_text(1, "And in Yamoussoukro?").await.json_body(200);
    let got = whatsapp.wait_for_texts(1, 2).await;
    assert!(got[1].contains("4000 francs"), "{got:?}");
}

#[tokio::test]
async fn questions_that_the_documents_do_not_answer_are_listed_for_their_tenant() {
    let company = QueryFixture::start().await;
    let (app, owner) = (&company.app, &company.owner);
    app.upload_and_process(owner, "guide.pdf", small_pdf("The delivery takes three days.")).await;
    company.ask("How long does the delivery take?", &Value::Null).await;
    let first = company.ask("Who wrote the Iliad?", &Value::Null).await;
    company.ask("Quelle est la capitale de la Mongolie ?", &Value::Null).await;
    let all = company.list_unanswered("").await;
    assert_eq!(all["meta"]["total"], 2);
    let questions: Vec<_> =
        all["data"].as_array().unwrap().iter().map(|row| row["question"].as_str().unwrap()).collect();
    assert_eq!(questions, ["Quelle est la capitale de la Mongolie ?", "Who wrote the Iliad?"]);
    let row = &all["data"][1];
    assert_eq!((&row["conversation_id"], &row["channel"]), (&first["conversation_id"], &json!("api")));
    let page = company.list_unanswered("limit=1").await;
    let next = company.list_unanswered(&format!("cursor={}", page["meta"]["next_cursor"].as_str().unwrap())).await;
    assert_eq!(next["data"][0]["question"], "Who wrote the Iliad?");
    let other = app.sign_up("Chez Koffi").await;
    assert_eq!(app.get(UNANSWERED).by(&other).await.data(200), json!([]));
    let support = app.sign_up_support(owner).await;
    app.get(UNANSWERED).by(&support).await.data(200);
    assert_eq!(app.audit_actions(owner).await.iter().filter(|done| done.starts_with("messages.read ")).count(), 1);
}

#[tokio::test]
async fn a_question_in_several_whatsapp_messages_is_listed_as_one_unanswered_question() {
    let whatsapp = WhatsAppFixture::with_settings(&[
        ("LLM_PROVIDER", "extractive"),
        ("BURST_WINDOW_S", "1"),
        ("BURST_CAP_S", "2"),
    ])
    .await;
    whatsapp.deliver_text(1, "Qui a écrit").await.json_body(200);
    whatsapp.deliver_text(1, "l'Iliade ?").await.json_body(200);
    whatsapp.wait_for_texts(1, 1).await;
    whatsapp.wait_for_reply_jobs().await;
    let listed = wait_until("the question is listed", super::support::WAIT_TIMEOUT, async || {
        let listed = whatsapp.app.get(UNANSWERED).by(&whatsapp.tenant).await.data(200);
        (listed.as_array().unwrap().len() == 1).then_some(listed)
    })
    .await;
    assert_eq!(
        (&listed[0]["question"], &listed[0]["channel"]),
        (&json!("Qui a écrit\nl'Iliade ?"), &json!("whatsapp"))
    );
}
