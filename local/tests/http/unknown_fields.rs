//! Unknown fields of changes: every `PATCH` and `PUT` of openapi.json refuses them by name, so that no change is silently
//! ignored. A new operation is covered automatically.

use std::collections::BTreeSet;

use reqwest::Method;
use serde_json::{Value, json};

use super::{
    authorization::{DocumentedOperation, ExampleBody, TenantFixture},
    support::App,
};

/// The operations that change an object.
fn changes() -> Vec<DocumentedOperation> {
    let all = DocumentedOperation::all().into_iter();
    let changes: Vec<_> = all.filter(|one| [Method::PATCH, Method::PUT].contains(&one.method)).collect();
    assert!(changes.len() > 3);
    changes
}

#[tokio::test]
async fn a_change_with_an_unknown_field_is_refused_by_its_name_and_changes_nothing() {
    let app = App::start().await;
    let tenant = TenantFixture::create(&app, &DocumentedOperation::all()).await;
    let admin = app.admin_token().await;
    let before = tenant.rows(&app).await;
    for operation in changes() {
        let Some(ExampleBody::Json(mut body)) = operation.body.clone() else {
            panic!("{}: no example in JSON", operation.name);
        };
        body["no_such_field"] = json!("x");
        let call = operation.call(&app, &tenant).json(&body);
        let call = if operation.is_for_administrators() { call.by(&admin) } else { call.by(&tenant.owner) };
        let details = call.await.refused(422, "validation_failed");
        let fields: Vec<_> = details.as_array().unwrap().iter().map(|one| one["field"].clone()).collect();
        assert_eq!(fields, [json!("no_such_field")], "{}", operation.name);
    }
    assert_eq!(tenant.rows(&app).await, before);
}

/// Collects the object schemas below `schema` that take fields which they do not name.
fn open_objects(document: &Value, schema: &Value, path: &str, seen: &mut BTreeSet<String>, open: &mut Vec<String>) {
    if let Some(reference) = schema["$ref"].as_str() {
        if seen.insert(reference.to_owned()) {
            let target = document.pointer(reference.trim_start_matches('#')).unwrap();
            open_objects(document, target, reference, seen, open);
        }
        return;
    }
    if let Some(properties) = schema["properties"].as_object() {
        if schema["additionalProperties"] != false {
            open.push(path.to_owned());
        }
        for (name, property) in properties {
            open_objects(document, property, &format!("{path}/{name}"), seen, open);
        }
    }
    for part in ["oneOf", "anyOf", "allOf"].iter().flat_map(|kind| schema[*kind].as_array().into_iter().flatten()) {
        open_objects(document, part, path, seen, open);
    }
    for part in [&schema["items"], &schema["additionalProperties"]].into_iter().filter(|part| part.is_object()) {
        open_objects(document, part, &format!("{path}[]"), seen, open);
    }
}

#[test]
fn no_object_within_a_change_takes_unknown_fields() {
    let document: Value = serde_json::from_str(&local::openapi::document().unwrap()).unwrap();
    let mut open = Vec::new();
    let mut seen = BTreeSet::new();
    for operation in changes() {
        let method = operation.method.as_str().to_lowercase();
        let schema =
            &document["paths"][&operation.path][method]["requestBody"]["content"]["application/json"]["schema"];
        assert!(schema.is_object(), "{}", operation.name);
        open_objects(&document, schema, &operation.name, &mut seen, &mut open);
    }
    assert!(seen.len() > 3, "{seen:?}");
    assert_eq!(open, Vec::<String>::new());
}
