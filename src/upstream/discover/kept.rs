//! What is known by a look-up: the last good answer, how long it holds, and when to ask again. Plain
//! functions of an answer and the time.

use std::time::Duration;

use tokio::time::Instant;

use super::DnsOptions;
use super::knowledge::Standing;

/// What one look-up brought, good or bad.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer<T> {
    pub fresh: Vec<T>,
    /// How long `fresh` holds, as the answer says.
    pub ttl: Duration,
    /// Records of earlier that this answer could not confirm, as something went wrong.
    pub stale: Vec<T>,
    /// What went wrong.
    pub trouble: Option<String>,
}

/// The records of one name.
#[derive(Debug)]
pub struct Kept<T> {
    records: Vec<T>,
    trouble: Option<Trouble>,
    /// Failed look-ups so far.
    failures: u64,
}

#[derive(Debug)]
struct Trouble {
    /// The last time.
    why: String,
    since: Instant,
    /// Look-ups that have failed since then.
    tries: u32,
    /// Stale records were given up.
    over: bool,
}

/// What came of taking an answer in.
#[derive(Debug, PartialEq, Eq)]
pub struct Noted {
    /// How long until the next look-up.
    pub next: Duration,
    /// Other records than before.
    pub changed: bool,
    pub news: Option<News>,
}

/// What has changed for an operator; nothing is said while it stays as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum News {
    /// Look-ups fail from now on. `kept`: records of earlier are used.
    Failing {
        why: String,
        kept: bool,
    },
    /// They have failed for too long: what was not confirmed is no longer used.
    GivenUp,
    Recovered,
}

/// Longest pause between two look-ups that fail.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// Beyond it doubling makes no difference.
const MOST_DOUBLINGS: u32 = 20;

impl<T> Default for Kept<T> {
    fn default() -> Self {
        Kept { records: Vec::new(), trouble: None, failures: 0 }
    }
}

impl<T: Clone + Ord> Kept<T> {
    /// Sorted, each once.
    pub fn records(&self) -> &[T] {
        &self.records
    }

    pub fn standing(&self) -> Standing {
        let trouble = self.trouble.as_ref().map(|trouble| trouble.why.clone());
        Standing { trouble, failures: self.failures }
    }

    pub fn note(&mut self, answer: Answer<T>, now: Instant, options: &DnsOptions) -> Noted {
        let by_ttl = answer.ttl.clamp(options.min_ttl, options.max_ttl);
        let Some(why) = answer.trouble else {
            let changed = self.keep(answer.fresh);
            let news = self.trouble.take().map(|_| News::Recovered);
            return Noted { next: by_ttl, changed, news };
        };
        self.failures += 1;
        let began = self.trouble.is_none();
        let first = Trouble { why: String::new(), since: now, tries: 0, over: false };
        let trouble = self.trouble.get_or_insert(first);
        trouble.why.clone_from(&why);
        let left = (trouble.since + options.keep_stale).saturating_duration_since(now);
        let pause = pause(trouble.tries, options);
        trouble.tries = trouble.tries.saturating_add(1);

        let kept = !answer.stale.is_empty() && !left.is_zero();
        let gives_up = !answer.stale.is_empty() && !kept && !trouble.over;
        trouble.over |= gives_up;
        let mut records = answer.fresh;
        let mut next = if records.is_empty() { pause } else { pause.min(by_ttl) };
        if kept {
            records.extend(answer.stale);
            next = next.min(left);
        }
        let changed = self.keep(records);
        let news = match (began, gives_up) {
            (true, _) => Some(News::Failing { why, kept }),
            (false, true) => Some(News::GivenUp),
            (false, false) => None,
        };
        Noted { next, changed, news }
    }

    fn keep(&mut self, mut records: Vec<T>) -> bool {
        records.sort_unstable();
        records.dedup();
        let changed = self.records != records;
        self.records = records;
        changed
    }
}

/// From the shortest time to live on, each twice as long as the one before, up to a minute.
fn pause(tries: u32, options: &DnsOptions) -> Duration {
    let longest = LONGEST_PAUSE.min(options.max_ttl).max(options.min_ttl);
    options.min_ttl.saturating_mul(1 << tries.min(MOST_DOUBLINGS)).min(longest)
}

/// Up to a tenth earlier, so that names which were looked up together do not stay together; not earlier
/// than `floor`. `random` is any number.
pub fn spread(pause: Duration, floor: Duration, random: u64) -> Duration {
    let permille = u32::try_from(random % 101).unwrap_or(0);
    (pause - pause * permille / 1000).max(floor.min(pause))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn options() -> DnsOptions {
        DnsOptions { keep_stale: 100 * SECOND, ..DnsOptions::default() }
    }

    fn good(records: &[u8], ttl: u32) -> Answer<u8> {
        Answer { fresh: records.to_vec(), ttl: ttl * SECOND, stale: Vec::new(), trouble: None }
    }

    fn failed(kept: &Kept<u8>) -> Answer<u8> {
        Answer {
            fresh: Vec::new(),
            ttl: Duration::ZERO,
            stale: kept.records().to_vec(),
            trouble: Some("no answer".to_string()),
        }
    }

    #[test]
    fn an_answer_holds_for_its_time_to_live_within_bounds() {
        for (ttl, seconds) in [(0, 1), (1, 1), (30, 30), (300, 300), (u32::MAX, 300)] {
            let mut kept = Kept::default();
            let Noted { next, news, .. } = kept.note(good(&[2, 1, 2], ttl), Instant::now(), &options());
            assert_eq!((next, news, kept.records()), (seconds * SECOND, None, &[1, 2][..]), "ttl {ttl}");
        }
    }

    #[test]
    fn failures_are_retried_ever_more_slowly_and_told_once() {
        let (mut kept, mut now) = (Kept::default(), Instant::now());
        kept.note(good(&[1], 5), now, &options());
        let mut pauses = Vec::new();
        for failure in 0..8 {
            let Noted { next, news, .. } = kept.note(failed(&kept), now, &options());
            let first = News::Failing { why: "no answer".to_string(), kept: true };
            assert_eq!(news, (failure == 0).then_some(first));
            assert_eq!(kept.records(), [1]);
            pauses.push(next.as_secs());
            // Only a moment: this is about the pauses, not about giving up.
            now += Duration::from_millis(1);
        }
        assert_eq!(pauses, [1, 2, 4, 8, 16, 32, 60, 60]);
        assert_eq!(kept.standing(), Standing { trouble: Some("no answer".to_string()), failures: 8 });
        assert_eq!(
            kept.note(good(&[3], 5), now, &options()),
            Noted { next: 5 * SECOND, changed: true, news: Some(News::Recovered) }
        );
        assert_eq!(kept.standing().trouble, None);
        // And from the beginning again.
        assert_eq!(kept.note(failed(&kept), now, &options()).next, SECOND);
    }

    #[test]
    fn stale_records_are_given_up_on_time_and_it_is_told_once() {
        let (mut kept, start) = (Kept::default(), Instant::now());
        kept.note(good(&[1], 5), start, &options());
        kept.note(failed(&kept), start, &options());
        // Not a full pause: the time is over before.
        let Noted { next, news, .. } = kept.note(failed(&kept), start + 99 * SECOND, &options());
        assert_eq!((next, news, kept.records()), (SECOND, None, &[1][..]));
        let Noted { news, .. } = kept.note(failed(&kept), start + 100 * SECOND, &options());
        assert_eq!((news, kept.records()), (Some(News::GivenUp), &[][..]));
        let Noted { news, .. } = kept.note(failed(&kept), start + 101 * SECOND, &options());
        assert_eq!(news, None);
    }

    #[test]
    fn without_patience_for_stale_records_a_failure_takes_them_away() {
        let options = DnsOptions { keep_stale: Duration::ZERO, ..options() };
        let mut kept = Kept::default();
        kept.note(good(&[1], 5), Instant::now(), &options);
        let Noted { news, .. } = kept.note(failed(&kept), Instant::now(), &options);
        assert_eq!(news, Some(News::Failing { why: "no answer".to_string(), kept: false }));
        assert_eq!(kept.records(), [] as [u8; 0]);
    }

    #[test]
    fn half_an_answer_replaces_its_half() {
        let (mut kept, start) = (Kept::default(), Instant::now());
        let half = |fresh: u8| Answer {
            stale: vec![9],
            ..Answer { trouble: Some("AAAA".to_string()), ..good(&[fresh], 30) }
        };
        kept.note(good(&[1, 9], 30), start, &options());
        let Noted { next, .. } = kept.note(half(2), start, &options());
        assert_eq!((next, kept.records()), (SECOND, &[2, 9][..]));
        kept.note(half(3), start + 100 * SECOND, &options());
        assert_eq!(kept.records(), [3]);
    }

    #[test]
    fn look_ups_are_spread_but_not_below_the_floor() {
        let minute = 60 * SECOND;
        assert_eq!(spread(minute, SECOND, 0), minute);
        assert_eq!(spread(minute, SECOND, 100), 54 * SECOND);
        assert_eq!(spread(minute, SECOND, u64::MAX).as_secs() / 54, 1);
        assert_eq!(spread(SECOND, SECOND, 100), SECOND);
        assert_eq!(spread(Duration::from_millis(10), SECOND, 100), Duration::from_millis(10));
    }
}
