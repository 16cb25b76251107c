//! What openapi.json promises to its readers: texts, examples that their schemas accept, links that lead on; and the Bruno
//! collection that is made from it.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use jsonschema::Draft;
use local::{collection, openapi};
use local_postgres::root;
use serde_json::{Map, Value, json};

fn document() -> Value {
    serde_json::from_str(&openapi::document().unwrap()).unwrap()
}

/// The operations below `paths` or `webhooks`, with their names.
fn operations<'d>(document: &'d Value, part: &str) -> Vec<(String, &'d Value)> {
    let paths = document[part].as_object().unwrap();
    let of_path = |(path, item): (&String, &'d Value)| {
        let operations = item.as_object().unwrap().iter();
        operations.map(|(method, one)| (format!("{} {path}", method.to_uppercase()), one)).collect::<Vec<_>>()
    };
    paths.iter().flat_map(of_path).collect()
}

/// Follows a reference to a component.
fn resolve<'d>(document: &'d Value, value: &'d Value) -> &'d Value {
    match value["$ref"].as_str() {
        Some(reference) => document.pointer(reference.trim_start_matches('#')).unwrap(),
        None => value,
    }
}

/// Examples with their schemas, by a name.
#[derive(Default)]
struct Examples {
    schemas: Map<String, Value>,
    values: Map<String, Value>,
}

impl Examples {
    fn add(&mut self, name: String, schema: &Value, example: &Value) {
        self.schemas.insert(name.clone(), schema.clone());
        let former = self.values.insert(name.clone(), example.clone());
        assert_eq!(former, None, "{name}");
    }

    /// Asserts that each schema accepts its example. One validator compiles the components once.
    fn assert_accepted(&self, document: &Value) {
        let schema = json!({ "components": document["components"], "properties": self.schemas });
        let options = jsonschema::options().with_draft(Draft::Draft202012).should_validate_formats(true);
        let validator = options.build(&schema).unwrap();
        let values = Value::Object(self.values.clone());
        let refused: Vec<_> =
            validator.iter_errors(&values).map(|error| format!("{}: {error}", error.instance_path())).collect();
        assert!(refused.is_empty(), "{} examples, {refused:#?}", self.values.len());
    }
}

#[test]
fn every_body_has_an_example_that_its_schema_accepts() {
    let document = document();
    let mut examples = Examples::default();
    for part in ["paths", "webhooks"] {
        for (name, operation) in operations(&document, part) {
            let request = ("request", &operation["requestBody"]);
            let responses = operation["responses"].as_object().unwrap();
            let responses = responses.iter().map(|(status, response)| (status.as_str(), resolve(&document, response)));
            for (place, body) in responses.chain([request]) {
                for (kind, media) in body["content"].as_object().into_iter().flatten() {
                    assert!(!media["example"].is_null(), "{name} {place} {kind} has no example");
                    examples.add(format!("{name} {place} {kind}"), &media["schema"], &media["example"]);
                }
            }
        }
    }
    assert!(examples.values.len() > 200);
    examples.assert_accepted(&document);
}

#[test]
fn every_example_of_a_schema_a_parameter_and_a_header_is_accepted() {
    let document = document();
    let mut examples = Examples::default();
    let components = &document["components"];
    for (name, schema) in components["schemas"].as_object().unwrap() {
        let properties = schema["properties"].as_object().into_iter().flatten();
        let properties = properties.map(|(property, schema)| (format!("{name}.{property}"), schema));
        for (name, schema) in properties.chain([(name.clone(), schema)]) {
            if let Some(example) = schema.get("example") {
                examples.add(name, schema, example);
            }
        }
    }
    for (name, header) in components["headers"].as_object().unwrap() {
        examples.add(format!("header {name}"), &header["schema"], &header["example"]);
    }
    for (name, operation) in operations(&document, "paths") {
        for parameter in operation["parameters"].as_array().into_iter().flatten() {
            let parameter = resolve(&document, parameter);
            if let Some(example) = parameter.get("example") {
                examples.add(format!("{name} {}", parameter["name"]), &parameter["schema"], example);
            }
        }
    }
    examples.assert_accepted(&document);
}

#[test]
fn every_link_carries_a_value_that_its_operation_accepts() {
    let document = document();
    let all = operations(&document, "paths");
    let mut examples = Examples::default();
    let mut reached = BTreeSet::new();
    for (name, operation) in &all {
        for (status, response) in operation["responses"].as_object().unwrap() {
            let answer = &response["content"]["application/json"]["example"];
            for (link_name, link) in response["links"].as_object().into_iter().flatten() {
                let place = format!("{name} {status} {link_name}");
                let is_target = |(_, other): &&(String, &Value)| other["operationId"] == link["operationId"];
                let (target, target_operation) = all.iter().find(is_target).expect(&place);
                let value = |expression: &Value| match expression.as_str().and_then(|text| text.strip_prefix('$')) {
                    None => Some(expression.clone()),
                    Some(text) => text.strip_prefix("response.body#").map(|pointer| {
                        answer.pointer(pointer).unwrap_or_else(|| panic!("{place}: no {pointer} in the answer")).clone()
                    }),
                };
                for (parameter_name, expression) in link["parameters"].as_object().into_iter().flatten() {
                    let parameters = target_operation["parameters"].as_array().unwrap();
                    let parameters = parameters.iter().map(|one| resolve(&document, one));
                    let mut named = parameters.filter(|one| one["name"] == parameter_name.as_str());
                    let parameter =
                        named.next().unwrap_or_else(|| panic!("{target} has no parameter {parameter_name}"));
                    match value(expression) {
                        // The last page of a list has no cursor.
                        Some(Value::Null) => assert_eq!(link_name, "next_page", "{place}"),
                        Some(value) => examples.add(format!("{place} {parameter_name}"), &parameter["schema"], &value),
                        None => assert!(name.contains(&format!("{{{parameter_name}}}")), "{place}: {expression}"),
                    }
                }
                if let Some(body) = link["requestBody"].as_object() {
                    let body: Map<_, _> = body.iter().map(|(name, one)| (name.clone(), value(one).unwrap())).collect();
                    let schema = &target_operation["requestBody"]["content"]["application/json"]["schema"];
                    examples.add(place, schema, &Value::Object(body));
                }
                reached.insert(target.as_str());
            }
        }
    }
    examples.assert_accepted(&document);
    let unreached: Vec<_> =
        all.iter().filter(|(name, _)| name.contains('{') && !reached.contains(name.as_str())).collect();
    assert!(unreached.is_empty(), "no link leads to {unreached:#?}");
}

#[test]
fn every_operation_has_a_short_summary_a_description_and_a_described_tag() {
    let document = document();
    let tags = document["tags"].as_array().unwrap();
    let tags: BTreeMap<_, _> =
        tags.iter().map(|tag| (tag["name"].as_str().unwrap(), tag["description"].as_str().unwrap())).collect();
    for part in ["paths", "webhooks"] {
        for (name, operation) in operations(&document, part) {
            let [summary, description] = ["summary", "description"].map(|part| operation[part].as_str().unwrap_or(""));
            assert!((5..=130).contains(&summary.len()) && !summary.ends_with('.'), "{name}: {summary}");
            assert!(description.replace('\n', " ").starts_with(summary), "{name}: {description}");
            assert!(tags.contains_key(operation["tags"][0].as_str().unwrap()), "{name}");
        }
    }
}

/// Spectral's rule for this reads the names of roles as OAuth scopes, so it is switched off.
#[test]
fn every_security_requirement_names_a_scheme_and_a_described_role() {
    let document = document();
    let schemes = &document["components"]["securitySchemes"];
    let roles = schemes["bearer"]["x-roles"].as_array().unwrap();
    for (name, operation) in operations(&document, "paths") {
        for requirement in operation["security"].as_array().unwrap() {
            for (scheme, scopes) in requirement.as_object().unwrap() {
                assert!(schemes[scheme].is_object(), "{name}: {scheme}");
                for scope in scopes.as_array().unwrap() {
                    assert!(scheme == "bearer" && roles.iter().any(|role| role["name"] == *scope), "{name}: {scope}");
                }
            }
        }
    }
}

#[test]
fn every_component_is_used() {
    let document = document();
    let text = document.to_string();
    for kind in ["schemas", "responses", "parameters", "headers"] {
        for name in document["components"][kind].as_object().unwrap().keys() {
            assert!(text.contains(&format!("\"#/components/{kind}/{name}\"")), "nothing uses {kind}/{name}");
        }
    }
}

#[test]
fn the_bruno_collection_is_current() {
    let files = collection::files(&document()).unwrap();
    let stale = collection::stale_files(&root().join("docs/bruno"), &files).unwrap();
    assert!(stale.is_empty(), "stale in docs/bruno: {stale:?}: run `cargo collection`");
}

#[test]
fn the_bruno_collection_has_every_operation_and_some_request_sets_each_variable_of_a_path() {
    let document = document();
    let files = collection::files(&document).unwrap();
    let operations = operations(&document, "paths");
    for (name, operation) in &operations {
        let (tag, id) = (operation["tags"][0].as_str().unwrap(), operation["operationId"].as_str().unwrap());
        let file = &files[Path::new(&format!("{tag}/{id}.bru"))];
        let (method, path) = name.split_once(' ').unwrap();
        let path = path.replace('{', ":").replace('}', "");
        let url = format!("{} {{\n  url: {{{{base_url}}}}{path}\n", method.to_lowercase());
        assert!(file.contains(&url), "{name}: {file}");
    }
    let set: BTreeSet<_> = files
        .values()
        .flat_map(|file| file.split("bru.setVar(\"").skip(1))
        .map(|rest| rest.split_once('"').unwrap().0)
        .collect();
    for (path, file) in &files {
        let Some((_, parameters)) = file.split_once("params:path {\n") else { continue };
        let (parameters, _) = parameters.split_once("\n}").unwrap();
        for variable in parameters.split("{{").skip(1).map(|rest| rest.split_once("}}").unwrap().0) {
            assert!(set.contains(variable), "{}: no request sets {variable}", path.display());
        }
    }
}
