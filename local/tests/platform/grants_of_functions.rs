//! Each function's AWS calls against the policy of its role in template.yaml: no call without a grant, and no grant
//! without a call. The calls are read from the code.

mod calls;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
};

use calls::{ClientCalls, FunctionCalls};
use local::template::Template;
use local_postgres::root;
use serde_json::{Value, json};
use shared::storage;
use uuid::Uuid;

/// An action of IAM on a resource: the logical id, for objects followed by the pattern of their keys.
type Grant = (String, String);

/// Resource of an AWS operation.
#[derive(Debug, Clone, Copy)]
enum Target {
    /// The objects of the function's bucket.
    Objects,
    /// The function's bucket itself.
    Bucket,
    /// The queue of the client.
    Queue,
}

/// Actions of IAM that an operation of the SDK needs.
fn actions_of(operation: &str) -> &'static [(&'static str, Target)] {
    match operation {
        // Also for a presigned PUT, which is made with the rights of the function that signed it.
        "put_object" | "create_multipart_upload" | "upload_part" | "complete_multipart_upload" => {
            &[("s3:PutObject", Target::Objects)]
        }
        "abort_multipart_upload" => &[("s3:AbortMultipartUpload", Target::Objects)],
        // Without ListBucket, S3 answers 403 instead of 404 for a missing object.
        "get_object" | "head_object" => &[("s3:GetObject", Target::Objects), ("s3:ListBucket", Target::Bucket)],
        "delete_object" => &[("s3:DeleteObject", Target::Objects)],
        "head_bucket" | "list_objects_v2" => &[("s3:ListBucket", Target::Bucket)],
        "send_message" => &[("sqs:SendMessage", Target::Queue)],
        "change_message_visibility" => &[("sqs:ChangeMessageVisibility", Target::Queue)],
        "get_queue_attributes" => &[("sqs:GetQueueAttributes", Target::Queue)],
        other => panic!("which rights does the operation {other} need? Add it here"),
    }
}

/// Pattern of the keys of all documents.
fn key_pattern() -> String {
    let key = storage::document_key(Uuid::nil(), Uuid::nil());
    format!("{}/*", key.split('/').next().unwrap())
}

fn template() -> Value {
    Template::read(&root().join("template.yaml")).unwrap().json().clone()
}

/// The AWS calls of all functions.
fn all_calls() -> BTreeMap<String, FunctionCalls> {
    let clients = ClientCalls::of_shared(&root().join("shared/src"));
    fs::read_dir(root().join("functions"))
        .unwrap()
        .map(|entry| entry.unwrap())
        .filter(|entry| entry.path().join("Cargo.toml").exists())
        .map(|entry| {
            let calls = FunctionCalls::of_crate(&entry.path().join("src"), &clients);
            (entry.file_name().into_string().unwrap(), calls)
        })
        .collect()
}

/// The logical id that a resource of a policy, or a value of a variable, names.
fn resource_name(value: &Value) -> String {
    if let Some(id) = value["Ref"].as_str() {
        return id.to_owned();
    }
    if let [id, attribute] = value["Fn::GetAtt"].as_array().map(Vec::as_slice).unwrap_or_default() {
        assert_eq!(attribute, "Arn");
        return id.as_str().unwrap().to_owned();
    }
    match value["Fn::Sub"].as_str().and_then(|text| text.strip_prefix("${")?.split_once(".Arn}")) {
        Some((id, rest)) => format!("{id}{rest}"),
        None => value.to_string(),
    }
}

/// A string or a list of strings, as policies write them.
fn one_or_many(value: &Value) -> Vec<Value> {
    value.as_array().cloned().unwrap_or_else(|| vec![value.clone()])
}

/// The grants that a function's calls need: those of its code, of its events and of Lambda's logs.
fn needed(properties: &Value, calls: &FunctionCalls) -> BTreeSet<Grant> {
    let variables = &properties["Environment"]["Variables"];
    let mut needed = BTreeSet::new();
    let logs = resource_name(&properties["LoggingConfig"]["LogGroup"]);
    for action in ["logs:CreateLogStream", "logs:PutLogEvents"] {
        needed.insert((action.to_owned(), logs.clone()));
    }
    if variables["SECRET_ARN"].is_object() {
        needed.insert(("secretsmanager:GetSecretValue".to_owned(), resource_name(&variables["SECRET_ARN"])));
    }
    for event in properties["Events"].as_object().into_iter().flatten().map(|(_, event)| event) {
        if event["Type"] == "SQS" {
            for action in ["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"] {
                needed.insert((action.to_owned(), resource_name(&event["Properties"]["Queue"])));
            }
        }
    }
    for (operation, setting) in &calls.operations {
        for (action, target) in actions_of(operation) {
            let resource = resource_name(&variables[setting.as_str()]);
            let resource = match target {
                Target::Objects => format!("{resource}/{}", key_pattern()),
                Target::Bucket | Target::Queue => resource,
            };
            needed.insert(((*action).to_owned(), resource));
        }
    }
    needed
}

/// The grants of a role's policies.
fn granted(role: &Value) -> BTreeSet<Grant> {
    assert!(role["Properties"].get("ManagedPolicyArns").is_none(), "a managed policy grants more than is called");
    let policies = role["Properties"]["Policies"].as_array().into_iter().flatten();
    let statements = policies.flat_map(|policy| policy["PolicyDocument"]["Statement"].as_array().unwrap());
    let mut granted = BTreeSet::new();
    for statement in statements {
        assert_eq!(statement["Effect"], "Allow");
        for action in one_or_many(&statement["Action"]) {
            for resource in one_or_many(&statement["Resource"]) {
                granted.insert((action.as_str().unwrap().to_owned(), resource_name(&resource)));
            }
        }
    }
    granted
}

/// The differences between the calls and the grants of all functions, one line each.
fn differences(template: &Value, all_calls: &BTreeMap<String, FunctionCalls>) -> Vec<String> {
    let mut differences = Vec::new();
    let functions = template["Resources"].as_object().unwrap().values();
    for function in functions.filter(|resource| resource["Type"] == "AWS::Serverless::Function") {
        let name = function["Metadata"]["BuildProperties"]["Binary"].as_str().unwrap();
        let properties = &function["Properties"];
        assert!(properties.get("Policies").is_none(), "{name}: policies stand in its role");
        let role = resource_name(&properties["Role"]);
        let granted = granted(&template["Resources"][&role]);
        let needed = needed(properties, &all_calls[name]);
        for (action, resource) in needed.difference(&granted) {
            differences.push(format!("{name} calls {action} on {resource} without a grant"));
        }
        for (action, resource) in granted.difference(&needed) {
            differences.push(format!("{name} is granted {action} on {resource} and does not call it"));
        }
    }
    differences
}

#[test]
fn every_aws_call_has_a_grant_and_every_grant_has_a_call() {
    let calls = all_calls();
    assert!(calls.values().filter(|calls| !calls.operations.is_empty()).count() >= 8, "the calls were not found");
    assert_eq!(differences(&template(), &calls), Vec::<String>::new());
}

/// The roles of functions. The one of canary deployments has a policy of AWS and no statements.
fn roles_of_functions(template: &Value) -> Vec<&String> {
    let resources = template["Resources"].as_object().unwrap().iter();
    let roles = resources.filter(|(_, resource)| resource["Type"] == "AWS::IAM::Role");
    roles.filter(|(_, role)| role["Properties"]["Policies"].is_array()).map(|(id, _)| id).collect()
}

#[test]
fn each_removed_grant_is_noticed() {
    let (template, calls) = (template(), all_calls());
    let mut removed = 0;
    for role in roles_of_functions(&template) {
        let statements = "/Properties/Policies/0/PolicyDocument/Statement";
        let all = template["Resources"][role].pointer(statements).unwrap().as_array().unwrap();
        for (nth, statement) in all.iter().enumerate() {
            let actions = one_or_many(&statement["Action"]);
            for action in &actions {
                let mut copy = template.clone();
                let others: Vec<_> = actions.iter().filter(|other| *other != action).cloned().collect();
                copy["Resources"][role].pointer_mut(statements).unwrap()[nth]["Action"] = json!(others);
                let found = differences(&copy, &calls);
                let resource = resource_name(&statement["Resource"]);
                let expected = format!("calls {} on {resource} without a grant", action.as_str().unwrap());
                assert!(found.len() == 1 && found[0].ends_with(&expected), "{role} without {action}: {found:?}");
                removed += 1;
            }
        }
    }
    assert!(removed > 60, "{removed} grants were removed");
}

#[test]
fn each_added_grant_is_noticed() {
    let (template, calls) = (template(), all_calls());
    for role in roles_of_functions(&template) {
        for (action, resource) in [
            ("s3:DeleteBucket", json!({ "Fn::GetAtt": ["DocumentsBucket", "Arn"] })),
            ("sqs:PurgeQueue", json!({ "Fn::GetAtt": ["ReplyQueue", "Arn"] })),
            // Of an action that the function calls, on more than it calls.
            ("logs:PutLogEvents", json!("*")),
            ("s3:*", json!({ "Fn::Sub": "${DocumentsBucket.Arn}/tenants/*" })),
            ("s3:PutObject", json!({ "Fn::Sub": "${DocumentsBucket.Arn}/*" })),
        ] {
            let mut copy = template.clone();
            let statements = "/Properties/Policies/0/PolicyDocument/Statement";
            let statements = copy["Resources"][role].pointer_mut(statements).unwrap().as_array_mut().unwrap();
            statements.push(json!({ "Effect": "Allow", "Action": action, "Resource": resource }));
            let found = differences(&copy, &calls);
            let noticed = found.len() == 1 && found[0].contains(&format!("is granted {action} on "));
            assert!(noticed, "{role} with {action}: {found:?}");
        }
    }
}

#[test]
fn a_grant_of_another_function_is_noticed() {
    let (template, calls) = (template(), all_calls());
    let mut copy = template;
    copy["Resources"]["HealthFunction"]["Properties"]["Role"] = json!({ "Fn::GetAtt": ["DocumentsRole", "Arn"] });
    let found = differences(&copy, &calls);
    assert!(found.iter().any(|line| line.starts_with("health is granted s3:DeleteObject on ")), "{found:?}");
    assert!(found.iter().any(|line| line.starts_with("health calls sqs:GetQueueAttributes on ")), "{found:?}");
}
