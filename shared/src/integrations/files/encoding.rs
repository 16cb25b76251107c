//! Encodings of texts.

use encoding_rs::{Encoding, UTF_8, UTF_16BE, UTF_16LE, WINDOWS_1252};

/// Number of bytes at the beginning of a file by which its encoding is told.
const SAMPLE_BYTES: usize = 64 * 1024;
/// Largest share of control characters in a text.
const MAX_CONTROL_SHARE: f64 = 0.01;

/// Decodes a text: by its byte order mark, else as UTF-16 where every other byte is 0, as UTF-8 where it is valid, and
/// as Windows-1252, which also holds all texts in ISO 8859-1.
pub(super) fn decode(bytes: &[u8]) -> String {
    decode_as(bytes, None)
}

/// Decodes a text as [`decode`] does. What the file says of its encoding counts where the bytes do not say otherwise.
pub(super) fn decode_as(bytes: &[u8], declared: Option<&'static Encoding>) -> String {
    if let Some((encoding, length)) = Encoding::for_bom(bytes) {
        return encoding.decode_without_bom_handling(&bytes[length..]).0.into_owned();
    }
    let encoding = match utf_16(bytes) {
        Some(encoding) => encoding,
        None if std::str::from_utf8(bytes).is_ok() => UTF_8,
        None => declared.filter(|encoding| *encoding != UTF_8).unwrap_or(WINDOWS_1252),
    };
    encoding.decode_without_bom_handling(bytes).0.into_owned()
}

/// Returns the kind of UTF-16 of a text without a byte order mark: of Latin letters, one byte is 0.
fn utf_16(bytes: &[u8]) -> Option<&'static Encoding> {
    let sample = &bytes[..bytes.len().min(SAMPLE_BYTES)];
    let pairs = sample.len() / 2;
    let zeros = |offset: usize| sample.iter().skip(offset).step_by(2).filter(|byte| **byte == 0).count();
    match (zeros(0), zeros(1)) {
        (even, odd) if odd * 10 > pairs * 6 && even * 10 < pairs => Some(UTF_16LE),
        (even, odd) if even * 10 > pairs * 6 && odd * 10 < pairs => Some(UTF_16BE),
        _ => None,
    }
}

/// Returns true for bytes that are a text: with hardly a control character.
pub(super) fn is_text(bytes: &[u8]) -> bool {
    let sample = &bytes[..bytes.len().min(SAMPLE_BYTES)];
    // A sample may end within a character, which is no reason to take UTF-8 for another encoding.
    let text = match std::str::from_utf8(sample) {
        Err(error) if error.error_len().is_none() => {
            String::from_utf8_lossy(&sample[..error.valid_up_to()]).into_owned()
        }
        _ => decode(sample),
    };
    let is_control = |c: &char| c.is_control() && !matches!(c, '\n' | '\r' | '\t' | '\u{c}');
    let controls = text.chars().filter(is_control).count();
    !bytes.is_empty() && controls as f64 <= MAX_CONTROL_SHARE * text.chars().count() as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "Été : 1 500 €, œuvre";

    #[test]
    fn a_text_is_decoded_as_companies_send_it() {
        let utf_16 = |to_bytes: fn(u16) -> [u8; 2]| TEXT.encode_utf16().flat_map(to_bytes).collect::<Vec<u8>>();
        let with_mark = |mark: &[u8], bytes: Vec<u8>| [mark, &bytes].concat();
        for bytes in [
            TEXT.as_bytes().to_vec(),
            with_mark(b"\xef\xbb\xbf", TEXT.as_bytes().to_vec()),
            with_mark(b"\xff\xfe", utf_16(u16::to_le_bytes)),
            with_mark(b"\xfe\xff", utf_16(u16::to_be_bytes)),
            utf_16(u16::to_le_bytes),
            utf_16(u16::to_be_bytes),
            WINDOWS_1252.encode(TEXT).0.into_owned(),
        ] {
            assert_eq!(decode(&bytes), TEXT, "{bytes:?}");
            assert!(is_text(&bytes));
        }
        assert!(!is_text(b"") && !is_text(&[0, 159, 146, 150, 0, 1, 2]));
    }

    #[test]
    fn a_sample_that_ends_within_a_character_is_text() {
        let long = "é".repeat(SAMPLE_BYTES);
        assert!(is_text(format!("x{long}").as_bytes()));
    }
}
