//! `cargo dev`: the whole product on 127.0.0.1, until Ctrl-C.

use std::{
    io::{ErrorKind, IsTerminal},
    net::Ipv4Addr,
    path::PathBuf,
};

use anyhow::{Context, Result, bail};
use chrono::Local;
use clap::Args;
use local_postgres::{Folder, Progress};
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
    demo::{self, Demo},
    environment::{Database, External, overrides},
    fakes::{
        manychat::FakeManyChat,
        models::{FakeModels, Reply},
        stripe::FakeStripe,
    },
    functions,
    kept::Kept,
    servers::Servers,
    stack::{Options, Stack},
};

/// Runs the whole product on this machine: needs no account, no key and no Docker.
///
/// DATABASE_URL with SYSTEM_DATABASE_URL and MIGRATE_DATABASE_URL, and AWS_ENDPOINT_URL, are used when they are set.
/// A setting of a function, such as GEMINI_API_KEY, reaches it when it is set. Messages to contacts go to a fake ManyChat,
/// which `cargo phone` reads, unless MANYCHAT_BASE_URL names another one.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Where it listens, on 127.0.0.1.
    #[arg(long, default_value_t = 9000)]
    port: u16,
    /// The folder that keeps the data [default: .local in the workspace].
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Clear the data first; the Python environment stays.
    #[arg(long)]
    reset: bool,
    /// Keep billing in a database of its own, as BACKEND_APP_DATABASE_URL does.
    #[arg(long)]
    two_databases: bool,
    /// Answer with two fake language models, the second of which stands in for the first.
    #[arg(long)]
    fake_models: bool,
    /// Show warnings and errors only.
    #[arg(long, short, conflicts_with = "verbose")]
    quiet: bool,
    /// Show more.
    #[arg(long, short)]
    verbose: bool,
}

/// Runs until SIGINT, SIGTERM or SIGHUP.
///
/// # Errors
/// What keeps it from starting, in one sentence.
pub async fn run(arguments: Arguments) -> Result<()> {
    let progress = if arguments.quiet { Progress::Silent } else { Progress::Shown };
    let listener = listen(arguments.port).await?;
    let mut data = Folder::open(arguments.data.as_deref())?;
    data.lock()?;
    if arguments.reset {
        data.reset()?;
    }
    let mut settings = overrides()?;
    let kept = Kept::open(&data)?;
    let servers = Box::pin(Servers::start(&data, External::read()?, false, progress)).await?;
    let mut database = servers.database("lisa", &kept).await?;
    if arguments.two_databases {
        if !servers.are_own() {
            bail!("--two-databases makes databases of our own: set BACKEND_APP_DATABASE_URL instead");
        }
        servers.database("lisa_billing", &kept).await?;
        database = servers.with_billing(database, "lisa_billing", &kept);
    }

    let step = progress.step("Migrations");
    migrate(&database).await?;
    step.done("applied");

    let manychat = match settings.contains_key("MANYCHAT_BASE_URL") {
        true => None,
        false => Some(FakeManyChat::start().await?),
    };
    if let Some(manychat) = &manychat {
        settings.insert("MANYCHAT_BASE_URL".to_owned(), manychat.base_url());
    }
    // With a key of somebody's own, Stripe itself is asked.
    let stripe = if settings.contains_key("STRIPE_SECRET_KEY") {
        None
    } else {
        let stripe = FakeStripe::start(Some(data.join("stripe.json"))).await?;
        settings.extend(stripe.settings());
        let own_page = || format!("http://127.0.0.1:{}/docs", arguments.port);
        settings.entry("BILLING_RETURN_URL".to_owned()).or_insert_with(own_page);
        Some(stripe)
    };

    let models = if arguments.fake_models { Some(fake_models(&mut settings).await?) } else { None };

    let step = progress.step("Functions");
    let options = Options {
        listener,
        database: database.clone(),
        kept: kept.clone(),
        settings: settings.clone(),
        suffix: String::new(),
        visibility_timeout: None,
        schedules: true,
    };
    let mut stack = Box::pin(Stack::start(&servers, options)).await?;
    stack.start_functions().await?;
    step.done("started");

    let file = data.join("demo.json");
    if settings.contains_key("SUPABASE_URL") {
        progress.line("  Accounts are kept by SUPABASE_URL: no demo tenants are made there.");
    } else {
        let step = progress.step("Demo tenants");
        let mut demo = demo::seed(&stack, &database, &kept, &settings, manychat.as_ref()).await?;
        if let Some(stripe) = &stripe {
            demo.stripe_url = Some(stripe.base_url());
            demo::sell_plans(&database).await?;
        }
        if let Some(models) = &models {
            demo.models_urls = models.iter().map(FakeModels::base_url).collect();
            demo::offer_products(&database, &demo.tenant).await?;
        }
        demo.write(&file)?;
        step.done("ready");
        progress.line(&welcome(&stack.base_url(), &demo, &file));
    }
    if let Some(stripe) = &stripe {
        let secret = settings.get("STRIPE_WEBHOOK_SECRET").unwrap_or(&kept.stripe_webhook_secret);
        let first = secret.split(',').next().unwrap_or_default().trim();
        stripe.send_to(&format!("{}/api/v1/webhooks/stripe", stack.base_url()), first);
    }
    // Whoever waits for an answer here finds the demo's file written: it names this start's ports.
    stack.open();
    // Only now: the steps of the start have told what there was to tell, each in its line.
    log(&arguments);
    until_signal().await?;
    progress.line("\n  Stopping …");
    // What is under way first, then what it stands on.
    drop(stack);
    drop((manychat, stripe, models));
    drop(servers);
    Ok(())
}

/// Two servers that talk, and the settings that lead to them.
async fn fake_models(settings: &mut SettingsMap) -> Result<[FakeModels; 2]> {
    if settings.contains_key("LLM_PROVIDER") {
        bail!("--fake-models and LLM_PROVIDER contradict each other: leave one out");
    }
    let models = [FakeModels::start().await?, FakeModels::start().await?];
    models.iter().for_each(|server| server.always(Reply::Talk));
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
    // Whoever has one hang does not wait for long.
    settings.entry("LLM_CALL_TIMEOUT_S".to_owned()).or_insert_with(|| "5".to_owned());
    Ok(models)
}

/// Brings a database up to date, by the product's own function.
///
/// # Errors
/// A migration that fails.
pub async fn migrate(database: &Database) -> Result<()> {
    let handler =
        Box::pin(migrate::FUNCTION.start(database.migrate_settings())).await.map_err(anyhow::Error::from_boxed)?;
    let Handler::Event(handle) = handler else { bail!("migrate takes no events") };
    handle(serde_json::json!({})).await.map_err(anyhow::Error::from_boxed).context("the migrations fail")?;
    Ok(())
}

async fn listen(port: u16) -> Result<TcpListener> {
    match TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await {
        Err(error) if error.kind() == ErrorKind::AddrInUse => {
            bail!("port {port} of 127.0.0.1 is taken: name another with --port")
        }
        bound => {
            bound.with_context(|| format!("port {port} of 127.0.0.1 cannot be listened on: try another with --port"))
        }
    }
}

async fn until_signal() -> Result<()> {
    let wait = "signals cannot be waited for";
    let mut interrupt = signal(SignalKind::interrupt()).context(wait)?;
    let mut terminate = signal(SignalKind::terminate()).context(wait)?;
    let mut hangup = signal(SignalKind::hangup()).context(wait)?;
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
        _ = hangup.recv() => {}
    }
    Ok(())
}

fn log(arguments: &Arguments) {
    let level = match (arguments.quiet, arguments.verbose) {
        (true, _) => Level::WARN,
        (_, true) => Level::DEBUG,
        _ => Level::INFO,
    };
    // Libraries speak at their warnings only; sqlx would repeat statements.
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
    // Only a second call in one process would fail.
    let _ = subscriber.with(filter).try_init();
}

/// The time of the day: whoever watches knows the date.
struct Clock;

impl FormatTime for Clock {
    fn format_time(&self, writer: &mut Writer<'_>) -> std::fmt::Result {
        write!(writer, "{}", Local::now().format("%H:%M:%S%.3f"))
    }
}

fn welcome(base_url: &str, demo: &Demo, file: &std::path::Path) -> String {
    let file = file.display();
    let mut text = format!("\n  Lisa is running on {base_url}\n\n");
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
         Ctrl-C ends it.\n"
    ));
    text
}
