//! Conversion of the models' Markdown to WhatsApp's formatting: `*bold*`, `_italic_`, `~struck~`, lists and quotes.

/// Markdown's emphasis marks and WhatsApp's, the longest first.
const MARKS: [(&str, &str); 4] = [("***", "*"), ("**", "*"), ("__", "*"), ("~~", "~")];

/// Converts Markdown to WhatsApp's formatting. Headings and strong text become bold, a link becomes its label with
/// the address in parentheses, and a table row becomes a line.
#[must_use]
pub fn from_markdown(text: &str) -> String {
    let mut lines = Vec::<String>::new();
    let mut is_code = false;
    for line in text.lines() {
        if line.trim_start().starts_with("```") {
            is_code = !is_code;
            continue;
        }
        if is_code {
            lines.push(line.to_owned());
        } else if let Some(line) = convert_line(line) {
            lines.push(line);
        }
    }
    let mut text = String::new();
    let mut blank = 0;
    for line in lines {
        blank = if line.trim().is_empty() { blank + 1 } else { 0 };
        if blank < 2 {
            text.push_str(line.trim_end());
            text.push('\n');
        }
    }
    text.trim().to_owned()
}

/// Converts one line; returns `None` for a horizontal rule.
fn convert_line(line: &str) -> Option<String> {
    let trimmed = line.trim();
    if is_ruler(trimmed) {
        return None;
    }
    let heading = trimmed.trim_start_matches('#');
    if heading.len() < trimmed.len() && trimmed.len() - heading.len() <= 6 && heading.starts_with(' ') {
        let heading = convert_inline(heading.trim().trim_end_matches('#').trim()).replace('*', "");
        return Some(format!("*{heading}*"));
    }
    if trimmed.len() > 1 && trimmed.starts_with('|') && trimmed.ends_with('|') {
        let cells = trimmed.trim_matches('|').split('|').map(|cell| convert_inline(cell.trim()));
        return Some(cells.filter(|cell| !cell.is_empty()).collect::<Vec<_>>().join(" – "));
    }
    // WhatsApp would read the star of a list item as the start of bold text.
    let indent = &line[..line.len() - line.trim_start().len()];
    match trimmed.strip_prefix("* ").or_else(|| trimmed.strip_prefix("+ ")) {
        Some(item) => Some(format!("{indent}- {}", convert_inline(item))),
        None => Some(format!("{indent}{}", convert_inline(trimmed))),
    }
}

/// Returns true for `---`, `***`, `___` and the line under a table's header.
fn is_ruler(line: &str) -> bool {
    line.len() >= 3 && line.contains('-') && line.chars().all(|letter| matches!(letter, '-' | '|' | ':' | ' '))
        || (line.len() >= 3 && line.chars().all(|letter| letter == '*' || letter == '_'))
}

/// Converts strong and struck text between two equal marks. URLs stay unchanged.
fn convert_emphasis(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        if let Some(end) = url_end(rest) {
            out.push_str(&rest[..end]);
            rest = &rest[end..];
            continue;
        }
        let before = out.chars().next_back();
        let converted = MARKS.iter().find_map(|(markdown, whatsapp)| {
            let (inside, after) = split_emphasis(rest, markdown, before)?;
            Some((format!("{whatsapp}{}{whatsapp}", convert_emphasis(inside)), after))
        });
        match converted {
            Some((words, after)) => {
                out.push_str(&words);
                rest = after;
            }
            None => {
                out.push(first);
                rest = &rest[first.len_utf8()..];
            }
        }
    }
    out
}

/// Returns the end, in bytes, of the URL that a text begins with.
fn url_end(text: &str) -> Option<usize> {
    if !["https://", "http://", "www."].iter().any(|start| text.starts_with(start)) {
        return None;
    }
    let end = text.find(|letter: char| letter.is_whitespace() || matches!(letter, ')' | ']' | '<' | '>' | '|'));
    // A mark at the end belongs to the sentence, as in `**https://example.com**`.
    Some(text[..end.unwrap_or(text.len())].trim_end_matches(['*', '_', '~', '.', ',']).len())
}

/// Splits a text that begins with a mark into the text up to the next such mark, and the rest. Underscores count as
/// marks around whole words only, since names contain them.
fn split_emphasis<'t>(text: &'t str, mark: &str, before: Option<char>) -> Option<(&'t str, &'t str)> {
    let (inside, after) = text.strip_prefix(mark)?.split_once(mark)?;
    let is_whole = !mark.starts_with('_')
        || !before.is_some_and(char::is_alphanumeric) && !after.starts_with(char::is_alphanumeric);
    let is_tight =
        !inside.is_empty() && !inside.starts_with(char::is_whitespace) && !inside.ends_with(char::is_whitespace);
    (is_whole && is_tight).then_some((inside, after))
}

/// Converts emphasis and links within a line.
fn convert_inline(text: &str) -> String {
    let text = convert_emphasis(text);
    let mut out = String::with_capacity(text.len());
    let mut rest = text.as_str();
    while let Some(start) = rest.find('[') {
        let (before, link) = rest.split_at(start);
        out.push_str(before.strip_suffix('!').unwrap_or(before));
        let parsed = link[1..].split_once("](").and_then(|(label, after)| {
            let (target, after) = after.split_once(')')?;
            (!label.contains(['[', '\n']) && !target.contains(char::is_whitespace)).then_some((label, target, after))
        });
        match parsed {
            Some((label, target, after)) => {
                out.push_str(&if label == target { target.to_owned() } else { format!("{label} ({target})") });
                rest = after;
            }
            None => {
                out.push('[');
                rest = &link[1..];
            }
        }
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markdown_is_converted_to_whatsapp_formatting() {
        for (markdown, expected) in [
            ("**Prix** : 1 500", "*Prix* : 1 500"),
            ("## Livraison ##\nLe jour même.", "*Livraison*\nLe jour même."),
            ("## **Livraison**", "*Livraison*"),
            ("* un\n* deux", "- un\n- deux"),
            ("- un\n  - sous", "- un\n  - sous"),
            ("Voir [le site](https://example.com/a).", "Voir le site (https://example.com/a)."),
            ("[https://example.com](https://example.com)", "https://example.com"),
            ("a [b] c [d](e f)", "a [b] c [d](e f)"),
            ("| Ville | Prix |\n|---|---:|\n| Abidjan | 1 500 |", "Ville – Prix\nAbidjan – 1 500"),
            ("a\n\n\n\nb", "a\n\nb"),
            ("#1 du marché", "#1 du marché"),
            ("~~10~~ 8", "~10~ 8"),
            ("```\nx * y\n```", "x * y"),
            ("---\nfin", "fin"),
            ("2 * 3", "2 * 3"),
            ("2**3 et 4 ** 5", "2**3 et 4 ** 5"),
            ("__Prix__ de ***tout***", "*Prix* de *tout*"),
            ("**Prix :**1 500 **net**", "*Prix :*1 500 *net*"),
            (
                "https://x.io/p/lampe__noire__x et https://x.io/a**b**c",
                "https://x.io/p/lampe__noire__x et https://x.io/a**b**c",
            ),
            ("**https://x.io/a__b__**", "*https://x.io/a__b__*"),
            ("[la **lampe**](https://x.io/a__b__c)", "la *lampe* (https://x.io/a__b__c)"),
            ("nom_de__fichier__final", "nom_de__fichier__final"),
            ("", ""),
        ] {
            assert_eq!(from_markdown(markdown), expected, "{markdown}");
        }
    }
}
