//! Hostile requests to every operation of openapi.json: unknown query parameters, values that no field expects, and cursors
//! of other lists. A new operation is covered automatically.

use reqwest::Method;
use serde_json::{Value, json};

use super::{
    authorization::{DocumentedOperation, ExampleBody, TenantFixture},
    support::App,
};

/// Operations that take any query parameter: vendors write the URLs of webhooks, and monitors and mail programs add
/// parameters to pages. The list may only get shorter; adding a line needs an entry in docs/DECISIONS.md.
const TAKE_ANY_PARAMETER: [&str; 5] =
    ["GET /docs", "GET /health", "GET /openapi.json", "POST /api/v1/webhook/manychat", "POST /api/v1/webhooks/stripe"];

/// Settings under which one account may send as many requests as these tests need.
const RAISED_LIMITS: [(&str, &str); 5] = [
    ("RATE_LIMIT_USER", "1000000"),
    ("RATE_LIMIT_ADDRESS", "1000000"),
    ("RATE_LIMIT_SIGN_IN", "1000000"),
    ("RATE_LIMIT_WEBHOOK", "1000000"),
    ("RATE_LIMIT_WEBHOOK_ADDRESS", "1000000"),
];

/// Stands in an example's field for a value that `serde_json` cannot write.
const MARKER: &str = "@@value@@";

/// Values for a field, as JSON: NUL, halves of surrogate pairs, numbers beyond 64 bits and beyond a float, fractions, far
/// times, days that do not exist, texts that are too long or that nobody sees, and other types.
const HOSTILE_VALUES: [&str; 16] = [
    r#""a\u0000b""#,
    r#""\ud800""#,
    r#""\udc00\ud800""#,
    r#""\u202e\ufffe""#,
    r#"" ""#,
    "9223372036854775808",
    "-9223372036854775809",
    "1e400",
    "-1.5",
    r#""9999-12-31T23:59:59.999999999Z""#,
    r#""+262142-12-31T23:59:59Z""#,
    r#""-4714-01-01""#,
    r#""2026-02-30""#,
    "[[]]",
    "{}",
    "null",
];

/// Values for a query parameter, percent-encoded.
const HOSTILE_PARAMETERS: [&str; 14] = [
    "",
    "%00",
    "a%00b",
    "%FF",
    "%ED%A0%80",
    "%E2%80%AE",
    "9223372036854775808",
    "-9223372036854775809",
    "1e400",
    "9999-12-31T23%3A59%3A59Z",
    "%2B262142-12-31",
    "-4714-01-01",
    "%27%3B--",
    "%25%5C_",
];

/// Values for a segment of the path, percent-encoded.
const HOSTILE_SEGMENTS: [&str; 9] =
    ["%00", "%FF", "%2F", "a%2Fb", "%E2%80%AE", "-1", "9223372036854775808", "99999999999999999999999999999999", "%20"];

/// The documented operations as JSON, each with its method and path.
fn documented() -> Vec<(String, Value)> {
    let document: Value = serde_json::from_str(&local::openapi::document().unwrap()).unwrap();
    let paths = document["paths"].as_object().unwrap();
    let operations = paths.iter().flat_map(|(path, item)| {
        let item = item.as_object().unwrap();
        item.iter().map(move |(method, operation)| (format!("{} {path}", method.to_uppercase()), operation.clone()))
    });
    operations.collect()
}

/// The names of the operation's query parameters.
fn query_parameters(operation: &Value) -> Vec<String> {
    let parameters = operation["parameters"].as_array().into_iter().flatten();
    let query = parameters.filter(|parameter| parameter["in"] == "query");
    query.map(|parameter| parameter["name"].as_str().unwrap().to_owned()).collect()
}

/// The JSON pointers of all values within `value` that are no object and no list.
fn leaves(value: &Value, pointer: &str, found: &mut Vec<String>) {
    match value {
        Value::Object(fields) => fields.iter().for_each(|(name, field)| {
            let name = name.replace('~', "~0").replace('/', "~1");
            leaves(field, &format!("{pointer}/{name}"), found);
        }),
        Value::Array(rows) => {
            rows.iter().enumerate().for_each(|(at, row)| leaves(row, &format!("{pointer}/{at}"), found));
        }
        _ => found.push(pointer.to_owned()),
    }
}

#[tokio::test]
async fn an_unknown_query_parameter_is_refused_by_its_name_and_nothing_is_done() {
    let app = App::with_settings(&RAISED_LIMITS).await;
    let all = DocumentedOperation::all();
    let tenant = TenantFixture::create(&app, &all).await;
    let admin = app.admin_token().await;
    let before = tenant.rows(&app).await;
    for operation in all.iter().filter(|one| !TAKE_ANY_PARAMETER.contains(&one.name.as_str())) {
        let call = operation.call(&app, &tenant).query("no_such_parameter", "x").query("satus", "failed");
        let answer = operation.authorize(call, &tenant, &admin).await;
        operation.assert_documented("an unknown parameter", &answer);
        let details = answer.refused(422, "validation_failed");
        let fields: Vec<_> = details.as_array().unwrap().iter().map(|one| one["field"].clone()).collect();
        assert_eq!(fields, [json!("no_such_parameter"), json!("satus")], "{}", operation.name);
    }
    assert_eq!(tenant.rows(&app).await, before);
}

#[tokio::test]
async fn a_missing_token_is_told_before_an_unknown_query_parameter() {
    let app = App::start().await;
    let path = "/api/v1/orders?no_such_parameter=1";
    app.get(path).await.refused(401, "unauthorized");
    app.get(path).by("x").await.refused(401, "unauthorized");
    // Parameters belong to the request and roles to the company, which is looked up later.
    app.get(path).by(app.service_token()).await.refused(422, "validation_failed");
}

#[tokio::test]
async fn webhooks_and_unmetered_pages_ignore_unknown_query_parameters() {
    let app = App::start().await;
    let all = DocumentedOperation::all();
    let tenant = TenantFixture::create(&app, &all).await;
    let open = all.iter().filter(|one| TAKE_ANY_PARAMETER.contains(&one.name.as_str()));
    let mut statuses = Vec::new();
    for operation in open {
        let call = operation.call(&app, &tenant).query("utm_source", "mail");
        let answer = operation.authorize(call, &tenant, "").await;
        statuses.push((operation.name.as_str(), answer.status));
    }
    // The event is not signed, which is checked after the parameters.
    let expected = TAKE_ANY_PARAMETER.map(|name| (name, if name.ends_with("/stripe") { 400 } else { 200 }));
    statuses.sort_unstable();
    assert_eq!(statuses, expected);
}

#[tokio::test]
async fn the_refusal_names_the_parameters_that_the_route_has() {
    let app = App::start().await;
    let tenant = app.sign_up("Comptoir Baobab").await;
    let message = async |path: &str| {
        let details = app.get(path).by(&tenant).await.refused(422, "validation_failed");
        (details[0]["field"].as_str().unwrap().to_owned(), details[0]["message"].as_str().unwrap().to_owned())
    };
    assert_eq!(
        message("/api/v1/dashboard/stats?form=2026-11-01").await,
        ("form".to_owned(), "is no query parameter of this route, which has from, to".to_owned())
    );
    let (field, text) = message("/api/v1/profiles/me?%00%C3%A9=1").await;
    assert_eq!((field.as_str(), text.as_str()), ("\0é", "is no query parameter of this route, which has none"));
    let many: String = (0..100).map(|number| format!("&p{number}=1")).collect();
    let details = app.get(&format!("/api/v1/orders?{many}")).by(&tenant).await.refused(422, "validation_failed");
    assert_eq!(details.as_array().unwrap().len(), 20, "an answer stays small");
    // HEAD has the parameters of GET.
    let head = async |path: &str| app.call(Method::HEAD, path).by(&tenant).await.status;
    assert_eq!((head("/api/v1/orders?limit=1").await, head("/api/v1/orders?limt=1").await), (200, 422));
}

#[tokio::test]
async fn a_hostile_value_in_any_field_gets_a_documented_answer() {
    let app = App::with_settings(&RAISED_LIMITS).await;
    let all = DocumentedOperation::all();
    let tenant = TenantFixture::create(&app, &all).await;
    let admin = app.admin_token().await;
    let mut tried = 0;
    for operation in &all {
        let Some(ExampleBody::Json(body)) = &operation.body else { continue };
        let mut fields = Vec::new();
        leaves(body, "", &mut fields);
        for field in &fields {
            for value in HOSTILE_VALUES {
                let mut hostile = body.clone();
                *hostile.pointer_mut(field).unwrap() = json!(MARKER);
                let text = hostile.to_string().replace(&json!(MARKER).to_string(), value);
                let call = app.call(operation.method.clone(), &operation.path_of(&tenant)).raw_json(text);
                let answer = operation.authorize(call, &tenant, &admin).await;
                operation.assert_documented(&format!("{field} = {value}"), &answer);
                assert!(answer.status < 500, "{}: {field} = {value}: {}", operation.name, answer.text);
                tried += 1;
            }
        }
    }
    assert!(tried > 1000, "{tried}");
}

#[tokio::test]
async fn a_hostile_value_in_the_query_or_the_path_gets_a_documented_answer() {
    let app = App::with_settings(&RAISED_LIMITS).await;
    let all = DocumentedOperation::all();
    let tenant = TenantFixture::create(&app, &all).await;
    let admin = app.admin_token().await;
    let documented = documented();
    for operation in &all {
        let (_, description) = documented.iter().find(|(name, _)| *name == operation.name).unwrap();
        let path = operation.path_of(&tenant);
        let queries = query_parameters(description).into_iter().flat_map(|name| {
            let path = &path;
            HOSTILE_PARAMETERS.iter().map(move |value| format!("{path}?{name}={value}"))
        });
        let (front, _) = operation.path.split_once('{').unwrap_or_default();
        let back = operation.path.split_once('}').map_or("", |(_, back)| back).replace("{page}", "1");
        let segments = HOSTILE_SEGMENTS.iter().filter(|_| !front.is_empty());
        let paths = segments.map(|value| format!("{front}{value}{back}"));
        for target in queries.chain(paths) {
            let call = app.call(operation.method.clone(), &target);
            let call = match &operation.body {
                Some(ExampleBody::Json(body)) => call.json(body),
                Some(ExampleBody::Csv(body)) => call.body("text/csv", body.clone()),
                None => call,
            };
            let answer = operation.authorize(call, &tenant, &admin).await;
            operation.assert_documented(&target, &answer);
            assert!(answer.status < 500, "{target}: {}", answer.text);
        }
    }
}

#[tokio::test]
async fn a_cursor_of_another_list_is_refused() {
    let app = App::with_settings(&RAISED_LIMITS).await;
    let all = DocumentedOperation::all();
    let tenant = TenantFixture::create(&app, &all).await;
    let admin = app.admin_token().await;
    for (path, body) in [
        ("/api/v1/products", json!({ "name": "Savon noir", "price": "700" })),
        ("/api/v1/orders", json!({ "items": [{ "name": "Savon noir", "quantity": 1, "unit_price": "700" }] })),
        ("/api/v1/approved-answers", json!({ "question": "Livrez-vous au Togo ?", "answer": "Oui, en trois jours." })),
        ("/api/v1/webhook-endpoints", json!({ "url": "https://hooks.example.com/two", "events": ["quota.warning"] })),
    ] {
        app.post(path).by(&tenant.owner).json(&body).await.data(201);
    }
    let documented = documented();
    // The changes feed is no list: it has one order and cursors of another kind.
    let lists: Vec<_> = all
        .iter()
        .filter(|one| {
            let (_, description) = documented.iter().find(|(name, _)| *name == one.name).unwrap();
            let parameters = query_parameters(description);
            parameters.contains(&"cursor".to_owned()) && parameters.contains(&"page".to_owned())
        })
        .collect();
    let get = async |list: &DocumentedOperation, query: &str| {
        let call = app.get(&format!("{}?{query}", list.path_of(&tenant)));
        list.authorize(call, &tenant, &admin).await
    };
    let mut cursors = Vec::new();
    for list in &lists {
        if let Some(cursor) = get(list, "limit=1").await.json_body(200)["meta"]["next_cursor"].as_str() {
            cursors.push((list.name.clone(), cursor.to_owned()));
        }
    }
    assert!(cursors.len() >= 4, "{cursors:?}");
    for (of, cursor) in &cursors {
        for list in &lists {
            let answer = get(list, &format!("limit=1&cursor={cursor}")).await;
            if list.name == *of {
                assert_eq!(answer.status, 200, "{of}: {}", answer.text);
                continue;
            }
            let details = answer.refused(422, "validation_failed");
            assert_eq!(details[0]["field"], "cursor", "{} with the cursor of {of}", list.name);
        }
    }
}
