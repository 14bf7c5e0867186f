//! Plans of graphs small enough to be reckoned by hand, and what holds for every graph.

use proptest::prelude::*;

use super::costs::{Figures, Origin};
use super::*;

fn costs(h_us: f64, l_us: f64) -> UnitCosts {
    UnitCosts::of(Figures { h_us: Some(h_us), l_us: Some(l_us), fills_per_day: None }, Figures::default())
}

/// Everybody comes; who is daily and who is seldom is as it is drawn.
const ACTIVITY: Activity = Activity { live_share: 1.0, reads_per_day: 7.0 };

fn plan(rates: &[f64], follows: &[(u32, Vec<u32>)], costs: UnitCosts) -> Plan {
    let mut ledger = Ledger::new(rates.to_vec(), ACTIVITY, costs.h_us, costs.l_us);
    for (reader, followees) in follows {
        ledger.add(*reader, followees);
    }
    Plan::new(&ledger, ACTIVITY, costs)
}

/// A reader who comes daily (7 fills a day), and one who comes seldom (2 a day).
fn daily_and_seldom() -> (u32, u32) {
    let with = |fills: f64| (10..).find(|&place| ACTIVITY.fills_per_day(place) == fills).expect("there is one");
    (with(7.0), with(2.0))
}

#[test]
fn a_small_graph_costs_what_it_does_by_hand() {
    let (daily, seldom) = daily_and_seldom();
    // Author 0 posts 100 a day for both readers, author 1 posts 10 for both, author 2 posts 3 for the daily one.
    let mut rates = vec![0.0; 100];
    (rates[0], rates[1], rates[2]) = (100.0, 10.0, 3.0);
    let follows = [(daily, vec![0, 1, 2]), (seldom, vec![0, 1])];
    // A delivery costs 1 s, a merge 2 s. Merges a day: author 0 and 1 (7 + 2) x 2 = 18 s, author 2 7 x 2 = 14 s.
    let plan = plan(&rates, &follows, costs(1e6, 2e6));
    let told: Vec<_> = plan.thresholds.iter().map(|c| (c.enter_followers, c.pull_authors, c.total_s)).collect();
    let pull_all = 18.0 + 18.0 + 14.0;
    let push_all = 200.0 + 20.0 + 3.0;
    assert_eq!(told, [(Some(1), 3, pull_all), (Some(2), 2, 18.0 + 18.0 + 3.0), (Some(5), 0, push_all)]);
    assert_eq!((plan.thresholds[1].delivery_s, plan.thresholds[1].merge_s), (3.0, 36.0));
    // Each author: 18 against 200, 18 against 20, 14 against 3.
    assert_eq!((plan.by_author.pull_authors, plan.by_author.total_s), (2, 39.0));
    // Each follow: author 0: 14 and 4; author 1: 10 (push) and 4; author 2: 3.
    assert_eq!(plan.per_follow_s, 14.0 + 4.0 + 10.0 + 4.0 + 3.0);
    // By averages: (30 x 7 + 25 x 2) / 55 fills, two deliveries each.
    assert!((plan.balance_posts_per_day - 2.0 * 260.0 / 55.0).abs() < 1e-9, "{}", plan.balance_posts_per_day);
    assert_eq!((plan.by_rate.pull_authors, plan.by_rate.total_s), (2, 39.0));
    // Mode cost is no cheaper than the best threshold here.
    let recommended = plan.recommended;
    assert_eq!((recommended.mode, recommended.enter_followers, recommended.leave_followers), (Mode::Threshold, 2, 1));
    assert_eq!((plan.users, plan.follows, plan.posts_per_day), (100, 5, 113.0));
}

#[test]
fn where_followers_say_nothing_of_the_cost_the_mode_cost_is_recommended() {
    let (daily, seldom) = daily_and_seldom();
    // One with two followers who hardly posts, one with one who posts all the time.
    let mut rates = vec![0.0; 100];
    (rates[0], rates[1]) = (0.1, 1_000.0);
    let plan = plan(&rates, &[(daily, vec![0, 1]), (seldom, vec![0])], costs(1.0, 1.0));
    assert_eq!(plan.recommended.mode, Mode::Cost);
    assert_eq!(plan.by_rate.pull_authors, 1);
    let (toml, body) = plan.snippets();
    assert!(toml.starts_with("[hot]\nmode = \"cost\"\nenter_followers = "), "{toml}");
    let body: TuningSettings = serde_json::from_str(&body).unwrap();
    assert_eq!((body, body.validate()), (plan.recommended, Ok(())));
}

#[test]
fn an_empty_graph_costs_nothing() {
    let plan = plan(&[], &[], costs(1.0, 1.0));
    assert_eq!((plan.by_author.total_s, plan.per_follow_s), (0.0, 0.0));
    assert_eq!(plan.recommended.validate(), Ok(()));
    assert!(plan.text().contains("push everything") && plan.report().html().contains("push everything"));
}

#[test]
fn the_text_says_what_was_assumed() {
    let (daily, _) = daily_and_seldom();
    let assumed = UnitCosts::of(Figures::default(), Figures { l_us: Some(4.5), ..Figures::default() });
    assert_eq!((assumed.h_from, assumed.l_from), (Origin::Assumed, Origin::Measured));
    let text = plan(&[5.0; 100], &[(daily, vec![0])], assumed).text();
    for part in
        ["H = 0.023 us a delivery (assumed)", "L = 4.500 us a merge (measured)", "recommended:", "Readers are a model"]
    {
        assert!(text.contains(part), "{part} is not in {text}");
    }
}

proptest! {
    #[test]
    fn no_choice_is_below_the_optimum_of_each_author_nor_that_below_the_one_of_each_follow(
        rates in prop::collection::vec(prop_oneof![Just(0.0), 0.001..100.0_f64], 1..40),
        picks in prop::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>()), 0..300),
        h_us in 0.001..10.0_f64,
        l_us in 0.001..100.0_f64,
    ) {
        let follows: Vec<(u32, Vec<u32>)> = picks
            .iter()
            .map(|(reader, author)| (reader.index(1_000) as u32, vec![author.index(rates.len()) as u32]))
            .collect();
        let plan = plan(&rates, &follows, costs(h_us, l_us));
        // To the last bit.
        prop_assert!(plan.per_follow_s <= plan.by_author.total_s);
        prop_assert!(plan.by_author.total_s <= plan.by_rate.total_s);
        for threshold in &plan.thresholds {
            prop_assert!(plan.by_author.total_s <= threshold.total_s, "{threshold:?}");
        }
        prop_assert_eq!(plan.recommended.validate(), Ok(()));
    }
}
