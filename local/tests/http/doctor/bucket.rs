//! The doctor's own object in the bucket: whatever call gets no answer, it is removed, or named.

use std::time::Duration;

use local::{
    doctor::{Report, Status, Target, examine},
    testing::{self, AwsFault, AwsFaults, FaultProxy, MessageFault},
};

use super::{super::support::App, assert_fault, changed, examine_with, faults, object_keys};

const TIMEOUT: Duration = Duration::from_secs(5);

/// Examines the product through a proxy that never answers requests with this text.
async fn examine_without_answers_to(app: &App, request: &'static str) -> Report {
    let servers = testing::servers().await.unwrap();
    let proxy = FaultProxy::with_fault(servers.aws.endpoint(), MessageFault::Silent(request)).await.unwrap();
    let endpoint = format!("http://{}", proxy.address());
    let report = examine(Target {
        settings: changed(app, &[("AWS_ENDPOINT_URL", &endpoint)]),
        names_in_file: Vec::new(),
        secrets: Vec::new(),
        local_url: Some(app.stack.base_url()),
        timeout: TIMEOUT,
    })
    .await;
    assert!(proxy.fault_count() > 0, "{}", report.to_text());
    report
}

/// The keys of the doctor's objects in the bucket.
async fn own_objects(app: &App) -> Vec<String> {
    object_keys(app).await.into_iter().filter(|key| key.contains("doctor-")).collect()
}

#[tokio::test]
async fn an_object_that_is_not_read_in_time_is_removed() {
    let app = App::start().await;
    let report = examine_without_answers_to(&app, "GET /").await;
    assert_fault(&report, "bucket", Status::Error, "cannot read an object of the bucket");
    assert!(faults(&report, "bucket")[0].message.ends_with("no answer within 5 s"), "{}", report.to_text());
    assert_eq!(own_objects(&app).await, Vec::<String>::new());
}

#[tokio::test]
async fn an_object_that_is_not_removed_in_time_is_named() {
    let app = App::start().await;
    let report = examine_without_answers_to(&app, "DELETE /").await;
    let left = own_objects(&app).await;
    let [key] = left.as_slice() else { panic!("{left:?}") };
    let words = format!("(the object {key} may be left there): no answer within 5 s");
    assert_fault(&report, "bucket", Status::Error, &words);
}

#[tokio::test]
async fn an_object_that_is_not_stored_in_time_is_not_left() {
    let app = App::start().await;
    let report = examine_without_answers_to(&app, "PUT /").await;
    assert_fault(&report, "bucket", Status::Error, "cannot store an object in the bucket");
    let message = &faults(&report, "bucket")[0].message;
    assert!(message.ends_with("no answer within 5 s") && !message.contains("may be left"), "{message}");
    assert_eq!(own_objects(&app).await, Vec::<String>::new());
}

#[tokio::test]
async fn an_object_that_was_stored_in_spite_of_an_error_is_removed() {
    let app = App::start().await;
    let servers = testing::servers().await.unwrap();
    let proxy = AwsFaults::start(servers.aws.endpoint()).await.unwrap();
    // The calls take effect, and their answers are errors.
    proxy.set(Some(AwsFault::AnswerLost));
    let report = examine_with(&app, &[("AWS_ENDPOINT_URL", &proxy.endpoint())]).await;
    assert_fault(&report, "bucket", Status::Error, "may be left there): 500 InternalError");
    assert!(proxy.count() > 0);
    assert_eq!(own_objects(&app).await, Vec::<String>::new());
}
