//! The recogniser with its real models.

mod models;
mod pages;
mod support;
