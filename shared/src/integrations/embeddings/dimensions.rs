//! The size of vectors.

/// Dimensions of the stored vectors of all models but one, as declared by the database's columns.
pub const DIMENSIONS: usize = 1536;

/// Dimensions of the stored vectors of [`super::E5Embedder`], in columns of their own.
pub const SHORT_DIMENSIONS: usize = 384;
