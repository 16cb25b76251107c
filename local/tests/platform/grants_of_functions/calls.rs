//! The operations of AWS that a function's code reaches, read from the source: which operations of the SDK each method
//! of the clients in `shared` calls, and which of these methods a function calls.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use proc_macro2::{TokenStream, TokenTree};
use syn::{
    Attribute, Expr, ExprCall, ExprMethodCall, ExprStruct, Field, FnArg, ImplItemFn, Item, ItemImpl, Lit, Local,
    Member, Pat, Type,
    visit::{self, Visit},
};

/// The clients of AWS in `shared`, each with its source files.
const CLIENTS: [(&str, &[&str]); 2] =
    [("Storage", &["integrations/storage.rs"]), ("Queue", &["integrations/queue.rs", "integrations/queue/batch.rs"])];
/// The source file that fetches the secret. Every function runs it at its start.
const SECRETS: &str = "foundation/aws.rs";

/// Methods of the clients, as (client, method), with the operations of the SDK that each reaches.
#[derive(Debug, Default)]
pub(super) struct ClientCalls {
    methods: BTreeMap<(String, String), BTreeSet<String>>,
    /// Functions of `shared` that are handed a client, with the methods of each client that they call.
    functions: BTreeMap<String, BTreeSet<(String, String)>>,
}

/// Operations of AWS that a function reaches.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct FunctionCalls {
    /// Each operation with the setting that names its bucket or queue.
    pub(super) operations: BTreeSet<(String, String)>,
}

/// A method's own calls.
#[derive(Debug, Default)]
struct MethodCode {
    operations: BTreeSet<String>,
    own_methods: BTreeSet<String>,
}

impl ClientCalls {
    /// Reads the clients, and checks that no other file names the SDK of a service.
    pub(super) fn of_shared(source: &Path) -> Self {
        let known: BTreeSet<_> =
            CLIENTS.iter().flat_map(|(_, files)| *files).chain([&SECRETS]).map(|file| source.join(file)).collect();
        for file in rust_files(source) {
            let names_sdk = fs::read_to_string(&file).unwrap().contains("aws_sdk_");
            assert!(!names_sdk || known.contains(&file), "{} calls AWS past the clients", file.display());
        }
        let mut secrets = ClientCode::default();
        secrets.visit_file(&parse(&source.join(SECRETS)));
        let operations: BTreeSet<_> = secrets.methods.values().flat_map(|code| &code.operations).collect();
        assert_eq!(operations.into_iter().collect::<Vec<_>>(), ["get_secret_value"]);
        let mut methods = BTreeMap::new();
        for (client, files) in CLIENTS {
            let mut code = ClientCode { client: Some(client), ..ClientCode::default() };
            files.iter().for_each(|file| code.visit_file(&parse(&source.join(file))));
            assert!(code.methods.len() > 4, "the methods of {client} were not found");
            for method in code.methods.keys() {
                methods.insert((client.to_owned(), method.clone()), code.reach(method));
            }
        }
        let mut calls = Self { methods, functions: BTreeMap::new() };
        let files: Vec<_> =
            rust_files(source).iter().filter(|file| !known.contains(*file)).map(|file| parse(file)).collect();
        // A function may hand its client on to another one: read again until nothing is added.
        loop {
            let functions = calls.functions_of(&files);
            if functions == calls.functions {
                return calls;
            }
            calls.functions = functions;
        }
    }

    /// The functions of files that are handed a client, with what they call themselves, and by the functions that are known.
    fn functions_of(&self, files: &[syn::File]) -> BTreeMap<String, BTreeSet<(String, String)>> {
        let mut functions = BTreeMap::new();
        for item in files.iter().flat_map(|file| &file.items) {
            let Item::Fn(function) = item else { continue };
            let mut names = ClientNames::default();
            names.visit_item_fn(function);
            if is_test(&function.attrs) || names.types.is_empty() {
                continue;
            }
            let mut uses = MethodUses { names: &names.types, clients: self, found: BTreeSet::new() };
            uses.visit_item_fn(function);
            let found = uses.found.into_iter().map(|(name, method)| (names.types[&name].clone(), method)).collect();
            let name = function.sig.ident.to_string();
            assert!(functions.insert(name.clone(), found).is_none(), "two functions are named {name}");
        }
        functions
    }

    fn knows(&self, method: &str) -> bool {
        self.methods.keys().any(|(_, known)| known == method)
    }
}

impl FunctionCalls {
    /// Reads a function's code.
    pub(super) fn of_crate(source: &Path, clients: &ClientCalls) -> Self {
        let files: Vec<_> = rust_files(source).iter().map(|file| parse(file)).collect();
        Self::of_files(&files, clients)
    }

    fn of_files(files: &[syn::File], clients: &ClientCalls) -> Self {
        let mut names = ClientNames::default();
        files.iter().for_each(|file| names.visit_file(file));
        let mut uses = MethodUses { names: &names.types, clients, found: BTreeSet::new() };
        files.iter().for_each(|file| uses.visit_file(file));
        let mut operations = BTreeSet::new();
        for (name, method) in uses.found {
            let client = &names.types[&name];
            let setting = match (client.as_str(), names.settings.get(&name)) {
                ("Storage", _) => "DOCUMENTS_BUCKET",
                (_, Some(setting)) => setting,
                _ => panic!("{name} is a queue of which no setting is read"),
            };
            let reached = clients.methods.get(&(client.clone(), method.clone()));
            let reached = reached.unwrap_or_else(|| panic!("{client} has no method {method}"));
            operations.extend(reached.iter().map(|operation| (operation.clone(), setting.to_owned())));
        }
        Self { operations }
    }
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for path in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        if path.is_dir() {
            files.extend(rust_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files
}

fn parse(file: &Path) -> syn::File {
    let text = fs::read_to_string(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    syn::parse_file(&text).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
}

fn is_test(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        attribute.path().is_ident("cfg") && attribute.parse_args::<syn::Ident>().is_ok_and(|name| name == "test")
    })
}

/// Visits an item unless it is of tests only.
macro_rules! skip_tests {
    () => {
        fn visit_item(&mut self, item: &'ast Item) {
            let attributes = match item {
                Item::Mod(item) => &item.attrs,
                Item::Fn(item) => &item.attrs,
                Item::Impl(item) => &item.attrs,
                _ => &Vec::new(),
            };
            if !is_test(attributes) {
                visit::visit_item(self, item);
            }
        }
    };
}

/// The last name of a path to a field or variable: `storage` of `self.storage`, `&deps.storage` and `storage`.
fn last_name(expression: &Expr) -> Option<String> {
    match expression {
        Expr::Field(field) => match &field.member {
            Member::Named(name) => Some(name.to_string()),
            Member::Unnamed(_) => None,
        },
        Expr::Path(path) => path.path.get_ident().map(ToString::to_string),
        Expr::Reference(reference) => last_name(&reference.expr),
        Expr::Paren(paren) => last_name(&paren.expr),
        Expr::MethodCall(call) if call.method == "clone" => last_name(&call.receiver),
        _ => None,
    }
}

/// The last name of a type, without references.
fn type_name(kind: &Type) -> Option<String> {
    match kind {
        Type::Path(path) => path.path.segments.last().map(|segment| segment.ident.to_string()),
        Type::Reference(reference) => type_name(&reference.elem),
        _ => None,
    }
}

/// Collects, per method of a client, its operations of the SDK and its calls of the client's other methods.
#[derive(Default)]
struct ClientCode {
    /// The client whose `impl` blocks are read; `None` for every function of the file.
    client: Option<&'static str>,
    methods: BTreeMap<String, MethodCode>,
    at: Option<String>,
}

impl ClientCode {
    fn reach(&self, method: &str) -> BTreeSet<String> {
        let (mut reached, mut open, mut seen) = (BTreeSet::new(), vec![method], BTreeSet::new());
        while let Some(method) = open.pop() {
            if let Some(code) = self.methods.get(method).filter(|_| seen.insert(method)) {
                reached.extend(code.operations.iter().cloned());
                open.extend(code.own_methods.iter().map(String::as_str));
            }
        }
        reached
    }
}

impl<'ast> Visit<'ast> for ClientCode {
    skip_tests!();

    fn visit_item_impl(&mut self, item: &'ast ItemImpl) {
        if self.client.is_none_or(|client| type_name(&item.self_ty).as_deref() == Some(client)) {
            visit::visit_item_impl(self, item);
        }
    }

    fn visit_impl_item_fn(&mut self, function: &'ast ImplItemFn) {
        self.at = Some(function.sig.ident.to_string());
        self.methods.entry(function.sig.ident.to_string()).or_default();
        visit::visit_impl_item_fn(self, function);
        self.at = None;
    }

    fn visit_item_fn(&mut self, function: &'ast syn::ItemFn) {
        if self.client.is_none() {
            self.at = Some(function.sig.ident.to_string());
        }
        visit::visit_item_fn(self, function);
        self.at = None;
    }

    fn visit_expr_method_call(&mut self, call: &'ast ExprMethodCall) {
        if let Some(at) = &self.at {
            let code = self.methods.entry(at.clone()).or_default();
            let is_client = match &*call.receiver {
                // `aws_sdk_…::Client::new(&config)`
                Expr::Call(ExprCall { func, .. }) => match &**func {
                    Expr::Path(path) => path.path.segments.iter().any(|segment| segment.ident == "Client"),
                    _ => false,
                },
                receiver => last_name(receiver).as_deref() == Some("client"),
            };
            if is_client && call.method != "clone" {
                code.operations.insert(call.method.to_string());
            }
            if matches!(&*call.receiver, Expr::Path(path) if path.path.is_ident("self")) {
                code.own_methods.insert(call.method.to_string());
            }
        }
        visit::visit_expr_method_call(self, call);
    }
}

/// Collects the names of a function's fields, parameters and variables that hold a client, and the settings of queues.
#[derive(Default)]
struct ClientNames {
    types: BTreeMap<String, String>,
    settings: BTreeMap<String, String>,
}

impl ClientNames {
    fn add(&mut self, name: String, kind: &Type) {
        if let Some(kind) = type_name(kind).filter(|kind| CLIENTS.iter().any(|(client, _)| client == kind)) {
            self.types.insert(name, kind);
        }
    }
}

impl<'ast> Visit<'ast> for ClientNames {
    skip_tests!();

    fn visit_field(&mut self, field: &'ast Field) {
        if let Some(name) = &field.ident {
            self.add(name.to_string(), &field.ty);
        }
    }

    fn visit_fn_arg(&mut self, argument: &'ast FnArg) {
        if let FnArg::Typed(argument) = argument
            && let Pat::Ident(name) = &*argument.pat
        {
            self.add(name.ident.to_string(), &argument.ty);
        }
    }

    fn visit_local(&mut self, local: &'ast Local) {
        if let (Pat::Ident(name), Some(value)) = (&local.pat, &local.init)
            && let Some(known) = last_name(&value.expr)
            && let Some(kind) = self.types.get(&known).cloned()
        {
            self.types.insert(name.ident.to_string(), kind);
            if let Some(setting) = self.settings.get(&known).cloned() {
                self.settings.insert(name.ident.to_string(), setting);
            }
        }
        visit::visit_local(self, local);
    }

    fn visit_expr_struct(&mut self, made: &'ast ExprStruct) {
        for field in &made.fields {
            if let (Member::Named(name), Expr::Call(call)) = (&field.member, &field.expr)
                && let Expr::Path(path) = &*call.func
                && path.path.segments.iter().any(|segment| segment.ident == "Queue")
                && let Some(Expr::Lit(literal)) = call.args.last()
                && let Lit::Str(setting) = &literal.lit
            {
                self.settings.insert(name.to_string(), setting.value());
            }
        }
        visit::visit_expr_struct(self, made);
    }
}

/// Collects the calls of clients' methods, as (name of the client, method).
struct MethodUses<'c> {
    names: &'c BTreeMap<String, String>,
    clients: &'c ClientCalls,
    found: BTreeSet<(String, String)>,
}

/// Methods of clients whose names other types have too. An unknown receiver of another method is an error.
const COMMON_NAMES: [&str; 8] = ["get", "put", "delete", "exists", "send", "ping", "read", "clone"];

impl<'ast> Visit<'ast> for MethodUses<'_> {
    skip_tests!();

    fn visit_expr_method_call(&mut self, call: &'ast ExprMethodCall) {
        let method = call.method.to_string();
        match last_name(&call.receiver).filter(|name| self.names.contains_key(name)) {
            Some(name) if method != "clone" => {
                self.found.insert((name, method));
            }
            Some(_) => {}
            None => {
                let is_common = COMMON_NAMES.contains(&method.as_str());
                assert!(is_common || !self.clients.knows(&method), "on which client is {method} called?");
            }
        }
        visit::visit_expr_method_call(self, call);
    }

    /// Finds the calls of functions of `shared` that are handed a client.
    fn visit_expr_call(&mut self, call: &'ast ExprCall) {
        if let Expr::Path(path) = &*call.func
            && let Some(called) = path.path.segments.last()
            && let Some(methods) = self.clients.functions.get(&called.ident.to_string())
        {
            for name in call.args.iter().filter_map(last_name) {
                let of_client = methods.iter().filter(|(client, _)| self.names.get(&name) == Some(client));
                self.found.extend(of_client.map(|(_, method)| (name.clone(), method.clone())));
            }
        }
        visit::visit_expr_call(self, call);
    }

    fn visit_macro(&mut self, call: &'ast syn::Macro) {
        self.tokens(call.tokens.clone());
    }
}

impl MethodUses<'_> {
    /// Finds `client.method(…)` in the tokens of a macro, such as `tokio::join!`.
    fn tokens(&mut self, tokens: TokenStream) {
        let tokens: Vec<_> = tokens.into_iter().collect();
        for window in tokens.windows(4) {
            if let [TokenTree::Ident(name), TokenTree::Punct(dot), TokenTree::Ident(method), TokenTree::Group(_)] =
                window
                && dot.as_char() == '.'
                && self.names.contains_key(&name.to_string())
            {
                self.found.insert((name.to_string(), method.to_string()));
            }
        }
        for token in tokens {
            if let TokenTree::Group(group) = token {
                self.tokens(group.stream());
            }
        }
    }
}

#[test]
fn calls_through_fields_parameters_variables_and_macros_are_found() {
    let clients = ClientCalls::of_shared(&local_postgres::root().join("shared/src"));
    let code = r#"
        struct Deps { storage: Storage, inbox: Queue, outbox: Queue }
        impl Deps {
            fn read(settings: &mut Settings) -> Self {
                Self {
                    storage: Storage::read(settings),
                    inbox: Queue::read(settings, "INBOX_URL"),
                    outbox: Queue::read(settings, "OUTBOX_URL"),
                }
            }
            async fn work(&self) {
                let (found, ()) = tokio::join!(async { self.storage.exists("a").await }, other());
                let out = &self.outbox;
                out.send_or_log(&(), ZERO).await;
                self.inbox.process_batch(&event, MAX, |record| self.one(record)).await;
            }
        }
        async fn remove(bucket: &Storage) { documents::delete_files(&db, &bucket, tenant, &objects).await; }
        fn other(map: &HashMap<u8, u8>) { map.get(&1); }
        #[cfg(test)]
        mod tests { fn f(storage: &Storage) { storage.put("a", b); } }
    "#;
    let found = FunctionCalls::of_files(&[syn::parse_file(code).unwrap()], &clients).operations;
    let expected = [
        ("change_message_visibility", "INBOX_URL"),
        ("delete_object", "DOCUMENTS_BUCKET"),
        ("head_object", "DOCUMENTS_BUCKET"),
        ("send_message", "OUTBOX_URL"),
    ];
    let expected = expected.map(|(operation, setting)| (operation.to_owned(), setting.to_owned()));
    assert_eq!(found, expected.into());
}
