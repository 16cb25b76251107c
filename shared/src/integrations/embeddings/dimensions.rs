//! The size of vectors.

/// Dimensions of every stored vector, as declared by the database's columns.
pub const DIMENSIONS: usize = 1536;
