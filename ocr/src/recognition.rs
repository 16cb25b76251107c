//! Reads one line of text: a network gives probabilities of characters from left to right, and CTC joins them.

use crate::geometry::{Frame, Place};
use crate::image::GrayImage;
use crate::models::{Models, Network};
use crate::{Error, alphabet};

/// Height of the network's input, in pixels.
const HEIGHT_PX: usize = 48;

/// Narrowest input of the network's training. Shorter texts are filled up with grey.
const MIN_WIDTH_PX: usize = 320;

/// Width of the input relative to that of the text. The network gives at most one character for every eight pixels, and
/// loses letters and spaces of narrow fonts at their own width: of 100 words of such pages, 91 to 94 were right at 1, 97
/// to 98 at 1.2, no more at 1.4.
const STRETCH: f32 = 1.2;

/// Widest input, which bounds the memory: a line of about 250 characters. Longer texts are squeezed.
const MAX_WIDTH_PX: usize = 80 * HEIGHT_PX;

/// Number of the class that separates two equal characters.
const BLANK: usize = 0;

/// A read text.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Reading {
    pub(crate) text: String,
    /// Mean probability of the characters, from 0 to 1; 0 for no characters.
    pub(crate) confidence: f32,
}

/// Reads the text at a place. `is_turned_over` reads it upside down.
pub(crate) fn read(
    models: &Models,
    image: &GrayImage,
    frame: Frame,
    place: Place,
    is_turned_over: bool,
) -> Result<Reading, Error> {
    let mut crop = Crop::new(image, frame, place);
    if is_turned_over {
        crop.turn_over();
    }
    let width = crop.width.max(MIN_WIDTH_PX);
    let mut channel = Vec::with_capacity(width * HEIGHT_PX);
    for row in crop.pixels.chunks_exact(crop.width) {
        channel.extend(row.iter().map(|shade| shade / 127.5 - 1.0));
        channel.resize(channel.len() + width - crop.width, 0.0);
    }
    let probabilities = models.recognizer.run(width, HEIGHT_PX, channel.repeat(3))?;
    decode(&probabilities, &models.characters, &models.recognizer)
}

/// The part of an image that shows one text, scaled to [`HEIGHT_PX`].
struct Crop {
    width: usize,
    pixels: Vec<f32>,
}

impl Crop {
    fn new(image: &GrayImage, frame: Frame, place: Place) -> Self {
        let step = place.height / HEIGHT_PX as f32;
        let width = ((STRETCH * place.width / step).round() as usize).clamp(1, MAX_WIDTH_PX);
        let x_step = place.width / width as f32;
        // Several samples a pixel where the crop is smaller than the image.
        let samples = (step.round() as usize).clamp(1, 4);
        let offset = |nth: usize| (nth as f32 + 0.5) / samples as f32;
        let mut pixels = Vec::with_capacity(width * HEIGHT_PX);
        for row in 0..HEIGHT_PX {
            for column in 0..width {
                let mut sum = 0.0;
                for nth in 0..samples * samples {
                    let along = place.left + (column as f32 + offset(nth % samples)) * x_step;
                    let across = place.top + (row as f32 + offset(nth / samples)) * step;
                    let (x, y) = frame.locate(along, across);
                    sum += image.shade_at(x, y);
                }
                pixels.push(sum / (samples * samples) as f32);
            }
        }
        Self { width, pixels }
    }

    fn turn_over(&mut self) {
        self.pixels.reverse();
    }
}

/// Takes the most probable class of each step. Classes outside of the alphabet are not taken, and lower the confidence
/// where the network sees them.
fn decode(probabilities: &[f32], characters: &[char], network: &Network) -> Result<Reading, Error> {
    let classes = characters.len() + 1;
    if probabilities.is_empty() || !probabilities.len().is_multiple_of(classes) {
        return Err(network.unexpected_output());
    }
    let is_used: Vec<bool> =
        std::iter::once(true).chain(characters.iter().map(|character| alphabet::contains(*character))).collect();
    let (mut text, mut sum, mut before) = (String::new(), 0.0, BLANK);
    for step in probabilities.chunks_exact(classes) {
        let used = step.iter().enumerate().filter(|(class, _)| is_used[*class]);
        let Some((class, probability)) = used.max_by(|one, other| one.1.total_cmp(other.1)) else { continue };
        if class != BLANK && class != before {
            text.push(characters[class - 1]);
            sum += probability;
        }
        before = class;
    }
    let count = text.chars().count();
    Ok(Reading { confidence: if count == 0 { 0.0 } else { sum / count as f32 }, text: text.trim().to_owned() })
}
