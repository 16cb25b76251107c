//! Excel workbooks: the rows of visible sheets, with their values as the sheets show them.
//!
//! calamine reads the values, the styles and the cached results of formulas. Hidden rows and columns are not in what it
//! gives, so that the sheets' XML is read for them, too.

use std::{
    collections::{HashMap, HashSet},
    io::Cursor,
};

use calamine::{
    Cell as SheetCell, DataRef, DataType, Dimensions, Reader, SheetType, SheetVisible, Style, Xlsx, XlsxError,
};

use super::{
    archive::Archive,
    collector::Blocks,
    error::{FileError, MAX_COLUMNS, MAX_ROWS},
    number_format::NumberDisplay,
    place::PlaceKind,
    table::{Cell, Row},
    xml::{self, Node},
};
use crate::text::{Language, detect_language};

/// Number of characters of a workbook's texts by which its language is told.
const LANGUAGE_SAMPLE_CHARS: usize = 20_000;

/// Reads the visible sheets in their order.
pub(super) fn read(bytes: &[u8], blocks: &mut Blocks) -> Result<(), FileError> {
    let mut archive = Archive::open(bytes)?;
    let parts = sheet_parts(&mut archive)?;
    let mut workbook: Xlsx<_> = Xlsx::new(Cursor::new(bytes)).map_err(refused)?;
    let sheets: Vec<String> = workbook
        .sheets_metadata()
        .iter()
        .filter(|sheet| sheet.typ == SheetType::WorkSheet && sheet.visible == SheetVisible::Visible)
        .map(|sheet| sheet.name.clone())
        .collect();
    let mut raw = Vec::with_capacity(sheets.len());
    for name in sheets {
        let part = parts.get(&name).cloned().unwrap_or_default();
        let hidden = archive.part(&part)?.map_or(Ok(Hidden::default()), |xml| Hidden::read(&xml))?;
        let merged = workbook.merge_cells_by_sheet_name(&name).map_err(refused)?;
        let cells = read_cells(&mut workbook, &name, &hidden)?;
        raw.push((name, cells, merged, hidden));
    }
    let language = language_of(raw.iter().flat_map(|(_, cells, ..)| cells));
    let mut display = NumberDisplay::new(language, workbook.has_1904_epoch());
    for (name, cells, merged, hidden) in raw {
        blocks.section(PlaceKind::Sheet, Some(name.clone()), vec![name]);
        blocks.table(&rows(cells, &merged, &hidden, language, &mut display)?, false)?;
    }
    Ok(())
}

/// A cell that is not hidden.
struct RawCell {
    row: u32,
    column: u32,
    value: Value,
    is_emphasized: bool,
}

enum Value {
    Text(String),
    Bool(bool),
    Number { value: f64, code: Option<String>, id: Option<u32> },
}

fn read_cells(workbook: &mut Xlsx<Cursor<&[u8]>>, name: &str, hidden: &Hidden) -> Result<Vec<RawCell>, FileError> {
    let mut reader = workbook.worksheet_cells_reader(name).map_err(refused)?;
    let mut cells = Vec::new();
    let mut rows = 0;
    let mut last_row = None;
    while let Some((cell, style)) = reader.next_cell_with_style_id().map_err(refused)? {
        let (row, column) = cell.get_position();
        let style = reader.styles().get(style);
        if cell.get_value().is_empty() || hidden.hides(row, column) || is_struck_out(style) {
            continue;
        }
        if last_row.replace(row) != Some(row) {
            rows += 1;
        }
        if rows > MAX_ROWS || column as usize >= MAX_COLUMNS {
            return Err(FileError::TooManyRows);
        }
        let Some(value) = value(&cell, style) else { continue };
        let is_emphasized = style.is_some_and(|style| {
            style.font.as_ref().is_some_and(|font| font.is_bold())
                || style.fill.as_ref().is_some_and(|fill| fill.is_visible())
        });
        cells.push(RawCell { row, column, value, is_emphasized });
    }
    Ok(cells)
}

fn is_struck_out(style: Option<&Style>) -> bool {
    style.and_then(|style| style.font.as_ref()).is_some_and(|font| font.has_strikethrough())
}

/// Returns a cell's value; `None` for an error such as `#N/A`.
fn value(cell: &SheetCell<DataRef<'_>>, style: Option<&Style>) -> Option<Value> {
    let format = style.and_then(|style| style.number_format.as_ref());
    let number = |value| Value::Number {
        value,
        code: format.map(|format| format.format_code.clone()),
        id: format.and_then(|format| format.format_id),
    };
    match cell.get_value() {
        DataRef::Int(value) => Some(number(*value as f64)),
        DataRef::Float(value) => Some(number(*value)),
        DataRef::DateTime(time) => Some(number(time.as_f64())),
        DataRef::Bool(value) => Some(Value::Bool(*value)),
        DataRef::String(text) | DataRef::DateTimeIso(text) | DataRef::DurationIso(text) => {
            Some(Value::Text(text.clone()))
        }
        DataRef::SharedString(text) => Some(Value::Text((*text).to_owned())),
        DataRef::Error(_) | DataRef::Empty => None,
    }
}

/// Returns the language of the texts, by which numbers are shown.
fn language_of<'c>(cells: impl Iterator<Item = &'c RawCell>) -> Language {
    let mut sample = String::new();
    for cell in cells {
        if let Value::Text(text) = &cell.value {
            sample.push_str(text);
            sample.push(' ');
        }
        if sample.len() > LANGUAGE_SAMPLE_CHARS {
            break;
        }
    }
    detect_language(&sample)
}

/// Makes rows of cells. A merged cell's value stands in each of its rows, and in each of its columns where it is a
/// heading over several.
fn rows(
    cells: Vec<RawCell>,
    merged: &[Dimensions],
    hidden: &Hidden,
    language: Language,
    display: &mut NumberDisplay,
) -> Result<Vec<Row>, FileError> {
    let mut grid: Vec<Row> = Vec::new();
    let mut places: HashMap<u32, usize> = HashMap::new();
    let mut last_row = None;
    for cell in cells {
        // A gap between rows, but for hidden ones, divides tables.
        let gap = last_row.is_some_and(|last: u32| (last + 1..cell.row).any(|row| !hidden.rows.contains(&row)));
        if gap {
            grid.push(Row::default());
        }
        last_row = Some(cell.row);
        let place = *places.entry(cell.row).or_insert_with(|| {
            grid.push(Row { number: cell.row + 1, ..Row::default() });
            grid.len() - 1
        });
        let text = match cell.value {
            Value::Text(text) => text,
            Value::Bool(value) => bool_text(value, language).to_owned(),
            Value::Number { value, code, id } => display.show(value, code.as_deref(), id),
        };
        let shown = Cell { text, is_emphasized: cell.is_emphasized };
        if let Some(row) = grid.get_mut(place) {
            put(row, cell.column, shown);
        }
    }
    spread(&mut grid, &places, merged);
    for row in &mut grid {
        // Hidden columns are no columns without a name.
        let mut column = 0;
        row.cells.retain(|_| {
            column += 1;
            !hidden.columns.contains(&(column - 1))
        });
    }
    Ok(grid)
}

fn put(row: &mut Row, column: u32, cell: Cell) {
    let column = column as usize;
    if row.cells.len() <= column {
        row.cells.resize(column + 1, Cell::default());
    }
    if let Some(place) = row.cells.get_mut(column) {
        *place = cell;
    }
}

/// Writes the value of merged cells into the others: downwards always, to the side where rows below have cells apart.
fn spread(grid: &mut [Row], places: &HashMap<u32, usize>, merged: &[Dimensions]) {
    for region in merged {
        let (top, left) = region.start;
        let (bottom, right) = region.end;
        if right as usize >= MAX_COLUMNS || bottom - top > 10_000 {
            continue;
        }
        let Some(cell) =
            places.get(&top).and_then(|&place| grid.get(place)).and_then(|row| row.cells.get(left as usize))
        else {
            continue;
        };
        let cell = cell.clone();
        let below = places.get(&(bottom + 1)).and_then(|&place| grid.get(place));
        let is_heading = right > left && below.is_some_and(|row| filled_between(row, left, right) > 1);
        for row in top..=bottom {
            let Some(row) = places.get(&row).and_then(|&place| grid.get_mut(place)) else { continue };
            for column in left..=if is_heading { right } else { left } {
                put(row, column, cell.clone());
            }
        }
    }
}

fn filled_between(row: &Row, left: u32, right: u32) -> usize {
    let columns = row.cells.iter().skip(left as usize).take((right - left + 1) as usize);
    columns.filter(|cell| !cell.text.trim().is_empty()).count()
}

fn bool_text(value: bool, language: Language) -> &'static str {
    match (value, language) {
        (true, Language::French) => "VRAI",
        (false, Language::French) => "FAUX",
        (true, _) => "TRUE",
        (false, _) => "FALSE",
    }
}

/// Hidden rows and columns of a sheet, from 0.
#[derive(Default)]
struct Hidden {
    rows: HashSet<u32>,
    columns: HashSet<u32>,
}

impl Hidden {
    fn read(sheet: &str) -> Result<Self, FileError> {
        let mut hidden = Self::default();
        let mut next_row = 1;
        xml::walk(sheet, |node| {
            let Node::Open(element) = node else { return Ok(()) };
            let number = |name| xml::attribute(element, name).and_then(|text| text.trim().parse::<f64>().ok());
            let is_hidden = |size| {
                xml::attribute(element, "hidden").is_some_and(|value| matches!(value.as_str(), "1" | "true"))
                    || number(size) == Some(0.0)
            };
            match element.local_name().as_ref() {
                "row" => {
                    let row = number("r").map_or(next_row, |row| row as u32);
                    next_row = row.saturating_add(1);
                    if is_hidden("ht") {
                        hidden.rows.insert(row.saturating_sub(1));
                    }
                }
                "col" if is_hidden("width") => {
                    let (first, last) = (number("min").unwrap_or(0.0) as u32, number("max").unwrap_or(0.0) as u32);
                    let last = last.min(MAX_COLUMNS as u32 * 32);
                    hidden.columns.extend((first..=last).map(|column| column.saturating_sub(1)));
                }
                _ => {}
            }
            Ok(())
        })?;
        Ok(hidden)
    }

    fn hides(&self, row: u32, column: u32) -> bool {
        self.rows.contains(&row) || self.columns.contains(&column)
    }
}

/// Returns the archive's part of each sheet, by the sheet's name.
fn sheet_parts(archive: &mut Archive<'_>) -> Result<HashMap<String, String>, FileError> {
    let mut targets = HashMap::new();
    xml::walk(&archive.part("xl/_rels/workbook.xml.rels")?.unwrap_or_default(), |node| {
        if let Node::Open(element) = node
            && let (Some(id), Some(target)) = (xml::attribute(element, "Id"), xml::attribute(element, "Target"))
        {
            let path = match target.strip_prefix('/') {
                Some(absolute) => absolute.to_owned(),
                None => format!("xl/{}", target.trim_start_matches("./")),
            };
            targets.insert(id, path);
        }
        Ok(())
    })?;
    let mut parts = HashMap::new();
    xml::walk(&archive.part("xl/workbook.xml")?.unwrap_or_default(), |node| {
        if let Node::Open(element) = node
            && element.local_name().as_ref() == "sheet"
            && let (Some(name), Some(id)) = (xml::attribute(element, "name"), xml::attribute(element, "id"))
            && let Some(path) = targets.get(&id)
        {
            parts.insert(name, path.clone());
        }
        Ok(())
    })?;
    Ok(parts)
}

fn refused(error: XlsxError) -> FileError {
    match error {
        XlsxError::Password => FileError::Encrypted,
        error => FileError::Corrupt(error.to_string()),
    }
}
