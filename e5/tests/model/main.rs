//! The embedding model as the product opens it, with the weights that the script fetches.

#[cfg(test)]
mod reference;
