//! Decoder of a body's bytes, which need not be UTF-8.

/// Decodes UTF-8, or UTF-16 with a byte order mark. Other bytes are those of an old Windows code page; half of a
/// character is dropped.
pub(super) fn decode(body: &[u8]) -> String {
    let utf16 = |read: fn([u8; 2]) -> u16| {
        let units: Vec<u16> = body[2..].chunks_exact(2).map(|pair| read([pair[0], pair[1]])).collect();
        char::decode_utf16(units).filter_map(Result::ok).collect()
    };
    match body {
        [0xff, 0xfe, ..] => return utf16(u16::from_le_bytes),
        [0xfe, 0xff, ..] => return utf16(u16::from_be_bytes),
        _ => {}
    }
    let mut text = String::with_capacity(body.len());
    for chunk in body.utf8_chunks() {
        text.push_str(chunk.valid());
        match chunk.invalid() {
            // An emoji that was cut.
            [0xf0..=0xff, _, ..] => {}
            bytes => text.extend(bytes.iter().map(|byte| windows_1252(*byte))),
        }
    }
    text
}

/// Returns the character of a byte in the code page Windows-1252, which extends Latin-1.
fn windows_1252(byte: u8) -> char {
    const HIGH: [char; 32] = [
        '€', '\u{81}', '‚', 'ƒ', '„', '…', '†', '‡', 'ˆ', '‰', 'Š', '‹', 'Œ', '\u{8d}', 'Ž', '\u{8f}', '\u{90}', '‘',
        '’', '“', '”', '•', '–', '—', '˜', '™', 'š', '›', 'œ', '\u{9d}', 'ž', 'Ÿ',
    ];
    match byte {
        0x80..=0x9f => HIGH[usize::from(byte - 0x80)],
        other => char::from(other),
    }
}
