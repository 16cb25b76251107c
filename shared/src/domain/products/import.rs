//! Import of the catalogue from a CSV file. A file is imported as a whole or not at all; each row that is not valid is
//! reported with its line.

use std::str::FromStr;

use axum::http::StatusCode;
use serde::Serialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::catalogue::{MAX_DESCRIPTION_CHARS, MAX_NAME_CHARS, tenant_currency};
use crate::{
    currency::{Amount, Currency},
    db::TenantTx,
    error::ApiError,
    files::{self, CsvRecord, FileError},
    input::{self, UnusableText},
    text,
};

/// Maximum number of products in a file, which one transaction of 3.8 s writes: 100,000 took 3.3 s on a busy machine.
pub const MAX_IMPORT_ROWS: usize = 20_000;
/// Number of faults that a report lists at most. Lambda's limit of a response is 6 MB.
const MAX_REPORTED_FAULTS: usize = 1_000;
/// Number of wrong columns that a report lists at most.
const MAX_REPORTED_COLUMNS: usize = 20;

/// The result of an import.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({ "rows": 120, "created": 100, "updated": 15, "unchanged": 5 }))]
pub struct ProductImport {
    /// Products in the file.
    rows: i64,
    /// Products that are new in the catalogue.
    created: i64,
    /// Products of the catalogue that were changed.
    updated: i64,
    /// Products of the catalogue that are as the file has them.
    unchanged: i64,
}

/// A column of the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Column {
    Name,
    Description,
    Price,
    Currency,
    Available,
}

impl Column {
    /// Recognises a column by its name in English or French.
    fn from_name(name: &str) -> Option<Self> {
        match text::fold(name).as_str() {
            "name" | "product" | "nom" | "produit" => Some(Self::Name),
            "description" => Some(Self::Description),
            "price" | "prix" => Some(Self::Price),
            "currency" | "devise" | "monnaie" => Some(Self::Currency),
            "available" | "disponible" => Some(Self::Available),
            _ => None,
        }
    }

    const fn as_str(self) -> &'static str {
        match self {
            Self::Name => "name",
            Self::Description => "description",
            Self::Price => "price",
            Self::Currency => "currency",
            Self::Available => "available",
        }
    }
}

/// A fault of a row, as the report has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct RowFault {
    /// Line of the file in which the row begins, from 1.
    line: u32,
    field: &'static str,
    message: String,
}

/// The rows of a file, one array a column, as SQL takes them.
#[derive(Debug, Default)]
struct Rows {
    lines: Vec<i32>,
    names: Vec<String>,
    descriptions: Vec<Option<String>>,
    prices: Vec<i64>,
    currencies: Vec<String>,
    are_available: Vec<bool>,
    faults: Vec<RowFault>,
}

/// Imports a CSV file into the catalogue. The first line names the columns: `name` and `price`, and where wanted
/// `description`, `currency` and `available`. A product whose name the catalogue has is changed; columns that the file
/// lacks stay as they are, but for the currency, which then is the tenant's.
///
/// # Errors
/// 422 for a file that is no such table, with one entry for each wrong column, or for each row that is not valid; a
/// database error. Nothing is imported then.
pub async fn import(tx: &mut TenantTx, bytes: &[u8]) -> Result<ProductImport, ApiError> {
    let currency = tenant_currency(tx).await?;
    let (columns, mut rows) = parse(bytes, &currency)?;
    rows.find_repeated_names(tx).await?;
    if !rows.faults.is_empty() {
        return Err(rows.report());
    }
    rows.write(tx, &columns).await
}

/// Parses a CSV file without importing it, and returns the number of its rows. `currency` is that of prices without one.
///
/// # Errors
/// Returns the errors of [`import`] that do not depend on the catalogue.
pub fn count_csv_rows(bytes: &[u8], currency: &str) -> Result<usize, ApiError> {
    let (_, rows) = parse(bytes, currency)?;
    if rows.faults.is_empty() { Ok(rows.names.len()) } else { Err(rows.report()) }
}

/// Parses a file into its columns and rows, with the faults of the rows.
fn parse(bytes: &[u8], currency: &str) -> Result<(Vec<Column>, Rows), ApiError> {
    let mut records = files::csv_records(bytes, MAX_IMPORT_ROWS + 1).map_err(file_error)?.into_iter();
    let header = records.next().ok_or_else(|| ApiError::field("body", "is empty"))?;
    let columns = columns(&header)?;
    let mut rows = Rows::default();
    for record in records {
        rows.add(&columns, &record, currency);
    }
    if rows.names.is_empty() && rows.faults.is_empty() {
        return Err(ApiError::field("body", "names columns and has no products"));
    }
    Ok((columns, rows))
}

fn file_error(error: FileError) -> ApiError {
    let message = match &error {
        FileError::TooManyRows => format!("has more than {MAX_IMPORT_ROWS} products"),
        _ => "is not a CSV file".to_owned(),
    };
    ApiError::field("body", message).with_source(error)
}

/// Reads the first line.
fn columns(header: &CsvRecord) -> Result<Vec<Column>, ApiError> {
    let mut wrong = Vec::new();
    let mut columns = Vec::new();
    for name in &header.fields {
        match Column::from_name(name) {
            Some(column) if !columns.contains(&column) => columns.push(column),
            Some(column) => wrong.push(crate::error::FieldError::new(column.as_str(), "is there twice")),
            None => {
                let name = input::visible_name(name).chars().take(50).collect::<String>();
                let message =
                    "is no column of the catalogue: these are name, price, description, currency and available";
                wrong.push(crate::error::FieldError::new(name, message));
            }
        }
    }
    wrong.truncate(MAX_REPORTED_COLUMNS);
    for required in [Column::Name, Column::Price] {
        if !columns.contains(&required) {
            wrong.push(crate::error::FieldError::new(
                required.as_str(),
                "is missing among the columns of the first line",
            ));
        }
    }
    if wrong.is_empty() { Ok(columns) } else { Err(ApiError::validation(wrong)) }
}

/// Cleans a text of a cell by a rule of [`input`], and returns it unless a spreadsheet would run it as a formula, or its
/// encoding was lost. The cleaned text counts: a character that nobody sees may stand before the formula.
fn plain_text(cell: &str, clean: impl FnOnce(&str) -> Result<String, UnusableText>) -> Result<String, String> {
    files::ensure_decoded(cell)?;
    let text = clean(cell).map_err(|error| error.to_string())?;
    if input::formula_start(&text).is_some() {
        return Err("must not begin like a formula, with =, +, - or @".to_owned());
    }
    Ok(text)
}

/// Parses a price as spreadsheets write it: with spaces between groups of digits, and with a comma before one or two
/// decimals. `1,500` may be a thousand and a half or one and a half, and is refused.
fn price(cell: &str) -> Result<Amount, String> {
    if cell.is_empty() {
        return Err("must not be empty".to_owned());
    }
    let plain: String = cell.chars().filter(|letter| !matches!(letter, ' ' | '\u{a0}' | '\u{202f}')).collect();
    let plain = match plain.split_once(',') {
        Some((whole, fraction)) if (1..=2).contains(&fraction.len()) => format!("{whole}.{fraction}"),
        _ => plain,
    };
    Amount::from_str(&plain).map_err(|error| error.to_string())
}

fn availability(cell: &str) -> Result<bool, String> {
    match text::fold(cell).as_str() {
        "" | "true" | "yes" | "oui" | "1" | "x" | "vrai" => Ok(true),
        "false" | "no" | "non" | "0" | "faux" => Ok(false),
        _ => Err("must be yes or no".to_owned()),
    }
}

impl Rows {
    /// Adds a record as a row, or its faults.
    fn add(&mut self, columns: &[Column], record: &CsvRecord, tenant_currency: &str) {
        let mut faults = Vec::new();
        let mut fault = |field, message: String| faults.push(RowFault { line: record.line, field, message });
        if record.width != columns.len() {
            let found = input::counted(record.width, "field");
            fault("row", format!("has {found}, and the first line names {}", columns.len()));
            self.faults.append(&mut faults);
            return;
        }
        let cell = |wanted: Column| {
            let place = columns.iter().position(|column| *column == wanted)?;
            record.fields.get(place).map(String::as_str)
        };
        let name = plain_text(cell(Column::Name).unwrap_or_default(), |name| input::one_line(name, 1, MAX_NAME_CHARS));
        let description = plain_text(cell(Column::Description).unwrap_or_default(), |text| {
            input::several_lines(text, 0, MAX_DESCRIPTION_CHARS)
        });
        let currency = match cell(Column::Currency).unwrap_or_default() {
            "" => Ok(tenant_currency.to_owned()),
            code => Currency::try_from(code.to_ascii_uppercase()).map(String::from).map_err(|error| error.to_string()),
        };
        let price = price(cell(Column::Price).unwrap_or_default()).and_then(|price| match &currency {
            Ok(currency) => price.ensure_payable_in(currency).map(|()| price).map_err(|error| error.to_string()),
            Err(_) => Ok(price),
        });
        let available = availability(cell(Column::Available).unwrap_or_default());
        match (name, description, price, currency, available) {
            (Ok(name), Ok(description), Ok(price), Ok(currency), Ok(available)) => {
                self.lines.push(i32::try_from(record.line).unwrap_or(i32::MAX));
                self.names.push(name);
                self.descriptions.push(Some(description).filter(|text| !text.is_empty()));
                self.prices.push(price.cents());
                self.currencies.push(currency);
                self.are_available.push(available);
            }
            (name, description, price, currency, available) => {
                let wrong = [
                    (Column::Name, name.err()),
                    (Column::Description, description.err()),
                    (Column::Price, price.err()),
                    (Column::Currency, currency.err()),
                    (Column::Available, available.err()),
                ];
                for (column, message) in wrong {
                    if let Some(message) = message {
                        fault(column.as_str(), message);
                    }
                }
                self.faults.append(&mut faults);
            }
        }
    }

    /// Adds a fault for each row whose name an earlier row has. The database compares the names, as its index does.
    async fn find_repeated_names(&mut self, tx: &mut TenantTx) -> sqlx::Result<()> {
        let repeated = sqlx::query!(
            r#"
            select line as "line!", first as "first!" from (
                select line, min(line) over (partition by app.fold_name(name)) as first
                from unnest($1::integer[], $2::text[]) given (line, name)
            ) named
            where line <> first order by line
            "#,
            &self.lines,
            &self.names
        )
        .fetch_all(tx)
        .await?;
        self.faults.extend(repeated.into_iter().map(|row| RowFault {
            line: row.line.unsigned_abs(),
            field: Column::Name.as_str(),
            message: format!("is the name of line {} already", row.first),
        }));
        Ok(())
    }

    /// Builds the refusal of the file, with its faults in the order of their lines.
    fn report(mut self) -> ApiError {
        self.faults.sort_by_key(|fault| fault.line);
        let count = self.faults.len();
        let message = match count {
            1 => "one value of the file is not valid, so nothing was imported".to_owned(),
            count if count > MAX_REPORTED_FAULTS => format!(
                "{count} values of the file are not valid, so nothing was imported; the first {MAX_REPORTED_FAULTS} are listed"
            ),
            count => format!("{count} values of the file are not valid, so nothing was imported"),
        };
        self.faults.truncate(MAX_REPORTED_FAULTS);
        let faults: Vec<Value> = self.faults.iter().map(|fault| json!(fault)).collect();
        ApiError::new(StatusCode::UNPROCESSABLE_ENTITY, "validation_failed", message).with_details(json!(faults))
    }

    /// Writes all rows in one statement, in the order of their names, so that two imports do not wait for each other.
    async fn write(self, tx: &mut TenantTx, columns: &[Column]) -> Result<ProductImport, ApiError> {
        let written = sqlx::query!(
            r#"
            with written as (
                insert into products as known (customer_id, name, description, price, currency, available)
                select $1, name, description, cents / 100.0, currency, available
                from unnest($2::text[], $3::text[], $4::bigint[], $5::text[], $6::boolean[])
                    given (name, description, cents, currency, available)
                order by app.fold_name(name)
                on conflict (customer_id, name_key) where archived_at is null do update set
                    name = excluded.name,
                    description = case when $7 then excluded.description else known.description end,
                    price = excluded.price,
                    currency = excluded.currency,
                    available = case when $8 then excluded.available else known.available end,
                    updated_at = now()
                where (known.name, known.price, known.currency) is distinct from
                      (excluded.name, excluded.price, excluded.currency)
                   or ($7 and known.description is distinct from excluded.description)
                   or ($8 and known.available <> excluded.available)
                -- A row that the statement inserted has no transaction that has locked or deleted it.
                returning xmax = 0 as is_new
            )
            select count(*) filter (where is_new) as "created!", count(*) filter (where not is_new) as "updated!" from written
            "#,
            tx.tenant(),
            &self.names,
            &self.descriptions as &[Option<String>],
            &self.prices,
            &self.currencies,
            &self.are_available,
            columns.contains(&Column::Description),
            columns.contains(&Column::Available)
        )
        .fetch_one(tx)
        .await?;
        let rows = i64::try_from(self.names.len()).unwrap_or(i64::MAX);
        let unchanged = rows - written.created - written.updated;
        Ok(ProductImport { rows, created: written.created, updated: written.updated, unchanged })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(line: u32, fields: &[&str]) -> CsvRecord {
        CsvRecord { line, fields: fields.iter().map(|field| (*field).to_owned()).collect(), width: fields.len() }
    }

    #[test]
    fn prices_are_read_as_spreadsheets_write_them() {
        for (cell, cents) in [
            ("2500", 250_000),
            ("2 500", 250_000),
            ("2\u{202f}500", 250_000),
            ("12,5", 1_250),
            ("12,50", 1_250),
            ("12.50", 1_250),
        ] {
            assert_eq!(price(cell).map(Amount::cents), Ok(cents), "{cell}");
        }
        for cell in ["", "1,500", "1.500,00", "1,500.00", "-5", "=1+1", "2500 F", "1e3", "12.505"] {
            assert!(price(cell).is_err(), "{cell}");
        }
    }

    #[test]
    fn a_formula_is_refused_behind_characters_that_nobody_sees() {
        let columns = [Column::Name, Column::Price, Column::Description];
        let cells = ["=1+1", "\u{200b}=1+1", "\u{2060}+1", "\u{feff}@SUM(A1)", "\u{200d}-1", "\u{a0}=1", "＝1+1"];
        for cell in cells {
            for fields in [[cell, "1", ""], ["Thé", "1", cell]] {
                let mut rows = Rows::default();
                rows.add(&columns, &record(2, &fields), "XOF");
                assert!(rows.names.is_empty(), "{cell:?}");
                assert!(rows.faults[0].message.starts_with("must not begin like a formula"), "{:?}", rows.faults);
            }
        }
        let mut rows = Rows::default();
        rows.add(&columns, &record(2, &["Thé = 50 g", "1", "\u{1}=1+1"]), "XOF");
        assert_eq!((rows.names.len(), rows.faults[0].field), (0, "description"));
    }

    #[test]
    fn each_wrong_cell_of_a_row_is_reported_with_its_line() {
        let columns = [Column::Name, Column::Price, Column::Currency, Column::Available];
        let mut rows = Rows::default();
        rows.add(&columns, &record(2, &["Thé", "1000", "", ""]), "XOF");
        rows.add(&columns, &record(3, &["=cmd()", "-1", "FCFA", "peut-être"]), "XOF");
        rows.add(&columns, &record(4, &["Café", "12.50", "", "non"]), "XOF");
        rows.add(&columns, &record(5, &["Café"]), "XOF");
        assert_eq!(
            (rows.names.as_slice(), rows.prices.as_slice()),
            (["Thé".to_owned()].as_slice(), [100_000].as_slice())
        );
        let faults: Vec<_> = rows.faults.iter().map(|fault| (fault.line, fault.field)).collect();
        assert_eq!(faults, [(3, "name"), (3, "price"), (3, "currency"), (3, "available"), (4, "price"), (5, "row")]);
    }
}
