//! The course of a run: when which trouble began and ended, and what the proxy thought meanwhile. Printed as
//! it happens.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use super::endpoints::Endpoint;
use super::fault::{Fault, NAMES};
use super::load::{Load, Method, Sample};
use super::proxy::{Proxy, State};
use super::quantile::quantile;

/// One fault of one endpoint. Times are since the start of the run.
#[derive(Clone, Copy, Debug)]
pub struct Trouble {
    pub fault: Fault,
    pub endpoint: usize,
    pub begin: Duration,
    /// When it was brought back.
    pub end: Duration,
    /// When the next trouble began, or the run ended.
    pub next: Duration,
}

impl Trouble {
    pub fn name(&self) -> String {
        format!("{} {}", NAMES[self.endpoint], self.fault.name())
    }
}

#[derive(Debug, Default)]
pub struct Course {
    pub troubles: Vec<Trouble>,
    /// The state of each endpoint at a time.
    pub states: Vec<(Duration, Vec<State>)>,
    pub end: Duration,
}

/// The parts of a run while it goes on.
pub struct Stage {
    pub endpoints: Vec<Endpoint>,
    pub proxy: Proxy,
    pub load: Load,
    pub start: Instant,
}

/// Calm, then every fault at every endpoint in turn.
pub fn run(stage: &mut Stage) -> Result<Course> {
    let mut printer = Printer::default();
    let mut course = Course::default();
    println!("{}", Printer::HEADER);
    watch(stage, &mut course, &mut printer, "calm", CALM)?;
    for fault in Fault::ALL {
        for (endpoint, name) in NAMES.iter().enumerate() {
            let begin = stage.start.elapsed();
            let mut trouble = Trouble { fault, endpoint, begin, end: begin, next: begin };
            stage.endpoints[endpoint].begin(fault)?;
            watch(stage, &mut course, &mut printer, &trouble.name(), TROUBLE)?;
            trouble.end = stage.start.elapsed();
            stage.endpoints[endpoint].end(fault)?;
            let back = format!("{name} is back");
            watch(stage, &mut course, &mut printer, &back, HEALING)?;
            wait_until_up(stage, &mut course, &mut printer, &back)?;
            trouble.next = stage.start.elapsed();
            course.troubles.push(trouble);
        }
    }
    course.end = stage.start.elapsed();
    Ok(course)
}

/// The next fault finds all three at work.
fn wait_until_up(stage: &Stage, course: &mut Course, printer: &mut Printer, what: &str) -> Result<()> {
    let deadline = Instant::now() + RETURN;
    let all_up = |course: &Course| {
        course.states.last().is_some_and(|(_, states)| states.iter().all(|state| *state == State::Up))
    };
    while !all_up(course) {
        ensure!(Instant::now() < deadline, "{what}, and the proxy does not use it after {RETURN:?}");
        watch(stage, course, printer, what, TICK)?;
    }
    Ok(())
}

fn watch(
    stage: &Stage,
    course: &mut Course,
    printer: &mut Printer,
    what: &str,
    duration: Duration,
) -> Result<()> {
    let end = Instant::now() + duration;
    loop {
        let now = stage.start.elapsed();
        let states = stage.proxy.states(&stage.endpoints)?;
        printer.print_when_due(stage, now, what, &states);
        course.states.push((now, states));
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(());
        }
        thread::sleep(left.min(TICK));
    }
}

/// Prints a line for each half second: what was answered in it.
#[derive(Default)]
struct Printer {
    /// Requests that were looked at.
    seen: usize,
    /// Of what the proxy said, how much was printed.
    said: usize,
    last: Duration,
}

impl Printer {
    const HEADER: &str =
        "   time  what               answers/s  GET errors  POST errors   p50 ms   p99 ms  endpoints";

    fn print_when_due(&mut self, stage: &Stage, now: Duration, what: &str, states: &[State]) {
        if now < self.last + LINE {
            return;
        }
        let mut samples = stage.load.since(self.seen);
        self.seen += samples.len();
        samples.retain(|sample| sample.method != Method::Control);
        let rate = samples.len() as f64 / (now - self.last).as_secs_f64();
        self.last = now;
        self.print_notices(&stage.proxy.said(), &stage.endpoints);
        let errors = |method| {
            samples.iter().filter(|sample| sample.method == method && !sample.outcome.is_success()).count()
        };
        let states: Vec<String> =
            states.iter().zip(NAMES).map(|(state, name)| format!("{name} {:<7}", state.name())).collect();
        println!(
            "{:>5.1} s  {what:<18} {rate:>9.0} {:>11} {:>12} {:>8} {:>8}  {}",
            now.as_secs_f64(),
            errors(Method::Get),
            errors(Method::Post),
            milliseconds(&samples, 0.5),
            milliseconds(&samples, 0.99),
            states.join("  ")
        );
    }

    /// What the proxy says of its endpoints, by their names here.
    fn print_notices(&mut self, said: &str, endpoints: &[Endpoint]) {
        let whole = said.rfind('\n').map_or(0, |end| end + 1);
        for line in said.get(self.said..whole).unwrap_or_default().lines() {
            let Some(notice) = line.strip_prefix("palisade: upstream app: ") else { continue };
            let named = endpoints.iter().zip(NAMES).fold(notice.to_string(), |text, (endpoint, name)| {
                text.replace(&format!("127.0.0.1:{} ", endpoint.port), &format!("{name} "))
            });
            println!("{:>9}{named}", "");
        }
        self.said = whole;
    }
}

/// Of the time that GETs took.
fn milliseconds(samples: &[Sample], share: f64) -> String {
    let gets = samples.iter().filter(|sample| sample.method == Method::Get);
    quantile(gets.map(|sample| sample.took).collect(), share)
        .map_or("-".to_string(), |took| format!("{:.1}", took.as_secs_f64() * 1000.0))
}

const CALM: Duration = Duration::from_secs(4);
const TROUBLE: Duration = Duration::from_millis(3_500);
const HEALING: Duration = Duration::from_secs(3);
/// The longest that the proxy may take to use an endpoint again, beside `HEALING`.
const RETURN: Duration = Duration::from_secs(10);
const TICK: Duration = Duration::from_millis(250);
/// A line; a little less than two ticks, which are never early.
const LINE: Duration = Duration::from_millis(490);
