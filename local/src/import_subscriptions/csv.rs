//! Parses CSV as PostgreSQL writes it: commas, doubled double quotes and line breaks within quotes, and an empty
//! unquoted field for null.

/// A record: its first line, counted from 1, and its fields or the problem.
pub(super) type CsvRecord = (usize, Result<Vec<Option<String>>, &'static str>);

/// Splits a text into records, skipping blank lines.
pub(super) fn records(text: &str) -> Vec<CsvRecord> {
    let mut records = Vec::new();
    let mut letters = text.chars().peekable();
    let mut line = 1;
    while letters.peek().is_some() {
        let first_line = line;
        let mut fields = Vec::new();
        let (mut field, mut was_quoted, mut problem) = (String::new(), false, None);
        loop {
            match letters.next() {
                Some('"') if field.is_empty() && !was_quoted => {
                    was_quoted = true;
                    loop {
                        match letters.next() {
                            Some('"') if letters.peek() == Some(&'"') => {
                                letters.next();
                                field.push('"');
                            }
                            Some('"') => break,
                            Some(letter) => {
                                line += usize::from(letter == '\n');
                                field.push(letter);
                            }
                            None => {
                                problem = Some("a quote is never closed");
                                break;
                            }
                        }
                    }
                }
                Some(',') => fields.push(take_field(&mut field, &mut was_quoted)),
                Some('\r') if letters.peek() == Some(&'\n') => {}
                end @ (Some('\n') | None) => {
                    line += usize::from(end.is_some());
                    fields.push(take_field(&mut field, &mut was_quoted));
                    break;
                }
                Some(letter) => {
                    if was_quoted {
                        problem = Some("something follows a closed quote");
                    }
                    field.push(letter);
                }
            }
        }
        if fields != [None] {
            records.push((first_line, problem.map_or(Ok(fields), Err)));
        }
    }
    records
}

fn take_field(field: &mut String, was_quoted: &mut bool) -> Option<String> {
    let (value, was_quoted) = (std::mem::take(field), std::mem::take(was_quoted));
    (was_quoted || !value.is_empty()).then_some(value)
}
