//! The module graph of one crate, read from the paths in its code: `use` lines, paths in expressions and types, and
//! paths inside of macro calls. Test modules do not count.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

use proc_macro2::{TokenStream, TokenTree};
use syn::{
    Attribute, Item, ItemMod, ItemUse, UseTree, Visibility,
    visit::{self, Visit},
};

/// The path of a module below its crate's root: `["llm", "types"]`; the root itself is empty.
type ModulePath = Vec<String>;

/// The modules of a crate, and of each the modules that its code names.
#[derive(Debug, Default)]
pub(super) struct ModuleGraph {
    edges: BTreeMap<ModulePath, BTreeSet<ModulePath>>,
}

/// A module's paths before they are resolved.
#[derive(Debug, Default)]
struct ModuleCode {
    /// Paths that its code names, as written.
    paths: BTreeSet<Vec<String>>,
    /// Names that it gives to other modules' items by `pub use`, with the path behind each.
    reexports: BTreeMap<String, Vec<String>>,
    /// Paths that it re-exports as a whole: `pub use child::*`.
    glob_reexports: Vec<Vec<String>>,
}

impl ModuleGraph {
    /// Reads all files below a crate's `src`.
    pub(super) fn of_crate(source: &Path) -> Self {
        let mut files = BTreeMap::new();
        read_folder(source, &mut Vec::new(), &mut files);
        Self::of_files(&files)
    }

    /// Makes the graph of a crate's files, by the path of their module.
    pub(super) fn of_files(files: &BTreeMap<ModulePath, String>) -> Self {
        let modules: BTreeMap<_, _> = files
            .iter()
            .map(|(module, text)| {
                let file = syn::parse_file(text).unwrap_or_else(|error| panic!("{}: {error}", module.join("::")));
                let mut code = ModuleCode::default();
                PathCollector { code: &mut code }.visit_file(&file);
                (module.clone(), code)
            })
            .collect();
        let mut edges = BTreeMap::new();
        for (module, code) in &modules {
            let named = code.paths.iter().filter_map(|path| resolve(&modules, module, path, 0));
            edges.insert(module.clone(), named.filter(|target| target != module && !target.is_empty()).collect());
        }
        Self { edges }
    }

    /// The groups of modules that reach each other, each sorted.
    pub(super) fn circles(&self) -> Vec<Vec<String>> {
        let reach: BTreeMap<_, _> = self.edges.keys().map(|module| (module, self.reachable(module))).collect();
        let mut circles = BTreeSet::new();
        for (module, reached) in &reach {
            if reached.contains(*module) {
                let circle = reached.iter().filter(|other| reach.get(other).is_some_and(|back| back.contains(*module)));
                circles.insert(circle.map(|module| module.join("::")).collect::<Vec<_>>());
            }
        }
        circles.into_iter().collect()
    }

    /// The graph of the first `depth` names of each path: of folders rather than files.
    pub(super) fn folded(&self, depth: usize) -> Self {
        let fold = |module: &ModulePath| module.iter().take(depth).cloned().collect::<ModulePath>();
        let mut edges: BTreeMap<ModulePath, BTreeSet<ModulePath>> = BTreeMap::new();
        for (module, named) in &self.edges {
            let from = fold(module);
            let to = named.iter().map(fold).filter(|to| *to != from);
            edges.entry(from.clone()).or_default().extend(to);
        }
        Self { edges }
    }

    /// Every edge, as two module paths.
    pub(super) fn edges(&self) -> impl Iterator<Item = (&ModulePath, &ModulePath)> {
        self.edges.iter().flat_map(|(from, named)| named.iter().map(move |to| (from, to)))
    }

    fn reachable(&self, start: &ModulePath) -> BTreeSet<ModulePath> {
        let mut reached = BTreeSet::new();
        let mut open: Vec<_> = self.edges.get(start).into_iter().flatten().collect();
        while let Some(module) = open.pop() {
            if reached.insert(module.clone()) {
                open.extend(self.edges.get(module).into_iter().flatten());
            }
        }
        reached
    }
}

fn read_folder(folder: &Path, module: &mut ModulePath, files: &mut BTreeMap<ModulePath, String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        if path.is_dir() {
            module.push(name);
            read_folder(&path, module, files);
            module.pop();
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let is_root = module.is_empty() && matches!(name.as_str(), "lib" | "main");
            let mut of_file = module.clone();
            if !is_root {
                of_file.push(name);
            }
            let text = fs::read_to_string(&path).unwrap();
            // A crate's main.rs only starts its library.
            if !(is_root && files.contains_key(&of_file) && path.ends_with("main.rs")) {
                files.insert(of_file, text);
            }
        }
    }
}

/// Finds the module that a path leads to, through re-exports; `None` for a path into another crate.
fn resolve(
    modules: &BTreeMap<ModulePath, ModuleCode>,
    from: &ModulePath,
    path: &[String],
    depth: usize,
) -> Option<ModulePath> {
    assert!(depth < 32, "re-exports lead in a circle: {from:?} {path:?}");
    let mut at = from.clone();
    let mut rest = path;
    match path.first()?.as_str() {
        "crate" => {
            at.clear();
            rest = &path[1..];
        }
        "self" => rest = &path[1..],
        "super" => {
            while rest.first().is_some_and(|name| name == "super") {
                at.pop()?;
                rest = &rest[1..];
            }
        }
        // In the edition of this workspace, a path begins with a crate, or with a name in scope: a child.
        name => {
            let mut child = from.clone();
            child.push(name.to_owned());
            modules.get(&child)?;
        }
    }
    while let Some(name) = rest.first() {
        let mut child = at.clone();
        child.push(name.clone());
        if modules.contains_key(&child) {
            at = child;
            rest = &rest[1..];
            continue;
        }
        let code = modules.get(&at)?;
        if let Some(target) = code.reexports.get(name) {
            let mut path = target.clone();
            path.extend(rest[1..].iter().cloned());
            // A name of another crate is this module's own, as far as the graph goes.
            return resolve(modules, &at, &path, depth + 1).or(Some(at));
        }
        let through_glob = code.glob_reexports.iter().find_map(|glob| {
            let target = resolve(modules, &at, glob, depth + 1)?;
            modules.get(&target)?.reexports.contains_key(name).then_some(target)
        });
        return Some(through_glob.unwrap_or(at));
    }
    Some(at)
}

/// Collects the paths of one file.
struct PathCollector<'a> {
    code: &'a mut ModuleCode,
}

impl PathCollector<'_> {
    fn tokens(&mut self, tokens: TokenStream) {
        let mut path: Vec<String> = Vec::new();
        let mut colons = 0;
        for token in tokens {
            match token {
                TokenTree::Ident(name) => {
                    if colons != 2 {
                        self.flush(&mut path);
                    }
                    path.push(name.to_string());
                    colons = 0;
                }
                TokenTree::Punct(punct) if punct.as_char() == ':' => colons += 1,
                TokenTree::Group(group) => {
                    self.flush(&mut path);
                    colons = 0;
                    self.tokens(group.stream());
                }
                _ => {
                    self.flush(&mut path);
                    colons = 0;
                }
            }
        }
        self.flush(&mut path);
    }

    fn flush(&mut self, path: &mut Vec<String>) {
        if path.len() > 1 {
            self.code.paths.insert(std::mem::take(path));
        }
        path.clear();
    }

    fn use_tree(&mut self, tree: &UseTree, before: &[String], is_reexport: bool) {
        let with = |name: &syn::Ident| {
            let mut path = before.to_vec();
            // `{self}` is the path itself.
            if name != "self" || before.is_empty() {
                path.push(name.to_string());
            }
            path
        };
        match tree {
            UseTree::Path(path) => self.use_tree(&path.tree, &with(&path.ident), is_reexport),
            UseTree::Group(group) => group.items.iter().for_each(|tree| self.use_tree(tree, before, is_reexport)),
            UseTree::Name(name) => self.name(with(&name.ident), None, is_reexport),
            UseTree::Rename(rename) => self.name(with(&rename.ident), Some(rename.rename.to_string()), is_reexport),
            UseTree::Glob(_) if is_reexport => self.code.glob_reexports.push(before.to_vec()),
            UseTree::Glob(_) => {
                self.code.paths.insert(before.to_vec());
            }
        }
    }

    fn name(&mut self, path: Vec<String>, renamed: Option<String>, is_reexport: bool) {
        if is_reexport {
            let name = renamed.or_else(|| path.last().cloned()).unwrap();
            self.code.reexports.insert(name, path);
        } else {
            self.code.paths.insert(path);
        }
    }
}

fn is_test(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        attribute.path().is_ident("cfg")
            && attribute.parse_args::<syn::Ident>().is_ok_and(|condition| condition == "test")
    })
}

impl<'ast> Visit<'ast> for PathCollector<'_> {
    fn visit_item(&mut self, item: &'ast Item) {
        let attributes = match item {
            Item::Mod(item) => &item.attrs,
            Item::Fn(item) => &item.attrs,
            Item::Impl(item) => &item.attrs,
            Item::Use(item) => &item.attrs,
            _ => &Vec::new(),
        };
        if !is_test(attributes) {
            visit::visit_item(self, item);
        }
    }

    fn visit_item_mod(&mut self, module: &'ast ItemMod) {
        assert!(module.content.is_none(), "mod {} has a file of its own, or is a test", module.ident);
    }

    fn visit_item_use(&mut self, item: &'ast ItemUse) {
        self.use_tree(&item.tree, &[], !matches!(item.vis, Visibility::Inherited));
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        if path.segments.len() > 1 && path.leading_colon.is_none() {
            self.code.paths.insert(path.segments.iter().map(|segment| segment.ident.to_string()).collect());
        }
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, call: &'ast syn::Macro) {
        self.tokens(call.tokens.clone());
        visit::visit_macro(self, call);
    }
}
