//! Measures the latency of searches per tenant size, alone and beside a noisy neighbour, and the recall of
//! approximate search.

use std::{
    fs,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Instant,
};

use anyhow::{Context, Result, ensure};
use nix::sys::{
    resource::{UsageWho, getrusage},
    time::TimeVal,
};
use shared::{
    db::Db,
    retrieval::{self, HybridQuery, MAX_CANDIDATES_PER_SEARCH},
    settings::{Settings, SettingsMap},
    text::{self, Language},
};
use sqlx::{AssertSqlSafe, Connection, PgConnection};
use tokio::task::JoinSet;
use uuid::Uuid;

use super::{Arguments, dataset::Dataset, plan, vectors::Vectors};
use crate::{
    bench::figures::{Sample, table},
    environment::DatabaseUrls,
};

/// The upper limits of the tenants' size classes, in chunks.
const SIZES: [usize; 4] = [1_000, 10_000, 50_000, 200_000];
/// The maximum number of tenants searched per size class.
const MAX_TENANTS_PER_CLASS: usize = 20;
/// The number of passages that the function `query` retrieves, and the k of recall@k.
const MAX_PASSAGES: i32 = 10;

/// The budgets of searches beside a neighbour: size class, median and 95th percentile in milliseconds.
const BUDGETS: [(usize, Option<f64>, f64); 4] =
    [(1_000, Some(15.0), 50.0), (10_000, Some(15.0), 50.0), (50_000, Some(15.0), 50.0), (200_000, None, 120.0)];
const MIN_RECALL: f64 = 0.98;

/// A timed operation.
#[derive(Clone, Copy, PartialEq)]
enum TimedOperation {
    /// A tenant's transaction with `select 1`, the baseline of the others.
    Nothing,
    Search,
    FullText,
    Vectors,
}

const PARTS: [(TimedOperation, &str); 4] = [
    (TimedOperation::Nothing, "`select 1`"),
    (TimedOperation::Search, "search"),
    (TimedOperation::FullText, "full text alone"),
    (TimedOperation::Vectors, "vectors alone"),
];

/// A question with the tenant that it is asked for.
struct TenantQuestion {
    tenant: Uuid,
    text: String,
    language: Language,
    embedding: Vec<f32>,
    model: EmbeddingModel,
}

/// The embedding model of the stored vectors.
#[derive(Clone, Copy)]
struct EmbeddingModel {
    name: &'static str,
    weight: f64,
    /// The statement that finds the nearest chunks as the product does.
    nearest: &'static str,
    /// The statement that compares the question with every chunk of the tenant.
    all_compared: &'static str,
}

impl EmbeddingModel {
    fn of(vectors: &Vectors) -> Self {
        let (nearest, all_compared) = if vectors.are_short() {
            (
                "select chunk_id, nearness from app.nearest_short_chunks($1, $2, null, $3)",
                "select id, 1 - (short_embedding <=> $1::real[]::vector) as nearness from document_chunks
                 where customer_id = $2 and embedding_model = $3
                 order by short_embedding <=> $1::real[]::vector limit $4",
            )
        } else {
            (
                "select chunk_id, nearness from app.nearest_chunks($1, $2, null, $3)",
                "select id, 1 - (embedding <=> $1::real[]::vector) as nearness from document_chunks
                 where customer_id = $2 and embedding_model = $3
                 order by embedding <=> $1::real[]::vector limit $4",
            )
        };
        Self { name: vectors.model(), weight: vectors.weight(), nearest, all_compared }
    }
}

/// A size class of tenants, with the questions for them.
struct SizeClass {
    max_chunks: usize,
    questions: Vec<TenantQuestion>,
}

/// Measures and prints. Returns the figures over budget.
///
/// # Errors
/// Fails when a search fails.
pub(super) async fn run(arguments: &Arguments, load: &Arc<Dataset>, database: &DatabaseUrls) -> Result<Vec<String>> {
    let classes = classes(load, arguments.searches);
    let db = connect(database)?;
    warm_up(&db, &classes).await;
    let alone = time(&db, &classes).await?;
    println!("Alone:\n");
    print(&classes, &alone);

    let mut neighbours = JoinSet::new();
    let searched = Arc::new(AtomicUsize::new(0));
    for number in 0..arguments.neighbours {
        let noise = search_repeatedly(connect(database)?, Arc::clone(load), Arc::clone(&searched), number);
        neighbours.spawn(noise);
    }
    let started = Instant::now();
    let beside = time(&db, &classes).await?;
    let rate = searched.load(Ordering::Relaxed) as f64 / started.elapsed().as_secs_f64();
    if let Some(ended) = neighbours.try_join_next() {
        ended??;
    }
    neighbours.shutdown().await;
    println!("Beside {} that search the largest tenant {rate:.0} times a second:\n", arguments.neighbours);
    print(&classes, &beside);

    let mut misses = Vec::new();
    for (class, samples) in classes.iter().zip(&beside) {
        let budget = BUDGETS.into_iter().find(|(most, _, _)| *most == class.max_chunks);
        let (Some((most, median, p95)), Some(sample)) = (budget, samples.get(1)) else { continue };
        let (p50_ms, p95_ms) = (sample.took.median(), sample.took.percentile(95));
        if median.is_some_and(|median| p50_ms > median) || p95_ms > p95 {
            misses.push(format!("up to {most} chunks: {p50_ms:.1} and {p95_ms:.1} ms"));
        }
    }
    let exhaustive = ExhaustiveFullText::make(&database.admin).await?;
    misses.extend(recall(&db, &classes, arguments.compared, exhaustive).await?);
    Ok(misses)
}

fn classes(load: &Dataset, questions: usize) -> Vec<SizeClass> {
    let mut least = 0;
    let mut classes = Vec::new();
    for most in SIZES {
        let tenants: Vec<_> =
            (0..load.sizes.len()).filter(|&place| (least + 1..=most).contains(&load.sizes[place])).collect();
        least = most;
        if tenants.is_empty() {
            continue;
        }
        let step = tenants.len().div_ceil(MAX_TENANTS_PER_CLASS);
        let chosen: Vec<_> = tenants.into_iter().step_by(step).collect();
        let question_of = |number: usize| {
            let place = chosen[number % chosen.len()];
            tenant_question(load, place, number)
        };
        classes.push(SizeClass { max_chunks: most, questions: (0..questions).map(question_of).collect() });
    }
    classes
}

/// A question from the tenant's question set.
fn tenant_question(load: &Dataset, tenant: usize, number: usize) -> TenantQuestion {
    let questions = &load.set(tenant).questions;
    let number = number % questions.len();
    let text = questions[number].question.clone();
    TenantQuestion {
        tenant: plan::tenant(load.seed, tenant),
        language: text::detect_language(&text),
        embedding: load.vectors.question(tenant % load.sets.len(), number, &text),
        model: EmbeddingModel::of(&load.vectors),
        text,
    }
}

fn connect(database: &DatabaseUrls) -> Result<Db> {
    let mut settings = Settings::new(SettingsMap::from([("DATABASE_URL".to_owned(), database.app.clone())]));
    let db = Db::read(&mut settings);
    settings.finish()?;
    Ok(db)
}

/// The durations of one operation, in milliseconds.
#[derive(Clone, Default)]
struct Samples {
    took: Sample,
    /// The CPU time of the server process. Neighbours disturb it least.
    server: Sample,
    /// The CPU time of this process: encoding, decoding and ranking.
    client: Sample,
}

/// The CPU time that a connection's server process has used, in milliseconds.
fn server_ms(pid: i32) -> Result<f64> {
    let path = format!("/proc/{pid}/schedstat");
    let text = fs::read_to_string(&path).with_context(|| format!("{path} cannot be read"))?;
    let nanoseconds: f64 = text.split(' ').next().unwrap_or_default().parse()?;
    Ok(nanoseconds / 1e6)
}

fn client_ms() -> Result<f64> {
    let usage = getrusage(UsageWho::RUSAGE_SELF).context("the processor time of this process is not known")?;
    let of = |time: TimeVal| time.tv_sec() as f64 * 1e3 + time.tv_usec() as f64 / 1e3;
    Ok(of(usage.user_time()) + of(usage.system_time()))
}

/// Runs every search once, so that the data is in the database's memory.
async fn warm_up(db: &Db, classes: &[SizeClass]) {
    for question in classes.iter().flat_map(|class| &class.questions) {
        // Errors are ignored: a search that reads from disk may exceed the transaction timeout of a request.
        let _ = run_part(db, TimedOperation::Search, question).await;
    }
}

/// Times all operations for all size classes. The classes take turns, so that disturbances of the machine affect all
/// alike. The samples of each class are in the order of [`PARTS`].
async fn time(db: &Db, classes: &[SizeClass]) -> Result<Vec<Vec<Samples>>> {
    // The pool keeps one connection, so all queries run in this server process.
    let pid = sqlx::query_scalar("select pg_backend_pid()");
    let pid = db.tenant_tx(Uuid::nil(), async |tx| Ok(pid.fetch_one(tx).await?)).await?;
    let mut samples = vec![vec![Samples::default(); PARTS.len()]; classes.len()];
    let rounds = classes.first().map_or(0, |class| class.questions.len());
    for round in 0..rounds {
        for (class, samples) in classes.iter().zip(&mut samples) {
            for ((part, name), sample) in PARTS.iter().zip(samples) {
                let (server, client, started) = (server_ms(pid)?, client_ms()?, Instant::now());
                run_part(db, *part, &class.questions[round]).await.with_context(|| format!("{name} fails"))?;
                sample.took.add(started.elapsed().as_secs_f64() * 1e3);
                sample.server.add(server_ms(pid)? - server);
                sample.client.add(client_ms()? - client);
            }
        }
    }
    Ok(samples)
}

async fn run_part(db: &Db, part: TimedOperation, question: &TenantQuestion) -> Result<()> {
    db.tenant_tx(question.tenant, async |tx| {
        match part {
            TimedOperation::Nothing => {
                sqlx::query("select 1").execute(tx).await?;
            }
            TimedOperation::Search => drop(retrieval::search(tx, &search(question)).await?),
            TimedOperation::FullText => drop(full_text(question).fetch_all(tx).await?),
            TimedOperation::Vectors => drop(nearest(question, MAX_CANDIDATES_PER_SEARCH).fetch_all(tx).await?),
        }
        Ok(())
    })
    .await?;
    Ok(())
}

fn search(question: &TenantQuestion) -> HybridQuery<'_> {
    HybridQuery {
        question: &question.text,
        standalone: &question.text,
        language: question.language,
        embedding: &question.embedding,
        model: question.model.name,
        vector_weight: question.model.weight,
        documents: None,
        limit: i64::from(MAX_PASSAGES),
    }
}

type Query<'q, Row> = sqlx::query::QueryAs<'q, sqlx::Postgres, Row, sqlx::postgres::PgArguments>;

fn nearest(question: &TenantQuestion, most: i32) -> Query<'_, (Uuid, f64)> {
    let query = sqlx::query_as(question.model.nearest);
    query.bind(&question.embedding).bind(question.model.name).bind(most)
}

fn all_compared(question: &TenantQuestion) -> Query<'_, (Uuid, f64)> {
    let query = sqlx::query_as(question.model.all_compared);
    query.bind(&question.embedding).bind(question.tenant).bind(question.model.name).bind(MAX_PASSAGES)
}

fn full_text(
    question: &TenantQuestion,
) -> sqlx::query::QueryScalar<'_, sqlx::Postgres, Uuid, sqlx::postgres::PgArguments> {
    let words = retrieval::content_words(&question.text, question.language);
    let query = sqlx::query_scalar("select chunk_id from app.search_chunks($1, $2, $3, null, $4)");
    query.bind(words).bind(question.language.as_str()).bind(question.model.name).bind(MAX_CANDIDATES_PER_SEARCH)
}

/// Searches the largest tenant until the task is aborted.
async fn search_repeatedly(db: Db, load: Arc<Dataset>, searched: Arc<AtomicUsize>, number: usize) -> Result<()> {
    for round in 0.. {
        let question = tenant_question(&load, 0, 1_000 * (number + 1) + round);
        db.tenant_tx(question.tenant, async |tx| {
            retrieval::search(tx, &search(&question)).await?;
            Ok(())
        })
        .await?;
        searched.fetch_add(1, Ordering::Relaxed);
    }
    Ok(())
}

fn print(classes: &[SizeClass], samples: &[Vec<Samples>]) {
    let mut rows = Vec::new();
    for (class, samples) in classes.iter().zip(samples) {
        for ((_, name), sample) in PARTS.iter().zip(samples) {
            let [p50, p95, p99] = [50, 95, 99].map(|percent| sample.took.percentile(percent));
            let times = p50 / samples[0].took.median();
            rows.push(vec![
                thousands(class.max_chunks),
                (*name).to_owned(),
                format!("{p50:.1}"),
                format!("{p95:.1}"),
                format!("{p99:.1}"),
                format!("{times:.0}"),
                format!("{:.1}", sample.server.median()),
                format!("{:.1}", sample.server.percentile(95)),
                format!("{:.1}", sample.client.median()),
            ]);
        }
    }
    let heads = [
        "chunks, at most",
        "what",
        "p50 ms",
        "p95 ms",
        "p99 ms",
        "× `select 1`",
        "server's CPU, p50",
        "p95",
        "client's CPU, p50",
    ];
    table(&heads, &rows);
}

fn thousands(number: usize) -> String {
    format!("{},000", number / 1_000)
}

/// Full-text search that ranks every chunk with any of the words: the reference for the recall of the product's
/// search.
struct ExhaustiveFullText(PgConnection);

impl ExhaustiveFullText {
    /// Creates the SQL function from the product's `app.search_chunks`, with higher limits.
    async fn make(admin_url: &str) -> Result<Self> {
        let mut admin = PgConnection::connect(admin_url).await?;
        let mut definition: String =
            sqlx::query_scalar("select pg_get_functiondef('app.search_chunks'::regproc)").fetch_one(&mut admin).await?;
        for limit in ["app.search_chunks(", " few constant integer := ", " most_found constant integer := "] {
            ensure!(definition.contains(limit), "app.search_chunks has changed: it has no {limit:?}");
        }
        definition = definition
            .replace("app.search_chunks(", "bench.search_all(")
            .replace(" few constant integer := ", " few constant integer := 1000000 * ")
            .replace(" most_found constant integer := ", " most_found constant integer := 100000 * ");
        sqlx::raw_sql(AssertSqlSafe(definition)).execute(&mut admin).await?;
        Ok(Self(admin))
    }

    /// The ids of the best-ranked chunks.
    async fn best(&mut self, question: &TenantQuestion) -> Result<Vec<Uuid>> {
        let set = sqlx::query("select set_config('app.customer_id', $1, false)");
        set.bind(question.tenant.to_string()).execute(&mut self.0).await?;
        let query = sqlx::query_scalar("select chunk_id from bench.search_all($1, $2, $3, null, $4)");
        let words = retrieval::content_words(&question.text, question.language);
        let query = query.bind(words).bind(question.language.as_str()).bind(question.model.name).bind(MAX_PASSAGES);
        Ok(query.fetch_all(&mut self.0).await?)
    }
}

/// Measures the recall of vector search against comparing all the tenant's chunks, and that of full-text search
/// against ranking all matching chunks.
async fn recall(
    db: &Db,
    classes: &[SizeClass],
    compared: usize,
    mut exhaustive: ExhaustiveFullText,
) -> Result<Vec<String>> {
    let (mut rows, mut misses) = (Vec::new(), Vec::new());
    for class in classes {
        let (mut vectors, mut words) = (RecallCounter::default(), RecallCounter::default());
        for (number, question) in class.questions.iter().take(compared).enumerate() {
            let (near, all) = db
                .tenant_tx(question.tenant, async |tx| {
                    let near = nearest(question, MAX_PASSAGES).fetch_all(&mut *tx).await?;
                    Ok((near, all_compared(question).fetch_all(tx).await?))
                })
                .await?;
            // Among equally near chunks, any choice counts as correct.
            let last = all.last().map_or(0.0, |(_, nearness)| *nearness) - 1e-9;
            vectors.add(near.iter().filter(|(_, nearness)| *nearness >= last).count().min(all.len()), all.len());
            // Every fifth question only: ranking all chunks takes seconds.
            if number % 5 == 0 {
                let best = exhaustive.best(question).await?;
                let found =
                    db.tenant_tx(question.tenant, async |tx| Ok(full_text(question).fetch_all(tx).await?)).await?;
                words.add(best.iter().filter(|chunk| found.contains(chunk)).count(), best.len());
            }
        }
        rows.push(vec![thousands(class.max_chunks), format!("{:.4}", vectors.part()), format!("{:.3}", words.part())]);
        if vectors.part() < MIN_RECALL {
            misses.push(format!(
                "up to {} chunks: {:.4} of the nearest ten are found",
                class.max_chunks,
                vectors.part()
            ));
        }
    }
    table(&["chunks, at most", "recall@10 of vectors", "full text's ten best among its fifty"], &rows);
    Ok(misses)
}

#[derive(Default)]
struct RecallCounter {
    found: usize,
    wanted: usize,
}

impl RecallCounter {
    fn add(&mut self, found: usize, wanted: usize) {
        self.found += found;
        self.wanted += wanted;
    }

    fn part(&self) -> f64 {
        self.found as f64 / self.wanted.max(1) as f64
    }
}
