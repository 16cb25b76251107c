//! The rules of conversation, lease, outbox, quota and order as a state machine without a database. Each step of a worker
//! is one transaction of the product. The model shares no code with the product, which the replay compares with it.
//!
//! One assumption: a lease expires only when its holder is dead. The product's function ends before its lease does, which
//! a test of the contract asserts.

use super::event::{CONTACTS, Event, Grain, ModelReply, OrderStatus, SendOutcome, Text, WORKERS};

/// Attempts at sending a part, after which its message fails.
const MAX_SEND_ATTEMPTS: u32 = 8;
/// Age of a command that arrives late, in ticks of [`World`]'s clock: longer than any history.
const LATE: i64 = 1_000_000;

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
    text: Text,
    received: u64,
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
    attempts: u32,
    /// True until the time of the next attempt.
    is_deferred: bool,
    /// Number of times that the part arrived at the contact.
    pub(super) arrived: u32,
    /// Number of arrivals that no worker recorded, because the answer was lost or the worker died.
    pub(super) unknown_arrivals: u32,
}

/// A message to a contact.
#[derive(Debug, Clone)]
pub(super) struct Outbound {
    is_from_bot: bool,
    /// True for an answer of the model, which costs a request.
    pub(super) is_answer: bool,
    written: u64,
    is_sent: bool,
    pub(super) parts: Vec<Part>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct HeldLease {
    worker: Option<usize>,
    is_expired: bool,
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
    handover_ended: Option<u64>,
    released: Option<u64>,
    opted_out_at: Option<u64>,
    /// Time at which the last STOP or START that counted was written.
    last_command: Option<i64>,
    /// The message that proposes an order.
    draft: Option<usize>,
    quota_notice: bool,
    lease: Option<HeldLease>,
    pub(super) job_is_queued: bool,
    job_version: u64,
    /// True until the time at which the next part may follow the last one.
    is_spaced: bool,
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

    fn is_by_person(&self) -> bool {
        self.is_human && self.handover_ended.is_none()
    }

    fn waiting(&self) -> Vec<usize> {
        let numbered = self.inbound.iter().enumerate();
        numbered.filter(|(_, message)| message.state == InboundState::Waiting).map(|(nth, _)| nth).collect()
    }

    /// True while a message waits for an answer or a part is queued.
    pub(super) fn has_work(&self) -> bool {
        !self.waiting().is_empty() || self.next_queued().is_some()
    }

    /// The next queued part: the message and the part.
    fn next_queued(&self) -> Option<(usize, usize)> {
        self.outbound.iter().enumerate().find_map(|(message, outbound)| {
            let part = outbound.parts.iter().position(|part| part.state == PartState::Queued)?;
            Some((message, part))
        })
    }

    fn queue_job(&mut self) {
        self.job_is_queued = true;
        self.job_version += 1;
    }

    fn write(&mut self, message: Outbound) -> usize {
        self.outbound.push(message);
        self.outbound.len() - 1
    }

    fn settle(&mut self, messages: &[usize], state: InboundState) {
        messages.iter().for_each(|&nth| self.inbound[nth].state = state);
    }
}

/// The state of a request that was reserved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ReservationState {
    Held,
    Spent,
    Returned,
}

#[derive(Debug, Clone)]
pub(super) struct Reservation {
    contact: usize,
    pub(super) is_free: bool,
    pub(super) state: ReservationState,
    made: u64,
}

/// The conversation as a worker saw it when it acquired the lease.
#[derive(Debug, Clone)]
struct Snapshot {
    pending: Vec<usize>,
    is_human: bool,
    is_opted_out: bool,
    quota_notice: bool,
    /// The draft that the pending messages may confirm: its proposal.
    draft: Option<usize>,
    replies_to_last_outbound: bool,
    asks_for_a_person: bool,
    job_version: u64,
}

/// Outcome of a reply, which a worker commits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
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
enum NextRun {
    Done,
    Later,
    Unchanged,
}

/// Place of a worker in its work: the next step, or the call that it waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
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
struct Worker {
    contact: usize,
    reply: ModelReply,
    seen: Snapshot,
    place: Place,
}

/// The whole state of the model: one company, its contacts, workers, reservations and orders.
#[derive(Debug, Clone)]
pub(super) struct World {
    grain: Grain,
    clock: u64,
    pub(super) contacts: Vec<Contact>,
    workers: Vec<Option<Worker>>,
    pub(super) free_limit: i32,
    pub(super) free_used: i32,
    is_paid: bool,
    pub(super) reservations: Vec<Reservation>,
    pub(super) orders: Vec<OrderStatus>,
    /// Answers and handovers of the model that were charged.
    pub(super) charged: usize,
    /// Proposals that a contact confirmed: contact and message.
    pub(super) confirmed: Vec<(usize, usize)>,
}

impl World {
    pub(super) fn new(free_limit: i32, grain: Grain) -> Self {
        Self {
            grain,
            clock: 0,
            contacts: vec![Contact::default(); CONTACTS],
            workers: vec![None; WORKERS],
            free_limit,
            free_used: 0,
            is_paid: false,
            reservations: Vec::new(),
            orders: Vec::new(),
            charged: 0,
            confirmed: Vec::new(),
        }
    }

    pub(super) fn grain(&self) -> Grain {
        self.grain
    }

    /// True while this worker slot is free: its worker has ended or died, or never began.
    pub(super) fn is_idle(&self, worker: usize) -> bool {
        self.workers[worker].is_none()
    }

    /// True when the worker waits for the model.
    pub(super) fn waits_for_model(&self, worker: usize) -> bool {
        matches!(self.place(worker), Some(Place::Generating(_)))
    }

    /// True when the worker waits for ManyChat.
    pub(super) fn waits_for_manychat(&self, worker: usize) -> bool {
        matches!(self.place(worker), Some(Place::Sending(..)))
    }

    fn place(&self, worker: usize) -> Option<Place> {
        self.workers[worker].as_ref().map(|worker| worker.place)
    }

    fn is_busy(&self, contact: usize) -> bool {
        self.workers.iter().flatten().any(|worker| worker.contact == contact)
    }

    /// True when the event can happen now.
    pub(super) fn is_possible(&self, event: Event) -> bool {
        match event {
            Event::Receive { contact, text: Text::Start(_) } => self.contacts[contact].is_opted_out(),
            Event::Receive { .. } | Event::Upgrade | Event::Downgrade => true,
            Event::Repeat { contact } | Event::TakeOver { contact } => self.contacts[contact].exists,
            Event::Deliver { worker, contact, .. } => self.is_idle(worker) && self.contacts[contact].exists,
            Event::Step { worker } => {
                self.place(worker).is_some_and(|place| !matches!(place, Place::Generating(_) | Place::Sending(..)))
            }
            Event::Reply { worker } => self.waits_for_model(worker),
            Event::Send { worker, .. } => self.waits_for_manychat(worker),
            Event::Crash { worker, arrives } => !self.is_idle(worker) && (!arrives || self.waits_for_manychat(worker)),
            Event::ExpireLease { contact } => {
                self.contacts[contact].lease.is_some_and(|lease| lease.worker.is_none() && !lease.is_expired)
            }
            Event::ExpireReservations => {
                self.reservations.iter().any(|one| one.state == ReservationState::Held && !self.is_busy(one.contact))
            }
            Event::PartsDue { contact } => {
                let contact = &self.contacts[contact];
                let parts = || contact.outbound.iter().flat_map(|message| &message.parts);
                contact.is_spaced || parts().any(|part| part.is_deferred)
            }
            Event::Release { contact } => self.contacts[contact].is_human,
            // The shortest handover lasts longer than a worker's run, so no worker that began before a handover sees
            // its end.
            Event::EndHandover { contact } => {
                let began_before = |worker: &Worker| worker.contact == contact && !worker.seen.is_human;
                self.contacts[contact].is_by_person() && !self.workers.iter().flatten().any(began_before)
            }
            Event::MoveOrder { order, .. } => order < self.orders.len(),
        }
    }

    /// Applies an event that is possible.
    pub(super) fn apply(&mut self, event: Event) {
        self.clock += 1;
        match event {
            Event::Receive { contact, text } => self.receive(contact, text),
            // The fingerprint of the message is known.
            Event::Repeat { .. } => {}
            Event::Deliver { worker, contact, reply } => self.acquire(worker, contact, reply),
            Event::Step { worker } => self.step(worker),
            Event::Reply { worker } => self.take_reply(worker),
            Event::Send { worker, outcome } => self.take_outcome(worker, outcome),
            Event::Crash { worker, arrives } => self.crash(worker, arrives),
            Event::ExpireLease { contact } => {
                if let Some(lease) = &mut self.contacts[contact].lease {
                    lease.is_expired = true;
                }
            }
            Event::ExpireReservations => self.expire_reservations(),
            Event::PartsDue { contact } => {
                let contact = &mut self.contacts[contact];
                contact.is_spaced = false;
                let parts = contact.outbound.iter_mut().flat_map(|message| &mut message.parts);
                parts.for_each(|part| part.is_deferred = false);
            }
            Event::TakeOver { contact } => self.hand_over(contact),
            Event::Release { contact } => {
                let released = Some(self.clock);
                let contact = &mut self.contacts[contact];
                (contact.is_human, contact.handover_ended, contact.released) = (false, None, released);
                contact.queue_job();
            }
            Event::EndHandover { contact } => self.contacts[contact].handover_ended = Some(self.clock),
            Event::Upgrade => self.upgrade(),
            Event::Downgrade => self.is_paid = false,
            Event::MoveOrder { order, to } => self.move_order(order, to),
        }
        if self.grain == Grain::OutsideCall {
            (0..WORKERS).for_each(|worker| self.run_to_outside_call(worker));
        }
    }

    fn run_to_outside_call(&mut self, worker: usize) {
        while self.is_possible(Event::Step { worker }) {
            self.step(worker);
        }
    }

    fn message(&self, is_from_bot: bool, is_answer: bool, parts: usize) -> Outbound {
        let part = Part { state: PartState::Queued, attempts: 0, is_deferred: false, arrived: 0, unknown_arrivals: 0 };
        Outbound { is_from_bot, is_answer, written: self.clock, is_sent: false, parts: vec![part; parts] }
    }

    fn receive(&mut self, contact: usize, text: Text) {
        let now = self.clock;
        let notice = self.message(false, false, 1);
        let contact = &mut self.contacts[contact];
        contact.exists = true;
        contact.queue_job();
        let mut state = InboundState::Waiting;
        if let Text::Stop(is_late) | Text::Start(is_late) = text {
            let written = i64::try_from(now).unwrap_or_default() - if is_late { LATE } else { 0 };
            if contact.last_command.is_some_and(|last| written < last) {
                state = InboundState::Superseded;
            } else {
                let stops = matches!(text, Text::Stop(_));
                contact.last_command = Some(written);
                contact.opted_out_at = if stops { contact.opted_out_at.or(Some(now)) } else { None };
                contact.draft = None;
                contact.write(notice);
                state = InboundState::Answered;
            }
        }
        contact.inbound.push(Inbound { text, received: now, state });
    }

    fn acquire(&mut self, worker: usize, nth: usize, reply: ModelReply) {
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

    fn step(&mut self, nth: usize) {
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

    fn reserve(&mut self, contact: usize) -> Option<usize> {
        let is_held = |one: &Reservation| one.contact == contact && one.state == ReservationState::Held;
        if let Some(known) = self.reservations.iter().position(is_held) {
            return Some(known);
        }
        if !self.is_paid && self.free_used >= self.free_limit {
            return None;
        }
        self.free_used += i32::from(!self.is_paid);
        let (is_free, made) = (!self.is_paid, self.clock);
        self.reservations.push(Reservation { contact, is_free, state: ReservationState::Held, made });
        Some(self.reservations.len() - 1)
    }

    fn refund(&mut self, reservation: usize) {
        let one = &mut self.reservations[reservation];
        one.state = ReservationState::Returned;
        self.free_used -= i32::from(one.is_free);
    }

    fn take_reply(&mut self, nth: usize) {
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

    fn charge(&mut self, reservation: usize) {
        self.reservations[reservation].state = ReservationState::Spent;
        self.charged += 1;
    }

    fn hand_over(&mut self, contact: usize) {
        let contact = &mut self.contacts[contact];
        (contact.is_human, contact.handover_ended, contact.draft) = (true, None, None);
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

    fn take_outcome(&mut self, nth: usize, outcome: SendOutcome) {
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

    fn crash(&mut self, nth: usize, arrives: bool) {
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

    fn expire_reservations(&mut self) {
        let expired: Vec<_> = (0..self.reservations.len())
            .filter(|&nth| {
                let one = &self.reservations[nth];
                one.state == ReservationState::Held && !self.is_busy(one.contact)
            })
            .collect();
        expired.into_iter().for_each(|nth| self.refund(nth));
    }

    /// Returns the contacts whose reservations may expire, because no worker works on their conversation.
    pub(super) fn idle_contacts(&self) -> Vec<usize> {
        (0..self.contacts.len()).filter(|&contact| !self.is_busy(contact)).collect()
    }

    /// Gives the company a plan. Messages over the quota without an answer since wait again.
    fn upgrade(&mut self) {
        self.is_paid = true;
        for contact in &mut self.contacts {
            let last_answer = contact.outbound.iter().filter(|message| message.is_answer).map(|one| one.written).max();
            let mut wakes = false;
            for message in &mut contact.inbound {
                let is_answered_since = last_answer.is_some_and(|written| written > message.received);
                if message.state == InboundState::OverQuota && !is_answered_since {
                    (message.state, wakes) = (InboundState::Waiting, true);
                }
            }
            if wakes {
                contact.queue_job();
            }
        }
    }

    fn move_order(&mut self, order: usize, to: OrderStatus) {
        use OrderStatus::{Cancelled, Confirmed, Delivered, Pending, Preparing};
        let is_allowed = matches!(
            (self.orders[order], to),
            (Pending, Confirmed | Cancelled) | (Confirmed, Preparing | Cancelled) | (Preparing, Delivered | Cancelled)
        );
        if !is_allowed {
            return;
        }
        self.orders[order] = to;
        let (contact, _) = self.confirmed[order];
        let notice = self.message(false, false, 1);
        let contact = &mut self.contacts[contact];
        if !contact.is_opted_out() {
            contact.write(notice);
            contact.queue_job();
        }
    }
}
