//! The old `documents`: one row a chunk. The chunks of one file become one document.
//!
//! The model of the old vectors is not known, so each chunk gets a vector of zeros, under a model that no search names. The
//! chunks are found by their words at once, and by their meaning after `cargo re-embed`.

use serde_json::{Value, json};
use uuid::Uuid;

use super::{
    companies,
    old_row::{MissingParts, OldRow, RowError},
};
use crate::{
    db::SystemTx,
    documents::MAX_FILENAME_CHARS,
    files::FileFormat,
    input, storage,
    text::{self, detect_language},
};

/// Model of chunks whose vector says nothing. `cargo re-embed` replaces it.
const NO_MODEL: &str = "legacy";
/// Maximum length of a chunk, in characters.
const MAX_CHUNK_CHARS: usize = 20_000;
/// Keys of the metadata that may name the file of a chunk, the best one first.
const FILE_KEYS: [&str; 6] = ["filename", "file_name", "source", "title", "document_id", "file_id"];

/// Copies a chunk, with the document that it belongs to.
pub(super) async fn adopt(tx: &mut SystemTx, row: &OldRow) -> Result<MissingParts, RowError> {
    let (tenant, company_id) = companies::find_by_company_id(tx, row).await?;
    let content = text::clean(row.text("content").ok_or(RowError::Refused("no_content"))?);
    if content.chars().count() > MAX_CHUNK_CHARS {
        return Err(RowError::Refused("content_too_long"));
    }
    let metadata = row.json("metadata");
    let named = FILE_KEYS.iter().find_map(|key| metadata[key].as_str().filter(|name| !name.trim().is_empty()));
    let group = named.map_or_else(|| format!("{}.txt", row.key), str::to_owned);
    let document = find_or_create(tx, tenant, &company_id, &group, metadata, &content).await?;
    let page = ["page", "page_number"].iter().find_map(|key| metadata[key].as_i64());
    let page = page.and_then(|page| i32::try_from(page).ok()).filter(|page| *page >= 1).unwrap_or(1);
    sqlx::query!(
        r#"
        with place as (
            select coalesce(max(chunk_index) + 1, 0) as next from document_chunks where document_id = $1
        ), chunk as (
            insert into document_chunks (document_id, customer_id, chunk_index, page_start, page_end, text_chunk,
                search_text, language, embedding_model, short_embedding, short_bits)
            select $1, $2, place.next, $3, $3, $4, $5, $6, $7, zeros.vector,
                binary_quantize(zeros.vector)::bit(384)
            from place, (select array_fill(0::real, array[384])::vector as vector) zeros
        )
        update documents
        set chunks = chunks + 1, chars = chars + length($4), bytes = bytes + octet_length($4),
            pages_total = greatest(pages_total, $3), pages_done = greatest(pages_done, $3)
        where id = $1
        "#,
        document,
        tenant,
        page,
        content,
        text::fold(&content),
        detect_language(&content).as_str(),
        NO_MODEL
    )
    .execute(tx)
    .await?;
    Ok(Vec::new())
}

/// Returns the document of a group of chunks, which the first of them makes.
async fn find_or_create(
    tx: &mut SystemTx,
    tenant: Uuid,
    company_id: &str,
    group: &str,
    metadata: &Value,
    content: &str,
) -> Result<Uuid, RowError> {
    let known = sqlx::query_scalar!(
        "select id from documents where customer_id = $1 and metadata ->> 'legacy_file' = $2 for update",
        tenant,
        group
    );
    if let Some(known) = known.fetch_optional(&mut *tx).await? {
        return Ok(known);
    }
    let last = group.rsplit(['/', '\\']).next().unwrap_or(group);
    let filename = input::one_line(last, 1, MAX_FILENAME_CHARS).unwrap_or_else(|_| format!("{NO_MODEL}.txt"));
    let format = FileFormat::of_filename(&filename).unwrap_or(FileFormat::Text);
    let mut metadata = if metadata.is_object() { metadata.clone() } else { json!({}) };
    metadata["legacy_file"] = json!(group);
    let id = Uuid::new_v4();
    let head: String = content.chars().take(500).collect();
    sqlx::query!(
        r#"
        insert into documents (id, customer_id, company_id, filename, status, pages_total, pages_done, bytes,
            storage_key, language, embedding_model, content, metadata, processed_at, chunks, chars, format)
        values ($1, $2, $3, $4, 'processed', 1, 1, 0, $5, $6, $7, $8, $9, now(), 0, 0, $10)
        "#,
        id,
        tenant,
        company_id,
        filename,
        storage::document_key(tenant, id),
        detect_language(content).as_str(),
        NO_MODEL,
        head,
        metadata,
        format.as_str()
    )
    .execute(tx)
    .await?;
    Ok(id)
}
