//! The common frame of all Lambda functions: name, settings, routes and start. One [`Function`] value runs as a
//! Lambda bootstrap ([`serve`]), inside the local stack, and in tests.

mod flush;

use std::{
    collections::BTreeMap,
    future::Future,
    pin::Pin,
    process::ExitCode,
    sync::Arc,
    time::{Duration, Instant},
};

use futures::future::BoxFuture;
use lambda_http::{Adapter, StreamAdapter};
use lambda_runtime::{LambdaEvent, Runtime, layers::TracingLayer, service_fn};
use serde_json::Value;
use tracing::Instrument;
use utoipa::openapi::OpenApi;
use utoipa_axum::router::OpenApiRouter;

use crate::{
    auth::access_policy,
    aws,
    error::BoxError,
    error_reports::ErrorReports,
    http, logging,
    settings::{CommonSettings, Settings, SettingsMap, SettingsRead},
    telemetry::{self, SpanKind, Telemetry},
};

use flush::FlushLayer;

/// A closure that handles one raw event.
pub type EventHandler = Arc<dyn Fn(Value) -> BoxFuture<'static, Result<Value, BoxError>> + Send + Sync>;

/// A started function.
#[derive(Clone)]
pub struct StartedFunction {
    /// The part that handles events.
    pub handler: Handler,
    /// The function's traces. Whoever runs the handler flushes them after each event.
    pub telemetry: Telemetry,
}

/// The part of a started function that handles events.
#[derive(Clone)]
pub enum Handler {
    /// Answers HTTP requests.
    Http(axum::Router),
    /// Handles events of a queue, a schedule or an invocation.
    Event(EventHandler),
}

/// A function with HTTP routes. `Self` holds the dependencies of its handlers, and nothing else.
pub trait HttpFunction: Clone + Send + Sync + 'static {
    /// The name in template.yaml, in the logs and of the package.
    const NAME: &'static str;
    /// Maximum length of a request body, in bytes.
    const BODY_LIMIT: usize = 256 * 1024;

    /// Reads settings and prepares clients. Connects nowhere.
    fn read(settings: &mut Settings) -> Self;

    /// The routes with their documentation.
    fn routes() -> OpenApiRouter<Self>;
}

/// A function that handles events.
pub trait EventFunction: Clone + Send + Sync + 'static {
    /// The name in template.yaml, in the logs and of the package.
    const NAME: &'static str;

    /// Reads settings and prepares clients. Connects nowhere.
    fn read(settings: &mut Settings) -> Self;

    /// Handles one raw event. The parameter is JSON rather than a type, so that a record that does not parse fails
    /// alone, and not the process.
    fn handle(&self, event: Value) -> impl Future<Output = Result<Value, BoxError>> + Send;
}

/// A function as a value: what the bootstrap, the local stack and the tests need of it.
#[derive(Clone, Copy)]
pub struct Function {
    /// The name in template.yaml.
    pub name: &'static str,
    /// True when responses are streamed.
    pub streams: bool,
    /// The OpenAPI description of the routes; `None` for a function that handles events.
    pub openapi: Option<fn() -> OpenApi>,
    settings: fn(SettingsMap) -> SettingsRead,
    start: fn(SettingsMap) -> Result<StartedFunction, BoxError>,
}

impl Function {
    /// A function with HTTP routes and streamed responses.
    #[must_use]
    pub const fn streaming<F: HttpFunction>() -> Self {
        Self { streams: true, ..Self::http::<F>() }
    }

    /// A function with HTTP routes.
    #[must_use]
    pub const fn http<F: HttpFunction>() -> Self {
        Self {
            name: F::NAME,
            streams: false,
            openapi: Some(describe::<F>),
            settings: |values| {
                let mut settings = Settings::new(values);
                aws::secret_arn(&mut settings);
                CommonSettings::read(&mut settings);
                ErrorReports::read(&mut settings);
                http::Cors::read(&mut settings);
                http::Edge::read(&mut settings);
                Telemetry::read(&mut settings, F::NAME);
                F::read(&mut settings);
                settings.into_read()
            },
            start: |values| {
                let mut settings = Settings::new(values);
                CommonSettings::read(&mut settings);
                ErrorReports::read(&mut settings);
                let (cors, edge) = (http::Cors::read(&mut settings), http::Edge::read(&mut settings));
                let telemetry = Telemetry::read(&mut settings, F::NAME);
                let deps = F::read(&mut settings);
                settings.finish()?;
                let (router, _) = F::routes().split_for_parts();
                let options = http::LayerOptions {
                    function: F::NAME,
                    body_limit: F::BODY_LIMIT,
                    cors,
                    edge,
                    telemetry: telemetry.clone(),
                    describe: describe::<F>,
                };
                let handler = Handler::Http(http::layers(router.with_state(deps), options));
                Ok(StartedFunction { handler, telemetry })
            },
        }
    }

    /// A function that handles events.
    #[must_use]
    pub const fn event<F: EventFunction>() -> Self {
        Self {
            name: F::NAME,
            streams: false,
            openapi: None,
            settings: |values| {
                let mut settings = Settings::new(values);
                aws::secret_arn(&mut settings);
                CommonSettings::read(&mut settings);
                ErrorReports::read(&mut settings);
                Telemetry::read(&mut settings, F::NAME);
                F::read(&mut settings);
                settings.into_read()
            },
            start: |values| {
                let mut settings = Settings::new(values);
                CommonSettings::read(&mut settings);
                ErrorReports::read(&mut settings);
                let telemetry = Telemetry::read(&mut settings, F::NAME);
                let function = F::read(&mut settings);
                settings.finish()?;
                let traces = telemetry.clone();
                let handler = Handler::Event(Arc::new(move |event| {
                    let (function, telemetry) = (function.clone(), traces.clone());
                    // At the level error, as all spans: LOG_LEVEL would drop a lower span, and its fields would be
                    // missing from the errors inside.
                    let span = tracing::error_span!("event", function = F::NAME);
                    let work = async move { handle_in_trace(&telemetry, &function, event).await };
                    Box::pin(log_outcome(work).instrument(span))
                }));
                Ok(StartedFunction { handler, telemetry })
            },
        }
    }

    /// The settings that the function reads at its start. The keys of its secret are among them, and those are missing
    /// without which it does not start when no other setting is there.
    #[must_use]
    pub fn settings(&self) -> SettingsRead {
        self.settings_with(SettingsMap::new())
    }

    /// The settings that the function reads when `values` are there. A setting may call for others: SUPABASE_URL makes
    /// sign-in read SUPABASE_ANON_KEY.
    #[must_use]
    pub fn settings_with(&self, values: SettingsMap) -> SettingsRead {
        (self.settings)(values)
    }

    /// Starts the function with the settings `values` and the keys of its secret.
    ///
    /// # Errors
    /// A setting is missing or malformed, or the secret cannot be fetched.
    pub async fn start(&self, values: SettingsMap) -> Result<StartedFunction, BoxError> {
        (self.start)(aws::with_secret(values).await?)
    }
}

/// Builds the OpenAPI description of a function's routes.
fn describe<F: HttpFunction>() -> OpenApi {
    access_policy::with_documentation(|| F::routes().into_openapi())
}

/// Runs a function as a Lambda bootstrap until the platform ends the process. An error of the start or of the Runtime
/// API is logged in one line and ends the process.
#[must_use]
pub fn serve(function: Function) -> ExitCode {
    let values = environment();
    // Logging starts before anything that can fail. A malformed LOG_LEVEL is ignored here and reported by `start`.
    let mut settings = Settings::new(values.clone());
    let reports = ErrorReports::read(&mut settings);
    logging::init(&CommonSettings::read(&mut settings), reports.layer());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let outcome = runtime.map_err(BoxError::from).map(|runtime| {
        let outcome = runtime.block_on(run(function, values, reports.clone()));
        if let Err(error) = &outcome {
            log_end(function, error);
            runtime.block_on(reports.flush(Duration::MAX));
        }
        outcome.is_ok()
    });
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            log_end(function, &error);
            ExitCode::FAILURE
        }
    }
}

fn log_end(function: Function, error: &BoxError) {
    tracing::error!(function = function.name, error = logging::chain(error.as_ref()), "the function ended");
}

async fn run(function: Function, values: SettingsMap, reports: ErrorReports) -> Result<(), BoxError> {
    let StartedFunction { handler, telemetry } = function.start(values).await?;
    let flush = FlushLayer { telemetry, reports };
    match handler {
        Handler::Http(router) if function.streams => {
            Runtime::new(StreamAdapter::from(router)).layer(TracingLayer::new()).layer(flush).run().await
        }
        Handler::Http(router) => {
            Runtime::new(Adapter::from(router)).layer(TracingLayer::new()).layer(flush).run().await
        }
        Handler::Event(handle) => {
            let handle = service_fn(move |event: LambdaEvent<Value>| {
                let handle = Arc::clone(&handle);
                let request_id = event.context.request_id.clone();
                let span = tracing::error_span!("invocation", request_id);
                // The handler opens the span `event` when it is called, so the call must happen inside this span.
                let work: Pin<Box<dyn Future<Output = _> + Send>> = span.in_scope(|| handle(event.payload));
                work.instrument(span)
            });
            Runtime::new(handle).layer(TracingLayer::new()).layer(flush).run().await
        }
    }
}

/// Handles an event. The messages of a queue have a span each, in their senders' traces; any other event is a span of its
/// own.
async fn handle_in_trace<F: EventFunction>(
    telemetry: &Telemetry,
    function: &F,
    event: Value,
) -> Result<Value, BoxError> {
    if event["Records"].is_array() {
        return telemetry.scope(function.handle(event)).await;
    }
    let span = telemetry.root_span(F::NAME.to_owned(), SpanKind::Server, None);
    let outcome = telemetry::in_span(&span, function.handle(event)).await;
    if outcome.is_err() {
        span.fail("event_failed");
    }
    outcome
}

/// Awaits the handling of one event and logs one line, as `http::layers::finish` does for requests.
async fn log_outcome(work: impl Future<Output = Result<Value, BoxError>>) -> Result<Value, BoxError> {
    let started = Instant::now();
    let outcome = work.await;
    let duration_ms = started.elapsed().as_secs_f64() * 1e3;
    match &outcome {
        Ok(_) => tracing::info!(duration_ms, "event handled"),
        Err(error) => tracing::error!(duration_ms, error = logging::chain(error.as_ref()), "event failed"),
    }
    outcome
}

/// Returns the process environment. No other code reads it.
#[expect(clippy::disallowed_methods, reason = "settings come in here, and are handed on from here")]
fn environment() -> BTreeMap<String, String> {
    // All settings are UTF-8, so a variable that is not is skipped.
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect()
}
