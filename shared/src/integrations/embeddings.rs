//! Embedding vectors of chunks and questions. Vectors of different models are never compared: each vector is stored
//! with the [`Embedder::model`] that made it.

mod config;
mod dimensions;
mod e5;
mod embedder;
mod features;
mod local;
mod registry;
mod remote;

pub use self::e5::E5Embedder;
pub use dimensions::DIMENSIONS;
pub use embedder::Embedder;
pub use local::LocalEmbedder;
pub use registry::EmbedderRegistry;
pub use remote::EmbedError;
