//! Parses YAML with CloudFormation's short tags to JSON.

use anyhow::{Context, Result, bail};
use saphyr::{LoadableYamlNode, Scalar, Yaml};
use serde_json::{Map, Value, json};

pub(super) fn parse(text: &str) -> Result<Value> {
    let documents = Yaml::load_from_str(text)?;
    value(documents.first().context("it is empty")?)
}

fn value(node: &Yaml<'_>) -> Result<Value> {
    Ok(match node {
        Yaml::Value(Scalar::Null) => Value::Null,
        Yaml::Value(Scalar::Boolean(truth)) => json!(truth),
        Yaml::Value(Scalar::Integer(number)) => json!(number),
        Yaml::Value(Scalar::FloatingPoint(number)) => json!(number.0),
        Yaml::Value(Scalar::String(text)) => json!(text),
        Yaml::Sequence(items) => Value::Array(items.iter().map(value).collect::<Result<_>>()?),
        Yaml::Mapping(entries) => {
            let mut map = Map::new();
            for (key, entry) in entries {
                let Value::String(key) = value(key)? else { bail!("a key is not a text") };
                map.insert(key, value(entry)?);
            }
            Value::Object(map)
        }
        Yaml::Tagged(tag, inner) => expand_tag(&tag.suffix, value(inner)?),
        Yaml::Representation(..) | Yaml::Alias(_) | Yaml::BadValue => bail!("a value is not understood"),
    })
}

/// Expands a short tag: `!GetAtt A.B` to `{"Fn::GetAtt": ["A", "B"]}`, and so on.
fn expand_tag(tag: &str, argument: Value) -> Value {
    let name = if matches!(tag, "Ref" | "Condition") { tag.to_owned() } else { format!("Fn::{tag}") };
    let argument = match (tag, argument.as_str().and_then(|text| text.split_once('.'))) {
        ("GetAtt", Some((resource, attribute))) => json!([resource, attribute]),
        _ => argument,
    };
    json!({ name: argument })
}
