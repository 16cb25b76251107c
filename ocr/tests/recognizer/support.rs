//! Pages for the tests, drawn with a font, and what a scanner does to them.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;
use std::time::Duration;

use ab_glyph::{Font, FontRef, PxScale, ScaleFont, point};
use ocr::{GrayImage, Line, Recognizer};

/// Folder of the models, filled by the script of the layer.
pub(crate) static MODELS: LazyLock<PathBuf> = LazyLock::new(|| {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let filled = Command::new("bash").arg(root.join("scripts/fetch-ocr.sh")).output().unwrap();
    assert!(filled.status.success(), "{}", String::from_utf8_lossy(&filled.stderr));
    root.join("layers/ocr/ocr")
});

/// The models, loaded once for all tests.
pub(crate) static RECOGNIZER: LazyLock<Recognizer> = LazyLock::new(|| Recognizer::open(&MODELS).unwrap());

/// More than a page takes on a busy machine.
pub(crate) const TIME_LIMIT: Duration = Duration::from_secs(120);

/// Confidence below which a text is not worth showing.
const MIN_CONFIDENCE: f32 = 0.6;

/// Size of a font on a page, in pixels: 10 points at 200 dpi.
pub(crate) const SIZE_PX: f32 = 28.0;

/// A page in shades of grey, from 0 for black to 1 for white.
pub(crate) struct Page {
    width: usize,
    height: usize,
    shades: Vec<f32>,
}

impl Page {
    pub(crate) fn new(width: usize, height: usize) -> Self {
        Self { width, height, shades: vec![1.0; width * height] }
    }

    /// A page with these lines of text.
    pub(crate) fn of_lines(width: usize, lines: &[&str]) -> Self {
        let mut page = Self::new(width, 120 + 46 * lines.len());
        page.write(60.0, 60.0, SIZE_PX, lines);
        page
    }

    /// Writes lines with their upper left corner at `left` and `top`.
    pub(crate) fn write(&mut self, left: f32, top: f32, size_px: f32, lines: &[&str]) {
        let font = FontRef::try_from_slice(dejavu::serif::regular()).unwrap();
        let font = font.as_scaled(PxScale::from(size_px));
        for (nth, line) in lines.iter().enumerate() {
            let baseline = top + font.ascent() + 1.6 * size_px * nth as f32;
            let (mut x, mut before) = (left, None);
            for character in line.chars() {
                let glyph = font.glyph_id(character);
                x += before.map_or(0.0, |before| font.kern(before, glyph));
                before = Some(glyph);
                let placed = glyph.with_scale_and_position(font.scale(), point(x, baseline));
                x += font.h_advance(glyph);
                let Some(outline) = font.outline_glyph(placed) else { continue };
                let bounds = outline.px_bounds();
                outline.draw(|column, row, coverage| {
                    let (x, y) = (bounds.min.x as usize + column as usize, bounds.min.y as usize + row as usize);
                    assert!(x < self.width && y < self.height, "{line} does not fit on the page");
                    self.shades[y * self.width + x] -= 0.9 * coverage.min(self.shades[y * self.width + x]);
                });
            }
        }
    }

    /// Turns the page around its middle by `degrees`, clockwise.
    pub(crate) fn skewed(self, degrees: f32) -> Self {
        let (sin, cos) = degrees.to_radians().sin_cos();
        let (middle_x, middle_y) = (self.width as f32 / 2.0, self.height as f32 / 2.0);
        self.map(|page, x, y| {
            let (x, y) = (x as f32 - middle_x, y as f32 - middle_y);
            page.shade(x * cos + y * sin + middle_x, y * cos - x * sin + middle_y)
        })
    }

    /// Blurs the page, darkens the paper towards the right, and adds noise, the same one each time.
    pub(crate) fn scanned(self) -> Self {
        let mut state = 1_u32;
        let width = self.width as f32;
        self.map(|page, x, y| {
            let neighbours = [(0.0, 0.0), (-0.6, 0.0), (0.6, 0.0), (0.0, -0.6), (0.0, 0.6)];
            let blurred = neighbours.map(|(right, down)| page.shade(x as f32 + right, y as f32 + down));
            let mean = blurred.iter().sum::<f32>() / neighbours.len() as f32;
            // Numerical Recipes' generator: the upper bits are random enough for noise.
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let noise = (state >> 16) as f32 / 65_536.0 - 0.5;
            mean * (0.95 - 0.12 * x as f32 / width) + 0.2 * noise
        })
    }

    fn map(self, mut shade_at: impl FnMut(&Self, usize, usize) -> f32) -> Self {
        let mut shades = Vec::with_capacity(self.shades.len());
        for y in 0..self.height {
            for x in 0..self.width {
                shades.push(shade_at(&self, x, y));
            }
        }
        Self { shades, ..self }
    }

    /// The shade at a point, interpolated between pixels; white beyond the page.
    fn shade(&self, x: f32, y: f32) -> f32 {
        let (left, top) = (x.floor(), y.floor());
        let (right_share, lower_share) = (x - left, y - top);
        let pixel = |x: f32, y: f32| {
            let is_inside = x >= 0.0 && y >= 0.0 && (x as usize) < self.width && (y as usize) < self.height;
            if is_inside { self.shades[y as usize * self.width + x as usize] } else { 1.0 }
        };
        let row = |y: f32| pixel(left, y) * (1.0 - right_share) + pixel(left + 1.0, y) * right_share;
        row(top) * (1.0 - lower_share) + row(top + 1.0) * lower_share
    }

    pub(crate) fn image(&self) -> GrayImage {
        let pixels = self.shades.iter().map(|shade| (shade.clamp(0.0, 1.0) * 255.0).round() as u8);
        GrayImage::new(self.width, self.height, pixels.collect()).unwrap()
    }
}

/// Reads an image. Returns its rows, whose texts are joined by spaces, and the mean confidence.
pub(crate) fn read(image: &GrayImage) -> (Vec<String>, f32) {
    let mut lines = RECOGNIZER.recognize(image, TIME_LIMIT).unwrap();
    lines.retain(|line| line.confidence >= MIN_CONFIDENCE);
    let confidence = lines.iter().map(|line| line.confidence).sum::<f32>() / lines.len().max(1) as f32;
    let join = |row: &[Line]| row.iter().map(|line| line.text.as_str()).collect::<Vec<_>>().join(" ");
    (lines.chunk_by(|one, other| one.row == other.row).map(join).collect(), confidence)
}

/// Share of the expected words that were read, in their order, as a number of 100.
pub(crate) fn words_right(expected: &[&str], rows: &[String]) -> f32 {
    let expected: Vec<&str> = expected.iter().flat_map(|line| line.split_whitespace()).collect();
    let read: Vec<&str> = rows.iter().flat_map(|row| row.split_whitespace()).collect();
    // The longest common subsequence.
    let mut lengths = vec![0_usize; read.len() + 1];
    for word in &expected {
        let mut diagonal = 0;
        for (nth, other) in read.iter().enumerate() {
            let above = lengths[nth + 1];
            lengths[nth + 1] = if word == other { diagonal + 1 } else { above.max(lengths[nth]) };
            diagonal = above;
        }
    }
    100.0 * lengths[read.len()] as f32 / expected.len() as f32
}

/// Asserts that at least `floor` of 100 words are read, with a confidence that is worth answering from.
pub(crate) fn assert_read(image: &GrayImage, expected: &[&str], floor: f32) {
    let (rows, confidence) = read(image);
    let right = words_right(expected, &rows);
    assert!(right >= floor, "{right} of 100 words are right, less than {floor}: {rows:#?}");
    assert!(confidence >= 0.9, "the confidence is {confidence}");
}
