//! Whether what was promised has held: plain functions of what a run showed.

use std::time::Duration;

use super::course::{Course, Trouble};
use super::journal::Journal;
use super::load::{Method, Sample};
use super::proxy::HEALTH_INTERVAL;
use super::quantile::quantile;

/// All that is known after a run.
pub struct Run {
    pub course: Course,
    /// Requests through the proxy, in the order of their start.
    pub samples: Vec<Sample>,
    pub journal: Journal,
    /// Requests that the proxy says it sent again.
    pub repetitions: u64,
    /// The same machine without the proxy, in the order of their start.
    pub control: Vec<Sample>,
}

/// A promise, and what became of it.
pub struct Verdict {
    pub promise: &'static str,
    pub held: bool,
    pub numbers: String,
}

impl Verdict {
    pub fn word(&self) -> &'static str {
        if self.held { "held" } else { "MISSED" }
    }
}

pub fn judge(run: &Run) -> Vec<Verdict> {
    let consequences: Vec<Consequence> = run.consequences();
    vec![
        run.judge_errors(),
        judge_recovery("p99 is back within a health interval of each fault", &consequences, |one| {
            one.recovered
        }),
        judge_recovery("p99 is as good when the endpoint comes back", &consequences, |one| one.healed),
        run.judge_twice(),
        run.judge_missing(),
        judge_amplification(&consequences),
    ]
}

/// What clients saw of one trouble.
pub struct Consequence {
    pub trouble: Trouble,
    pub requests: usize,
    pub get_errors: usize,
    pub post_errors: usize,
    pub slowest: Duration,
    /// From when on the 99th percentile is as before; `None`: not before the end.
    pub recovered: Option<Duration>,
    /// The same after the endpoint was brought back.
    pub healed: Option<Duration>,
    /// Requests that reached an endpoint, for each that a client sent during the fault.
    pub amplification: f64,
}

impl Run {
    pub fn consequences(&self) -> Vec<Consequence> {
        self.course.troubles.iter().map(|trouble| self.consequence(*trouble)).collect()
    }

    fn consequence(&self, trouble: Trouble) -> Consequence {
        let during = self.started(trouble.begin, trouble.end);
        let whole = self.started(trouble.begin, trouble.next);
        let errors = |method| whole.iter().filter(|sample| is_error(sample, method)).count();
        let reached: u32 = during.iter().map(|sample| self.journal.count(sample.id)).sum();
        Consequence {
            trouble,
            requests: during.len(),
            get_errors: errors(Method::Get),
            post_errors: errors(Method::Post),
            slowest: gets(during).map(|sample| sample.took).max().unwrap_or_default(),
            recovered: self.recovery(trouble.begin, trouble.end),
            healed: self.recovery(trouble.end, trouble.next),
            amplification: f64::from(reached) / during.len().max(1) as f64,
        }
    }

    /// The 99th percentile of GETs before the first fault.
    pub fn calm_p99(&self) -> Duration {
        let end = self.course.troubles.first().map_or(self.course.end, |first| first.begin);
        let calm = self.started(end.mul_f64(0.25), end);
        quantile(gets(calm).map(|sample| sample.took).collect(), 0.99).unwrap_or_default()
    }

    /// The time after `begin` from which on the p99 of the GETs that start before `end` is as before: at most
    /// `TOLERANCE` above that of the calm start, or above that of the control at the same time.
    fn recovery(&self, begin: Duration, end: Duration) -> Option<Duration> {
        let p99 = |samples: &[Sample]| quantile(samples.iter().map(|sample| sample.took).collect(), 0.99);
        let candidates = (0..).map(|step| STEP * step).take_while(|after| begin + *after + REST <= end);
        candidates.into_iter().find(|after| {
            let control = p99(between(&self.control, begin + *after, end)).unwrap_or_default();
            let rest: Vec<Sample> = gets(self.started(begin + *after, end)).copied().collect();
            p99(&rest).is_some_and(|p99| p99 <= control.max(self.calm_p99()) + TOLERANCE)
        })
    }

    /// Requests that started from `begin` on and before `end`.
    fn started(&self, begin: Duration, end: Duration) -> &[Sample] {
        between(&self.samples, begin, end)
    }

    fn judge_errors(&self) -> Verdict {
        let errors: Vec<&Sample> =
            self.samples.iter().filter(|sample| is_error(sample, Method::Get)).collect();
        let first = errors.first().map_or(String::new(), |first| {
            format!(", the first at {:.2} s: {:?}", first.start.as_secs_f64(), first.outcome)
        });
        Verdict {
            promise: "no GET ends in an error",
            held: errors.is_empty(),
            numbers: format!("{} errors of {} GETs{first}", errors.len(), gets(&self.samples).count()),
        }
    }

    fn judge_twice(&self) -> Verdict {
        let twice = self.posts().filter(|sample| self.journal.count(sample.id) > 1).count();
        let failed: Vec<&Sample> =
            self.samples.iter().filter(|sample| is_error(sample, Method::Post)).collect();
        let executed = failed.iter().filter(|sample| self.journal.count(sample.id) > 0).count();
        Verdict {
            promise: "no POST is executed twice",
            held: twice == 0,
            numbers: format!(
                "{twice} of {} twice; {} had an error, {executed} of those were executed",
                self.posts().count(),
                failed.len()
            ),
        }
    }

    fn judge_missing(&self) -> Verdict {
        let answered = || self.posts().filter(|sample| sample.outcome.is_success());
        let missing = answered().filter(|sample| self.journal.count(sample.id) == 0).count();
        Verdict {
            promise: "no POST that was answered 2xx is missing",
            held: missing == 0,
            numbers: format!("{missing} missing of {} answered 2xx", answered().count()),
        }
    }

    fn posts(&self) -> impl Iterator<Item = &Sample> {
        self.samples.iter().filter(|sample| sample.method == Method::Post)
    }
}

fn between(samples: &[Sample], begin: Duration, end: Duration) -> &[Sample] {
    let first = samples.partition_point(|sample| sample.start < begin);
    let last = samples.partition_point(|sample| sample.start < end);
    &samples[first..last.max(first)]
}

fn gets(samples: &[Sample]) -> impl Iterator<Item = &Sample> {
    samples.iter().filter(|sample| sample.method == Method::Get)
}

fn is_error(sample: &Sample, method: Method) -> bool {
    sample.method == method && !sample.outcome.is_success()
}

fn judge_recovery(
    promise: &'static str,
    consequences: &[Consequence],
    time: impl Fn(&Consequence) -> Option<Duration>,
) -> Verdict {
    // `None` is later than any time.
    let late = |consequence: &Consequence| time(consequence).unwrap_or(Duration::MAX);
    let worst = consequences.iter().max_by_key(|consequence| late(consequence));
    let numbers = worst.map_or("no fault".to_string(), |worst| match time(worst) {
        Some(time) => {
            format!("at the latest after {:.1} s ({})", time.as_secs_f64(), worst.trouble.name())
        }
        None => format!("not at all: {}", worst.trouble.name()),
    });
    Verdict { promise, held: worst.is_some_and(|worst| late(worst) <= HEALTH_INTERVAL), numbers }
}

fn judge_amplification(consequences: &[Consequence]) -> Verdict {
    let deaths = consequences.iter().filter(|consequence| consequence.trouble.fault.is_death());
    let worst = deaths.max_by(|a, b| a.amplification.total_cmp(&b.amplification));
    Verdict {
        promise: "with one of three dead, at most 1.2 requests reach an endpoint for each of a client",
        held: worst.is_some_and(|worst| worst.amplification <= MOST_AMPLIFICATION),
        numbers: worst.map_or("no fault".to_string(), |worst| {
            let (name, requests) = (worst.trouble.name(), worst.requests);
            format!("at most {:.3} ({name}, {requests} requests)", worst.amplification)
        }),
    }
}

/// As good as before: the p99 of the calm start and this. What the faults do to a request is ten times as much.
pub const TOLERANCE: Duration = Duration::from_millis(50);
const MOST_AMPLIFICATION: f64 = 1.2;
/// How precisely a recovery is told.
const STEP: Duration = Duration::from_millis(100);
/// A percentile needs requests of so long.
const REST: Duration = Duration::from_millis(500);

#[cfg(test)]
mod tests {
    use super::super::client::Outcome;
    use super::super::fault::Fault;
    use super::*;

    const OK: Outcome = Outcome::Status(200);

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    fn sample(method: Method, id: u64, start: u64, took: u64, outcome: Outcome) -> Sample {
        Sample { method, id, start: ms(start), took: ms(took), outcome }
    }

    /// A GET each 10 ms, and one trouble from 1 s to 3 s, during which GETs are slow for `slow` ms.
    fn run(slow: u64, more: &[Sample], journal: &str) -> Run {
        let took = |start| if (1_000..1_000 + slow).contains(&start) { 600 } else { 1 };
        let gets = (0..500).map(|id| sample(Method::Get, id, id * 10, took(id * 10), OK));
        let mut samples: Vec<Sample> = gets.chain(more.iter().copied()).collect();
        samples.sort_by_key(|sample| sample.start);
        let trouble =
            Trouble { fault: Fault::Stop, endpoint: 1, begin: ms(1_000), end: ms(3_000), next: ms(5_000) };
        let course = Course { troubles: vec![trouble], states: Vec::new(), end: ms(5_000) };
        let journal: String = (0..500).map(|id| format!("GET {id}\n")).collect::<String>() + journal;
        Run { course, samples, journal: Journal::of(&journal), repetitions: 0, control: Vec::new() }
    }

    fn held(run: &Run) -> Vec<bool> {
        judge(run).iter().map(|verdict| verdict.held).collect()
    }

    #[test]
    fn a_calm_run_holds_everything() {
        assert_eq!(held(&run(0, &[], "")), [true; 6]);
    }

    #[test]
    fn a_recovery_has_its_time() {
        let in_time = run(900, &[], "");
        assert_eq!(in_time.consequences()[0].recovered, Some(ms(900)));
        assert_eq!(held(&in_time), [true; 6]);
        assert_eq!(held(&run(1_200, &[], "")), [true, false, true, true, true, true]);
        assert_eq!(run(1_900, &[], "").consequences()[0].recovered, None);
        assert_eq!(held(&run(3_500, &[], "")), [true, false, false, true, true, true]);
    }

    #[test]
    fn a_slow_machine_is_not_taken_for_a_slow_proxy() {
        let mut run = run(2_000, &[], "");
        run.control = (0..500).map(|id| sample(Method::Control, id, id * 10, 600, OK)).collect();
        assert_eq!(held(&run), [true; 6]);
        run.control.iter_mut().for_each(|sample| sample.took = ms(500));
        assert_eq!(held(&run), [true, false, true, true, true, true]);
    }

    #[test]
    fn errors_and_repetitions_are_found() {
        let broken = sample(Method::Get, 900, 2_000, 1, Outcome::Status(502));
        assert_eq!(held(&run(0, &[broken], "")), [false, true, true, true, true, true]);
        let post = |outcome| sample(Method::Post, 900, 2_000, 1, outcome);
        let failed = Outcome::Status(502);
        for (post, journal, twice, missing) in [
            (post(OK), "POST 900\n", false, false),
            (post(OK), "POST 900\nPOST 900\n", true, false),
            (post(failed), "POST 900\nPOST 900\n", true, false),
            (post(OK), "", false, true),
            (post(failed), "", false, false),
        ] {
            assert_eq!(held(&run(0, &[post], journal))[3..5], [!twice, !missing], "{post:?} {journal:?}");
        }
        // Of 200 GETs during the fault 41 are sent twice.
        let again: String = (100..141).map(|id| format!("GET {id}\n")).collect();
        assert!(!held(&run(0, &[], &again))[5]);
        let again: String = (100..140).map(|id| format!("GET {id}\n")).collect();
        assert!(held(&run(0, &[], &again))[5]);
    }
}
