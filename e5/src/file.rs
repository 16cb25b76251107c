//! The packed file: a head with the place and hash of each section, then the sections, at multiples of 4,096 bytes and
//! in little-endian order. `scripts/pack-e5.py` writes it.
//!
//! - pieces and normaliser of the tokenizer (`tokenizer.rs`),
//! - positions and the twelve layers (`encoder.rs`),
//! - hashes of the pages of words: 16 bytes of SHA-256 each,
//! - pages of words, 4,096 bytes with 18 rows of 216 bytes. A row has 12 blocks of 32 weights, as Q4_0 of ggml.
//!
//! Every byte that is used is verified: the head against [`HEAD_SHA256`], a section against the head, a page of words
//! when it is read.

use std::{fs::File, io, os::unix::fs::FileExt, path::Path};

use sha2::{Digest, Sha256};

use crate::{
    DIMENSIONS,
    matrix::{BLOCK, half_to_single},
};

/// SHA-256 of the first 4,096 bytes. `scripts/pack-e5.py` prints it. A change of the file is another model: the stored
/// model name changes with it.
const HEAD_SHA256: [u8; 32] = [
    0xd6, 0x16, 0x5f, 0x57, 0x50, 0x2f, 0xa9, 0x39, 0x51, 0xb0, 0x83, 0xde, 0xdb, 0x17, 0xd5, 0xab, 0x76, 0x6f, 0xfb,
    0xbe, 0xfa, 0x60, 0xd4, 0xdd, 0xf6, 0x96, 0x16, 0x1c, 0x8d, 0x84, 0x10, 0xd9,
];

const MAGIC: &[u8] = b"E5PK\x01\0\0\0";
/// Bytes of the head, and of a page of words.
const PAGE_BYTES: usize = 4096;
/// Bytes of a page's hash.
const PAGE_HASH_BYTES: usize = 16;
/// Bytes of a block: a scale of half precision and 32 weights of four bits.
const BLOCK_BYTES: usize = 18;
/// Bytes of a word's row.
const ROW_BYTES: usize = DIMENSIONS / BLOCK * BLOCK_BYTES;
const ROWS_PER_PAGE: usize = PAGE_BYTES / ROW_BYTES;

/// A model file that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ModelError {
    /// The file does not exist or cannot be read.
    #[error("the file of the embedding model cannot be read")]
    Unreadable(#[source] io::Error),
    /// The file ends early.
    #[error("the file of the embedding model is cut off")]
    CutOff,
    /// The file is no model, or one of another version.
    #[error("the file is not the embedding model that this version expects")]
    OtherModel,
    /// A part of the file has another hash.
    #[error("the file of the embedding model is damaged: {0} have another hash")]
    Damaged(&'static str),
}

impl From<io::Error> for ModelError {
    fn from(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::UnexpectedEof { Self::CutOff } else { Self::Unreadable(error) }
    }
}

/// A section's place, and its hash where it is read as a whole.
#[derive(Debug, Clone, Copy)]
struct Section {
    offset: u64,
    bytes: u64,
    sha256: [u8; 32],
}

/// The opened file.
#[derive(Debug)]
pub(crate) struct ModelFile {
    file: File,
    sections: [Section; 4],
    page_hashes: Vec<u8>,
}

impl ModelFile {
    /// Opens the file and verifies its head and the hashes of the words' pages.
    pub(crate) fn open(path: &Path) -> Result<Self, ModelError> {
        let file = File::open(path)?;
        let mut head = [0; PAGE_BYTES];
        file.read_exact_at(&mut head, 0)?;
        if !head.starts_with(MAGIC) || Sha256::digest(head)[..] != HEAD_SHA256 {
            return Err(ModelError::OtherModel);
        }
        let (places, _) = head[MAGIC.len()..].as_chunks::<48>();
        let section = |index: usize| {
            let (numbers, sha256) = places[index].split_at(16);
            let number = |at: usize| numbers[at..at + 8].iter().rev().fold(0, |sum, byte| sum << 8 | u64::from(*byte));
            let mut section = Section { offset: number(0), bytes: number(8), sha256: [0; 32] };
            section.sha256.copy_from_slice(sha256);
            section
        };
        let sections = [0, 1, 2, 3].map(section);
        // The words are read later, one by one: their absence shows now.
        if file.metadata()?.len() < sections[3].offset + sections[3].bytes {
            return Err(ModelError::CutOff);
        }
        let mut opened = Self { file, sections, page_hashes: Vec::new() };
        let mut reader = opened.section(2, "the hashes of the words");
        let count = usize::try_from(sections[3].bytes).unwrap_or_default() / PAGE_BYTES;
        let page_hashes = reader.bytes(count * PAGE_HASH_BYTES)?;
        reader.finish()?;
        opened.page_hashes = page_hashes;
        Ok(opened)
    }

    /// Reader of the tokenizer's section.
    pub(crate) fn tokenizer(&self) -> SectionReader<'_> {
        self.section(0, "the pieces")
    }

    /// Reader of the encoder's section.
    pub(crate) fn encoder(&self) -> SectionReader<'_> {
        self.section(1, "the layers")
    }

    /// The words' vectors.
    pub(crate) fn words(&self) -> Words<'_> {
        Words { file: self }
    }

    fn section(&self, index: usize, name: &'static str) -> SectionReader<'_> {
        SectionReader { file: &self.file, section: self.sections[index], at: 0, sha256: Sha256::new(), name }
    }
}

/// Reads a section from its begin to its end, and hashes it on the way.
pub(crate) struct SectionReader<'f> {
    file: &'f File,
    section: Section,
    at: u64,
    sha256: Sha256,
    name: &'static str,
}

impl SectionReader<'_> {
    /// Reads the next bytes.
    pub(crate) fn bytes(&mut self, count: usize) -> Result<Vec<u8>, ModelError> {
        let end = self.at + count as u64;
        if end > self.section.bytes {
            return Err(ModelError::Damaged(self.name));
        }
        let mut bytes = vec![0; count];
        self.file.read_exact_at(&mut bytes, self.section.offset + self.at)?;
        self.sha256.update(&bytes);
        self.at = end;
        Ok(bytes)
    }

    /// Reads the next numbers.
    pub(crate) fn integers(&mut self, count: usize) -> Result<Vec<u32>, ModelError> {
        Ok(self.bytes(count * 4)?.as_chunks().0.iter().map(|bytes| u32::from_le_bytes(*bytes)).collect())
    }

    /// Reads the next numbers of single precision.
    pub(crate) fn singles(&mut self, count: usize) -> Result<Vec<f32>, ModelError> {
        Ok(self.bytes(count * 4)?.as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect())
    }

    /// Reads the next numbers of half precision.
    pub(crate) fn halves(&mut self, count: usize) -> Result<Vec<f32>, ModelError> {
        let bytes = self.bytes(count * 2)?;
        Ok(bytes.as_chunks().0.iter().map(|bytes| half_to_single(u16::from_le_bytes(*bytes))).collect())
    }

    /// Compares the hash of what was read. Nothing that the section holds is used before.
    pub(crate) fn finish(self) -> Result<(), ModelError> {
        if self.at != self.section.bytes || self.sha256.finalize()[..] != self.section.sha256 {
            return Err(ModelError::Damaged(self.name));
        }
        Ok(())
    }
}

/// The vectors of words, read from the file one by one.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Words<'f> {
    file: &'f ModelFile,
}

impl Words<'_> {
    /// Reads the vector of a token.
    pub(crate) fn row(&self, token: u32) -> Result<[f32; DIMENSIONS], ModelError> {
        let (page, row) = (token as usize / ROWS_PER_PAGE, token as usize % ROWS_PER_PAGE);
        let mut bytes = [0; PAGE_BYTES];
        self.file.file.read_exact_at(&mut bytes, self.file.sections[3].offset + (page * PAGE_BYTES) as u64)?;
        let expected = self.file.page_hashes.as_chunks::<PAGE_HASH_BYTES>().0.get(page);
        if expected.is_none_or(|expected| Sha256::digest(bytes)[..PAGE_HASH_BYTES] != *expected) {
            return Err(ModelError::Damaged("the words"));
        }
        let mut vector = [0.0; DIMENSIONS];
        let (blocks, _) = bytes[row * ROW_BYTES..][..ROW_BYTES].as_chunks::<BLOCK_BYTES>();
        for (values, block) in vector.as_chunks_mut::<BLOCK>().0.iter_mut().zip(blocks) {
            let scale = half_to_single(u16::from_le_bytes([block[0], block[1]]));
            for (index, pair) in block[2..].iter().enumerate() {
                values[index] = f32::from(i16::from(pair & 15) - 8) * scale;
                values[index + BLOCK / 2] = f32::from(i16::from(pair >> 4) - 8) * scale;
            }
        }
        Ok(vector)
    }
}
