//! The golden set, the project's own questions: its scores for retrieval, follow-ups and refusals must not get worse.

use local::eval::{self, Arguments};

#[tokio::test]
async fn golden_set_scores_are_not_below_the_committed_figures() {
    // After an improvement, run `cargo eval` with these files and `--save` (docs/BENCHMARKS.md).
    eval::run(Arguments::golden()).await.unwrap();
}
