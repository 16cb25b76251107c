//! `cargo eval`: measures retrieval quality on a question set. The paragraphs go through ingestion's chunker and
//! embedder into a temporary database, one document each; then every question is searched as the function `query`
//! does.

mod answers;
mod figures;
pub(crate) mod set;

use std::{
    collections::{BTreeMap, HashMap},
    path::PathBuf,
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use clap::Args;
use local_postgres::{ProgressOutput, root};
use serde_json::json;
use shared::{
    chunking,
    db::Db,
    documents::{self, Filename, NewChunk, NewDocument},
    embeddings::Embedder,
    files::FileFormat,
    llm::{AnswerStyle, GroundedAnswer, GroundedQuestion, Provider, Role, Turn},
    pdf::PageText,
    retrieval::{self, HybridQuery, Passage},
    settings::{Settings, SettingsMap},
    text::{self, Language},
};
use sqlx::{Connection, PgConnection};
use uuid::Uuid;

use crate::{
    environment::{EMBEDDING_SETTINGS, add_embedding_model, env_variable},
    testing::{self, TestOptions},
};

use self::{
    answers::{AnswerFigures, Outcome},
    figures::{Ranks, RetrievalFigures},
    set::{QuestionSet, SetParagraph as Paragraph, SetQuestion},
};

/// Measures retrieval on a question set and compares with the committed figures.
#[derive(Debug, Args)]
pub struct Arguments {
    /// The paragraphs: one JSON object per line, with `id` and `text`.
    #[arg(required_unless_present = "answers", requires = "questions")]
    contexts: Option<PathBuf>,
    /// The questions: one JSON object per line, with `question`, the `context_id` of the paragraph that answers it,
    /// and for a follow-up in `history` the questions before it.
    questions: Option<PathBuf>,
    /// Questions without an answer in the paragraphs, to measure how many are refused.
    #[arg(long, value_name = "FILE")]
    unanswerable: Option<PathBuf>,
    /// Put the paragraphs of a title into one document, page after page. A question's rank is then that of the first
    /// passage with its answer.
    #[arg(long, conflicts_with_all = ["parts", "answers"])]
    whole: bool,
    /// Also show the figures of full-text search alone and of vector search alone.
    #[arg(long)]
    parts: bool,
    /// Measure the answers instead, without a model: right, wrong and refused by kind of question. Without files, of
    /// the golden set and of the customers' questions, which are asked over the API about uploaded PDFs.
    #[arg(long)]
    answers: bool,
    /// Ask this set of the customers' questions only.
    #[arg(long, value_name = "NAME", requires = "answers", conflicts_with = "contexts")]
    set: Option<String>,
    /// Also show each answer that is not right. Those of the held-out set are never shown.
    #[arg(long, requires = "answers")]
    failures: bool,
    /// Ask at most this number of the questions of each file, at even distances. The figures are not saved.
    #[arg(long, value_name = "NUMBER", requires = "contexts", conflicts_with_all = ["save", "check"])]
    most: Option<usize>,
    /// Measure the ranks alone: the model compares sentences for an answer, which takes longer than the search.
    #[arg(long, requires = "contexts", conflicts_with_all = ["answers", "save", "check"])]
    ranks: bool,
    /// Save the figures as the ones to compare with.
    #[arg(long)]
    save: bool,
    /// Fail when a figure is worse than the committed one by more than 0.01.
    #[arg(long)]
    check: bool,
}

impl Arguments {
    /// The arguments for the project's own question set, whose figures must not get worse.
    #[must_use]
    pub fn golden() -> Self {
        let file = |kind: &str| root().join(format!("local/golden/golden.{kind}.jsonl"));
        Self {
            contexts: Some(file("contexts")),
            questions: Some(file("questions")),
            unanswerable: Some(file("unanswerable")),
            whole: false,
            parts: false,
            answers: false,
            set: None,
            failures: false,
            most: None,
            ranks: false,
            save: false,
            check: true,
        }
    }

    /// The arguments for the answers to the project's own questions, which must not get worse.
    #[must_use]
    pub fn answers() -> Self {
        Self { contexts: None, questions: None, unanswerable: None, answers: true, ..Self::golden() }
    }
}

/// The time limit for one answer, as in the function `query`.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(25);
/// The number of passages retrieved per question; documents count up to this rank.
const MAX_RANK: usize = 10;
/// A page of a combined document ends with the paragraph that exceeds this number of characters.
const PAGE_CHARS: usize = 2_500;

/// Measures retrieval or answers, prints the figures and compares them with the committed ones.
///
/// # Errors
/// Fails when a file is malformed, a server does not start, or with `--check` a figure is worse.
pub async fn run(arguments: Arguments) -> Result<()> {
    let (contexts, questions) = match (&arguments.contexts, &arguments.questions) {
        (Some(contexts), Some(questions)) => (contexts, questions),
        _ => {
            let Arguments { set, failures, save, check, .. } = &arguments;
            let customers = Box::pin(answers::run_customers(set.as_deref(), *failures, *save, *check)).await;
            if set.is_some() {
                return customers;
            }
            let golden = Arguments { answers: true, save: *save, check: *check, ..Arguments::golden() };
            return customers.and(Box::pin(run(golden)).await);
        }
    };
    let mut set = QuestionSet::read(contexts, questions)?;
    set.questions = evenly(set.questions, arguments.most);
    let stack = testing::stack(TestOptions::default()).await?;
    let harness = RetrievalHarness::new(&stack.base_url(), &stack.database.app).await?;
    let name = harness.name(&set.name);
    eprintln!("  {name}: {} paragraphs, {} questions", set.contexts.len(), set.questions.len());
    let started = Instant::now();
    let ids = if arguments.whole { harness.ingest_whole(&set).await? } else { harness.ingest(&set.contexts).await? };
    eprintln!("  ingested in {:.1} s", started.elapsed().as_secs_f64());
    // Test servers run without autovacuum. Without statistics, queries are planned for empty tables.
    let mut admin = PgConnection::connect(&stack.database.admin).await?;
    sqlx::query("analyze documents, document_chunks").execute(&mut admin).await?;

    if arguments.answers {
        return harness.measure_answers(&set, &ids, &arguments).await;
    }
    let mut ranks = Ranks::default();
    for question in &set.questions {
        let started = Instant::now();
        let found = harness.search(question, SearchKind::Both).await?;
        let took = started.elapsed();
        let expected = ids.get(&question.context_id).copied();
        let rank = if arguments.whole {
            rank_of_answer(&found.passages, expected, question)
        } else {
            rank(&found.passages, expected)
        };
        let is_answered = !arguments.ranks && found.answer().await?.answer.is_some();
        ranks.add(rank, took, is_answered);
    }
    let refused = match &arguments.unanswerable {
        Some(path) if !arguments.ranks => Some(harness.refused(&evenly(set::lines(path)?, arguments.most)).await?),
        _ => None,
    };
    if arguments.parts {
        for (part, name) in [(SearchKind::FullText, "full text"), (SearchKind::Vectors, "vectors")] {
            harness.ranks(&set.questions, &ids, part).await?.show(name);
        }
    }
    if arguments.parts || arguments.ranks {
        ranks.show("fused");
    }
    if arguments.ranks {
        return Ok(());
    }
    let figures = RetrievalFigures::new(&ranks, refused);
    let name = if arguments.whole { format!("{name}_whole") } else { name };
    figures.report(&name, arguments.save, arguments.check)
}

/// At most `most` of the questions, at even distances.
fn evenly(questions: Vec<SetQuestion>, most: Option<usize>) -> Vec<SetQuestion> {
    let step = questions.len().div_ceil(most.unwrap_or(usize::MAX).max(1)).max(1);
    questions.into_iter().step_by(step).collect()
}

/// The rank of the expected document among those found, from 1.
fn rank(passages: &[Passage], expected: Option<Uuid>) -> Option<usize> {
    let mut seen = Vec::new();
    for passage in passages {
        if !seen.contains(&passage.document_id) {
            seen.push(passage.document_id);
        }
    }
    seen.iter().position(|document| Some(*document) == expected).map(|place| place + 1)
}

/// The rank of the first passage of the expected document that contains an answer, from 1.
fn rank_of_answer(passages: &[Passage], expected: Option<Uuid>, question: &SetQuestion) -> Option<usize> {
    let answers: Vec<_> = question.answers.iter().map(|answer| text::fold(answer)).collect();
    let has_answer = |passage: &Passage| {
        let text = text::fold(&passage.text);
        Some(passage.document_id) == expected && answers.iter().any(|answer| text.contains(answer))
    };
    passages.iter().position(has_answer).map(|place| place + 1)
}

/// The measured parts of the product, used as one tenant.
struct RetrievalHarness {
    db: Db,
    tenant: Uuid,
    embedder: Embedder,
    provider: Provider,
}

/// The kind of search to measure.
#[derive(Clone, Copy, PartialEq)]
enum SearchKind {
    Both,
    FullText,
    Vectors,
}

struct SearchResult {
    question: String,
    /// The standalone form of the question, used for the search.
    standalone: String,
    language: Language,
    passages: Vec<Passage>,
    provider: Provider,
    embedder: Embedder,
}

impl SearchResult {
    async fn answer(&self) -> Result<GroundedAnswer> {
        let ask = GroundedQuestion {
            text: &self.question,
            standalone: &self.standalone,
            history: &[],
            language: self.language,
            instructions: None,
            assistant: "Lisa",
            company: "Evaluation",
            style: AnswerStyle::SourceNumbers,
            passages: &self.passages,
            deadline: tokio::time::Instant::now() + ANSWER_TIMEOUT,
        };
        Ok(retrieval::answer(&self.provider, &self.embedder, &ask, None).await.outcome?)
    }
}

impl RetrievalHarness {
    async fn new(base_url: &str, app_url: &str) -> Result<Self> {
        let body = json!({
            "email": "eval@example.com", "password": "not a secret at all", "company_name": "Evaluation",
        });
        let client = reqwest::Client::builder().timeout(std::time::Duration::from_secs(20)).build()?;
        let answer = client.post(format!("{base_url}/api/v1/auth/signup")).json(&body).send().await?;
        let answer: serde_json::Value = answer.error_for_status()?.json().await?;
        let tenant = answer["data"]["customer"]["id"].as_str().context("sign-up names no customer")?.parse()?;
        let mut settings = SettingsMap::from([("DATABASE_URL".to_owned(), app_url.to_owned())]);
        for name in EMBEDDING_SETTINGS {
            settings.extend(env_variable(name)?.map(|value| (name.to_owned(), value)));
        }
        add_embedding_model(&mut settings, ProgressOutput::Shown)?;
        let mut settings = Settings::new(settings);
        let harness = Self {
            db: Db::read(&mut settings),
            tenant,
            embedder: Embedder::read(&mut settings),
            provider: Provider::read(&mut settings),
        };
        settings.finish()?;
        Ok(harness)
    }

    /// The name under which the figures are saved.
    fn name(&self, set: &str) -> String {
        match self.embedder {
            Embedder::Local(_) => set.to_owned(),
            Embedder::E5(_) | Embedder::Remote(_) | Embedder::NotConfigured(_) => {
                format!("{set}, {}", self.embedder.model())
            }
        }
    }

    async fn ingest(&self, contexts: &[Paragraph]) -> Result<HashMap<String, Uuid>> {
        let mut ids = HashMap::new();
        for context in contexts {
            ids.insert(context.id.clone(), self.ingest_one(&context.id, std::slice::from_ref(&context.text)).await?);
        }
        Ok(ids)
    }

    /// Ingests the paragraphs of each title as one document. Returns each paragraph's document.
    async fn ingest_whole(&self, set: &QuestionSet) -> Result<HashMap<String, Uuid>> {
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
        let page = |(number, text): (u32, &String)| PageText { number, text: text::clean(text) };
        let pages: Vec<_> = (1..).zip(texts).map(page).collect();
        let chunks = chunking::chunk(&pages);
        let texts: Vec<_> = chunks.iter().map(|chunk| chunk.text.clone()).collect();
        let embeddings = self.embedder.embed_documents(&texts, &mut Vec::new()).await?;
        let rows: Vec<_> = chunks
            .into_iter()
            .zip(embeddings)
            .map(|(chunk, embedding)| NewChunk {
                index: chunk.index as i32,
                page_start: chunk.page_start as i32,
                page_end: chunk.page_end as i32,
                text: chunk.text,
                place: chunk.place,
                embedding,
            })
            .collect();
        let filename = Filename::try_from(format!("{name}.pdf"))?;
        let bytes = texts.iter().map(String::len).sum::<usize>() as i64;
        let new = NewDocument { filename, format: FileFormat::Pdf, bytes, sha256: None, replaces: None };
        let language = text::detect_language(&pages[0].text);
        let total = pages.len() as i32;
        let model = self.embedder.model();
        let id = self
            .db
            .tenant_tx(self.tenant, async |tx| {
                let id = documents::announce(tx, new, Language::English).await?.document.id;
                documents::begin(tx, id, model).await?;
                documents::record_page_count(tx, id, total, 1).await?;
                documents::store_chunks(tx, id, language, model, &rows).await?;
                documents::finish(tx, id, model, &[0; 32], language, "", &[]).await?;
                Ok(id)
            })
            .await?;
        Ok(id)
    }

    async fn search(&self, question: &SetQuestion, part: SearchKind) -> Result<SearchResult> {
        let said = |text: &String| Turn { role: Role::User, text: text.clone() };
        let history: Vec<_> = question.history.iter().map(said).collect();
        let language = text::detect_language(&question.question);
        let standalone = retrieval::standalone_question(&question.question, language, &history).into_owned();
        let language = if language == Language::Other { text::detect_language(&standalone) } else { language };
        let mut embedding = self.embedder.embed_query(&standalone, &mut Vec::new()).await?;
        if part == SearchKind::FullText {
            // A zero vector has no direction, so no chunk is similar to it.
            embedding.fill(0.0);
        }
        let search = HybridQuery {
            question: if part == SearchKind::Vectors { "" } else { &question.question },
            standalone: if part == SearchKind::Vectors { "" } else { &standalone },
            language,
            embedding: &embedding,
            model: self.embedder.model(),
            vector_weight: self.embedder.vector_weight(),
            documents: None,
            limit: MAX_RANK as i64,
        };
        let passages = self.db.tenant_tx(self.tenant, async |tx| Ok(retrieval::search(tx, &search).await?)).await?;
        Ok(SearchResult {
            question: question.question.clone(),
            standalone,
            language,
            passages,
            provider: self.provider.clone(),
            embedder: self.embedder.clone(),
        })
    }

    /// The rank of each question's document with one kind of search.
    async fn ranks(&self, questions: &[SetQuestion], ids: &HashMap<String, Uuid>, part: SearchKind) -> Result<Ranks> {
        let mut ranks = Ranks::default();
        for question in questions {
            let started = Instant::now();
            let found = self.search(question, part).await?;
            ranks.add(rank(&found.passages, ids.get(&question.context_id).copied()), started.elapsed(), false);
        }
        Ok(ranks)
    }

    /// Measures the answers to the questions of a set. An answer is right when it cites the expected paragraph and
    /// contains one of the question's `answers`, if there are any.
    async fn measure_answers(
        &self,
        set: &QuestionSet,
        ids: &HashMap<String, Uuid>,
        arguments: &Arguments,
    ) -> Result<()> {
        let mut figures = AnswerFigures::default();
        for question in &set.questions {
            let found = self.search(question, SearchKind::Both).await?;
            let completion = found.answer().await?;
            let expected = ids.get(&question.context_id).copied();
            let document = |passage: usize| found.passages.get(passage).map(|passage| passage.document_id);
            let cites = completion.sources.iter().any(|source| document(source.passage) == expected);
            let values = question.answers.iter().map(String::as_str);
            let outcome = answers::judge(completion.answer.as_deref(), cites, values, &[]);
            figures.add(if question.history.is_empty() { "question" } else { "follow_up" }, outcome);
            if arguments.failures && outcome != Outcome::Right {
                println!("  {outcome:?} {} → {:?}\n", question.question, completion.answer);
            }
        }
        if let Some(path) = &arguments.unanswerable {
            for question in &evenly(set::lines(path)?, arguments.most) {
                let completion = self.search(question, SearchKind::Both).await?.answer().await?;
                figures.add_unanswerable(completion.answer.is_none());
            }
        }
        figures.report(&self.name(&set.name), arguments.save, arguments.check)
    }

    /// The share of unanswerable questions that get no answer.
    async fn refused(&self, questions: &[SetQuestion]) -> Result<f64> {
        let mut refused = 0;
        for question in questions {
            let found = self.search(question, SearchKind::Both).await?;
            refused += usize::from(found.answer().await?.answer.is_none());
        }
        Ok(refused as f64 / questions.len().max(1) as f64)
    }
}
