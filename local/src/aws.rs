//! The stand-in for S3, SQS and Secrets Manager: a Python process, or an endpoint that somebody else runs.

use std::{
    fs::File,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::Stdio,
};

use anyhow::{Context, Result, bail};
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::{Credentials, provider::SharedCredentialsProvider};
use local_postgres::{Child, Progress, Python, root};
use shared::settings::SettingsMap;

use crate::environment::variable;

/// The region of everything made here.
pub const REGION: &str = "us-east-1";

/// An endpoint that answers as AWS does.
#[derive(Debug)]
pub struct Aws {
    endpoint: String,
    key: String,
    secret: String,
    _child: Option<Child>,
}

impl Aws {
    /// Begins to start the stand-in. With `folder`, objects and messages are kept there.
    ///
    /// # Errors
    /// A program that cannot be run.
    pub fn start(python: &Python, folder: Option<&Path>, log: &Path) -> Result<Starting> {
        let mut command = python.command();
        command.arg(root().join("local/python/aws_stand_in.py")).args(folder);
        let errors = File::create(log).with_context(|| format!("{} cannot be written", log.display()))?;
        let child = Child::spawn(command.stdout(Stdio::piped()).stderr(errors))?;
        Ok(Starting { child, log: log.to_owned() })
    }

    /// Uses an endpoint that runs already, with the credentials of the environment, if it has any.
    ///
    /// # Errors
    /// Credentials that are not text.
    pub fn external(endpoint: &str) -> Result<Self> {
        let or_local = |value: Option<String>| value.unwrap_or_else(|| "local".to_owned());
        Ok(Self {
            endpoint: endpoint.to_owned(),
            key: or_local(variable("AWS_ACCESS_KEY_ID")?),
            secret: or_local(variable("AWS_SECRET_ACCESS_KEY")?),
            _child: None,
        })
    }

    /// Where it is.
    #[must_use]
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// What Lambda gives every function by itself, and the endpoint.
    #[must_use]
    pub fn settings(&self) -> SettingsMap {
        let pairs = [
            ("AWS_REGION", REGION),
            ("AWS_ACCESS_KEY_ID", &self.key),
            ("AWS_SECRET_ACCESS_KEY", &self.secret),
            ("AWS_ENDPOINT_URL", &self.endpoint),
        ];
        pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).into()
    }

    /// A configuration for clients of our own. Its connections belong to the running runtime.
    #[must_use]
    pub fn config(&self) -> SdkConfig {
        let credentials = Credentials::new(&self.key, &self.secret, None, None, "local");
        SdkConfig::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new(REGION))
            .credentials_provider(SharedCredentialsProvider::new(credentials))
            .endpoint_url(&self.endpoint)
            .build()
    }
}

/// The stand-in, while it loads: which takes it most of a second, in which PostgreSQL starts.
#[derive(Debug)]
pub struct Starting {
    child: Child,
    log: PathBuf,
}

impl Starting {
    /// Waits until it takes requests.
    ///
    /// # Errors
    /// A stand-in that does not start.
    pub fn ready(mut self, progress: Progress) -> Result<Aws> {
        let step = progress.step("S3, SQS and secrets");
        // It says its port when it takes requests. A process that ends closes the pipe, so this does not wait for ever.
        let mut port = String::new();
        let stdout = self.child.stdout().context("the stand-in for AWS has no output")?;
        BufReader::new(stdout).read_line(&mut port).context("the stand-in for AWS cannot be read")?;
        let Ok(port) = port.trim().parse::<u16>() else {
            bail!("the stand-in for AWS does not start; see {}", self.log.display());
        };
        let endpoint = format!("http://127.0.0.1:{port}");
        step.done(&endpoint);
        Ok(Aws { endpoint, key: "local".to_owned(), secret: "local".to_owned(), _child: Some(self.child) })
    }
}
