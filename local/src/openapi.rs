//! `cargo openapi`: the routes of all functions in one document, `openapi.json`.

use std::fs;

use anyhow::{Context, Result, bail};
use clap::Args;
use local_postgres::root;
use utoipa::openapi::{InfoBuilder, OpenApi, OpenApiBuilder};

use crate::functions;

/// Writes openapi.json anew from the code.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Write nothing; fail when openapi.json is stale.
    #[arg(long)]
    check: bool,
}

/// Writes or checks the document.
///
/// # Errors
/// With `--check`, a document that is stale.
pub fn run(arguments: &Arguments) -> Result<()> {
    let path = root().join("openapi.json");
    let shown = path.display();
    let text = document()?;
    if arguments.check {
        if fs::read_to_string(&path).unwrap_or_default() != text {
            bail!("openapi.json is stale: run `cargo openapi` and commit it");
        }
        return Ok(());
    }
    fs::write(&path, text).with_context(|| format!("{shown} cannot be written"))
}

/// The document, its keys sorted, so that it changes only where the code does.
///
/// # Errors
/// None in practice: the document always serialises.
pub fn document() -> Result<String> {
    let info = InfoBuilder::new()
        .title("Lisa")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some("A WhatsApp assistant that answers from its tenants' documents."));
    let mut all: OpenApi = OpenApiBuilder::new().info(info.build()).build();
    for openapi in functions::ALL.iter().filter_map(|function| function.openapi) {
        all.merge(openapi());
    }
    // Through a value: its maps are sorted.
    let value = serde_json::to_value(&all).context("the document cannot be written")?;
    Ok(serde_json::to_string_pretty(&value).context("the document cannot be written")? + "\n")
}
