//! Invariants that hold on the model after every event of a history, and those that hold at rest: when no worker, queue
//! message or lease is left that could change anything.

use std::collections::BTreeSet;

use super::{
    contact::{InboundState, PartState},
    event::{Event, Grain, ModelReply, SendOutcome, WORKERS},
    generator::History,
    model::{ReservationState, World},
};

/// Maximum number of events from the end of a history to rest.
const MAX_EVENTS_TO_REST: usize = 2_000;

/// Runs a history on the model, then the events to rest, and checks the invariants after each event.
///
/// # Errors
/// Returns the first broken invariant, with the event before it.
pub(super) fn judge(history: &History) -> Result<(), String> {
    let mut world = World::new(history.free_requests, history.grain);
    for (nth, &event) in history.events.iter().enumerate() {
        world.apply(event);
        check(&world).map_err(|problem| format!("after event {nth}, {event:?}: {problem}"))?;
    }
    for _ in 0..MAX_EVENTS_TO_REST {
        let Some(event) = next_to_rest(&world) else { return check_rest(&world) };
        world.apply(event);
        check(&world).map_err(|problem| format!("on the way to rest, after {event:?}: {problem}"))?;
    }
    Err("it does not come to rest".to_owned())
}

/// Returns the next event on the way to rest: one that lets work go on, and no fault; `None` at rest.
pub(super) fn next_to_rest(world: &World) -> Option<Event> {
    let contacts = || 0..world.contacts.len();
    let of_workers = (0..WORKERS).filter(|&worker| !world.is_idle(worker)).map(|worker| {
        if world.waits_for_model(worker) {
            Event::Reply { worker }
        } else if world.waits_for_manychat(worker) {
            Event::Send { worker, outcome: SendOutcome::Accepted }
        } else {
            Event::Step { worker }
        }
    });
    let of_time = contacts().flat_map(|contact| {
        [Event::ExpireLease { contact }, Event::EndHandover { contact }, Event::PartsDue { contact }]
    });
    let deliveries = contacts()
        .filter(|&contact| world.contacts[contact].job_is_queued)
        .map(|contact| Event::Deliver { worker: 0, contact, reply: ModelReply::Short });
    of_workers
        .chain(of_time)
        .chain(deliveries)
        .chain([Event::ExpireReservations])
        .find(|&event| world.is_possible(event))
}

/// Checks the invariants that hold after every event: no work is lost, no part arrives more often than faults explain,
/// the quota balances, and each confirmation makes one order.
fn check(world: &World) -> Result<(), String> {
    for (nth, contact) in world.contacts.iter().enumerate() {
        if contact.has_work() && !contact.job_is_queued {
            return Err(format!("contact {nth} waits, and no job is queued: the work is lost"));
        }
        for part in contact.outbound.iter().flat_map(|message| &message.parts) {
            if part.arrived > 1 + part.unknown_arrivals {
                return Err(format!("a part for contact {nth} arrived {} times", part.arrived));
            }
            if part.state == PartState::Sent && part.arrived == 0 {
                return Err(format!("a part for contact {nth} counts as sent and never arrived"));
            }
        }
    }
    check_quota(world)?;
    if world.orders.len() != world.confirmed.len() {
        return Err(format!("{} orders of {} confirmations", world.orders.len(), world.confirmed.len()));
    }
    let proposals: BTreeSet<_> = world.confirmed.iter().collect();
    if proposals.len() != world.confirmed.len() {
        return Err("a proposal was confirmed twice".to_owned());
    }
    Ok(())
}

fn check_quota(world: &World) -> Result<(), String> {
    let counts = |state: ReservationState| world.reservations.iter().filter(move |one| one.state == state);
    let free = |state| counts(state).filter(|one| one.is_free).count();
    let used = free(ReservationState::Held) + free(ReservationState::Spent);
    if usize::try_from(world.free_used) != Ok(used) {
        return Err(format!("{} free requests are used, and {used} are held or spent", world.free_used));
    }
    if world.free_used > world.free_limit {
        return Err(format!("{} of {} free requests are used", world.free_used, world.free_limit));
    }
    if counts(ReservationState::Spent).count() > world.charged {
        return Err("more requests are spent than answers were charged".to_owned());
    }
    Ok(())
}

/// Checks the invariants that hold at rest: no message waits, and no request is reserved.
fn check_rest(world: &World) -> Result<(), String> {
    for (nth, contact) in world.contacts.iter().enumerate() {
        // The lease of a dead worker that had nothing to do stays in the row, expired.
        if contact.has_work() {
            return Err(format!("contact {nth} still waits at rest: {contact:?}"));
        }
    }
    if world.reservations.iter().any(|one| one.state == ReservationState::Held) {
        return Err("a request is still reserved at rest".to_owned());
    }
    Ok(())
}

/// Numbers of outcomes in histories. They show that the histories reach the rules that they are meant to test.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Coverage {
    /// Messages of contacts that were answered.
    pub answered: usize,
    /// Messages that were not answered, because no request was left.
    pub over_quota: usize,
    /// Messages that were not answered, because the contact had opted out.
    pub opted_out: usize,
    /// STOP and START commands that were written before a command that had arrived already.
    pub superseded: usize,
    /// Parts that were sent.
    pub sent: usize,
    /// Parts that arrived more than once, each after a crash or a lost answer.
    pub repeated: usize,
    /// Parts that were taken back before they were sent.
    pub cancelled: usize,
    /// Parts that could not be sent.
    pub failed: usize,
    /// Orders.
    pub orders: usize,
    /// Requests that were returned.
    pub returned: usize,
}

impl Coverage {
    /// Adds the outcomes of a history, which it runs on the model.
    pub(super) fn add(&mut self, history: &History) {
        let mut world = World::new(history.free_requests, history.grain);
        history.events.iter().for_each(|&event| world.apply(event));
        for contact in &world.contacts {
            let inbound = |state| contact.inbound.iter().filter(|message| message.state == state).count();
            let parts = || contact.outbound.iter().flat_map(|message| &message.parts);
            let in_state = |state| parts().filter(|part| part.state == state).count();
            self.answered += inbound(InboundState::Answered);
            self.over_quota += inbound(InboundState::OverQuota);
            self.opted_out += inbound(InboundState::OptedOut);
            self.superseded += inbound(InboundState::Superseded);
            self.sent += in_state(PartState::Sent);
            self.repeated += parts().filter(|part| part.arrived > 1).count();
            self.cancelled += in_state(PartState::Cancelled);
            self.failed += in_state(PartState::Failed);
        }
        self.orders += world.orders.len();
        let returned = |one: &&super::model::Reservation| one.state == ReservationState::Returned;
        self.returned += world.reservations.iter().filter(returned).count();
    }

    /// Adds the counts of other histories.
    pub(super) fn merge(&mut self, other: &Self) {
        let Self { answered, over_quota, opted_out, superseded, sent, repeated, cancelled, failed, orders, returned } =
            other;
        self.answered += answered;
        self.over_quota += over_quota;
        self.opted_out += opted_out;
        self.superseded += superseded;
        self.sent += sent;
        self.repeated += repeated;
        self.cancelled += cancelled;
        self.failed += failed;
        self.orders += orders;
        self.returned += returned;
    }

    /// Returns the names of the outcomes whose number is 0.
    #[must_use]
    pub fn gaps(&self) -> Vec<&'static str> {
        let counts = [
            ("answered", self.answered),
            ("over quota", self.over_quota),
            ("opted out", self.opted_out),
            ("superseded", self.superseded),
            ("sent", self.sent),
            ("repeated", self.repeated),
            ("cancelled", self.cancelled),
            ("failed", self.failed),
            ("orders", self.orders),
            ("returned", self.returned),
        ];
        counts.into_iter().filter(|(_, count)| *count == 0).map(|(name, _)| name).collect()
    }
}

/// Judges the histories of the seeds on the model, one after the other.
///
/// # Errors
/// Returns the first seed whose history fails, with the reason and the events.
pub(super) fn judge_seeds(seeds: impl Iterator<Item = u64>) -> Result<Coverage, (u64, String)> {
    let mut coverage = Coverage::default();
    for seed in seeds {
        let history = History::generate(seed, Grain::Transaction);
        judge(&history).map_err(|problem| (seed, format!("{problem}\n{:?}", history.events)))?;
        coverage.add(&history);
    }
    Ok(coverage)
}
