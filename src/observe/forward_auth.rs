//! Counters of what auth services said, for the page of metrics. They are shared by the workers: next to a question to
//! another server they cost nothing.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::metrics::{head, line};

/// What came of a question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    Passed,
    Refused,
    /// An answer that says nothing, or none.
    Failed,
    /// Nobody to ask, or not in time.
    Unavailable,
}

/// In the order of the page, and of the enum.
const OUTCOMES: [&str; 4] = ["passed", "refused", "failed", "unavailable"];

static COUNTERS: [AtomicU64; OUTCOMES.len()] = [const { AtomicU64::new(0) }; OUTCOMES.len()];

pub fn count(outcome: Outcome) {
    if let Some(counter) = COUNTERS.get(outcome as usize) {
        counter.fetch_add(1, Relaxed);
    }
}

pub(super) fn page(page: &mut String) {
    let name = "forward_auth_total";
    head(page, name, "counter", "Requests that an auth service was asked about, by what came of it");
    for (result, counter) in OUTCOMES.iter().zip(&COUNTERS) {
        line(page, name, &[("result", result)], counter.load(Relaxed));
    }
}
