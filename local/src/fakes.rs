//! Servers that stand in for those outside, on the loopback interface: with their shapes, their refusals and their bad
//! days.

pub mod manychat;
pub mod models;
pub mod queue;
pub mod stripe;
