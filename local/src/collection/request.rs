//! A request of the collection, from an operation.

use anyhow::Result;
use serde_json::Value;

use super::{
    text::{self, block, text_block},
    variables::{Variables, variable_name},
};

/// The content types of bodies, the preferred one first. A form uploads a file at once, so the requests after it have a
/// document.
const BODIES: [(&str, &str); 3] =
    [("multipart/form-data", "multipartForm"), ("application/json", "json"), ("text/csv", "text")];
/// A sample for forms with a file, seen from the collection's folder.
const SAMPLE: &str = "../samples/guide-livraison.pdf";
/// Before a sign-up, because an address can sign up once.
const NEW_ADDRESS: &str = "bru.setVar(\"email\", `awa-${Date.now()}@example.com`);";

/// An operation with its method and path.
pub(super) struct Request<'d> {
    method: &'d str,
    path: &'d str,
    operation: &'d Value,
}

/// The methods, paths and operations of a document.
pub(super) fn operations(document: &Value) -> impl Iterator<Item = (&str, &str, &Value)> {
    let paths = document["paths"].as_object().into_iter().flatten();
    paths.flat_map(|(path, item)| {
        let operations = item.as_object().into_iter().flatten();
        operations.map(move |(method, operation)| (method.as_str(), path.as_str(), operation))
    })
}

/// Returns the requests of a tag in the order in which they can be sent one after the other: an object is made, listed,
/// shown and changed before it is deleted.
pub(super) fn of_tag<'d>(document: &'d Value, tag: &str) -> Vec<Request<'d>> {
    let all = operations(document).filter(|(_, _, operation)| operation["tags"][0] == tag);
    let mut requests: Vec<_> = all.map(|(method, path, operation)| Request { method, path, operation }).collect();
    requests.sort_by_key(|request| request.rank());
    requests
}

impl Request<'_> {
    pub(super) fn id(&self) -> &str {
        self.operation["operationId"].as_str().unwrap_or_default()
    }

    fn rank(&self) -> u8 {
        let of_object = self.path.contains('{');
        match self.method {
            "post" if !of_object => 0,
            "get" if !of_object => 1,
            "get" => 2,
            "put" | "patch" => 3,
            "delete" => 5,
            _ => 4,
        }
    }

    /// Returns the file of the request at a position of its folder.
    ///
    /// # Errors
    /// Fails when an example cannot be written as JSON.
    pub(super) fn write(&self, position: usize, variables: &Variables) -> Result<String> {
        let body = self.body();
        let kind = body.map_or("none", |(_, kind, _)| kind);
        let (auth, credentials) = self.auth();
        let mut blocks = vec![
            block("meta", &[("name", self.id()), ("type", "http"), ("seq", &position.to_string())]),
            block(self.method, &[("url", &self.url()), ("body", kind), ("auth", auth)]),
        ];
        blocks.extend(self.parameters("query", "params:query", Vec::new(), variables));
        blocks.extend(self.parameters("path", "params:path", Vec::new(), variables));
        let mut headers = Vec::new();
        if let Some((content_type, "text", _)) = body {
            headers.push(format!("content-type: {content_type}"));
        }
        headers.extend(credentials.header);
        blocks.extend(self.parameters("header", "headers", headers, variables));
        blocks.extend(credentials.bearer.map(|token| block("auth:bearer", &[("token", token)])));
        blocks.extend(body.map(|(_, kind, media)| write_body(kind, media, variables)).transpose()?);
        if self.id() == "auth_sign_up" {
            blocks.push(text_block("script:pre-request", NEW_ADDRESS));
        }
        blocks.extend(self.script(variables));
        blocks.push(block("assert", &[("res.status", &self.expected_statuses())]));
        blocks.push(self.docs()?);
        Ok(blocks.join("\n"))
    }

    fn url(&self) -> String {
        let segments = self.path.split('/').map(|segment| match segment.strip_prefix('{') {
            Some(parameter) => format!(":{}", parameter.trim_end_matches('}')),
            None => segment.to_owned(),
        });
        format!("{{{{base_url}}}}{}", segments.collect::<Vec<_>>().join("/"))
    }

    fn body(&self) -> Option<(&'static str, &'static str, &Value)> {
        let content = &self.operation["requestBody"]["content"];
        let chosen = BODIES.into_iter().find(|(content_type, _)| content[*content_type].is_object());
        chosen.map(|(content_type, kind)| (content_type, kind, &content[content_type]))
    }

    /// Returns Bruno's mode of authorization, with the token or header of callers that are not members of a company.
    fn auth(&self) -> (&'static str, Credentials) {
        let requirements = self.operation["security"].as_array().map_or(&[][..], Vec::as_slice);
        let role = requirements.iter().find_map(|one| one["bearer"].as_array()).map(|roles| roles.first());
        let asks_for = |scheme: &str| requirements.iter().any(|one| one.get(scheme).is_some());
        let none = Credentials::default();
        match role.map(|role| role.and_then(Value::as_str)) {
            Some(Some("global_admin")) => ("bearer", Credentials { bearer: Some("{{admin_token}}"), ..none }),
            // An operation that anybody may call, and that shows more to a service.
            Some(Some("service")) => ("none", none),
            Some(_) => ("inherit", none),
            None if asks_for("manychat") => {
                ("none", Credentials { header: Some("X-Webhook-Secret: {{webhook_secret}}".to_owned()), ..none })
            }
            None => ("none", none),
        }
    }

    /// Returns the block of the parameters in one place after other lines. Optional parameters are switched off.
    fn parameters(&self, place: &str, name: &str, mut lines: Vec<String>, variables: &Variables) -> Option<String> {
        let all = self.operation["parameters"].as_array().into_iter().flatten();
        for parameter in all.filter(|one| one["in"] == place) {
            let name = parameter["name"].as_str().unwrap_or_default();
            let value = self.value(parameter, name, variables);
            let is_sent = place == "path" || name == "Stripe-Signature";
            lines.push(format!("{}{name}: {value}", if is_sent { "" } else { "~" }));
        }
        if place == "header" && self.takes_company() {
            lines.push("~X-Customer-Id: {{customer_id}}".to_owned());
        }
        let lines: String = lines.iter().map(|line| format!("  {}\n", line.trim_end())).collect();
        (!lines.is_empty()).then(|| format!("{name} {{\n{lines}}}\n"))
    }

    fn value(&self, parameter: &Value, name: &str, variables: &Variables) -> String {
        let schema = &parameter["schema"];
        let example = if parameter["example"].is_null() { &schema["default"] } else { &parameter["example"] };
        match (parameter["in"].as_str(), name) {
            (Some("path"), "page") => shown(example),
            (Some("path"), _) => format!("{{{{{}}}}}", variable_name(self.path, name)),
            (_, "Idempotency-Key") => "{{$guid}}".to_owned(),
            (_, "Stripe-Signature") => "{{stripe_signature}}".to_owned(),
            (_, "conversation_id") => "{{conversation_id}}".to_owned(),
            (_, "user_id") => "{{public_user_id}}".to_owned(),
            (_, "X-Session") => "cookie".to_owned(),
            _ if example.is_null() => schema["enum"][0].as_str().unwrap_or_default().to_owned(),
            _ => {
                variables.with_example(&shown(example)).map_or_else(|| shown(example), |name| format!("{{{{{name}}}}}"))
            }
        }
    }

    fn takes_company(&self) -> bool {
        let mut all = self.operation["parameters"].as_array().into_iter().flatten();
        all.any(|one| one["$ref"] == "#/components/parameters/Company")
    }

    /// Returns the script that keeps values of the answer in variables. A list without rows changes no variable.
    fn script(&self, variables: &Variables) -> Option<String> {
        let lines = variables.kept_by(self.id()).map(|(place, variable)| {
            let steps = place.trim_start_matches('/').split('/').map(|step| match step.parse::<usize>() {
                Ok(index) => format!("?.[{index}]"),
                Err(_) => format!("?.{step}"),
            });
            let found = format!("res.body{}", steps.collect::<String>());
            format!("if ({found}) bru.setVar(\"{variable}\", {found});")
        });
        let lines: Vec<_> = lines.collect();
        (!lines.is_empty()).then(|| text_block("script:post-response", &lines.join("\n")))
    }

    fn expected_statuses(&self) -> String {
        let statuses = self.operation["responses"].as_object().into_iter().flat_map(|all| all.keys());
        let successes: Vec<_> = statuses.filter(|status| status.starts_with('2')).map(String::as_str).collect();
        match successes.as_slice() {
            [one] => format!("eq {one}"),
            several => format!("in [{}]", several.join(", ")),
        }
    }

    /// Returns the description, with the example of the answer. Of several successes, the first call has the highest status:
    /// 201, and 200 for its repetition.
    fn docs(&self) -> Result<String> {
        let mut about = self.operation["description"].as_str().unwrap_or_default().to_owned();
        let responses = self.operation["responses"].as_object().into_iter().flatten();
        let successes = responses.filter(|(status, _)| status.starts_with('2'));
        let mut answers = successes.filter_map(|(status, response)| {
            let (kind, media) = response["content"].as_object()?.iter().next()?;
            Some((status, kind, &media["example"]))
        });
        let answer = answers.next_back();
        if let Some((status, kind, example)) = answer {
            let (language, example) = match example {
                Value::String(text) => ("", text.trim_end().to_owned()),
                other => ("json", serde_json::to_string_pretty(other)?),
            };
            about += &format!("\n\nAnswer {status}, `{kind}`:\n\n```{language}\n{example}\n```");
        }
        Ok(text::docs(&about))
    }
}

/// Authorization of a request beside the collection's own.
#[derive(Default)]
struct Credentials {
    bearer: Option<&'static str>,
    header: Option<String>,
}

fn write_body(kind: &str, media: &Value, variables: &Variables) -> Result<String> {
    let mut example = media["example"].clone();
    variables.insert(&mut example);
    Ok(match kind {
        "multipartForm" => block("body:multipart-form", &[("file", &format!("@file({SAMPLE})"))]),
        "text" => text_block("body:text", example.as_str().unwrap_or_default()),
        _ => text_block("body:json", &serde_json::to_string_pretty(&example)?),
    })
}

fn shown(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}
