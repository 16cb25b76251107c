//! The SQL of retrieval in tenants with so many chunks that the search is approximate, against exact comparison.

use shared::{db::Db, error::ApiError};
use sqlx::{AssertSqlSafe, PgConnection};
use uuid::Uuid;

use crate::{
    route::DatabaseRoute,
    seed::{self, SeededTenant},
};

/// Stores a document of `chunks` chunks. `text` and `vector` are SQL expressions over the column `number`, from 1.
async fn store_document(
    admin: &mut PgConnection,
    tenant: &SeededTenant,
    language: &str,
    chunks: u32,
    text: &str,
    vector: &str,
) {
    let SeededTenant { customer, company, .. } = tenant;
    let statement = format!(
        "with document as ( \
             insert into documents (customer_id, company_id, filename, bytes, storage_key, status, chunks) \
             values ('{customer}', '{company}', 'a.pdf', 1, gen_random_uuid()::text, 'processed', {chunks}) returning id \
         ) \
         insert into document_chunks (document_id, customer_id, chunk_index, page_start, page_end, text_chunk, \
             search_text, language, embedding, embedding_model) \
         select id, '{customer}', number - 1, 1, 1, {text}, {text}, '{language}', {vector}, 'm' \
         from document, generate_series(1, {chunks}) number"
    );
    sqlx::raw_sql(AssertSqlSafe(statement)).execute(admin).await.unwrap();
}

/// SQL of a vector with 1,536 equal numbers.
const UNIFORM_VECTOR: &str = "array_fill(0.1, array[1536])::vector";

/// The texts of the three best chunks of full-text search, the best first.
async fn full_text_search(db: &Db, tenant: &SeededTenant, words: &str, language: &str) -> Vec<String> {
    let found: Result<_, ApiError> = db
        .tenant_tx(tenant.customer, async |tx| {
            let query = sqlx::query_scalar(
                "select chunk.text_chunk from app.search_chunks($1, $2, 'm', null, 3) found
                 join document_chunks chunk on chunk.id = found.chunk_id
                 order by found.rank desc, chunk.text_chunk",
            );
            Ok(query.bind(words).bind(language).fetch_all(tx).await?)
        })
        .await;
    found.unwrap()
}

#[tokio::test]
async fn a_question_in_an_unknown_language_finds_documents_in_every_language() {
    let route = DatabaseRoute::direct().await;
    let mut admin = route.admin().await;
    let tenant = seed::tenant(&mut admin, "mine", 8).await;
    for (language, text) in [("fr", "les livraisons"), ("en", "deliveries"), ("other", "livrarias")] {
        store_document(&mut admin, &tenant, language, 1, &format!("'{text}'"), UNIFORM_VECTOR).await;
    }
    let db = route.db(1);
    assert_eq!(full_text_search(&db, &tenant, "livraison", "other").await, ["les livraisons"]);
    assert_eq!(full_text_search(&db, &tenant, "delivery", "other").await, ["deliveries"]);
    assert_eq!(full_text_search(&db, &tenant, "livrarias", "other").await, ["livrarias"]);
}

#[tokio::test]
async fn full_text_search_in_3000_chunks_ranks_rare_words_and_pairs_of_frequent_words_first() {
    let route = DatabaseRoute::direct().await;
    let mut admin = route.admin().await;
    let tenant = seed::tenant(&mut admin, "mine", 8).await;
    // "lamp" is in a third of the chunks, "cable" in another third, and both are in one chunk.
    let text = "case when number = 2222 then 'lamp cable' when number = 2345 then 'zebra' \
        when number % 3 = 0 then 'lamp ' || number when number % 3 = 1 then 'cable ' || number else 'other ' || number end";
    store_document(&mut admin, &tenant, "en", 3_000, text, UNIFORM_VECTOR).await;
    let db = route.db(1);
    assert_eq!(full_text_search(&db, &tenant, "lamps and cables", "en").await[0], "lamp cable");
    assert_eq!(full_text_search(&db, &tenant, "lamp cable zebra", "en").await[..2], ["zebra", "lamp cable"]);
    assert_eq!(
        full_text_search(&db, &tenant, "lamp", "en").await.len(),
        3,
        "a word alone is found however frequent it is"
    );
    assert_eq!(
        full_text_search(&db, &tenant, "lamp giraffe", "en").await.len(),
        3,
        "beside one that nobody wrote, too"
    );
    assert_eq!(full_text_search(&db, &tenant, "lamps", "other").await.len(), 3, "and in a language that is not known");
}

#[tokio::test]
async fn a_sparse_question_vector_finds_nine_of_the_ten_nearest_chunks() {
    let route = DatabaseRoute::direct().await;
    let mut admin = route.admin().await;
    let tenant = seed::tenant(&mut admin, "mine", 8).await;
    sqlx::raw_sql("select setseed(0.5)").execute(&mut admin).await.unwrap();
    let random = "(select array_agg(random() - 0.5) from generate_series(1, 1536) where number > 0)::vector";
    store_document(&mut admin, &tenant, "en", 3_000, "'text'", random).await;
    let question: Vec<f32> =
        (0..1536_i16).map(|place| if place % 5 == 0 { f32::from(place % 7 - 3) } else { 0.0 }).collect();

    let ids = async |sql: &'static str, question: &[f32]| -> Vec<Uuid> {
        let found: Result<_, ApiError> = route
            .db(1)
            .tenant_tx(tenant.customer, async |tx| Ok(sqlx::query_scalar(sql).bind(question).fetch_all(tx).await?))
            .await;
        found.unwrap()
    };
    let found = ids("select chunk_id from app.nearest_chunks($1, 'm', null, 10)", &question).await;
    let nearest =
        ids("select id from document_chunks order by embedding <=> $1::real[]::vector limit 10", &question).await;
    let common = nearest.iter().filter(|id| found.contains(id)).count();
    assert!(common >= 9, "{common} of the nearest ten are found");
    let other_model = ids("select chunk_id from app.nearest_chunks($1, 'other', null, 10)", &question).await;
    let nothing = ids("select chunk_id from app.nearest_chunks($1, 'm', null, 10)", &[0.0; 1536]).await;
    assert!(nothing.is_empty(), "nothing is near a vector without a direction");
    assert!(other_model.is_empty(), "vectors of different models do not meet");
}

#[tokio::test]
async fn a_limit_above_the_number_of_near_chunks_is_filled_with_far_chunks() {
    let route = DatabaseRoute::direct().await;
    let mut admin = route.admin().await;
    let tenant = seed::tenant(&mut admin, "mine", 8).await;
    store_document(&mut admin, &tenant, "en", 300, "'near'", UNIFORM_VECTOR).await;
    store_document(&mut admin, &tenant, "en", 6_000, "'far'", "array_fill(-0.1, array[1536])::vector").await;
    let found: Result<Vec<f64>, ApiError> = route
        .db(1)
        .tenant_tx(tenant.customer, async |tx| {
            let query = sqlx::query_scalar("select nearness from app.nearest_chunks($1, 'm', null, 320)");
            Ok(query.bind([0.1_f32; 1536]).fetch_all(tx).await?)
        })
        .await;
    let found = found.unwrap();
    assert_eq!((found.len(), found.iter().filter(|nearness| **nearness > 0.9).count()), (320, 300));
}

/// Stores a document of `chunks` chunks with vectors of 384 numbers, about forty subjects as texts are: the nearest of
/// vectors in all directions would be hardly nearer than the others.
async fn store_short_vectors(admin: &mut PgConnection, tenant: &SeededTenant, chunks: u32) {
    let SeededTenant { customer, company, .. } = tenant;
    let statement = format!(
        "with document as ( \
             insert into documents (customer_id, company_id, filename, bytes, storage_key, status, chunks) \
             values ('{customer}', '{company}', 'a.pdf', 1, gen_random_uuid()::text, 'processed', {chunks}) returning id \
         ), made as ( \
             select number, ( \
                 select array_agg(sin((number % 40 + 1) * place * place) + random() - 0.5) \
                 from generate_series(1, 384) place \
             )::vector(384) as vector \
             from generate_series(1, {chunks}) number \
         ) \
         insert into document_chunks (document_id, customer_id, chunk_index, page_start, page_end, text_chunk, \
             search_text, language, short_embedding, short_bits, embedding_model) \
         select id, '{customer}', number - 1, 1, 1, 'text', 'text', 'en', vector, binary_quantize(vector)::bit(384), 'm' \
         from document, made"
    );
    sqlx::raw_sql(AssertSqlSafe(statement)).execute(admin).await.unwrap();
}

#[tokio::test]
async fn vectors_of_384_numbers_find_nine_of_the_ten_nearest_chunks_of_their_tenant() {
    let route = DatabaseRoute::direct().await;
    let mut admin = route.admin().await;
    let tenant = seed::tenant(&mut admin, "mine", 8).await;
    let other = seed::tenant(&mut admin, "theirs", 8).await;
    sqlx::raw_sql("select setseed(0.5)").execute(&mut admin).await.unwrap();
    // So many chunks that those far from the question are left out before the sort.
    store_short_vectors(&mut admin, &tenant, 9_000).await;
    store_short_vectors(&mut admin, &tenant, 500).await;
    store_short_vectors(&mut admin, &other, 500).await;
    let question: Vec<f32> =
        (1..=384_i16).map(|place| (7.0 * f32::from(place).powi(2)).sin() + f32::from(place % 5 - 2) / 5.0).collect();
    let ids = async |tenant: &SeededTenant, sql: &'static str, question: &[f32]| -> Vec<Uuid> {
        let found: Result<_, ApiError> = route
            .db(1)
            .tenant_tx(tenant.customer, async |tx| Ok(sqlx::query_scalar(sql).bind(question).fetch_all(tx).await?))
            .await;
        found.unwrap()
    };
    const FOUND: &str = "select chunk_id from app.nearest_short_chunks($1, 'm', null, 10)";
    const NEAREST: &str = "select id from document_chunks order by short_embedding <=> $1::real[]::vector limit 10";
    for tenant in [&tenant, &other] {
        let (found, nearest) = (ids(tenant, FOUND, &question).await, ids(tenant, NEAREST, &question).await);
        let common = nearest.iter().filter(|id| found.contains(id)).count();
        assert!(common >= 9, "{common} of the nearest ten are found");
    }
    let small = "select chunk_id from app.nearest_short_chunks($1, 'm', (
        select array_agg(id) from documents where chunks = 500
    ), 10)";
    let small_nearest = "select id from document_chunks where document_id in (
        select id from documents where chunks = 500
    ) order by short_embedding <=> $1::real[]::vector limit 10";
    assert_eq!(ids(&tenant, small, &question).await, ids(&tenant, small_nearest, &question).await);
    let nothing = ids(&tenant, FOUND, &[0.0; 384]).await;
    assert!(nothing.is_empty(), "nothing is near a vector without a direction");
    let other_model = "select chunk_id from app.nearest_short_chunks($1, 'other', null, 10)";
    assert!(ids(&tenant, other_model, &question).await.is_empty(), "vectors of different models do not meet");
}

#[tokio::test]
async fn chunk_with_two_vectors_none_or_other_signs_is_refused() {
    let route = DatabaseRoute::direct().await;
    let mut admin = route.admin().await;
    let tenant = seed::tenant(&mut admin, "mine", 8).await;
    store_short_vectors(&mut admin, &tenant, 1).await;
    for (change, constraint) in [
        ("embedding = array_fill(0.1, array[1536])::vector", "document_chunks_one_embedding"),
        ("short_embedding = null, short_bits = null", "document_chunks_one_embedding"),
        ("short_bits = ~short_bits", "document_chunks_short_bits_of_embedding"),
        ("short_bits = null", "document_chunks_short_bits_of_embedding"),
    ] {
        let refused = sqlx::raw_sql(AssertSqlSafe(format!("update document_chunks set {change}")));
        let refused = refused.execute(&mut admin).await.unwrap_err();
        let name = refused.as_database_error().and_then(sqlx::error::DatabaseError::constraint);
        assert_eq!(name, Some(constraint), "{change}");
    }
}
