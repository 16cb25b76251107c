//! The functions' own metrics against the alarms of template.yaml. Each metric counts something that is lost or will be,
//! so each has an alarm.

use std::{collections::BTreeSet, fs, path::Path};

use local::template::Template;
use local_postgres::root;
use proc_macro2::{Delimiter, TokenStream, TokenTree};

/// Namespace of the functions' own metrics (`logging::metric`) in template.yaml.
const NAMESPACE: &str = "Lisa/${Environment}";

/// Metrics of what was mended at once and told to its owner.
const WITHOUT_ALARM: [&str; 1] = ["DuplicateSubscriptions"];

/// Returns the tokens without the items under `#[cfg(test)]`, which end with their body or with a semicolon.
fn without_tests(tokens: TokenStream) -> Vec<TokenTree> {
    let mut kept = Vec::new();
    let mut tokens = tokens.into_iter().peekable();
    while let Some(token) = tokens.next() {
        let is_attribute = matches!(&token, TokenTree::Punct(mark) if mark.as_char() == '#');
        let is_of_tests = |next: &TokenTree| next.to_string().replace(char::is_whitespace, "") == "[cfg(test)]";
        if is_attribute && tokens.peek().is_some_and(is_of_tests) {
            tokens.find(|token| match token {
                TokenTree::Group(group) => group.delimiter() == Delimiter::Brace,
                TokenTree::Punct(mark) => mark.as_char() == ';',
                _ => false,
            });
        } else {
            kept.push(token);
        }
    }
    kept
}

/// Collects the first argument of each call of a function `metric` in `tokens`, unless it is only made in tests.
fn names_in(tokens: TokenStream, names: &mut BTreeSet<String>) {
    let tokens = without_tests(tokens);
    for (nth, token) in tokens.iter().enumerate() {
        let TokenTree::Group(group) = token else { continue };
        let is_call = nth > 0 && matches!(&tokens[nth - 1], TokenTree::Ident(name) if name == "metric");
        let is_definition = nth > 1 && matches!(&tokens[nth - 2], TokenTree::Ident(name) if name == "fn");
        if is_call && !is_definition {
            let name = group.stream().into_iter().next().map(|name| name.to_string()).unwrap_or_default();
            let name = name.strip_prefix('"').and_then(|name| name.strip_suffix('"'));
            names.insert(name.expect("the name of a metric is written where it is counted").to_owned());
        }
        names_in(group.stream(), names);
    }
}

fn names_in_folder(folder: &Path, names: &mut BTreeSet<String>) {
    for path in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        if path.is_dir() && !path.ends_with("target") {
            names_in_folder(&path, names);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            names_in(fs::read_to_string(&path).unwrap().parse().unwrap(), names);
        }
    }
}

/// The functions' own metrics that an alarm of the template watches.
fn watched_metrics(template: &Template) -> BTreeSet<String> {
    let alarms = template.resources("AWS::CloudWatch::Alarm");
    let own = alarms.filter(|(_, alarm)| alarm["Namespace"]["Fn::Sub"] == NAMESPACE);
    own.map(|(_, alarm)| alarm["MetricName"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn every_metric_of_the_code_has_an_alarm_and_every_alarm_a_metric() {
    let mut counted = BTreeSet::new();
    names_in_folder(&root().join("shared/src"), &mut counted);
    names_in_folder(&root().join("functions"), &mut counted);
    assert!(counted.contains("SubscriptionsDiffering"), "the metrics were not found: {counted:?}");
    counted.retain(|name| !WITHOUT_ALARM.contains(&name.as_str()));
    let watched = watched_metrics(&Template::read(&root().join("template.yaml")).unwrap());
    assert_eq!(watched, counted, "left: alarms of template.yaml; right: metrics of the code");
}

#[test]
fn the_dashboard_of_the_template_shows_every_metric_that_has_an_alarm() {
    let template = Template::read(&root().join("template.yaml")).unwrap();
    let (_, dashboard) = template.resources("AWS::CloudWatch::Dashboard").next().unwrap();
    let body = dashboard["DashboardBody"]["Fn::Sub"].as_str().unwrap();
    let watched = watched_metrics(&template);
    let hidden: Vec<_> =
        watched.iter().filter(|name| !body.contains(&format!(r#"["{NAMESPACE}", "{name}""#))).collect();
    assert!(!watched.is_empty() && hidden.is_empty(), "not on the dashboard: {hidden:?}");
}

#[test]
fn a_metric_of_tests_only_is_left_out() {
    let code = r#"
        fn count() { metric("Counted", 1.0); }
        #[cfg(test)]
        mod tests { fn count() { metric("OfTests", 1.0); } }
        #[cfg(test)]
        mod more_tests;
        fn count_again() { logging::metric("CountedAgain", 1.0); }
    "#;
    let mut names = BTreeSet::new();
    names_in(code.parse().unwrap(), &mut names);
    assert_eq!(names.into_iter().collect::<Vec<_>>(), ["Counted", "CountedAgain"]);
}

#[test]
fn alarms_of_the_functions_own_metrics_have_no_dimensions() {
    // `logging::metric` writes none, and an alarm with one would watch a metric that does not exist.
    let template = Template::read(&root().join("template.yaml")).unwrap();
    for (id, alarm) in template.resources("AWS::CloudWatch::Alarm") {
        assert!(alarm["Namespace"]["Fn::Sub"] != NAMESPACE || alarm.get("Dimensions").is_none(), "{id} has dimensions");
    }
}

#[test]
fn every_alarm_tells_somebody_and_has_its_own_name() {
    let template = Template::read(&root().join("template.yaml")).unwrap();
    let mut names = BTreeSet::new();
    for (id, alarm) in template.resources("AWS::CloudWatch::Alarm") {
        assert_eq!(alarm["AlarmActions"]["Fn::If"][1][0]["Ref"], "AlarmTopic", "{id}");
        assert!(names.insert(alarm["AlarmName"].to_string()), "{id} has the name of another alarm");
    }
}

#[test]
fn errors_of_the_stream_and_of_dead_letters_have_alarms() {
    let template = Template::read(&root().join("template.yaml")).unwrap();
    let of = |metric: &str, dimension: &str| {
        template.resources("AWS::CloudWatch::Alarm").any(|(_, alarm)| {
            alarm["MetricName"] == metric && alarm["Dimensions"][0]["Value"].to_string().contains(dimension)
        })
    };
    // Every function with a Function URL is past the gateway, whose 5xx another alarm counts.
    for (id, function) in template.resources("AWS::Serverless::Function") {
        let has_url = function.get("FunctionUrlConfig").is_some();
        assert!(!has_url || of("Url5xxCount", id), "{id} has a URL and no alarm for its 5xx");
    }
    for (id, queue) in template.resources("AWS::SQS::Queue") {
        let is_for_dead_letters = queue.get("RedriveAllowPolicy").is_some();
        assert!(!is_for_dead_letters || of("ApproximateNumberOfMessagesVisible", id), "{id} has no alarm");
        assert!(is_for_dead_letters || of("ApproximateAgeOfOldestMessage", id), "{id} has no alarm");
    }
}
