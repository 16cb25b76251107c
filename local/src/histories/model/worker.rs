//! A worker in the model: what it saw when it acquired the lease, and its place in its work.

use crate::histories::event::{ModelReply, SendOutcome};

/// The conversation as a worker saw it when it acquired the lease.
#[derive(Debug, Clone)]
pub(super) struct Snapshot {
    pub(super) pending: Vec<usize>,
    pub(super) is_human: bool,
    pub(super) is_opted_out: bool,
    pub(super) quota_notice: bool,
    /// The draft that the pending messages may confirm: its proposal.
    pub(super) draft: Option<usize>,
    pub(super) replies_to_last_outbound: bool,
    pub(super) asks_for_a_person: bool,
    pub(super) job_version: u64,
}

/// Outcome of a reply, which a worker commits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    HandOver,
    Silence,
    Confirm,
    Discard,
    OverQuota,
    /// The reply of the model, with its reservation.
    Reply(ModelReply, usize),
}

/// State in which a worker leaves the reply job when it releases the lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NextRun {
    Done,
    Later,
    Unchanged,
}

/// Place of a worker in its work: the next step, or the call that it waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    Reserving,
    /// Waits for the model.
    Generating(usize),
    Committing(Outcome),
    Claiming,
    /// Waits for ManyChat.
    Sending(usize, usize),
    Recording(usize, usize, SendOutcome),
    Releasing(NextRun),
}

#[derive(Debug, Clone)]
pub(super) struct Worker {
    pub(super) contact: usize,
    pub(super) reply: ModelReply,
    pub(super) seen: Snapshot,
    pub(super) place: Place,
}
