//! What a page looks like, for pages whose text is not in the file.

use super::child::guarded;
use jpeg_encoder::{ColorType, Encoder};
use pdfium_render::prelude::{
    PdfBitmapFormat, PdfDocument, PdfPage, PdfPageObjectCommon, PdfPageObjectType, PdfPageObjectsCommon, PdfRect,
    PdfRenderConfig, PdfiumError,
};

/// Images that take at least this part of a page cover it: scanners leave margins.
const COVERED: f32 = 0.5;

/// Objects of a page that are looked at: a scan has few, and hostile pages have millions.
const MOST_OBJECTS: usize = 1_000;

/// Enough to read small print by; a scanned page takes about 150 KB.
const JPEG_QUALITY: u8 = 80;

/// The finest that a page is drawn, in pixels a point: 300 dpi.
const FINEST: f32 = 300.0 / 72.0;

/// Shades that differ by less are those of one empty sheet.
const SAME_SHADE: u8 = 16;

/// Returns whether images take most of the page. Forms count as images: scanning programs put them in there.
pub(super) fn is_covered(page: &PdfPage<'_>) -> bool {
    guarded(|| {
        let Ok(visible) = page.boundaries().bounding().map(|boundary| boundary.bounds) else { return false };
        let objects = page.objects().iter().take(MOST_OBJECTS);
        let images = objects
            .filter(|object| matches!(object.object_type(), PdfPageObjectType::Image | PdfPageObjectType::XObjectForm));
        // Some scanners cut their image into strips.
        let covered: f32 =
            images.filter_map(|image| image.bounds().ok()).map(|bounds| overlap(&bounds.to_rect(), &visible)).sum();
        covered >= COVERED * overlap(&visible, &visible)
    })
}

/// In square points.
fn overlap(one: &PdfRect, other: &PdfRect) -> f32 {
    let width = one.right().value.min(other.right().value) - one.left().value.max(other.left().value);
    let height = one.top().value.min(other.top().value) - one.bottom().value.max(other.bottom().value);
    width.max(0.0) * height.max(0.0)
}

/// Returns a page, counted from 1, as a grey JPEG; `None` where nothing is on it.
pub(super) fn jpeg(
    document: &PdfDocument<'_>,
    page: u32,
    longest_side_px: u16,
) -> Result<Option<Vec<u8>>, PdfiumError> {
    let index = i32::try_from(page).map_or(i32::MAX, |page| page - 1);
    let page = guarded(|| document.pages().get(index))?;
    let (width, height) = size(page.width().value, page.height().value, longest_side_px)?;
    let config = PdfRenderConfig::new()
        .set_fixed_size(width.into(), height.into())
        .set_format(PdfBitmapFormat::Gray)
        .use_grayscale_rendering(true)
        .set_reverse_byte_order(false)
        .limit_render_image_cache_size(true);
    let bitmap = guarded(|| page.render_with_config(&config))?;
    let rows = bitmap.as_raw_bytes();
    // Rows are padded.
    let stride = rows.len() / usize::from(height);
    let pixels: Vec<u8> =
        rows.chunks_exact(stride.max(1)).flat_map(|row| &row[..stride.min(width.into())]).copied().collect();
    if is_blank(&pixels) {
        return Ok(None);
    }
    let mut jpeg = Vec::new();
    let encoded = Encoder::new(&mut jpeg, JPEG_QUALITY).encode(&pixels, width, height, ColorType::Luma);
    encoded.or(Err(PdfiumError::ImageError))?;
    Ok(Some(jpeg))
}

/// Returns width and height in pixels of a page of so many points. A page may claim any size: what it gets is bounded by
/// the longest side, and small ones are not blown up.
fn size(width: f32, height: f32, longest_side_px: u16) -> Result<(u16, u16), PdfiumError> {
    let longest = width.max(height);
    if !(width > 0.0 && height > 0.0 && longest.is_finite()) {
        return Err(PdfiumError::ImageSizeOutOfBounds);
    }
    let scale = (f32::from(longest_side_px) / longest).min(FINEST);
    // At most the longest side: casts of floats saturate.
    let pixels = |points: f32| ((points * scale).round() as u16).clamp(1, longest_side_px);
    Ok((pixels(width), pixels(height)))
}

fn is_blank(pixels: &[u8]) -> bool {
    let (darkest, lightest) =
        pixels.iter().fold((u8::MAX, 0), |(dark, light), &pixel| (dark.min(pixel), light.max(pixel)));
    lightest.saturating_sub(darkest) < SAME_SHADE
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_of_any_size_becomes_a_picture_of_a_bounded_one() {
        for ((width, height), expected) in [
            ((595.0, 842.0), (1108, 1568)),
            ((842.0, 595.0), (1568, 1108)),
            ((1e9, 1e9), (1568, 1568)),
            ((f32::MAX, 1.0), (1568, 1)),
            // A label, at 300 dpi.
            ((72.0, 36.0), (300, 150)),
            ((1e-30, 1e-30), (1, 1)),
        ] {
            assert_eq!(size(width, height, 1568).unwrap(), expected, "{width} x {height}");
        }
        for (width, height) in [(0.0, 1.0), (1.0, -1.0), (f32::NAN, 1.0), (f32::INFINITY, 1.0)] {
            assert!(size(width, height, 1568).is_err(), "{width} x {height}");
        }
    }

    #[test]
    fn an_empty_sheet_is_told_from_a_faint_word() {
        assert!(is_blank(&[255; 100]) && is_blank(&[250, 248, 255]));
        assert!(!is_blank(&[255, 255, 200]));
    }

    #[test]
    fn what_lies_outside_the_page_does_not_cover_it() {
        let page = PdfRect::new_from_values(0.0, 0.0, 100.0, 100.0);
        let area = |bottom, left, top, right| overlap(&PdfRect::new_from_values(bottom, left, top, right), &page);
        assert!((area(-50.0, -50.0, 50.0, 50.0) - 2_500.0).abs() < 0.1);
        assert!(area(100.0, 100.0, 900.0, 900.0) < 0.1);
    }
}
