//! The console as it is deployed: its response headers are those with which it is built and tested.

use std::collections::BTreeMap;

use local::{console, template::Template};
use local_postgres::root;
use serde_json::Value;

/// The headers of a response headers policy in template.yaml.
fn deployed_headers(policy: &Value) -> BTreeMap<String, String> {
    let config = &policy["ResponseHeadersPolicyConfig"];
    let security = &config["SecurityHeadersConfig"];
    let policy = &security["ContentSecurityPolicy"]["ContentSecurityPolicy"];
    let policy = policy.as_str().or_else(|| policy["Fn::Sub"].as_str()).unwrap();
    let mut headers = BTreeMap::from([
        ("Content-Security-Policy".to_owned(), policy.to_owned()),
        ("Referrer-Policy".to_owned(), security["ReferrerPolicy"]["ReferrerPolicy"].as_str().unwrap().to_owned()),
    ]);
    if security["ContentTypeOptions"]["Override"] == true {
        headers.insert("X-Content-Type-Options".to_owned(), "nosniff".to_owned());
    }
    for item in config["CustomHeadersConfig"]["Items"].as_array().into_iter().flatten() {
        headers.insert(item["Header"].as_str().unwrap().to_owned(), item["Value"].as_str().unwrap().to_owned());
    }
    headers
}

#[test]
fn cloudfront_sends_the_security_headers_of_the_console() {
    let text = std::fs::read_to_string(console::folder().join("security-headers.json")).unwrap();
    let stated: BTreeMap<String, Value> = serde_json::from_str(&text).unwrap();
    let template = Template::read(&root().join("template.yaml")).unwrap();
    let policies: BTreeMap<_, _> = template.resources("AWS::CloudFront::ResponseHeadersPolicy").collect();
    let bucket = "https://lisa-${Environment}-documents-${AWS::AccountId}-${AWS::Region}\
        .s3.${AWS::Region}.${AWS::URLSuffix}";
    for (files, policy) in [("files", "ConsoleHeaders"), ("viewer.html", "ConsoleViewerHeaders")] {
        let stated: BTreeMap<String, String> = serde_json::from_value(stated[files].clone()).unwrap();
        let stated: BTreeMap<_, _> =
            stated.into_iter().map(|(name, value)| (name, value.replace("{upload}", bucket))).collect();
        assert_eq!(deployed_headers(policies[policy]), stated, "{files}");
    }
}

#[test]
fn every_path_of_the_api_reaches_it_through_cloudfront() {
    let template = Template::read(&root().join("template.yaml")).unwrap();
    let (_, distribution) = template.resources("AWS::CloudFront::Distribution").next().unwrap();
    let behaviors = distribution["DistributionConfig"]["CacheBehaviors"].as_array().unwrap();
    let patterns: Vec<_> = behaviors.iter().map(|behavior| behavior["PathPattern"].as_str().unwrap()).collect();
    let reaches = |path: &str| {
        patterns.iter().any(|pattern| match pattern.strip_suffix('*') {
            Some(start) => path.starts_with(start),
            None => path == *pattern,
        })
    };
    let openapi: Value = serde_json::from_slice(&std::fs::read(root().join("openapi.json")).unwrap()).unwrap();
    for path in openapi["paths"].as_object().unwrap().keys() {
        assert!(reaches(path), "{path} would be looked for among the console's files");
    }
}
