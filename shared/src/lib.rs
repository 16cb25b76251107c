pub mod aws;
pub mod db;
pub mod error;
pub mod function;
pub mod http;
pub mod logging;
pub mod settings;
