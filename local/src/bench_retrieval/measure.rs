//! Times searches of tenants of each size, alone and beside a noisy neighbour, and tells what approximation loses.

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
    embeddings::{Embedder, LocalEmbedder},
    error::ApiError,
    retrieval::{self, CANDIDATES, Search},
    settings::{Settings, SettingsMap},
    text::{self, Language},
};
use sqlx::{AssertSqlSafe, Connection, PgConnection};
use tokio::task::JoinSet;
use uuid::Uuid;

use super::{Arguments, load::Load, plan};
use crate::{
    bench::figures::{Sample, table},
    environment::Database,
};

/// Tenants are told apart by how many chunks they have at most.
const SIZES: [usize; 4] = [1_000, 10_000, 50_000, 200_000];
/// Of each size so many are searched, where there are as many.
const TENANTS: usize = 20;
/// Passages that query asks for, and how many of the nearest chunks the recall is of.
const MOST: i32 = 10;

/// What the figures beside a neighbour are held to, in milliseconds: the median and the 95th percentile.
const BUDGETS: [(usize, Option<f64>, f64); 4] =
    [(1_000, Some(15.0), 50.0), (10_000, Some(15.0), 50.0), (50_000, Some(15.0), 50.0), (200_000, None, 120.0)];
const LEAST_RECALL: f64 = 0.98;

/// What is timed.
#[derive(Clone, Copy, PartialEq)]
enum Part {
    /// A tenant's transaction that does nothing: what the others are compared with.
    Nothing,
    Search,
    FullText,
    Vectors,
}

const PARTS: [(Part, &str); 4] = [
    (Part::Nothing, "`select 1`"),
    (Part::Search, "search"),
    (Part::FullText, "full text alone"),
    (Part::Vectors, "vectors alone"),
];

/// A question of a tenant.
struct Asked {
    tenant: Uuid,
    text: String,
    language: Language,
    embedding: Vec<f32>,
}

/// The tenants of a size, and what they are asked.
struct Class {
    most: usize,
    questions: Vec<Asked>,
}

/// Measures and prints. Returns what is beyond its budget.
///
/// # Errors
/// A search that fails.
pub(super) async fn run(arguments: &Arguments, load: &Arc<Load>, database: &Database) -> Result<Vec<String>> {
    let classes = classes(load, arguments.searches);
    let db = connect(database)?;
    warm_up(&db, &classes).await;
    let alone = time(&db, &classes).await?;
    println!("Alone:\n");
    print(&classes, &alone);

    let mut neighbours = JoinSet::new();
    let searched = Arc::new(AtomicUsize::new(0));
    for number in 0..arguments.neighbours {
        let noise = noise(connect(database)?, Arc::clone(load), Arc::clone(&searched), number);
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
        let budget = BUDGETS.into_iter().find(|(most, _, _)| *most == class.most);
        let (Some((most, median, p95)), Some(sample)) = (budget, samples.get(1)) else { continue };
        let (p50_ms, p95_ms) = (sample.took.median(), sample.took.percentile(95));
        if median.is_some_and(|median| p50_ms > median) || p95_ms > p95 {
            misses.push(format!("up to {most} chunks: {p50_ms:.1} and {p95_ms:.1} ms"));
        }
    }
    let whole = Whole::make(&database.admin).await?;
    misses.extend(recall(&db, &classes, arguments.compared, whole).await?);
    Ok(misses)
}

fn classes(load: &Load, questions: usize) -> Vec<Class> {
    let mut least = 0;
    let mut classes = Vec::new();
    for most in SIZES {
        let tenants: Vec<_> =
            (0..load.sizes.len()).filter(|&place| (least + 1..=most).contains(&load.sizes[place])).collect();
        least = most;
        if tenants.is_empty() {
            continue;
        }
        let step = tenants.len().div_ceil(TENANTS);
        let chosen: Vec<_> = tenants.into_iter().step_by(step).collect();
        let ask = |number: usize| {
            let place = chosen[number % chosen.len()];
            ask(load, place, number)
        };
        classes.push(Class { most, questions: (0..questions).map(ask).collect() });
    }
    classes
}

/// One of the questions of a tenant's set.
fn ask(load: &Load, tenant: usize, number: usize) -> Asked {
    let questions = &load.set(tenant).questions;
    let text = questions[number % questions.len()].question.clone();
    Asked {
        tenant: plan::tenant(load.seed, tenant),
        language: text::detect_language(&text),
        embedding: LocalEmbedder.embed_query(&text),
        text,
    }
}

fn connect(database: &Database) -> Result<Db> {
    let mut settings = Settings::new(SettingsMap::from([("DATABASE_URL".to_owned(), database.app.clone())]));
    let db = Db::read(&mut settings);
    settings.finish()?;
    Ok(db)
}

/// What one part took, in milliseconds.
#[derive(Clone, Default)]
struct Samples {
    took: Sample,
    /// Processor time of the server's process, which neighbours disturb least.
    server: Sample,
    /// Processor time of this process: encoding, decoding and the order of what was found.
    client: Sample,
}

/// The processor time that the server's process of a connection has used, in milliseconds.
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

/// Searches all that will be searched once before, so that the database has read it into its memory.
async fn warm_up(db: &Db, classes: &[Class]) {
    for asked in classes.iter().flat_map(|class| &class.questions) {
        // What is read from the disk may take longer than a request's transaction may.
        let _ = run_part(db, Part::Search, asked).await;
    }
}

/// Times all parts for all classes, which take turns, so that what disturbs the machine disturbs all alike. The samples of
/// each class are in the order of [`PARTS`].
async fn time(db: &Db, classes: &[Class]) -> Result<Vec<Vec<Samples>>> {
    // There is one connection, which stays.
    let pid = sqlx::query_scalar("select pg_backend_pid()");
    let pid = db.tenant(Uuid::nil(), async |tx| Ok::<_, ApiError>(pid.fetch_one(tx).await?)).await?;
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

async fn run_part(db: &Db, part: Part, asked: &Asked) -> Result<()> {
    db.tenant(asked.tenant, async |tx| {
        match part {
            Part::Nothing => {
                sqlx::query("select 1").execute(tx).await?;
            }
            Part::Search => drop(retrieval::search(tx, &search(asked)).await?),
            Part::FullText => drop(full_text(asked).fetch_all(tx).await?),
            Part::Vectors => drop(nearest(asked, CANDIDATES).fetch_all(tx).await?),
        }
        Ok::<_, ApiError>(())
    })
    .await?;
    Ok(())
}

fn search(asked: &Asked) -> Search<'_> {
    Search {
        question: &asked.text,
        standalone: &asked.text,
        language: asked.language,
        embedding: &asked.embedding,
        model: LocalEmbedder::MODEL,
        vector_weight: Embedder::Local(LocalEmbedder).vector_weight(),
        documents: None,
        most: i64::from(MOST),
    }
}

type Query<'q, Row> = sqlx::query::QueryAs<'q, sqlx::Postgres, Row, sqlx::postgres::PgArguments>;

fn nearest(asked: &Asked, most: i32) -> Query<'_, (Uuid, f64)> {
    let query = sqlx::query_as("select chunk_id, nearness from app.nearest_chunks($1, $2, null, $3)");
    query.bind(&asked.embedding).bind(LocalEmbedder::MODEL).bind(most)
}

fn all_compared(asked: &Asked) -> Query<'_, (Uuid, f64)> {
    let query = sqlx::query_as(
        "select id, 1 - (embedding <=> $1::real[]::vector) as nearness from document_chunks
         where customer_id = $2 and embedding_model = $3
         order by embedding <=> $1::real[]::vector limit $4",
    );
    query.bind(&asked.embedding).bind(asked.tenant).bind(LocalEmbedder::MODEL).bind(MOST)
}

fn full_text(asked: &Asked) -> sqlx::query::QueryScalar<'_, sqlx::Postgres, Uuid, sqlx::postgres::PgArguments> {
    let words = retrieval::telling_words(&asked.text, asked.language);
    let query = sqlx::query_scalar("select chunk_id from app.search_chunks($1, $2, $3, null, $4)");
    query.bind(words).bind(asked.language.as_str()).bind(LocalEmbedder::MODEL).bind(CANDIDATES)
}

/// Searches the largest tenant until it is ended.
async fn noise(db: Db, load: Arc<Load>, searched: Arc<AtomicUsize>, number: usize) -> Result<()> {
    for round in 0.. {
        let asked = ask(&load, 0, 1_000 * (number + 1) + round);
        db.tenant(asked.tenant, async |tx| {
            retrieval::search(tx, &search(&asked)).await?;
            Ok::<_, ApiError>(())
        })
        .await?;
        searched.fetch_add(1, Ordering::Relaxed);
    }
    Ok(())
}

fn print(classes: &[Class], samples: &[Vec<Samples>]) {
    let mut rows = Vec::new();
    for (class, samples) in classes.iter().zip(samples) {
        for ((_, name), sample) in PARTS.iter().zip(samples) {
            let [p50, p95, p99] = [50, 95, 99].map(|percent| sample.took.percentile(percent));
            let times = p50 / samples[0].took.median();
            rows.push(vec![
                thousands(class.most),
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

/// Full text that ranks every chunk which has any of the words: what the product's is compared with.
struct Whole(PgConnection);

impl Whole {
    /// Makes it of the product's own function, with other limits.
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

    /// The best chunks.
    async fn best(&mut self, asked: &Asked) -> Result<Vec<Uuid>> {
        let set = sqlx::query("select set_config('app.customer_id', $1, false)");
        set.bind(asked.tenant.to_string()).execute(&mut self.0).await?;
        let query = sqlx::query_scalar("select chunk_id from bench.search_all($1, $2, $3, null, $4)");
        let words = retrieval::telling_words(&asked.text, asked.language);
        let query = query.bind(words).bind(asked.language.as_str()).bind(LocalEmbedder::MODEL).bind(MOST);
        Ok(query.fetch_all(&mut self.0).await?)
    }
}

/// Which of the nearest chunks are found, against comparing all of the tenant's; and which of those that full text ranks
/// highest, against ranking all.
async fn recall(db: &Db, classes: &[Class], compared: usize, mut whole: Whole) -> Result<Vec<String>> {
    let (mut rows, mut misses) = (Vec::new(), Vec::new());
    for class in classes {
        let (mut vectors, mut words) = (Share::default(), Share::default());
        for (number, asked) in class.questions.iter().take(compared).enumerate() {
            let (near, all) = db
                .tenant(asked.tenant, async |tx| {
                    let near = nearest(asked, MOST).fetch_all(&mut *tx).await?;
                    Ok::<_, ApiError>((near, all_compared(asked).fetch_all(tx).await?))
                })
                .await?;
            // Of chunks that are equally near, any is right.
            let last = all.last().map_or(0.0, |(_, nearness)| *nearness) - 1e-9;
            vectors.add(near.iter().filter(|(_, nearness)| *nearness >= last).count().min(all.len()), all.len());
            // Ranking all takes seconds.
            if number % 5 == 0 {
                let best = whole.best(asked).await?;
                let found = db
                    .tenant(asked.tenant, async |tx| Ok::<_, ApiError>(full_text(asked).fetch_all(tx).await?))
                    .await?;
                words.add(best.iter().filter(|chunk| found.contains(chunk)).count(), best.len());
            }
        }
        rows.push(vec![thousands(class.most), format!("{:.4}", vectors.part()), format!("{:.3}", words.part())]);
        if vectors.part() < LEAST_RECALL {
            misses.push(format!("up to {} chunks: {:.4} of the nearest ten are found", class.most, vectors.part()));
        }
    }
    table(&["chunks, at most", "recall@10 of vectors", "full text's ten best among its fifty"], &rows);
    Ok(misses)
}

#[derive(Default)]
struct Share {
    found: usize,
    wanted: usize,
}

impl Share {
    fn add(&mut self, found: usize, wanted: usize) {
        self.found += found;
        self.wanted += wanted;
    }

    fn part(&self) -> f64 {
        self.found as f64 / self.wanted.max(1) as f64
    }
}
