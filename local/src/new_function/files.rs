//! The templates of a new function's files.

/// Path and template text of each file. `{{name}}` and the other placeholders are filled in both.
pub(super) const NEW_FILES: &[(&str, &str)] = &[
    ("functions/{{name}}/Cargo.toml", include_str!("templates/Cargo.toml.txt")),
    ("functions/{{name}}/src/main.rs", include_str!("templates/main.rs.txt")),
    ("functions/{{name}}/src/lib.rs", include_str!("templates/lib.rs.txt")),
    ("events/{{name}}.json", include_str!("templates/event.json.txt")),
    ("local/tests/http/{{module}}.rs", include_str!("templates/test.rs.txt")),
];

/// The template of the block in template.yaml.
pub(super) const BLOCK: &str = include_str!("templates/block.yaml.txt");
