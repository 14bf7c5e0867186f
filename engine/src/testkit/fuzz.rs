//! Fuzzing on stable Rust, as an ordinary test: seeds, what was kept of earlier findings, and mutations of both, which
//! join the pool where the target accepts them. The same inputs every time, unless the environment asks for others:
//! `TRIBUTARY_FUZZ_SEED` (a number) and `TRIBUTARY_FUZZ_SECONDS` (how long, for each target).

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::time::{Duration, Instant};

use fastrand::Rng;

/// Mutations in an ordinary run, and how long it takes at the most.
const ROUNDS: u32 = 20_000;
const PATIENCE: Duration = Duration::from_secs(2);
/// Accepted mutations that join the pool at the most.
const JOINING: usize = 500;
/// Bytes of an input at the most.
const INPUT_BYTES: usize = 64 * 1024;
/// Bytes that mean something to some parser.
const ODD: &[u8] = b"\0\x01\x7f\x80\xff 0129aZ%+\"'{}[]=&;,:/\\.-\r\n\t";

/// Runs `target` on `seeds`, on the files of the folder `kept` (absent: none) and on mutations of them. The target says
/// whether it accepted the input, and panics where a property does not hold.
///
/// # Panics
/// Where the target does: the message has the input in hexadecimal. Kept as a file in the folder, it is tried for ever.
pub fn fuzz(kept: &str, seeds: Vec<Vec<u8>>, target: impl Fn(&[u8]) -> bool) {
    let number = |name| std::env::var(name).ok().and_then(|text| text.parse().ok());
    let seed = number("TRIBUTARY_FUZZ_SEED").unwrap_or(1);
    let (rounds, patience) = match number("TRIBUTARY_FUZZ_SECONDS") {
        Some(seconds) => (u32::MAX, Duration::from_secs(seconds)),
        None => (ROUNDS, PATIENCE),
    };
    let run = |input: &[u8]| {
        catch_unwind(AssertUnwindSafe(|| target(input))).unwrap_or_else(|panic| {
            let file = std::env::temp_dir().join("tributary-fuzz-input");
            let told = fs::write(&file, input).map_or(String::new(), |()| format!(", which is in {}", file.display()));
            let why = panic.downcast_ref::<String>().cloned();
            match why.or_else(|| panic.downcast_ref::<&str>().map(|&text| text.to_owned())) {
                Some(why) => panic!("{why}\nseed {seed}, {kept}, input {}{told}", hexadecimal(input)),
                None => resume_unwind(panic),
            }
        })
    };
    let mut pool = seeds;
    pool.extend(files(kept));
    pool.push(Vec::new());
    for input in &pool {
        run(input);
    }
    let (mut rng, started, most) = (Rng::with_seed(seed), Instant::now(), pool.len() + JOINING);
    for _ in 0..rounds {
        let input = mutated(&pool, &mut rng);
        if run(&input) && pool.len() < most {
            pool.push(input);
        }
        if started.elapsed() > patience {
            break;
        }
    }
}

/// What is in the files of a folder, by their names.
fn files(folder: &str) -> Vec<Vec<u8>> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let mut paths: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
    paths.sort();
    paths.iter().map(|path| fs::read(path).expect("what is kept can be read")).collect()
}

fn mutated(pool: &[Vec<u8>], rng: &mut Rng) -> Vec<u8> {
    let mut bytes = pool[rng.usize(..pool.len())].clone();
    for _ in 0..rng.usize(1..5) {
        let at = rng.usize(..=bytes.len());
        let end = (at + rng.usize(..9)).min(bytes.len());
        match rng.u8(..10) {
            0 => flip(&mut bytes, at, rng),
            1 => set(&mut bytes, at, ODD[rng.usize(..ODD.len())]),
            2 => set(&mut bytes, at, rng.u8(..)),
            3 => drop(bytes.drain(at..end)),
            4 => drop(bytes.splice(at..at, [ODD[rng.usize(..ODD.len())]])),
            5 => bytes.truncate(at),
            // A part again, once or often.
            6 => {
                let part = bytes[at..end].repeat(1 << rng.u8(..10));
                drop(bytes.splice(at..at, part));
            }
            // The rest of another input.
            7 => {
                let other = &pool[rng.usize(..pool.len())];
                let from = rng.usize(..=other.len());
                bytes.truncate(at);
                bytes.extend_from_slice(&other[from..]);
            }
            // A number at a border, in digits.
            8 => {
                let start = bytes[at..].iter().position(u8::is_ascii_digit).map_or(at, |from| at + from);
                let digits = bytes[start..].iter().take_while(|byte| byte.is_ascii_digit()).count();
                drop(bytes.splice(start..start + digits, border(rng).to_string().into_bytes()));
            }
            // The same in bytes.
            _ => {
                for (n, byte) in border(rng).to_le_bytes().into_iter().enumerate().take(1 << rng.u8(..4)) {
                    set(&mut bytes, at + n, byte);
                }
            }
        }
        bytes.truncate(INPUT_BYTES);
    }
    bytes
}

/// A power of two, or the number before one.
fn border(rng: &mut Rng) -> u64 {
    (1 << rng.u8(..64)) - u64::from(rng.bool())
}

fn flip(bytes: &mut [u8], at: usize, rng: &mut Rng) {
    if let Some(byte) = bytes.get_mut(at) {
        *byte ^= 1 << rng.u8(..8);
    }
}

fn set(bytes: &mut [u8], at: usize, to: u8) {
    if let Some(byte) = bytes.get_mut(at) {
        *byte = to;
    }
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_that_fails_is_found_out_and_told_with_its_input() {
        let target = |input: &[u8]| {
            assert!(!input.starts_with(b"ab\0"), "found");
            true
        };
        let told = catch_unwind(|| fuzz("", vec![b"abc".to_vec()], target)).expect_err("one change away from a seed");
        let told = told.downcast_ref::<String>().expect("a message");
        assert!(told.starts_with("found\nseed ") && told.contains("input 616200"), "{told}");
    }

    #[test]
    fn what_is_accepted_leads_to_more() {
        let longest = std::cell::Cell::new(0);
        let target = |input: &[u8]| {
            let ones = input.iter().take_while(|byte| **byte == 1).count();
            longest.set(longest.get().max(ones));
            ones > 0 && ones == input.len()
        };
        fuzz("", vec![vec![1]], target);
        assert!(longest.get() > 40, "{}", longest.get());
    }
}
