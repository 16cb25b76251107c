//! A real bootstrap as a process of its own, with a Runtime API of its own.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{Mutex, mpsc},
    time::{Duration, Instant, SystemTime},
};

use anyhow::{Context, Result, bail};
use shared::settings::SettingsMap;

use super::stub::{Answer, Server};

/// Longer than any start or request takes.
const PATIENCE: Duration = Duration::from_secs(30);
/// Of utime and stime in /proc: USER_HZ, the same on every Linux that Lambda and we run on.
const TICKS_PER_SECOND: f64 = 100.0;

/// A running function. Dropped, it is killed.
pub(super) struct Bootstrap {
    child: Child,
    api: RuntimeApi,
    log: PathBuf,
    /// From before the process was made to its first poll for an event.
    pub(super) start: Duration,
    /// Processor time until then: what neighbours on the machine disturb less.
    pub(super) start_cpu: Duration,
}

impl Bootstrap {
    /// Starts a program with these variables and no others, and waits for its first poll. Its output goes to `log`.
    pub(super) fn start(program: &Path, settings: &SettingsMap, log: &Path) -> Result<Self> {
        let api = RuntimeApi::start()?;
        let output = File::create(log).with_context(|| format!("{} cannot be written", log.display()))?;
        let mut command = Command::new(program);
        command.env_clear().envs(settings).env("AWS_LAMBDA_RUNTIME_API", api.server.address());
        for (name, value) in [
            ("AWS_LAMBDA_FUNCTION_NAME", "bench"),
            ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "256"),
            ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST"),
            ("AWS_LAMBDA_LOG_GROUP_NAME", "bench"),
            ("AWS_LAMBDA_LOG_STREAM_NAME", "bench"),
        ] {
            command.env(name, value);
        }
        command.stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output);
        let before = Instant::now();
        let child = command.spawn().with_context(|| format!("{} cannot be started", program.display()))?;
        let mut bootstrap = Self { child, api, log: log.to_owned(), start: Duration::ZERO, start_cpu: Duration::ZERO };
        bootstrap.start = bootstrap.polled()?.duration_since(before);
        bootstrap.start_cpu = bootstrap.scheduled()?;
        Ok(bootstrap)
    }

    /// Hands it an event and waits until it has answered with this status and polls for the next one.
    pub(super) fn invoke(&self, event: &str, status: u16) -> Result<()> {
        self.api.events.send(event.to_owned()).context("the Runtime API has ended")?;
        let expected = format!(r#""statusCode":{status}"#);
        match self.call()? {
            Call::Answer(body) if String::from_utf8_lossy(&body).contains(&expected) => {}
            Call::Answer(body) | Call::Failure(body) => {
                bail!("an event failed: {}", String::from_utf8_lossy(&body))
            }
            Call::Poll(_) => bail!("a function polled before it had answered"),
        }
        self.polled().map(drop)
    }

    /// The largest resident set so far, in KiB.
    pub(super) fn peak_kib(&self) -> Result<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).context("the kernel tells no VmHWM")?;
        line.trim().trim_end_matches(" kB").parse().context("VmHWM is not a number")
    }

    /// Processor time so far, its own and the kernel's on its behalf, in steps of 10 ms.
    pub(super) fn cpu_ms(&self) -> Result<f64> {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.child.id()))?;
        // The second field is the program's name, which may hold anything; utime and stime are the 14th and 15th.
        let (_, rest) = stat.rsplit_once(')').context("the kernel's stat is not understood")?;
        let ticks: f64 = rest.split_whitespace().skip(11).take(2).filter_map(|field| field.parse::<f64>().ok()).sum();
        Ok(ticks / TICKS_PER_SECOND * 1e3)
    }

    /// Processor time so far of the threads that are there, to the nanosecond.
    fn scheduled(&self) -> Result<Duration> {
        let mut nanoseconds = 0;
        for thread in fs::read_dir(format!("/proc/{}/task", self.child.id()))? {
            let text = fs::read_to_string(thread?.path().join("schedstat"))?;
            let first = text.split_whitespace().next().context("the kernel's schedstat is not understood")?;
            nanoseconds += first.parse::<u64>().context("the kernel's schedstat is not understood")?;
        }
        Ok(Duration::from_nanos(nanoseconds))
    }

    fn polled(&self) -> Result<Instant> {
        match self.call()? {
            Call::Poll(at) => Ok(at),
            Call::Answer(body) | Call::Failure(body) => {
                bail!("a function failed: {}", String::from_utf8_lossy(&body))
            }
        }
    }

    fn call(&self) -> Result<Call> {
        self.api.calls.recv_timeout(PATIENCE).with_context(|| {
            let log = fs::read_to_string(&self.log).unwrap_or_default();
            format!("a function does not answer; its last words: {}", log.lines().last().unwrap_or("none"))
        })
    }
}

impl Drop for Bootstrap {
    fn drop(&mut self) {
        // One that has ended by itself needs neither.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What a function says to the Runtime API.
enum Call {
    Poll(Instant),
    Answer(Vec<u8>),
    Failure(Vec<u8>),
}

/// The Runtime API of one process: <https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html>.
struct RuntimeApi {
    server: Server,
    events: mpsc::Sender<String>,
    calls: mpsc::Receiver<Call>,
}

impl RuntimeApi {
    fn start() -> Result<Self> {
        let (events, next) = mpsc::channel();
        let (said, calls) = mpsc::channel();
        let next = Mutex::new(next);
        let server = Server::start(move |request| {
            let accepted = Answer { status: "202 Accepted", headers: String::new(), body: String::new() };
            if request.route.ends_with("/invocation/next") {
                said.send(Call::Poll(request.at)).ok()?;
                return Some(invocation(next.lock().ok()?.recv().ok()?));
            }
            let is_answer = request.route.ends_with("/response");
            said.send(if is_answer { Call::Answer(request.body) } else { Call::Failure(request.body) }).ok()?;
            Some(accepted)
        })?;
        Ok(Self { server, events, calls })
    }
}

fn invocation(event: String) -> Answer {
    let deadline = SystemTime::now() + PATIENCE;
    let deadline_ms = deadline.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_millis();
    let headers = format!(
        "content-type: application/json\r\n\
         lambda-runtime-aws-request-id: 8476a536-e9f4-11e8-9739-2dfe598c3fcd\r\n\
         lambda-runtime-deadline-ms: {deadline_ms}\r\n\
         lambda-runtime-invoked-function-arn: arn:aws:lambda:eu-west-1:123456789012:function:bench\r\n\
         lambda-runtime-trace-id: Root=1-5bef4de7-ad49b0e87f6ef6c87fc2e700;Parent=9a9197af755a6419;Sampled=1\r\n"
    );
    Answer { status: "200 OK", headers, body: event }
}
