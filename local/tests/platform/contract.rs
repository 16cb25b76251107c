//! Consistency of the functions' folders, template.yaml, the code, events/, openapi.json, docs/DEPLOY.md and
//! docs/SETTINGS.md.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    sync::Arc,
    time::Duration,
};

use local::{
    functions,
    gateway::RouteTable,
    lambda::Lambda,
    openapi, settings,
    template::{FunctionBlock, Template},
};
use local_postgres::root;
use serde_json::Value;
use shared::{
    accounts, conversations, db, documents, feedback, function::Function, messages, questions, retrieval,
    settings::SettingsMap, tenants, user_configs,
};

fn blocks() -> BTreeMap<String, FunctionBlock> {
    let template = Template::read(&root().join("template.yaml")).unwrap();
    template.functions().unwrap().into_iter().map(|block| (block.name.clone(), block)).collect()
}

fn names<'n>(names: impl IntoIterator<Item = &'n str>) -> BTreeSet<String> {
    names.into_iter().map(str::to_owned).collect()
}

#[test]
fn every_function_has_a_folder_a_template_block_and_an_event() {
    let folders: BTreeSet<_> = fs::read_dir(root().join("functions"))
        .unwrap()
        .map(|entry| entry.unwrap())
        .filter(|entry| entry.path().join("Cargo.toml").exists())
        .map(|entry| entry.file_name().into_string().unwrap())
        .collect();
    assert!(!folders.is_empty());
    assert_eq!(names(functions::ALL.iter().map(|function| function.name)), folders, "local/src/functions.rs");
    assert_eq!(blocks().into_keys().collect::<BTreeSet<_>>(), folders, "template.yaml");
    let events: BTreeSet<_> = fs::read_dir(root().join("events"))
        .unwrap()
        .filter_map(|entry| Some(entry.unwrap().file_name().to_str()?.strip_suffix(".json")?.to_owned()))
        .collect();
    assert_eq!(events, folders, "events/");
}

#[test]
fn template_routes_equal_the_routes_of_the_code() {
    let blocks = blocks();
    for function in functions::ALL {
        let expected = match function.name {
            // Catches every path that no other function has: the gateway has no path for it. Beside it, the methods of
            // a path that would reach another function's path with a parameter.
            "not-found" => functions::shadowed_routes().into_iter().chain(["$default".to_owned()]).collect(),
            // A function with its own Function URL has no route in the gateway.
            _ if blocks[function.name].url.is_some() => BTreeSet::new(),
            _ => functions::routes(function),
        };
        let block = &blocks[function.name];
        assert_eq!(names(block.routes.iter().map(String::as_str)), expected, "{}", function.name);
        assert_eq!(block.url.is_some_and(|url| url.streams), function.streams, "{}", function.name);
    }
}

#[test]
fn the_gateway_sends_each_route_to_its_function() {
    let mut gateway = RouteTable::default();
    let blocks = blocks();
    for block in blocks.values() {
        let function = functions::find(&block.name).unwrap();
        let lambda = Arc::new(Lambda::new(function, Duration::from_secs(1), SettingsMap::new()));
        for route in &block.routes {
            gateway.insert(route, Arc::clone(&lambda)).unwrap();
        }
    }
    let is_routed = |function: &&Function| function.name != "not-found" && blocks[function.name].url.is_none();
    for function in functions::ALL.iter().filter(is_routed) {
        for route in functions::routes(function) {
            let (method, path) = route.split_once(' ').unwrap();
            let found = gateway.find(method, &path.replace(['{', '}'], "")).unwrap();
            assert_eq!((found.lambda.name(), &found.key), (function.name, &route));
        }
    }
    assert_eq!(gateway.find("GET", "/nothing/here").unwrap().lambda.name(), "not-found");
}

#[test]
fn every_http_event_names_a_route_of_its_own_function() {
    for (name, block) in blocks() {
        let text = fs::read_to_string(root().join(format!("events/{name}.json"))).unwrap();
        let event: Value = serde_json::from_str(&text).unwrap();
        match event["routeKey"].as_str() {
            Some(key) if block.url.is_some() => assert_eq!(key, "$default", "events/{name}.json"),
            Some(key) => {
                assert!(block.routes.iter().any(|route| route == key), "events/{name}.json is for {key}");
                assert_eq!(event["requestContext"]["routeKey"], key, "events/{name}.json");
                let method = event["requestContext"]["http"]["method"].as_str().unwrap();
                assert!(key == "$default" || key.starts_with(&format!("{method} ")), "events/{name}.json");
            }
            None => assert_eq!(block.routes, Vec::<String>::new(), "events/{name}.json has no route"),
        }
    }
}

#[test]
fn openapi_json_is_current() {
    let committed = fs::read_to_string(root().join("openapi.json")).unwrap();
    assert!(committed == openapi::document().unwrap(), "openapi.json is stale: run `cargo openapi`");
}

#[test]
fn a_renamed_function_keeps_its_operation_ids() {
    let document: Value = serde_json::from_str(&openapi::document().unwrap()).unwrap();
    for (path, expected) in [
        ("/api/v1/audit", "privacy_audit_log"),
        ("/api/v1/conversations", "messages_list_conversations"),
        ("/api/v1/messages", "messages_list"),
    ] {
        assert_eq!(document["paths"][path]["get"]["operationId"], expected, "{path}");
    }
}

// Asynchronous because reading the settings creates clients that need a Tokio runtime.
#[tokio::test]
async fn settings_md_is_current() {
    let committed = fs::read_to_string(root().join("docs/SETTINGS.md")).unwrap();
    assert!(committed == settings::document().unwrap(), "docs/SETTINGS.md is stale: run `cargo settings`");
}

// Asynchronous because reading the settings creates clients that need a Tokio runtime.
#[tokio::test]
async fn the_template_gives_no_function_a_variable_that_it_does_not_read() {
    for (name, block) in blocks() {
        let reads = functions::find(&name).unwrap().settings().names();
        for variable in block.variables.keys() {
            let is_read = reads.contains(variable.as_str());
            assert!(is_read, "template.yaml gives {variable} to {name}, which does not read it");
        }
    }
}

#[tokio::test]
async fn the_template_gives_model_settings_to_every_function_that_reads_them() {
    let blocks = blocks();
    let is_of_models = |name: &&String| name.starts_with("LLM_") || name.starts_with("EMBEDDING_");
    let given: BTreeSet<_> = blocks.values().flat_map(|block| block.variables.keys()).filter(is_of_models).collect();
    assert!(!given.is_empty());
    for (name, block) in &blocks {
        let reads = functions::find(name).unwrap().settings().names();
        for setting in given.iter().filter(|setting| reads.contains(setting.as_str())) {
            assert!(block.variables.contains_key(*setting), "template.yaml does not give {setting} to {name}");
        }
    }
}

/// Variables that Lambda gives every function by itself.
const LAMBDA_VARIABLES: [&str; 2] = ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"];

#[tokio::test]
async fn every_required_setting_is_in_the_template_or_in_the_documented_secret() {
    let documented = documented_secrets();
    for (name, block) in blocks() {
        let Err(error) = functions::find(&name).unwrap().start(SettingsMap::new()).await else {
            assert!(!block.variables.contains_key("SECRET_ARN"), "{name} needs nothing, and is given a secret");
            continue;
        };
        let secret = block.variables["SECRET_ARN"]["Ref"].as_str().unwrap();
        let (functions, keys) = &documented[secret];
        assert!(functions.contains(&name), "docs/DEPLOY.md does not say that {name} reads {secret}");
        let error = error.to_string();
        let missing = error.strip_prefix("settings are not usable: ").unwrap();
        let mut required = 0;
        for problem in missing.split("; ") {
            let (setting, _) = problem.split_once(" is missing").unwrap_or_else(|| panic!("{name}: {problem}"));
            let is_given =
                block.variables.contains_key(setting) || keys.contains(setting) || LAMBDA_VARIABLES.contains(&setting);
            assert!(is_given, "{name} requires {setting}, which neither template.yaml nor its secret {secret} holds");
            required += 1;
        }
        assert!(required > 0);
    }
    // Conversely, docs/DEPLOY.md names no function for a secret that the template does not give to it.
    for (secret, (functions, _)) in documented {
        for function in functions {
            assert_eq!(blocks()[&function].variables["SECRET_ARN"]["Ref"], secret.as_str(), "{function}");
        }
    }
}

#[test]
fn the_ingest_worker_may_read_the_ingest_secret_and_no_other_function_may() {
    let template = Template::read(&root().join("template.yaml")).unwrap();
    for (id, role) in template.resources("AWS::IAM::Role") {
        let policies = role["Policies"].to_string();
        let is_workers = id == "IngestWorkerRole";
        assert_eq!(policies.contains("IngestSecret"), is_workers, "{id}");
        assert!(!is_workers || !policies.contains("AppSecret") && !policies.contains("SystemSecret"));
    }
}

/// Actions that the statements of policy documents name.
fn actions(statements: &Value) -> BTreeSet<String> {
    let of_one = |statement: &Value| match &statement["Action"] {
        Value::Array(actions) => actions.iter().map(|action| action.as_str().unwrap().to_owned()).collect(),
        action => vec![action.as_str().unwrap().to_owned()],
    };
    statements.as_array().unwrap().iter().flat_map(of_one).collect()
}

#[test]
fn every_role_has_the_boundary_which_allows_what_the_functions_do() {
    let deploy = Template::read(&root().join(".github/deploy-role.yaml")).unwrap();
    let (_, boundary) = deploy.resources("AWS::IAM::ManagedPolicy").find(|(id, _)| *id == "Boundary").unwrap();
    let allowed = actions(&boundary["PolicyDocument"]["Statement"]);
    let template = Template::read(&root().join("template.yaml")).unwrap();
    let mut roles = 0;
    for (id, role) in template.resources("AWS::IAM::Role") {
        assert_eq!(role["PermissionsBoundary"]["Fn::If"][1]["Ref"], "PermissionsBoundary", "{id}");
        for policy in role["Policies"].as_array().into_iter().flatten() {
            let needed = actions(&policy["PolicyDocument"]["Statement"]);
            assert!(needed.is_subset(&allowed), "{id}: {:?}", needed.difference(&allowed));
        }
        roles += 1;
    }
    // One for each function, and the one of canary deployments.
    assert_eq!(roles, blocks().len() + 1);
}

#[test]
fn a_deployment_cannot_make_a_role_without_the_boundary_or_change_its_own_rights() {
    let deploy = Template::read(&root().join(".github/deploy-role.yaml")).unwrap();
    let (_, role) = deploy.resources("AWS::IAM::Role").find(|(id, _)| *id == "DeployRole").unwrap();
    let statements = role["Policies"][0]["PolicyDocument"]["Statement"].as_array().unwrap();
    let gives_rights =
        ["iam:CreateRole", "iam:PutRolePolicy", "iam:AttachRolePolicy", "iam:PutRolePermissionsBoundary"];
    let mut found = BTreeSet::new();
    for statement in statements.iter().filter(|statement| statement["Effect"] == "Allow") {
        let named = actions(&Value::Array(vec![statement.clone()]));
        for action in named.iter().filter(|action| action.starts_with("iam:")) {
            assert!(
                !action.contains('*') && !action.contains("PolicyVersion") && !action.contains("DeleteRolePermissions")
            );
            if gives_rights.contains(&action.as_str()) {
                let bounded = &statement["Condition"]["StringEquals"]["iam:PermissionsBoundary"]["Ref"];
                assert_eq!(bounded, "Boundary", "{action}");
                found.insert(action.clone());
            }
        }
    }
    assert_eq!(found, names(gives_rights));
    let denied = statements.iter().find(|statement| statement["Effect"] == "Deny").unwrap();
    assert_eq!(denied["Action"], "iam:*");
    assert!(denied["Resource"].to_string().contains("role/lisa-${Environment}-deploy"));
}

/// Reads the secrets in docs/DEPLOY.md, by their ids in the template: the functions that read each, and its keys.
fn documented_secrets() -> BTreeMap<String, (BTreeSet<String>, BTreeSet<String>)> {
    let text = fs::read_to_string(root().join("docs/DEPLOY.md")).unwrap();
    let secrets = [
        ("AppSecret", "`lisa/$ENV/app` — "),
        ("IngestSecret", "`lisa/$ENV/ingest` — "),
        ("SystemSecret", "`lisa/$ENV/system` — "),
    ];
    let read = |(id, begins): (&str, &str)| {
        let (_, section) = text.split_once(begins).unwrap_or_else(|| panic!("docs/DEPLOY.md says nothing of {id}"));
        let (functions, rest) = section.split_once(':').unwrap();
        let json = rest.split_once("```json").unwrap().1.split_once("```").unwrap().0;
        let keys: BTreeMap<String, String> = serde_json::from_str(json).unwrap();
        (id.to_owned(), (names(functions.split(", ")), keys.into_keys().collect()))
    };
    secrets.map(read).into()
}

#[test]
fn limits_in_openapi_equal_the_constants_of_the_code() {
    let document: Value = serde_json::from_str(&fs::read_to_string(root().join("openapi.json")).unwrap()).unwrap();
    for (schema, limit) in [
        ("Announcement/properties/size_bytes/maximum", documents::MAX_BYTES),
        ("Comment/maxLength", feedback::MAX_COMMENT_CHARS),
        ("CompanyName/maxLength", tenants::MAX_COMPANY_NAME_CHARS),
        ("DataPodKey/maxLength", user_configs::MAX_DATA_POD_KEY_BYTES),
        ("Email/maxLength", accounts::MAX_EMAIL_BYTES),
        ("Filename/maxLength", documents::MAX_FILENAME_CHARS),
        ("FullName/maxLength", accounts::MAX_FULL_NAME_CHARS),
        ("QueryRequest/properties/document_ids/minItems", 1),
        ("QueryRequest/properties/document_ids/maxItems", questions::MAX_DOCUMENTS),
        ("QueryRequest/properties/top_k/maximum", questions::MAX_PASSAGES.into()),
        ("Question/maxLength", retrieval::MAX_QUESTION_CHARS),
        ("Reply/properties/text/maxLength", messages::MAX_TEXT_CHARS),
    ] {
        let documented = document.pointer(&format!("/components/schemas/{schema}"));
        assert_eq!(documented.and_then(Value::as_u64), Some(limit as u64), "{schema}");
    }
}

/// The time after which API Gateway answers a request with 503, whatever its function does.
const GATEWAY_TIMEOUT: Duration = Duration::from_secs(30);

#[test]
fn the_longest_question_ends_before_its_function_and_the_gateway_do() {
    // The checks of the caller and the first transaction are within the time of the answer. The transaction that stores
    // the answer, or refunds it, comes after it.
    let longest = questions::ANSWER_TIMEOUT + db::REQUEST_TIMEOUT;
    for name in ["query", "query-stream"] {
        let timeout = blocks()[name].timeout;
        assert!(longest < timeout && timeout < GATEWAY_TIMEOUT, "{name}: {longest:?}, {timeout:?}");
    }
    // What comes before the answer leaves it most of its time: the rate limit, the membership, the first transaction.
    assert!(db::REQUEST_TIMEOUT * 3 * 2 < questions::ANSWER_TIMEOUT);
}

/// Time that a message to a queue may take while a client waits.
const QUEUE_TIMEOUT: Duration = Duration::from_secs(1);

/// The rate limit, the membership and two transactions, each as slow as it may be, and two messages to queues.
#[test]
fn the_slowest_request_ends_before_its_function_and_the_gateway_do() {
    let slowest = db::REQUEST_TIMEOUT * 4 + QUEUE_TIMEOUT * 2;
    let slow: Vec<_> = blocks()
        .into_iter()
        .filter(|(_, block)| !block.routes.is_empty() && block.variables.contains_key("SECRET_ARN"))
        .filter(|(_, block)| block.timeout <= slowest || block.timeout >= GATEWAY_TIMEOUT)
        .map(|(name, block)| (name, block.timeout))
        .collect();
    assert!(slow.is_empty(), "{slow:?} are not between {slowest:?} and {GATEWAY_TIMEOUT:?}");
}

#[test]
fn the_longest_reply_ends_before_its_function_does() {
    let block = &blocks()["reply-worker"];
    assert!(reply_worker::longest_run() < block.timeout, "{:?}", reply_worker::longest_run());
    let template = Template::read(&root().join("template.yaml")).unwrap();
    let (_, queue) = template.resources("AWS::SQS::Queue").find(|(id, _)| *id == "ReplyQueue").unwrap();
    assert_eq!(queue["VisibilityTimeout"].as_u64(), Some(block.timeout.as_secs() * 6));
}

#[test]
fn the_longest_run_of_the_webhook_worker_ends_before_its_function_does() {
    let block = &blocks()["webhook-worker"];
    assert!(webhook_worker::longest_run() < block.timeout, "{:?}", webhook_worker::longest_run());
    let template = Template::read(&root().join("template.yaml")).unwrap();
    let (_, queue) = template.resources("AWS::SQS::Queue").find(|(id, _)| *id == "WebhookQueue").unwrap();
    assert_eq!(queue["VisibilityTimeout"].as_u64(), Some(block.timeout.as_secs() * 6));
}

#[test]
fn every_function_that_feeds_its_own_queue_may_call_itself_again() {
    let template = Template::read(&root().join("template.yaml")).unwrap();
    let mut found = Vec::new();
    for (id, function) in template.resources("AWS::Serverless::Function") {
        let events = function["Events"].as_object().into_iter().flatten();
        let own: BTreeSet<_> = events
            .filter_map(|(_, event)| event["Properties"]["Queue"]["Fn::GetAtt"].as_array()?.first()?.as_str())
            .collect();
        let variables = function["Environment"]["Variables"].as_object().into_iter().flatten();
        let sends_to = variables.filter_map(|(_, value)| value["Ref"].as_str());
        let role = function["Role"]["Fn::GetAtt"][0].as_str().unwrap();
        // A worker that only changes the visibility of its own messages does not feed its queue.
        let sends = template.json()["Resources"][role].to_string().contains("sqs:SendMessage");
        let is_recursive = sends && sends_to.into_iter().any(|queue| own.contains(queue));
        // Lambda stops a function that has called itself 16 times by way of a queue, unless it is allowed.
        assert_eq!(function["RecursiveLoop"] == "Allow", is_recursive, "{id}");
        found.extend(is_recursive.then_some(id));
    }
    assert_eq!(found, ["IngestWorkerFunction", "ReplyWorkerFunction", "WebhookWorkerFunction"]);
}

#[test]
fn the_parameters_in_openapi_are_those_of_the_code() {
    let document: Value = serde_json::from_str(&openapi::document().unwrap()).unwrap();
    let parameter = |path: &str, method: &str, name: &str| {
        let all = document["paths"][path][method]["parameters"].as_array().unwrap();
        all.iter().find(|parameter| parameter["name"] == name).map(|parameter| parameter["schema"].clone())
    };
    let mut keys = 0;
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let names = operation["parameters"].as_array().into_iter().flatten();
            let names: BTreeSet<_> = names.filter_map(|parameter| parameter["name"].as_str()).collect();
            if names.contains("sort") {
                assert!(parameter(path, method, "sort").unwrap()["enum"].is_array(), "{path}");
                assert_eq!(parameter(path, method, "cursor").unwrap()["pattern"], "^[A-Za-z0-9_-]+$", "{path}");
            }
            if names.contains("status") {
                assert!(parameter(path, method, "status").unwrap()["enum"].is_array(), "{path}");
            }
            if names.contains("Idempotency-Key") {
                let key = parameter(path, method, "Idempotency-Key").unwrap();
                assert_eq!((&key["minLength"], &key["maxLength"]), (&1.into(), &255.into()), "{path}");
                keys += 1;
            }
        }
    }
    assert!(keys > 0);
    let sorts = parameter("/api/v1/documents", "get", "sort").unwrap();
    let expected = ["upload_date", "-upload_date", "filename", "-filename", "created_at", "-created_at"];
    assert_eq!(sorts["enum"], serde_json::json!(expected));
    let statuses = parameter("/api/v1/documents", "get", "status").unwrap();
    assert_eq!(statuses["enum"], serde_json::json!(["pending", "processed", "failed"]));
    assert_eq!(parameter("/api/v1/messages", "get", "status"), None, "messages cannot be filtered by status");
    let deep = parameter("/health", "get", "deep").unwrap();
    assert_eq!((&deep["minimum"], &deep["maximum"]), (&0.into(), &1.into()));
    let schemas = &document["components"]["schemas"];
    assert_eq!(schemas["Announcement"]["properties"]["sha256"]["pattern"], "^[0-9a-fA-F]{64}$");
    for side in ["before", "after"] {
        let value = &schemas["ConfigChange"]["properties"][side];
        assert!(value["description"].is_string() && value["type"].is_null(), "a setting is of any type: {value}");
    }
    let stream = &document["paths"]["/api/v1/query/stream"]["post"]["responses"]["200"]["content"]["text/event-stream"];
    assert_eq!(stream["schema"]["type"], "string", "a stream is a text of events");
    let events = stream["x-events"]["$ref"].as_str().unwrap().rsplit('/').next().unwrap();
    let events = schemas[events]["properties"].as_object().unwrap().keys().map(String::as_str);
    assert_eq!(names(events), names(["citations", "delta", "done", "error"]));
}

#[test]
fn a_lease_outlives_the_function_that_holds_it() {
    assert!(conversations::LEASE_TIMEOUT > blocks()["reply-worker"].timeout);
}
