//! `cargo eval`: how well retrieval finds. A question set goes through ingestion's own chunker and embedder into a
//! database of its own, each paragraph as a document; then every question is searched as the query function does.

mod figures;
pub(crate) mod set;

use std::{
    collections::{BTreeMap, HashMap},
    path::PathBuf,
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use clap::Args;
use local_postgres::root;
use serde_json::json;
use shared::{
    chunking,
    db::Db,
    documents::{self, Filename, NewChunk, NewDocument},
    embeddings::Embedder,
    error::ApiError,
    llm::{Ask, Provider, Role, Style, Turn},
    pdf::Page,
    retrieval::{self, Passage, Search},
    settings::{Settings, SettingsMap},
    text::{self, Language},
};
use sqlx::{Connection, PgConnection};
use uuid::Uuid;

use crate::{
    environment::{EMBEDDINGS, variable},
    testing::{self, TestOptions},
};

use self::{
    figures::{Figures, Ranks},
    set::{Context as Paragraph, Question, Set},
};

/// Measures retrieval on a question set, and compares with the committed figures.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Paragraphs: one JSON object a line, with `id` and `text`.
    contexts: PathBuf,
    /// Questions: one JSON object a line, with `question`, the `context_id` that answers it, and in `history` the
    /// questions before it, where it is a follow-up.
    questions: PathBuf,
    /// Questions that no paragraph answers, to see how many are refused.
    #[arg(long, value_name = "FILE")]
    unanswerable: Option<PathBuf>,
    /// Put the paragraphs of a title into one document, page after page. A question then counts as found at the place of
    /// the passage that has its answer.
    #[arg(long, conflicts_with = "parts")]
    whole: bool,
    /// Show what full text finds alone, and what vectors do.
    #[arg(long)]
    parts: bool,
    /// Keep the figures as the ones to compare with.
    #[arg(long)]
    save: bool,
    /// Fail when a figure is worse than the committed one by more than a hundredth.
    #[arg(long)]
    check: bool,
}

impl Arguments {
    /// The project's own set, which must not get worse.
    #[must_use]
    pub fn golden() -> Self {
        let file = |kind: &str| root().join(format!("local/golden/golden.{kind}.jsonl"));
        Self {
            contexts: file("contexts"),
            questions: file("questions"),
            unanswerable: Some(file("unanswerable")),
            whole: false,
            parts: false,
            save: false,
            check: true,
        }
    }
}

/// For one answer, as `query` has it.
const ANSWER: Duration = Duration::from_secs(25);
/// Documents that were found by a search count up to this place.
const DEPTH: usize = 10;
/// A page of a whole document ends with the paragraph that goes beyond this.
const PAGE_CHARS: usize = 2_500;

/// Measures, prints and compares.
///
/// # Errors
/// Files that are not what they should be, servers that do not start, or with `--check` a figure that is worse.
pub async fn run(arguments: Arguments) -> Result<()> {
    let set = Set::read(&arguments.contexts, &arguments.questions)?;
    let stack = testing::stack(TestOptions::default()).await?;
    let bench = Bench::new(&stack.base_url(), &stack.database.app).await?;
    let name = bench.name(&set.name);
    eprintln!("  {name}: {} paragraphs, {} questions", set.contexts.len(), set.questions.len());
    let started = Instant::now();
    let ids = if arguments.whole { bench.ingest_whole(&set).await? } else { bench.ingest(&set.contexts).await? };
    eprintln!("  ingested in {:.1} s", started.elapsed().as_secs_f64());
    // What a server does by itself, and the servers of tests do not: without it, plans are made for empty tables.
    let mut admin = PgConnection::connect(&stack.database.admin).await?;
    sqlx::query("analyze documents, document_chunks").execute(&mut admin).await?;

    let mut ranks = Ranks::default();
    for question in &set.questions {
        let started = Instant::now();
        let found = bench.search(question, Part::Both).await?;
        let took = started.elapsed();
        let wanted = ids.get(&question.context_id).copied();
        let rank = if arguments.whole {
            rank_of_answer(&found.passages, wanted, question)
        } else {
            rank(&found.passages, wanted)
        };
        ranks.add(rank, took, found.answer().await?.is_some());
    }
    let refused = match &arguments.unanswerable {
        None => None,
        Some(path) => Some(bench.refused(&set::lines(path)?).await?),
    };
    if arguments.parts {
        for (part, name) in [(Part::FullText, "full text"), (Part::Vectors, "vectors")] {
            bench.ranks(&set.questions, &ids, part).await?.show(name);
        }
        ranks.show("fused");
    }
    let figures = Figures::new(&ranks, refused);
    let name = if arguments.whole { format!("{name}_whole") } else { name };
    figures.report(&name, arguments.save, arguments.check)
}

/// The place of the wanted document among those found, from 1.
fn rank(passages: &[Passage], wanted: Option<Uuid>) -> Option<usize> {
    let mut seen = Vec::new();
    for passage in passages {
        if !seen.contains(&passage.document_id) {
            seen.push(passage.document_id);
        }
    }
    seen.iter().position(|document| Some(*document) == wanted).map(|place| place + 1)
}

/// The place of the first passage of the wanted document that has an answer, from 1.
fn rank_of_answer(passages: &[Passage], wanted: Option<Uuid>, question: &Question) -> Option<usize> {
    let answers: Vec<_> = question.answers.iter().map(|answer| text::fold(answer)).collect();
    let has_answer = |passage: &Passage| {
        let text = text::fold(&passage.text);
        Some(passage.document_id) == wanted && answers.iter().any(|answer| text.contains(answer))
    };
    passages.iter().position(has_answer).map(|place| place + 1)
}

/// What is measured: one tenant and the product's parts.
struct Bench {
    db: Db,
    tenant: Uuid,
    embedder: Embedder,
    provider: Provider,
}

/// The searches that a question goes through.
#[derive(Clone, Copy, PartialEq)]
enum Part {
    Both,
    FullText,
    Vectors,
}

struct Found {
    question: String,
    /// The question as it was searched.
    standalone: String,
    language: Language,
    passages: Vec<Passage>,
    provider: Provider,
}

impl Found {
    async fn answer(&self) -> Result<Option<String>> {
        let ask = Ask {
            question: &self.question,
            standalone: &self.standalone,
            history: &[],
            language: self.language,
            instructions: None,
            assistant: "Lisa",
            company: "Evaluation",
            style: Style::Plain,
            passages: &self.passages[..self.passages.len().min(5)],
            deadline: tokio::time::Instant::now() + ANSWER,
        };
        Ok(self.provider.answer(&ask).await.outcome?.answer)
    }
}

impl Bench {
    async fn new(base_url: &str, app_url: &str) -> Result<Self> {
        let body = json!({
            "email": "eval@example.com", "password": "not a secret at all", "company_name": "Evaluation",
        });
        let client = reqwest::Client::builder().timeout(std::time::Duration::from_secs(20)).build()?;
        let answer = client.post(format!("{base_url}/api/v1/auth/signup")).json(&body).send().await?;
        let answer: serde_json::Value = answer.error_for_status()?.json().await?;
        let tenant = answer["data"]["customer"]["id"].as_str().context("sign-up names no customer")?.parse()?;
        let mut settings = SettingsMap::from([("DATABASE_URL".to_owned(), app_url.to_owned())]);
        for name in EMBEDDINGS {
            settings.extend(variable(name)?.map(|value| (name.to_owned(), value)));
        }
        let mut settings = Settings::new(settings);
        let bench = Self {
            db: Db::read(&mut settings),
            tenant,
            embedder: Embedder::read(&mut settings),
            provider: Provider::read(&mut settings),
        };
        settings.finish()?;
        Ok(bench)
    }

    /// What the figures are kept under.
    fn name(&self, set: &str) -> String {
        match self.embedder {
            Embedder::Local(_) => set.to_owned(),
            Embedder::Model(_) | Embedder::OutOfReach(_) => format!("{set}, {}", self.embedder.model()),
        }
    }

    async fn ingest(&self, contexts: &[Paragraph]) -> Result<HashMap<String, Uuid>> {
        let mut ids = HashMap::new();
        for context in contexts {
            ids.insert(context.id.clone(), self.ingest_one(&context.id, std::slice::from_ref(&context.text)).await?);
        }
        Ok(ids)
    }

    /// Each title as a document: where the document of each paragraph is.
    async fn ingest_whole(&self, set: &Set) -> Result<HashMap<String, Uuid>> {
        let mut titles: BTreeMap<&str, Vec<&Paragraph>> = BTreeMap::new();
        for context in &set.contexts {
            titles.entry(&context.title).or_default().push(context);
        }
        let mut ids = HashMap::new();
        for paragraphs in titles.values() {
            let mut pages = vec![String::new()];
            for paragraph in paragraphs {
                if pages.last().is_some_and(|page| page.chars().count() > PAGE_CHARS) {
                    pages.push(String::new());
                }
                if let Some(page) = pages.last_mut() {
                    page.push_str(&paragraph.text);
                    page.push_str("\n\n");
                }
            }
            let id = self.ingest_one(&paragraphs[0].id, &pages).await?;
            ids.extend(paragraphs.iter().map(|paragraph| (paragraph.id.clone(), id)));
        }
        Ok(ids)
    }

    async fn ingest_one(&self, name: &str, texts: &[String]) -> Result<Uuid> {
        let page = |(number, text): (u32, &String)| Page { number, text: text::clean(text) };
        let pages: Vec<_> = (1..).zip(texts).map(page).collect();
        let chunks = chunking::chunk(&pages);
        let texts: Vec<_> = chunks.iter().map(|chunk| chunk.text.clone()).collect();
        let embeddings = self.embedder.embed_documents(&texts).await?;
        let rows: Vec<_> = chunks
            .into_iter()
            .zip(embeddings)
            .map(|(chunk, embedding)| NewChunk {
                index: chunk.index as i32,
                page_start: chunk.page_start as i32,
                page_end: chunk.page_end as i32,
                text: chunk.text,
                embedding,
            })
            .collect();
        let filename = Filename::try_from(format!("{name}.pdf"))?;
        let bytes = texts.iter().map(String::len).sum::<usize>() as i64;
        let new = NewDocument { filename, bytes, sha256: None };
        let language = text::detect_language(&pages[0].text);
        let total = pages.len() as i32;
        let model = self.embedder.model();
        let id = self
            .db
            .tenant(self.tenant, async |tx| {
                let id = documents::announce(tx, new, Language::English).await?.document.id;
                documents::begin(tx, id, model).await?;
                documents::pages_known(tx, id, total, 1).await?;
                documents::store_chunks(tx, id, language, model, &rows).await?;
                documents::finish(tx, id, model, &[0; 32], language, "", &[]).await?;
                Ok::<_, ApiError>(id)
            })
            .await?;
        Ok(id)
    }

    async fn search(&self, question: &Question, part: Part) -> Result<Found> {
        let said = |text: &String| Turn { role: Role::User, text: text.clone() };
        let history: Vec<_> = question.history.iter().map(said).collect();
        let language = text::detect_language(&question.question);
        let standalone = retrieval::standalone(&question.question, language, &history).into_owned();
        let language = if language == Language::Other { text::detect_language(&standalone) } else { language };
        let mut embedding = self.embedder.embed_query(&standalone).await?;
        if part == Part::FullText {
            // Nothing is near a vector without a direction.
            embedding.fill(0.0);
        }
        let search = Search {
            question: if part == Part::Vectors { "" } else { &question.question },
            standalone: if part == Part::Vectors { "" } else { &standalone },
            language,
            embedding: &embedding,
            model: self.embedder.model(),
            vector_weight: self.embedder.vector_weight(),
            documents: None,
            most: DEPTH as i64,
        };
        let passages =
            self.db.tenant(self.tenant, async |tx| Ok::<_, ApiError>(retrieval::search(tx, &search).await?)).await?;
        Ok(Found {
            question: question.question.clone(),
            standalone,
            language,
            passages,
            provider: self.provider.clone(),
        })
    }

    /// The places at which one part of the search finds what answers each question.
    async fn ranks(&self, questions: &[Question], ids: &HashMap<String, Uuid>, part: Part) -> Result<Ranks> {
        let mut ranks = Ranks::default();
        for question in questions {
            let started = Instant::now();
            let found = self.search(question, part).await?;
            ranks.add(rank(&found.passages, ids.get(&question.context_id).copied()), started.elapsed(), false);
        }
        Ok(ranks)
    }

    /// The part of questions without an answer that get none.
    async fn refused(&self, questions: &[Question]) -> Result<f64> {
        let mut refused = 0;
        for question in questions {
            let found = self.search(question, Part::Both).await?;
            refused += usize::from(found.answer().await?.is_none());
        }
        Ok(refused as f64 / questions.len().max(1) as f64)
    }
}
