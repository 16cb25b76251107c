//! A ZIP archive that is stored in the bucket part by part, while it is written.

use std::{
    io::{self, Write},
    mem,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use bytes::Bytes;
use chrono::{DateTime, Datelike, Timelike, Utc};
use shared::storage::{MIN_PART_BYTES, PartialUpload, Storage};
use zip::{CompressionMethod, ZipWriter, write::SimpleFileOptions, write::StreamWriter};

use crate::ExportError;

/// Size of the unstored bytes, in bytes, from which on they are stored as a part.
const PART_BYTES: usize = 8 * 1024 * 1024;
const _: () = assert!(PART_BYTES >= MIN_PART_BYTES);
/// Number of bytes that are written between two checks for a full part.
const WRITE_BYTES: usize = 1024 * 1024;

/// The written bytes that are not stored yet. The writer of the archive has one handle, and the upload the other.
#[derive(Debug, Clone, Default)]
struct PartBuffer(Arc<Mutex<Vec<u8>>>);

impl PartBuffer {
    fn lock(&self) -> MutexGuard<'_, Vec<u8>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Write for PartBuffer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.lock().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Kind of a file's content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Content {
    /// Text, which is compressed.
    Text,
    /// A file of the company as it is: most formats are compressed already.
    File,
}

/// An archive that is being written and stored.
pub(crate) struct ArchiveUpload {
    upload: PartialUpload,
    /// Writer of the ZIP format; `None` after [`Self::write_end`].
    zip: Option<ZipWriter<StreamWriter<PartBuffer>>>,
    buffer: PartBuffer,
    time: zip::DateTime,
    stored_bytes: u64,
}

impl ArchiveUpload {
    /// Begins an archive. `time` is the time of all its files.
    pub(crate) fn new(upload: PartialUpload, time: DateTime<Utc>) -> Self {
        let buffer = PartBuffer::default();
        Self { upload, zip: Some(ZipWriter::new_stream(buffer.clone())), buffer, time: zip_time(time), stored_bytes: 0 }
    }

    /// Begins the next file of the archive.
    pub(crate) fn begin_file(&mut self, name: &str, content: Content) -> Result<(), ExportError> {
        let method = match content {
            Content::Text => CompressionMethod::Deflated,
            Content::File => CompressionMethod::Stored,
        };
        let options = SimpleFileOptions::default().compression_method(method).last_modified_time(self.time);
        self.writer()?.start_file(name, options)?;
        Ok(())
    }

    /// Writes into the file that was begun last, and stores the parts that are full.
    pub(crate) async fn write(&mut self, storage: &Storage, bytes: &[u8]) -> Result<(), ExportError> {
        for piece in bytes.chunks(WRITE_BYTES) {
            self.writer()?.write_all(piece)?;
            self.store_parts(storage, PART_BYTES).await?;
        }
        Ok(())
    }

    /// Writes the archive's directory and stores the bytes that are not stored yet.
    pub(crate) async fn write_end(&mut self, storage: &Storage) -> Result<(), ExportError> {
        if let Some(zip) = self.zip.take() {
            zip.finish()?;
        }
        self.store_parts(storage, PART_BYTES).await?;
        // The last part may have any size.
        self.store_parts(storage, 1).await
    }

    /// Size of the stored parts, in bytes: that of the archive after [`Self::write_end`].
    pub(crate) fn size_bytes(&self) -> u64 {
        self.stored_bytes
    }

    /// The upload, to be completed or given up.
    pub(crate) fn into_upload(self) -> PartialUpload {
        self.upload
    }

    fn writer(&mut self) -> Result<&mut ZipWriter<StreamWriter<PartBuffer>>, ExportError> {
        self.zip.as_mut().ok_or_else(|| io::Error::other("the archive has ended").into())
    }

    /// Stores the buffered bytes as a part when there are at least `least` of them.
    async fn store_parts(&mut self, storage: &Storage, least: usize) -> Result<(), ExportError> {
        let part = {
            let mut buffer = self.buffer.lock();
            if buffer.len() < least {
                return Ok(());
            }
            Bytes::from(mem::take(&mut *buffer))
        };
        self.stored_bytes += part.len() as u64;
        Ok(storage.store_part(&mut self.upload, part).await?)
    }
}

/// Converts a time to the format of ZIP. A time before 1980, which ZIP does not have, becomes 1 January 1980.
fn zip_time(time: DateTime<Utc>) -> zip::DateTime {
    let part = |number: u32| u8::try_from(number).unwrap_or_default();
    let year = u16::try_from(time.year()).unwrap_or_default();
    let (month, day) = (part(time.month()), part(time.day()));
    zip::DateTime::from_date_and_time(year, month, day, part(time.hour()), part(time.minute()), part(time.second()))
        .unwrap_or_default()
}
