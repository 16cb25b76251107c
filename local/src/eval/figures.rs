//! The figures of a question set, and the comparison with the committed ones.

use std::{collections::BTreeMap, fs, time::Duration};

use anyhow::{Context, Result, bail};
use local_postgres::root;
use serde::{Deserialize, Serialize};

/// The deterioration that `--check` tolerates: a set has few questions, and ties are broken by chance.
const TOLERANCE: f64 = 0.01;

/// The results, question by question.
#[derive(Debug, Default)]
pub(super) struct Ranks {
    ranks: Vec<Option<usize>>,
    took: Vec<Duration>,
    answered: usize,
}

impl Ranks {
    pub(super) fn add(&mut self, rank: Option<usize>, took: Duration, answered: bool) {
        self.ranks.push(rank);
        self.took.push(took);
        self.answered += usize::from(answered);
    }

    /// Prints recall and MRR of one kind of search.
    pub(super) fn show(&self, name: &str) {
        let [first, five, ten] = [1, 5, 10].map(|depth| self.recall(depth));
        println!("  {name:<12} R@1 {first:.4}   R@5 {five:.4}   R@10 {ten:.4}   MRR@10 {:.4}", self.reciprocal());
    }

    fn recall(&self, depth: usize) -> f64 {
        let found = self.ranks.iter().filter(|rank| rank.is_some_and(|rank| rank <= depth)).count();
        self.part(found)
    }

    fn reciprocal(&self) -> f64 {
        let sum: f64 = self.ranks.iter().flatten().filter(|rank| **rank <= 10).map(|rank| 1.0 / *rank as f64).sum();
        sum / self.ranks.len().max(1) as f64
    }

    fn part(&self, count: usize) -> f64 {
        count as f64 / self.ranks.len().max(1) as f64
    }

    fn percentile(&self, percent: usize) -> f64 {
        let mut took = self.took.clone();
        took.sort_unstable();
        let place = (took.len() * percent / 100).min(took.len().saturating_sub(1));
        took.get(place).map_or(0.0, |took| took.as_secs_f64() * 1e3)
    }
}

/// Selects one figure.
type Pick = fn(&RetrievalFigures) -> Option<f64>;

/// The figures of one question set. The times depend on the machine, so they are shown and not compared.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct RetrievalFigures {
    recall_at_1: f64,
    recall_at_5: f64,
    recall_at_10: f64,
    mrr_at_10: f64,
    /// The share of answerable questions that the extractive provider answers.
    answered: f64,
    /// The share of unanswerable questions that the extractive provider refuses.
    #[serde(skip_serializing_if = "Option::is_none")]
    refused: Option<f64>,
    #[serde(skip, default)]
    p50_ms: f64,
    #[serde(skip, default)]
    p95_ms: f64,
}

impl RetrievalFigures {
    pub(super) fn new(ranks: &Ranks, refused: Option<f64>) -> Self {
        let round = |figure: f64| (figure * 1e4).round() / 1e4;
        Self {
            recall_at_1: round(ranks.recall(1)),
            recall_at_5: round(ranks.recall(5)),
            recall_at_10: round(ranks.recall(10)),
            mrr_at_10: round(ranks.reciprocal()),
            answered: round(ranks.part(ranks.answered)),
            refused: refused.map(round),
            p50_ms: ranks.percentile(50),
            p95_ms: ranks.percentile(95),
        }
    }

    /// Prints the figures beside the committed ones; saves them, or fails when they are worse.
    pub(super) fn report(&self, name: &str, save: bool, check: bool) -> Result<()> {
        let path = root().join("docs/retrieval.json");
        let text = fs::read_to_string(&path).unwrap_or_else(|_| "{}".to_owned());
        let mut committed: BTreeMap<String, Self> =
            serde_json::from_str(&text).with_context(|| format!("{} is malformed", path.display()))?;
        let before = committed.get(name).cloned();
        let mut worse = Vec::new();
        for (label, pick) in Self::COMPARED {
            let (now, before) = (pick(self), before.as_ref().and_then(pick));
            let Some(now) = now else { continue };
            match before {
                None => println!("  {label:<12} {now:.4}"),
                Some(before) => println!("  {label:<12} {now:.4}   committed {before:.4}   {:+.4}", now - before),
            }
            if before.is_some_and(|before| now < before - TOLERANCE) {
                worse.push(label);
            }
        }
        println!("  {:<12} p50 {:.1} ms, p95 {:.1} ms", "retrieval", self.p50_ms, self.p95_ms);
        if save {
            committed.insert(name.to_owned(), self.clone());
            fs::write(&path, serde_json::to_string_pretty(&committed)? + "\n")
                .with_context(|| format!("{} cannot be written", path.display()))?;
        }
        if check && before.is_none() {
            bail!("no figures of {name} are committed: run with --save first");
        }
        if check && !worse.is_empty() {
            bail!("worse than the committed figures: {}", worse.join(", "));
        }
        Ok(())
    }

    const COMPARED: [(&'static str, Pick); 6] = [
        ("R@1", |figures| Some(figures.recall_at_1)),
        ("R@5", |figures| Some(figures.recall_at_5)),
        ("R@10", |figures| Some(figures.recall_at_10)),
        ("MRR@10", |figures| Some(figures.mrr_at_10)),
        ("answered", |figures| Some(figures.answered)),
        ("refused", |figures| figures.refused),
    ];
}
