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
    used(&stat).context("/proc/self/stat has no times")
}

/// Seconds that these processes and their children have used.
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
        if [pid, parent].into_iter().flatten().any(|pid| pids.contains(&pid)) {
            seconds += used(&stat).unwrap_or_default();
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
            seconds += used(&stat).unwrap_or_default();
        }
    }
    Ok(seconds)
}

/// The fields after the program's name, which stands in brackets and may hold anything.
fn fields(stat: &str) -> impl Iterator<Item = &str> {
    stat.rsplit_once(") ").map_or("", |(_, rest)| rest).split(' ')
}

fn used(stat: &str) -> Option<f64> {
    let mut times = fields(stat).skip(11).map_while(|ticks| ticks.parse::<f64>().ok());
    Some((times.next()? + times.next()?) / TICKS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_found_whatever_a_program_is_called() {
        let stat = "17 (a ) b) S 1 17 17 0 -1 4194560 1 2 3 4 250 50 0 0 20 0 1 0 9 9 9";
        assert_eq!(used(stat), Some(3.0));
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
