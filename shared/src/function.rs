//! What a function is: its name, the settings that it reads, and how it starts. The same value runs as a Lambda
//! bootstrap ([`serve`]), inside the local stack, and in tests.

use std::{collections::BTreeMap, future::Future, pin::Pin, process::ExitCode, sync::Arc, time::Instant};

use futures::future::BoxFuture;
use lambda_runtime::{LambdaEvent, service_fn};
use serde_json::Value;
use tracing::Instrument;
use utoipa::openapi::OpenApi;
use utoipa_axum::router::OpenApiRouter;

use crate::{
    auth::gate,
    aws, http, logging,
    settings::{Common, Settings, SettingsMap},
};

/// An error of start-up or of an event; its chain is logged by whoever runs the function.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Handles one raw event.
pub type EventHandler = Arc<dyn Fn(Value) -> BoxFuture<'static, Result<Value, BoxError>> + Send + Sync>;

/// A started function.
#[derive(Clone)]
pub enum Handler {
    /// Answers HTTP requests.
    Http(axum::Router),
    /// Takes events of a queue or a schedule.
    Event(EventHandler),
}

/// A function that answers routes. `Self` is what its handlers need, and nothing else.
pub trait HttpFunction: Clone + Send + Sync + 'static {
    /// The name in template.yaml, in the logs and of the package.
    const NAME: &'static str;
    /// The largest request body, in bytes.
    const BODY_LIMIT: usize = 256 * 1024;

    /// Reads settings and prepares clients. Connects nowhere.
    fn read(settings: &mut Settings) -> Self;

    /// The routes with their documentation.
    fn routes() -> OpenApiRouter<Self>;
}

/// A function that takes events.
pub trait EventFunction: Clone + Send + Sync + 'static {
    /// The name in template.yaml, in the logs and of the package.
    const NAME: &'static str;

    /// Reads settings and prepares clients. Connects nowhere.
    fn read(settings: &mut Settings) -> Self;

    /// Handles one raw event. Takes JSON rather than a type: an event that does not parse must fail one record, not the
    /// process.
    fn handle(&self, event: Value) -> impl Future<Output = Result<Value, BoxError>> + Send;
}

/// A function as a value.
#[derive(Clone, Copy)]
pub struct Function {
    /// The name in template.yaml.
    pub name: &'static str,
    /// Whether its answers are told while they are made.
    pub streams: bool,
    /// The documentation of its routes; `None` where it has none.
    pub openapi: Option<fn() -> OpenApi>,
    settings: fn() -> Vec<&'static str>,
    start: fn(SettingsMap) -> Result<Handler, BoxError>,
}

impl Function {
    /// A function with routes, whose answers are told while they are made.
    #[must_use]
    pub const fn streaming<F: HttpFunction>() -> Self {
        Self { streams: true, ..Self::http::<F>() }
    }

    /// A function with routes.
    #[must_use]
    pub const fn http<F: HttpFunction>() -> Self {
        Self {
            name: F::NAME,
            streams: false,
            openapi: Some(|| gate::documenting(|| F::routes().into_openapi())),
            settings: || {
                let mut settings = Settings::default();
                Common::read(&mut settings);
                http::Cors::read(&mut settings);
                F::read(&mut settings);
                settings.names()
            },
            start: |values| {
                let mut settings = Settings::new(values);
                Common::read(&mut settings);
                let cors = http::Cors::read(&mut settings);
                let deps = F::read(&mut settings);
                settings.finish()?;
                let (router, _) = F::routes().split_for_parts();
                Ok(Handler::Http(http::layers(router.with_state(deps), F::NAME, F::BODY_LIMIT, &cors)))
            },
        }
    }

    /// A function that takes events.
    #[must_use]
    pub const fn event<F: EventFunction>() -> Self {
        Self {
            name: F::NAME,
            streams: false,
            openapi: None,
            settings: || {
                let mut settings = Settings::default();
                Common::read(&mut settings);
                F::read(&mut settings);
                settings.names()
            },
            start: |values| {
                let mut settings = Settings::new(values);
                Common::read(&mut settings);
                let function = F::read(&mut settings);
                settings.finish()?;
                Ok(Handler::Event(Arc::new(move |event| {
                    let function = function.clone();
                    // At the highest level, as all spans: a lower one would be gone from errors when only those are logged.
                    let span = tracing::error_span!("event", function = F::NAME);
                    Box::pin(timed(async move { function.handle(event).await }).instrument(span))
                })))
            },
        }
    }

    /// The names of the settings that it reads, sorted; the keys of its secret among them.
    #[must_use]
    pub fn settings(&self) -> Vec<&'static str> {
        (self.settings)()
    }

    /// Starts it with these settings, the keys of its secret added.
    ///
    /// # Errors
    /// Settings that are missing or malformed, or a secret that cannot be fetched.
    pub async fn start(&self, values: SettingsMap) -> Result<Handler, BoxError> {
        (self.start)(aws::with_secret(values).await?)
    }
}

/// Runs a function as a Lambda bootstrap until the platform ends the process. What start-up or the Runtime API says is
/// logged, in one line, and nowhere else.
#[must_use]
pub fn serve(function: Function) -> ExitCode {
    let values = environment();
    // Logging comes before anything that can fail; a wrong level is reported with the other settings.
    logging::init(&Common::read(&mut Settings::new(values.clone())));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    match runtime.map_err(BoxError::from).and_then(|runtime| runtime.block_on(run(function, values))) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(function = function.name, error = logging::chain(error.as_ref()), "the function ended");
            ExitCode::FAILURE
        }
    }
}

async fn run(function: Function, values: SettingsMap) -> Result<(), BoxError> {
    match function.start(values).await? {
        Handler::Http(router) if function.streams => lambda_http::run_with_streaming_response(router).await,
        Handler::Http(router) => lambda_http::run(router).await,
        Handler::Event(handle) => {
            lambda_runtime::run(service_fn(move |event: LambdaEvent<Value>| {
                let handle = Arc::clone(&handle);
                let request_id = event.context.request_id.clone();
                let span = tracing::error_span!("invocation", request_id);
                // The event's own span begins with the call, inside of this one.
                let work: Pin<Box<dyn Future<Output = _> + Send>> = span.in_scope(|| handle(event.payload));
                work.instrument(span)
            }))
            .await
        }
    }
}

/// Logs one line an event, as `http::finish` does for requests.
async fn timed(work: impl Future<Output = Result<Value, BoxError>>) -> Result<Value, BoxError> {
    let started = Instant::now();
    let outcome = work.await;
    let duration_ms = started.elapsed().as_secs_f64() * 1e3;
    match &outcome {
        Ok(_) => tracing::info!(duration_ms, "event handled"),
        Err(error) => tracing::error!(duration_ms, error = logging::chain(error.as_ref()), "event failed"),
    }
    outcome
}

/// The one place where the process environment is read.
#[allow(clippy::disallowed_methods, reason = "settings come in here, and are handed on from here")]
fn environment() -> BTreeMap<String, String> {
    // A variable that is not UTF-8 cannot be one of ours.
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect()
}
