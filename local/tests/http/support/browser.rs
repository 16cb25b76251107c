//! Headless Chromium, driven through the DevTools protocol over a pipe, which needs neither a port nor a driver.

use std::{path::PathBuf, process::Stdio, time::Duration};

use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    process::{Child, ChildStdin, ChildStdout, Command},
};
use uuid::Uuid;

use super::{WAIT_TIMEOUT, wait_until};

/// Program names of Chromium in Debian and other distributions.
const PROGRAM_NAMES: [&str; 3] = ["chromium", "chromium-browser", "google-chrome"];

/// A browser with one page.
pub(crate) struct Browser {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    profile: PathBuf,
    session: Option<String>,
    last_id: u64,
    /// DevTools events received so far, in order.
    events: Vec<Value>,
}

impl Drop for Browser {
    fn drop(&mut self) {
        // After a failed test Chromium may still be writing its profile. Files left behind only take space until the
        // temporary folder is cleaned.
        let _ = std::fs::remove_dir_all(&self.profile);
    }
}

impl Browser {
    /// Starts a browser. `None` when Chromium is not installed: standard error says what to install, and the test
    /// returns.
    pub(crate) async fn start() -> Option<Self> {
        let program = local::testing::program("Chromium", "chromium", &PROGRAM_NAMES).unwrap()?;
        let profile = std::env::temp_dir().join(format!("lisa-browser-{}", Uuid::new_v4()));
        // Chromium reads commands from descriptor 3 and writes answers to 4. The shell duplicates its own 0 and 1 to
        // these.
        let mut child = Command::new("sh")
            .args(["-c", r#"exec "$0" "$@" 3<&0 4>&1 </dev/null >/dev/null 2>&1"#])
            .arg(program)
            .args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"])
            .args(["--disable-background-networking", "--disable-component-update", "--disable-sync"])
            .args(["--no-proxy-server", "--remote-debugging-pipe"])
            .arg(format!("--user-data-dir={}", profile.display()))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let (input, output) = (child.stdin.take().unwrap(), BufReader::new(child.stdout.take().unwrap()));
        let mut browser = Self { child, input, output, profile, session: None, last_id: 0, events: Vec::new() };
        let target = browser.send("Target.createTarget", json!({ "url": "about:blank" })).await;
        let attach = json!({ "targetId": target["targetId"], "flatten": true });
        let attached = browser.send("Target.attachToTarget", attach).await;
        browser.session = Some(attached["sessionId"].as_str().unwrap().to_owned());
        for domain in ["Page", "Runtime", "Network", "Log"] {
            browser.send(&format!("{domain}.enable"), json!({})).await;
        }
        Some(browser)
    }

    /// Closes the browser and waits until the process has ended, since it writes its profile until then.
    pub(crate) async fn close(mut self) {
        self.session = None;
        self.send("Browser.close", json!({})).await;
        self.child.wait().await.unwrap();
    }

    /// Sets the size of the page, in CSS pixels.
    pub(crate) async fn resize(&mut self, width: u32, height: u32) {
        let size = json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": false });
        self.send("Emulation.setDeviceMetricsOverride", size).await;
    }

    /// Navigates to a URL.
    pub(crate) async fn open(&mut self, url: &str) {
        let opened = self.send("Page.navigate", json!({ "url": url })).await;
        assert_eq!(opened["errorText"], Value::Null, "{url}");
    }

    /// Evaluates a JavaScript expression in the page and returns its value.
    pub(crate) async fn evaluate(&mut self, expression: &str) -> Value {
        let asked = json!({ "expression": expression, "returnByValue": true });
        let mut answer = self.send("Runtime.evaluate", asked).await;
        assert_eq!(answer["exceptionDetails"], Value::Null, "{expression}");
        answer["result"]["value"].take()
    }

    /// Waits until a JavaScript expression in the page is true.
    pub(crate) async fn wait_for(&mut self, expression: &str) {
        wait_until(expression, WAIT_TIMEOUT, async || (self.evaluate(expression).await == true).then_some(())).await;
    }

    /// Clicks in the middle of the element that a selector finds. As with a real mouse, an element that covers it
    /// gets the click.
    pub(crate) async fn click(&mut self, selector: &str) {
        let place = format!(
            "(() => {{ const found = document.querySelector({selector:?}); found.scrollIntoView({{block: 'center'}}); \
             const box = found.getBoundingClientRect(); return [box.x + box.width / 2, box.y + box.height / 2]; }})()"
        );
        let place = self.evaluate(&place).await;
        for kind in ["mousePressed", "mouseReleased"] {
            let event = json!({ "type": kind, "x": place[0], "y": place[1], "button": "left", "clickCount": 1 });
            self.send("Input.dispatchMouseEvent", event).await;
        }
    }

    /// Presses and releases a key.
    pub(crate) async fn press(&mut self, key: &str, text: Option<&str>) {
        let code = if key == "Enter" { 13 } else { 0 };
        let down = json!({ "type": "keyDown", "key": key, "text": text, "windowsVirtualKeyCode": code });
        self.send("Input.dispatchKeyEvent", down).await;
        self.send("Input.dispatchKeyEvent", json!({ "type": "keyUp", "key": key })).await;
    }

    /// Types text into the focused element.
    pub(crate) async fn type_text(&mut self, text: &str) {
        self.send("Input.insertText", json!({ "text": text })).await;
    }

    /// The URLs of all requests so far.
    pub(crate) fn requested_urls(&self) -> Vec<&str> {
        let requests = self.events.iter().filter(|event| event["method"] == "Network.requestWillBeSent");
        requests.map(|event| event["params"]["request"]["url"].as_str().unwrap()).collect()
    }

    /// Problems reported so far by the page or the browser: exceptions, failed loads, console calls, logged errors
    /// (including violations of the content security policy).
    pub(crate) fn problems(&self) -> Vec<&Value> {
        let is_problem = |event: &&Value| match event["method"].as_str() {
            Some("Runtime.exceptionThrown" | "Network.loadingFailed") => true,
            Some("Runtime.consoleAPICalled") => true,
            Some("Log.entryAdded") => event["params"]["entry"]["level"] == "error",
            _ => false,
        };
        self.events.iter().filter(is_problem).collect()
    }

    /// Sends a DevTools command and returns its result.
    async fn send(&mut self, method: &str, params: Value) -> Value {
        self.last_id += 1;
        let mut command = json!({ "id": self.last_id, "method": method, "params": params });
        if let Some(session) = &self.session {
            command["sessionId"] = json!(session);
        }
        self.input.write_all(format!("{command}\0").as_bytes()).await.unwrap();
        let answered = tokio::time::timeout(Duration::from_secs(60), self.answer(self.last_id)).await;
        let mut answer = answered.unwrap_or_else(|_| panic!("Chromium does not answer {method}"));
        assert_eq!(answer["error"], Value::Null, "{method}");
        answer["result"].take()
    }

    /// Reads messages until the answer to a command; events before it are collected.
    async fn answer(&mut self, id: u64) -> Value {
        loop {
            let mut message = Vec::new();
            self.output.read_until(0, &mut message).await.unwrap();
            assert_eq!(message.pop(), Some(0), "Chromium ended");
            let message: Value = serde_json::from_slice(&message).unwrap();
            if message["id"] == id {
                return message;
            }
            self.events.push(message);
        }
    }
}
