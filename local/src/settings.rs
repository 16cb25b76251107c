//! `cargo settings`: writes `docs/SETTINGS.md`, a table of all settings. Names, kinds, defaults and functions come from
//! the code, descriptions and places from `.env.example`. The command fails when code, `.env.example` and
//! `template.yaml` disagree.

mod example;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
};

use anyhow::{Context, Result, bail};
use clap::Args;
use local_postgres::root;
use shared::{function::Function, settings::SettingSpec};

use self::example::{DescribedSetting, Place};
use crate::{functions, template::Template};

const INTRODUCTION: &str = "\
# Settings

<!-- Generated from the code and .env.example by `cargo settings`. Do not edit it. -->

A function reads its settings once, when it starts, from its environment and from the keys of one secret. The
environment has precedence, and an empty value counts as absent. One error lists everything missing or malformed.

- **required**: the function does not start without the setting, even when no other setting is there. Conditions on other
  settings are in the description.
- **place**: where a deployment keeps the setting. Without a place, the default suits a deployment; another value can be
  put into the function's secret.
- **functions**: *routes* means every function with HTTP routes.
- A list is separated by commas.

`cargo dev` sets what its functions need. A setting in its environment replaces that value, except for the databases,
the secret, the bucket, the queues, libpdfium and `AWS_*`, which are its own.
";

/// Generates docs/SETTINGS.md from the code and .env.example.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Write nothing; fail when docs/SETTINGS.md is out of date.
    #[arg(long)]
    check: bool,
}

/// Writes or checks docs/SETTINGS.md. Needs a Tokio runtime, as [`document`] does.
///
/// # Errors
/// Fails when code, .env.example and template.yaml disagree, and with `--check` when docs/SETTINGS.md is out of date.
pub fn run(arguments: &Arguments) -> Result<()> {
    let path = root().join("docs/SETTINGS.md");
    let text = document()?;
    if arguments.check {
        if fs::read_to_string(&path).unwrap_or_default() != text {
            bail!("docs/SETTINGS.md is stale: run `cargo settings` and commit it");
        }
        return Ok(());
    }
    fs::write(&path, text).with_context(|| format!("{} cannot be written", path.display()))
}

/// The text of docs/SETTINGS.md. Reading the functions' settings creates clients that need a Tokio runtime.
///
/// # Errors
/// Fails when code, .env.example and template.yaml disagree.
pub fn document() -> Result<String> {
    let path = root().join(".env.example");
    let text = fs::read_to_string(&path).with_context(|| format!("{} cannot be read", path.display()))?;
    let described = example::parse(&text).context(".env.example")?;
    let template = Template::read(&root().join("template.yaml"))?;
    let read = read_settings();
    let mut problems = disagreements(&described, &read);
    problems.extend(misplaced(&described, &read, &places_in_template(&template)?));
    if !problems.is_empty() {
        bail!("code, .env.example and template.yaml disagree:\n  {}", problems.join("\n  "));
    }
    Ok(table(&described, &read))
}

/// Describes each setting for a person: its description and the place where a deployment keeps it, by name.
///
/// # Errors
/// Fails when .env.example cannot be read.
pub(crate) fn descriptions() -> Result<BTreeMap<String, String>> {
    let text = fs::read_to_string(root().join(".env.example")).context(".env.example cannot be read")?;
    let described = example::parse(&text).context(".env.example")?;
    let describe = |setting: DescribedSetting| {
        let places: Vec<_> = setting.places.iter().map(|place| place.label()).collect();
        let place = if places.is_empty() { String::new() } else { format!(" Its place: {}.", places.join(", ")) };
        (setting.name, format!("{}{place}", setting.description))
    };
    Ok(described.into_iter().map(describe).collect())
}

/// A setting as the functions read it.
#[derive(Debug, Default)]
struct ReadSetting {
    /// One entry unless two functions read the setting in two ways.
    specs: BTreeSet<SettingSpec>,
    is_required: bool,
    functions: BTreeSet<&'static str>,
}

fn read_settings() -> BTreeMap<&'static str, ReadSetting> {
    let mut all: BTreeMap<_, ReadSetting> = BTreeMap::new();
    for function in functions::ALL {
        let read = function.settings();
        for spec in read.specs {
            let setting = all.entry(spec.name).or_default();
            setting.functions.insert(function.name);
            setting.is_required |= read.missing.contains(spec.name);
            setting.specs.insert(spec);
        }
    }
    all
}

/// The places where template.yaml keeps settings: the variables of all functions, and the place of each function's
/// secret.
#[derive(Debug, Default)]
struct TemplatePlaces {
    variables: BTreeSet<String>,
    secrets: BTreeMap<String, Place>,
}

fn places_in_template(template: &Template) -> Result<TemplatePlaces> {
    let mut places = TemplatePlaces::default();
    for block in template.functions()? {
        match block.variables.get("SECRET_ARN").and_then(|value| value["Ref"].as_str()) {
            Some("AppSecret") => _ = places.secrets.insert(block.name.clone(), Place::AppSecret),
            Some("IngestSecret") => _ = places.secrets.insert(block.name.clone(), Place::IngestSecret),
            Some("SystemSecret") => _ = places.secrets.insert(block.name.clone(), Place::SystemSecret),
            Some(other) => bail!("template.yaml gives {} the secret {other}, which is not known", block.name),
            None => {}
        }
        places.variables.extend(block.variables.into_keys());
    }
    Ok(places)
}

/// Settings that only one side knows, that two functions read differently, or whose defaults differ.
fn disagreements(described: &[DescribedSetting], read: &BTreeMap<&'static str, ReadSetting>) -> Vec<String> {
    let mut problems = Vec::new();
    for setting in described {
        let name = &setting.name;
        let Some(read) = read.get(name.as_str()) else {
            problems.push(format!("{name} is in .env.example, and no function reads it"));
            continue;
        };
        for spec in &read.specs {
            let default = spec.default.as_deref().unwrap_or_default();
            if setting.default != default {
                let example = &setting.default;
                problems.push(format!("{name} has the default `{default}` in code and `{example}` in .env.example"));
            }
        }
        if read.specs.len() > 1 {
            problems.push(format!("{name} is read in more than one way: {:?}", read.specs));
        }
    }
    let names: BTreeSet<_> = described.iter().map(|setting| setting.name.as_str()).collect();
    let unknown = read.keys().filter(|name| !names.contains(*name));
    problems.extend(unknown.map(|name| format!("{name} is read by code and not described in .env.example")));
    problems
}

/// Settings whose place in .env.example is not their place in template.yaml.
fn misplaced(
    described: &[DescribedSetting],
    read: &BTreeMap<&'static str, ReadSetting>,
    template: &TemplatePlaces,
) -> Vec<String> {
    let mut problems = Vec::new();
    for DescribedSetting { name, places, .. } in described {
        let is_variable = template.variables.contains(name);
        if is_variable != places.contains(&Place::Environment) {
            let (is, should) = if is_variable { ("gives", "") } else { ("does not give", "not ") };
            problems.push(format!("template.yaml {is} {name} to a function, so .env.example must {should}say [env]"));
        }
        let secrets = [Place::AppSecret, Place::IngestSecret, Place::SystemSecret];
        for place in secrets.into_iter().filter(|place| places.contains(place)) {
            let mut readers = read.get(name.as_str()).into_iter().flat_map(|setting| &setting.functions);
            if !readers.any(|function| template.secrets.get(*function) == Some(&place)) {
                problems.push(format!("{name} is in {}, and no function with this secret reads it", place.label()));
            }
        }
    }
    problems
}

fn table(described: &[DescribedSetting], read: &BTreeMap<&'static str, ReadSetting>) -> String {
    const HEAD: &str = "| setting | kind | default | required | place | functions | description |\n\
                        | --- | --- | --- | --- | --- | --- | --- |\n";
    let mut text = INTRODUCTION.to_owned();
    let mut section = "";
    for setting in described {
        let Some(read) = read.get(setting.name.as_str()) else { continue };
        let Some(spec) = read.specs.first() else { continue };
        if setting.section != section {
            section = &setting.section;
            text.push_str(&format!("\n## {section}\n{HEAD}"));
        }
        let places: Vec<_> = setting.places.iter().map(|place| place.label()).collect();
        text.push_str(&format!(
            "| `{}` | {} | {} | {} | {} | {} | {} |\n",
            setting.name,
            spec.kind.label(),
            spec.default.as_ref().map(|default| format!("`{default}`")).unwrap_or_default(),
            if read.is_required { "yes" } else { "" },
            places.join(", "),
            functions_label(&read.functions),
            setting.description,
        ));
    }
    text
}

/// The names of functions, or a word for all of them.
fn functions_label(names: &BTreeSet<&'static str>) -> String {
    let set = |is_in: fn(&&Function) -> bool| -> BTreeSet<_> {
        functions::ALL.iter().filter(is_in).map(|function| function.name).collect()
    };
    let (all, with_routes) = (set(|_| true), set(|function| function.openapi.is_some()));
    let join = |names: BTreeSet<&str>| names.into_iter().collect::<Vec<_>>().join(", ");
    if *names == all {
        "all".to_owned()
    } else if *names == with_routes {
        "*routes*".to_owned()
    } else if names.len() * 2 > all.len() {
        format!("all but {}", join(&all - names))
    } else {
        join(names.clone())
    }
}

#[cfg(test)]
mod tests {
    use shared::settings::SettingKind;

    use super::*;

    fn read(name: &'static str, default: Option<&str>) -> BTreeMap<&'static str, ReadSetting> {
        let spec = SettingSpec { name, kind: SettingKind::Text, default: default.map(str::to_owned) };
        let setting =
            ReadSetting { specs: [spec].into(), is_required: default.is_none(), functions: ["health"].into() };
        [(name, setting)].into()
    }

    fn described(text: &str) -> Vec<DescribedSetting> {
        example::parse(&format!("# ---- Texts ----\n{text}\n")).unwrap()
    }

    #[test]
    fn settings_on_which_code_and_example_disagree_are_reported() {
        let example = described("# A name.\nNAME=lisa");
        assert_eq!(disagreements(&example, &read("NAME", Some("lisa"))), Vec::<String>::new());
        assert_eq!(
            disagreements(&example, &read("NAME", None)),
            ["NAME has the default `` in code and `lisa` in .env.example"]
        );
        assert_eq!(
            disagreements(&example, &read("OTHER", None)),
            [
                "NAME is in .env.example, and no function reads it",
                "OTHER is read by code and not described in .env.example"
            ]
        );
        let mut twice = read("NAME", Some("lisa"));
        let spec = SettingSpec { name: "NAME", kind: SettingKind::Url, default: Some("lisa".to_owned()) };
        twice.get_mut("NAME").unwrap().specs.insert(spec);
        assert!(disagreements(&example, &twice)[0].starts_with("NAME is read in more than one way"));
    }

    #[test]
    fn settings_in_another_place_than_in_the_template_are_reported() {
        let template = TemplatePlaces {
            variables: [String::from("NAME")].into(),
            secrets: [("health".to_owned(), Place::AppSecret)].into(),
        };
        let problems = |text, name| misplaced(&described(text), &read(name, None), &template);
        assert_eq!(problems("# [env] A name.\nNAME=", "NAME"), Vec::<String>::new());
        assert_eq!(problems("# [app] A key.\nKEY=", "KEY"), Vec::<String>::new());
        assert!(problems("# A name.\nNAME=", "NAME")[0].ends_with("so .env.example must say [env]"));
        assert!(problems("# [env] A key.\nKEY=", "KEY")[0].ends_with("so .env.example must not say [env]"));
        assert_eq!(
            problems("# [system] A key.\nKEY=", "KEY"),
            ["KEY is in the system secret, and no function with this secret reads it"]
        );
    }

    #[test]
    fn a_row_has_all_columns_and_sections_are_headings() {
        let text = table(&described("# [env] A name.\nNAME=lisa"), &read("NAME", Some("lisa")));
        let row = "| `NAME` | text | `lisa` |  | environment | health | A name. |\n";
        assert!(text.contains("\n## Texts\n| setting |") && text.ends_with(row), "{text}");
    }
}
