//! Authentication and authorisation: tokens, their verification keys, and the extractor types by which a handler's
//! signature states its permitted callers.

pub mod access_policy;
mod administrator;
mod audited_reads;
mod caller;
mod jwks;
mod member_or_service;
pub mod passwords;
pub mod tokens;
mod webhooks;

pub use administrator::Administrator;
pub use audited_reads::AuditedRead;
pub use caller::{AccountUser, Caller, Identity, Public, ReturningAccountUser, SignedInUser, SupportUser, Unmetered};
pub use member_or_service::{MemberOrService, OnBehalfOf};
pub use tokens::{Claims, VerificationKeys};
pub use webhooks::ManyChatCall;
