//! Resolves CloudFormation's intrinsic functions to local values: parameters to their defaults, references to local
//! resources.

use std::collections::BTreeMap;

use anyhow::{Context, Result, anyhow, bail};
use serde_json::{Map, Value};

use super::Template;

/// The results of `!Ref` and `!GetAtt` for a resource.
#[derive(Debug, Clone, Default)]
pub struct ResourceReference {
    /// The result of `!Ref X`.
    pub value: String,
    /// The result of `!GetAtt X.Arn`; for a Function URL that of `!GetAtt X.FunctionUrl`.
    pub arn: String,
}

/// The references, region and account that a template is resolved with.
#[derive(Debug, Clone)]
pub struct TemplateScope<'t> {
    template: &'t Template,
    references: BTreeMap<String, ResourceReference>,
    region: String,
    account: String,
}

impl<'t> TemplateScope<'t> {
    /// Creates a scope without resources.
    #[must_use]
    pub fn new(template: &'t Template, region: &str, account: &str) -> Self {
        Self { template, references: BTreeMap::new(), region: region.to_owned(), account: account.to_owned() }
    }

    /// Adds a resource by its logical id.
    pub fn insert(&mut self, id: &str, reference: ResourceReference) {
        self.references.insert(id.to_owned(), reference);
    }

    /// Resolves a value to text. A number or a boolean is converted to text.
    ///
    /// # Errors
    /// Fails on a reference to an unknown resource, and on an intrinsic function that the local stack does not
    /// support.
    pub fn resolve_text(&self, value: &Value) -> Result<String> {
        match self.resolve(value)? {
            Some(Value::String(text)) => Ok(text),
            Some(value @ (Value::Number(_) | Value::Bool(_))) => Ok(value.to_string()),
            _ => Err(anyhow!("{value} is not a text")),
        }
    }

    /// Resolves all intrinsic functions in a value. `None` stands for `AWS::NoValue`.
    ///
    /// # Errors
    /// Fails like [`TemplateScope::resolve_text`].
    pub fn resolve(&self, value: &Value) -> Result<Option<Value>> {
        match value {
            Value::Array(items) => {
                let items: Result<Vec<_>> = items.iter().filter_map(|item| self.resolve(item).transpose()).collect();
                Ok(Some(Value::Array(items?)))
            }
            Value::Object(map) => match only_entry(map) {
                Some((name, argument)) if name == "Ref" || name.starts_with("Fn::") => self.call(name, argument),
                _ => {
                    let mut resolved = Map::new();
                    for (key, entry) in map {
                        if let Some(entry) = self.resolve(entry)? {
                            resolved.insert(key.clone(), entry);
                        }
                    }
                    Ok(Some(Value::Object(resolved)))
                }
            },
            plain => Ok(Some(plain.clone())),
        }
    }

    fn call(&self, function: &str, argument: &Value) -> Result<Option<Value>> {
        let arguments = argument.as_array().map(Vec::as_slice).unwrap_or_default();
        match (function, arguments) {
            ("Ref", _) => {
                let name = argument.as_str().context("!Ref names nothing")?;
                Ok((name != "AWS::NoValue").then(|| self.reference(name)).transpose()?.map(Value::String))
            }
            ("Fn::GetAtt", [resource, attribute]) => {
                let id = resource.as_str().unwrap_or_default();
                let found = self.references.get(id).filter(|_| attribute == "Arn" || attribute == "FunctionUrl");
                let reference =
                    found.with_context(|| format!("!GetAtt {id}.{attribute} is not known to the local stack"))?;
                Ok(Some(Value::String(reference.arn.clone())))
            }
            ("Fn::Sub", [text, values]) => self.substitute(text, values.as_object()).map(|text| Some(text.into())),
            ("Fn::Sub", _) => self.substitute(argument, None).map(|text| Some(text.into())),
            ("Fn::If", [condition, then, otherwise]) => {
                let name = condition.as_str().unwrap_or_default();
                let condition = self.template.section("Conditions")?.get(name);
                let holds =
                    self.evaluate_condition(condition.with_context(|| format!("there is no condition {name}"))?)?;
                self.resolve(if holds { then } else { otherwise })
            }
            ("Fn::Split", [separator, text]) => {
                let (separator, text) = (self.resolve_text(separator)?, self.resolve_text(text)?);
                Ok(Some(text.split(&separator).map(|part| Value::String(part.to_owned())).collect()))
            }
            _ => bail!("{function} is not known to the local stack"),
        }
    }

    fn reference(&self, name: &str) -> Result<String> {
        match name {
            "AWS::Region" => return Ok(self.region.clone()),
            "AWS::AccountId" => return Ok(self.account.clone()),
            "AWS::Partition" => return Ok("aws".to_owned()),
            "AWS::URLSuffix" => return Ok("amazonaws.com".to_owned()),
            _ => {}
        }
        if let Some(reference) = self.references.get(name) {
            return Ok(reference.value.clone());
        }
        let parameter = self.template.section("Parameters")?.get(name);
        let default = parameter.and_then(|parameter| parameter.get("Default"));
        match default.with_context(|| format!("!Ref {name} is not known to the local stack"))? {
            Value::String(text) => Ok(text.clone()),
            other => Ok(other.to_string()),
        }
    }

    fn substitute(&self, text: &Value, values: Option<&Map<String, Value>>) -> Result<String> {
        let mut rest = text.as_str().context("!Sub has no text")?;
        let mut result = String::new();
        while let Some((before, after)) = rest.split_once("${") {
            let (name, after) = after.split_once('}').context("a ${ is not closed")?;
            result.push_str(before);
            match (values.and_then(|values| values.get(name)), name.split_once('.')) {
                (Some(value), _) => result.push_str(&self.resolve_text(value)?),
                (None, Some((id, "Arn"))) => {
                    let reference = self.references.get(id);
                    result.push_str(
                        &reference.with_context(|| format!("${{{name}}} is not known to the local stack"))?.arn,
                    );
                }
                (None, _) => result.push_str(&self.reference(name)?),
            }
            rest = after;
        }
        Ok(result + rest)
    }

    fn evaluate_condition(&self, condition: &Value) -> Result<bool> {
        let (name, argument) = condition.as_object().and_then(only_entry).context("a condition is not understood")?;
        let arguments = argument.as_array().map(Vec::as_slice).unwrap_or_default();
        match (name, arguments) {
            ("Fn::Equals", [one, other]) => Ok(self.resolve_text(one)? == self.resolve_text(other)?),
            ("Fn::Not", [inner]) => Ok(!self.evaluate_condition(inner)?),
            ("Fn::And", all) => all.iter().try_fold(true, |holds, inner| Ok(holds && self.evaluate_condition(inner)?)),
            ("Fn::Or", any) => any.iter().try_fold(false, |holds, inner| Ok(holds || self.evaluate_condition(inner)?)),
            ("Condition", _) => {
                let name = argument.as_str().unwrap_or_default();
                let condition = self.template.section("Conditions")?.get(name);
                self.evaluate_condition(condition.with_context(|| format!("there is no condition {name}"))?)
            }
            _ => bail!("the condition {name} is not known to the local stack"),
        }
    }
}

fn only_entry(map: &Map<String, Value>) -> Option<(&str, &Value)> {
    let mut entries = map.iter();
    let (name, value) = entries.next()?;
    entries.next().is_none().then_some((name.as_str(), value))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const TEMPLATE: &str = r#"
Parameters: {Environment: {Type: String, Default: dev}, Origins: {Type: String, Default: ""}}
Conditions:
  HasOrigins: !Not [!Equals [!Ref Origins, ""]]
Resources:
  Name: !Sub lisa-${Environment}-${AWS::Region}
  Named: !Sub ["${Queue.Arn}/${Own}", {Own: !Ref Queue}]
  Arn: !GetAtt Queue.Arn
  Either: !If [HasOrigins, [!Ref Origins], [none, !Ref AWS::NoValue]]
"#;

    #[test]
    fn references_become_local_values() {
        let template = Template::parse(TEMPLATE).unwrap();
        let mut scope = TemplateScope::new(&template, "us-east-1", "123456789012");
        scope.insert("Queue", ResourceReference { value: "http://queue".into(), arn: "arn:queue".into() });
        let resolved = scope.resolve(&template.0["Resources"]).unwrap().unwrap();
        let expected = json!({
            "Name": "lisa-dev-us-east-1",
            "Named": "arn:queue/http://queue",
            "Arn": "arn:queue",
            "Either": ["none"],
        });
        assert_eq!(resolved, expected);
    }

    #[test]
    fn unknown_reference_is_named_in_the_error() {
        let template = Template::parse(TEMPLATE).unwrap();
        let error = TemplateScope::new(&template, "r", "a").resolve(&json!({"Ref": "Bucket"})).unwrap_err();
        assert_eq!(error.to_string(), "!Ref Bucket is not known to the local stack");
    }
}
