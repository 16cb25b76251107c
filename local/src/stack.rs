//! A running stack: the functions on one database and one set of AWS resources, behind a gateway.

use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
    thread::available_parallelism,
};

use anyhow::{Context, Result, anyhow};
use chrono::TimeDelta;
use local_postgres::root;
use serde_json::Value;
use shared::{aws, settings::SettingsMap};
use tokio::{net::TcpListener, task::JoinSet};

use crate::{
    console,
    environment::{DatabaseUrls, lisa_program},
    functions, gateway,
    lambda::{InvocationError, Lambda},
    ocr_models,
    queue::QueuePoller,
    resources::{self, ResourceOptions},
    schedule,
    secrets::LocalSecrets,
    servers::Servers,
    template::{Template, TemplateScope},
};

/// Database connections per function. One process serves many requests at once here; a deployed function has one
/// connection.
const MAX_DATABASE_CONNECTIONS: &str = "10";

/// Options for the start of a stack.
#[derive(Debug)]
pub struct StackOptions {
    /// The socket that the gateway listens on.
    pub listener: TcpListener,
    /// The database, already migrated.
    pub database: DatabaseUrls,
    /// The local secrets.
    pub secrets: LocalSecrets,
    /// Settings that override those of the template and of the secrets. A name that neither has is added to the
    /// secrets.
    pub settings: SettingsMap,
    /// Suffix of the names of buckets, queues and secrets; keeps stacks apart that share servers.
    pub suffix: String,
    /// Overrides the queues' visibility timeout, in seconds.
    pub visibility_timeout: Option<u32>,
    /// True when the schedules of the template run.
    pub runs_schedules: bool,
    /// Folder of the console's built files; `None` serves no console.
    pub console: Option<PathBuf>,
}

/// A running stack. Dropping it aborts all its tasks, including invocations in progress.
#[derive(Debug)]
pub struct Stack {
    address: SocketAddr,
    lambdas: BTreeMap<String, Arc<Lambda>>,
    resources: SettingsMap,
    /// The keys of the secrets.
    secrets: SettingsMap,
    /// A client of the queues, and their URLs.
    queues: (aws_sdk_sqs::Client, Vec<String>),
    /// The gateway's socket and site until [`Stack::open`] takes them.
    gateway: Option<(TcpListener, gateway::Site)>,
    tasks: JoinSet<()>,
}

impl Stack {
    /// Creates the AWS resources and starts polling the queues. A function starts at its first event, unless
    /// [`Stack::start_functions`] starts it before. HTTP requests are served from [`Stack::open`] on.
    ///
    /// # Errors
    /// Fails when the template is not understood or a resource cannot be created.
    pub async fn start(servers: &Servers, options: StackOptions) -> Result<Self> {
        let template = Template::read(&root().join("template.yaml"))?;
        let blocks = template.functions()?;
        let (app, system) =
            secrets(&options, blocks.iter().flat_map(|block| block.variables.keys().cloned()).collect());
        let config = servers.aws.config();
        let address = options.listener.local_addr().context("the address of the gateway cannot be read")?;
        let base_url = format!("http://{address}");
        let seed = ResourceOptions {
            app: &app,
            system: &system,
            base_url: &base_url,
            suffix: &options.suffix,
            visibility_timeout: options.visibility_timeout,
        };
        let scope = Box::pin(resources::create_resources(&template, &config, &seed)).await?;

        let (platform, overrides) = platform_settings(servers, options.settings)?;
        let mut settings = resources::settings(&template, &scope, &platform, &overrides)?;
        let resources = settings.values().flatten().map(|(name, value)| (name.clone(), value.clone())).collect();

        let mut lambdas = BTreeMap::new();
        let mut routes = gateway::RouteTable::default();
        let mut tasks = JoinSet::new();
        for block in blocks {
            let function = functions::find(&block.name).ok_or_else(|| {
                anyhow!("template.yaml has a function {}, which is not in local/src/functions.rs", block.name)
            })?;
            let own = settings.remove(&block.name).unwrap_or_default();
            let lambda = Arc::new(Lambda::new(function, block.timeout, own));
            for key in &block.routes {
                routes.insert(key, Arc::clone(&lambda))?;
            }
            if block.url.is_some() {
                // A Function URL passes every method to the function, which answers CORS preflights itself.
                let own = functions::routes(&function);
                let paths: BTreeSet<_> = own.iter().filter_map(|route| Some(route.split_once(' ')?.1)).collect();
                for path in paths {
                    routes.insert(&format!("ANY {path}"), Arc::clone(&lambda))?;
                }
            }
            for event in &block.queues {
                let poller = QueuePoller {
                    client: aws_sdk_sqs::Client::new(&config),
                    arn: scope.resolve_text(&event.queue)?,
                    lambda: Arc::clone(&lambda),
                    batch_size: event.batch_size,
                    reports_batch_item_failures: event.reports_batch_item_failures,
                    max_concurrency: concurrency(&scope, event.max_concurrency.as_ref())?,
                };
                tasks.spawn(poll(poller));
            }
            for schedule in block.schedules.into_iter().filter(|_| options.runs_schedules) {
                tasks.spawn(schedule::run(Arc::clone(&lambda), schedule));
            }
            lambdas.insert(block.name, lambda);
        }
        let console = options.console.map(|folder| console_files(&folder, servers)).transpose()?;
        let site = gateway::Site { routes, console };
        let secrets = app.into_iter().chain(system).collect();
        let queues = (aws_sdk_sqs::Client::new(&config), queue_urls(&template, &scope)?);
        Ok(Self { address, lambdas, resources, secrets, queues, gateway: Some((options.listener, site)), tasks })
    }

    /// Starts serving HTTP requests. Calling it again has no effect.
    pub fn open(&mut self) {
        let Some((listener, site)) = self.gateway.take() else { return };
        self.tasks.spawn(async move {
            if let Err(error) = gateway::serve(listener, site).await {
                tracing::error!(error = format!("{error:#}"), "the gateway ended");
            }
        });
    }

    /// The gateway's base URL without a trailing slash, such as `http://127.0.0.1:9000`.
    #[must_use]
    pub fn base_url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The value of a setting that the template gives to any function, such as DOCUMENTS_BUCKET or INGEST_QUEUE_URL.
    #[must_use]
    pub fn resource_setting(&self, name: &str) -> Option<&str> {
        self.resources.get(name).map(String::as_str)
    }

    /// The settings of all functions together, those from the secrets included.
    #[must_use]
    pub fn settings(&self) -> SettingsMap {
        let mut settings = self.secrets.clone();
        // The environment has precedence over the secrets.
        settings.extend(self.resources.iter().map(|(name, value)| (name.clone(), value.clone())));
        // Names one of several secrets, whose keys are all here.
        settings.remove(aws::SECRET_ARN);
        settings
    }

    /// A client of the queues, and the URLs of all of them, those of dead letters included.
    pub(crate) fn queues(&self) -> (aws_sdk_sqs::Client, Vec<String>) {
        self.queues.clone()
    }

    /// Invokes a function with an event, as `aws lambda invoke` does.
    ///
    /// # Errors
    /// Fails when the function does not exist or fails.
    pub async fn invoke(&self, function: &str, event: Value) -> Result<Value> {
        let lambda = self.lambdas.get(function).with_context(|| format!("there is no function {function}"))?;
        Ok(lambda.invoke_measured(event).await?)
    }

    /// Moves the clock of all functions, for a test. The database, the queues and storage keep their own.
    pub fn move_clock(&self, offset: TimeDelta) {
        self.lambdas.values().for_each(|lambda| lambda.set_clock_offset(offset));
    }

    /// Starts all functions now, so that wrong settings are reported at once.
    ///
    /// # Errors
    /// Fails with the first function that does not start.
    pub async fn start_functions(&self) -> Result<()> {
        let mut starts = JoinSet::new();
        for lambda in self.lambdas.values() {
            let lambda = Arc::clone(lambda);
            starts.spawn(async move { lambda.start().await.map(|_| ()) });
        }
        for started in starts.join_all().await {
            started.map_err(|error: InvocationError| anyhow!(error))?;
        }
        Ok(())
    }
}

/// URLs of the template's queues.
fn queue_urls(template: &Template, scope: &TemplateScope<'_>) -> Result<Vec<String>> {
    let queues = template.resources("AWS::SQS::Queue");
    queues.map(|(id, _)| scope.resolve_text(&serde_json::json!({ "Ref": id }))).collect()
}

/// The console's files in `folder`, with its security headers.
fn console_files(folder: &Path, servers: &Servers) -> Result<gateway::ConsoleFiles> {
    let headers = console::folder().join("security-headers.json");
    // Uploads and downloads go to the bucket's own address.
    gateway::ConsoleFiles::new(folder, &headers, servers.aws.endpoint())
}

/// Settings that belong to the system secret only. Functions that serve tenants do not get them.
const SYSTEM_ONLY_SETTINGS: [&str; 5] = [
    "SYSTEM_DATABASE_URL",
    "MIGRATE_DATABASE_URL",
    "BACKEND_APP_DATABASE_URL",
    "MIGRATE_BACKEND_APP_DATABASE_URL",
    "STRIPE_WEBHOOK_SECRET",
];

/// The contents of the app secret and the system secret; template.yaml decides which function reads which.
fn secrets(options: &StackOptions, variables: HashSet<String>) -> (SettingsMap, SettingsMap) {
    let local = &options.secrets;
    let mut app = SettingsMap::new();
    app.insert("DATABASE_URL".to_owned(), options.database.app.clone());
    app.insert("JWT_SECRET".to_owned(), local.jwt_secret.clone());
    app.insert("SEALING_KEYS".to_owned(), local.sealing_keys.clone());
    let mut system = app.clone();
    system.extend(options.database.migrate_settings());
    system.insert("STRIPE_WEBHOOK_SECRET".to_owned(), local.stripe_webhook_secret.clone());
    for (name, value) in options.settings.iter().filter(|(name, _)| !variables.contains(*name)) {
        // The app secret is read by the functions that serve tenants.
        if !SYSTEM_ONLY_SETTINGS.contains(&name.as_str()) {
            app.insert(name.clone(), value.clone());
        }
        system.insert(name.clone(), value.clone());
    }
    (app, system)
}

/// Least cap of a queue's concurrent invocations: more than the documents of one tenant that are worked on at once.
const MIN_CONCURRENCY_CAP: usize = 3;

/// The concurrent invocations of a queue: the template's limit, capped at the number of CPU cores.
fn concurrency(scope: &TemplateScope<'_>, limit: Option<&Value>) -> Result<usize> {
    let cores = available_parallelism().map_or(1, usize::from).max(MIN_CONCURRENCY_CAP);
    let limit = limit.map(|limit| scope.resolve_text(limit)).transpose()?;
    let limit = limit.map(|limit| limit.parse().context("MaximumConcurrency is not a number")).transpose()?;
    Ok(limit.unwrap_or(cores).min(cores).max(1))
}

/// Returns the settings that Lambda's platform would give to every function, and the overrides of all settings.
fn platform_settings(servers: &Servers, mut overrides: SettingsMap) -> Result<(SettingsMap, SettingsMap)> {
    let mut platform = servers.aws.settings();
    platform.insert("DATABASE_MAX_CONNECTIONS".to_owned(), MAX_DATABASE_CONNECTIONS.to_owned());
    platform.insert("PDF_EXTRACTOR".to_owned(), lisa_program()?.display().to_string());
    // Overridable, so that a test can put a proxy between the functions and their dependencies.
    platform.iter_mut().for_each(|(name, value)| *value = overrides.get(name).unwrap_or(value).clone());
    overrides.insert("PDFIUM_LIBRARY".to_owned(), servers.libpdfium.display().to_string());
    // Overridable, so that a test can damage the models.
    overrides.entry("OCR_MODELS".to_owned()).or_insert_with(|| ocr_models::folder().display().to_string());
    Ok((platform, overrides))
}

/// Polls a queue until the stack ends.
async fn poll(poller: QueuePoller) {
    if let Err(error) = Box::pin(poller.run()).await {
        tracing::error!(error = format!("{error:#}"), "a queue is no longer polled");
    }
}
