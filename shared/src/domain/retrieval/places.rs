//! Places of passages in files without pages: the sheets, rows, headings and lines of their chunks.

use std::collections::HashMap;

use sqlx::types::Json;
use uuid::Uuid;

use crate::{
    db::TenantTx,
    files::{Place, PlacedPassage},
    llm::Passage,
};

/// Reads the places of the passages' chunks. Passages of PDF files have none.
///
/// # Errors
/// Fails when the statement fails.
pub(super) async fn locate(tx: &mut TenantTx, passages: &mut [Passage]) -> sqlx::Result<()> {
    let chunks =
        passages.iter().flat_map(|passage| passage.chunk_indexes.clone().map(|index| (passage.document_id, index)));
    let (documents, indexes): (Vec<Uuid>, Vec<i32>) = chunks.unzip();
    if documents.is_empty() {
        return Ok(());
    }
    let rows = sqlx::query!(
        r#"
        select document_id, chunk_index, text_chunk, file_place as "place!: Json<Place>"
        from document_chunks
        where customer_id = $1 and file_place is not null
          and (document_id, chunk_index) in (select * from unnest($2::uuid[], $3::integer[]))
        "#,
        tx.tenant(),
        &documents,
        &indexes
    )
    .fetch_all(tx)
    .await?;
    let mut places: HashMap<_, _> =
        rows.into_iter().map(|row| ((row.document_id, row.chunk_index), (row.place.0, row.text_chunk))).collect();
    for passage in passages {
        for index in passage.chunk_indexes.clone() {
            let Some((place, text)) = places.remove(&(passage.document_id, index)) else { continue };
            match &mut passage.place {
                Some(whole) => whole.add(&place.numbers, &text),
                None => passage.place = Some(PlacedPassage::new(place, &text)),
            }
        }
    }
    Ok(())
}
