//! One function's block of the template.

use std::{collections::BTreeMap, time::Duration};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::Schedule;

/// A function as the template describes it.
#[derive(Debug, Clone)]
pub struct FunctionBlock {
    /// The name of the function's binary, equal to that of its package and to [`shared::function::Function::name`].
    pub name: String,
    /// The timeout of an invocation.
    pub timeout: Duration,
    /// The environment variables, unresolved.
    pub variables: BTreeMap<String, Value>,
    /// The route keys, such as `GET /health` or `$default`.
    pub routes: Vec<String>,
    /// The queues that feed the function.
    pub queues: Vec<QueueEvent>,
    /// The Function URL; `None` when the function has none.
    pub url: Option<FunctionUrl>,
    /// The schedules that invoke the function.
    pub schedules: Vec<ScheduleEvent>,
}

/// A Lambda Function URL without authentication, for every path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FunctionUrl {
    /// True when the function streams its answers.
    pub streams: bool,
}

/// A schedule as an event source.
#[derive(Debug, Clone)]
pub struct ScheduleEvent {
    /// The times at which the function is invoked.
    pub schedule: Schedule,
    /// The event passed to the function; `None` for EventBridge's own event.
    pub input: Option<Value>,
}

/// A queue as an event source.
#[derive(Debug, Clone)]
pub struct QueueEvent {
    /// The queue's ARN, unresolved.
    pub queue: Value,
    /// The maximum number of messages per invocation.
    pub batch_size: i32,
    /// True when the function reports failed messages (ReportBatchItemFailures).
    pub reports_batch_item_failures: bool,
    /// The maximum number of concurrent invocations, unresolved; `None` for no limit.
    pub max_concurrency: Option<Value>,
}

impl FunctionUrl {
    fn read(config: &Value) -> Result<Self> {
        if config["AuthType"] != "NONE" {
            bail!("the local stack does not support a Function URL of AuthType {}", config["AuthType"]);
        }
        Ok(Self { streams: config["InvokeMode"] == "RESPONSE_STREAM" })
    }
}

impl FunctionBlock {
    pub(super) fn read(resource: &Value, globals: &Value) -> Result<Self> {
        let properties = &resource["Properties"];
        let binary = resource["Metadata"]["BuildProperties"]["Binary"].as_str();
        let mut variables = BTreeMap::new();
        for source in [globals, properties] {
            let own = source["Environment"]["Variables"].as_object().into_iter().flatten();
            variables.extend(own.map(|(name, value)| (name.clone(), value.clone())));
        }
        let seconds = [&properties["Timeout"], &globals["Timeout"]].into_iter().find_map(Value::as_u64);
        let mut block = Self {
            name: binary.context("its metadata name no binary")?.to_owned(),
            // Lambda's default timeout is 3 s.
            timeout: Duration::from_secs(seconds.unwrap_or(3)),
            variables,
            routes: Vec::new(),
            queues: Vec::new(),
            url: properties.get("FunctionUrlConfig").map(FunctionUrl::read).transpose()?,
            schedules: Vec::new(),
        };
        for (id, event) in properties["Events"].as_object().into_iter().flatten() {
            block.add(event).with_context(|| format!("its event {id} is not understood"))?;
        }
        Ok(block)
    }

    fn add(&mut self, event: &Value) -> Result<()> {
        let properties = &event["Properties"];
        match event["Type"].as_str() {
            Some("HttpApi") => {
                let method = properties["Method"].as_str().unwrap_or("ANY").to_uppercase();
                let route = properties["Path"].as_str().map(|path| format!("{method} {path}"));
                self.routes.push(route.unwrap_or_else(|| "$default".to_owned()));
            }
            Some("SQS") => {
                let batch_size = properties["BatchSize"].as_i64().unwrap_or(10);
                let kinds = properties["FunctionResponseTypes"].as_array().map(Vec::as_slice).unwrap_or_default();
                self.queues.push(QueueEvent {
                    queue: properties["Queue"].clone(),
                    // SQS delivers at most ten messages per call.
                    batch_size: i32::try_from(batch_size.clamp(1, 10)).unwrap_or(10),
                    reports_batch_item_failures: kinds.iter().any(|kind| kind == "ReportBatchItemFailures"),
                    max_concurrency: properties["ScalingConfig"].get("MaximumConcurrency").cloned(),
                });
            }
            Some("Schedule" | "ScheduleV2") => {
                let text = properties.get("Schedule").or_else(|| properties.get("ScheduleExpression"));
                let schedule = text.and_then(Value::as_str).context("it has no schedule")?.parse()?;
                let input = properties["Input"].as_str().map(serde_json::from_str).transpose();
                self.schedules.push(ScheduleEvent { schedule, input: input.context("its input is not JSON")? });
            }
            other => bail!("the local stack does not support events of type {}", other.unwrap_or("(none)")),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn function_url_streams_by_invoke_mode_and_requires_auth_type_none() {
        let read = |config: Value| FunctionUrl::read(&config);
        let streams = json!({ "AuthType": "NONE", "InvokeMode": "RESPONSE_STREAM" });
        assert_eq!(read(streams).unwrap(), FunctionUrl { streams: true });
        assert_eq!(read(json!({ "AuthType": "NONE" })).unwrap(), FunctionUrl { streams: false });
        assert!(read(json!({ "AuthType": "AWS_IAM" })).is_err());
    }
}
