//! `cargo new-function`: creates all parts of a new function in their places. The result compiles and passes the
//! tests; its handler is a placeholder in `lib.rs`.

mod files;
mod insert;

use std::{fs, path::PathBuf};

use anyhow::{Context, Result, bail, ensure};
use clap::Args;
use local_postgres::root;

use crate::functions;

/// Creates a function with one route: its package, template block, event and test.
#[derive(Debug, Args)]
pub struct Arguments {
    /// The function's name in lower-case letters and hyphens, such as `live-mode`.
    name: String,
    /// The function's first route, such as `"GET /api/v1/bot-sessions"`.
    #[arg(long)]
    route: String,
}

/// The values that the file templates are filled with.
#[derive(Debug)]
pub(crate) struct NewFunction {
    /// The name, such as `live-mode`.
    name: String,
    /// The HTTP method, such as `GET`.
    method: String,
    /// The path, such as `/api/v1/bot-sessions`.
    path: String,
}

impl NewFunction {
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

    /// The Rust module name, such as `live_mode`.
    fn module(&self) -> String {
        self.name.replace('-', "_")
    }

    /// The name in camel case, such as `LiveMode`.
    fn camel(&self) -> String {
        let capital = |word: &str| word[..1].to_uppercase() + &word[1..];
        self.name.split('-').map(capital).collect()
    }

    fn fill(&self, text: &str) -> String {
        // A `GET` has a `HEAD`, so the line of the route is in the template twice.
        let head = |line: &str| line.contains("{{HEAD}}") && self.method != "GET";
        let text: String = text.split_inclusive('\n').filter(|line| !head(line)).collect();
        text.replace("{{name}}", &self.name)
            .replace("{{HEAD}}", "HEAD")
            .replace("{{module}}", &self.module())
            .replace("{{Camel}}", &self.camel())
            .replace("{{METHOD}}", &self.method)
            .replace("{{method}}", &self.method.to_lowercase())
            .replace("{{path}}", &self.path)
            .replace("{{rule}}", &"-".repeat(110_usize.saturating_sub(self.name.len())))
    }
}

/// Writes the files. All contents are computed before the first write, so that an error leaves nothing half done.
///
/// # Errors
/// Fails for a name or route that is not usable, and when a file to extend has changed its structure.
pub fn run(arguments: Arguments) -> Result<()> {
    let plan = NewFunction::new(arguments)?;
    let root = root();
    let mut writes: Vec<(PathBuf, String)> = Vec::new();
    for (path, text) in files::NEW_FILES {
        let path = root.join(plan.fill(path));
        ensure!(!path.exists(), "{} is there already", path.display());
        writes.push((path, plan.fill(text)));
    }
    for (path, insert) in insert::EXTENDED_FILES {
        let path = root.join(path);
        let text = fs::read_to_string(&path).with_context(|| format!("{} cannot be read", path.display()))?;
        let text = insert(&text, &plan).with_context(|| format!("{} has changed its structure", path.display()))?;
        writes.push((path, text));
    }
    for (path, text) in writes {
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).with_context(|| format!("{} cannot be created", folder.display()))?;
        }
        fs::write(&path, text).with_context(|| format!("{} cannot be written", path.display()))?;
        println!("  {}", path.strip_prefix(root).unwrap_or(&path).display());
    }
    println!("\n  Next: run `cargo openapi`, then continue with step 2 of docs/ADDING-A-FUNCTION.md.");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(name: &str, route: &str) -> Result<NewFunction> {
        NewFunction::new(Arguments { name: name.to_owned(), route: route.to_owned() })
    }

    #[test]
    fn malformed_names_and_routes_are_rejected() {
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
    fn every_extended_file_gets_its_new_lines() {
        // A name that the product will never use.
        let plan = plan("tea-time", "POST /api/v1/tea-time").unwrap();
        for (path, insert) in insert::EXTENDED_FILES {
            let text = fs::read_to_string(root().join(path)).unwrap();
            let grown = insert(&text, &plan).unwrap();
            assert!(grown.len() > text.len() && grown.contains("tea"), "{path}");
        }
    }
}
