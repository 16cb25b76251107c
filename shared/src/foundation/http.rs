//! The HTTP conventions of all functions: response envelopes, extractors that reject with [`crate::error::ApiError`],
//! and the layers around every router.

mod edge;
mod extract;
mod layers;
mod plain_words;
mod query_parameters;
mod respond;
mod sse;

pub use edge::Edge;
pub use extract::{Bytes, ClientAddress, Json, Path, PreferredLanguage, Query, ReceivedAt, RequestId};
pub(crate) use layers::record_rate_limit;
pub use layers::{Cors, LayerOptions, layers};
pub use query_parameters::RATE_LIMIT_EXTENSION;
pub(crate) use query_parameters::refuse_unknown_parameters;
pub use respond::{Accepted, Created, Data, Envelope, NoContent};
pub use sse::{ClientDisconnected, SseSender, stream_events};
