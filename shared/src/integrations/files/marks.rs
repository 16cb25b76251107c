//! Text above and below the line, such as a note's number or the 2 of H₂O.

/// Returns text that stands above the line. Digits become raised ones, since `10` and a raised `3` are not 103.
pub(super) fn raised(text: &str) -> String {
    const DIGITS: [char; 10] = ['⁰', '¹', '²', '³', '⁴', '⁵', '⁶', '⁷', '⁸', '⁹'];
    with_digits(text, DIGITS)
}

/// Returns text that stands below the line, such as the 2 of H₂O.
pub(super) fn lowered(text: &str) -> String {
    const DIGITS: [char; 10] = ['₀', '₁', '₂', '₃', '₄', '₅', '₆', '₇', '₈', '₉'];
    with_digits(text, DIGITS)
}

fn with_digits(text: &str, digits: [char; 10]) -> String {
    let digit = |c: char| c.to_digit(10).and_then(|digit| digits.get(digit as usize)).copied();
    text.chars().map(|c| digit(c).unwrap_or(c)).collect()
}
