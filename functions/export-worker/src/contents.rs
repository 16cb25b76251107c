//! Contents of an archive: `tables/<table>.jsonl` with one row a line, `documents/<id>-<name>` with the uploaded files, and
//! `manifest.json`, which counts these contents and names what is left out, with the reasons.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use shared::{
    documents::MAX_BYTES,
    input,
    privacy::{
        archive::{self, ArchivedFile},
        inventory::{BUCKET_PREFIXES, Export, HIDDEN_COLUMNS, TABLES, Table},
    },
    storage::ReadError,
};
use uuid::Uuid;

use crate::{
    Deps, ExportError, Work,
    archive::{ArchiveUpload, Content},
};

/// Rows that are read at once. A message has at most 20,000 characters, so a page has at most some ten megabytes.
const PAGE_ROWS: i64 = 500;
/// Documents whose names are read at once.
const PAGE_FILES: i64 = 200;
/// Size of one file of rows, in bytes, after which the next one begins. The plain form of ZIP has files of up to 4 GiB.
const MAX_FILE_BYTES: usize = 1024 * 1024 * 1024;
/// Maximum length of a file's name in the archive, in bytes, without the id. File systems take 255 bytes with the id, which
/// has 37.
const MAX_NAME_BYTES: usize = 200;

/// Contents of an archive as `manifest.json` counts them.
#[derive(Debug, Default)]
struct Written {
    /// Number of rows by table, with the schema in the name: `public.messages`.
    rows: BTreeMap<&'static str, u64>,
    /// Number of documents whose files are in the archive.
    files: u64,
    /// Ids of documents without a file: never uploaded, refused at the ingestion and deleted, or larger than
    /// [`MAX_BYTES`].
    missing: Vec<Uuid>,
}

impl Deps {
    /// Writes the rows of every exported table, then the files of the documents, then the manifest.
    pub(crate) async fn write_contents(&self, work: &mut Work, archive: &mut ArchiveUpload) -> Result<(), ExportError> {
        let tenant = work.export.customer_id;
        let owner = self.db.system_tx(async |tx| Ok(archive::find_owner(tx, tenant).await?)).await?;
        let owner = owner.ok_or(ExportError::Lost)?.to_string();
        let mut written = Written::default();
        for table in TABLES.iter().filter(|table| table.export == Export::Rows) {
            self.hold_on(work).await?;
            let rows = if table.is_of_billing() {
                self.write_billing_table(archive, table, &owner).await?
            } else {
                self.write_table(work, archive, table).await?
            };
            written.rows.insert(table.name, rows);
        }
        self.write_files(work, archive, &mut written).await?;
        let manifest = manifest(work, &written);
        archive.begin_file("manifest.json", Content::Text)?;
        archive.write(&self.storage, &serde_json::to_vec_pretty(&manifest).map_err(std::io::Error::from)?).await
    }

    /// Writes a table of the app's database, page by page. Returns the number of rows.
    async fn write_table(
        &self,
        work: &mut Work,
        archive: &mut ArchiveUpload,
        table: &Table,
    ) -> Result<u64, ExportError> {
        let (tenant, name) = (work.export.customer_id, table.short_name());
        archive.begin_file(&file_name(table, 1), Content::Text)?;
        let (mut rows, mut size, mut number) = (0, 0, 1);
        let mut after: Option<String> = None;
        loop {
            let begin = after.as_deref();
            let page =
                self.db.system_tx(async |tx| Ok(archive::read_page(tx, name, tenant, begin, PAGE_ROWS).await?)).await?;
            let Some(last) = page.last() else { return Ok(rows) };
            after = Some(last.key.clone());
            for row in &page {
                if size >= MAX_FILE_BYTES {
                    number += 1;
                    size = 0;
                    archive.begin_file(&file_name(table, number), Content::Text)?;
                }
                size += row.json.len() + 1;
                archive.write(&self.storage, row.json.as_bytes()).await?;
                archive.write(&self.storage, b"\n").await?;
            }
            rows += page.len() as u64;
            self.hold_on(work).await?;
        }
    }

    /// Writes the owner's rows of a table of the billing database. Returns the number of rows.
    async fn write_billing_table(
        &self,
        archive: &mut ArchiveUpload,
        table: &Table,
        owner: &str,
    ) -> Result<u64, ExportError> {
        let name = table.short_name();
        let rows = self.billing.billing_tx(async |tx| Ok(archive::read_billing(tx, name, owner).await?)).await?;
        archive.begin_file(&file_name(table, 1), Content::Text)?;
        for row in &rows {
            archive.write(&self.storage, row.json.as_bytes()).await?;
            archive.write(&self.storage, b"\n").await?;
        }
        Ok(rows.len() as u64)
    }

    /// Writes the files of the documents.
    async fn write_files(
        &self,
        work: &mut Work,
        archive: &mut ArchiveUpload,
        written: &mut Written,
    ) -> Result<(), ExportError> {
        let tenant = work.export.customer_id;
        let mut after = Uuid::nil();
        loop {
            let files =
                self.db.system_tx(async |tx| Ok(archive::list_files(tx, tenant, after, PAGE_FILES).await?)).await?;
            let Some(last) = files.last() else { return Ok(()) };
            after = last.id;
            for file in &files {
                self.hold_on(work).await?;
                self.write_file(archive, file, written).await?;
            }
        }
    }

    /// Writes the file of one document. A document without a file is listed in [`Written::missing`].
    async fn write_file(
        &self,
        archive: &mut ArchiveUpload,
        file: &ArchivedFile,
        written: &mut Written,
    ) -> Result<(), ExportError> {
        let bytes = match self.storage.get(&file.storage_key, MAX_BYTES).await {
            Ok(bytes) => bytes,
            // Never uploaded; refused at the ingestion and deleted; or too large to be ingested and not deleted yet.
            Err(ReadError::Missing | ReadError::TooLarge) => {
                written.missing.push(file.id);
                return Ok(());
            }
            Err(ReadError::Storage(error)) => return Err(error.into()),
        };
        archive.begin_file(&format!("documents/{}-{}", file.id, safe_name(&file.filename)), Content::File)?;
        written.files += 1;
        archive.write(&self.storage, &bytes).await
    }
}

/// Name of the file with a table's rows. `number` counts from 1.
fn file_name(table: &Table, number: u32) -> String {
    let folder = if table.is_of_billing() { "tables/billing" } else { "tables" };
    match number {
        1 => format!("{folder}/{}.jsonl", table.short_name()),
        _ => format!("{folder}/{}-{number}.jsonl", table.short_name()),
    }
}

/// Makes a company's file name harmless for every system that unpacks it: no folders, no signs with a meaning, no leading
/// dots, no direction marks that show another extension than the name has.
fn safe_name(filename: &str) -> String {
    let is_unsafe = |letter: char| letter.is_control() || r#"/\:*?"<>|"#.contains(letter);
    let plain: String = filename.chars().map(|letter| if is_unsafe(letter) { '_' } else { letter }).collect();
    let visible = input::visible_name(&plain);
    let mut bytes = 0;
    let name: String = visible
        .chars()
        .take_while(|letter| {
            bytes += letter.len_utf8();
            bytes <= MAX_NAME_BYTES
        })
        .collect();
    name.trim_start_matches('.').trim().to_owned()
}

/// Returns `manifest.json`: the numbers of rows and documents, and every omitted table, column and prefix with its
/// reason.
fn manifest(work: &Work, written: &Written) -> Value {
    let omitted = TABLES.iter().filter_map(|table| match table.export {
        Export::Rows => None,
        Export::LeftOut(reason) => Some((table.name.to_owned(), json!(reason))),
    });
    let omitted_files = BUCKET_PREFIXES.iter().filter_map(|(prefix, export, _)| match export {
        Export::Rows => None,
        Export::LeftOut(reason) => Some(((*prefix).to_owned(), json!(reason))),
    });
    let columns = HIDDEN_COLUMNS.iter().map(|(table, column, reason)| (format!("{table}.{column}"), json!(reason)));
    let left_out: serde_json::Map<_, _> = omitted.chain(omitted_files).chain(columns).collect();
    json!({
        "format": 1,
        "export_id": work.export.id,
        "customer_id": work.export.customer_id,
        "requested_at": work.export.created_at,
        "tables": written.rows,
        "documents": written.files,
        "documents_without_file": written.missing,
        "left_out": left_out,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_files_name_leads_to_no_other_folder_and_hides_nothing() {
        for (filename, expected) in [
            ("guide.pdf", "guide.pdf"),
            ("../../etc/passwd", "_.._etc_passwd"),
            (r"C:\temp\tarif été.xlsx", "C__temp_tarif été.xlsx"),
            ("a\u{0}b\n.pdf", "a_b_.pdf"),
            (".htaccess", "htaccess"),
            ("\u{202e}fdp.exe", "fdp.exe"),
            ("\u{200b}../x", "_x"),
        ] {
            assert_eq!(safe_name(filename), expected);
        }
        assert_eq!(safe_name(&"é".repeat(255)), "é".repeat(100));
        assert_eq!(safe_name(&"😀".repeat(255)), "😀".repeat(50));
    }

    #[test]
    fn the_files_of_a_table_are_numbered_and_those_of_billing_have_a_folder() {
        let table = |name: &str| TABLES.iter().find(|table| table.name == name).unwrap();
        assert_eq!(file_name(table("public.messages"), 1), "tables/messages.jsonl");
        assert_eq!(file_name(table("public.messages"), 2), "tables/messages-2.jsonl");
        assert_eq!(file_name(table("billing.user_config"), 1), "tables/billing/user_config.jsonl");
    }
}
