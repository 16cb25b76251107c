//! Inserts the lines of a new function into existing files.

use anyhow::{Context, Result, ensure};

use super::{NewFunction, files};

type Insert = fn(&str, &NewFunction) -> Result<String>;

/// The files to extend, each with the function that inserts its lines.
pub(super) const EXTENDED_FILES: &[(&str, Insert)] = &[
    ("Cargo.toml", |text, plan| {
        sorted(text, &plan.fill("{{name}} = { path = \"functions/{{name}}\" }"), |line| line.contains("{ path = \""))
    }),
    ("local/Cargo.toml", |text, plan| {
        let (head, functions) = text.split_once("# The functions:").context("the list of functions is missing")?;
        let functions =
            sorted(functions, &plan.fill("{{name}}.workspace = true"), |line| line.ends_with(".workspace = true"))?;
        Ok(format!("{head}# The functions:{functions}"))
    }),
    ("local/src/functions.rs", |text, plan| {
        sorted(text, &plan.fill("    {{module}}::FUNCTION,"), |line| line.ends_with("::FUNCTION,"))
    }),
    ("local/src/openapi/texts.rs", |text, plan| {
        let marker = "    (\"health\", ";
        ensure!(text.matches(marker).count() == 1, "the tag health is missing");
        Ok(text.replacen(marker, &(plan.fill("    (\"{{name}}\", \"`{{METHOD}} {{path}}`.\"),\n") + marker), 1))
    }),
    ("local/tests/http/main.rs", |text, plan| {
        let modules = text.split("#[cfg(test)]\n").skip(1).map(str::trim_end);
        let new = plan.fill("mod {{module}};");
        let next = modules.into_iter().find(|module| *module > new.as_str()).context("no module comes after it")?;
        let next = format!("#[cfg(test)]\n{next}");
        Ok(text.replacen(&next, &format!("#[cfg(test)]\n{new}\n{next}"), 1))
    }),
    ("template.yaml", |text, plan| {
        let marker = "  # ---- not-found ";
        ensure!(text.matches(marker).count() == 1, "the section of the function not-found is missing");
        Ok(text.replacen(marker, &(plan.fill(files::BLOCK) + marker), 1))
    }),
];

/// Inserts a line in sort order into the first run of lines that match `is_of_kind`.
fn sorted(text: &str, new: &str, is_of_kind: impl Fn(&str) -> bool) -> Result<String> {
    let lines: Vec<_> = text.lines().collect();
    let start = lines.iter().position(|line| is_of_kind(line)).context("no line of this kind is there")?;
    let run = lines[start..].iter().take_while(|line| is_of_kind(line)).count();
    // A `shared` or `local` line before the run is not part of it and stays in front.
    let place = lines[start..start + run].iter().position(|line| *line > new).unwrap_or(run);
    let mut grown: Vec<&str> = lines[..start + place].to_vec();
    grown.push(new);
    grown.extend(&lines[start + place..]);
    Ok(grown.join("\n") + "\n")
}
