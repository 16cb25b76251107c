//! template.yaml, as far as the local stack follows it: which function answers which route, takes which queue, runs on
//! which schedule, and with which settings. What is missing there is then missing here too.

mod block;
mod resolve;
mod schedule;
mod yaml;

use std::{fs, path::Path};

use anyhow::{Context, Result, anyhow};
use serde_json::{Map, Value};

pub use block::{Block, FunctionUrl, QueueEvent, ScheduleEvent};
pub use resolve::{Reference, Scope};
pub use schedule::Schedule;

/// The template, its short tags written out (`!Ref X` is `{"Ref": "X"}`).
#[derive(Debug, Clone)]
pub struct Template(Value);

impl Template {
    /// Reads a file.
    ///
    /// # Errors
    /// A file that cannot be read, or is not YAML.
    pub fn read(path: &Path) -> Result<Self> {
        let shown = path.display();
        let text = fs::read_to_string(path).with_context(|| format!("{shown} cannot be read"))?;
        Self::parse(&text).with_context(|| format!("{shown} is not a template"))
    }

    fn parse(text: &str) -> Result<Self> {
        yaml::parse(text).map(Self)
    }

    /// The resources of a type, by their logical ids.
    pub fn resources<'t>(&'t self, kind: &'t str) -> impl Iterator<Item = (&'t str, &'t Value)> {
        let all = self.0["Resources"].as_object().into_iter().flatten();
        all.filter(move |(_, resource)| resource["Type"] == kind)
            .map(|(id, resource)| (id.as_str(), &resource["Properties"]))
    }

    /// The functions.
    ///
    /// # Errors
    /// A block that the local stack does not understand.
    pub fn functions(&self) -> Result<Vec<Block>> {
        let globals = &self.0["Globals"]["Function"];
        let resources = self.0["Resources"].as_object().into_iter().flatten();
        resources
            .filter(|(_, resource)| resource["Type"] == "AWS::Serverless::Function")
            .map(|(id, resource)| {
                Block::read(resource, globals).with_context(|| format!("template.yaml: {id} is not understood"))
            })
            .collect()
    }

    fn section(&self, name: &str) -> Result<&Map<String, Value>> {
        self.0[name].as_object().ok_or_else(|| anyhow!("template.yaml has no {name}"))
    }
}
