//! Identity: tokens and the keys that verify them, and the callers that handlers name in their signature.

mod caller;
pub mod gate;
mod jwks;
pub mod passwords;
pub mod tokens;
mod webhooks;

pub use caller::{AccountUser, Caller, Identity, Open, Public, SignedIn, SupportUser};
pub use tokens::{Claims, VerificationKeys};
pub use webhooks::ManyChatCall;
