//! The metrics of the local stack in a real Prometheus: each metric of the Grafana dashboard is there, and each of its
//! queries answers.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use local::{
    fakes::models::FakeReply,
    metrics::{DEFAULT_PORT, MetricsServer},
    template::Template,
    testing,
};
use local_postgres::{free_port, root};
use serde_json::Value;
use tokio::process::{Child, Command};

use super::support::{App, WhatsAppFixture, wait_until};

/// Time for Prometheus to start, and for its scrapes to answer a query.
const PROMETHEUS_TIMEOUT: Duration = Duration::from_secs(60);

/// Stands for the dashboard's interval: ten scrapes of a second.
const RATE_INTERVAL: &str = "10s";

/// A running Prometheus. Dropping it kills the process.
struct Prometheus {
    base_url: String,
    http: reqwest::Client,
    _process: Child,
    _folder: tempfile::TempDir,
}

impl Prometheus {
    /// Starts Prometheus with the committed configuration, on another port and with a scrape each second.
    async fn start(program: &Path, metrics: &MetricsServer) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let example = fs::read_to_string(root().join("monitoring/prometheus.yml")).unwrap();
        let usual = format!("127.0.0.1:{DEFAULT_PORT}");
        assert!(example.contains(&usual) && example.contains("15s"), "{example}");
        let config = example.replace(&usual, &metrics.address().to_string()).replace("15s", "1s");
        fs::write(folder.path().join("prometheus.yml"), config).unwrap();
        let address = format!("127.0.0.1:{}", free_port().unwrap());
        let process = Command::new(program)
            .arg(format!("--config.file={}", folder.path().join("prometheus.yml").display()))
            .arg(format!("--storage.tsdb.path={}", folder.path().join("data").display()))
            .arg(format!("--web.listen-address={address}"))
            .arg("--log.level=error")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let http = reqwest::Client::builder().timeout(Duration::from_secs(10)).no_proxy().build().unwrap();
        let this = Self { base_url: format!("http://{address}"), http, _process: process, _folder: folder };
        wait_until("Prometheus is ready", PROMETHEUS_TIMEOUT, async || {
            let answer = this.http.get(format!("{}/-/ready", this.base_url)).send().await.ok()?;
            answer.status().is_success().then_some(())
        })
        .await;
        this
    }

    async fn get(&self, path: &str, query: &[(&str, &str)]) -> Value {
        let query =
            query.iter().fold(url::form_urlencoded::Serializer::new(String::new()), |mut query, (name, value)| {
                query.append_pair(name, value);
                query
            });
        let url = format!("{}/api/v1/{path}?{}", self.base_url, { query }.finish());
        let answer: Value = self.http.get(url).send().await.unwrap().json().await.unwrap();
        assert_eq!(answer["status"], "success", "{path}: {answer}");
        answer["data"].clone()
    }

    /// The values of a query, one for each series.
    async fn query(&self, expression: &str) -> Vec<f64> {
        let data = self.get("query", &[("query", expression)]).await;
        let series = data["result"].as_array().unwrap();
        series.iter().map(|series| series["value"][1].as_str().unwrap().parse().unwrap()).collect()
    }

    /// The names of all series.
    async fn names(&self) -> BTreeSet<String> {
        let names = self.get("label/__name__/values", &[]).await;
        names.as_array().unwrap().iter().map(|name| name.as_str().unwrap().to_owned()).collect()
    }
}

fn dashboard() -> Value {
    serde_json::from_str(&fs::read_to_string(root().join("monitoring/grafana-dashboard.json")).unwrap()).unwrap()
}

/// The queries of the dashboard.
fn expressions() -> Vec<String> {
    let dashboard = dashboard();
    let panels = dashboard["panels"].as_array().unwrap();
    let targets = panels.iter().flat_map(|panel| panel["targets"].as_array().unwrap());
    targets.map(|target| target["expr"].as_str().unwrap().to_owned()).collect()
}

/// The names of the metrics in a query.
fn metrics_of(expression: &str) -> BTreeSet<String> {
    let words = expression.split(|char: char| !char.is_ascii_alphanumeric() && char != '_');
    words.filter(|word| word.starts_with("lisa_") || word.starts_with("aws_")).map(str::to_owned).collect()
}

/// Finds the program, or says which package is missing.
fn program() -> Option<PathBuf> {
    testing::program("Prometheus", "prometheus", &["prometheus"]).unwrap()
}

#[tokio::test]
async fn prometheus_has_every_metric_of_the_dashboard_and_answers_every_query() {
    let Some(program) = program() else { return };
    let fixture = WhatsAppFixture::start().await;
    fixture.upload_document("The delivery takes three days.").await;
    let metrics = MetricsServer::start(0, &fixture.app.stack).await.unwrap();
    let prometheus = Prometheus::start(&program, &metrics).await;
    let cost = "lisa_model_cost_micros_total";
    wait_until("a first scrape", PROMETHEUS_TIMEOUT, async || (!prometheus.query(cost).await.is_empty()).then_some(()))
        .await;
    let spent_before = prometheus.query(cost).await[0];
    // One question over WhatsApp: a webhook, a queue, a worker and a model.
    fixture.models.always(FakeReply::RuleBased);
    assert_eq!(fixture.deliver_text(7, "How long does the delivery take?").await.status, 200);
    fixture.wait_for_texts(7, 1).await;

    for expression in expressions() {
        let asked = expression.replace("$__rate_interval", RATE_INTERVAL);
        let values = wait_until(&asked, PROMETHEUS_TIMEOUT, async || {
            // Rates are of the last seconds, so that traffic goes on.
            fixture.app.get("/health").await.json_body(200);
            fixture.deliver_text(8, "Bonjour").await;
            let values = prometheus.query(&asked).await;
            // A function without an event in these seconds has no duration.
            values.iter().any(|value| value.is_finite()).then_some(values)
        })
        .await;
        assert!(values.iter().all(|value| *value >= 0.0 || value.is_nan()), "{asked}: {values:?}");
    }

    let names = prometheus.names().await;
    let asked: BTreeSet<_> = expressions().iter().flat_map(|expression| metrics_of(expression)).collect();
    assert!(asked.len() > 20, "{asked:?}");
    assert_eq!(asked.difference(&names).collect::<Vec<_>>(), Vec::<&String>::new());
    let spent = prometheus.query(cost).await[0] - spent_before;
    assert!(spent > 0.0, "the model's call cost nothing");
    assert!(prometheus.query("sum(aws_lambda_invocations_total{function_name='reply-worker'})").await[0] >= 1.0);
}

#[tokio::test]
async fn metrics_name_no_tenant_and_are_served_on_the_loopback_interface_only() {
    let app = App::start().await;
    let metrics = MetricsServer::start(0, &app.stack).await.unwrap();
    assert!(metrics.address().ip().is_loopback());
    let tenant = app.sign_up("Comptoir Baobab").await;
    app.get("/api/v1/quota/status").by(&tenant).await.data(200);
    app.get("/api/v1/nothing").await.refused(404, "not_found");

    let answer = app.http().get(metrics.url()).send().await.unwrap();
    let content_type = answer.headers()["content-type"].to_str().unwrap().to_owned();
    assert!(content_type.starts_with("application/openmetrics-text"), "{content_type}");
    let text = answer.text().await.unwrap();
    assert!(text.contains("aws_api_gateway_4xx_total"), "{text}");
    assert!(text.contains(r#"aws_sqs_approximate_number_of_messages_visible{queue_name="#), "{text}");
    for own in [tenant.customer_id.to_string(), tenant.user_id.to_string(), tenant.company_id, tenant.email] {
        assert!(!text.contains(&own), "{own} is in the metrics");
    }
    // The gateway, which may be reached from outside through a tunnel, has no such route.
    app.get("/metrics").await.refused(404, "not_found");

    let port = metrics.address().port();
    let error = MetricsServer::start(port, &app.stack).await.unwrap_err();
    assert!(format!("{error:#}").contains(&format!("port {port} of 127.0.0.1 cannot be used")), "{error:#}");
    drop(metrics);
}

#[test]
fn the_dashboard_shows_each_metric_that_has_an_alarm() {
    let template = Template::read(&root().join("template.yaml")).unwrap();
    let is_own = |alarm: &Value| alarm["Namespace"]["Fn::Sub"] == "Lisa/${Environment}";
    let alarms = template.resources("AWS::CloudWatch::Alarm").filter(|(_, alarm)| is_own(alarm));
    let watched: BTreeSet<_> = alarms
        .map(|(_, alarm)| {
            let name = alarm["MetricName"].as_str().unwrap();
            let snake = name.chars().map(|char| match char {
                'A'..='Z' => format!("_{}", char.to_ascii_lowercase()),
                other => other.to_string(),
            });
            format!("lisa{}_total", snake.collect::<String>())
        })
        .collect();
    let shown: BTreeSet<_> = expressions().iter().flat_map(|expression| metrics_of(expression)).collect();
    let own: BTreeSet<_> = shown.into_iter().filter(|name| name.starts_with("lisa_")).collect();
    assert_eq!(own, watched, "left: the dashboard; right: the alarms of template.yaml");
}
