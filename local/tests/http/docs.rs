//! `GET /openapi.json` and `GET /docs`, the latter also in a browser.

use base64::{Engine, prelude::BASE64_STANDARD};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::support::{App, Browser, new_email, repository_file};

const PATHS: [&str; 2] = ["/openapi.json", "/docs"];

#[tokio::test]
async fn openapi_json_is_served_as_committed() {
    let app = App::with_settings(&[("CORS_ORIGINS", "https://app.example.com")]).await;
    let answer = app.get("/openapi.json").header("origin", "https://app.example.com").await;
    assert_eq!(answer.header("content-type"), "application/json");
    assert_eq!(answer.header("access-control-allow-origin"), "https://app.example.com");
    assert_eq!(answer.text.as_bytes(), repository_file("openapi.json"));
    answer.json_body(200);
}

#[tokio::test]
async fn openapi_json_and_docs_are_revalidated_by_etag() {
    let app = App::start().await;
    for path in PATHS {
        let first = app.get(path).await;
        let etag = first.header("etag").to_owned();
        assert!(etag.len() > 40, "{etag}");
        assert_eq!(first.header("cache-control"), "public, max-age=300");
        first.json_body(200);
        for known in [etag.clone(), format!("W/{etag}"), format!("\"other\", {etag}")] {
            let again = app.get(path).header("if-none-match", &known).await;
            assert_eq!((again.status, again.text.as_str()), (304, ""), "{path} {known}");
            assert_eq!(again.header("etag"), etag);
        }
        app.get(path).header("if-none-match", "\"other\"").await.json_body(200);
    }
}

#[tokio::test]
async fn the_docs_page_allows_its_own_script_and_style_only() {
    let app = App::start().await;
    let page = app.get("/docs").await;
    let inside = |tag: &str| {
        let (_, rest) = page.text.split_once(&format!("<{tag}>")).unwrap();
        let (inside, rest) = rest.split_once(&format!("</{tag}>")).unwrap();
        assert!(!rest.contains(&format!("<{tag}")), "there is one {tag}");
        format!("sha256-{}", BASE64_STANDARD.encode(Sha256::digest(inside)))
    };
    let expected = format!(
        "default-src 'none'; script-src '{}'; style-src '{}'; img-src data:; connect-src 'self'; base-uri 'none'; \
         form-action 'none'; frame-ancestors 'none'",
        inside("script"),
        inside("style")
    );
    assert_eq!(page.header("content-security-policy"), expected);
    assert_eq!(page.header("content-type"), "text/html; charset=utf-8");
    assert_eq!(page.header("x-content-type-options"), "nosniff");
    assert_eq!(page.header("referrer-policy"), "no-referrer");
    assert!(!page.text.contains("//cdn") && !page.text.contains("https://"), "nothing comes from elsewhere");
}

/// Neither route is rate limited, so neither needs the database.
#[tokio::test]
async fn openapi_json_and_docs_are_served_while_the_database_is_unavailable() {
    let app = App::with_settings(&[("DATABASE_URL", "postgres://lisa_app@127.0.0.1:1/lisa")]).await;
    for path in PATHS {
        app.get(path).await.json_body(200);
    }
}

/// Opens an operation's card by its link.
async fn open_card(browser: &mut Browser, id: &str) {
    browser.evaluate(&format!("location.hash = '{id}'")).await;
    browser.wait_for(&format!("document.querySelector(\"[id='{id}'] .inside\") !== null")).await;
}

/// Sends the request of an operation and returns its answer.
async fn try_it(browser: &mut Browser, id: &str, status: u16) -> Value {
    let answer = format!("document.querySelector(\"[id='{id}'] .answer .status\")");
    browser.click(&format!("[id='{id}'] button.send")).await;
    browser.wait_for(&format!("({answer}?.textContent ?? '').startsWith('{status}')")).await;
    let body = format!("document.querySelector(\"[id='{id}'] .answer .body\").textContent");
    serde_json::from_str(browser.evaluate(&body).await.as_str().unwrap()).unwrap()
}

#[tokio::test]
async fn the_docs_page_keeps_the_token_for_the_tab_until_it_is_forgotten() {
    let Some(mut browser) = Browser::start().await else { return };
    let app = App::start().await;
    let owner = app.sign_up("Comptoir Baobab").await;
    let quota = "get-/api/v1/quota/status";
    browser.open(&format!("{}/docs#{quota}", app.stack.base_url())).await;
    open_card(&mut browser, quota).await;
    browser.evaluate("document.getElementById('token').focus()").await;
    browser.type_text(&owner.token).await;
    try_it(&mut browser, quota, 200).await;

    browser.evaluate("window.isOld = true; location.reload()").await;
    browser
        .wait_for("!window.isOld && document.querySelector(\"[id='get-/api/v1/quota/status'] .inside\") !== null")
        .await;
    try_it(&mut browser, quota, 200).await;
    let elsewhere = browser.evaluate("[document.cookie, localStorage.length, sessionStorage.length]").await;
    assert_eq!(elsewhere, json!(["", 0, 1]), "only the tab has the token");

    browser.click("#forget").await;
    assert_eq!(browser.evaluate("document.getElementById('token').value").await, "");
    try_it(&mut browser, quota, 401).await;
    browser.close().await;
}

#[tokio::test]
async fn the_docs_page_asks_for_the_webhook_secret_where_a_route_wants_it() {
    let Some(mut browser) = Browser::start().await else { return };
    let app = App::start().await;
    let owner = app.sign_up("Comptoir Baobab").await;
    let webhook = "post-/api/v1/webhook/manychat";
    browser.open(&format!("{}/docs#{webhook}", app.stack.base_url())).await;
    open_card(&mut browser, webhook).await;
    let field = "[aria-label=\"X-Webhook-Secret\"]";
    let fields = browser.evaluate(&format!("document.querySelectorAll('{field}').length")).await;
    assert_eq!(fields, 1, "only the opened route has the field");

    // Without the secret nothing is sent: the page asks for it.
    browser.click(&format!("[id='{webhook}'] button.send")).await;
    browser.wait_for(&format!("document.activeElement === document.querySelector('{field}')")).await;
    let note = format!("document.querySelector(\"[id='{webhook}'] form [role=status]\").textContent");
    assert_eq!(browser.evaluate(&note).await, "X-Webhook-Secret is missing");

    let secret = app.webhook_secret(&owner).await;
    browser.type_text(&secret).await;
    let answer = try_it(&mut browser, webhook, 200).await;
    assert_eq!(answer["content"]["messages"][0]["text"], "OK, bien reçu");
    let command = format!("document.querySelector(\"[id='{webhook}'] .answer details pre\").textContent");
    let command = browser.evaluate(&command).await;
    let command = command.as_str().unwrap();
    assert!(command.contains("\"X-Webhook-Secret: $WEBHOOK_SECRET\"") && !command.contains(&secret), "{command}");
    browser.close().await;
}

#[tokio::test]
async fn the_docs_page_shows_examples_next_calls_and_roles_also_on_a_phone() {
    let Some(mut browser) = Browser::start().await else { return };
    let app = App::start().await;
    browser.resize(390, 844).await;
    let upload = "post-/api/v1/documents/upload";
    browser.open(&format!("{}/docs#{upload}", app.stack.base_url())).await;
    open_card(&mut browser, upload).await;

    let example = format!("document.querySelector(\"[id='{upload}'] .response[open] pre.example\").textContent");
    let example: Value = serde_json::from_str(browser.evaluate(&example).await.as_str().unwrap()).unwrap();
    assert_eq!(example["data"]["document"]["filename"], "guide-livraison.pdf");
    let next =
        format!("[...document.querySelectorAll(\"[id='{upload}'] .response[open] .next a\")].map((one) => one.hash)");
    let next = browser.evaluate(&next).await;
    assert!(next.as_array().unwrap().iter().any(|one| one == "#get-/api/v1/documents/{id}"), "{next}");

    let document: Value = serde_json::from_slice(&repository_file("openapi.json")).unwrap();
    let roles = document["components"]["securitySchemes"]["bearer"]["x-roles"].as_array().unwrap();
    let explained = browser.evaluate("[...document.querySelectorAll('#roles dt')].map((one) => one.textContent)").await;
    for role in roles {
        assert!(explained.as_array().unwrap().contains(&role["name"]), "{explained}");
    }

    browser.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true; })").await;
    browser
        .wait_for("document.querySelectorAll('.inside').length === document.querySelectorAll('.operation').length")
        .await;
    let page = "document.documentElement";
    let widths = browser.evaluate(&format!("[{page}.scrollWidth, {page}.clientWidth]")).await;
    assert_eq!(widths[0], widths[1], "nothing is wider than the phone");
    browser.close().await;
}

/// The ids that /docs gives to the operations of openapi.json: method and path.
fn operation_ids() -> Vec<String> {
    let document: Value = serde_json::from_slice(&repository_file("openapi.json")).unwrap();
    let paths = document["paths"].as_object().unwrap().iter();
    paths
        .flat_map(|(path, item)| item.as_object().unwrap().keys().map(move |method| format!("{method}-{path}")))
        .collect()
}

#[tokio::test]
async fn the_docs_page_lists_and_calls_the_api_in_a_browser() {
    let Some(mut browser) = Browser::start().await else { return };
    let app = App::start().await;
    let docs = format!("{}/docs", app.stack.base_url());

    // The list of operations is hidden on a narrow screen.
    browser.resize(1280, 900).await;
    browser.open(&format!("{docs}#get-/health")).await;
    browser.wait_for("document.querySelectorAll('details.operation').length > 0").await;
    let mut expected = operation_ids();
    let shown = browser.evaluate("[...document.querySelectorAll('details.operation')].map((card) => card.id)").await;
    let mut shown: Vec<String> = serde_json::from_value(shown).unwrap();
    expected.sort();
    shown.sort();
    assert_eq!(shown, expected);
    // Each operation can be opened and then shows its parameters, schemas and errors.
    browser.evaluate("document.querySelectorAll('details.operation').forEach((card) => { card.open = true; })").await;
    browser
        .wait_for("document.querySelectorAll('.inside').length === document.querySelectorAll('.operation').length")
        .await;

    let says = |id: &str, status: u16| {
        let answer = format!("document.getElementById('{id}').querySelector('.answer .status')");
        format!("({answer}?.textContent ?? '').startsWith('{status}')")
    };
    let button = |id: &str| format!("[id='{id}'] button.send");
    browser.click(&button("get-/health")).await;
    browser.wait_for(&says("get-/health", 200)).await;
    let answer = |part: &str| format!("document.querySelector(\"[id='get-/health'] .answer .{part}\").textContent");
    assert!(browser.evaluate(&answer("headers")).await.as_str().unwrap().contains("x-request-id: "));
    let body: Value = serde_json::from_str(browser.evaluate(&answer("body")).await.as_str().unwrap()).unwrap();
    assert_eq!(body["status"], "healthy");

    // The request is refused without a token and succeeds with the token of a new account.
    browser.click(&button("get-/api/v1/quota/status")).await;
    browser.wait_for(&says("get-/api/v1/quota/status", 401)).await;
    let signup = json!({ "email": new_email(), "password": "correct horse battery", "company_name": "Comptoir" });
    let text = "document.querySelector(\"[id='post-/api/v1/auth/signup'] textarea\")";
    browser.evaluate(&format!("{text}.value = {:?}", signup.to_string())).await;
    browser.click(&button("post-/api/v1/auth/signup")).await;
    browser.wait_for(&says("post-/api/v1/auth/signup", 201)).await;
    browser.click("[id='post-/api/v1/auth/signup'] .answer button").await;
    browser.click(&button("get-/api/v1/quota/status")).await;
    browser.wait_for(&says("get-/api/v1/quota/status", 200)).await;

    // The filter can be reached and used by keyboard alone. It also shortens the list of operations.
    browser.evaluate("document.activeElement.blur()").await;
    browser.press("/", Some("/")).await;
    browser.type_text("documents retry").await;
    let visible = |kind: &str| {
        format!("[...document.querySelectorAll('{kind}')].filter((one) => one.checkVisibility()).length === 1")
    };
    browser.wait_for(&visible(".operation")).await;
    browser.wait_for(&visible("nav a")).await;
    assert_eq!(browser.evaluate("document.getElementById('count').textContent").await, "1 found");

    let origin = app.stack.base_url();
    let foreign: Vec<_> = browser
        .requested_urls()
        .into_iter()
        .filter(|url| !url.starts_with(&origin) && !url.starts_with("data:"))
        .collect();
    assert_eq!(foreign, Vec::<&str>::new());
    // The browser itself may report only the refused request (401).
    let complaints = browser.problems();
    assert!(complaints.len() <= 1 && complaints.iter().all(|one| one.to_string().contains("401")), "{complaints:#?}");
    browser.close().await;
}
