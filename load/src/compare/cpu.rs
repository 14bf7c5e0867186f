//! What processes have used of the processor, as Linux counts it.

use std::fs;

use anyhow::{Context, Result};

/// Linux shows times in hundredths of a second on every architecture.
const TICKS: f64 = 100.0;

/// Seconds that this process has used.
///
/// # Errors
/// Where there is no `/proc`.
pub fn own() -> Result<f64> {
    let stat = fs::read_to_string("/proc/self/stat").context("reading /proc/self/stat: CPU times need Linux")?;
    used(&stat, 2).context("/proc/self/stat has no times")
}

/// Seconds that these processes and their children have used, also children that have ended.
///
/// # Errors
/// Where there is no `/proc`.
pub fn of_servers(pids: &[u32]) -> Result<f64> {
    let mut seconds = 0.0;
    for entry in fs::read_dir("/proc").context("reading /proc: CPU times need Linux")? {
        // Whoever has ended meanwhile is no matter.
        let Ok(stat) = fs::read_to_string(entry?.path().join("stat")) else { continue };
        let pid = stat.split(' ').next().and_then(|pid| pid.parse().ok());
        let parent = fields(&stat).nth(1).and_then(|pid| pid.parse().ok());
        let is = |pid: Option<u32>| pid.is_some_and(|pid| pids.contains(&pid));
        if is(pid) {
            seconds += used(&stat, 4).unwrap_or_default();
        } else if is(parent) {
            seconds += used(&stat, 2).unwrap_or_default();
        }
    }
    Ok(seconds)
}

/// Seconds that the threads of this process with a name have used.
///
/// # Errors
/// Where there is no `/proc`.
pub fn of_threads(name: &str) -> Result<f64> {
    let mut seconds = 0.0;
    for entry in fs::read_dir("/proc/self/task").context("reading /proc/self/task: CPU times need Linux")? {
        let Ok(stat) = fs::read_to_string(entry?.path().join("stat")) else { continue };
        if stat.contains(&format!("({name})")) {
            seconds += used(&stat, 2).unwrap_or_default();
        }
    }
    Ok(seconds)
}

/// The fields after the program's name, which stands in brackets and may hold anything.
fn fields(stat: &str) -> impl Iterator<Item = &str> {
    stat.rsplit_once(") ").map_or("", |(_, rest)| rest).split(' ')
}

/// The sum of the first `count` times: its own as user and in the system, then those of children that it waited for.
fn used(stat: &str, count: usize) -> Option<f64> {
    let times: Vec<f64> = fields(stat).skip(11).take(count).map_while(|ticks| ticks.parse().ok()).collect();
    (times.len() == count).then(|| times.iter().sum::<f64>() / TICKS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_found_whatever_a_program_is_called() {
        let stat = "17 (a ) b) S 1 17 17 0 -1 4194560 1 2 3 4 250 50 100 20 20 0 1 0 9 9 9";
        assert_eq!((used(stat, 2), used(stat, 4), used("17 (a) S 1", 2)), (Some(3.0), Some(4.2), None));
    }

    #[test]
    fn work_is_counted() {
        let before = own().unwrap();
        let mut sum = 0_u64;
        while own().unwrap() < before + 0.05 {
            sum = std::hint::black_box(sum.wrapping_mul(3) + 1);
        }
        assert!(of_servers(&[std::process::id()]).unwrap() >= 0.05);
    }
}
