//! The authorization matrix: every operation of openapi.json, called with every kind of forbidden and allowed caller.
//!
//! Only the lists below name operations. A new operation is covered automatically, or the tests fail until its
//! `security` says which callers are allowed.

use std::collections::{BTreeMap, BTreeSet, btree_map::Entry};

use jsonwebtoken::{Algorithm, Header};
use reqwest::Method;
use serde_json::{Value, json};
use sqlx::AssertSqlSafe;
use uuid::Uuid;

use super::support::{App, PASSWORD, TenantUser, TestRequest, TestResponse, unix_time_in};

/// Operations that need no token. The list may only get shorter; adding a line needs an entry in docs/DECISIONS.md.
const PUBLIC: [&str; 10] = [
    "GET /api/v1/plans",
    "GET /docs",
    "GET /health",
    "GET /openapi.json",
    "POST /api/v1/auth/forgot",
    "POST /api/v1/auth/invitations/lookup",
    "POST /api/v1/auth/login",
    "POST /api/v1/auth/password-reset",
    "POST /api/v1/auth/refresh",
    "POST /api/v1/auth/signup",
];

/// Operations other than GET that a support user may call. The list may only get shorter; adding a line needs an entry in
/// docs/DECISIONS.md.
const SUPPORT_WRITES: [&str; 9] = [
    "DELETE /api/v1/orders/{id}",
    "PATCH /api/v1/orders/{id}",
    "POST /api/v1/conversations/{id}/release",
    "POST /api/v1/conversations/{id}/reply",
    "POST /api/v1/conversations/{id}/takeover",
    "POST /api/v1/messages/{id}/feedback",
    "POST /api/v1/orders",
    "POST /api/v1/query",
    "POST /api/v1/query/stream",
];

/// GET operations that a support user may call and that leave no entry in the audit log, each with the reason. The list
/// may only get shorter; adding a line needs an entry in docs/DECISIONS.md.
const UNAUDITED_READS: [(&str, &str); 7] = [
    ("GET /api/v1/changes", "names objects by their ids, for clients that ask every few seconds"),
    ("GET /api/v1/conversations/waiting-count", "shows one number"),
    ("GET /api/v1/dashboard/stats", "shows counts and sums only"),
    ("GET /api/v1/documents", "shows names and states of files, no text of them"),
    ("GET /api/v1/profiles/me", "shows the caller's own account, nothing of the company"),
    ("GET /api/v1/quota/status", "shows the numbers of the quota only"),
    ("GET /api/v1/user-config", "shows the caller's own configuration, nothing of the company"),
];

/// The callers that an operation allows, read from its `security`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Access {
    Public,
    /// Any valid token; the handler checks the requested object.
    Token,
    /// A user of any company or of none.
    User,
    /// A member of the company.
    Member,
    /// The owner of the company.
    Owner,
    /// A global administrator.
    Administrator,
    /// The company's ManyChat bot, by its webhook secret.
    ManyChat,
    /// Stripe, by its signature. Valid signatures are tested with the webhook itself.
    Stripe,
}

impl Access {
    fn read(operation: &Value) -> Self {
        let requirements = operation["security"].as_array().expect("an operation says whom it is for");
        if requirements.is_empty() || requirements.contains(&json!({})) {
            return Self::Public;
        }
        if requirements.iter().any(|one| one.get("manychat").is_some()) {
            return Self::ManyChat;
        }
        if requirements.iter().any(|one| one.get("stripeSignature").is_some()) {
            return Self::Stripe;
        }
        let roles: Vec<_> = requirements.iter().flat_map(|one| one["bearer"].as_array().unwrap()).collect();
        match roles.iter().map(|role| role.as_str().unwrap()).collect::<Vec<_>>()[..] {
            [] => Self::Token,
            ["user"] => Self::User,
            ["support_user"] => Self::Member,
            ["account_user"] => Self::Owner,
            ["global_admin"] => Self::Administrator,
            ref other => panic!("the matrix knows no {other:?}: say here who may and who may not"),
        }
    }

    /// True when the operation is for members of a company only.
    fn needs_membership(self) -> bool {
        matches!(self, Self::Member | Self::Owner)
    }

    /// The error code for a request without credentials.
    fn missing_credentials_code(self) -> &'static str {
        if self == Self::ManyChat { "invalid_webhook_secret" } else { "unauthorized" }
    }
}

/// The example of a request's body.
#[derive(Clone)]
pub(super) enum ExampleBody {
    Json(Value),
    Csv(String),
}

/// An operation of openapi.json.
pub(super) struct DocumentedOperation {
    /// Method and path, such as `GET /health`.
    pub(super) name: String,
    pub(super) method: Method,
    pub(super) path: String,
    access: Access,
    /// The documented example of the body, so that validation does not refuse the request.
    pub(super) body: Option<ExampleBody>,
    /// The documented response statuses.
    statuses: BTreeSet<u16>,
}

impl DocumentedOperation {
    pub(super) fn all() -> Vec<Self> {
        let document: Value = serde_json::from_str(&local::openapi::document().unwrap()).unwrap();
        let mut all = Vec::new();
        for (path, item) in document["paths"].as_object().unwrap() {
            for (method, operation) in item.as_object().unwrap() {
                let name = format!("{} {path}", method.to_uppercase());
                let required = operation["parameters"].as_array().into_iter().flatten();
                let required = required.filter(|one| one["required"] == true && one["in"] != "path");
                assert_eq!(required.count(), 0, "{name}: the matrix gives no required parameters yet");
                let content = &operation["requestBody"]["content"];
                let csv = content["text/csv"]["example"].as_str().map(|csv| ExampleBody::Csv(csv.to_owned()));
                let json = || example(&document, &content["application/json"]).map(ExampleBody::Json);
                let body = content.is_object().then(|| csv.or_else(json));
                let statuses = operation["responses"].as_object().unwrap().keys();
                all.push(Self {
                    method: method.to_uppercase().parse().unwrap(),
                    path: path.clone(),
                    access: Access::read(operation),
                    body: body.map(|body| body.unwrap_or_else(|| panic!("{name}: the body's schema has no example"))),
                    statuses: statuses.map(|status| status.parse().unwrap()).collect(),
                    name,
                });
            }
        }
        assert!(all.len() > 10);
        all
    }

    /// True when the path has parameters.
    fn has_ids(&self) -> bool {
        self.path.contains('{')
    }

    /// True when only a global administrator may call the operation.
    pub(super) fn is_for_administrators(&self) -> bool {
        self.access == Access::Administrator
    }

    /// The path with the ids of a tenant's objects.
    pub(super) fn path_of(&self, tenant: &TenantFixture) -> String {
        let path = self.path.split('/').enumerate().map(|(at, segment)| {
            if !segment.starts_with('{') {
                return segment.to_owned();
            }
            let collection = self.path.split('/').take(at).collect::<Vec<_>>().join("/");
            tenant.ids[&(collection, segment.to_owned())].clone()
        });
        path.collect::<Vec<_>>().join("/")
    }

    /// The request with the credentials of a caller that the operation allows; Stripe's signature excepted.
    pub(super) fn authorize(&self, call: TestRequest, tenant: &TenantFixture, admin: &str) -> TestRequest {
        match self.access {
            Access::Public | Access::Stripe => call,
            Access::ManyChat => call.header("x-webhook-secret", &tenant.webhook_secret),
            Access::Administrator => call.by(admin),
            Access::User => call.by(&tenant.owner),
            // Named, since some operations make the owner a member of a second company.
            Access::Token | Access::Member | Access::Owner => {
                call.by(&tenant.owner).header("x-customer-id", tenant.owner.customer_id.to_string())
            }
        }
    }

    /// A request with the ids of a tenant's objects in the path.
    pub(super) fn call(&self, app: &App, tenant: &TenantFixture) -> TestRequest {
        let call = app.call(self.method.clone(), &self.path_of(tenant));
        match &self.body {
            Some(ExampleBody::Json(body)) => call.json(body),
            Some(ExampleBody::Csv(body)) => call.body("text/csv", body.clone()),
            None => call,
        }
    }

    /// Asserts that the response's status is documented.
    #[track_caller]
    pub(super) fn assert_documented(&self, who: &str, answer: &TestResponse) {
        assert!(self.statuses.contains(&answer.status), "{} by {who}: {} is not documented", self.name, answer.status);
    }

    /// Asserts a documented refusal with this status and code in the error envelope.
    #[track_caller]
    fn assert_refused(&self, who: &str, answer: TestResponse, status: u16, code: &str) {
        let got = (answer.status, answer.body["error"]["code"].as_str());
        assert_eq!(got, (status, Some(code)), "{} by {who}: {}", self.name, answer.text);
        self.assert_documented(who, &answer);
        answer.refused(status, code);
    }

    /// Asserts that the caller is allowed: the request succeeds, or is refused by the state of the object only.
    #[track_caller]
    fn assert_allowed(&self, who: &str, answer: &TestResponse) {
        let status = answer.status;
        // These examples name an object that does not exist, and the refusal says so. The fixture's file never arrives.
        let names_unknown = matches!(
            (status, self.name.as_str()),
            (
                404,
                "POST /api/v1/documents/{id}/replace"
                    | "GET /api/v1/documents/{id}/file"
                    | "POST /api/v1/customers/me/owner"
                    | "POST /api/v1/golden-questions"
            ) | (422, "POST /api/v1/auth/invitations")
        );
        let is_allowed = status < 300 || matches!(status, 402 | 409) || names_unknown;
        assert!(is_allowed, "{} by {who}: {status} {}", self.name, answer.text);
        self.assert_documented(who, answer);
    }
}

/// The example of a media type, or of its schema.
fn example(document: &Value, media: &Value) -> Option<Value> {
    if let Some(example) = media.get("example") {
        return Some(example.clone());
    }
    let schema = &media["schema"];
    let schema = match schema["$ref"].as_str() {
        Some(reference) => document.pointer(reference.trim_start_matches('#')).unwrap(),
        None => schema,
    };
    schema.get("example").cloned()
}

/// A tenant that has one object of each kind that paths name.
pub(super) struct TenantFixture {
    pub(super) owner: TenantUser,
    support: TenantUser,
    webhook_secret: String,
    /// Object ids by the path before the parameter and the parameter's name.
    ids: BTreeMap<(String, String), String>,
}

/// Statements that make an approved answer, a golden question, a version of the configuration and an unanswered question.
fn make_objects_sql(owner: &TenantUser, conversation: Uuid) -> String {
    let (tenant, company) = (owner.customer_id, &owner.company_id);
    format!(
        "insert into approved_answers (customer_id, question, answer) values ('{tenant}', 'Prix du savon ?', '500 F');
         insert into golden_questions (customer_id, question, approved_answer_id)
             select customer_id, question, id from approved_answers where customer_id = '{tenant}';
         update documents set pages_total = 1 where customer_id = '{tenant}';
         update company_rag_configs set ai_name = 'Awa' where company_id = '{company}';
         with answer as (
             insert into messages (customer_id, conversation_id, direction, author, content, answered)
             values ('{tenant}', '{conversation}', 'outbound', 'bot', 'Je ne sais pas.', false) returning id
         )
         insert into messages (customer_id, conversation_id, direction, author, content, answered_by, created_at)
             select '{tenant}', '{conversation}', 'inbound', 'contact', 'Livrez-vous au Togo ?', id,
                 now() - interval '1 minute'
             from answer;"
    )
}

/// Inserts an export that is ready, so that no worker changes it meanwhile.
async fn make_export(app: &App, owner: &TenantUser) -> Uuid {
    let insert = "insert into exports (customer_id, requested_by, status, size_bytes, finished_at, expires_at)
                  values ($1, $2, 'ready', 100, now(), now() + interval '1 day') returning id";
    let insert = sqlx::query_scalar(insert).bind(owner.customer_id).bind(owner.user_id);
    insert.fetch_one(&mut app.admin_db().await).await.unwrap()
}

/// The operations that the owner of a deleted company may call.
const OF_A_DELETED_COMPANY: [&str; 2] = ["GET /api/v1/privacy/account", "POST /api/v1/privacy/account/restore"];

impl TenantFixture {
    pub(super) async fn create(app: &App, operations: &[DocumentedOperation]) -> Self {
        let owner = app.sign_up("Comptoir Baobab").await;
        let support = app.sign_up_support(&owner).await;
        app.announce(&owner, "guide.pdf", 100).await;
        let webhook_secret = app.webhook_secret(&owner).await;
        let conversation = app.store_contact_message(&owner, "132", "Bonjour").await;
        app.store_bot_message(&owner, conversation, "Bonjour, je suis l'assistant.").await;
        app.sql(&make_objects_sql(&owner, conversation)).await;
        app.post("/api/v1/products").by(&owner).json(&json!({ "name": "Savon", "price": "500" })).await.data(201);
        let order = json!({ "items": [{ "name": "Savon", "quantity": 1, "unit_price": "500" }] });
        app.post("/api/v1/orders").by(&owner).json(&order).await.data(201);
        // The endpoint is created last, so that the creation of the other objects is no event for it.
        let endpoint = json!({ "url": "https://hooks.example.com/fixture", "events": ["quota.warning"] });
        app.post("/api/v1/webhook-endpoints").by(&owner).json(&endpoint).await.data(201);
        let mut ids = BTreeMap::from([
            (("/api/v1/privacy/contacts".to_owned(), "{conversation_id}".to_owned()), conversation.to_string()),
            (("/api/v1/privacy/exports".to_owned(), "{id}".to_owned()), make_export(app, &owner).await.to_string()),
        ]);
        for operation in operations {
            for (at, segment) in operation.path.split('/').enumerate().filter(|(_, segment)| segment.starts_with('{')) {
                let collection = operation.path.split('/').take(at).collect::<Vec<_>>().join("/");
                let key = (collection.clone(), segment.to_owned());
                if segment == "{public_user_id}" {
                    ids.insert(key, owner.user_id.to_string());
                } else if segment == "{page}" {
                    ids.insert(key, "1".to_owned());
                } else if segment == "{user_id}" {
                    ids.insert(key, support.user_id.to_string());
                } else if collection == "/api/v1/admin/customers" {
                    ids.insert(key, owner.customer_id.to_string());
                } else if let Entry::Vacant(missing) = ids.entry(key) {
                    let listed = app.get(&collection).by(&owner).await;
                    let id = match &listed.body["data"][0]["id"] {
                        Value::String(id) => id.clone(),
                        Value::Number(id) => id.to_string(),
                        _ => panic!("{}: GET {collection} lists nothing; make one here first", operation.name),
                    };
                    missing.insert(id);
                }
            }
        }
        Self { owner, support, webhook_secret, ids }
    }

    /// All rows of the tenant as text, by table.
    pub(super) async fn rows(&self, app: &App) -> BTreeMap<String, String> {
        let mut db = app.admin_db().await;
        let tables: Vec<String> = sqlx::query_scalar(
            "select c.table_name::text from information_schema.columns c
             join information_schema.tables t using (table_schema, table_name)
             where c.table_schema = 'public' and c.column_name = 'customer_id' and t.table_type = 'BASE TABLE'",
        )
        .fetch_all(&mut db)
        .await
        .unwrap();
        assert!(tables.len() > 3, "{tables:?}");
        let mut rows = BTreeMap::new();
        for table in tables {
            let all = format!(
                "select coalesce(string_agg(kept::text, E'\\n' order by kept::text), '') from {table} kept
                 where customer_id = '{}'",
                self.owner.customer_id
            );
            let text = sqlx::query_scalar(AssertSqlSafe(all)).fetch_one(&mut db).await.unwrap();
            rows.insert(table, text);
        }
        rows
    }
}

/// Description of the token that was valid.
const EXPIRED: &str = "an expired token";

/// Invalid tokens with their description, each derived from valid claims of the tenant's owner.
fn bad_tokens(app: &App, owner: &TenantUser) -> Vec<(&'static str, String)> {
    let valid = owner.claims();
    let with = |name: &str, value: Value| {
        let mut claims = valid.clone();
        claims[name] = value;
        app.token(&claims)
    };
    let signed = app.token(&valid);
    let body = signed.split('.').nth(1).unwrap();
    let foreign = "f".repeat(64);
    let service = json!({ "role": "service_role", "iss": "supabase", "exp": unix_time_in(600) });
    vec![
        (EXPIRED, with("exp", json!(unix_time_in(-61)))),
        ("a token of the future", with("nbf", json!(unix_time_in(120)))),
        ("a foreign key", app.token_signed_with(&valid, &Header::default(), &foreign)),
        ("a foreign key's service", app.token_signed_with(&service, &Header::default(), &foreign)),
        (
            "another algorithm",
            app.token_signed_with(&valid, &Header::new(Algorithm::HS512), &app.stack.secrets.jwt_secret),
        ),
        // {"alg":"none","typ":"JWT"}
        ("alg none", format!("eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0.{body}.")),
        ("a wrong audience", with("aud", json!("anon"))),
        ("no audience", with("aud", Value::Null)),
        ("a wrong issuer", with("iss", json!("somebody"))),
        ("no token at all", "x".to_owned()),
    ]
}

#[test]
fn the_public_operations_match_the_list() {
    let all = DocumentedOperation::all();
    let public = all.iter().filter(|operation| operation.access == Access::Public);
    assert_eq!(public.map(|operation| operation.name.as_str()).collect::<BTreeSet<_>>(), BTreeSet::from(PUBLIC));
}

/// A handler's signature decides its callers and openapi.json repeats it. This test notices when a handler newly
/// allows support users.
#[test]
fn non_get_operations_for_support_users_match_the_list() {
    let all = DocumentedOperation::all();
    let writes = all.iter().filter(|one| one.access == Access::Member && one.method != Method::GET);
    assert_eq!(writes.map(|one| one.name.as_str()).collect::<BTreeSet<_>>(), BTreeSet::from(SUPPORT_WRITES));
}

#[tokio::test]
async fn without_a_valid_token_only_public_operations_are_allowed() {
    let app = App::start().await;
    let all = DocumentedOperation::all();
    let victim = TenantFixture::create(&app, &all).await;
    let before = victim.rows(&app).await;
    let bad = bad_tokens(&app, &victim.owner);
    for operation in &all {
        let is_public = PUBLIC.contains(&operation.name.as_str());
        let mut answers = vec![("nobody", operation.call(&app, &victim).await)];
        for (who, token) in &bad {
            answers.push((who, operation.call(&app, &victim).by(token).await));
        }
        for (who, answer) in answers {
            if operation.access == Access::Stripe {
                // The signature is checked before the body is parsed, whatever token is sent.
                operation.assert_refused(who, answer, 400, "invalid_signature");
                continue;
            }
            if !is_public {
                let code = match operation.access.missing_credentials_code() {
                    "unauthorized" if who == EXPIRED => "token_expired",
                    code => code,
                };
                operation.assert_refused(who, answer, 401, code);
                continue;
            }
            operation.assert_documented(who, &answer);
            assert!(answer.status < 500, "{} by {who}: {}", operation.name, answer.text);
            if answer.status >= 400 {
                let (status, code) = (answer.status, answer.body["error"]["code"].as_str().unwrap().to_owned());
                answer.refused(status, &code);
            }
        }
    }
    assert_eq!(victim.rows(&app).await, before, "whoever was refused changed something");
}

#[tokio::test]
async fn callers_without_the_required_role_or_tenant_are_refused_and_change_nothing() {
    let app = App::start().await;
    let all = DocumentedOperation::all();
    let victim = TenantFixture::create(&app, &all).await;
    let other = TenantFixture::create(&app, &all).await;
    let no_company = app.sign_up("Personne").await;
    app.sql(&format!("delete from customer_members where user_id = '{}'", no_company.user_id)).await;
    let (service, admin) = (app.service_token(), app.admin_token().await);
    let before = victim.rows(&app).await;
    let mut refused = 0;
    for operation in all.iter().filter(|operation| operation.access != Access::Public) {
        let call = || operation.call(&app, &victim);
        if matches!(operation.access, Access::User | Access::Member | Access::Owner | Access::Administrator) {
            operation.assert_refused("a service", call().by(&service).await, 403, "forbidden");
            refused += 1;
        }
        if operation.access.needs_membership() {
            operation.assert_refused("a user of no company", call().by(&no_company).await, 422, "tenant_required");
            operation.assert_refused("a global administrator", call().by(&admin).await, 403, "forbidden");
            let named = call().by(&admin).header("x-customer-id", victim.owner.customer_id.to_string());
            operation.assert_refused("a global administrator who names the company", named.await, 403, "forbidden");
            let named = call().by(&other.owner).header("x-customer-id", victim.owner.customer_id.to_string());
            operation.assert_refused("another owner who names the company", named.await, 404, "not_found");
            let unknown = call().by(&other.owner).header("x-customer-id", Uuid::new_v4().to_string());
            operation.assert_refused("another owner who names no company", unknown.await, 404, "not_found");
            refused += 5;
        }
        if operation.access == Access::ManyChat {
            let wrong = call().header("x-webhook-secret", "whs_wrong");
            operation.assert_refused("a wrong secret", wrong.await, 401, "invalid_webhook_secret");
            operation.assert_refused("the owner", call().by(&victim.owner).await, 401, "invalid_webhook_secret");
            app.sql(&format!(
                "insert into webhook_secrets (customer_id, sha256, expires_at) values ('{}', \
                sha256('old secret'), now() - interval '1 second')",
                other.owner.customer_id
            ))
            .await;
            let expired = call().header("x-webhook-secret", "old secret");
            operation.assert_refused("an expired secret", expired.await, 401, "invalid_webhook_secret");
            refused += 3;
        }
        if operation.access == Access::Administrator {
            operation.assert_refused("the owner", call().by(&victim.owner).await, 403, "forbidden");
            refused += 1;
        }
        // Without an id in the path, such an operation is about the caller itself.
        if operation.access == Access::Token && operation.has_ids() {
            operation.assert_refused("a user of no company", call().by(&no_company).await, 404, "not_found");
            refused += 1;
        }
        if operation.access == Access::Owner {
            operation.assert_refused("a support user", call().by(&victim.support).await, 403, "forbidden");
            refused += 1;
        }
        if operation.has_ids() && operation.access != Access::Administrator {
            operation.assert_refused("another owner", call().by(&other.owner).await, 404, "not_found");
            refused += 1;
        }
    }
    assert!(refused > 30, "{refused}");
    assert_eq!(victim.rows(&app).await, before, "whoever was refused changed something");
}

/// A handler records such a read with `Caller::read_tx`. This test notices when it does not.
#[tokio::test]
async fn every_read_by_a_support_user_is_in_the_audit_log_or_in_the_list() {
    let app = App::start().await;
    let all = DocumentedOperation::all();
    let tenant = TenantFixture::create(&app, &all).await;
    let reads = all.iter().filter(|one| one.method == Method::GET && one.access != Access::Public);
    let mut unaudited = BTreeSet::new();
    for operation in reads {
        let answer = operation.call(&app, &tenant).by(&tenant.support).await;
        if operation.access == Access::Member {
            operation.assert_allowed("a support user", &answer);
        }
        let entries = format!(
            "select count(*) from audit_log where actor = '{}' and customer_id = '{}' and request_id = '{}'",
            tenant.support.user_id,
            tenant.owner.customer_id,
            answer.header("x-request-id")
        );
        match (answer.status, app.number(&entries).await) {
            (200..300, 0) => drop(unaudited.insert(operation.name.as_str())),
            (200..300, count) => assert_eq!(count, 1, "{}", operation.name),
            // The link was asked for, and the file has not arrived.
            (404, count) if operation.name == "GET /api/v1/documents/{id}/file" => assert_eq!(count, 1),
            (_, count) => assert_eq!(count, 0, "{}: {}", operation.name, answer.text),
        }
    }
    assert_eq!(unaudited, UNAUDITED_READS.iter().map(|(name, _)| *name).collect());
}

#[tokio::test]
async fn members_of_a_suspended_or_deleted_company_are_refused() {
    let app = App::start().await;
    let all = DocumentedOperation::all();
    let closed = TenantFixture::create(&app, &all).await;
    for (column, code) in [("suspended_at", "tenant_suspended"), ("deleted_at", "tenant_deleted")] {
        app.sql(&format!("update customers set {column} = now() where id = '{}'", closed.owner.customer_id)).await;
        let before = closed.rows(&app).await;
        for operation in all.iter().filter(|operation| operation.access == Access::ManyChat) {
            let call = operation.call(&app, &closed).header("x-webhook-secret", &closed.webhook_secret);
            operation.assert_refused("its ManyChat bot", call.await, 403, code);
        }
        for operation in all.iter().filter(|operation| operation.access.needs_membership()) {
            for (who, token) in [("the owner", &closed.owner), ("a support user", &closed.support)] {
                let may_return = OF_A_DELETED_COMPANY.contains(&operation.name.as_str());
                if may_return && code == "tenant_deleted" && who == "the owner" {
                    continue;
                }
                operation.assert_refused(who, operation.call(&app, &closed).by(token).await, 403, code);
            }
        }
        assert_eq!(closed.rows(&app).await, before, "a closed company changed");
    }
}

/// The counterpart of the tests above, which would pass if every request were refused or malformed.
#[tokio::test]
async fn callers_with_the_required_role_are_allowed() {
    let app = App::start().await;
    let all = DocumentedOperation::all();
    let for_people = all.iter().filter(|one| !matches!(one.access, Access::Public | Access::Stripe));
    for operation in for_people {
        if operation.access == Access::Administrator {
            let tenant = TenantFixture::create(&app, &all).await;
            let answer = operation.call(&app, &tenant).by(&app.admin_token().await).await;
            // The example names a subscription that does not exist.
            assert!(answer.status < 300 || answer.status == 404, "{}: {}", operation.name, answer.text);
            operation.assert_documented("an administrator", &answer);
            continue;
        }
        // Each request gets a new tenant, since some requests end sessions or delete objects that others need.
        if operation.access == Access::ManyChat {
            let tenant = TenantFixture::create(&app, &all).await;
            let call = operation.call(&app, &tenant).header("x-webhook-secret", &tenant.webhook_secret);
            operation.assert_allowed("its ManyChat bot", &call.await);
            continue;
        }
        let is_for_support = match operation.access {
            Access::Owner => false,
            // The handler checks the user id in the path, and the fixture's id is the owner's.
            Access::Token => !operation.has_ids(),
            _ => true,
        };
        if is_for_support {
            let tenant = TenantFixture::create(&app, &all).await;
            operation.assert_allowed("a support user", &operation.call(&app, &tenant).by(&tenant.support).await);
        }
        let tenant = TenantFixture::create(&app, &all).await;
        operation.assert_allowed("the owner", &operation.call(&app, &tenant).by(&tenant.owner).await);
    }
    assert_eq!(PASSWORD, "correct horse battery", "the examples of openapi.json say so");
}
