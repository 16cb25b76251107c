//! A contact in the model: its messages in both directions, its handover, opt-out, draft, lease and job.

use super::event::Text;

/// The state of a message of a contact.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum InboundState {
    Waiting,
    Answered,
    /// Not answered: the quota was used up.
    OverQuota,
    /// Not answered: the contact had opted out.
    OptedOut,
    /// A command that was written before another one.
    Superseded,
}

#[derive(Debug, Clone)]
pub(super) struct Inbound {
    pub(super) text: Text,
    pub(super) received: u64,
    pub(super) state: InboundState,
}

/// The state of a part of a message to a contact.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PartState {
    Queued,
    Sent,
    Failed,
    Cancelled,
}

#[derive(Debug, Clone)]
pub(super) struct Part {
    pub(super) state: PartState,
    pub(super) attempts: u32,
    /// True until the time of the next attempt.
    pub(super) is_deferred: bool,
    /// Number of times that the part arrived at the contact.
    pub(super) arrived: u32,
    /// Number of arrivals that no worker recorded, because the answer was lost or the worker died.
    pub(super) unknown_arrivals: u32,
}

/// A message to a contact.
#[derive(Debug, Clone)]
pub(super) struct Outbound {
    pub(super) is_from_bot: bool,
    /// True for an answer of the model, which costs a request.
    pub(super) is_answer: bool,
    pub(super) written: u64,
    pub(super) is_sent: bool,
    pub(super) parts: Vec<Part>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct HeldLease {
    pub(super) worker: Option<usize>,
    pub(super) is_expired: bool,
}

#[derive(Debug, Clone, Default)]
pub(super) struct Contact {
    /// True once the contact has written.
    pub(super) exists: bool,
    pub(super) inbound: Vec<Inbound>,
    pub(super) outbound: Vec<Outbound>,
    /// True while a person is the responder, as the database stores it. After the handover ended by itself, this stays
    /// true until a worker acquires the lease.
    pub(super) is_human: bool,
    /// Time at which the handover ended, if it did by itself.
    pub(super) handover_ended: Option<u64>,
    pub(super) released: Option<u64>,
    pub(super) opted_out_at: Option<u64>,
    /// Time at which the last STOP or START that counted was written.
    pub(super) last_command: Option<i64>,
    /// The message that proposes an order.
    pub(super) draft: Option<usize>,
    pub(super) quota_notice: bool,
    pub(super) lease: Option<HeldLease>,
    pub(super) job_is_queued: bool,
    pub(super) job_version: u64,
    /// True until the time at which the next part may follow the last one.
    pub(super) is_spaced: bool,
}

impl Contact {
    pub(super) fn is_opted_out(&self) -> bool {
        self.opted_out_at.is_some()
    }

    pub(super) fn is_leased(&self) -> bool {
        self.lease.is_some()
    }

    pub(super) fn has_draft(&self) -> bool {
        self.draft.is_some()
    }

    pub(super) fn is_by_person(&self) -> bool {
        self.is_human && self.handover_ended.is_none()
    }

    pub(super) fn waiting(&self) -> Vec<usize> {
        let numbered = self.inbound.iter().enumerate();
        numbered.filter(|(_, message)| message.state == InboundState::Waiting).map(|(nth, _)| nth).collect()
    }

    /// True while a message waits for an answer or a part is queued.
    pub(super) fn has_work(&self) -> bool {
        !self.waiting().is_empty() || self.next_queued().is_some()
    }

    /// The next queued part: the message and the part.
    pub(super) fn next_queued(&self) -> Option<(usize, usize)> {
        self.outbound.iter().enumerate().find_map(|(message, outbound)| {
            let part = outbound.parts.iter().position(|part| part.state == PartState::Queued)?;
            Some((message, part))
        })
    }

    pub(super) fn queue_job(&mut self) {
        self.job_is_queued = true;
        self.job_version += 1;
    }

    pub(super) fn write(&mut self, message: Outbound) -> usize {
        self.outbound.push(message);
        self.outbound.len() - 1
    }

    pub(super) fn settle(&mut self, messages: &[usize], state: InboundState) {
        messages.iter().for_each(|&nth| self.inbound[nth].state = state);
    }
}
