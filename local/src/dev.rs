//! `cargo dev`: runs the whole product on 127.0.0.1 until Ctrl-C.

use std::{
    io::{ErrorKind, IsTerminal},
    net::Ipv4Addr,
    path::PathBuf,
};

use anyhow::{Context, Result, anyhow, bail};
use chrono::Local;
use clap::Args;
use local_postgres::{DataFolder, ProgressOutput};
use shared::{function::Handler, settings::SettingsMap};
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
};
use tracing::Level;
use tracing_subscriber::{
    filter::Targets,
    fmt::{format::Writer, time::FormatTime},
    layer::SubscriberExt,
    util::SubscriberInitExt,
};

use crate::{
    console,
    demo::{self, Demo},
    environment::{DatabaseUrls, ExternalServers, add_embedding_model, setting_overrides},
    fakes::{
        manychat::FakeManyChat,
        models::{FakeModels, FakeReply},
        stripe::FakeStripe,
    },
    functions,
    metrics::{self, MetricsServer},
    ocr_models,
    running::{self, RunningStack},
    secrets::LocalSecrets,
    servers::Servers,
    stack::{Stack, StackOptions},
};

/// Runs the whole product on this machine. Needs no account, no API key and no Docker.
///
/// Uses DATABASE_URL with SYSTEM_DATABASE_URL and MIGRATE_DATABASE_URL, and AWS_ENDPOINT_URL, when they are set.
/// Passes settings of functions, such as GEMINI_API_KEY, from the environment to the functions. Sends messages to a
/// fake ManyChat, which `cargo phone` reads, unless MANYCHAT_BASE_URL names another server.
#[derive(Debug, Args)]
pub struct Arguments {
    /// The port to listen on, at 127.0.0.1.
    #[arg(long, default_value_t = 9000)]
    port: u16,
    /// The data folder [default: .local in the workspace].
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Clear the data folder first, except for the Python environment and the embedding model.
    #[arg(long)]
    reset: bool,
    /// Keep billing in a second database, as a deployment with BACKEND_APP_DATABASE_URL does.
    #[arg(long)]
    two_databases: bool,
    /// Embed without the model multilingual-e5-small, and read no scanned pages. The first start downloads 91 MB and
    /// 27 MB for them.
    #[arg(long)]
    no_model: bool,
    /// Do not build and serve the console. It needs Node, and its first build takes some time.
    #[arg(long)]
    no_console: bool,
    /// Answer with two fake language models; the second is the fallback of the first.
    #[arg(long)]
    fake_models: bool,
    /// Serve Prometheus's metrics at this port of 127.0.0.1, under /metrics [default: 9464, or none where it is in use].
    #[arg(long, value_name = "PORT")]
    metrics_port: Option<u16>,
    /// Show only warnings and errors.
    #[arg(long, short, conflicts_with = "verbose")]
    quiet: bool,
    /// Also show debug logs.
    #[arg(long, short)]
    verbose: bool,
}

/// Runs the stack until SIGINT, SIGTERM or SIGHUP.
///
/// # Errors
/// Fails when the stack cannot start; the message is one sentence.
pub async fn run(arguments: Arguments) -> Result<()> {
    let progress = if arguments.quiet { ProgressOutput::Silent } else { ProgressOutput::Shown };
    let listener = listen(arguments.port).await?;
    let mut data = DataFolder::open(arguments.data.as_deref())?;
    data.lock()?;
    if arguments.reset {
        data.reset()?;
    }
    let mut settings = setting_overrides()?;
    choose_embedder(&arguments, &mut settings, progress)?;
    let secrets = LocalSecrets::open(&data)?;
    let servers = Box::pin(Servers::start(&data, ExternalServers::read()?, false, progress)).await?;
    let database = create_databases(&servers, &secrets, arguments.two_databases).await?;
    choose_scan_reader(&arguments, &mut settings, progress).await?;
    let step = progress.step("Migrations");
    migrate_with(&database, &settings).await?;
    step.done("applied");
    let console = choose_console(&arguments, &mut settings, progress).await?;
    let has_console = console.is_some();
    let fakes = Fakes::start(&arguments, &data, has_console, &mut settings).await?;
    let step = progress.step("Functions");
    let options = StackOptions {
        listener,
        database: database.clone(),
        secrets: secrets.clone(),
        settings: settings.clone(),
        suffix: String::new(),
        visibility_timeout: None,
        runs_schedules: true,
        console,
    };
    let mut stack = Box::pin(Stack::start(&servers, options)).await?;
    stack.start_functions().await?;
    step.done("started");
    let metrics = serve_metrics(arguments.metrics_port, &stack, progress).await?;

    let file = data.join("demo.json");
    if settings.contains_key("SUPABASE_URL") {
        progress.line("  SUPABASE_URL is set, so accounts are kept there and no demo tenants are created.");
    } else {
        let step = progress.step("Demo tenants");
        let mut demo = demo::create_demo(&stack, &database, &secrets, &settings, fakes.manychat.as_ref()).await?;
        fakes.add_to_demo(&mut demo, &database).await?;
        demo.write(&file)?;
        step.done("ready");
        progress.line(&welcome(&stack.base_url(), has_console, &demo, &file));
    }
    let running = RunningStack::announce(&file)?;
    // Dropping `running` removes these settings, also when the start fails from here on.
    running::write_settings(&file, &stack)?;
    fakes.send_stripe_events(&stack, settings.get("STRIPE_WEBHOOK_SECRET").unwrap_or(&secrets.stripe_webhook_secret));
    // The gateway opens after the demo file is written: a client that waits for the gateway finds this start's ports
    // in the file.
    stack.open();
    // Logging starts only now: until here, each step of the start prints its own line.
    init_logging(&arguments);
    wait_for_signal().await?;
    progress.line("\n  Stopping …");
    // The stack ends before the servers that it uses.
    drop(running);
    drop(metrics);
    drop(stack);
    drop(fakes);
    drop(servers);
    Ok(())
}

/// Serves the metrics at the named port, or at the usual one unless another program has it: several stacks may run.
async fn serve_metrics(port: Option<u16>, stack: &Stack, progress: ProgressOutput) -> Result<Option<MetricsServer>> {
    let step = progress.step("Metrics");
    match (MetricsServer::start(port.unwrap_or(metrics::DEFAULT_PORT), stack).await, port) {
        (Ok(server), _) => {
            step.done(&server.url());
            Ok(Some(server))
        }
        (Err(error), Some(_)) => Err(error),
        (Err(_), None) => {
            step.done("none: the port 9464 is in use, and --metrics-port names another");
            Ok(None)
        }
    }
}

/// Chooses the embedding model of the environment, or else multilingual-e5-small, which is fetched if needed.
fn choose_embedder(arguments: &Arguments, settings: &mut SettingsMap, progress: ProgressOutput) -> Result<()> {
    let default = if arguments.no_model { "local" } else { "e5" };
    let provider = settings.entry("EMBEDDING_PROVIDER".to_owned()).or_insert_with(|| default.to_owned());
    if arguments.no_model && provider == "e5" {
        bail!("--no-model and EMBEDDING_PROVIDER=e5 cannot be used together: leave one out");
    }
    add_embedding_model(settings, progress).map_err(without_model)
}

/// Adds to an error how to start without the models.
fn without_model(error: anyhow::Error) -> anyhow::Error {
    anyhow!("{error:#}\n`cargo dev --no-model` starts without this model")
}

/// Chooses the reader of scanned pages of the environment, or else OCR, whose models are fetched if needed.
async fn choose_scan_reader(arguments: &Arguments, settings: &mut SettingsMap, progress: ProgressOutput) -> Result<()> {
    let default = if arguments.no_model { "off" } else { "ocr" };
    let reader = settings.entry("SCANNED_PDFS".to_owned()).or_insert_with(|| default.to_owned());
    if reader != "ocr" {
        return Ok(());
    }
    if arguments.no_model {
        bail!("--no-model and SCANNED_PDFS=ocr cannot be used together: leave one out");
    }
    if !settings.contains_key("OCR_MODELS") {
        ocr_models::ensure(progress).await.map_err(without_model)?;
    }
    Ok(())
}

/// Builds the console unless it is up to date or not wanted, and returns the folder of its files.
async fn choose_console(
    arguments: &Arguments,
    settings: &mut SettingsMap,
    progress: ProgressOutput,
) -> Result<Option<PathBuf>> {
    if arguments.no_console {
        return Ok(None);
    }
    let console = console::ensure(progress).await?;
    if console.is_some() {
        // Links with an invitation or to a new password lead to the console's pages.
        settings.entry("APP_URL".to_owned()).or_insert_with(|| format!("http://127.0.0.1:{}", arguments.port));
    }
    Ok(console)
}

/// Creates the app's database, and with `two_databases` a second one for the schema `billing`.
async fn create_databases(servers: &Servers, secrets: &LocalSecrets, two_databases: bool) -> Result<DatabaseUrls> {
    let database = servers.create_database("lisa", secrets).await?;
    if !two_databases {
        return Ok(database);
    }
    if !servers.owns_postgres() {
        bail!("--two-databases works only with the stack's own PostgreSQL: set BACKEND_APP_DATABASE_URL instead");
    }
    servers.create_database("lisa_billing", secrets).await?;
    Ok(servers.with_billing(database, "lisa_billing", secrets))
}

/// Fake servers of outside services. A service that the environment configures has no fake.
struct Fakes {
    manychat: Option<FakeManyChat>,
    stripe: Option<FakeStripe>,
    models: Option<[FakeModels; 2]>,
}

impl Fakes {
    /// Starts the fakes and adds the settings that point the functions to them.
    async fn start(
        arguments: &Arguments,
        data: &DataFolder,
        has_console: bool,
        settings: &mut SettingsMap,
    ) -> Result<Self> {
        let manychat = match settings.contains_key("MANYCHAT_BASE_URL") {
            true => None,
            false => Some(FakeManyChat::start().await?),
        };
        if let Some(manychat) = &manychat {
            settings.insert("MANYCHAT_BASE_URL".to_owned(), manychat.base_url());
        }
        // With a Stripe key in the environment, the functions call Stripe itself.
        let stripe = if settings.contains_key("STRIPE_SECRET_KEY") {
            None
        } else {
            let stripe = FakeStripe::start(Some(data.join("stripe.json"))).await?;
            settings.extend(stripe.settings());
            // The console's page about the plan; without the console, the only page there is.
            let page = if has_console { "settings/plan" } else { "docs" };
            let return_page = || format!("http://127.0.0.1:{}/{page}", arguments.port);
            settings.entry("BILLING_RETURN_URL".to_owned()).or_insert_with(return_page);
            Some(stripe)
        };
        let models = if arguments.fake_models { Some(fake_models(settings).await?) } else { None };
        Ok(Self { manychat, stripe, models })
    }

    /// Lets the fake Stripe send its events to the stack, signed with the first of `secrets`.
    fn send_stripe_events(&self, stack: &Stack, secrets: &str) {
        if let Some(stripe) = &self.stripe {
            let first = secrets.split(',').next().unwrap_or_default().trim();
            stripe.send_to(&format!("{}/api/v1/webhooks/stripe", stack.base_url()), first);
        }
    }

    /// Adds the fakes' addresses to the demo file, and the rows of the database that they need.
    async fn add_to_demo(&self, demo: &mut Demo, database: &DatabaseUrls) -> Result<()> {
        if let Some(stripe) = &self.stripe {
            demo.stripe_url = Some(stripe.base_url());
            demo::set_plan_prices(database).await?;
        }
        if let Some(models) = &self.models {
            demo.models_urls = models.iter().map(FakeModels::base_url).collect();
            demo::add_demo_products(database, &demo.tenant).await?;
        }
        Ok(())
    }
}

/// Starts two fake model servers and adds the settings that point the functions to them.
async fn fake_models(settings: &mut SettingsMap) -> Result<[FakeModels; 2]> {
    if settings.contains_key("LLM_PROVIDER") {
        bail!("--fake-models and LLM_PROVIDER cannot be used together: leave one out");
    }
    let models = [FakeModels::start().await?, FakeModels::start().await?];
    models.iter().for_each(|server| server.always(FakeReply::RuleBased));
    let [first, second] = models.each_ref().map(FakeModels::base_url);
    for (name, value) in [
        ("LLM_PROVIDER", "gemini"),
        ("LLM_FALLBACKS", "groq,extractive"),
        ("GEMINI_API_KEY", "fake"),
        ("GEMINI_MODELS", "first-fake"),
        ("GEMINI_BASE_URL", &first),
        ("GROQ_API_KEY", "fake"),
        ("GROQ_MODELS", "second-fake"),
        ("GROQ_BASE_URL", &second),
    ] {
        settings.insert(name.to_owned(), value.to_owned());
    }
    // A fake model that hangs delays an answer by 5 s only.
    settings.entry("LLM_CALL_TIMEOUT_S".to_owned()).or_insert_with(|| "5".to_owned());
    Ok(models)
}

/// Applies the migrations to a database, using the function `migrate`.
///
/// # Errors
/// Fails when a migration fails.
pub async fn migrate(database: &DatabaseUrls) -> Result<()> {
    migrate_with(database, &SettingsMap::new()).await
}

/// Applies the migrations to a database, with the settings of `overrides` that the function `migrate` reads.
async fn migrate_with(database: &DatabaseUrls, overrides: &SettingsMap) -> Result<()> {
    let mut settings = database.migrate_settings();
    settings.extend(overrides.get_key_value("FREE_QUOTA_LIMIT").map(|(name, value)| (name.clone(), value.clone())));
    let started = Box::pin(migrate::FUNCTION.start(settings)).await.map_err(anyhow::Error::from_boxed)?;
    let Handler::Event(handle) = started.handler else { bail!("migrate handles no events") };
    handle(serde_json::json!({})).await.map_err(anyhow::Error::from_boxed).context("a migration failed")?;
    Ok(())
}

async fn listen(port: u16) -> Result<TcpListener> {
    match TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await {
        Err(error) if error.kind() == ErrorKind::AddrInUse => {
            bail!("port {port} of 127.0.0.1 is in use: choose another with --port")
        }
        bound => {
            bound.with_context(|| format!("cannot listen on port {port} of 127.0.0.1: choose another with --port"))
        }
    }
}

async fn wait_for_signal() -> Result<()> {
    let failed = "signal handlers cannot be installed";
    let mut interrupt = signal(SignalKind::interrupt()).context(failed)?;
    let mut terminate = signal(SignalKind::terminate()).context(failed)?;
    let mut hangup = signal(SignalKind::hangup()).context(failed)?;
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
        _ = hangup.recv() => {}
    }
    Ok(())
}

fn init_logging(arguments: &Arguments) {
    let level = match (arguments.quiet, arguments.verbose) {
        (true, _) => Level::WARN,
        (_, true) => Level::DEBUG,
        _ => Level::INFO,
    };
    // Libraries log warnings only; at lower levels sqlx would log every statement.
    let filter = Targets::new()
        .with_default(Level::WARN)
        .with_targets(["shared", "local"].map(|target| (target, level)))
        .with_targets(functions::ALL.iter().map(|function| (function.name.replace('-', "_"), level)));
    let subscriber = tracing_subscriber::fmt()
        .compact()
        .with_max_level(Level::DEBUG)
        .with_target(false)
        .with_timer(Clock)
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr)
        .finish();
    // Fails only when logging is initialized twice in one process.
    let _ = subscriber.with(filter).try_init();
}

/// Formats log times as the time of day, without the date.
struct Clock;

impl FormatTime for Clock {
    fn format_time(&self, writer: &mut Writer<'_>) -> std::fmt::Result {
        write!(writer, "{}", Local::now().format("%H:%M:%S%.3f"))
    }
}

fn welcome(base_url: &str, has_console: bool, demo: &Demo, file: &std::path::Path) -> String {
    let file = file.display();
    let mut text = format!("\n  Lisa is running on {base_url}\n\n");
    if has_console {
        text.push_str(&format!("  open {base_url}/ in a browser, and sign in or sign up\n"));
    }
    for tenant in [&demo.tenant, &demo.other_tenant] {
        let token = &tenant.access_token;
        let hint = token.get(token.len().saturating_sub(6)..).unwrap_or_default();
        text.push_str(&format!("  tenant {:<20} token …{hint}\n", tenant.email));
    }
    if let Some(manychat) = &demo.manychat_url {
        text.push_str(&format!("  a fake ManyChat {manychat}\n"));
    }
    if let Some(stripe) = &demo.stripe_url {
        text.push_str(&format!("  a fake Stripe   {stripe}\n"));
    }
    for (place, models) in ["first", "second"].into_iter().zip(&demo.models_urls) {
        text.push_str(&format!("  a fake model    {models} ({place})\n"));
    }
    text.push_str(&format!(
        "  passwords and tokens are in {file}\n\n  Try, in another terminal:\n\n    \
         curl {base_url}/health\n    \
         TOKEN=$(python3 -c \"import json; print(json.load(open('{file}'))['tenant']['access_token'])\")\n    \
         curl -H \"authorization: Bearer $TOKEN\" {base_url}/api/v1/quota/status\n    \
         cargo phone\n\n  \
         Press Ctrl-C to stop.\n"
    ));
    text
}
