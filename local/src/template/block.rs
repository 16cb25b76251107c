//! One function's block.

use std::{collections::BTreeMap, time::Duration};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::Schedule;

/// A function as the template describes it.
#[derive(Debug, Clone)]
pub struct Block {
    /// The name of its binary, which is that of its package and of [`shared::function::Function::name`].
    pub name: String,
    /// When it is ended.
    pub timeout: Duration,
    /// Its environment variables, unresolved.
    pub variables: BTreeMap<String, Value>,
    /// Its routes: `GET /health`, or `$default`.
    pub routes: Vec<String>,
    /// The queues that it takes messages from.
    pub queues: Vec<QueueEvent>,
    /// The URL of its own, where it has one.
    pub url: Option<FunctionUrl>,
    /// When it runs by itself.
    pub schedules: Vec<ScheduleEvent>,
}

/// A function's own URL, which everybody may call, at every path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FunctionUrl {
    /// Whether an answer is told while it is made.
    pub streams: bool,
}

/// A schedule as an event source.
#[derive(Debug, Clone)]
pub struct ScheduleEvent {
    /// When.
    pub schedule: Schedule,
    /// What the function is handed; absent for the scheduler's own event.
    pub input: Option<Value>,
}

/// A queue as an event source.
#[derive(Debug, Clone)]
pub struct QueueEvent {
    /// The queue's ARN, unresolved.
    pub queue: Value,
    /// Messages an invocation, at most.
    pub batch_size: i32,
    /// Whether the function names the messages that failed.
    pub reports_failures: bool,
    /// Invocations at a time, unresolved; absent for no limit.
    pub concurrency: Option<Value>,
}

impl FunctionUrl {
    fn read(config: &Value) -> Result<Self> {
        if config["AuthType"] != "NONE" {
            bail!("the local stack signs nobody in at a URL of AuthType {}", config["AuthType"]);
        }
        Ok(Self { streams: config["InvokeMode"] == "RESPONSE_STREAM" })
    }
}

impl Block {
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
            // What Lambda gives a function that says nothing.
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
                    // SQS gives ten at a time.
                    batch_size: i32::try_from(batch_size.clamp(1, 10)).unwrap_or(10),
                    reports_failures: kinds.iter().any(|kind| kind == "ReportBatchItemFailures"),
                    concurrency: properties["ScalingConfig"].get("MaximumConcurrency").cloned(),
                });
            }
            Some("Schedule" | "ScheduleV2") => {
                let text = properties.get("Schedule").or_else(|| properties.get("ScheduleExpression"));
                let schedule = text.and_then(Value::as_str).context("it has no schedule")?.parse()?;
                let input = properties["Input"].as_str().map(serde_json::from_str).transpose();
                self.schedules.push(ScheduleEvent { schedule, input: input.context("its input is not JSON")? });
            }
            other => bail!("the local stack knows no events of type {}", other.unwrap_or("(none)")),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_url_streams_where_it_says_so_and_signs_nobody_in() {
        let read = |config: Value| FunctionUrl::read(&config);
        let streams = json!({ "AuthType": "NONE", "InvokeMode": "RESPONSE_STREAM" });
        assert_eq!(read(streams).unwrap(), FunctionUrl { streams: true });
        assert_eq!(read(json!({ "AuthType": "NONE" })).unwrap(), FunctionUrl { streams: false });
        assert!(read(json!({ "AuthType": "AWS_IAM" })).is_err());
    }
}
