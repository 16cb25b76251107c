//! The vectors of generated chunks and of questions.
//!
//! The local embedder embeds each chunk. multilingual-e5-small takes 60 ms for one, five hours for all. Its vectors are
//! those of the paragraphs that a chunk is made of, mixed by their words, plus a random part. The random part is as
//! large as the one that the model gives to chunks which it did embed.

use std::path::Path;

use anyhow::Result;
use e5::{DIMENSIONS, Model, Purpose};
use shared::embeddings::{E5Embedder, Embedder, LocalEmbedder};

use super::chunk_generator::{ChunkGenerator, GeneratedChunk};
use crate::{eval::set::QuestionSet, random::SplitMix64};

/// Chunks that are embedded to measure how far a mixed vector is from the model's.
const EMBEDDED_CHUNKS: u64 = 60;

/// The embedding model of the generated data.
pub(super) enum Vectors {
    Local,
    E5(Vec<SetVectors>),
}

/// The vectors of one question set by multilingual-e5-small.
pub(super) struct SetVectors {
    questions: Vec<Vec<f32>>,
    paragraphs: Vec<Vec<f32>>,
    /// The norm of the random part, where the mixed part has norm 1.
    noise: f32,
}

impl Vectors {
    /// Embeds the paragraphs and questions of the sets, which takes minutes.
    ///
    /// # Errors
    /// Fails when the model's file cannot be read.
    pub(super) fn of_e5(file: &Path, sets: &[QuestionSet], seed: u64) -> Result<Self> {
        let model = Model::open(file)?;
        Ok(Self::E5(sets.iter().map(|set| SetVectors::embed(&model, set, seed)).collect::<Result<_>>()?))
    }

    /// Returns the model name that is stored with each vector.
    pub(super) fn model(&self) -> &'static str {
        match self {
            Self::Local => LocalEmbedder::MODEL,
            Self::E5(_) => E5Embedder::MODEL,
        }
    }

    /// Returns the weight of vectors in the product's ranking.
    pub(super) fn weight(&self) -> f64 {
        match self {
            Self::Local => Embedder::Local(LocalEmbedder).vector_weight(),
            Self::E5(_) => E5Embedder::VECTOR_WEIGHT,
        }
    }

    /// Returns true for vectors of 384 numbers, which have columns of their own.
    pub(super) fn are_short(&self) -> bool {
        matches!(self, Self::E5(_))
    }

    /// Returns the vector of a question of a set.
    pub(super) fn question(&self, set: usize, number: usize, text: &str) -> Vec<f32> {
        match self {
            Self::Local => LocalEmbedder.embed_query(text),
            Self::E5(sets) => sets[set].questions[number].clone(),
        }
    }

    /// Returns the vector of a generated chunk of a set.
    pub(super) fn chunk(&self, set: usize, chunk: &GeneratedChunk, random: &mut SplitMix64) -> Vec<f32> {
        match self {
            Self::Local => LocalEmbedder.embed_document(&chunk.text),
            Self::E5(sets) => {
                let mut vector = sets[set].mixed(chunk);
                let random = random_direction(random);
                vector.iter_mut().zip(random).for_each(|(value, random)| *value += sets[set].noise * random);
                normalize(&mut vector);
                vector
            }
        }
    }
}

impl SetVectors {
    fn embed(model: &Model, set: &QuestionSet, seed: u64) -> Result<Self> {
        let texts = ChunkGenerator::new(&set.contexts);
        let embed = |purpose, text: &str| Ok(e5::center(model.embed(purpose, text)?).to_vec());
        let questions: Result<_> = set.questions.iter().map(|asked| embed(Purpose::Query, &asked.question)).collect();
        let paragraphs: Result<_> = texts.paragraphs().map(|text| embed(Purpose::Passage, &text)).collect();
        let mut vectors = Self { questions: questions?, paragraphs: paragraphs?, noise: 0.0 };
        let mut likeness = 0.0;
        for number in 0..EMBEDDED_CHUNKS {
            let chunk = texts.chunk(&mut SplitMix64::for_object(seed, "embedded", number));
            let embedded = embed(Purpose::Passage, &chunk.text)?;
            likeness += dot(&vectors.mixed(&chunk), &embedded) / EMBEDDED_CHUNKS as f32;
        }
        vectors.noise = (likeness.powi(-2) - 1.0).max(0.0).sqrt();
        eprintln!("  {}: a mixed vector has the cosine {likeness:.3} with that of its chunk", set.name);
        Ok(vectors)
    }

    /// The vectors of the chunk's paragraphs, weighed by words, of norm 1.
    fn mixed(&self, chunk: &GeneratedChunk) -> Vec<f32> {
        let mut mixed = vec![0.0; DIMENSIONS];
        for &(paragraph, words) in &chunk.sources {
            mixed.iter_mut().zip(&self.paragraphs[paragraph]).for_each(|(sum, value)| *sum += words as f32 * value);
        }
        normalize(&mut mixed);
        mixed
    }
}

/// A direction of norm 1 with every direction about equally likely: each number is a sum of twelve even ones.
fn random_direction(random: &mut SplitMix64) -> Vec<f32> {
    let number =
        |random: &mut SplitMix64| (0..12).map(|_| random.below(1 << 20) as f32 / 1_048_576.0).sum::<f32>() - 6.0;
    let mut direction: Vec<_> = (0..DIMENSIONS).map(|_| number(random)).collect();
    normalize(&mut direction);
    direction
}

fn dot(one: &[f32], other: &[f32]) -> f32 {
    one.iter().zip(other).map(|(one, other)| one * other).sum()
}

fn normalize(vector: &mut [f32]) {
    let norm = dot(vector, vector).sqrt().max(f32::MIN_POSITIVE);
    vector.iter_mut().for_each(|value| *value /= norm);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chunk_is_near_its_paragraphs_by_their_words_and_no_two_are_equal() {
        let axis =
            |place: usize| (0..DIMENSIONS).map(|number| f32::from(u8::from(number == place))).collect::<Vec<_>>();
        let set = SetVectors { questions: Vec::new(), paragraphs: vec![axis(0), axis(1)], noise: 0.5 };
        let vectors = Vectors::E5(vec![set]);
        let chunk = GeneratedChunk { text: String::new(), sources: vec![(0, 30), (1, 10)] };
        let mut random = SplitMix64::new(1);
        let (one, two) = (vectors.chunk(0, &chunk, &mut random), vectors.chunk(0, &chunk, &mut random));
        assert_ne!(one, two);
        for vector in [&one, &two] {
            assert!((dot(vector, vector) - 1.0).abs() < 1e-4);
            // 3 : 1 by words, under a random part of half their norm.
            assert!((0.7..0.95).contains(&vector[0]), "{}", vector[0]);
            assert!((0.15..0.45).contains(&vector[1]), "{}", vector[1]);
        }
    }
}
