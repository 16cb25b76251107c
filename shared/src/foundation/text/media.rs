//! Messages that replace something other than a text: links to media, and placeholders of media.

use super::fold;

/// Endings of the names of files, by the kind of the file.
const ENDINGS: [(&str, &str); 4] = [
    ("audio", "ogg oga opus mp3 m4a aac amr wav"),
    ("image", "jpg jpeg png webp gif heic"),
    ("video", "mp4 3gp mov webm mkv"),
    ("file", "pdf doc docx xls xlsx ppt pptx csv zip vcf"),
];
/// Words of placeholders, by the kind that they name; the kind of the last list is not known.
const PLACEHOLDER_WORDS: [(&str, &str); 6] = [
    ("audio", "voice vocal vocale audio ptt"),
    ("image", "image photo picture gif"),
    ("video", "video"),
    ("sticker", "sticker autocollant"),
    ("location", "location localisation position"),
    ("unknown", "media medias document file fichier attachment jointe contact"),
];
/// Words beside those of [`PLACEHOLDER_WORDS`].
const PLACEHOLDER_FILLERS: &str = "message note clip omitted omis omise absent absente unsupported type received recu recue sent \
    envoye envoyee call missed appel manque view once piece a an un une de the carte non pris en charge";
/// Top-level domains of links that are written without a scheme.
const TOP_LEVEL_DOMAINS: &str = "com net org ci fr sn ml bf bj tg gn io me gl co app ly be link info eu uk us dev";

/// Returns the kind of what a message stands for when it has no text of its own: nothing but links, the name of a media
/// file, or a placeholder such as "[voice message]" or "<Médias omis>". `None` for a text. The kind is `unknown` where
/// nothing tells it.
#[must_use]
pub fn unreadable_kind(message: &str) -> Option<&'static str> {
    let mut links = message.split_whitespace().filter(|token| token.chars().any(char::is_alphanumeric)).peekable();
    if links.peek().is_some() && links.clone().all(|token| is_link(token) || is_media_file(token)) {
        return Some(links.find_map(kind_of_file).unwrap_or("unknown"));
    }
    kind_of_placeholder(message)
}

/// Returns true for a web address, with or without its scheme.
fn is_link(token: &str) -> bool {
    let token = token.trim_matches(|letter: char| "<>()[]\"'«».,;!".contains(letter)).to_lowercase();
    if let Some(rest) = token.strip_prefix("https://").or_else(|| token.strip_prefix("http://")) {
        return !rest.is_empty();
    }
    let host = token.split(['/', '?', '#', ':']).next().unwrap_or_default();
    let labels: Vec<_> = host.split('.').collect();
    let is_host = labels.len() > 1
        && labels.iter().all(|label| {
            !label.is_empty() && label.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '-')
        });
    let is_known = labels.last().is_some_and(|last| TOP_LEVEL_DOMAINS.split_whitespace().any(|known| known == *last));
    is_host && is_known && (host.starts_with("www.") || token.len() > host.len())
}

/// Returns true for the name of a media file, as "PTT-20261129-WA0001.opus".
fn is_media_file(token: &str) -> bool {
    kind_of_file(token).is_some() && !token.contains('/')
}

/// Returns the kind of the file that a link or a name ends with.
fn kind_of_file(token: &str) -> Option<&'static str> {
    let path = token.split(['?', '#']).next().unwrap_or_default();
    let (name, ending) = path.trim_end_matches(['>', ')', ']']).rsplit_once('.')?;
    let ending = ending.to_lowercase();
    let of_kind =
        |(kind, endings): (&'static str, &str)| endings.split_whitespace().any(|known| known == ending).then_some(kind);
    ENDINGS.into_iter().find_map(of_kind).filter(|_| !name.is_empty())
}

/// Returns the kind of what a placeholder stands for: words for media between brackets, after the icon of media, or
/// before "omitted".
fn kind_of_placeholder(message: &str) -> Option<&'static str> {
    let trimmed = message.trim();
    let is_marked = trimmed
        .starts_with(['[', '<', '(', '{', '*', '🎤', '🎵', '🎙', '📷', '📸', '🎥', '📹', '📎', '📄', '📍', '\u{200e}']);
    let folded = fold(trimmed);
    let words: Vec<_> =
        folded.split(|letter: char| !letter.is_alphanumeric()).filter(|word| !word.is_empty()).collect();
    let is_omitted = words.last().is_some_and(|last| ["omitted", "omis", "omise", "absent", "absente"].contains(last));
    let kind_of = |word: &str| {
        PLACEHOLDER_WORDS.into_iter().find(|(_, words)| words.split_whitespace().any(|known| known == word))
    };
    let is_filler = |word: &str| {
        PLACEHOLDER_FILLERS.split_whitespace().any(|known| known == word) || word.chars().all(char::is_numeric)
    };
    let all_known = words.iter().all(|word| kind_of(word).is_some() || is_filler(word));
    if !(is_marked || is_omitted) || !all_known {
        return None;
    }
    words.iter().find_map(|word| kind_of(word)).map(|(kind, _)| kind)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_and_placeholders_of_media_are_no_texts() {
        for (message, kind) in [
            ("https://lookaside.fbsbx.com/whatsapp_business/attachments/?mid=123&hash=ab", "unknown"),
            ("https://many-wabot-cdn.manychat.com/audio/2026/11/a1b2c3.ogg", "audio"),
            ("https://manybot-files.s3.eu-central-1.amazonaws.com/1/photo.jpg?sig=x.y", "image"),
            ("manybot-files.s3.amazonaws.com/1/clip.MP4", "video"),
            ("http://example.com", "unknown"),
            ("www.example.com", "unknown"),
            (" <https://example.com/a.pdf> ", "file"),
            ("https://example.com/a\nhttps://example.com/b.opus", "audio"),
            ("👇 https://maps.app.goo.gl/abc", "unknown"),
            ("PTT-20261129-WA0001.opus", "audio"),
            ("IMG-20261129-WA0003.jpg", "image"),
            ("[voice message]", "audio"),
            ("[Message vocal]", "audio"),
            ("[Audio]", "audio"),
            ("<Médias omis>", "unknown"),
            ("image omitted", "image"),
            ("🎤 Message vocal (0:12)", "audio"),
            ("[sticker]", "sticker"),
        ] {
            assert_eq!(unreadable_kind(message), Some(kind), "{message}");
        }
        for message in [
            "",
            "Vous avez vu https://example.com ?",
            "bonjour.merci",
            "a.m.",
            "24/7",
            "image",
            "photo ?",
            "Je veux l'image",
            "[un sac rouge]",
            "1.5",
            "prix.",
            "👍",
        ] {
            assert_eq!(unreadable_kind(message), None, "{message}");
        }
    }
}
