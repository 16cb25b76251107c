//! Who may call what: every operation of openapi.json, called by everybody who may not, and by those who may. Nothing
//! here names an operation but the list of public ones; one that is new is covered, or fails until it says who it is for.

use std::collections::{BTreeMap, BTreeSet, btree_map::Entry};

use jsonwebtoken::{Algorithm, Header};
use reqwest::Method;
use serde_json::{Value, json};
use sqlx::AssertSqlSafe;
use uuid::Uuid;

use super::support::{Answer, App, Call, PASSWORD, Tenant, in_seconds};

/// What anybody may call. This list only ever gets shorter; a line more is a decision for docs/DECISIONS.md.
const PUBLIC: [&str; 6] = [
    "GET /docs",
    "GET /health",
    "GET /openapi.json",
    "POST /api/v1/auth/login",
    "POST /api/v1/auth/refresh",
    "POST /api/v1/auth/signup",
];

/// What a support user may do besides reading. This list only ever gets shorter, too.
const FOR_SUPPORT: [&str; 6] = [
    "POST /api/v1/conversations/{id}/release",
    "POST /api/v1/conversations/{id}/reply",
    "POST /api/v1/conversations/{id}/takeover",
    "POST /api/v1/messages/{id}/feedback",
    "POST /api/v1/query",
    "POST /api/v1/query/stream",
];

/// Whom an operation is for, as its `security` says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Access {
    Public,
    /// Any token; the handler judges by what is asked for.
    Token,
    /// A person, of any company or none.
    User,
    /// A member of the company.
    Member,
    /// Its owner.
    Owner,
    /// The company's ManyChat bot, by its secret.
    ManyChat,
    /// Stripe, by its signature; tested with the webhook itself.
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
            ref other => panic!("the matrix knows no {other:?}: say here who may and who may not"),
        }
    }

    fn is_of_a_company(self) -> bool {
        matches!(self, Self::Member | Self::Owner)
    }

    /// What somebody without anything is told.
    fn missing(self) -> &'static str {
        if self == Self::ManyChat { "invalid_webhook_secret" } else { "unauthorized" }
    }
}

/// An operation of openapi.json.
struct Operation {
    /// As `GET /health`.
    name: String,
    method: Method,
    path: String,
    access: Access,
    /// The body's example, so that it is not the validation that refuses.
    body: Option<Value>,
    /// The statuses that are documented.
    statuses: BTreeSet<u16>,
}

impl Operation {
    fn all() -> Vec<Self> {
        let document: Value = serde_json::from_str(&local::openapi::document().unwrap()).unwrap();
        let mut all = Vec::new();
        for (path, item) in document["paths"].as_object().unwrap() {
            for (method, operation) in item.as_object().unwrap() {
                let name = format!("{} {path}", method.to_uppercase());
                let required = operation["parameters"].as_array().into_iter().flatten();
                let required = required.filter(|one| one["required"] == true && one["in"] != "path");
                assert_eq!(required.count(), 0, "{name}: the matrix gives no required parameters yet");
                let content = &operation["requestBody"]["content"];
                let body = content.is_object().then(|| example(&document, &content["application/json"]));
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

    fn has_ids(&self) -> bool {
        self.path.contains('{')
    }

    /// A call with what a tenant has in the path.
    fn call(&self, app: &App, of: &Furnished) -> Call {
        let path = self.path.split('/').enumerate().map(|(at, segment)| {
            if !segment.starts_with('{') {
                return segment.to_owned();
            }
            let collection = self.path.split('/').take(at).collect::<Vec<_>>().join("/");
            of.ids[&(collection, segment.to_owned())].to_string()
        });
        let call = app.call(self.method.clone(), &path.collect::<Vec<_>>().join("/"));
        match &self.body {
            Some(body) => call.json(body),
            None => call,
        }
    }

    /// Holds an answer to what is documented.
    #[track_caller]
    fn is_documented(&self, who: &str, answer: &Answer) {
        assert!(self.statuses.contains(&answer.status), "{} by {who}: {} is not documented", self.name, answer.status);
    }

    /// Refused, in the envelope, as documented.
    #[track_caller]
    fn refuses(&self, who: &str, answer: Answer, status: u16, code: &str) {
        let got = (answer.status, answer.body["error"]["code"].as_str());
        assert_eq!(got, (status, Some(code)), "{} by {who}: {}", self.name, answer.text);
        self.is_documented(who, &answer);
        answer.refused(status, code);
    }

    /// Let in: what is asked for is done, or is not possible now.
    #[track_caller]
    fn lets_in(&self, who: &str, answer: &Answer) {
        let status = answer.status;
        let is_let_in = status < 300 || matches!(status, 402 | 409);
        assert!(is_let_in, "{} by {who}: {status} {}", self.name, answer.text);
        self.is_documented(who, answer);
    }
}

/// The example of a media type or of its schema.
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

/// A tenant that has one of everything that paths name.
struct Furnished {
    owner: Tenant,
    support: Tenant,
    webhook_secret: String,
    /// By the path before the parameter, and the parameter.
    ids: BTreeMap<(String, String), Uuid>,
}

impl Furnished {
    async fn make(app: &App, operations: &[Operation]) -> Self {
        let owner = app.sign_up("Comptoir Baobab").await;
        let support = app.sign_up_support(&owner).await;
        app.announce(&owner, "guide.pdf", 100).await;
        let webhook_secret = app.webhook_secret(&owner).await;
        let conversation = app.write_in(&owner, "132", "Bonjour").await;
        app.bot_says(&owner, conversation, "Bonjour, je suis l'assistant.").await;
        let mut ids = BTreeMap::new();
        for operation in operations {
            for (at, segment) in operation.path.split('/').enumerate().filter(|(_, segment)| segment.starts_with('{')) {
                let collection = operation.path.split('/').take(at).collect::<Vec<_>>().join("/");
                let key = (collection.clone(), segment.to_owned());
                if segment == "{public_user_id}" {
                    ids.insert(key, owner.user_id);
                } else if let Entry::Vacant(missing) = ids.entry(key) {
                    let listed = app.get(&collection).by(&owner).await;
                    let id = listed.body["data"][0]["id"].as_str().unwrap_or_else(|| {
                        panic!("{}: GET {collection} lists nothing; make one here first", operation.name)
                    });
                    missing.insert(id.parse().unwrap());
                }
            }
        }
        Self { owner, support, webhook_secret, ids }
    }

    /// Every row that the database keeps for the tenant, table by table.
    async fn rows(&self, app: &App) -> BTreeMap<String, String> {
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

/// Tokens that do not count, each made from an honest one of the tenant's owner.
fn bad_tokens(app: &App, owner: &Tenant) -> Vec<(&'static str, String)> {
    let honest = owner.claims();
    let with = |name: &str, value: Value| {
        let mut claims = honest.clone();
        claims[name] = value;
        app.token(&claims)
    };
    let signed = app.token(&honest);
    let body = signed.split('.').nth(1).unwrap();
    let foreign = "f".repeat(64);
    let service = json!({ "role": "service_role", "iss": "supabase", "exp": in_seconds(600) });
    vec![
        ("an expired token", with("exp", json!(in_seconds(-61)))),
        ("a token of the future", with("nbf", json!(in_seconds(120)))),
        ("a foreign key", app.token_by(&honest, &Header::default(), &foreign)),
        ("a foreign key's service", app.token_by(&service, &Header::default(), &foreign)),
        ("another algorithm", app.token_by(&honest, &Header::new(Algorithm::HS512), &app.stack.secrets.jwt_secret)),
        // {"alg":"none","typ":"JWT"}
        ("alg none", format!("eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0.{body}.")),
        ("a wrong audience", with("aud", json!("anon"))),
        ("no audience", with("aud", Value::Null)),
        ("a wrong issuer", with("iss", json!("somebody"))),
        ("no token at all", "x".to_owned()),
    ]
}

#[test]
fn the_public_operations_are_these() {
    let all = Operation::all();
    let public = all.iter().filter(|operation| operation.access == Access::Public);
    assert_eq!(public.map(|operation| operation.name.as_str()).collect::<BTreeSet<_>>(), BTreeSet::from(PUBLIC));
}

/// Whom a handler lets in is its own to say, and openapi.json repeats it; that it says too many is seen here.
#[test]
fn support_users_read_and_do_these() {
    let all = Operation::all();
    let doing = all.iter().filter(|one| one.access == Access::Member && one.method != Method::GET);
    assert_eq!(doing.map(|one| one.name.as_str()).collect::<BTreeSet<_>>(), BTreeSet::from(FOR_SUPPORT));
}

#[tokio::test]
async fn without_a_token_that_counts_only_the_public_operations_open() {
    let app = App::start().await;
    let all = Operation::all();
    let victim = Furnished::make(&app, &all).await;
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
                // Before the body is looked at, and whatever token comes along.
                operation.refuses(who, answer, 400, "invalid_signature");
                continue;
            }
            if !is_public {
                operation.refuses(who, answer, 401, operation.access.missing());
                continue;
            }
            operation.is_documented(who, &answer);
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
async fn who_is_not_meant_is_refused_and_changes_nothing() {
    let app = App::start().await;
    let all = Operation::all();
    let victim = Furnished::make(&app, &all).await;
    let other = Furnished::make(&app, &all).await;
    let homeless = app.sign_up("Personne").await;
    app.sql(&format!("delete from customer_members where user_id = '{}'", homeless.user_id)).await;
    let (service, admin) = (app.service_token(), app.admin_token().await);
    let before = victim.rows(&app).await;
    let mut refused = 0;
    for operation in all.iter().filter(|operation| operation.access != Access::Public) {
        let call = || operation.call(&app, &victim);
        if matches!(operation.access, Access::User | Access::Member | Access::Owner) {
            operation.refuses("a service", call().by(&service).await, 403, "forbidden");
            refused += 1;
        }
        if operation.access.is_of_a_company() {
            operation.refuses("a user of no company", call().by(&homeless).await, 422, "tenant_required");
            operation.refuses("a global administrator", call().by(&admin).await, 403, "forbidden");
            let named = call().by(&admin).header("x-customer-id", victim.owner.customer_id.to_string());
            operation.refuses("a global administrator who names the company", named.await, 403, "forbidden");
            let named = call().by(&other.owner).header("x-customer-id", victim.owner.customer_id.to_string());
            operation.refuses("another owner who names the company", named.await, 404, "not_found");
            let unknown = call().by(&other.owner).header("x-customer-id", Uuid::new_v4().to_string());
            operation.refuses("another owner who names no company", unknown.await, 404, "not_found");
            refused += 5;
        }
        if operation.access == Access::ManyChat {
            let wrong = call().header("x-webhook-secret", "whs_wrong");
            operation.refuses("a wrong secret", wrong.await, 401, "invalid_webhook_secret");
            operation.refuses("the owner", call().by(&victim.owner).await, 401, "invalid_webhook_secret");
            app.sql(&format!(
                "insert into webhook_secrets (customer_id, sha256, expires_at) values ('{}', \
                sha256('old secret'), now() - interval '1 second')",
                other.owner.customer_id
            ))
            .await;
            let expired = call().header("x-webhook-secret", "old secret");
            operation.refuses("an expired secret", expired.await, 401, "invalid_webhook_secret");
            refused += 3;
        }
        if operation.access == Access::Token {
            operation.refuses("a user of no company", call().by(&homeless).await, 404, "not_found");
            refused += 1;
        }
        if operation.access == Access::Owner {
            operation.refuses("a support user", call().by(&victim.support).await, 403, "forbidden");
            refused += 1;
        }
        if operation.has_ids() {
            operation.refuses("another owner", call().by(&other.owner).await, 404, "not_found");
            refused += 1;
        }
    }
    assert!(refused > 30, "{refused}");
    assert_eq!(victim.rows(&app).await, before, "whoever was refused changed something");
}

#[tokio::test]
async fn companies_out_of_use_are_closed_to_their_members() {
    let app = App::start().await;
    let all = Operation::all();
    let closed = Furnished::make(&app, &all).await;
    for (column, code) in [("suspended_at", "tenant_suspended"), ("deleted_at", "tenant_deleted")] {
        app.sql(&format!("update customers set {column} = now() where id = '{}'", closed.owner.customer_id)).await;
        let before = closed.rows(&app).await;
        for operation in all.iter().filter(|operation| operation.access == Access::ManyChat) {
            let call = operation.call(&app, &closed).header("x-webhook-secret", &closed.webhook_secret);
            operation.refuses("its ManyChat bot", call.await, 403, code);
        }
        for operation in all.iter().filter(|operation| operation.access.is_of_a_company()) {
            for (who, token) in [("the owner", &closed.owner), ("a support user", &closed.support)] {
                operation.refuses(who, operation.call(&app, &closed).by(token).await, 403, code);
            }
        }
        assert_eq!(closed.rows(&app).await, before, "a closed company changed");
    }
}

/// The other half: were everything refused, or the calls malformed, the tests above would prove nothing.
#[tokio::test]
async fn who_is_meant_is_let_in() {
    let app = App::start().await;
    let all = Operation::all();
    let for_people = all.iter().filter(|one| !matches!(one.access, Access::Public | Access::Stripe));
    for operation in for_people {
        // A tenant for each call, since some end sessions or delete what others ask for.
        if operation.access == Access::ManyChat {
            let tenant = Furnished::make(&app, &all).await;
            let call = operation.call(&app, &tenant).header("x-webhook-secret", &tenant.webhook_secret);
            operation.lets_in("its ManyChat bot", &call.await);
            continue;
        }
        let is_for_support = match operation.access {
            Access::Owner => false,
            // The handler judges by whose id is in the path, and that is the owner's.
            Access::Token => !operation.has_ids(),
            _ => true,
        };
        if is_for_support {
            let tenant = Furnished::make(&app, &all).await;
            operation.lets_in("a support user", &operation.call(&app, &tenant).by(&tenant.support).await);
        }
        let tenant = Furnished::make(&app, &all).await;
        operation.lets_in("the owner", &operation.call(&app, &tenant).by(&tenant.owner).await);
    }
    assert_eq!(PASSWORD, "correct horse battery", "the examples of openapi.json say so");
}
