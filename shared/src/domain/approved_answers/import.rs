//! Approved answers as CSV: the columns `question`, `answer` and `language`, in UTF-8. A file is imported as a whole or not
//! at all.

use std::collections::HashMap;

use axum::http::StatusCode;
use csv::{ReaderBuilder, StringRecord, Terminator, Trim, WriterBuilder};
use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;
use uuid::Uuid;

use super::{AnswerText, MAX_APPROVED_ANSWERS, NewApprovedAnswer, QuestionText, StoredAnswer};
use crate::{db::TenantTx, error::ApiError, input, tenants::CompanyLanguage};

/// Wrong rows that a refusal lists.
const MAX_LISTED_ROWS: usize = 100;
/// Maximum size of an export, in bytes. Lambda's limit of a response is 6 MB.
const MAX_EXPORT_BYTES: usize = 4_500_000;
/// The columns of a file. The last one may be missing.
const COLUMNS: [&str; 3] = ["question", "answer", "language"];

/// Result of an import.
#[derive(Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
#[schema(example = json!({ "created": 12, "updated": 1, "unchanged": 3 }))]
pub struct AnswerImport {
    /// Number of new approved answers.
    created: u64,
    /// Number of approved answers that have a new text: those with the same wording of the question.
    updated: u64,
    /// Number of rows that changed nothing.
    unchanged: u64,
}

/// A reason to refuse a row.
#[derive(Debug, PartialEq, Eq, Serialize)]
struct RowError {
    /// Line of the file at which the row begins, from 1.
    line: u64,
    /// Column of the wrong value.
    field: &'static str,
    message: String,
}

/// A row of a file.
#[derive(Debug)]
struct Row {
    line: u64,
    new: NewApprovedAnswer,
}

fn refused(rows: &[RowError]) -> ApiError {
    let listed: Vec<_> = rows.iter().take(MAX_LISTED_ROWS).collect();
    let message = "some rows are not valid, and nothing was imported";
    ApiError::new(StatusCode::UNPROCESSABLE_ENTITY, "rows_refused", message)
        .with_details(json!({ "refused": rows.len(), "rows": listed }))
}

/// Imports a file of the transaction's tenant. A row with the wording of an approved answer replaces its text.
///
/// # Errors
/// Returns 422 for a file that is not CSV in UTF-8 with these columns, 422 `too_many_rows`, 422 `rows_refused` with the line
/// of each wrong row, 409 when the company would have too many approved answers, and any database error. Nothing is
/// imported then: the caller rolls back.
pub async fn import_csv(tx: &mut TenantTx, file: &[u8]) -> Result<AnswerImport, ApiError> {
    let rows = parse(file)?;
    super::lock(tx).await?;
    let mut report = AnswerImport::default();
    let mut wrong = Vec::new();
    // The line of each approved answer that the file has written.
    let mut lines: HashMap<Uuid, u64> = HashMap::new();
    for row in rows {
        let written = write_row(tx, &row.new).await?;
        let Some((id, outcome)) = written else {
            let message = "must have a word that tells it from other questions".to_owned();
            wrong.push(RowError { line: row.line, field: "question", message });
            continue;
        };
        if let Some(first) = lines.insert(id, row.line) {
            let message = format!("is the same question as that of line {first}");
            wrong.push(RowError { line: row.line, field: "question", message });
        }
        match outcome.as_str() {
            "created" => report.created += 1,
            "updated" => report.updated += 1,
            _ => report.unchanged += 1,
        }
    }
    if !wrong.is_empty() {
        return Err(refused(&wrong));
    }
    let count =
        sqlx::query_scalar!(r#"select count(*) as "count!" from approved_answers where customer_id = $1"#, tx.tenant())
            .fetch_one(tx)
            .await?;
    if count > MAX_APPROVED_ANSWERS {
        return Err(super::AnswerError::TooMany(MAX_APPROVED_ANSWERS).into());
    }
    Ok(report)
}

/// Writes a row, and returns the approved answer with what happened to it; `None` for a question without words.
async fn write_row(tx: &mut TenantTx, new: &NewApprovedAnswer) -> sqlx::Result<Option<(Uuid, String)>> {
    let row = sqlx::query!(
        r#"
        with wanted as (
            select language, app.question_key($2,
                case language when 'en' then 'english_stem'::regdictionary else 'french_stem'::regdictionary end) as key
            from (
                select coalesce($4::text, config.language) as language
                from company_rag_configs config where config.company_id = (select app.current_company())
            ) chosen
        ), known as (
            select answer.id, answer.answer from approved_answers answer join wanted
                on answer.language = wanted.language and answer.question_key = wanted.key
            where answer.customer_id = $1
            order by answer.created_at desc, answer.id desc
            limit 1
        ), changed as (
            update approved_answers answer set answer = $3, question = $2, updated_at = now()
            from known where answer.customer_id = $1 and answer.id = known.id and known.answer <> $3
            returning answer.id
        ), created as (
            insert into approved_answers (customer_id, question, answer, language)
            select $1, $2, $3, wanted.language from wanted
            where wanted.key is not null and not exists (select from known)
            returning id
        )
        select id as "id!", 'created' as "outcome!" from created
        union all
        select id, 'updated' from changed
        union all
        select id, 'unchanged' from known where not exists (select from changed)
        "#,
        tx.tenant(),
        new.question.as_str(),
        new.answer.0,
        new.language.map(CompanyLanguage::as_str)
    )
    .fetch_optional(tx)
    .await?;
    Ok(row.map(|row| (row.id, row.outcome)))
}

/// Parses a file.
fn parse(file: &[u8]) -> Result<Vec<Row>, ApiError> {
    let text = file.strip_prefix(b"\xef\xbb\xbf").unwrap_or(file);
    let text = std::str::from_utf8(text)
        .or(Err(ApiError::field("body", "must be text in UTF-8: choose \"CSV UTF-8\" when saving")))?;
    if text.contains('\0') {
        return Err(ApiError::field("body", "must be text without the character NUL"));
    }
    let first_line = text.lines().next().unwrap_or_default();
    // Spreadsheets of countries with a decimal comma separate by semicolons.
    let delimiter = if first_line.contains(';') && !first_line.contains(',') { b';' } else { b',' };
    let mut reader = ReaderBuilder::new().delimiter(delimiter).trim(Trim::Headers).from_reader(text.as_bytes());
    let columns = columns(reader.headers().map_err(not_csv)?)?;
    let (mut rows, mut wrong) = (Vec::new(), Vec::new());
    for record in reader.records() {
        let record = record.map_err(not_csv)?;
        let line = record.position().map_or(0, csv::Position::line);
        if rows.len() + wrong.len() >= MAX_APPROVED_ANSWERS as usize {
            let message = format!("a file may have at most {MAX_APPROVED_ANSWERS} rows");
            return Err(ApiError::new(StatusCode::UNPROCESSABLE_ENTITY, "too_many_rows", message));
        }
        match row(&record, columns) {
            Ok(new) => rows.push(Row { line, new }),
            Err((field, message)) => wrong.push(RowError { line, field, message }),
        }
    }
    if wrong.is_empty() { Ok(rows) } else { Err(refused(&wrong)) }
}

fn not_csv(error: csv::Error) -> ApiError {
    let line = error.position().map_or(1, csv::Position::line);
    // The error may quote the file.
    ApiError::field("body", format!("must be CSV with as many values in each row as in the first (line {line})"))
}

/// Returns the places of the columns in a row.
fn columns(header: &StringRecord) -> Result<[Option<usize>; 3], ApiError> {
    let places = COLUMNS.map(|column| header.iter().position(|name| name.eq_ignore_ascii_case(column)));
    let has_unknown = header.iter().any(|name| !COLUMNS.iter().any(|column| name.eq_ignore_ascii_case(column)));
    let has_twice = header.len() > places.iter().flatten().count();
    if places[0].is_none() || places[1].is_none() || has_unknown || has_twice {
        return Err(ApiError::field(
            "body",
            "must begin with a row that names the columns question, answer and language",
        ));
    }
    Ok(places)
}

fn row(record: &StringRecord, columns: [Option<usize>; 3]) -> Result<NewApprovedAnswer, (&'static str, String)> {
    let [question, answer, language] =
        columns.map(|place| place.and_then(|place| record.get(place)).unwrap_or_default());
    for (field, text) in [("question", question), ("answer", answer)] {
        if is_formula(text) {
            return Err((field, "must not begin like a formula of a spreadsheet".to_owned()));
        }
    }
    let question =
        QuestionText::try_from(unescape(question).to_owned()).map_err(|error| ("question", error.to_string()))?;
    let answer = AnswerText::try_from(unescape(answer).to_owned()).map_err(|error| ("answer", error.to_string()))?;
    let language = match language.trim() {
        "" => None,
        "fr" => Some(CompanyLanguage::French),
        "en" => Some(CompanyLanguage::English),
        _ => return Err(("language", "must be fr or en, or empty for the company's".to_owned())),
    };
    Ok(NewApprovedAnswer { question, answer, language })
}

/// Returns true for a text that a spreadsheet runs: one that begins with `=` or `@`, or with a sign that no number or space
/// follows. A telephone number and a list may begin with a sign.
fn is_formula(text: &str) -> bool {
    // A character that nobody sees may stand before the formula, and East Asian widths count, too.
    let mut letters = text.trim_start_matches(|c: char| c.is_whitespace() || input::is_invisible(c)).chars();
    match letters.next() {
        Some('=' | '@' | '＝' | '＠') => true,
        Some('+' | '-' | '＋' | '－') => {
            letters.next().is_some_and(|next| !next.is_ascii_digit() && !next.is_whitespace())
        }
        _ => false,
    }
}

/// Returns true for a text that a spreadsheet might run.
fn needs_escape(text: &str) -> bool {
    let visible = text.trim_start_matches(|c: char| c.is_whitespace() || input::is_invisible(c));
    visible.starts_with(['=', '+', '-', '@', '＝', '＋', '－', '＠']) || text.starts_with(['\t', '\r'])
}

/// Puts an apostrophe before a text that a spreadsheet might run. The apostrophe is removed at an import.
fn escape(text: &str) -> String {
    if needs_escape(text) { format!("'{text}") } else { text.to_owned() }
}

fn unescape(text: &str) -> &str {
    text.strip_prefix('\'').filter(|rest| needs_escape(rest)).unwrap_or(text)
}

/// Returns the approved answers as CSV, with a byte order mark by which spreadsheets recognise UTF-8.
///
/// # Errors
/// Returns 409 `export_too_large` for more than one response can hold.
pub fn export_csv(answers: &[StoredAnswer]) -> Result<Vec<u8>, ApiError> {
    let mut writer = WriterBuilder::new().terminator(Terminator::CRLF).from_writer(b"\xef\xbb\xbf".to_vec());
    let failed = |error: csv::Error| ApiError::internal().with_source(error);
    writer.write_record(COLUMNS).map_err(failed)?;
    for answer in answers {
        let row = [&escape(&answer.question), &escape(&answer.answer), &answer.language];
        writer.write_record(row).map_err(failed)?;
    }
    let file = writer.into_inner().map_err(|error| ApiError::internal().with_source(error.into_error()))?;
    if file.len() > MAX_EXPORT_BYTES {
        let message = "the approved answers are larger than one response: read them by their pages";
        return Err(ApiError::conflict("export_too_large", message));
    }
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(file: &[u8]) -> ApiError {
        parse(file).unwrap_err()
    }

    fn rows_of(error: &ApiError) -> Vec<(u64, String)> {
        let rows = error.details.as_ref().unwrap()["rows"].as_array().unwrap();
        rows.iter().map(|row| (row["line"].as_u64().unwrap(), row["field"].as_str().unwrap().to_owned())).collect()
    }

    #[test]
    fn commas_semicolons_and_a_byte_order_mark_are_read() {
        for file in [
            "question,answer,language\nLivrez-vous ?,\"Oui, demain\",fr\n",
            "\u{feff}Question;Answer;Language\r\nLivrez-vous ?;Oui, demain;fr\r\n",
            "language,answer,question\nfr,\"Oui, demain\",Livrez-vous ?\n",
        ] {
            let rows = parse(file.as_bytes()).unwrap();
            assert_eq!(rows.len(), 1, "{file}");
            assert_eq!(
                (rows[0].new.question.as_str(), rows[0].new.answer.0.as_str()),
                ("Livrez-vous ?", "Oui, demain")
            );
            assert_eq!(rows[0].new.language, Some(CompanyLanguage::French));
        }
        let without_language = parse(b"question,answer\n\"two\nlines\",b\n").unwrap();
        assert_eq!((without_language[0].new.question.as_str(), without_language[0].new.language), ("two\nlines", None));
    }

    #[test]
    fn another_encoding_and_other_columns_are_refused() {
        for file in [
            &b"question,answer\nLivrez-vous \xe0 Bouak\xe9 ?,Oui\n"[..],
            b"\xff\xfeq\0u\0",
            b"question,answer\na\0b,c\n",
            b"",
            b"question\na\n",
            b"question,answer,price\na,b,1\n",
            b"question,answer,question\na,b,c\n",
            b"question,answer\na\n",
        ] {
            let error = refusal(file);
            assert_eq!((error.status.as_u16(), error.code), (422, "validation_failed"), "{file:?}");
        }
    }

    #[test]
    fn each_wrong_row_is_listed_with_its_line() {
        let file = "question,answer,language\n=1+1,a,fr\nb,@SUM(A1),fr\nc,d,de\n,e,fr\nf,-2+cmd|' /C calc'!A0,fr\ng,+cmd,\nh,i,\n";
        let error = refusal(file.as_bytes());
        assert_eq!(error.code, "rows_refused");
        let expected = [(2, "question"), (3, "answer"), (4, "language"), (5, "question"), (7, "answer")]
            .map(|(line, field)| (line, field.to_owned()));
        assert_eq!(rows_of(&error), expected);
    }

    #[test]
    fn a_formula_behind_a_character_that_nobody_sees_is_one() {
        for text in ["=1+1", "\u{200b}=1+1", "\u{feff}@SUM(A1)", "\u{a0}=1", "＝1+1", "\u{2060}+A1"] {
            assert!(is_formula(text) && needs_escape(text), "{text:?}");
        }
    }

    #[test]
    fn a_telephone_number_and_a_list_are_no_formulas() {
        let rows = parse("question,answer\nNuméro ?,+225 07 00\nHoraires ?,- lundi\n".as_bytes()).unwrap();
        assert_eq!(rows.len(), 2);
    }

    #[test]
    fn a_file_of_too_many_rows_is_refused() {
        let file = format!("question,answer\n{}", "a,b\n".repeat(100_001));
        assert_eq!(refusal(file.as_bytes()).code, "too_many_rows");
    }

    #[test]
    fn an_export_is_imported_with_the_same_texts() {
        let stored = |question: &str, answer: &str| StoredAnswer {
            id: Uuid::nil(),
            question: question.to_owned(),
            answer: answer.to_owned(),
            language: "fr".to_owned(),
            created_at: chrono::DateTime::UNIX_EPOCH,
            updated_at: chrono::DateTime::UNIX_EPOCH,
        };
        let texts = [("=1+1", "- lundi\n- mardi"), ("a, \"b\"; c", "'d'"), ("e", "+225 07")];
        let answers: Vec<_> = texts.iter().map(|(question, answer)| stored(question, answer)).collect();
        let file = export_csv(&answers).unwrap();
        assert!(
            file.starts_with(b"\xef\xbb\xbfquestion,answer,language\r\n'=1+1,"),
            "{}",
            String::from_utf8_lossy(&file)
        );
        let rows = parse(&file).unwrap();
        let read: Vec<_> = rows.iter().map(|row| (row.new.question.as_str(), row.new.answer.0.as_str())).collect();
        assert_eq!(read, texts);
    }
}
