//! The rules of conversation, lease, outbox, quota and order as a state machine without a database. Each step of a worker
//! is one transaction of the product. The model shares no code with the product, which the replay compares with it.
//!
//! One assumption: a lease expires only when its holder is dead. The product's function ends before its lease does, which
//! a test of the contract asserts.

mod steps;
mod worker;

use self::worker::{Place, Worker};
use super::{
    contact::{Contact, Inbound, InboundState, Outbound, Part, PartState},
    event::{CONTACTS, Event, Grain, OrderStatus, Text, WORKERS},
};

/// Age of a command that arrives late, in ticks of [`World`]'s clock: longer than any history.
const LATE: i64 = 1_000_000;

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

    fn charge(&mut self, reservation: usize) {
        self.reservations[reservation].state = ReservationState::Spent;
        self.charged += 1;
    }

    fn hand_over(&mut self, contact: usize) {
        let contact = &mut self.contacts[contact];
        (contact.is_human, contact.handover_ended, contact.draft) = (true, None, None);
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
