//! `tributary-load plan` as a process: on a made world and on a store that it was imported into, and what it says where
//! it cannot plan.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;
use tempfile::TempDir;

fn load(folder: &Path, args: &[&str]) -> Output {
    let program = env!("CARGO_BIN_EXE_tributary-load");
    Command::new(program).args(args).current_dir(folder).output().expect("the program runs")
}

#[track_caller]
fn json(output: &Output) -> Value {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("one JSON object")
}

/// A folder with a made world of 500 users, and a configuration beside it.
fn world() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let made = load(folder.path(), &["world", "--users", "500", "--seed", "3", "--out", "world"]);
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    std::fs::write(folder.path().join("tributary.toml"), "[store]\npath = 'data'\n").unwrap();
    folder
}

fn number(of: &Value, name: &str) -> f64 {
    of[name].as_f64().unwrap_or_else(|| panic!("{name} is no number in {of}"))
}

#[test]
fn a_world_and_the_store_it_was_imported_into_give_the_same_graph() {
    let folder = world();
    let costs = ["--h-us", "0.5", "--l-us", "4", "--reads-per-day", "2", "--live-share", "0.6", "--json"];
    let of_world = json(&load(folder.path(), &[&["plan", "--world", "world"][..], &costs].concat()));
    assert_eq!((number(&of_world, "users"), number(&of_world["costs"], "h_us")), (500.0, 0.5));
    assert_eq!(of_world["costs"]["l_from"], "given");
    let totals = |plan: &Value| -> Vec<f64> {
        plan["thresholds"].as_array().unwrap().iter().map(|choice| number(choice, "total_s")).collect()
    };
    let (by_author, per_follow) = (number(&of_world["by_author"], "total_s"), number(&of_world, "per_follow_s"));
    assert!(totals(&of_world).iter().all(|total| by_author <= *total) && per_follow <= by_author, "{of_world}");
    assert!(per_follow > 0.0 && by_author <= number(&of_world["by_rate"], "total_s"), "{of_world}");
    assert_eq!(of_world["recommended"].as_object().unwrap().len(), 5, "{of_world}");

    let imported = load(folder.path(), &["import", "--world", "world", "--config", "tributary.toml"]);
    assert!(imported.status.success(), "{}", String::from_utf8_lossy(&imported.stderr));
    let of_store = json(&load(folder.path(), &[&["plan", "--config", "tributary.toml"][..], &costs].concat()));
    for name in ["users", "follows", "fills_per_day"] {
        assert_eq!(of_store[name], of_world[name], "{name}");
    }
    // Users stand in the order of their numbers, so the same ones are active: merges cost the same, to rounding.
    let (world_s, store_s) = (totals(&of_world)[0], totals(&of_store)[0]);
    assert!((world_s - store_s).abs() < 1e-9 * world_s, "{world_s} {store_s}");
}

#[test]
fn a_plan_is_text_with_a_recommendation_and_a_report_on_request() {
    let folder = world();
    let planned = load(folder.path(), &["plan", "--world", "world", "--report", "plan.html"]);
    assert!(planned.status.success(), "{}", String::from_utf8_lossy(&planned.stderr));
    let text = String::from_utf8(planned.stdout).unwrap();
    for part in ["pull everything", "push everything", "mode = \"cost\"", "each follow by itself", "(assumed)", "[hot]"]
    {
        assert!(text.contains(part), "{part} is not in {text}");
    }
    let report = std::fs::read_to_string(folder.path().join("plan.html")).unwrap();
    assert!(report.contains("<svg") && report.contains("Cost of each threshold"));
}

#[test]
fn what_cannot_be_planned_is_told_and_what_is_not_understood_is_wrong_usage() {
    let folder = world();
    for (args, told) in [
        (&["plan", "--world", "elsewhere"][..], "elsewhere"),
        (&["plan", "--config", "missing.toml"], "missing.toml"),
        (&["plan", "--config", "tributary.toml"], "the store has no users"),
        (&["plan", "--world", "world", "--url", "http://127.0.0.1:1"], "asking http://127.0.0.1:1/v1/auth/dev"),
        (&["plan", "--world", "world", "--report", "none/plan.html"], "none/plan.html"),
    ] {
        let output = load(folder.path(), args);
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.code() == Some(1) && error.contains(told), "{args:?}: {:?} {error}", output.status);
    }
    for args in [
        &["plan"][..],
        &["plan", "--world", "world", "--config", "tributary.toml"],
        &["plan", "--world", "world", "--h-us", "0"],
        &["plan", "--world", "world", "--l-us", "NaN"],
        &["plan", "--world", "world", "--live-share", "1.5"],
        &["plan", "--world", "world", "--token", "t"],
    ] {
        assert_eq!(load(folder.path(), args).status.code(), Some(2), "{args:?}");
    }
}
