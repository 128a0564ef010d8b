//! Counters of what was compressed and decompressed, for the page of metrics. They are shared by the workers: next to
//! the work that they count they cost nothing.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};

use super::metrics::{head, line};

/// In the order of the page.
const CODINGS: [&str; 4] = ["zstd", "br", "gzip", "deflate"];

/// Of one coding.
#[derive(Debug, Default)]
struct Counters {
    compressed: AtomicU64,
    taken: AtomicU64,
    made: AtomicU64,
    decompressed: AtomicU64,
}

static COUNTERS: [Counters; CODINGS.len()] = [const {
    Counters {
        compressed: AtomicU64::new(0),
        taken: AtomicU64::new(0),
        made: AtomicU64::new(0),
        decompressed: AtomicU64::new(0),
    }
}; CODINGS.len()];

/// Why an answer was not compressed, or not decompressed, that would have been.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Skipped {
    Overload,
    Memory,
}

static OVERLOAD: AtomicU64 = AtomicU64::new(0);
static MEMORY: AtomicU64 = AtomicU64::new(0);

/// Efforts of the workers, where they were ever less than full.
static EFFORTS: Mutex<BTreeMap<usize, u64>> = Mutex::new(BTreeMap::new());
/// As the page shows it.
const FULL: u64 = 2;

fn of(coding: &str) -> Option<&'static Counters> {
    COUNTERS.get(CODINGS.iter().position(|known| *known == coding)?)
}

pub fn count_compressed(coding: &str) {
    if let Some(counters) = of(coding) {
        counters.compressed.fetch_add(1, Relaxed);
    }
}

/// Bytes before and after.
pub fn count_bytes(coding: &str, taken: u64, made: u64) {
    if let Some(counters) = of(coding) {
        counters.taken.fetch_add(taken, Relaxed);
        counters.made.fetch_add(made, Relaxed);
    }
}

pub fn count_decompressed(coding: &str) {
    if let Some(counters) = of(coding) {
        counters.decompressed.fetch_add(1, Relaxed);
    }
}

pub fn count_skipped(why: Skipped) {
    let counter = match why {
        Skipped::Overload => &OVERLOAD,
        Skipped::Memory => &MEMORY,
    };
    counter.fetch_add(1, Relaxed);
}

/// 0 off, 1 fast, 2 full.
pub fn set_effort(worker: usize, effort: u64) {
    EFFORTS.lock().unwrap_or_else(PoisonError::into_inner).insert(worker, effort);
}

pub(super) fn page(page: &mut String) {
    type Value = fn(&Counters) -> u64;
    let series: [(&str, &str, Value); 4] = [
        ("compressed_responses_total", "Answers that were compressed", |counters| {
            counters.compressed.load(Relaxed)
        }),
        ("compression_in_bytes_total", "Bytes of them before, of those that are over", |counters| {
            counters.taken.load(Relaxed)
        }),
        ("compression_out_bytes_total", "Bytes of them after", |counters| counters.made.load(Relaxed)),
        ("decompressed_responses_total", "Answers that were decompressed", |counters| {
            counters.decompressed.load(Relaxed)
        }),
    ];
    for (name, help, value) in series {
        head(page, name, "counter", help);
        for (coding, counters) in CODINGS.iter().zip(&COUNTERS) {
            line(page, name, &[("encoding", coding)], value(counters));
        }
    }
    let name = "compression_skipped_total";
    head(page, name, "counter", "Answers that were left as they were for want of time or memory");
    line(page, name, &[("reason", "overload")], OVERLOAD.load(Relaxed));
    line(page, name, &[("reason", "memory")], MEMORY.load(Relaxed));
    let efforts = EFFORTS.lock().unwrap_or_else(PoisonError::into_inner);
    let lowest = efforts.values().copied().min().unwrap_or(FULL);
    head(page, "compression_level", "gauge", "Of the busiest worker: 0 off, 1 fast, 2 as configured");
    line(page, "compression_level", &[], lowest);
}
