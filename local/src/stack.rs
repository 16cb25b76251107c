//! A running product: the functions on one database and one set of resources, behind a gateway of their own.

use std::{
    collections::{BTreeMap, HashSet},
    net::SocketAddr,
    sync::Arc,
    thread::available_parallelism,
};

use anyhow::{Context, Result, anyhow};
use local_postgres::root;
use serde_json::Value;
use shared::settings::SettingsMap;
use tokio::{net::TcpListener, task::JoinSet};

use crate::{
    environment::{Database, lisa},
    functions, gateway,
    kept::Kept,
    lambda::{Failure, Lambda},
    queue::Poller,
    schedule,
    seed::{self, Seed},
    servers::Servers,
    template::{Scope, Template},
};

/// Enough for one process that serves many requests at once; a deployed function has one.
const CONNECTIONS: &str = "10";

/// What a stack is made of, beside the servers.
#[derive(Debug)]
pub struct Options {
    /// Where the gateway listens.
    pub listener: TcpListener,
    /// The database; migrated already.
    pub database: Database,
    /// The secrets.
    pub kept: Kept,
    /// Settings that stand in for those of the template or of the secrets. A name that neither has goes to the secrets.
    pub settings: SettingsMap,
    /// Ends the names of buckets, queues and secrets, where several stacks share the servers.
    pub suffix: String,
    /// Stands in for the queues' visibility timeout, in seconds.
    pub visibility_timeout: Option<u32>,
    /// Whether scheduled functions run by themselves.
    pub schedules: bool,
}

/// A running stack. Dropped, it ends with everything that is under way in it.
#[derive(Debug)]
pub struct Stack {
    address: SocketAddr,
    lambdas: BTreeMap<String, Arc<Lambda>>,
    resources: SettingsMap,
    /// Until it is opened.
    gateway: Option<(TcpListener, gateway::Routes)>,
    tasks: JoinSet<()>,
}

impl Stack {
    /// Makes the resources, and polls the queues. Functions start at their first event, unless
    /// [`Stack::start_functions`] does it before; nobody outside is served until [`Stack::open`].
    ///
    /// # Errors
    /// A template that is not understood, or a resource that cannot be made.
    pub async fn start(servers: &Servers, options: Options) -> Result<Self> {
        let template = Template::read(&root().join("template.yaml"))?;
        let blocks = template.functions()?;
        let (app, system) =
            secrets(&options, blocks.iter().flat_map(|block| block.variables.keys().cloned()).collect());
        let config = servers.aws.config();
        let seed = Seed {
            app: &app,
            system: &system,
            suffix: &options.suffix,
            visibility_timeout: options.visibility_timeout,
        };
        let scope = Box::pin(seed::seed(&template, &config, &seed)).await?;

        let mut platform = servers.aws.settings();
        platform.insert("DATABASE_MAX_CONNECTIONS".to_owned(), CONNECTIONS.to_owned());
        platform.insert("PDF_EXTRACTOR".to_owned(), lisa()?.display().to_string());
        let mut overrides = options.settings;
        // So that a test may stand between the functions and what they depend on.
        platform.iter_mut().for_each(|(name, value)| *value = overrides.get(name).unwrap_or(value).clone());
        overrides.insert("PDFIUM_LIBRARY".to_owned(), servers.libpdfium.display().to_string());
        let mut settings = seed::settings(&template, &scope, &platform, &overrides)?;
        let resources = settings.values().flatten().map(|(name, value)| (name.clone(), value.clone())).collect();

        let mut lambdas = BTreeMap::new();
        let mut routes = gateway::Routes::default();
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
                // It takes every method: preflights are its own, too.
                for route in functions::routes(&function) {
                    let path = route.split_once(' ').map_or("", |(_, path)| path);
                    routes.insert(&format!("ANY {path}"), Arc::clone(&lambda))?;
                }
            }
            for event in &block.queues {
                let poller = Poller {
                    client: aws_sdk_sqs::Client::new(&config),
                    arn: scope.text(&event.queue)?,
                    lambda: Arc::clone(&lambda),
                    batch_size: event.batch_size,
                    reports_failures: event.reports_failures,
                    concurrency: concurrency(&scope, event.concurrency.as_ref())?,
                };
                tasks.spawn(async move {
                    if let Err(error) = Box::pin(poller.run()).await {
                        tracing::error!(error = format!("{error:#}"), "a queue is no longer polled");
                    }
                });
            }
            for schedule in block.schedules.into_iter().filter(|_| options.schedules) {
                tasks.spawn(schedule::run(Arc::clone(&lambda), schedule));
            }
            lambdas.insert(block.name, lambda);
        }
        let address = options.listener.local_addr().context("the address of the gateway cannot be read")?;
        Ok(Self { address, lambdas, resources, gateway: Some((options.listener, routes)), tasks })
    }

    /// Opens the gateway. Calling it again changes nothing.
    pub fn open(&mut self) {
        let Some((listener, routes)) = self.gateway.take() else { return };
        self.tasks.spawn(async move {
            if let Err(error) = gateway::serve(listener, routes).await {
                tracing::error!(error = format!("{error:#}"), "the gateway ended");
            }
        });
    }

    /// `http://127.0.0.1:9000`, without a slash at the end.
    #[must_use]
    pub fn base_url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// A setting that some function has from the template, such as DOCUMENTS_BUCKET or INGEST_QUEUE_URL.
    #[must_use]
    pub fn resource(&self, name: &str) -> Option<&str> {
        self.resources.get(name).map(String::as_str)
    }

    /// Runs a function with an event, as `aws lambda invoke` does.
    ///
    /// # Errors
    /// A function that is not there, or fails.
    pub async fn invoke(&self, function: &str, event: Value) -> Result<Value> {
        let lambda = self.lambdas.get(function).with_context(|| format!("there is no function {function}"))?;
        Ok(lambda.invoke(event).await?)
    }

    /// Starts every function now, so that wrong settings are told at once.
    ///
    /// # Errors
    /// The first function that does not start.
    pub async fn start_functions(&self) -> Result<()> {
        let mut starts = JoinSet::new();
        for lambda in self.lambdas.values() {
            let lambda = Arc::clone(lambda);
            starts.spawn(async move { lambda.start().await.map(|_| ()) });
        }
        for started in starts.join_all().await {
            started.map_err(|error: Failure| anyhow!(error))?;
        }
        Ok(())
    }
}

/// What no function that serves tenants is given.
const OF_THE_SYSTEM: [&str; 5] = [
    "SYSTEM_DATABASE_URL",
    "MIGRATE_DATABASE_URL",
    "BACKEND_APP_DATABASE_URL",
    "MIGRATE_BACKEND_APP_DATABASE_URL",
    "STRIPE_WEBHOOK_SECRET",
];

/// What the two secrets hold: template.yaml says who reads which.
fn secrets(options: &Options, variables: HashSet<String>) -> (SettingsMap, SettingsMap) {
    let kept = &options.kept;
    let mut app = SettingsMap::new();
    app.insert("DATABASE_URL".to_owned(), options.database.app.clone());
    app.insert("JWT_SECRET".to_owned(), kept.jwt_secret.clone());
    app.insert("SEALING_KEYS".to_owned(), kept.sealing_keys.clone());
    let mut system = app.clone();
    system.extend(options.database.migrate_settings());
    system.insert("STRIPE_WEBHOOK_SECRET".to_owned(), kept.stripe_webhook_secret.clone());
    for (name, value) in options.settings.iter().filter(|(name, _)| !variables.contains(*name)) {
        // Only what the tenant-facing functions may have goes into their secret.
        if !OF_THE_SYSTEM.contains(&name.as_str()) {
            app.insert(name.clone(), value.clone());
        }
        system.insert(name.clone(), value.clone());
    }
    (app, system)
}

/// As many as the template allows, but no more than the machine has cores.
fn concurrency(scope: &Scope<'_>, wanted: Option<&Value>) -> Result<usize> {
    let cores = available_parallelism().map_or(1, usize::from);
    let wanted = wanted.map(|wanted| scope.text(wanted)).transpose()?;
    let wanted = wanted.map(|wanted| wanted.parse().context("MaximumConcurrency is not a number")).transpose()?;
    Ok(wanted.unwrap_or(cores).min(cores).max(1))
}
