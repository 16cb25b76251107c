//! Renders pages as JPEG images, for pages whose text is not in the file.

use super::guard::call_pdfium;
use jpeg_encoder::{ColorType, Encoder};
use pdfium_render::prelude::{
    PdfBitmapFormat, PdfDocument, PdfPage, PdfPageObject, PdfPageObjectCommon, PdfPageObjectType, PdfPageObjectsCommon,
    PdfRect, PdfRenderConfig, PdfiumError,
};

/// Fraction of a page's area from which images cover the page. Less than 1, since scanners leave margins.
const MIN_COVERED_FRACTION: f32 = 0.5;

/// Maximum number of a page's objects that are inspected. A scan has few; a hostile page may have millions.
const MAX_INSPECTED_OBJECTS: usize = 1_000;

/// JPEG quality, from 1 to 100; enough for small print. A scanned page takes about 150 KB.
const JPEG_QUALITY: u8 = 80;

/// Maximum resolution of a rendered page, in pixels per point: 300 dpi.
const MAX_PIXELS_PER_POINT: f32 = 300.0 / 72.0;

/// Longest side of the picture that tells a blank page, in pixels.
const BLANK_TEST_SIDE_PX: u16 = 400;

/// Minimum difference between the darkest and the lightest pixel of a page that is not blank, out of 255.
const MIN_SHADE_DIFFERENCE: u8 = 16;

/// Returns true when images cover at least half of the page. Form objects count as images, since scanning programs
/// put images into them.
pub(super) fn is_covered(page: &PdfPage<'_>) -> bool {
    call_pdfium(|| {
        let Ok(visible) = page.boundaries().bounding().map(|boundary| boundary.bounds) else { return false };
        let objects = page.objects().iter().take(MAX_INSPECTED_OBJECTS);
        let images = objects
            .filter(|object| matches!(object.object_type(), PdfPageObjectType::Image | PdfPageObjectType::XObjectForm));
        // Some scanners cut an image into strips, so the areas are added up.
        let covered: f32 = images
            .filter_map(|image| image.bounds().ok())
            .map(|bounds| overlap_area(&bounds.to_rect(), &visible))
            .sum();
        covered >= MIN_COVERED_FRACTION * overlap_area(&visible, &visible)
    })
}

/// Returns the area common to two rectangles, in square points.
fn overlap_area(one: &PdfRect, other: &PdfRect) -> f32 {
    let width = one.right().value.min(other.right().value) - one.left().value.max(other.left().value);
    let height = one.top().value.min(other.top().value) - one.bottom().value.max(other.bottom().value);
    width.max(0.0) * height.max(0.0)
}

/// Returns true when a page shows anything besides text.
pub(super) fn has_picture(page: &PdfPage<'_>) -> bool {
    let is_other = |object: &PdfPageObject<'_>| object.object_type() != PdfPageObjectType::Text;
    if !call_pdfium(|| page.objects().iter().take(MAX_INSPECTED_OBJECTS).any(|object| is_other(&object))) {
        return false;
    }
    let Ok((width, height)) = pixel_size(page.width().value, page.height().value, BLANK_TEST_SIDE_PX) else {
        return true;
    };
    // A page that cannot be drawn here may be drawn elsewhere.
    gray_pixels(page, width, height).is_ok_and(|pixels| !is_blank(&pixels))
}

/// Renders a page, numbered from 1, as a grey JPEG. Returns `None` for a blank page.
pub(super) fn render_jpeg(
    document: &PdfDocument<'_>,
    page: u32,
    longest_side_px: u16,
) -> Result<Option<Vec<u8>>, PdfiumError> {
    let Some(Picture { width, height, pixels }) = render(document, page, longest_side_px)? else { return Ok(None) };
    let mut jpeg = Vec::new();
    let encoded = Encoder::new(&mut jpeg, JPEG_QUALITY).encode(&pixels, width, height, ColorType::Luma);
    encoded.or(Err(PdfiumError::ImageError))?;
    Ok(Some(jpeg))
}

/// A rendered page in shades of grey, one byte a pixel.
pub(super) struct Picture {
    pub(super) width: u16,
    pub(super) height: u16,
    pub(super) pixels: Vec<u8>,
}

/// Renders a page, numbered from 1. Returns `None` for a blank page.
pub(super) fn render(
    document: &PdfDocument<'_>,
    page: u32,
    longest_side_px: u16,
) -> Result<Option<Picture>, PdfiumError> {
    let index = i32::try_from(page).map_or(i32::MAX, |page| page - 1);
    let page = call_pdfium(|| document.pages().get(index))?;
    let (width, height) = pixel_size(page.width().value, page.height().value, longest_side_px)?;
    let pixels = gray_pixels(&page, width, height)?;
    Ok((!is_blank(&pixels)).then_some(Picture { width, height, pixels }))
}

/// Renders a page in shades of grey, one byte a pixel.
fn gray_pixels(page: &PdfPage<'_>, width: u16, height: u16) -> Result<Vec<u8>, PdfiumError> {
    let config = PdfRenderConfig::new()
        .set_fixed_size(width.into(), height.into())
        .set_format(PdfBitmapFormat::Gray)
        .use_grayscale_rendering(true)
        .set_reverse_byte_order(false)
        .limit_render_image_cache_size(true);
    let bitmap = call_pdfium(|| page.render_with_config(&config))?;
    let rows = bitmap.as_raw_bytes();
    // pdfium pads each row at its end.
    let stride = rows.len() / usize::from(height);
    Ok(rows.chunks_exact(stride.max(1)).flat_map(|row| &row[..stride.min(width.into())]).copied().collect())
}

/// Returns the width and height in pixels for a page of `width` by `height` points. A file can declare any page size:
/// the longer side gets at most `longest_side_px` pixels, and no page more than [`MAX_PIXELS_PER_POINT`].
fn pixel_size(width: f32, height: f32, longest_side_px: u16) -> Result<(u16, u16), PdfiumError> {
    let longest = width.max(height);
    if !(width > 0.0 && height > 0.0 && longest.is_finite()) {
        return Err(PdfiumError::ImageSizeOutOfBounds);
    }
    let scale = (f32::from(longest_side_px) / longest).min(MAX_PIXELS_PER_POINT);
    // A cast from float to integer saturates, so the result never exceeds the longest side.
    let pixels = |points: f32| ((points * scale).round() as u16).clamp(1, longest_side_px);
    Ok((pixels(width), pixels(height)))
}

fn is_blank(pixels: &[u8]) -> bool {
    let (darkest, lightest) =
        pixels.iter().fold((u8::MAX, 0), |(dark, light), &pixel| (dark.min(pixel), light.max(pixel)));
    lightest.saturating_sub(darkest) < MIN_SHADE_DIFFERENCE
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_page_size_gives_an_image_within_the_limits() {
        for ((width, height), expected) in [
            ((595.0, 842.0), (1108, 1568)),
            ((842.0, 595.0), (1568, 1108)),
            ((1e9, 1e9), (1568, 1568)),
            ((f32::MAX, 1.0), (1568, 1)),
            // A small label: limited by 300 dpi.
            ((72.0, 36.0), (300, 150)),
            ((1e-30, 1e-30), (1, 1)),
        ] {
            assert_eq!(pixel_size(width, height, 1568).unwrap(), expected, "{width} x {height}");
        }
        for (width, height) in [(0.0, 1.0), (1.0, -1.0), (f32::NAN, 1.0), (f32::INFINITY, 1.0)] {
            assert!(pixel_size(width, height, 1568).is_err(), "{width} x {height}");
        }
    }

    #[test]
    fn slight_shades_are_blank_and_a_faint_word_is_not() {
        assert!(is_blank(&[255; 100]) && is_blank(&[250, 248, 255]));
        assert!(!is_blank(&[255, 255, 200]));
    }

    #[test]
    fn the_part_of_an_image_outside_the_page_is_not_counted() {
        let page = PdfRect::new_from_values(0.0, 0.0, 100.0, 100.0);
        let area = |bottom, left, top, right| overlap_area(&PdfRect::new_from_values(bottom, left, top, right), &page);
        assert!((area(-50.0, -50.0, 50.0, 50.0) - 2_500.0).abs() < 0.1);
        assert!(area(100.0, 100.0, 900.0, 900.0) < 0.1);
    }
}
