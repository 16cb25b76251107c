//! Stand-ins for the outside servers that the product talks to, with their shapes, their refusals and their bad days.

pub mod manychat;
