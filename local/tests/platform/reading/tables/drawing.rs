//! Draws tables as PDF files, with measured texts: aligned, ruled, merged and wrapped.

use super::super::pdfs::{latin, pdf_of_objects, stream};

/// Widths of Helvetica for the characters from the space to the tilde, in thousandths of the font size.
const WIDTHS: [u16; 95] = [
    278, 278, 355, 556, 556, 889, 667, 191, 333, 333, 389, 584, 278, 333, 278, 278, 556, 556, 556, 556, 556, 556, 556,
    556, 556, 556, 278, 278, 584, 584, 584, 556, 1015, 667, 667, 722, 722, 667, 611, 778, 722, 278, 500, 667, 556, 833,
    722, 778, 667, 778, 722, 667, 611, 722, 667, 944, 667, 667, 611, 278, 278, 278, 469, 556, 333, 556, 556, 500, 556,
    556, 278, 556, 556, 222, 222, 500, 222, 833, 556, 556, 556, 556, 333, 500, 278, 556, 500, 722, 500, 500, 500, 334,
    260, 334, 584,
];

/// Returns the width of a text in points. Bold type is a little wider.
pub(super) fn width(text: &str, size: f32, is_bold: bool) -> f32 {
    let width = |c: char| {
        let plain = match c {
            'é' | 'è' | 'ê' | 'ë' => 'e',
            'à' | 'â' => 'a',
            'ô' => 'o',
            'î' | 'ï' => 'i',
            'ç' => 'c',
            'û' | 'ù' => 'u',
            'É' => 'E',
            c => c,
        };
        let index = usize::try_from(u32::from(plain)).unwrap().checked_sub(32).filter(|index| *index < WIDTHS.len());
        f32::from(index.map_or(556, |index| WIDTHS[index]))
    };
    let regular = text.chars().map(width).sum::<f32>() * size / 1000.0;
    if is_bold { regular * 1.07 } else { regular }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Align {
    Left,
    Right,
    Center,
}

/// A page under construction. Coordinates are in points from the top left corner.
#[derive(Default)]
pub(super) struct Sheet {
    /// Operators that draw one text or line each.
    pub(super) parts: Vec<String>,
}

impl Sheet {
    /// Shows a text between `left` and `right`.
    pub(super) fn show(&mut self, text: &str, (left, right): (f32, f32), y: f32, style: (f32, bool, Align)) {
        let (size, is_bold, align) = style;
        let spare = right - left - width(text, size, is_bold);
        let x = match align {
            Align::Left => left,
            Align::Right => left + spare,
            Align::Center => left + spare / 2.0,
        };
        let font = if is_bold { "F2" } else { "F1" };
        let text = text.replace('\\', "\\\\").replace('(', "\\(").replace(')', "\\)");
        self.parts.push(format!("BT /{font} {size} Tf {x:.2} {:.2} Td ({text}) Tj ET\n", 842.0 - y));
    }

    pub(super) fn line(&mut self, (ax, ay): (f32, f32), (bx, by): (f32, f32)) {
        self.parts.push(format!("0.5 w {ax:.2} {:.2} m {bx:.2} {:.2} l S\n", 842.0 - ay, 842.0 - by));
    }
}

/// Writes sheets as a file with one page each, and Helvetica in regular and bold type.
pub(super) fn write(sheets: &[Sheet]) -> Vec<u8> {
    let kids: Vec<String> = (0..sheets.len()).map(|nth| format!("{} 0 R", 5 + 2 * nth)).collect();
    let font =
        |name: &str| latin(&format!("<< /Type /Font /Subtype /Type1 /BaseFont /{name} /Encoding /WinAnsiEncoding >>"));
    let mut objects = vec![
        latin("<< /Type /Catalog /Pages 2 0 R >>"),
        latin(&format!("<< /Type /Pages /Kids [{}] /Count {} >>", kids.join(" "), sheets.len())),
        font("Helvetica"),
        font("Helvetica-Bold"),
    ];
    for (nth, sheet) in sheets.iter().enumerate() {
        objects.push(latin(&format!(
            "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents {} 0 R \
             /Resources << /Font << /F1 3 0 R /F2 4 0 R >> >> >>",
            6 + 2 * nth
        )));
        objects.push(stream("", &sheet.parts.concat()));
    }
    pdf_of_objects(&objects)
}
