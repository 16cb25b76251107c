//! Runs a bootstrap as a process with its own fake Runtime API.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{Mutex, mpsc},
    time::{Duration, Instant, SystemTime},
};

use anyhow::{Context, Result, bail};
use shared::settings::SettingsMap;

use super::stub::{StubResponse, StubServer};

/// The timeout of a start or a request; far longer than any takes.
const CALL_TIMEOUT: Duration = Duration::from_secs(30);
/// The unit of utime and stime in /proc: USER_HZ, 100 on every Linux that Lambda and this project run on.
const TICKS_PER_SECOND: f64 = 100.0;

/// A running function. Dropping it kills the process.
pub(super) struct Bootstrap {
    child: Child,
    api: RuntimeApi,
    log: PathBuf,
    /// The time from before the process was created to its first poll for an event.
    pub(super) start: Duration,
    /// The CPU time until the first poll. Other load on the machine disturbs it less than the elapsed time.
    pub(super) start_cpu: Duration,
}

impl Bootstrap {
    /// Starts a program with only these environment variables, and waits for its first poll. Its output goes to
    /// `log`.
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
        bootstrap.start = bootstrap.wait_for_poll()?.duration_since(before);
        bootstrap.start_cpu = bootstrap.thread_cpu_time()?;
        Ok(bootstrap)
    }

    /// Passes an event and waits until the function has answered with this status and polls for the next event.
    pub(super) fn invoke(&self, event: &str, status: u16) -> Result<()> {
        self.api.events.send(event.to_owned()).context("the Runtime API has ended")?;
        let expected = format!(r#""statusCode":{status}"#);
        match self.next_call()? {
            RuntimeApiCall::Answer(body) if String::from_utf8_lossy(&body).contains(&expected) => {}
            RuntimeApiCall::Answer(body) | RuntimeApiCall::Failure(body) => {
                bail!("an event failed: {}", String::from_utf8_lossy(&body))
            }
            RuntimeApiCall::Poll(_) => bail!("a function polled before it had answered"),
        }
        self.wait_for_poll().map(drop)
    }

    /// The peak resident set size so far, in KiB.
    pub(super) fn peak_kib(&self) -> Result<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).context("the kernel tells no VmHWM")?;
        line.trim().trim_end_matches(" kB").parse().context("VmHWM is not a number")
    }

    /// The user and system CPU time so far, in steps of 10 ms.
    pub(super) fn cpu_ms(&self) -> Result<f64> {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.child.id()))?;
        // The second field is the program's name, which may contain anything. utime and stime are the 14th and 15th.
        let (_, rest) = stat.rsplit_once(')').context("the kernel's stat is not understood")?;
        let ticks: f64 = rest.split_whitespace().skip(11).take(2).filter_map(|field| field.parse::<f64>().ok()).sum();
        Ok(ticks / TICKS_PER_SECOND * 1e3)
    }

    /// The CPU time so far of the living threads, in nanoseconds of resolution.
    fn thread_cpu_time(&self) -> Result<Duration> {
        let mut nanoseconds = 0;
        for thread in fs::read_dir(format!("/proc/{}/task", self.child.id()))? {
            let text = fs::read_to_string(thread?.path().join("schedstat"))?;
            let first = text.split_whitespace().next().context("the kernel's schedstat is not understood")?;
            nanoseconds += first.parse::<u64>().context("the kernel's schedstat is not understood")?;
        }
        Ok(Duration::from_nanos(nanoseconds))
    }

    fn wait_for_poll(&self) -> Result<Instant> {
        match self.next_call()? {
            RuntimeApiCall::Poll(at) => Ok(at),
            RuntimeApiCall::Answer(body) | RuntimeApiCall::Failure(body) => {
                bail!("a function failed: {}", String::from_utf8_lossy(&body))
            }
        }
    }

    fn next_call(&self) -> Result<RuntimeApiCall> {
        self.api.calls.recv_timeout(CALL_TIMEOUT).with_context(|| {
            let log = fs::read_to_string(&self.log).unwrap_or_default();
            format!("a function does not answer; its last words: {}", log.lines().last().unwrap_or("none"))
        })
    }
}

impl Drop for Bootstrap {
    fn drop(&mut self) {
        // Both fail harmlessly when the process has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A call of the function to the Runtime API.
enum RuntimeApiCall {
    Poll(Instant),
    Answer(Vec<u8>),
    Failure(Vec<u8>),
}

/// A fake Runtime API for one process: <https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html>.
struct RuntimeApi {
    server: StubServer,
    events: mpsc::Sender<String>,
    calls: mpsc::Receiver<RuntimeApiCall>,
}

impl RuntimeApi {
    fn start() -> Result<Self> {
        let (events, next) = mpsc::channel();
        let (call_sender, calls) = mpsc::channel();
        let next = Mutex::new(next);
        let server = StubServer::start(move |request| {
            let accepted = StubResponse { status: "202 Accepted", headers: String::new(), body: String::new() };
            if request.route.ends_with("/invocation/next") {
                call_sender.send(RuntimeApiCall::Poll(request.at)).ok()?;
                return Some(invocation(next.lock().ok()?.recv().ok()?));
            }
            let is_answer = request.route.ends_with("/response");
            call_sender
                .send(if is_answer {
                    RuntimeApiCall::Answer(request.body)
                } else {
                    RuntimeApiCall::Failure(request.body)
                })
                .ok()?;
            Some(accepted)
        })?;
        Ok(Self { server, events, calls })
    }
}

fn invocation(event: String) -> StubResponse {
    let deadline = SystemTime::now() + CALL_TIMEOUT;
    let deadline_ms = deadline.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_millis();
    let headers = format!(
        "content-type: application/json\r\n\
         lambda-runtime-aws-request-id: 8476a536-e9f4-11e8-9739-2dfe598c3fcd\r\n\
         lambda-runtime-deadline-ms: {deadline_ms}\r\n\
         lambda-runtime-invoked-function-arn: arn:aws:lambda:eu-west-1:123456789012:function:bench\r\n\
         lambda-runtime-trace-id: Root=1-5bef4de7-ad49b0e87f6ef6c87fc2e700;Parent=9a9197af755a6419;Sampled=1\r\n"
    );
    StubResponse { status: "200 OK", headers, body: event }
}
