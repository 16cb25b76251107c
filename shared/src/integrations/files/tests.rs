//! Values read from files that are made here, one module for each format.

use std::io::{Cursor, Write};

use zip::{ZipWriter, write::SimpleFileOptions};

use super::*;

mod docx;
mod hostile;
mod texts;
mod xlsx;

/// Makes an archive of these parts.
fn archive(parts: &[(&str, &str)]) -> Vec<u8> {
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, content) in parts {
        writer.start_file(*name, SimpleFileOptions::default()).unwrap();
        writer.write_all(content.as_bytes()).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

/// Reads a file, and writes each block as a line: `# heading`, or the number and the text. No-break spaces are spaces.
fn shown(format: FileFormat, file: &[u8]) -> Vec<String> {
    let blocks = read(format, file).unwrap_or_else(|error| panic!("{error}"));
    let line = |block: &Block| match block {
        Block::Section(Section { name, .. }) => format!("# {}", name.as_deref().unwrap_or_default()),
        Block::Line(line) => format!("{} {}", line.number, line.text.replace(['\u{a0}', '\u{202f}'], " ")),
    };
    let lines: Vec<String> = blocks.iter().map(line).collect();
    lines.into_iter().filter(|line| line != "# ").collect()
}
