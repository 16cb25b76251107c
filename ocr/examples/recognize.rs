//! Reads pages, given as binary PGM files, and prints their texts with the time of each page: `recognize FOLDER PAGE…`.

use std::path::Path;
use std::time::{Duration, Instant};

use ocr::{GrayImage, Recognizer};

const TIME_LIMIT: Duration = Duration::from_secs(120);

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let folder = arguments.next().ok_or("the folder of the models is missing")?;
    let started = Instant::now();
    let recognizer = Recognizer::open(Path::new(&folder))?;
    eprintln!("models: {:.3} s", started.elapsed().as_secs_f32());
    for page in arguments {
        let image = read_pgm(&std::fs::read(&page)?).ok_or("not a binary PGM file of 256 shades")?;
        let started = Instant::now();
        let lines = recognizer.recognize(&image, TIME_LIMIT)?;
        let confidence = lines.iter().map(|line| line.confidence).sum::<f32>() / lines.len().max(1) as f32;
        eprintln!("{page}: {:.2} s, {} texts, {confidence:.3}", started.elapsed().as_secs_f32(), lines.len());
        for row in lines.chunk_by(|one, other| one.row == other.row) {
            println!("{}", row.iter().map(|line| line.text.as_str()).collect::<Vec<_>>().join(" "));
        }
    }
    Ok(())
}

/// Reads an image as written by `pdftoppm -gray`.
fn read_pgm(bytes: &[u8]) -> Option<GrayImage> {
    let mut parts = bytes.splitn(4, |byte| byte.is_ascii_whitespace());
    let mut number = |expected: Option<&str>| {
        let text = std::str::from_utf8(parts.next()?).ok()?;
        expected.is_none_or(|expected| text == expected).then(|| text.to_owned())
    };
    number(Some("P5"))?;
    let (width, height) = (number(None)?.parse().ok()?, number(None)?.parse().ok()?);
    let rest = parts.next()?;
    GrayImage::new(width, height, rest.strip_prefix(b"255\n")?.to_vec()).ok()
}
