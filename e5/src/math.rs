//! Functions of vectors of numbers. `pulp` compiles them for each set of instructions; plain loops would stay scalar,
//! because a release is optimised for size when it is linked.

use std::iter::zip;

use pulp::Simd;

/// 1.5 · 2^23: a number that is added to it and taken away again is rounded to an integer.
const ROUNDING: f32 = 12_582_912.0;

/// Evaluates a polynomial, whose coefficients begin with that of the highest power.
#[inline(always)]
fn polynomial<S: Simd>(simd: S, number: S::f32s, coefficients: &[f32]) -> S::f32s {
    let mut sum = simd.splat_f32s(0.0);
    for coefficient in coefficients {
        sum = simd.mul_add_e_f32s(sum, number, simd.splat_f32s(*coefficient));
    }
    sum
}

/// The exponential function, as Cephes' `expf`. Numbers below -87 count as -87, those above 88 as 88.
#[inline(always)]
pub(crate) fn exp<S: Simd>(simd: S, number: S::f32s) -> S::f32s {
    let number = simd.min_f32s(simd.max_f32s(number, simd.splat_f32s(-87.0)), simd.splat_f32s(88.0));
    let rounding = simd.splat_f32s(ROUNDING);
    let power = simd.mul_add_e_f32s(number, simd.splat_f32s(std::f32::consts::LOG2_E), rounding);
    let whole = simd.sub_f32s(power, rounding);
    // ln 2 in two parts, so that the product with a small integer is exact.
    let rest = simd.mul_add_e_f32s(whole, simd.splat_f32s(-0.693_359_4), number);
    let rest = simd.mul_add_e_f32s(whole, simd.splat_f32s(2.121_944_4e-4), rest);
    let coefficients = [1.987_569_1e-4, 1.398_2e-3, 8.333_452e-3, 4.166_579_6e-2, 1.666_666_5e-1, 0.5, 1.0, 1.0];
    let fraction = polynomial(simd, rest, &coefficients);
    // The last bits of `power` are the integer; they go into the exponent.
    let exponent = simd.wrapping_dyn_shl_u32s(simd.transmute_u32s_f32s(power), simd.splat_u32s(23));
    simd.mul_f32s(fraction, simd.transmute_f32s_u32s(simd.add_u32s(exponent, simd.splat_u32s(127 << 23))))
}

/// GELU with the error function, by formula 7.1.26 of Abramowitz and Stegun: within 2·10⁻⁷.
#[inline(always)]
pub(crate) fn gelu<S: Simd>(simd: S, number: S::f32s) -> S::f32s {
    let one = simd.splat_f32s(1.0);
    let scaled = simd.mul_f32s(simd.abs_f32s(number), simd.splat_f32s(std::f32::consts::FRAC_1_SQRT_2));
    let t = simd.div_f32s(one, simd.mul_add_e_f32s(scaled, simd.splat_f32s(0.327_591_1), one));
    let coefficients = [1.061_405_4, -1.453_152, 1.421_413_7, -0.284_496_74, 0.254_829_6, 0.0];
    let tail = exp(simd, simd.neg_f32s(simd.mul_f32s(scaled, scaled)));
    let error = simd.sub_f32s(one, simd.mul_f32s(polynomial(simd, t, &coefficients), tail));
    // The error function is odd: its value takes the sign of the number.
    let sign = simd.and_f32s(number, simd.splat_f32s(-0.0));
    let half = simd.mul_f32s(number, simd.splat_f32s(0.5));
    simd.mul_add_e_f32s(half, simd.or_f32s(error, sign), half)
}

/// GELU of each number. Their count is a multiple of eight, as in all functions of this module.
pub(crate) struct Gelu<'a>(pub(crate) &'a mut [f32]);

impl pulp::WithSimd for Gelu<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        for number in S::as_mut_simd_f32s(self.0).0 {
            *number = gelu(simd, *number);
        }
    }
}

/// Adds two rows, shifts and scales the sum to mean 0 and variance 1, and applies the learned weights.
#[inline(always)]
pub(crate) fn add_and_normalize<S: Simd>(simd: S, row: &mut [f32], added: &[f32], weights: &[f32], bias: &[f32]) {
    const EPSILON: f32 = 1e-12;
    let width = row.len() as f32;
    let row = S::as_mut_simd_f32s(row).0;
    let mut sum = simd.splat_f32s(0.0);
    for (number, added) in zip(row.iter_mut(), S::as_simd_f32s(added).0) {
        *number = simd.add_f32s(*number, *added);
        sum = simd.add_f32s(sum, *number);
    }
    let mean = simd.splat_f32s(simd.reduce_sum_f32s(sum) / width);
    let mut squares = simd.splat_f32s(0.0);
    for number in row.iter_mut() {
        *number = simd.sub_f32s(*number, mean);
        squares = simd.mul_add_e_f32s(*number, *number, squares);
    }
    let inverse = simd.splat_f32s(1.0 / (simd.reduce_sum_f32s(squares) / width + EPSILON).sqrt());
    let learned = zip(S::as_simd_f32s(weights).0, S::as_simd_f32s(bias).0);
    for (number, (weight, bias)) in zip(row, learned) {
        *number = simd.mul_add_e_f32s(simd.mul_f32s(*number, inverse), *weight, *bias);
    }
}

/// Multiplies the numbers by `scale` and turns the first `count` into weights whose sum is 1. The rest stay without
/// weight.
#[inline(always)]
pub(crate) fn softmax<S: Simd>(simd: S, numbers: &mut [f32], count: usize, scale: f32) {
    numbers[count..].fill(f32::NEG_INFINITY);
    let numbers = S::as_mut_simd_f32s(numbers).0;
    let mut highest = simd.splat_f32s(f32::NEG_INFINITY);
    for number in numbers.iter() {
        highest = simd.max_f32s(highest, *number);
    }
    let highest = simd.splat_f32s(simd.reduce_max_f32s(highest));
    let mut sum = simd.splat_f32s(0.0);
    for number in numbers.iter_mut() {
        *number = exp(simd, simd.mul_f32s(simd.sub_f32s(*number, highest), simd.splat_f32s(scale)));
        sum = simd.add_f32s(sum, *number);
    }
    let inverse = simd.splat_f32s(1.0 / simd.reduce_sum_f32s(sum));
    for number in numbers {
        *number = simd.mul_f32s(*number, inverse);
    }
}

/// Multiplies `ROWS` rows with a column block: `columns` has a vector for each number of a row.
#[inline(always)]
pub(crate) fn multiply<S: Simd, const ROWS: usize>(
    simd: S,
    rows: [&[f32]; ROWS],
    columns: &[S::f32s],
) -> [S::f32s; ROWS] {
    let rows = rows.map(|row| &row[..columns.len()]);
    let mut sums = [simd.splat_f32s(0.0); ROWS];
    for (index, column) in columns.iter().enumerate() {
        for row in 0..ROWS {
            sums[row] = simd.mul_add_e_f32s(simd.splat_f32s(rows[row][index]), *column, sums[row]);
        }
    }
    sums
}

/// Scales a vector to norm 1. The zero vector stays.
pub(crate) fn normalize(vector: &mut [f32]) {
    let norm = vector.iter().map(|value| value * value).sum::<f32>().sqrt();
    if norm > 0.0 {
        vector.iter_mut().for_each(|value| *value /= norm);
    }
}

#[cfg(test)]
mod tests {
    use pulp::Scalar;

    use super::*;

    #[test]
    fn exponential_function_is_exact_to_single_precision() {
        for step in -8700..=880 {
            let number = step as f32 / 100.0;
            let expected = f64::from(number).exp();
            let error = (f64::from(exp(Scalar, number)) / expected - 1.0).abs();
            assert!(error < 3e-7, "exp({number}): {} instead of {expected}", exp(Scalar, number));
        }
        assert!(exp(Scalar, f32::NEG_INFINITY) < 1e-37);
    }

    #[test]
    fn gelu_has_known_values() {
        // Φ(x)·x from a table of the normal distribution.
        for (number, expected) in [
            (0.0, 0.0),
            (1.0, 0.841_344_7),
            (-1.0, -0.158_655_25),
            (2.0, 1.954_499_7),
            (-2.0, -0.045_500_264),
            (6.0, 6.0),
            (-6.0, 0.0),
            (-40.0, 0.0),
            (40.0, 40.0),
        ] {
            assert!((gelu(Scalar, number) - expected).abs() < 1e-6, "gelu({number}) = {}", gelu(Scalar, number));
        }
    }

    #[test]
    fn layer_norm_has_mean_0_and_variance_1_before_its_weights() {
        let mut row: Vec<f32> = (0..16).map(|index| index as f32 - 1.0).collect();
        add_and_normalize(Scalar, &mut row, &[1.0; 16], &[2.0; 16], &[1.0; 16]);
        // Mean 7.5, variance 21.25.
        assert!((row[0] - (1.0 - 2.0 * 7.5 / 21.25_f32.sqrt())).abs() < 1e-6);
        assert!((row[15] - (1.0 + 2.0 * 7.5 / 21.25_f32.sqrt())).abs() < 1e-6);
    }

    #[test]
    fn softmax_leaves_padding_without_weight() {
        let mut numbers = [1.0, 2.0, 1.0, 0.0, 9.0, 9.0, 9.0, 9.0];
        softmax(Scalar, &mut numbers, 3, std::f32::consts::LN_2);
        for (number, expected) in zip(numbers, [0.25, 0.5, 0.25, 0.0, 0.0, 0.0, 0.0, 0.0]) {
            assert!((number - expected).abs() < 1e-6, "{numbers:?}");
        }
    }
}
