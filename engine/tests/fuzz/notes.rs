//! Fuzz targets for the notes that nodes keep in the store for each other, as JSON: any version, or an operator, may have
//! written them.

use tributary_engine::limits::READER_SLOTS;
use tributary_engine::model::{ChangedBy, Costs, Heat, Measured, Millis, PostId, Tuning, TuningSettings, UserId};
use tributary_engine::redis::SlotMap;
use tributary_engine::testkit::fuzz;

use super::kept;

/// The input: a tuning, a vertical bar, costs.
#[test]
fn a_channel_is_chosen_by_whatever_tuning_and_costs_are_kept() {
    let hour = |sample: Measured| {
        let begun = Costs::with(None, &Measured::default(), 100, Millis(7));
        serde_json::to_string(&Costs::with(Some(begun), &sample, 100, Millis(3_600_007))).unwrap()
    };
    let known = Measured { flush_ns: 5e5, deliveries: 1e3, merge_ns: 6e5, streams: 2e2, fills: 9e2 };
    let tuning = |mode: &str| {
        format!(
            r#"{{"version":3,"settings":{{"mode":"{mode}","enter_followers":9,"leave_followers":8,"flush_max_age_ms":0,"flush_max_pairs":1}},"changed_by":{{"Operator":7}},"changed_at":5}}"#
        )
    };
    let seeds = [
        format!("{}|{}", tuning("cost"), hour(known)),
        format!("{}|{}", tuning("threshold"), hour(Measured::default())),
        format!("{}|null", tuning("cost")),
    ];
    let newest = [PostId(1 << 61), PostId(1 << 60), PostId(1)];
    fuzz(kept!("choice"), seeds.map(String::into_bytes).to_vec(), |input| {
        let bar = input.iter().position(|byte| *byte == b'|').unwrap_or(input.len());
        let Ok(tuning) = serde_json::from_slice::<Tuning>(&input[..bar]) else { return false };
        let again = serde_json::to_string(&tuning).unwrap();
        assert_eq!(serde_json::from_str::<Tuning>(&again).unwrap(), tuning);
        let Ok(costs) = serde_json::from_slice::<Option<Costs>>(input.get(bar + 1..).unwrap_or_default()) else {
            return false;
        };
        for followers in [0, 8, 9, u64::MAX] {
            let heat = Heat::default().at_post(followers, &newest, &tuning.settings, costs.as_ref());
            assert!(!heat.hot || followers > 0 || tuning.settings.enter_followers == 0, "{tuning:?} {costs:?}");
        }
        if let Some(costs) = costs {
            let (measured, more) = (costs.measured(), Costs::with(Some(costs), &known, 100, Millis(u64::MAX)));
            // What is told of H and L is measured, or it is told that nothing is.
            assert_eq!(measured.h_us().is_some(), measured.deliveries > 0.0);
            assert!(more.at() >= costs.at() && more.measured().deliveries >= 0.0 || measured.deliveries < 0.0);
        }
        true
    });
    let default = Tuning {
        version: 1,
        settings: TuningSettings::default(),
        changed_by: ChangedBy::Operator(UserId(7)),
        changed_at: Millis(0),
    };
    assert!(serde_json::to_string(&default).unwrap().contains(r#""changed_by":{"Operator":7}"#), "as in the seeds");
}

#[test]
fn a_slot_map_is_refused_or_means_the_same_again() {
    let seeds = [
        r#"{"version":3,"shards":[{"name":"a","weight":1},{"name":"b","weight":2}]}"#,
        r#"{"version":18446744073709551615,"shards":[{"weight":4294967295,"name":""}]}"#,
        r#"{"version":3,"shards":[{"name":"b","weight":1},{"name":"a","weight":1},{"name":"b","weight":1}]}"#,
    ];
    fuzz(kept!("slot_map"), seeds.map(|text| text.as_bytes().to_vec()).to_vec(), |input| {
        let Ok(map) = serde_json::from_slice::<SlotMap>(input) else { return false };
        let shards = map.shards();
        assert!(!shards.is_empty() && shards.is_sorted_by(|a, b| a.name < b.name), "{map:?}");
        assert!(shards.iter().all(|share| share.weight > 0), "{map:?}");
        let again: SlotMap = serde_json::from_str(&serde_json::to_string(&map).unwrap()).unwrap();
        assert_eq!(again, map);
        // Who owns what takes milliseconds to find.
        if shards.len() > 2 && shards.len() < 5 {
            assert_eq!(map.counts().iter().sum::<usize>(), usize::from(READER_SLOTS));
        }
        true
    });
}
