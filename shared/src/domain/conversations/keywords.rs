//! Keywords of contacts, recognised by fixed lists and never by a model: stop, resume, yes, no, and a request for a
//! person. A keyword is the whole message, apart from politeness. A phrase that means nothing else counts anywhere in a
//! message.

mod answer;
mod opt_out;
mod person;
mod phrases;

pub use answer::{asks_to_cancel, confirms_cancellation, declines_cancellation, is_bare_answer, is_no, is_yes};
pub use opt_out::{asks_for_erasure, asks_to_resume, asks_to_stop};
pub use person::{asks_for_a_person, asks_whether_a_bot_answers};

pub(crate) use answer::contradicts_itself;
pub(crate) use phrases::{begins_with, is_question, normalize};
