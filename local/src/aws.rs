//! The AWS stand-in for S3, SQS and Secrets Manager: a Python process, or an external endpoint.

use std::{
    fs::File,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::Stdio,
};

use anyhow::{Context, Result, bail};
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::{Credentials, provider::SharedCredentialsProvider};
use local_postgres::{ChildProcess, ProgressOutput, Python, root};
use shared::settings::SettingsMap;

use crate::environment::env_variable;

/// The region of all local resources.
pub const REGION: &str = "us-east-1";

/// A running AWS stand-in with its credentials.
#[derive(Debug)]
pub struct AwsStandIn {
    endpoint: String,
    key: String,
    secret: String,
    _child: Option<ChildProcess>,
}

impl AwsStandIn {
    /// Starts the stand-in without waiting until it is ready. With `folder`, objects and messages are kept there.
    ///
    /// # Errors
    /// Fails when the program cannot be run.
    pub fn start(python: &Python, folder: Option<&Path>, log: &Path) -> Result<StartingAwsStandIn> {
        let mut command = python.command();
        command.arg(root().join("local/python/aws_stand_in.py")).args(folder);
        let errors = File::create(log).with_context(|| format!("{} cannot be written", log.display()))?;
        let child = ChildProcess::spawn(command.stdout(Stdio::piped()).stderr(errors))?;
        Ok(StartingAwsStandIn { child, log: log.to_owned() })
    }

    /// Uses an external endpoint, with the credentials of the environment if there are any.
    ///
    /// # Errors
    /// Fails when the credentials are not Unicode.
    pub fn external(endpoint: &str) -> Result<Self> {
        let or_local = |value: Option<String>| value.unwrap_or_else(|| "local".to_owned());
        Ok(Self {
            endpoint: endpoint.to_owned(),
            key: or_local(env_variable("AWS_ACCESS_KEY_ID")?),
            secret: or_local(env_variable("AWS_SECRET_ACCESS_KEY")?),
            _child: None,
        })
    }

    /// The endpoint URL.
    #[must_use]
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// The settings that Lambda gives every function, and the endpoint URL.
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

    /// An SDK configuration for the local stack's own clients. Its connections belong to the current runtime.
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

/// A stand-in that is starting. Loading takes most of a second, so PostgreSQL is started meanwhile.
#[derive(Debug)]
pub struct StartingAwsStandIn {
    child: ChildProcess,
    log: PathBuf,
}

impl StartingAwsStandIn {
    /// Waits until the stand-in accepts requests.
    ///
    /// # Errors
    /// Fails when the stand-in does not start.
    pub fn wait_until_ready(mut self, progress: ProgressOutput) -> Result<AwsStandIn> {
        let step = progress.step("S3, SQS and secrets");
        // The stand-in prints its port when it accepts requests. A process that ends closes the pipe, so this read
        // always returns.
        let mut port = String::new();
        let stdout = self.child.stdout().context("the stand-in for AWS has no output")?;
        BufReader::new(stdout).read_line(&mut port).context("the stand-in for AWS cannot be read")?;
        let Ok(port) = port.trim().parse::<u16>() else {
            bail!("the stand-in for AWS does not start; see {}", self.log.display());
        };
        let endpoint = format!("http://127.0.0.1:{port}");
        step.done(&endpoint);
        Ok(AwsStandIn { endpoint, key: "local".to_owned(), secret: "local".to_owned(), _child: Some(self.child) })
    }
}
