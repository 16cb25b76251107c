//! Approved answers as CSV: the columns `question`, `answer` and `language`. A file is imported as a whole or not at all.

use axum::http::StatusCode;
use csv::{Terminator, WriterBuilder};
use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;

use super::{AnswerText, MAX_APPROVED_ANSWERS, NewApprovedAnswer, QuestionText, StoredAnswer};
use crate::{
    db::TenantTx,
    error::ApiError,
    files::{self, CsvRecord, FileError},
    input,
    tenants::CompanyLanguage,
};

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
    line: u32,
    /// Column of the wrong value, `row` for the row as a whole.
    field: &'static str,
    message: String,
}

/// The rows of a file, one array a column, as SQL takes them.
#[derive(Debug, Default)]
struct Rows {
    lines: Vec<i32>,
    questions: Vec<String>,
    answers: Vec<String>,
    languages: Vec<Option<String>>,
}

fn refused(rows: &[RowError]) -> ApiError {
    let listed: Vec<_> = rows.iter().take(MAX_LISTED_ROWS).collect();
    let message = "some rows are not valid, and nothing was imported";
    ApiError::new(StatusCode::UNPROCESSABLE_ENTITY, "rows_refused", message)
        .with_details(json!({ "refused": rows.len(), "rows": listed }))
}

/// Imports a file of the transaction's tenant, in any encoding and with any separator that spreadsheets write. A row with
/// the wording of an approved answer replaces its text.
///
/// # Errors
/// Returns 422 for a file that is not CSV with these columns, 422 `too_many_rows`, 422 `rows_refused` with the line of each
/// wrong row, 409 when the company would have too many approved answers, and any database error. Nothing is imported then:
/// the caller rolls back.
pub async fn import_csv(tx: &mut TenantTx, file: &[u8]) -> Result<AnswerImport, ApiError> {
    let rows = parse(file)?;
    super::lock(tx).await?;
    let wrong = rows.find_repeated_questions(tx).await?;
    if !wrong.is_empty() {
        return Err(refused(&wrong));
    }
    let report = rows.write(tx).await?;
    let count =
        sqlx::query_scalar!(r#"select count(*) as "count!" from approved_answers where customer_id = $1"#, tx.tenant())
            .fetch_one(tx)
            .await?;
    if count > MAX_APPROVED_ANSWERS {
        return Err(super::AnswerError::TooMany(MAX_APPROVED_ANSWERS).into());
    }
    Ok(report)
}

impl Rows {
    /// Returns an error for each row whose question has no words, or the wording of an earlier row. The database compares
    /// the wordings, as its constraint does.
    async fn find_repeated_questions(&self, tx: &mut TenantTx) -> sqlx::Result<Vec<RowError>> {
        let found = sqlx::query!(
            r#"
            select line as "line!", first from (
                select line, key, case when key is not null then min(line) over (partition by language, key) end as first
                from (
                    select line, language, app.question_key(question, case language
                        when 'en' then 'pg_catalog.english_stem'::regdictionary
                        else 'pg_catalog.french_stem'::regdictionary
                    end) as key
                    from (
                        select line, question, coalesce(given.language, config.language) as language
                        from unnest($1::integer[], $2::text[], $3::text[]) given (line, question, language)
                        cross join company_rag_configs config
                        where config.company_id = (select app.current_company())
                    ) chosen
                ) worded
            ) numbered
            where first is distinct from line
            order by line
            "#,
            &self.lines,
            &self.questions,
            &self.languages as &[Option<String>]
        )
        .fetch_all(tx)
        .await?;
        let error = |line: i32, first: Option<i32>| {
            let message = match first {
                Some(first) => format!("is the same question as that of line {first}"),
                None => "must have a word that tells it from other questions".to_owned(),
            };
            RowError { line: line.unsigned_abs(), field: "question", message }
        };
        Ok(found.into_iter().map(|row| error(row.line, row.first)).collect())
    }

    /// Writes all rows in one statement.
    async fn write(&self, tx: &mut TenantTx) -> sqlx::Result<AnswerImport> {
        let written = sqlx::query!(
            r#"
            with written as (
                insert into approved_answers as known (customer_id, question, answer, language)
                select $1, given.question, given.answer, coalesce(given.language, config.language)
                from unnest($2::text[], $3::text[], $4::text[]) given (question, answer, language)
                cross join company_rag_configs config
                where config.company_id = (select app.current_company())
                on conflict on constraint approved_answers_question_key do update
                    set question = excluded.question, answer = excluded.answer, updated_at = now()
                    where known.answer <> excluded.answer
                -- A row that the statement inserted has no transaction that has locked or deleted it.
                returning xmax = 0 as is_new
            )
            select count(*) filter (where is_new) as "created!", count(*) filter (where not is_new) as "updated!" from written
            "#,
            tx.tenant(),
            &self.questions,
            &self.answers,
            &self.languages as &[Option<String>]
        )
        .fetch_one(tx)
        .await?;
        let [created, updated] = [written.created, written.updated].map(i64::unsigned_abs);
        let unchanged = (self.lines.len() as u64).saturating_sub(created + updated);
        Ok(AnswerImport { created, updated, unchanged })
    }
}

/// Parses a file without importing it, and returns the number of its rows.
///
/// # Errors
/// Returns the errors of [`import_csv`] that do not depend on the company.
pub fn count_csv_rows(file: &[u8]) -> Result<usize, ApiError> {
    Ok(parse(file)?.lines.len())
}

/// Parses a file.
fn parse(file: &[u8]) -> Result<Rows, ApiError> {
    // The first record names the columns.
    let records = files::csv_records(file, MAX_APPROVED_ANSWERS as usize + 1).map_err(file_error)?;
    let mut records = records.into_iter();
    let header = records.next().ok_or_else(|| ApiError::field("body", "is empty"))?;
    let columns = columns(&header)?;
    let (mut rows, mut wrong) = (Rows::default(), Vec::new());
    for record in records {
        match row(&record, &header, columns) {
            Ok(new) => {
                rows.lines.push(i32::try_from(record.line).unwrap_or(i32::MAX));
                rows.questions.push(new.question.as_str().to_owned());
                rows.answers.push(new.answer.0);
                rows.languages.push(new.language.map(|language| language.as_str().to_owned()));
            }
            Err((field, message)) => wrong.push(RowError { line: record.line, field, message }),
        }
    }
    if wrong.is_empty() { Ok(rows) } else { Err(refused(&wrong)) }
}

fn file_error(error: FileError) -> ApiError {
    if matches!(error, FileError::TooManyRows) {
        let message = format!("a file may have at most {MAX_APPROVED_ANSWERS} rows");
        return ApiError::new(StatusCode::UNPROCESSABLE_ENTITY, "too_many_rows", message);
    }
    // The error may quote the file.
    ApiError::field("body", "is not a CSV file: choose \"CSV UTF-8\" when saving").with_source(error)
}

/// Returns the places of the columns in a row.
fn columns(header: &CsvRecord) -> Result<[Option<usize>; 3], ApiError> {
    let places = COLUMNS.map(|column| header.fields.iter().position(|name| name.eq_ignore_ascii_case(column)));
    let is_known = |name: &String| COLUMNS.iter().any(|column| name.eq_ignore_ascii_case(column));
    let has_twice = header.width > places.iter().flatten().count();
    if places[0].is_none() || places[1].is_none() || !header.fields.iter().all(is_known) || has_twice {
        return Err(ApiError::field(
            "body",
            "must begin with a row that names the columns question, answer and language",
        ));
    }
    Ok(places)
}

fn row(
    record: &CsvRecord,
    header: &CsvRecord,
    columns: [Option<usize>; 3],
) -> Result<NewApprovedAnswer, (&'static str, String)> {
    if record.width != header.width {
        let found = input::counted(record.width, "field");
        return Err(("row", format!("has {found}, and the first line names {}", header.width)));
    }
    let cell = |place: usize| record.fields.get(place).map_or("", String::as_str);
    let [question, answer, language] = columns.map(|place| place.map_or("", cell));
    for (field, text) in [("question", question), ("answer", answer)] {
        files::ensure_decoded(text).map_err(|message| (field, message))?;
        if input::is_formula(text) {
            return Err((field, "must not begin like a formula of a spreadsheet".to_owned()));
        }
    }
    let question =
        QuestionText::try_from(input::unescape_formulas(question)).map_err(|error| ("question", error.to_string()))?;
    let answer =
        AnswerText::try_from(input::unescape_formulas(answer)).map_err(|error| ("answer", error.to_string()))?;
    let language = match language {
        "" => None,
        "fr" => Some(CompanyLanguage::French),
        "en" => Some(CompanyLanguage::English),
        _ => return Err(("language", "must be fr or en, or empty for the company's".to_owned())),
    };
    Ok(NewApprovedAnswer { question, answer, language })
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
        let row =
            [&input::escape_formulas(&answer.question), &input::escape_formulas(&answer.answer), &answer.language];
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
    use uuid::Uuid;

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
            assert_eq!(
                (&rows.questions[..], &rows.answers[..]),
                (&["Livrez-vous ?".into()][..], &["Oui, demain".into()][..])
            );
            assert_eq!(rows.languages, [Some("fr".to_owned())], "{file}");
        }
        let rows = parse(b"question,answer\n\"two\nlines\",b\n").unwrap();
        assert_eq!((&rows.questions[0][..], &rows.languages[0]), ("two\nlines", &None));
        let rows = parse(b"question,answer\nLivrez-vous \xe0 Bouak\xe9 ?,Oui\n").unwrap();
        assert_eq!(rows.questions, ["Livrez-vous à Bouaké ?"]);
    }

    #[test]
    fn bytes_that_are_no_text_and_other_columns_are_refused() {
        for file in [
            &b"\xff\xfeq\0u\0"[..],
            b"question,answer\na\0b,c\n",
            b"",
            b"question\na\n",
            b"question,answer,price\na,b,1\n",
            b"question,answer,question\na,b,c\n",
        ] {
            let error = refusal(file);
            assert_eq!((error.status.as_u16(), error.code), (422, "validation_failed"), "{file:?}");
        }
    }

    #[test]
    fn each_wrong_row_is_listed_with_its_line() {
        let file = "question,answer,language\n=1+1,a,fr\nb,@SUM(A1),fr\nc,d,de\n,e,fr\nf,-2+cmd|' /C calc'!A0,fr\ng,+cmd,\nh,i,\nj,k\n\u{fffd},l,\n";
        let error = refusal(file.as_bytes());
        assert_eq!(error.code, "rows_refused");
        let expected = [
            (2, "question"),
            (3, "answer"),
            (4, "language"),
            (5, "question"),
            (7, "answer"),
            (9, "row"),
            (10, "question"),
        ]
        .map(|(line, field)| (line, field.to_owned()));
        assert_eq!(rows_of(&error), expected);
    }

    #[test]
    fn a_telephone_number_and_a_list_are_no_formulas() {
        let rows = parse("question,answer\nNuméro ?,+225 07 00\nHoraires ?,- lundi\n".as_bytes()).unwrap();
        assert_eq!(rows.answers, ["+225 07 00", "- lundi"]);
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
        let texts = [
            ("=1+1", "- lundi\n- mardi"),
            ("a, \"b\"; c", "'d'"),
            ("e", "+225 07"),
            ("'=x", "''+y"),
            ("f;=1+1", "g\n=cmd|' /C calc'!A0\n'@h;'';'=i"),
        ];
        let answers: Vec<_> = texts.iter().map(|(question, answer)| stored(question, answer)).collect();
        let file = export_csv(&answers).unwrap();
        assert!(
            file.starts_with(b"\xef\xbb\xbfquestion,answer,language\r\n'=1+1,"),
            "{}",
            String::from_utf8_lossy(&file)
        );
        let text = String::from_utf8_lossy(&file);
        assert!(text.contains("\r\nf;'=1+1,\"g\n'=cmd|' /C calc'!A0\n''@h;'';''=i\",fr"), "{text}");
        let rows = parse(&file).unwrap();
        let read: Vec<_> = rows.questions.iter().zip(&rows.answers).map(|(a, b)| (a.as_str(), b.as_str())).collect();
        assert_eq!(read, texts);
    }
}
