//! Re-embedding of a tenant's chunks by another model: answers before, during and after it, and interruptions.

use local::fakes::models::{FakeModels, FakeReply};
use serde_json::{Value, json};
use shared::{
    db::{Db, SystemDb},
    documents::{self, NewChunk, StoreOutcome},
    embeddings::Embedder,
    logging,
    reembedding::{self, BatchError, BatchOutcome, SwitchOutcome},
    settings::Settings,
    text::Language,
};
use uuid::Uuid;

use super::support::{App, TenantUser, small_pdf};

const QUESTION: &str = "How long does the delivery take?";
const TEXT: &str = "The delivery takes three days. The warranty lasts two years.";
const GEMINI: &str = "gemini:g-embed";
const OPENAI: &str = "openai:minilm";

/// A running app that is configured for OpenAI embeddings and has a key for Gemini too, and a tenant with a document.
struct ReembeddingFixture {
    app: App,
    tenant: TenantUser,
    gemini: FakeModels,
    openai: FakeModels,
    db: SystemDb,
}

impl ReembeddingFixture {
    async fn new() -> Self {
        let (gemini, openai) = (FakeModels::start().await.unwrap(), FakeModels::start().await.unwrap());
        let settings = settings(&gemini, &openai, "openai", "minilm");
        let settings: Vec<_> = settings.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let app = App::with_settings(&settings).await;
        let tenant = app.sign_up("Comptoir Baobab").await;
        app.sql("update user_settings set free_quota_limit = 1000").await;
        app.upload_and_process(&tenant, "guide.pdf", small_pdf(TEXT)).await;
        let db = system_db(&app);
        Self { app, tenant, gemini, openai, db }
    }

    fn embedder(&self, model: &str) -> Embedder {
        let (provider, id) = model.split_once(':').unwrap();
        embedder(settings(&self.gemini, &self.openai, provider, id))
    }

    async fn embed_next_batch(&self, model: &str) -> BatchOutcome {
        reembedding::embed_next_batch(&self.db, &self.embedder(model), self.id()).await.unwrap()
    }

    async fn switch_model(&self, model: &str) -> SwitchOutcome {
        switch_model(&self.db, model, self.id()).await
    }

    /// Embeds all chunks and switches the tenant, as `cargo re-embed` does.
    async fn re_embed(&self, model: &str) {
        re_embed(&self.db, &self.embedder(model), self.id()).await;
    }

    fn id(&self) -> Uuid {
        self.tenant.customer_id
    }

    async fn ask(&self) -> Value {
        self.app.ask(&self.tenant, QUESTION).await.data(200)
    }

    async fn assert_answered(&self) {
        let data = self.ask().await;
        assert_eq!((&data["answered"], &data["citations"][0]["filename"]), (&json!(true), &json!("guide.pdf")));
    }

    /// Counts the chunks that have a vector of this model.
    async fn chunks(&self, model: &str) -> i64 {
        self.app.number(&format!("select count(*) from document_chunks where embedding_model = '{model}'")).await
    }

    /// Counts the new vectors that are stored for the next switch.
    async fn pending_vectors(&self) -> i64 {
        self.app.number("select count(*) from reembedded_chunks").await
    }

    /// Inserts a processed document with this number of chunks, embedded by the tenant's model.
    async fn insert_document(&self, chunks: u32) {
        let id = self.id();
        let statement = format!(
            "with document as (
                 insert into documents (customer_id, company_id, filename, bytes, storage_key, status, chunks)
                 select uuid, company_id, 'long.pdf', 1, 'long', 'processed', {chunks}
                 from company_mapping where uuid = '{id}' returning id
             )
             insert into document_chunks (document_id, customer_id, chunk_index, page_start, page_end, text_chunk,
                 search_text, language, embedding, embedding_model)
             select document.id, '{id}', number, 1, 1, 'article ' || number, 'article', 'en',
                 array_fill(0.1, array[1536])::vector, tenant.embedding_model
             from document, customers tenant, generate_series(0, {chunks} - 1) as number where tenant.id = '{id}'"
        );
        self.app.sql(&statement).await;
    }
}

fn settings(gemini: &FakeModels, openai: &FakeModels, provider: &str, model: &str) -> Vec<(String, String)> {
    [
        ("EMBEDDING_PROVIDER", provider),
        ("LLM_PROVIDER", "extractive"),
        ("EMBEDDING_MODEL", model),
        ("GEMINI_API_KEY", "k"),
        ("GEMINI_BASE_URL", &gemini.base_url()),
        ("OPENAI_BASE_URL", &openai.base_url()),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .into()
}

fn embedder(settings: Vec<(String, String)>) -> Embedder {
    let mut settings = Settings::new(settings.into_iter().collect());
    let embedder = Embedder::read(&mut settings);
    settings.finish().unwrap();
    embedder
}

fn system_db(app: &App) -> SystemDb {
    let url = ("SYSTEM_DATABASE_URL".to_owned(), app.stack.database.system.clone());
    let connections = ("DATABASE_MAX_CONNECTIONS".to_owned(), "3".to_owned());
    let mut settings = Settings::new([url, connections].into());
    let db = SystemDb::read(&mut settings).with_operator_timeout();
    settings.finish().unwrap();
    db
}

async fn switch_model(db: &SystemDb, model: &str, tenant: Uuid) -> SwitchOutcome {
    let switched = reembedding::switch_model(db, model, tenant).await;
    switched.unwrap_or_else(|error| panic!("{}", logging::chain(&error)))
}

async fn re_embed(db: &SystemDb, embedder: &Embedder, tenant: Uuid) {
    loop {
        match reembedding::embed_next_batch(db, embedder, tenant).await.unwrap() {
            BatchOutcome::Ready
                if switch_model(db, embedder.model(), tenant).await != SwitchOutcome::MissingVectors =>
            {
                return;
            }
            BatchOutcome::Busy => tokio::task::yield_now().await,
            _ => {}
        }
    }
}

/// Counts the texts that a server was given to embed.
fn text_count(server: &FakeModels) -> usize {
    let lists = server.requests().into_iter().map(|body| body["input"].as_array().map_or(0, Vec::len));
    lists.sum()
}

#[tokio::test]
async fn questions_are_answered_before_during_and_after_a_model_switch() {
    let fixture = ReembeddingFixture::new().await;
    assert_eq!(fixture.chunks(OPENAI).await, 1);
    fixture.re_embed(GEMINI).await;
    assert_eq!((fixture.chunks(GEMINI).await, fixture.pending_vectors().await), (1, 0));

    // The app is configured for another model than the tenant's chunks have.
    let before = fixture.gemini.calls();
    fixture.assert_answered().await;
    assert_eq!(fixture.gemini.calls() - before, 1, "the question is embedded by the tenant's model");
    fixture.app.upload_and_process(&fixture.tenant, "more.pdf", small_pdf("Returns are free for two weeks.")).await;
    assert_eq!((fixture.chunks(GEMINI).await, fixture.chunks(OPENAI).await), (2, 0), "what is uploaded now, too");
    let answer = fixture.app.ask(&fixture.tenant, "Are returns free?").await.data(200);
    assert_eq!(answer["citations"][0]["filename"], "more.pdf");

    assert_eq!(fixture.embed_next_batch(OPENAI).await, BatchOutcome::Embedded { done: 2, total: 2 });
    assert_eq!(fixture.embed_next_batch(OPENAI).await, BatchOutcome::Ready);
    assert_eq!((fixture.chunks(GEMINI).await, fixture.pending_vectors().await), (2, 2));
    fixture.assert_answered().await;
    assert_eq!(fixture.switch_model(OPENAI).await, SwitchOutcome::Switched(2));
    assert_eq!(switch_model(&fixture.db, OPENAI, Uuid::new_v4()).await, SwitchOutcome::TenantNotFound);

    assert_eq!((fixture.chunks(OPENAI).await, fixture.pending_vectors().await), (2, 0));
    let switched = format!("select count(*) from customers where embedding_model = '{OPENAI}'");
    assert_eq!(fixture.app.number(&switched).await, 1);
    let before = fixture.gemini.calls();
    fixture.assert_answered().await;
    assert_eq!(fixture.gemini.calls(), before, "the former model is not asked any more");
    let left = fixture.db.system_tx(async |tx| Ok(reembedding::tenants_to_reembed(tx, OPENAI, Uuid::nil(), 10).await?));
    assert_eq!(left.await.unwrap().len(), 0);
    let audited = "select count(*) from audit_log where action = 'documents.reembedded'";
    assert_eq!(fixture.app.number(audited).await, 2);
}

#[tokio::test]
async fn questions_are_answered_during_repeated_model_switches() {
    let fixture = ReembeddingFixture::new().await;
    for model in [GEMINI, OPENAI].into_iter().cycle().take(24) {
        tokio::join!(fixture.assert_answered(), fixture.re_embed(model));
    }
}

#[tokio::test]
async fn a_killed_run_is_continued_by_the_next_run() {
    let fixture = ReembeddingFixture::new().await;
    fixture.re_embed(GEMINI).await;
    fixture.insert_document(249).await;
    let before = text_count(&fixture.openai);
    assert_eq!(fixture.embed_next_batch(OPENAI).await, BatchOutcome::Embedded { done: 96, total: 250 });

    fixture.openai.hold();
    tokio::select! {
        _ = fixture.embed_next_batch(OPENAI) => panic!("it is held"),
        () = fixture.openai.wait_for_held_request() => {}
    }
    fixture.openai.release();
    assert_eq!(fixture.pending_vectors().await, 96, "the batch under way is lost, and no other");

    fixture.re_embed(OPENAI).await;
    assert_eq!((fixture.chunks(OPENAI).await, fixture.pending_vectors().await), (250, 0));
    assert_eq!(text_count(&fixture.openai) - before, 250 + 96);
    fixture.assert_answered().await;
}

#[tokio::test]
async fn two_concurrent_runs_embed_each_text_once() {
    let fixture = ReembeddingFixture::new().await;
    fixture.re_embed(GEMINI).await;
    fixture.insert_document(249).await;
    let before = text_count(&fixture.openai);
    let (one, other) = (fixture.embedder(OPENAI), fixture.embedder(OPENAI));
    tokio::join!(re_embed(&fixture.db, &one, fixture.id()), re_embed(&fixture.db, &other, fixture.id()));
    assert_eq!((fixture.chunks(OPENAI).await, fixture.pending_vectors().await), (250, 0));
    assert_eq!(text_count(&fixture.openai) - before, 250, "no text is embedded twice");
    fixture.assert_answered().await;
}

#[tokio::test]
async fn documents_added_or_deleted_during_reembedding_end_with_correct_vectors() {
    let fixture = ReembeddingFixture::new().await;
    fixture.re_embed(GEMINI).await;
    fixture.app.upload_and_process(&fixture.tenant, "old.pdf", small_pdf("Shops are closed on Sundays.")).await;
    assert_eq!(fixture.embed_next_batch(OPENAI).await, BatchOutcome::Embedded { done: 2, total: 2 });

    let old = "select id from documents where filename = 'old.pdf'";
    let old: Uuid = sqlx::query_scalar(old).fetch_one(&mut fixture.app.admin_db().await).await.unwrap();
    fixture.app.delete(&format!("/api/v1/documents/{old}")).by(&fixture.tenant).await.json_body(204);
    assert_eq!(fixture.pending_vectors().await, 1, "its new vectors go with it");
    fixture.app.upload_and_process(&fixture.tenant, "new.pdf", small_pdf("Returns are free for two weeks.")).await;

    assert_eq!(fixture.switch_model(OPENAI).await, SwitchOutcome::MissingVectors, "one has no new vector yet");
    assert_eq!((fixture.chunks(GEMINI).await, fixture.pending_vectors().await), (2, 1), "so nothing has changed");
    fixture.assert_answered().await;
    fixture.re_embed(OPENAI).await;
    assert_eq!(
        (fixture.chunks(OPENAI).await, fixture.chunks(GEMINI).await, fixture.pending_vectors().await),
        (2, 0, 0)
    );
    let answer = fixture.app.ask(&fixture.tenant, "Are returns free?").await.data(200);
    assert_eq!(answer["citations"][0]["filename"], "new.pdf");
}

#[tokio::test]
async fn a_document_in_ingestion_restarts_after_a_model_switch() {
    let fixture = ReembeddingFixture::new().await;
    let mut settings = Settings::new([("DATABASE_URL".to_owned(), fixture.app.stack.database.app.clone())].into());
    let db = Db::read(&mut settings);
    let announce = format!(
        "insert into documents (customer_id, company_id, filename, bytes, storage_key)
         select uuid, company_id, 'new.pdf', 1, 'new' from company_mapping where uuid = '{}' returning id",
        fixture.id()
    );
    let announce = sqlx::query_scalar(sqlx::AssertSqlSafe(announce)).fetch_one(&mut fixture.app.admin_db().await).await;
    let document: Uuid = announce.unwrap();
    let begin = async || {
        let begun = db.tenant_tx(fixture.id(), async |tx| Ok(documents::begin(tx, document, OPENAI).await?));
        let begun = begun.await.unwrap().unwrap();
        let known = db.tenant_tx(fixture.id(), async |tx| Ok(documents::record_page_count(tx, document, 1, 1).await?));
        known.await.unwrap();
        begun
    };
    let store = async |model: &str, index| {
        let text = "Returns are free.".to_owned();
        let chunk = NewChunk { index, page_start: 1, page_end: 1, text, place: None, embedding: vec![0.1; 1536] };
        let stored = db.tenant_tx(fixture.id(), async |tx| {
            Ok(documents::store_chunks(tx, document, Language::English, model, &[chunk]).await?)
        });
        stored.await.unwrap()
    };
    let finish = async |model: &str| {
        let finished = db.tenant_tx(fixture.id(), async |tx| {
            Ok(documents::finish(tx, document, model, &[0; 32], Language::English, "", &[]).await?.0)
        });
        finished.await.unwrap()
    };

    let begun = begin().await;
    assert_eq!((begun.embedding_model.as_str(), begun.next_chunk), (OPENAI, 0));
    assert_eq!(store(OPENAI, 0).await, StoreOutcome::Stored);
    fixture.re_embed(GEMINI).await;
    assert_eq!(
        (fixture.chunks(GEMINI).await, fixture.chunks(OPENAI).await),
        (1, 1),
        "it is none of a processed document"
    );
    assert_eq!(store(OPENAI, 1).await, StoreOutcome::ModelChanged);
    assert_eq!(finish(OPENAI).await, StoreOutcome::ModelChanged);

    let begun = begin().await;
    assert_eq!((begun.embedding_model.as_str(), begun.next_chunk), (GEMINI, 0));
    assert_eq!(fixture.chunks(OPENAI).await, 0, "what it had is of no use");
    assert_eq!((store(GEMINI, 0).await, finish(GEMINI).await), (StoreOutcome::Stored, StoreOutcome::Stored));
    assert_eq!(
        (store(GEMINI, 1).await, finish(GEMINI).await),
        (StoreOutcome::DocumentGone, StoreOutcome::DocumentGone)
    );
    assert_eq!(fixture.chunks(GEMINI).await, 2);
}

#[tokio::test]
async fn when_the_former_model_fails_full_text_search_still_answers() {
    let fixture = ReembeddingFixture::new().await;
    fixture.re_embed(GEMINI).await;
    fixture.gemini.always(FakeReply::Refused { status: 401, retry_after_s: None });
    for _ in 0..3 {
        fixture.gemini.fail(401);
    }
    fixture.assert_answered().await;
    fixture.app.upload_and_process(&fixture.tenant, "more.pdf", small_pdf("Returns are free for two weeks.")).await;
    let answer = fixture.app.ask(&fixture.tenant, "Are returns free?").await.data(200);
    assert_eq!(answer["citations"][0]["filename"], "more.pdf");
}

#[tokio::test]
async fn when_the_former_model_is_not_configured_full_text_search_still_answers() {
    // This app uses the local embedder and has no key of any provider.
    let app = App::start().await;
    let tenant = app.sign_up("Comptoir Baobab").await;
    app.upload_and_process(&tenant, "guide.pdf", small_pdf(TEXT)).await;
    let server = FakeModels::start().await.unwrap();
    let db = system_db(&app);
    re_embed(&db, &embedder(settings(&server, &server, "gemini", "g-embed")), tenant.customer_id).await;

    let answer = app.ask(&tenant, QUESTION).await.data(200);
    assert_eq!((&answer["answered"], &answer["citations"][0]["filename"]), (&json!(true), &json!("guide.pdf")));
    app.upload_and_process(&tenant, "more.pdf", small_pdf("Returns are free for two weeks.")).await;
    let answer = app.ask(&tenant, "Are returns free?").await.data(200);
    assert_eq!(answer["citations"][0]["filename"], "more.pdf");
    let of_gemini = format!("select count(*) from document_chunks where embedding_model = '{GEMINI}'");
    assert_eq!(app.number(&of_gemini).await, 2);

    // Re-embedding with the configured model gives all chunks a usable vector again.
    let local = Embedder::read(&mut Settings::default());
    re_embed(&db, &local, tenant.customer_id).await;
    let with_direction = "select count(*) from document_chunks where vector_norm(embedding) > 0.9
        and embedding_model = 'local-ngram-1'";
    assert_eq!(app.number(with_direction).await, 2);
}

impl ReembeddingFixture {
    /// Counts the ledger's calls of this purpose and provider that cost something.
    async fn ledger_calls(&self, purpose: &str, provider: &str) -> i64 {
        self.app
            .number(&format!(
                "select count(*) from llm_calls where customer_id = '{}' and purpose = '{purpose}'
                     and provider = '{provider}' and status = 'ok' and cost_micros > 0",
                self.id()
            ))
            .await
    }
}

#[tokio::test]
async fn embedding_calls_are_in_the_cost_ledger_and_count_towards_the_spend_cap() {
    let fixture = ReembeddingFixture::new().await;
    assert_eq!(fixture.ledger_calls("ingest", "openai").await, 1);
    fixture.ask().await;
    assert_eq!(fixture.ledger_calls("query", "openai").await, 1);
    fixture.re_embed(GEMINI).await;
    assert_eq!(fixture.ledger_calls("reembed", "gemini").await, 1);
    let differs = "select count(*) from usage_periods
                   where spent_micros <> (select sum(cost_micros) from llm_calls) or spent_micros = 0";
    assert_eq!(fixture.app.number(differs).await, 0);
    let usage = fixture.app.get("/api/v1/billing/usage").by(&fixture.tenant).await.data(200);
    assert!(usage["models"]["prompt_tokens"].as_i64().unwrap() > 0, "{usage}");
}

#[tokio::test]
async fn nothing_is_embedded_for_a_tenant_that_has_reached_its_spend_cap() {
    let fixture = ReembeddingFixture::new().await;
    fixture.app.sql("update customers set spend_cap_micros = 1").await;
    let (openai, gemini) = (fixture.openai.calls(), fixture.gemini.calls());
    let more = fixture.app.upload(&fixture.tenant, "more.pdf", small_pdf("Returns are free for two weeks.")).await;
    let ended = fixture.app.wait_for_end_state(&fixture.tenant, more).await;
    assert_eq!((&ended["status"], &ended["error_code"]), (&json!("failed"), &json!("spend_cap_reached")), "{ended}");
    let refused = reembedding::embed_next_batch(&fixture.db, &fixture.embedder(GEMINI), fixture.id()).await;
    assert!(matches!(refused, Err(BatchError::SpendCapReached(_))), "{refused:?}");
    fixture.app.ask(&fixture.tenant, QUESTION).await.refused(402, "plan_limit");
    assert_eq!((fixture.openai.calls(), fixture.gemini.calls()), (openai, gemini));
    fixture.app.sql("update customers set spend_cap_micros = null").await;
    fixture.assert_answered().await;
}
