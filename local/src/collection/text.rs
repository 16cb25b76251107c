//! The text format of Bruno's files: blocks in braces, a line for each entry, indented by two spaces.

/// Returns a block of names and values. A value is one line.
pub(super) fn block(name: &str, entries: &[(&str, &str)]) -> String {
    let lines: String = entries.iter().map(|(name, value)| format!("  {name}: {value}\n")).collect();
    format!("{name} {{\n{lines}}}\n")
}

/// Returns a block of free text.
pub(super) fn text_block(name: &str, text: &str) -> String {
    let indented = |line: &str| if line.is_empty() { "\n".to_owned() } else { format!("  {line}\n") };
    format!("{name} {{\n{}}}\n", text.trim_end().lines().map(indented).collect::<String>())
}

/// Returns the block of documentation, in Markdown.
pub(super) fn docs(text: &str) -> String {
    text_block("docs", text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_brace_in_a_text_does_not_end_its_block() {
        assert_eq!(text_block("body:json", "{\n  \"a\": 1\n}\n"), "body:json {\n  {\n    \"a\": 1\n  }\n}\n");
    }
}
