//! Variables of the collection. A link of openapi.json says which value of an answer another operation takes; the value
//! gets a name, and stands for itself in paths, queries and bodies.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use serde_json::Value;

/// Values that no link carries, because they are credentials: the place in the answer, and the variable.
const CREDENTIALS: [(&str, &str); 2] =
    [("/data/access_token", "access_token"), ("/data/webhook_secret", "webhook_secret")];
/// Values of request examples that the environment or a sign-up sets.
const ACCOUNT: [(&str, &str); 2] = [("awa@example.com", "email"), ("correct horse battery", "password")];

/// The variables of a document.
#[derive(Debug, Default)]
pub(super) struct Variables {
    /// Places of an answer with the variables that keep their values, by operation id.
    kept: BTreeMap<String, BTreeMap<String, String>>,
    /// Variables by the example of their value.
    by_example: BTreeMap<String, String>,
}

impl Variables {
    /// Reads the variables from the links of a document.
    ///
    /// # Errors
    /// Fails for a link to an operation that is not in the document.
    pub(super) fn read(document: &Value) -> Result<Self> {
        let operations: Vec<_> = super::request::operations(document).collect();
        let mut variables = Self::default();
        for (example, variable) in ACCOUNT {
            variables.by_example.insert(example.to_owned(), variable.to_owned());
        }
        for (_, _, operation) in &operations {
            let id = operation["operationId"].as_str().unwrap_or_default();
            for response in operation["responses"].as_object().into_iter().flat_map(|all| all.values()) {
                let answer = &response["content"]["application/json"]["example"];
                for link in response["links"].as_object().into_iter().flat_map(|links| links.values()) {
                    let is_target = |(_, _, other): &&(&str, &str, &Value)| other["operationId"] == link["operationId"];
                    let (_, path, _) = operations.iter().find(is_target).context("a link leads nowhere")?;
                    for (field, place) in values(link) {
                        variables.keep(id, place, &variable_name(path, field), answer);
                    }
                }
                for (place, variable) in CREDENTIALS {
                    if answer.pointer(place).is_some() {
                        variables.keep(id, place, variable, answer);
                    }
                }
            }
        }
        Ok(variables)
    }

    fn keep(&mut self, operation: &str, place: &str, variable: &str, answer: &Value) {
        // Each request writes its own cursor.
        if variable == "cursor" {
            return;
        }
        let kept = self.kept.entry(operation.to_owned()).or_default();
        kept.entry(place.to_owned()).or_insert_with(|| variable.to_owned());
        if let Some(example) = answer.pointer(place).and_then(Value::as_str) {
            self.by_example.entry(example.to_owned()).or_insert_with(|| variable.to_owned());
        }
    }

    /// Returns the places of an operation's answer that are kept, with their variables.
    pub(super) fn kept_by(&self, operation: &str) -> impl Iterator<Item = (&str, &str)> {
        let places = self.kept.get(operation).into_iter().flatten();
        places.map(|(place, variable)| (place.as_str(), variable.as_str()))
    }

    /// Returns the variable whose value has this example.
    pub(super) fn with_example(&self, example: &str) -> Option<&str> {
        self.by_example.get(example).map(String::as_str)
    }

    /// Puts variables in the place of the values of an example that variables have.
    pub(super) fn insert(&self, example: &mut Value) {
        match example {
            Value::String(text) => {
                if let Some(variable) = self.with_example(text) {
                    *text = format!("{{{{{variable}}}}}");
                }
            }
            Value::Array(all) => all.iter_mut().for_each(|one| self.insert(one)),
            Value::Object(all) => all.values_mut().for_each(|one| self.insert(one)),
            _ => {}
        }
    }
}

/// The parameters and the fields of the body that a link fills from the answer, with the places of their values.
fn values(link: &Value) -> impl Iterator<Item = (&str, &str)> {
    let all = ["parameters", "requestBody"].into_iter().filter_map(|part| link[part].as_object()).flatten();
    all.filter_map(|(name, value)| Some((name.as_str(), value.as_str()?.strip_prefix("$response.body#")?)))
}

/// Returns the name of the variable that a parameter of a path, or a field of its body, takes: `document_id` for `id` of
/// `/api/v1/documents/{id}`.
pub(super) fn variable_name(path: &str, parameter: &str) -> String {
    match parameter {
        "id" => {
            let before = path.split("/{").next().unwrap_or_default();
            let collection = before.rsplit('/').next().unwrap_or_default().replace('-', "_");
            format!("{}_id", collection.strip_suffix('s').unwrap_or(&collection))
        }
        "token" => "password_reset_token".to_owned(),
        "X-Customer-Id" => "customer_id".to_owned(),
        other => other.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_id_is_named_for_its_collection() {
        for (path, parameter, expected) in [
            ("/api/v1/documents/{id}/file", "id", "document_id"),
            ("/api/v1/approved-answers/{id}", "id", "approved_answer_id"),
            ("/api/v1/customers/me/members/{user_id}", "user_id", "user_id"),
            ("/api/v1/auth/password-reset", "token", "password_reset_token"),
        ] {
            assert_eq!(variable_name(path, parameter), expected);
        }
    }

    #[test]
    fn a_link_keeps_the_value_and_its_example_becomes_a_variable() {
        let document = json!({ "paths": {
            "/orders": { "post": {
                "operationId": "create",
                "responses": { "201": {
                    "content": { "application/json": { "example": { "data": { "id": "a-1", "access_token": "t" } } } },
                    "links": { "show": { "operationId": "show", "parameters": { "id": "$response.body#/data/id" } } },
                } },
            } },
            "/orders/{id}": { "get": { "operationId": "show", "responses": {} } },
        } });
        let variables = Variables::read(&document).unwrap();
        let kept: Vec<_> = variables.kept_by("create").collect();
        assert_eq!(kept, [("/data/access_token", "access_token"), ("/data/id", "order_id")]);
        let mut body = json!({ "orders": ["a-1", "b-2"], "email": "awa@example.com" });
        variables.insert(&mut body);
        assert_eq!(body, json!({ "orders": ["{{order_id}}", "b-2"], "email": "{{email}}" }));
    }
}
