//! Events of a history.

/// What a contact writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Text {
    /// Something that the bot has to answer.
    Question,
    /// A request for a person.
    Person,
    /// STOP, with true when it was written an hour before it arrives.
    Stop(bool),
    /// START, with true when it was written an hour before it arrives.
    Start(bool),
    /// A yes, which names nothing.
    Yes,
    /// A no, which names nothing.
    No,
}

/// What the model replies, when it is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ModelReply {
    /// An answer of one part.
    Short,
    /// An answer of two parts.
    Long,
    /// The proposal of an order.
    Proposal,
    /// The tool that hands over to a person.
    HandOver,
    /// An error.
    Failure,
}

/// What becomes of a part that is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SendOutcome {
    /// The part arrives.
    Accepted,
    /// The part arrives, and the answer is lost.
    AnswerLost,
    /// The part is refused for good.
    Refused,
    /// The part cannot be sent now.
    Unavailable,
}

/// A step of an order by the company.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum OrderStatus {
    Pending,
    Confirmed,
    Preparing,
    Delivered,
    Cancelled,
}

/// An event of a history. Contacts, workers and orders are numbered from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Event {
    /// A contact writes.
    Receive { contact: usize, text: Text },
    /// The last message of a contact is delivered once more.
    Repeat { contact: usize },
    /// A queue message for the contact's conversation reaches an idle worker. `reply` is what the model will reply.
    Deliver { worker: usize, contact: usize, reply: ModelReply },
    /// A worker commits its next transaction.
    Step { worker: usize },
    /// The model replies to a worker.
    Reply { worker: usize },
    /// ManyChat answers a worker.
    Send { worker: usize, outcome: SendOutcome },
    /// A worker dies. `arrives` is true when the part that it was sending arrives.
    Crash { worker: usize, arrives: bool },
    /// The lease of a dead worker expires.
    ExpireLease { contact: usize },
    /// The reservations of dead workers expire, and maintenance refunds them.
    ExpireReservations,
    /// The time passes after which the next part may be sent.
    PartsDue { contact: usize },
    /// A person of the company takes the conversation over.
    TakeOver { contact: usize },
    /// A person of the company releases the conversation.
    Release { contact: usize },
    /// The time of a handover ends.
    EndHandover { contact: usize },
    /// The company buys a plan without a limit.
    Upgrade,
    /// The company's plan ends.
    Downgrade,
    /// The company changes an order's status.
    MoveOrder { order: usize, to: OrderStatus },
}

/// The workers of a history.
pub(super) const WORKERS: usize = 3;
/// The contacts of a history.
pub(super) const CONTACTS: usize = 2;
/// The size of the steps in which workers advance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Grain {
    /// From one transaction to the next, so that anything may happen between two of them.
    Transaction,
    /// From one call of an outside server to the next, as they can be held on the real product.
    OutsideCall,
}
