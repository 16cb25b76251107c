//! Events of a history.

/// Kind of a contact's message, by the rule of the product that applies to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Text {
    /// A question, which the bot answers.
    Question,
    /// A request for a person.
    Person,
    /// STOP, with true when it was written an hour before it arrives.
    Stop(bool),
    /// START, with true when it was written an hour before it arrives.
    Start(bool),
    /// A yes, which confirms the order draft and names no product.
    Yes,
    /// A no, which discards the order draft and names no product.
    No,
}

/// Reply of the fake language model to a worker.
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

/// Answer of the fake ManyChat to the sending of one part of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SendOutcome {
    /// The part arrives.
    Accepted,
    /// The part arrives at the contact, and ManyChat's answer is lost on the way to the worker.
    AnswerLost,
    /// The part is refused for good.
    Refused,
    /// ManyChat fails for now, so that the part is tried again later.
    Unavailable,
}

/// Status of an order, to which the company moves it.
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
    /// A queue message for the contact's conversation reaches an idle worker. `reply` is the model's reply to this
    /// worker.
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
    /// The next part of the contact's messages may be sent: the pause between parts and the delay of a retry are over.
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

/// Number of workers of a history.
pub(super) const WORKERS: usize = 3;
/// Number of contacts of a history.
pub(super) const CONTACTS: usize = 2;
/// The size of the steps in which workers advance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Grain {
    /// A worker advances by one transaction, so that events can happen between any two of its transactions. Model only.
    Transaction,
    /// A worker advances to its next call of an outside server, where the fakes can hold the real product.
    OutsideCall,
}
