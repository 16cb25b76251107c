//! The project's own question set: retrieval, follow-ups and refusals must not get worse unnoticed.

use local::eval::{self, Arguments};

#[tokio::test]
async fn retrieval_is_as_good_as_the_committed_figures_say() {
    // After a change for the better: `cargo eval` with these files and `--save` (docs/BENCHMARKS.md).
    eval::run(Arguments::golden()).await.unwrap();
}
