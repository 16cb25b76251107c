//! Loads the generated data into the database. Existing documents are skipped, so that an interrupted run can be
//! continued.

use std::{collections::HashSet, sync::Arc, time::Instant};

use anyhow::{Context, Result, ensure};
use shared::text;
use sqlx::{AssertSqlSafe, Connection, PgConnection};
use tokio::task::JoinSet;
use uuid::Uuid;

use super::{
    chunk_generator::ChunkGenerator,
    plan::{self, PlannedDocument},
    vectors::Vectors,
};
use crate::{bench::figures::table, eval::set::QuestionSet, random::SplitMix64};

/// The approximate number of chunks per transaction.
const BATCH: usize = 1_000;
/// The number of writing connections.
const WRITERS: usize = 4;

/// The data to load.
pub(super) struct Dataset {
    pub(super) seed: u64,
    pub(super) sizes: Vec<usize>,
    /// The question sets. Tenants use them in turns, one set each.
    pub(super) sets: Vec<QuestionSet>,
    pub(super) vectors: Vectors,
}

impl Dataset {
    pub(super) fn set(&self, tenant: usize) -> &QuestionSet {
        &self.sets[tenant % self.sets.len()]
    }

    /// The description of the data, stored in the database to recognize a folder with other data.
    fn name(&self) -> String {
        let sets: Vec<_> = self.sets.iter().map(|set| set.name.as_str()).collect();
        let chunks: usize = self.sizes.iter().sum();
        format!(
            "seed {}, {chunks} chunks, {} tenants, {}, {}",
            self.seed,
            self.sizes.len(),
            sets.join(" and "),
            self.vectors.model()
        )
    }

    /// Loads missing data.
    ///
    /// # Errors
    /// Fails when the database holds other data.
    pub(super) async fn run(self: &Arc<Self>, admin_url: &str) -> Result<()> {
        let mut admin = PgConnection::connect(admin_url).await?;
        sqlx::raw_sql(
            "create schema if not exists bench;
             create table if not exists bench.load (name text not null, done boolean not null default false);
             create table if not exists bench.indexes (definition text not null);",
        )
        .execute(&mut admin)
        .await?;
        let known: Option<(String, bool)> =
            sqlx::query_as("select name, done from bench.load").fetch_optional(&mut admin).await?;
        if let Some((name, is_done)) = known {
            ensure!(
                name == self.name(),
                "the folder holds {name}: name another with --data, or start over with --reset"
            );
            if is_done {
                eprintln!("  {name}: loaded already");
                return Ok(());
            }
        } else {
            self.begin(&mut admin).await?;
        }
        let started = Instant::now();
        self.write(&mut admin, admin_url).await?;
        eprintln!("  written in {:.0} s", started.elapsed().as_secs_f64());
        self.finish(&mut admin).await?;
        eprintln!("  with indexes in {:.0} s", started.elapsed().as_secs_f64());
        Ok(())
    }

    /// Creates the tenants, and drops the indexes of `document_chunks`: creating them after the load is faster.
    async fn begin(&self, admin: &mut PgConnection) -> Result<()> {
        let tenants: Vec<Uuid> = (0..self.sizes.len()).map(|place| plan::tenant(self.seed, place)).collect();
        let mut tx = admin.begin().await?;
        sqlx::query("insert into bench.load (name) values ($1)").bind(self.name()).execute(&mut *tx).await?;
        for statement in [
            "insert into users (id, email) select id, id || '@example.com' from unnest($1::uuid[]) id",
            "insert into customers (id, user_id, name, plan_id)
                select id, id, 'Bench', (select plans.id from plans where name = 'business') from unnest($1::uuid[]) id",
            "insert into company_mapping (uuid, company_id, user_id) select id, id, id from unnest($1::uuid[]) id",
        ] {
            sqlx::query(statement).bind(&tenants).execute(&mut *tx).await?;
        }
        sqlx::raw_sql(
            "insert into bench.indexes
             select pg_get_indexdef(indexrelid) from pg_index
             where indrelid = 'document_chunks'::regclass and not indisunique;
             do $$
             declare
                 name regclass;
             begin
                 for name in select indexrelid from pg_index
                     where indrelid = 'document_chunks'::regclass and not indisunique loop
                     execute format('drop index %s', name);
                 end loop;
             end
             $$",
        )
        .execute(&mut *tx)
        .await?;
        tx.commit().await?;
        Ok(())
    }

    async fn write(self: &Arc<Self>, admin: &mut PgConnection, admin_url: &str) -> Result<()> {
        let known: Vec<Uuid> = sqlx::query_scalar("select id from documents").fetch_all(admin).await?;
        let known: HashSet<Uuid> = known.into_iter().collect();
        let all = plan::documents(self.seed, &self.sizes);
        let missing: Vec<_> = all.into_iter().filter(|document| !known.contains(&document.id)).collect();
        let chunks: usize = missing.iter().map(|document| document.chunks).sum();
        eprintln!("  {}: {} documents with {chunks} chunks to write", self.name(), missing.len());

        let mut batches = vec![Vec::new(); WRITERS];
        for (place, document) in missing.into_iter().enumerate() {
            batches[place % WRITERS].push(document);
        }
        let mut writing = JoinSet::new();
        for documents in batches {
            let (load, url) = (Arc::clone(self), admin_url.to_owned());
            writing.spawn(async move { load.write_some(documents, &url).await });
        }
        while let Some(written) = writing.join_next().await {
            written??;
        }
        Ok(())
    }

    async fn write_some(self: Arc<Self>, documents: Vec<PlannedDocument>, admin_url: &str) -> Result<()> {
        let mut connection = PgConnection::connect(admin_url).await?;
        // Skips foreign key checks and triggers: the keys are correct by construction, and nobody bills these
        // tenants.
        sqlx::raw_sql("set session_replication_role = replica; set synchronous_commit = off")
            .execute(&mut connection)
            .await?;
        let texts: Vec<_> = self.sets.iter().map(|set| ChunkGenerator::new(&set.contexts)).collect();
        let mut rest = documents.as_slice();
        while !rest.is_empty() {
            let mut chunks = 0;
            let fitting = rest.iter().take_while(|document| {
                let is_first = chunks == 0;
                chunks += document.chunks;
                is_first || chunks <= BATCH
            });
            let (batch, after) = rest.split_at(fitting.count());
            rest = after;
            let mut rows = CopyRows::new();
            let mut languages = Vec::new();
            for document in batch {
                let set = document.tenant % self.sets.len();
                languages.push(self.rows(document, &texts[set], &mut rows)?);
            }
            self.store(&mut connection, batch, languages, rows).await?;
        }
        connection.close().await?;
        Ok(())
    }

    /// Generates the rows of a document's chunks. Returns the document's language.
    fn rows(&self, document: &PlannedDocument, texts: &ChunkGenerator, rows: &mut CopyRows) -> Result<&'static str> {
        let mut random = SplitMix64::for_object(self.seed, "chunks", document.number);
        let chunks: Vec<_> = (0..document.chunks).map(|_| texts.chunk(&mut random)).collect();
        let language = text::detect_language(
            &chunks.iter().take(5).map(|chunk| chunk.text.as_str()).collect::<Vec<_>>().join(" "),
        );
        let set = document.tenant % self.sets.len();
        let tenant = plan::tenant(self.seed, document.tenant);
        for (index, chunk) in chunks.iter().enumerate() {
            let index = i32::try_from(index)?;
            rows.begin(if self.vectors.are_short() { 12 } else { 11 });
            rows.bytes(random.uuid().as_bytes());
            rows.bytes(document.id.as_bytes());
            rows.bytes(tenant.as_bytes());
            for number in [index, 1 + index / 3, 1 + index / 3] {
                rows.bytes(&number.to_be_bytes());
            }
            for value in [chunk.text.as_str(), &text::fold(&chunk.text), language.as_str(), self.vectors.model()] {
                rows.bytes(value.as_bytes());
            }
            let vector = self.vectors.chunk(set, chunk, &mut random);
            rows.vector(&vector);
            if self.vectors.are_short() {
                rows.signs(&vector);
            }
        }
        Ok(language.as_str())
    }

    async fn store(
        &self,
        connection: &mut PgConnection,
        documents: &[PlannedDocument],
        languages: Vec<&'static str>,
        rows: CopyRows,
    ) -> Result<()> {
        let ids: Vec<_> = documents.iter().map(|document| document.id).collect();
        let tenants: Vec<_> = documents.iter().map(|document| plan::tenant(self.seed, document.tenant)).collect();
        let chunks: Vec<_> = documents.iter().map(|document| document.chunks as i32).collect();
        let mut tx = connection.begin().await?;
        sqlx::query(
            "insert into documents (id, customer_id, company_id, filename, status, bytes, storage_key, language,
                 embedding_model, pages_total, pages_done, chunks, processed_at)
             select id, tenant, tenant::text, id || '.pdf', 'processed', 1000 * chunks, id, language, $5,
                 chunks / 3 + 1, chunks / 3 + 1, chunks, now()
             from unnest($1::uuid[], $2::uuid[], $3::integer[], $4::text[]) new (id, tenant, chunks, language)",
        )
        .bind(&ids)
        .bind(&tenants)
        .bind(&chunks)
        .bind(&languages)
        .bind(self.vectors.model())
        .execute(&mut *tx)
        .await?;
        let statement = if self.vectors.are_short() {
            "copy document_chunks (id, document_id, customer_id, chunk_index, page_start, page_end, text_chunk,
                 search_text, language, embedding_model, short_embedding, short_bits) from stdin (format binary)"
        } else {
            "copy document_chunks (id, document_id, customer_id, chunk_index, page_start, page_end, text_chunk,
                 search_text, language, embedding_model, embedding) from stdin (format binary)"
        };
        let mut copy = tx.copy_in_raw(statement).await?;
        copy.send(rows.finish()).await?;
        copy.finish().await?;
        tx.commit().await?;
        Ok(())
    }

    /// Creates the indexes again, and vacuums as autovacuum would have done.
    async fn finish(&self, admin: &mut PgConnection) -> Result<()> {
        let definitions: Vec<String> =
            sqlx::query_scalar("select definition from bench.indexes").fetch_all(&mut *admin).await?;
        sqlx::raw_sql("set maintenance_work_mem = '1GB'").execute(&mut *admin).await?;
        for definition in definitions {
            let started = Instant::now();
            let mut tx = admin.begin().await?;
            sqlx::query("delete from bench.indexes where definition = $1").bind(&definition).execute(&mut *tx).await?;
            sqlx::raw_sql(AssertSqlSafe(definition.clone()))
                .execute(&mut *tx)
                .await
                .context("an index cannot be created")?;
            tx.commit().await?;
            eprintln!("  {:.0} s: {definition}", started.elapsed().as_secs_f64());
        }
        sqlx::raw_sql("vacuum (analyze) documents, document_chunks").execute(&mut *admin).await?;
        sqlx::raw_sql("checkpoint; update bench.load set done = true").execute(&mut *admin).await?;
        Ok(())
    }
}

/// Prints the description of the data and the sizes of the table and its indexes.
pub(super) async fn describe(load: &Dataset, admin: &mut PgConnection) -> Result<()> {
    let name = load.name();
    println!("{name}.\n");
    let rows: Vec<(String, i64)> = sqlx::query_as(
        "select 'table', pg_relation_size(oid) from pg_class where oid = 'document_chunks'::regclass
         union all
         select 'vectors, beside it', pg_total_relation_size(reltoastrelid) from pg_class
         where oid = 'document_chunks'::regclass
         union all
         select indexrelid::regclass::text, pg_relation_size(indexrelid) from pg_index
         where indrelid = 'document_chunks'::regclass",
    )
    .fetch_all(admin)
    .await?;
    let rows: Vec<_> = rows.into_iter().map(|(part, bytes)| vec![part, format!("{}", bytes / 1_000_000)]).collect();
    table(&["document_chunks", "MB"], &rows);
    Ok(())
}

/// Rows in the binary format of `COPY`.
struct CopyRows(Vec<u8>);

impl CopyRows {
    fn new() -> Self {
        // The signature, no flags, no header extension.
        Self([b"PGCOPY\n\xff\r\n\0".as_slice(), &[0; 8]].concat())
    }

    fn begin(&mut self, columns: i16) {
        self.0.extend(columns.to_be_bytes());
    }

    fn bytes(&mut self, value: &[u8]) {
        self.0.extend((value.len() as i32).to_be_bytes());
        self.0.extend(value);
    }

    /// Appends a vector in pgvector's binary format: the length, two unused bytes, the numbers.
    fn vector(&mut self, numbers: &[f32]) {
        self.0.extend((4 + 4 * numbers.len() as i32).to_be_bytes());
        self.0.extend((numbers.len() as i16).to_be_bytes());
        self.0.extend([0; 2]);
        numbers.iter().for_each(|number| self.0.extend(number.to_be_bytes()));
    }

    /// Appends the signs of a vector in the binary format of `bit`: the number of bits, then the bits, first bit first.
    /// A bit is 1 where a number is greater than 0, as `binary_quantize` has it.
    fn signs(&mut self, numbers: &[f32]) {
        self.0.extend((4 + numbers.len().div_ceil(8) as i32).to_be_bytes());
        self.0.extend((numbers.len() as i32).to_be_bytes());
        for eight in numbers.chunks(8) {
            let bits = eight.iter().enumerate().map(|(place, number)| u8::from(*number > 0.0) << (7 - place));
            self.0.push(bits.sum());
        }
    }

    fn finish(mut self) -> Vec<u8> {
        self.0.extend((-1_i16).to_be_bytes());
        self.0
    }
}
