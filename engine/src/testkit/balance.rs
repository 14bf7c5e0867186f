//! Measured costs of a test's choosing.

use crate::model::{Costs, Measured, Millis};
use crate::ports::Store;

/// Tells the store of measurements by which both channels cost the same at so many posts a day, where there are so many
/// users; what has come of them.
///
/// # Panics
/// When the store does not take them, or comes to another balance.
pub async fn set_balance(store: &dyn Store, users: usize, posts_per_day: f64) -> Costs {
    const ADDED: &str = "the store adds to the costs";
    let before = store.add_costs(&Measured::default(), Millis(0)).await.expect(ADDED);
    // Long after: what was measured before has faded. Each user fills a thousand times a day, and H is 1 us.
    let later = Millis(before.at().0 + 100 * 86_400_000);
    let (flush_ns, deliveries, streams) = (1e9, 1e6, 1e6);
    let sample =
        Measured { flush_ns, deliveries, merge_ns: posts_per_day * streams, streams, fills: 1e3 * users as f64 };
    let costs = store.add_costs(&sample, later).await.expect(ADDED);
    let balance = costs.balance().expect("everything is measured");
    assert!((balance / posts_per_day - 1.0).abs() < 1e-6, "{balance}, not {posts_per_day}: {costs:?}");
    costs
}
