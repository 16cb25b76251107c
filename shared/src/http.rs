//! The HTTP conventions, once: envelopes, extractors that answer with our errors, and the layers around every function.

mod events;
mod extract;
mod layers;
mod respond;

pub use events::{Events, Gone, stream};
pub use extract::{Bytes, ClientAddress, Json, Path, Preferred, Query, RequestId};
pub(crate) use layers::note;
pub use layers::{Cors, layers};
pub use respond::{Created, Data, Envelope, NoContent};
