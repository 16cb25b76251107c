//! `cargo eval --answers`: uploads the PDFs of companies to a stack, asks their customers' questions over the API and
//! compares each answer with the expected value and page.

use std::{collections::BTreeMap, fs, time::Duration};

use anyhow::{Context, Result, bail};
use local_postgres::root;
use reqwest::Client;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use shared::{settings::SettingsMap, text};

use super::set;
use crate::{
    corpus::StackClient,
    environment::{EMBEDDING_SETTINGS, env_variable},
    testing::{self, TestOptions, TestStack},
};

/// The deterioration that `--check` tolerates: less than one question of the smallest set.
const TOLERANCE: f64 = 0.01;
/// The customers' question sets. Answers are tuned on the first alone; its failures alone are shown.
const CUSTOMER_SETS: [&str; 2] = ["customers_tuning", "customers_heldout"];

/// A PDF of a company.
#[derive(Debug, Deserialize)]
struct CompanyDocument {
    /// The file's name, which the answers cite.
    id: String,
    company: String,
    /// The file's path from the root of the repository.
    file: String,
}

/// A customer's question. Without `value`, no document answers it.
#[derive(Debug, Deserialize)]
struct CustomerQuestion {
    question: String,
    company: String,
    /// The file that has the answer.
    #[serde(default)]
    context_id: String,
    /// The page that has the answer, from 1.
    #[serde(default)]
    page: i64,
    /// The kind of the question, by which the results are shown.
    kind: String,
    /// The text that a right answer contains.
    #[serde(default)]
    value: String,
    /// Texts that a right answer does not contain, such as the prices of other rows.
    #[serde(default)]
    not: Vec<String>,
    /// The earlier questions of the conversation, oldest first.
    #[serde(default)]
    history: Vec<String>,
}

/// The judgement of one answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    Right,
    Wrong,
    Refused,
}

/// The number of answers of each outcome.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Tally {
    right: usize,
    wrong: usize,
    refused: usize,
}

impl Tally {
    fn add(&mut self, outcome: Outcome) {
        match outcome {
            Outcome::Right => self.right += 1,
            Outcome::Wrong => self.wrong += 1,
            Outcome::Refused => self.refused += 1,
        }
    }

    fn total(self) -> usize {
        self.right + self.wrong + self.refused
    }

    /// Returns the share of `count` in the total, in ten thousandths.
    fn share(self, count: usize) -> f64 {
        (count as f64 / self.total().max(1) as f64 * 1e4).round() / 1e4
    }
}

/// The answers to a question set by kind of question. For unanswerable questions, a refusal is right.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct AnswerFigures {
    answerable: BTreeMap<String, Tally>,
    unanswerable: Tally,
    /// The median length of an answer, in characters.
    #[serde(default)]
    median_chars: usize,
}

impl AnswerFigures {
    /// Adds the answer to an answerable question, `None` for a refusal.
    pub(super) fn add(&mut self, kind: &str, outcome: Outcome) {
        self.answerable.entry(kind.to_owned()).or_default().add(outcome);
    }

    /// Adds the result of a question that nothing answers.
    pub(super) fn add_unanswerable(&mut self, is_refused: bool) {
        self.unanswerable.add(if is_refused { Outcome::Refused } else { Outcome::Wrong });
    }

    fn overall(&self) -> Tally {
        self.answerable.values().fold(Tally::default(), |sum, tally| Tally {
            right: sum.right + tally.right,
            wrong: sum.wrong + tally.wrong,
            refused: sum.refused + tally.refused,
        })
    }

    /// The compared figures, each better when higher.
    fn compared(&self) -> [(&'static str, f64); 3] {
        let (all, none) = (self.overall(), self.unanswerable);
        let not_wrong = if all.total() == 0 { 1.0 } else { 1.0 - all.share(all.wrong) };
        [
            ("right", all.share(all.right)),
            ("not wrong", (not_wrong * 1e4).round() / 1e4),
            ("unanswerable refused", none.share(none.refused)),
        ]
    }

    fn show(&self, name: &str) {
        println!("\n  {name:<24} right  wrong  refused");
        let line = |label: &str, tally: Tally| {
            println!("    {label:<22} {:>5}  {:>5}  {:>7}", tally.right, tally.wrong, tally.refused);
        };
        self.answerable.iter().for_each(|(kind, tally)| line(kind, *tally));
        let all = self.overall();
        if all.total() > 0 {
            let shares = [all.right, all.wrong, all.refused].map(|count| all.share(count));
            println!("    {:<22} {:.4} {:.4} {:.4}", "all", shares[0], shares[1], shares[2]);
        }
        if self.unanswerable.total() > 0 {
            let none = self.unanswerable;
            let shares = (none.share(none.wrong), none.share(none.refused));
            println!("    {:<22}       {:.4} {:.4}", "unanswerable", shares.0, shares.1);
        }
        if self.median_chars > 0 {
            println!("    median answer of {} characters", self.median_chars);
        }
    }

    /// Prints the figures beside the committed ones; saves them, or fails when they are worse.
    pub(super) fn report(&self, name: &str, save: bool, check: bool) -> Result<()> {
        self.show(name);
        let path = root().join("docs/answers.json");
        let text = fs::read_to_string(&path).unwrap_or_else(|_| "{}".to_owned());
        let mut committed: BTreeMap<String, Self> =
            serde_json::from_str(&text).with_context(|| format!("{} is malformed", path.display()))?;
        let before = committed.get(name).cloned();
        let mut worse = Vec::new();
        if let Some(before) = &before {
            for ((label, now), (_, before)) in self.compared().into_iter().zip(before.compared()) {
                println!("    {label:<22} {now:.4}   committed {before:.4}   {:+.4}", now - before);
                if now < before - TOLERANCE {
                    worse.push(label);
                }
            }
        }
        if save {
            committed.insert(name.to_owned(), self.clone());
            fs::write(&path, serde_json::to_string_pretty(&committed)? + "\n")
                .with_context(|| format!("{} cannot be written", path.display()))?;
        }
        if check && before.is_none() {
            bail!("no answers to {name} are committed: run with --save first");
        }
        if check && !worse.is_empty() {
            bail!("the answers to {name} are worse than the committed ones: {}", worse.join(", "));
        }
        Ok(())
    }
}

/// Judges an answer, `None` for a refusal, by the value that it must contain and those that it must not.
pub(super) fn judge<'v>(
    answer: Option<&str>,
    cites_the_page: bool,
    values: impl IntoIterator<Item = &'v str>,
    others: &[String],
) -> Outcome {
    let Some(answer) = answer else { return Outcome::Refused };
    let folded = text::fold(answer);
    let has = |value: &str| folded.contains(&text::fold(value));
    let mut values = values.into_iter().peekable();
    let has_value = values.peek().is_none() || values.any(has);
    if cites_the_page && has_value && !others.iter().any(|other| has(other)) { Outcome::Right } else { Outcome::Wrong }
}

/// Asks the customers' questions of one set, or of all of them.
///
/// # Errors
/// Fails when a file is malformed, a server does not start, or with `check` a figure is worse.
pub(super) async fn run_customers(only: Option<&str>, failures: bool, save: bool, check: bool) -> Result<()> {
    let mut settings = SettingsMap::new();
    for name in EMBEDDING_SETTINGS {
        settings.extend(env_variable(name)?.map(|value| (name.to_owned(), value)));
    }
    let suffix = settings.get("EMBEDDING_PROVIDER").map(|name| format!(", {name}")).unwrap_or_default();
    let stack = testing::stack(TestOptions { settings, ..TestOptions::default() }).await?;
    let golden = root().join("local/golden");
    let documents: Vec<CompanyDocument> = set::lines(&golden.join("customers.documents.jsonl"))?;
    let mut companies = BTreeMap::new();
    let mut outcome = Ok(());
    for name in CUSTOMER_SETS.into_iter().filter(|name| only.is_none_or(|only| only == *name)) {
        let file = |part: &str| golden.join(format!("{name}.{part}.jsonl"));
        let mut questions: Vec<CustomerQuestion> = set::lines(&file("questions"))?;
        questions.extend(set::lines::<CustomerQuestion>(&file("unanswerable"))?);
        let mut figures = AnswerFigures::default();
        let mut lengths = Vec::new();
        // Whoever sees the failures of the held-out set would tune on them.
        let shows_failures = failures && CUSTOMER_SETS.first() == Some(&name);
        for question in &questions {
            if !companies.contains_key(&question.company) {
                companies
                    .insert(question.company.clone(), Company::sign_up(&stack, &documents, &question.company).await?);
            }
            let company = companies.get(&question.company).context("no company")?;
            let reply = company.ask(question).await?;
            let answer = reply["answer"].as_str().context("no answer")?;
            let answered = (reply["answered"] == true).then_some(answer);
            lengths.extend(answered.map(|answer| answer.chars().count()));
            if question.value.is_empty() {
                figures.add_unanswerable(answered.is_none());
                if shows_failures && let Some(answer) = answered {
                    println!("  UNANSWERABLE {} → {answer}\n", question.question);
                }
                continue;
            }
            let cited = reply["citations"].as_array().into_iter().flatten();
            let cites = cited.into_iter().any(|citation| {
                citation["filename"] == question.context_id.as_str() && citation["page"] == question.page
            });
            let judged = judge(answered, cites, [question.value.as_str()], &question.not);
            figures.add(&question.kind, judged);
            if shows_failures && judged != Outcome::Right {
                println!("  {judged:?} [{}] {} ({}) → {answer}\n", question.kind, question.question, question.value);
            }
        }
        lengths.sort_unstable();
        figures.median_chars = lengths.get(lengths.len() / 2).copied().unwrap_or_default();
        // Each set is shown before the first that is worse fails the command.
        outcome = outcome.and(figures.report(&format!("{name}{suffix}"), save, check));
    }
    outcome
}

/// A company with its documents, as a tenant of the stack.
struct Company {
    client: StackClient,
    base_url: String,
    http: Client,
}

impl Company {
    async fn sign_up(stack: &TestStack, documents: &[CompanyDocument], name: &str) -> Result<Self> {
        let base_url = stack.base_url();
        let demo = json!({ "base_url": base_url, "admin_database_url": stack.database.admin });
        let mut client = StackClient::new(&demo).await?;
        // A company without a plan has few answers.
        sqlx::query("update user_settings set free_quota_limit = 1000000").execute(&mut client.admin).await?;
        for document in documents.iter().filter(|document| document.company == name) {
            let path = root().join(&document.file);
            let file = fs::read(&path).with_context(|| format!("{} cannot be read", path.display()))?;
            let id = client.upload(&document.id, file).await?;
            let stored = client.wait(id).await?;
            if stored["status"] != "processed" {
                bail!("{} is not processed: {stored}", document.id);
            }
        }
        let http = Client::builder().timeout(Duration::from_secs(60)).no_proxy().build()?;
        Ok(Self { client, base_url, http })
    }

    /// Asks a question after those before it, in one conversation. Returns the last answer.
    async fn ask(&self, question: &CustomerQuestion) -> Result<Value> {
        let mut conversation = Value::Null;
        let mut answer = Value::Null;
        for asked in question.history.iter().chain([&question.question]) {
            let body = json!({ "question": asked, "conversation_id": conversation });
            let request = self.http.post(format!("{}/api/v1/query", self.base_url)).bearer_auth(&self.client.token);
            let reply: Value = request.json(&body).send().await?.error_for_status()?.json().await?;
            answer = reply["data"].clone();
            conversation = answer["conversation_id"].clone();
        }
        Ok(answer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_right_with_the_value_and_the_page_alone() {
        let others = ["45 000".to_owned()];
        let judged = |answer, cites| judge(answer, cites, ["18 500 FCFA"], &others);
        assert_eq!(judged(Some("Pagne wax : 18 500 fcfa"), true), Outcome::Right);
        assert_eq!(judged(Some("Pagne wax : 18 500 FCFA"), false), Outcome::Wrong);
        assert_eq!(judged(Some("Wax 18 500 FCFA, kita 45 000 FCFA"), true), Outcome::Wrong);
        assert_eq!(judged(Some("Pagne wax : 8 500 FCFA"), true), Outcome::Wrong);
        assert_eq!(judged(None, true), Outcome::Refused);
    }

    #[test]
    fn figures_are_compared_over_all_kinds() {
        let mut figures = AnswerFigures::default();
        for (kind, outcome) in [
            ("price", Outcome::Right),
            ("price", Outcome::Wrong),
            ("phone", Outcome::Refused),
            ("phone", Outcome::Right),
        ] {
            figures.add(kind, outcome);
        }
        figures.add_unanswerable(true);
        let expected = [("right", 0.5), ("not wrong", 0.75), ("unanswerable refused", 1.0)];
        assert_eq!(figures.compared(), expected);
    }
}
