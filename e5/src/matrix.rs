//! Products of activations with weights of four bits: integers within a block of 32, floating point across blocks.

use std::iter::zip;

use pulp::{Simd, WithSimd};

use crate::file::{ModelError, SectionReader};

/// Weights that share a scale.
pub(crate) const BLOCK: usize = 32;
/// Rows of a matrix whose weights are stored together and whose products are computed together.
const LANES: usize = 8;
/// Bytes of a block of [`LANES`] rows, a weight in four bits.
const PACKED_BYTES: usize = LANES * BLOCK / 2;
/// The processor's instructions that are used.
#[derive(Debug, Clone, Copy)]
pub enum Instructions {
    /// Products of floating point, with the vectors of the processor that `pulp` detects: NEON on arm64.
    Float(pulp::Arch),
    /// Products of integers with AVX2, and FMA for the rest.
    #[cfg(target_arch = "x86_64")]
    Avx2(pulp::x86::V3),
}

impl Instructions {
    /// Returns the best instructions of this processor.
    #[must_use]
    pub fn detect() -> Self {
        #[cfg(target_arch = "x86_64")]
        if let Some(avx2) = pulp::x86::V3::try_new() {
            return Self::Avx2(avx2);
        }
        Self::Float(pulp::Arch::new())
    }

    /// Runs a task, compiled for these instructions.
    pub(crate) fn run<Task: WithSimd>(self, task: Task) -> Task::Output {
        match self {
            Self::Float(arch) => arch.dispatch(task),
            #[cfg(target_arch = "x86_64")]
            Self::Avx2(avx2) => Simd::vectorize(avx2, task),
        }
    }
}

/// A linear layer: a matrix of weights and a bias.
#[derive(Debug)]
pub(crate) struct Linear {
    inputs: usize,
    outputs: usize,
    bias: Vec<f32>,
    /// By eight rows, then by block, then by row.
    scales: Vec<[f32; LANES]>,
    /// By eight rows, then by block. Byte `32·s + 4·row + i` of a block has the weights `4·s + i`, in its low half, and
    /// `16 + 4·s + i` of a row, each plus 8.
    weights: Vec<[u8; PACKED_BYTES]>,
}

/// Eight rows of a matrix.
struct RowGroup<'a> {
    scales: &'a [[f32; LANES]],
    weights: &'a [[u8; PACKED_BYTES]],
    bias: &'a [f32; LANES],
}

impl Linear {
    pub(crate) fn read(reader: &mut SectionReader<'_>, inputs: usize, outputs: usize) -> Result<Self, ModelError> {
        let bias = reader.singles(outputs)?;
        let scales = reader.halves(outputs * inputs / BLOCK)?.as_chunks().0.to_vec();
        let weights = reader.bytes(outputs * inputs / 2)?.as_chunks().0.to_vec();
        Ok(Self { inputs, outputs, bias, scales, weights })
    }

    /// Multiplies the activations of each token with the matrix and adds the bias. `out` has `outputs` numbers for each
    /// token.
    pub(crate) fn apply(&self, input: &Activations, out: &mut [f32]) {
        assert_eq!((input.width, input.tokens * self.outputs), (self.inputs, out.len()));
        match input.instructions {
            Instructions::Float(_) => input.instructions.run(float::Product { linear: self, input, out }),
            #[cfg(target_arch = "x86_64")]
            Instructions::Avx2(avx2) => avx2.vectorize(avx2::Product { avx2, linear: self, input, out }),
        }
    }

    #[inline(always)]
    fn groups(&self) -> impl Iterator<Item = RowGroup<'_>> {
        let blocks = self.inputs / BLOCK;
        zip(self.scales.chunks_exact(blocks), self.weights.chunks_exact(blocks))
            .zip(self.bias.as_chunks().0)
            .map(|((scales, weights), bias)| RowGroup { scales, weights, bias })
    }
}

/// The numbers that a matrix is multiplied with.
#[derive(Debug)]
pub(crate) struct Activations {
    instructions: Instructions,
    tokens: usize,
    /// Numbers of a token.
    width: usize,
    /// The numbers, for products of floating point.
    numbers: Vec<f32>,
    /// The numbers as integers of eight bits, for products of integers.
    values: Vec<[i8; BLOCK]>,
    /// Scale of each block of integers.
    scales: Vec<f32>,
    /// Sum of each block of integers.
    sums: Vec<i32>,
}

impl Activations {
    pub(crate) fn new(instructions: Instructions, tokens: usize) -> Self {
        Self {
            instructions,
            tokens,
            width: 0,
            numbers: Vec::new(),
            values: Vec::new(),
            scales: Vec::new(),
            sums: Vec::new(),
        }
    }

    /// Replaces the numbers.
    pub(crate) fn set(&mut self, numbers: &[f32]) {
        self.width = numbers.len() / self.tokens;
        match self.instructions {
            Instructions::Float(_) => {
                self.numbers.clear();
                self.numbers.extend_from_slice(numbers);
            }
            #[cfg(target_arch = "x86_64")]
            Instructions::Avx2(avx2) => {
                let blocks = numbers.len() / BLOCK;
                self.values.resize(blocks, [0; BLOCK]);
                self.scales.resize(blocks, 0.0);
                self.sums.resize(blocks, 0);
                avx2.vectorize(avx2::Quantization { avx2, numbers, activations: self });
            }
        }
    }
}

/// Products of integers with AVX2. `pulp` gives its instructions as safe functions to whoever has a proof of them.
#[cfg(target_arch = "x86_64")]
mod avx2 {
    use core::arch::x86_64::{__m256, __m256i};
    use std::iter::zip;

    use pulp::{Simd, cast, x86::V3};

    use super::{Activations, BLOCK, LANES, Linear, PACKED_BYTES};

    /// Tokens that are multiplied with a block of weights at once, as many as the registers hold.
    const TOKENS_AT_ONCE: usize = 4;

    /// Rounds activations to integers between -127 and 127, with a scale for each 32.
    pub(super) struct Quantization<'a> {
        pub(super) avx2: V3,
        pub(super) numbers: &'a [f32],
        pub(super) activations: &'a mut Activations,
    }

    impl pulp::NullaryFnOnce for Quantization<'_> {
        type Output = ();

        #[inline(always)]
        fn call(self) {
            let Activations { values, scales, sums, .. } = self.activations;
            let places = zip(values, zip(scales, sums));
            for (numbers, (values, (scale, sum))) in zip(self.numbers.as_chunks().0, places) {
                (*values, *scale, *sum) = quantize(self.avx2, numbers);
            }
        }
    }

    /// Returns the integers of a block, their scale and their sum.
    #[inline(always)]
    fn quantize(simd: V3, numbers: &[f32; BLOCK]) -> ([i8; BLOCK], f32, i32) {
        let numbers: [__m256; 4] = cast(*numbers);
        let magnitudes = numbers.map(|numbers| simd.abs_f32s(cast(numbers)));
        let highest =
            simd.max_f32s(simd.max_f32s(magnitudes[0], magnitudes[1]), simd.max_f32s(magnitudes[2], magnitudes[3]));
        let highest = simd.reduce_max_f32s(highest);
        let inverse = simd.avx._mm256_set1_ps(if highest > 0.0 { 127.0 / highest } else { 0.0 });
        let integers = numbers.map(|numbers| simd.avx._mm256_cvtps_epi32(simd.avx._mm256_mul_ps(numbers, inverse)));
        let sum = simd.avx2._mm256_add_epi32(
            simd.avx2._mm256_add_epi32(integers[0], integers[1]),
            simd.avx2._mm256_add_epi32(integers[2], integers[3]),
        );
        let sum: [i32; LANES] = cast(sum);
        let pairs = [
            simd.avx2._mm256_packs_epi32(integers[0], integers[1]),
            simd.avx2._mm256_packs_epi32(integers[2], integers[3]),
        ];
        // Packing works on halves of registers: their fours are out of order.
        let order: __m256i = cast([0_i32, 4, 1, 5, 2, 6, 3, 7]);
        let packed = simd.avx2._mm256_packs_epi16(pairs[0], pairs[1]);
        (cast(simd.avx2._mm256_permutevar8x32_epi32(packed, order)), highest / 127.0, sum.into_iter().sum())
    }

    /// The product of a matrix with activations.
    pub(super) struct Product<'a> {
        pub(super) avx2: V3,
        pub(super) linear: &'a Linear,
        pub(super) input: &'a Activations,
        pub(super) out: &'a mut [f32],
    }

    impl pulp::NullaryFnOnce for Product<'_> {
        type Output = ();

        #[inline(always)]
        fn call(self) {
            let Self { avx2, linear, input, out } = self;
            let mut weights = vec![[0_u8; LANES * BLOCK]; linear.inputs / BLOCK];
            for (group, rows) in linear.groups().enumerate() {
                zip(rows.weights, &mut weights).for_each(|(packed, weights)| unpack(avx2, packed, weights));
                let rows = UnpackedRows { scales: rows.scales, weights: &weights, bias: rows.bias };
                let mut token = 0;
                while token + TOKENS_AT_ONCE <= input.tokens {
                    let products = rows.multiply::<TOKENS_AT_ONCE>(avx2, input, token);
                    for (index, products) in products.into_iter().enumerate() {
                        let start = (token + index) * linear.outputs + group * LANES;
                        out[start..start + LANES].copy_from_slice(&products);
                    }
                    token += TOKENS_AT_ONCE;
                }
                while token < input.tokens {
                    let [products] = rows.multiply::<1>(avx2, input, token);
                    let start = token * linear.outputs + group * LANES;
                    out[start..start + LANES].copy_from_slice(&products);
                    token += 1;
                }
            }
        }
    }

    /// Gives each weight a byte: `32·s + 4·row + i` is the weight `4·s + i` of a row.
    #[inline(always)]
    fn unpack(simd: V3, packed: &[u8; PACKED_BYTES], weights: &mut [u8; LANES * BLOCK]) {
        let mask = simd.avx._mm256_set1_epi8(15);
        let (low, high) = weights.split_at_mut(PACKED_BYTES);
        let places = zip(low.as_chunks_mut::<32>().0, high.as_chunks_mut::<32>().0);
        for (packed, (low, high)) in zip(packed.as_chunks::<32>().0, places) {
            let packed: __m256i = cast(*packed);
            *low = cast(simd.avx2._mm256_and_si256(packed, mask));
            *high = cast(simd.avx2._mm256_and_si256(simd.avx2._mm256_srli_epi16::<4>(packed), mask));
        }
    }

    /// Eight rows of a matrix, with a byte for each weight.
    struct UnpackedRows<'a> {
        scales: &'a [[f32; LANES]],
        weights: &'a [[u8; LANES * BLOCK]],
        bias: &'a [f32; LANES],
    }

    impl UnpackedRows<'_> {
        /// Multiplies the activations of some tokens with the rows.
        #[inline(always)]
        fn multiply<const TOKENS: usize>(&self, simd: V3, input: &Activations, first: usize) -> [[f32; LANES]; TOKENS] {
            let blocks = self.weights.len();
            let range = |token: usize| (first + token) * blocks..(first + token + 1) * blocks;
            let values: [&[[i8; BLOCK]]; TOKENS] = std::array::from_fn(|token| &input.values[range(token)]);
            let scales: [&[f32]; TOKENS] = std::array::from_fn(|token| &input.scales[range(token)]);
            let excess: [&[i32]; TOKENS] = std::array::from_fn(|token| &input.sums[range(token)]);
            let ones = simd.avx._mm256_set1_epi16(1);
            let mut sums: [__m256; TOKENS] = [cast(*self.bias); TOKENS];
            for (block, (weights, row_scales)) in zip(self.weights, self.scales).enumerate() {
                // A weight is at most 15 and an activation at most 127: the sum of eight products of pairs is at most
                // 8·2·15·127 = 30,480, and fits into 16 bits.
                let mut pairs: [__m256i; TOKENS] = [simd.avx._mm256_setzero_si256(); TOKENS];
                let values: [&[[i8; 4]]; TOKENS] = std::array::from_fn(|token| values[token][block].as_chunks().0);
                for (step, weights) in weights.as_chunks::<32>().0.iter().enumerate() {
                    let weights: __m256i = cast(*weights);
                    for (pairs, values) in zip(&mut pairs, values) {
                        let four = simd.avx._mm256_set1_epi32(cast(values[step]));
                        let products = simd.avx2._mm256_maddubs_epi16(weights, four);
                        *pairs = simd.avx2._mm256_add_epi16(*pairs, products);
                    }
                }
                let row_scales: __m256 = cast(*row_scales);
                for token in 0..TOKENS {
                    // The weights were stored plus 8.
                    let excess = simd.avx._mm256_set1_epi32(8 * excess[token][block]);
                    let sum = simd.avx2._mm256_sub_epi32(simd.avx2._mm256_madd_epi16(pairs[token], ones), excess);
                    let scale = simd.avx._mm256_mul_ps(row_scales, simd.avx._mm256_set1_ps(scales[token][block]));
                    sums[token] = simd.fma._mm256_fmadd_ps(simd.avx._mm256_cvtepi32_ps(sum), scale, sums[token]);
                }
            }
            sums.map(cast)
        }
    }
}

/// Products of floating point.
mod float {
    use std::iter::zip;

    use pulp::Simd;

    use super::{Activations, BLOCK, LANES, Linear, RowGroup};
    use crate::math;

    /// Tokens that are multiplied with a vector of weights at once, as many as the registers hold.
    const TOKENS_AT_ONCE: usize = 8;

    /// The product of a matrix with activations.
    pub(super) struct Product<'a> {
        pub(super) linear: &'a Linear,
        pub(super) input: &'a Activations,
        pub(super) out: &'a mut [f32],
    }

    impl pulp::WithSimd for Product<'_> {
        type Output = ();

        #[inline(always)]
        fn with_simd<S: Simd>(self, simd: S) {
            let Self { linear, input, out } = self;
            // By lanes of a vector, then by input, then by lane.
            let mut weights = vec![0.0; LANES * linear.inputs];
            for (group, rows) in linear.groups().enumerate() {
                unpack(&rows, S::F32_LANES, &mut weights);
                let parts = S::as_simd_f32s(&weights).0.chunks_exact(linear.inputs);
                for ((part, columns), bias) in parts.enumerate().zip(S::as_simd_f32s(rows.bias).0) {
                    let start = group * LANES + part * S::F32_LANES;
                    let mut token = 0;
                    let row = |token: usize| &input.numbers[token * linear.inputs..][..linear.inputs];
                    let mut store = |token: usize, sum: S::f32s| {
                        let out = &mut out[token * linear.outputs + start..][..S::F32_LANES];
                        S::as_mut_simd_f32s(out).0[0] = simd.add_f32s(sum, *bias);
                    };
                    while token + TOKENS_AT_ONCE <= input.tokens {
                        let tokens: [&[f32]; TOKENS_AT_ONCE] = std::array::from_fn(|index| row(token + index));
                        let sums = math::multiply(simd, tokens, columns);
                        sums.into_iter().enumerate().for_each(|(index, sum)| store(token + index, sum));
                        token += TOKENS_AT_ONCE;
                    }
                    while token < input.tokens {
                        let [sum] = math::multiply(simd, [row(token)], columns);
                        store(token, sum);
                        token += 1;
                    }
                }
            }
        }
    }

    /// Multiplies the weights with their scales, and orders them by vector, then by input, then by lane of the vector.
    fn unpack(rows: &RowGroup<'_>, lanes: usize, numbers: &mut [f32]) {
        let inputs = rows.weights.len() * BLOCK;
        for (block, (weights, scales)) in zip(rows.weights, rows.scales).enumerate() {
            for (index, pair) in weights.iter().enumerate() {
                let (step, row, place) = (index / 32, index % 32 / 4, index % 4);
                let input = block * BLOCK + 4 * step + place;
                let at = (row / lanes * inputs + input) * lanes + row % lanes;
                numbers[at] = f32::from(i16::from(pair & 15) - 8) * scales[row];
                numbers[at + BLOCK / 2 * lanes] = f32::from(i16::from(pair >> 4) - 8) * scales[row];
            }
        }
    }
}

/// Converts a number of half precision.
pub(crate) fn half_to_single(half: u16) -> f32 {
    let sign = if half >> 15 == 0 { 1.0 } else { -1.0 };
    let (exponent, fraction) = (half >> 10 & 31, half & 1023);
    match exponent {
        0 => sign * f32::from(fraction) * 2.0_f32.powi(-24),
        31 => f32::NAN,
        _ => {
            f32::from_bits(u32::from(half >> 15) << 31 | (u32::from(exponent) + 112) << 23 | u32::from(fraction) << 13)
        }
    }
}
