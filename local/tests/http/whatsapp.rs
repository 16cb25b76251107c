//! WhatsApp, from a contact's message to the delivered answer: the real webhook, queue and worker, with a fake
//! ManyChat and a scripted model.

mod bursts;
mod catalogue;
mod courtesies;
mod delivery;
mod handover;
mod inbound;
mod languages;
mod limits;
mod opt_outs;
mod orders;
mod quota;
mod rag;
mod small_talk;
