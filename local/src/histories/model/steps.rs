//! The steps of a worker, from the lease that it acquires to its release, and its death in between.

use super::{
    Reservation, ReservationState, World,
    worker::{NextRun, Outcome, Place, Snapshot, Worker},
};
use crate::histories::{
    contact::{HeldLease, Inbound, InboundState, Outbound, Part, PartState},
    event::{ModelReply, OrderStatus, SendOutcome, Text},
};

/// Attempts at sending a part, after which its message fails.
const MAX_SEND_ATTEMPTS: u32 = 8;

impl World {
    pub(super) fn acquire(&mut self, worker: usize, nth: usize, reply: ModelReply) {
        let contact = &mut self.contacts[nth];
        if contact.lease.is_some_and(|lease| !lease.is_expired) {
            return;
        }
        contact.lease = Some(HeldLease { worker: Some(worker), is_expired: false });
        if let Some(ended) = contact.handover_ended.take() {
            (contact.is_human, contact.released) = (false, Some(ended));
        }
        let pending = contact.waiting();
        let last = contact.outbound.len().checked_sub(1);
        let follows = |message: &Outbound| pending.iter().all(|&nth| contact.inbound[nth].received > message.written);
        let replies_to_last_outbound = contact.outbound.last().is_some_and(follows);
        let is_whole = contact.outbound.last().is_some_and(|message| message.is_sent);
        let draft = contact.draft.filter(|_| contact.draft == last && is_whole && replies_to_last_outbound);
        let is_unseen = |message: &Inbound| contact.released.is_none_or(|released| released < message.received);
        let asks = |&nth: &usize| contact.inbound[nth].text == Text::Person && is_unseen(&contact.inbound[nth]);
        let seen = Snapshot {
            asks_for_a_person: pending.iter().any(asks),
            is_human: contact.is_human,
            is_opted_out: contact.is_opted_out(),
            quota_notice: contact.quota_notice,
            draft,
            replies_to_last_outbound,
            job_version: contact.job_version,
            pending,
        };
        let place = self.decide(nth, &seen);
        self.workers[worker] = Some(Worker { contact: nth, reply, seen, place });
    }

    /// The first step of a worker that has acquired the lease.
    fn decide(&self, contact: usize, seen: &Snapshot) -> Place {
        let all = |text: Text| seen.pending.iter().all(|&nth| self.contacts[contact].inbound[nth].text == text);
        if seen.is_human || seen.pending.is_empty() {
            Place::Claiming
        } else if seen.asks_for_a_person {
            Place::Committing(Outcome::HandOver)
        } else if seen.is_opted_out {
            Place::Committing(Outcome::Silence)
        } else if seen.draft.is_some() && all(Text::Yes) {
            Place::Committing(Outcome::Confirm)
        } else if seen.draft.is_some() && all(Text::No) {
            Place::Committing(Outcome::Discard)
        } else {
            Place::Reserving
        }
    }

    pub(super) fn step(&mut self, nth: usize) {
        let Some(worker) = self.workers[nth].clone() else { return };
        self.clock += 1;
        let contact = worker.contact;
        let next = match worker.place {
            Place::Reserving => match self.reserve(contact) {
                Some(reservation) => Place::Generating(reservation),
                None => Place::Committing(Outcome::OverQuota),
            },
            Place::Committing(outcome) => {
                self.commit(&worker, outcome);
                Place::Claiming
            }
            Place::Claiming => self.claim(&worker),
            Place::Recording(message, part, outcome) => {
                self.record(contact, message, part, outcome);
                Place::Claiming
            }
            Place::Releasing(next) => {
                self.release(&worker, next);
                self.workers[nth] = None;
                return;
            }
            waiting @ (Place::Generating(_) | Place::Sending(..)) => waiting,
        };
        if let Some(worker) = &mut self.workers[nth] {
            worker.place = next;
        }
    }

    pub(super) fn take_reply(&mut self, nth: usize) {
        let Some(worker) = &mut self.workers[nth] else { return };
        let Place::Generating(reservation) = worker.place else { return };
        worker.place = match worker.reply {
            // The reservation stays with the conversation, for the next attempt.
            ModelReply::Failure => Place::Releasing(NextRun::Unchanged),
            reply => Place::Committing(Outcome::Reply(reply, reservation)),
        };
    }

    /// True when the worker's outcome must be discarded: a person took over, the contact opted out, or another worker
    /// has settled a pending message.
    fn is_outdated(&self, worker: &Worker) -> bool {
        let contact = &self.contacts[worker.contact];
        let is_settled = |&nth: &usize| contact.inbound[nth].state != InboundState::Waiting;
        contact.is_by_person()
            || (contact.is_opted_out() && !worker.seen.is_opted_out)
            || worker.seen.pending.iter().any(is_settled)
    }

    fn commit(&mut self, worker: &Worker, outcome: Outcome) {
        if self.is_outdated(worker) {
            if let Outcome::Reply(_, reservation) = outcome
                && self.reservations[reservation].state == ReservationState::Held
            {
                self.refund(reservation);
            }
            return;
        }
        let message = match outcome {
            Outcome::Silence => None,
            Outcome::OverQuota if worker.seen.quota_notice => None,
            Outcome::HandOver | Outcome::OverQuota | Outcome::Reply(ModelReply::HandOver, _) => {
                Some(self.message(false, false, 1))
            }
            Outcome::Confirm | Outcome::Discard => Some(self.message(true, false, 1)),
            Outcome::Reply(ModelReply::Long, _) => Some(self.message(true, true, 2)),
            Outcome::Reply(..) => Some(self.message(true, true, 1)),
        };
        let state = match outcome {
            Outcome::Silence => InboundState::OptedOut,
            Outcome::OverQuota => InboundState::OverQuota,
            _ => InboundState::Answered,
        };
        let nth = worker.contact;
        let contact = &mut self.contacts[nth];
        contact.settle(&worker.seen.pending, state);
        if message.is_some() || worker.seen.replies_to_last_outbound {
            contact.draft = None;
        }
        let written = message.map(|message| contact.write(message));
        contact.quota_notice |= outcome == Outcome::OverQuota;
        match outcome {
            Outcome::HandOver => self.hand_over(nth),
            Outcome::Confirm => {
                self.orders.push(OrderStatus::Pending);
                self.confirmed.extend(worker.seen.draft.map(|draft| (nth, draft)));
            }
            Outcome::Reply(reply, reservation) => {
                self.charge(reservation);
                match reply {
                    ModelReply::Proposal => self.contacts[nth].draft = written,
                    ModelReply::HandOver => self.hand_over(nth),
                    _ => {}
                }
            }
            Outcome::Silence | Outcome::Discard | Outcome::OverQuota => {}
        }
    }

    fn claim(&mut self, worker: &Worker) -> Place {
        let contact = &mut self.contacts[worker.contact];
        let is_by_person = contact.is_by_person();
        let opted_out_at = contact.opted_out_at;
        for message in &mut contact.outbound {
            let is_unwanted = opted_out_at.is_some_and(|since| message.is_from_bot || message.written < since);
            if (is_by_person && message.is_from_bot) || is_unwanted {
                let queued = message.parts.iter_mut().filter(|part| part.state == PartState::Queued);
                queued.for_each(|part| part.state = PartState::Cancelled);
            }
        }
        let Some((message, part)) = contact.next_queued() else {
            // The worker waits for a person also when the handover ended by itself while it sent something.
            let waits_for_person = if worker.seen.is_human { !worker.seen.pending.is_empty() } else { is_by_person };
            return Place::Releasing(if waits_for_person { NextRun::Later } else { NextRun::Done });
        };
        let next = &mut contact.outbound[message].parts[part];
        if contact.is_spaced || next.is_deferred {
            return Place::Releasing(NextRun::Later);
        }
        next.attempts += 1;
        Place::Sending(message, part)
    }

    fn arrive(&mut self, contact: usize, message: usize, part: usize, is_known: bool) {
        let part = &mut self.contacts[contact].outbound[message].parts[part];
        part.arrived += 1;
        part.unknown_arrivals += u32::from(!is_known);
    }

    pub(super) fn take_outcome(&mut self, nth: usize, outcome: SendOutcome) {
        let Some(worker) = &mut self.workers[nth] else { return };
        let Place::Sending(message, part) = worker.place else { return };
        worker.place = Place::Recording(message, part, outcome);
        let contact = worker.contact;
        match outcome {
            SendOutcome::Accepted => self.arrive(contact, message, part, true),
            SendOutcome::AnswerLost => self.arrive(contact, message, part, false),
            SendOutcome::Refused | SendOutcome::Unavailable => {}
        }
    }

    fn record(&mut self, nth: usize, message: usize, part: usize, outcome: SendOutcome) {
        let contact = &mut self.contacts[nth];
        let outbound = &mut contact.outbound[message];
        match outcome {
            SendOutcome::Accepted => {
                if outbound.parts[part].state == PartState::Queued {
                    outbound.parts[part].state = PartState::Sent;
                }
                let is_open = |(other, one): (usize, &Part)| other != part && one.state == PartState::Queued;
                outbound.is_sent |= !outbound.parts.iter().enumerate().any(is_open);
                contact.is_spaced = true;
            }
            SendOutcome::AnswerLost | SendOutcome::Unavailable if outbound.parts[part].attempts < MAX_SEND_ATTEMPTS => {
                outbound.parts[part].is_deferred = true;
            }
            _ => self.fail(nth, message),
        }
    }

    /// Fails the queued parts of a message. An answer of which nothing was sent is refunded.
    fn fail(&mut self, nth: usize, message: usize) {
        let outbound = &mut self.contacts[nth].outbound[message];
        let is_lost = outbound.parts.iter().all(|part| part.state == PartState::Queued);
        let queued = outbound.parts.iter_mut().filter(|part| part.state == PartState::Queued);
        queued.for_each(|part| part.state = PartState::Failed);
        let (is_answer, written) = (outbound.is_answer, outbound.written);
        if !(is_lost && is_answer) {
            return;
        }
        let is_paid_before =
            |one: &Reservation| one.contact == nth && one.state == ReservationState::Spent && one.made <= written;
        if let Some(paid) = self.reservations.iter().rposition(is_paid_before) {
            self.refund(paid);
        }
    }

    fn release(&mut self, worker: &Worker, next: NextRun) {
        let contact = &mut self.contacts[worker.contact];
        contact.lease = None;
        match next {
            NextRun::Done if contact.job_version == worker.seen.job_version => {
                contact.job_is_queued = false;
                contact.job_version += 1;
            }
            NextRun::Later if contact.job_version == worker.seen.job_version => {
                contact.job_is_queued = true;
                contact.job_version += 1;
            }
            // A message that came in meanwhile has queued the job again.
            NextRun::Done | NextRun::Later | NextRun::Unchanged => {}
        }
    }

    pub(super) fn crash(&mut self, nth: usize, arrives: bool) {
        let Some(worker) = self.workers[nth].take() else { return };
        match worker.place {
            Place::Sending(message, part) if arrives => self.arrive(worker.contact, message, part, false),
            // Nobody will know that the part arrived.
            Place::Recording(message, part, SendOutcome::Accepted) => {
                self.contacts[worker.contact].outbound[message].parts[part].unknown_arrivals += 1;
            }
            _ => {}
        }
        if let Some(lease) = &mut self.contacts[worker.contact].lease {
            lease.worker = None;
        }
    }
}
