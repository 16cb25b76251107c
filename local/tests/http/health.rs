//! GET /health

use chrono::DateTime;

use super::support::{App, Proxy, SOON, wait_until};

#[tokio::test]
async fn anybody_learns_that_the_api_is_up_and_nothing_of_the_inside() {
    let app = App::start().await;

    let answer = app.get("/health").header("x-request-id", "forged").await;

    assert_ne!(answer.header("x-request-id"), "forged");
    let health = answer.bare(200);
    assert_eq!(health.as_object().unwrap().len(), 4, "{health}");
    assert_eq!(health["status"], "healthy");
    assert_eq!(health["environment"], "dev");
    assert_eq!(health["version"], env!("CARGO_PKG_VERSION"));
    assert!(DateTime::parse_from_rfc3339(health["timestamp"].as_str().unwrap()).is_ok());
}

#[tokio::test]
async fn only_services_look_deeper() {
    let app = App::start().await;
    let tenant = app.sign_up("Comptoir Baobab").await;

    app.get("/health?deep=1").await.refused(401, "unauthorized");
    app.get("/health?deep=1").by(&tenant).await.refused(403, "forbidden");
    app.get("/health?deep=yes").await.names(&["deep"]);
    assert!(app.get("/health?deep=0").await.bare(200).get("checks").is_none());

    let health = app.get("/health?deep=1").by(app.service_token()).await.bare(200);
    assert_eq!(health["status"], "healthy");
    let checks = health["checks"].as_object().unwrap();
    assert_eq!(checks.keys().collect::<Vec<_>>(), ["database", "queue", "storage"]);
    for (name, check) in checks {
        assert_eq!(check["up"], true, "{name}");
        assert!(check["latency_ms"].as_f64().unwrap() > 0.0, "{name}");
    }
}

#[tokio::test]
async fn a_lost_database_degrades_the_health_and_nothing_else() {
    let network = Proxy::before_database().await;
    let app = App::with(&network.settings()).await;

    network.refuse().await;
    let health = app.get("/health?deep=1").by(app.service_token()).await.bare(503);
    assert_eq!(health["status"], "degraded");
    assert_eq!(health["checks"]["database"]["up"], false);
    assert_eq!(health["checks"]["queue"]["up"], true);
    assert_eq!(health["checks"]["storage"]["up"], true);
    assert_eq!(app.get("/health").await.bare(200)["status"], "healthy");

    network.restore().await;
    wait_until("the database is found again", SOON, async || {
        (app.get("/health?deep=1").by(app.service_token()).await.status == 200).then_some(())
    })
    .await;
}
