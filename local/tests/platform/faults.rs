//! Faults below HTTP: the whole stack killed with SIGKILL, and many equal requests at once on an overloaded machine.

mod idempotency;
mod whole_stack;
