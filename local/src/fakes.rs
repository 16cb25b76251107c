//! Other people's services, played on this machine.

pub mod stripe;
