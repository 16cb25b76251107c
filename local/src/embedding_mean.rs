//! `cargo embedding-mean`: writes the mean vector of multilingual-e5-small, which is subtracted from every vector before
//! it is stored.

use std::{fs, path::PathBuf};

use anyhow::{Result, ensure};
use clap::Args;
use e5::{DIMENSIONS, Model, Purpose};
use local_postgres::{ProgressOutput, ensure_embedding_model, root};

use crate::eval::set::QuestionSet;

/// Computes the mean vector of passages and questions, and writes it to e5/src/mean.rs.
///
/// Every kind of text in every language counts the same. A change of the mean is another model for stored vectors: it
/// needs a new name in `E5Embedder::MODEL`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Files in pairs, a pair for each language: the paragraphs, then the questions, as for `cargo eval`.
    #[arg(required = true, num_args = 2..)]
    files: Vec<PathBuf>,
    /// Texts of each kind and language, taken evenly over the file.
    #[arg(long, default_value_t = 500)]
    texts: usize,
}

/// Computes the mean vector and writes the file.
///
/// # Errors
/// Fails when a file is malformed or the model cannot be used.
pub fn run(arguments: &Arguments) -> Result<()> {
    let (pairs, rest) = arguments.files.as_chunks::<2>();
    ensure!(rest.is_empty(), "the files go in pairs: paragraphs, then questions");
    let model = Model::open(&ensure_embedding_model(ProgressOutput::Shown)?)?;
    let mut sum = [0.0; DIMENSIONS];
    for [contexts, questions] in pairs {
        let set = QuestionSet::read(contexts, questions)?;
        let passages = set.contexts.iter().map(|context| context.text.as_str()).collect();
        let questions = set.questions.iter().map(|question| question.question.as_str()).collect();
        for (purpose, texts) in [(Purpose::Passage, passages), (Purpose::Query, questions)] {
            let mean = mean(&model, purpose, &evenly(texts, arguments.texts))?;
            sum.iter_mut().zip(mean).for_each(|(sum, value)| *sum += value / (2 * pairs.len()) as f32);
        }
    }
    let lines: Vec<_> = sum.chunks(8).map(|numbers| format!("    {},\n", row(numbers))).collect();
    let text = format!(
        "//! Written by `cargo embedding-mean`: the mean vector of passages and questions, French and English.\n\n\
         pub(crate) const MEAN: [f32; {DIMENSIONS}] = [\n{}];\n",
        lines.concat()
    );
    fs::write(root().join("e5/src/mean.rs"), text)?;
    Ok(())
}

/// At most `most` of the texts, at even distances.
fn evenly(texts: Vec<&str>, most: usize) -> Vec<&str> {
    let step = texts.len().div_ceil(most.max(1)).max(1);
    texts.into_iter().step_by(step).collect()
}

fn mean(model: &Model, purpose: Purpose, texts: &[&str]) -> Result<[f32; DIMENSIONS]> {
    let mut mean = [0.0; DIMENSIONS];
    for text in texts {
        let vector = model.embed(purpose, text)?;
        mean.iter_mut().zip(vector).for_each(|(mean, value)| *mean += value / texts.len() as f32);
    }
    Ok(mean)
}

fn row(numbers: &[f32]) -> String {
    numbers.iter().map(|number| format!("{number:.6}")).collect::<Vec<_>>().join(", ")
}
