//! Generated histories: the model of the rules against what must always hold, and the product against the model. A failure
//! names the seed that repeats it. `cargo histories` runs more of them.

use local::histories;

#[test]
fn the_model_holds_in_twenty_thousand_histories_that_reach_everything() {
    let coverage = histories::judge_on_model(1, 20_000).unwrap();
    assert_eq!(coverage.gaps(), Vec::<&str>::new(), "{coverage:?}");
}

#[tokio::test]
async fn the_product_follows_the_model_in_a_hundred_histories_on_a_database() {
    let coverage = Box::pin(histories::replay_on_database(1, 100)).await.unwrap();
    assert_eq!(coverage.gaps(), Vec::<&str>::new(), "{coverage:?}");
}
