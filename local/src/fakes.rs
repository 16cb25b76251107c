//! The services outside, as far as the product calls them: they speak each one's shapes and errors, say what a script
//! tells them, and remember what they were asked.

pub mod models;
