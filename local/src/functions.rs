//! Every function of the product. One that is missing here does not run here.

use shared::function::Function;

/// The functions, by name.
pub const ALL: &[Function] = &[default::FUNCTION, health::FUNCTION, migrate::FUNCTION];

/// Finds a function by its name in template.yaml.
#[must_use]
pub fn find(name: &str) -> Option<Function> {
    ALL.iter().find(|function| function.name == name).copied()
}
