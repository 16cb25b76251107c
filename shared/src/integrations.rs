//! The middle floor: clients of outside systems. Knows the foundation, but none of the product's nouns.

pub mod embeddings;
pub mod files;
pub mod llm;
pub mod manychat;
pub(crate) mod model_api;
pub mod outbound;
pub mod pdf;
pub mod queue;
pub mod storage;
pub mod stripe;
