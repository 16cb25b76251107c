//! The sandbox of the child process. Once it is closed, the process can compute, take memory, read its input and write
//! its answers, and nothing else: no network, no files, no other process.
//!
//! Everything that the child process needs is loaded before. A file is read afterwards, so a file that takes the reader
//! over finds the sandbox closed. The rules are filters of system calls (seccomp), which every Linux kernel since 4.14
//! has and which need no right. They hold for the process until its end.

#[cfg(target_os = "linux")]
mod seccomp;

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
