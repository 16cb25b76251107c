//! Reads template.yaml as far as the local stack follows it: the functions with their routes, queues, schedules and
//! settings. Whatever the template lacks, the local stack lacks too.

mod block;
mod resolve;
mod schedule;
mod yaml;

use std::{fs, path::Path};

use anyhow::{Context, Result, anyhow};
use serde_json::{Map, Value};

pub use block::{FunctionBlock, FunctionUrl, QueueEvent, ScheduleEvent};
pub use resolve::{ResourceReference, TemplateScope};
pub use schedule::Schedule;

/// The parsed template. Short tags are expanded: `!Ref X` is `{"Ref": "X"}`.
#[derive(Debug, Clone)]
pub struct Template(Value);

impl Template {
    /// Reads the template from a file.
    ///
    /// # Errors
    /// Fails when the file cannot be read or is not YAML.
    pub fn read(path: &Path) -> Result<Self> {
        let shown = path.display();
        let text = fs::read_to_string(path).with_context(|| format!("{shown} cannot be read"))?;
        Self::parse(&text).with_context(|| format!("{shown} is not a template"))
    }

    fn parse(text: &str) -> Result<Self> {
        yaml::parse(text).map(Self)
    }

    /// The whole template.
    #[must_use]
    pub fn json(&self) -> &Value {
        &self.0
    }

    /// The logical ids and properties of the resources of a type.
    pub fn resources<'t>(&'t self, kind: &'t str) -> impl Iterator<Item = (&'t str, &'t Value)> {
        let all = self.0["Resources"].as_object().into_iter().flatten();
        all.filter(move |(_, resource)| resource["Type"] == kind)
            .map(|(id, resource)| (id.as_str(), &resource["Properties"]))
    }

    /// The template's functions.
    ///
    /// # Errors
    /// Fails when the local stack does not understand a function's block.
    pub fn functions(&self) -> Result<Vec<FunctionBlock>> {
        let globals = &self.0["Globals"]["Function"];
        let resources = self.0["Resources"].as_object().into_iter().flatten();
        resources
            .filter(|(_, resource)| resource["Type"] == "AWS::Serverless::Function")
            .map(|(id, resource)| {
                FunctionBlock::read(resource, globals).with_context(|| format!("template.yaml: {id} is not understood"))
            })
            .collect()
    }

    fn section(&self, name: &str) -> Result<&Map<String, Value>> {
        self.0[name].as_object().ok_or_else(|| anyhow!("template.yaml has no {name}"))
    }
}
