//! WhatsApp, from a contact's message to the answer on the phone: the real webhook, queue and worker between a fake
//! ManyChat and a scripted model.

mod bursts;
mod delivery;
mod handover;
mod inbound;
mod orders;
mod quota;
mod rag;
