//! Finds the places of texts: a network gives each pixel the probability that it belongs to a text, and connected
//! pixels are one text.

use rten_imageproc::{RetrievalMode, find_contours};
use rten_tensor::{AsView, NdTensor};

use crate::geometry::{Region, point};
use crate::image::GrayImage;
use crate::models::Network;
use crate::{Deadline, Error};

/// Longest side of the image that the network sees, in pixels. At 1,280 the letters of an A4 page of 10 points are 11
/// pixels high.
const LONGEST_SIDE_PX: usize = 1280;

/// Number of which the sides of the network's input are multiples.
const SIDE_STEP_PX: usize = 32;

/// Mean and standard deviation of the colours that the network was trained with.
const COLOURS: [(f32, f32); 3] = [(0.485, 0.229), (0.456, 0.224), (0.406, 0.225)];

/// Probability from which a pixel belongs to a text.
const PIXEL_THRESHOLD: f32 = 0.3;

/// Mean probability along the outline's rows from which connected pixels are a text.
const REGION_THRESHOLD: f32 = 0.5;

/// Minimum height and width of a text, in pixels of the network's input.
const MIN_SIDE_PX: usize = 3;

/// Returns the texts of an image, in pixels of the image.
pub(crate) fn detect(network: &Network, image: &GrayImage, deadline: Deadline) -> Result<Vec<Region>, Error> {
    let (width, height) = input_size(image);
    let input = image.resized(width, height);
    let channels = COLOURS.iter().flat_map(|&(mean, deviation)| {
        input.pixels().iter().map(move |pixel| (f32::from(*pixel) / 255.0 - mean) / deviation)
    });
    let probabilities = network.run(width, height, channels.collect())?;
    deadline.check()?;
    if probabilities.len() != width * height {
        return Err(network.unexpected_output());
    }
    let (x_scale, y_scale) = (image.width() as f32 / width as f32, image.height() as f32 / height as f32);
    let mask = probabilities.iter().map(|probability| *probability > PIXEL_THRESHOLD).collect::<Vec<_>>();
    let mask = NdTensor::from_data([height, width], mask);
    let contours = find_contours(mask.view(), RetrievalMode::External);
    let mut regions = Vec::new();
    for contour in contours.iter() {
        let points: Vec<(usize, usize)> =
            contour.iter().map(|at| (at.x.max(0) as usize, at.y.max(0) as usize)).collect();
        if is_text(&points, &probabilities, width) {
            // Contours run through pixels; the text reaches to their far edges.
            let corners = points.iter().flat_map(|&(x, y)| [(x, y), (x + 1, y), (x, y + 1), (x + 1, y + 1)]);
            let outline = corners.map(|(x, y)| point(x as f32 * x_scale, y as f32 * y_scale)).collect();
            regions.push(Region { outline });
        }
    }
    Ok(regions)
}

/// Returns width and height of the network's input for an image.
fn input_size(image: &GrayImage) -> (usize, usize) {
    let longest = image.width().max(image.height());
    let scale = (LONGEST_SIDE_PX as f32 / longest as f32).min(1.0);
    let side = |pixels: usize| {
        let steps = (pixels as f32 * scale / SIDE_STEP_PX as f32).round() as usize;
        steps.max(1) * SIDE_STEP_PX
    };
    (side(image.width()), side(image.height()))
}

/// Returns true when the pixels within an outline are probable enough, and not only a speck.
fn is_text(outline: &[(usize, usize)], probabilities: &[f32], width: usize) -> bool {
    let Some(left) = outline.iter().map(|(x, _)| *x).min() else { return false };
    let right = outline.iter().map(|(x, _)| *x).max().unwrap_or(left);
    let top = outline.iter().map(|(_, y)| *y).min().unwrap_or(0);
    let bottom = outline.iter().map(|(_, y)| *y).max().unwrap_or(top);
    if right - left + 1 < MIN_SIDE_PX || bottom - top + 1 < MIN_SIDE_PX {
        return false;
    }
    // The span of the outline in each row is close enough to its inside.
    let mut spans = vec![(usize::MAX, 0); bottom - top + 1];
    for &(x, y) in outline {
        let span = &mut spans[y - top];
        *span = (span.0.min(x), span.1.max(x));
    }
    let (mut sum, mut count) = (0.0, 0.0);
    for (row, &(from, to)) in spans.iter().enumerate() {
        let start = (top + row) * width;
        for probability in probabilities.get(start + from.min(to)..=start + to).unwrap_or_default() {
            sum += probability;
            count += 1.0;
        }
    }
    sum >= REGION_THRESHOLD * count
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_input_has_the_image_s_shape_in_steps_of_32_pixels() {
        for ((width, height), expected) in [
            ((1654, 2339), (896, 1280)),
            ((2339, 1654), (1280, 896)),
            ((300, 150), (288, 160)),
            ((1, 1), (32, 32)),
            ((16_000, 10), (1280, 32)),
        ] {
            let image = GrayImage::new(width, height, vec![0; width * height]).unwrap();
            assert_eq!(input_size(&image), expected, "{width} x {height}");
        }
    }

    #[test]
    fn a_speck_and_a_faint_region_are_no_text() {
        let outline = |width: usize, height: usize| -> Vec<(usize, usize)> {
            (0..height).flat_map(|y| [(0, y), (width - 1, y)]).collect()
        };
        assert!(is_text(&outline(10, 4), &[0.9; 100], 10));
        assert!(!is_text(&outline(10, 4), &[0.4; 100], 10));
        assert!(!is_text(&outline(10, 2), &[0.9; 100], 10));
        assert!(!is_text(&[], &[0.9; 100], 10));
    }
}
