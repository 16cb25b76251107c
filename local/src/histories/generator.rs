//! The generator of histories. A seed and a [`Grain`] determine a history.

use super::{
    event::{CONTACTS, Event, Grain, ModelReply, OrderStatus, SendOutcome, Text, WORKERS},
    model::World,
};
use crate::random::SplitMix64;

/// Maximum number of free requests of the company of a history.
const MAX_FREE_REQUESTS: usize = 6;
/// Minimum and maximum number of events of a history with [`Grain::OutsideCall`]; four times as many with
/// [`Grain::Transaction`].
const EVENTS: (usize, usize) = (8, 60);
/// Maximum number of draws for one possible event. Without one, the history ends early.
const MAX_DRAWS: usize = 50;

/// A history: the number of free requests of the company, and the events in their order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct History {
    pub(super) free_requests: i32,
    pub(super) grain: Grain,
    pub(super) events: Vec<Event>,
}

impl History {
    /// Generates the history of a seed. Each event is possible in the state in which it happens.
    pub(super) fn generate(seed: u64, grain: Grain) -> Self {
        let mut random = SplitMix64::new(seed);
        let free_requests = i32::try_from(random.below(MAX_FREE_REQUESTS + 1)).unwrap_or_default();
        let steps = if grain == Grain::Transaction { 4 } else { 1 };
        let length = steps * (EVENTS.0 + random.below(EVENTS.1 - EVENTS.0 + 1));
        let mut world = World::new(free_requests, grain);
        let mut events = Vec::with_capacity(length);
        while events.len() < length {
            let drawn = (0..MAX_DRAWS).map(|_| draw(&mut random, &world)).find(|event| world.is_possible(*event));
            let Some(event) = drawn else { break };
            world.apply(event);
            events.push(event);
        }
        Self { free_requests, grain, events }
    }
}

/// Draws an event, possible or not. Events that advance a worker are the most frequent. A yes is more frequent for a
/// contact with an order draft, and START for a contact that has opted out.
fn draw(random: &mut SplitMix64, world: &World) -> Event {
    let (contact, worker) = (random.below(CONTACTS), random.below(WORKERS));
    if world.grain() == Grain::Transaction && random.percent(60) {
        return Event::Step { worker };
    }
    match random.below(100) {
        0..22 if world.contacts[contact].has_draft() && random.percent(50) => {
            Event::Receive { contact, text: Text::Yes }
        }
        0..22 if world.contacts[contact].is_opted_out() && random.percent(40) => {
            Event::Receive { contact, text: Text::Start(random.percent(30)) }
        }
        0..22 => Event::Receive { contact, text: draw_text(random) },
        22..26 => Event::Repeat { contact },
        26..44 => Event::Deliver { worker, contact, reply: draw_reply(random) },
        44..64 => Event::Reply { worker },
        64..74 => Event::Send { worker, outcome: draw_outcome(random) },
        74..79 => Event::Crash { worker, arrives: random.percent(50) },
        79..83 => Event::ExpireLease { contact },
        83..85 => Event::ExpireReservations,
        85..89 => Event::PartsDue { contact },
        89 => Event::TakeOver { contact },
        90..93 => Event::Release { contact },
        93..95 => Event::EndHandover { contact },
        95 => Event::Upgrade,
        96 => Event::Downgrade,
        _ => Event::MoveOrder { order: random.below(3), to: draw_status(random) },
    }
}

fn draw_text(random: &mut SplitMix64) -> Text {
    match random.below(100) {
        0..65 => Text::Question,
        65..69 => Text::Person,
        69..73 => Text::Stop(random.percent(30)),
        73..91 => Text::Yes,
        _ => Text::No,
    }
}

fn draw_reply(random: &mut SplitMix64) -> ModelReply {
    match random.below(100) {
        0..35 => ModelReply::Short,
        35..55 => ModelReply::Long,
        55..85 => ModelReply::Proposal,
        85..92 => ModelReply::HandOver,
        _ => ModelReply::Failure,
    }
}

fn draw_outcome(random: &mut SplitMix64) -> SendOutcome {
    match random.below(100) {
        0..75 => SendOutcome::Accepted,
        75..83 => SendOutcome::AnswerLost,
        83..91 => SendOutcome::Refused,
        _ => SendOutcome::Unavailable,
    }
}

fn draw_status(random: &mut SplitMix64) -> OrderStatus {
    match random.below(5) {
        0 => OrderStatus::Pending,
        1 => OrderStatus::Confirmed,
        2 => OrderStatus::Preparing,
        3 => OrderStatus::Delivered,
        _ => OrderStatus::Cancelled,
    }
}
