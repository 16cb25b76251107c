//! The ZIP archive of a Word document or workbook, unpacked within a limit.

use std::{
    borrow::Cow,
    io::{Cursor, Read},
};

use zip::{ZipArchive, result::ZipError};

use super::error::FileError;

/// Maximum size of all parts of an archive together, unpacked, in bytes.
pub(super) const MAX_UNPACKED_BYTES: u64 = 192 * 1024 * 1024;
/// Maximum number of parts of an archive.
const MAX_PARTS: usize = 10_000;

/// An opened archive.
pub(super) struct Archive<'f>(ZipArchive<Cursor<&'f [u8]>>);

impl<'f> Archive<'f> {
    /// Opens an archive. Its sizes are measured and not believed: every part is unpacked once and thrown away, so that
    /// whoever reads it afterwards is within the limit.
    ///
    /// # Errors
    /// Returns an error for a damaged archive, an encrypted one, and one over the limit.
    pub(super) fn open(bytes: &'f [u8]) -> Result<Self, FileError> {
        let mut archive = ZipArchive::new(Cursor::new(bytes)).map_err(damaged)?;
        if archive.len() > MAX_PARTS {
            return Err(FileError::TooLarge(MAX_UNPACKED_BYTES));
        }
        let mut left = MAX_UNPACKED_BYTES;
        for index in 0..archive.len() {
            let part = archive.by_index(index).map_err(damaged)?;
            if part.size() > left {
                return Err(FileError::TooLarge(MAX_UNPACKED_BYTES));
            }
            let size = std::io::copy(&mut part.take(left + 1), &mut std::io::sink())
                .map_err(|error| FileError::Corrupt(error.to_string()))?;
            left = left.checked_sub(size).ok_or(FileError::TooLarge(MAX_UNPACKED_BYTES))?;
        }
        Ok(Self(archive))
    }

    /// Returns a part as text; `None` when there is no such part.
    ///
    /// # Errors
    /// Returns an error for a damaged part.
    pub(super) fn part(&mut self, name: &str) -> Result<Option<String>, FileError> {
        let part = match self.0.by_name(name) {
            Ok(part) => part,
            Err(ZipError::FileNotFound) => return Ok(None),
            Err(error) => return Err(damaged(error)),
        };
        let mut bytes = Vec::new();
        part.take(MAX_UNPACKED_BYTES).read_to_end(&mut bytes).map_err(|error| FileError::Corrupt(error.to_string()))?;
        // XML of office programs is in UTF-8, rarely in UTF-16 with a byte order mark.
        let (text, ..) = encoding_rs::UTF_8.decode(&bytes);
        Ok(Some(text.into_owned()))
    }

    /// Returns the names of the parts that begin with `prefix`, in ascending order.
    pub(super) fn names(&self, prefix: &str) -> Vec<String> {
        let mut names: Vec<String> =
            self.0.file_names().flatten().filter(|name| name.starts_with(prefix)).map(Cow::into_owned).collect();
        names.sort_unstable();
        names
    }
}

fn damaged(error: ZipError) -> FileError {
    match error {
        ZipError::UnsupportedArchive(reason) if reason == ZipError::PASSWORD_REQUIRED => FileError::Encrypted,
        error => FileError::Corrupt(error.to_string()),
    }
}
