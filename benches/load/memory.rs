//! The machine's memory, made ready before anything is measured on it.
//!
//! A virtual machine gets a page from its host when it touches it for the first time, and again after it has given free memory back. A
//! service that runs for days does not see it; the first run after a pause would measure the host. On a machine of metal both
//! figures are the same.

use std::hint::black_box;
use std::time::Instant;

const PAGE_BYTES: usize = 4096;

/// What a page of fresh memory took, microseconds.
pub struct Touched {
    /// When it was touched for the first time.
    pub first: f64,
    /// When the process had given it back and got it again.
    pub again: f64,
}

/// Touches so much memory, but no more than half of what is available, and gives it back.
pub fn touch(mib: usize) -> Touched {
    let bytes = mib.min(available_mib() / 2) << 20;
    Touched { first: pass(bytes), again: pass(bytes) }
}

fn pass(bytes: usize) -> f64 {
    let mut memory = vec![0_u8; bytes];
    let begun = Instant::now();
    memory.iter_mut().step_by(PAGE_BYTES).for_each(|byte| *byte = black_box(1));
    let pages = (bytes / PAGE_BYTES).max(1);
    begun.elapsed().as_secs_f64() * 1e6 / pages as f64
}

fn available_mib() -> usize {
    let known = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let line = known.lines().find_map(|line| line.strip_prefix("MemAvailable:"));
    line.and_then(|line| line.split_whitespace().next()?.parse::<usize>().ok()).unwrap_or_default() / 1024
}
