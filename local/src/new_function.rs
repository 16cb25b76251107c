//! `cargo new-function`: everything that a new function consists of, in the places where it belongs. What it writes is
//! complete and passes the tests; what the function does is then written into its `lib.rs`.

mod files;
mod insert;

use std::{fs, path::PathBuf};

use anyhow::{Context, Result, bail, ensure};
use clap::Args;
use local_postgres::root;

use crate::functions;

/// Makes a function with one route: its package, template block, event and test.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Its name, in lower-case letters and hyphens: `live-mode`.
    name: String,
    /// Its first route: `"GET /api/v1/bot-sessions"`.
    #[arg(long)]
    route: String,
}

/// What the files are made from.
#[derive(Debug)]
pub(crate) struct Plan {
    /// `live-mode`
    name: String,
    /// `GET`
    method: String,
    /// `/api/v1/bot-sessions`
    path: String,
}

impl Plan {
    fn new(arguments: Arguments) -> Result<Self> {
        let Arguments { name, route } = arguments;
        let is_name = name.starts_with(|letter: char| letter.is_ascii_lowercase())
            && name.chars().all(|letter| letter.is_ascii_lowercase() || letter == '-')
            && !name.ends_with('-');
        ensure!(is_name, "{name} is not a name of lower-case letters and hyphens");
        ensure!(functions::find(&name).is_none(), "there is a function {name} already");
        let Some((method, path)) = route.split_once(' ') else {
            bail!("{route} is not a method and a path, such as \"GET /api/v1/orders\"");
        };
        ensure!(
            matches!(method, "GET" | "POST" | "PUT" | "PATCH" | "DELETE"),
            "{method} is not a method: GET, POST, PUT, PATCH or DELETE"
        );
        ensure!(path.starts_with('/') && !path.contains(' '), "{path} is not a path");
        Ok(Self { name, method: method.to_owned(), path: path.to_owned() })
    }

    /// `live_mode`
    fn module(&self) -> String {
        self.name.replace('-', "_")
    }

    /// `LiveMode`
    fn camel(&self) -> String {
        let capital = |word: &str| word[..1].to_uppercase() + &word[1..];
        self.name.split('-').map(capital).collect()
    }

    fn fill(&self, text: &str) -> String {
        text.replace("{{name}}", &self.name)
            .replace("{{module}}", &self.module())
            .replace("{{Camel}}", &self.camel())
            .replace("{{METHOD}}", &self.method)
            .replace("{{method}}", &self.method.to_lowercase())
            .replace("{{path}}", &self.path)
            .replace("{{rule}}", &"-".repeat(110_usize.saturating_sub(self.name.len())))
    }
}

/// Writes the files. Everything is computed before the first is written, so a refusal leaves nothing half done.
///
/// # Errors
/// A name or route that cannot be, or files that are not as they were.
pub fn run(arguments: Arguments) -> Result<()> {
    let plan = Plan::new(arguments)?;
    let root = root();
    let mut writes: Vec<(PathBuf, String)> = Vec::new();
    for (path, text) in files::NEW {
        let path = root.join(plan.fill(path));
        ensure!(!path.exists(), "{} is there already", path.display());
        writes.push((path, plan.fill(text)));
    }
    for (path, insert) in insert::INTO {
        let path = root.join(path);
        let text = fs::read_to_string(&path).with_context(|| format!("{} cannot be read", path.display()))?;
        let text = insert(&text, &plan).with_context(|| format!("{} is not as it was", path.display()))?;
        writes.push((path, text));
    }
    for (path, text) in writes {
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).with_context(|| format!("{} cannot be made", folder.display()))?;
        }
        fs::write(&path, text).with_context(|| format!("{} cannot be written", path.display()))?;
        println!("  {}", path.strip_prefix(root).unwrap_or(&path).display());
    }
    println!("\n  Now: cargo openapi, then docs/ADDING-A-FUNCTION.md from step 2 on.");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(name: &str, route: &str) -> Result<Plan> {
        Plan::new(Arguments { name: name.to_owned(), route: route.to_owned() })
    }

    #[test]
    fn names_and_routes_are_judged_first() {
        assert_eq!(plan("tea-time", "POST /api/v1/tea-time").unwrap().camel(), "TeaTime");
        for (name, route) in [
            ("Live", "GET /x"),
            ("live-", "GET /x"),
            ("quota", "GET /x"),
            ("new", "/x"),
            ("new", "FETCH /x"),
            ("new", "GET x"),
        ] {
            assert!(plan(name, route).is_err(), "{name} {route}");
        }
    }

    #[test]
    fn every_file_takes_its_new_lines() {
        // A name that the product never takes.
        let plan = plan("tea-time", "POST /api/v1/tea-time").unwrap();
        for (path, insert) in insert::INTO {
            let text = fs::read_to_string(root().join(path)).unwrap();
            let grown = insert(&text, &plan).unwrap();
            assert!(grown.len() > text.len() && grown.contains("tea"), "{path}");
        }
    }
}
