//! The project's own questions: the scores for retrieval, follow-ups, answers and refusals must not get worse.

use local::eval::{self, Arguments};

#[tokio::test]
async fn golden_set_scores_are_not_below_the_committed_figures() {
    // After an improvement, run `cargo eval` with these files and `--save` (docs/BENCHMARKS.md).
    eval::run(Arguments::golden()).await.unwrap();
}

#[tokio::test]
async fn answers_to_customers_are_not_worse_than_the_committed_figures() {
    // After an improvement, run `cargo eval --answers --save`.
    eval::run(Arguments::answers()).await.unwrap();
}
