//! The guard around every call of pdfium.

use std::panic::{self, AssertUnwindSafe};

/// Runs one call of pdfium. When memory runs out, pdfium's C++ code throws, and the process must end here: further up
/// the stack, destructors would wait for a lock that the call still holds.
pub(super) fn call_pdfium<T>(call: impl FnOnce() -> T) -> T {
    panic::catch_unwind(AssertUnwindSafe(call)).unwrap_or_else(|panic| panic::resume_unwind(panic))
}
