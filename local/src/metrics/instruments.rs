//! Prometheus's counters, gauges and histograms, made from lines in CloudWatch's embedded metric format:
//! <https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html>.
//!
//! | unit | becomes | name |
//! | --- | --- | --- |
//! | `Count` | a counter | ends in `_total` |
//! | `None`, `Percent` or no unit | a gauge | without an ending |
//! | any other, such as `Milliseconds` | a histogram | ends in the unit |

use std::{collections::HashMap, fmt, sync::atomic::AtomicU64};

use prometheus_client::{
    encoding::text::encode,
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::Registry,
};
use serde_json::Value;

/// The labels of a value, from its dimensions.
type Labels = Vec<(String, String)>;
type Counters = Family<Labels, Counter<f64, AtomicU64>>;
type Gauges = Family<Labels, Gauge<f64, AtomicU64>>;
type Histograms = Family<Labels, Histogram>;

/// Upper bounds of the buckets of a histogram: 1, 2 and 5 times each power of ten. They suit milliseconds, from a warm
/// request to a worker's five minutes, and bytes up to 500 kB.
const BUCKETS: [f64; 18] =
    [1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1e3, 2e3, 5e3, 1e4, 2e4, 5e4, 1e5, 2e5, 5e5];

/// All metrics, by their names.
#[derive(Default)]
pub(super) struct Instruments {
    registry: Registry,
    counters: HashMap<String, Counters>,
    gauges: HashMap<String, Gauges>,
    histograms: HashMap<String, Histograms>,
}

impl Instruments {
    /// Adds a counter without dimensions, unless it is there.
    pub(super) fn begin_with_zero(&mut self, namespace: &str, metric: &str) {
        _ = self.counter(namespace, metric).get_or_create_owned(&Labels::new());
    }

    /// Adds the values of a line. A line may have several directives, dimension sets and metrics.
    ///
    /// # Errors
    /// The part of the line that is not of the format. Values before it are added.
    pub(super) fn collect(&mut self, line: &Value) -> Result<(), &'static str> {
        let directives = line["_aws"]["CloudWatchMetrics"].as_array().ok_or("no directive")?;
        for directive in directives {
            let namespace = directive["Namespace"].as_str().ok_or("no namespace")?;
            for metric in directive["Metrics"].as_array().ok_or("no metrics")? {
                let name = metric["Name"].as_str().ok_or("no name of a metric")?;
                let values = numbers(&line[name]).ok_or("no value of a metric")?;
                let unit = metric["Unit"].as_str().unwrap_or("None");
                for dimensions in directive["Dimensions"].as_array().ok_or("no dimensions")? {
                    let labels = labels(dimensions, line).ok_or("no value of a dimension")?;
                    self.add(namespace, name, unit, &labels, &values);
                }
            }
        }
        Ok(())
    }

    fn add(&mut self, namespace: &str, metric: &str, unit: &str, labels: &Labels, values: &[f64]) {
        match unit {
            "Count" => {
                let counter = self.counter(namespace, metric).get_or_create_owned(labels);
                // A counter never falls.
                values.iter().filter(|value| **value >= 0.0).for_each(|value| _ = counter.inc_by(*value));
            }
            "None" | "Percent" => {
                let gauge = self.gauge(namespace, metric).get_or_create_owned(labels);
                values.iter().for_each(|value| _ = gauge.set(*value));
            }
            unit => {
                let histogram = self.histogram(namespace, metric, unit).get_or_create_owned(labels);
                values.iter().for_each(|value| histogram.observe(*value));
            }
        }
    }

    fn counter(&mut self, namespace: &str, metric: &str) -> &Counters {
        let (name, registry) = (prometheus_name(namespace, metric), &mut self.registry);
        self.counters.entry(name.clone()).or_insert_with(|| {
            let counters = Counters::default();
            registry.register(name, help(namespace, metric), counters.clone());
            counters
        })
    }

    fn gauge(&mut self, namespace: &str, metric: &str) -> &Gauges {
        let (name, registry) = (prometheus_name(namespace, metric), &mut self.registry);
        self.gauges.entry(name.clone()).or_insert_with(|| {
            let gauges = Gauges::default();
            registry.register(name, help(namespace, metric), gauges.clone());
            gauges
        })
    }

    fn histogram(&mut self, namespace: &str, metric: &str, unit: &str) -> &Histograms {
        let name = format!("{}_{}", prometheus_name(namespace, metric), snake_case(unit));
        let registry = &mut self.registry;
        self.histograms.entry(name.clone()).or_insert_with(|| {
            let histograms = Histograms::new_with_constructor(|| Histogram::new(BUCKETS));
            registry.register(name, help(namespace, metric), histograms.clone());
            histograms
        })
    }

    /// All metrics in the text format of OpenMetrics.
    ///
    /// # Errors
    /// Fails only when a text cannot be written, which does not occur.
    pub(super) fn to_text(&self) -> Result<String, fmt::Error> {
        let mut text = String::new();
        encode(&mut text, &self.registry)?;
        Ok(text)
    }
}

/// The values of a metric in a line: a number, or a list of numbers.
fn numbers(value: &Value) -> Option<Vec<f64>> {
    match value {
        Value::Array(values) => values.iter().map(Value::as_f64).collect(),
        one => Some(vec![one.as_f64()?]),
    }
}

/// The labels of a set of dimensions, whose values are texts beside the metrics.
fn labels(dimensions: &Value, line: &Value) -> Option<Labels> {
    let label = |name: &Value| {
        let name = name.as_str()?;
        Some((snake_case(name), line[name].as_str()?.to_owned()))
    };
    dimensions.as_array()?.iter().map(label).collect()
}

fn help(namespace: &str, metric: &str) -> String {
    format!("{metric} of CloudWatch's namespace {namespace}")
}

/// Prometheus's name of a metric of CloudWatch.
fn prometheus_name(namespace: &str, metric: &str) -> String {
    format!("{}_{}", snake_case(namespace), snake_case(metric))
}

/// Converts a name such as `AWS/ApiGateway` or `WebhooksUnreadable`. Prometheus takes letters, digits and underscores.
fn snake_case(name: &str) -> String {
    let mut text = String::new();
    let mut previous = '_';
    let mut chars = name.chars().peekable();
    while let Some(char) = chars.next() {
        if !char.is_ascii_alphanumeric() {
            if previous != '_' {
                text.push('_');
            }
            previous = '_';
            continue;
        }
        // A word begins after a small letter or a digit, and before the last capital of a row of capitals: `SQSQueue`.
        let begins_word = char.is_ascii_uppercase()
            && (previous.is_ascii_lowercase()
                || previous.is_ascii_digit()
                || (previous.is_ascii_uppercase() && chars.peek().is_some_and(char::is_ascii_lowercase)));
        if begins_word {
            text.push('_');
        }
        text.push(char.to_ascii_lowercase());
        previous = char;
    }
    text.trim_end_matches('_').to_owned()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn line(directives: Value, fields: Value) -> Value {
        let mut line = fields;
        line["_aws"] = json!({ "Timestamp": 1, "CloudWatchMetrics": directives });
        line
    }

    #[test]
    fn names_of_cloudwatch_become_names_of_prometheus() {
        for (namespace, metric, name) in [
            ("Lisa", "ModelCostMicros", "lisa_model_cost_micros"),
            ("AWS/ApiGateway", "4xx", "aws_api_gateway_4xx"),
            ("AWS/SQS", "ApproximateNumberOfMessagesVisible", "aws_sqs_approximate_number_of_messages_visible"),
            ("A b", "HTTPRequests/s", "a_b_http_requests_s"),
        ] {
            assert_eq!(prometheus_name(namespace, metric), name);
        }
    }

    #[test]
    fn each_unit_has_its_instrument() {
        let mut instruments = Instruments::default();
        let directive = json!([{
            "Namespace": "Test", "Dimensions": [["Place", "FunctionName"], []],
            "Metrics": [{ "Name": "Calls", "Unit": "Count" }, { "Name": "Time", "Unit": "Milliseconds" }, { "Name": "Level" }],
        }]);
        let fields = json!({ "Place": "a\"b", "FunctionName": "query", "Calls": [1, 2], "Time": 7.5, "Level": 3 });
        instruments.collect(&line(directive.clone(), fields.clone())).unwrap();
        instruments.collect(&line(directive, fields)).unwrap();
        let text = instruments.to_text().unwrap();
        for expected in [
            r#"test_calls_total{place="a\"b",function_name="query"} 6.0"#,
            "test_calls_total 6.0",
            r#"test_time_milliseconds_bucket{le="10.0"} 2"#,
            r#"test_time_milliseconds_count{place="a\"b",function_name="query"} 2"#,
            "test_time_milliseconds_sum 15.0",
            "test_level 3.0",
            "# EOF",
        ] {
            assert!(text.contains(expected), "{expected} in {text}");
        }
    }

    #[test]
    fn a_counter_can_begin_with_zero_and_never_falls() {
        let mut instruments = Instruments::default();
        instruments.begin_with_zero("Lisa", "JobsStuck");
        assert!(instruments.to_text().unwrap().contains("lisa_jobs_stuck_total 0.0"));
        let directive =
            json!([{ "Namespace": "Lisa", "Dimensions": [[]], "Metrics": [{ "Name": "JobsStuck", "Unit": "Count" }] }]);
        instruments.collect(&line(directive.clone(), json!({ "JobsStuck": 2 }))).unwrap();
        instruments.collect(&line(directive, json!({ "JobsStuck": -5 }))).unwrap();
        assert!(instruments.to_text().unwrap().contains("lisa_jobs_stuck_total 2.0"));
    }

    #[test]
    fn a_line_of_another_format_is_refused() {
        let directive = |metrics: Value, dimensions: Value| json!([{ "Namespace": "Lisa", "Dimensions": dimensions, "Metrics": metrics }]);
        for (line, problem) in [
            (json!({}), "no directive"),
            (line(json!([{}]), json!({})), "no namespace"),
            (line(directive(json!([{}]), json!([[]])), json!({})), "no name of a metric"),
            (line(directive(json!([{ "Name": "A" }]), json!([[]])), json!({ "A": "x" })), "no value of a metric"),
            (line(directive(json!([{ "Name": "A" }]), json!([["B"]])), json!({ "A": 1 })), "no value of a dimension"),
        ] {
            assert_eq!(Instruments::default().collect(&line), Err(problem), "{line}");
        }
    }
}
