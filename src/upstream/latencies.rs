//! How long answers took lately, coarsely: enough to say after how long an answer is late. One per worker
//! and group.

/// Buckets for an octave: a quantile is right within a fifth.
const PER_OCTAVE: u32 = 4;
/// Up to 2^30 microseconds, a quarter of an hour.
const BUCKETS: usize = (30 * PER_OCTAVE) as usize;
/// Fewer answers say nothing about what is late.
const LEAST: u32 = 50;
/// With so many, all counts are halved: what is long ago fades.
const MOST: u32 = 2000;

#[derive(Debug, Clone)]
pub struct Latencies {
    counts: Box<[u16; BUCKETS]>,
    sum: u32,
}

impl Default for Latencies {
    fn default() -> Self {
        Latencies { counts: Box::new([0; BUCKETS]), sum: 0 }
    }
}

impl Latencies {
    /// An answer took so many microseconds.
    pub fn note(&mut self, micros: u64) {
        if let Some(count) = self.counts.get_mut(bucket(micros)) {
            *count += 1;
            self.sum += 1;
        }
        if self.sum >= MOST {
            self.counts.iter_mut().for_each(|count| *count /= 2);
            self.sum = self.counts.iter().map(|count| u32::from(*count)).sum();
        }
    }

    /// Microseconds that so many percent of the answers stayed below; `None` while there were too few.
    pub fn quantile(&self, percent: u8) -> Option<u64> {
        if self.sum < LEAST {
            return None;
        }
        let wanted = (self.sum * u32::from(percent)).div_ceil(100);
        let mut seen = 0;
        let place = self.counts.iter().position(|count| {
            seen += u32::from(*count);
            seen >= wanted
        })?;
        Some(upper_end(place))
    }
}

fn bucket(micros: u64) -> usize {
    let octave = micros.max(1).ilog2();
    // The two bits behind the first one.
    let part = if octave >= 2 { micros >> (octave - 2) & 3 } else { 0 };
    ((octave * PER_OCTAVE) as usize + part as usize).min(BUCKETS - 1)
}

fn upper_end(place: usize) -> u64 {
    let (octave, part) = (place as u32 / PER_OCTAVE, u64::from(place as u32 % PER_OCTAVE));
    let start = 1u64 << octave;
    start + (start * (part + 1)).div_ceil(4)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quantile_is_near_what_sorting_would_give() {
        let mut latencies = Latencies::default();
        for micros in 1..=1000u64 {
            latencies.note(micros * 10);
        }
        for (percent, exact) in [(50, 5_000.0), (95, 9_500.0), (99, 9_900.0)] {
            let found = latencies.quantile(percent).expect("enough answers") as f64;
            assert!(found >= exact && found <= exact * 1.3, "p{percent}: {found} for {exact}");
        }
    }

    #[test]
    fn a_few_answers_say_nothing() {
        let mut latencies = Latencies::default();
        (0..LEAST - 1).for_each(|_| latencies.note(100));
        assert_eq!(latencies.quantile(50), None);
        latencies.note(100);
        assert!(latencies.quantile(50).is_some());
    }

    #[test]
    fn what_is_long_ago_fades() {
        let mut latencies = Latencies::default();
        (0..1500).for_each(|_| latencies.note(1_000_000));
        (0..12_000).for_each(|_| latencies.note(1_000));
        assert!(latencies.quantile(95).expect("enough answers") < 2_000);
    }

    #[test]
    fn nothing_is_too_short_or_too_long() {
        let mut latencies = Latencies::default();
        (0..100).for_each(|_| latencies.note(0));
        (0..100).for_each(|_| latencies.note(u64::MAX));
        assert!(latencies.quantile(1).is_some() && latencies.quantile(99).is_some());
    }
}
