//! Reads the text of scanned pages with PP-OCR models, without a service or a key.
//!
//! A page is read in three steps: a network finds the places of texts, the direction of most of them is taken as that
//! of the page, and another network reads each text along this direction. French and English are read; other scripts
//! come out with a low confidence.

mod alphabet;
mod detection;
mod geometry;
mod image;
mod ligatures;
mod models;
mod reading_order;
mod recognition;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

pub use geometry::Place;
use geometry::{Direction, Frame, Region};
pub use image::{GrayImage, MAX_PIXELS};
use models::Models;
use recognition::Reading;

/// Margin around the detected core of a text, as a share of the core's area to its perimeter. The network is trained
/// to find the core only.
const MARGIN_RATIO: f32 = 1.5;

/// Number of the longest texts that show whether a page is upside down.
const PROBED_TEXTS: usize = 3;

/// Mean confidence of the longest texts from which a page is not upside down.
const UPRIGHT_CONFIDENCE: f32 = 0.85;

/// Error of reading a page.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("the model file {} cannot be read", path.display())]
    ModelFile { path: PathBuf, source: std::io::Error },
    #[error("the model file {} is not the one that this version works with", path.display())]
    ModelHash { path: PathBuf },
    #[error("the model file {} does not hold a usable model", path.display())]
    ModelContent { path: PathBuf, source: Box<dyn std::error::Error + Send + Sync> },
    #[error("the model file {} failed on a page", path.display())]
    Run { path: PathBuf, source: Box<dyn std::error::Error + Send + Sync> },
    #[error("an image of {width} by {height} pixels is empty, incomplete or larger than {MAX_PIXELS} pixels")]
    ImageSize { width: usize, height: usize },
    #[error("the page was not read in time")]
    TimedOut,
}

impl Error {
    /// Returns true when the installation is to blame, not the page.
    #[must_use]
    pub fn is_of_installation(&self) -> bool {
        matches!(self, Self::ModelFile { .. } | Self::ModelHash { .. } | Self::ModelContent { .. })
    }
}

/// A text of a page: a line, or a cell of a table.
#[derive(Debug, Clone, PartialEq)]
pub struct Line {
    /// Text without white space at its ends; empty for another script, and for what is no text.
    pub text: String,
    /// Mean probability of the characters, from 0 to 1.
    pub confidence: f32,
    /// Place on the upright page.
    pub place: Place,
    /// Number of the row, from 0. Texts side by side have one number.
    pub row: usize,
}

/// Time at which the reading of a page ends.
#[derive(Debug, Clone, Copy)]
struct Deadline(Instant);

impl Deadline {
    fn check(self) -> Result<(), Error> {
        if Instant::now() < self.0 { Ok(()) } else { Err(Error::TimedOut) }
    }
}

/// Reader of pages.
pub struct Recognizer {
    models: Models,
}

impl Recognizer {
    /// Loads the models from the folder that scripts/fetch-ocr.sh fills.
    ///
    /// # Errors
    /// Returns an error when a file is missing, or another one than this version works with.
    pub fn open(folder: &Path) -> Result<Self, Error> {
        Ok(Self { models: Models::load(folder)? })
    }

    /// Reads a page within `time_limit`. Returns its texts in reading order. The page may be skewed, and lie on its side
    /// or upside down. What the networks take for text in pictures and signatures is empty or has a low confidence.
    ///
    /// # Errors
    /// Returns [`Error::TimedOut`] when the time is over; it is checked between texts. Returns another error when a
    /// model fails.
    pub fn recognize(&self, image: &GrayImage, time_limit: Duration) -> Result<Vec<Line>, Error> {
        let deadline = Deadline(Instant::now() + time_limit);
        let (page, texts) = self.upright(image, deadline)?;
        let mut lines = Vec::with_capacity(texts.places.len());
        for &place in &texts.places {
            deadline.check()?;
            let Reading { text, confidence } = recognition::read(&self.models, &page, texts.frame, place, false)?;
            lines.push(Line { text: ligatures::correct(&text), confidence, place, row: 0 });
        }
        let rows = reading_order::rows(lines).into_iter().enumerate();
        Ok(rows.flat_map(|(row, lines)| lines.into_iter().map(move |line| Line { row, ..line })).collect())
    }

    /// Returns the page as it is to be read, and its texts.
    fn upright(&self, image: &GrayImage, deadline: Deadline) -> Result<(GrayImage, Texts), Error> {
        let mut page = image.clone();
        let mut regions = detection::detect(&self.models.detector, &page, deadline)?;
        let angle = match geometry::direction(&regions) {
            Direction::Horizontal(angle) => angle,
            Direction::Vertical => {
                page = page.turned_right();
                regions = detection::detect(&self.models.detector, &page, deadline)?;
                match geometry::direction(&regions) {
                    Direction::Horizontal(angle) => angle,
                    Direction::Vertical => 0.0,
                }
            }
        };
        let texts = Texts::new(&regions, Frame::new(angle));
        if !self.is_upside_down(&page, &texts)? {
            return Ok((page, texts));
        }
        let page = page.turned_over();
        let regions = detection::detect(&self.models.detector, &page, deadline)?;
        Ok((page, Texts::new(&regions, Frame::new(angle))))
    }

    /// Reads the longest texts in both directions, when the first one gives little.
    fn is_upside_down(&self, page: &GrayImage, texts: &Texts) -> Result<bool, Error> {
        let mut places = texts.places.clone();
        places.sort_by(|one, other| other.width.total_cmp(&one.width));
        places.truncate(PROBED_TEXTS);
        let confidence = |is_turned_over: bool| -> Result<f32, Error> {
            let mut sum = 0.0;
            for &place in &places {
                sum += recognition::read(&self.models, page, texts.frame, place, is_turned_over)?.confidence;
            }
            Ok(sum / places.len().max(1) as f32)
        };
        let upright = confidence(false)?;
        Ok(upright < UPRIGHT_CONFIDENCE && !places.is_empty() && confidence(true)? > upright)
    }
}

/// The texts of an image, before they are read.
struct Texts {
    frame: Frame,
    places: Vec<Place>,
}

impl Texts {
    fn new(regions: &[Region], frame: Frame) -> Self {
        let places = regions.iter().filter_map(|region| Place::around(&region.outline, frame));
        let grown = |place: Place| {
            let perimeter = 2.0 * (place.width + place.height);
            place.grown(MARGIN_RATIO * place.width * place.height / perimeter.max(1.0))
        };
        Self { frame, places: places.map(grown).collect() }
    }
}

/// Lets the networks run on the calling thread alone, for a process that may not start threads. Must be called before
/// any other use of this crate, and only where no other thread uses it.
///
/// # Errors
/// Returns a message when the process has begun to use several threads.
pub fn use_calling_thread_only() -> Result<(), String> {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).use_current_thread();
    pool.build_global().map_err(|error| error.to_string())
}
