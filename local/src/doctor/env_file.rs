//! A file of settings, as `docker --env-file` and shells read it: lines `NAME=value`.

use std::{fs, path::Path};

use anyhow::{Context, Result, bail};
use shared::settings::SettingsMap;

/// Reads a file of settings.
///
/// # Errors
/// Fails when the file cannot be read, or for a line that is no setting. The error names the line's number and does not
/// quote the line, which may be a secret.
pub(super) fn read(path: &Path) -> Result<SettingsMap> {
    let shown = path.display();
    let text = fs::read_to_string(path).with_context(|| format!("{shown} cannot be read"))?;
    parse(&text).with_context(|| shown.to_string())
}

fn parse(text: &str) -> Result<SettingsMap> {
    let mut settings = SettingsMap::new();
    for (index, line) in text.lines().map(str::trim).enumerate() {
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let line = line.strip_prefix("export ").unwrap_or(line);
        let is_name =
            |name: &str| !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        match line.split_once('=').map(|(name, value)| (name.trim_end(), value.trim())) {
            Some((name, value)) if is_name(name) => {
                settings.insert(name.to_owned(), unquote(value).to_owned());
            }
            _ => bail!("line {} is not of the form NAME=value", index + 1),
        }
    }
    Ok(settings)
}

/// Removes the quotes around a value.
fn unquote(value: &str) -> &str {
    let between = |quote| value.strip_prefix(quote)?.strip_suffix(quote);
    between('"').or_else(|| between('\'')).unwrap_or(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_quotes_and_export_are_understood_and_other_lines_are_refused_by_number() {
        let settings = parse("# a\n\nA=1\nexport B = \"x=y\"\nC='z'\nD=\nE=\"\n").unwrap();
        let expected = [("A", "1"), ("B", "x=y"), ("C", "z"), ("D", ""), ("E", "\"")];
        assert_eq!(settings, expected.map(|(name, value)| (name.to_owned(), value.to_owned())).into());
        for text in ["A=1\nhunter2", "=hunter2", "hunter 2=3"] {
            let error = parse(text).unwrap_err().to_string();
            assert!(error.starts_with("line ") && !error.contains("hunter"), "{error}");
        }
    }
}
