//! The twelve layers of a BERT encoder, normalised after each part, and the mean over a window's tokens.

use std::iter::zip;

use pulp::{Simd, WithSimd};

use crate::{
    DIMENSIONS, MAX_WINDOW_TOKENS,
    file::{ModelError, ModelFile, SectionReader},
    math,
    matrix::{Activations, Instructions, Linear},
};

const LAYERS: usize = 12;
/// Width of the feed-forward part.
const INNER: usize = 1536;
/// Positions that the model has learned: a window with its begin and end.
const POSITIONS: usize = MAX_WINDOW_TOKENS + 2;
/// Numbers of a token that one head of attention reads.
const HEAD: usize = 32;
/// Queries that are compared with a vector of keys at once, as many as the registers hold.
const QUERIES_AT_ONCE: usize = 8;

/// The weights, all but the words'.
#[derive(Debug)]
pub(crate) struct Encoder {
    instructions: Instructions,
    positions: Vec<f32>,
    norm: Norm,
    layers: Vec<Layer>,
}

#[derive(Debug)]
struct Layer {
    query: Linear,
    key: Linear,
    value: Linear,
    attention_output: Linear,
    attention_norm: Norm,
    expansion: Linear,
    reduction: Linear,
    output_norm: Norm,
}

/// Learned weights of a layer normalisation.
#[derive(Debug)]
struct Norm {
    weights: Vec<f32>,
    bias: Vec<f32>,
}

impl Norm {
    fn read(reader: &mut SectionReader<'_>) -> Result<Self, ModelError> {
        Ok(Self { weights: reader.singles(DIMENSIONS)?, bias: reader.singles(DIMENSIONS)? })
    }
}

/// Adds a row to each token's numbers and normalises the sums.
struct AddAndNormalize<'a> {
    tokens: &'a mut [f32],
    added: &'a [f32],
    norm: &'a Norm,
}

impl WithSimd for AddAndNormalize<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        for (row, added) in zip(self.tokens.chunks_exact_mut(DIMENSIONS), self.added.chunks_exact(DIMENSIONS)) {
            math::add_and_normalize(simd, row, added, &self.norm.weights, &self.norm.bias);
        }
    }
}

impl Layer {
    fn read(reader: &mut SectionReader<'_>) -> Result<Self, ModelError> {
        Ok(Self {
            query: Linear::read(reader, DIMENSIONS, DIMENSIONS)?,
            key: Linear::read(reader, DIMENSIONS, DIMENSIONS)?,
            value: Linear::read(reader, DIMENSIONS, DIMENSIONS)?,
            attention_output: Linear::read(reader, DIMENSIONS, DIMENSIONS)?,
            attention_norm: Norm::read(reader)?,
            expansion: Linear::read(reader, DIMENSIONS, INNER)?,
            reduction: Linear::read(reader, INNER, DIMENSIONS)?,
            output_norm: Norm::read(reader)?,
        })
    }
}

/// Memory for the numbers of a window's tokens between the parts of a layer.
struct Buffers {
    activations: Activations,
    query: Vec<f32>,
    key: Vec<f32>,
    value: Vec<f32>,
    attended: Vec<f32>,
    inner: Vec<f32>,
}

impl Encoder {
    pub(crate) fn read(file: &mut ModelFile, instructions: Instructions) -> Result<Self, ModelError> {
        let mut reader = file.encoder();
        let positions = reader.singles(POSITIONS * DIMENSIONS)?;
        let norm = Norm::read(&mut reader)?;
        let layers = (0..LAYERS).map(|_| Layer::read(&mut reader)).collect::<Result<_, _>>()?;
        reader.finish()?;
        Ok(Self { instructions, positions, norm, layers })
    }

    /// Returns the mean of the last layer over the tokens of a window. There are at most [`POSITIONS`] tokens.
    pub(crate) fn mean_of_window(
        &self,
        words: impl Iterator<Item = Result<[f32; DIMENSIONS], ModelError>>,
    ) -> Result<[f32; DIMENSIONS], ModelError> {
        let mut tokens: Vec<f32> = Vec::with_capacity(words.size_hint().0 * DIMENSIONS);
        for word in words {
            tokens.extend_from_slice(&word?);
        }
        let width = tokens.len();
        let added = &self.positions[..width];
        self.instructions.run(AddAndNormalize { tokens: &mut tokens, added, norm: &self.norm });
        let count = width / DIMENSIONS;
        let mut buffers = Buffers {
            activations: Activations::new(self.instructions, count),
            query: vec![0.0; width],
            key: vec![0.0; width],
            value: vec![0.0; width],
            attended: vec![0.0; width],
            inner: vec![0.0; count * INNER],
        };
        for layer in &self.layers {
            self.apply(layer, &mut tokens, &mut buffers);
        }
        let mut mean = [0.0; DIMENSIONS];
        for token in tokens.as_chunks::<DIMENSIONS>().0 {
            zip(&mut mean, token).for_each(|(mean, number)| *mean += number);
        }
        Ok(mean.map(|sum| sum / count as f32))
    }

    fn apply(&self, layer: &Layer, tokens: &mut [f32], buffers: &mut Buffers) {
        let Buffers { activations, query, key, value, attended, inner } = buffers;
        let instructions = self.instructions;
        activations.set(tokens);
        layer.query.apply(activations, query);
        layer.key.apply(activations, key);
        layer.value.apply(activations, value);
        instructions.run(Attention { query, key, value, out: attended });
        activations.set(attended);
        // The queries are used up: their memory takes the results.
        layer.attention_output.apply(activations, query);
        instructions.run(AddAndNormalize { tokens, added: query, norm: &layer.attention_norm });
        activations.set(tokens);
        layer.expansion.apply(activations, inner);
        instructions.run(math::Gelu(inner));
        activations.set(inner);
        layer.reduction.apply(activations, query);
        instructions.run(AddAndNormalize { tokens, added: query, norm: &layer.output_norm });
    }
}

/// The attention of all heads: each token's mean of the values, weighted by the likeness of its query to the keys.
struct Attention<'a> {
    query: &'a [f32],
    key: &'a [f32],
    value: &'a [f32],
    out: &'a mut [f32],
}

/// Keys and values of one head, by vector: each vector of a head is followed by that of the next dimension or token.
struct Head {
    /// Number of tokens, rounded up to whole vectors.
    padded: usize,
    /// By vector of tokens, then by dimension.
    keys: Vec<f32>,
    /// By vector of dimensions, then by token.
    values: Vec<f32>,
}

impl WithSimd for Attention<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let tokens = self.query.len() / DIMENSIONS;
        let padded = tokens.next_multiple_of(8);
        let mut head = Head { padded, keys: vec![0.0; HEAD * padded], values: vec![0.0; HEAD * tokens] };
        let mut weights = vec![0.0; QUERIES_AT_ONCE * padded];
        for first in (0..DIMENSIONS).step_by(HEAD) {
            head.fill(first, self.key, self.value, S::F32_LANES);
            let query = |token: usize| &self.query[token * DIMENSIONS + first..][..HEAD];
            let mut out = |token: usize, vector: usize, numbers: S::f32s| {
                let start = token * DIMENSIONS + first + vector * S::F32_LANES;
                S::as_mut_simd_f32s(&mut self.out[start..start + S::F32_LANES]).0[0] = numbers;
            };
            let mut token = 0;
            while token + QUERIES_AT_ONCE <= tokens {
                let queries: [&[f32]; QUERIES_AT_ONCE] = std::array::from_fn(|index| query(token + index));
                head.attend(simd, queries, tokens, &mut weights, |index, vector, numbers| {
                    out(token + index, vector, numbers);
                });
                token += QUERIES_AT_ONCE;
            }
            while token < tokens {
                head.attend(simd, [query(token)], tokens, &mut weights, |_, vector, numbers| {
                    out(token, vector, numbers)
                });
                token += 1;
            }
        }
    }
}

impl Head {
    /// Takes in the keys and values of the head whose numbers begin at `first`.
    fn fill(&mut self, first: usize, key: &[f32], value: &[f32], lanes: usize) {
        for (token, key) in key.chunks_exact(DIMENSIONS).enumerate() {
            let start = token / lanes * HEAD * lanes + token % lanes;
            for (dimension, number) in key[first..first + HEAD].iter().enumerate() {
                self.keys[start + dimension * lanes] = *number;
            }
        }
        let tokens = value.len() / DIMENSIONS;
        for (token, value) in value.chunks_exact(DIMENSIONS).enumerate() {
            for (vector, numbers) in value[first..first + HEAD].chunks_exact(lanes).enumerate() {
                self.values[(vector * tokens + token) * lanes..][..lanes].copy_from_slice(numbers);
            }
        }
    }

    /// Computes the attention of some queries, and gives the vectors of each one's result to `out`.
    #[inline(always)]
    fn attend<S: Simd, const QUERIES: usize>(
        &self,
        simd: S,
        queries: [&[f32]; QUERIES],
        tokens: usize,
        weights: &mut [f32],
        mut out: impl FnMut(usize, usize, S::f32s),
    ) {
        for (vector, keys) in S::as_simd_f32s(&self.keys).0.chunks_exact(HEAD).enumerate() {
            for (query, products) in math::multiply(simd, queries, keys).into_iter().enumerate() {
                let start = query * self.padded + vector * S::F32_LANES;
                S::as_mut_simd_f32s(&mut weights[start..start + S::F32_LANES]).0[0] = products;
            }
        }
        let scale = 1.0 / (HEAD as f32).sqrt();
        for weights in weights.chunks_exact_mut(self.padded).take(QUERIES) {
            math::softmax(simd, weights, tokens, scale);
        }
        let weights: [&[f32]; QUERIES] = std::array::from_fn(|query| &weights[query * self.padded..][..tokens]);
        for (vector, values) in S::as_simd_f32s(&self.values).0.chunks_exact(tokens).enumerate() {
            for (query, numbers) in math::multiply(simd, weights, values).into_iter().enumerate() {
                out(query, vector, numbers);
            }
        }
    }
}
