//! Annotations and form fields: what is displayed of them becomes part of the page, and the values of fields without
//! an appearance are read from the form.

use super::display::Display;
use super::guard::call_pdfium;
use super::layout::PlacedText;
use super::visibility;
use pdfium_render::prelude::{
    PdfFormField, PdfPage, PdfPageAnnotation, PdfPageAnnotationCommon, PdfPageAnnotationType, PdfRenderConfig,
    PdfiumError,
};

/// Maximum number of a page's annotations that are inspected.
const MAX_ANNOTATIONS: usize = 5_000;

/// Longest value of a field, in characters.
const MAX_VALUE_CHARS: usize = 20_000;

/// Mark of a box that is checked.
const CHECKED: &str = "☑";

/// Merges the displayed annotations of a page into its content. Returns the values of its form fields. The page must
/// be loaded again afterwards: its parts still refer to the page before the merge.
///
/// In a file with layers, an annotation other than a field is displayed when the picture of the page changes with it.
pub(super) fn merge(
    page: &mut PdfPage<'_>,
    display: &Display,
    has_layers: bool,
) -> Result<Vec<PlacedText>, PdfiumError> {
    // pdfium makes the missing appearances of fields when it draws their page.
    let tiny = PdfRenderConfig::new().set_fixed_size(8, 8).render_annotations(true).render_form_data(false);
    let _ = call_pdfium(|| page.render_with_config(&tiny));
    let ink = if has_layers { Some(visibility::annotation_ink(page, display)?) } else { None };
    let mut values = Vec::new();
    for index in call_pdfium(|| page.annotations().as_range()).take(MAX_ANNOTATIONS) {
        let Ok(mut annotation) = call_pdfium(|| page.annotations().get(index)) else { continue };
        if call_pdfium(|| annotation.is_hidden()) {
            continue;
        }
        let bounds = call_pdfium(|| annotation.bounds()).map(|bounds| display.rect(&bounds));
        let is_field = call_pdfium(|| annotation.annotation_type()) == PdfPageAnnotationType::Widget;
        let is_in_picture =
            is_field || ink.as_ref().is_none_or(|ink| bounds.as_ref().is_ok_and(|area| ink.is_in(area)));
        let is_displayed =
            is_in_picture && !call_pdfium(|| annotation.is_printable_but_not_viewable()) && !is_mark(&annotation);
        if !is_displayed {
            let _ = call_pdfium(|| annotation.set_is_hidden(true));
            continue;
        }
        // pdfium merges what is printed; what counts here is what is displayed.
        let _ = call_pdfium(|| annotation.set_is_printed(true));
        let value = annotation.as_form_field().and_then(|field| call_pdfium(|| value(field)));
        if let (Some(text), Ok(area)) = (value, bounds) {
            values.push(PlacedText { text, area });
        }
    }
    call_pdfium(|| page.flatten()).or_else(|error| match error {
        PdfiumError::PageFlattenFailure => Ok(()),
        error => Err(error),
    })?;
    Ok(values)
}

/// Returns true for annotations without a text of their own: icons, and marks over the text of the page. Merged marks
/// would cover that text.
fn is_mark(annotation: &PdfPageAnnotation<'_>) -> bool {
    matches!(
        call_pdfium(|| annotation.annotation_type()),
        PdfPageAnnotationType::Text
            | PdfPageAnnotationType::Popup
            | PdfPageAnnotationType::FileAttachment
            | PdfPageAnnotationType::Sound
            | PdfPageAnnotationType::Movie
            | PdfPageAnnotationType::Link
            | PdfPageAnnotationType::Highlight
            | PdfPageAnnotationType::Underline
            | PdfPageAnnotationType::Squiggly
            | PdfPageAnnotationType::Strikeout
            | PdfPageAnnotationType::Caret
            | PdfPageAnnotationType::Ink
    )
}

/// Returns the displayed value of a field; `None` for an empty one.
fn value(field: &PdfFormField<'_>) -> Option<String> {
    let value = match field {
        PdfFormField::Text(field) if !field.is_password() => field.value(),
        PdfFormField::ComboBox(field) => {
            let label =
                field.options().iter().find(|option| option.is_set()).and_then(|option| option.label().cloned());
            label.or_else(|| field.value())
        }
        PdfFormField::ListBox(field) => {
            let set = field.options().iter().filter(|option| option.is_set());
            let labels: Vec<String> = set.filter_map(|option| option.label().cloned()).collect();
            if labels.is_empty() { field.value() } else { Some(labels.join(", ")) }
        }
        PdfFormField::Checkbox(field) => field.is_checked().unwrap_or(false).then(|| CHECKED.to_owned()),
        PdfFormField::RadioButton(field) => field.is_checked().unwrap_or(false).then(|| CHECKED.to_owned()),
        _ => None,
    };
    let value: String = value?.trim_matches('\0').chars().take(MAX_VALUE_CHARS).collect();
    let value = value.split_whitespace().collect::<Vec<_>>().join(" ");
    (!value.is_empty()).then_some(value)
}
