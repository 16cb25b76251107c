//! The metrics of the local stack, for Prometheus. They are made from the lines in CloudWatch's embedded metric format that
//! the functions write, and from lines of the stack itself, in which stand the metrics that API Gateway, Lambda and SQS
//! have on AWS. So each metric has one name: `Lisa` `JobsStuck` is `lisa_jobs_stuck_total`.

mod instruments;
mod platform;

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::{
        Arc, LazyLock, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use anyhow::{Context, Result};
use aws_sdk_sqs::types::QueueAttributeName;
use axum::{
    Router,
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use futures::future::join_all;
use local_postgres::root;
use serde_json::Value;
use shared::logging::{self, METRIC_NAMESPACE};
use tokio::{net::TcpListener, task::JoinSet};

use self::instruments::Instruments;
use crate::{stack::Stack, template::Template};

pub(crate) use self::platform::{record_invocation, record_request};

/// The port of the metrics, unless an option names another.
pub const DEFAULT_PORT: u16 = 9464;
/// Content type of the answers: <https://prometheus.io/docs/specs/om/open_metrics_spec/>.
const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
/// Time that a queue has for its answer. Prometheus waits for 10 s.
const QUEUE_TIMEOUT: Duration = Duration::from_secs(2);
/// Namespace of the functions' own metrics in template.yaml.
const OWN_NAMESPACE: &str = "Lisa/${Environment}";

/// The metrics of this process. All stacks of a process share them, as all its functions share one writer of metrics.
static INSTRUMENTS: LazyLock<Mutex<Instruments>> = LazyLock::new(Mutex::default);

/// True once an endpoint was started. Until then the stack measures nothing.
static IS_COLLECTING: AtomicBool = AtomicBool::new(false);

fn is_collecting() -> bool {
    IS_COLLECTING.load(Ordering::Relaxed)
}

fn instruments() -> MutexGuard<'static, Instruments> {
    INSTRUMENTS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Adds the values of one line in the embedded metric format.
fn collect(line: &Value) {
    if let Err(problem) = instruments().collect(line) {
        tracing::warn!(problem, "a line of metrics is not understood");
    }
}

/// A running endpoint. Dropping it ends it; the values stay for the next one.
#[derive(Debug)]
pub struct MetricsServer {
    address: SocketAddr,
    _serving: JoinSet<()>,
}

/// The queues that a scrape asks for their lengths.
#[derive(Debug)]
struct Queues {
    client: aws_sdk_sqs::Client,
    urls: Vec<String>,
}

impl MetricsServer {
    /// Collects the metrics of this process from now on, and serves them at `/metrics` of a port of the loopback interface;
    /// 0 takes a free port. Metrics that count what is lost begin with zero.
    ///
    /// # Errors
    /// Fails when the port is in use, or template.yaml cannot be read.
    pub async fn start(port: u16, stack: &Stack) -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await;
        let listener = listener.with_context(|| format!("port {port} of 127.0.0.1 cannot be used for metrics"))?;
        let address = listener.local_addr().context("the address of the metrics cannot be read")?;
        let template = Template::read(&root().join("template.yaml"))?;
        IS_COLLECTING.store(true, Ordering::Relaxed);
        // There is one environment here, and its name is in no name of a metric.
        logging::write_metrics_to(METRIC_NAMESPACE.to_owned(), |line| match serde_json::from_str(line) {
            Ok(line) => collect(&line),
            Err(error) => tracing::warn!(%error, "a line of metrics is not JSON"),
        });
        let alarms = template.resources("AWS::CloudWatch::Alarm");
        for (_, alarm) in alarms.filter(|(_, alarm)| alarm["Namespace"]["Fn::Sub"] == OWN_NAMESPACE) {
            // A counter that appears with its first value has no increase that Prometheus sees.
            instruments().begin_with_zero(METRIC_NAMESPACE, alarm["MetricName"].as_str().unwrap_or_default());
        }
        let (client, urls) = stack.queues();
        let router = Router::new().route("/metrics", get(answer)).with_state(Arc::new(Queues { client, urls }));
        let mut serving = JoinSet::new();
        serving.spawn(async move {
            if let Err(error) = axum::serve(listener, router).await {
                tracing::error!(%error, "the metrics are not served any more");
            }
        });
        Ok(Self { address, _serving: serving })
    }

    /// The URL of the metrics.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}/metrics", self.address)
    }

    /// The address of the endpoint, `127.0.0.1:<port>`.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

async fn answer(State(queues): State<Arc<Queues>>) -> Response {
    queues.measure().await;
    match instruments().to_text() {
        Ok(text) => ([(header::CONTENT_TYPE, CONTENT_TYPE)], text).into_response(),
        Err(error) => {
            tracing::error!(%error, "the metrics cannot be written");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

impl Queues {
    /// Asks all queues for their lengths. A queue that does not answer keeps its last one.
    async fn measure(&self) {
        join_all(self.urls.iter().map(|url| self.measure_one(url))).await;
    }

    async fn measure_one(&self, url: &str) {
        let length = QueueAttributeName::ApproximateNumberOfMessages;
        let request = self.client.get_queue_attributes().queue_url(url).attribute_names(length.clone());
        let Ok(Ok(answer)) = tokio::time::timeout(QUEUE_TIMEOUT, request.send()).await else {
            tracing::warn!("a queue does not tell its length");
            return;
        };
        let waiting = answer.attributes.unwrap_or_default().remove(&length).and_then(|text| text.parse().ok());
        if let (Some(waiting), Some(name)) = (waiting, url.rsplit('/').next()) {
            platform::record_queue(name, waiting);
        }
    }
}
