//! WhatsApp, from a contact's message to the delivered answer: the real webhook, queue and worker, with a fake
//! ManyChat and a scripted model.

mod bursts;
mod delivery;
mod handover;
mod inbound;
mod limits;
mod orders;
mod quota;
mod rag;
