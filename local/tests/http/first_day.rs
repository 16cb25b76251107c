//! An owner's first day: from the sign-up to the first delivered order, in the order of docs/TUTORIAL.md.

use std::collections::BTreeSet;

use local::fakes::{manychat::KEYS, models::FakeReply};
use reqwest::Method;
use serde_json::{Value, json};
use uuid::Uuid;

use super::support::{App, PASSWORD, TenantUser, TestRequest, WhatsAppFixture, new_email, small_pdf};

const CUSTOMER: &str = "/api/v1/customers/me";
const INVITATIONS: &str = "/api/v1/customers/me/invitations";
const IMPORT: &str = "/api/v1/products/import";
const CONFIG: &str = "/api/v1/companies/me/config";
const PREVIEW: &str = "/api/v1/companies/me/config/preview";
const UNANSWERED: &str = "/api/v1/unanswered-questions";
const LIVE_MODE: &str = "/api/v1/toggle-live-mode";
const ORDERS: &str = "/api/v1/orders";
const STATS: &str = "/api/v1/dashboard/stats";

const GREETING: &str = "Akwaba ! Binta du Comptoir Baobab vous répond.";
const REFUSAL: &str = "Je me renseigne, et nous vous répondons aujourd’hui.";
const TOGO: &str = "Oui, en une semaine, pour 9 000 F CFA.";

/// A company on its first day. Another company works on the same product.
struct Company {
    whatsapp: WhatsAppFixture,
    owner: TenantUser,
    colleague: TenantUser,
    /// Webhook secret of the company.
    secret: String,
    /// End of the changes feed before the day.
    morning: String,
}

impl Company {
    /// Signs up the owner, and a colleague by invitation.
    async fn found() -> Self {
        let whatsapp = WhatsAppFixture::start().await;
        whatsapp.remove_part_spacing().await;
        let owner = whatsapp.app.sign_up("Comptoir Baobab").await;
        let colleague = invite_colleague(&whatsapp.app, &owner).await;
        let feed = whatsapp.app.get("/api/v1/changes?cursor=now").by(&owner).await.json_body(200);
        let morning = feed["meta"]["next_cursor"].as_str().unwrap().to_owned();
        Self { whatsapp, owner, colleague, secret: String::new(), morning }
    }

    fn app(&self) -> &App {
        &self.whatsapp.app
    }

    fn patch(&self, path: &str, body: &Value) -> TestRequest {
        self.app().call(Method::PATCH, path).by(&self.owner).json(body)
    }

    fn post(&self, path: &str, body: &Value) -> TestRequest {
        self.app().post(path).by(&self.owner).json(body)
    }

    /// Delivers a contact's message, and waits until the contact has `count` texts. Returns the last, with ordinary
    /// spaces.
    async fn write(&self, (contact, name): (u64, &str), text: &str, count: usize) -> String {
        let body = json!({ "id": contact, "name": name, "last_input_text": text, "message_id": Uuid::new_v4() });
        self.whatsapp.deliver_with_secret(&self.secret, &body).await.json_body(200);
        let text = self.last_text(contact, count).await;
        self.whatsapp.wait_for_reply_jobs().await;
        text
    }

    /// Waits until a contact has exactly `count` texts, and returns the last, with ordinary spaces.
    async fn last_text(&self, contact: u64, count: usize) -> String {
        let texts = self.whatsapp.wait_for_texts(contact, count).await;
        assert_eq!(texts.len(), count, "{texts:?}");
        texts[count - 1].replace('\u{a0}', " ")
    }
}

async fn invite_colleague(app: &App, owner: &TenantUser) -> TenantUser {
    let email = new_email();
    let body = json!({ "role": "support", "email": email });
    let invitation = app.post(INVITATIONS).by(owner).json(&body).await.data(201);
    let body = json!({ "email": email, "password": PASSWORD, "invitation": invitation["token"] });
    let session = app.post("/api/v1/auth/signup").json(&body).await.data(201);
    let colleague = TenantUser::from_session(&session);
    assert_eq!(colleague.customer_id, owner.customer_id);
    let listed = app.get(INVITATIONS).by(owner).await.data(200);
    assert_eq!(
        (&listed[0]["id"], &listed[0]["status"], &listed[0]["used_by"]),
        (&invitation["id"], &json!("used"), &json!(colleague.user_id))
    );
    let members = app.get("/api/v1/customers/me/members").by(owner).await.data(200);
    let roles: BTreeSet<_> = members
        .as_array()
        .unwrap()
        .iter()
        .map(|member| (member["email"].as_str().unwrap(), member["role"].as_str().unwrap()))
        .collect();
    assert_eq!(roles, BTreeSet::from([(owner.email.as_str(), "owner"), (email.as_str(), "support")]));
    colleague
}

/// Imports a catalogue with a wrong line, which is named, and the mended one.
async fn import_catalogue(company: &Company) {
    let import = async |file: &'static str| company.app().post(IMPORT).by(&company.owner).body("text/csv", file).await;
    let wrong = import("nom;prix;description\nCafé moulu;2 500;Arabica\nThé vert;mille;\n").await;
    let faults = wrong.refused(422, "validation_failed");
    assert_eq!(
        (faults.as_array().unwrap().len(), &faults[0]["line"], &faults[0]["field"]),
        (1, &json!(3), &json!("price"))
    );
    let products = async || company.app().get("/api/v1/products?sort=name").by(&company.owner).await.data(200);
    assert_eq!(products().await, json!([]), "nothing is half-imported");

    let report = import("nom;prix;description\nCafé moulu;2 500;Arabica\nThé vert;1 000;\n").await.data(200);
    assert_eq!(report, json!({ "rows": 2, "created": 2, "updated": 0, "unchanged": 0 }));
    let listed = products().await;
    let names_and_prices = [0, 1].map(|row: usize| (listed[row]["name"].clone(), listed[row]["price"].clone()));
    assert_eq!(names_and_prices, [("Café moulu", "2500"), ("Thé vert", "1000")].map(|(a, b)| (json!(a), json!(b))));
    assert_eq!((&listed[0]["currency"], &listed[0]["description"]), (&json!("XOF"), &json!("Arabica")));
}

/// Sets the sentences of the company, and connects its WhatsApp.
async fn set_sentences_and_connect(company: &mut Company) {
    let handover = "Awa arrive.";
    let body = json!({
        "greeting": { "fr": "Akwaba ! {assistant} du {company} vous répond." }, "refusal": { "fr": REFUSAL },
        "handover": { "fr": handover }, "timezone": "Africa/Abidjan", "manychat_api_key": KEYS[1],
    });
    let changed = company.patch(CUSTOMER, &body).await.data(200);
    // The assistant still has its first name.
    assert_eq!(changed["greeting"]["fr"], GREETING.replace("Binta", "Lisa"));
    assert_eq!((&changed["refusal"]["fr"], &changed["handover"]["fr"]), (&json!(REFUSAL), &json!(handover)));
    assert_eq!((&changed["timezone"], &changed["manychat_api_key"]), (&json!("Africa/Abidjan"), &json!("••••page")));
    let created = company.post("/api/v1/customers/me/webhook-secret", &json!({})).await.data(201);
    company.secret = created["webhook_secret"].as_str().unwrap().to_owned();
}

/// Tries a prompt and a name in a preview, which stores nothing, and saves them.
async fn preview_and_save_prompt(company: &Company, document: Uuid) {
    let draft = json!({ "prompt_rag": "Vouvoie le client.", "ai_name": "Binta" });
    company.whatsapp.models.reply_text("La livraison coûte 1500 francs [1].");
    let body = json!({ "question": "Combien coûte la livraison à Abidjan ?", "draft": draft });
    let answer = company.post(PREVIEW, &body).await.data(200)["answer"].take();
    assert_eq!(
        (&answer["answered"], &answer["mode"], &answer["prompt"]),
        (&json!(true), &json!("rag"), &json!("prompt_rag"))
    );
    assert_eq!(answer["citations"][0]["document_id"], document.to_string());
    let asked = company.whatsapp.models.requests().pop().unwrap().to_string();
    assert!(asked.contains("Vouvoie le client.") && asked.contains("Binta"), "{asked}");
    let config = company.app().get(CONFIG).by(&company.owner).await.data(200);
    assert_eq!((&config["ai_name"], &config["prompt_rag"]), (&json!("Lisa"), &Value::Null), "a preview stores nothing");

    let saved = company.patch(CONFIG, &draft).await.data(200);
    assert_eq!((&saved["ai_name"], &saved["prompt_rag"]), (&draft["ai_name"], &draft["prompt_rag"]));
    let shown = company.app().get(CUSTOMER).by(&company.owner).await.data(200);
    assert_eq!(shown["greeting"]["fr"], GREETING);
}

/// A contact asks what nothing answers; the owner approves an answer; the next contact gets it.
async fn approve_answer(company: &Company) {
    let unanswered = async || company.app().get(UNANSWERED).by(&company.owner).await.data(200);
    company.whatsapp.models.always(FakeReply::Text("NOT_IN_DOCUMENTS".to_owned()));
    let got = company.write((1, "Afi"), "Livrez-vous au Togo ?", 1).await;
    assert_eq!(got, format!("{GREETING}\n\n{REFUSAL}"));
    let listed = unanswered().await;
    assert_eq!(
        (&listed[0]["question"], &listed[0]["channel"], &listed[0]["reason"], &listed[1]),
        (&json!("Livrez-vous au Togo ?"), &json!("whatsapp"), &json!("not_found"), &Value::Null)
    );

    let path = format!("{UNANSWERED}/{}/approve", listed[0]["id"].as_str().unwrap());
    let body = json!({ "answer": TOGO, "golden": true });
    company.app().post(&path).by(&company.colleague).json(&body).await.refused(403, "forbidden");
    let approved = company.post(&path, &body).await.data(201);
    assert_eq!((&approved["closed"], &approved["approved_answer"]["answer"]), (&listed[0]["id"], &json!(TOGO)));
    assert!(approved["golden_question_id"].is_string());
    assert_eq!(unanswered().await, json!([]));

    let calls = company.whatsapp.models.calls();
    let got = company.write((2, "Koffi"), "Bonjour, livrez vous au Togo svp", 1).await;
    assert_eq!(got, format!("{GREETING}\n\n{TOGO}"));
    assert_eq!(company.whatsapp.models.calls(), calls, "an approved answer needs no model");
}

/// In LIVE mode, a contact orders and confirms.
async fn take_order(company: &Company) {
    let live = company.post(LIVE_MODE, &json!({ "enabled": true })).await.data(200);
    assert_eq!((&live["mode"], &live["warning"]), (&json!("live"), &Value::Null));
    let items = json!([{ "product": "cafe moulu", "quantity": 2 }]);
    company.whatsapp.models.reply_tool("create_order", json!({ "items": items }));
    let proposed = company.write((3, "Zoé Kouassi"), "Je voudrais deux cafés moulus", 1).await;
    let proposal = "*Votre commande*\n- 2 × Café moulu : 5 000 F CFA\n*Total : 5 000 F CFA*\n\
        Répondez *OUI* pour confirmer, *NON* pour annuler.";
    assert_eq!(proposed, format!("{GREETING}\n\n{proposal}"));
    assert_eq!(company.app().get(ORDERS).by(&company.owner).await.data(200), json!([]), "not before a yes");
    let confirmed = company.write((3, "Zoé Kouassi"), "Oui", 2).await;
    assert!(confirmed.ends_with(" est enregistrée. Total : 5 000 F CFA."), "{confirmed}");
}

/// The colleague sees the order and moves it along its steps, of which the contact is told. Returns its id.
async fn deliver_order(company: &Company) -> Value {
    let listed = company.app().get(ORDERS).by(&company.colleague).await.data(200);
    let order = &listed[0];
    assert_eq!(
        (&order["customer_name"], &order["status"], &order["total_amount"], &order["currency"], &listed[1]),
        (&json!("Zoé Kouassi"), &json!("pending"), &json!("5000"), &json!("XOF"), &Value::Null)
    );
    assert_eq!(
        (&order["items"][0]["name"], &order["items"][0]["quantity"], &order["items"][0]["unit_price"]),
        (&json!("Café moulu"), &json!(2), &json!("2500"))
    );
    let (id, number) = (order["id"].as_str().unwrap(), order["number"].as_str().unwrap());
    let path = format!("{ORDERS}/{id}");
    let to = |status: &str| {
        let body = json!({ "status": status, "notify_customer": true });
        company.app().call(Method::PATCH, &path).by(&company.colleague).json(&body)
    };
    let details = to("delivered").await.refused(409, "wrong_order_step");
    assert_eq!(details, json!({ "status": "pending", "allowed": ["confirmed", "cancelled"] }));
    let steps =
        [("confirmed", "est confirmée."), ("preparing", "est en préparation."), ("delivered", "est livrée. Merci.")];
    for (texts, (status, notice)) in (3..).zip(steps) {
        let moved = to(status).await.data(200);
        assert_eq!((&moved["status"], &moved["customer_notice"]), (&json!(status), &json!("queued")));
        assert_eq!(company.last_text(3, texts).await, format!("Votre commande {number} {notice}"));
        company.whatsapp.wait_for_reply_jobs().await;
    }
    json!(id)
}

/// The figures of the day are those of what happened, and those of the other company are zero.
async fn read_figures(company: &Company) {
    let totals = async |user: &TenantUser| company.app().get(STATS).by(user).await.data(200)["totals"].take();
    let day = totals(&company.owner).await;
    for (figure, expected) in [
        ("conversations", json!(3)),
        ("orders", json!(1)),
        ("revenue", json!([{ "currency": "XOF", "amount": "5000" }])),
        ("unanswered", json!(1)),
        // The approved answer and the proposal. A yes is no question.
        ("bot_answers", json!(2)),
        ("requests", json!(3)),
        ("share_answered_by_bot", json!(0.6667)),
        // Of four contacts' messages, each with its answer. Notices are none.
        ("messages", json!(8)),
        ("person_answers", json!(0)),
        ("handovers", json!(0)),
        ("orders_by_status", json!({ "pending": 0, "confirmed": 0, "preparing": 0, "delivered": 1, "cancelled": 0 })),
    ] {
        assert_eq!(day[figure], expected, "{figure}: {day}");
    }
    assert_eq!(totals(&company.colleague).await, day);
    let other = totals(&company.whatsapp.tenant).await;
    assert_eq!((&other["orders"], &other["conversations"], &other["revenue"]), (&json!(0), &json!(0), &json!([])));
}

/// The changes feed names each object of the day, and none of the other company.
async fn read_changes(company: &Company, document: Uuid, order: &Value) {
    let path = format!("/api/v1/changes?cursor={}", company.morning);
    let feed = company.app().get(&path).by(&company.owner).await.json_body(200);
    assert_eq!(feed["meta"]["has_more"], false, "one page");
    let rows = feed["data"].as_array().unwrap();
    assert!(rows.is_sorted_by_key(|row| row["version"].as_i64()));
    let ids = |kind: &str| -> BTreeSet<String> {
        let of_kind = rows.iter().filter(|row| row["kind"] == kind);
        of_kind.map(|row| row["id"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(ids("document"), BTreeSet::from([document.to_string()]));
    assert_eq!(ids("order"), BTreeSet::from([order.as_str().unwrap().to_owned()]));
    let listed = async |path: &str| -> BTreeSet<String> {
        let rows = company.app().get(path).by(&company.owner).await.data(200);
        rows.as_array().unwrap().iter().map(|row| row["id"].as_str().unwrap().to_owned()).collect()
    };
    let conversations = listed("/api/v1/conversations?limit=100").await;
    assert_eq!((conversations.len(), ids("conversation")), (3, conversations.clone()));
    assert_eq!(ids("activity"), listed("/api/v1/activities?limit=100").await);
    let mut messages = BTreeSet::new();
    for conversation in conversations {
        messages.extend(listed(&format!("/api/v1/messages?conversation_id={conversation}&limit=100")).await);
    }
    // Four messages of contacts, four answers and three notices.
    assert_eq!((messages.len(), ids("message")), (11, messages));
}

/// The colleague works with conversations and orders, and changes nothing of the company.
async fn colleague_is_no_owner(company: &Company) {
    let patch = |path| company.app().call(Method::PATCH, path);
    let post = |path| company.app().post(path);
    for (call, body) in [
        (post(INVITATIONS), json!({ "role": "support" })),
        (patch(CUSTOMER), json!({ "name": "Le Baobab" })),
        (patch(CONFIG), json!({ "prompt_rag": "Tutoie le client." })),
        (post(PREVIEW), json!({ "question": "Livrez-vous au Togo ?" })),
        (post(LIVE_MODE), json!({ "enabled": false })),
        (post("/api/v1/products"), json!({ "name": "Sucre", "price": "700" })),
        (post("/api/v1/approved-answers"), json!({ "question": "Ouvert lundi ?", "answer": "Oui." })),
        (post("/api/v1/customers/me/owner"), json!({ "user_id": company.colleague.user_id })),
        (post("/api/v1/billing/checkout"), json!({ "plan": "pro" })),
    ] {
        call.by(&company.colleague).json(&body).await.refused(403, "forbidden");
    }
    company
        .app()
        .post(IMPORT)
        .by(&company.colleague)
        .body("text/csv", "name,price\nSucre,700\n")
        .await
        .refused(403, "forbidden");
    let member = format!("/api/v1/customers/me/members/{}", company.owner.user_id);
    company.app().delete(&member).by(&company.colleague).await.refused(403, "forbidden");
}

#[tokio::test]
async fn an_owner_gets_from_sign_up_to_a_delivered_order_in_a_day() {
    let mut company = Company::found().await;
    import_catalogue(&company).await;
    set_sentences_and_connect(&mut company).await;
    let page = small_pdf("La livraison a Abidjan coute 1500 francs et prend deux jours.");
    let document = company.app().upload_and_process(&company.owner, "livraison.pdf", page).await;
    preview_and_save_prompt(&company, document).await;
    approve_answer(&company).await;
    take_order(&company).await;
    let order = deliver_order(&company).await;
    read_figures(&company).await;
    read_changes(&company, document, &order).await;
    colleague_is_no_owner(&company).await;
}
