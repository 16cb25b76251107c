//! The recogniser with its real models.

#[cfg(test)]
mod models;
#[cfg(test)]
mod pages;
#[cfg(test)]
mod support;
