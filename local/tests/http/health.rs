//! `GET /health`, public and with `deep=1`.

use chrono::DateTime;

use super::support::{App, BackendProxy, WAIT_TIMEOUT, wait_until};

#[tokio::test]
async fn the_public_health_check_shows_only_that_the_api_is_up() {
    let app = App::start().await;

    let answer = app.get("/health").header("x-request-id", "forged").await;

    assert_ne!(answer.header("x-request-id"), "forged");
    let health = answer.json_body(200);
    assert_eq!(health.as_object().unwrap().len(), 4, "{health}");
    assert_eq!(health["status"], "healthy");
    assert_eq!(health["environment"], "dev");
    assert_eq!(health["version"], env!("CARGO_PKG_VERSION"));
    assert!(DateTime::parse_from_rfc3339(health["timestamp"].as_str().unwrap()).is_ok());
}

#[tokio::test]
async fn the_deep_health_check_is_for_services_only() {
    let app = App::start().await;
    let tenant = app.sign_up("Comptoir Baobab").await;

    app.get("/health?deep=1").await.refused(401, "unauthorized");
    app.get("/health?deep=1").by(&tenant).await.refused(403, "forbidden");
    app.get("/health?deep=yes").await.invalid_fields(&["deep"]);
    assert!(app.get("/health?deep=0").await.json_body(200).get("checks").is_none());

    let health = app.get("/health?deep=1").by(app.service_token()).await.json_body(200);
    assert_eq!(health["status"], "healthy");
    let checks = health["checks"].as_object().unwrap();
    assert_eq!(checks.keys().collect::<Vec<_>>(), ["database", "queue", "storage"]);
    for (name, check) in checks {
        assert_eq!(check["up"], true, "{name}");
        assert!(check["latency_ms"].as_f64().unwrap() > 0.0, "{name}");
    }
}

#[tokio::test]
async fn a_lost_database_degrades_the_deep_health_check_only() {
    let network = BackendProxy::for_database().await;
    let app = App::with_settings(&network.settings()).await;

    network.refuse().await.unwrap();
    let health = app.get("/health?deep=1").by(app.service_token()).await.json_body(503);
    assert_eq!(health["status"], "degraded");
    assert_eq!(health["checks"]["database"]["up"], false);
    assert_eq!(health["checks"]["queue"]["up"], true);
    assert_eq!(health["checks"]["storage"]["up"], true);
    assert_eq!(app.get("/health").await.json_body(200)["status"], "healthy");

    network.restore().await.unwrap();
    wait_until("the database is found again", WAIT_TIMEOUT, async || {
        (app.get("/health?deep=1").by(app.service_token()).await.status == 200).then_some(())
    })
    .await;
}
