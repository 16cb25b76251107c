//! `cargo phone`: a WhatsApp chat in the terminal, in the role of a customer. Each line is sent to the webhook of the
//! running `cargo dev`, as ManyChat sends it; the replies are read from the fake ManyChat.

use std::{
    fs,
    io::{self, BufRead, IsTerminal, Write},
    path::PathBuf,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use chrono::{DateTime, Local, SecondsFormat, Utc};
use clap::{Args, ValueEnum};
use reqwest::{Client, Url};
use serde_json::{Value, json};
use tokio::{sync::mpsc, task::JoinSet};

use crate::running;

/// The timeout of an HTTP request. The fake ManyChat ends a long poll after 20 s.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(40);
/// The wait for another part of an answer: WhatsApp delivers about one message per six seconds.
const QUIET_PERIOD: Duration = Duration::from_secs(8);
const HELP: &str = "/image, /voice: send one · /mode ok|slow|429|500|200-error|3011|lost: ManyChat's behaviour · /quit";

/// Chats with a tenant of the running `cargo dev`, as a customer on WhatsApp. Each line is a message.
///
/// Reads from the terminal or from a pipe. Ends after the last line, when the answers have arrived.
#[derive(Debug, Args)]
pub struct Arguments {
    /// ManyChat's id of the contact who writes.
    #[arg(long, default_value = "132")]
    contact: String,
    /// The contact's name.
    #[arg(long, default_value = "Awa")]
    name: String,
    /// The tenant to write to.
    #[arg(long, value_enum, default_value_t = TenantChoice::Demo)]
    tenant: TenantChoice,
    /// The webhook secret of another company, to write to it in place of the tenant. The company is connected with the
    /// tenant's ManyChat key.
    #[arg(long)]
    secret: Option<String>,
    /// The base URL of the product [default: that of the demo file].
    #[arg(long)]
    url: Option<String>,
    /// Seconds to wait for answers after the last line.
    #[arg(long, default_value_t = 30)]
    wait: u64,
    /// The demo file that `cargo dev` writes [default: that of the running `cargo dev`].
    #[arg(long)]
    demo: Option<PathBuf>,
}

/// A demo tenant.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum TenantChoice {
    /// The first demo tenant.
    Demo,
    /// The second demo tenant.
    Other,
}

/// Chats until the input ends.
///
/// # Errors
/// Fails when the stack does not run or a message was refused.
pub async fn run(arguments: Arguments) -> Result<()> {
    let phone = ContactPhone::open(&arguments)?;
    let mut output = io::stdout();
    if io::stdin().is_terminal() {
        writeln!(output, "  You are {}, contact {}, and write to {}.", phone.name, phone.contact, phone.company)?;
        writeln!(output, "  {HELP}\n")?;
    }
    phone.chat(stdin_lines(), &mut output).await
}

/// The lines of standard input, read on a thread: a blocking read cannot be cancelled, and ends with the process.
fn stdin_lines() -> mpsc::Receiver<io::Result<String>> {
    let (sender, lines) = mpsc::channel(1);
    std::thread::spawn(move || {
        for line in io::stdin().lock().lines() {
            let is_broken = line.is_err();
            if sender.blocking_send(line).is_err() || is_broken {
                break;
            }
        }
    });
    lines
}

/// A contact's phone, connected to the webhook and to the fake ManyChat.
struct ContactPhone {
    http: Client,
    /// The base URL of the product.
    url: String,
    /// The base URL of the fake ManyChat.
    manychat: String,
    page: String,
    secret: String,
    company: String,
    contact: String,
    name: String,
    wait: Duration,
    quiet: Duration,
}

/// The result of an input line.
enum LineResult {
    Sent,
    Refused,
    /// The line was blank or a command of this program; nothing was sent to the product.
    Local,
    Quit,
}

impl ContactPhone {
    fn open(arguments: &Arguments) -> Result<Self> {
        let file = running::demo_file(arguments.demo.as_deref());
        let shown = file.display();
        let text = fs::read_to_string(&file).with_context(|| {
            format!("{shown} cannot be read: is `cargo dev` running? --demo names another demo.json")
        })?;
        let demo: Value = serde_json::from_str(&text).with_context(|| format!("{shown} is not valid JSON"))?;
        let of_file = |value: &Value, name: &str| {
            let value = value[name].as_str().map(str::to_owned);
            value.with_context(|| format!("{shown} names no {name}: start `cargo dev` again"))
        };
        let tenant = match arguments.tenant {
            TenantChoice::Demo => &demo["tenant"],
            TenantChoice::Other => &demo["other_tenant"],
        };
        let manychat = demo["manychat_url"].as_str().map(str::to_owned);
        Ok(Self {
            http: Client::builder()
                .timeout(REQUEST_TIMEOUT)
                .no_proxy()
                .build()
                .context("the HTTP client cannot be built")?,
            url: arguments.url.clone().map_or_else(|| of_file(&demo, "base_url"), Ok)?,
            manychat: manychat
                .context("`cargo dev` runs without its fake ManyChat, as MANYCHAT_BASE_URL is set: answers go there")?,
            page: of_file(tenant, "manychat_page")?,
            secret: arguments.secret.clone().map_or_else(|| of_file(tenant, "webhook_secret"), Ok)?,
            // A secret does not tell its company's name.
            company: arguments
                .secret
                .as_ref()
                .map_or_else(|| of_file(tenant, "company_id"), |_| Ok("company".to_owned()))?,
            contact: arguments.contact.clone(),
            name: arguments.name.clone(),
            wait: Duration::from_secs(arguments.wait),
            quiet: QUIET_PERIOD,
        })
    }

    /// Sends each line and prints the messages that arrive, until the input has ended and the answers are there.
    async fn chat(&self, mut lines: mpsc::Receiver<io::Result<String>>, output: &mut impl Write) -> Result<()> {
        let poller = self.poller()?;
        // Skips messages of earlier sessions.
        let known = poller.poll(None).await?;
        let (sender, mut answers) = mpsc::channel(1);
        let mut polling = JoinSet::new();
        polling.spawn(poller.run(known.after, sender));

        let (mut refused, mut sent_at, mut answered_at, mut ended_at) = (0, None, None, None);
        loop {
            let deadline = ended_at.map(|ended: Instant| match (sent_at, answered_at) {
                (None, _) => ended,
                (Some(_), None) => ended + self.wait,
                (Some(_), Some(answered)) => (ended + self.wait).min(answered + self.quiet),
            });
            tokio::select! {
                line = lines.recv(), if ended_at.is_none() => match line {
                    None => ended_at = Some(Instant::now()),
                    Some(line) => match self.handle(line.context("the input cannot be read")?.trim(), output).await? {
                        LineResult::Sent => (sent_at, answered_at) = (Some(Instant::now()), None),
                        LineResult::Refused => refused += 1,
                        LineResult::Local => {}
                        LineResult::Quit => break,
                    },
                },
                answer = answers.recv() => {
                    let Some(answer) = answer else { bail!("the fake ManyChat has ended") };
                    let IncomingMessage { at, text } = answer?;
                    let at = at.with_timezone(&Local).format("%H:%M:%S");
                    writeln!(output, "  {at} {} > {}", self.company, text.replace('\n', "\n           "))?;
                    answered_at = Some(Instant::now());
                },
                () = wait_until(deadline) => {
                    if sent_at.is_some() && answered_at.is_none() {
                        writeln!(output, "  no answer within {} s", self.wait.as_secs())?;
                    }
                    break;
                }
            }
            output.flush()?;
        }
        output.flush()?;
        match refused {
            0 => Ok(()),
            1 => bail!("a message was refused"),
            count => bail!("{count} messages were refused"),
        }
    }

    async fn handle(&self, line: &str, output: &mut impl Write) -> Result<LineResult> {
        match line.split_once(' ').unwrap_or((line, "")) {
            ("", _) => Ok(LineResult::Local),
            ("/quit", _) => Ok(LineResult::Quit),
            ("/image", _) => self.send(json!({ "message": { "type": "image" } }), output).await,
            ("/voice", _) => self.send(json!({ "message": { "type": "audio" } }), output).await,
            ("/mode", mode) => self.change_mode(mode.trim(), output).await,
            (command, _) if command.starts_with('/') => {
                writeln!(output, "  {HELP}")?;
                Ok(LineResult::Local)
            }
            _ => self.send(json!({ "last_input_text": line }), output).await,
        }
    }

    /// Calls the webhook like the documented External Request of a ManyChat bot.
    async fn send(&self, what: Value, output: &mut impl Write) -> Result<LineResult> {
        let mut body = json!({
            "id": self.contact.parse::<u64>().map_or_else(|_| json!(self.contact), |number| json!(number)),
            "key": format!("user:{}", self.contact),
            "page_id": self.page,
            "first_name": self.name,
            "last_name": "",
            "name": self.name,
            "locale": "fr_FR",
            "language": "French",
            "timezone": "UTC+00",
            "last_input_text": "",
            "last_interaction": Utc::now().to_rfc3339_opts(SecondsFormat::Micros, true),
            "whatsapp_phone": format!("+22507{:0>8}", self.contact),
            "custom_fields": {},
        });
        for (name, value) in what.as_object().into_iter().flatten() {
            body[name] = value.clone();
        }
        let request = self.http.post(format!("{}/api/v1/webhook/manychat", self.url));
        let started = Instant::now();
        let answer = request.header("x-webhook-secret", &self.secret).json(&body).send().await;
        let answer = answer.with_context(|| format!("nothing answers on {}: is `cargo dev` running?", self.url))?;
        let status = answer.status();
        let answer: Value = answer.json().await.unwrap_or_default();
        let took_ms = started.elapsed().as_millis();
        if !status.is_success() {
            let error = &answer["error"];
            let [code, message] = [&error["code"], &error["message"]].map(|text| text.as_str().unwrap_or("?"));
            let details = Some(&error["details"]).filter(|details| !details.is_null());
            let details = details.map(|details| format!(" {details}")).unwrap_or_default();
            writeln!(output, "  refused: HTTP {} {code}: {message}{details}", status.as_u16())?;
            return Ok(LineResult::Refused);
        }
        let texts = answer["content"]["messages"].as_array().into_iter().flatten();
        let texts: Vec<_> = texts.filter_map(|message| message["text"].as_str()).collect();
        writeln!(output, "  ✓ {}({took_ms} ms)", texts.iter().map(|text| format!("{text} ")).collect::<String>())?;
        Ok(LineResult::Sent)
    }

    async fn change_mode(&self, mode: &str, output: &mut impl Write) -> Result<LineResult> {
        let request = self.http.put(format!("{}/_mode", self.manychat)).json(&json!({ "mode": mode }));
        let answer = request.send().await.context("the fake ManyChat does not answer: is `cargo dev` running?")?;
        if answer.status().is_success() {
            writeln!(output, "  ManyChat: {mode}")?;
        } else {
            writeln!(output, "  {HELP}")?;
        }
        Ok(LineResult::Local)
    }

    fn poller(&self) -> Result<MessagePoller> {
        let mut url = Url::parse(&self.manychat).context("the address of the fake ManyChat is malformed")?;
        if let Ok(mut path) = url.path_segments_mut() {
            path.extend(["_phone", &self.contact]);
        }
        url.query_pairs_mut().append_pair("page", &self.page);
        Ok(MessagePoller { http: self.http.clone(), url })
    }
}

async fn wait_until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline.into()).await,
        None => std::future::pending().await,
    }
}

/// A message to the contact.
#[derive(Debug, serde::Deserialize)]
struct IncomingMessage {
    at: DateTime<Utc>,
    text: String,
}

/// The fake ManyChat's answer to a poll.
#[derive(Debug, serde::Deserialize)]
struct PollResponse {
    messages: Vec<IncomingMessage>,
    after: usize,
}

/// Polls the fake ManyChat for messages to the contact.
struct MessagePoller {
    http: Client,
    url: Url,
}

impl MessagePoller {
    async fn run(self, mut after: usize, sender: mpsc::Sender<Result<IncomingMessage>>) {
        loop {
            match self.poll(Some(after)).await {
                Ok(response) => {
                    after = response.after;
                    for message in response.messages {
                        if sender.send(Ok(message)).await.is_err() {
                            return;
                        }
                    }
                }
                // This error ends the chat.
                Err(error) => return drop(sender.send(Err(error)).await),
            }
        }
    }

    async fn poll(&self, after: Option<usize>) -> Result<PollResponse> {
        let mut url = self.url.clone();
        if let Some(after) = after {
            url.query_pairs_mut().append_pair("after", &after.to_string());
        }
        let answer = self.http.get(url).send().await;
        let answer = answer.context("the fake ManyChat does not answer: is `cargo dev` running?")?;
        answer.json().await.context("the fake ManyChat's answer cannot be read")
    }
}

#[cfg(test)]
mod tests {
    use axum::{
        Json, Router,
        extract::State,
        http::{HeaderMap, StatusCode},
        routing::post,
    };
    use tokio::net::TcpListener;

    use super::*;
    use crate::fakes::manychat::{FakeManyChat, KEYS};

    /// Stands in for the webhook: acknowledges as documented, and sends an answer to each text.
    struct Product {
        url: String,
        _serving: JoinSet<()>,
    }

    async fn receive(
        State(manychat): State<String>,
        headers: HeaderMap,
        Json(body): Json<Value>,
    ) -> (StatusCode, Json<Value>) {
        if headers["x-webhook-secret"] != "whs_1" {
            let error = json!({ "code": "invalid_webhook_secret", "message": "no", "details": null });
            return (StatusCode::UNAUTHORIZED, Json(json!({ "success": false, "error": error })));
        }
        let text = match body["last_input_text"].as_str().unwrap() {
            "" => format!("a {}", body["message"]["type"].as_str().unwrap()),
            text => format!("{}, {}: {text}", body["name"].as_str().unwrap(), body["whatsapp_phone"].as_str().unwrap()),
        };
        if text != "a audio" {
            let messages = json!([{ "type": "text", "text": text }]);
            let data = json!({ "version": "v2", "content": { "type": "whatsapp", "messages": messages } });
            let content = json!({ "subscriber_id": body["id"], "data": data });
            let request = client().post(format!("{manychat}/fb/sending/sendContent")).bearer_auth(KEYS[0]);
            request.json(&content).send().await.unwrap();
        }
        let messages = json!([{ "type": "text", "text": "OK, bien reçu" }]);
        let content = json!({ "type": "whatsapp", "messages": messages, "actions": [], "quick_replies": [] });
        (StatusCode::OK, Json(json!({ "version": "v2", "content": content })))
    }

    impl Product {
        async fn start(manychat: &FakeManyChat) -> Self {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let url = format!("http://{}", listener.local_addr().unwrap());
            let router = Router::new().route("/api/v1/webhook/manychat", post(receive)).with_state(manychat.base_url());
            let mut serving = JoinSet::new();
            serving.spawn(async move { axum::serve(listener, router).await.unwrap() });
            Self { url, _serving: serving }
        }
    }

    fn client() -> Client {
        Client::builder().timeout(REQUEST_TIMEOUT).no_proxy().build().unwrap()
    }

    fn phone(url: &str, manychat: &FakeManyChat, secret: &str) -> ContactPhone {
        ContactPhone {
            http: client(),
            url: url.to_owned(),
            manychat: manychat.base_url(),
            page: "1001".to_owned(),
            secret: secret.to_owned(),
            company: "boutique-awa".to_owned(),
            contact: "132".to_owned(),
            name: "Awa".to_owned(),
            wait: Duration::from_secs(30),
            quiet: Duration::ZERO,
        }
    }

    /// The output for these input lines, without times and latencies, and the result of the chat.
    async fn shown(phone: &ContactPhone, lines: &[&str]) -> (Vec<String>, Result<()>) {
        let (sender, typed) = mpsc::channel(lines.len().max(1));
        for line in lines {
            sender.send(Ok((*line).to_owned())).await.unwrap();
        }
        drop(sender);
        let mut output = Vec::new();
        let ended = phone.chat(typed, &mut output).await;
        let lines = String::from_utf8(output)
            .unwrap()
            .lines()
            .map(|line| {
                let line = line.trim();
                let line = line.split_once(" boutique-awa > ").map_or(line, |(_, text)| text);
                line.split(" (").next().unwrap().to_owned()
            })
            .collect();
        (lines, ended)
    }

    #[test]
    fn secret_replaces_that_of_the_tenant_whose_page_is_used() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let tenant = json!({ "manychat_page": "1001", "webhook_secret": "whs_1", "company_id": "boutique-awa" });
        let demo = json!({ "base_url": "http://127.0.0.1:9", "manychat_url": "http://127.0.0.1:8", "tenant": tenant });
        fs::write(file.path(), demo.to_string()).unwrap();
        let opened = |secret: Option<&str>| {
            let phone = ContactPhone::open(&Arguments {
                contact: "132".to_owned(),
                name: "Awa".to_owned(),
                tenant: TenantChoice::Demo,
                secret: secret.map(str::to_owned),
                url: None,
                wait: 30,
                demo: Some(file.path().to_owned()),
            });
            let phone = phone.unwrap();
            [phone.page, phone.secret, phone.company]
        };
        assert_eq!(opened(None), ["1001", "whs_1", "boutique-awa"]);
        assert_eq!(opened(Some("whs_2")), ["1001", "whs_2", "company"]);
    }

    #[tokio::test]
    async fn piped_lines_print_acknowledgement_and_answer() {
        let manychat = FakeManyChat::start().await.unwrap();
        let product = Product::start(&manychat).await;
        let phone = phone(&product.url, &manychat, "whs_1");
        let (lines, ended) = shown(&phone, &["", "Bonjour"]).await;
        ended.unwrap();
        assert_eq!(lines, ["✓ OK, bien reçu", "Awa, +2250700000132: Bonjour"]);
        // Messages of the first chat are not printed again.
        let (lines, ended) = shown(&phone, &["/image"]).await;
        ended.unwrap();
        assert_eq!(lines, ["✓ OK, bien reçu", "a image"]);
    }

    #[tokio::test]
    async fn chat_ends_when_no_answer_arrives_in_time() {
        let manychat = FakeManyChat::start().await.unwrap();
        let product = Product::start(&manychat).await;
        let mut phone = phone(&product.url, &manychat, "whs_1");
        phone.wait = Duration::ZERO;
        let (lines, ended) = shown(&phone, &["/voice"]).await;
        ended.unwrap();
        assert_eq!(lines, ["✓ OK, bien reçu", "no answer within 0 s"]);
        // Without a sent message, the chat does not wait.
        phone.wait = Duration::from_secs(600);
        assert_eq!(shown(&phone, &[]).await.0, [""; 0]);
        assert_eq!(shown(&phone, &["Bonjour", "/quit", "Bonsoir"]).await.0[0], "✓ OK, bien reçu");
        assert_eq!(manychat.sent_to("132").len(), 1, "nothing is sent after /quit");
    }

    #[tokio::test]
    async fn refusals_and_commands_are_printed() {
        let manychat = FakeManyChat::start().await.unwrap();
        let product = Product::start(&manychat).await;
        let phone = phone(&product.url, &manychat, "another");
        let (lines, ended) = shown(&phone, &["Bonjour", "/mode 3011", "/mode moody", "/dance"]).await;
        assert_eq!(ended.unwrap_err().to_string(), "a message was refused");
        assert_eq!(lines, ["refused: HTTP 401 invalid_webhook_secret: no", "ManyChat: 3011", HELP, HELP]);
    }

    #[tokio::test]
    async fn broken_input_ends_the_chat_with_an_error() {
        let manychat = FakeManyChat::start().await.unwrap();
        let (sender, typed) = mpsc::channel(1);
        sender.send(Err(io::ErrorKind::InvalidData.into())).await.unwrap();
        let error = phone("http://127.0.0.1:9", &manychat, "whs_1").chat(typed, &mut Vec::new()).await.unwrap_err();
        assert_eq!(error.to_string(), "the input cannot be read");
    }

    #[tokio::test]
    async fn stack_that_does_not_run_is_reported() {
        let manychat = FakeManyChat::start().await.unwrap();
        let phone = phone("http://127.0.0.1:9", &manychat, "whs_1");
        let error = shown(&phone, &["Bonjour"]).await.1.unwrap_err().to_string();
        assert_eq!(error, "nothing answers on http://127.0.0.1:9: is `cargo dev` running?");
        let gone = ContactPhone { manychat: "http://127.0.0.1:9".to_owned(), ..phone };
        let error = shown(&gone, &[]).await.1.unwrap_err().to_string();
        assert_eq!(error, "the fake ManyChat does not answer: is `cargo dev` running?");
    }
}
