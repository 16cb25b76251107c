//! The shape of the code: modules without circles, floors of `shared` that only reach down, and SQL functions and
//! triggers that their modules name.

mod graph;
mod test_programs;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use graph::ModuleGraph;

/// The floors of `shared`, the lowest first. Code may name modules of its own floor and of those below.
const FLOORS: [&str; 3] = ["foundation", "integrations", "domain"];

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn crates() -> Vec<(String, ModuleGraph)> {
    let functions = fs::read_dir(root().join("functions")).unwrap().map(|entry| entry.unwrap().path());
    let folders: Vec<_> = functions.chain([root().join("shared")]).collect();
    let crates: Vec<_> = folders
        .iter()
        .map(|folder| {
            let name = folder.file_name().unwrap().to_string_lossy().into_owned();
            (name, ModuleGraph::of_crate(&folder.join("src")))
        })
        .collect();
    assert!(crates.len() > 15, "the crates were not found");
    crates
}

fn files(files: &[(&str, &str)]) -> BTreeMap<Vec<String>, String> {
    files.iter().map(|(path, text)| (path.split("::").map(str::to_owned).collect(), (*text).to_owned())).collect()
}

#[test]
fn modules_name_each_other_in_one_direction_only() {
    let circles: Vec<_> = crates().into_iter().map(|(name, graph)| (name, graph.circles())).collect();
    let circles: Vec<_> = circles.iter().filter(|(_, circles)| !circles.is_empty()).collect();
    assert!(circles.is_empty(), "files that name each other in a circle: {circles:#?}");
}

#[test]
fn folders_of_shared_name_each_other_in_one_direction_only() {
    let (_, shared) = crates().into_iter().find(|(name, _)| name == "shared").unwrap();
    assert!(shared.edges().count() > 200, "the paths were not found");
    for depth in [1, 2] {
        assert_eq!(shared.folded(depth).circles(), Vec::<Vec<String>>::new(), "folders of depth {depth}");
    }
}

#[test]
fn floors_of_shared_only_reach_down() {
    let (_, shared) = crates().into_iter().find(|(name, _)| name == "shared").unwrap();
    let floor = |module: &[String]| FLOORS.iter().position(|floor| *floor == module[0]);
    for (from, to) in shared.edges() {
        if from.is_empty() {
            continue;
        }
        let (above, below) = (floor(from), floor(to));
        assert!(above.is_some() && below.is_some(), "{from:?} or {to:?} stands on no floor");
        assert!(above >= below, "{} reaches up to {}", from.join("::"), to.join("::"));
    }
}

#[test]
fn a_circle_made_on_purpose_is_found() {
    let straight = files(&[("a", "use crate::b::B;"), ("b", "use crate::c::C;"), ("c", "")]);
    assert_eq!(ModuleGraph::of_files(&straight).circles(), Vec::<Vec<String>>::new());
    let circles = [
        // A use line.
        files(&[("a", "use crate::b::B;"), ("b", "use crate::c::C;"), ("c", "use super::a::{self, A};")]),
        // A path in a body, in a type, and in a macro call.
        files(&[
            ("a", "fn f() { crate::b::g() }"),
            ("b", "struct S(crate::c::C);"),
            ("c", "fn f() { m!(crate::a::A) }"),
        ]),
        // Through a re-export that stands elsewhere.
        files(&[
            ("a", "use crate::front::B;"),
            ("b", "use crate::front::C;"),
            ("c", "use crate::front::A;"),
            ("front", "pub use crate::{a::A, b::B, c::C};"),
        ]),
    ];
    for circle in &circles {
        assert_eq!(ModuleGraph::of_files(circle).circles(), [["a", "b", "c"]]);
    }
    // Of a parent and its child.
    let family = files(&[("a", "use b::B;"), ("a::b", "use super::A;")]);
    assert_eq!(ModuleGraph::of_files(&family).circles(), [["a", "a::b"]]);
    // A parent that only names what its folder offers is none.
    let front = files(&[("a", "pub use b::B; pub use c::C;"), ("a::b", "use super::C;"), ("a::c", "")]);
    assert_eq!(ModuleGraph::of_files(&front).circles(), Vec::<Vec<String>>::new());
    // Tests may name anything.
    let tested = files(&[("a", "use crate::b::B;"), ("b", "#[cfg(test)] mod tests { use crate::a::A; }")]);
    assert_eq!(ModuleGraph::of_files(&tested).circles(), Vec::<Vec<String>>::new());
}

#[test]
fn folders_are_compared_as_folders() {
    let graph = files(&[
        ("a", ""),
        ("a::x", "use crate::b::y::Y;"),
        ("a::z", ""),
        ("b", ""),
        ("b::y", ""),
        ("b::w", "use crate::a::z::Z;"),
    ]);
    let graph = ModuleGraph::of_files(&graph);
    assert_eq!(graph.circles(), Vec::<Vec<String>>::new());
    assert_eq!(graph.folded(1).circles(), [["a", "b"]]);
}

/// The words after each `keyword` in `text`, up to a space or a parenthesis.
fn names_after<'t>(text: &'t str, keyword: &str) -> BTreeSet<&'t str> {
    text.split(keyword).skip(1).filter_map(|rest| rest.split([' ', '(']).next()).collect()
}

/// The code spans in the paragraphs of `//!` lines that begin with "SQL function" or "Trigger", in `folder` and below.
fn sql_names_in_module_docs(folder: &Path) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for entry in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        if entry.is_dir() {
            names.extend(sql_names_in_module_docs(&entry));
            continue;
        }
        let text = fs::read_to_string(&entry).unwrap();
        let docs: Vec<_> =
            text.lines().map_while(|line| line.strip_prefix("//!")).map(|line| line.trim().to_owned() + "\n").collect();
        let docs = docs.concat();
        for paragraph in
            docs.split("\n\n").filter(|text| text.starts_with("SQL function") || text.starts_with("Trigger"))
        {
            names.extend(paragraph.split('`').skip(1).step_by(2).map(str::to_owned));
        }
    }
    names
}

#[test]
fn every_sql_function_and_trigger_is_named_by_its_module() {
    let schema = fs::read_to_string(root().join("migrations/schema.sql")).unwrap();
    let mut functions = names_after(&schema, "CREATE FUNCTION ");
    functions.retain(|name| name.starts_with("app."));
    let triggers = names_after(&schema, "CREATE TRIGGER ");
    assert!(functions.len() > 30 && triggers.len() > 5, "the functions and triggers were not found");
    let named = sql_names_in_module_docs(&root().join("shared/src"));
    for name in functions.iter().chain(&triggers) {
        assert!(named.contains(*name), "no module of shared names {name} in its `//!`");
    }
    let gone = named.iter().filter(|name| name.starts_with("app.") && !functions.contains(name.as_str()));
    assert_eq!(gone.collect::<Vec<_>>(), Vec::<&String>::new(), "functions that are not in migrations/schema.sql");
}

/// Returns the word after each `keyword` of a migration.
fn tables_after(sql: &str, keyword: &str) -> BTreeSet<String> {
    let code: String = sql.lines().filter(|line| !line.trim_start().starts_with("--")).collect::<Vec<_>>().join(" ");
    let words: Vec<_> = code.split_whitespace().collect();
    let keyword: Vec<_> = keyword.split(' ').collect();
    let found = words.windows(keyword.len() + 1).filter(|window| window.starts_with(&keyword));
    found.map(|window| window[keyword.len()].trim_end_matches(['(', ';']).to_owned()).collect()
}

/// The tables on which a migration creates triggers.
fn tables_with_new_triggers(sql: &str) -> BTreeSet<String> {
    let triggers = sql.split("\ncreate trigger ").skip(1);
    triggers.flat_map(|trigger| tables_after(trigger.split(" for each ").next().unwrap(), "on")).collect()
}

#[test]
fn a_migration_creates_triggers_on_one_table_in_use_at_most() {
    // Those before are landed.
    const FIRST: &str = "0081";
    let folder = root().join("migrations/app");
    let mut files: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let mut seen = 0;
    for file in files {
        let name = file.file_name().unwrap().to_string_lossy().into_owned();
        let sql = fs::read_to_string(&file).unwrap();
        let new = tables_after(&sql, "create table");
        let in_use: Vec<_> = tables_with_new_triggers(&sql).into_iter().filter(|table| !new.contains(table)).collect();
        seen += in_use.len();
        assert!(in_use.len() <= 1 || name.as_str() < FIRST, "{name} locks {in_use:?} in one transaction");
    }
    assert!(seen > 7, "the triggers were not found");
}
