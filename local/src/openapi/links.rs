//! Links between operations: which value of an answer the next call needs. Most follow from the paths, because an object
//! that a collection makes or lists has its own operations below the collection; the others are in a table. A path
//! parameter has the value of its link as its example.

use anyhow::{Context, Result, ensure};
use serde_json::{Map, Value, json};

use super::operations_mut;

/// Answers with the id of an object whose path is not below the path of the operation: the operation, the object's path,
/// and the place of the id.
const OBJECTS: &[(&str, &str, &str)] = &[
    ("POST /api/v1/documents/upload", "/api/v1/documents/{id}", "/data/document/id"),
    ("POST /api/v1/query", "/api/v1/privacy/contacts/{conversation_id}", "/data/conversation_id"),
    ("GET /api/v1/conversations", "/api/v1/privacy/contacts/{conversation_id}", "/data/0/id"),
    ("POST /api/v1/unanswered-questions/{id}/approve", "/api/v1/approved-answers/{id}", "/data/approved_answer/id"),
    ("POST /api/v1/auth/signup", "/v1/quota/{public_user_id}", "/data/user/id"),
    ("POST /api/v1/auth/login", "/v1/quota/{public_user_id}", "/data/user/id"),
    ("GET /api/v1/profiles/me", "/v1/quota/{public_user_id}", "/data/id"),
];

/// A value of an answer that another operation takes in its query or its headers: the operation, the other one, the
/// parameter, and the place of the value.
const PARAMETERS: &[(&str, &str, &str, &str)] = &[
    ("POST /api/v1/query", "GET /api/v1/messages", "conversation_id", "/data/conversation_id"),
    ("GET /api/v1/conversations", "GET /api/v1/messages", "conversation_id", "/data/0/id"),
    ("POST /api/v1/conversations/{id}/takeover", "GET /api/v1/messages", "conversation_id", "/data/id"),
    ("GET /api/v1/unanswered-questions", "GET /api/v1/messages", "conversation_id", "/data/0/conversation_id"),
    ("GET /api/v1/profiles/me", "GET /api/v1/context", "X-Customer-Id", "/data/companies/0/id"),
    ("GET /api/v1/changes", "GET /api/v1/changes", "cursor", "/meta/next_cursor"),
];

/// A value of an answer that another operation takes in its body: the operation, the other one, the field, and the place of
/// the value. The other fields are those of the other operation's example.
const BODIES: &[(&str, &str, &str, &str)] = &[
    ("POST /api/v1/auth/signup", "POST /api/v1/auth/refresh", "refresh_token", "/data/refresh_token"),
    ("POST /api/v1/auth/login", "POST /api/v1/auth/refresh", "refresh_token", "/data/refresh_token"),
    ("POST /api/v1/auth/refresh", "POST /api/v1/auth/refresh", "refresh_token", "/data/refresh_token"),
    ("POST /api/v1/customers/me/invitations", "POST /api/v1/auth/invitations/lookup", "invitation", "/data/token"),
    ("POST /api/v1/customers/me/invitations", "POST /api/v1/auth/invitations", "invitation", "/data/token"),
    ("POST /api/v1/admin/password-resets", "POST /api/v1/auth/password-reset", "token", "/data/token"),
    (
        "POST /api/v1/customers/me/members/{user_id}/password-reset",
        "POST /api/v1/auth/password-reset",
        "token",
        "/data/token",
    ),
    ("POST /api/v1/query", "POST /api/v1/query", "conversation_id", "/data/conversation_id"),
    ("GET /api/v1/admin/subscriptions", "POST /api/v1/admin/subscriptions/assign", "subscription_id", "/data/0/id"),
];

/// An operation as links see it.
struct Operation {
    /// Method and path, such as `GET /health`.
    name: String,
    path: String,
    id: String,
    /// Statuses of the successes that have a JSON body.
    successes: Vec<String>,
    /// Example of the first success.
    answer: Value,
    /// Example of the JSON body of the request.
    body: Value,
    is_deletion: bool,
    is_read: bool,
    has_cursor: bool,
}

/// A link from the successes of an operation.
struct Link {
    from: String,
    name: String,
    content: Value,
    /// The path parameter that it fills, with the value in the example of the answer.
    example: Option<(String, String, Value)>,
}

/// Adds the links to the successful responses, and the values that they carry as examples of path parameters.
///
/// # Errors
/// Fails when the tables name an operation or a value that is not in the document, and when an operation with a path
/// parameter is reached by no link.
pub(super) fn add(document: &mut Value) -> Result<()> {
    let operations: Vec<_> = operations_mut(&mut document["paths"]).map(|(name, one)| read(name, one)).collect();
    let mut links = Vec::new();
    for from in &operations {
        links.extend(links_to_objects(from, &operations));
        links.extend(links_to_the_same_object(from, &operations));
        links.extend(from.has_cursor.then(|| next_page(from)));
    }
    links.extend(links_of_tables(&operations)?);
    for (name, operation) in operations_mut(&mut document["paths"]) {
        for link in links.iter().filter(|link| link.from == name) {
            for (status, response) in operation["responses"].as_object_mut().into_iter().flatten() {
                if status.starts_with('2') && response["content"].is_object() {
                    response["links"][&link.name] = link.content.clone();
                }
            }
        }
        for parameter in operation.get_mut("parameters").and_then(Value::as_array_mut).into_iter().flatten() {
            if parameter["in"] != "path" || !parameter["example"].is_null() {
                continue;
            }
            let fills = |(to, parameter_name, _): &&(String, String, Value)| {
                *to == name && parameter["name"] == parameter_name.as_str()
            };
            let value = links.iter().filter_map(|link| link.example.as_ref()).find(fills);
            let (_, _, value) = value.with_context(|| format!("no link leads to {name}: add one to links.rs"))?;
            parameter["example"] = value.clone();
        }
    }
    Ok(())
}

fn read(name: String, operation: &Value) -> Operation {
    let json_example = |body: &Value| body["content"]["application/json"]["example"].clone();
    let responses = operation["responses"].as_object().into_iter().flatten();
    let successes: Vec<_> =
        responses.filter(|(status, one)| status.starts_with('2') && !json_example(one).is_null()).collect();
    let mut parameters = operation["parameters"].as_array().into_iter().flatten();
    let (method, path) = name.split_once(' ').unwrap_or_default();
    Operation {
        path: path.to_owned(),
        id: operation["operationId"].as_str().unwrap_or_default().to_owned(),
        answer: successes.first().map_or(Value::Null, |(_, response)| json_example(response)),
        successes: successes.into_iter().map(|(status, _)| status.clone()).collect(),
        body: json_example(&operation["requestBody"]),
        is_deletion: method == "DELETE",
        is_read: method == "GET",
        has_cursor: path != "/api/v1/changes" && parameters.any(|one| one["name"] == "cursor"),
        name,
    }
}

/// Links from the answer of a collection, or of an operation in [`OBJECTS`], to all operations of the object in it.
fn links_to_objects(from: &Operation, operations: &[Operation]) -> Vec<Link> {
    let mut links = Vec::new();
    for to in operations.iter().filter(|to| to.name != from.name) {
        let below = to.path.strip_prefix(&from.path).and_then(|rest| rest.strip_prefix("/{"));
        if let Some((parameter, _)) = below.and_then(|rest| rest.split_once('}')) {
            let place = if from.is_read { format!("/data/0/{parameter}") } else { format!("/data/{parameter}") };
            links.extend(link_to_object(from, to, parameter, &place));
        }
    }
    for (_, object, place) in OBJECTS.iter().filter(|(name, ..)| *name == from.name) {
        let parameter = object.split_once('{').map_or("", |(_, rest)| rest.trim_end_matches('}'));
        let all = operations.iter().filter(|to| to.path.starts_with(object));
        links.extend(all.filter_map(|to| link_to_object(from, to, parameter, place)));
    }
    links
}

/// Returns the link, unless the answer has no such value.
fn link_to_object(from: &Operation, to: &Operation, parameter: &str, place: &str) -> Option<Link> {
    let value = from.answer.pointer(place).filter(|value| !value.is_null())?;
    Some(Link {
        from: from.name.clone(),
        name: to.id.clone(),
        content: json!({
            "operationId": to.id,
            "parameters": { parameter: expression(place) },
            "description": format!("`{}` is the `{parameter}` of `{}`.", shown(place), to.name),
        }),
        example: Some((to.name.clone(), parameter.to_owned(), value.clone())),
    })
}

/// Links from an operation of one object to the operation that shows the object, or, from that one or where there is none,
/// to the object's other operations.
fn links_to_the_same_object(from: &Operation, operations: &[Operation]) -> Vec<Link> {
    let Some((before, rest)) = from.path.split_once('{') else { return Vec::new() };
    let Some((parameter, below)) = rest.split_once('}') else { return Vec::new() };
    if from.is_deletion || from.successes.is_empty() {
        return Vec::new();
    }
    let object = format!("{before}{{{parameter}}}");
    let of_object =
        |to: &&Operation| to.name != from.name && (to.path == object || to.path.starts_with(&format!("{object}/")));
    let shows = |to: &&Operation| to.is_read && to.path == object;
    let is_shown = operations.iter().filter(of_object).any(|to| shows(&to));
    let is_show = from.is_read && below.is_empty();
    let all = operations.iter().filter(of_object).filter(|to| is_show || !is_shown || shows(to));
    let link = |to: &Operation| Link {
        from: from.name.clone(),
        name: to.id.clone(),
        content: json!({
            "operationId": to.id,
            "parameters": { parameter: format!("$request.path.{parameter}") },
            "description": format!("`{}` takes the same `{parameter}`.", to.name),
        }),
        example: None,
    };
    all.map(link).collect()
}

fn next_page(list: &Operation) -> Link {
    Link {
        from: list.name.clone(),
        name: "next_page".to_owned(),
        content: json!({
            "operationId": list.id,
            "parameters": { "cursor": expression("/meta/next_cursor") },
            "description": "`meta.next_cursor` is the `cursor` of the next page; it is null on the last one.",
        }),
        example: None,
    }
}

fn links_of_tables(operations: &[Operation]) -> Result<Vec<Link>> {
    let find = |name: &str| {
        operations.iter().find(|one| one.name == name).with_context(|| format!("links.rs names {name}: no operation"))
    };
    let mut links = Vec::new();
    for (from, object, place) in OBJECTS {
        let has_value = find(from)?.answer.pointer(place).is_some_and(|value| !value.is_null());
        ensure!(has_value, "the answer of {from} has no {place}");
        ensure!(operations.iter().any(|one| one.path.starts_with(object)), "links.rs names {object}: no path");
    }
    let tables = PARAMETERS.iter().map(|row| (row, false)).chain(BODIES.iter().map(|row| (row, true)));
    for ((from, to, field, place), in_body) in tables {
        let (from, to) = (find(from)?, find(to)?);
        ensure!(from.answer.pointer(place).is_some(), "the answer of {} has no {place}", from.name);
        let mut content = json!({
            "operationId": to.id,
            "description": format!("`{}` is the `{field}` of `{}`.", shown(place), to.name),
        });
        if in_body {
            let mut body = to.body.as_object().cloned().unwrap_or_else(Map::new);
            body.insert((*field).to_owned(), json!(expression(place)));
            content["requestBody"] = Value::Object(body);
        } else {
            content["parameters"] = json!({ *field: expression(place) });
        }
        links.push(Link { from: from.name.clone(), name: to.id.clone(), content, example: None });
    }
    Ok(links)
}

fn expression(place: &str) -> String {
    format!("$response.body#{place}")
}

/// Returns a place as a person writes it: `data[0].id` for `/data/0/id`.
fn shown(place: &str) -> String {
    place.trim_start_matches('/').replace("/0", "[0]").replace('/', ".")
}
