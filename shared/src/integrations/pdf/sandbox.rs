//! The sandbox of the child process. Once it is closed, the process can compute, take memory, read its input and write
//! its answers, and nothing else: no network, no files, no other process.
//!
//! Everything that the child process needs is loaded before. A file is read afterwards, so a file that takes the reader
//! over finds the sandbox closed. The rules are filters of system calls (seccomp), which every Linux kernel since 4.14
//! has and which need no right. They hold for the process until its end.

use crate::settings::Settings;
use serde::{Deserialize, Serialize};

#[cfg(target_os = "linux")]
mod seccomp;

/// Treatment of a file where the child process cannot close its sandbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SandboxPolicy {
    /// The file is not read, and the installation is to blame. Other systems than Linux have no such sandbox and serve
    /// development only: there, the policy is [`SandboxPolicy::Preferred`].
    Required,
    /// The file is read, and the log says so once.
    Preferred,
}

impl SandboxPolicy {
    /// Reads PDF_SANDBOX.
    pub fn read(settings: &mut Settings) -> Self {
        match settings.text("PDF_SANDBOX", "required").as_str() {
            "required" => Self::Required,
            "preferred" => Self::Preferred,
            _ => {
                settings.problem("PDF_SANDBOX is neither required nor preferred");
                Self::Required
            }
        }
    }
}

/// Reason why the sandbox cannot be closed.
#[derive(Debug, thiserror::Error)]
#[error("the sandbox cannot be closed: {0}")]
pub(super) struct SandboxError(String);

#[cfg(target_os = "linux")]
pub(super) use seccomp::{close, forbid_threads};

/// Returns an error: the filters are those of Linux.
#[cfg(not(target_os = "linux"))]
pub(super) fn close() -> Result<(), SandboxError> {
    Err(SandboxError("this system has no seccomp".to_owned()))
}

/// Does nothing: the limit of processes forbids threads, too.
#[cfg(not(target_os = "linux"))]
pub(super) fn forbid_threads() -> Result<(), SandboxError> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_policy_of_the_sandbox_is_required_unless_a_setting_says_otherwise() {
        let read = |value: &str| {
            let mut settings = Settings::new([("PDF_SANDBOX".to_owned(), value.to_owned())].into());
            (SandboxPolicy::read(&mut settings), settings.finish().is_ok())
        };
        assert_eq!(read(""), (SandboxPolicy::Required, true));
        assert_eq!(read("required"), (SandboxPolicy::Required, true));
        assert_eq!(read("preferred"), (SandboxPolicy::Preferred, true));
        assert!(!read("off").1);
    }
}
