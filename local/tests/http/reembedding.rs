//! Chunks that are embedded anew by another model: answers before, meanwhile and after, and what comes between.

use local::fakes::models::{FakeModels, FakeReply};
use serde_json::{Value, json};
use shared::{
    db::{Db, SystemDb},
    documents::{self, NewChunk, StoreOutcome},
    embeddings::Embedder,
    error::ApiError,
    logging,
    reembedding::{self, BatchOutcome, SwitchOutcome},
    settings::Settings,
    text::Language,
};
use uuid::Uuid;

use super::support::{App, Tenant, small_pdf};

const QUESTION: &str = "How long does the delivery take?";
const TEXT: &str = "The delivery takes three days. The warranty lasts two years.";
const GEMINI: &str = "gemini:g-embed";
const OPENAI: &str = "openai:minilm";

/// A product that is set to OpenAI's shape and reaches Gemini's too, with a tenant that has a document.
struct Scene {
    app: App,
    tenant: Tenant,
    gemini: FakeModels,
    openai: FakeModels,
    db: SystemDb,
}

impl Scene {
    async fn new() -> Self {
        let (gemini, openai) = (FakeModels::start().await.unwrap(), FakeModels::start().await.unwrap());
        let settings = settings(&gemini, &openai, "openai", "minilm");
        let settings: Vec<_> = settings.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let app = App::with(&settings).await;
        let tenant = app.sign_up("Comptoir Baobab").await;
        app.sql("update user_settings set free_quota_limit = 1000").await;
        app.learn(&tenant, "guide.pdf", small_pdf(TEXT)).await;
        let db = system_db(&app);
        Self { app, tenant, gemini, openai, db }
    }

    fn embedder(&self, model: &str) -> Embedder {
        let (provider, id) = model.split_once(':').unwrap();
        embedder(settings(&self.gemini, &self.openai, provider, id))
    }

    async fn step(&self, model: &str) -> BatchOutcome {
        reembedding::embed_next_batch(&self.db, &self.embedder(model), self.id()).await.unwrap()
    }

    async fn go_over(&self, model: &str) -> SwitchOutcome {
        go_over(&self.db, model, self.id()).await
    }

    /// All of it, as `cargo re-embed` does.
    async fn re_embed(&self, model: &str) {
        re_embed(&self.db, &self.embedder(model), self.id()).await;
    }

    fn id(&self) -> Uuid {
        self.tenant.customer_id
    }

    async fn ask(&self) -> Value {
        self.app.ask(&self.tenant, QUESTION).await.data(200)
    }

    async fn is_answered(&self) {
        let data = self.ask().await;
        assert_eq!((&data["answered"], &data["citations"][0]["filename"]), (&json!(true), &json!("guide.pdf")));
    }

    /// So many chunks of the tenant have this model.
    async fn chunks(&self, model: &str) -> i64 {
        self.app.number(&format!("select count(*) from document_chunks where embedding_model = '{model}'")).await
    }

    async fn waiting(&self) -> i64 {
        self.app.number("select count(*) from reembedded_chunks").await
    }

    /// A processed document with so many chunks of the tenant's model.
    async fn have(&self, chunks: u32) {
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

async fn go_over(db: &SystemDb, model: &str, tenant: Uuid) -> SwitchOutcome {
    let moved = reembedding::switch_model(db, model, tenant).await;
    moved.unwrap_or_else(|error| panic!("{}", logging::chain(&error)))
}

async fn re_embed(db: &SystemDb, embedder: &Embedder, tenant: Uuid) {
    loop {
        match reembedding::embed_next_batch(db, embedder, tenant).await.unwrap() {
            BatchOutcome::Ready if go_over(db, embedder.model(), tenant).await != SwitchOutcome::MissingVectors => {
                return;
            }
            BatchOutcome::Busy => tokio::task::yield_now().await,
            _ => {}
        }
    }
}

/// The texts that a server was given to embed.
fn texts(server: &FakeModels) -> usize {
    let lists = server.requests().into_iter().map(|body| body["input"].as_array().map_or(0, Vec::len));
    lists.sum()
}

#[tokio::test]
async fn a_tenant_is_answered_before_meanwhile_and_after() {
    let scene = Scene::new().await;
    assert_eq!(scene.chunks(OPENAI).await, 1);
    scene.re_embed(GEMINI).await;
    assert_eq!((scene.chunks(GEMINI).await, scene.waiting().await), (1, 0));

    // The product is set to another model than the tenant's chunks have.
    let before = scene.gemini.calls();
    scene.is_answered().await;
    assert_eq!(scene.gemini.calls() - before, 1, "the question is embedded by the tenant's model");
    scene.app.learn(&scene.tenant, "more.pdf", small_pdf("Returns are free for two weeks.")).await;
    assert_eq!((scene.chunks(GEMINI).await, scene.chunks(OPENAI).await), (2, 0), "what is uploaded now, too");
    let answer = scene.app.ask(&scene.tenant, "Are returns free?").await.data(200);
    assert_eq!(answer["citations"][0]["filename"], "more.pdf");

    assert_eq!(scene.step(OPENAI).await, BatchOutcome::Embedded { done: 2, total: 2 });
    assert_eq!(scene.step(OPENAI).await, BatchOutcome::Ready);
    assert_eq!((scene.chunks(GEMINI).await, scene.waiting().await), (2, 2));
    scene.is_answered().await;
    assert_eq!(scene.go_over(OPENAI).await, SwitchOutcome::Switched(2));
    assert_eq!(go_over(&scene.db, OPENAI, Uuid::new_v4()).await, SwitchOutcome::TenantNotFound);

    assert_eq!((scene.chunks(OPENAI).await, scene.waiting().await), (2, 0));
    let gone_over = format!("select count(*) from customers where embedding_model = '{OPENAI}'");
    assert_eq!(scene.app.number(&gone_over).await, 1);
    let before = scene.gemini.calls();
    scene.is_answered().await;
    assert_eq!(scene.gemini.calls(), before, "the former model is not asked any more");
    let left = scene
        .db
        .system_tx(async |tx| Ok::<_, ApiError>(reembedding::tenants_to_reembed(tx, OPENAI, Uuid::nil(), 10).await?));
    assert_eq!(left.await.unwrap().len(), 0);
    let audited = "select count(*) from audit_log where action = 'documents.reembedded'";
    assert_eq!(scene.app.number(audited).await, 2);
}

#[tokio::test]
async fn questions_find_something_however_often_their_tenant_goes_over() {
    let scene = Scene::new().await;
    for model in [GEMINI, OPENAI].into_iter().cycle().take(24) {
        tokio::join!(scene.is_answered(), scene.re_embed(model));
    }
}

#[tokio::test]
async fn a_run_that_is_killed_is_followed_by_one_that_goes_on() {
    let scene = Scene::new().await;
    scene.re_embed(GEMINI).await;
    scene.have(249).await;
    let before = texts(&scene.openai);
    assert_eq!(scene.step(OPENAI).await, BatchOutcome::Embedded { done: 96, total: 250 });

    scene.openai.hold();
    tokio::select! {
        _ = scene.step(OPENAI) => panic!("it is held"),
        () = scene.openai.wait_for_held_request() => {}
    }
    scene.openai.release();
    assert_eq!(scene.waiting().await, 96, "the batch under way is lost, and no other");

    scene.re_embed(OPENAI).await;
    assert_eq!((scene.chunks(OPENAI).await, scene.waiting().await), (250, 0));
    assert_eq!(texts(&scene.openai) - before, 250 + 96);
    scene.is_answered().await;
}

#[tokio::test]
async fn two_runs_at_once_share_the_work() {
    let scene = Scene::new().await;
    scene.re_embed(GEMINI).await;
    scene.have(249).await;
    let before = texts(&scene.openai);
    let (one, other) = (scene.embedder(OPENAI), scene.embedder(OPENAI));
    tokio::join!(re_embed(&scene.db, &one, scene.id()), re_embed(&scene.db, &other, scene.id()));
    assert_eq!((scene.chunks(OPENAI).await, scene.waiting().await), (250, 0));
    assert_eq!(texts(&scene.openai) - before, 250, "no text is embedded twice");
    scene.is_answered().await;
}

#[tokio::test]
async fn documents_that_come_and_go_meanwhile_come_out_right() {
    let scene = Scene::new().await;
    scene.re_embed(GEMINI).await;
    scene.app.learn(&scene.tenant, "old.pdf", small_pdf("Shops are closed on Sundays.")).await;
    assert_eq!(scene.step(OPENAI).await, BatchOutcome::Embedded { done: 2, total: 2 });

    let old = "select id from documents where filename = 'old.pdf'";
    let old: Uuid = sqlx::query_scalar(old).fetch_one(&mut scene.app.admin_db().await).await.unwrap();
    scene.app.delete(&format!("/api/v1/documents/{old}")).by(&scene.tenant).await.bare(204);
    assert_eq!(scene.waiting().await, 1, "its new vectors go with it");
    scene.app.learn(&scene.tenant, "new.pdf", small_pdf("Returns are free for two weeks.")).await;

    assert_eq!(scene.go_over(OPENAI).await, SwitchOutcome::MissingVectors, "one has no new vector yet");
    assert_eq!((scene.chunks(GEMINI).await, scene.waiting().await), (2, 1), "so nothing has changed");
    scene.is_answered().await;
    scene.re_embed(OPENAI).await;
    assert_eq!((scene.chunks(OPENAI).await, scene.chunks(GEMINI).await, scene.waiting().await), (2, 0, 0));
    let answer = scene.app.ask(&scene.tenant, "Are returns free?").await.data(200);
    assert_eq!(answer["citations"][0]["filename"], "new.pdf");
}

#[tokio::test]
async fn a_document_that_is_being_read_when_its_tenant_goes_over_begins_anew() {
    let scene = Scene::new().await;
    let mut settings = Settings::new([("DATABASE_URL".to_owned(), scene.app.stack.database.app.clone())].into());
    let db = Db::read(&mut settings);
    let announce = format!(
        "insert into documents (customer_id, company_id, filename, bytes, storage_key)
         select uuid, company_id, 'new.pdf', 1, 'new' from company_mapping where uuid = '{}' returning id",
        scene.id()
    );
    let announce = sqlx::query_scalar(sqlx::AssertSqlSafe(announce)).fetch_one(&mut scene.app.admin_db().await).await;
    let document: Uuid = announce.unwrap();
    let begin = async || {
        let begun =
            db.tenant_tx(scene.id(), async |tx| Ok::<_, ApiError>(documents::begin(tx, document, OPENAI).await?));
        let begun = begun.await.unwrap().unwrap();
        let known = db.tenant_tx(scene.id(), async |tx| {
            Ok::<_, ApiError>(documents::record_page_count(tx, document, 1, 1).await?)
        });
        known.await.unwrap();
        begun
    };
    let store = async |model: &str, index| {
        let text = "Returns are free.".to_owned();
        let chunk = NewChunk { index, page_start: 1, page_end: 1, text, embedding: vec![0.1; 1536] };
        let stored = db.tenant_tx(scene.id(), async |tx| {
            Ok::<_, ApiError>(documents::store_chunks(tx, document, Language::English, model, &[chunk]).await?)
        });
        stored.await.unwrap()
    };
    let finish = async |model: &str| {
        let finished = db.tenant_tx(scene.id(), async |tx| {
            Ok::<_, ApiError>(documents::finish(tx, document, model, &[0; 32], Language::English, "", &[]).await?)
        });
        finished.await.unwrap()
    };

    let begun = begin().await;
    assert_eq!((begun.embedding_model.as_str(), begun.next_chunk), (OPENAI, 0));
    assert_eq!(store(OPENAI, 0).await, StoreOutcome::Stored);
    scene.re_embed(GEMINI).await;
    assert_eq!((scene.chunks(GEMINI).await, scene.chunks(OPENAI).await), (1, 1), "it is none of a processed document");
    assert_eq!(store(OPENAI, 1).await, StoreOutcome::ModelChanged);
    assert_eq!(finish(OPENAI).await, StoreOutcome::ModelChanged);

    let begun = begin().await;
    assert_eq!((begun.embedding_model.as_str(), begun.next_chunk), (GEMINI, 0));
    assert_eq!(scene.chunks(OPENAI).await, 0, "what it had is of no use");
    assert_eq!((store(GEMINI, 0).await, finish(GEMINI).await), (StoreOutcome::Stored, StoreOutcome::Stored));
    assert_eq!(
        (store(GEMINI, 1).await, finish(GEMINI).await),
        (StoreOutcome::DocumentGone, StoreOutcome::DocumentGone)
    );
    assert_eq!(scene.chunks(GEMINI).await, 2);
}

#[tokio::test]
async fn where_the_former_model_fails_full_text_goes_on_finding() {
    let scene = Scene::new().await;
    scene.re_embed(GEMINI).await;
    scene.gemini.always(FakeReply::Refused { status: 401, retry_after_s: None });
    for _ in 0..3 {
        scene.gemini.fail(401);
    }
    scene.is_answered().await;
    scene.app.learn(&scene.tenant, "more.pdf", small_pdf("Returns are free for two weeks.")).await;
    let answer = scene.app.ask(&scene.tenant, "Are returns free?").await.data(200);
    assert_eq!(answer["citations"][0]["filename"], "more.pdf");
}

#[tokio::test]
async fn where_the_former_model_is_out_of_reach_full_text_goes_on_finding() {
    // Set to the local embedder, without a key of any provider.
    let app = App::start().await;
    let tenant = app.sign_up("Comptoir Baobab").await;
    app.learn(&tenant, "guide.pdf", small_pdf(TEXT)).await;
    let server = FakeModels::start().await.unwrap();
    let db = system_db(&app);
    re_embed(&db, &embedder(settings(&server, &server, "gemini", "g-embed")), tenant.customer_id).await;

    let answer = app.ask(&tenant, QUESTION).await.data(200);
    assert_eq!((&answer["answered"], &answer["citations"][0]["filename"]), (&json!(true), &json!("guide.pdf")));
    app.learn(&tenant, "more.pdf", small_pdf("Returns are free for two weeks.")).await;
    let answer = app.ask(&tenant, "Are returns free?").await.data(200);
    assert_eq!(answer["citations"][0]["filename"], "more.pdf");
    let of_gemini = format!("select count(*) from document_chunks where embedding_model = '{GEMINI}'");
    assert_eq!(app.number(&of_gemini).await, 2);

    // And all of it is found by vectors again, once it is embedded by what is set.
    let local = Embedder::read(&mut Settings::default());
    re_embed(&db, &local, tenant.customer_id).await;
    let with_direction = "select count(*) from document_chunks where vector_norm(embedding) > 0.9
        and embedding_model = 'local-ngram-1'";
    assert_eq!(app.number(with_direction).await, 2);
}
