//! The engine against the others, with the goals of the design.

use super::Measured;
use super::figures::{ArmFigures, HttpFigures, MergeFigures, MixFigures, Ratio, median};

/// What a peer's ratio is about, with its goal: reads of the natural mix, operations of the Twip mix.
const GOALS: [(&str, Option<f64>, Option<f64>); 3] =
    [("mastodon", Some(10.0), Some(3.0)), ("misskey", Some(10.0), None), ("postgres-pull", None, Some(20.0))];
const HTTP_GOAL: f64 = 0.6;
const WARM_GOAL: f64 = 3.0;
const COLD_GOAL: f64 = 1.0;
const MANY_GOAL: f64 = 10.0;
const BYTES_GOAL: f64 = 6.0;
const FRESH_GOAL_MS: f64 = 250.0;

/// Against each peer, the median of the rounds' ratios: an arm and its peer in the same round.
pub fn of_rounds(measured: &[Measured]) -> Vec<Ratio> {
    let (engine, peers) = measured.split_first().expect("the engine is the first arm");
    let mut ratios = Vec::new();
    for peer in peers {
        let name = peer.driven.arm.name();
        let Some(&(_, natural, twip)) = GOALS.iter().find(|(known, ..)| *known == name) else { continue };
        let ratio = |ours: &[MixFigures], theirs: &[MixFigures], figure: fn(&MixFigures) -> f64| {
            let pairs = ours.iter().zip(theirs).filter(|(_, theirs)| figure(theirs) > 0.0);
            median(pairs.map(|(ours, theirs)| figure(ours) / figure(theirs)).collect())
        };
        if let Some(goal) = natural {
            let value = ratio(&engine.natural, &peer.natural, |round| round.operations_per_second);
            ratios.push(Ratio::at_least(format!("natural mix, operations/s against {name}"), value, goal));
        }
        if let Some(goal) = twip {
            let value = ratio(&engine.twip, &peer.twip, |round| round.operations_per_second);
            ratios.push(Ratio::at_least(format!("Twip mix, operations/s against {name}"), value, goal));
        }
    }
    ratios
}

/// These and what is measured once.
pub fn with_goals(mut ratios: Vec<Ratio>, arms: &[ArmFigures], http: &HttpFigures, merge: &MergeFigures) -> Vec<Ratio> {
    let engine = arms.first().expect("the engine is the first arm");
    let HttpFigures { tributary, bare } = http;
    let value = tributary.reads_per_second / bare.reads_per_second.max(f64::MIN_POSITIVE);
    ratios.push(Ratio::at_least("HTTP, reads/s against a bare server".to_owned(), value, HTTP_GOAL));
    let MergeFigures { warm_us, cold_us, chain_and_heap_us, many_us, collect_and_sort_us, .. } = *merge;
    for (what, value, goal) in [
        ("page from L1, in memory, against chain and heap", chain_and_heap_us / warm_us, WARM_GOAL),
        ("page from the ring alone, in memory, against chain and heap", chain_and_heap_us / cold_us, COLD_GOAL),
        ("page of a reader of many, in memory, against collect and sort", collect_and_sort_us / many_us, MANY_GOAL),
    ] {
        ratios.push(Ratio::at_least(what.to_owned(), value, goal));
    }
    if let Some(bytes) = engine.bytes_per_entry {
        ratios.push(Ratio::at_most("bytes per window entry in process".to_owned(), bytes, BYTES_GOAL));
    }
    // A post that was never visible has no time, and misses every goal.
    let fresh = &engine.fresh_without_fan_out;
    let late = fresh.p99_ms.filter(|_| fresh.visible == fresh.posts).unwrap_or(f64::INFINITY);
    ratios.push(Ratio::at_most("visible with fan-out stopped, p99, ms".to_owned(), late, FRESH_GOAL_MS));
    ratios
}
